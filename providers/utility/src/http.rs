//! `hashicorp/http` 3.x: the data source `http`.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HOST, HeaderName, HeaderValue};
use reqwest::{Method, Response};
use stead_sdk::retry::{Backoff, with_backoff};
use stead_sdk::value::{Diagnostics, Sensitive, Value};
use stead_sdk::{
    Block, ClientIdentity, Context, DataSource, Dialer, Error, ErrorKind, HttpOptions, Native,
    NoConfig, ProviderFactory, Roots, TlsOptions, async_trait, http_error, redact_url,
};

use crate::generated::{at_least, invalid};

/// Redirects followed, as by Go's client.
const REDIRECTS: usize = 10;

/// The answer to a request.
#[derive(Clone, Debug, DataSource)]
#[data_source(name = "http")]
struct Http {
    /// The address: http or https.
    #[attr(required)]
    url: String,
    /// GET, HEAD or POST; GET unless set.
    #[attr(optional)]
    method: Option<String>,
    /// Header fields to send.
    #[attr(optional)]
    request_headers: Option<BTreeMap<String, String>>,
    /// The body to send.
    #[attr(optional)]
    request_body: Option<String>,
    /// How long the request may take, in milliseconds.
    #[attr(optional)]
    request_timeout_ms: Option<i64>,
    /// Certificate authorities to trust in place of the machine's, as PEM.
    #[attr(optional)]
    ca_cert_pem: Option<String>,
    /// Client certificate, as PEM.
    #[attr(optional)]
    client_cert_pem: Option<String>,
    /// Client key, as PEM.
    #[attr(optional)]
    client_key_pem: Option<Sensitive<String>>,
    /// Trust any certificate.
    #[attr(optional)]
    insecure: Option<bool>,
    /// Trying again on connection errors, 429 and 5xx other than 501.
    #[attr(block(single))]
    retry: Option<Retry>,
    /// The body, as text.
    #[attr(computed)]
    response_body: Option<String>,
    /// The body, as text.
    #[attr(computed, deprecated = "Use response_body.")]
    body: Option<String>,
    /// The body, in base64.
    #[attr(computed)]
    response_body_base64: Option<String>,
    /// Header fields of the answer; those that come more than once are joined by commas.
    #[attr(computed)]
    response_headers: Option<BTreeMap<String, String>>,
    /// The answer's status.
    #[attr(computed)]
    status_code: Option<i64>,
    /// The address.
    #[attr(computed)]
    id: Option<String>,
}

#[derive(Clone, Debug, Block)]
struct Retry {
    /// How often to try again.
    #[attr(optional)]
    attempts: Option<i64>,
    /// The least pause between attempts, in milliseconds.
    #[attr(optional)]
    min_delay_ms: Option<i64>,
    /// The longest pause between attempts, in milliseconds.
    #[attr(optional)]
    max_delay_ms: Option<i64>,
}

impl Retry {
    fn policy(retry: Option<&Retry>) -> Backoff {
        let millis = |n: Option<i64>, default: u64| {
            Duration::from_millis(n.and_then(|n| u64::try_from(n).ok()).unwrap_or(default))
        };
        let again = retry
            .and_then(|r| r.attempts)
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(0);
        Backoff {
            first: millis(retry.and_then(|r| r.min_delay_ms), 1_000),
            cap: millis(retry.and_then(|r| r.max_delay_ms), 30_000),
            attempts: again.saturating_add(1),
        }
    }
}

impl Http {
    fn options(&self) -> HttpOptions {
        let identity = self
            .client_cert_pem
            .clone()
            .zip(self.client_key_pem.clone());
        let tls = TlsOptions {
            roots: self.ca_cert_pem.clone().map_or(Roots::System, Roots::Only),
            insecure: self.insecure.unwrap_or(false),
            identity: identity.map(|(certificates, key)| ClientIdentity { certificates, key }),
            ..TlsOptions::default()
        };
        let timeout = self
            .request_timeout_ms
            .and_then(|ms| u64::try_from(ms).ok())
            .map(Duration::from_millis);
        HttpOptions {
            tls,
            timeout,
            redirects: REDIRECTS,
            ..HttpOptions::default()
        }
    }

    fn request(&self, client: &reqwest::Client) -> Result<reqwest::RequestBuilder, Error> {
        let method = match self.method.as_deref() {
            None | Some("" | "GET") => Method::GET,
            Some("HEAD") => Method::HEAD,
            Some("POST") => Method::POST,
            Some(other) => {
                return Err(Error::new(
                    "send the request",
                    format!("the method {other:?} is not GET, HEAD or POST"),
                )
                .attribute("method"));
            }
        };
        let mut request = client.request(method, &self.url);
        for (name, value) in self.request_headers.iter().flatten() {
            // A value may be a token: no message repeats it.
            let bad = |what: &str| {
                let said = format!("the header {name:?} has an invalid {what}");
                Error::new("send the request", said).attribute("request_headers")
            };
            let header = HeaderName::try_from(name).map_err(|_| bad("name"))?;
            let value = HeaderValue::try_from(value).map_err(|_| bad("value"))?;
            request = request.header(if header == "host" { HOST } else { header }, value);
        }
        Ok(match &self.request_body {
            Some(body) => request.body(body.clone()),
            None => request,
        })
    }
}

/// Statuses that count as failures, as they do for the published provider.
fn is_failure(status: u16) -> bool {
    status == 429 || (status >= 500 && status != 501)
}

#[async_trait]
impl DataSource for Http {
    type Client = Dialer;

    fn validate(config: &Value) -> Diagnostics {
        let mut found = Diagnostics::new();
        let set = |name: &str| config.get(name).is_some_and(|v| !v.is_null());
        let text = |name: &str| config.get(name).and_then(|v| v.as_str().map(str::to_owned));
        if let Some(method) =
            text("method").filter(|m| !["GET", "HEAD", "POST"].contains(&m.as_str()))
        {
            found.push(invalid(
                "method",
                format!("`method` must be GET, HEAD or POST, not {method:?}."),
            ));
        }
        if text("url")
            .is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://"))
        {
            found.push(invalid("url", "`url` must begin with http:// or https://."));
        }
        if set("ca_cert_pem") && set("insecure") {
            found.push(invalid(
                "ca_cert_pem",
                "`ca_cert_pem` and `insecure` exclude each other.",
            ));
        }
        if set("client_cert_pem") != set("client_key_pem") {
            let missing = if set("client_cert_pem") {
                "client_key_pem"
            } else {
                "client_cert_pem"
            };
            found.push(invalid(
                missing,
                "`client_cert_pem` and `client_key_pem` belong together.",
            ));
        }
        at_least(config, "request_timeout_ms", 1, &mut found);
        if let Some(retry) = config.get("retry") {
            for name in ["attempts", "min_delay_ms", "max_delay_ms"] {
                at_least(&retry, name, 0, &mut found);
            }
        }
        found
    }

    async fn read(dialer: &Dialer, config: Self, cx: &Context) -> Result<Self, Error> {
        let client = dialer.http(&config.options())?;
        let policy = Retry::policy(config.retry.as_ref());
        let response = with_backoff(cx, policy, Error::is_transient, || async {
            let request = config.request(&client)?;
            let response = dialer.send(request).await.map_err(|e| e.attribute("url"))?;
            let status = response.status();
            if is_failure(status.as_u16()) {
                let method = config.method.as_deref().unwrap_or("GET");
                let asked = format!("{method} {}", redact_url(&config.url));
                let error = Error::http(
                    status.as_u16(),
                    asked,
                    format!("the server answered {status}"),
                );
                return Err(error.attribute("url").with_kind(ErrorKind::Transient));
            }
            Ok(response)
        })
        .await?;
        answered(config, response, cx).await
    }
}

async fn answered(config: Http, response: Response, cx: &Context) -> Result<Http, Error> {
    let status = response.status().as_u16();
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in response.headers() {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let all = headers.entry(canonical(name.as_str())).or_default();
        *all = if all.is_empty() {
            value
        } else {
            format!("{all}, {value}")
        };
    }
    let asked = format!("read the answer of {}", redact_url(&config.url));
    let bytes = response
        .bytes()
        .await
        .map_err(|e| http_error(&asked, e).attribute("url"))?;
    if std::str::from_utf8(&bytes).is_err() {
        cx.warn(
            "The response body is not UTF-8",
            format!(
                "What {} answered is no text: what is not UTF-8 is replaced in `response_body`. Take \
                 `response_body_base64`.",
                redact_url(&config.url)
            ),
        );
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Http {
        id: Some(config.url.clone()),
        response_body: Some(text.clone()),
        body: Some(text),
        response_body_base64: Some(STANDARD.encode(&bytes)),
        response_headers: Some(headers),
        status_code: Some(i64::from(status)),
        ..config
    })
}

/// A header's name the way Go writes it: `content-type` becomes `Content-Type`.
fn canonical(name: &str) -> String {
    let mut start = true;
    name.chars()
        .map(|c| {
            let c = if start {
                c.to_ascii_uppercase()
            } else {
                c.to_ascii_lowercase()
            };
            start = c == '-';
            c
        })
        .collect()
}

pub fn factory(dialer: &Dialer) -> impl ProviderFactory + use<> {
    Native::<Dialer>::provider::<NoConfig>("http")
        .configure(|_, dialer, _| async { Ok(dialer) })
        .data_source::<Http>()
        .build(dialer)
}
