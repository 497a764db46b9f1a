//! Deployments, ReplicaSets, StatefulSets, DaemonSets: their pods and their status.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{create, delete, owned_by, pods, write_status};
use crate::object::{
    at, condition_is_true, integer, is_deleting, label, list, map_at, name, namespace, now, set,
    set_condition, text, uid,
};
use crate::state::{Id, State};

/// Ready as health checks see it: observed, updated, and all of it ready.
pub(crate) fn is_ready(key: &str, object: &Value) -> bool {
    let number = |field: &str| integer(object, &["status", field]).unwrap_or(0);
    if number("observedGeneration") < integer(object, &["metadata", "generation"]).unwrap_or(0) {
        return false;
    }
    let wanted = integer(object, &["spec", "replicas"]).unwrap_or(1);
    match key {
        "daemonsets.apps" => {
            let desired = number("desiredNumberScheduled");
            number("numberReady") >= desired && number("updatedNumberScheduled") >= desired
        }
        _ => {
            number("readyReplicas") >= wanted
                && number("updatedReplicas") >= wanted
                && number("replicas") <= number("updatedReplicas")
        }
    }
}

/// A short hash of a pod template.
fn template_hash(template: &Value) -> String {
    use sha2::Digest;
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let digest = sha2::Sha256::digest(template.to_string().as_bytes());
    digest
        .iter()
        .take(10)
        .filter_map(|b| {
            LETTERS
                .get(usize::from(*b) % LETTERS.len())
                .map(|l| char::from(*l))
        })
        .collect()
}

fn owned(state: &State, owner: &Value, key: &str) -> Vec<Arc<Value>> {
    let ids = state
        .dependents(uid(owner))
        .into_iter()
        .filter(|id| id.key == key);
    ids.filter_map(|id| state.get(&id).cloned()).collect()
}

pub(super) fn is_pod_ready(pod: &Value) -> bool {
    !is_deleting(pod) && condition_is_true(pod, "Ready")
}

fn pod_of(owner: &Value, template: &Value, metadata: Value) -> Value {
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": at(template, &["spec"])});
    for field in ["labels", "annotations"] {
        for (key, value) in at(template, &["metadata", field])
            .as_object()
            .into_iter()
            .flatten()
        {
            map_at(&mut pod, &["metadata", field])
                .entry(key.clone())
                .or_insert(value.clone());
        }
    }
    set(&mut pod, &["metadata", "ownerReferences"], owned_by(owner));
    pod
}

pub(super) fn deployment(state: &mut State, id: &Id, deployment: &Value) {
    if is_deleting(deployment) {
        return;
    }
    let template = at(deployment, &["spec", "template"]);
    let hash = template_hash(template);
    let wanted = integer(deployment, &["spec", "replicas"]).unwrap_or(1);
    let sets = owned(state, deployment, "replicasets.apps");
    let current = sets
        .iter()
        .find(|s| label(s, "pod-template-hash") == hash)
        .cloned();
    match &current {
        None => {
            let set = replica_set_of(deployment, template, &hash, wanted, sets.len() + 1);
            create(state, "replicasets.apps", &id.namespace, set);
            return;
        }
        Some(set) => scale(state, set, wanted),
    }
    let current = current.as_deref().unwrap_or(&Value::Null);
    let updated_ready = integer(current, &["status", "readyReplicas"]).unwrap_or(0);
    // The old pods go when the new ones are ready.
    if updated_ready >= wanted {
        for old in sets.iter().filter(|s| name(s) != name(current)) {
            scale(state, old, 0);
        }
    }
    let sum = |field: &str| -> i64 {
        sets.iter()
            .filter_map(|s| integer(s, &["status", field]))
            .sum()
    };
    let (replicas, ready) = (sum("replicas"), sum("readyReplicas"));
    let mut copy = deployment.clone();
    let time = now();
    let complete = updated_ready >= wanted
        && replicas <= wanted.max(integer(current, &["status", "replicas"]).unwrap_or(0));
    let (reason, message) = if complete {
        ("NewReplicaSetAvailable", "has successfully progressed.")
    } else {
        ("ReplicaSetUpdated", "is progressing.")
    };
    set_condition(
        &mut copy,
        "Progressing",
        true,
        reason,
        &format!("ReplicaSet \"{}\" {message}", name(current)),
        &time,
    );
    let available = ready >= wanted;
    let (reason, message) = if available {
        (
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
        )
    } else {
        (
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        )
    };
    set_condition(&mut copy, "Available", available, reason, message, &time);
    let mut status = json!({"observedGeneration": integer(deployment, &["metadata", "generation"]).unwrap_or(1)});
    for (field, value) in [
        ("replicas", replicas),
        (
            "updatedReplicas",
            integer(current, &["status", "replicas"]).unwrap_or(0),
        ),
        ("readyReplicas", ready),
        ("availableReplicas", ready),
        ("unavailableReplicas", (wanted - ready).max(0)),
    ] {
        if value > 0 {
            set(&mut status, &[field], value.into());
        }
    }
    set(
        &mut status,
        &["conditions"],
        at(&copy, &["status", "conditions"]).clone(),
    );
    write_status(state, id, status);
}

fn replica_set_of(
    deployment: &Value,
    template: &Value,
    hash: &str,
    replicas: i64,
    revision: usize,
) -> Value {
    let mut template = template.clone();
    set(
        &mut template,
        &["metadata", "labels", "pod-template-hash"],
        hash.into(),
    );
    let mut selector = at(deployment, &["spec", "selector"]).clone();
    set(
        &mut selector,
        &["matchLabels", "pod-template-hash"],
        hash.into(),
    );
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": format!("{}-{hash}", name(deployment)), "namespace": namespace(deployment),
            "labels": at(&template, &["metadata", "labels"]), "ownerReferences": owned_by(deployment),
            "annotations": {"deployment.kubernetes.io/revision": revision.to_string()},
        },
        "spec": {"replicas": replicas, "selector": selector, "template": template},
    })
}

fn scale(state: &mut State, replica_set: &Value, replicas: i64) {
    if integer(replica_set, &["spec", "replicas"]) == Some(replicas) {
        return;
    }
    if let Some(resource) = state.registry.by_key("replicasets.apps") {
        state.adjust(&resource, &Id::of("replicasets.apps", replica_set), |s| {
            set(s, &["spec", "replicas"], replicas.into());
            let generation = integer(s, &["metadata", "generation"]).unwrap_or(0) + 1;
            set(s, &["metadata", "generation"], generation.into());
        });
    }
}

pub(super) fn replica_set(state: &mut State, id: &Id, set_object: &Value) {
    if is_deleting(set_object) {
        return;
    }
    let wanted =
        usize::try_from(integer(set_object, &["spec", "replicas"]).unwrap_or(1)).unwrap_or(0);
    let active: Vec<Arc<Value>> = owned(state, set_object, "pods")
        .into_iter()
        .filter(|p| pods::is_active(p))
        .collect();
    for _ in active.len()..wanted {
        let metadata = json!({"generateName": format!("{}-", id.name), "namespace": id.namespace});
        let pod = pod_of(set_object, at(set_object, &["spec", "template"]), metadata);
        create(state, "pods", &id.namespace, pod);
    }
    for pod in active.iter().skip(wanted) {
        delete(state, &Id::of("pods", pod));
    }
    let kept: Vec<&Arc<Value>> = active.iter().take(wanted).collect();
    let ready = kept.iter().filter(|p| is_pod_ready(p)).count();
    let mut status = json!({"replicas": kept.len(), "observedGeneration": integer(set_object, &["metadata", "generation"]).unwrap_or(1)});
    if !kept.is_empty() {
        set(&mut status, &["fullyLabeledReplicas"], kept.len().into());
    }
    if ready > 0 {
        set(&mut status, &["readyReplicas"], ready.into());
        set(&mut status, &["availableReplicas"], ready.into());
    }
    write_status(state, id, status);
}

pub(super) fn stateful_set(state: &mut State, id: &Id, object: &Value) {
    if is_deleting(object) {
        return;
    }
    let template = at(object, &["spec", "template"]);
    let revision = format!("{}-{}", id.name, template_hash(template));
    let wanted = usize::try_from(integer(object, &["spec", "replicas"]).unwrap_or(1)).unwrap_or(0);
    let pods = owned(state, object, "pods");
    let ordered = text(object, &["spec", "podManagementPolicy"]) != "Parallel";
    let pod_name = |ordinal: usize| format!("{}-{ordinal}", id.name);
    for ordinal in 0..wanted {
        let found = pods.iter().find(|p| name(p) == pod_name(ordinal));
        match found {
            None => {
                stateful_pod(state, id, object, template, &revision, ordinal);
                if ordered {
                    break;
                }
            }
            Some(pod) if label(pod, "controller-revision-hash") != revision => {
                if !is_deleting(pod) {
                    delete(state, &Id::of("pods", pod));
                }
                break;
            }
            Some(pod) if ordered && !is_pod_ready(pod) => break,
            Some(_) => {}
        }
    }
    for pod in &pods {
        let ordinal = name(pod)
            .rsplit('-')
            .next()
            .and_then(|o| o.parse::<usize>().ok());
        if ordinal.is_some_and(|o| o >= wanted) && !is_deleting(pod) {
            delete(state, &Id::of("pods", pod));
        }
    }
    let ready = pods.iter().filter(|p| is_pod_ready(p)).count();
    let updated = pods
        .iter()
        .filter(|p| label(p, "controller-revision-hash") == revision)
        .count();
    let status = json!({
        "observedGeneration": integer(object, &["metadata", "generation"]).unwrap_or(1), "replicas": pods.len(),
        "readyReplicas": ready, "availableReplicas": ready, "currentReplicas": updated, "updatedReplicas": updated,
        "currentRevision": revision, "updateRevision": revision, "collisionCount": 0,
    });
    write_status(state, id, status);
}

fn stateful_pod(
    state: &mut State,
    id: &Id,
    object: &Value,
    template: &Value,
    revision: &str,
    ordinal: usize,
) {
    let own_name = format!("{}-{ordinal}", id.name);
    let metadata = json!({"name": own_name, "namespace": id.namespace, "labels": {
        "controller-revision-hash": revision, "statefulset.kubernetes.io/pod-name": own_name, "apps.kubernetes.io/pod-index": ordinal.to_string()}});
    let mut pod = pod_of(object, template, metadata);
    set(&mut pod, &["spec", "hostname"], own_name.as_str().into());
    for claim in list(object, &["spec", "volumeClaimTemplates"]) {
        let claim_name = format!("{}-{own_name}", name(claim));
        if state
            .find("persistentvolumeclaims", &id.namespace, &claim_name)
            .is_none()
        {
            let mut made = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "metadata": {"name": claim_name, "namespace": id.namespace, "labels": at(object, &["spec", "selector", "matchLabels"])},
                "spec": at(claim, &["spec"])});
            crate::object::remove(&mut made, &["status"]);
            create(state, "persistentvolumeclaims", &id.namespace, made);
        }
        let volumes = map_at(&mut pod, &["spec"])
            .entry("volumes")
            .or_insert(json!([]));
        if let Some(volumes) = volumes.as_array_mut() {
            volumes.retain(|v| text(v, &["name"]) != name(claim));
            volumes.push(
                json!({"name": name(claim), "persistentVolumeClaim": {"claimName": claim_name}}),
            );
        }
    }
    create(state, "pods", &id.namespace, pod);
}

pub(super) fn daemon_set(state: &mut State, id: &Id, object: &Value) {
    if is_deleting(object) {
        return;
    }
    let mut template = at(object, &["spec", "template"]).clone();
    let revision = template_hash(&template);
    let tolerations = map_at(&mut template, &["spec"])
        .entry("tolerations")
        .or_insert(json!([]));
    if let Some(all) = tolerations.as_array_mut() {
        for (key, effect) in [
            ("not-ready", "NoExecute"),
            ("unreachable", "NoExecute"),
            ("disk-pressure", "NoSchedule"),
            ("memory-pressure", "NoSchedule"),
            ("pid-pressure", "NoSchedule"),
            ("unschedulable", "NoSchedule"),
            ("not-ready", "NoSchedule"),
            ("network-unavailable", "NoSchedule"),
        ] {
            all.push(json!({"key": format!("node.kubernetes.io/{key}"), "operator": "Exists", "effect": effect}));
        }
    }
    let nodes: Vec<String> = state
        .list("nodes", "")
        .filter(|n| pods::fits(&template, n))
        .map(|n| name(n).to_owned())
        .collect();
    let pods = owned(state, object, "pods");
    for node in &nodes {
        match pods.iter().find(|p| text(p, &["spec", "nodeName"]) == node) {
            None => {
                let metadata = json!({"generateName": format!("{}-", id.name), "namespace": id.namespace, "labels": {"controller-revision-hash": revision, "pod-template-generation": "1"}});
                let mut pod = pod_of(object, &template, metadata);
                set(&mut pod, &["spec", "nodeName"], node.as_str().into());
                create(state, "pods", &id.namespace, pod);
            }
            Some(pod)
                if label(pod, "controller-revision-hash") != revision && !is_deleting(pod) =>
            {
                delete(state, &Id::of("pods", pod));
            }
            Some(_) => {}
        }
    }
    let on = |pod: &Value| nodes.iter().any(|n| n == text(pod, &["spec", "nodeName"]));
    for pod in pods.iter().filter(|p| !on(p) && !is_deleting(p)) {
        delete(state, &Id::of("pods", pod));
    }
    let ready = pods.iter().filter(|p| is_pod_ready(p)).count();
    let updated = pods
        .iter()
        .filter(|p| label(p, "controller-revision-hash") == revision)
        .count();
    let mut status = json!({
        "observedGeneration": integer(object, &["metadata", "generation"]).unwrap_or(1),
        "desiredNumberScheduled": nodes.len(), "currentNumberScheduled": pods.len().min(nodes.len()), "numberMisscheduled": 0,
        "numberReady": ready, "updatedNumberScheduled": updated,
    });
    if ready > 0 {
        set(&mut status, &["numberAvailable"], ready.into());
    }
    if nodes.len() > ready {
        set(
            &mut status,
            &["numberUnavailable"],
            (nodes.len() - ready).into(),
        );
    }
    write_status(state, id, status);
}
