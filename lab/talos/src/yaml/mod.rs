//! YAML as Talos reads and writes it: a tree that remembers lines and quoting, and the output style of its Go library.

mod emit;
mod parse;

pub(crate) use emit::{Out, emit};
pub(crate) use parse::{Error, parse};

/// A node of a YAML document.
#[derive(Clone)]
pub(crate) struct Node {
    /// From 1.
    pub(crate) line: usize,
    pub(crate) value: Value,
}

#[derive(Clone)]
pub(crate) enum Value {
    Scalar {
        text: String,
        /// Written without quotes, so that it may be a number, a boolean or null.
        plain: bool,
    },
    Sequence(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
}

/// What a plain scalar means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScalarKind {
    Null,
    Bool,
    Int,
    Float,
    Str,
}

impl ScalarKind {
    /// The tag as error messages show it.
    pub(crate) fn tag(self) -> &'static str {
        match self {
            ScalarKind::Null => "!!null",
            ScalarKind::Bool => "!!bool",
            ScalarKind::Int => "!!int",
            ScalarKind::Float => "!!float",
            ScalarKind::Str => "!!str",
        }
    }

    /// Resolves a plain scalar by the rules of YAML 1.2 with Go's number forms.
    pub(crate) fn of_plain(text: &str) -> ScalarKind {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return ScalarKind::Null,
            "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => return ScalarKind::Bool,
            ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF"
            | "-.inf" | "-.Inf" | "-.INF" => return ScalarKind::Float,
            _ => {}
        }
        if parse_int(text).is_some() {
            return ScalarKind::Int;
        }
        let numeric = text
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'))
            && text.bytes().any(|b| b.is_ascii_digit());
        if numeric && text.parse::<f64>().is_ok() {
            return ScalarKind::Float;
        }
        ScalarKind::Str
    }
}

/// An integer in any of Go's notations.
pub(crate) fn parse_int(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let digits = digits.replace('_', "");
    let value = if let Some(hex) = digits.strip_prefix("0x") {
        i128::from_str_radix(hex, 16).ok()?
    } else if let Some(octal) = digits.strip_prefix("0o") {
        i128::from_str_radix(octal, 8).ok()?
    } else if let Some(binary) = digits.strip_prefix("0b") {
        i128::from_str_radix(binary, 2).ok()?
    } else if digits.len() > 1 && digits.starts_with('0') {
        i128::from_str_radix(&digits, 8).ok()?
    } else {
        digits.parse().ok()?
    };
    Some(if negative { -value } else { value })
}

impl Node {
    pub(crate) fn kind(&self) -> Option<ScalarKind> {
        match &self.value {
            Value::Scalar { text, plain: true } => Some(ScalarKind::of_plain(text)),
            Value::Scalar { .. } => Some(ScalarKind::Str),
            _ => None,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        self.kind() == Some(ScalarKind::Null)
    }

    /// The text of a scalar that is not null.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// A boolean, in any spelling that Go's typed decoding takes.
    pub(crate) fn boolean(&self) -> Option<bool> {
        match self.text()? {
            "true" | "True" | "TRUE" | "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
                Some(true)
            }
            "false" | "False" | "FALSE" | "n" | "N" | "no" | "No" | "NO" | "off" | "Off"
            | "OFF" => Some(false),
            _ => None,
        }
    }

    pub(crate) fn items(&self) -> &[Node] {
        match &self.value {
            Value::Sequence(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn entries(&self) -> &[(Node, Node)] {
        match &self.value {
            Value::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// The value of a key; null counts as absent.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        let found = self
            .entries()
            .iter()
            .find(|(k, _)| k.text() == Some(key))
            .map(|(_, v)| v)?;
        (!found.is_null()).then_some(found)
    }

    /// Follows keys separated by dots.
    pub(crate) fn at(&self, path: &str) -> Option<&Node> {
        path.split('.').try_fold(self, |node, key| node.get(key))
    }

    /// A non-empty text at a path.
    pub(crate) fn text_at(&self, path: &str) -> Option<&str> {
        self.at(path)
            .and_then(Node::text)
            .filter(|text| !text.is_empty())
    }

    pub(crate) fn bool_at(&self, path: &str) -> Option<bool> {
        self.at(path).and_then(Node::boolean)
    }

    pub(crate) fn items_at(&self, path: &str) -> &[Node] {
        self.at(path).map(Node::items).unwrap_or_default()
    }

    /// The texts of a list at a path.
    pub(crate) fn texts_at(&self, path: &str) -> Vec<String> {
        self.items_at(path)
            .iter()
            .filter_map(Node::text)
            .map(str::to_owned)
            .collect()
    }

    /// Whether two trees mean the same (quoting and key order aside).
    pub(crate) fn same(&self, other: &Node) -> bool {
        match (&self.value, &other.value) {
            (Value::Scalar { text: a, .. }, Value::Scalar { text: b, .. }) => {
                a == b && self.kind() == other.kind()
            }
            (Value::Sequence(a), Value::Sequence(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
            }
            (Value::Mapping(a), Value::Mapping(b)) => {
                a.len() == b.len()
                    && a.iter().all(|(key, value)| {
                        b.iter()
                            .any(|(k, v)| k.text() == key.text() && v.same(value))
                    })
            }
            _ => false,
        }
    }

    /// As something to write.
    pub(crate) fn out(&self) -> Out {
        match &self.value {
            Value::Scalar { text, .. } => match self.kind() {
                Some(ScalarKind::Str) | None => Out::Str(text.clone()),
                Some(ScalarKind::Null) => Out::Raw("null".to_owned()),
                Some(_) => Out::Raw(text.clone()),
            },
            Value::Sequence(items) => Out::Sequence(items.iter().map(Node::out).collect()),
            Value::Mapping(entries) => Out::Mapping(
                entries
                    .iter()
                    .map(|(k, v)| (k.text().unwrap_or("null").to_owned(), v.out()))
                    .collect(),
            ),
        }
    }
}
