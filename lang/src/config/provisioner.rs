//! `provisioner` and `connection` blocks.

use std::sync::Arc;

use stead_value::{Diagnostic, Diagnostics};

use super::content::{check_labels, place};
use super::model::{Connection, Provisioner, ProvisionerFailure, ProvisionerWhen};
use super::statics::keyword_or_quoted;
use crate::expr::first_names;
use crate::syntax::{Block, Body};

/// Provisioners of old that no release has any more.
const REMOVED: [&str; 4] = ["chef", "habitat", "puppet", "salt-masterless"];

/// The provisioners of one object, with the connection that they share.
#[derive(Default)]
pub(crate) struct Provisioning {
    pub(crate) connection: Option<Connection>,
    pub(crate) provisioners: Vec<Provisioner>,
}

impl Provisioning {
    /// Takes a `connection` block; `owner` is what a second one is told.
    pub(crate) fn connection(&mut self, block: Block, owner: &str, diagnostics: &mut Diagnostics) {
        if check_labels(&block, &[], diagnostics) {
            read_connection(&mut self.connection, block, owner, diagnostics);
        }
    }

    /// Takes a `provisioner` block.
    pub(crate) fn provisioner(&mut self, block: Block, diagnostics: &mut Diagnostics) {
        self.provisioners.extend(read(block, diagnostics));
    }

    /// A connection that serves a destroy-time provisioner may refer to no other objects either.
    pub(crate) fn check(&self, diagnostics: &mut Diagnostics) {
        let destroys = self
            .provisioners
            .iter()
            .any(|p| p.when == ProvisionerWhen::Destroy);
        if let (Some(connection), true) = (&self.connection, destroys) {
            only_self(&connection.body, diagnostics);
        }
    }
}

fn read_connection(
    connection: &mut Option<Connection>,
    block: Block,
    owner: &str,
    diagnostics: &mut Diagnostics,
) {
    let range = block.header_range();
    if let Some(first) = connection {
        diagnostics.push(
            Diagnostic::error(
                "Duplicate connection block",
                format!(
                    "This {owner} already has a connection block at {}.",
                    place(&first.range)
                ),
            )
            .at(range),
        );
        return;
    }
    *connection = Some(Connection {
        body: Arc::new(block.body),
        range,
    });
}

/// Reads a `provisioner` block, or another that says the same.
pub(super) fn read(block: Block, diagnostics: &mut Diagnostics) -> Option<Provisioner> {
    check_labels(&block, &["type"], diagnostics).then_some(())?;
    let range = block.header_range();
    let kind = Arc::clone(&block.labels.first()?.text);
    if REMOVED.contains(&&*kind) {
        diagnostics.push(
            Diagnostic::error(
                format!("The \"{kind}\" provisioner has been removed"),
                format!("The \"{kind}\" provisioner was deprecated in Terraform 0.13.4 has been removed from Terraform. Visit https://learn.hashicorp.com/collections/terraform/provision for alternatives to using provisioners that are a better fit for the Terraform workflow."),
            )
            .at(block.labels.first().map_or(range, |l| block.body.range(l.span))),
        );
        return None;
    }
    let mut body = block.body;
    let when = body.attributes.shift_remove("when").map_or(ProvisionerWhen::Create, |a| {
        match keyword_or_quoted(&a.expr, diagnostics).as_deref() {
            Some("create") => ProvisionerWhen::Create,
            Some("destroy") => ProvisionerWhen::Destroy,
            _ => {
                diagnostics.push(
                    Diagnostic::error(
                        "Invalid \"when\" keyword",
                        "The \"when\" argument requires one of the following keywords: create or destroy.",
                    )
                    .at(a.expr.range()),
                );
                ProvisionerWhen::Create
            }
        }
    });
    let on_failure = body.attributes.shift_remove("on_failure").map_or(ProvisionerFailure::Fail, |a| {
        match keyword_or_quoted(&a.expr, diagnostics).as_deref() {
            Some("continue") => ProvisionerFailure::Continue,
            Some("fail") => ProvisionerFailure::Fail,
            _ => {
                diagnostics.push(
                    Diagnostic::error(
                        "Invalid \"on_failure\" keyword",
                        "The \"on_failure\" argument requires one of the following keywords: continue or fail.",
                    )
                    .at(a.expr.range()),
                );
                ProvisionerFailure::Fail
            }
        }
    });
    if when == ProvisionerWhen::Destroy {
        only_self(&body, diagnostics);
    }
    let mut connection = None;
    let mut escape: Option<Block> = None;
    for inner in std::mem::take(&mut body.blocks) {
        match &*inner.kind {
            "connection" => {
                if when == ProvisionerWhen::Destroy && connection.is_none() {
                    only_self(&inner.body, diagnostics);
                }
                read_connection(&mut connection, inner, "provisioner", diagnostics);
            }
            "_" => super::resource::take_escape(&mut escape, inner, "provisioner", diagnostics),
            "lifecycle" => diagnostics.push(
                Diagnostic::error(
                    "Reserved block type name in provisioner block",
                    format!("The block type name \"{}\" is reserved for use by Terraform in a future version.", inner.kind),
                )
                .at(inner.body.range(inner.kind_span)),
            ),
            _ => body.blocks.push(inner),
        }
    }
    if let Some(escape) = escape {
        super::resource::merge_escape(&mut body, escape);
    }
    Some(Provisioner {
        kind,
        when,
        on_failure,
        body: Arc::new(body),
        connection,
        range,
    })
}

/// What runs while an object is destroyed may look only at that object: others may be gone.
fn only_self(body: &Body, diagnostics: &mut Diagnostics) {
    for attribute in body.attributes.values() {
        for (root, step) in first_names(&attribute.expr) {
            let allowed = match (&*root, step.as_deref()) {
                ("self" | "path" | "terraform" | "tofu", _) => true,
                ("count", step) => step == Some("index"),
                ("each", step) => step == Some("key"),
                _ => false,
            };
            if !allowed {
                diagnostics.push(
                    Diagnostic::error(
                        "Invalid reference from destroy provisioner",
                        "Destroy-time provisioners and their connection configurations may only reference attributes of the related resource, via 'self', 'count.index', or 'each.key'.\n\nReferences to other resources during the destroy phase can cause dependency cycles and interact poorly with create_before_destroy.",
                    )
                    .at(attribute.expr.range()),
                );
            }
        }
    }
}
