//! `import`: objects that exist and come under an address in the same run.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use stead_lang::config::{Import, implied_provider};
use stead_sdk::{Found, ImportBy, Provider, ReadResponse, describe_identity};
use stead_state::{ObjectStatus, ProviderConfigRef, State};
use stead_value::addr::{ConfigResource, ProviderSource, ResourceInstance};
use stead_value::schema::Identity;
use stead_value::{Diagnostic, Diagnostics, Marks, SourceRange, Value};
use tokio_util::sync::CancellationToken;

use super::generation::Generated;
use super::instance::{Prepared, display_id};
use super::refresh::Prior;
use super::{Finished, Kind, Options, Planner};
use crate::eval::{
    Evaluator, ImportTarget, Object, ObjectId, Outcome, ROOT, has_key, import_resource,
};
use crate::event::{Event, Observer};
use crate::providers::Registry;
use crate::{Importing, PlanMode, identity, object};

/// Takes one existing object under an address (`stead import`), and refreshes what is recorded already. Nothing is planned.
///
/// # Errors
/// Every problem found; then the state stays as it was.
pub async fn import_object(
    evaluator: &Evaluator<'_>,
    registry: &Registry,
    prior: State,
    target: ImportTarget,
    parallelism: usize,
    observer: Arc<dyn Observer>,
    cancel: CancellationToken,
) -> Result<(State, Diagnostics), Diagnostics> {
    let address = target.to.clone();
    if prior.current(&address).is_some() {
        return Err(Diagnostic::error(
            "Resource already managed by stead",
            format!("stead is already managing a remote object for {address}. To import to this address you must first remove the existing object from the state."),
        )
        .into());
    }
    let options = Options {
        mode: PlanMode::RefreshOnly,
        parallelism,
        ..Options::default()
    };
    let mut planner = Planner::new(
        evaluator,
        registry,
        prior,
        options,
        observer,
        cancel,
        Kind::Plan,
    );
    planner.move_objects();
    planner.imports.wanted.insert(address.clone(), target);
    planner.walk().await;
    if !planner.desired.contains(&address) && !planner.diagnostics.has_errors() {
        planner.diagnostics.push(Diagnostic::error(
            "Configuration for import target does not exist",
            format!("The configuration for the given import {address} does not exist. All target instances must have an associated configuration to be imported."),
        ));
    }
    planner.diagnostics.extend(evaluator.take_diagnostics());
    let warnings = std::mem::take(&mut planner.diagnostics).into_result()?;
    planner.record_outputs()?;
    Ok((planner.state, warnings))
}

/// The import blocks of the root module.
#[derive(Default)]
pub(super) struct Imports {
    /// Which blocks are about a resource.
    by_resource: HashMap<ConfigResource, Vec<u32>>,
    /// What the blocks that have been evaluated want.
    wanted: HashMap<ResourceInstance, ImportTarget>,
    /// What has been imported, and by what.
    done: HashMap<ResourceInstance, ImportBy>,
    /// What configuration was written for before the plan.
    generated: HashMap<ResourceInstance, String>,
}

impl Imports {
    pub(super) fn of_generated(generated: &[Generated]) -> Imports {
        let texts = generated.iter();
        Imports {
            generated: texts.map(|g| (g.address.clone(), g.text.clone())).collect(),
            ..Imports::default()
        }
    }

    /// How an object came to be managed, if this plan imports it.
    pub(super) fn importing(&self, address: &ResourceInstance) -> Option<Importing> {
        Some(Importing {
            by: self.done.get(address)?.clone(),
            generated_config: self.generated.get(address).cloned(),
        })
    }
}

impl Planner<'_, '_> {
    /// Reads the blocks, refuses what cannot be, and asks for the evaluation of the rest.
    pub(super) fn want_imports(&mut self) {
        let tree = self.evaluator.tree();
        for node in tree
            .nodes()
            .into_iter()
            .filter(|node| !node.path.0.is_empty())
        {
            for import in &node.module.imports {
                self.diagnostics.push(
                    Diagnostic::error("Invalid import configuration", "An import block was detected in a module that is called by another. Import blocks are only allowed in the root module.")
                        .at(import.range.clone()),
                );
            }
        }
        for (index, import) in (0..).zip(&self.evaluator.config(ROOT).imports) {
            let resource = import_resource(import);
            if let (Some(identity), Some(resource)) = (&import.identity, &resource)
                && let Some((source, None)) = self.identity_schema(import, resource)
            {
                let type_name = &resource.resource.type_name;
                self.diagnostics.push(
                    Diagnostic::error(
                        "Unable to determine identity schema for import identity",
                        format!("The provider \"{source}\" gives objects of the type \"{type_name}\" no identity, which is required to import {resource} by one. Give the object's \"id\" in place of \"identity\"; the page of the type says what it is."),
                    )
                    .at(identity.range()),
                );
                continue;
            }
            let declared = self.is_declared_import(import);
            let keyed = has_key(import);
            match resource {
                Some(resource) if declared => self
                    .imports
                    .by_resource
                    .entry(resource)
                    .or_default()
                    .push(index),
                Some(resource) => {
                    let refusal = Self::cannot_generate(import, &resource, keyed);
                    let refusal = refusal.or_else(|| self.undeclared(import, &resource));
                    if let Some(diagnostic) = refusal {
                        self.diagnostics.push(diagnostic);
                        continue;
                    }
                    if self.kind == Kind::Validate {
                        continue;
                    }
                    self.expect_generation();
                }
                // The evaluation says what is wrong with the address.
                None => {}
            }
            self.push(Object::Import(index));
        }
    }

    /// The provider of what an import block is about, and the identities that it gives the type. `None` without such a type, which
    /// the resource says.
    fn identity_schema(
        &self,
        import: &Import,
        resource: &ConfigResource,
    ) -> Option<(ProviderSource, Option<&Identity>)> {
        let node = self.evaluator.tree().get(&resource.module)?;
        let type_name = &resource.resource.type_name;
        let local = match (
            node.module.resources.get(&resource.resource),
            &import.provider,
        ) {
            (Some(declared), _) => declared.provider_name().local,
            (None, Some(given)) => given.name.local.clone(),
            (None, None) => implied_provider(type_name).into(),
        };
        let source = node.module.provider_source(&local);
        let schema = self
            .registry
            .resource_schema(&source, resource.resource.mode, type_name)
            .ok()?;
        Some((source, schema.identity.as_ref()))
    }

    /// Without a resource there is nothing to plan; a plan may be asked to write the configuration that is missing.
    fn undeclared(&self, import: &Import, resource: &ConfigResource) -> Option<Diagnostic> {
        if self.kind == Kind::Validate || self.generation.is_some() {
            return None;
        }
        let detail = format!(
            "The configuration for the given import target {resource} does not exist. If you wish to automatically generate config for this resource, use the -generate-config-out option within stead plan. Otherwise, make sure the target resource exists within your configuration. For example:\n\n  stead plan -generate-config-out=generated.tf"
        );
        Some(
            Diagnostic::error("Configuration for import target does not exist", detail)
                .at(import.to.range()),
        )
    }

    pub(super) fn wants_import(&self, address: &ResourceInstance) -> bool {
        self.imports.wanted.contains_key(address)
    }

    /// The root outputs as they are now; what is not known stays null.
    fn record_outputs(&mut self) -> Result<(), Diagnostic> {
        let config = self.evaluator.config(ROOT);
        for (name, output) in config.outputs.iter().filter(|(_, o)| !o.ephemeral) {
            let object = Object::Output(ROOT, Arc::clone(name));
            if let Outcome::Value(value) = self.evaluator.demand(object) {
                let value = object::unknown_as_null(&value);
                let recorded = crate::outputs::encode(&value, output.sensitive)?;
                self.state.outputs.insert(name.to_string(), recorded);
            }
        }
        Ok(())
    }

    /// What an instance has to wait for before it is known whether it is imported.
    pub(super) fn demand_imports(&self, address: &ResourceInstance) {
        for index in self
            .imports
            .by_resource
            .get(&address.config())
            .into_iter()
            .flatten()
        {
            self.evaluator.demand(Object::Import(*index));
        }
    }

    pub(super) fn evaluate_import(&mut self, id: ObjectId, index: u32) {
        let Some(import) = self.evaluator.config(ROOT).imports.get(index as usize) else {
            return;
        };
        let identity =
            import_resource(import).and_then(|resource| self.identity_schema(import, &resource)?.1);
        let Some(attempt) = self
            .evaluator
            .run(id, || self.evaluator.import_targets(import, identity))
        else {
            return;
        };
        let (targets, mut diagnostics) = attempt.value;
        if self.generation.is_some() && !self.is_declared_import(import) {
            self.diagnostics.extend(diagnostics);
            for target in targets {
                self.want_generated(import, target);
            }
            return self.publish(id, Value::bool(true));
        }
        for target in targets {
            if let Some(other) = self
                .imports
                .wanted
                .insert(target.to.clone(), target.clone())
            {
                diagnostics.push(
                    Diagnostic::error("Duplicate import configuration", format!("An import block for {} stands at {} already. A resource can have only one import block.", target.to, place(&other.range)))
                        .at_place(target.range),
                );
            }
        }
        let failed = attempt.failed || diagnostics.has_errors();
        self.diagnostics.extend(diagnostics);
        if failed {
            self.publish_failed(id);
        } else {
            self.publish(id, Value::bool(true));
        }
    }

    fn is_declared_import(&self, import: &Import) -> bool {
        let tree = self.evaluator.tree();
        import_resource(import).is_some_and(|resource| {
            tree.get(&resource.module)
                .is_some_and(|node| node.module.resources.contains_key(&resource.resource))
        })
    }

    /// After the walk: every target must be an instance that is wanted.
    pub(super) fn check_imports(&mut self) {
        let missing = self
            .imports
            .wanted
            .values()
            .filter(|target| !self.desired.contains(&target.to));
        let mut found: Vec<Diagnostic> = missing
            .map(|target| {
                Diagnostic::error("Configuration for import target does not exist", format!("The configuration for the given import {} does not exist. All target instances must have an associated configuration to be imported.", target.to))
            })
            .collect();
        found.sort_by(|a, b| a.detail.cmp(&b.detail));
        self.diagnostics.extend(found);
    }

    /// Starts the import that an instance waits for, if there is one; gives the instance back otherwise.
    pub(super) fn start_import(&mut self, prepared: Box<Prepared>) -> Option<Box<Prepared>> {
        let Some(target) = self.imports.wanted.get(&prepared.address).cloned() else {
            return Some(prepared);
        };
        let Some(opened) = self.pool.get(&prepared.provider).cloned() else {
            self.publish_failed(prepared.id);
            return None;
        };
        if opened.is_late() {
            self.diagnostics
                .push(provider_not_known(&target, &prepared.provider));
            self.publish_failed(prepared.id);
            return None;
        }
        let context = self.context(&prepared.address);
        self.observer.event(Event::Import {
            address: target.to.clone(),
            by: target.by.clone(),
        });
        let observer = Arc::clone(&self.observer);
        self.jobs.push_back(Box::pin(async move {
            let result = import(&**opened.provider(), &target, &*observer, &context).await;
            Finished::Imported {
                prepared,
                target,
                result,
            }
        }));
        None
    }

    pub(super) fn take_imported(
        &mut self,
        prepared: Box<Prepared>,
        target: ImportTarget,
        result: Result<ReadResponse, Diagnostics>,
    ) {
        let address = prepared.address.to_string();
        let placed = |diagnostics: Diagnostics| {
            diagnostics
                .into_iter()
                .map(|mut d| {
                    d.subject = d.subject.or_else(|| target.range.clone());
                    if d.address.is_none() {
                        d.address(address.clone())
                    } else {
                        d
                    }
                })
                .collect::<Vec<_>>()
        };
        let (value, private, identity) = match result {
            Ok(found) => {
                self.diagnostics.extend(placed(found.warnings));
                (found.value, found.private, found.identity)
            }
            Err(errors) => {
                self.diagnostics.extend(placed(errors));
                return self.publish_failed(prepared.id);
            }
        };
        let encoded = self.schema_of(&prepared).and_then(|schema| {
            let by_schema = object::sensitive_by_schema(&schema.block, &value);
            let value = value.apply_marks(&by_schema, Marks::SENSITIVE);
            identity::check(&prepared.address, schema, None, identity.as_ref())?;
            let found = Found {
                value: value.clone(),
                private: private.clone(),
                identity: identity.clone(),
            };
            let object = object::encode(found, schema, ObjectStatus::Ready, Vec::new(), false)?;
            Ok((object, value))
        });
        match encoded {
            Ok((object, value)) => {
                self.state
                    .set_current(&prepared.address, &prepared.provider, Some(object));
                let by = match (target.by, &identity) {
                    (ImportBy::Identity(_), Some(whole)) => ImportBy::Identity(whole.clone()),
                    (given, _) => given,
                };
                let prior = Prior {
                    value,
                    private,
                    identity,
                    tainted: false,
                    create_before_destroy: false,
                };
                self.refreshed.insert(prepared.address.clone(), prior);
                self.imports.done.insert(prepared.address.clone(), by);
                self.plan_prepared(prepared);
            }
            Err(diagnostic) => {
                self.diagnostics.push(diagnostic.address(address));
                self.publish_failed(prepared.id);
            }
        }
    }
}

fn place(range: &Option<SourceRange>) -> String {
    range
        .as_ref()
        .map_or_else(String::new, |r| format!("{}:{}", r.file, r.start.line))
}

pub(super) fn provider_not_known(
    target: &ImportTarget,
    provider: &ProviderConfigRef,
) -> Diagnostic {
    Diagnostic::error("Provider configuration not known", format!("{} cannot be imported, because the configuration of {provider} depends on values that are only known after an apply.", target.to))
        .at_place(target.range.clone())
}

/// Finds the object and reads it whole, its identity included.
pub(super) async fn import(
    provider: &dyn Provider,
    target: &ImportTarget,
    observer: &dyn Observer,
    context: &stead_sdk::Context,
) -> Result<ReadResponse, Diagnostics> {
    let type_name = &target.to.resource.type_name;
    let imported = provider.import(type_name, &target.by, context).await?;
    let identity = match &target.by {
        ImportBy::Identity(given) => imported.identity.or_else(|| Some(given.clone())),
        ImportBy::Id(_) => imported.identity,
    };
    let started = Instant::now();
    let address = || target.to.clone();
    observer.event(Event::RefreshStart {
        address: address(),
        id: display_id(&imported.value),
    });
    let read = provider
        .read(type_name, imported.value, imported.private, context)
        .await?;
    observer.event(Event::RefreshDone {
        address: address(),
        id: read.as_ref().and_then(|found| display_id(&found.value)),
        elapsed: started.elapsed(),
    });
    match read {
        Some(found) => Ok(ReadResponse {
            identity: found.identity.or(identity),
            ..found
        }),
        None => {
            let named = match &target.by {
                ImportBy::Id(id) => format!("id \"{id}\""),
                ImportBy::Identity(given) => format!("identity {}", describe_identity(given)),
            };
            Err(Diagnostic::error(
                "Cannot import non-existent remote object",
                format!("While attempting to import an existing object to \"{}\", the provider found that no object exists with the {named}.", target.to),
            )
            .into())
        }
    }
}
