//! What exists at the other side of a provider configuration, and which of it the state has.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt as _, stream};
use rustc_hash::FxHashMap;
use stead_lang::config::ProviderName;
use stead_sdk::{Context, Discovered, Provider};
use stead_state::{ProviderConfigRef, State};
use stead_value::addr::{ProviderSource, ResourceInstance};
use stead_value::{Diagnostic, Diagnostics};
use tokio_util::sync::CancellationToken;

use super::{Kind, Options, Planner};
use crate::eval::{Evaluator, NamedProvider, ROOT};
use crate::event::Event;
use crate::providers::Registry;

/// An object that exists.
#[derive(Clone, Debug)]
pub struct Existing {
    pub object: Discovered,
    /// The address under which the state has it.
    pub managed_as: Option<ResourceInstance>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Discovery {
    /// By type, in the order in which the provider lists each.
    pub found: BTreeMap<Arc<str>, Vec<Existing>>,
    /// Why a type, or a part of it, could not be listed; and what else to know.
    pub diagnostics: Diagnostics,
}

/// What is asked.
pub struct Question<'a> {
    /// The provider configuration of the root module that is asked.
    pub provider: ProviderName,
    /// Which types are of interest.
    pub wanted: &'a dyn Fn(&str) -> bool,
    /// How many types are listed at the same time.
    pub parallelism: usize,
    /// Is told of each type, and how many there are, when it is listed.
    pub listed: &'a dyn Fn(&str, usize),
}

/// Asks a provider what exists.
///
/// # Errors
/// When the provider cannot be asked at all. That a single type cannot be listed is told in [`Discovery::diagnostics`].
pub async fn discover(
    evaluator: &Evaluator<'_>,
    registry: &Registry,
    question: Question<'_>,
    prior: State,
    cancel: CancellationToken,
) -> Result<Discovery, Diagnostics> {
    let named = NamedProvider {
        name: question.provider,
        key: None,
    };
    let address = evaluator.provider_address(ROOT, named, "discovery")?;
    let factory = registry.factory_for(&address)?;
    let mut types = factory.listed_types();
    if types.is_empty() {
        return Err(lists_nothing(registry, &address.source).into());
    }
    types.retain(|type_name| (question.wanted)(type_name));
    let provider = open(evaluator, registry, &address, prior.clone(), cancel.clone()).await?;
    let mut discovery = Discovery::default();
    let managed = managed(
        registry,
        &prior,
        &address.source,
        &mut discovery.diagnostics,
    );
    let lists = types.into_iter().map(|type_name| {
        let (provider, context) = (Arc::clone(&provider), Context::new(cancel.clone()));
        async move {
            let result = provider.discover(&type_name, &context).await;
            (type_name, result)
        }
    });
    let mut lists = stream::iter(lists).buffer_unordered(question.parallelism.max(1));
    while let Some((type_name, result)) = lists.next().await {
        let objects = match result {
            Ok((objects, warnings)) => {
                discovery.diagnostics.extend(warnings);
                objects
            }
            Err(errors) => {
                discovery.diagnostics.extend(errors);
                continue;
            }
        };
        (question.listed)(&type_name, objects.len());
        let existing = objects.into_iter().map(|object| Existing {
            managed_as: managed.get(&object.key).cloned(),
            object,
        });
        discovery.found.insert(type_name, existing.collect());
    }
    Ok(discovery)
}

/// The provider of a configuration, ready to be asked.
async fn open(
    evaluator: &Evaluator<'_>,
    registry: &Registry,
    address: &ProviderConfigRef,
    prior: State,
    cancel: CancellationToken,
) -> Result<Arc<dyn Provider>, Diagnostics> {
    let observer = Arc::new(|_: Event| {});
    let options = Options::default();
    let kind = Kind::Plan;
    let mut planner = Planner::new(evaluator, registry, prior, options, observer, cancel, kind);
    planner.want_provider(address);
    planner.drain().await;
    planner.diagnostics.extend(evaluator.take_diagnostics());
    std::mem::take(&mut planner.diagnostics).into_result()?;
    match planner.pool.get(address) {
        Some(opened) if !opened.is_late() => Ok(Arc::clone(opened.provider())),
        _ => Err(Diagnostic::error(
            "Provider configuration not known",
            format!("The configuration of {address} depends on objects, so that it is known only when these are planned or made. Give it the values themselves, or ask through another configuration of the same provider."),
        )
        .into()),
    }
}

/// The objects that the state has of a provider, by what tells them apart. Those that cannot be read are told of: they will look new.
fn managed(
    registry: &Registry,
    state: &State,
    source: &ProviderSource,
    unread: &mut Diagnostics,
) -> FxHashMap<String, ResourceInstance> {
    let Ok(factory) = registry.factory(source) else {
        return FxHashMap::default();
    };
    let provider = factory.instantiate();
    let objects = state.current_objects();
    let of_source = objects.filter(|(_, _, of)| of.source == *source);
    let keyed = of_source.filter_map(|(address, object, _)| {
        let value = match crate::recorded_value(registry, &address, source, object) {
            Ok(value) => value,
            Err(errors) => {
                unread.extend(errors);
                return None;
            }
        };
        let (value, _) = value.unmark_deep();
        let key = provider.key(&address.resource.type_name, &value)?;
        Some((key, address))
    });
    keyed.collect()
}

fn lists_nothing(registry: &Registry, source: &ProviderSource) -> Diagnostic {
    let listing = registry.sources().filter(|source| {
        let factory = registry.factory(source);
        factory.is_ok_and(|factory| !factory.listed_types().is_empty())
    });
    let mut listing: Vec<String> = listing.map(ToString::to_string).collect();
    listing.sort();
    listing.dedup();
    Diagnostic::error(
        "Provider cannot list what exists",
        format!(
            "stead cannot list yet what exists at {source}. It can for: {}. Objects of other providers are imported one by one, by an \"import\" block with their id.",
            listing.join(", ")
        ),
    )
}
