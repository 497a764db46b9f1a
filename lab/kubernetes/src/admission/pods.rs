//! Pods and pod templates: dependent defaults and initial status.

use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::object::{at, map_at, name, namespace, now, set, text, uid};
use crate::state::State;

/// Defaults inside a pod's specification.
pub(super) fn default_spec(spec: &mut Map<String, Value>) {
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        let Some(Value::Array(containers)) = spec.get_mut(list) else {
            continue;
        };
        for container in containers {
            if at(container, &["imagePullPolicy"]).is_null() && container.is_object() {
                let image = text(container, &["image"]);
                let last = image.rsplit('/').next().unwrap_or(image);
                let untagged = !image.contains('@') && !last.contains(':');
                let always = untagged || last.ends_with(":latest");
                set(
                    container,
                    &["imagePullPolicy"],
                    if always { "Always" } else { "IfNotPresent" }.into(),
                );
            }
            default_requests(container);
        }
    }
    match (
        spec.get("serviceAccountName").cloned(),
        spec.get("serviceAccount").cloned(),
    ) {
        (Some(account), None) => drop(spec.insert("serviceAccount".to_owned(), account)),
        (None, Some(account)) => drop(spec.insert("serviceAccountName".to_owned(), account)),
        _ => {}
    }
    if let Some(Value::Array(volumes)) = spec.get_mut("volumes") {
        for volume in volumes
            .iter_mut()
            .filter(|v| v.as_object().is_some_and(|m| m.len() == 1))
        {
            set(volume, &["emptyDir"], json!({}));
        }
    }
}

/// A limit without a request is also the request.
fn default_requests(container: &mut Value) {
    let limits = at(container, &["resources", "limits"])
        .as_object()
        .cloned()
        .unwrap_or_default();
    for (resource, amount) in limits {
        map_at(container, &["resources", "requests"])
            .entry(resource)
            .or_insert(amount);
    }
}

pub(super) fn default_pod(state: &State, pod: &mut Value) -> Result<(), ApiError> {
    if !pod.get("spec").is_some_and(Value::is_object) {
        return Ok(());
    }
    let spec = map_at(pod, &["spec"]);
    default_spec(spec);
    spec.entry("serviceAccountName").or_insert("default".into());
    let account = spec.get("serviceAccountName").cloned().unwrap_or_default();
    spec.entry("serviceAccount").or_insert(account.clone());
    spec.entry("enableServiceLinks").or_insert(true.into());
    spec.entry("preemptionPolicy")
        .or_insert("PreemptLowerPriority".into());
    let class = spec
        .get("priorityClassName")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let priority = match class.as_str() {
        "" => Some(0),
        "system-node-critical" => Some(2_000_001_000),
        "system-cluster-critical" => Some(2_000_000_000),
        named => state
            .find("priorityclasses.scheduling.k8s.io", "", named)
            .and_then(|c| at(c, &["value"]).as_i64()),
    };
    let Some(priority) = priority else {
        let why = format!("no PriorityClass with name {class} was found");
        return Err(ApiError::forbidden("", "pods", name(pod), &why));
    };
    map_at(pod, &["spec"])
        .entry("priority")
        .or_insert(priority.into());
    let mirror = at(
        pod,
        &["metadata", "annotations", "kubernetes.io/config.mirror"],
    )
    .is_string();
    let account = account.as_str().unwrap_or("default");
    if !mirror
        && uid(pod).is_empty()
        && state
            .find("serviceaccounts", namespace(pod), account)
            .is_none()
    {
        let place = namespace(pod);
        let why = format!(
            "error looking up service account {place}/{account}: serviceaccount {account:?} not found"
        );
        return Err(ApiError::forbidden("", "pods", name(pod), &why));
    }
    default_tolerations(pod);
    Ok(())
}

fn default_tolerations(pod: &mut Value) {
    let all = map_at(pod, &["spec"])
        .entry("tolerations")
        .or_insert(json!([]));
    let Some(all) = all.as_array_mut() else {
        return;
    };
    for key in [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    ] {
        let tolerated = |t: &Value| {
            let (own, effect) = (text(t, &["key"]), text(t, &["effect"]));
            (own == key || own.is_empty() && text(t, &["operator"]) == "Exists")
                && matches!(effect, "" | "NoExecute")
        };
        if !all.iter().any(tolerated) {
            all.push(json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}));
        }
    }
}

pub(super) fn initial_status(pod: &mut Value) {
    let qos = qos_class(pod);
    set(
        pod,
        &["status"],
        json!({"phase": "Pending", "qosClass": qos}),
    );
}

fn qos_class(pod: &Value) -> &'static str {
    let containers = ["containers", "initContainers"]
        .iter()
        .flat_map(|l| crate::object::list(pod, &["spec", l]));
    let (mut any, mut guaranteed) = (false, true);
    for container in containers {
        let (requests, limits) = (
            at(container, &["resources", "requests"]),
            at(container, &["resources", "limits"]),
        );
        for resource in ["cpu", "memory"] {
            any |= !at(requests, &[resource]).is_null() || !at(limits, &[resource]).is_null();
            guaranteed &= !at(limits, &[resource]).is_null()
                && at(limits, &[resource]) == at(requests, &[resource]);
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// A job selects its pods by its own uid, unless it is told otherwise.
pub(super) fn job_selector(job: &mut Value) {
    if at(job, &["spec", "manualSelector"]).as_bool() == Some(true) {
        return;
    }
    let (own_uid, own_name) = (uid(job).to_owned(), name(job).to_owned());
    let labels = map_at(job, &["spec", "template", "metadata", "labels"]);
    for (key, value) in [
        ("batch.kubernetes.io/controller-uid", &own_uid),
        ("batch.kubernetes.io/job-name", &own_name),
        ("controller-uid", &own_uid),
        ("job-name", &own_name),
    ] {
        labels.insert(key.to_owned(), value.as_str().into());
    }
    set(
        job,
        &["spec", "selector"],
        json!({"matchLabels": {"batch.kubernetes.io/controller-uid": own_uid}}),
    );
    let suspended = at(job, &["spec", "suspend"]).as_bool() == Some(true);
    if !suspended {
        set(job, &["status", "startTime"], now().into());
    }
}
