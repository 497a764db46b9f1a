//! The appliance's web server: `/api/versions`, and JSON-RPC 2.0 over WebSocket at `/api/current` and `/api/VERSION`.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures::{SinkExt, StreamExt};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use stead_lab_core::serve::Peer;
use tokio::sync::{Semaphore, mpsc};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role};

use crate::error::Failure;
use crate::session::{Limiter, Session};
use crate::system::System;

/// Largest frame before and after login, in bytes.
const FRAME_BEFORE_LOGIN: usize = 8 * 1024;
const FRAME: usize = 64 * 1024;
/// Calls of one connection that run at a time, and that may be there at all.
const RUNNING: usize = 10;
const ACCEPTED: usize = 20;

#[derive(Clone)]
struct Site {
    system: Arc<System>,
    limiter: Arc<Limiter>,
    secure: bool,
}

/// Serves the appliance at its name and addresses: TLS on 443, plain on 80.
pub(crate) async fn start(system: &Arc<System>) -> io::Result<()> {
    let (lab, options) = (&system.lab, &system.options);
    let names: Vec<String> = std::iter::once(options.host.clone())
        .chain(options.addresses.iter().map(ToString::to_string))
        .collect();
    let limiter = Arc::new(Limiter::default());
    for (port, tls) in [
        (443, Some(lab.authority.server_config(&names)?)),
        (80, None),
    ] {
        let site = Site {
            system: system.clone(),
            limiter: limiter.clone(),
            secure: tls.is_some() || options.plain_is_secure,
        };
        let router = Router::new()
            .route("/api/versions", get(versions))
            .route("/api/{version}", get(socket))
            .with_state(site);
        let listener = lab.network.listen(&options.host, port).await?;
        for address in &options.addresses {
            lab.network
                .route(&address.to_string(), port, listener.local_addr()?);
        }
        stead_lab_core::serve(lab, "truenas", listener, tls, router);
    }
    Ok(())
}

async fn versions(State(site): State<Site>) -> Json<Value> {
    Json(json!([site.system.api.api_version]))
}

async fn socket(
    State(site): State<Site>,
    Path(version): Path<String>,
    request: Request,
) -> Response {
    if version != "current" && version != site.system.api.api_version {
        return StatusCode::NOT_FOUND.into_response();
    }
    let header = |name: header::HeaderName| {
        request
            .headers()
            .get(name)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default()
    };
    if !header(header::UPGRADE).eq_ignore_ascii_case("websocket")
        || header(header::SEC_WEBSOCKET_VERSION) != "13"
    {
        let text = "No WebSocket UPGRADE hdr: None\n Can \"Upgrade\" only to \"WebSocket\".";
        return (StatusCode::BAD_REQUEST, text).into_response();
    }
    let accept = derive_accept_key(header(header::SEC_WEBSOCKET_KEY).as_bytes());
    let Ok(accept) = HeaderValue::from_str(&accept) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let peer = request
        .extensions()
        .get::<Peer>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |p| p.address.ip());
    let tasks = site.system.lab.tasks.clone();
    tasks.spawn(async move {
        match hyper::upgrade::on(request).await {
            Ok(stream) => {
                let stream =
                    WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Server, None)
                        .await;
                converse(site, peer, stream).await;
            }
            Err(error) => tracing::debug!(%error, "a client did not become a WebSocket"),
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    response
}

type Stream = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// One connection from its first frame to its last.
async fn converse(site: Site, peer: IpAddr, stream: Stream) {
    let (mut sink, mut source) = stream.split();
    let (answers, mut outgoing) = mpsc::unbounded_channel::<Message>();
    let session = Arc::new(Session::new(
        site.system.clone(),
        site.limiter.clone(),
        peer,
        site.secure,
    ));
    let mut events = site.system.subscribe();
    let running = Arc::new(Semaphore::new(RUNNING));
    let accepted = Arc::new(AtomicUsize::new(0));
    loop {
        tokio::select! {
            () = site.system.lab.shutdown.cancelled() => {
                let _ = sink.send(close(CloseCode::Away, "")).await;
                return;
            }
            Some(message) = outgoing.recv() => {
                let last = message.is_close();
                if sink.send(message).await.is_err() || last {
                    return;
                }
            }
            event = events.recv() => match event {
                Ok(event) if session.hears(&event.collection) => {
                    if sink.send(Message::text(event.message.to_string())).await.is_err() {
                        return;
                    }
                }
                // Others' events; or the connection was too slow and lost some, as the appliance's own queue may.
                Ok(_) | Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
            },
            frame = source.next() => {
                let text = match frame {
                    Some(Ok(Message::Text(text))) => text,
                    Some(Ok(Message::Binary(_))) => {
                        let _ = sink.send(close(CloseCode::Unsupported, "")).await;
                        return;
                    }
                    // The library answers pings itself.
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                };
                if !session.logged_in() && text.len() > FRAME_BEFORE_LOGIN {
                    let _ = sink.send(close(CloseCode::Invalid, "Anonymous connection max message length is 8 kB")).await;
                    return;
                }
                if text.len() > FRAME {
                    let _ = sink.send(close(CloseCode::Size, "Max message length is 64 kB")).await;
                    return;
                }
                if accepted.fetch_add(1, Ordering::SeqCst) >= ACCEPTED {
                    accepted.fetch_sub(1, Ordering::SeqCst);
                    let id = serde_json::from_str::<Value>(&text).ok().and_then(|v| v.get("id").cloned()).unwrap_or_default();
                    let _ = answers.send(Message::text(failed(&id, &Failure::TooManyCalls)));
                    continue;
                }
                let (session, answers, running, accepted) = (session.clone(), answers.clone(), running.clone(), accepted.clone());
                site.system.lab.tasks.spawn(async move {
                    let permit = running.acquire().await;
                    let answer = handle(&session, &text).await;
                    drop(permit);
                    accepted.fetch_sub(1, Ordering::SeqCst);
                    if let Some(answer) = answer {
                        // The client may have left meanwhile.
                        let _ = answers.send(Message::text(answer));
                    }
                });
            }
        }
    }
}

/// The answer to one frame; `None` for a notification.
async fn handle(session: &Session, text: &str) -> Option<String> {
    let Ok(message) = serde_json::from_str::<Value>(text) else {
        return Some(failed(&Value::Null, &Failure::Parse));
    };
    let id = message.get("id").cloned();
    let refuse = |text: &str| {
        Some(failed(
            &id.clone().unwrap_or_default(),
            &Failure::Request(text.to_owned()),
        ))
    };
    let Some(map) = message.as_object() else {
        return refuse(if message.is_array() {
            "Batch messages are not supported at this time"
        } else {
            "Invalid Message Format"
        });
    };
    if map.get("jsonrpc") != Some(&json!("2.0")) {
        return refuse("Unsupported JSON-RPC version");
    }
    if id
        .as_ref()
        .is_some_and(|id| !id.is_string() && !id.is_number() && !id.is_null())
    {
        return refuse("id must be a string, a number or null");
    }
    let Some(method) = map.get("method").and_then(Value::as_str) else {
        return refuse("method must be a string");
    };
    let none = Vec::new();
    let params = match map.get("params") {
        None => &none,
        Some(Value::Array(params)) => params,
        Some(_) => return refuse("params must be a list"),
    };
    if let Some(unknown) = map
        .keys()
        .find(|k| !["jsonrpc", "id", "method", "params"].contains(&k.as_str()))
    {
        return refuse(&format!("Unknown member {unknown:?}"));
    }
    let outcome = session.call(method, params).await;
    let id = id?;
    Some(match outcome {
        Ok(result) => json!({"jsonrpc": "2.0", "result": result, "id": id}).to_string(),
        Err(failure) => failed(&id, &failure),
    })
}

fn failed(id: &Value, failure: &Failure) -> String {
    json!({"jsonrpc": "2.0", "error": failure.to_json(), "id": id}).to_string()
}

fn close(code: CloseCode, reason: &'static str) -> Message {
    Message::Close(Some(CloseFrame {
        code,
        reason: reason.into(),
    }))
}
