//! Paths that are no resources: version, health, and the lists of groups and resources.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{Method, Response, StatusCode, header};
use serde_json::{Value, json};

use super::openapi;
use super::request::{Form, accepted};
use super::serve::{Call, json_answer, plain_answer};
use crate::cluster::Core;
use crate::error::ApiError;
use crate::object::api_version;
use crate::resources::Resource;
use crate::state::State;

const VERBS: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

pub(super) fn answer(core: &Core, call: &Call) -> Result<Response<Body>, ApiError> {
    if call.method != Method::GET {
        return Err(ApiError::method_not_allowed());
    }
    let parts: Vec<&str> = call.path.split('/').filter(|p| !p.is_empty()).collect();
    let aggregated = wants_aggregated(call);
    let state = core.lock();
    match parts.as_slice() {
        ["healthz" | "livez" | "readyz", ..] => Ok(plain_answer(
            StatusCode::OK,
            "text/plain; charset=utf-8",
            "ok",
        )),
        ["version"] => Ok(ok(&version(&core.kubernetes_version()))),
        [] => Ok(ok(
            &json!({"paths": ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v2", "/readyz", "/version"]}),
        )),
        ["api"] if aggregated => Ok(aggregated_answer(&state, true)),
        ["apis"] if aggregated => Ok(aggregated_answer(&state, false)),
        ["api"] => Ok(ok(&json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": core.address_text()}],
        }))),
        ["apis"] => {
            let groups: Vec<Value> = groups(&state)
                .into_iter()
                .filter(|(g, _)| !g.is_empty())
                .map(|(g, v)| group(&g, &v))
                .collect();
            Ok(ok(
                &json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}),
            ))
        }
        ["api", "v1"] => Ok(ok(&resource_list(&state, "", "v1")?)),
        ["apis", name] => {
            let all = groups(&state);
            let versions = all.get(*name).ok_or_else(ApiError::no_such_path)?;
            let mut body = group(name, versions);
            crate::object::set(&mut body, &["kind"], "APIGroup".into());
            crate::object::set(&mut body, &["apiVersion"], "v1".into());
            Ok(ok(&body))
        }
        ["apis", group, version] => Ok(ok(&resource_list(&state, group, version)?)),
        ["openapi", "v3"] => Ok(ok(&openapi::index(&state))),
        ["openapi", "v3", "api", version] => described(&state, "", version),
        ["openapi", "v3", "apis", group, version] => described(&state, group, version),
        // OpenAPI v2 is not made; clients of today read v3.
        _ => Err(ApiError::no_such_path()),
    }
}

fn ok(body: &Value) -> Response<Body> {
    json_answer(StatusCode::OK, body, &Form::Json)
}

fn described(state: &State, group: &str, version: &str) -> Result<Response<Body>, ApiError> {
    openapi::document(state, group, version)
        .map(|d| ok(&d))
        .ok_or_else(ApiError::no_such_path)
}

fn version(git_version: &str) -> Value {
    let mut numbers = git_version.trim_start_matches('v').split('.');
    let (major, minor) = (
        numbers.next().unwrap_or_default(),
        numbers.next().unwrap_or_default(),
    );
    json!({
        "major": major, "minor": minor, "emulationMajor": major, "emulationMinor": minor,
        "gitVersion": git_version, "gitCommit": "0000000000000000000000000000000000000000", "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z", "goVersion": "go1.24.0", "compiler": "gc", "platform": "linux/amd64",
    })
}

/// Groups with their versions, preferred first.
fn groups(state: &State) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for resource in state.registry.all() {
        let versions = all.entry(resource.group.clone()).or_default();
        if !versions.contains(&resource.version) {
            versions.push(resource.version.clone());
        }
    }
    all.entry("authentication.k8s.io".to_owned())
        .or_default()
        .push("v1".to_owned());
    all.entry("authorization.k8s.io".to_owned())
        .or_default()
        .push("v1".to_owned());
    all
}

fn group(name: &str, versions: &[String]) -> Value {
    let entry = |v: &String| json!({"groupVersion": api_version(name, v), "version": v});
    json!({
        "name": name, "versions": versions.iter().map(entry).collect::<Vec<_>>(),
        "preferredVersion": versions.first().map(entry),
    })
}

/// Reviews and the like: they are created, never kept.
fn virtual_resources(group: &str) -> Vec<Value> {
    let entry = |plural: &str, kind: &str, namespaced: bool| json!({"name": plural, "singularName": kind.to_ascii_lowercase(), "namespaced": namespaced, "kind": kind, "verbs": ["create"]});
    match group {
        "authentication.k8s.io" => vec![
            entry("selfsubjectreviews", "SelfSubjectReview", false),
            entry("tokenreviews", "TokenReview", false),
        ],
        "authorization.k8s.io" => vec![
            entry(
                "localsubjectaccessreviews",
                "LocalSubjectAccessReview",
                true,
            ),
            entry("selfsubjectaccessreviews", "SelfSubjectAccessReview", false),
            entry("selfsubjectrulesreviews", "SelfSubjectRulesReview", false),
            entry("subjectaccessreviews", "SubjectAccessReview", false),
        ],
        _ => Vec::new(),
    }
}

fn resource_list(state: &State, group: &str, version: &str) -> Result<Value, ApiError> {
    let mut all = virtual_resources(group);
    for resource in state
        .registry
        .all()
        .filter(|r| r.group == group && r.version == version)
    {
        let mut entry = json!({
            "name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
            "kind": resource.kind, "verbs": VERBS,
        });
        for (field, words) in [
            ("shortNames", &resource.short_names),
            ("categories", &resource.categories),
        ] {
            if !words.is_empty() {
                crate::object::set(&mut entry, &[field], json!(words));
            }
        }
        all.push(entry);
        for sub in &resource.subresources {
            let (kind, verbs) = subresource_kind(resource, sub);
            let mut entry = json!({
                "name": format!("{}/{sub}", resource.plural), "singularName": "", "namespaced": resource.namespaced,
                "kind": kind, "verbs": verbs,
            });
            if sub == "scale" {
                crate::object::set(&mut entry, &["group"], "autoscaling".into());
                crate::object::set(&mut entry, &["version"], "v1".into());
            }
            all.push(entry);
        }
    }
    if all.is_empty() {
        return Err(ApiError::no_such_path());
    }
    Ok(
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version(group, version), "resources": all}),
    )
}

fn subresource_kind<'a>(resource: &'a Resource, sub: &str) -> (&'a str, Vec<&'static str>) {
    match sub {
        "scale" => ("Scale", vec!["get", "patch", "update"]),
        "token" => ("TokenRequest", vec!["create"]),
        "eviction" => ("Eviction", vec!["create"]),
        "binding" => ("Binding", vec!["create"]),
        "log" => ("Pod", vec!["get"]),
        "attach" | "exec" | "portforward" => ("PodAttachOptions", vec!["create", "get"]),
        "finalize" => (&resource.kind, vec!["update"]),
        _ => (&resource.kind, vec!["get", "patch", "update"]),
    }
}

fn wants_aggregated(call: &Call) -> bool {
    let value = call
        .headers
        .get(header::ACCEPT)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    // The first clause that can be served decides.
    let first = value.split(',').map(|c| c.replace(' ', "")).find(|c| {
        c.starts_with("application/json")
            && (!c.contains("as=")
                || c.contains("as=APIGroupDiscoveryList")
                    && c.contains("v=v2")
                    && !c.contains("v=v2beta1"))
    });
    first.is_some_and(|c| c.contains("as=APIGroupDiscoveryList"))
        || accepted(&call.headers).is_err() && value.contains("APIGroupDiscoveryList")
}

fn aggregated_answer(state: &State, core_group: bool) -> Response<Body> {
    let mut items = Vec::new();
    for (group, versions) in groups(state)
        .into_iter()
        .filter(|(g, _)| g.is_empty() == core_group)
    {
        let versions: Vec<Value> = versions
            .iter()
            .map(|version| {
                let resources = state.registry.all().filter(|r| r.group == group && r.version == *version);
                let mut resources: Vec<Value> = resources.map(|r| aggregated_resource(r)).collect();
                resources.extend(virtual_resources(&group).iter().map(|r| {
                    let scope = if r.get("namespaced").and_then(Value::as_bool) == Some(true) { "Namespaced" } else { "Cluster" };
                    json!({"resource": r.get("name"), "responseKind": {"group": "", "version": "", "kind": r.get("kind")},
                        "scope": scope, "singularResource": r.get("singularName"), "verbs": ["create"]})
                }));
                json!({"version": version, "freshness": "Current", "resources": resources})
            })
            .collect();
        let metadata = if group.is_empty() {
            json!({"creationTimestamp": null})
        } else {
            json!({"name": group, "creationTimestamp": null})
        };
        items.push(json!({"metadata": metadata, "versions": versions}));
    }
    let body = json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items});
    plain_answer(
        StatusCode::OK,
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        body.to_string(),
    )
}

fn aggregated_resource(resource: &Resource) -> Value {
    let response_kind =
        |kind: &str| json!({"group": resource.group, "version": resource.version, "kind": kind});
    let subresources: Vec<Value> = resource
        .subresources
        .iter()
        .map(|sub| {
            let (kind, verbs) = subresource_kind(resource, sub);
            let kind = if sub == "scale" {
                json!({"group": "autoscaling", "version": "v1", "kind": "Scale"})
            } else {
                response_kind(kind)
            };
            json!({"subresource": sub, "responseKind": kind, "verbs": verbs})
        })
        .collect();
    let mut body = json!({
        "resource": resource.plural, "responseKind": response_kind(&resource.kind),
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular, "verbs": VERBS,
    });
    for (field, words) in [
        ("shortNames", &resource.short_names),
        ("categories", &resource.categories),
    ] {
        if !words.is_empty() {
            crate::object::set(&mut body, &[field], json!(words));
        }
    }
    if !subresources.is_empty() {
        crate::object::set(&mut body, &["subresources"], subresources.into());
    }
    body
}
