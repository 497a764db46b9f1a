//! What objects are called beside their attributes, and what they are imported by.

use std::fmt;

use stead_value::{Kind, Value};

use crate::{Block, Error};

/// What identifies the objects of the resource `R` where the published provider gives them an identity, beside their attributes:
/// `#[resource(…, identity = ThisType)]`. A struct that derives `Block`; an import must give its `required` fields and may give its
/// `optional` ones.
pub trait Identity<R>: Block {
    /// The version of its form in states.
    const VERSION: u64 = 0;

    /// The identity of an object; `None` while the object does not tell.
    fn of(object: &R) -> Option<Self>;

    /// The id by which [`Resource::import`](crate::Resource::import) finds the object that has this identity.
    ///
    /// # Errors
    /// When an object of this type cannot have this identity.
    fn import_id(&self) -> Result<String, Error>;

    /// Turns a state's identity of an older version into this one's.
    ///
    /// # Errors
    /// When it cannot be read.
    fn upgrade(_version: u64, identity: serde_json::Value) -> Result<serde_json::Value, Error> {
        Ok(identity)
    }
}

/// What an object that is to be imported is found by.
#[derive(Clone, Debug, PartialEq)]
pub enum ImportBy {
    /// As the provider names it; each type says in which form.
    Id(String),
    /// Of the type's identity schema, wholly known; what was not given is null.
    Identity(Value),
}

/// Behind a message: `id=i-1`, or `identity=` and the identity on one line.
impl fmt::Display for ImportBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImportBy::Id(id) => write!(f, "id={id}"),
            ImportBy::Identity(identity) => write!(f, "identity={}", describe_identity(identity)),
        }
    }
}

/// An identity on one line, as Terraform writes it: `name=a,zone=<null>`.
pub fn describe_identity(identity: &Value) -> String {
    if !identity.is_wholly_known() {
        return "<unknown>".to_owned();
    }
    let parts: Vec<String> = identity
        .as_entries()
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("{name}={}", describe(value)))
        .collect();
    parts.join(",")
}

fn describe(value: &Value) -> String {
    match value.kind() {
        _ if value.is_sensitive() => "<sensitive>".to_owned(),
        Kind::Null(_) => "<null>".to_owned(),
        Kind::Bool(flag) => flag.to_string(),
        Kind::Number(number) => number.to_string(),
        Kind::String(text) => text.to_string(),
        Kind::List(_, items) | Kind::Tuple(items) => {
            let items: Vec<String> = items.iter().map(describe).collect();
            format!("[{}]", items.join(","))
        }
        _ => "<unknown type>".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stead_value::Type;

    #[test]
    fn identities_on_one_line() {
        let list = Value::list(Type::Number, vec![Value::number(1), Value::number(2)]);
        let identity = Value::object_from([
            ("zone", Value::null(Type::String)),
            ("name", Value::string("a,b")),
            ("on", Value::bool(true)),
            ("ports", list),
        ]);
        assert_eq!(
            ImportBy::Identity(identity).to_string(),
            "identity=name=a,b,on=true,ports=[1,2],zone=<null>"
        );
        let unknown = Value::object_from([("name", Value::unknown(Type::String))]);
        assert_eq!(describe_identity(&unknown), "<unknown>");
        assert_eq!(ImportBy::Id("i".to_owned()).to_string(), "id=i");
    }
}
