//! A way to a service that loses answers: bytes go on to it and come back, until an answer is to be lost. Then the connection is cut
//! at the answer's first byte, when the service has done what it was asked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub(crate) struct Flaky {
    pub(crate) address: SocketAddr,
    to_lose: Arc<AtomicUsize>,
    to_pass: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Flaky {
    pub(crate) async fn before(service: SocketAddr) -> Flaky {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let to_lose = Arc::new(AtomicUsize::new(0));
        let to_pass = Arc::new(AtomicUsize::new(0));
        let counters = (Arc::clone(&to_pass), Arc::clone(&to_lose));
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (to_pass, to_lose) = counters.clone();
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(service).await {
                        carry(client, server, &to_pass, &to_lose).await;
                    }
                });
            }
        });
        Flaky {
            address,
            to_lose,
            to_pass,
            task,
        }
    }

    /// The next `n` answers do not arrive.
    pub(crate) fn lose(&self, n: usize) {
        self.to_lose.store(n, Ordering::SeqCst);
    }

    /// `n` answers arrive and the one after them does not.
    pub(crate) fn lose_after(&self, n: usize) {
        self.to_pass.store(n, Ordering::SeqCst);
        self.lose(1);
    }

    /// How many are still to be lost.
    pub(crate) fn left(&self) -> usize {
        self.to_lose.load(Ordering::SeqCst)
    }
}

impl Drop for Flaky {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(client: TcpStream, server: TcpStream, to_pass: &AtomicUsize, to_lose: &AtomicUsize) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let forth = async {
        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
    };
    let take = |counter: &AtomicUsize| {
        counter
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            })
            .is_ok()
    };
    let back = async {
        let mut bytes = vec![0; 65536];
        loop {
            let n = from_server.read(&mut bytes).await.unwrap_or(0);
            if n == 0 {
                return;
            }
            let lost = !take(to_pass) && take(to_lose);
            if lost || to_client.write_all(&bytes[..n]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! { () = forth => {}, () = back => {} }
}
