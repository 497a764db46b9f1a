//! The machine API's sockets: TLS as the node's state demands, HTTP/2 on top, closed when the state ends.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use ipnet::IpNet;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Node;
use crate::api::{Caller, Gate};
use crate::world::World;

/// Port of the machine API.
pub(crate) const API_PORT: u16 = 50000;
/// How long requests may go on when the API closes.
const GRACE: Duration = Duration::from_millis(200);

/// Every socket of one node's API. Closes them when dropped.
pub(super) struct Listener {
    shared: Arc<Shared>,
    sockets: HashMap<IpAddr, Socket>,
}

struct Shared {
    node: Arc<Node>,
    gate: Gate,
    tls: RwLock<Arc<ServerConfig>>,
    closing: CancellationToken,
    connections: TaskTracker,
}

struct Socket {
    closing: CancellationToken,
    world: Arc<World>,
    address: IpAddr,
    local: std::net::SocketAddr,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.closing.cancel();
        let host = self.address.to_string();
        // The address may be another machine's by now.
        if self.world.lab.network.resolve(&host, API_PORT) == Some(self.local) {
            self.world.lab.network.release(&host, API_PORT);
        }
    }
}

impl Listener {
    pub(super) fn new(node: Arc<Node>, tls: Arc<ServerConfig>) -> Listener {
        Listener {
            shared: Arc::new(Shared {
                gate: Gate::new(node.clone()),
                node,
                tls: RwLock::new(tls),
                closing: CancellationToken::new(),
                connections: TaskTracker::new(),
            }),
            sockets: HashMap::new(),
        }
    }

    /// New connections get this certificate.
    pub(super) fn renew(&self, tls: Arc<ServerConfig>) {
        *self
            .shared
            .tls
            .write()
            .unwrap_or_else(PoisonError::into_inner) = tls;
    }

    /// Listens at exactly these addresses.
    pub(super) async fn listen_at(&mut self, world: &Arc<World>, addresses: &[IpNet]) {
        let wanted: Vec<IpAddr> = addresses.iter().map(IpNet::addr).collect();
        self.sockets.retain(|address, _| wanted.contains(address));
        for address in wanted {
            if self.sockets.contains_key(&address) {
                continue;
            }
            let host = address.to_string();
            let bound = world.lab.network.listen(&host, API_PORT).await;
            let (listener, local) = match bound.and_then(|l| Ok((l.local_addr()?, l))) {
                Ok((local, listener)) => (listener, local),
                Err(error) => {
                    tracing::error!(%error, host, "cannot listen");
                    continue;
                }
            };
            let closing = self.shared.closing.child_token();
            let shared = self.shared.clone();
            tokio::spawn(accept(shared, listener, closing.clone()));
            self.sockets.insert(
                address,
                Socket {
                    closing,
                    world: world.clone(),
                    address,
                    local,
                },
            );
        }
    }

    /// Refuses connections, lets requests end, and returns when none is left.
    pub(super) async fn close(self) {
        drop(self.sockets);
        self.shared.connections.close();
        self.shared.connections.wait().await;
    }
}

async fn accept(shared: Arc<Shared>, listener: TcpListener, closing: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = closing.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let (shared, closing) = (shared.clone(), closing.clone());
                let tracker = shared.connections.clone();
                tracker.spawn(async move {
                    let machine = shared.node.id.clone();
                    if let Err(error) = connection(shared, stream, closing).await {
                        tracing::debug!(machine, %error, "connection ended");
                    }
                });
            }
            Err(error) => tracing::warn!(%error, "cannot accept a connection"),
        }
    }
}

async fn connection(
    shared: Arc<Shared>,
    stream: TcpStream,
    closing: CancellationToken,
) -> std::io::Result<()> {
    let current = shared
        .tls
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let tls = shared.node.expired_tls().unwrap_or(current);
    let stream = tokio::select! {
        accepted = TlsAcceptor::from(tls).accept(stream) => accepted?,
        () = closing.cancelled() => return Ok(()),
    };
    let caller = Caller::of(stream.get_ref().1.peer_certificates().unwrap_or_default());
    let service = service_fn(move |request| {
        let (shared, caller) = (shared.clone(), caller.clone());
        async move { Ok::<_, std::convert::Infallible>(shared.gate.answer(caller, request).await) }
    });
    let mut connection = std::pin::pin!(
        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(GRACE, connection).await.unwrap_or(Ok(()))
        }
    };
    ended.map_err(std::io::Error::other)
}
