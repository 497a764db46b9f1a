//! `module` blocks.

use std::sync::Arc;

use stead_value::{Diagnostic, Diagnostics, Type};

use super::content::{
    Shape, check_labels, check_name, check_shape, constant, missing_argument, place,
};
use super::model::{ModuleCall, ModuleSource, PassedProvider, ProviderName, ProviderRef};
use super::resource::take_repetition;
use super::{references, terraform};
use crate::syntax::{Block, Body, ExprKind, Expression, ObjectKey};

pub(crate) fn call(block: Block, diagnostics: &mut Diagnostics) -> Option<ModuleCall> {
    check_labels(&block, &["name"], diagnostics).then_some(())?;
    let range = block.header_range();
    let label = block.labels.first()?.clone();
    check_name(
        &label.text,
        block.body.range(label.span),
        "module instance name",
        diagnostics,
    );
    let mut body = block.body;
    let Some(source_attribute) = body.attributes.shift_remove("source") else {
        diagnostics.push(missing_argument(&body, "source"));
        return None;
    };
    let depends_on = references::depends_on(&mut body, diagnostics);
    let enabled = take_blocks(&mut body, diagnostics);
    let repetition = take_repetition(&mut body, enabled, diagnostics);
    let version = body
        .attributes
        .shift_remove("version")
        .and_then(|a| terraform::version_constraint(&a.expr, diagnostics));
    let providers = match body.attributes.shift_remove("providers") {
        Some(attribute) => passed_providers(&attribute.expr, diagnostics),
        None => Vec::new(),
    };
    let source_range = source_attribute.expr.range();
    let source = source(&source_attribute.expr, diagnostics)?;
    if let (ModuleSource::Local(_), Some(version)) = (&source, &version) {
        diagnostics.push(
            Diagnostic::error(
                "Invalid registry module source address",
                "A version can be given only for a module from a registry, not for a local path.",
            )
            .at(version.range.clone()),
        );
    }
    Some(ModuleCall {
        name: label.text,
        source,
        source_range,
        version,
        repetition,
        depends_on,
        providers,
        arguments: Arc::new(body),
        range,
    })
}

const LIFECYCLE: Shape = Shape {
    attributes: &["enabled"],
    required: &[],
    blocks: &[],
};

/// A module call has no blocks but `lifecycle`, for `enabled`.
fn take_blocks(body: &mut Body, diagnostics: &mut Diagnostics) -> Option<Expression> {
    let mut enabled = None;
    for inner in std::mem::take(&mut body.blocks) {
        if &*inner.kind == "lifecycle" {
            check_shape(&inner.body, &LIFECYCLE, diagnostics);
            enabled = inner.body.attribute("enabled").map(|a| a.expr.clone());
        } else {
            diagnostics.push(super::content::unsupported_block(
                &inner,
                std::iter::empty(),
                std::iter::once(&*inner.kind),
            ));
        }
    }
    enabled
}

fn source(expr: &Expression, diagnostics: &mut Diagnostics) -> Option<ModuleSource> {
    let value = constant(expr, &Type::String, diagnostics)?;
    let text = value.as_str()?.to_owned();
    if text.is_empty() {
        diagnostics.push(
            Diagnostic::error(
                "Invalid module source address",
                "The source of a module can't be empty.",
            )
            .at(expr.range()),
        );
        return None;
    }
    let local = text == "." || text == ".." || text.starts_with("./") || text.starts_with("../");
    Some(if local {
        ModuleSource::Local(text)
    } else {
        ModuleSource::Remote(text)
    })
}

fn passed_providers(expr: &Expression, diagnostics: &mut Diagnostics) -> Vec<PassedProvider> {
    let file = expr.file();
    let ExprKind::Object(items) = &expr.node().kind else {
        diagnostics.push(
            Diagnostic::error(
                "Invalid providers argument",
                "A map of provider configurations is required: { child = parent }.",
            )
            .at(expr.range()),
        );
        return Vec::new();
    };
    let mut passed: Vec<PassedProvider> = Vec::new();
    for item in items {
        let in_child = match &item.key {
            ObjectKey::Name(name) => Some(ProviderRef {
                name: ProviderName {
                    local: name.text.clone(),
                    alias: None,
                },
                range: file.range(name.span),
            }),
            ObjectKey::Expr(key) => {
                let key = Expression::new(Arc::clone(file), key.clone());
                references::provider(&key, "providers", diagnostics)
            }
        };
        let value = Expression::new(Arc::clone(file), item.value.clone());
        let in_parent = references::provider(&value, "providers", diagnostics);
        let (Some(in_child), Some(in_parent)) = (in_child, in_parent) else {
            continue;
        };
        if let Some(first) = passed.iter().find(|p| p.in_child.name == in_child.name) {
            diagnostics.push(
                Diagnostic::error(
                    "Duplicate provider address",
                    format!(
                        "A provider configuration was already passed to {} at {}.",
                        in_child.name,
                        place(&first.in_child.range)
                    ),
                )
                .at(in_child.range),
            );
            continue;
        }
        passed.push(PassedProvider {
            in_child,
            in_parent,
        });
    }
    passed
}
