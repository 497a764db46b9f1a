//! `moved`, `removed` and `import` blocks.

use std::sync::Arc;

use stead_value::addr::{self, InstanceKey, ResourceMode};
use stead_value::{Diagnostic, Diagnostics, SourceRange};

use super::content::{Shape, bool_argument, check_labels, check_shape};
use super::model::{Import, Moved, ObjectAddress, ProvisionerWhen, Removed};
use super::provisioner::Provisioning;
use super::references;
use crate::expr::{instance_key, literal_key};
use crate::syntax::{Block, ExprKind, Expression, Step, StepKind};

const MOVED: Shape = Shape {
    attributes: &["from", "to"],
    required: &["from", "to"],
    blocks: &[],
};

pub(crate) fn moved(block: &Block, diagnostics: &mut Diagnostics) -> Option<Moved> {
    check_labels(block, &[], diagnostics);
    check_shape(&block.body, &MOVED, diagnostics);
    let (from, from_range) = endpoint(block, "from", diagnostics)?;
    let (to, to_range) = endpoint(block, "to", diagnostics)?;
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
    check_labels(&block, &[], diagnostics);
    check_shape(&block.body, &REMOVED, diagnostics);
    let range = block.header_range();
    let endpoint = endpoint(&block, "from", diagnostics);
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
    let what = if from.module.iter().any(|(_, key)| key.is_some()) {
        Some("Module")
    } else {
        from.resource
            .as_ref()
            .and_then(|(_, key)| key.is_some().then_some("Resource"))
    };
    if let Some(what) = what {
        diagnostics.push(
            Diagnostic::error(
                format!("{what} instance keys not allowed"),
                "The \"from\" address of a removed block names the resource or module as a whole, without instance keys.",
            )
            .at(from_range),
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
    check_labels(block, &[], diagnostics);
    let body = &block.body;
    check_shape(body, &IMPORT, diagnostics);
    let expr = |name: &str| body.attribute(name).map(|a| a.expr.clone());
    let (id, identity) = (expr("id"), expr("identity"));
    if id.is_some() == identity.is_some() {
        diagnostics.push(
            Diagnostic::error(
                "Invalid import block",
                "An import block needs either the argument \"id\" or the argument \"identity\".",
            )
            .at(block.header_range()),
        );
        return None;
    }
    Some(Import {
        to: expr("to")?,
        id,
        identity,
        for_each: expr("for_each"),
        provider: body
            .attribute("provider")
            .and_then(|a| references::provider(&a.expr, "provider", diagnostics)),
        range: block.header_range(),
    })
}

fn endpoint(
    block: &Block,
    name: &str,
    diagnostics: &mut Diagnostics,
) -> Option<(ObjectAddress, SourceRange)> {
    let expr = &block.body.attribute(name)?.expr;
    match object_address(expr) {
        Ok(address) => Some((address, expr.range())),
        Err(detail) => {
            diagnostics.push(Diagnostic::error("Invalid address", detail).at(expr.range()));
            None
        }
    }
}

/// Reads an address with literal keys, such as `module.a["k"].null_resource.b[0]`.
pub fn object_address(expr: &Expression) -> Result<ObjectAddress, String> {
    let ExprKind::Traversal { root, steps } = &expr.node().kind else {
        return Err("An address such as null_resource.a or module.b is required here.".into());
    };
    let mut words = Words {
        first: Some(&root.text),
        steps,
    };
    let mut address = ObjectAddress {
        module: Vec::new(),
        resource: None,
    };
    while let Some(word) = words.name() {
        let mode = match &*word {
            "module" => {
                let name = words
                    .name()
                    .ok_or("The prefix \"module.\" must be followed by a module name.")?;
                let key = words.key()?;
                address.module.push((name, key));
                continue;
            }
            "data" => ResourceMode::Data,
            "ephemeral" => ResourceMode::Ephemeral,
            _ => ResourceMode::Managed,
        };
        let type_name = if matches!(&*word, "data" | "ephemeral" | "resource") {
            words.name().ok_or("A resource type is required here.")?
        } else {
            word
        };
        let name = words
            .name()
            .ok_or("A resource name is required after the resource type.")?;
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
    if words.steps.is_empty() && words.first.is_none() {
        return Ok(address);
    }
    Err("A resource or module address is required here, not an attribute of one.".into())
}

/// The words and keys of a traversal, one after the other.
struct Words<'a> {
    first: Option<&'a Arc<str>>,
    steps: &'a [Step],
}

impl Words<'_> {
    fn name(&mut self) -> Option<Arc<str>> {
        if let Some(first) = self.first.take() {
            return Some(Arc::clone(first));
        }
        let (
            Step {
                kind: StepKind::Attr(name),
                ..
            },
            rest,
        ) = self.steps.split_first()?
        else {
            return None;
        };
        self.steps = rest;
        Some(Arc::clone(name))
    }

    fn key(&mut self) -> Result<Option<InstanceKey>, String> {
        let Some((step, rest)) = self.steps.split_first() else {
            return Ok(None);
        };
        if !matches!(step.kind, StepKind::Index(_) | StepKind::LegacyIndex(_)) {
            return Ok(None);
        }
        let key = literal_key(step)
            .as_ref()
            .and_then(instance_key)
            .ok_or("An instance key must be a constant string or whole number here.")?;
        self.steps = rest;
        Ok(Some(key))
    }
}
