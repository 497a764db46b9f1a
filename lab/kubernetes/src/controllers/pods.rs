//! Pods: scheduling, what keeps containers from starting, running, ending.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Controllers, write_status};
use crate::object::{
    at, condition_is_true, controller, finalizers, is_deleting, labels, list, name, now, set, text,
    text_map, uid,
};
use crate::selector::label_selector_matches;
use crate::state::{Id, State};

/// How long an image takes to be pulled and its container to start, at pace 1.
const START: Duration = Duration::from_secs(4);

impl Controllers {
    pub(super) fn reconcile_pod(&mut self, state: &mut State, id: &Id, pod: &Value) {
        if is_deleting(pod) {
            // The kubelet has stopped the containers.
            self.started.remove(uid(pod));
            if let Some(resource) = state.registry.by_key("pods") {
                state.adjust(&resource, id, |p| {
                    set(p, &["metadata", "deletionGracePeriodSeconds"], 0.into());
                });
            }
            return;
        }
        if matches!(text(pod, &["status", "phase"]), "Succeeded" | "Failed") {
            return;
        }
        let node_name = text(pod, &["spec", "nodeName"]);
        if node_name.is_empty() {
            return self.schedule(state, id, pod);
        }
        let Some(node) = state.find("nodes", "", node_name).cloned() else {
            // The node is gone for good, and its pods with it.
            return super::delete(state, id);
        };
        if text(pod, &["status", "phase"]) == "Running" {
            let reporting = self.core.reporting().contains_key(node_name);
            return self.keep_running(state, id, pod, reporting);
        }
        let why = obstacle(state, pod, &node).or_else(|| {
            // What init containers do comes before the others need it.
            for container in list(pod, &["spec", "initContainers"]) {
                if let Some(why) = missing_environment(state, &id.namespace, container) {
                    return Some(why);
                }
                crate::argocd::init_container(state, &id.namespace, container);
            }
            list(pod, &["spec", "containers"])
                .iter()
                .find_map(|c| missing_environment(state, &id.namespace, c))
        });
        if let Some(why) = why {
            let status = creating(pod, &node, &why);
            return write_status(state, id, status);
        }
        if !self.core.reporting().contains_key(node_name) {
            return;
        }
        let began = *self
            .started
            .entry(uid(pod).to_owned())
            .or_insert_with(Instant::now);
        if began.elapsed() < self.core.lab.settings.duration(START)
            || text(pod, &["status", "hostIP"]).is_empty()
        {
            let status = creating(pod, &node, "");
            write_status(state, id, status);
            self.later.insert(id.clone());
            return;
        }
        self.started.remove(uid(pod));
        let status = running(pod, &node);
        write_status(state, id, status);
        if runs_to_an_end(pod) {
            self.later.insert(id.clone());
        }
    }

    fn keep_running(&mut self, state: &mut State, id: &Id, pod: &Value, reporting: bool) {
        let mut copy = pod.clone();
        if reporting && runs_to_an_end(pod) {
            let status = succeeded(pod);
            return write_status(state, id, status);
        }
        if condition_is_true(pod, "Ready") != reporting {
            for kind in ["Ready", "ContainersReady"] {
                crate::object::set_condition(&mut copy, kind, reporting, "", "", &now());
            }
            write_status(state, id, at(&copy, &["status"]).clone());
        }
    }

    fn schedule(&mut self, state: &mut State, id: &Id, pod: &Value) {
        let load = |node: &Value| {
            state
                .list("pods", "")
                .filter(|p| text(p, &["spec", "nodeName"]) == name(node))
                .count()
        };
        let fitting = state
            .list("nodes", "")
            .filter(|n| fits(pod, n) && condition_is_true(n, "Ready"));
        let chosen = fitting.min_by_key(|n| load(n)).map(|n| name(n).to_owned());
        let Some(resource) = state.registry.by_key("pods") else {
            return;
        };
        let time = now();
        let total = state.list("nodes", "").count();
        state.adjust(&resource, id, |pod| match chosen {
            Some(node) => {
                set(pod, &["spec", "nodeName"], node.into());
                crate::object::set_condition(pod, "PodScheduled", true, "", "", &time);
            }
            None => {
                let message = if total == 0 { "no nodes available to schedule pods".to_owned() } else { format!("0/{total} nodes are available: {total} node(s) had untolerated taint or didn't match Pod's node affinity/selector.") };
                crate::object::set_condition(pod, "PodScheduled", false, "Unschedulable", &message, &time);
            }
        });
    }
}

/// Jobs' containers end by themselves.
fn runs_to_an_end(pod: &Value) -> bool {
    text(pod, &["spec", "restartPolicy"]) != "Always"
        && controller(pod).is_some_and(|c| text(c, &["kind"]) == "Job")
}

/// Whether a node's taints, and a pod's selector and required affinity, allow the pod there.
pub(super) fn fits(pod: &Value, node: &Value) -> bool {
    let found = labels(node);
    let selector = text_map(at(pod, &["spec", "nodeSelector"]));
    if !selector.iter().all(|(k, v)| found.get(k) == Some(v))
        || at(node, &["spec", "unschedulable"]).as_bool() == Some(true)
    {
        return false;
    }
    let terms = list(
        pod,
        &[
            "spec",
            "affinity",
            "nodeAffinity",
            "requiredDuringSchedulingIgnoredDuringExecution",
            "nodeSelectorTerms",
        ],
    );
    let matches_fields = |term: &Value| {
        list(term, &["matchFields"]).iter().all(|f| {
            list(f, &["values"])
                .iter()
                .any(|v| v.as_str() == Some(name(node)))
        })
    };
    if !terms.is_empty()
        && !terms
            .iter()
            .any(|t| label_selector_matches(t, &found) && matches_fields(t))
    {
        return false;
    }
    let tolerations = list(pod, &["spec", "tolerations"]);
    list(node, &["spec", "taints"]).iter().all(|taint| {
        matches!(text(taint, &["effect"]), "PreferNoSchedule")
            || tolerations.iter().any(|t| tolerates(t, taint))
    })
}

fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let (key, effect) = (text(toleration, &["key"]), text(toleration, &["effect"]));
    let key_fits = key == text(taint, &["key"])
        || key.is_empty() && text(toleration, &["operator"]) == "Exists";
    let value_fits = text(toleration, &["operator"]) == "Exists"
        || text(toleration, &["value"]) == text(taint, &["value"]);
    key_fits && value_fits && (effect.is_empty() || effect == text(taint, &["effect"]))
}

/// What keeps all of a pod's containers waiting: the network, or a volume whose Secret, ConfigMap or claim is not there.
fn obstacle(state: &State, pod: &Value, node: &Value) -> Option<String> {
    let place = crate::object::namespace(pod);
    let host = at(pod, &["spec", "hostNetwork"]).as_bool() == Some(true);
    if !host && !condition_is_true(node, "Ready") {
        return Some("network is not ready: container runtime network not ready".to_owned());
    }
    for volume in list(pod, &["spec", "volumes"]) {
        let sources = std::iter::once(volume).chain(list(volume, &["projected", "sources"]));
        for source in sources {
            if let Some(missing) = missing_source(state, place, source) {
                return Some(format!(
                    "MountVolume.SetUp failed for volume {:?} : {missing}",
                    text(volume, &["name"])
                ));
            }
        }
        let claim = text(volume, &["persistentVolumeClaim", "claimName"]);
        if !claim.is_empty()
            && state
                .find("persistentvolumeclaims", place, claim)
                .is_none_or(|c| text(c, &["status", "phase"]) != "Bound")
        {
            return Some(format!(
                "persistentvolumeclaim {claim:?} not found or not bound"
            ));
        }
    }
    None
}

/// What keeps one container from being made: a Secret, ConfigMap or key that its environment needs.
fn missing_environment(state: &State, place: &str, container: &Value) -> Option<String> {
    for variable in list(container, &["env"]) {
        let from = at(variable, &["valueFrom"]);
        let keyed = [
            ("secrets", "secret", at(from, &["secretKeyRef"])),
            ("configmaps", "configmap", at(from, &["configMapKeyRef"])),
        ];
        for (key, word, reference) in keyed {
            if let Some(missing) = missing_object(state, place, key, word, reference, &["name"]) {
                return Some(missing);
            }
            if let Some(found) = state.find(key, place, text(reference, &["name"]))
                && !optional(reference)
                && at(found, &["data", text(reference, &["key"])]).is_null()
            {
                return Some(format!(
                    "couldn't find key {} in {} {place}/{}",
                    text(reference, &["key"]),
                    if word == "secret" {
                        "Secret"
                    } else {
                        "ConfigMap"
                    },
                    text(reference, &["name"])
                ));
            }
        }
    }
    for from in list(container, &["envFrom"]) {
        let sources = [
            ("secrets", "secret", at(from, &["secretRef"])),
            ("configmaps", "configmap", at(from, &["configMapRef"])),
        ];
        for (key, word, reference) in sources {
            if let Some(missing) = missing_object(state, place, key, word, reference, &["name"]) {
                return Some(missing);
            }
        }
    }
    None
}

fn missing_source(state: &State, place: &str, source: &Value) -> Option<String> {
    let secret = at(source, &["secret"]);
    let field = if secret.get("secretName").is_some() {
        "secretName"
    } else {
        "name"
    };
    missing_object(state, place, "secrets", "secret", secret, &[field]).or_else(|| {
        missing_object(
            state,
            place,
            "configmaps",
            "configmap",
            at(source, &["configMap"]),
            &["name"],
        )
    })
}

fn optional(reference: &Value) -> bool {
    at(reference, &["optional"]).as_bool() == Some(true)
}

fn missing_object(
    state: &State,
    place: &str,
    key: &str,
    word: &str,
    reference: &Value,
    path: &[&str],
) -> Option<String> {
    let wanted = text(reference, path);
    let missing =
        !wanted.is_empty() && !optional(reference) && state.find(key, place, wanted).is_none();
    missing.then(|| format!("{word} {wanted:?} not found"))
}

fn container_statuses(
    pod: &Value,
    kind: &str,
    state_of: impl Fn(&Value) -> Value,
    ready: bool,
) -> Vec<Value> {
    let containers = list(pod, &["spec", kind]).iter();
    containers
        .map(|c| {
            let image = text(c, &["image"]);
            json!({
                "name": text(c, &["name"]), "image": image, "imageID": if ready { image } else { "" }, "ready": ready,
                "started": ready, "restartCount": 0, "state": state_of(c), "lastState": {},
            })
        })
        .collect()
}

/// Not started yet: waiting for something, or on its way.
fn creating(pod: &Value, node: &Value, why: &str) -> Value {
    let mut copy = pod.clone();
    let time = now();
    let waits = |_: &Value| {
        let config = why.starts_with("secret ")
            || why.starts_with("configmap ")
            || why.starts_with("couldn't find key");
        let reason = if config {
            "CreateContainerConfigError"
        } else {
            "ContainerCreating"
        };
        let mut waiting = json!({"reason": reason});
        if !why.is_empty() {
            set(&mut waiting, &["message"], why.into());
        }
        json!({"waiting": waiting})
    };
    set(&mut copy, &["status", "phase"], "Pending".into());
    set(&mut copy, &["status", "hostIP"], node_address(node).into());
    set(
        &mut copy,
        &["status", "containerStatuses"],
        container_statuses(pod, "containers", waits, false).into(),
    );
    if at(&copy, &["status", "startTime"]).is_null() {
        set(&mut copy, &["status", "startTime"], time.clone().into());
    }
    for (kind, on) in [("PodScheduled", true), ("Initialized", true)] {
        crate::object::set_condition(&mut copy, kind, on, "", "", &time);
    }
    for kind in ["ContainersReady", "Ready"] {
        let names: Vec<&str> = list(pod, &["spec", "containers"])
            .iter()
            .map(|c| text(c, &["name"]))
            .collect();
        crate::object::set_condition(
            &mut copy,
            kind,
            false,
            "ContainersNotReady",
            &format!("containers with unready status: [{}]", names.join(" ")),
            &time,
        );
    }
    at(&copy, &["status"]).clone()
}

fn running(pod: &Value, node: &Value) -> Value {
    let mut copy = pod.clone();
    let time = now();
    let host = at(pod, &["spec", "hostNetwork"]).as_bool() == Some(true);
    let address = if host {
        node_address(node)
    } else {
        pod_address(pod)
    };
    set(&mut copy, &["status", "phase"], "Running".into());
    set(&mut copy, &["status", "podIP"], address.clone().into());
    set(&mut copy, &["status", "podIPs"], json!([{"ip": address}]));
    let ended = |_: &Value| json!({"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": time, "finishedAt": time}});
    let init = container_statuses(pod, "initContainers", ended, true);
    if !init.is_empty() {
        set(&mut copy, &["status", "initContainerStatuses"], init.into());
    }
    let runs = |_: &Value| json!({"running": {"startedAt": time}});
    set(
        &mut copy,
        &["status", "containerStatuses"],
        container_statuses(pod, "containers", runs, true).into(),
    );
    for kind in ["Initialized", "ContainersReady", "Ready"] {
        crate::object::set_condition(&mut copy, kind, true, "", "", &time);
    }
    at(&copy, &["status"]).clone()
}

fn succeeded(pod: &Value) -> Value {
    let mut copy = pod.clone();
    let time = now();
    set(&mut copy, &["status", "phase"], "Succeeded".into());
    let ended = |_: &Value| json!({"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": time, "finishedAt": time}});
    set(
        &mut copy,
        &["status", "containerStatuses"],
        container_statuses(pod, "containers", ended, false).into(),
    );
    for kind in ["ContainersReady", "Ready"] {
        crate::object::set_condition(&mut copy, kind, false, "PodCompleted", "", &time);
    }
    at(&copy, &["status"]).clone()
}

fn node_address(node: &Value) -> String {
    let addresses = list(node, &["status", "addresses"]).iter();
    addresses
        .filter(|a| text(a, &["type"]) == "InternalIP")
        .map(|a| text(a, &["address"]).to_owned())
        .next()
        .unwrap_or_default()
}

/// A stable address of the pod network, from the pod's uid.
fn pod_address(pod: &Value) -> String {
    let id = uuid::Uuid::parse_str(uid(pod)).unwrap_or_default();
    let [a, b, ..] = id.into_bytes();
    format!("10.244.{a}.{}", b.clamp(2, 254))
}

/// Whether a pod counts for a workload: there, and neither ending nor ended.
pub(super) fn is_active(pod: &Value) -> bool {
    !is_deleting(pod)
        && finalizers(pod).is_empty()
        && !matches!(text(pod, &["status", "phase"]), "Succeeded" | "Failed")
}
