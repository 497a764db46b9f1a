//! The entrance: who asks, what for, may they, and the answer.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use bytes::Bytes;
use serde_json::{Value, json};
use stead_lab_core::serve::Peer;

use super::request::{self, Form, Query, ResourcePath, Target};
use super::{discovery, review, subresource, table, watch};
use crate::access::{Attributes, User, authorize};
use crate::cluster::Core;
use crate::error::ApiError;
use crate::object::{name, namespace};
use crate::ops::{DeleteOptions, PatchBody, Written, in_version};
use crate::resources::Resource;
use crate::selector::Selector;

/// The largest body that the real server takes (3 MiB).
const BODY_LIMIT: usize = 3 * 1024 * 1024;

pub(crate) fn router(core: Arc<Core>) -> Router {
    Router::new().fallback(handle).with_state(core)
}

/// A request whose body has been read.
pub(super) struct Call {
    pub(super) user: User,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

async fn handle(Shared(core): Shared<Arc<Core>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let head = parts.method == Method::HEAD;
    let answer = async {
        let user = authenticate(&core, parts.extensions.get::<Peer>(), &parts.headers)?;
        let body = to_bytes(body, BODY_LIMIT).await.map_err(|_| {
            let mut error = ApiError::bad_request("Request entity too large: limit is 3145728");
            (error.code, error.reason) = (413, "RequestEntityTooLarge");
            error
        })?;
        let call = Call {
            user,
            method: if head { Method::GET } else { parts.method },
            path: parts.uri.path().to_owned(),
            query: Query::parse(parts.uri.query().unwrap_or_default()),
            headers: parts.headers,
            body,
        };
        dispatch(&core, call)
    };
    answer.await.unwrap_or_else(|error| failure(&error))
}

fn authenticate(core: &Core, peer: Option<&Peer>, headers: &HeaderMap) -> Result<User, ApiError> {
    if let Some(peer) = peer.filter(|p| !p.certificates.is_empty()) {
        return core
            .certificates
            .user(&peer.certificates)
            .ok_or_else(ApiError::unauthorized);
    }
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Ok(User::anonymous());
    };
    let token = value.to_str().ok().and_then(|v| v.strip_prefix("Bearer "));
    let token = token.ok_or_else(ApiError::unauthorized)?;
    core.tokens
        .user(&core.lock(), token.trim())
        .ok_or_else(ApiError::unauthorized)
}

fn dispatch(core: &Arc<Core>, call: Call) -> Result<Response<Body>, ApiError> {
    let Target::Resource(path) = request::target(&call.path) else {
        let wanted = Attributes {
            verb: call.method.as_str().to_ascii_lowercase(),
            path: call.path.clone(),
            ..Attributes::default()
        };
        authorize(&core.lock(), &call.user, &wanted)?;
        return discovery::answer(core, &call);
    };
    let verb = verb(&call, &path)?;
    let resource = match path.subresource.as_str() {
        "" => path.plural.clone(),
        sub => format!("{}/{sub}", path.plural),
    };
    let wanted = Attributes {
        verb: verb.to_owned(),
        group: path.group.clone(),
        resource,
        namespace: path.namespace.clone(),
        name: path.name.clone(),
        path: call.path.clone(),
    };
    authorize(&core.lock(), &call.user, &wanted)?;
    if let Some(answer) = review::answer(core, &call, &path)? {
        return Ok(answer);
    }
    if !core.is_writable() && !matches!(verb, "get" | "list" | "watch") {
        return Err(ApiError::internal("etcdserver: request timed out"));
    }
    let found = core
        .lock()
        .registry
        .by_path(&path.group, &path.version, &path.plural);
    let resource = found.ok_or_else(ApiError::no_such_path)?;
    if resource.namespaced
        && path.namespace.is_empty()
        && !(path.name.is_empty() && matches!(verb, "list" | "watch"))
    {
        return Err(ApiError::no_such_path());
    }
    if !resource.namespaced && !path.namespace.is_empty() {
        return Err(ApiError::no_such_path());
    }
    if !path.subresource.is_empty() && path.subresource != "status" {
        return subresource::answer(core, &call, &resource, &path, verb);
    }
    if path.subresource == "status" && !resource.has("status") {
        return Err(ApiError::no_such_path());
    }
    run(core, &call, &resource, &path, verb)
}

fn verb(call: &Call, path: &ResourcePath) -> Result<&'static str, ApiError> {
    let named = !path.name.is_empty();
    Ok(match call.method {
        Method::GET if call.query.flag("watch") && call.query.has("watch") => "watch",
        Method::GET if named => "get",
        Method::GET => "list",
        Method::POST => "create",
        Method::PUT if named => "update",
        Method::PATCH if named => "patch",
        Method::DELETE if named => "delete",
        Method::DELETE => "deletecollection",
        _ => return Err(ApiError::method_not_allowed()),
    })
}

fn run(
    core: &Arc<Core>,
    call: &Call,
    resource: &Arc<Resource>,
    path: &ResourcePath,
    verb: &str,
) -> Result<Response<Body>, ApiError> {
    let form = request::accepted(&call.headers)?;
    let sub = if path.subresource == "status" {
        "status"
    } else {
        ""
    };
    match verb {
        "get" => {
            let object = core.lock().read(resource, &path.namespace, &path.name)?;
            Ok(one(resource, &object, &form, StatusCode::OK))
        }
        "list" => list(core, call, resource, path, &form),
        "watch" => watch::answer(core, call, resource, path, &form),
        "create" if !path.name.is_empty() => Err(ApiError::method_not_allowed()),
        "create" => {
            let options = request::write_options(&call.query, &call.headers, sub)?;
            let body = request::body(&call.headers, &call.body)?;
            let written = core
                .lock()
                .create(resource, &path.namespace, body, &options)?;
            Ok(written_answer(resource, &written, &form))
        }
        "update" => {
            let options = request::write_options(&call.query, &call.headers, sub)?;
            let body = request::body(&call.headers, &call.body)?;
            let written =
                core.lock()
                    .update(resource, &path.namespace, &path.name, body, &options)?;
            Ok(written_answer(resource, &written, &form))
        }
        "patch" => {
            let mut options = request::write_options(&call.query, &call.headers, sub)?;
            let patch = patch_body(call, resource)?;
            if matches!(patch, PatchBody::Apply(_)) {
                if call.query.get("fieldManager").is_empty() {
                    return Err(invalid_patch_options(
                        "fieldManager: Required value: is required for apply patch",
                    ));
                }
            } else if call.query.has("force") {
                return Err(invalid_patch_options(
                    "force: Forbidden: may not be specified for non-apply patch",
                ));
            }
            if options.manager.len() > 128 {
                options.manager.truncate(128);
            }
            let written =
                core.lock()
                    .patch(resource, &path.namespace, &path.name, patch, &options)?;
            Ok(written_answer(resource, &written, &form))
        }
        "delete" if sub.is_empty() => {
            let options = delete_options(call)?;
            let answer = core
                .lock()
                .delete(resource, &path.namespace, &path.name, &options)?;
            Ok(json_answer(StatusCode::OK, &answer, &form))
        }
        "deletecollection" if sub.is_empty() => {
            delete_collection(core, call, resource, path, &form)
        }
        _ => Err(ApiError::method_not_allowed()),
    }
}

fn invalid_patch_options(what: &str) -> ApiError {
    let mut error =
        ApiError::bad_request(format!("PatchOptions.meta.k8s.io \"\" is invalid: {what}"));
    (error.code, error.reason) = (422, "Invalid");
    error
}

fn patch_body(call: &Call, resource: &Resource) -> Result<PatchBody, ApiError> {
    let json = || request::json(&call.body);
    match request::media_type(&call.headers).as_str() {
        "application/json-patch+json" => json().map(PatchBody::Json),
        "application/merge-patch+json" => json().map(PatchBody::Merge),
        "application/strategic-merge-patch+json" if resource.custom.is_none() => {
            json().map(PatchBody::Strategic)
        }
        "application/apply-patch+yaml" => request::from_yaml(&call.body).map(PatchBody::Apply),
        _ if resource.custom.is_some() => Err(ApiError::unsupported_media_type(&[
            "application/json-patch+json",
            "application/merge-patch+json",
            "application/apply-patch+yaml",
        ])),
        _ => Err(ApiError::unsupported_media_type(&[
            "application/json-patch+json",
            "application/merge-patch+json",
            "application/strategic-merge-patch+json",
            "application/apply-patch+yaml",
        ])),
    }
}

pub(super) fn delete_options(call: &Call) -> Result<DeleteOptions, ApiError> {
    let body = request::body(&call.headers, &call.body)?;
    let text = |path: &[&str], query: &str| -> String {
        match crate::object::text(&body, path) {
            "" => call.query.get(query).to_owned(),
            given => given.to_owned(),
        }
    };
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let mut propagation = text(&["propagationPolicy"], "propagationPolicy");
    if body.get("orphanDependents").and_then(Value::as_bool) == Some(true)
        || call.query.flag("orphanDependents")
    {
        propagation = "Orphan".to_owned();
    }
    Ok(DeleteOptions {
        propagation,
        uid: some(crate::object::text(&body, &["preconditions", "uid"])),
        resource_version: some(crate::object::text(
            &body,
            &["preconditions", "resourceVersion"],
        )),
        grace_seconds: body
            .get("gracePeriodSeconds")
            .and_then(Value::as_i64)
            .or_else(|| call.query.get("gracePeriodSeconds").parse().ok()),
        dry_run: body
            .get("dryRun")
            .is_some_and(|d| d.as_array().is_some_and(|a| !a.is_empty()))
            || call.query.get("dryRun") == "All",
    })
}

fn list(
    core: &Core,
    call: &Call,
    resource: &Arc<Resource>,
    path: &ResourcePath,
    form: &Form,
) -> Result<Response<Body>, ApiError> {
    let selector = Selector::parse(
        &resource.key,
        call.query.get("labelSelector"),
        call.query.get("fieldSelector"),
    )?;
    let limit: usize = match call.query.get("limit") {
        "" => 0,
        text => text.parse().map_err(|_| {
            ApiError::bad_request(format!(
                "strconv.ParseInt: parsing {text:?}: invalid syntax"
            ))
        })?,
    };
    let state = core.lock();
    let token = call.query.get("continue");
    let (version, after) = match token {
        "" => (state.version(), None),
        token => {
            let (version, key) = continue_token(token)?;
            (version, Some(key))
        }
    };
    let mut items = Vec::new();
    let mut more = None;
    let mut remaining = 0_u64;
    for object in state.list(&resource.key, &path.namespace) {
        let key = (namespace(object).to_owned(), name(object).to_owned());
        if after.as_ref().is_some_and(|a| key <= *a) || !selector.matches(object) {
            continue;
        }
        if limit > 0 && items.len() == limit {
            remaining += 1;
            continue;
        }
        if limit > 0 {
            more = Some(key);
        }
        items.push(in_version(resource, object));
    }
    let mut metadata = json!({"resourceVersion": version.to_string()});
    if let Some((ns, last)) = more.filter(|_| remaining > 0) {
        let token = json!({"v": "meta.k8s.io/v1", "rv": version, "start": format!("{ns}/{last}")})
            .to_string();
        crate::object::set(&mut metadata, &["continue"], base64_url(&token).into());
        if selector.is_empty() {
            crate::object::set(&mut metadata, &["remainingItemCount"], remaining.into());
        }
    }
    drop(state);
    let body = match form {
        Form::Table => table::of(resource, &items, metadata),
        Form::Metadata => json!({
            "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
            "items": items.iter().map(|o| table::metadata_only(o)).collect::<Vec<_>>(),
        }),
        Form::Json | Form::Yaml => json!({
            "kind": resource.list_kind, "apiVersion": resource.api_version(), "metadata": metadata,
            "items": items.iter().map(|o| Value::clone(o)).collect::<Vec<_>>(),
        }),
    };
    Ok(json_answer(StatusCode::OK, &body, form))
}

fn base64_url(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}

fn continue_token(token: &str) -> Result<(u64, (String, String)), ApiError> {
    use base64::Engine;
    let invalid = || ApiError::bad_request("continue key is not valid: illegal base64 data");
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(token)
        .map_err(|_| invalid())?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|_| invalid())?;
    let version = value
        .get("rv")
        .and_then(Value::as_u64)
        .ok_or_else(invalid)?;
    let (ns, name) = crate::object::text(&value, &["start"])
        .split_once('/')
        .ok_or_else(invalid)?;
    Ok((version, (ns.to_owned(), name.to_owned())))
}

fn delete_collection(
    core: &Core,
    call: &Call,
    resource: &Arc<Resource>,
    path: &ResourcePath,
    form: &Form,
) -> Result<Response<Body>, ApiError> {
    let selector = Selector::parse(
        &resource.key,
        call.query.get("labelSelector"),
        call.query.get("fieldSelector"),
    )?;
    let options = delete_options(call)?;
    let mut state = core.lock();
    let targets: Vec<Arc<Value>> = state
        .list(&resource.key, &path.namespace)
        .filter(|o| selector.matches(o))
        .cloned()
        .collect();
    let metadata = json!({"resourceVersion": state.version().to_string()});
    for object in &targets {
        state.delete(resource, namespace(object), name(object), &options)?;
    }
    let body = json!({
        "kind": resource.list_kind, "apiVersion": resource.api_version(), "metadata": metadata,
        "items": targets.iter().map(|o| Value::clone(&in_version(resource, o))).collect::<Vec<_>>(),
    });
    Ok(json_answer(StatusCode::OK, &body, form))
}

fn one(
    resource: &Resource,
    object: &Arc<Value>,
    form: &Form,
    status: StatusCode,
) -> Response<Body> {
    match form {
        Form::Table => {
            let version = crate::object::at(object, &["metadata", "resourceVersion"]).clone();
            let body = table::of(
                resource,
                std::slice::from_ref(object),
                json!({"resourceVersion": version}),
            );
            json_answer(status, &body, form)
        }
        Form::Metadata => json_answer(status, &table::metadata_only(object), form),
        Form::Json | Form::Yaml => json_answer(status, object, form),
    }
}

pub(super) fn written_answer(
    resource: &Resource,
    written: &Written,
    form: &Form,
) -> Response<Body> {
    let status = if written.created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let mut response = one(resource, &written.object, form, status);
    for warning in &written.warnings {
        let text = format!(
            "299 - \"{}\"",
            warning.replace('\\', "\\\\").replace('"', "\\\"")
        );
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    response
}

pub(super) fn json_answer(status: StatusCode, body: &Value, form: &Form) -> Response<Body> {
    let mut text = body.to_string();
    text.push('\n');
    // JSON is YAML, so that the one text serves both.
    let kind = if *form == Form::Yaml {
        "application/yaml"
    } else {
        "application/json"
    };
    plain_answer(status, kind, text)
}

pub(super) fn plain_answer(
    status: StatusCode,
    kind: &'static str,
    text: impl Into<Body>,
) -> Response<Body> {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, private"),
    );
    response
}

fn failure(error: &ApiError) -> Response<Body> {
    json_answer(error.status(), &error.body(), &Form::Json)
}
