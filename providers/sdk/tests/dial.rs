//! Connections go where the dialer says, and trust whom it says.

mod support;

use std::net::SocketAddr;

use stead_sdk::{
    ClientIdentity, Dialer, Environment, ErrorKind, Fingerprint, HttpOptions, Roots, TlsOptions,
};
use support::{Gateway, Pki, echo, http_mirror, listen};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn speaks(mut stream: impl stead_sdk::Stream) {
    stream.write_all(b"hello").await.unwrap();
    stream.flush().await.unwrap();
    let mut answer = [0u8; 5];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"hello");
}

#[tokio::test]
async fn tcp_goes_through_the_gateway_by_name() {
    let server = listen(None, echo).await;
    let gateway = Gateway::start(&[("10.25.150.7:22", server), ("[fd00::1]:22", server)]).await;
    let dialer = gateway.dialer();
    speaks(dialer.tcp("10.25.150.7", 22).await.unwrap()).await;
    speaks(dialer.tcp("fd00::1", 22).await.unwrap()).await;
    speaks(dialer.tcp("[fd00::1]", 22).await.unwrap()).await;
    assert_eq!(gateway.asked()[0], "CONNECT 10.25.150.7:22 HTTP/1.1");
    assert_eq!(dialer.counters().connections, 3);
}

#[tokio::test]
async fn a_target_that_the_gateway_does_not_reach_is_a_passing_failure() {
    let gateway = Gateway::start(&[]).await;
    let error = gateway.dialer().tcp("10.0.0.1", 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert!(
        error.to_string().contains("502 Bad Gateway") && error.to_string().contains("10.0.0.1:1"),
        "{error}"
    );
}

#[test]
fn a_gateway_that_makes_no_sense_is_refused() {
    for bad in [
        "127.0.0.1:80",
        "connect://",
        "connect://host",
        "connect://host:no",
        "http://h:1",
    ] {
        let error = Dialer::new(Environment::from_iter([("STEAD_DIAL", bad)])).unwrap_err();
        assert!(error.to_string().contains("STEAD_DIAL"), "{bad}: {error}");
    }
}

struct Tls {
    pki: Pki,
    fingerprint: Fingerprint,
    gateway: Gateway,
}

impl Tls {
    /// An echo server at `node.lab:443` behind a gateway.
    async fn start(mutual: bool) -> Tls {
        let pki = Pki::new();
        let leaf = pki.leaf("node.lab");
        let server = listen(Some(pki.acceptor(&leaf, &[], mutual)), echo).await;
        let gateway = Gateway::start(&[("node.lab:443", server), ("10.0.0.9:443", server)]).await;
        Tls {
            fingerprint: Fingerprint::of(&leaf.der),
            pki,
            gateway,
        }
    }

    fn only(&self) -> TlsOptions {
        TlsOptions {
            roots: Roots::Only(self.pki.pem()),
            ..TlsOptions::default()
        }
    }
}

#[tokio::test]
async fn roots_decide_whom_to_trust() {
    let tls = Tls::start(false).await;
    let dialer = tls.gateway.dialer();
    speaks(dialer.tls("node.lab", 443, &tls.only()).await.unwrap()).await;
    let other = TlsOptions {
        roots: Roots::Only(Pki::new().pem()),
        ..TlsOptions::default()
    };
    let error = dialer.tls("node.lab", 443, &other).await.unwrap_err();
    assert!(!error.is_transient());
    // The fingerprint is shown, so that it can be compared and pinned.
    assert!(
        error.to_string().contains(&tls.fingerprint.to_string()),
        "{error}"
    );
    assert!(error.to_string().contains("pin the certificate"), "{error}");
}

#[tokio::test]
async fn a_bundle_in_ssl_cert_file_is_trusted() {
    let tls = Tls::start(false).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, tls.pki.pem()).unwrap();
    let dialer = tls
        .gateway
        .dialer_with(&[("SSL_CERT_FILE", file.to_str().unwrap())]);
    speaks(
        dialer
            .tls("node.lab", 443, &TlsOptions::default())
            .await
            .unwrap(),
    )
    .await;
    let both = TlsOptions {
        roots: Roots::SystemAnd(Pki::new().pem()),
        ..TlsOptions::default()
    };
    speaks(dialer.tls("node.lab", 443, &both).await.unwrap()).await;
}

#[tokio::test]
async fn the_name_must_fit_unless_another_is_given() {
    let tls = Tls::start(false).await;
    let dialer = tls.gateway.dialer();
    assert!(dialer.tls("10.0.0.9", 443, &tls.only()).await.is_err());
    let named = TlsOptions {
        server_name: Some("node.lab".into()),
        ..tls.only()
    };
    speaks(dialer.tls("10.0.0.9", 443, &named).await.unwrap()).await;
    let any_name = TlsOptions {
        any_name: true,
        ..tls.only()
    };
    speaks(dialer.tls("10.0.0.9", 443, &any_name).await.unwrap()).await;
    let of_others = TlsOptions {
        roots: Roots::Only(Pki::new().pem()),
        ..any_name
    };
    assert!(dialer.tls("10.0.0.9", 443, &of_others).await.is_err());
}

#[tokio::test]
async fn a_pin_trusts_one_certificate_and_no_other() {
    let tls = Tls::start(false).await;
    let dialer = tls.gateway.dialer();
    let pinned = |pin: Fingerprint| TlsOptions {
        fingerprint: Some(pin),
        ..TlsOptions::default()
    };
    speaks(
        dialer
            .tls("10.0.0.9", 443, &pinned(tls.fingerprint))
            .await
            .unwrap(),
    )
    .await;
    let error = dialer
        .tls("10.0.0.9", 443, &pinned(Fingerprint::of(b"other")))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains(&tls.fingerprint.to_string()),
        "{error}"
    );
    let insecure = TlsOptions {
        insecure: true,
        ..TlsOptions::default()
    };
    speaks(dialer.tls("10.0.0.9", 443, &insecure).await.unwrap()).await;
}

#[test]
fn fingerprints_are_read_in_every_usual_form() {
    let pin = Fingerprint::of(b"x");
    let text = pin.to_string();
    for form in [
        text.clone(),
        text.to_lowercase(),
        text.replace(':', ""),
        format!("sha256:{text}"),
    ] {
        assert_eq!(form.parse::<Fingerprint>().unwrap(), pin);
    }
    for bad in ["", "AA:BB", &"zz".repeat(32), &"é".repeat(32)] {
        assert!(bad.parse::<Fingerprint>().is_err(), "{bad}");
    }
}

#[tokio::test]
async fn a_client_shows_who_it_is() {
    let tls = Tls::start(true).await;
    let dialer = tls.gateway.dialer();
    let leaf = tls.pki.leaf("client");
    let identity = ClientIdentity {
        certificates: leaf.pem,
        key: leaf.key.serialize_pem().into(),
    };
    let options = TlsOptions {
        identity: Some(identity.clone()),
        ..tls.only()
    };
    speaks(dialer.tls("node.lab", 443, &options).await.unwrap()).await;
    let wrong = ClientIdentity {
        key: "not a key".to_owned().into(),
        ..identity
    };
    let error = dialer
        .tls(
            "node.lab",
            443,
            &TlsOptions {
                identity: Some(wrong),
                ..tls.only()
            },
        )
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("not a private key")
            && !error.to_string().contains("not a key:"),
        "{error}"
    );
}

async fn https_server() -> (Pki, SocketAddr) {
    let pki = Pki::new();
    let leaf = pki.leaf("api.lab");
    let server = listen(Some(pki.acceptor(&leaf, &["http/1.1"], false)), http_mirror).await;
    (pki, server)
}

#[tokio::test]
async fn https_is_tunnelled_counted_and_answered() {
    let (pki, server) = https_server().await;
    let gateway = Gateway::start(&[("api.lab:8006", server)]).await;
    let dialer = gateway.dialer();
    let tls = TlsOptions {
        roots: Roots::Only(pki.pem()),
        ..TlsOptions::default()
    };
    let client = dialer
        .http(&HttpOptions {
            tls,
            ..HttpOptions::default()
        })
        .unwrap();
    let response = dialer
        .send(client.get("https://api.lab:8006/version?token=secret"))
        .await
        .unwrap();
    assert_eq!(
        response.text().await.unwrap(),
        "GET /version?token=secret HTTP/1.1"
    );
    assert_eq!(gateway.asked(), ["CONNECT api.lab:8006 HTTP/1.1"]);
    assert_eq!(dialer.counters().requests, 1);
}

#[tokio::test]
async fn an_untrusted_https_server_is_named_without_the_query() {
    let (_, server) = https_server().await;
    let gateway = Gateway::start(&[("api.lab:443", server)]).await;
    let dialer = gateway.dialer();
    let tls = TlsOptions {
        roots: Roots::Only(Pki::new().pem()),
        ..TlsOptions::default()
    };
    let client = dialer
        .http(&HttpOptions {
            tls,
            ..HttpOptions::default()
        })
        .unwrap();
    let error = dialer
        .send(client.get("https://api.lab/x?token=secret"))
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("GET https://api.lab/x")
            && text.contains("fingerprint")
            && !text.contains("secret"),
        "{text}"
    );
    assert!(!error.is_transient());
}

#[tokio::test]
async fn an_unreachable_server_is_a_passing_failure() {
    let gateway = Gateway::start(&[]).await;
    let dialer = gateway.dialer_with(&[("SSL_CERT_FILE", "/nowhere")]);
    let insecure = TlsOptions {
        insecure: true,
        ..TlsOptions::default()
    };
    let client = dialer
        .http(&HttpOptions {
            tls: insecure,
            ..HttpOptions::default()
        })
        .unwrap();
    let error = dialer
        .send(client.get("https://nobody.lab/"))
        .await
        .unwrap_err();
    assert!(error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn https_proxies_are_obeyed_with_their_exceptions() {
    let (pki, server) = https_server().await;
    let proxy = Gateway::start(&[("api.lab:443", server)]).await;
    let port = server.port().to_string();
    let environment = Environment::from_iter([
        ("HTTPS_PROXY", format!("http://user:pw@{}", proxy.address)),
        ("NO_PROXY", "127.0.0.1".to_owned()),
    ]);
    let dialer = Dialer::new(environment).unwrap();
    let tls = TlsOptions {
        roots: Roots::Only(pki.pem()),
        server_name: Some("api.lab".into()),
        ..TlsOptions::default()
    };
    let client = dialer
        .http(&HttpOptions {
            tls: tls.clone(),
            ..HttpOptions::default()
        })
        .unwrap();
    dialer.send(client.get("https://api.lab/")).await.unwrap();
    dialer.tls("api.lab", 443, &tls).await.unwrap();
    assert_eq!(proxy.asked().len(), 2);
    dialer
        .send(client.get(format!("https://127.0.0.1:{port}/")))
        .await
        .unwrap();
    dialer.tls("127.0.0.1", server.port(), &tls).await.unwrap();
    // SSH and other plain TCP never go through an HTTPS proxy.
    dialer.tcp("127.0.0.1", server.port()).await.unwrap();
    assert_eq!(proxy.asked().len(), 2);
}

#[tokio::test]
async fn websockets_open_over_both_kinds() {
    use socket::accept_echo;
    let pki = Pki::new();
    let leaf = pki.leaf("nas.lab");
    let secure = listen(Some(pki.acceptor(&leaf, &[], false)), accept_echo).await;
    let plain = listen(None, accept_echo).await;
    let gateway = Gateway::start(&[("nas.lab:443", secure), ("nas.lab:80", plain)]).await;
    let dialer = gateway.dialer();
    let tls = TlsOptions {
        roots: Roots::Only(pki.pem()),
        ..TlsOptions::default()
    };
    for url in ["wss://nas.lab/api/current", "ws://nas.lab/api/current"] {
        let mut socket = dialer.websocket(url, &tls).await.unwrap();
        socket::exchange(&mut socket, "ping").await;
    }
    assert_eq!(dialer.counters().requests, 2);
    assert!(dialer.websocket("http://nas.lab/", &tls).await.is_err());
}

#[tokio::test]
async fn a_refused_websocket_says_its_status() {
    let plain = listen(None, http_mirror).await;
    let gateway = Gateway::start(&[("nas.lab:80", plain)]).await;
    let error = gateway
        .dialer()
        .websocket("ws://nas.lab/api", &TlsOptions::default())
        .await
        .unwrap_err();
    assert_eq!(error.status(), Some(200));
    assert!(error.to_string().contains("nas.lab:80/api"), "{error}");
}

/// WebSocket ends for the tests.
mod socket {
    use futures::{SinkExt, StreamExt};
    use stead_sdk::{Stream, WebSocket};
    use tokio_tungstenite::tungstenite::Message;

    pub(crate) async fn accept_echo(stream: Box<dyn Stream>) {
        let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else {
            return;
        };
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() {
                socket.send(message).await.unwrap();
            }
        }
    }

    pub(crate) async fn exchange(socket: &mut WebSocket, text: &str) {
        socket.send(Message::text(text)).await.unwrap();
        assert_eq!(
            socket
                .next()
                .await
                .unwrap()
                .unwrap()
                .into_text()
                .unwrap()
                .as_str(),
            text
        );
    }
}

#[tokio::test]
async fn grpc_channels_speak_http2_through_the_gateway() {
    use tonic::codegen::Service;
    let pki = Pki::new();
    let leaf = pki.leaf("10.25.150.21");
    let acceptor = pki.acceptor(&leaf, &["h2"], true);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let incoming =
            futures::stream::unfold((listener, acceptor), |(listener, acceptor)| async move {
                let (stream, _) = listener.accept().await.ok()?;
                let stream = acceptor.accept(stream).await;
                Some((stream, (listener, acceptor)))
            });
        let router =
            tonic::transport::Server::builder().add_routes(tonic::service::Routes::default());
        let _ = router.serve_with_incoming(Box::pin(incoming)).await;
    });
    let gateway = Gateway::start(&[("10.25.150.21:50000", server)]).await;
    let client = pki.leaf("client");
    let options = TlsOptions {
        roots: Roots::Only(pki.pem()),
        identity: Some(ClientIdentity {
            certificates: client.pem,
            key: client.key.serialize_pem().into(),
        }),
        ..TlsOptions::default()
    };
    let mut channel = gateway
        .dialer()
        .grpc_channel("10.25.150.21", 50000, &options)
        .unwrap();
    std::future::poll_fn(|cx| channel.poll_ready(cx))
        .await
        .unwrap();
    let request = tonic::codegen::http::Request::post("/machine.MachineService/Version")
        .header("content-type", "application/grpc")
        .body(tonic::body::Body::empty())
        .unwrap();
    let response = channel.call(request).await.unwrap();
    // The server knows no service: 12 is "unimplemented".
    assert_eq!(response.headers().get("grpc-status").unwrap(), "12");
    assert_eq!(gateway.asked(), ["CONNECT 10.25.150.21:50000 HTTP/1.1"]);
}
