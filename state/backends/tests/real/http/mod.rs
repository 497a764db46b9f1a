//! The backend `http` against a server in this process.

mod server;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::{Value as Json, json};
use stead_backends::kind;
use stead_sdk::Dialer;
use stead_sdk::value::schema::Schema;
use stead_state::{Backend, BackendError};

use crate::flaky::Flaky;
use crate::{conformance, lock_info, open, state, terraform};
use server::Server;

const ID: &str = "6fa459ea-ee8a-3ca4-894e-db77e160355e";

fn arguments(address: SocketAddr) -> Json {
    json!({
        "address": format!("http://{address}/state?project=1"),
        "lock_address": format!("http://{address}/lock"),
        "unlock_address": format!("http://{address}/lock"),
        "username": "stead",
        "password": "secret",
        "retry_wait_min": 0,
    })
}

fn backend(address: SocketAddr) -> Arc<dyn Backend> {
    open("http", &arguments(address), &[])
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_a_state_and_a_lock() {
    let server = Server::start().await;
    conformance::check(|| backend(server.address), "default").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs terraform: tests/real/run http"]
async fn shares_an_address_with_terraform() {
    let server = Server::start().await;
    let backend = backend(server.address);
    terraform::share(&backend, "http", &arguments(server.address), &[], true).await;
}

#[tokio::test]
async fn writes_name_the_lock_and_keep_the_query() {
    let server = Server::start().await;
    let store = backend(server.address).store("default").expect("a store");
    store.write(&state(1, "one")).await.expect("a write");
    store.lock(&lock_info(ID)).await.expect("the lock");
    store
        .write(&state(2, "two"))
        .await
        .expect("a write under the lock");
    store.unlock(ID).await.expect("the unlock");
    store
        .write(&state(3, "three"))
        .await
        .expect("a write after it");
    let write = "POST /state?project=1";
    let expected = [
        write,
        "LOCK /lock",
        &format!("{write}&ID={ID}"),
        "UNLOCK /lock",
        write,
    ];
    assert_eq!(server.requests(), expected);
}

#[tokio::test]
async fn takes_arguments_from_the_environment() {
    let server = Server::start().await;
    let address = format!("http://{}/state", server.address);
    let environment = [
        ("TF_HTTP_ADDRESS", address.as_str()),
        ("TF_HTTP_USERNAME", "stead"),
        ("TF_HTTP_PASSWORD", "secret"),
        ("TF_HTTP_UPDATE_METHOD", "PUT"),
    ];
    let store = open("http", &json!({}), &environment)
        .store("default")
        .expect("a store");
    // Without a lock address nothing is locked.
    assert_eq!(store.lock(&lock_info(ID)).await.expect("no lock"), ID);
    store.write(&state(1, "one")).await.expect("a write");
    store.unlock(ID).await.expect("no unlock");
    assert_eq!(server.requests(), ["PUT /state"]);
}

#[tokio::test]
async fn tries_again_what_passes() {
    let server = Server::start().await;
    let store = backend(server.address).store("default").expect("a store");
    server.trouble(StatusCode::SERVICE_UNAVAILABLE, None);
    server.trouble(StatusCode::TOO_MANY_REQUESTS, Some("0"));
    store.write(&state(1, "one")).await.expect("the third try");
    assert_eq!(server.requests().len(), 3);

    for _ in 0..3 {
        server.trouble(StatusCode::BAD_GATEWAY, None);
    }
    let error = store
        .read()
        .await
        .expect_err("no more than three tries")
        .to_string();
    assert!(
        error.contains("Unexpected HTTP response code 502"),
        "{error}"
    );
    assert!(
        !error.contains("secret") && !error.contains("project"),
        "{error}"
    );
    assert_eq!(server.requests().len(), 3);

    server.trouble(StatusCode::NOT_IMPLEMENTED, None);
    store.read().await.expect_err("this does not pass");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_no_failure() {
    let server = Server::start().await;
    server.data.lock().expect("data").takes_each_state_once = true;
    let flaky = Flaky::before(server.address).await;
    let store = backend(flaky.address).store("default").expect("a store");

    flaky.lose(1);
    store
        .lock(&lock_info(ID))
        .await
        .expect("the lock is ours although the first answer was lost");
    assert_eq!(server.requests(), ["LOCK /lock", "LOCK /lock"]);
    flaky.lose(1);
    store
        .write(&state(1, "one"))
        .await
        .expect("the state is there");
    assert_eq!(server.requests().len(), 3, "written, refused, read back");
    flaky.lose(1);
    store.unlock(ID).await.expect("the lock is given back");
    assert!(server.data.lock().expect("data").lock.is_none());
    assert_eq!(flaky.left(), 0);

    // Without a lost answer the same refusals count.
    store.unlock(ID).await.expect_err("there is no lock");
    store
        .write(&state(1, "one"))
        .await
        .expect_err("the same state again");
}

#[tokio::test]
async fn says_who_has_the_lock() {
    let server = Server::start().await;
    let store = backend(server.address).store("default").expect("a store");
    // Few servers keep every field.
    server.data.lock().expect("data").lock = Some(json!({ "ID": "theirs", "Who": "alice@desk" }));
    match store.lock(&lock_info(ID)).await {
        Err(BackendError::Locked {
            holder: Some(holder),
            reason,
        }) => {
            assert_eq!(
                (holder.id.as_str(), holder.who.as_str()),
                ("theirs", "alice@desk")
            );
            assert_eq!(reason, "HTTP remote state already locked: ID=theirs");
        }
        found => panic!("{found:?}"),
    }
    store.unlock("theirs").await.expect("a forced unlock");
    assert!(server.data.lock().expect("data").lock.is_none());
}

#[tokio::test]
async fn says_what_is_wrong_with_the_login() {
    let server = Server::start().await;
    let mut arguments = arguments(server.address);
    arguments["password"] = json!("wrong-one");
    let store = open("http", &arguments, &[])
        .store("default")
        .expect("a store");
    let error = store
        .read()
        .await
        .expect_err("a wrong password")
        .to_string();
    assert!(
        error.contains("HTTP remote state endpoint invalid auth") && !error.contains("wrong-one"),
        "{error}"
    );
    assert!(!format!("{store:?}").contains("wrong-one"));
}

#[test]
fn refuses_arguments_that_make_no_sense() {
    let problems = |arguments: Json| -> Vec<String> {
        let kind = kind("http").expect("the kind");
        let schema = Schema::from((kind.schema)());
        let value = stead_sdk::testing::object(&schema, arguments).expect("arguments");
        let found = (kind.open)(&value, &Dialer::direct()).expect_err("problems");
        found.iter().map(|d| d.summary.clone()).collect()
    };
    assert_eq!(problems(json!({})), ["address argument is required"]);
    let many = json!({
        "address": "ftp://example.com", "lock_address": "nowhere", "lock_method": "LO CK", "retry_max": -1,
        "client_certificate_pem": "x",
    });
    assert_eq!(
        problems(many),
        [
            "address must be HTTP or HTTPS",
            "Invalid HTTP method",
            "failed to parse lock_address URL: relative URL without a base",
            "invalid retry_max",
            "client_certificate_pem is set but client_private_key_pem is not",
        ]
    );
}
