//! Garbage collection: dependents of what is gone, and the finalizers of foreground and orphaning deletions.

use serde_json::Value;

use super::{delete, owner_id};
use crate::object::{at, finalizers, is_deleting, list, text, uid};
use crate::state::{Id, State};

/// Deletes what only a deleted object owned.
pub(super) fn owner_gone(state: &mut State, gone: &Value) {
    for id in state.dependents(uid(gone)) {
        collect(state, &id);
    }
}

/// Deletes an object none of whose owners is there; otherwise takes the missing ones off.
fn collect(state: &mut State, id: &Id) {
    let Some(object) = state.get(id).cloned() else {
        return;
    };
    let owners = list(&object, &["metadata", "ownerReferences"]);
    let is_there = |owner: &Value| {
        let found = owner_id(state, owner, &id.namespace).and_then(|o| state.get(&o).cloned());
        found.is_some_and(|o| uid(&o) == text(owner, &["uid"]))
    };
    let present: Vec<Value> = owners.iter().filter(|o| is_there(o)).cloned().collect();
    if owners.is_empty() || present.len() == owners.len() {
        return;
    }
    if present.is_empty() {
        delete(state, id);
    } else if let Some(resource) = state.registry.by_key(&id.key) {
        state.adjust(&resource, id, |o| {
            crate::object::set(o, &["metadata", "ownerReferences"], present.into());
        });
    }
}

pub(super) fn reconcile(state: &mut State, id: &Id, object: &Value) {
    if !list(object, &["metadata", "ownerReferences"]).is_empty() {
        // An owner that is deleted in the foreground takes this along first.
        let leaving = list(object, &["metadata", "ownerReferences"])
            .iter()
            .any(|owner| {
                owner_id(state, owner, &id.namespace)
                    .and_then(|o| state.get(&o))
                    .is_some_and(|o| {
                        uid(o) == text(owner, &["uid"])
                            && is_deleting(o)
                            && finalizers(o).contains(&"foregroundDeletion")
                    })
            });
        if leaving && !is_deleting(object) {
            delete(state, id);
        } else {
            collect(state, id);
        }
    }
    if !is_deleting(object) {
        return;
    }
    let Some(resource) = state.registry.by_key(&id.key) else {
        return;
    };
    let drop_finalizer = |state: &mut State, which: &str| {
        state.adjust(&resource, id, |o| {
            if let Some(Value::Array(all)) = o.pointer_mut("/metadata/finalizers") {
                all.retain(|f| f.as_str() != Some(which));
            }
        });
    };
    if finalizers(object).contains(&"orphan") {
        for dependent in state.dependents(uid(object)) {
            if let Some(kind) = state.registry.by_key(&dependent.key) {
                state.adjust(&kind, &dependent, |o| {
                    if let Some(Value::Array(owners)) = o.pointer_mut("/metadata/ownerReferences") {
                        owners.retain(|r| text(r, &["uid"]) != uid(object));
                    }
                });
            }
        }
        drop_finalizer(state, "orphan");
    }
    if finalizers(object).contains(&"foregroundDeletion") {
        let dependents = state.dependents(uid(object));
        let blocking = dependents.iter().filter(|d| {
            state.get(d).is_some_and(|o| {
                list(o, &["metadata", "ownerReferences"]).iter().any(|r| {
                    text(r, &["uid"]) == uid(object)
                        && at(r, &["blockOwnerDeletion"]).as_bool() == Some(true)
                })
            })
        });
        if blocking.count() == 0 {
            drop_finalizer(state, "foregroundDeletion");
        }
        for dependent in dependents {
            if state.get(&dependent).is_some_and(|o| !is_deleting(o)) {
                delete(state, &dependent);
            }
        }
    }
}
