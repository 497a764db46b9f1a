//! Writes YAML with the bytes go-yaml would write.
//!
//! Facts from go-yaml v3/v4 (indentation, choice of scalar style) and from yaml.v2, which writes
//! the output of JSON6902 patches.

use super::resolve::{Resolved, is_base60, is_old_bool, resolve};
use crate::machinery::value::{Fields, Value};

/// Which quotes a text gets that YAML 1.1 readers would take for a boolean or a base 60 number.
///
/// go-yaml changed this between v4.0.0-rc.4 (Talos 1.13) and v4.0.0-rc.6 (Talos 1.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quoting {
    Double,
    SingleForOldTypes,
}

/// How a document is laid out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    indent: usize,
    /// Sequences in a mapping stand at the mapping's own column (yaml.v2).
    flat_sequences: bool,
    /// Column after which a blank becomes a line break.
    width: usize,
    quoting: Quoting,
}

impl Style {
    /// go-yaml v3/v4 with its default of four blanks.
    pub(crate) fn talos(quoting: Quoting) -> Self {
        Self {
            indent: 4,
            flat_sequences: false,
            width: usize::MAX,
            quoting,
        }
    }

    /// yaml.v2 (through ghodss/yaml and sigs.k8s.io/yaml).
    pub(crate) fn yaml_v2() -> Self {
        Self {
            indent: 2,
            flat_sequences: true,
            width: 80,
            quoting: Quoting::Double,
        }
    }
}

/// Writes one document; mappings keep their order.
pub(crate) fn emit(value: &Value, style: Style) -> String {
    let mut out = Emitter {
        out: String::new(),
        column: 0,
        style,
    };
    match value {
        Value::Map(m) if !m.is_empty() => out.mapping(m, 0, 0),
        Value::List(l) if !l.is_empty() => out.sequence(l, 0),
        scalar => {
            out.scalar(scalar, 0, false);
            out.newline();
        }
    }
    out.out
}

struct Emitter {
    out: String,
    column: usize,
    style: Style,
}

impl Emitter {
    fn put(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.chars().count();
    }

    fn newline(&mut self) {
        self.out.push('\n');
        self.column = 0;
    }

    fn pad(&mut self, columns: usize) {
        for _ in 0..columns {
            self.out.push(' ');
        }
        self.column += columns;
    }

    /// The column of what is nested in a block at `indent`: the next multiple of the step.
    fn deeper(&self, indent: usize) -> usize {
        let step = self.style.indent;
        if self.style.flat_sequences {
            indent + step
        } else {
            step * ((indent + step) / step)
        }
    }

    /// Writes the pairs at `indent`; the cursor already stands at `at` columns for the first one.
    fn mapping(&mut self, fields: &Fields, indent: usize, at: usize) {
        for (i, (key, value)) in fields.iter().enumerate() {
            if i > 0 || at == 0 {
                self.pad(indent);
            }
            self.key(key, indent);
            match value {
                Value::Map(m) if !m.is_empty() => {
                    self.newline();
                    let inner = self.deeper(indent);
                    self.mapping(m, inner, 0);
                }
                Value::List(l) if !l.is_empty() => {
                    self.newline();
                    let inner = if self.style.flat_sequences {
                        indent
                    } else {
                        self.deeper(indent)
                    };
                    self.sequence(l, inner);
                }
                scalar => {
                    self.put(" ");
                    self.scalar(scalar, indent, false);
                    self.newline();
                }
            }
        }
    }

    fn key(&mut self, key: &str, indent: usize) {
        let simple = !key.contains('\n') && key.len() <= 128;
        if !simple {
            self.put("? ");
        }
        self.text(key, indent, true);
        if !simple {
            self.newline();
            self.pad(indent);
        }
        self.put(":");
    }

    fn sequence(&mut self, items: &[Value], indent: usize) {
        for item in items {
            self.pad(indent);
            self.item(item, indent);
        }
    }

    /// Writes `- item` with the cursor at `indent`.
    fn item(&mut self, item: &Value, indent: usize) {
        self.put("- ");
        // The content of an item stands two columns in, right after the dash.
        let inner = indent + 2;
        match item {
            Value::Map(m) if !m.is_empty() => self.mapping(m, inner, inner),
            Value::List(l) if !l.is_empty() => {
                for (i, nested) in l.iter().enumerate() {
                    if i > 0 {
                        self.pad(inner);
                    }
                    self.item(nested, inner);
                }
            }
            scalar => {
                self.scalar(scalar, indent, true);
                self.newline();
            }
        }
    }

    fn scalar(&mut self, value: &Value, indent: usize, in_sequence: bool) {
        match value {
            Value::Null => self.put("null"),
            Value::Bool(b) => self.put(if *b { "true" } else { "false" }),
            Value::Int(i) => self.put(&i.to_string()),
            Value::Float(x) => self.put(&go_float(*x)),
            Value::Plain(text) => self.put(text),
            // A literal in a sequence item is indented by the dash, else by a full step.
            Value::Str(text) if in_sequence => self.text(text, indent + 2, false),
            Value::Str(text) => {
                let inner = self.deeper(indent);
                self.text(text, inner, false);
            }
            Value::List(_) => self.put("[]"),
            Value::Map(_) => self.put("{}"),
        }
    }

    fn text(&mut self, text: &str, indent: usize, is_key: bool) {
        let facts = Facts::of(text);
        if text.contains('\n') {
            let literal =
                !is_key && text.len() >= 2 && !text.trim().is_empty() && facts.block_allowed;
            if literal {
                self.literal(text, indent);
            } else {
                self.double_quoted(text, indent, is_key);
            }
            return;
        }
        let old = is_base60(text) || is_old_bool(text) || text == "<<";
        let resolves = resolve(text) != Resolved::Str;
        if old && self.style.quoting == Quoting::SingleForOldTypes && facts.single_allowed {
            self.single_quoted(text, indent, is_key);
        } else if old || resolves {
            self.double_quoted(text, indent, is_key);
        } else if facts.plain_allowed {
            self.folded(text, indent, !is_key, str::to_owned);
        } else if facts.single_allowed {
            self.single_quoted(text, indent, is_key);
        } else {
            self.double_quoted(text, indent, is_key);
        }
    }

    fn single_quoted(&mut self, text: &str, indent: usize, is_key: bool) {
        self.put("'");
        self.folded(text, indent, !is_key, |s| s.replace('\'', "''"));
        self.put("'");
    }

    fn double_quoted(&mut self, text: &str, indent: usize, is_key: bool) {
        self.put("\"");
        self.folded(text, indent, !is_key, escape);
        self.put("\"");
    }

    /// Writes words with single blanks turned into line breaks past the preferred width.
    fn folded(
        &mut self,
        text: &str,
        indent: usize,
        may_break: bool,
        encode: impl Fn(&str) -> String,
    ) {
        if !may_break || self.style.width == usize::MAX {
            let encoded = encode(text);
            self.put(&encoded);
            return;
        }
        let chars: Vec<char> = text.chars().collect();
        for (i, c) in chars.iter().enumerate() {
            let single_blank = *c == ' '
                && i > 0
                && i + 1 < chars.len()
                && chars[i - 1] != ' '
                && chars[i + 1] != ' ';
            if single_blank && self.column > self.style.width {
                self.newline();
                self.pad(indent);
            } else {
                let encoded = encode(c.encode_utf8(&mut [0; 4]));
                self.put(&encoded);
            }
        }
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.put("|");
        if text.starts_with(' ') {
            let hint = self.style.indent.to_string();
            self.put(&hint);
        }
        if !text.ends_with('\n') {
            self.put("-");
        } else if text == "\n" || text.ends_with("\n\n") {
            self.put("+");
        }
        let body = text.strip_suffix('\n').unwrap_or(text);
        for line in body.split('\n') {
            self.newline();
            if !line.is_empty() {
                self.pad(indent);
                self.put(line);
            }
        }
    }
}

/// What the content of a text allows, after libyaml's scalar analysis.
struct Facts {
    plain_allowed: bool,
    single_allowed: bool,
    block_allowed: bool,
}

impl Facts {
    fn of(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let blank_at = |i: usize| {
            chars.get(i).is_none_or(|c| {
                matches!(
                    c,
                    ' ' | '\t' | '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}'
                )
            })
        };
        let mut indicators = text.starts_with("---") || text.starts_with("...");
        let (mut special, mut tabs, mut break_space, mut space_break, mut breaks) =
            (false, false, false, false, false);
        let (mut previous_space, mut previous_break) = (false, false);
        for (i, &c) in chars.iter().enumerate() {
            match c {
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"'
                | '%' | '@' | '`'
                    if i == 0 =>
                {
                    indicators = true;
                }
                '?' | '-' if i == 0 => indicators |= blank_at(1),
                ':' => indicators |= blank_at(i + 1),
                '#' => indicators |= blank_at(i - 1),
                _ => {}
            }
            tabs |= c == '\t';
            special |= c != '\t' && !printable(c);
            let is_break = matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
            if c == ' ' {
                break_space |= previous_break;
            } else if is_break {
                breaks = true;
                space_break |= previous_space;
            }
            previous_space = c == ' ';
            previous_break = is_break;
        }
        let edge = |c: Option<&char>| c.is_some_and(|c| *c == ' ' || *c == '\n');
        let edges = edge(chars.first()) || edge(chars.last());
        let trailing_space = chars.last() == Some(&' ');
        Self {
            plain_allowed: !(indicators
                || edges
                || breaks
                || break_space
                || space_break
                || tabs
                || special),
            single_allowed: !(break_space || space_break || tabs || special),
            block_allowed: !(trailing_space || space_break || special),
        }
    }
}

fn printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0' => out.push_str("\\0"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\u{1b}' => out.push_str("\\e"),
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{85}' => out.push_str("\\N"),
            '\u{2028}' => out.push_str("\\L"),
            '\u{2029}' => out.push_str("\\P"),
            c if printable(c) => out.push(c),
            c if u32::from(c) <= 0xff => out.push_str(&format!("\\x{:02X}", u32::from(c))),
            c if u32::from(c) <= 0xffff => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push_str(&format!("\\U{:08X}", u32::from(c))),
        }
    }
    out
}

/// strconv.FormatFloat(x, 'g', -1, 64): exponent form below 1e-4 and from 1e6.
fn go_float(x: f64) -> String {
    if x.is_nan() {
        return ".nan".to_owned();
    }
    if x.is_infinite() {
        return if x > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let magnitude = x.abs();
    if magnitude != 0.0 && !(1e-4..1e6).contains(&magnitude) {
        let text = format!("{x:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = exponent
            .strip_prefix('-')
            .map_or(('+', exponent), |d| ('-', d));
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    format!("{x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: Value, expected: &str) {
        assert_eq!(emit(&value, Style::talos(Quoting::Double)), expected);
    }

    #[test]
    fn quotes_as_go_yaml_does() {
        for (text, expected) in [
            ("off", "\"off\"\n"),
            ("yes", "\"yes\"\n"),
            ("0644", "\"0644\"\n"),
            ("1e3", "\"1e3\"\n"),
            ("2026-11-21", "\"2026-11-21\"\n"),
            ("a: b", "'a: b'\n"),
            ("#c", "'#c'\n"),
            (">= 100GB", "'>= 100GB'\n"),
            ("-console", "-console\n"),
            ("https://x:1", "https://x:1\n"),
            ("", "\"\"\n"),
            (" lead", "' lead'\n"),
            ("it's", "it's\n"),
            ("'q", "'''q'\n"),
            ("tab\there", "\"tab\\there\"\n"),
            ("ü", "ü\n"),
            ("-", "'-'\n"),
        ] {
            check(Value::str(text), expected);
        }
        assert_eq!(
            emit(&Value::str("off"), Style::talos(Quoting::SingleForOldTypes)),
            "'off'\n"
        );
        assert_eq!(
            emit(
                &Value::str("65535"),
                Style::talos(Quoting::SingleForOldTypes)
            ),
            "\"65535\"\n"
        );
    }

    #[test]
    fn nests_by_multiples_of_the_step() {
        let inner = Value::map([("k", Value::map([("deep", "v".into())]))]);
        let value = Value::map([(
            "list",
            Value::List(vec![inner, Value::List(vec!["a".into(), "b".into()])]),
        )]);
        check(
            value.clone(),
            "list:\n    - k:\n        deep: v\n    - - a\n      - b\n",
        );
        assert_eq!(
            emit(&value, Style::yaml_v2()),
            "list:\n- k:\n    deep: v\n- - a\n  - b\n"
        );
    }

    #[test]
    fn literals() {
        check(Value::map([("a", "x\ny\n".into())]), "a: |\n    x\n    y\n");
        check(
            Value::map([("a", "x\n\ny".into())]),
            "a: |-\n    x\n\n    y\n",
        );
        check(Value::map([("a", "x\n\n".into())]), "a: |+\n    x\n\n");
        check(
            Value::map([("a", "  x\ny\n".into())]),
            "a: |4\n      x\n    y\n",
        );
        check(Value::map([("a", "\n".into())]), "a: \"\\n\"\n");
        check(
            Value::map([("l", Value::strings(["p\nq\n"]))]),
            "l:\n    - |\n      p\n      q\n",
        );
    }

    #[test]
    fn floats() {
        check(Value::Float(0.5), "0.5\n");
        check(Value::Float(1e21), "1e+21\n");
        check(Value::Float(1_234_567.0), "1.234567e+06\n");
        check(Value::Float(1e-7), "1e-07\n");
    }
}
