//! One request to the API: sent, logged, tried again while the server is away, its failure told.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt as _;
use hyper::{Method, Request};
use serde_json::Value as Json;

use crate::kube::settings::{Auth, Endpoint};
use crate::retry::jitter;
use crate::{Context, Dialer, Error, ErrorKind};

/// For the whole of one attempt, answer included.
const ATTEMPT: Duration = Duration::from_secs(60);

/// A request, with no secret in its path.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    /// Path and query below the API's root.
    pub(super) path: String,
    pub(super) content_type: &'static str,
    pub(super) body: Option<Vec<u8>>,
    /// Completes "Could not …": `create Secret argocd/repo`.
    pub(super) what: String,
}

impl Call {
    pub(super) fn get(path: String, what: impl Into<String>) -> Call {
        Call::new(Method::GET, path, "application/json", None, what.into())
    }

    pub(super) fn new(
        method: Method,
        path: String,
        content_type: &'static str,
        body: Option<&Json>,
        what: String,
    ) -> Call {
        Call {
            method,
            path,
            content_type,
            body: body.map(|b| b.to_string().into_bytes()),
            what,
        }
    }

    fn bare_path(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }

    fn asked(&self) -> String {
        format!("{} ({} {})", self.what, self.method, self.bare_path())
    }

    /// Whether a second sending does no harm when the first may have arrived.
    fn repeatable(&self) -> bool {
        self.method != Method::POST
    }
}

/// A connection that is ready to carry calls.
pub(super) struct Connected {
    pub(super) client: kube::Client,
    pub(super) endpoint: std::sync::Arc<Endpoint>,
    pub(super) dialer: Dialer,
}

impl Connected {
    /// Sends, and tries again for up to `patience` while the server is away or just coming up.
    pub(super) async fn send(
        &self,
        call: &Call,
        patience: Duration,
        cx: &Context,
    ) -> Result<Json, Error> {
        let until = Instant::now() + patience;
        let until = cx.deadline().map_or(until, |d| d.min(until));
        let mut pause = Duration::from_millis(25);
        loop {
            let (error, arrived) = match self.attempt(call).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            let again = error.is_transient() && (!arrived || call.repeatable());
            if !again || cx.is_cancelled() || Instant::now() + pause >= until {
                return Err(error);
            }
            cx.progress(format!(
                "waiting for the Kubernetes API at {}:{}: {}",
                self.endpoint.host,
                self.endpoint.port,
                error.said()
            ));
            tokio::select! {
                () = tokio::time::sleep(jitter(pause)) => {}
                () = cx.cancelled().cancelled() => return Err(error.with_kind(ErrorKind::Cancelled)),
            }
            pause = pause.mul_f64(1.5).min(Duration::from_secs(2));
        }
    }

    /// One attempt; beside an error, whether the request may have been carried out.
    async fn attempt(&self, call: &Call) -> Result<Json, (Error, bool)> {
        let started = Instant::now();
        let result = match tokio::time::timeout(ATTEMPT, self.exchange(call)).await {
            Ok(result) => result,
            Err(_) => {
                let seconds = ATTEMPT.as_secs();
                let error =
                    Error::transient(call.asked(), format!("no answer within {seconds} seconds"));
                Err((error, true))
            }
        };
        let outcome = match &result {
            Ok((status, _)) => status.to_string(),
            Err((error, _)) => error.said().to_owned(),
        };
        let what = format!("{} {}", call.method, call.bare_path());
        self.dialer
            .record("kubernetes", &self.endpoint.host, &what, &outcome, started);
        let (status, bytes) = result?;
        if !(200..300).contains(&status) {
            let may_have_happened = !matches!(status, 429 | 503);
            return Err((refusal(call.asked(), status, &bytes), may_have_happened));
        }
        if bytes.is_empty() {
            return Ok(Json::Null);
        }
        serde_json::from_slice(&bytes).map_err(|e| {
            (
                Error::new(call.asked(), format!("the answer is not JSON: {e}")),
                true,
            )
        })
    }

    async fn exchange(&self, call: &Call) -> Result<(u16, Vec<u8>), (Error, bool)> {
        let endpoint = &self.endpoint;
        let scheme = if endpoint.secure { "https" } else { "http" };
        let uri = format!(
            "{scheme}://{}:{}{}{}",
            endpoint.host, endpoint.port, endpoint.prefix, call.path
        );
        let mut builder = Request::builder()
            .method(call.method.clone())
            .uri(uri)
            .header("accept", "application/json")
            .header("user-agent", concat!("stead/", env!("CARGO_PKG_VERSION")));
        match &endpoint.auth {
            Auth::None => {}
            Auth::Bearer(token) => {
                builder =
                    builder.header("authorization", format!("Bearer {}", token.expose_secret()));
            }
            Auth::Basic(user, password) => {
                let pair = STANDARD.encode(format!("{user}:{}", password.expose_secret()));
                builder = builder.header("authorization", format!("Basic {pair}"));
            }
        }
        if call.body.is_some() {
            builder = builder.header("content-type", call.content_type);
        }
        let body = kube::client::Body::from(call.body.clone().unwrap_or_default());
        // The message could quote the header with the token.
        let request = builder.body(body).map_err(|_| {
            (
                Error::new(
                    call.asked(),
                    "the address or the token has characters that HTTP does not allow",
                ),
                false,
            )
        })?;
        let response = self
            .client
            .send(request)
            .await
            .map_err(|e| lost(call, &e))?;
        let status = response.status().as_u16();
        let collected = response.into_body().collect().await;
        let bytes = collected
            .map_err(|e| {
                (
                    Error::transient(call.asked(), format!("the answer broke off: {e}")),
                    true,
                )
            })?
            .to_bytes();
        Ok((status, bytes.to_vec()))
    }
}

/// What became of a request that got no answer: the dialer's own error when no connection came about.
fn lost(call: &Call, error: &(dyn std::error::Error + 'static)) -> (Error, bool) {
    let mut cause = Some(error);
    let mut text = String::new();
    while let Some(error) = cause {
        if let Some(own) = error.downcast_ref::<Error>() {
            return (own.clone(), false);
        }
        text = error.to_string();
        cause = error.source();
    }
    (Error::transient(call.asked(), text), true)
}

/// The server's `Status` object as an error.
fn refusal(asked: String, status: u16, bytes: &[u8]) -> Error {
    let answer: Json = serde_json::from_slice(bytes).unwrap_or(Json::Null);
    let message = answer
        .get("message")
        .and_then(Json::as_str)
        .filter(|m| !m.is_empty());
    let said = message.map_or_else(
        || format!("HTTP status {status}"),
        |m| format!("{status}: {m}"),
    );
    let error = Error::http(status, asked, said);
    match status {
        401 => error.remedy("The cluster does not know these credentials: check the client certificate or the token."),
        403 => error.remedy("Give this user the right by a Role or ClusterRole, or use other credentials."),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_the_server_said() {
        let body = br#"{"kind":"Status","status":"Failure","message":"namespaces \"a\" already exists","reason":"AlreadyExists","code":409}"#;
        let error = refusal(
            "create Namespace a (POST /api/v1/namespaces)".into(),
            409,
            body,
        );
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert_eq!(error.said(), "409: namespaces \"a\" already exists");
        assert_eq!(refusal("x".into(), 503, b"busy").said(), "HTTP status 503");
    }
}
