//! Attributes from a state file as a value of the schema, whichever release of the provider wrote them.

use serde_json::Value as Json;
use stead_value::schema::{Block, Identity, NestedBlock, Nesting};
use stead_value::{Diagnostic, Kind, Type, Value, json};

/// Reads the attributes of an object. Those that the schema does not have (any more) are dropped, as the published
/// providers do; those that are missing are null, and missing blocks are absent.
pub(crate) fn decode(block: &Block, attributes: &Json) -> Result<Value, Diagnostic> {
    Ok(complete(block, &typed(&block.value_type(), attributes)?))
}

/// Reads the identity of an object, in the same way.
pub(crate) fn decode_identity(schema: &Identity, identity: &Json) -> Result<Value, Diagnostic> {
    typed(&schema.value_type(), identity)
}

fn typed(ty: &Type, attributes: &Json) -> Result<Value, Diagnostic> {
    json::from_json(&prune(attributes, ty), ty).map_err(|e| {
        let place = if e.path.is_root() {
            "the object".to_owned()
        } else {
            format!("`{}`", e.path)
        };
        Diagnostic::error(
            "Unreadable state",
            format!("The state's value of {place} does not fit the schema: {e}."),
        )
        .attribute(e.path)
    })
}

/// The JSON without object members that the type does not have.
fn prune(json: &Json, ty: &Type) -> Json {
    match (json, ty) {
        (Json::Object(entries), Type::Object(o)) => {
            let known = entries
                .iter()
                .filter_map(|(k, v)| Some((k.clone(), prune(v, o.attributes.get(k.as_str())?))));
            Json::Object(known.collect())
        }
        (Json::Object(entries), Type::Map(t)) => Json::Object(
            entries
                .iter()
                .map(|(k, v)| (k.clone(), prune(v, t)))
                .collect(),
        ),
        (Json::Array(items), Type::List(t) | Type::Set(t)) => {
            Json::Array(items.iter().map(|v| prune(v, t)).collect())
        }
        (Json::Array(items), Type::Tuple(types)) if items.len() == types.len() => Json::Array(
            items
                .iter()
                .zip(types.iter())
                .map(|(v, t)| prune(v, t))
                .collect(),
        ),
        _ => json.clone(),
    }
}

/// Absent blocks are empty collections, never null.
pub(crate) fn complete(block: &Block, value: &Value) -> Value {
    let Some(entries) = value.as_entries() else {
        return value.clone();
    };
    let mut entries = entries.clone();
    for (name, nested) in &block.blocks {
        if let Some(slot) = entries.get_mut(name) {
            *slot = complete_nested(nested, slot);
        }
    }
    Value::object(entries)
}

fn complete_nested(nested: &NestedBlock, value: &Value) -> Value {
    let each = |items: &[Value]| {
        items
            .iter()
            .map(|v| complete(&nested.block, v))
            .collect::<Vec<_>>()
    };
    match (value.kind(), nested.nesting) {
        (Kind::Null(Type::List(t)), _) => Value::list((**t).clone(), Vec::new()),
        (Kind::Null(Type::Set(t)), _) => Value::set((**t).clone(), Vec::new()),
        (Kind::Null(Type::Map(t)), _) => {
            Value::map((**t).clone(), std::collections::BTreeMap::new())
        }
        (Kind::Object(_), Nesting::Single | Nesting::Group) => complete(&nested.block, value),
        (Kind::List(t, items), _) => Value::list(t.clone(), each(items)),
        (Kind::Set(t, items), _) => Value::set(t.clone(), each(items)),
        (Kind::Map(t, m), _) => Value::map(
            t.clone(),
            m.iter()
                .map(|(k, v)| (k.clone(), complete(&nested.block, v)))
                .collect(),
        ),
        _ => value.clone(),
    }
}
