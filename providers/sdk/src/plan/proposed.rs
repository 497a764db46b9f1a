//! The configuration merged with the prior object: what the object would be before the provider has its say.
//!
//! The rules are Terraform's: what the configuration sets wins; what it leaves out stays as it was if the provider computes
//! it; nested objects are matched with their prior selves by place, key or, in sets, by their configured attributes.

use std::collections::BTreeMap;
use std::sync::Arc;

use stead_value::schema::{Attribute, AttributeType, Block, NestedBlock, Nesting, Schema};
use stead_value::{Kind, Type, Value};

/// Merges `config` with `prior` (null for a create). Both have the schema's type.
pub fn proposed_new(schema: &Schema, prior: &Value, config: &Value) -> Value {
    if config.is_null() {
        return config.clone();
    }
    Shape::of_block(&schema.block).merge(prior, config)
}

/// What blocks and nested attributes have in common: an object's members.
#[derive(Clone, Copy)]
pub(crate) struct Shape<'a> {
    pub(crate) attributes: &'a BTreeMap<Arc<str>, Attribute>,
    /// `None` for nested attributes.
    pub(crate) blocks: Option<&'a BTreeMap<Arc<str>, NestedBlock>>,
}

impl<'a> Shape<'a> {
    pub(crate) fn of_block(block: &'a Block) -> Shape<'a> {
        Shape {
            attributes: &block.attributes,
            blocks: Some(&block.blocks),
        }
    }

    pub(crate) fn of_attributes(attributes: &'a BTreeMap<Arc<str>, Attribute>) -> Shape<'a> {
        Shape {
            attributes,
            blocks: None,
        }
    }

    pub(crate) fn blocks(&self) -> impl Iterator<Item = (&'a Arc<str>, &'a NestedBlock)> + use<'a> {
        self.blocks.into_iter().flatten()
    }

    /// The object of `config` with what it leaves out taken from `prior`.
    fn merge(self, prior: &Value, config: &Value) -> Value {
        if config.is_null() || !config.is_known() {
            return config.clone();
        }
        let attributes = self.attributes.iter().map(|(name, attribute)| {
            let (prior, config) = (
                member(prior, name, attribute),
                member(config, name, attribute),
            );
            (
                Arc::clone(name),
                merge_attribute(attribute, &prior, &config),
            )
        });
        let blocks = self.blocks().map(|(name, block)| {
            let ty = || block.value_type();
            let config = config.get(name).unwrap_or_else(|| Value::null(ty()));
            let prior = prior.get(name).unwrap_or_else(|| Value::null(ty()));
            (
                Arc::clone(name),
                merge_nested(
                    Shape::of_block(&block.block),
                    block.nesting,
                    &prior,
                    &config,
                ),
            )
        });
        Value::object(attributes.chain(blocks).collect())
    }

    /// Whether the prior set element could have come from this configuration: all that is configured is equal, and what
    /// differs is computed and left out.
    pub(crate) fn could_come_from(self, prior: &Value, config: &Value) -> bool {
        if prior == config {
            return true;
        }
        if !config.is_known() || config.is_null() != prior.is_null() {
            return false;
        }
        self.attributes.iter().all(|(name, attribute)| {
            let (prior, config) = (
                member(prior, name, attribute),
                member(config, name, attribute),
            );
            if prior == config || (attribute.computed && config.is_null()) {
                return true;
            }
            match &attribute.ty {
                AttributeType::Simple(_) => false,
                AttributeType::Nested {
                    nesting,
                    attributes,
                } => {
                    all_could_come_from(Shape::of_attributes(attributes), *nesting, &prior, &config)
                }
            }
        }) && self
            .blocks()
            .all(|(name, block)| match (prior.get(name), config.get(name)) {
                (Some(prior), Some(config)) => all_could_come_from(
                    Shape::of_block(&block.block),
                    block.nesting,
                    &prior,
                    &config,
                ),
                (prior, config) => prior == config,
            })
    }
}

/// An object's member; null where there is no object.
fn member(object: &Value, name: &str, attribute: &Attribute) -> Value {
    object
        .get(name)
        .unwrap_or_else(|| Value::null(attribute.value_type()))
}

fn merge_attribute(attribute: &Attribute, prior: &Value, config: &Value) -> Value {
    if attribute.computed && config.is_null() {
        // What was configured before and is not any more must not live on as if the provider had computed it.
        return if holds_configured(attribute, prior) {
            config.clone()
        } else {
            prior.clone()
        };
    }
    match &attribute.ty {
        AttributeType::Simple(_) => config.clone(),
        AttributeType::Nested {
            nesting,
            attributes,
        } => merge_nested(Shape::of_attributes(attributes), *nesting, prior, config),
    }
}

/// Whether an optional nested attribute's prior value holds anything that only a configuration can have put there.
fn holds_configured(attribute: &Attribute, prior: &Value) -> bool {
    fn within(attributes: &BTreeMap<Arc<str>, Attribute>, nesting: Nesting, value: &Value) -> bool {
        items(nesting, value).into_iter().any(|item| {
            attributes.iter().any(|(name, attribute)| {
                let value = item.get(name).filter(|v| !v.is_null());
                value.is_some_and(|value| match &attribute.ty {
                    _ if !attribute.computed => true,
                    AttributeType::Nested {
                        nesting,
                        attributes,
                    } => within(attributes, *nesting, &value),
                    AttributeType::Simple(_) => false,
                })
            })
        })
    }
    match &attribute.ty {
        AttributeType::Nested {
            nesting,
            attributes,
        } if attribute.optional => within(attributes, *nesting, prior),
        _ => false,
    }
}

/// The objects within a value of this nesting; none when it is null or unknown.
pub(crate) fn items(nesting: Nesting, value: &Value) -> Vec<Value> {
    match nesting {
        Nesting::Single | Nesting::Group if value.is_known() && !value.is_null() => {
            vec![value.clone()]
        }
        Nesting::Single | Nesting::Group => Vec::new(),
        Nesting::List | Nesting::Set => value.as_sequence().unwrap_or_default().to_vec(),
        Nesting::Map => value
            .as_entries()
            .map(|m| m.values().cloned().collect())
            .unwrap_or_default(),
    }
}

fn all_could_come_from(shape: Shape<'_>, nesting: Nesting, prior: &Value, config: &Value) -> bool {
    if prior == config {
        return true;
    }
    let (old, new) = (items(nesting, prior), items(nesting, config));
    let same_keys = match (prior.as_entries(), config.as_entries()) {
        (Some(old), Some(new)) if nesting == Nesting::Map => old.keys().eq(new.keys()),
        _ => prior.is_null() == config.is_null() && config.is_known(),
    };
    same_keys
        && old.len() == new.len()
        && old
            .iter()
            .zip(&new)
            .all(|(p, c)| shape.could_come_from(p, c))
}

/// Merges the objects of a nested block or attribute, each with its prior self.
fn merge_nested(shape: Shape<'_>, nesting: Nesting, prior: &Value, config: &Value) -> Value {
    // Unknown: a dynamic block whose `for_each` is not known yet.
    if !config.is_known() || config.is_null() {
        return config.clone();
    }
    let none = Value::null(Type::Dynamic);
    match config.kind() {
        Kind::Object(_) if matches!(nesting, Nesting::Single | Nesting::Group) => {
            shape.merge(prior, config)
        }
        Kind::List(element, items) => {
            let before = prior.as_sequence().unwrap_or_default();
            let merged = items
                .iter()
                .enumerate()
                .map(|(i, c)| shape.merge(before.get(i).unwrap_or(&none), c))
                .collect();
            Value::list(element.clone(), merged)
        }
        // A list of objects whose types differ, because they hold values of any type.
        Kind::Tuple(items) => {
            let before = prior.as_sequence().unwrap_or_default();
            Value::tuple(
                items
                    .iter()
                    .enumerate()
                    .map(|(i, c)| shape.merge(before.get(i).unwrap_or(&none), c))
                    .collect(),
            )
        }
        Kind::Map(element, entries) => {
            let merged = entries.iter().map(|(k, c)| {
                let before = prior.as_entries().and_then(|p| p.get(k)).unwrap_or(&none);
                (Arc::clone(k), shape.merge(before, c))
            });
            Value::map(element.clone(), merged.collect())
        }
        Kind::Object(entries) => {
            let merged = entries.iter().map(|(k, c)| {
                let before = prior.as_entries().and_then(|p| p.get(k)).unwrap_or(&none);
                (Arc::clone(k), shape.merge(before, c))
            });
            Value::object(merged.collect())
        }
        Kind::Set(element, items) => {
            let before = prior.as_sequence().unwrap_or_default();
            let mut used = vec![false; before.len()];
            let merged = items.iter().map(|c| {
                let found = before
                    .iter()
                    .zip(&mut used)
                    .find(|(p, used)| !**used && shape.could_come_from(p, c));
                match found {
                    Some((p, used)) => {
                        *used = true;
                        shape.merge(p, c)
                    }
                    None => shape.merge(&none, c),
                }
            });
            Value::set(element.clone(), merged.collect())
        }
        _ => config.clone(),
    }
}
