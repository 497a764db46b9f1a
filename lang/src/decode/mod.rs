//! Bodies and schemas to values: arguments checked and converted, blocks gathered, `dynamic` blocks expanded.

mod blocks;
mod dynamic;
mod nested;
mod references;
mod source_map;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use stead_value::convert::convert;
use stead_value::schema::{self, AttributeType};
use stead_value::{Diagnostic, Diagnostics, Path, Type, Value};

pub use references::body_references;
pub use source_map::SourceMap;

use crate::config::{check_labels, missing_argument, unsupported_argument, unsupported_block};
use crate::expr::{Evaluation, Scope, evaluate_with, warn_of_parts};
use crate::syntax::{Attribute, Body, Expression, Span};

/// The outcome of decoding a body by a schema.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// An object with exactly the schema's type; attributes that are not written are null, defaults are not applied.
    pub value: Value,
    /// Where each part of the value is written.
    pub ranges: SourceMap,
    pub diagnostics: Diagnostics,
    /// As [`crate::expr::Evaluation::pending`].
    pub pending: bool,
    /// As [`crate::expr::Evaluation::failed`].
    pub failed: bool,
}

impl Decoded {
    /// Whether the value can be used: nothing pending, failed or wrong.
    pub fn is_settled(&self) -> bool {
        !self.pending && !self.failed && !self.diagnostics.has_errors()
    }
}

/// Decodes a body by a schema. What is wrong is reported and becomes unknown, so that one call finds many problems.
pub fn decode(body: &Body, schema: &schema::Block, scope: &dyn Scope) -> Decoded {
    let mut decoder = Decoder {
        scope,
        names: Vec::new(),
        ranges: SourceMap::default(),
        diagnostics: Diagnostics::new(),
        pending: false,
        failed: false,
    };
    decoder.ranges.set_header(&body.file, header_line(body));
    let value = decoder.body(body, schema, &Path::root());
    Decoded {
        value,
        ranges: decoder.ranges,
        diagnostics: decoder.diagnostics,
        pending: decoder.pending,
        failed: decoder.failed,
    }
}

/// The line up to the body's opening brace: where a problem is shown that no argument is to blame for.
fn header_line(body: &Body) -> Span {
    let brace = body.span.start;
    let before = body.file.slice(Span::new(0, brace));
    let header = before.rsplit('\n').next().unwrap_or_default().trim_start();
    let length = u32::try_from(header.len()).unwrap_or_default();
    let blank = u32::try_from(header.len() - header.trim_end().len()).unwrap_or_default();
    let start = brace.saturating_sub(length);
    Span::new(start, brace.saturating_sub(blank).max(start))
}

struct Decoder<'a> {
    scope: &'a dyn Scope,
    /// Iterators of the `dynamic` blocks around, outermost first.
    names: Vec<(Arc<str>, Value)>,
    ranges: SourceMap,
    diagnostics: Diagnostics,
    pending: bool,
    failed: bool,
}

impl Decoder<'_> {
    fn evaluate(&mut self, expr: &Expression) -> Value {
        let outcome = evaluate_with(expr, self.scope, &self.names);
        self.take(outcome)
    }

    /// As [`evaluate`](Self::evaluate), for a value that nobody refers to any more.
    fn evaluate_used(&mut self, expr: &Expression) -> Value {
        let mut outcome = evaluate_with(expr, self.scope, &self.names);
        warn_of_parts(expr, self.scope, &mut outcome);
        self.take(outcome)
    }

    fn take(&mut self, outcome: Evaluation) -> Value {
        self.diagnostics.extend(outcome.diagnostics);
        self.pending |= outcome.pending;
        self.failed |= outcome.failed;
        outcome.value
    }

    fn body(&mut self, body: &Body, schema: &schema::Block, path: &Path) -> Value {
        let labels = |kind: &str| {
            let nested = schema.blocks.get(kind)?;
            let labels: &'static [&'static str] = match nested.nesting {
                schema::Nesting::Map => &["key"],
                _ => &[],
            };
            Some(labels)
        };
        let body = &*body.shaped(labels, &mut self.diagnostics);
        self.refuse_unknown(body, schema);
        let mut object = BTreeMap::new();
        for (name, attribute) in &schema.attributes {
            let path = path.attr(Arc::clone(name));
            let value = match body.attribute(name) {
                Some(written) => self.argument(written, attribute, path),
                None => self.absent(body, name, attribute, path),
            };
            object.insert(Arc::clone(name), value);
        }
        for (name, block) in &schema.blocks {
            let value = self.nested_blocks(body, name, block, &path.attr(Arc::clone(name)));
            object.insert(Arc::clone(name), value);
        }
        Value::object(object)
    }

    /// A written argument.
    fn argument(
        &mut self,
        written: &Attribute,
        attribute: &schema::Attribute,
        path: Path,
    ) -> Value {
        let name = &written.name;
        self.ranges.add_argument(path, &written.expr);
        if let Some(message) = &attribute.deprecated {
            self.diagnostics
                .push(deprecated(name, message).at(written.name_range()));
        }
        let value = self.evaluate_used(&written.expr);
        // What is null is not configured.
        if attribute.unsupported && !value.is_null() {
            self.diagnostics
                .push(not_supported(name).at(written.name_range()));
        }
        let want = nested::constraint(&attribute.ty);
        let exact = want.without_optional();
        if attribute.computed && !attribute.optional && !attribute.required {
            if !value.is_null() {
                self.diagnostics
                    .push(unconfigurable(name).at(written.expr.range()));
            }
            return Value::null(exact);
        }
        let converted = match convert(&value, &want) {
            Ok(converted) => converted,
            Err(error) => {
                let at = if error.path.is_root() {
                    String::new()
                } else {
                    format!("{}: ", display_inside(&error.path))
                };
                self.diagnostics.push(
                    Diagnostic::error(
                        "Incorrect attribute value type",
                        format!("Inappropriate value for attribute \"{name}\": {at}{error}."),
                    )
                    .at(written.expr.range()),
                );
                return Value::unknown(exact);
            }
        };
        if converted.is_null() && attribute.required {
            self.diagnostics.push(
                Diagnostic::error(
                    "Missing required argument",
                    format!(
                        "The argument \"{name}\" is required, but the value given for it is null."
                    ),
                )
                .at(written.expr.range()),
            );
        }
        if let AttributeType::Nested { attributes, .. } = &attribute.ty {
            nested::check(
                &converted,
                attributes,
                name,
                &written.expr,
                &mut self.diagnostics,
            );
        }
        converted
    }

    /// An argument that is not written, or written as blocks.
    fn absent(
        &mut self,
        body: &Body,
        name: &Arc<str>,
        attribute: &schema::Attribute,
        path: Path,
    ) -> Value {
        let ty = attribute.value_type().without_optional();
        if blocks::as_block(attribute).is_some() && blocks::written_as_blocks(body, name) {
            if attribute.computed && !attribute.optional {
                self.diagnostics
                    .push(unconfigurable(name).at(body.missing_item_range()));
            }
            return self.attribute_as_blocks(body, name, attribute, &path);
        }
        if attribute.required {
            self.diagnostics.push(missing_argument(body, name));
        }
        Value::null(ty)
    }

    fn refuse_unknown(&mut self, body: &Body, schema: &schema::Block) {
        for attribute in body.attributes.values() {
            if !schema.attributes.contains_key(&attribute.name) {
                self.diagnostics.push(unsupported_argument(
                    attribute,
                    schema.attributes.keys().map(|k| &**k),
                    schema.blocks.keys().map(|k| &**k),
                ));
            }
        }
        for block in &body.blocks {
            let known = |kind: &str| {
                schema.blocks.contains_key(kind)
                    || schema
                        .attributes
                        .get(kind)
                        .is_some_and(|a| blocks::as_block(a).is_some())
            };
            let blocks = || schema.blocks.keys().map(|k| &**k);
            let attributes = || schema.attributes.keys().map(|k| &**k);
            if &*block.kind == "dynamic" && !schema.blocks.contains_key("dynamic") {
                match block.labels.as_slice() {
                    [label] if known(&label.text) => {}
                    [label] => {
                        let mut diagnostic = unsupported_block(block, blocks(), attributes());
                        let hint = crate::suggest::did_you_mean(&label.text, blocks());
                        diagnostic.detail = format!(
                            "Blocks of type \"{}\" are not expected here.{hint}",
                            label.text
                        );
                        diagnostic.subject = Some(block.body.range(label.span));
                        self.diagnostics.push(diagnostic);
                    }
                    _ => {
                        check_labels(block, &["type"], &mut self.diagnostics);
                    }
                }
            } else if !known(&block.kind) {
                self.diagnostics
                    .push(unsupported_block(block, blocks(), attributes()));
            }
        }
    }
}

/// A path inside an attribute, as the messages write it: `["k"].size`.
fn display_inside(path: &Path) -> String {
    let shown = path.to_string();
    match path.steps().first() {
        Some(stead_value::Step::Attr(_)) => format!(".{shown}"),
        _ => shown,
    }
}

fn not_supported(name: &str) -> Diagnostic {
    Diagnostic::error(
        "Argument not supported yet",
        format!(
            "The argument \"{name}\" is valid, but stead does not do this yet. Remove it, or keep this resource with Terraform for now."
        ),
    )
}

fn deprecated(name: &str, message: &str) -> Diagnostic {
    let detail = if message.is_empty() {
        format!("The argument \"{name}\" is deprecated.")
    } else {
        message.to_owned()
    };
    Diagnostic::warning("Argument is deprecated", detail)
}

fn unconfigurable(name: &str) -> Diagnostic {
    Diagnostic::error(
        "Value for unconfigurable attribute",
        format!(
            "Can't configure a value for \"{name}\": its value will be decided automatically based on the result of applying \
             this configuration."
        ),
    )
}

/// The unknown value of a collection with this element type.
fn unknown_of(nesting: schema::Nesting, element: Type) -> Value {
    Value::unknown(nesting.wrap(element))
}
