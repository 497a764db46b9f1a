//! What is rewritten: labels without quotes, values that are nothing but one interpolation, types of old.

use super::{Piece, Token};
use crate::syntax::{Block, Body, Label, Span, TokenKind};

pub(super) fn rewrite(body: &Body, tokens: &mut [Token<'_>]) {
    visit(body, &[], tokens);
}

/// `around` are the types of the blocks around the body.
fn visit(body: &Body, around: &[&str], tokens: &mut [Token<'_>]) {
    for attribute in body.attributes.values() {
        let within = slice(tokens, attribute.expr.span());
        let instead = if around == ["variable"] && &*attribute.name == "type" {
            type_of_old(within)
        } else {
            unwrapped(within)
        };
        if let Some(instead) = instead {
            replace(within, instead);
        }
    }
    for block in &body.blocks {
        labels(block, tokens);
        let mut inner = around.to_vec();
        inner.push(&block.kind);
        visit(&block.body, &inner, tokens);
    }
}

/// The tokens that begin within a span.
fn slice<'t, 'a>(tokens: &'t mut [Token<'a>], span: Span) -> &'t mut [Token<'a>] {
    let from = tokens.partition_point(|t| t.start < span.start);
    let to = tokens.partition_point(|t| t.start < span.end).max(from);
    tokens.get_mut(from..to).unwrap_or_default()
}

fn replace<'a>(tokens: &mut [Token<'a>], instead: Vec<Piece<'a>>) {
    let mut instead = Some(instead);
    for token in tokens {
        token.instead = Some(instead.take().unwrap_or_default());
    }
}

/// Labels are quoted, and nothing stands between them. The reference drops a label with a lone `$` or `%` in it; that would break
/// the configuration, so it stays here.
fn labels(block: &Block, tokens: &mut [Token<'_>]) {
    let Some(last) = block.labels.last() else {
        return;
    };
    let span = Span::new(block.kind_span.end, last.span.end);
    let pieces = block.labels.iter().flat_map(quoted).collect();
    replace(slice(tokens, span), pieces);
}

fn quoted<'a>(label: &Label) -> [Piece<'a>; 3] {
    [
        Piece::new(TokenKind::OpenQuote, "\""),
        Piece::new(TokenKind::QuotedText, escape(&label.text)),
        Piece::new(TokenKind::CloseQuote, "\""),
    ]
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '"' | '\\' => out.extend(['\\', c]),
            '$' | '%' if chars.peek() == Some(&'{') => out.extend([c, c]),
            c if is_printable(c) => out.push(c),
            c if (c as u32) < 0x10000 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push_str(&format!("\\U{:08x}", c as u32)),
        }
    }
    out
}

/// Whether a character can be seen: the standard library escapes what can't, save for marks behind a letter.
fn is_printable(c: char) -> bool {
    let text: String = ['a', c].into_iter().collect();
    matches!(c, '\'' | '"' | '\\') || text.escape_debug().eq(text.chars())
}

/// `"${x}"` without its quotes; `None` for anything else.
fn unwrapped<'a>(tokens: &[Token<'a>]) -> Option<Vec<Piece<'a>>> {
    use TokenKind::{CloseQuote, CloseSequence, Newline, OpenInterpolation, OpenQuote, QuotedText};
    let [open, start, inside @ .., end, close] = tokens else {
        return None;
    };
    let kinds = [open, start, end, close].map(|t| t.piece.kind);
    if inside.is_empty() || kinds != [OpenQuote, OpenInterpolation, CloseSequence, CloseQuote] {
        return None;
    }
    let mut quotes = 0;
    for token in inside {
        match token.piece.kind {
            OpenQuote => quotes += 1,
            CloseQuote => quotes -= 1,
            OpenInterpolation | CloseSequence | QuotedText if quotes <= 0 => return None,
            _ => {}
        }
    }
    let is_newline = |t: &Token<'_>| t.piece.kind == Newline;
    let from = inside
        .iter()
        .position(|t| !is_newline(t))
        .unwrap_or(inside.len());
    let to = inside
        .iter()
        .rposition(|t| !is_newline(t))
        .map_or(from, |i| i + 1);
    let inside = inside.get(from..to).unwrap_or_default();
    let mut pieces: Vec<Piece<'a>> = inside.iter().map(|t| t.piece.clone()).collect();
    let several_lines = inside.iter().any(is_newline);
    let in_parens = matches!(
        (inside.first(), inside.last()),
        (Some(first), Some(last))
            if first.piece.kind == TokenKind::OpenParen
                && last.piece.kind == TokenKind::CloseParen
                && inside.len() > 1
    );
    if several_lines && !in_parens {
        pieces.insert(0, Piece::new(TokenKind::OpenParen, "("));
        pieces.push(Piece::new(TokenKind::CloseParen, ")"));
    }
    Some(pieces)
}

/// `"string"`, `"list"` and `"map"` in quotes, and collections without an element type.
fn type_of_old<'a>(tokens: &[Token<'a>]) -> Option<Vec<Piece<'a>>> {
    let (word, element) = match tokens {
        [word] if word.piece.kind == TokenKind::Ident => match &*word.piece.text {
            word @ ("list" | "map" | "set") => (word.to_owned(), Some("any")),
            _ => return None,
        },
        [open, word, _]
            if open.piece.kind == TokenKind::OpenQuote
                && word.piece.kind == TokenKind::QuotedText =>
        {
            match &*word.piece.text {
                "string" => ("string".to_owned(), None),
                word @ ("list" | "map") => (word.to_owned(), Some("string")),
                _ => return None,
            }
        }
        _ => return None,
    };
    let mut pieces = vec![Piece::new(TokenKind::Ident, word)];
    if let Some(element) = element {
        pieces.extend([
            Piece::new(TokenKind::OpenParen, "("),
            Piece::new(TokenKind::Ident, element),
            Piece::new(TokenKind::CloseParen, ")"),
        ]);
    }
    Some(pieces)
}
