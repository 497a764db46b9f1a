//! High availability: which guests are managed, where they may run, and what the manager makes of it.
//!
//! Since version 9 rules say where; groups, which did before, are refused then, as on a cluster that has migrated them.

mod groups;
mod resources;
mod rules;
mod status;

use serde_json::{Value, json};

use crate::Px;
use crate::routes::Routes;
use crate::state::State;

pub(crate) fn routes(at: &mut Routes<'_>) {
    resources::routes(at);
    rules::routes(at);
    groups::routes(at);
    status::routes(at);
}

pub(crate) use self::resources::ROUND;

/// Whether the manager starts and stops a guest: then its own methods only ask for it.
pub(crate) fn manages(state: &State, vmid: u32) -> bool {
    state.ha_disarmed.as_deref() != Some("ignore")
        && resources::of_guest(state, vmid)
            .is_some_and(|(_, section)| resources::requested(section) != "ignored")
}

/// The state of a guest's resource, as lists show it.
pub(super) fn state_of(state: &State, vmid: u32) -> Option<&'static str> {
    let (sid, section) = resources::of_guest(state, vmid)?;
    Some(status::states(state, sid, section).0)
}

/// Whether the manager has a guest among its resources, whatever it does with it.
pub(crate) fn has(state: &State, vmid: u32) -> bool {
    resources::of_guest(state, vmid).is_some()
}

/// What a guest's status says of it.
pub(crate) fn shown(state: &State, vmid: u32) -> Value {
    match resources::of_guest(state, vmid) {
        None => json!({ "managed": 0 }),
        Some((_, section)) => {
            json!({ "managed": 1, "state": resources::requested(section) })
        }
    }
}

/// Asks the manager for a state of a guest, `started` or `stopped`; it follows in its own time.
pub(crate) fn request(px: &Px, vmid: u32, wanted: &str) {
    let mut state = px.state();
    let Some(sid) = resources::of_guest(&state, vmid).map(|(sid, _)| sid.clone()) else {
        return;
    };
    let sections = state.configs.get_mut(resources::FILE);
    if let Some(section) = sections.and_then(|sections| sections.get_mut(&sid)) {
        section.set("state", wanted);
    }
    drop(state);
    resources::settle(px, sid);
}

/// Manages a guest that was just made.
pub(crate) fn add(state: &mut State, vmid: u32) {
    resources::add(state, vmid);
}

/// Forgets a guest that was destroyed with `purge`.
pub(crate) fn forget(state: &mut State, vmid: u32) {
    let sid = resources::of_guest(state, vmid).map(|(sid, _)| sid.clone());
    if let Some(sid) = sid {
        resources::remove(state, &sid);
        rules::forget(state, &sid);
    }
}
