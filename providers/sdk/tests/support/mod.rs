//! Small servers for the dialer's tests: a CONNECT gateway and TLS endpoints.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use stead_sdk::{Dialer, Environment, Stream};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A gateway that knows some targets and writes down what it was asked for.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
}

impl Gateway {
    /// `targets`: `host:port` as asked for, and where it really is. Anything else is answered with 502.
    pub(crate) async fn start(targets: &[(&str, SocketAddr)]) -> Gateway {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let targets: BTreeMap<String, SocketAddr> =
            targets.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (targets, log) = (targets.clone(), Arc::clone(&log));
                tokio::spawn(serve_connect(stream, targets, log));
            }
        });
        Gateway { address, asked }
    }

    pub(crate) fn dialer(&self) -> Dialer {
        self.dialer_with(&[])
    }

    pub(crate) fn dialer_with(&self, more: &[(&str, &str)]) -> Dialer {
        let gateway = (
            "STEAD_DIAL".to_owned(),
            format!("connect://{}", self.address),
        );
        let more = more.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Dialer::new(
            std::iter::once(gateway)
                .chain(more)
                .collect::<Environment>(),
        )
        .unwrap()
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve_connect(
    stream: TcpStream,
    targets: BTreeMap<String, SocketAddr>,
    log: Arc<Mutex<Vec<String>>>,
) {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    log.lock()
        .unwrap()
        .push(head.lines().next().unwrap_or_default().to_owned());
    let Some(address) = targets.get(&target) else {
        let _ = stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await;
        return;
    };
    let mut onward = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
        .await
        .unwrap();
    let _ = tokio::io::copy_bidirectional(&mut stream, &mut onward).await;
}

/// A certificate authority and what it signed.
pub(crate) struct Pki {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

pub(crate) struct Leaf {
    pub(crate) der: CertificateDer<'static>,
    pub(crate) pem: String,
    pub(crate) key: KeyPair,
}

impl Pki {
    pub(crate) fn new() -> Pki {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Pki {
            issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap(),
        }
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub(crate) fn leaf(&self, name: &str) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()])
            .unwrap()
            .signed_by(&key, &self.issuer)
            .unwrap();
        Leaf {
            der: certificate.der().clone(),
            pem: certificate.pem(),
            key,
        }
    }

    /// A server's TLS, optionally asking clients for a certificate of this authority.
    pub(crate) fn acceptor(&self, leaf: &Leaf, alpn: &[&str], mutual: bool) -> TlsAcceptor {
        stead_sdk::init_crypto();
        let builder = if mutual {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(self.issuer.der().clone()).unwrap();
            ServerConfig::builder().with_client_cert_verifier(
                WebPkiClientVerifier::builder(Arc::new(roots))
                    .build()
                    .unwrap(),
            )
        } else {
            ServerConfig::builder().with_no_client_auth()
        };
        let key = PrivateKeyDer::try_from(leaf.key.serialize_der()).unwrap();
        let mut config = builder
            .with_single_cert(vec![leaf.der.clone()], key)
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Accepts connections, over TLS if there is an acceptor, and hands each to `serve`.
pub(crate) async fn listen<F, Fut>(acceptor: Option<TlsAcceptor>, serve: F) -> SocketAddr
where
    F: Fn(Box<dyn Stream>) -> Fut + Send + Sync + Clone + 'static,
    Fut: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, serve) = (acceptor.clone(), serve.clone());
            tokio::spawn(async move {
                match acceptor {
                    None => serve(Box::new(stream)).await,
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            serve(Box::new(stream)).await;
                        }
                    }
                }
            });
        }
    });
    address
}

/// Sends back what comes, until the other side ends.
pub(crate) async fn echo(mut stream: Box<dyn Stream>) {
    let mut buffer = [0u8; 1024];
    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
        stream.write_all(&buffer[..n]).await.unwrap();
        stream.flush().await.unwrap();
    }
}

/// Answers one HTTP/1.1 request with its own first line.
pub(crate) async fn http_mirror(stream: Box<dyn Stream>) {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let body = head.lines().next().unwrap_or_default();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}
