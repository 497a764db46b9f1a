//! `module` blocks.

use std::sync::Arc;

use stead_value::convert::convert;
use stead_value::{Diagnostic, Diagnostics, Type, Value};

use super::content::{
    Shape, check_labels, check_name, check_shape, constant, missing_argument, place,
};
use super::model::{Early, ModuleCall, PassedProvider, ProviderName, ProviderRef};
use super::resource::{merge_escape, take_escape, take_repetition};
use super::source::{ModuleSource, SourceError};
use super::statics::start_range;
use super::{references, terraform};
use crate::expr::{evaluate_constant, root_names};
use crate::syntax::{Block, ExprKind, Expression, ObjectKey};

pub(crate) fn call(block: Block, diagnostics: &mut Diagnostics) -> Option<ModuleCall> {
    check_labels(&block, &["name"], diagnostics).then_some(())?;
    let range = block.header_range();
    let label = block.labels.first()?.clone();
    let mut body = block.body;
    if body.attribute("source").is_none() {
        diagnostics.push(missing_argument(&body, "source"));
    }
    check_name(
        &label.text,
        body.range(label.span),
        "module instance name",
        diagnostics,
    );
    let version_attribute = body.attributes.shift_remove("version");
    // OpenTofu takes null for no version.
    let version_attribute = version_attribute.filter(|a| !is_null(&a.expr));
    let version = version_attribute.as_ref().and_then(|a| {
        if root_names(&a.expr).is_empty() {
            terraform::version_constraint(a, diagnostics).map(Early::Known)
        } else {
            Some(Early::Later(a.expr.clone()))
        }
    });
    let source_attribute = body.attributes.shift_remove("source");
    let source_range = source_attribute
        .as_ref()
        .map_or_else(|| range.clone(), |a| a.expr.range());
    let versioned = version_attribute.is_some();
    let source = source_attribute.and_then(|a| source(&a.expr, versioned, diagnostics));
    let mut inner = Inner::default();
    for block in std::mem::take(&mut body.blocks) {
        if let Some(block) = inner.take(block, diagnostics) {
            body.blocks.push(block);
        }
    }
    let repetition = take_repetition(&mut body, inner.enabled, diagnostics);
    let depends_on = references::depends_on(&mut body, diagnostics);
    let providers = match body.attributes.shift_remove("providers") {
        Some(attribute) => passed_providers(&attribute.expr, diagnostics),
        None => Vec::new(),
    };
    if let Some(escape) = inner.escape {
        merge_escape(&mut body, escape);
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

/// Whether the expression is the word itself.
fn is_null(expr: &Expression) -> bool {
    let outcome = root_names(expr).is_empty().then(|| evaluate_constant(expr));
    outcome.is_some_and(|o| !o.diagnostics.has_errors() && o.value.is_null())
}

const LIFECYCLE: Shape = Shape {
    attributes: &["enabled"],
    required: &[],
    blocks: &[],
};

/// The blocks that are not the child's.
#[derive(Default)]
struct Inner {
    enabled: Option<Expression>,
    escape: Option<Block>,
}

impl Inner {
    fn take(&mut self, block: Block, diagnostics: &mut Diagnostics) -> Option<Block> {
        match &*block.kind {
            "_" => take_escape(&mut self.escape, block, "module", diagnostics),
            // OpenTofu's way to switch a module on and off.
            "lifecycle" if block.body.attribute("enabled").is_some() => {
                check_shape(&block.body, &LIFECYCLE, diagnostics);
                self.enabled = block.body.attribute("enabled").map(|a| a.expr.clone());
            }
            "lifecycle" | "locals" | "provider" => {
                let labels: &[&str] = if &*block.kind == "provider" {
                    &["type"]
                } else {
                    &[]
                };
                if check_labels(&block, labels, diagnostics) {
                    diagnostics.push(
                        Diagnostic::error(
                            "Reserved block type name in module block",
                            format!("The block type name \"{}\" is reserved for use by Terraform in a future version.", block.kind),
                        )
                        .at(block.body.range(block.kind_span)),
                    );
                }
            }
            _ => return Some(block),
        }
        None
    }
}

fn source(
    expr: &Expression,
    versioned: bool,
    diagnostics: &mut Diagnostics,
) -> Option<Early<ModuleSource>> {
    if !root_names(expr).is_empty() {
        return Some(Early::Later(expr.clone()));
    }
    let value = constant(expr, &Type::String, diagnostics)?;
    parse_source(&value, versioned)
        .map(Early::Known)
        .map_err(|diagnostic| diagnostics.push(diagnostic.at(expr.range())))
        .ok()
}

/// A module's source from the value of its argument.
pub(crate) fn parse_source(value: &Value, versioned: bool) -> Result<ModuleSource, Diagnostic> {
    let summary = "Invalid module source address";
    let value = convert(value, &Type::String)
        .map_err(|error| Diagnostic::error(summary, format!("Unsuitable value: {error}.")))?;
    let Some(text) = value.as_str() else {
        return Err(Diagnostic::error(
            summary,
            "The source of a module must be a known string.",
        ));
    };
    let parsed = if versioned {
        ModuleSource::parse_versioned(text)
    } else {
        ModuleSource::parse(text)
    };
    parsed.map_err(|error| match error {
        SourceError::MaybePath(address) => Diagnostic::error(
            summary,
            format!("Terraform failed to determine your intended installation method for remote module package \"{address}\".\n\nIf you intended this as a path relative to the current module, use \"./{address}\" instead. The \"./\" prefix indicates that the address is a relative filesystem path."),
        ),
        SourceError::Malformed(why) if versioned => Diagnostic::error(
            "Invalid registry module source address",
            format!("Failed to parse module registry address: {why}.\n\nTerraform assumed that you intended a module registry source address because you also set the argument \"version\", which applies only to registry modules."),
        ),
        SourceError::Malformed(why) => Diagnostic::error(
            summary,
            format!("Failed to parse module source address: {why}."),
        ),
    })
}

pub(super) fn passed_providers(
    expr: &Expression,
    diagnostics: &mut Diagnostics,
) -> Vec<PassedProvider> {
    let file = expr.file();
    let ExprKind::Object(items) = &expr.node().kind else {
        diagnostics.push(
            Diagnostic::error("Invalid expression", "A static map expression is required.")
                .at(start_range(expr)),
        );
        return Vec::new();
    };
    let mut passed: Vec<PassedProvider> = Vec::new();
    for item in items {
        let in_child = match &item.key {
            ObjectKey::Name(name) => {
                let range = file.range(name.span);
                references::check_local_name(&name.text, range.clone(), diagnostics).then(|| {
                    ProviderRef {
                        name: ProviderName {
                            local: name.text.clone(),
                            alias: None,
                        },
                        key: None,
                        range,
                    }
                })
            }
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
            let mut range = first.in_child.range.clone();
            range.end = first.in_parent.range.end;
            diagnostics.push(
                Diagnostic::error(
                    "Duplicate provider address",
                    format!(
                        "A provider configuration was already passed to {} at {}. Each child provider configuration can be assigned only once.",
                        in_child.name,
                        place(&range)
                    ),
                )
                .at(value.range()),
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
