//! What differs between two states.

use serde_json::value::RawValue;

use super::{Change, ChangeKind, Checks, Entry};
use crate::journal::Run;
use crate::model::{ResourceObjects, is_same_json};
use crate::v4::{self, OutputV4, ResourceV4};
use crate::{InstanceObjects, OutputValue, ResourceId, State};

/// An entry with nothing but what changes.
pub(super) fn of(before: &State, after: &State) -> Entry {
    let mut changes = Vec::new();
    for (id, old) in &before.resources {
        let new = after.resources.get(id);
        for (key, objects) in &old.instances {
            let now = new.and_then(|new| new.instances.get(key));
            let kind = match now {
                None => ChangeKind::Forgotten,
                Some(now) if !same(old, objects, new, now) => ChangeKind::Changed,
                Some(_) => continue,
            };
            let address = id.instance(key.clone());
            let before = v4::write_instance(&address, old.provider_of(objects), objects);
            changes.push(change(address.to_string(), kind, Some(before)));
        }
    }
    for (id, new) in &after.resources {
        let old = before.resources.get(id);
        for key in new.instances.keys() {
            if old.is_none_or(|old| !old.instances.contains_key(key)) {
                changes.push(recorded(id, key));
            }
        }
    }
    let names = before.outputs.keys().chain(after.outputs.keys());
    let outputs = names
        .filter(|name| !same_output(before.outputs.get(*name), after.outputs.get(*name)))
        .map(|name| (name.clone(), before.outputs.get(name).map(OutputV4::from)))
        .collect();
    let checks = (!same_json(
        before.check_results.as_deref(),
        after.check_results.as_deref(),
    ))
    .then(|| Checks {
        before: before.check_results.as_deref().map(ToOwned::to_owned),
    });
    Entry {
        version: 0,
        serial: 0,
        from: 0,
        lineage: String::new(),
        digest: String::new(),
        run: Run::default(),
        changes,
        outputs,
        checks,
    }
}

fn recorded(id: &ResourceId, key: &stead_value::addr::InstanceKey) -> Change {
    let address = id.instance(key.clone());
    change(address.to_string(), ChangeKind::Recorded, None)
}

fn change(address: String, kind: ChangeKind, before: Option<ResourceV4>) -> Change {
    Change {
        address,
        kind,
        before,
    }
}

/// Whether two records of an instance say the same, however they are laid out.
fn same(
    old: &ResourceObjects,
    objects: &InstanceObjects,
    new: Option<&ResourceObjects>,
    now: &InstanceObjects,
) -> bool {
    let provider = new.map(|new| new.provider_of(now));
    provider == Some(old.provider_of(objects)) && objects.says_the_same(now)
}

fn same_output(a: Option<&OutputValue>, b: Option<&OutputValue>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.says_the_same(b),
        (None, None) => true,
        _ => false,
    }
}

fn same_json(a: Option<&RawValue>, b: Option<&RawValue>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => is_same_json(a, b),
        (None, None) => true,
        _ => false,
    }
}
