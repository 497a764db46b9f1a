//! The lab's own web site, `http://lab.stead` behind the gateway: what exists, and faults.
//!
//! `POST /repositories` lets a folder stand for a Git repository; `GET /inventory`; `GET /faults`, `POST /faults` with a fault, `DELETE /faults` or `DELETE /faults/NAME`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{Request, StatusCode};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use stead_lab_core::faults::Fault;
use stead_lab_core::serve;
use stead_lab_kubernetes::RepositoryMapping;
use tokio::net::TcpStream;

use crate::Systems;

const HOST: &str = "lab.stead";
/// Most that an answer may hold.
const LIMIT: usize = 64 << 20;

type Failed = (StatusCode, String);

pub(crate) async fn start(systems: &Arc<Systems>) -> io::Result<()> {
    let listener = systems.lab.network.listen(HOST, 80).await?;
    let router = Router::new()
        .route("/inventory", get(inventory))
        .route("/faults", get(faults).post(set_fault).delete(clear_faults))
        .route("/faults/{name}", delete(clear_fault))
        .route("/repositories", post(map_repository))
        .with_state(systems.clone());
    serve(&systems.lab, "control", listener, None, router);
    Ok(())
}

fn failed(error: io::Error) -> Failed {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

async fn inventory(State(systems): State<Arc<Systems>>) -> Result<Json<Value>, Failed> {
    systems.inventory().map(Json).map_err(failed)
}

async fn faults(State(systems): State<Arc<Systems>>) -> Json<Vec<Fault>> {
    Json(systems.lab.faults.list())
}

async fn set_fault(
    State(systems): State<Arc<Systems>>,
    body: Bytes,
) -> Result<Json<Value>, Failed> {
    let fault: Fault =
        serde_json::from_slice(&body).map_err(|e| (StatusCode::BAD_REQUEST, e.to_string()))?;
    if fault.name == "control" || fault.percent > 100 {
        return Err((
            StatusCode::BAD_REQUEST,
            "no such fault: a system's name, and at most 100 percent".into(),
        ));
    }
    let name = fault.name.clone();
    systems.lab.faults.set(fault).map_err(failed)?;
    Ok(Json(json!({ "set": name })))
}

/// Lets a folder of this machine stand for a Git repository, in every cluster.
async fn map_repository(
    State(systems): State<Arc<Systems>>,
    body: Bytes,
) -> Result<Json<Value>, Failed> {
    let mapping: RepositoryMapping =
        serde_json::from_slice(&body).map_err(|e| (StatusCode::BAD_REQUEST, e.to_string()))?;
    let prefix = mapping.url_prefix.clone();
    systems.kubernetes.map_repository(mapping).map_err(failed)?;
    Ok(Json(json!({ "mapped": prefix })))
}

async fn clear_faults(State(systems): State<Arc<Systems>>) -> Result<Json<Value>, Failed> {
    systems
        .lab
        .faults
        .clear(None)
        .map(|n| Json(json!({ "cleared": n })))
        .map_err(failed)
}

async fn clear_fault(
    State(systems): State<Arc<Systems>>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Failed> {
    match systems.lab.faults.clear(Some(&name)).map_err(failed)? {
        0 => Err((StatusCode::NOT_FOUND, format!("no fault named {name}"))),
        n => Ok(Json(json!({ "cleared": n }))),
    }
}

/// Asks a running lab, from this or another process: `request(gateway, "GET", "/inventory", None)`.
pub async fn request(
    gateway: SocketAddr,
    verb: &str,
    path: &str,
    body: Option<&Value>,
) -> io::Result<Value> {
    let stream = TcpStream::connect(gateway).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let driver = tokio::spawn(connection);
    let body = body
        .map(serde_json::to_vec)
        .transpose()?
        .unwrap_or_default();
    let request = Request::builder()
        .method(verb)
        .uri(format!("http://{HOST}{path}"))
        .header("host", HOST)
        .body(Full::new(Bytes::from(body)))
        .map_err(io::Error::other)?;
    let response = sender
        .send_request(request)
        .await
        .map_err(io::Error::other)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), LIMIT)
        .collect()
        .await
        .map_err(io::Error::other)?
        .to_bytes();
    driver.abort();
    if !status.is_success() {
        return Err(io::Error::other(format!(
            "{status}: {}",
            String::from_utf8_lossy(&body)
        )));
    }
    serde_json::from_slice(&body).map_err(io::Error::other)
}
