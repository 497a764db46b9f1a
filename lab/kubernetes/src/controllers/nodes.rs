//! Nodes: kubelets that report, and the network plugin that makes them ready.

use serde_json::{Value, json};
use stead_lab_core::cluster::NodeSpec;

use super::write_status;
use crate::cluster::Core;
use crate::object::{at, condition_is_true, entry, label, list, now, set, set_condition, text};
use crate::ops::WriteOptions;
use crate::state::{Id, State};

/// A kubelet reports: its Node is made, or brought up to date.
pub(crate) fn join(state: &mut State, spec: &NodeSpec) {
    let Some(resource) = state.registry.by_key("nodes") else {
        return;
    };
    let id = Id::new("nodes", "", &spec.name);
    let mut labels = json!({
        "beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": spec.name, "kubernetes.io/os": "linux",
    });
    if spec.control_plane {
        set(
            &mut labels,
            &["node-role.kubernetes.io/control-plane"],
            "".into(),
        );
    }
    for (key, value) in &spec.labels {
        entry(&mut labels).insert(key.clone(), value.as_str().into());
    }
    if state.get(&id).is_none() {
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": spec.name, "labels": labels}});
        if let Err(error) = state.create(&resource, "", node, &WriteOptions::component("kubelet")) {
            return tracing::error!(%error, node = spec.name, "a node cannot join");
        }
    }
    let resources = json!({
        "cpu": spec.cpu.to_string(), "memory": format!("{}Ki", spec.memory_mib * 1024), "pods": "110", "ephemeral-storage": "10Gi",
    });
    let time = now();
    state.adjust(&resource, &id, |node| {
        for (key, value) in labels.as_object().into_iter().flatten() {
            set(node, &["metadata", "labels", key], value.clone());
        }
        set(node, &["status", "addresses"], json!([
            {"type": "InternalIP", "address": spec.address}, {"type": "Hostname", "address": spec.name}]));
        set(node, &["status", "capacity"], resources.clone());
        set(node, &["status", "allocatable"], resources);
        set(node, &["status", "nodeInfo"], json!({
            "architecture": "amd64", "bootID": uuid::Uuid::new_v4().to_string(), "containerRuntimeVersion": "containerd://2.1.4",
            "kernelVersion": "6.12.0-lab", "kubeProxyVersion": "", "kubeletVersion": spec.kubelet_version, "machineID": spec.name,
            "operatingSystem": "linux", "osImage": spec.os_image, "systemUUID": spec.name,
        }));
        for kind in ["MemoryPressure", "DiskPressure", "PIDPressure"] {
            set_condition(node, kind, false, &format!("KubeletHasSufficient{}", kind.trim_end_matches("Pressure")), "kubelet has sufficient resources", &time);
        }
        // Whether it is ready, the controller decides (network plugin).
        let ready = condition_is_true(node, "Ready");
        if !ready {
            set_condition(node, "Ready", false, "KubeletNotReady", "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized", &time);
        }
    });
}

/// The kubelet stopped: the node becomes NotReady (`Unknown`), as the node controller sees it.
pub(crate) fn stopped(state: &mut State, name: &str) {
    let Some(resource) = state.registry.by_key("nodes") else {
        return;
    };
    let time = now();
    state.adjust(&resource, &Id::new("nodes", "", name), |node| {
        set_condition(
            node,
            "Ready",
            false,
            "NodeStatusUnknown",
            "Kubelet stopped posting node status.",
            &time,
        );
        if let Some(Value::Array(conditions)) = node.pointer_mut("/status/conditions") {
            for condition in conditions
                .iter_mut()
                .filter(|c| text(c, &["type"]) == "Ready")
            {
                set(condition, &["status"], "Unknown".into());
            }
        }
    });
}

pub(crate) fn removed(state: &mut State, name: &str) {
    super::delete(state, &Id::new("nodes", "", name));
}

/// Network plugins, by the `k8s-app`, `app` or name of their DaemonSet.
fn is_network_plugin(daemon_set: &Value) -> bool {
    const NAMES: [&str; 8] = [
        "cilium",
        "flannel",
        "kube-flannel",
        "kube-flannel-ds",
        "calico-node",
        "canal",
        "kindnet",
        "kube-router",
    ];
    let name = crate::object::name(daemon_set);
    [
        name,
        label(daemon_set, "k8s-app"),
        label(daemon_set, "app"),
        text(
            daemon_set,
            &["spec", "template", "metadata", "labels", "k8s-app"],
        ),
    ]
    .iter()
    .any(|n| NAMES.contains(n))
}

/// Whether a network plugin's pod runs on this node.
fn has_network(state: &State, node: &str) -> bool {
    state
        .list("daemonsets.apps", "")
        .filter(|d| is_network_plugin(d))
        .any(|plugin| {
            state
                .dependents(crate::object::uid(plugin))
                .iter()
                .filter_map(|id| state.get(id))
                .any(|pod| {
                    text(pod, &["spec", "nodeName"]) == node
                        && text(pod, &["status", "phase"]) == "Running"
                })
        })
}

pub(super) fn reconcile(core: &Core, state: &mut State, id: &Id, node: &Value) {
    if !core.reporting().contains_key(&id.name) {
        if condition_is_true(node, "Ready") {
            stopped(state, &id.name);
        }
        return;
    }
    let ready = !core.needs_cni || condition_is_true(node, "Ready") || has_network(state, &id.name);
    let mut status = at(node, &["status"]).clone();
    let mut copy = json!({"status": status});
    if ready {
        set_condition(
            &mut copy,
            "Ready",
            true,
            "KubeletReady",
            "kubelet is posting ready status",
            &now(),
        );
    }
    status = at(&copy, &["status"]).clone();
    write_status(state, id, status);
    let Some(resource) = state.registry.by_key("nodes") else {
        return;
    };
    state.adjust(&resource, id, |node| {
        let mut taints: Vec<Value> = list(node, &["spec", "taints"]).to_vec();
        taints.retain(|t| !text(t, &["key"]).starts_with("node.kubernetes.io/not-ready"));
        if !ready {
            taints.push(json!({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}));
        }
        if taints.is_empty() {
            crate::object::remove(node, &["spec", "taints"]);
        } else {
            set(node, &["spec", "taints"], taints.into());
        }
    });
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::controllers::testing::state;
    use crate::object::{condition, uid};

    fn spec(control_plane: bool, version: &str) -> NodeSpec {
        NodeSpec {
            name: "a".to_owned(),
            address: "10.0.0.2".to_owned(),
            control_plane,
            kubelet_version: version.to_owned(),
            os_image: "Talos (v1.13.9)".to_owned(),
            labels: BTreeMap::from([("rack".to_owned(), "a1".to_owned())]),
            cpu: 4,
            memory_mib: 4096,
        }
    }

    fn node(state: &State) -> Value {
        Value::clone(state.find("nodes", "", "a").unwrap())
    }

    #[test]
    fn a_kubelet_that_reports_again_is_the_same_node() {
        let mut state = state();
        join(&mut state, &spec(true, "v1.34.1"));
        let first = node(&state);
        assert_eq!(label(&first, "rack"), "a1");
        let labels = at(&first, &["metadata", "labels"]);
        assert!(
            labels
                .get("node-role.kubernetes.io/control-plane")
                .is_some()
        );
        assert!(
            !condition_is_true(&first, "Ready"),
            "its network is not there yet"
        );
        join(&mut state, &spec(true, "v1.35.0"));
        let second = node(&state);
        assert_eq!(uid(&second), uid(&first));
        let version = text(&second, &["status", "nodeInfo", "kubeletVersion"]);
        assert_eq!(version, "v1.35.0");
    }

    #[test]
    fn a_node_that_is_silent_is_unknown_and_one_that_is_removed_gone() {
        let mut state = state();
        join(&mut state, &spec(false, "v1.34.1"));
        stopped(&mut state, "a");
        let ready = node(&state);
        let ready = condition(&ready, "Ready").unwrap();
        assert_eq!(text(ready, &["status"]), "Unknown");
        assert_eq!(text(ready, &["reason"]), "NodeStatusUnknown");
        removed(&mut state, "a");
        assert!(state.find("nodes", "", "a").is_none());
        // Who is not there cannot stop.
        let version = state.version();
        stopped(&mut state, "a");
        assert_eq!(state.version(), version);
    }
}
