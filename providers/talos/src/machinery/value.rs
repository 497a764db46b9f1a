//! The plain data tree between YAML text and the machine configuration types.

use indexmap::IndexMap;

/// A mapping that keeps the order in which its keys were written.
pub(crate) type Fields = IndexMap<String, Value>;

/// One value of a configuration document.
///
/// In a typed place an absent key stands for the Go zero value (nil pointer, empty string, 0,
/// false), so presence itself carries meaning: a present `Bool(false)` behind a pointer is "set".
#[derive(Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// Wide enough for both int64 and uint64.
    Int(i128),
    Float(f64),
    Str(String),
    /// Text written without quotes whatever it resolves to, as a file mode `0o644`.
    Plain(String),
    List(Vec<Value>),
    Map(Fields),
}

impl Value {
    pub(crate) fn str(text: impl Into<String>) -> Self {
        Self::Str(text.into())
    }

    pub(crate) fn strings<S: Into<String>>(items: impl IntoIterator<Item = S>) -> Self {
        Self::List(items.into_iter().map(|s| Self::Str(s.into())).collect())
    }

    /// Builds a mapping from pairs, leaving out what is `Null`.
    pub(crate) fn map<const N: usize>(pairs: [(&str, Value); N]) -> Self {
        Self::Map(
            pairs
                .into_iter()
                .filter(|(_, v)| !matches!(v, Value::Null))
                .map(|(k, v)| (k.to_owned(), v))
                .collect(),
        )
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(s) | Self::Plain(s) => Some(s),
            _ => None,
        }
    }

    pub(crate) fn as_map(&self) -> Option<&Fields> {
        match self {
            Self::Map(m) => Some(m),
            _ => None,
        }
    }

    pub(crate) fn as_map_mut(&mut self) -> Option<&mut Fields> {
        match self {
            Self::Map(m) => Some(m),
            _ => None,
        }
    }

    pub(crate) fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(l) => Some(l),
            _ => None,
        }
    }

    /// Walks down mappings by key.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Value> {
        path.iter().try_fold(self, |v, key| v.as_map()?.get(*key))
    }

    /// Walks down mappings by key to a text.
    pub(crate) fn text_at(&self, path: &[&str]) -> Option<&str> {
        self.at(path)?.as_str()
    }
}

/// Optional texts read naturally at the places that build mappings: none and empty are left out.
impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        match text {
            Some(s) if !s.is_empty() => Self::Str(s),
            _ => Self::Null,
        }
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Self::Bool(b)
    }
}

impl From<&str> for Value {
    fn from(s: &str) -> Self {
        Self::Str(s.to_owned())
    }
}

impl From<String> for Value {
    fn from(s: String) -> Self {
        Self::Str(s)
    }
}

/// Shows the shape only: configuration values are mostly secrets.
impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(_) => f.write_str("<bool>"),
            Self::Int(_) | Self::Float(_) => f.write_str("<number>"),
            Self::Str(_) | Self::Plain(_) => f.write_str("<text>"),
            Self::List(items) => f.debug_list().entries(items).finish(),
            Self::Map(fields) => f.debug_map().entries(fields).finish(),
        }
    }
}
