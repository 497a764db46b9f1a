//! HTTP clients that go the dialer's ways, and the sending of requests with log and count.

use std::time::{Duration, Instant};

use crate::Error;
use crate::dial::tls::trust_error;
use crate::dial::{Dialer, TlsOptions};

/// How an HTTP client behaves.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    pub tls: TlsOptions,
    /// For the whole of a request, body included; `None` for long downloads.
    pub timeout: Option<Duration>,
    /// Redirects followed; APIs should need none.
    pub redirects: usize,
    pub user_agent: String,
    /// Only HTTP/1.1, for servers whose HTTP/2 is broken.
    pub http1_only: bool,
}

impl Default for HttpOptions {
    fn default() -> Self {
        HttpOptions {
            tls: TlsOptions::default(),
            timeout: Some(Duration::from_secs(60)),
            redirects: 0,
            user_agent: concat!("stead/", env!("CARGO_PKG_VERSION")).to_owned(),
            http1_only: false,
        }
    }
}

impl Dialer {
    /// An HTTP client for one server or many. Send through [`Dialer::send`], so that requests are logged and counted.
    ///
    /// Through the lab's gateway `https` is tunnelled; plain `http` is sent as a proxy request.
    pub fn http(&self, options: &HttpOptions) -> Result<reqwest::Client, Error> {
        let asked = "set up an HTTP client";
        let failed = |e: reqwest::Error| Error::new(asked, chain(&e));
        let mut tls = options.tls.clone();
        if tls.alpn.is_empty() {
            tls.alpn = if options.http1_only {
                vec!["http/1.1".into()]
            } else {
                vec!["h2".into(), "http/1.1".into()]
            };
        }
        let config = self.client_config(&tls)?;
        let redirect = match options.redirects {
            0 => reqwest::redirect::Policy::none(),
            n => reqwest::redirect::Policy::limited(n),
        };
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured((*config).clone())
            .connect_timeout(self.connect_timeout())
            .redirect(redirect)
            .user_agent(&options.user_agent)
            .tcp_nodelay(true)
            .no_proxy();
        if let Some(timeout) = options.timeout {
            builder = builder.timeout(timeout);
        }
        if options.http1_only {
            builder = builder.http1_only();
        }
        let routes = self.routes();
        if let Some(gateway) = routes.gateway_url() {
            builder = builder.proxy(reqwest::Proxy::all(gateway).map_err(failed)?);
        } else {
            let exempt = || {
                routes
                    .no_proxy
                    .as_deref()
                    .and_then(reqwest::NoProxy::from_string)
            };
            if let Some(proxy) = &routes.https_proxy {
                builder = builder.proxy(
                    reqwest::Proxy::https(proxy)
                        .map_err(failed)?
                        .no_proxy(exempt()),
                );
            }
            if let Some(proxy) = &routes.http_proxy {
                builder = builder.proxy(
                    reqwest::Proxy::http(proxy)
                        .map_err(failed)?
                        .no_proxy(exempt()),
                );
            }
        }
        builder.build().map_err(failed)
    }

    /// Sends a request: logged without query, headers and body, and counted. Any status is a success here.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, Error> {
        let (client, request) = request.build_split();
        let request =
            request.map_err(|e| Error::new("build an HTTP request", chain(&e.without_url())))?;
        let url = request.url();
        let host = url.host_str().unwrap_or_default().to_owned();
        let asked = format!("{} {}", request.method(), redacted(url));
        let started = Instant::now();
        match client.execute(request).await {
            Ok(response) => {
                self.record("http", &host, &asked, response.status().as_str(), started);
                Ok(response)
            }
            Err(error) => {
                let error = http_error(&asked, error);
                self.record("http", &host, &asked, error.said(), started);
                Err(error)
            }
        }
    }
}

/// Scheme, host, port and path: never user, password or query, which may hold secrets.
fn redacted(url: &reqwest::Url) -> String {
    let port = url.port().map(|p| format!(":{p}")).unwrap_or_default();
    format!(
        "{}://{}{port}{}",
        url.scheme(),
        url.host_str().unwrap_or_default(),
        url.path()
    )
}

/// A URL as messages may show it: without user, password, query and fragment.
pub fn redact_url(url: &str) -> String {
    match reqwest::Url::parse(url) {
        Ok(url) => redacted(&url),
        Err(_) => "(an invalid URL)".to_owned(),
    }
}

/// What became of a request that got no answer. `asked` is method and path.
pub fn http_error(asked: &str, error: reqwest::Error) -> Error {
    let error = error.without_url();
    let asked = format!("send {asked}");
    if let Some(tls) = find::<rustls::Error>(&error) {
        return trust_error(asked, tls);
    }
    if error.is_timeout() {
        return Error::transient(asked, "no answer in time")
            .remedy("Check the address, and that the server is up.");
    }
    if error.is_connect() {
        return Error::transient(asked, chain(&error))
            .remedy("Check the address, and that the server is up.");
    }
    if error.is_request() || error.is_body() {
        return Error::transient(asked, chain(&error));
    }
    Error::new(asked, chain(&error))
}

/// An error and its causes, in one line; a cause that its parent quotes already is not repeated.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

/// The cause of a certain type, also inside I/O errors, which hide theirs.
fn find<'a, E: std::error::Error + 'static>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a E> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && let Some(inner) = io.get_ref()
        {
            let inner: &(dyn std::error::Error + 'static) = inner;
            return find::<E>(inner);
        }
        cause = error.source();
    }
    None
}
