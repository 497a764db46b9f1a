//! The gateway, the servers and the client of the lab, together and across a restart.

use std::net::SocketAddr;

use axum::http::StatusCode;
use axum::routing::get;
use axum::{Extension, Router};
use stead_lab_core::faults::{Effect, Fault};
use stead_lab_core::serve::Peer;
use stead_lab_core::{Client, Lab, Settings, gateway, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn open(dir: &std::path::Path) -> Lab {
    Lab::open(dir, Settings::default()).unwrap()
}

fn router() -> Router {
    Router::new()
        .route(
            "/",
            get(|Extension(peer): Extension<Peer>| async move {
                format!("hello {}", peer.address.ip())
            }),
        )
        .route(
            "/old",
            get(|| async { (StatusCode::FOUND, [("location", "/?moved")]) }),
        )
        .route(
            "/far",
            get(|| async { (StatusCode::FOUND, [("location", "https://b.lab/")]) }),
        )
        .route(
            "/loop",
            get(|| async { (StatusCode::FOUND, [("location", "/loop")]) }),
        )
}

async fn site(lab: &Lab, host: &str) {
    let listener = lab.network.listen(host, 443).await.unwrap();
    let tls = lab.authority.server_config(&[host.to_owned()]).unwrap();
    serve(lab, "site", listener, Some(tls), router());
}

async fn raw(gateway: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(gateway).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn client_follows_redirects_between_hosts() {
    let dir = tempfile::tempdir().unwrap();
    let lab = open(dir.path());
    site(&lab, "a.lab").await;
    site(&lab, "b.lab").await;
    let client = Client::new(&lab).unwrap();
    for url in ["https://a.lab", "https://a.lab/old", "https://a.lab/far"] {
        let response = client.get(url).await.unwrap();
        assert_eq!(
            (response.status(), &response.body()[..]),
            (StatusCode::OK, &b"hello 127.0.0.1"[..]),
            "{url}"
        );
    }
    assert!(
        client
            .get("https://a.lab/loop")
            .await
            .unwrap_err()
            .to_string()
            .contains("too many redirects")
    );
    let refused = client.get("https://c.lab/").await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    lab.stop().await;
}

#[tokio::test]
async fn a_leaf_made_after_a_restart_verifies_against_the_first_root() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let client_of_first = Client::new(&first).unwrap();
    let second = open(dir.path());
    assert_eq!(first.authority.pem(), second.authority.pem());
    let listener = second.network.listen("x.lab", 443).await.unwrap();
    let tls = second
        .authority
        .server_config(&["x.lab".to_owned()])
        .unwrap();
    first
        .network
        .route("x.lab", 443, listener.local_addr().unwrap());
    serve(&second, "site", listener, Some(tls), router());
    assert_eq!(
        client_of_first
            .get("https://x.lab/")
            .await
            .unwrap()
            .status(),
        StatusCode::OK
    );
    second.stop().await;
}

#[tokio::test]
async fn gateway_tunnels_forwards_and_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let lab = open(dir.path());
    let listener = lab.network.listen("10.25.150.9", 80).await.unwrap();
    serve(&lab, "site", listener, None, router());
    let gateway = gateway::start(&lab).await.unwrap();

    let close = "Connection: close\r\n\r\n";
    let forwarded = raw(
        gateway,
        &format!("GET http://10.25.150.9/ HTTP/1.1\r\nHost: 10.25.150.9\r\n{close}"),
    )
    .await;
    assert!(
        forwarded.starts_with("HTTP/1.1 200 OK") && forwarded.ends_with("hello 127.0.0.1"),
        "{forwarded}"
    );

    let inner = format!("GET / HTTP/1.1\r\nHost: 10.25.150.9\r\n{close}");
    let mut stream = TcpStream::connect(gateway).await.unwrap();
    stream
        .write_all(b"CONNECT 10.25.150.9:80 HTTP/1.1\r\nHost: 10.25.150.9:80\r\n\r\n")
        .await
        .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 200 OK"));
    stream.write_all(inner.as_bytes()).await.unwrap();
    let mut tunnelled = String::new();
    stream.read_to_string(&mut tunnelled).await.unwrap();
    assert!(tunnelled.ends_with("hello 127.0.0.1"), "{tunnelled}");

    for request in [
        format!("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n{close}"),
        format!("GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n{close}"),
    ] {
        let answer = raw(gateway, &request).await;
        assert!(
            answer.starts_with("HTTP/1.1 502")
                && answer.contains("connection refused: example.com"),
            "{answer}"
        );
    }
    assert!(
        raw(gateway, &format!("GET / HTTP/1.1\r\nHost: x\r\n{close}"))
            .await
            .starts_with("HTTP/1.1 400")
    );
    lab.stop().await;
    assert!(TcpStream::connect(gateway).await.is_err());
}

#[tokio::test]
async fn faults_strike_requests_of_their_system() {
    let dir = tempfile::tempdir().unwrap();
    let lab = open(dir.path());
    site(&lab, "a.lab").await;
    let client = Client::new(&lab).unwrap();
    let fault = |effect, times| Fault {
        name: "site".into(),
        effect,
        skip: 0,
        times: Some(times),
        percent: 100,
    };
    lab.faults
        .set(fault(
            Effect::Status {
                code: 503,
                message: "busy".into(),
            },
            1,
        ))
        .unwrap();
    assert_eq!(
        client.get("https://a.lab/").await.unwrap().status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(
        client.get("https://a.lab/").await.unwrap().status(),
        StatusCode::OK
    );
    lab.faults.set(fault(Effect::Drop, 1)).unwrap();
    assert!(client.get("https://a.lab/").await.is_err());
    assert_eq!(
        client.get("https://a.lab/").await.unwrap().status(),
        StatusCode::OK
    );
    lab.stop().await;
}
