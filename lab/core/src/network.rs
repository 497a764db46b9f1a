//! The lab's own network: virtual addresses and host names, each served by a real loopback socket on a free port.
//!
//! Everything inside the lab that must reach `10.25.150.11:50000` or `management.azure.com:443` asks here. The way in from
//! outside is the gateway, an HTTP CONNECT proxy: it asks here too, and an address where nothing listens is refused.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::{TcpListener, TcpStream};

/// Cheap to clone; all clones are the same network.
#[derive(Clone, Default)]
pub struct Network {
    routes: Arc<Mutex<HashMap<(String, u16), SocketAddr>>>,
}

impl Network {
    /// Listens at a virtual address. `host` is an IP address, a DNS name, or `*.suffix`. Replaces an earlier listener there.
    pub async fn listen(&self, host: &str, port: u16) -> io::Result<TcpListener> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        self.route(host, port, listener.local_addr()?);
        Ok(listener)
    }

    /// Makes `host:port` lead to a socket that already listens (a virtual IP that moves, a second name).
    pub fn route(&self, host: &str, port: u16, to: SocketAddr) {
        self.lock().insert((host.to_ascii_lowercase(), port), to);
    }

    /// Nothing answers at `host:port` any more. Connections that stand are their owner's to close.
    pub fn release(&self, host: &str, port: u16) {
        self.lock().remove(&(host.to_ascii_lowercase(), port));
    }

    /// The socket behind a virtual address: an exact match, else the longest `*.suffix`.
    pub fn resolve(&self, host: &str, port: u16) -> Option<SocketAddr> {
        let host = host.to_ascii_lowercase();
        let routes = self.lock();
        if let Some(found) = routes.get(&(host.clone(), port)) {
            return Some(*found);
        }
        let mut rest = host.as_str();
        while let Some((_, suffix)) = rest.split_once('.') {
            if let Some(found) = routes.get(&(format!("*.{suffix}"), port)) {
                return Some(*found);
            }
            rest = suffix;
        }
        None
    }

    /// Connects as a machine of the lab would; `ConnectionRefused` where nothing listens.
    pub async fn connect(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        match self.resolve(host, port) {
            Some(address) => TcpStream::connect(address).await,
            None => Err(io::Error::new(
                io::ErrorKind::ConnectionRefused,
                format!("nothing listens at {host}:{port}"),
            )),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, u16), SocketAddr>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
