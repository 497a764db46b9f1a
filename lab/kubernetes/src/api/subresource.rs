//! Subresources other than `status`: scale, tokens, eviction, finalize, logs.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};

use super::request::{self, Form, ResourcePath};
use super::serve::{Call, delete_options, json_answer, plain_answer};
use crate::cluster::Core;
use crate::controllers::budgets;
use crate::error::ApiError;
use crate::object::{at, entry, integer, list, name, namespace, set, text, uid};
use crate::ops::PatchBody;
use crate::patch::{json_patch, merge_patch};
use crate::resources::Resource;
use crate::state::Id;

pub(super) fn answer(
    core: &Arc<Core>,
    call: &Call,
    resource: &Arc<Resource>,
    path: &ResourcePath,
    verb: &str,
) -> Result<Response<Body>, ApiError> {
    let sub = path.subresource.split('/').next().unwrap_or_default();
    if !resource.has(sub) {
        return Err(ApiError::no_such_path());
    }
    match (sub, verb) {
        ("scale", "get" | "update" | "patch") => scale(core, call, resource, path, verb),
        ("token", "create") => token(core, call, path),
        ("eviction", "create") => {
            let mut options = delete_options(call).unwrap_or_default();
            options.grace_seconds = None;
            let mut state = core.lock();
            let pod = state.read(resource, &path.namespace, &path.name)?;
            budgets::may_evict(&state, &pod)?;
            state.delete(resource, &path.namespace, &path.name, &options)?;
            Ok(json_answer(
                StatusCode::CREATED,
                &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}),
                &Form::Json,
            ))
        }
        ("finalize", "update") => {
            let body = request::body(&call.headers, &call.body)?;
            let id = Id::new(&resource.key, "", &path.name);
            let mut state = core.lock();
            state.read(resource, "", &path.name)?;
            let object = state.adjust(resource, &id, |o| {
                set(
                    o,
                    &["spec", "finalizers"],
                    at(&body, &["spec", "finalizers"]).clone(),
                );
            });
            let object =
                object.ok_or_else(|| ApiError::not_found("", &resource.plural, &path.name))?;
            Ok(json_answer(StatusCode::OK, &object, &Form::Json))
        }
        ("log", "get") => {
            let pod = core.lock().read(resource, &path.namespace, &path.name)?;
            log(&pod, call.query.get("container"))
        }
        _ => Err(ApiError::not_implemented(&format!(
            "{} of {}/{sub}",
            verb, resource.plural
        ))),
    }
}

/// Simulated containers write nothing; what is checked is whether there could be a log.
fn log(pod: &Value, container: &str) -> Result<Response<Body>, ApiError> {
    let containers = list(pod, &["spec", "containers"]);
    let names: Vec<&str> = containers.iter().map(|c| text(c, &["name"])).collect();
    if container.is_empty() && names.len() > 1 {
        return Err(ApiError::bad_request(format!(
            "a container name must be specified for pod {}, choose one of: [{}]",
            name(pod),
            names.join(" ")
        )));
    }
    if !container.is_empty() && !names.contains(&container) {
        return Err(ApiError::bad_request(format!(
            "container {container} is not valid for pod {}",
            name(pod)
        )));
    }
    if text(pod, &["status", "phase"]) == "Pending" {
        let which = if container.is_empty() {
            names.first().copied().unwrap_or_default()
        } else {
            container
        };
        return Err(ApiError::bad_request(format!(
            "container {which:?} in pod {:?} is waiting to start: ContainerCreating",
            name(pod)
        )));
    }
    Ok(plain_answer(StatusCode::OK, "text/plain", ""))
}

fn replicas_path(resource: &Resource) -> String {
    let custom = resource.custom.as_ref().and_then(|c| c.scale.as_ref());
    custom.map_or_else(
        || "spec.replicas".to_owned(),
        |s| {
            text(s, &["specReplicasPath"])
                .trim_start_matches('.')
                .to_owned()
        },
    )
}

fn scale_of(resource: &Resource, object: &Value) -> Value {
    let path = replicas_path(resource);
    let path: Vec<&str> = path.split('.').collect();
    let selector = at(object, &["spec", "selector", "matchLabels"])
        .as_object()
        .cloned()
        .unwrap_or_default();
    let selector: Vec<String> = selector
        .iter()
        .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default()))
        .collect();
    let mut status = json!({"replicas": integer(object, &["status", "replicas"]).unwrap_or(0)});
    if !selector.is_empty() {
        entry(&mut status).insert("selector".into(), selector.join(",").into());
    }
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {"name": name(object), "namespace": namespace(object), "uid": uid(object),
            "resourceVersion": at(object, &["metadata", "resourceVersion"]), "creationTimestamp": at(object, &["metadata", "creationTimestamp"])},
        "spec": {"replicas": integer(object, &path).unwrap_or(0)},
        "status": status,
    })
}

fn scale(
    core: &Arc<Core>,
    call: &Call,
    resource: &Arc<Resource>,
    path: &ResourcePath,
    verb: &str,
) -> Result<Response<Body>, ApiError> {
    let mut state = core.lock();
    let object = state.read(resource, &path.namespace, &path.name)?;
    let current = scale_of(resource, &object);
    let wanted = match verb {
        "get" => return Ok(json_answer(StatusCode::OK, &current, &Form::Json)),
        "update" => request::body(&call.headers, &call.body)?,
        _ => {
            let change = request::json(&call.body)?;
            match request::media_type(&call.headers).as_str() {
                "application/json-patch+json" => {
                    json_patch(&current, &change).map_err(ApiError::bad_request)?
                }
                "application/merge-patch+json" | "application/strategic-merge-patch+json" => {
                    merge_patch(&current, &change)
                }
                _ => {
                    return Err(ApiError::unsupported_media_type(&[
                        "application/json-patch+json",
                        "application/merge-patch+json",
                        "application/strategic-merge-patch+json",
                    ]));
                }
            }
        }
    };
    let count = integer(&wanted, &["spec", "replicas"]).unwrap_or(0);
    let mut change = json!({});
    let replicas = replicas_path(resource);
    set(
        &mut change,
        &replicas.split('.').collect::<Vec<_>>(),
        count.into(),
    );
    let version = at(&wanted, &["metadata", "resourceVersion"]);
    if version.is_string() {
        set(
            &mut change,
            &["metadata", "resourceVersion"],
            version.clone(),
        );
    }
    let options = request::write_options(&call.query, &call.headers, "")?;
    let written = state.patch(
        resource,
        &path.namespace,
        &path.name,
        PatchBody::Merge(change),
        &options,
    )?;
    Ok(json_answer(
        StatusCode::OK,
        &scale_of(resource, &written.object),
        &Form::Json,
    ))
}

fn token(core: &Arc<Core>, call: &Call, path: &ResourcePath) -> Result<Response<Body>, ApiError> {
    let body = request::body(&call.headers, &call.body)?;
    let state = core.lock();
    let account = state
        .find("serviceaccounts", &path.namespace, &path.name)
        .ok_or_else(|| ApiError::not_found("", "serviceaccounts", &path.name))?;
    let seconds = integer(&body, &["spec", "expirationSeconds"]).unwrap_or(3600);
    if seconds < 600 {
        let causes = [crate::error::Cause::invalid(
            "spec.expirationSeconds",
            &seconds.into(),
            "may not specify a duration less than 10 minutes",
        )];
        return Err(ApiError::invalid(
            "authentication.k8s.io",
            "TokenRequest",
            &path.name,
            &causes,
        ));
    }
    let audiences: Vec<String> = list(&body, &["spec", "audiences"])
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let expires = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
    let answer = json!({
        "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": path.name, "namespace": path.namespace, "creationTimestamp": crate::object::now()},
        "spec": {"audiences": audiences, "expirationSeconds": seconds},
        "status": {"token": core.tokens.issue(account, &audiences, Some(seconds)), "expirationTimestamp": expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()},
    });
    Ok(json_answer(StatusCode::CREATED, &answer, &Form::Json))
}
