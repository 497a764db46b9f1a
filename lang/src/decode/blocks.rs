//! Nested blocks: each nesting to its value. Also attributes that are written as blocks.

use std::collections::BTreeMap;
use std::sync::Arc;

use stead_value::schema::{self, AttributeType, NestedBlock, Nesting};
use stead_value::{Diagnostic, Path, Type, Value};

use super::dynamic::Expansion;
use super::{Decoder, unknown_of};
use crate::config::place;
use crate::syntax::{Block, Body, Span};

/// One block to decode: written, or made by a `dynamic` block.
pub(super) struct Instance<'b> {
    pub(super) block: &'b Block,
    pub(super) body: &'b Body,
    pub(super) labels: Vec<(Arc<str>, Span)>,
    /// What the iterators of the dynamic blocks that made it stand for.
    pub(super) names: Vec<(Arc<str>, Value)>,
    pub(super) marks: stead_value::Marks,
}

/// The schema of an attribute's elements as blocks, when it may be written so: an optional list or set of objects.
pub(super) fn as_block(attribute: &schema::Attribute) -> Option<(Nesting, schema::Block)> {
    let (nesting, element) = match &attribute.ty {
        AttributeType::Simple(Type::List(element)) => (Nesting::List, element),
        AttributeType::Simple(Type::Set(element)) => (Nesting::Set, element),
        _ => return None,
    };
    let Type::Object(object) = &**element else {
        return None;
    };
    if !attribute.optional && !attribute.computed {
        return None;
    }
    let attributes = object
        .attributes
        .iter()
        .map(|(name, ty)| {
            let attribute = schema::Attribute {
                optional: true,
                ..schema::Attribute::new(ty.clone())
            };
            (Arc::clone(name), attribute)
        })
        .collect();
    Some((
        nesting,
        schema::Block {
            attributes,
            ..schema::Block::default()
        },
    ))
}

pub(super) fn written_as_blocks(body: &Body, name: &str) -> bool {
    body.blocks
        .iter()
        .any(|b| &*b.kind == name || is_dynamic_for(b, name))
}

pub(super) fn is_dynamic_for(block: &Block, name: &str) -> bool {
    &*block.kind == "dynamic" && block.labels.first().is_some_and(|l| &*l.text == name)
}

impl Decoder<'_> {
    pub(super) fn attribute_as_blocks(
        &mut self,
        body: &Body,
        name: &Arc<str>,
        attribute: &schema::Attribute,
        path: &Path,
    ) -> Value {
        let ty = attribute.value_type().without_optional();
        let Some((nesting, block)) = as_block(attribute) else {
            return Value::null(ty);
        };
        if attribute.unsupported
            && let Some(first) = body
                .blocks
                .iter()
                .find(|b| *b.kind == **name || is_dynamic_for(b, name))
        {
            self.diagnostics
                .push(super::not_supported(name).at(first.header_range()));
        }
        let nested = NestedBlock {
            nesting,
            block,
            min_items: 0,
            max_items: 0,
            force_new: false,
        };
        let value = self.nested_blocks(body, name, &nested, path);
        // Dynamic blocks that made none leave the attribute unset.
        if value.as_sequence().is_some_and(<[Value]>::is_empty) {
            Value::null(ty)
        } else {
            value
        }
    }

    pub(super) fn nested_blocks(
        &mut self,
        body: &Body,
        name: &str,
        schema: &NestedBlock,
        path: &Path,
    ) -> Value {
        let element = schema.block.value_type().without_optional();
        let instances = match self.expand(body, name) {
            Expansion::Known(instances) => instances,
            Expansion::Unknown(marks) => {
                return unknown_of(schema.nesting, element).with_marks(marks);
            }
        };
        self.check_count(body, name, schema, &instances);
        match schema.nesting {
            Nesting::Single => match instances.first() {
                Some(instance) => self.instance(instance, &schema.block, path),
                None => Value::null(element),
            },
            Nesting::Group => match instances.first() {
                Some(instance) => self.instance(instance, &schema.block, path),
                None => empty_group(&schema.block),
            },
            Nesting::List => {
                let items: Vec<Value> = instances
                    .iter()
                    .enumerate()
                    .map(|(i, instance)| {
                        self.instance(instance, &schema.block, &path.index_number(i))
                    })
                    .collect();
                // Attributes of any type may make the elements' types differ.
                if element.has_dynamic() && !items.is_empty() {
                    Value::tuple(items)
                } else {
                    Value::list(element, items)
                }
            }
            Nesting::Set => {
                let items = instances
                    .iter()
                    .map(|instance| self.set_element(instance, &schema.block, path))
                    .collect();
                Value::set(element, items)
            }
            Nesting::Map => self.map(name, &instances, schema, element, path),
        }
    }

    /// An element of a set has no path of its own before its value is known, so places within it are noted afterwards.
    fn set_element(
        &mut self,
        instance: &Instance<'_>,
        schema: &schema::Block,
        path: &Path,
    ) -> Value {
        let outer = std::mem::take(&mut self.ranges);
        let value = self.instance(instance, schema, &Path::root());
        let inner = std::mem::replace(&mut self.ranges, outer);
        let element = path.index(value.clone().unmark_deep().0);
        self.ranges.add_below(&element, inner);
        value
    }

    fn map(
        &mut self,
        name: &str,
        instances: &[Instance<'_>],
        schema: &NestedBlock,
        element: Type,
        path: &Path,
    ) -> Value {
        let mut entries: BTreeMap<Arc<str>, Value> = BTreeMap::new();
        for instance in instances {
            let [(label, span)] = instance.labels.as_slice() else {
                self.diagnostics.push(
                    Diagnostic::error(
                        format!("Missing key for {name}"),
                        format!("All {name} blocks must have 1 labels (key)."),
                    )
                    .at(instance.block.header_range()),
                );
                continue;
            };
            let value = self.instance(instance, &schema.block, &path.index(Value::string(label)));
            if entries.insert(Arc::clone(label), value).is_some() {
                self.diagnostics.push(
                    Diagnostic::error(
                        format!("Duplicate {name} block"),
                        format!("A block for {name} \"{label}\" was already defined. Each key may be used only once."),
                    )
                    .at(instance.block.body.range(*span)),
                );
            }
        }
        if element.has_dynamic() && !entries.is_empty() {
            Value::object(entries)
        } else {
            Value::map(element, entries)
        }
    }

    fn instance(&mut self, instance: &Instance<'_>, schema: &schema::Block, path: &Path) -> Value {
        self.ranges
            .add_block(path.clone(), &instance.body.file, instance.block.header());
        let outer = std::mem::replace(&mut self.names, instance.names.clone());
        let value = self.body(instance.body, schema, path);
        self.names = outer;
        value.with_marks(instance.marks)
    }

    fn check_count(
        &mut self,
        body: &Body,
        name: &str,
        schema: &NestedBlock,
        instances: &[Instance<'_>],
    ) {
        let single = matches!(schema.nesting, Nesting::Single | Nesting::Group);
        if !matches!(schema.nesting, Nesting::Map) {
            for instance in instances {
                if let Some((_, span)) = instance.labels.first() {
                    self.diagnostics.push(
                        Diagnostic::error(
                            format!("Extraneous label for {name}"),
                            format!("No labels are expected for {name} blocks."),
                        )
                        .at(instance.block.body.range(*span)),
                    );
                }
            }
        }
        if single {
            if let [first, second, ..] = instances {
                self.diagnostics.push(
                    Diagnostic::error(
                        format!("Duplicate {name} block"),
                        format!(
                            "Only one {name} block is allowed. Another was defined at {}.",
                            place(&first.block.header_range())
                        ),
                    )
                    .at(second.block.header_range()),
                );
            }
            if instances.is_empty() && schema.min_items > 0 {
                self.diagnostics.push(
                    Diagnostic::error(
                        format!("Missing {name} block"),
                        format!("A {name} block is required here."),
                    )
                    .at(body.missing_item_range()),
                );
            }
            return;
        }
        let count = instances.len() as u64;
        if count < schema.min_items {
            self.diagnostics.push(
                Diagnostic::error(
                    format!("Insufficient {name} blocks"),
                    format!(
                        "At least {} \"{name}\" blocks are required.",
                        schema.min_items
                    ),
                )
                .at(body.missing_item_range()),
            );
        }
        if schema.max_items > 0
            && count > schema.max_items
            && let Some(extra) = usize::try_from(schema.max_items)
                .ok()
                .and_then(|i| instances.get(i))
        {
            self.diagnostics.push(
                Diagnostic::error(
                    format!("Too many {name} blocks"),
                    format!(
                        "No more than {} \"{name}\" blocks are allowed.",
                        schema.max_items
                    ),
                )
                .at(extra.block.header_range()),
            );
        }
    }
}

/// What a group block is when it is not written: its attributes null, its blocks empty.
fn empty_group(schema: &schema::Block) -> Value {
    let attributes = schema.attributes.iter().map(|(name, a)| {
        (
            Arc::clone(name),
            Value::null(a.value_type().without_optional()),
        )
    });
    let blocks = schema.blocks.iter().map(|(name, b)| {
        let element = b.block.value_type().without_optional();
        let value = match b.nesting {
            Nesting::Single => Value::null(element),
            Nesting::Group => empty_group(&b.block),
            Nesting::List => Value::list(element, Vec::new()),
            Nesting::Set => Value::set(element, Vec::new()),
            Nesting::Map => Value::map(element, BTreeMap::new()),
        };
        (Arc::clone(name), value)
    });
    Value::object(attributes.chain(blocks).collect())
}
