//! Configuration for what import blocks bring in and nothing declares: found, read, and written as text. The plan itself is then
//! made of a configuration that has this text too, as if it had stood there before.

use std::sync::Arc;

use stead_lang::config::{Import, ProviderName, implied_provider};
use stead_lang::generate::{Detail, resource_block};
use stead_sdk::ImportBy;
use stead_state::{ProviderConfigRef, State};
use stead_value::addr::ResourceInstance;
use stead_value::{Diagnostic, Diagnostics, Value};
use tokio_util::sync::CancellationToken;

use super::{Finished, Kind, Options, Planner, imports};
use crate::eval::{Evaluator, ImportTarget, NamedProvider, Object, ROOT};
use crate::event::Observer;
use crate::providers::Registry;

/// A `resource` block for an object that is to be imported.
#[derive(Clone, Debug)]
pub struct Generated {
    pub address: ResourceInstance,
    pub by: ImportBy,
    /// Without a newline at its end.
    pub text: String,
}

/// What is under way.
pub(super) struct Generation {
    detail: Detail,
    /// Import blocks that have not been evaluated yet.
    open: usize,
    /// Objects that wait for their provider.
    waiting: Vec<(ProviderConfigRef, ImportTarget)>,
    done: Vec<Generated>,
}

/// Writes configuration for every object that an import block of the root module brings in and no resource declares. `observer` is told
/// of each object as it is read.
///
/// # Errors
/// Every problem found, beside what could be written.
pub async fn generate(
    evaluator: &Evaluator<'_>,
    registry: &Registry,
    prior: State,
    options: Options,
    detail: Detail,
    observer: Arc<dyn Observer>,
    cancel: CancellationToken,
) -> (Vec<Generated>, Diagnostics) {
    let kind = Kind::Plan;
    let mut planner = Planner::new(evaluator, registry, prior, options, observer, cancel, kind);
    planner.generation = Some(Generation {
        detail,
        open: 0,
        waiting: Vec::new(),
        done: Vec::new(),
    });
    planner.want_imports();
    planner.drain().await;
    let is_open = |g: &Generation| g.open > 0 || !g.waiting.is_empty();
    if planner.generation.as_ref().is_some_and(is_open) && !planner.diagnostics.has_errors() {
        // An id or a provider depends on objects: these have to be planned.
        planner.walk().await;
    }
    planner.close_ephemerals().await;
    let mut found: Vec<Generated> = planner
        .generation
        .take()
        .map(|generation| generation.done)
        .unwrap_or_default();
    found.sort_by(|a, b| a.address.cmp(&b.address));
    let mut diagnostics = planner.diagnostics;
    diagnostics.extend(evaluator.take_diagnostics());
    (found, diagnostics)
}

impl Planner<'_, '_> {
    /// An import block without a resource will be evaluated for its text.
    pub(super) fn expect_generation(&mut self) {
        if let Some(generation) = &mut self.generation {
            generation.open += 1;
        }
    }

    /// The object of an import block is known: it is read as soon as its provider is open.
    pub(super) fn want_generated(&mut self, import: &Import, target: ImportTarget) {
        let name = match &import.provider {
            Some(given) => given.name.clone(),
            None => ProviderName {
                local: implied_provider(&target.to.resource.type_name).into(),
                alias: None,
            },
        };
        if let Some(key) = import.provider.as_ref().and_then(|p| p.key.as_ref()) {
            return self.diagnostics.push(
                Diagnostic::error(
                    "Configuration not generated",
                    format!("Configuration for an object of a provider instance is not generated yet. Write the resource {} with its provider argument.", target.to),
                )
                .at(key.range()),
            );
        }
        let named = NamedProvider { name, key: None };
        let found = self
            .evaluator
            .provider_address(ROOT, named, &target.to.to_string());
        let provider = match found {
            Ok(provider) => provider,
            Err(diagnostics) => return self.diagnostics.extend(diagnostics),
        };
        if let Some(generation) = &mut self.generation {
            generation.open = generation.open.saturating_sub(1);
            generation.waiting.push((provider.clone(), target));
        }
        self.want_provider(&provider);
        let id = self.evaluator.id(Object::Provider(provider.clone()));
        if self.evaluator.known(id).is_some() {
            self.generate_with(&provider);
        }
    }

    /// The provider is there: what waited for it is read.
    pub(super) fn generate_with(&mut self, provider: &ProviderConfigRef) {
        let Some(generation) = &mut self.generation else {
            return;
        };
        let Some(opened) = self.pool.get(provider).cloned() else {
            return;
        };
        let waiting = std::mem::take(&mut generation.waiting);
        let (ready, waiting): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|(other, _)| other == provider);
        generation.waiting = waiting;
        for (provider, target) in ready {
            if opened.is_late() {
                self.diagnostics
                    .push(imports::provider_not_known(&target, &provider));
                continue;
            }
            let context = self.context(&target.to);
            let (opened, observer) = (opened.clone(), Arc::clone(&self.observer));
            self.jobs.push_back(Box::pin(async move {
                let result =
                    imports::import(&**opened.provider(), &target, &*observer, &context).await;
                Finished::Generated {
                    provider,
                    target,
                    result: result.map(|found| found.value),
                }
            }));
        }
    }

    pub(super) fn take_generated(
        &mut self,
        provider: ProviderConfigRef,
        target: ImportTarget,
        result: Result<Value, Diagnostics>,
    ) {
        let Some(generation) = &mut self.generation else {
            return;
        };
        let resource = &target.to.resource;
        let schema =
            self.registry
                .resource_schema(&provider.source, resource.mode, &resource.type_name);
        let text = match (result, schema) {
            (Ok(value), Ok(schema)) => {
                let local = self.evaluator.config(ROOT).local_name(&provider.source);
                let implied = *local == *implied_provider(&resource.type_name);
                let named = match &provider.alias {
                    Some(alias) => Some(format!("{local}.{alias}")),
                    None => (!implied).then(|| local.to_string()),
                };
                resource_block(
                    &resource.type_name,
                    &resource.name,
                    named.as_deref(),
                    &schema.block,
                    &value,
                    generation.detail,
                )
            }
            (Err(errors), _) => return self.diagnostics.extend(errors),
            (_, Err(diagnostic)) => return self.diagnostics.push(diagnostic),
        };
        generation.done.push(Generated {
            address: target.to,
            by: target.by,
            text,
        });
    }

    /// Why no configuration can be written for a target that nothing declares, if none can.
    pub(super) fn cannot_generate(
        import: &Import,
        resource: &stead_value::addr::ConfigResource,
        keyed: bool,
    ) -> Option<Diagnostic> {
        let detail = if !resource.module.0.is_empty() {
            format!(
                "Resource {resource} not found. Only resources within the root module are eligible for config generation."
            )
        } else if keyed || import.for_each.is_some() {
            "The given import block is not compatible with config generation. The -generate-config-out option cannot be used with import blocks which use for_each, or resources which use for_each or count.".to_owned()
        } else {
            return None;
        };
        Some(
            Diagnostic::error("Configuration for import target does not exist", detail)
                .at(import.to.range()),
        )
    }
}
