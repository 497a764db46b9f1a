//! Plain values in, text for people or JSON for machines out.

pub(crate) mod arrange;
pub(crate) mod console;
pub(crate) mod diagnostics;
pub(crate) mod diff;
pub(crate) mod graph;
mod header;
pub(crate) mod json;
pub(crate) mod junit;
pub(crate) mod markdown;
pub(crate) mod plan;
pub(crate) mod rollout;
pub(crate) mod schema;
mod snippet;
pub(crate) mod state;
mod style;
pub(crate) mod test;
mod test_json;
pub(crate) mod text;
pub(crate) mod tree;
pub(crate) mod value;

use std::io::IsTerminal as _;
use std::sync::Arc;

use stead_engine::ResourceChange;
use stead_state::{Object, ProviderConfigRef, State};
use stead_value::addr::{InstanceKey, ModuleInstance, ResourceInstance, ResourceMode};

pub(crate) use style::Style;

/// An object of the state: its address, its key when it is deposed, and what is recorded.
pub(crate) type Recorded<'a> = (
    ResourceInstance,
    Option<&'a str>,
    &'a Object,
    &'a ProviderConfigRef,
);

/// Every object, an instance's deposed ones behind its current one, in the order in which the modules nest.
pub(crate) fn in_module_order(state: &State) -> Vec<Recorded<'_>> {
    let current = state.current_objects();
    let current = current.map(|(address, object, provider)| (address, None, object, provider));
    let deposed = state.deposed_objects();
    let deposed =
        deposed.map(|(address, key, object, provider)| (address, Some(key), object, provider));
    let mut all: Vec<Recorded<'_>> = current.chain(deposed).collect();
    let nesting = |module: &ModuleInstance| -> Vec<String> {
        let steps = module.0.iter();
        steps.map(|(name, key)| format!("{name}{key}")).collect()
    };
    all.sort_by_cached_key(|(address, key, ..)| {
        (nesting(&address.module), within_module(address), *key)
    });
    all
}

/// Changes in the order in which a plan tells them: outer modules first, data sources before resources.
pub(crate) fn in_order(changes: &[ResourceChange]) -> Vec<&ResourceChange> {
    let mut all: Vec<&ResourceChange> = changes.iter().collect();
    all.sort_by(|a, b| {
        let key = |c: &'_ ResourceChange| c.address.module.0.len();
        key(a)
            .cmp(&key(b))
            .then_with(|| a.address.module.cmp(&b.address.module))
            .then_with(|| within_module(&a.address).cmp(&within_module(&b.address)))
            .then_with(|| a.deposed.cmp(&b.deposed))
    });
    all
}

fn within_module(address: &ResourceInstance) -> (bool, Arc<str>, Arc<str>, InstanceKey) {
    let resource = &address.resource;
    (
        resource.mode != ResourceMode::Data,
        Arc::clone(&resource.type_name),
        Arc::clone(&resource.name),
        address.key.clone(),
    )
}

/// How many columns text for people may take.
pub(crate) fn width() -> usize {
    let terminal = std::io::stdout().is_terminal();
    let columns = terminal.then(|| ::console::Term::stdout().size_checked());
    columns
        .flatten()
        .map_or(text::WIDTH, |(_, columns)| usize::from(columns))
}
