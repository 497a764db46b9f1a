//! JSON strings: where they end, what they stand for, and expressions inside of them.

use std::sync::Arc;

use stead_value::{Diagnostics, SourceRange};

use super::super::lexer::Start;
use super::super::parser::parse_part;
use super::super::{Expr, SourceFile, Span};

/// How long the string token is that begins here. It ends with its closing quote, or before a control character.
pub(super) fn length(bytes: &[u8]) -> usize {
    let mut i = 1;
    while let Some(&byte) = bytes.get(i) {
        match byte {
            b'\\' if bytes.get(i + 1).is_some_and(|b| *b >= 32) => i += 2,
            b'"' => return i + 1,
            0..32 => return i,
            _ => i += 1,
        }
    }
    bytes.len()
}

/// What a string with its quotes stands for, or the offset behind the byte that is wrong in it.
pub(super) fn decode(raw: &str) -> Result<String, usize> {
    let mut out = String::with_capacity(raw.len());
    decode_into(raw, &mut out, &mut |_, _| {})?;
    Ok(out)
}

/// As [`decode`]; `escape` is told of each escape: the offsets behind it in what it stands for, and in the raw text.
fn decode_into(
    raw: &str,
    out: &mut String,
    escape: &mut dyn FnMut(usize, usize),
) -> Result<(), usize> {
    let mut at = 1;
    loop {
        let rest = raw.get(at..).unwrap_or("");
        let plain = rest.find(['"', '\\']).unwrap_or(rest.len());
        out.push_str(rest.get(..plain).unwrap_or(""));
        at += plain;
        match rest.as_bytes().get(plain) {
            None => return Err(raw.len()),
            Some(b'"') => return Ok(()),
            Some(_) => {}
        }
        let selector = raw.as_bytes().get(at + 1).copied().ok_or(raw.len())?;
        at += 2;
        out.push(match selector {
            b'"' | b'\\' | b'/' => selector as char,
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = hex(raw, at)?;
                at += 4;
                let low = match (first, raw.get(at..at + 2)) {
                    (0xd800..=0xdbff, Some("\\u")) => hex(raw, at + 2).ok(),
                    _ => None,
                };
                match low {
                    Some(low @ 0xdc00..=0xdfff) => {
                        at += 6;
                        let code = 0x10000 + ((first - 0xd800) << 10) + (low - 0xdc00);
                        char::from_u32(code).unwrap_or('\u{fffd}')
                    }
                    // Half of a pair is no character.
                    _ => char::from_u32(first).unwrap_or('\u{fffd}'),
                }
            }
            _ => return Err(at),
        });
        escape(out.len(), at);
    }
}

/// The four hexadecimal digits at an offset.
fn hex(raw: &str, at: usize) -> Result<u32, usize> {
    (0..4).try_fold(0, |code, i| {
        let digit = raw.as_bytes().get(at + i).ok_or(raw.len())?;
        match (*digit as char).to_digit(16) {
            Some(digit) => Ok(code * 16 + digit),
            None => Err(at + i + 1),
        }
    })
}

/// Reads what is inside a string as an expression or a template, with its places in the file.
pub(super) fn parse_inside(
    file: &Arc<SourceFile>,
    string: Span,
    start: Start,
) -> (Expr, Diagnostics) {
    let raw = file.slice(string);
    if !raw.contains('\\') {
        let inside = Span::new(string.start + 1, string.end.saturating_sub(1));
        return parse_part(file, inside, start);
    }
    // Read apart; then every place is moved to where it is in the file.
    let mut text = String::with_capacity(raw.len());
    let mut escapes: Vec<(u32, u32)> = Vec::new();
    // The string was decoded before: it has no errors.
    let _ = decode_into(raw, &mut text, &mut |decoded, raw| {
        escapes.push((decoded as u32, raw as u32));
    });
    let place = |offset: u32| {
        let before = escapes.partition_point(|(decoded, _)| *decoded <= offset);
        let (decoded, raw) = before
            .checked_sub(1)
            .and_then(|i| escapes.get(i).copied())
            .unwrap_or((0, 1));
        string.start + raw + (offset - decoded)
    };
    let apart = Arc::new(SourceFile::new(Arc::clone(file.name()), text));
    let all = Span::new(0, apart.text().len() as u32);
    let (mut expr, mut diagnostics) = parse_part(&apart, all, start);
    expr.move_spans(&|span| Span::new(place(span.start), place(span.end)));
    let moved = |range: &mut SourceRange| {
        *range = file.range(Span::new(place(range.start.byte), place(range.end.byte)));
    };
    for diagnostic in &mut diagnostics.0 {
        diagnostic.subject.iter_mut().for_each(&moved);
        diagnostic.context.iter_mut().for_each(&moved);
    }
    (expr, diagnostics)
}
