//! Names that objects call each other by, kept right when names change.

use serde_json::Value;

use super::Resource;
use crate::admission::template_path;
use crate::error::qualified;
use crate::object::{at, name, namespace, set, text};

/// A way from an object to a name (`*` stands for every item), and the kind that the name is of.
type Reference = (&'static str, &'static str);

/// References inside a pod's specification.
const IN_PODS: &[Reference] = &[
    ("volumes/*/configMap/name", "ConfigMap"),
    ("volumes/*/secret/secretName", "Secret"),
    ("volumes/*/projected/sources/*/configMap/name", "ConfigMap"),
    ("volumes/*/projected/sources/*/secret/name", "Secret"),
    (
        "volumes/*/persistentVolumeClaim/claimName",
        "PersistentVolumeClaim",
    ),
    (
        "containers/*/env/*/valueFrom/configMapKeyRef/name",
        "ConfigMap",
    ),
    ("containers/*/env/*/valueFrom/secretKeyRef/name", "Secret"),
    ("containers/*/envFrom/*/configMapRef/name", "ConfigMap"),
    ("containers/*/envFrom/*/secretRef/name", "Secret"),
    (
        "initContainers/*/env/*/valueFrom/configMapKeyRef/name",
        "ConfigMap",
    ),
    (
        "initContainers/*/env/*/valueFrom/secretKeyRef/name",
        "Secret",
    ),
    ("initContainers/*/envFrom/*/configMapRef/name", "ConfigMap"),
    ("initContainers/*/envFrom/*/secretRef/name", "Secret"),
    ("imagePullSecrets/*/name", "Secret"),
    ("serviceAccountName", "ServiceAccount"),
    ("serviceAccount", "ServiceAccount"),
    ("priorityClassName", "PriorityClass"),
];

/// References of other kinds.
fn others(kind: &str) -> &'static [Reference] {
    match kind {
        "ServiceAccount" => &[
            ("imagePullSecrets/*/name", "Secret"),
            ("secrets/*/name", "Secret"),
        ],
        "StatefulSet" => &[("spec/serviceName", "Service")],
        "Ingress" => &[
            ("spec/tls/*/secretName", "Secret"),
            ("spec/rules/*/http/paths/*/backend/service/name", "Service"),
            ("spec/defaultBackend/service/name", "Service"),
            ("spec/ingressClassName", "IngressClass"),
        ],
        "PersistentVolumeClaim" => &[
            ("spec/volumeName", "PersistentVolume"),
            ("spec/storageClassName", "StorageClass"),
        ],
        "PersistentVolume" => &[("spec/storageClassName", "StorageClass")],
        "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => {
            &[("webhooks/*/clientConfig/service/name", "Service")]
        }
        "APIService" => &[("spec/service/name", "Service")],
        "CustomResourceDefinition" => &[(
            "spec/conversion/webhook/clientConfig/service/name",
            "Service",
        )],
        _ => &[],
    }
}

/// Brings every reference to the present name of what it means.
pub(super) fn fix(resources: &mut [Resource]) {
    let known: Vec<Resource> = resources.to_vec();
    for resource in resources.iter_mut() {
        let place = namespace(&resource.object).to_owned();
        let rename = |kind: &str, old: &str| present_name(&known, kind, old, &place);
        let key = qualified(
            resource.group(),
            &format!("{}s", resource.kind().to_ascii_lowercase()),
        );
        let pod_path: Option<String> = if resource.kind() == "Pod" {
            Some("spec".to_owned())
        } else {
            template_path(&key).map(|p| format!("{}/spec", p.join("/")))
        };
        if let Some(prefix) = pod_path {
            let steps: Vec<&str> = prefix.split('/').collect();
            if let Some(spec) = descend(&mut resource.object, &steps) {
                for (path, kind) in IN_PODS {
                    follow(spec, &path.split('/').collect::<Vec<_>>(), kind, &rename);
                }
            }
        }
        for (path, kind) in others(resource.kind()) {
            follow(
                &mut resource.object,
                &path.split('/').collect::<Vec<_>>(),
                kind,
                &rename,
            );
        }
        match resource.kind() {
            "RoleBinding" | "ClusterRoleBinding" => binding(&mut resource.object, &known, &rename),
            "HorizontalPodAutoscaler" => {
                let kind = text(&resource.object, &["spec", "scaleTargetRef", "kind"]).to_owned();
                follow(
                    &mut resource.object,
                    &["spec", "scaleTargetRef", "name"],
                    &kind,
                    &rename,
                );
            }
            "MutatingWebhookConfiguration"
            | "ValidatingWebhookConfiguration"
            | "APIService"
            | "CustomResourceDefinition" => {
                services(&mut resource.object, &known);
            }
            _ => {}
        }
    }
}

fn descend<'a>(object: &'a mut Value, path: &[&str]) -> Option<&'a mut Value> {
    path.iter()
        .try_fold(object, |value, step| value.get_mut(*step))
}

fn present_name(known: &[Resource], kind: &str, old: &str, place: &str) -> Option<String> {
    let candidates = known
        .iter()
        .filter(|r| r.kind() == kind && r.names.iter().any(|n| n == old));
    let mut candidates: Vec<&Resource> = candidates.collect();
    if candidates.len() > 1 {
        candidates.retain(|r| namespace(&r.object) == place);
    }
    candidates.first().map(|r| name(&r.object).to_owned())
}

fn follow(
    value: &mut Value,
    path: &[&str],
    kind: &str,
    rename: &dyn Fn(&str, &str) -> Option<String>,
) {
    match (path, value) {
        ([], Value::String(text)) => {
            if let Some(new) = rename(kind, text) {
                *text = new;
            }
        }
        (["*", rest @ ..], Value::Array(items)) => {
            items.iter_mut().for_each(|i| follow(i, rest, kind, rename));
        }
        ([step, rest @ ..], Value::Object(map)) => {
            if let Some(inner) = map.get_mut(*step) {
                follow(inner, rest, kind, rename);
            }
        }
        _ => {}
    }
}

/// Roles and subjects of a binding; a subject that is one of the service accounts takes its namespace too.
fn binding(object: &mut Value, known: &[Resource], rename: &dyn Fn(&str, &str) -> Option<String>) {
    let role = text(object, &["roleRef", "kind"]).to_owned();
    follow(object, &["roleRef", "name"], &role, rename);
    let Some(subjects) = object.get_mut("subjects").and_then(Value::as_array_mut) else {
        return;
    };
    for subject in subjects
        .iter_mut()
        .filter(|s| text(s, &["kind"]) == "ServiceAccount")
    {
        let (wanted, place) = (
            text(subject, &["name"]).to_owned(),
            text(subject, &["namespace"]).to_owned(),
        );
        // No namespace and `default` are one.
        let or_default = |place: &str| {
            if place.is_empty() {
                "default".to_owned()
            } else {
                place.to_owned()
            }
        };
        let account = known.iter().find(|r| {
            r.kind() == "ServiceAccount"
                && r.names.contains(&wanted)
                && (r
                    .namespaces
                    .iter()
                    .any(|n| or_default(n) == or_default(&place))
                    || namespace(&r.object) == place)
        });
        if let Some(account) = account {
            set(subject, &["name"], name(&account.object).into());
            if !namespace(&account.object).is_empty() {
                set(subject, &["namespace"], namespace(&account.object).into());
            }
        }
    }
}

/// Services that webhooks and aggregated APIs name, with their namespaces.
fn services(object: &mut Value, known: &[Resource]) {
    fn visit(value: &mut Value, known: &[Resource]) {
        match value {
            Value::Object(map) => {
                for (key, inner) in map.iter_mut() {
                    if key == "service" && at(inner, &["name"]).is_string() {
                        let wanted = text(inner, &["name"]).to_owned();
                        let found = known
                            .iter()
                            .find(|r| r.kind() == "Service" && r.names.contains(&wanted));
                        if let Some(service) = found.filter(|s| !namespace(&s.object).is_empty()) {
                            set(inner, &["namespace"], namespace(&service.object).into());
                        }
                    } else {
                        visit(inner, known);
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|i| visit(i, known)),
            _ => {}
        }
    }
    if let Some(webhooks) = object.get_mut("webhooks") {
        visit(webhooks, known);
    }
    if let Some(spec) = object.get_mut("spec") {
        let conversion = spec.get("conversion").is_some();
        if conversion {
            if let Some(inner) = spec.get_mut("conversion") {
                visit(inner, known);
            }
        } else {
            visit(spec, known);
        }
    }
}
