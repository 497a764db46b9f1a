//! A server of the protocol: one state, one lock, a login, and troubles on demand.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use serde_json::{Value as Json, json};

#[derive(Default)]
pub(crate) struct Data {
    pub(crate) state: Option<Vec<u8>>,
    pub(crate) lock: Option<Json>,
    /// Answered instead of doing anything, one a request.
    pub(crate) troubles: VecDeque<(StatusCode, Option<&'static str>)>,
    /// Method and path with query of each request.
    pub(crate) requests: Vec<String>,
    /// Refuse a state that is there already, as servers do that take each serial once.
    pub(crate) takes_each_state_once: bool,
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) data: Arc<Mutex<Data>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start() -> Server {
        let data = Arc::new(Mutex::new(Data::default()));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&data));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = router.layer(axum::extract::DefaultBodyLimit::disable());
        let task =
            tokio::spawn(async move { axum::serve(listener, router).await.expect("the server") });
        Server {
            address,
            data,
            task,
        }
    }

    pub(crate) fn trouble(&self, status: StatusCode, retry_after: Option<&'static str>) {
        self.data
            .lock()
            .expect("data")
            .troubles
            .push_back((status, retry_after));
    }

    /// The requests since the last call.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.data.lock().expect("data").requests)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    State(data): State<Arc<Mutex<Data>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut data = data.lock().expect("data");
    data.requests.push(format!("{method} {uri}"));
    if let Some((status, retry_after)) = data.troubles.pop_front() {
        return match retry_after {
            Some(seconds) => (status, [("retry-after", seconds)]).into_response(),
            None => status.into_response(),
        };
    }
    let login = format!("Basic {}", STANDARD.encode("stead:secret"));
    match headers.get("authorization").map(|h| h.as_bytes()) {
        None => return StatusCode::UNAUTHORIZED.into_response(),
        Some(given) if given != login.as_bytes() => return StatusCode::FORBIDDEN.into_response(),
        Some(_) => {}
    }
    if !body.is_empty() {
        let sum = STANDARD.encode(Md5::digest(&body));
        if headers
            .get("content-md5")
            .is_none_or(|given| given.as_bytes() != sum.as_bytes())
        {
            return StatusCode::BAD_REQUEST.into_response();
        }
    }
    let locked = |lock: &Json| (StatusCode::LOCKED, lock.to_string()).into_response();
    let id = |info: &Json| info["ID"].as_str().map(str::to_owned);
    match method.as_str() {
        "GET" => match &data.state {
            Some(state) => state.clone().into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        "POST" | "PUT" => {
            let query = uri.query().unwrap_or_default();
            let named = form_urlencoded::parse(query.as_bytes())
                .find(|(name, _)| name == "ID")
                .map(|(_, id)| id.into_owned());
            let held = data.lock.as_ref().and_then(id);
            if held != named {
                return locked(data.lock.as_ref().unwrap_or(&json!({})));
            }
            if data.takes_each_state_once && data.state.as_deref() == Some(&*body) {
                return StatusCode::UNPROCESSABLE_ENTITY.into_response();
            }
            data.state = Some(body.to_vec());
            StatusCode::OK.into_response()
        }
        "LOCK" => match &data.lock {
            Some(lock) => locked(lock),
            None => {
                data.lock = serde_json::from_slice(&body).ok();
                StatusCode::OK.into_response()
            }
        },
        "UNLOCK" => {
            let given: Json = serde_json::from_slice(&body).unwrap_or_default();
            match data.lock.take() {
                None => StatusCode::NOT_FOUND.into_response(),
                // `force-unlock` of the reference sends nothing.
                Some(lock) if body.is_empty() || id(&lock) == id(&given) => {
                    StatusCode::OK.into_response()
                }
                Some(lock) => {
                    let refused = locked(&lock);
                    data.lock = Some(lock);
                    refused
                }
            }
        }
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}
