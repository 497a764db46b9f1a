//! Writes YAML as Go's library does: four spaces of indentation, and quotes only where needed.

use super::ScalarKind;

/// Something to write.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Out {
    /// A string, quoted when it would read as something else.
    Str(String),
    /// A number, boolean or null, as it is.
    Raw(String),
    Sequence(Vec<Out>),
    Mapping(Vec<(String, Out)>),
}

/// A whole document, ending in a newline.
pub(crate) fn emit(value: &Out) -> String {
    let mut text = String::new();
    match value {
        Out::Mapping(entries) if !entries.is_empty() => mapping(&mut text, entries, 0, 4),
        Out::Sequence(items) if !items.is_empty() => sequence(&mut text, items, 0, false),
        // Go's library reads no text that stands at the margin; a `---` in it would end the document, too.
        other => inline(&mut text, other, 4),
    }
    text
}

fn pad(text: &mut String, indent: usize) {
    text.extend(std::iter::repeat_n(' ', indent));
}

/// Keys at `indent`, what is below them at `below`. Within a sequence the first key stands on the line already begun.
fn mapping(text: &mut String, entries: &[(String, Out)], indent: usize, below: usize) {
    let started = below != indent + 4;
    for (i, (key, value)) in entries.iter().enumerate() {
        if i > 0 || !started {
            pad(text, indent);
        }
        text.push_str(&scalar(key));
        text.push(':');
        match value {
            Out::Mapping(inner) if !inner.is_empty() => {
                text.push('\n');
                mapping(text, inner, below, below + 4);
            }
            Out::Sequence(items) if !items.is_empty() => {
                text.push('\n');
                sequence(text, items, below, false);
            }
            other => {
                text.push(' ');
                inline(text, other, below);
            }
        }
    }
}

fn sequence(text: &mut String, items: &[Out], indent: usize, started: bool) {
    for (i, item) in items.iter().enumerate() {
        if i > 0 || !started {
            pad(text, indent);
        }
        text.push_str("- ");
        match item {
            Out::Mapping(inner) if !inner.is_empty() => {
                mapping(text, inner, indent + 2, indent + 4);
            }
            Out::Sequence(inner) if !inner.is_empty() => sequence(text, inner, indent + 2, true),
            other => inline(text, other, indent + 4),
        }
    }
}

fn inline(text: &mut String, value: &Out, indent: usize) {
    match value {
        Out::Str(s) if s.contains('\n') && printable(s) => block(text, s, indent),
        Out::Str(s) => {
            text.push_str(&scalar(s));
            text.push('\n');
        }
        Out::Raw(s) => {
            text.push_str(s);
            text.push('\n');
        }
        Out::Sequence(_) => text.push_str("[]\n"),
        Out::Mapping(_) => text.push_str("{}\n"),
    }
}

/// Literal style.
fn block(text: &mut String, s: &str, indent: usize) {
    text.push('|');
    if s.starts_with([' ', '\n']) {
        text.push('4');
    }
    let body = match s.strip_suffix('\n') {
        None => {
            text.push('-');
            s
        }
        Some(body) if body.ends_with('\n') || body.is_empty() => {
            text.push('+');
            body
        }
        Some(body) => body,
    };
    text.push('\n');
    for line in body.split('\n') {
        if !line.is_empty() {
            pad(text, indent);
            text.push_str(line);
        }
        text.push('\n');
    }
}

fn printable(s: &str) -> bool {
    s.chars().all(|c| c == '\n' || c == '\t' || !c.is_control())
}

/// A string as a scalar on one line.
fn scalar(s: &str) -> String {
    if resolves_otherwise(s) {
        return double(s);
    }
    if !printable(s) || s.contains('\n') {
        return double(s);
    }
    if plain_allowed(s) {
        s.to_owned()
    } else {
        format!("'{}'", s.replace('\'', "''"))
    }
}

/// Whether the plain form would not be read as a string, by YAML 1.1 readers neither.
fn resolves_otherwise(s: &str) -> bool {
    if s.is_empty() || ScalarKind::of_plain(s) != ScalarKind::Str || s == "<<" {
        return true;
    }
    let old_boolean = matches!(
        s,
        "y" | "Y"
            | "yes"
            | "Yes"
            | "YES"
            | "on"
            | "On"
            | "ON"
            | "n"
            | "N"
            | "no"
            | "No"
            | "NO"
            | "off"
            | "Off"
            | "OFF"
    );
    old_boolean || timestamp(s) || sexagesimal(s)
}

fn timestamp(s: &str) -> bool {
    let bytes = s.as_bytes();
    s.len() >= 8
        && bytes.iter().take(4).all(u8::is_ascii_digit)
        && bytes.get(4) == Some(&b'-')
        && bytes
            .iter()
            .all(|b| b.is_ascii_digit() || b"-:T tZz.+".contains(b))
}

fn sexagesimal(s: &str) -> bool {
    let digits = s.trim_start_matches(['-', '+']);
    let mut parts = digits.split(':');
    let first = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    !rest.is_empty()
        && first.starts_with(|c: char| c.is_ascii_digit() && c != '0')
        && first.bytes().all(|b| b.is_ascii_digit())
        && rest
            .iter()
            .all(|p| (1..=2).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()))
}

fn plain_allowed(s: &str) -> bool {
    let first = s.chars().next().unwrap_or(' ');
    let second = s.chars().nth(1);
    let indicator = match first {
        '-' | '?' | ':' => second.is_none_or(|c| c == ' '),
        c => "#,[]{}&*!|>'\"%@`".contains(c),
    };
    !(indicator
        || s.starts_with(' ')
        || s.ends_with(' ')
        || s.ends_with(':')
        || s.contains(": ")
        || s.contains(" #")
        || s.starts_with("---")
        || s.starts_with("...")
        || s.contains('\t'))
}

fn double(s: &str) -> String {
    let mut out = String::from("\"");
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => {
                let code = u32::from(c);
                if code < 0x100 {
                    out.push_str(&format!("\\x{code:02X}"));
                } else {
                    out.push_str(&format!("\\u{code:04X}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn writes_what_it_reads() {
        let text = "a:\n    - b: 1\n      c:\n        - x\n    - 'y: z'\nd: \"on\"\ne: {}\nf: |\n    two\n    lines\ng: \"12\"\n";
        let docs = parse(text).unwrap();
        assert_eq!(emit(&docs[0].out()), text);
    }

    #[test]
    fn a_text_that_is_the_whole_document_stands_indented() {
        let config = "version: v1alpha1\n---\nkind: HostnameConfig\n";
        let text = emit(&Out::Str(config.to_owned()));
        assert_eq!(
            text,
            "|\n    version: v1alpha1\n    ---\n    kind: HostnameConfig\n"
        );
        let docs = parse(&text).unwrap();
        assert_eq!(docs.len(), 1);
        assert_eq!(docs[0].out(), Out::Str(config.to_owned()));
    }
}
