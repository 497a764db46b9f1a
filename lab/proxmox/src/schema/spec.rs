//! What the contract says of one value: its type, bounds, pattern and format.

use std::collections::BTreeMap;

use serde::Deserialize;

/// See `tools/api_table.py` for the letters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spec {
    #[serde(rename = "t")]
    pub(crate) kind: Kind,
    #[serde(rename = "o", default)]
    optional: u8,
    #[serde(rename = "e", default)]
    pub(crate) values: Option<Vec<String>>,
    #[serde(rename = "p", default)]
    pub(crate) pattern: Option<String>,
    #[serde(rename = "f", default)]
    pub(crate) format: Option<Format>,
    #[serde(rename = "m", default)]
    pub(crate) minimum: Option<f64>,
    #[serde(rename = "M", default)]
    pub(crate) maximum: Option<f64>,
    #[serde(rename = "l", default)]
    pub(crate) min_length: Option<usize>,
    #[serde(rename = "L", default)]
    pub(crate) max_length: Option<usize>,
    #[serde(rename = "r", default)]
    pub(crate) requires: Option<String>,
    /// Another name of a property string's key.
    #[serde(rename = "a", default)]
    pub(crate) alias: Option<String>,
    /// `virtio=MAC`: this key's own name is the value of another key.
    #[serde(rename = "k", default)]
    pub(crate) key_alias: Option<String>,
    #[serde(rename = "D", default)]
    default_key: u8,
    #[serde(rename = "i", default)]
    pub(crate) items: Option<Box<Spec>>,
    /// How many of a numbered parameter there may be.
    #[serde(rename = "x", default)]
    pub(crate) count: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Kind {
    #[serde(rename = "s")]
    Text,
    #[serde(rename = "i")]
    Integer,
    #[serde(rename = "n")]
    Number,
    #[serde(rename = "b")]
    Boolean,
    #[serde(rename = "a")]
    Array,
    #[serde(rename = "o")]
    Object,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Format {
    Named(String),
    Properties(BTreeMap<String, Spec>),
}

impl Spec {
    pub(crate) fn optional(&self) -> bool {
        self.optional != 0
    }

    pub(crate) fn default_key(&self) -> bool {
        self.default_key != 0
    }

    /// Whether the contract has a list in one text, such as `ip-list`.
    pub(crate) fn is_list(&self) -> bool {
        let named = matches!(&self.format, Some(Format::Named(name)) if name.ends_with("-list"));
        self.kind == Kind::Text && named
    }

    /// The keys of a property string.
    pub(crate) fn properties(&self) -> Option<&BTreeMap<String, Spec>> {
        match &self.format {
            Some(Format::Properties(properties)) => Some(properties),
            _ => None,
        }
    }
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Text => "string",
            Kind::Integer => "integer",
            Kind::Number => "number",
            Kind::Boolean => "boolean",
            Kind::Array => "array",
            Kind::Object => "object",
        }
    }
}
