//! The data source `http` against small servers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value as Json, json};
use stead_sdk::Dialer;
use stead_sdk::testing::Harness;
use stead_sdk::value::{Diagnostics, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Answers each request with the next of `answers` (the last one for ever), and counts them. `{request}` in an answer's
/// body stands for the request itself.
async fn server(answers: &'static [&'static str]) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            let complete = |bytes: &[u8]| {
                let text = String::from_utf8_lossy(bytes).to_lowercase();
                let Some((head, body)) = text.split_once("\r\n\r\n") else {
                    return false;
                };
                let length = head
                    .lines()
                    .find_map(|l| l.strip_prefix("content-length: ")?.parse::<usize>().ok());
                body.len() >= length.unwrap_or(0)
            };
            while !complete(&request) {
                let mut buffer = [0u8; 1024];
                match stream.read(&mut buffer).await {
                    Ok(n @ 1..) => request.extend_from_slice(&buffer[..n]),
                    _ => break,
                }
            }
            let answer = answers[counter
                .fetch_add(1, Ordering::SeqCst)
                .min(answers.len() - 1)];
            let (head, body) = answer.split_once("\n\n").unwrap_or((answer, ""));
            let body = body.replace("{request}", &String::from_utf8_lossy(&request));
            let head = head.replace('\n', "\r\n");
            let text = format!(
                "HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(text.as_bytes()).await.unwrap();
        }
    });
    (url, count)
}

async fn get(config: Json) -> Result<Value, Diagnostics> {
    let factory = stead_utility::http::factory(&Dialer::direct());
    Harness::configured(&factory, json!({}))
        .await
        .unwrap()
        .data("http", config)
        .await
}

fn text(value: &Value, name: &str) -> String {
    value
        .get(name)
        .unwrap()
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test]
async fn an_answer_is_given_back_whole() {
    let (url, _) =
        server(&["201 Created\nX-two: a\nX-Two: b\ncontent-type: text/plain\n\n{request}"]).await;
    let config = json!({"url": format!("{url}/p?q=1"), "method": "POST", "request_body": "data", "request_headers": {"X-Own": "1"}});
    let answer = get(config).await.unwrap();
    assert_eq!(answer.get("status_code").unwrap().as_i64(), Some(201));
    let body = text(&answer, "response_body");
    assert!(
        body.starts_with("POST /p?q=1 HTTP/1.1\r\n") && body.ends_with("data"),
        "{body}"
    );
    assert!(body.to_lowercase().contains("x-own: 1"), "{body}");
    let headers = answer.get("response_headers").unwrap();
    assert_eq!(text(&headers, "X-Two"), "a, b");
    assert_eq!(text(&headers, "Content-Type"), "text/plain");
    assert_eq!(text(&answer, "id"), format!("{url}/p?q=1"));
}

#[tokio::test]
async fn client_errors_are_answers_and_server_errors_are_not() {
    let (url, _) = server(&["404 Not Found\n\nnothing"]).await;
    assert_eq!(
        get(json!({"url": url}))
            .await
            .unwrap()
            .get("status_code")
            .unwrap()
            .as_i64(),
        Some(404)
    );
    let (url, count) = server(&["503 Service Unavailable"]).await;
    let error = get(json!({"url": format!("{url}/x?token=secret")}))
        .await
        .unwrap_err();
    let error = error.iter().next().unwrap();
    assert!(
        error.detail.contains("503") && !format!("{error:?}").contains("secret"),
        "{error:?}"
    );
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn retries_are_as_many_as_asked_for() {
    let (url, count) = server(&["500 Oops", "500 Oops", "200 OK\n\nfine"]).await;
    let retry = |attempts: u32| json!({"attempts": attempts, "min_delay_ms": 1, "max_delay_ms": 2});
    assert!(get(json!({"url": url, "retry": retry(1)})).await.is_err());
    assert_eq!(count.load(Ordering::SeqCst), 2);
    let answer = get(json!({"url": url, "retry": retry(1)})).await.unwrap();
    assert_eq!(text(&answer, "body"), "fine");
}

#[tokio::test]
async fn contradictions_are_refused() {
    for (bad, expected) in [
        (json!({"url": "ftp://x"}), "http://"),
        (
            json!({"url": "http://x", "method": "PUT"}),
            "GET, HEAD or POST",
        ),
        (
            json!({"url": "http://x", "ca_cert_pem": "x", "insecure": true}),
            "exclude",
        ),
        (
            json!({"url": "http://x", "client_cert_pem": "x"}),
            "belong together",
        ),
        (
            json!({"url": "http://x", "request_timeout_ms": 0}),
            "at least 1",
        ),
        (
            json!({"url": "http://x", "retry": {"attempts": -1}}),
            "at least 0",
        ),
        (
            json!({"url": "http://x", "request_headers": {"a": "b\nc"}}),
            "invalid value",
        ),
    ] {
        let error = get(bad).await.unwrap_err();
        assert!(
            error.iter().any(|d| d.detail.contains(expected)),
            "{expected}: {error:?}"
        );
    }
}
