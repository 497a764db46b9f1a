//! A cluster is reached through the gateway, over mutual TLS, and its failures are told.
#![cfg(feature = "kube")]

mod support;

use std::time::Duration;

use stead_sdk::kube::{Cluster, ClusterSettings, ObjectRef};
use stead_sdk::value::Sensitive;
use stead_sdk::{Context, Dialer, ErrorKind, Stream};
use support::{Gateway, Pki, listen};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

/// Answers requests of one connection: discovery, one namespace that bears the caller's token, 404 for the rest.
async fn api(stream: Box<dyn Stream>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let token = head
            .lines()
            .find_map(|l| l.strip_prefix("authorization: "))
            .unwrap_or_default();
        let path = head.split(' ').nth(1).unwrap_or_default();
        let (status, body) = match path {
            "/api/v1" => (
                "200 OK",
                r#"{"resources":[{"name":"namespaces","kind":"Namespace","namespaced":false}]}"#
                    .to_owned(),
            ),
            "/api/v1/namespaces/a" => (
                "200 OK",
                format!(r#"{{"kind":"Namespace","token":"{token}"}}"#),
            ),
            "/api/v1/namespaces/renewed" if token != "Bearer new" => (
                "401 Unauthorized",
                r#"{"kind":"Status","message":"Unauthorized","code":401}"#.to_owned(),
            ),
            "/api/v1/namespaces/renewed" => ("200 OK", r#"{"kind":"Namespace"}"#.to_owned()),
            "/api/v1/namespaces/forbidden" => (
                "403 Forbidden",
                r#"{"kind":"Status","message":"no right","code":403}"#.to_owned(),
            ),
            _ => (
                "404 Not Found",
                r#"{"kind":"Status","code":404}"#.to_owned(),
            ),
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
    }
}

fn namespace(name: &str) -> ObjectRef {
    ObjectRef::new("v1", "Namespace", None, name)
}

#[tokio::test]
async fn a_cluster_is_reached_through_the_gateway_with_a_client_certificate() {
    let pki = Pki::new();
    let server = listen(
        Some(pki.acceptor(&pki.leaf("10.25.150.10"), &["http/1.1"], true)),
        api,
    )
    .await;
    let gateway = Gateway::start(&[("10.25.150.10:6443", server)]).await;
    let me = pki.leaf("admin");
    let settings = ClusterSettings {
        host: Some("https://10.25.150.10:6443".into()),
        cluster_ca_certificate: Some(pki.pem()),
        client_certificate: Some(me.pem.clone()),
        client_key: Some(Sensitive::new(me.key.serialize_pem())),
        token: Some(Sensitive::new("t0ken".into())),
        ..ClusterSettings::default()
    };
    let dialer = gateway.dialer();
    let cluster = Cluster::new(settings.clone(), dialer.clone());
    let cx = Context::detached();
    let found = cluster.get(&namespace("a"), &cx).await.unwrap().unwrap();
    assert_eq!(found["token"], "Bearer t0ken");
    assert!(cluster.get(&namespace("b"), &cx).await.unwrap().is_none());
    let error = cluster.get(&namespace("forbidden"), &cx).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.said().contains("no right") && !format!("{error:?}").contains("t0ken"));
    // One connection carries them all.
    assert_eq!(gateway.asked().len(), 1);
    assert_eq!(dialer.counters().requests, 4);

    // An authority that did not sign the server's certificate is no reason to try again.
    let other = ClusterSettings {
        cluster_ca_certificate: Some(Pki::new().pem()),
        ..settings
    };
    let error = Cluster::new(other, dialer)
        .get(&namespace("a"), &cx)
        .await
        .unwrap_err();
    assert!(error.is_untrusted(), "{error}");
}

#[tokio::test]
async fn a_token_that_has_run_out_is_read_anew_once() {
    let server = listen(None, api).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "old").unwrap();
    let settings = ClusterSettings {
        host: Some(format!("http://{server}")),
        token_file: Some(file.path().display().to_string()),
        ..ClusterSettings::default()
    };
    let cluster = Cluster::new(settings, Dialer::direct());
    let cx = Context::detached();
    let found = cluster.get(&namespace("a"), &cx).await.unwrap().unwrap();
    assert_eq!(found["token"], "Bearer old");
    // The server says no to the token, whatever it is read from.
    let error = cluster.get(&namespace("renewed"), &cx).await.unwrap_err();
    assert_eq!(error.status(), Some(401));
    std::fs::write(file.path(), "new\n").unwrap();
    assert!(
        cluster
            .get(&namespace("renewed"), &cx)
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn a_server_that_is_away_is_waited_for_only_so_long() {
    let settings = ClusterSettings {
        host: Some("http://127.0.0.1:1".into()),
        ..ClusterSettings::default()
    };
    let cluster = Cluster::new(settings, Dialer::direct()).patience(Duration::ZERO);
    let error = cluster
        .get(&namespace("a"), &Context::detached())
        .await
        .unwrap_err();
    assert!(
        error.is_transient() && error.asked().contains("127.0.0.1:1"),
        "{error}"
    );
}
