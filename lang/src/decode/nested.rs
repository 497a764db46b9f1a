//! Attributes that have attributes of their own (nested types of protocol 6).

use std::collections::BTreeMap;
use std::sync::Arc;

use stead_value::schema::{Attribute, AttributeType};
use stead_value::{Diagnostics, ObjectType, Type, Value};

use crate::syntax::Expression;

/// The type that a written value is converted to: what is not required may be left out.
pub(super) fn constraint(ty: &AttributeType) -> Type {
    match ty {
        AttributeType::Simple(ty) => ty.clone(),
        AttributeType::Nested {
            nesting,
            attributes,
        } => nesting.wrap(Type::Object(Arc::new(ObjectType {
            attributes: attributes
                .iter()
                .map(|(k, a)| (Arc::clone(k), constraint(&a.ty)))
                .collect(),
            optional: attributes
                .iter()
                .filter(|(_, a)| !a.required)
                .map(|(k, _)| Arc::clone(k))
                .collect(),
        }))),
    }
}

/// Reports inner attributes that may not be set, or not yet.
pub(super) fn check(
    value: &Value,
    attributes: &BTreeMap<Arc<str>, Attribute>,
    name: &str,
    expr: &Expression,
    diagnostics: &mut Diagnostics,
) {
    let objects: Vec<&Value> = match (value.as_entries(), value.as_sequence()) {
        (Some(entries), _) if matches!(value.ty(), Type::Map(_)) => entries.values().collect(),
        (Some(_), _) => vec![value],
        (None, Some(items)) => items.iter().collect(),
        (None, None) => return,
    };
    for object in objects {
        let Some(entries) = object.as_entries() else {
            continue;
        };
        for (key, attribute) in attributes {
            let Some(inner) = entries.get(key).filter(|v| !v.is_null()) else {
                continue;
            };
            let full = format!("{name}.{key}");
            if attribute.unsupported {
                diagnostics.push(super::not_supported(&full).at(expr.range()));
            }
            if attribute.computed && !attribute.optional && !attribute.required {
                diagnostics.push(super::unconfigurable(&full).at(expr.range()));
            }
            if let Some(message) = &attribute.deprecated {
                diagnostics.push(super::deprecated(&full, message).at(expr.range()));
            }
            if let AttributeType::Nested { attributes, .. } = &attribute.ty {
                check(inner, attributes, &full, expr, diagnostics);
            }
        }
    }
}
