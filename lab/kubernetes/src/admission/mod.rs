//! What the server does to an object beyond its type: dependent defaults, initial status, allocated values, validation.

mod names;
mod pods;
mod services;
mod validate;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::object::{at, entry, list, map_at, name, remove, set, text};
use crate::resources::Resource;
use crate::state::State;

pub(crate) use validate::validate;

/// Kinds whose `metadata.generation` counts changes of their specification.
pub(crate) fn has_generation(resource: &Resource) -> bool {
    resource.custom.is_some()
        || matches!(
            resource.key.as_str(),
            "pods"
                | "replicationcontrollers"
                | "deployments.apps"
                | "statefulsets.apps"
                | "daemonsets.apps"
                | "replicasets.apps"
                | "jobs.batch"
                | "cronjobs.batch"
                | "ingresses.networking.k8s.io"
                | "ingressclasses.networking.k8s.io"
                | "networkpolicies.networking.k8s.io"
                | "poddisruptionbudgets.policy"
                | "customresourcedefinitions.apiextensions.k8s.io"
                | "priorityclasses.scheduling.k8s.io"
                | "flowschemas.flowcontrol.apiserver.k8s.io"
                | "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io"
                | "mutatingwebhookconfigurations.admissionregistration.k8s.io"
                | "validatingwebhookconfigurations.admissionregistration.k8s.io"
                | "validatingadmissionpolicies.admissionregistration.k8s.io"
                | "validatingadmissionpolicybindings.admissionregistration.k8s.io"
        )
}

/// Whether anything but metadata and status differs.
pub(crate) fn spec_changed(resource: &Resource, old: &Value, new: &Value) -> bool {
    let has_status = resource.has("status");
    let keys = |object: &Value| -> Vec<String> {
        object
            .as_object()
            .into_iter()
            .flatten()
            .map(|(k, _)| k.clone())
            .collect()
    };
    let mut all = keys(old);
    all.extend(keys(new));
    all.iter()
        .filter(|k| {
            !(matches!(k.as_str(), "metadata" | "apiVersion" | "kind")
                || has_status && *k == "status")
        })
        .any(|k| old.get(k) != new.get(k))
}

/// The pod template of a workload.
pub(crate) fn template_path(key: &str) -> Option<&'static [&'static str]> {
    match key {
        "deployments.apps"
        | "statefulsets.apps"
        | "daemonsets.apps"
        | "replicasets.apps"
        | "jobs.batch"
        | "replicationcontrollers" => Some(&["spec", "template"]),
        "cronjobs.batch" => Some(&["spec", "jobTemplate", "spec", "template"]),
        "podtemplates" => Some(&["template"]),
        _ => None,
    }
}

/// Defaults that depend on other fields, and what admission plugins add.
pub(crate) fn default_object(
    state: &State,
    resource: &Resource,
    object: &mut Value,
) -> Result<(), ApiError> {
    if let Some(path) = template_path(&resource.key)
        && let Some(template) = object.pointer_mut(&format!("/{}", path.join("/")))
    {
        pods::default_spec(map_at(template, &["spec"]));
    }
    match resource.key.as_str() {
        "pods" => pods::default_pod(state, object)?,
        "services" => services::default_service(object),
        "secrets" => default_secret(object),
        "namespaces" => {
            let own = name(object).to_owned();
            set(
                object,
                &["metadata", "labels", "kubernetes.io/metadata.name"],
                own.into(),
            );
        }
        "persistentvolumeclaims" => default_claim(state, object),
        "clusterrolebindings.rbac.authorization.k8s.io"
        | "rolebindings.rbac.authorization.k8s.io" => {
            default_subjects(object);
        }
        "customresourcedefinitions.apiextensions.k8s.io" => default_crd(object),
        "deployments.apps" => default_strategy(object),
        _ => {}
    }
    Ok(())
}

fn default_strategy(object: &mut Value) {
    if text(object, &["spec", "strategy", "type"]) == "RollingUpdate" {
        let rolling = map_at(object, &["spec", "strategy", "rollingUpdate"]);
        rolling.entry("maxUnavailable").or_insert("25%".into());
        rolling.entry("maxSurge").or_insert("25%".into());
    }
}

fn default_secret(object: &mut Value) {
    let Some(plain) = remove(object, &["stringData"]) else {
        return;
    };
    for (key, value) in plain.as_object().into_iter().flatten() {
        let encoded = STANDARD.encode(value.as_str().unwrap_or_default());
        map_at(object, &["data"]).insert(key.clone(), encoded.into());
    }
}

fn default_claim(state: &State, object: &mut Value) {
    if !at(object, &["spec", "storageClassName"]).is_null() {
        return;
    }
    let is_default = |class: &&std::sync::Arc<Value>| {
        crate::object::annotation(class, "storageclass.kubernetes.io/is-default-class")
            == Some("true")
    };
    if let Some(class) = state
        .list("storageclasses.storage.k8s.io", "")
        .find(is_default)
    {
        set(object, &["spec", "storageClassName"], name(class).into());
    }
}

fn default_subjects(object: &mut Value) {
    let Some(subjects) = object.get_mut("subjects").and_then(Value::as_array_mut) else {
        return;
    };
    for subject in subjects {
        if matches!(text(subject, &["kind"]), "User" | "Group") {
            entry(subject)
                .entry("apiGroup")
                .or_insert("rbac.authorization.k8s.io".into());
        }
    }
}

fn default_crd(object: &mut Value) {
    let kind = text(object, &["spec", "names", "kind"]).to_owned();
    let names = map_at(object, &["spec", "names"]);
    names
        .entry("singular")
        .or_insert(kind.to_ascii_lowercase().into());
    names
        .entry("listKind")
        .or_insert(format!("{kind}List").into());
}

/// Initial status, and values that the server allocates.
pub(crate) fn prepare_create(
    state: &State,
    resource: &Resource,
    object: &mut Value,
) -> Result<(), ApiError> {
    match resource.key.as_str() {
        "namespaces" => set(object, &["status", "phase"], "Active".into()),
        "pods" => pods::initial_status(object),
        "persistentvolumeclaims" => set(object, &["status", "phase"], "Pending".into()),
        "persistentvolumes" => set(object, &["status", "phase"], "Pending".into()),
        "services" => services::allocate(state, object)?,
        "deployments.apps" | "statefulsets.apps" | "daemonsets.apps" | "replicasets.apps"
        | "jobs.batch" | "cronjobs.batch" => set(object, &["status"], json!({})),
        "customresourcedefinitions.apiextensions.k8s.io" => {
            let stored = list(object, &["spec", "versions"]).iter();
            let stored: Vec<Value> = stored
                .filter(|v| v.get("storage").and_then(Value::as_bool) == Some(true))
                .map(|v| at(v, &["name"]).clone())
                .collect();
            set(object, &["status", "storedVersions"], Value::Array(stored));
        }
        _ => {}
    }
    if resource.key == "jobs.batch" {
        pods::job_selector(object);
    }
    Ok(())
}

/// What an update may not take away.
pub(crate) fn prepare_update(resource: &Resource, new: &mut Value, old: &Value, subresource: &str) {
    if subresource.is_empty() && resource.key == "services" {
        services::keep_allocated(new, old);
    }
    let kept: &[&[&str]] = match (resource.key.as_str(), subresource) {
        ("namespaces", "") => &[&["spec", "finalizers"]],
        ("pods", "") => &[
            &["spec", "nodeName"],
            &["spec", "serviceAccountName"],
            &["spec", "serviceAccount"],
        ],
        ("persistentvolumeclaims", "") => &[&["spec", "volumeName"]],
        ("jobs.batch", "") => &[&["spec", "selector"]],
        _ => &[],
    };
    for path in kept {
        if at(new, path).is_null() && !at(old, path).is_null() {
            set(new, path, at(old, path).clone());
        }
    }
    if resource.key == "jobs.batch" && subresource.is_empty() {
        for label in [
            "controller-uid",
            "batch.kubernetes.io/controller-uid",
            "job-name",
            "batch.kubernetes.io/job-name",
        ] {
            let path = ["spec", "template", "metadata", "labels", label];
            if at(new, &path).is_null() && !at(old, &path).is_null() {
                set(new, &path, at(old, &path).clone());
            }
        }
    }
}
