//! The configured client: one connection, one login, a bounded number of calls in flight.

use std::fmt;
use std::net::IpAddr;

use serde_json::{Value as Json, json};
use stead_sdk::value::Sensitive;
use stead_sdk::wait::{self, Poll, Polling};
use stead_sdk::{Context, Dialer, Error, ErrorKind, Roots, TlsOptions};
use tokio::sync::{Mutex, Semaphore};

use crate::rpc::Connection;

/// Ten calls run at a time on a connection, more wait there; fewer here keeps the queue on our side.
const IN_FLIGHT: usize = 8;

/// Where the API is.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    url: String,
    host: String,
}

impl Endpoint {
    /// Reads `nas.lan`, `https://nas.lan`, `wss://nas.lan:443/api/current`. Without a scheme the connection is encrypted.
    pub(crate) fn parse(text: &str) -> Result<Endpoint, Error> {
        let (scheme, rest) = match text.split_once("://") {
            Some(("wss" | "https", rest)) => ("wss", rest),
            Some(("ws" | "http", rest)) => ("ws", rest),
            Some((other, _)) => {
                return Err(Error::new(
                    "read the endpoint",
                    format!("{other}:// is not a scheme of TrueNAS"),
                )
                .remedy("Write wss://HOST.")
                .attribute("endpoint"));
            }
            None => ("wss", text),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.is_empty() {
            return Err(Error::new("read the endpoint", "it names no host").attribute("endpoint"));
        }
        let path = if path.is_empty() { "api/current" } else { path };
        let host = authority
            .rsplit_once(':')
            .map_or(authority, |(host, _)| host);
        Ok(Endpoint {
            url: format!("{scheme}://{authority}/{path}"),
            host: host.to_owned(),
        })
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.url.starts_with("wss://")
    }

    pub(crate) fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self
                .host
                .trim_matches(['[', ']'])
                .parse::<IpAddr>()
                .is_ok_and(|ip| ip.is_loopback())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

pub(crate) enum Credentials {
    ApiKey {
        username: String,
        key: Sensitive<String>,
    },
    Password {
        username: String,
        password: Sensitive<String>,
    },
}

/// Talks to one appliance; connects at the first call, and again when the connection was lost.
pub(crate) struct Client {
    dialer: Dialer,
    endpoint: Endpoint,
    credentials: Credentials,
    insecure: bool,
    ca_cert: Option<String>,
    connection: Mutex<Option<Connection>>,
    permits: Semaphore,
}

impl Client {
    pub(crate) fn new(
        dialer: Dialer,
        endpoint: Endpoint,
        credentials: Credentials,
        insecure: bool,
        ca_cert: Option<String>,
    ) -> Client {
        Client {
            dialer,
            endpoint,
            credentials,
            insecure,
            ca_cert,
            connection: Mutex::new(None),
            permits: Semaphore::new(IN_FLIGHT),
        }
    }

    /// Calls a method that answers at once.
    pub(crate) async fn call(&self, method: &str, params: &Json) -> Result<Json, Error> {
        let _permit = self.permits.acquire().await.map_err(|_| {
            Error::of_kind(
                ErrorKind::Cancelled,
                format!("call {method}"),
                "the provider is closing",
            )
        })?;
        self.connection().await?.call(method, params).await
    }

    /// A read: repeated once when the connection was lost under it.
    pub(crate) async fn query(&self, method: &str, id: &Json) -> Result<Option<Json>, Error> {
        self.query_by(method, "id", id).await
    }

    /// The first entry with a field of this value.
    pub(crate) async fn query_by(
        &self,
        method: &str,
        field: &str,
        value: &Json,
    ) -> Result<Option<Json>, Error> {
        let params = json!([[[field, "=", value]], {}]);
        let found = match self.call(method, &params).await {
            Err(error) if error.is_transient() => self.call(method, &params).await?,
            other => other?,
        };
        Ok(found.as_array().and_then(|list| list.first()).cloned())
    }

    /// Calls a method that may start a job: an integer answer is followed to the job's end.
    pub(crate) async fn call_job(
        &self,
        method: &str,
        params: &Json,
        cx: &Context,
    ) -> Result<Json, Error> {
        let answer = self.call(method, params).await?;
        let Some(id) = answer.as_u64() else {
            return Ok(answer);
        };
        let what = format!("the job of {method}");
        wait::until(cx, &what, Polling::default().tolerating_transient(), || {
            self.job(id, method)
        })
        .await
    }

    async fn job(&self, id: u64, method: &str) -> Result<Poll<Json>, Error> {
        let Some(job) = self.query("core.get_jobs", &json!(id)).await? else {
            return Err(Error::new(
                format!("follow job {id} of {method}"),
                "the appliance no longer knows it",
            ));
        };
        let state = job.get("state").and_then(Json::as_str).unwrap_or_default();
        match state {
            "SUCCESS" => Ok(Poll::Ready(job.get("result").cloned().unwrap_or_default())),
            "FAILED" | "ABORTED" => {
                let said = job
                    .get("error")
                    .and_then(Json::as_str)
                    .unwrap_or(state)
                    .to_owned();
                Err(Error::new(format!("finish job {id} of {method}"), said))
            }
            _ => {
                let progress = job.get("progress");
                let percent = progress
                    .and_then(|p| p.get("percent"))
                    .and_then(Json::as_f64)
                    .unwrap_or_default();
                Ok(Poll::PendingBecause(format!("{state}, {percent:.0} %")))
            }
        }
    }

    /// The open connection, opened and logged in if need be. Callers queue here, so that there is one login.
    async fn connection(&self) -> Result<Connection, Error> {
        let mut slot = self.connection.lock().await;
        if let Some(open) = slot.as_ref().filter(|c| !c.is_closed()) {
            return Ok(open.clone());
        }
        let tls = TlsOptions {
            roots: self.ca_cert.clone().map_or(Roots::System, Roots::SystemAnd),
            insecure: self.insecure,
            ..TlsOptions::default()
        };
        let socket = self
            .dialer
            .websocket(self.endpoint.url.as_str(), &tls)
            .await?;
        let connection = Connection::over(socket);
        self.log_in(&connection).await?;
        *slot = Some(connection.clone());
        Ok(connection)
    }

    /// A refused login is a result, not an error: `response_type` says how it went.
    async fn log_in(&self, connection: &Connection) -> Result<(), Error> {
        let mechanism = match &self.credentials {
            Credentials::ApiKey { username, key } => json!({
                "mechanism": "API_KEY_PLAIN", "username": username, "api_key": key.expose_secret(),
            }),
            Credentials::Password { username, password } => json!({
                "mechanism": "PASSWORD_PLAIN", "username": username, "password": password.expose_secret(),
            }),
        };
        let answer = connection
            .call("auth.login_ex", &json!([mechanism]))
            .await?;
        let outcome = answer
            .get("response_type")
            .and_then(Json::as_str)
            .unwrap_or("no answer");
        let (said, remedy) = match outcome {
            "SUCCESS" => return Ok(()),
            "AUTH_ERR" => (
                "the credentials are wrong",
                "Check api_key (or username and password), and that the key belongs to that user.",
            ),
            "EXPIRED" => (
                "the API key has expired or was revoked",
                "Make a new key. A key that was ever sent over an unencrypted connection is revoked.",
            ),
            "OTP_REQUIRED" => (
                "the account asks for a one-time password",
                "Use an API key instead.",
            ),
            "REDIRECT" => (
                "this is the standby node of a pair",
                "Point the endpoint at the active node.",
            ),
            other => (other, "Check the account on the appliance."),
        };
        Err(Error::of_kind(
            ErrorKind::Denied,
            format!("log in to {} (auth.login_ex)", self.endpoint),
            said,
        )
        .remedy(remedy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_completed() {
        let url = |text| {
            Endpoint::parse(text)
                .map(|e| e.to_string())
                .unwrap_or_default()
        };
        assert_eq!(url("nas.lan"), "wss://nas.lan/api/current");
        assert_eq!(
            url("https://nas.lan:8443"),
            "wss://nas.lan:8443/api/current"
        );
        assert_eq!(
            url("ws://127.0.0.1:80/api/v25.10.5"),
            "ws://127.0.0.1:80/api/v25.10.5"
        );
        assert!(Endpoint::parse("ftp://nas").is_err());
        assert!(Endpoint::parse("wss:///x").is_err());
    }

    #[test]
    fn loopback_is_recognised() {
        let loopback = |text| Endpoint::parse(text).is_ok_and(|e| e.is_loopback());
        assert!(loopback("ws://127.0.0.1:6000"));
        assert!(loopback("ws://localhost"));
        assert!(!loopback("ws://nas.lan"));
    }
}
