//! Schemas of custom resources: `openAPIV3Schema` into a [`Schema`], and whether it is structural.

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value;

use super::{Field, Kind, ListType, Object, Patch, Ref, Schema};
use crate::error::Cause;
use crate::object::{list, text};

/// The root schema of a version: `apiVersion`, `kind` and `metadata` are always the built-in ones.
pub(crate) fn compile(openapi: &Value) -> Schema {
    let mut schema = convert(openapi);
    if let Kind::Object(object) = &mut schema.kind {
        let string = || Ref::Here(Arc::new(Schema::of(Kind::String)));
        for (name, reference) in [
            ("apiVersion", string()),
            ("kind", string()),
            ("metadata", Ref::Named("meta.v1.ObjectMeta")),
        ] {
            let field = Field {
                schema: reference,
                default: None,
                patch: Patch::default(),
                number: 0,
            };
            object.properties.insert(name.to_owned(), field);
        }
    }
    schema
}

fn flag(node: &Value, name: &str) -> bool {
    node.get(name).and_then(Value::as_bool).unwrap_or(false)
}

fn convert(node: &Value) -> Schema {
    let kind = if flag(node, "x-kubernetes-int-or-string") {
        Kind::IntOrString
    } else {
        match text(node, &["type"]) {
            "object" => object(node),
            "array" => Kind::Array {
                items: reference(node.get("items")),
                list: list_type(node),
            },
            "string" => Kind::String,
            "integer" => Kind::Integer,
            "number" => Kind::Number,
            "boolean" => Kind::Boolean,
            _ => Kind::Any,
        }
    };
    Schema {
        kind,
        name: String::new(),
        nullable: flag(node, "nullable"),
        preserve: flag(node, "x-kubernetes-preserve-unknown-fields"),
        embedded: flag(node, "x-kubernetes-embedded-resource"),
    }
}

fn reference(node: Option<&Value>) -> Ref {
    node.map_or(Ref::Named("any"), |n| Ref::Here(Arc::new(convert(n))))
}

fn object(node: &Value) -> Kind {
    let mut properties = IndexMap::new();
    for (name, inner) in node
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let field = Field {
            schema: Ref::Here(Arc::new(convert(inner))),
            default: inner.get("default").cloned(),
            patch: Patch::default(),
            number: 0,
        };
        properties.insert(name.clone(), field);
    }
    let additional = match node.get("additionalProperties") {
        Some(Value::Bool(true)) => Some(Ref::Named("any")),
        Some(Value::Object(_)) => Some(reference(node.get("additionalProperties"))),
        _ => None,
    };
    let required = list(node, &["required"])
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let atomic = text(node, &["x-kubernetes-map-type"]) == "atomic";
    Kind::Object(Object {
        properties,
        required,
        additional,
        atomic,
        inlined: Vec::new(),
    })
}

fn list_type(node: &Value) -> ListType {
    match text(node, &["x-kubernetes-list-type"]) {
        "set" => ListType::Set,
        "map" => {
            let keys = list(node, &["x-kubernetes-list-map-keys"]);
            ListType::Map(
                keys.iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect(),
            )
        }
        _ => ListType::Atomic,
    }
}

/// What keeps a schema from being structural (published rules: every node has a type; no type in logical junctors;
/// `additionalProperties` and `properties` exclude each other; some keywords are forbidden).
pub(crate) fn check_structural(node: &Value, path: &str, causes: &mut Vec<Cause>) {
    let int_or_string = flag(node, "x-kubernetes-int-or-string");
    let untyped = node.get("type").is_none();
    if untyped && !int_or_string && !flag(node, "x-kubernetes-preserve-unknown-fields") {
        let detail = if path.ends_with("openAPIV3Schema") {
            "must not be empty at the root"
        } else {
            "must not be empty for specified object fields"
        };
        causes.push(Cause::required(format!("{path}.type"), detail));
    }
    if path.ends_with("openAPIV3Schema") && !untyped && text(node, &["type"]) != "object" {
        causes.push(Cause::invalid(
            format!("{path}.type"),
            &node["type"],
            "must be object at the root",
        ));
    }
    for forbidden in [
        "$ref",
        "definitions",
        "dependencies",
        "patternProperties",
        "additionalItems",
        "deprecated",
        "id",
    ] {
        if node.get(forbidden).is_some_and(|v| !v.is_null()) {
            causes.push(Cause::forbidden(
                format!("{path}.{forbidden}"),
                &format!("{forbidden} is not supported"),
            ));
        }
    }
    if flag(node, "uniqueItems") {
        causes.push(Cause::forbidden(
            format!("{path}.uniqueItems"),
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        ));
    }
    let properties = node.get("properties").and_then(Value::as_object);
    if properties.is_some_and(|p| !p.is_empty())
        && node
            .get("additionalProperties")
            .is_some_and(|a| !a.is_null())
    {
        causes.push(Cause::forbidden(
            format!("{path}.additionalProperties"),
            "additionalProperties and properties are mutual exclusive",
        ));
    }
    for (name, inner) in properties.into_iter().flatten() {
        let is_meta = path.ends_with("openAPIV3Schema") && name == "metadata";
        if !is_meta {
            check_structural(inner, &format!("{path}.properties[{name}]"), causes);
        }
    }
    if let Some(inner @ Value::Object(_)) = node.get("additionalProperties") {
        check_structural(inner, &format!("{path}.additionalProperties"), causes);
    }
    if text(node, &["type"]) == "array" {
        match node.get("items") {
            Some(items) if items.is_object() => {
                check_structural(items, &format!("{path}.items"), causes);
            }
            _ => causes.push(Cause::required(
                format!("{path}.items"),
                "must be specified",
            )),
        }
    }
    if text(node, &["x-kubernetes-list-type"]) == "map"
        && list(node, &["x-kubernetes-list-map-keys"]).is_empty()
    {
        causes.push(Cause::required(
            format!("{path}.x-kubernetes-list-map-keys"),
            "must not be empty if x-kubernetes-list-type is map",
        ));
    }
}
