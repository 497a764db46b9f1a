//! `moved`, `removed` and `import` blocks.

use std::sync::Arc;

use stead_value::addr::{self, InstanceKey, ResourceMode};
use stead_value::{Diagnostic, Diagnostics, SourceRange};

use super::content::{Shape, bool_argument, check_labels, check_shape, missing_argument};
use super::model::{Import, Moved, ObjectAddress, ProvisionerWhen, Removed};
use super::provisioner::Provisioning;
use super::{references, statics};
use crate::expr::{instance_key, literal_key};
use crate::syntax::{Block, Expr, ExprKind, Expression, Span, Step, StepKind};

const MOVED: Shape = Shape {
    attributes: &["from", "to"],
    required: &["from", "to"],
    blocks: &[],
};

pub(crate) fn moved(block: &Block, diagnostics: &mut Diagnostics) -> Option<Moved> {
    check_labels(block, &[], diagnostics).then_some(())?;
    check_shape(&block.body, &MOVED, diagnostics);
    let from = endpoint(block, "from", diagnostics);
    let to = endpoint(block, "to", diagnostics);
    let ((from, from_range), (to, to_range)) = (from?, to?);
    if from.resource.is_some() != to.resource.is_some() {
        diagnostics.push(
            Diagnostic::error(
                "Invalid \"moved\" addresses",
                "The \"from\" and \"to\" addresses must either both refer to resources or both refer to modules.",
            )
            .at(block.header_range()),
        );
        return None;
    }
    Some(Moved {
        from,
        to,
        from_range,
        to_range,
        range: block.header_range(),
    })
}

const REMOVED: Shape = Shape {
    attributes: &["from"],
    required: &["from"],
    blocks: &["lifecycle", "provisioner", "connection"],
};
const REMOVED_LIFECYCLE: Shape = Shape {
    attributes: &["destroy"],
    required: &[],
    blocks: &[],
};

pub(crate) fn removed(block: Block, diagnostics: &mut Diagnostics) -> Option<Removed> {
    check_labels(&block, &[], diagnostics).then_some(())?;
    check_shape(&block.body, &REMOVED, diagnostics);
    let range = block.header_range();
    let endpoint = endpoint(&block, "from", diagnostics);
    let keys_at = block
        .body
        .attribute("from")
        .map_or_else(|| range.clone(), |a| key_range(&a.expr));
    let managed = endpoint.as_ref().is_some_and(
        |(from, _)| matches!(&from.resource, Some((r, _)) if r.mode == ResourceMode::Managed),
    );
    let mut destroy = true;
    let mut provisioning = Provisioning::default();
    for inner in block.body.blocks {
        match &*inner.kind {
            "lifecycle" => {
                check_shape(&inner.body, &REMOVED_LIFECYCLE, diagnostics);
                destroy = bool_argument(&inner.body, "destroy", diagnostics).unwrap_or(true);
            }
            "connection" if managed => {
                provisioning.connection(inner, "\"removed\" block", diagnostics);
            }
            "provisioner" if managed => {
                let range = inner.header_range();
                provisioning.provisioner(inner, diagnostics);
                if provisioning.provisioners.last().is_some_and(|p| {
                    p.range == range && p.when != ProvisionerWhen::Destroy
                }) {
                    diagnostics.push(
                        Diagnostic::error(
                            "Invalid provisioner block",
                            "Only destroy-time provisioners are valid in \"removed\" blocks. To declare a destroy-time provisioner, use:\n    when = destroy",
                        )
                        .at(range),
                    );
                }
            }
            "connection" => diagnostics.push(
                Diagnostic::error(
                    "Invalid connection block",
                    "Provisioner connection configuration is valid only when a removed block targets a managed resource.",
                )
                .at(inner.header_range()),
            ),
            "provisioner" => diagnostics.push(
                Diagnostic::error(
                    "Invalid provisioner block",
                    "Provisioners are valid only when a removed block targets a managed resource.",
                )
                .at(inner.header_range()),
            ),
            _ => {}
        }
    }
    let (from, from_range) = endpoint?;
    if matches!(&from.resource, Some((r, _)) if r.mode == ResourceMode::Data) {
        diagnostics.push(
            Diagnostic::error(
                "Data source address not allowed",
                "Data sources are never destroyed, so they are not valid targets of removed blocks. To remove the data source from state, remove the data source block from configuration.",
            )
            .at(from_range),
        );
        return None;
    }
    let keyed = if from.module.iter().any(|(_, key)| key.is_some()) {
        Some((
            "Module",
            "Module address must be a module (e.g. \"module.foo\"), not a module instance (e.g. \"module.foo[1]\").",
        ))
    } else if matches!(&from.resource, Some((_, Some(_)))) {
        Some((
            "Resource",
            "Resource address must be a resource (e.g. \"test_instance.foo\"), not a resource instance (e.g. \"test_instance.foo[1]\").",
        ))
    } else {
        None
    };
    if let Some((what, detail)) = keyed {
        diagnostics.push(
            Diagnostic::error(format!("{what} instance keys not allowed"), detail).at(keys_at),
        );
        return None;
    }
    Some(Removed {
        from,
        destroy,
        connection: provisioning.connection,
        provisioners: provisioning.provisioners,
        from_range,
        range,
    })
}

const IMPORT: Shape = Shape {
    attributes: &["to", "id", "identity", "for_each", "provider"],
    required: &["to"],
    blocks: &[],
};

pub(crate) fn import(block: &Block, diagnostics: &mut Diagnostics) -> Option<Import> {
    check_labels(block, &[], diagnostics).then_some(())?;
    let body = &block.body;
    let expr = |name: &str| body.attribute(name).map(|a| a.expr.clone());
    let (id, identity) = (expr("id"), expr("identity"));
    let errors_before = diagnostics.len();
    check_shape(body, &IMPORT, diagnostics);
    match (&id, &identity) {
        (None, None) => diagnostics.push(missing_argument(body, "id")),
        (Some(_), Some(_)) => diagnostics.push(
            Diagnostic::error(
                "Invalid import block",
                "Only one of the arguments \"id\" and \"identity\" can be given.",
            )
            .at(block.header_range()),
        ),
        _ => {}
    }
    if diagnostics.len() > errors_before {
        return None;
    }
    let to = body.attribute("to")?;
    let target = import_target(&to.expr);
    if !matches!(&target, Some((_, mode)) if *mode == ResourceMode::Managed) {
        if target.is_none() && !is_address_like(to.expr.node()) {
            diagnostics.push(statics::not_static(to.expr.range()));
        }
        diagnostics.push(
            Diagnostic::error(
                "Invalid import address",
                "Only managed resources can be imported.",
            )
            .at(to.range()),
        );
    }
    let provider = body.attribute("provider").and_then(|a| {
        if target.as_ref().is_some_and(|(in_module, _)| *in_module) {
            diagnostics.push(
                Diagnostic::error(
                    "Invalid import provider argument",
                    "The provider argument can only be specified in import blocks that will generate configuration.\n\nUse the providers argument within the module block to configure providers for all resources within a module, including imported resources.",
                )
                .at(a.range()),
            );
        }
        references::provider(&a.expr, "provider", diagnostics)
    });
    Some(Import {
        to: to.expr.clone(),
        id,
        identity,
        for_each: expr("for_each"),
        provider,
        range: block.header_range(),
    })
}

/// Whether the target of an import lies in a module, and its mode. Keys may be expressions.
fn import_target(expr: &Expression) -> Option<(bool, ResourceMode)> {
    let ExprKind::Traversal { root, steps } = &expr.node().kind else {
        return None;
    };
    let names = steps.iter().filter_map(|s| match &s.kind {
        StepKind::Attr(name) => Some(&**name),
        _ => None,
    });
    let mut names = std::iter::once(&*root.text).chain(names);
    let mut in_module = false;
    loop {
        match names.next()? {
            "module" => {
                in_module = true;
                names.next()?;
            }
            "data" => return Some((in_module, ResourceMode::Data)),
            "ephemeral" => return Some((in_module, ResourceMode::Ephemeral)),
            _ => {
                names.next()?;
                return Some((in_module, ResourceMode::Managed));
            }
        }
    }
}

fn is_address_like(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Traversal { .. })
}

fn endpoint(
    block: &Block,
    name: &str,
    diagnostics: &mut Diagnostics,
) -> Option<(ObjectAddress, SourceRange)> {
    let expr = &block.body.attribute(name)?.expr;
    if statics::traversal(expr.node(), expr.file()).is_none() {
        diagnostics.push(statics::not_static(expr.range()));
        return None;
    }
    match read_address(expr) {
        Ok(address) => Some((address, expr.range())),
        Err((detail, span)) => {
            let at = expr.file().range(span);
            diagnostics.push(Diagnostic::error("Invalid address", detail).at(at));
            None
        }
    }
}

/// Reads an address with literal keys, such as `module.a["k"].null_resource.b[0]`.
pub fn object_address(expr: &Expression) -> Result<ObjectAddress, String> {
    read_address(expr).map_err(|(why, _)| why)
}

/// The address, or why it is none and where.
fn read_address(expr: &Expression) -> Result<ObjectAddress, (String, Span)> {
    let ExprKind::Traversal { root, steps } = &expr.node().kind else {
        let why = "An address such as null_resource.a or module.b is required here.";
        return Err((why.into(), expr.span()));
    };
    let mut words = Words {
        first: Some(&root.text),
        steps,
        at: root.span,
    };
    let mut address = ObjectAddress {
        module: Vec::new(),
        resource: None,
    };
    while let Some(word) = words.name() {
        let mode = match &*word {
            "module" => {
                let name = words.name().ok_or_else(|| {
                    words.wrong("Prefix \"module.\" must be followed by a module name.")
                })?;
                let key = words.key()?;
                address.module.push((name, key));
                continue;
            }
            "data" => ResourceMode::Data,
            "ephemeral" => ResourceMode::Ephemeral,
            _ => ResourceMode::Managed,
        };
        let type_name = if matches!(&*word, "data" | "ephemeral" | "resource") {
            words
                .name()
                .ok_or_else(|| words.wrong("A resource type name is required."))?
        } else {
            word
        };
        let name = words.name().ok_or_else(|| {
            words.wrong("Resource specification must include a resource type and name.")
        })?;
        let key = words.key()?;
        address.resource = Some((
            addr::Resource {
                mode,
                type_name,
                name,
            },
            key,
        ));
        break;
    }
    match words.steps.first() {
        None => Ok(address),
        Some(step) => {
            let why = if address.resource.is_some() {
                "Resource instance key must be given in square brackets."
            } else {
                "A module or resource address is required here."
            };
            Err((why.into(), step.span))
        }
    }
}

/// The words and keys of a traversal, one after the other.
struct Words<'a> {
    first: Option<&'a Arc<str>>,
    steps: &'a [Step],
    /// What was read last.
    at: Span,
}

impl Words<'_> {
    fn wrong(&self, why: &str) -> (String, Span) {
        let span = self.steps.first().map_or(self.at, |s| s.span);
        (why.to_owned(), span)
    }

    fn name(&mut self) -> Option<Arc<str>> {
        if let Some(first) = self.first.take() {
            return Some(Arc::clone(first));
        }
        let (step, rest) = self.steps.split_first()?;
        let StepKind::Attr(name) = &step.kind else {
            return None;
        };
        self.steps = rest;
        self.at = step.span;
        Some(Arc::clone(name))
    }

    fn key(&mut self) -> Result<Option<InstanceKey>, (String, Span)> {
        let Some((step, rest)) = self.steps.split_first() else {
            return Ok(None);
        };
        if !matches!(step.kind, StepKind::Index(_) | StepKind::LegacyIndex(_)) {
            return Ok(None);
        }
        let key = literal_key(step)
            .as_ref()
            .and_then(instance_key)
            .ok_or_else(|| {
                let why = "An instance key must be a constant string or whole number here.";
                (why.to_owned(), step.span)
            })?;
        self.steps = rest;
        self.at = step.span;
        Ok(Some(key))
    }
}

/// The place of the first instance key in an address.
fn key_range(expr: &Expression) -> SourceRange {
    let span = match &expr.node().kind {
        ExprKind::Traversal { steps, .. } => steps
            .iter()
            .find(|s| matches!(s.kind, StepKind::Index(_) | StepKind::LegacyIndex(_)))
            .map(|s| s.span),
        _ => None,
    };
    expr.file().range(span.unwrap_or(expr.span()))
}
