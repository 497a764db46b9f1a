//! Namespaces: what each is given, and their end.

use serde_json::{Value, json};

use super::{create, delete};
use crate::object::{is_deleting, set};
use crate::state::{Id, State};

pub(super) fn reconcile(state: &mut State, id: &Id, namespace: &Value) {
    if !is_deleting(namespace) {
        if state.find("serviceaccounts", &id.name, "default").is_none() {
            create(
                state,
                "serviceaccounts",
                &id.name,
                json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}),
            );
        }
        if state
            .find("configmaps", &id.name, "kube-root-ca.crt")
            .is_none()
        {
            let data = json!({"ca.crt": state.ca_pem});
            let metadata = json!({"name": "kube-root-ca.crt", "annotations": {"kubernetes.io/description":
                "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."}});
            create(
                state,
                "configmaps",
                &id.name,
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}),
            );
        }
        return;
    }
    let content: Vec<Id> = state
        .everything()
        .flat_map(|(key, objects)| objects.values().map(move |o| (key, o)))
        .filter(|(_, o)| crate::object::namespace(o) == id.name)
        .map(|(key, o)| Id::of(key, o))
        .collect();
    if content.is_empty() {
        if let Some(resource) = state.registry.by_key("namespaces") {
            state.adjust(&resource, id, |o| {
                set(o, &["spec", "finalizers"], json!([]));
            });
        }
        return;
    }
    for item in content {
        if state.get(&item).is_some_and(|o| !is_deleting(o)) {
            delete(state, &item);
        }
    }
}
