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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::controllers::testing::{make, state};
    use crate::object::condition_is_true;

    fn static_pod(name: &str, version: &str) -> StaticPod {
        let annotation = ("talos.dev/config-version".to_owned(), version.to_owned());
        StaticPod {
            name: name.to_owned(),
            image: format!("registry.k8s.io/{name}:{version}"),
            annotations: BTreeMap::from([annotation]),
        }
    }

    fn node(state: &mut State, name: &str) {
        make(
            state,
            "nodes",
            json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}),
        );
        let resource = state.registry.by_key("nodes").unwrap();
        let id = Id::new("nodes", "", name);
        state.adjust(&resource, &id, |node| {
            let addresses = json!([{"type": "InternalIP", "address": "10.0.0.2"}]);
            set(node, &["status", "addresses"], addresses);
        });
    }

    fn uid_of(state: &State, name: &str) -> Option<String> {
        let pod = state.find("pods", NAMESPACE, name)?;
        Some(uid(pod).to_owned())
    }

    #[test]
    fn a_mirrored_pod_is_its_nodes_and_runs() {
        let mut state = state();
        node(&mut state, "a");
        mirror(&mut state, "a", &[static_pod("kube-apiserver", "v1.34.1")]);
        let pod = state.find("pods", NAMESPACE, "kube-apiserver-a").unwrap();
        let owner = state.find("nodes", "", "a").unwrap();
        assert_eq!(annotation(pod, MIRROR), Some(uid(owner)));
        assert_eq!(annotation(pod, "kubernetes.io/config.source"), Some("file"));
        assert_eq!(annotation(pod, "talos.dev/config-version"), Some("v1.34.1"));
        let owners = crate::object::list(pod, &["metadata", "ownerReferences"]);
        assert_eq!(text(&owners[0], &["uid"]), uid(owner));
        assert_eq!(text(pod, &["spec", "nodeName"]), "a");
        assert_eq!(text(pod, &["status", "phase"]), "Running");
        assert_eq!(text(pod, &["status", "podIP"]), "10.0.0.2");
        assert!(condition_is_true(pod, "Ready"));
    }

    #[test]
    fn what_does_not_change_stays_and_what_changes_is_another_pod() {
        let mut state = state();
        node(&mut state, "a");
        let (server, scheduler) = ("kube-apiserver-a", "kube-scheduler-a");
        let pods = |version: &str| {
            [
                static_pod("kube-apiserver", version),
                static_pod("kube-scheduler", "v1.34.1"),
            ]
        };
        mirror(&mut state, "a", &pods("v1.34.1"));
        let before = (uid_of(&state, server), uid_of(&state, scheduler));
        let version = state.version();
        mirror(&mut state, "a", &pods("v1.34.1"));
        assert_eq!(state.version(), version, "nothing was written");
        mirror(&mut state, "a", &pods("v1.35.0"));
        let after = (uid_of(&state, server), uid_of(&state, scheduler));
        assert_ne!(after.0, before.0);
        assert_eq!(after.1, before.1);
        let pod = state.find("pods", NAMESPACE, server).unwrap();
        let image = text(
            &crate::object::list(pod, &["spec", "containers"])[0],
            &["image"],
        );
        assert_eq!(image, "registry.k8s.io/kube-apiserver:v1.35.0");
        // The same image by another configuration: the kubelet starts it anew, too.
        let mut other = pods("v1.35.0");
        let version = "talos.dev/config-version".to_owned();
        other[0].annotations.insert(version, "2".to_owned());
        mirror(&mut state, "a", &other);
        assert_ne!(uid_of(&state, server), after.0);
    }

    #[test]
    fn pods_that_are_not_wanted_go_and_nobody_elses() {
        let mut state = state();
        node(&mut state, "a");
        node(&mut state, "b");
        let pods = [static_pod("kube-apiserver", "v1.34.1")];
        mirror(&mut state, "a", &pods);
        mirror(&mut state, "b", &pods);
        let ordinary = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "coredns", "namespace": NAMESPACE},
            "spec": {"nodeName": "a", "containers": [{"name": "coredns", "image": "coredns"}]},
        });
        make(&mut state, "pods", ordinary);
        mirror(&mut state, "a", &[]);
        assert_eq!(uid_of(&state, "kube-apiserver-a"), None);
        assert!(uid_of(&state, "kube-apiserver-b").is_some());
        assert!(uid_of(&state, "coredns").is_some());
    }

    #[test]
    fn a_node_that_has_not_reported_mirrors_nothing() {
        let mut state = state();
        let version = state.version();
        mirror(&mut state, "a", &[static_pod("kube-apiserver", "v1.34.1")]);
        assert_eq!(state.version(), version);
    }
}
