//! Writing YAML: block style, strings in double quotes, texts of several lines as literal blocks.
//!
//! The state (column, whether the last thing written was blank, …) is that of libyaml's emitter, because diffs of rendered
//! files must not change with the tool.

use stead_value::{Kind, Value};

/// Lines are folded at the first blank after this column.
const WIDTH: usize = 80;
const INDENT: isize = 2;
/// Longer keys (in bytes) are written after a question mark.
const MAX_SIMPLE_KEY: usize = 128;

pub(super) fn encode(value: &Value) -> String {
    let mut emitter = Emitter {
        out: String::new(),
        column: 0,
        indent: -1,
        blank: true,
        indention: true,
        open: false,
    };
    emitter.node(value, Place::Root);
    emitter.line();
    if emitter.open {
        emitter.indicator("...", true, false, false);
        emitter.line();
    }
    emitter.out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Sequence,
    /// A value, or a key after a question mark.
    Mapping,
    /// A key before a colon on the same line.
    SimpleKey,
}

struct Emitter {
    out: String,
    /// In characters.
    column: usize,
    /// -1 outside of everything.
    indent: isize,
    /// Whether the last character was a blank or an indicator that needs none after it.
    blank: bool,
    /// Whether only blanks and indicators stand on the line.
    indention: bool,
    /// Whether a reader could take what follows for more of the last scalar.
    open: bool,
}

impl Emitter {
    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    fn newline(&mut self) {
        self.out.push('\n');
        self.column = 0;
    }

    /// Goes to the current indentation, on a new line unless it is just there.
    fn line(&mut self) {
        let indent = usize::try_from(self.indent).unwrap_or(0);
        if !self.indention || self.column > indent || (self.column == indent && !self.blank) {
            self.newline();
        }
        while self.column < indent {
            self.put(' ');
        }
        self.blank = true;
        self.indention = true;
    }

    fn indicator(&mut self, text: &str, need_blank: bool, is_blank: bool, is_indention: bool) {
        if need_blank && !self.blank {
            self.put(' ');
        }
        text.chars().for_each(|c| self.put(c));
        self.blank = is_blank;
        self.indention &= is_indention;
        self.open = false;
    }

    fn node(&mut self, value: &Value, place: Place) {
        match value.kind() {
            Kind::Bool(b) => self.plain(if *b { "true" } else { "false" }, place),
            Kind::Number(n) => self.plain(&n.to_string(), place),
            Kind::String(s) => self.string(s, place),
            Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => {
                self.sequence(items, place);
            }
            Kind::Map(_, entries) | Kind::Object(entries) => {
                self.mapping(entries.iter().map(|(k, v)| (&**k, v)), place);
            }
            Kind::Null(_) | Kind::Unknown(..) => self.plain("null", place),
        }
    }

    fn sequence(&mut self, items: &[Value], place: Place) {
        if items.is_empty() {
            self.indicator("[", true, true, false);
            self.indicator("]", false, false, false);
            return;
        }
        let outer = self.indent;
        // Below a key, the dashes stand under the key.
        let indentless = place == Place::Mapping && !self.indention;
        self.deeper(indentless);
        for item in items {
            self.line();
            self.indicator("-", true, false, true);
            self.node(item, Place::Sequence);
        }
        self.indent = outer;
    }

    fn mapping<'a>(
        &mut self,
        entries: impl ExactSizeIterator<Item = (&'a str, &'a Value)>,
        _: Place,
    ) {
        if entries.len() == 0 {
            self.indicator("{", true, true, false);
            self.indicator("}", false, false, false);
            return;
        }
        let outer = self.indent;
        self.deeper(false);
        for (key, value) in entries {
            self.line();
            if key.len() <= MAX_SIMPLE_KEY && !key.contains(is_break) {
                self.string(key, Place::SimpleKey);
                self.indicator(":", false, false, false);
            } else {
                self.indicator("?", true, false, true);
                self.string(key, Place::Mapping);
                self.line();
                self.indicator(":", true, false, true);
            }
            self.node(value, Place::Mapping);
        }
        self.indent = outer;
    }

    fn deeper(&mut self, indentless: bool) {
        if self.indent < 0 {
            self.indent = 0;
        } else if !indentless {
            self.indent += INDENT;
        }
    }

    fn plain(&mut self, text: &str, place: Place) {
        if !self.blank {
            self.put(' ');
        }
        text.chars().for_each(|c| self.put(c));
        self.blank = false;
        self.indention = false;
        self.open = place == Place::Root || self.open;
    }

    fn string(&mut self, text: &str, place: Place) {
        // Further lines of a scalar are indented once more than what it belongs to.
        let outer = self.indent;
        self.indent = if outer < 0 { INDENT } else { outer + INDENT };
        if text.contains('\n') && place != Place::SimpleKey && literal_allowed(text) {
            self.literal(text);
        } else {
            self.double_quoted(text, place != Place::SimpleKey);
        }
        self.indent = outer;
    }

    fn double_quoted(&mut self, text: &str, fold: bool) {
        self.indicator("\"", true, false, false);
        let mut spaces = false;
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            if c == '"' || c == '\\' || is_break(c) || !is_printable(c) {
                self.escape(c);
                spaces = false;
            } else if c == ' ' {
                if fold && !spaces && self.column > WIDTH && at > 0 && at + 1 < text.len() {
                    self.line();
                    if chars.peek().is_some_and(|(_, next)| *next == ' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(' ');
                }
                spaces = true;
            } else {
                self.put(c);
                spaces = false;
            }
        }
        self.indicator("\"", false, false, false);
        self.blank = false;
        self.indention = false;
    }

    fn escape(&mut self, c: char) {
        let short = match c {
            '\0' => '0',
            '\x07' => 'a',
            '\x08' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\x0b' => 'v',
            '\x0c' => 'f',
            '\r' => 'r',
            '\x1b' => 'e',
            '"' | '\\' => c,
            '\u{85}' => 'N',
            '\u{a0}' => '_',
            '\u{2028}' => 'L',
            '\u{2029}' => 'P',
            c => {
                let code = match c as u32 {
                    n @ 0..=0xff => format!("\\x{n:02X}"),
                    n @ 0..=0xffff => format!("\\u{n:04X}"),
                    n => format!("\\U{n:08X}"),
                };
                code.chars().for_each(|c| self.put(c));
                return;
            }
        };
        self.put('\\');
        self.put(short);
    }

    fn literal(&mut self, text: &str) {
        self.indicator("|", true, false, false);
        if text.starts_with(|c| c == ' ' || is_break(c)) {
            self.indicator("2", false, false, false);
        }
        let mut end = text.chars().rev();
        match (end.next().is_some_and(is_break), end.next()) {
            (false, _) => self.indicator("-", false, false, false),
            (true, before) if before.is_none_or(is_break) => {
                self.indicator("+", false, false, false);
            }
            _ => {}
        }
        self.newline();
        self.indention = true;
        self.blank = true;
        let mut at_break = true;
        for c in text.chars() {
            if is_break(c) {
                if c == '\n' {
                    self.newline();
                } else {
                    self.out.push(c);
                    self.column = 0;
                }
                self.indention = true;
                at_break = true;
            } else {
                if at_break {
                    self.line();
                }
                self.put(c);
                self.indention = false;
                at_break = false;
            }
        }
    }
}

fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// What need not be escaped. Characters beyond the basic plane count as special.
fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

/// A literal block can't show blanks at line ends, and no escapes.
fn literal_allowed(text: &str) -> bool {
    let mut before = None;
    for c in text.chars() {
        if !is_printable(c) || (is_break(c) && before == Some(' ')) {
            return false;
        }
        before = Some(c);
    }
    before != Some(' ')
}
