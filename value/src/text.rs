//! Text as the reference quotes it.

use std::fmt::Write;

/// Text in double quotes, with Go's escapes.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    write_quoted(text, &mut out);
    out
}

/// Go's `%q`.
pub(crate) fn write_quoted(s: &str, out: &mut String) {
    out.push('"');
    for c in s.chars() {
        match c {
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x0b' => out.push_str("\\v"),
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            ' '..='~' => out.push(c),
            '\0'..='\x7f' => _ = write!(out, "\\x{:02x}", c as u32),
            c if is_printable(c) => out.push(c),
            '\u{80}'..='\u{ffff}' => _ = write!(out, "\\u{:04x}", c as u32),
            c => _ = write!(out, "\\U{:08x}", c as u32),
        }
    }
    out.push('"');
}

/// Whether Go's `%q` leaves the character alone. The standard library's debug escaping draws the same line, save that
/// it escapes combining marks at the beginning; so ask it about a second character.
pub fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return matches!(c, ' '..='~');
    }
    let pair: String = ['a', c].iter().collect();
    pair.escape_debug().eq(pair.chars())
}
