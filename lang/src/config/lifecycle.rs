//! `lifecycle` blocks.

use stead_value::addr::{self, ResourceMode};
use stead_value::{Diagnostic, Diagnostics};

use super::content::{Shape, bool_argument, check_labels, check_shape};
use super::model::{CheckRule, IgnoreChanges, Lifecycle};
use super::module::not_supported;
use super::statics::{self, quoted_text, unquoted};
use super::{rollout, values};
use crate::expr::{StaticReference, Target, references, static_path};
use crate::syntax::{Attribute, Block, Expression, StepKind};

/// Arguments of every `lifecycle` block; most of them are for managed resources only.
const ARGUMENTS: [&str; 6] = [
    "create_before_destroy",
    "prevent_destroy",
    "ignore_changes",
    "replace_triggered_by",
    "enabled",
    "destroy",
];

const LIFECYCLE: Shape = Shape {
    attributes: &ARGUMENTS,
    required: &[],
    blocks: &["precondition", "postcondition", "action_trigger", "rollout"],
};

/// Reads the block; the expression is that of `enabled`.
pub(crate) fn read(
    block: &Block,
    address: &addr::Resource,
    diagnostics: &mut Diagnostics,
) -> (Lifecycle, Option<Expression>) {
    check_labels(block, &[], diagnostics);
    let body = &block.body;
    check_shape(body, &LIFECYCLE, diagnostics);
    let enabled = body.attribute("enabled").map(|a| a.expr.clone());
    for inner in body.blocks_of("action_trigger") {
        not_supported(inner, "Actions", diagnostics);
    }
    let rules = |kind: &str, diagnostics: &mut Diagnostics| {
        let rules = values::rules(block, kind, diagnostics);
        check_self_references(&rules, kind, address, diagnostics);
        rules
    };
    let mut lifecycle = Lifecycle {
        preconditions: rules("precondition", diagnostics),
        postconditions: rules("postcondition", diagnostics),
        ..Lifecycle::default()
    };
    if address.mode != ResourceMode::Managed {
        for attribute in body.attributes.values() {
            if &*attribute.name != "enabled" && ARGUMENTS.contains(&&*attribute.name) {
                let (name, at) = (&*attribute.name, attribute.name_range());
                diagnostics.push(only_managed("argument", name, address.mode).at(at));
            }
        }
        for inner in body.blocks_of("rollout") {
            let at = inner.header_range();
            diagnostics.push(only_managed("block", "rollout", address.mode).at(at));
        }
        return (lifecycle, enabled);
    }
    lifecycle.create_before_destroy = bool_argument(body, "create_before_destroy", diagnostics);
    lifecycle.prevent_destroy = body.attribute("prevent_destroy").map(|a| a.expr.clone());
    lifecycle.destroy = bool_argument(body, "destroy", diagnostics);
    if let Some(attribute) = body.attribute("replace_triggered_by") {
        lifecycle.replace_triggered_by = triggers(&attribute.expr, diagnostics);
    }
    if let Some(attribute) = body.attribute("ignore_changes") {
        lifecycle.ignore_changes = ignore_changes(attribute, diagnostics);
    }
    lifecycle.rollout = rollout::read(block, diagnostics);
    (lifecycle, enabled)
}

fn only_managed(what: &str, name: &str, mode: ResourceMode) -> Diagnostic {
    let kind = if mode == ResourceMode::Data {
        "data"
    } else {
        "ephemeral"
    };
    Diagnostic::error(
        format!("Invalid {kind} resource lifecycle {what}"),
        format!(
            "The lifecycle {what} \"{name}\" is defined only for managed resources (\"resource\" blocks), and is not valid for \
             {kind} resources."
        ),
    )
}

/// Conditions speak of their own object as `self`.
fn check_self_references(
    rules: &[CheckRule],
    kind: &str,
    address: &addr::Resource,
    diagnostics: &mut Diagnostics,
) {
    for expr in rules.iter().flat_map(|r| [&r.condition, &r.error_message]) {
        let (found, _) = references(expr);
        let itself = |r: &StaticReference| matches!(&r.target, Target::Resource { resource, .. } if resource == address);
        if found.iter().any(itself) {
            diagnostics.push(
                Diagnostic::error(
                    format!("Invalid reference in {kind}"),
                    format!("Configuration for {address} may not refer to itself."),
                )
                .at(expr.range()),
            );
        }
    }
}

fn triggers(expr: &Expression, diagnostics: &mut Diagnostics) -> Vec<Expression> {
    let items = statics::list(expr, diagnostics);
    for item in &items {
        check_trigger(item, diagnostics);
    }
    items
}

/// A trigger names one resource; its keys may be `count.index` or `each.key`.
fn check_trigger(item: &Expression, diagnostics: &mut Diagnostics) {
    let (found, problems) = references(item);
    if problems.has_errors() {
        diagnostics.extend(problems.into_iter().map(|d| d.at(item.range())));
        return;
    }
    let mut wrong = |summary: &str, detail: &str| {
        diagnostics.push(Diagnostic::error(summary, detail).at(item.range()));
    };
    let mut resources = 0;
    for reference in &found {
        match &reference.target {
            Target::Resource { .. } => resources += 1,
            Target::EachKey | Target::CountIndex => {}
            Target::EachValue => wrong(
                "Invalid each reference in replace_triggered_by expression",
                "Only each.key may be used in replace_triggered_by.",
            ),
            _ => wrong(
                "Invalid reference in replace_triggered_by expression",
                "Only resources, count.index, and each.key may be used in replace_triggered_by.",
            ),
        }
    }
    match resources {
        0 => wrong(
            "Invalid replace_triggered_by expression",
            "Missing resource reference in replace_triggered_by expression.",
        ),
        1 => {}
        _ => wrong(
            "Invalid replace_triggered_by expression",
            "Multiple resource references in replace_triggered_by expression.",
        ),
    }
}

fn ignore_changes(attribute: &Attribute, diagnostics: &mut Diagnostics) -> IgnoreChanges {
    if statics::keyword(&attribute.expr).as_deref() == Some("all") {
        return IgnoreChanges::All;
    }
    let mut paths = Vec::new();
    let mut star = None;
    for item in statics::list(&attribute.expr, diagnostics) {
        if quoted_text(item.node()).as_deref() == Some("*") {
            star = Some(item.range());
            diagnostics.push(
                Diagnostic::error(
                    "Invalid ignore_changes wildcard",
                    "The [\"*\"] form of ignore_changes wildcard is was deprecated and is now invalid. Use \"ignore_changes = all\" \
                     to ignore changes to all attributes.",
                )
                .at(attribute.expr.range()),
            );
            continue;
        }
        let quoted = unquoted(&item);
        if quoted.is_some() {
            diagnostics.push(statics::quoted_reference(item.range()));
        }
        let read = quoted.as_ref().unwrap_or(&item);
        match statics::traversal(read.node(), read.file()) {
            Some((root, steps))
                if steps.iter().all(|s| !matches!(s.kind, StepKind::AttrSplat(_))) =>
            {
                let mut path = stead_value::Path::root().attr(root);
                path.0.extend(static_path(&steps).0);
                paths.push((path, item.range()));
            }
            _ => diagnostics.push(
                Diagnostic::error(
                    "Invalid expression",
                    "A single static variable reference is required: only attribute access and indexing with constant keys. \
                     No calculations, function calls, template expressions, etc are allowed here.",
                )
                .at(item.range()),
            ),
        }
    }
    if let (Some(star), false) = (star, paths.is_empty()) {
        let mut mixed = Diagnostic::error(
            "Invalid ignore_changes ruleset",
            "Cannot mix wildcard string \"*\" with non-wildcard references.",
        )
        .at(star);
        mixed.context = Some(attribute.expr.range());
        diagnostics.push(mixed);
    }
    IgnoreChanges::Paths(paths)
}
