//! The controllers: what makes objects come true (pods, readiness, addresses, deletion of dependents).

mod accounts;
pub(crate) mod budgets;
mod crds;
mod garbage;
mod jobs;
mod namespaces;
pub(crate) mod nodes;
mod pods;
mod services;
pub(crate) mod static_pods;
#[cfg(test)]
mod testing;
mod volumes;
pub(crate) mod workloads;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::cluster::Core;
use crate::error::qualified;
use crate::object::{controller, is_deleting, list, split_api_version, text};
use crate::state::{Change, Event, Id, State};

pub(crate) const CRDS: &str = "customresourcedefinitions.apiextensions.k8s.io";

/// Reconciles until the cluster stops.
pub(crate) async fn run(core: Arc<Core>) {
    let mut changed = core.subscribe();
    let stop = core.stopped();
    let mut controllers = Controllers {
        core: core.clone(),
        cursor: 0,
        queue: BTreeSet::new(),
        later: BTreeSet::new(),
        started: BTreeMap::new(),
    };
    controllers.enqueue_everything();
    loop {
        changed.mark_unchanged();
        let busy = controllers.pass();
        if busy {
            // One tick between a state and the next, so that watchers see both.
            tokio::select! {
                () = tokio::time::sleep(core.pause(Duration::from_millis(200))) => {}
                () = stop.cancelled() => return,
            }
            continue;
        }
        tokio::select! {
            moved = changed.changed() => if moved.is_err() { return },
            () = stop.cancelled() => return,
        }
    }
}

pub(super) struct Controllers {
    core: Arc<Core>,
    /// The last version whose changes have been looked at.
    cursor: u64,
    queue: BTreeSet<Id>,
    /// To be looked at again in the next pass (something takes time).
    later: BTreeSet<Id>,
    /// When containers of a pod (by uid) began to start.
    started: BTreeMap<String, tokio::time::Instant>,
}

impl Controllers {
    fn enqueue_everything(&mut self) {
        let state = self.core.lock();
        self.cursor = state.version();
        let all = state
            .everything()
            .flat_map(|(key, objects)| objects.values().map(move |o| Id::of(key, o)));
        self.queue.extend(all);
    }

    /// Looks at what changed, acts on it; false when there was nothing to do.
    fn pass(&mut self) -> bool {
        let core = self.core.clone();
        let mut state = core.lock();
        let events: Option<Vec<Event>> = state.since(self.cursor).map(|e| e.cloned().collect());
        self.cursor = state.version();
        match events {
            Some(events) => events.iter().for_each(|e| self.take(&mut state, e)),
            None => {
                drop(state);
                self.enqueue_everything();
                state = core.lock();
            }
        }
        self.queue.append(&mut self.later);
        let work = std::mem::take(&mut self.queue);
        let busy = !work.is_empty();
        for id in work {
            self.reconcile(&mut state, &id);
        }
        busy
    }

    /// Queues what a change concerns.
    fn take(&mut self, state: &mut State, event: &Event) {
        self.queue.insert(event.id.clone());
        if let Some(owner) = controller(&event.object)
            .or_else(|| list(&event.object, &["metadata", "ownerReferences"]).first())
        {
            self.queue
                .extend(owner_id(state, owner, &event.id.namespace));
        }
        if event.change == Change::Deleted {
            garbage::owner_gone(state, &event.object);
        }
        let pending_pods = |state: &State, namespace: &str| -> Vec<Id> {
            let pods = state
                .list("pods", namespace)
                .filter(|p| text(p, &["status", "phase"]) == "Pending");
            pods.map(|p| Id::of("pods", p)).collect()
        };
        match event.id.key.as_str() {
            "secrets" | "configmaps" | "persistentvolumeclaims" | "serviceaccounts" => {
                self.queue.extend(pending_pods(state, &event.id.namespace));
            }
            "nodes" => {
                self.queue
                    .extend(state.list("pods", "").map(|p| Id::of("pods", p)));
                self.queue.extend(
                    state
                        .list("daemonsets.apps", "")
                        .map(|d| Id::of("daemonsets.apps", d)),
                );
            }
            "daemonsets.apps" => self
                .queue
                .extend(state.list("nodes", "").map(|n| Id::of("nodes", n))),
            "storageclasses.storage.k8s.io" | "persistentvolumes" => {
                let claims = state
                    .list("persistentvolumeclaims", "")
                    .filter(|c| text(c, &["status", "phase"]) == "Pending");
                self.queue
                    .extend(claims.map(|c| Id::of("persistentvolumeclaims", c)));
            }
            "pods" => {
                for key in ["services", budgets::KEY] {
                    let concerned = state.list(key, &event.id.namespace);
                    self.queue.extend(concerned.map(|o| Id::of(key, o)));
                }
            }
            "ciliumloadbalancerippools.cilium.io"
            | "ipaddresspools.metallb.io"
            | "ingressclasses.networking.k8s.io" => {
                for key in ["services", "ingresses.networking.k8s.io"] {
                    self.queue
                        .extend(state.list(key, "").map(|s| Id::of(key, s)));
                }
            }
            _ => {}
        }
        // What is left in a namespace (or of a kind) that waits for its end.
        if !event.id.namespace.is_empty() {
            let place = Id::new("namespaces", "", &event.id.namespace);
            if state.get(&place).is_some_and(|n| is_deleting(n)) {
                self.queue.insert(place);
            }
        }
        let crd = Id::new(CRDS, "", &event.id.key);
        if event.change == Change::Deleted && state.get(&crd).is_some() {
            self.queue.insert(crd);
        }
    }

    fn reconcile(&mut self, state: &mut State, id: &Id) {
        let Some(object) = state.get(id).cloned() else {
            return;
        };
        garbage::reconcile(state, id, &object);
        match id.key.as_str() {
            "namespaces" => namespaces::reconcile(state, id, &object),
            CRDS => crds::reconcile(state, id, &object),
            "nodes" => nodes::reconcile(&self.core, state, id, &object),
            "pods" => self.reconcile_pod(state, id, &object),
            "deployments.apps" => workloads::deployment(state, id, &object),
            "replicasets.apps" => workloads::replica_set(state, id, &object),
            "statefulsets.apps" => workloads::stateful_set(state, id, &object),
            "daemonsets.apps" => workloads::daemon_set(state, id, &object),
            "jobs.batch" => jobs::job(state, id, &object),
            "services" => services::service(state, id, &object),
            "ingresses.networking.k8s.io" => services::ingress(state, id, &object),
            "persistentvolumeclaims" => volumes::claim(state, id, &object),
            "persistentvolumes" => volumes::volume(state, id, &object),
            "secrets" => accounts::token_secret(&self.core, state, id, &object),
            "apiservices.apiregistration.k8s.io" => crds::api_service(state, id),
            budgets::KEY => budgets::reconcile(state, id, &object),
            _ => {}
        }
    }
}

/// Where an owner of an object in `namespace` is kept.
pub(super) fn owner_id(state: &State, owner: &Value, namespace: &str) -> Option<Id> {
    let (group, _) = split_api_version(text(owner, &["apiVersion"]));
    let resource = state
        .registry
        .by_group_kind(group, text(owner, &["kind"]))?;
    let place = if resource.namespaced { namespace } else { "" };
    Some(Id::new(
        &qualified(&resource.group, &resource.plural),
        place,
        text(owner, &["name"]),
    ))
}

/// Writes a status as `kube-controller-manager` does; a write that is refused is logged.
pub(super) fn write_status(state: &mut State, id: &Id, status: Value) {
    let Some(resource) = state.registry.by_key(&id.key) else {
        return;
    };
    let Some(found) = state.get(id) else { return };
    if found.get("status") == Some(&status) {
        return;
    }
    let mut new = Value::clone(found);
    crate::object::set(&mut new, &["status"], status);
    crate::object::remove(&mut new, &["metadata", "managedFields"]);
    let options = crate::ops::WriteOptions::component("kube-controller-manager").status();
    if let Err(error) = state.update(&resource, &id.namespace, &id.name, new, &options) {
        tracing::warn!(%error, key = id.key, name = id.name, "cannot write a status");
    }
}

/// Creates an object as a controller does; refusals are logged (a quota, a namespace that ends).
pub(super) fn create(
    state: &mut State,
    key: &str,
    namespace: &str,
    object: Value,
) -> Option<Arc<Value>> {
    let resource = state.registry.by_key(key)?;
    let options = crate::ops::WriteOptions::component("kube-controller-manager");
    match state.create(&resource, namespace, object, &options) {
        Ok(written) => Some(written.object),
        Err(error) => {
            tracing::debug!(%error, key, namespace, "a controller cannot create an object");
            None
        }
    }
}

/// Deletes an object as a controller does.
pub(super) fn delete(state: &mut State, id: &Id) {
    if let Some(resource) = state.registry.by_key(&id.key)
        && let Err(error) = state.delete(
            &resource,
            &id.namespace,
            &id.name,
            &crate::ops::DeleteOptions::default(),
        )
    {
        tracing::debug!(%error, key = id.key, name = id.name, "a controller cannot delete an object");
    }
}

/// The reference of a controlling owner.
pub(super) fn owned_by(object: &Value) -> Value {
    serde_json::json!([{
        "apiVersion": object.get("apiVersion"), "kind": object.get("kind"), "name": crate::object::name(object),
        "uid": crate::object::uid(object), "controller": true, "blockOwnerDeletion": true,
    }])
}
