//! What every cluster is born with: namespaces, roles and bindings, the API's own service.

use serde_json::{Value, json};

use crate::ops::WriteOptions;
use crate::state::State;

/// Fills a new cluster.
pub(crate) fn populate(state: &mut State) {
    for object in objects() {
        let (version, kind) = (
            crate::object::text(&object, &["apiVersion"]),
            crate::object::text(&object, &["kind"]),
        );
        let Some(resource) = state.registry.by_kind(version, kind) else {
            continue;
        };
        let namespace = crate::object::namespace(&object).to_owned();
        let made = state.create(
            &resource,
            &namespace,
            object,
            &WriteOptions::component("kube-apiserver"),
        );
        if let Err(error) = made {
            tracing::error!(%error, "cannot create a bootstrap object");
        }
    }
}

fn objects() -> Vec<Value> {
    let mut all = Vec::new();
    for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        all.push(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
    }
    let every = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}, {"nonResourceURLs": ["*"], "verbs": ["*"]}]);
    let public = json!([{"nonResourceURLs": ["/healthz", "/livez", "/readyz", "/version", "/version/"], "verbs": ["get"]}]);
    let discovery = json!([{"nonResourceURLs": ["/", "/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz", "/version", "/version/"], "verbs": ["get"]}]);
    let basic = json!([
        {"apiGroups": ["authorization.k8s.io"], "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"], "verbs": ["create"]},
        {"apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"], "verbs": ["create"]},
    ]);
    let namespaced = json!([{"apiGroups": ["", "apps", "batch", "networking.k8s.io", "policy", "autoscaling", "discovery.k8s.io"],
        "resources": ["configmaps", "endpoints", "events", "persistentvolumeclaims", "pods", "pods/log", "pods/status", "replicationcontrollers", "serviceaccounts", "services",
            "daemonsets", "deployments", "deployments/scale", "replicasets", "replicasets/scale", "statefulsets", "statefulsets/scale", "cronjobs", "jobs",
            "ingresses", "networkpolicies", "poddisruptionbudgets", "horizontalpodautoscalers", "endpointslices", "namespaces"],
        "verbs": ["get", "list", "watch"]}]);
    let write = |secrets: bool| {
        let mut rules = namespaced.clone();
        if let Some(rule) = rules.get_mut(0).and_then(Value::as_object_mut) {
            rule.insert(
                "verbs".into(),
                json!([
                    "create",
                    "delete",
                    "deletecollection",
                    "get",
                    "list",
                    "patch",
                    "update",
                    "watch"
                ]),
            );
            if secrets && let Some(Value::Array(resources)) = rule.get_mut("resources") {
                resources.push("secrets".into());
            }
        }
        rules
    };
    for (name, rules) in [
        ("cluster-admin", every),
        ("system:public-info-viewer", public),
        ("system:discovery", discovery),
        ("system:basic-user", basic),
        ("view", namespaced.clone()),
        ("edit", write(true)),
        ("admin", write(true)),
    ] {
        all.push(json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": name, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}}, "rules": rules}));
    }
    for (role, groups) in [
        ("cluster-admin", vec!["system:masters"]),
        (
            "system:public-info-viewer",
            vec!["system:authenticated", "system:unauthenticated"],
        ),
        ("system:discovery", vec!["system:authenticated"]),
        ("system:basic-user", vec!["system:authenticated"]),
    ] {
        let subjects: Vec<Value> = groups
            .iter()
            .map(|g| json!({"kind": "Group", "name": g, "apiGroup": "rbac.authorization.k8s.io"}))
            .collect();
        all.push(json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": role, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}, "subjects": subjects}));
    }
    for (name, value) in [
        ("system-cluster-critical", 2_000_000_000),
        ("system-node-critical", 2_000_001_000),
    ] {
        all.push(json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}, "value": value}));
    }
    all.push(json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {"clusterIP": "10.96.0.1", "ports": [{"name": "https", "port": 443, "targetPort": 6443, "protocol": "TCP"}]}}));
    all
}
