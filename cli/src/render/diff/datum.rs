//! Values as a diff sees them: plain data, in which lists, tuples and sets are one, and maps and objects are one.

use std::collections::BTreeMap;

use stead_value::{Kind, Value};

/// A piece of data with its mark.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(super) datum: Datum,
    pub(super) sensitive: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Datum {
    Null,
    /// Known after the apply.
    Unknown,
    Bool(bool),
    /// As it is written.
    Number(String),
    Text(String),
    List(Vec<Item>),
    Map(BTreeMap<String, Item>),
}

pub(super) static NULL: Item = Item {
    datum: Datum::Null,
    sensitive: false,
};

pub(super) static UNKNOWN: Item = Item {
    datum: Datum::Unknown,
    sensitive: false,
};

impl Item {
    pub(crate) fn of(value: &Value) -> Item {
        let items = |items: &[Value]| Datum::List(items.iter().map(Item::of).collect());
        let datum = match value.kind() {
            Kind::Null(_) => Datum::Null,
            Kind::Unknown(..) => Datum::Unknown,
            Kind::Bool(b) => Datum::Bool(*b),
            // Plans know one zero.
            Kind::Number(n) if n.is_zero() => Datum::Number("0".into()),
            Kind::Number(n) => Datum::Number(n.to_string()),
            Kind::String(s) => Datum::Text(s.to_string()),
            Kind::List(_, inner) | Kind::Set(_, inner) | Kind::Tuple(inner) => items(inner),
            Kind::Map(_, entries) | Kind::Object(entries) => {
                let entries = entries.iter();
                Datum::Map(entries.map(|(k, v)| (k.to_string(), Item::of(v))).collect())
            }
        };
        Item {
            datum,
            sensitive: value.is_sensitive(),
        }
    }

    /// What a text holds that is an object or an array in JSON.
    pub(super) fn in_text(text: &str) -> Option<Item> {
        if !text.starts_with(['{', '[']) {
            return None;
        }
        serde_json::from_str(text).ok().map(Item::of_json)
    }

    fn of_json(json: serde_json::Value) -> Item {
        use serde_json::Value as Json;
        let datum = match json {
            Json::Null => Datum::Null,
            Json::Bool(b) => Datum::Bool(b),
            Json::Number(n) => Datum::Number(n.to_string()),
            Json::String(s) => Datum::Text(s),
            Json::Array(items) => Datum::List(items.into_iter().map(Item::of_json).collect()),
            Json::Object(entries) => {
                let entries = entries.into_iter();
                Datum::Map(entries.map(|(k, v)| (k, Item::of_json(v))).collect())
            }
        };
        Item {
            datum,
            sensitive: false,
        }
    }

    /// Neither null nor unknown.
    pub(super) fn is_there(&self) -> bool {
        !matches!(self.datum, Datum::Null | Datum::Unknown)
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.datum, Datum::Null)
    }

    pub(super) fn is_unknown(&self) -> bool {
        matches!(self.datum, Datum::Unknown)
    }

    pub(super) fn list(&self) -> Option<&[Item]> {
        match &self.datum {
            Datum::List(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn map(&self) -> Option<&BTreeMap<String, Item>> {
        match &self.datum {
            Datum::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// Equal as far as is known, whoever may see it: what is unknown counts as missing.
    pub(super) fn same(&self, other: &Item) -> bool {
        match (&self.datum, &other.datum) {
            (Datum::Null | Datum::Unknown, Datum::Null | Datum::Unknown) => true,
            (Datum::Bool(a), Datum::Bool(b)) => a == b,
            (Datum::Number(a), Datum::Number(b)) | (Datum::Text(a), Datum::Text(b)) => a == b,
            (Datum::List(a), Datum::List(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
            }
            (Datum::Map(a), Datum::Map(b)) => {
                let known = |(_, v): &(&String, &Item)| !v.is_unknown();
                let (mut a, mut b) = (a.iter().filter(known), b.iter().filter(known));
                loop {
                    match (a.next(), b.next()) {
                        (None, None) => return true,
                        (Some((k, v)), Some((l, w))) if k == l && v.same(w) => {}
                        _ => return false,
                    }
                }
            }
            _ => false,
        }
    }
}
