//! Which way a connection goes: directly, through the lab's gateway, or through a proxy.

use std::fmt;

use hyper_util::client::proxy::matcher::Matcher;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Error;
use crate::dial::Environment;

/// Longest answer to a CONNECT that is read.
const ANSWER_LIMIT: usize = 16 * 1024;

/// The ways out that the environment names.
#[derive(Default)]
pub(crate) struct Routes {
    /// `STEAD_DIAL`: every connection goes through it.
    gateway: Option<Proxy>,
    /// `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.
    matcher: Option<Matcher>,
    /// The same variables, for the HTTP client, which does its own matching.
    pub(crate) https_proxy: Option<String>,
    pub(crate) http_proxy: Option<String>,
    pub(crate) no_proxy: Option<String>,
}

/// A server that takes CONNECT requests.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// `Proxy-Authorization`, whole.
    authorization: Option<String>,
}

impl Routes {
    pub(crate) fn of(environment: &Environment) -> Result<Routes, Error> {
        let gateway = environment.get("STEAD_DIAL").map(gateway).transpose()?;
        let all = environment.first(&["ALL_PROXY", "all_proxy"]);
        let https = environment.first(&["HTTPS_PROXY", "https_proxy"]).or(all);
        let http = environment.first(&["http_proxy", "HTTP_PROXY"]).or(all);
        let no = environment.first(&["NO_PROXY", "no_proxy"]);
        let matcher = https.map(|https| {
            let builder = Matcher::builder().https(https.to_owned());
            builder.no(no.unwrap_or_default().to_owned()).build()
        });
        let own = |text: Option<&str>| text.map(str::to_owned);
        Ok(Routes {
            gateway,
            matcher,
            https_proxy: own(https),
            http_proxy: own(http),
            no_proxy: own(no),
        })
    }

    /// The gateway's address as a proxy URL.
    pub(crate) fn gateway_url(&self) -> Option<String> {
        self.gateway
            .as_ref()
            .map(|g| format!("http://{}", g.address()))
    }

    pub(crate) fn for_tcp(&self) -> Option<Proxy> {
        self.gateway.clone()
    }

    pub(crate) fn for_https(&self, host: &str, port: u16) -> Option<Proxy> {
        if self.gateway.is_some() {
            return self.gateway.clone();
        }
        let target = format!("https://{}", authority(host, port)).parse().ok()?;
        let found = self.matcher.as_ref()?.intercept(&target)?;
        let uri = found.uri();
        let authorization = found
            .basic_auth()
            .and_then(|v| v.to_str().ok())
            .map(str::to_owned);
        Some(Proxy {
            host: uri.host()?.to_owned(),
            port: uri.port_u16().unwrap_or(80),
            authorization,
        })
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gateway = self.gateway.as_ref().map(Proxy::address);
        f.debug_struct("Routes")
            .field("gateway", &gateway)
            .field("proxy", &self.matcher.is_some())
            .finish()
    }
}

/// Reads `connect://HOST:PORT`.
fn gateway(text: &str) -> Result<Proxy, Error> {
    let parsed = text.strip_prefix("connect://").and_then(|rest| {
        let (host, port) = rest.trim_end_matches('/').rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        (!host.is_empty()).then_some((host.to_owned(), port.parse::<u16>().ok()?))
    });
    let (host, port) = parsed.ok_or_else(|| {
        Error::new(
            "read the environment variable STEAD_DIAL",
            format!("{text:?} is not of the form connect://HOST:PORT"),
        )
        .remedy("Unset it to connect directly; `stead lab exec -- COMMAND` sets it rightly.")
    })?;
    Ok(Proxy {
        host,
        port,
        authorization: None,
    })
}

/// `host:port`, with brackets around an IPv6 address.
pub(crate) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

impl Proxy {
    pub(crate) fn address(&self) -> String {
        authority(&self.host, self.port)
    }

    /// Asks for a tunnel; afterwards the stream is the target's.
    pub(crate) async fn tunnel(
        &self,
        stream: &mut TcpStream,
        host: &str,
        port: u16,
    ) -> Result<(), Error> {
        let target = authority(host, port);
        let asked = || {
            format!(
                "reach {target} through {} (CONNECT {target})",
                self.address()
            )
        };
        let lost = |e: std::io::Error| Error::transient(asked(), e.to_string());
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some(authorization) = &self.authorization {
            request.push_str(&format!("Proxy-Authorization: {authorization}\r\n"));
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await.map_err(lost)?;
        let mut answer = Vec::new();
        // Byte by byte: what follows the empty line belongs to the target's own protocol.
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() >= ANSWER_LIMIT {
                return Err(Error::new(asked(), "the answer is not HTTP"));
            }
            let byte = stream.read_u8().await.map_err(lost)?;
            answer.push(byte);
        }
        let text = String::from_utf8_lossy(&answer);
        let status_line = text.lines().next().unwrap_or_default().trim();
        let status = status_line
            .split(' ')
            .nth(1)
            .and_then(|s| s.parse::<u16>().ok());
        match status {
            Some(200..=299) => Ok(()),
            Some(status) => {
                // The gateway's way to say that nothing listens there: as transient as a refused connection.
                let error = Error::http(
                    status,
                    asked(),
                    format!("the proxy answered \"{status_line}\""),
                );
                Err(if status >= 500 {
                    error
                        .with_kind(crate::ErrorKind::Transient)
                        .remedy("Check the address, and that the server is up.")
                } else {
                    error
                })
            }
            None => Err(Error::new(asked(), "the answer is not HTTP")),
        }
    }
}
