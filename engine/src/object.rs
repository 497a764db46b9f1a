//! Between objects in state and values.

use std::sync::Arc;

use serde_json::value::RawValue;
use stead_sdk::{Found, Provider};
use stead_state::{Object, ObjectStatus};
use stead_value::addr::{ProviderSource, Resource, ResourceInstance, ResourceMode};
use stead_value::schema::{Attribute, AttributeType, Block, Schema};
use stead_value::{Diagnostic, Diagnostics, Marks, Path, Value};

use crate::{Registry, identity};

/// The state's field for objects that are left alone instead of destroyed.
pub(crate) const SKIP_DESTROY: &str = "skip_destroy";

/// A recorded object as people see it: by its provider's schema, or, when no provider knows it, by its JSON alone. Then
/// the attributes that hold something sensitive are sensitive as a whole, since the exact place may be lost.
pub fn recorded_value(
    registry: &Registry,
    address: &ResourceInstance,
    source: &ProviderSource,
    object: &Object,
) -> Result<Value, Diagnostics> {
    let type_name = &address.resource.type_name;
    if let (Ok(schema), Ok(factory)) = (
        registry.resource_schema(source, address.resource.mode, type_name),
        registry.factory(source),
    ) {
        return decode(&*factory.instantiate(), &address.resource, schema, object);
    }
    let broken = |e: String| Diagnostic::error("Malformed state", format!("{address}: {e}."));
    let json: serde_json::Value =
        serde_json::from_str(object.attributes.get()).map_err(|e| broken(e.to_string()))?;
    let value = stead_value::json::from_json_implied(&json).map_err(|e| broken(e.to_string()))?;
    let whole: Vec<Path> = object
        .sensitive_attributes
        .iter()
        .map(|p| Path(p.steps().iter().take(1).cloned().collect()))
        .collect();
    Ok(value.apply_marks(&whole, Marks::SENSITIVE))
}

/// The object's attributes as a value of the present schema, with its sensitive paths marked.
pub(crate) fn decode(
    provider: &dyn Provider,
    resource: &Resource,
    schema: &Schema,
    object: &Object,
) -> Result<Value, Diagnostics> {
    let type_name = &resource.type_name;
    let mut json: serde_json::Value =
        serde_json::from_str(object.attributes.get()).map_err(|e| {
            Diagnostic::error(
                "Malformed state",
                format!("The attributes of a {type_name}: {e}."),
            )
        })?;
    if object.is_flat {
        json = crate::flatmap::expand(&json, &schema.block).map_err(|e| {
            Diagnostic::error(
                "Malformed state",
                format!("The attributes of a {type_name}: {e}."),
            )
        })?;
    }
    if object.schema_version > schema.version {
        return Err(Diagnostic::error(
            "Resource instance managed by newer provider version",
            format!("The current state of a {type_name} was created by a newer provider version than is currently selected: it has schema version {}, and {} is the newest that this stead knows. Use a newer stead to work with this state.", object.schema_version, schema.version),
        )
        .into());
    }
    let value = match resource.mode {
        ResourceMode::Managed => provider.upgrade(type_name, object.schema_version, &json)?,
        ResourceMode::Data => decode_data(schema, &json).map_err(|e| {
            Diagnostic::error(
                "Malformed state",
                format!("The attributes of a data.{type_name}: {e}."),
            )
        })?,
        ResourceMode::Ephemeral => return Err(ephemeral_in_state(type_name).into()),
    };
    Ok(value.apply_marks(&object.sensitive_attributes, Marks::SENSITIVE))
}

/// A recorded object as its provider had it, its identity included.
pub(crate) fn recorded(
    provider: &dyn Provider,
    resource: &Resource,
    schema: &Schema,
    object: &Object,
) -> Result<Found, Diagnostics> {
    Ok(Found {
        value: decode(provider, resource, schema, object)?,
        private: object.private.clone(),
        identity: identity::decode(provider, &resource.type_name, schema, object)?,
    })
}

fn ephemeral_in_state(type_name: &str) -> Diagnostic {
    Diagnostic::error(
        "Malformed state",
        format!("The state records an ephemeral.{type_name}, which is never recorded."),
    )
}

/// A data source's record. Its schema may have grown since; what the record lacks is null until the next read.
fn decode_data(
    schema: &Schema,
    json: &serde_json::Value,
) -> Result<Value, stead_value::json::JsonError> {
    let ty = schema.block.value_type();
    let names = schema
        .block
        .attributes
        .keys()
        .chain(schema.block.blocks.keys());
    let complete: serde_json::Map<String, serde_json::Value> = names
        .map(|name| {
            (
                name.to_string(),
                json.get(&**name).cloned().unwrap_or_default(),
            )
        })
        .collect();
    stead_value::json::from_json(&complete.into(), &ty)
}

/// What state records of an object; write-only attributes are null in it already.
pub(crate) fn encode(
    found: Found,
    schema: &Schema,
    status: ObjectStatus,
    dependencies: Vec<String>,
    create_before_destroy: bool,
) -> Result<Object, Diagnostic> {
    let sensitive_attributes = found.value.marked_paths(Marks::SENSITIVE);
    let identity = identity::encode(found.identity.as_ref(), schema)?;
    let (plain, _) = found.value.unmark_deep();
    let json = stead_value::json::to_json(&plain, &schema.block.value_type())
        .map_err(|e| Diagnostic::error("Value cannot be stored", e.to_string()))?;
    let attributes: Arc<RawValue> = serde_json::value::to_raw_value(&json)
        .map_err(|e| Diagnostic::error("Value cannot be stored", e.to_string()))?
        .into();
    Ok(Object {
        status,
        schema_version: schema.version,
        attributes,
        is_flat: false,
        sensitive_attributes,
        private: found.private,
        dependencies,
        create_before_destroy,
        identity,
        unknown_fields: serde_json::Map::new(),
    })
}

/// Paths that the schema calls sensitive, as far as the value has them; null ones too, as Terraform records them.
pub(crate) fn sensitive_by_schema(block: &Block, value: &Value) -> Vec<Path> {
    let mut paths = Vec::new();
    block_paths(block, value, &Path::root(), &mut paths);
    paths
}

fn block_paths(block: &Block, value: &Value, at: &Path, paths: &mut Vec<Path>) {
    attribute_paths(&block.attributes, value, at, paths);
    for (name, nested) in &block.blocks {
        if let Some(inner) = value.get(name) {
            each_element(&inner, &at.attr(Arc::clone(name)), &mut |element, path| {
                block_paths(&nested.block, element, path, paths);
            });
        }
    }
}

fn attribute_paths(
    attributes: &std::collections::BTreeMap<Arc<str>, Attribute>,
    value: &Value,
    at: &Path,
    paths: &mut Vec<Path>,
) {
    for (name, attribute) in attributes {
        let Some(inner) = value.get(name) else {
            continue;
        };
        let path = at.attr(Arc::clone(name));
        if attribute.sensitive {
            paths.push(path);
        } else if let AttributeType::Nested { attributes, .. } = &attribute.ty {
            each_element(&inner, &path, &mut |element, path| {
                attribute_paths(attributes, element, path, paths);
            });
        }
    }
}

/// The objects inside a nested value: itself, or its elements.
fn each_element(value: &Value, at: &Path, visit: &mut dyn FnMut(&Value, &Path)) {
    match value.kind() {
        stead_value::Kind::Object(_) => visit(value, at),
        stead_value::Kind::List(_, items) => {
            for (i, item) in items.iter().enumerate() {
                visit(item, &at.index_number(i));
            }
        }
        stead_value::Kind::Map(_, entries) => {
            for (key, item) in entries.iter() {
                visit(item, &at.index(Value::string(key)));
            }
        }
        // A set's elements have no place of their own: the elements are visited, and marks fall on the set.
        stead_value::Kind::Set(_, items) => {
            for item in items.iter() {
                visit(item, at);
            }
        }
        _ => {}
    }
}

/// The value with every unknown inside turned into null.
pub(crate) fn unknown_as_null(value: &Value) -> Value {
    let known = value.transform(&mut |_, inner: Value| {
        let settled = if inner.is_known() {
            inner
        } else {
            Value::null(inner.ty())
        };
        Ok::<_, std::convert::Infallible>(settled)
    });
    match known {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

/// The value with `replacement` at `path`; unchanged when nothing is there.
pub(crate) fn replace_at(value: &Value, path: &Path, replacement: &Value) -> Value {
    let replaced = value.transform(&mut |at, inner: Value| {
        Ok::<_, std::convert::Infallible>(if at == path {
            replacement.clone()
        } else {
            inner
        })
    });
    match replaced {
        Ok(value) => value,
        Err(never) => match never {},
    }
}
