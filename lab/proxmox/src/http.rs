//! The API's transport: HTTP/1.1 over TLS, form or JSON bodies, PVE's status lines and envelopes.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, FromRequest as _, Multipart, Request, State as Shared};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, SERVER};
use axum::http::{HeaderMap, HeaderValue, Method as Verb, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::ext::ReasonPhrase;
use serde_json::{Map, Value};
use stead_lab_core::serve;

use crate::access::Caller;
use crate::error::ApiError;
use crate::routes::{Asked, Reply, Upload};
use crate::schema::Method;
use crate::schema::check::Given;
use crate::schema::permission::Audience;
use crate::storage::upload;
use crate::{Proxmox, routes};

/// Most that a request without a file may hold.
const BODY_LIMIT: usize = 512 << 10;

/// One node's door to the cluster.
#[derive(Clone)]
struct Entry {
    proxmox: Arc<Proxmox>,
    node: String,
}

/// Serves the API at a node's address.
pub(crate) async fn listen(proxmox: &Arc<Proxmox>, node: &str, address: &str) -> io::Result<()> {
    let listener = proxmox.lab.network.listen(address, 8006).await?;
    let names = [
        address.to_owned(),
        node.to_owned(),
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
    ];
    let mut tls = (*proxmox.lab.authority.server_config(&names)?).clone();
    // PVE speaks nothing newer, and a status line's text is lost in HTTP/2.
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let entry = Entry {
        proxmox: proxmox.clone(),
        node: node.to_owned(),
    };
    let router = Router::new()
        .fallback(answer)
        .layer(DefaultBodyLimit::disable())
        .with_state(entry);
    serve(
        &proxmox.lab,
        "proxmox",
        listener,
        Some(Arc::new(tls)),
        router,
    );
    Ok(())
}

async fn answer(Shared(entry): Shared<Entry>, request: Request) -> Response<Body> {
    let outcome = entry.call(request).await;
    rendered(outcome)
}

impl Entry {
    async fn call(&self, request: Request) -> Result<Reply, ApiError> {
        let path = percent_decoded(request.uri().path());
        let Some(path) = path.strip_prefix("/api2/json") else {
            return Err(ApiError::new(404, format!("no such file '{path}'")));
        };
        let verb = request.method().clone();
        if ![Verb::GET, Verb::POST, Verb::PUT, Verb::DELETE].contains(&verb) {
            return Err(ApiError::new(501, format!("method '{verb}' not available")));
        }
        let path = path.trim_end_matches('/').to_owned();
        let proxmox = &self.proxmox;
        let found = proxmox.api.find(verb.as_str(), &path);
        let world = found.as_ref().is_some_and(|(m, _)| {
            m.permissions
                .as_ref()
                .is_some_and(|p| p.user == Audience::World)
        });
        let caller = proxmox.state().access.caller(&verb, request.headers());
        let caller = match caller {
            Err(_) if world => None,
            other => other?,
        };
        if caller.is_none() && !world {
            return Err(ApiError::unauthorized("No ticket"));
        }
        let (method, mut in_path) =
            found.ok_or_else(|| ApiError::not_implemented(verb.as_str(), &path))?;
        self.local_node(&mut in_path);
        let (given, upload) = self.parameters(request, method, &in_path).await?;
        let nobody = Caller {
            user: String::new(),
            token: None,
        };
        let request = Asked {
            caller: caller.unwrap_or(nobody),
            at: self.node.clone(),
            given,
            upload,
        };
        routes::perform(proxmox, method, request).await
    }

    /// `localhost` is the node that was asked.
    fn local_node(&self, in_path: &mut [(String, String)]) {
        for (name, value) in in_path {
            if name == "node" && value == "localhost" {
                value.clone_from(&self.node);
            }
        }
    }

    async fn parameters(
        &self,
        request: Request,
        method: &Method,
        in_path: &[(String, String)],
    ) -> Result<(Given, Option<Upload>), ApiError> {
        let mut upload = None;
        let mut given = Given::new();
        let mut in_query = Given::new();
        let query = request.uri().query().unwrap_or_default();
        form(query.as_bytes(), &mut in_query);
        if [Verb::GET, Verb::DELETE].contains(request.method()) {
            // Their bodies are not read.
        } else if content_type(request.headers()).starts_with("multipart/form-data") {
            if method.path != upload::PATH {
                return Err(ApiError::new(501, "upload is not supported by this method"));
            }
            let parts = Multipart::from_request(request, &()).await;
            let mut parts = parts.map_err(|error| ApiError::new(501, error.body_text()))?;
            upload = Some(upload::receive(&mut parts, &mut given).await?);
        } else {
            let kind = content_type(request.headers()).to_owned();
            let body = Limited::new(request.into_body(), BODY_LIMIT)
                .collect()
                .await;
            let body =
                body.map_err(|error| ApiError::new(501, format!("for data too large: {error}")))?;
            read_body(&kind, &body.to_bytes(), &mut given)?;
        }
        // Whatever the verb, the query has the last word.
        given.extend(in_query);
        for (name, value) in in_path {
            let again = given.insert(name.clone(), vec![value.clone()]);
            if again.is_some_and(|again| again != [value.as_str()]) {
                return Err(ApiError::parameter(
                    name,
                    "duplicate parameter (already defined in URI) with conflicting values!",
                ));
            }
        }
        Ok((given, upload))
    }
}

fn content_type(headers: &HeaderMap) -> &str {
    headers
        .get(CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default()
}

fn read_body(kind: &str, body: &Bytes, given: &mut Given) -> Result<(), ApiError> {
    if body.is_empty() {
        return Ok(());
    }
    match kind.split(';').next().unwrap_or_default().trim() {
        "" | "application/x-www-form-urlencoded" => form(body, given),
        "application/json" => json(body, given)?,
        other => return Err(ApiError::new(501, format!("upload '{other}' not allowed"))),
    }
    Ok(())
}

fn form(text: &[u8], given: &mut Given) {
    for (name, value) in form_urlencoded::parse(text) {
        given
            .entry(name.into_owned())
            .or_default()
            .push(value.into_owned());
    }
}

fn json(body: &[u8], given: &mut Given) -> Result<(), ApiError> {
    let fields: Map<String, Value> = serde_json::from_slice(body)
        .map_err(|error| ApiError::failure(format!("error with cloud json: {error}")))?;
    for (name, value) in fields {
        let values = match value {
            Value::Array(items) => items
                .iter()
                .map(|v| scalar(&name, v))
                .collect::<Result<_, _>>()?,
            other => vec![scalar(&name, &other)?],
        };
        given.insert(name, values);
    }
    Ok(())
}

fn scalar(name: &str, value: &Value) -> Result<String, ApiError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(on) => Ok(u8::from(*on).to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(ApiError::parameter(
            name,
            format!("type check ('string') failed - got '{value}'"),
        )),
    }
}

fn rendered(outcome: Result<Reply, ApiError>) -> Response<Body> {
    let mut body = Map::new();
    let (status, reason) = match outcome {
        Ok(reply) => {
            body.insert("data".into(), reply.data);
            if let Some(total) = reply.total {
                body.insert("total".into(), total.into());
            }
            body.extend(reply.attributes);
            (200, None)
        }
        Err(error) => {
            body.insert("data".into(), Value::Null);
            body.insert(
                "message".into(),
                format!("{}\n", error.message.trim_end()).into(),
            );
            if !error.errors.is_empty() {
                body.insert(
                    "errors".into(),
                    error
                        .errors
                        .into_iter()
                        .map(|(k, v)| (k, Value::String(v)))
                        .collect(),
                );
            }
            (
                error.status,
                error.message.lines().next().map(str::to_owned),
            )
        }
    };
    let mut response = Response::new(Body::from(Value::Object(body).to_string()));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(reason) = reason.and_then(|text| ReasonPhrase::try_from(text.into_bytes()).ok()) {
        response.extensions_mut().insert(reason);
    }
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/json;charset=UTF-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=0"));
    headers.insert(SERVER, HeaderValue::from_static("pve-api-daemon/3.0"));
    response
}

/// A path or cookie as it was before percent-encoding.
pub(crate) fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}
