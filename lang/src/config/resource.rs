//! `resource`, `data` and `ephemeral` blocks: the meta-arguments taken out, the rest left for the provider's schema.

use std::sync::Arc;

use stead_value::addr::{self, ResourceMode};
use stead_value::{Diagnostic, Diagnostics};

use super::content::{check_labels, check_name, place};
use super::model::{Lifecycle, Repetition, Resource};
use super::provisioner::Provisioning;
use super::{lifecycle, references};
use crate::syntax::{Block, Body, Expression};

/// Where the block stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Module,
    /// Within a `check` block, which allows less.
    Check,
}

pub(crate) fn resource(
    block: Block,
    place: Place,
    diagnostics: &mut Diagnostics,
) -> Option<Resource> {
    check_labels(&block, &["type", "name"], diagnostics).then_some(())?;
    let range = block.header_range();
    let mode = match &*block.kind {
        "data" => ResourceMode::Data,
        "ephemeral" => ResourceMode::Ephemeral,
        _ => ResourceMode::Managed,
    };
    let [type_name, name] = block.labels.as_slice() else {
        return None;
    };
    let (type_kind, name_kind) = match mode {
        ResourceMode::Managed => ("resource type name", "resource name"),
        ResourceMode::Data => ("data source name", "data resource name"),
        ResourceMode::Ephemeral => ("ephemeral resource type", "ephemeral resource name"),
    };
    let good_type = check_name(
        &type_name.text,
        block.body.range(type_name.span),
        type_kind,
        diagnostics,
    );
    let good_name = check_name(
        &name.text,
        block.body.range(name.span),
        name_kind,
        diagnostics,
    );
    let addr = addr::Resource {
        mode,
        type_name: Arc::clone(&type_name.text),
        name: Arc::clone(&name.text),
    };
    let type_range = block.body.range(type_name.span);
    let mut body = block.body;
    let provider = body
        .attributes
        .shift_remove("provider")
        .and_then(|a| references::provider(&a.expr, "provider", diagnostics));
    let depends_on = references::depends_on(&mut body, diagnostics);
    let mut inner = Inner::default();
    for block in std::mem::take(&mut body.blocks) {
        if let Some(block) = inner.take(block, &addr, place, diagnostics) {
            body.blocks.push(block);
        }
    }
    inner.provisioning.check(diagnostics);
    if place == Place::Check {
        refuse_repetition(&mut body, diagnostics);
    }
    let repetition = take_repetition(&mut body, inner.enabled, diagnostics);
    if let Some(escape) = inner.escape {
        merge_escape(&mut body, escape);
    }
    (good_type && good_name).then(|| Resource {
        addr,
        body: Arc::new(body),
        repetition,
        depends_on,
        provider,
        lifecycle: inner.lifecycle.map(|(_, l)| l).unwrap_or_default(),
        connection: inner.provisioning.connection,
        provisioners: inner.provisioning.provisioners,
        check: None,
        type_range,
        range,
    })
}

/// The blocks that mean the same in every resource.
#[derive(Default)]
struct Inner {
    lifecycle: Option<(stead_value::SourceRange, Lifecycle)>,
    enabled: Option<Expression>,
    provisioning: Provisioning,
    escape: Option<Block>,
}

impl Inner {
    /// Takes what is not the provider's; gives the rest back.
    fn take(
        &mut self,
        block: Block,
        addr: &addr::Resource,
        place: Place,
        diagnostics: &mut Diagnostics,
    ) -> Option<Block> {
        let managed = addr.mode == ResourceMode::Managed;
        match &*block.kind {
            "lifecycle" => self.lifecycle(&block, addr, place, diagnostics),
            "connection" if managed => self.provisioning.connection(block, "resource", diagnostics),
            "provisioner" if managed => self.provisioning.provisioner(block, diagnostics),
            "_" => take_escape(&mut self.escape, block, addr.mode.keyword(), diagnostics),
            "locals" => {
                diagnostics.push(
                    Diagnostic::error(
                        format!("Reserved block type name in {} block", addr.mode.keyword()),
                        format!("The block type name \"{}\" is reserved for use by Terraform in a future version.", block.kind),
                    )
                    .at(block.body.range(block.kind_span)),
                );
            }
            _ => return Some(block),
        }
        None
    }

    fn lifecycle(
        &mut self,
        block: &Block,
        addr: &addr::Resource,
        at: Place,
        diagnostics: &mut Diagnostics,
    ) {
        let range = block.header_range();
        if at == Place::Check {
            diagnostics.push(
                Diagnostic::error(
                    "Invalid lifecycle block",
                    "Nested data blocks do not support \"lifecycle\" blocks as the lifecycle is managed by the containing block.",
                )
                .at(range.clone()),
            );
        }
        if let Some((first, _)) = &self.lifecycle {
            diagnostics.push(
                Diagnostic::error(
                    "Duplicate lifecycle block",
                    format!(
                        "This resource already has a lifecycle block at {}.",
                        place(first)
                    ),
                )
                .at(range),
            );
            return;
        }
        let (lifecycle, enabled) = lifecycle::read(block, addr, diagnostics);
        self.lifecycle = Some((range, lifecycle));
        self.enabled = enabled;
    }
}

/// Takes the one `_` block: what is in it is never a meta-argument, whatever its name.
pub(crate) fn take_escape(
    escape: &mut Option<Block>,
    block: Block,
    kind: &str,
    diagnostics: &mut Diagnostics,
) {
    let Some(first) = escape else {
        *escape = Some(block);
        return;
    };
    let what = match kind {
        "module" => "module input variables",
        "provider" => "provider-specific",
        "provisioner" => "provisioner-typpe-specific",
        _ => "resource-type-specific",
    };
    let kind = if kind == "ephemeral" { "data" } else { kind };
    diagnostics.push(
        Diagnostic::error(
            "Duplicate escaping block",
            format!(
                "The special block type \"_\" can be used to force particular arguments to be interpreted as {what} rather than as \
                 meta-arguments, but each {kind} block can have only one such block. The first escaping block was at {}.",
                place(&first.header_range())
            ),
        )
        .at(block.header_range()),
    );
}

/// Puts the content of the `_` block beside the rest.
pub(crate) fn merge_escape(body: &mut Body, escape: Block) {
    body.attributes.extend(escape.body.attributes);
    body.blocks.extend(escape.body.blocks);
}

/// A data source of a check block stands alone.
fn refuse_repetition(body: &mut Body, diagnostics: &mut Diagnostics) {
    for name in ["count", "for_each"] {
        if let Some(attribute) = body.attributes.shift_remove(name) {
            diagnostics.push(
                Diagnostic::error(
                    format!("Invalid \"{name}\" attribute"),
                    "The \"count\" and \"for_each\" meta-arguments are not supported within nested data blocks.",
                )
                .at(attribute.name_range()),
            );
        }
    }
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
