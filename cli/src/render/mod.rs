//! Plain values in, text for people or JSON for machines out.

pub(crate) mod console;
pub(crate) mod diagnostics;
pub(crate) mod diff;
mod header;
pub(crate) mod json;
pub(crate) mod json_checks;
pub(crate) mod junit;
pub(crate) mod plan;
pub(crate) mod schema;
pub(crate) mod state;
mod style;
pub(crate) mod test;
mod test_json;
pub(crate) mod text;
pub(crate) mod tree;
pub(crate) mod value;

use std::io::IsTerminal as _;

use stead_state::{Object, ProviderConfigRef, State};
use stead_value::addr::ResourceInstance;

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
    all.sort_by(|(a, k, ..), (b, l, ..)| (a, *k).cmp(&(b, *l)));
    all
}

/// How many columns text for people may take.
pub(crate) fn width() -> usize {
    let terminal = std::io::stdout().is_terminal();
    let columns = terminal.then(|| console::Term::stdout().size_checked());
    columns
        .flatten()
        .map_or(text::WIDTH, |(_, columns)| usize::from(columns))
}
