//! The HTTP(S) client with which simulated systems fetch from one another: through the lab's network, trusting the lab's CA.

use std::io;
use std::sync::Arc;

use axum::http::header::{HOST, LOCATION};
use axum::http::{HeaderValue, Method, Request, Response, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use crate::{Lab, Network};

/// Most that one answer may hold.
const BODY_LIMIT: usize = 1 << 30;
/// As most clients.
const REDIRECT_LIMIT: usize = 10;

/// Cheap to clone.
#[derive(Clone)]
pub struct Client {
    network: Network,
    tls: TlsConnector,
}

impl Client {
    pub fn new(lab: &Lab) -> io::Result<Client> {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(lab.authority.pem().as_bytes())
            .map_err(io::Error::other)?;
        roots.add(root).map_err(io::Error::other)?;
        let config =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(io::Error::other)?
                .with_root_certificates(roots)
                .with_no_client_auth();
        Ok(Client {
            network: lab.network.clone(),
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    /// GET, following redirects.
    pub async fn get(&self, url: &str) -> io::Result<Response<Bytes>> {
        self.follow(Method::GET, url).await
    }

    /// HEAD, following redirects.
    pub async fn head(&self, url: &str) -> io::Result<Response<Bytes>> {
        self.follow(Method::HEAD, url).await
    }

    async fn follow(&self, method: Method, url: &str) -> io::Result<Response<Bytes>> {
        let mut uri: Uri = url.parse().map_err(invalid)?;
        for _ in 0..=REDIRECT_LIMIT {
            let request = Request::builder()
                .method(method.clone())
                .uri(&uri)
                .body(Bytes::new())
                .map_err(invalid)?;
            let response = self.send(request).await?;
            let target = response
                .headers()
                .get(LOCATION)
                .filter(|_| response.status().is_redirection());
            match target {
                None => return Ok(response),
                Some(target) => uri = redirected(&uri, target)?,
            }
        }
        Err(io::Error::other(format!("{url}: too many redirects")))
    }

    /// Sends one request with an absolute URI over a connection of its own.
    pub async fn send(&self, request: Request<Bytes>) -> io::Result<Response<Bytes>> {
        self.connect(request.uri()).await?.send(request).await
    }

    /// Opens a connection to the server of an absolute URI, for one request after the other.
    pub async fn connect(&self, uri: &Uri) -> io::Result<Connection> {
        let host = uri
            .host()
            .ok_or_else(|| invalid(format!("no host in {uri}")))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = |default| uri.port_u16().unwrap_or(default);
        match uri.scheme_str() {
            Some("http") => {
                let stream = self.network.connect(host, port(80)).await?;
                Connection::open(stream).await
            }
            Some("https") => {
                let stream = self.network.connect(host, port(443)).await?;
                let name = ServerName::try_from(host.to_owned()).map_err(invalid)?;
                Connection::open(self.tls.connect(name, stream).await?).await
            }
            _ => Err(invalid(format!("{uri}: neither http nor https"))),
        }
    }
}

/// A connection to one server; closed when dropped.
pub struct Connection {
    sender: hyper::client::conn::http1::SendRequest<Full<Bytes>>,
    driver: tokio::task::AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    async fn open<S>(stream: S) -> io::Result<Connection>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        let driver = tokio::spawn(connection).abort_handle();
        Ok(Connection { sender, driver })
    }

    /// Sends a request with an absolute URI and reads the whole answer.
    pub async fn send(&mut self, request: Request<Bytes>) -> io::Result<Response<Bytes>> {
        let (mut parts, body) = request.into_parts();
        if let Some(authority) = parts.uri.authority() {
            let host = authority.as_str().rsplit('@').next().unwrap_or_default();
            parts
                .headers
                .insert(HOST, HeaderValue::from_str(host).map_err(invalid)?);
        }
        let target = parts
            .uri
            .path_and_query()
            .map_or("/", |p| p.as_str())
            .to_owned();
        parts.uri = Uri::builder()
            .path_and_query(target)
            .build()
            .map_err(invalid)?;
        self.sender.ready().await.map_err(io::Error::other)?;
        let request = Request::from_parts(parts, Full::new(body));
        let response = self
            .sender
            .send_request(request)
            .await
            .map_err(io::Error::other)?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, BODY_LIMIT)
            .collect()
            .await
            .map_err(io::Error::other)?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    }
}

/// The target of a redirect: absolute, or a path on the same host.
fn redirected(from: &Uri, location: &HeaderValue) -> io::Result<Uri> {
    let location: Uri = location
        .to_str()
        .map_err(invalid)?
        .parse()
        .map_err(invalid)?;
    if location.authority().is_some() {
        return Ok(location);
    }
    let mut parts = from.clone().into_parts();
    parts.path_and_query = location.into_parts().path_and_query;
    Uri::from_parts(parts).map_err(invalid)
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}
