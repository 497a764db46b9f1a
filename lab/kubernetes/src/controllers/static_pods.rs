//! Static pods: what kubelets run by themselves and mirror to the API.

use serde_json::{Value, json};
use stead_lab_core::cluster::StaticPod;

use crate::object::{annotation, at, name, now, set, set_condition, text, uid};
use crate::ops::WriteOptions;
use crate::state::{Id, State};

const NAMESPACE: &str = "kube-system";
/// By which a mirrored pod is known.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// Exactly these pods run on a node.
pub(crate) fn mirror(state: &mut State, node: &str, pods: &[StaticPod]) {
    let Some(owner) = state.find("nodes", "", node).cloned() else {
        return;
    };
    let wanted: Vec<String> = pods.iter().map(|p| format!("{}-{node}", p.name)).collect();
    let gone: Vec<Id> = state
        .list("pods", NAMESPACE)
        .filter(|p| text(p, &["spec", "nodeName"]) == node && annotation(p, MIRROR).is_some())
        .filter(|p| !wanted.iter().any(|w| w == name(p)))
        .map(|p| Id::new("pods", NAMESPACE, name(p)))
        .collect();
    for id in gone {
        state.remove(&id);
    }
    for (pod, name) in pods.iter().zip(wanted) {
        let id = Id::new("pods", NAMESPACE, &name);
        let as_wanted = |found: &Value| {
            let containers = crate::object::list(found, &["spec", "containers"]);
            let image = containers.first().map(|c| text(c, &["image"]));
            image == Some(pod.image.as_str())
                && pod
                    .annotations
                    .iter()
                    .all(|(k, v)| annotation(found, k) == Some(v))
        };
        if state.get(&id).is_some_and(|found| as_wanted(found)) {
            continue;
        }
        // A static pod that changes is another pod.
        state.remove(&id);
        create(state, &owner, node, &id, pod);
    }
}

fn create(state: &mut State, owner: &Value, node: &str, id: &Id, pod: &StaticPod) {
    let Some(resource) = state.registry.by_key("pods") else {
        return;
    };
    let mut annotations = json!({MIRROR: uid(owner), "kubernetes.io/config.source": "file"});
    for (key, value) in &pod.annotations {
        set(&mut annotations, &[key], value.as_str().into());
    }
    let object = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": id.name, "namespace": NAMESPACE, "annotations": annotations,
            "labels": {"tier": "control-plane", "k8s-app": pod.name, "component": pod.name},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": node, "uid": uid(owner), "controller": true}],
        },
        "spec": {
            "nodeName": node, "hostNetwork": true, "priorityClassName": "system-cluster-critical",
            "tolerations": [{"operator": "Exists", "effect": "NoExecute"}],
            "containers": [{"name": pod.name, "image": pod.image}],
        },
    });
    let made = state.create(
        &resource,
        NAMESPACE,
        object,
        &WriteOptions::component("kubelet"),
    );
    if let Err(error) = made {
        return tracing::error!(%error, pod = id.name, "cannot mirror a static pod");
    }
    let address = crate::object::list(owner, &["status", "addresses"])
        .iter()
        .find(|a| text(a, &["type"]) == "InternalIP")
        .map(|a| text(a, &["address"]).to_owned())
        .unwrap_or_default();
    let time = now();
    state.adjust(&resource, id, |object| {
        set(object, &["status", "phase"], "Running".into());
        set(object, &["status", "hostIP"], address.as_str().into());
        set(object, &["status", "podIP"], address.as_str().into());
        set(object, &["status", "podIPs"], json!([{"ip": address}]));
        set(object, &["status", "startTime"], time.as_str().into());
        for kind in ["PodScheduled", "Initialized", "ContainersReady", "Ready"] {
            set_condition(object, kind, true, "", "", &time);
        }
        let image = at(object, &["spec", "containers"])
            .get(0)
            .map(|c| text(c, &["image"]).to_owned());
        set(object, &["status", "containerStatuses"], json!([{
            "name": pod.name, "image": image, "imageID": image, "ready": true, "started": true, "restartCount": 0,
            "state": {"running": {"startedAt": time}}, "lastState": {},
        }]));
    });
}
