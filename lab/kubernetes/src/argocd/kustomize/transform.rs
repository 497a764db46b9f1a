//! Transformers: namespace, name prefix and suffix, labels, annotations, replicas, images.

use serde_json::{Value, json};

use super::Resource;
use crate::object::{at, list, map_at, name, set, text};
use crate::resources::Registry;

/// `NAME[=NEWNAME][:TAG|@DIGEST]`, as an Application's `kustomize.images` has it.
pub(crate) struct ImageOverride;

impl ImageOverride {
    /// As an entry of a kustomization's `images`.
    pub(crate) fn parse(text: &str) -> Value {
        let (name, target) = text
            .split_once('=')
            .map_or((None, text), |(n, t)| (Some(n), t));
        let (base, tag, digest) = split_image(target);
        let mut entry = json!({"name": name.unwrap_or(base)});
        if name.is_some() {
            set(&mut entry, &["newName"], base.into());
        }
        if let Some(tag) = tag {
            set(&mut entry, &["newTag"], tag.into());
        }
        if let Some(digest) = digest {
            set(&mut entry, &["digest"], digest.into());
        }
        entry
    }
}

pub(super) fn apply(definition: &Value, resources: &mut [Resource]) -> Result<(), String> {
    namespaces(text(definition, &["namespace"]), resources);
    affixes(
        text(definition, &["namePrefix"]),
        text(definition, &["nameSuffix"]),
        resources,
    );
    for entry in list(definition, &["labels"]) {
        if entry.get("fields").is_some() {
            return Err(
                "invalid Kustomization: the lab does not support the field \"fields\" of labels"
                    .to_owned(),
            );
        }
        let flag = |word: &str| at(entry, &[word]).as_bool() == Some(true);
        let pairs = at(entry, &["pairs"]);
        resources
            .iter_mut()
            .for_each(|r| labels(r, pairs, flag("includeSelectors"), flag("includeTemplates")));
    }
    let common = at(definition, &["commonLabels"]);
    resources
        .iter_mut()
        .for_each(|r| labels(r, common, true, true));
    annotations(at(definition, &["commonAnnotations"]), resources);
    for entry in list(definition, &["replicas"]) {
        replicas(entry, resources)?;
    }
    for entry in list(definition, &["images"]) {
        resources
            .iter_mut()
            .for_each(|r| images(&mut r.object, entry));
    }
    Ok(())
}

/// Whether a kind lives outside of namespaces. Kinds that are not built in are taken as namespaced.
fn is_cluster_wide(registry: &Registry, resource: &Resource) -> bool {
    registry
        .by_kind(text(&resource.object, &["apiVersion"]), resource.kind())
        .is_some_and(|r| !r.namespaced)
}

fn namespaces(wanted: &str, resources: &mut [Resource]) {
    if wanted.is_empty() {
        return;
    }
    let registry = Registry::new();
    for resource in resources.iter_mut() {
        if !is_cluster_wide(&registry, resource) {
            set(
                &mut resource.object,
                &["metadata", "namespace"],
                wanted.into(),
            );
            if !resource.namespaces.iter().any(|n| n == wanted) {
                resource.namespaces.push(wanted.to_owned());
            }
        }
        if resource.kind().ends_with("RoleBinding") {
            let subjects = resource
                .object
                .get_mut("subjects")
                .and_then(Value::as_array_mut);
            for subject in subjects.into_iter().flatten() {
                if text(subject, &["kind"]) == "ServiceAccount"
                    && text(subject, &["name"]) == "default"
                {
                    set(subject, &["namespace"], wanted.into());
                }
            }
        }
    }
}

fn affixes(prefix: &str, suffix: &str, resources: &mut [Resource]) {
    if prefix.is_empty() && suffix.is_empty() {
        return;
    }
    for resource in resources.iter_mut() {
        if matches!(
            resource.kind(),
            "CustomResourceDefinition" | "APIService" | "Namespace"
        ) {
            continue;
        }
        let renamed = format!("{prefix}{}{suffix}", name(&resource.object));
        resource.rename(renamed);
    }
}

fn add(object: &mut Value, path: &[&str], pairs: &Value) {
    for (key, value) in pairs.as_object().into_iter().flatten() {
        map_at(object, path).insert(key.clone(), value.clone());
    }
}

/// Where the pod template's metadata is, by kind.
fn template(kind: &str) -> Option<&'static [&'static str]> {
    match kind {
        "Deployment"
        | "StatefulSet"
        | "DaemonSet"
        | "ReplicaSet"
        | "Job"
        | "ReplicationController" => Some(&["spec", "template", "metadata"]),
        "CronJob" => Some(&["spec", "jobTemplate", "spec", "template", "metadata"]),
        _ => None,
    }
}

fn labels(resource: &mut Resource, pairs: &Value, selectors: bool, templates: bool) {
    if pairs.as_object().is_none_or(serde_json::Map::is_empty) {
        return;
    }
    let kind = resource.kind().to_owned();
    let object = &mut resource.object;
    add(object, &["metadata", "labels"], pairs);
    if let Some(path) = template(&kind).filter(|_| selectors || templates) {
        let path: Vec<&str> = path.iter().copied().chain(["labels"]).collect();
        add(object, &path, pairs);
    }
    if kind == "CronJob" && (selectors || templates) {
        add(
            object,
            &["spec", "jobTemplate", "metadata", "labels"],
            pairs,
        );
    }
    if !selectors {
        return;
    }
    match kind.as_str() {
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" => {
            add(object, &["spec", "selector", "matchLabels"], pairs);
        }
        "Service" => add(object, &["spec", "selector"], pairs),
        "ReplicationController" => add(object, &["spec", "selector"], pairs),
        "PodDisruptionBudget" | "Job"
            if at(object, &["spec", "selector", "matchLabels"]).is_object() =>
        {
            add(object, &["spec", "selector", "matchLabels"], pairs);
        }
        "NetworkPolicy" if at(object, &["spec", "podSelector", "matchLabels"]).is_object() => {
            add(object, &["spec", "podSelector", "matchLabels"], pairs);
        }
        _ => {}
    }
    if kind == "StatefulSet" {
        let claims = object
            .pointer_mut("/spec/volumeClaimTemplates")
            .and_then(Value::as_array_mut);
        for claim in claims.into_iter().flatten() {
            add(claim, &["metadata", "labels"], pairs);
        }
    }
}

fn annotations(pairs: &Value, resources: &mut [Resource]) {
    if pairs.as_object().is_none_or(serde_json::Map::is_empty) {
        return;
    }
    for resource in resources {
        add(&mut resource.object, &["metadata", "annotations"], pairs);
        if let Some(path) = template(resource.kind()) {
            let path: Vec<&str> = path.iter().copied().chain(["annotations"]).collect();
            add(&mut resource.object, &path, pairs);
        }
        if resource.kind() == "CronJob" {
            add(
                &mut resource.object,
                &["spec", "jobTemplate", "metadata", "annotations"],
                pairs,
            );
        }
    }
}

fn replicas(entry: &Value, resources: &mut [Resource]) -> Result<(), String> {
    let wanted = text(entry, &["name"]);
    let count = at(entry, &["count"])
        .as_i64()
        .ok_or_else(|| format!("replicas of {wanted:?} need a count"))?;
    let mut found = false;
    for resource in resources.iter_mut() {
        let scales = matches!(
            resource.kind(),
            "Deployment" | "ReplicaSet" | "StatefulSet" | "ReplicationController"
        );
        if scales && resource.names.iter().any(|n| n == wanted) {
            set(&mut resource.object, &["spec", "replicas"], count.into());
            found = true;
        }
    }
    if found {
        Ok(())
    } else {
        Err(format!(
            "resource with name {wanted} does not match a config with the following GVK [Deployment.apps, ReplicationController, ReplicaSet, StatefulSet]"
        ))
    }
}

/// `(name, tag, digest)`.
fn split_image(image: &str) -> (&str, Option<&str>, Option<&str>) {
    let (rest, digest) = image
        .split_once('@')
        .map_or((image, None), |(r, d)| (r, Some(d)));
    let last = rest.rfind('/').map_or(0, |i| i + 1);
    match rest.get(last..).and_then(|l| l.find(':')) {
        Some(colon) => (
            rest.get(..last + colon).unwrap_or(rest),
            rest.get(last + colon + 1..),
            digest,
        ),
        None => (rest, None, digest),
    }
}

/// Changes the image in every list of containers, wherever it is.
fn images(value: &mut Value, entry: &Value) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map.iter_mut() {
                if matches!(key.as_str(), "containers" | "initContainers")
                    && let Value::Array(containers) = inner
                {
                    containers.iter_mut().for_each(|c| image(c, entry));
                } else {
                    images(inner, entry);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|i| images(i, entry)),
        _ => {}
    }
}

fn image(container: &mut Value, entry: &Value) {
    let current = text(container, &["image"]).to_owned();
    let (base, tag, digest) = split_image(&current);
    if current.is_empty() || base != text(entry, &["name"]) {
        return;
    }
    let or = |given: &str, other: &str| {
        if given.is_empty() {
            other.to_owned()
        } else {
            given.to_owned()
        }
    };
    let base = or(text(entry, &["newName"]), base);
    let scalar = |field: &str| match at(entry, &[field]) {
        Value::String(s) => s.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let (new_tag, new_digest) = (scalar("newTag"), scalar("digest"));
    let renamed = if !new_digest.is_empty() {
        format!("{base}@{new_digest}")
    } else if !new_tag.is_empty() {
        format!("{base}:{new_tag}")
    } else if let Some(digest) = digest {
        let tag = tag.map(|t| format!(":{t}")).unwrap_or_default();
        format!("{base}{tag}@{digest}")
    } else {
        tag.map_or(base.clone(), |t| format!("{base}:{t}"))
    };
    set(container, &["image"], renamed.into());
}
