//! Serves an axum router over a listener of the lab's network, with or without TLS, until the lab stops.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::Lab;
use crate::faults::Effect;

/// How long requests may go on after the lab was told to stop.
const GRACE: Duration = Duration::from_millis(250);

/// Who asks; in every request's extensions.
#[derive(Clone, Debug)]
pub struct Peer {
    pub address: SocketAddr,
    /// What the client presented in the TLS handshake (the server's configuration decides whether it is verified).
    pub certificates: Arc<[CertificateDer<'static>]>,
}

/// Serves HTTP/1.1 (with upgrades) and HTTP/2, as the client chooses; ALPN is the configuration's.
///
/// Every request passes the lab's latency and the faults named `system` first.
pub fn serve(
    lab: &Lab,
    system: &'static str,
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    router: Router,
) {
    let server = Arc::new(Server {
        lab: lab.clone(),
        system,
        tls: tls.map(TlsAcceptor::from),
        router,
    });
    lab.tasks.spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = server.lab.shutdown.cancelled() => return,
            };
            match accepted {
                Ok((stream, address)) => {
                    let server = server.clone();
                    server
                        .lab
                        .tasks
                        .clone()
                        .spawn(async move { server.connection(stream, address).await });
                }
                Err(error) => tracing::warn!(%error, system, "cannot accept a connection"),
            }
        }
    });
}

struct Server {
    lab: Lab,
    system: &'static str,
    tls: Option<TlsAcceptor>,
    router: Router,
}

impl Server {
    async fn connection(self: Arc<Self>, stream: TcpStream, address: SocketAddr) {
        let outcome = match self.tls.clone() {
            None => {
                let peer = Peer {
                    address,
                    certificates: Arc::from([]),
                };
                self.clone().requests(stream, peer).await
            }
            Some(acceptor) => self.clone().encrypted(acceptor, stream, address).await,
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, system = self.system, "connection ended");
        }
    }

    async fn encrypted(
        self: Arc<Self>,
        acceptor: TlsAcceptor,
        stream: TcpStream,
        address: SocketAddr,
    ) -> io::Result<()> {
        let stream = tokio::select! {
            accepted = acceptor.accept(stream) => accepted?,
            () = self.lab.shutdown.cancelled() => return Ok(()),
        };
        let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let certificates = certificates
            .iter()
            .map(|c| c.clone().into_owned())
            .collect();
        self.requests(
            stream,
            Peer {
                address,
                certificates,
            },
        )
        .await
    }

    async fn requests<S>(self: Arc<Self>, stream: S, peer: Peer) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let server = self.clone();
        let service = service_fn(move |request| {
            let (server, peer) = (server.clone(), peer.clone());
            async move { server.answer(request, peer).await }
        });
        let builder = auto::Builder::new(TokioExecutor::new());
        let mut connection =
            std::pin::pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.lab.shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::time::timeout(GRACE, connection).await.unwrap_or(Ok(()))
            }
        };
        ended.map_err(io::Error::other)
    }

    async fn answer(
        &self,
        mut request: Request<Incoming>,
        peer: Peer,
    ) -> io::Result<Response<Body>> {
        if self.lab.settings.latency_ms > 0 {
            tokio::time::sleep(Duration::from_millis(self.lab.settings.latency_ms)).await;
        }
        match self.lab.faults.strike(self.system) {
            None => {}
            Some(Effect::Delay(millis)) => tokio::time::sleep(Duration::from_millis(millis)).await,
            Some(Effect::Status { code, message }) => return Ok(failure(code, message)),
            Some(Effect::On) => return Ok(failure(500, "simulated fault".to_owned())),
            Some(Effect::Drop) => {
                return Err(io::Error::other("simulated fault: connection dropped"));
            }
        }
        request.extensions_mut().insert(peer);
        let answer: Result<Response<Body>, Infallible> = self.router.clone().oneshot(request).await;
        match answer {
            Ok(response) => Ok(response),
            Err(never) => match never {},
        }
    }
}

fn failure(code: u16, message: String) -> Response<Body> {
    let mut response = Response::new(Body::from(message));
    *response.status_mut() =
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}
