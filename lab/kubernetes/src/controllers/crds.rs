//! CustomResourceDefinitions: accepted names, established, served, and their end.

use serde_json::{Value, json};

use super::delete;
use crate::object::{
    at, condition_is_true, finalizers, is_deleting, map_at, now, set, set_condition, text,
};
use crate::state::{Id, State};

const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

pub(super) fn reconcile(state: &mut State, id: &Id, crd: &Value) {
    let Some(resource) = state.registry.by_key(super::CRDS) else {
        return;
    };
    if is_deleting(crd) {
        return finish(state, id, crd);
    }
    if !finalizers(crd).contains(&FINALIZER) {
        state.adjust(&resource, id, |o| {
            let all = map_at(o, &["metadata"])
                .entry("finalizers")
                .or_insert(json!([]));
            if let Some(all) = all.as_array_mut() {
                all.push(FINALIZER.into());
            }
        });
    }
    let taken = name_conflict(state, id, crd);
    let names = at(crd, &["spec", "names"]).clone();
    let established = condition_is_true(crd, "NamesAccepted") && taken.is_none();
    state.adjust(&resource, id, |o| {
        let time = now();
        match &taken {
            Some(why) => drop(set_condition(
                o,
                "NamesAccepted",
                false,
                "KindConflict",
                why,
                &time,
            )),
            None => {
                set(o, &["status", "acceptedNames"], names);
                set_condition(
                    o,
                    "NamesAccepted",
                    true,
                    "NoConflicts",
                    "no conflicts found",
                    &time,
                );
            }
        }
        // One tick after its names were accepted, as the real controller does it in a second step.
        if established {
            set_condition(
                o,
                "Established",
                true,
                "InitialNamesAccepted",
                "the initial names have been accepted",
                &time,
            );
        } else if taken.is_some()
            || at(o, &["status", "conditions"])
                .as_array()
                .is_none_or(|c| c.len() < 2)
        {
            set_condition(
                o,
                "Established",
                false,
                if taken.is_some() {
                    "NotAccepted"
                } else {
                    "Installing"
                },
                if taken.is_some() {
                    "not all names are accepted"
                } else {
                    "the initial names have been accepted"
                },
                &time,
            );
        }
    });
    if established && let Some(found) = state.get(id).cloned() {
        state.registry.serve(&found);
    }
}

fn name_conflict(state: &State, id: &Id, crd: &Value) -> Option<String> {
    let (group, kind) = (
        text(crd, &["spec", "group"]),
        text(crd, &["spec", "names", "kind"]),
    );
    let other = state.list(super::CRDS, "").find(|other| {
        crate::object::name(other) != id.name
            && text(other, &["spec", "group"]) == group
            && text(other, &["status", "acceptedNames", "kind"]) == kind
    });
    other.map(|_| format!("\"{kind}\" is already in use"))
}

/// A CRD goes after its last object.
fn finish(state: &mut State, id: &Id, crd: &Value) {
    let left: Vec<Id> = state
        .list(&id.name, "")
        .map(|o| Id::of(&id.name, o))
        .collect();
    if !left.is_empty() {
        for item in left {
            if state.get(&item).is_some_and(|o| !is_deleting(o)) {
                delete(state, &item);
            }
        }
        return;
    }
    state.registry.withdraw(&id.name);
    if finalizers(crd).contains(&FINALIZER)
        && let Some(resource) = state.registry.by_key(super::CRDS)
    {
        state.adjust(&resource, id, |o| {
            if let Some(Value::Array(all)) = o.pointer_mut("/metadata/finalizers") {
                all.retain(|f| f.as_str() != Some(FINALIZER));
            }
        });
    }
}

/// Aggregated APIs are taken as available; their servers are not simulated.
pub(super) fn api_service(state: &mut State, id: &Id) {
    if let Some(resource) = state.registry.by_key(&id.key) {
        state.adjust(&resource, id, |o| {
            set_condition(o, "Available", true, "Passed", "all checks passed", &now());
        });
    }
}
