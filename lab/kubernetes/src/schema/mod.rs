//! What an object may look like: one form for built-in kinds and custom resources, read by decoding, defaulting,
//! strategic merges and server-side apply.

mod builtin;
mod custom;
mod decode;
mod protobuf;
mod quantity;
mod validate;

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value;

pub(crate) use builtin::builtin;
pub(crate) use custom::{check_structural, compile};
pub(crate) use decode::{decode_builtin, prune_custom};
pub(crate) use protobuf::decode_protobuf;
pub(crate) use validate::{required_builtin, validate_custom};

/// The type of a value.
#[derive(Debug)]
pub(crate) struct Schema {
    pub(crate) kind: Kind,
    /// The type's name in Go (`DeploymentSpec`), for decoding errors; empty for custom resources.
    pub(crate) name: String,
    pub(crate) nullable: bool,
    /// Unknown fields are kept (`x-kubernetes-preserve-unknown-fields`).
    pub(crate) preserve: bool,
    /// A whole object with `apiVersion`, `kind` and `metadata`.
    pub(crate) embedded: bool,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Any,
    String,
    Integer,
    Number,
    Boolean,
    Bytes,
    Time,
    Quantity,
    IntOrString,
    Object(Object),
    Array { items: Ref, list: ListType },
}

#[derive(Debug, Default)]
pub(crate) struct Object {
    pub(crate) properties: IndexMap<String, Field>,
    pub(crate) required: Vec<String>,
    /// The values' type when any key is allowed.
    pub(crate) additional: Option<Ref>,
    /// Owned as a whole by server-side apply.
    pub(crate) atomic: bool,
    /// In protobuf: messages (by number and type) whose fields are this object's own in JSON.
    pub(crate) inlined: Vec<(u32, &'static str)>,
}

#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) schema: Ref,
    pub(crate) default: Option<Value>,
    pub(crate) patch: Patch,
    /// The field's number in protobuf; 0 for none.
    pub(crate) number: u32,
}

/// How a strategic merge patch treats a field.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patch {
    pub(crate) merge: bool,
    pub(crate) retain_keys: bool,
    pub(crate) merge_key: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ListType {
    Atomic,
    Set,
    Map(Vec<String>),
}

/// A schema here, or a named built-in one (types may contain themselves).
#[derive(Clone, Debug)]
pub(crate) enum Ref {
    Here(Arc<Schema>),
    Named(&'static str),
}

impl Ref {
    pub(crate) fn get(&self) -> &Schema {
        match self {
            Ref::Here(schema) => schema,
            Ref::Named(name) => builtin(name),
        }
    }
}

impl Schema {
    pub(crate) fn of(kind: Kind) -> Schema {
        Schema {
            kind,
            name: String::new(),
            nullable: false,
            preserve: false,
            embedded: false,
        }
    }

    /// The schema of a field of an object, or of any of its keys.
    pub(crate) fn field(&self, name: &str) -> &Schema {
        match &self.kind {
            Kind::Object(object) => match object.properties.get(name) {
                Some(field) => field.schema.get(),
                None => object.additional.as_ref().map_or(any(), Ref::get),
            },
            _ => any(),
        }
    }

    pub(crate) fn items(&self) -> &Schema {
        match &self.kind {
            Kind::Array { items, .. } => items.get(),
            _ => any(),
        }
    }

    /// Whether server-side apply owns a value of this type as a whole.
    pub(crate) fn is_leaf(&self, value: &Value) -> bool {
        match (&self.kind, value) {
            (Kind::Object(object), Value::Object(_)) => object.atomic,
            (Kind::Array { list, .. }, Value::Array(_)) => *list == ListType::Atomic,
            (Kind::Any, Value::Object(_)) => false,
            _ => true,
        }
    }

    /// Whether the name is one of a fixed set of fields (and not a free key of a map).
    pub(crate) fn declares(&self, name: &str) -> bool {
        matches!(&self.kind, Kind::Object(object) if object.properties.contains_key(name))
    }
}

/// The type of anything.
pub(crate) fn any() -> &'static Schema {
    static ANY: Schema = Schema {
        kind: Kind::Any,
        name: String::new(),
        nullable: true,
        preserve: true,
        embedded: false,
    };
    &ANY
}
