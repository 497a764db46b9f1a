//! Validation of whole objects: what the server refuses as `Invalid`.

use serde_json::{Value, json};

use super::{names, template_path};
use crate::error::{Cause, qualified};
use crate::object::{at, list, name, text, text_map};
use crate::resources::Resource;
use crate::schema;
use crate::selector::label_selector_matches;

/// Everything that is wrong with an object; `old` is what an update replaces.
pub(crate) fn validate(resource: &Resource, new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    if old.is_none() {
        names::check(resource, new, &mut causes);
    } else {
        names::check_labels(
            at(new, &["metadata", "labels"]),
            "metadata.labels",
            &mut causes,
        );
    }
    owners(new, &mut causes);
    match &resource.custom {
        Some(custom) => causes.extend(schema::validate_custom(&custom.openapi, new)),
        None => causes.extend(schema::required_builtin(resource.schema(), new)),
    }
    match resource.key.as_str() {
        "deployments.apps" | "statefulsets.apps" | "daemonsets.apps" | "replicasets.apps" => {
            workload(resource, new, old, &mut causes);
        }
        "jobs.batch" => immutable(
            new,
            old,
            &[
                &["spec", "template"],
                &["spec", "selector"],
                &["spec", "completionMode"],
            ],
            &mut causes,
        ),
        "services" => service(new, old, &mut causes),
        "secrets" => secret(new, old, &mut causes),
        "configmaps" => config_map(new, old, &mut causes),
        "persistentvolumeclaims" => claim(new, old, &mut causes),
        "storageclasses.storage.k8s.io" => immutable(
            new,
            old,
            &[
                &["provisioner"],
                &["parameters"],
                &["reclaimPolicy"],
                &["volumeBindingMode"],
            ],
            &mut causes,
        ),
        "clusterrolebindings.rbac.authorization.k8s.io"
        | "rolebindings.rbac.authorization.k8s.io" => {
            immutable_because(new, old, &["roleRef"], "cannot change roleRef", &mut causes);
        }
        "customresourcedefinitions.apiextensions.k8s.io" => crd(new, old, &mut causes),
        "pods" => pod(new, old, &mut causes),
        _ => {}
    }
    if let Some(path) = template_path(&resource.key) {
        let policy_path: Vec<&str> = path
            .iter()
            .copied()
            .chain(["spec", "restartPolicy"])
            .collect();
        let policy = at(new, &policy_path);
        let is_job = resource.key.ends_with(".batch");
        let always = policy.as_str() == Some("Always");
        if is_job && always {
            causes.push(Cause::unsupported(
                policy_path.join("."),
                policy,
                &["OnFailure".into(), "Never".into()],
            ));
        } else if !is_job && resource.key != "podtemplates" && !policy.is_null() && !always {
            causes.push(Cause::unsupported(
                policy_path.join("."),
                policy,
                &["Always".into()],
            ));
        }
    }
    causes
}

fn owners(new: &Value, causes: &mut Vec<Cause>) {
    for (index, owner) in list(new, &["metadata", "ownerReferences"])
        .iter()
        .enumerate()
    {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if text(owner, &[field]).is_empty() {
                let path = format!("metadata.ownerReferences[{index}].{field}");
                causes.push(Cause::invalid(
                    path,
                    &json!(""),
                    &format!("{field} must not be empty"),
                ));
            }
        }
    }
}

fn immutable(new: &Value, old: Option<&Value>, paths: &[&[&str]], causes: &mut Vec<Cause>) {
    for path in paths {
        immutable_because(new, old, path, "field is immutable", causes);
    }
}

fn immutable_because(
    new: &Value,
    old: Option<&Value>,
    path: &[&str],
    why: &str,
    causes: &mut Vec<Cause>,
) {
    if old.is_some_and(|old| at(old, path) != at(new, path)) {
        causes.push(Cause::invalid(path.join("."), at(new, path), why));
    }
}

fn workload(resource: &Resource, new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let selector = at(new, &["spec", "selector"]);
    let is_empty = text_map(at(selector, &["matchLabels"])).is_empty()
        && list(selector, &["matchExpressions"]).is_empty();
    let template_labels = text_map(at(new, &["spec", "template", "metadata", "labels"]));
    if selector.is_object() && is_empty {
        causes.push(Cause::invalid(
            "spec.selector",
            selector,
            "empty selector is invalid for deployment",
        ));
    } else if selector.is_object() && !label_selector_matches(selector, &template_labels) {
        let found = at(new, &["spec", "template", "metadata", "labels"]);
        causes.push(Cause::invalid(
            "spec.template.metadata.labels",
            found,
            "`selector` does not match template `labels`",
        ));
    }
    if at(new, &["spec", "replicas"])
        .as_i64()
        .is_some_and(|r| r < 0)
    {
        causes.push(Cause::invalid(
            "spec.replicas",
            at(new, &["spec", "replicas"]),
            "must be greater than or equal to 0",
        ));
    }
    names::check_labels(
        at(new, &["spec", "template", "metadata", "labels"]),
        "spec.template.labels",
        causes,
    );
    containers(
        at(new, &["spec", "template", "spec"]),
        "spec.template.spec",
        causes,
    );
    immutable(new, old, &[&["spec", "selector"]], causes);
    let Some(old) = old.filter(|_| resource.key == "statefulsets.apps") else {
        return;
    };
    let allowed = [
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
        "selector",
    ];
    let differs = |key: &String| {
        old.pointer("/spec").and_then(|s| s.get(key))
            != new.pointer("/spec").and_then(|s| s.get(key))
    };
    let keys = at(new, &["spec"])
        .as_object()
        .into_iter()
        .flatten()
        .chain(at(old, &["spec"]).as_object().into_iter().flatten());
    if keys
        .map(|(k, _)| k)
        .any(|k| !allowed.contains(&k.as_str()) && differs(k))
    {
        causes.push(Cause::forbidden("spec", "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"));
    }
}

fn containers(spec: &Value, field: &str, causes: &mut Vec<Cause>) {
    let volumes: Vec<&str> = list(spec, &["volumes"])
        .iter()
        .map(|v| text(v, &["name"]))
        .collect();
    let mut seen = std::collections::HashSet::new();
    for kind in ["containers", "initContainers"] {
        for (index, container) in list(spec, &[kind]).iter().enumerate() {
            let path = format!("{field}.{kind}[{index}]");
            if text(container, &["image"]).is_empty() {
                causes.push(Cause::required(format!("{path}.image"), ""));
            }
            let own = text(container, &["name"]);
            if !own.is_empty() && !seen.insert(own) {
                causes.push(Cause {
                    reason: "FieldValueDuplicate",
                    message: format!("Duplicate value: {own:?}"),
                    field: format!("{path}.name"),
                });
            }
            for (m, mount) in list(container, &["volumeMounts"]).iter().enumerate() {
                let volume = text(mount, &["name"]);
                // Claim templates of stateful sets bring volumes of their own; they are seen in the pods.
                if !volumes.contains(&volume) && !field.contains("template") {
                    causes.push(Cause {
                        reason: "FieldValueNotFound",
                        message: format!("Not found: {volume:?}"),
                        field: format!("{path}.volumeMounts[{m}].name"),
                    });
                }
            }
        }
    }
}

fn pod(new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    containers(at(new, &["spec"]), "spec", causes);
    let Some(old) = old else { return };
    let frozen = |pod: &Value| {
        let mut spec = at(pod, &["spec"]).clone();
        for kind in ["containers", "initContainers"] {
            let items = spec
                .get_mut(kind)
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten();
            items.for_each(|c| drop(crate::object::remove(c, &["image"])));
        }
        for field in [
            "activeDeadlineSeconds",
            "tolerations",
            "terminationGracePeriodSeconds",
            "nodeName",
            "ephemeralContainers",
        ] {
            crate::object::remove(&mut spec, &[field]);
        }
        spec
    };
    if frozen(old) != frozen(new) {
        causes.push(Cause::forbidden("spec", "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"));
    }
}

fn service(new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let kind = at(new, &["spec", "type"]);
    let kinds = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    if kind.as_str().is_some_and(|k| !kinds.contains(&k)) {
        causes.push(Cause::unsupported(
            "spec.type",
            kind,
            &kinds.map(Value::from),
        ));
    }
    let headless = text(new, &["spec", "clusterIP"]) == "None";
    let external = kind.as_str() == Some("ExternalName");
    let ports = list(new, &["spec", "ports"]);
    if ports.is_empty() && !headless && !external {
        causes.push(Cause::required("spec.ports", ""));
    }
    if external && text(new, &["spec", "externalName"]).is_empty() {
        causes.push(Cause::required("spec.externalName", ""));
    }
    for (index, port) in ports.iter().enumerate() {
        if ports.len() > 1 && text(port, &["name"]).is_empty() {
            causes.push(Cause::required(format!("spec.ports[{index}].name"), ""));
        }
        let number = at(port, &["port"]);
        if number.as_i64().is_some_and(|n| !(1..=65535).contains(&n)) {
            causes.push(Cause::invalid(
                format!("spec.ports[{index}].port"),
                number,
                "must be between 1 and 65535, inclusive",
            ));
        }
    }
    if let Some(old) = old {
        let (before, after) = (
            text(old, &["spec", "clusterIP"]),
            text(new, &["spec", "clusterIP"]),
        );
        if !before.is_empty() && !external && before != after {
            causes.push(Cause::invalid(
                "spec.clusterIPs[0]",
                &json!([after]),
                "may not change once set",
            ));
        }
    }
}

fn secret(new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    immutable(new, old, &[&["type"]], causes);
    immutable_data(new, old, &["data"], causes);
    let needed: &[&str] = match text(new, &["type"]) {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        _ => &[],
    };
    for key in needed {
        if at(new, &["data", key]).is_null() {
            causes.push(Cause::required(format!("data[{key}]"), ""));
        }
    }
    data_keys(new, &["data"], causes);
    let size: usize = at(new, &["data"])
        .as_object()
        .into_iter()
        .flatten()
        .map(|(_, v)| v.as_str().map_or(0, |t| t.len() / 4 * 3))
        .sum();
    if size > 1024 * 1024 {
        causes.push(Cause {
            reason: "FieldValueTooLong",
            message: "Too long: may not be more than 1048576 bytes".to_owned(),
            field: "data".to_owned(),
        });
    }
}

fn config_map(new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    immutable_data(new, old, &["data", "binaryData"], causes);
    data_keys(new, &["data", "binaryData"], causes);
}

fn immutable_data(new: &Value, old: Option<&Value>, fields: &[&str], causes: &mut Vec<Cause>) {
    let Some(old) = old.filter(|o| o.get("immutable").and_then(Value::as_bool) == Some(true))
    else {
        return;
    };
    for field in fields.iter().chain(&["immutable"]) {
        if old.get(field) != new.get(field) {
            causes.push(Cause::forbidden(
                *field,
                "field is immutable when `immutable` is set",
            ));
        }
    }
}

fn data_keys(new: &Value, fields: &[&str], causes: &mut Vec<Cause>) {
    for field in fields {
        for (key, _) in at(new, &[field]).as_object().into_iter().flatten() {
            let fits = !key.is_empty()
                && key.len() <= 253
                && key
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
            if !fits || matches!(key.as_str(), "." | "..") {
                let detail = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
                causes.push(Cause::invalid(
                    format!("{field}[{key}]"),
                    &json!(key),
                    detail,
                ));
            }
        }
    }
}

fn claim(new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    if list(new, &["spec", "accessModes"]).is_empty() {
        causes.push(Cause::required(
            "spec.accessModes",
            "at least 1 access mode is required",
        ));
    }
    if at(new, &["spec", "resources", "requests", "storage"]).is_null() {
        causes.push(Cause::required("spec.resources[storage]", ""));
    }
    let Some(old) = old else { return };
    let frozen = |claim: &Value| {
        let mut spec = at(claim, &["spec"]).clone();
        for field in [
            "resources",
            "volumeName",
            "volumeAttributesClassName",
            "storageClassName",
        ] {
            crate::object::remove(&mut spec, &[field]);
        }
        spec
    };
    let class = |c: &Value| text(c, &["spec", "storageClassName"]).to_owned();
    if frozen(old) != frozen(new) || !class(old).is_empty() && class(old) != class(new) {
        causes.push(Cause::forbidden("spec", "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"));
    }
}

fn crd(new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let (group, plural) = (
        text(new, &["spec", "group"]),
        text(new, &["spec", "names", "plural"]),
    );
    if name(new) != qualified(group, plural) {
        causes.push(Cause::invalid(
            "metadata.name",
            at(new, &["metadata", "name"]),
            "must be spec.names.plural+\".\"+spec.group",
        ));
    }
    if !group.contains('.') && !group.is_empty() {
        causes.push(Cause::invalid(
            "spec.group",
            at(new, &["spec", "group"]),
            "should be a domain with at least one dot",
        ));
    }
    let scope = at(new, &["spec", "scope"]);
    if scope
        .as_str()
        .is_some_and(|s| !matches!(s, "Cluster" | "Namespaced"))
    {
        causes.push(Cause::unsupported(
            "spec.scope",
            scope,
            &["Cluster".into(), "Namespaced".into()],
        ));
    }
    immutable(
        new,
        old,
        &[
            &["spec", "group"],
            &["spec", "scope"],
            &["spec", "names", "plural"],
        ],
        causes,
    );
    let versions = list(new, &["spec", "versions"]);
    let stored = versions
        .iter()
        .filter(|v| v.get("storage").and_then(Value::as_bool) == Some(true))
        .count();
    if stored != 1 {
        causes.push(Cause::invalid(
            "spec.versions",
            at(new, &["spec", "versions"]),
            "must have exactly one version marked as storage version",
        ));
    }
    if text(new, &["spec", "conversion", "strategy"]) == "Webhook"
        && at(new, &["spec", "conversion", "webhook"]).is_null()
    {
        causes.push(Cause::required(
            "spec.conversion.webhook.clientConfig",
            "required when strategy is set to Webhook",
        ));
    }
    for (index, version) in versions.iter().enumerate() {
        let path = format!("spec.versions[{index}].schema.openAPIV3Schema");
        match at(version, &["schema", "openAPIV3Schema"]) {
            Value::Null => causes.push(Cause::required(path, "schemas are required")),
            found => schema::check_structural(found, &path, causes),
        }
    }
    // Built-in groups are nobody else's.
    if group.ends_with(".k8s.io")
        && at(
            new,
            &["metadata", "annotations", "api-approved.kubernetes.io"],
        )
        .is_null()
    {
        causes.push(Cause::required(
            "metadata.annotations[api-approved.kubernetes.io]",
            "protected groups must have approval annotation \"api-approved.kubernetes.io\", see https://github.com/kubernetes/enhancements/pull/1111",
        ));
    }
}
