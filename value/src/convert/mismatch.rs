//! Messages that say why one type does not convert to another.

use crate::{ObjectType, Type};

use super::convertible;

/// Why no value of type `got` converts to `want`, in the reference's words.
pub fn mismatch_message(got: &Type, want: &Type) -> String {
    let required = || format!("{} required", want.constraint_name());
    match (got, want) {
        (Type::Object(got), Type::Object(want)) => objects(got, want),
        (Type::Tuple(_), Type::List(e)) if **e == Type::Dynamic => {
            "all list elements must have the same type".into()
        }
        (Type::Tuple(_), Type::Set(e)) if **e == Type::Dynamic => {
            "all set elements must have the same type".into()
        }
        (Type::Object(_), Type::Map(e)) if **e == Type::Dynamic => {
            "all map elements must have the same type".into()
        }
        (Type::Tuple(got), Type::List(e) | Type::Set(e)) => got
            .iter()
            .enumerate()
            .find(|(_, g)| *g != &**e && !convertible(g, e, true))
            .map(|(i, g)| format!("element {i}: {}", mismatch_message(g, e)))
            .unwrap_or_else(|| format!("all elements must be {}", e.constraint_name())),
        (Type::Object(got), Type::Map(e)) => got
            .attributes
            .iter()
            .find(|(_, g)| *g != &**e && !convertible(g, e, true))
            .map(|(name, g)| format!("element {name:?}: {}", mismatch_message(g, e)))
            .unwrap_or_else(|| format!("all elements must be {}", e.constraint_name())),
        (Type::List(g) | Type::Set(g), Type::List(w)) => {
            format!("incorrect list element type: {}", mismatch_message(g, w))
        }
        (Type::List(g) | Type::Set(g), Type::Set(w)) => {
            format!("incorrect set element type: {}", mismatch_message(g, w))
        }
        (Type::Map(g), Type::Map(w)) => {
            format!("incorrect map element type: {}", mismatch_message(g, w))
        }
        _ => required(),
    }
}

fn objects(got: &ObjectType, want: &ObjectType) -> String {
    let missing: Vec<String> = want
        .attributes
        .keys()
        .filter(|name| !got.attributes.contains_key(*name) && !want.optional.contains(*name))
        .map(|name| format!("{name:?}"))
        .collect();
    match missing.split_last() {
        Some((only, [])) => return format!("attribute {only} is required"),
        Some((last, [first])) => return format!("attributes {first} and {last} are required"),
        Some((last, rest)) => {
            return format!("attributes {}, and {last} are required", rest.join(", "));
        }
        None => {}
    }
    // A conversion that can never work is worth more words than one that might.
    for unsafe_ in [true, false] {
        for (name, want) in &want.attributes {
            if let Some(got) = got.attributes.get(name)
                && got != want
                && !convertible(got, want, unsafe_)
            {
                return format!("attribute {name:?}: {}", mismatch_message(got, want));
            }
        }
    }
    "incorrect object attributes".into()
}

impl Type {
    /// The words that messages use for a constraint, where `Dynamic` means that anything goes: `list of any single type`.
    pub fn constraint_name(&self) -> String {
        let element = |t: &Type| {
            if *t == Type::Dynamic {
                "any single type".into()
            } else {
                t.constraint_name()
            }
        };
        match self {
            Type::Dynamic => "any type".into(),
            Type::List(t) => format!("list of {}", element(t)),
            Type::Set(t) => format!("set of {}", element(t)),
            Type::Map(t) => format!("map of {}", element(t)),
            other => other.friendly_name(),
        }
    }
}
