//! `resource` and `data` blocks: the meta-arguments taken out, the rest left for the provider's schema.

use std::sync::Arc;

use stead_value::addr::{self, ResourceMode};
use stead_value::{Diagnostic, Diagnostics};

use super::content::{Shape, bool_argument, check_labels, check_name, check_shape};
use super::model::{Lifecycle, Repetition, Resource};
use super::module::not_supported;
use super::{references, values};
use crate::syntax::{Block, Body, ExprKind, Expression};

pub(crate) fn resource(block: Block, diagnostics: &mut Diagnostics) -> Option<Resource> {
    check_labels(&block, &["type", "name"], diagnostics).then_some(())?;
    let range = block.header_range();
    let mode = if &*block.kind == "data" {
        ResourceMode::Data
    } else {
        ResourceMode::Managed
    };
    let [type_name, name] = block.labels.as_slice() else {
        return None;
    };
    let what = if mode == ResourceMode::Data {
        "data source"
    } else {
        "resource"
    };
    if !check_name(
        &type_name.text,
        block.body.range(type_name.span),
        &format!("{what} type"),
        diagnostics,
    ) || !check_name(&name.text, block.body.range(name.span), what, diagnostics)
    {
        return None;
    }
    let addr = addr::Resource {
        mode,
        type_name: Arc::clone(&type_name.text),
        name: Arc::clone(&name.text),
    };
    let mut body = block.body;
    let depends_on = references::depends_on(&body, diagnostics);
    let mut lifecycle = Lifecycle::default();
    let mut enabled = None;
    let mut inner_blocks = Vec::new();
    let mut seen_lifecycle = false;
    let mut seen_escape = false;
    for inner in std::mem::take(&mut body.blocks) {
        match &*inner.kind {
            "lifecycle" => {
                if seen_lifecycle {
                    diagnostics.push(
                        Diagnostic::error("Duplicate lifecycle block", "A resource can have only one lifecycle block.")
                            .at(inner.header_range()),
                    );
                    continue;
                }
                seen_lifecycle = true;
                (lifecycle, enabled) = read_lifecycle(&inner, mode, diagnostics);
            }
            "connection" | "provisioner" => not_supported(&inner, "Provisioners", diagnostics),
            // A block that only says: what is in here belongs to the provider, whatever its name.
            "_" => {
                if seen_escape {
                    diagnostics.push(
                        Diagnostic::error(
                            "Duplicate escaping block",
                            "The special block type \"_\" can be used to force particular arguments to be interpreted as resource-type-specific rather than as meta-arguments, but each resource block can have only one such block.",
                        )
                        .at(inner.header_range()),
                    );
                }
                seen_escape = true;
                inner_blocks.push(inner);
            }
            "locals" => diagnostics.push(
                Diagnostic::error(
                    "Reserved block type name in resource block",
                    format!("The block type name \"{}\" is reserved for use by Terraform in a future version.", inner.kind),
                )
                .at(inner.header_range()),
            ),
            _ => inner_blocks.push(inner),
        }
    }
    let repetition = take_repetition(&mut body, enabled, diagnostics);
    body.attributes.shift_remove("depends_on");
    let provider = body
        .attributes
        .shift_remove("provider")
        .and_then(|a| references::provider(&a.expr, diagnostics));
    for inner in inner_blocks {
        if &*inner.kind == "_" {
            for (name, attribute) in inner.body.attributes {
                body.attributes.insert(name, attribute);
            }
            body.blocks.extend(inner.body.blocks);
        } else {
            body.blocks.push(inner);
        }
    }
    Some(Resource {
        addr,
        body: Arc::new(body),
        repetition,
        depends_on,
        provider,
        lifecycle,
        range,
    })
}

/// Takes `count` and `for_each` out of the body; with `enabled`, only one of the three may be there.
pub(crate) fn take_repetition(
    body: &mut Body,
    enabled: Option<Expression>,
    diagnostics: &mut Diagnostics,
) -> Repetition {
    let count = body.attributes.shift_remove("count");
    let for_each = body.attributes.shift_remove("for_each");
    let clash = |a: &str, b: &str, at| {
        Diagnostic::error(
            format!("Invalid combination of \"{a}\" and \"{b}\""),
            format!(
                "The \"{a}\" and \"{b}\" meta-arguments are mutually-exclusive, only one should be used to be explicit about \
                 the number of resources to be created."
            ),
        )
        .at(at)
    };
    match (count, for_each, enabled) {
        (Some(_), Some(f), _) => {
            diagnostics.push(clash("count", "for_each", f.name_range()));
            Repetition::ForEach(f.expr)
        }
        (Some(c), None, Some(e)) => {
            diagnostics.push(clash("count", "enabled", e.range()));
            Repetition::Count(c.expr)
        }
        (None, Some(f), Some(e)) => {
            diagnostics.push(clash("for_each", "enabled", e.range()));
            Repetition::ForEach(f.expr)
        }
        (Some(c), None, None) => Repetition::Count(c.expr),
        (None, Some(f), None) => Repetition::ForEach(f.expr),
        (None, None, Some(e)) => Repetition::Enabled(e),
        (None, None, None) => Repetition::Single,
    }
}

const MANAGED: Shape = Shape {
    attributes: &[
        "create_before_destroy",
        "prevent_destroy",
        "ignore_changes",
        "replace_triggered_by",
        "enabled",
        "destroy",
    ],
    required: &[],
    blocks: &["precondition", "postcondition", "action_trigger"],
};
const DATA: Shape = Shape {
    attributes: &["enabled"],
    required: &[],
    blocks: &["precondition", "postcondition"],
};

fn read_lifecycle(
    block: &Block,
    mode: ResourceMode,
    diagnostics: &mut Diagnostics,
) -> (Lifecycle, Option<Expression>) {
    check_labels(block, &[], diagnostics);
    let body = &block.body;
    check_shape(
        body,
        if mode == ResourceMode::Data {
            &DATA
        } else {
            &MANAGED
        },
        diagnostics,
    );
    for inner in body.blocks_of("action_trigger") {
        not_supported(inner, "Actions", diagnostics);
    }
    let lifecycle = Lifecycle {
        create_before_destroy: bool_argument(body, "create_before_destroy", diagnostics),
        prevent_destroy: bool_argument(body, "prevent_destroy", diagnostics),
        destroy: bool_argument(body, "destroy", diagnostics),
        ignore_changes: body
            .attribute("ignore_changes")
            .map(|a| references::ignore_changes(a, diagnostics))
            .unwrap_or_default(),
        replace_triggered_by: body
            .attribute("replace_triggered_by")
            .map(|a| triggers(&a.expr, diagnostics))
            .unwrap_or_default(),
        preconditions: values::rules(block, "precondition", diagnostics),
        postconditions: values::rules(block, "postcondition", diagnostics),
    };
    (lifecycle, body.attribute("enabled").map(|a| a.expr.clone()))
}

fn triggers(expr: &Expression, diagnostics: &mut Diagnostics) -> Vec<Expression> {
    let ExprKind::Tuple(items) = &expr.node().kind else {
        diagnostics.push(
            Diagnostic::error(
                "Invalid expression",
                "A static list expression is required.",
            )
            .at(expr.range()),
        );
        return Vec::new();
    };
    items
        .iter()
        .map(|item| Expression::new(Arc::clone(expr.file()), item.clone()))
        .collect()
}
