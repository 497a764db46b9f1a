//! Values that mean the same, written as the other side writes them.
//!
//! A server (or a Rust type) often cannot tell null from an empty list. Whatever comes back from a provider is therefore
//! written the way the plan or the prior state has it, so that no difference shows where there is none.

use std::sync::Arc;

use stead_value::schema::{AttributeType, Block, Nesting};
use stead_value::{Kind, Value};

use crate::plan::proposed::Shape;

/// What counts as the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leniency {
    /// Null and an empty collection.
    Empty,
    /// Also null and `""`, `0`, `false`: providers of the older kind store either.
    Zero,
}

impl Leniency {
    pub(crate) fn of(legacy: bool) -> Leniency {
        if legacy {
            Leniency::Zero
        } else {
            Leniency::Empty
        }
    }

    /// Whether the value says no more than null does.
    fn says_nothing(self, value: &Value) -> bool {
        match value.kind() {
            Kind::Null(_) => true,
            Kind::List(_, items) | Kind::Set(_, items) => items.is_empty(),
            Kind::Map(_, entries) => entries.is_empty(),
            Kind::String(text) => self == Leniency::Zero && text.is_empty(),
            Kind::Bool(flag) => self == Leniency::Zero && !flag,
            Kind::Number(_) => self == Leniency::Zero && value.as_i64() == Some(0),
            _ => false,
        }
    }
}

/// `value`, with everything that means the same as in `reference` written as there.
pub(crate) fn align(value: Value, reference: &Value, leniency: Leniency) -> Value {
    if !reference.is_known() || !value.is_known() || value == *reference {
        return value;
    }
    if leniency.says_nothing(&value) && leniency.says_nothing(reference) {
        return reference.clone();
    }
    match (value.kind(), reference.kind()) {
        (Kind::Object(own), Kind::Object(other)) => Value::object(
            own.iter()
                .map(|(k, v)| {
                    (
                        Arc::clone(k),
                        other
                            .get(k)
                            .map_or_else(|| v.clone(), |r| align(v.clone(), r, leniency)),
                    )
                })
                .collect(),
        ),
        (Kind::Map(ty, own), Kind::Map(_, other)) => Value::map(
            ty.clone(),
            own.iter()
                .map(|(k, v)| {
                    (
                        Arc::clone(k),
                        other
                            .get(k)
                            .map_or_else(|| v.clone(), |r| align(v.clone(), r, leniency)),
                    )
                })
                .collect(),
        ),
        (Kind::List(ty, own), Kind::List(_, other)) => {
            Value::list(ty.clone(), align_items(own, other, leniency))
        }
        (Kind::Tuple(own), Kind::Tuple(other)) => Value::tuple(align_items(own, other, leniency)),
        (Kind::Set(ty, own), Kind::Set(_, other)) => {
            let found = |v: &Value| other.iter().find(|r| align(v.clone(), r, leniency) == **r);
            Value::set(
                ty.clone(),
                own.iter().map(|v| found(v).unwrap_or(v).clone()).collect(),
            )
        }
        _ => value,
    }
}

fn align_items(own: &[Value], other: &[Value], leniency: Leniency) -> Vec<Value> {
    own.iter()
        .enumerate()
        .map(|(i, v)| {
            other
                .get(i)
                .map_or_else(|| v.clone(), |r| align(v.clone(), r, leniency))
        })
        .collect()
}

/// Whether the block has write-only attributes anywhere.
pub(crate) fn has_write_only(block: &Block) -> bool {
    fn within(shape: Shape<'_>) -> bool {
        shape.attributes.values().any(|a| {
            a.write_only
                || match &a.ty {
                    AttributeType::Nested { attributes, .. } => {
                        within(Shape::of_attributes(attributes))
                    }
                    AttributeType::Simple(_) => false,
                }
        }) || shape
            .blocks()
            .any(|(_, b)| within(Shape::of_block(&b.block)))
    }
    within(Shape::of_block(block))
}

/// The value without what must never be stored.
pub(crate) fn null_write_only(block: &Block, value: &Value) -> Value {
    strip(Shape::of_block(block), value)
}

fn strip(shape: Shape<'_>, value: &Value) -> Value {
    let Some(entries) = value.as_entries() else {
        return value.clone();
    };
    let stripped = entries.iter().map(|(name, value)| {
        let new = match (
            shape.attributes.get(name),
            shape.blocks.and_then(|b| b.get(name)),
        ) {
            (Some(attribute), _) if attribute.write_only => Value::null(attribute.value_type()),
            (Some(attribute), _) => match &attribute.ty {
                AttributeType::Nested {
                    nesting,
                    attributes,
                } => strip_nested(Shape::of_attributes(attributes), *nesting, value),
                AttributeType::Simple(_) => value.clone(),
            },
            (None, Some(block)) => {
                strip_nested(Shape::of_block(&block.block), block.nesting, value)
            }
            (None, None) => value.clone(),
        };
        (Arc::clone(name), new)
    });
    Value::object(stripped.collect())
}

fn strip_nested(shape: Shape<'_>, nesting: Nesting, value: &Value) -> Value {
    let each = |items: &[Value]| items.iter().map(|v| strip(shape, v)).collect::<Vec<_>>();
    match value.kind() {
        Kind::Object(_) if matches!(nesting, Nesting::Single | Nesting::Group) => {
            strip(shape, value)
        }
        Kind::List(ty, items) => Value::list(ty.clone(), each(items)),
        Kind::Set(ty, items) => Value::set(ty.clone(), each(items)),
        Kind::Tuple(items) => Value::tuple(each(items)),
        Kind::Map(ty, m) => Value::map(
            ty.clone(),
            m.iter()
                .map(|(k, v)| (Arc::clone(k), strip(shape, v)))
                .collect(),
        ),
        Kind::Object(m) => Value::object(
            m.iter()
                .map(|(k, v)| (Arc::clone(k), strip(shape, v)))
                .collect(),
        ),
        _ => value.clone(),
    }
}

/// Unknowns become null: typed operations see only what is known.
pub(crate) fn known_only(value: &Value) -> Value {
    if value.is_wholly_known() {
        return value.clone();
    }
    let each = |items: &[Value]| items.iter().map(known_only).collect::<Vec<_>>();
    match value.kind() {
        Kind::Unknown(ty, _) => Value::null(ty.clone()),
        Kind::List(ty, items) => Value::list(ty.clone(), each(items)),
        Kind::Set(ty, items) => Value::set(ty.clone(), each(items)),
        Kind::Tuple(items) => Value::tuple(each(items)),
        Kind::Map(ty, m) => Value::map(
            ty.clone(),
            m.iter()
                .map(|(k, v)| (Arc::clone(k), known_only(v)))
                .collect(),
        ),
        Kind::Object(m) => Value::object(
            m.iter()
                .map(|(k, v)| (Arc::clone(k), known_only(v)))
                .collect(),
        ),
        _ => value.clone(),
    }
}
