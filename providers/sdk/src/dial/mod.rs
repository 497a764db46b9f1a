//! The dialer: the one place where connections of native providers are opened.
//!
//! Timeouts, proxies, the lab's gateway, trust and pins, the request log and the counters are decided here, so that every
//! provider gets them and none can go around them.

mod counters;
mod environment;
mod grpc;
mod host_key;
mod http;
mod route;
mod sftp;
mod socks;
mod ssh;
mod tls;
mod tunnel;
mod websocket;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustls::RootCertStore;
use tokio::net::TcpStream;

pub use counters::Counters;
pub use environment::Environment;
pub use http::{HttpOptions, chain, http_error, redact_url};
pub use socks::Socks5;
pub use ssh::{HostKeyPolicy, Ssh, SshAuth, SshOptions, SshOutput, SshStream, shell_quote};
pub use tls::{ClientIdentity, Fingerprint, Roots, TlsOptions};
pub use websocket::WebSocket;

use crate::Error;
use counters::Tally;
use route::Routes;

/// How long a connection may take to be established, TLS handshake included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Opens connections. Cheap to clone; clones share the counters.
#[derive(Clone)]
pub struct Dialer {
    inner: Arc<Inner>,
}

struct Inner {
    environment: Environment,
    routes: Routes,
    /// Roots of the machine, loaded at the first use.
    roots: OnceLock<Result<Arc<RootCertStore>, String>>,
    tally: Tally,
    connect_timeout: Duration,
}

/// A byte stream to a server, encrypted or not.
pub trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}

impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Stream for T {}

/// Says nothing of the connection's state.
impl fmt::Debug for dyn Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stream")
    }
}

/// Makes ring the process's cryptography provider. Call it first in `main` and in test setup; it is idempotent.
pub fn init_crypto() {
    // The only error is that one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl Dialer {
    /// A dialer that obeys the process's environment: `STEAD_DIAL`, `HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE`.
    ///
    /// # Errors
    /// When one of these variables makes no sense.
    pub fn from_env() -> Result<Dialer, Error> {
        Dialer::new(Environment::of_process())
    }

    /// A dialer that obeys these variables and no others.
    ///
    /// # Errors
    /// When one of them makes no sense.
    pub fn new(environment: Environment) -> Result<Dialer, Error> {
        init_crypto();
        let routes = Routes::of(&environment)?;
        let inner = Inner {
            environment,
            routes,
            roots: OnceLock::new(),
            tally: Tally::default(),
            connect_timeout: CONNECT_TIMEOUT,
        };
        Ok(Dialer {
            inner: Arc::new(inner),
        })
    }

    /// A dialer that connects directly and knows no environment variables: for tests and providers that do not connect.
    pub fn direct() -> Dialer {
        init_crypto();
        let inner = Inner {
            environment: Environment::default(),
            routes: Routes::default(),
            roots: OnceLock::new(),
            tally: Tally::default(),
            connect_timeout: CONNECT_TIMEOUT,
        };
        Dialer {
            inner: Arc::new(inner),
        }
    }

    /// The environment variables that stand in for provider settings.
    pub fn environment(&self) -> &Environment {
        &self.inner.environment
    }

    /// What has been done so far, for the closing report.
    pub fn counters(&self) -> Counters {
        self.inner.tally.snapshot()
    }

    /// Notes a request over a connection of one's own (gRPC, WebSocket): counted and logged. `what` is method and path,
    /// never a parameter; `outcome` a status or an error without secrets.
    pub fn record(
        &self,
        protocol: &'static str,
        host: &str,
        what: &str,
        outcome: &str,
        started: Instant,
    ) {
        self.inner.tally.request();
        let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(target: "stead::request", protocol, host, what, outcome, elapsed_ms);
    }

    /// A plain TCP connection, through the lab's gateway where there is one.
    pub async fn tcp(&self, host: &str, port: u16) -> Result<TcpStream, Error> {
        self.connect(host, port, self.inner.routes.for_tcp()).await
    }

    /// A TCP connection for HTTP-like traffic over TLS: also through the proxy that `HTTPS_PROXY` names.
    pub(crate) async fn tcp_for_tls(&self, host: &str, port: u16) -> Result<TcpStream, Error> {
        let route = self.inner.routes.for_https(host, port);
        self.connect(host, port, route).await
    }

    async fn connect(
        &self,
        host: &str,
        port: u16,
        route: Option<route::Proxy>,
    ) -> Result<TcpStream, Error> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let asked = || format!("connect to {}", route::authority(host, port));
        let through = route.as_ref().map(|p| p.address());
        tracing::debug!(target: "stead::connect", host, port, through);
        self.inner.tally.connection();
        let connecting = async {
            let Some(proxy) = &route else {
                return TcpStream::connect((host, port))
                    .await
                    .map_err(|e| refused(asked(), &e));
            };
            let mut stream = TcpStream::connect((proxy.host.as_str(), proxy.port)).await.map_err(|e| {
                refused(format!("connect to the proxy {}", proxy.address()), &e)
                    .remedy("Check STEAD_DIAL or HTTPS_PROXY; in the lab, check that `stead lab up` is running.")
            })?;
            proxy.tunnel(&mut stream, host, port).await?;
            Ok(stream)
        };
        let stream = match tokio::time::timeout(self.inner.connect_timeout, connecting).await {
            Ok(result) => result?,
            Err(_) => {
                let seconds = self.inner.connect_timeout.as_secs();
                return Err(Error::transient(
                    asked(),
                    format!("no answer within {seconds} seconds"),
                )
                .remedy("Check the address, and that no firewall is in the way."));
            }
        };
        stream.set_nodelay(true).map_err(|e| refused(asked(), &e))?;
        Ok(stream)
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.inner.tally
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        self.inner.connect_timeout
    }

    pub(crate) fn routes(&self) -> &Routes {
        &self.inner.routes
    }
}

fn refused(asked: String, error: &std::io::Error) -> Error {
    Error::transient(asked, error.to_string())
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer")
            .field("routes", &self.inner.routes)
            .finish_non_exhaustive()
    }
}
