//! Provisioners: what their blocks say while planning, and running them while applying.

use std::sync::Arc;

use stead_lang::config::{Connection, Provisioner as Block, ProvisionerFailure};
use stead_lang::decode::{Decoded, SourceMap, decode};
use stead_lang::expr::Scope;
use stead_lang::syntax::Body;
use stead_sdk::{Context, ProvisionOutput, Provisioner, Provisioning};
use stead_value::addr::ResourceInstance;
use stead_value::{Diagnostics, Marks, Value};

use crate::event::{Event, Observer};
use crate::plan::locate;
use crate::providers::Registry;

/// One provisioner of one object, evaluated.
pub(crate) struct Step {
    kind: Arc<str>,
    runner: Arc<dyn Provisioner>,
    config: Value,
    connection: Value,
    /// Stands for everything that the provisioner says, when it was given something that must not be seen.
    instead: Option<&'static str>,
    on_failure: ProvisionerFailure,
    ranges: SourceMap,
}

/// What the blocks of one provisioner say: its own arguments, and its connection.
struct Said {
    config: Decoded,
    connection: Option<Decoded>,
}

fn read(
    registry: &Registry,
    runner: &dyn Provisioner,
    base: Option<&Connection>,
    block: &Block,
    scope: &dyn Scope,
) -> Said {
    let config = decode(&block.body, runner.schema(), scope);
    let connection = merged(base, block.connection.as_ref())
        .map(|body| decode(&body, registry.connection(), scope));
    Said { config, connection }
}

/// The resource's connection with the provisioner's own arguments in the place of those of the same name.
fn merged(base: Option<&Connection>, own: Option<&Connection>) -> Option<Arc<Body>> {
    match (base, own) {
        (Some(base), Some(own)) => {
            let mut body = (*own.body).clone();
            for (name, attribute) in &base.body.attributes {
                if !body.attributes.contains_key(name) {
                    body.attributes.insert(Arc::clone(name), attribute.clone());
                }
            }
            Some(Arc::new(body))
        }
        (one, other) => one.or(other).map(|c| Arc::clone(&c.body)),
    }
}

/// Checks what provisioners say as far as it is known. What is missing makes the evaluation around it wait.
pub(crate) fn check(
    registry: &Registry,
    base: Option<&Connection>,
    blocks: &[Block],
    scope: &dyn Scope,
    address: &str,
) -> Diagnostics {
    let mut found = Diagnostics::new();
    for block in blocks {
        let runner = match registry.provisioner(&block.kind) {
            Ok(runner) => runner,
            Err(diagnostic) => {
                found.push(diagnostic.address(address));
                break;
            }
        };
        let Said { config, connection } = read(registry, &**runner, base, block, scope);
        if config.is_settled() {
            let (plain, _) = config.value.unmark_deep();
            // What the provisioner says without an attribute has no place, as in Terraform.
            let (placed, whole): (Vec<_>, Vec<_>) = runner
                .validate(&plain)
                .into_iter()
                .partition(|d| d.attribute.is_some());
            found.extend(locate(
                placed.into_iter().collect(),
                &config.ranges,
                address,
            ));
            found.extend(whole.into_iter().map(|d| d.address(address)));
        }
        found.extend(config.diagnostics);
        found.extend(connection.into_iter().flat_map(|c| c.diagnostics));
        // One that is wrong stops the others from being looked at.
        if found.has_errors() {
            break;
        }
    }
    found
}

impl Step {
    /// Evaluates one provisioner.
    ///
    /// # Errors
    /// What is wrong with its configuration or connection.
    pub(crate) fn evaluate(
        registry: &Registry,
        base: Option<&Connection>,
        block: &Block,
        scope: &dyn Scope,
    ) -> Result<Step, Diagnostics> {
        let runner = registry.provisioner(&block.kind)?;
        let Said { config, connection } = read(registry, &**runner, base, block, scope);
        config.diagnostics.into_result()?;
        let ranges = config.ranges;
        let (config, marks) = config.value.unmark_deep();
        let connection = match connection {
            Some(decoded) => {
                decoded.diagnostics.into_result()?;
                decoded.value.unmark_deep().0
            }
            None => Value::null(registry.connection().value_type()),
        };
        if !config.is_wholly_known() || !connection.is_wholly_known() {
            return Err(stead_value::Diagnostic::error(
                "Provisioner cannot be configured",
                format!("The configuration of the provisioner \"{}\" holds values that are still unknown.", block.kind),
            )
            .at(block.range.clone())
            .into());
        }
        let hidden = |mark| marks.contains(mark);
        let instead = match (hidden(Marks::SENSITIVE), hidden(Marks::EPHEMERAL)) {
            (true, true) => Some("(output suppressed due to sensitive, ephemeral value in config)"),
            (true, false) => Some("(output suppressed due to sensitive value in config)"),
            (false, true) => Some("(output suppressed due to ephemeral value in config)"),
            (false, false) => None,
        };
        Ok(Step {
            kind: Arc::clone(&block.kind),
            runner: Arc::clone(runner),
            config,
            connection,
            instead,
            on_failure: block.on_failure,
            ranges,
        })
    }

    /// Runs it once as a health check: its output is part of the errors only, and it is no event.
    ///
    /// # Errors
    /// What it says when it does not succeed.
    pub(crate) async fn probe(&self, context: &Context) -> Result<(), Diagnostics> {
        let request = Provisioning {
            config: self.config.clone(),
            connection: self.connection.clone(),
            output: ProvisionOutput::new(|_| {}),
        };
        match self.runner.provision(request, context).await {
            Ok(()) => Ok(()),
            Err(errors) => Err(match self.instead {
                // What it was given may stand in what it says.
                Some(instead) => stead_value::Diagnostic::error("Health check", instead).into(),
                None => errors,
            }),
        }
    }

    async fn run(
        self,
        address: &ResourceInstance,
        observer: &Arc<dyn Observer>,
        context: &Context,
    ) -> Result<(), Diagnostics> {
        observer.event(Event::ProvisionStart {
            address: address.clone(),
            provisioner: Arc::clone(&self.kind),
        });
        let request = Provisioning {
            config: self.config,
            connection: self.connection,
            output: output(address, &self.kind, self.instead, observer),
        };
        let result = self.runner.provision(request, context).await;
        let (address_, provisioner) = (address.clone(), Arc::clone(&self.kind));
        observer.event(match &result {
            Ok(()) => Event::ProvisionDone {
                address: address_,
                provisioner,
            },
            Err(_) => Event::ProvisionFailed {
                address: address_,
                provisioner,
            },
        });
        match (result, self.on_failure) {
            (Err(errors), ProvisionerFailure::Fail) => {
                Err(locate(errors, &self.ranges, &address.to_string()).collect())
            }
            _ => Ok(()),
        }
    }
}

fn output(
    address: &ResourceInstance,
    kind: &Arc<str>,
    instead: Option<&'static str>,
    observer: &Arc<dyn Observer>,
) -> ProvisionOutput {
    let (address, kind, observer) = (address.clone(), Arc::clone(kind), Arc::clone(observer));
    ProvisionOutput::new(move |text| {
        observer.event(Event::ProvisionOutput {
            address: address.clone(),
            provisioner: Arc::clone(&kind),
            text: instead.unwrap_or(text).to_owned(),
        });
    })
}

/// Runs provisioners one after the other, up to the first that fails.
///
/// # Errors
/// Why the object is not provisioned.
pub(crate) async fn run(
    steps: Vec<Result<Step, Diagnostics>>,
    address: &ResourceInstance,
    observer: &Arc<dyn Observer>,
    context: &Context,
) -> Result<(), Diagnostics> {
    for step in steps {
        step?.run(address, observer, context).await?;
    }
    Ok(())
}
