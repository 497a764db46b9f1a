//! `dynamic` blocks: one block per element of a collection.

use std::sync::Arc;

use stead_value::convert::convert;
use stead_value::{Diagnostic, Kind, Marks, Type, Value};

use super::Decoder;
use super::blocks::{Instance, is_dynamic_for};
use crate::syntax::{Block, Body, ExprKind, Expression};

/// The blocks of one type.
pub(super) enum Expansion<'b> {
    Known(Vec<Instance<'b>>),
    /// A `for_each` is unknown: nobody knows how many there will be.
    Unknown(Marks),
}

impl Decoder<'_> {
    /// The blocks of a type in a body, in order, dynamic ones expanded.
    pub(super) fn expand<'b>(&mut self, body: &'b Body, name: &str) -> Expansion<'b> {
        let mut instances = Vec::new();
        let mut unknown = None;
        for block in &body.blocks {
            if &*block.kind == name {
                instances.push(Instance {
                    block,
                    body: &block.body,
                    labels: block
                        .labels
                        .iter()
                        .map(|l| (Arc::clone(&l.text), l.span))
                        .collect(),
                    names: self.names.clone(),
                    marks: Marks::NONE,
                });
            } else if is_dynamic_for(block, name) {
                match self.dynamic(block) {
                    Expansion::Known(made) => instances.extend(made),
                    Expansion::Unknown(marks) => {
                        unknown = Some(unknown.unwrap_or(Marks::NONE).union(marks));
                    }
                }
            }
        }
        match unknown {
            Some(marks) => Expansion::Unknown(marks),
            None => Expansion::Known(instances),
        }
    }

    fn dynamic<'b>(&mut self, block: &'b Block) -> Expansion<'b> {
        let nothing = || Expansion::Known(Vec::new());
        let Some(content) = self.check_dynamic(block) else {
            return nothing();
        };
        let Some(for_each) = block.body.attribute("for_each") else {
            return nothing();
        };
        let Some(iterator) = self.iterator(block) else {
            return nothing();
        };
        let (collection, marks) = self.evaluate(&for_each.expr).unmark();
        let summary = "Invalid dynamic for_each value";
        if collection.is_null() {
            self.diagnostics.push(
                Diagnostic::error(summary, "Cannot use a null value in for_each.")
                    .at(for_each.expr.range()),
            );
            return nothing();
        }
        let entries = match collection.kind() {
            Kind::Unknown(
                Type::Dynamic
                | Type::List(_)
                | Type::Set(_)
                | Type::Map(_)
                | Type::Tuple(_)
                | Type::Object(_),
                _,
            ) => {
                return Expansion::Unknown(marks);
            }
            Kind::List(..) | Kind::Set(..) | Kind::Map(..) | Kind::Tuple(_) | Kind::Object(_) => {
                collection.elements()
            }
            _ => {
                self.diagnostics.push(
                    Diagnostic::error(
                        summary,
                        format!(
                            "Cannot use a {} value in for_each. An iterable collection is required.",
                            collection.ty().friendly_name()
                        ),
                    )
                    .at(for_each.expr.range()),
                );
                return nothing();
            }
        };
        let mut made = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let mut names = self.names.clone();
            let element = Value::object_from([
                ("key", key.with_marks(marks)),
                ("value", value.with_marks(marks)),
            ]);
            names.push((Arc::clone(&iterator), element));
            let labels = self.labels(block, &names);
            made.push(Instance {
                block,
                body: &content.body,
                labels,
                names,
                marks,
            });
        }
        Expansion::Known(made)
    }

    /// The `content` block, when the dynamic block is well-formed.
    fn check_dynamic<'b>(&mut self, block: &'b Block) -> Option<&'b Block> {
        for attribute in block.body.attributes.values() {
            if !matches!(&*attribute.name, "for_each" | "iterator" | "labels") {
                let known = ["for_each", "iterator", "labels"].into_iter();
                self.diagnostics.push(crate::config::unsupported_argument(
                    attribute,
                    known,
                    std::iter::once("content"),
                ));
            }
        }
        if block.body.attribute("for_each").is_none() {
            self.diagnostics
                .push(crate::config::missing_argument(&block.body, "for_each"));
        }
        let mut content = None;
        for inner in &block.body.blocks {
            if &*inner.kind != "content" {
                let known = std::iter::once("content");
                self.diagnostics.push(crate::config::unsupported_block(
                    inner,
                    known,
                    std::iter::empty(),
                ));
            } else if content.is_some() {
                self.diagnostics.push(
                    Diagnostic::error(
                        "Extraneous dynamic content block",
                        "Only one nested content block is allowed for each dynamic block.",
                    )
                    .at(inner.header_range()),
                );
            } else {
                content = Some(inner);
            }
        }
        if content.is_none() {
            self.diagnostics.push(
                Diagnostic::error(
                    "Missing dynamic content block",
                    "A dynamic block must have a nested block of type \"content\" to describe the body of each generated \
                     block.",
                )
                .at(block.body.missing_item_range()),
            );
        }
        content
    }

    /// The name by which the content refers to the element: the block type, or what `iterator` says.
    fn iterator(&mut self, block: &Block) -> Option<Arc<str>> {
        let Some(attribute) = block.body.attribute("iterator") else {
            return block.labels.first().map(|l| Arc::clone(&l.text));
        };
        match iterator_name(&attribute.expr) {
            Some(name) => Some(name),
            None => {
                self.diagnostics.push(
                    Diagnostic::error(
                        "Invalid expression",
                        "Dynamic iterator must be a single variable name.",
                    )
                    .at(attribute.expr.range()),
                );
                None
            }
        }
    }

    fn labels(
        &mut self,
        block: &Block,
        names: &[(Arc<str>, Value)],
    ) -> Vec<(Arc<str>, crate::syntax::Span)> {
        let Some(attribute) = block.body.attribute("labels") else {
            return Vec::new();
        };
        let range = attribute.expr.range();
        let outer = std::mem::replace(&mut self.names, names.to_vec());
        let value = self.evaluate(&attribute.expr);
        self.names = outer;
        let mut labels = Vec::new();
        for item in value.as_sequence().unwrap_or(&[]) {
            match convert(item, &Type::String).ok().as_ref().and_then(Value::as_str) {
                Some(text) => labels.push((Arc::from(text), attribute.expr.span())),
                None => self.diagnostics.push(
                    Diagnostic::error(
                        "Invalid dynamic block label",
                        "Each label of a dynamic block must be a string that is known and not null.",
                    )
                    .at(range.clone()),
                ),
            }
        }
        labels
    }
}

/// The name that an `iterator` argument gives.
pub(super) fn iterator_name(expr: &Expression) -> Option<Arc<str>> {
    match &expr.node().kind {
        ExprKind::Traversal { root, steps } if steps.is_empty() => Some(Arc::clone(&root.text)),
        _ => None,
    }
}
