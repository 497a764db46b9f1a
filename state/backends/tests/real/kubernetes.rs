//! The backend `kubernetes` against a kube-apiserver.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use stead_sdk::kube::{Cluster, ClusterSettings, ObjectRef, Propagation};
use stead_sdk::{Context, Dialer};
use stead_state::{Backend, BackendError};

use crate::flaky::Flaky;
use crate::{conformance, lock_info, open, state, terraform, variable};

const ID: &str = "6fa459ea-ee8a-3ca4-894e-db77e160355e";

/// Each test has a suffix of its own, and so a place of its own.
fn arguments(suffix: &str) -> Json {
    let authority = std::fs::read_to_string(variable("STEAD_TEST_KUBERNETES_CA"));
    json!({
        "secret_suffix": suffix,
        "labels": { "team": "homelab" },
        "host": variable("STEAD_TEST_KUBERNETES"),
        "token": variable("STEAD_TEST_KUBERNETES_TOKEN"),
        "cluster_ca_certificate": authority.expect("the certificate"),
    })
}

fn backend(suffix: &str) -> Arc<dyn Backend> {
    open("kubernetes", &arguments(suffix), &[])
}

/// More than two Secrets hold, however well it is compressed.
fn large(serial: u64) -> Vec<u8> {
    let mut seed = 88_172_645_463_325_252_u64;
    let noise = std::iter::repeat_with(|| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        format!("{seed:016x}")
    });
    state(serial, &noise.take(300_000).collect::<String>())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: tests/real/run kubernetes"]
async fn keeps_states_and_locks() {
    conformance::check(|| backend("conformance"), "default").await;
    conformance::check(|| backend("conformance"), "staging").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: tests/real/run kubernetes"]
async fn one_of_many_gets_the_lock() {
    conformance::one_wins(|| backend("race"), "default").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: tests/real/run kubernetes"]
async fn shares_a_cluster_with_terraform() {
    let arguments = json!({ "secret_suffix": "shared", "config_path": variable("STEAD_TEST_KUBERNETES_CONFIG") });
    let backend = open("kubernetes", &arguments, &[]);
    terraform::share(&backend, "kubernetes", &arguments, &[], true).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: tests/real/run kubernetes"]
async fn a_large_state_is_split_as_terraform_splits_it() {
    let arguments = json!({ "secret_suffix": "large", "config_path": variable("STEAD_TEST_KUBERNETES_CONFIG") });
    let backend = open("kubernetes", &arguments, &[]);
    let store = backend.store("default").expect("a store");
    store.write(&large(1)).await.expect("a large state");
    assert!(store.read().await.expect("a read").expect("a state") == large(1));
    assert_eq!(
        store.list_beside().await.expect("a list"),
        Vec::<String>::new()
    );
    terraform::pulls(&backend, "kubernetes", &arguments, &[]).await;
    store
        .write(&state(2, "small"))
        .await
        .expect("a small state");
    assert_eq!(
        store.read().await.expect("a read").as_deref(),
        Some(&*state(2, "small"))
    );
    terraform::pulls(&backend, "kubernetes", &arguments, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: tests/real/run kubernetes"]
async fn a_state_with_a_part_missing_is_not_taken_for_one() {
    let store = backend("torn").store("default").expect("a store");
    store.write(&large(1)).await.expect("a large state");
    let settings = ClusterSettings {
        config_paths: vec![variable("STEAD_TEST_KUBERNETES_CONFIG")],
        ..ClusterSettings::default()
    };
    let part = ObjectRef::new(
        "v1",
        "Secret",
        Some("default"),
        "tfstate-default-torn-part-1",
    );
    let cluster = Cluster::new(settings, Dialer::direct());
    let gone = cluster
        .delete(&part, Propagation::Background, &Context::detached())
        .await;
    assert!(gone.expect("a removal"));
    let error = store.read().await.expect_err("a torn state");
    assert!(error.to_string().contains("part 1 is missing"), "{error}");
    // What a write that was cut short leaves beside it is taken instead.
    store
        .write_beside("state underway", &large(3))
        .await
        .expect("a file");
    assert!(store.read().await.expect("a read").expect("a state") == large(3));
    // A new state makes it whole again, and leaves nothing.
    store.write(&large(2)).await.expect("a large state");
    assert!(store.read().await.expect("a read").expect("a state") == large(2));
    let left = store.read_beside("state underway").await.expect("a read");
    assert_eq!(left, None);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: tests/real/run kubernetes"]
async fn lost_answers_make_no_false_locks() {
    let service: SocketAddr = variable("STEAD_TEST_KUBERNETES")
        .trim_start_matches("https://")
        .parse()
        .expect("an address");
    let flaky = Flaky::before(service).await;
    let mut arguments = arguments("flaky");
    arguments["host"] = json!(format!("https://{}", flaky.address));
    let store = open("kubernetes", &arguments, &[])
        .store("default")
        .expect("a store");
    // The connection is there, so that what is lost are answers. The second round finds the Lease of the first.
    for round in 0..2 {
        assert_eq!(store.read().await.expect("a read"), None);
        assert!(store.holds(ID).await.is_err());
        flaky.lose(1);
        assert_eq!(store.lock(&lock_info(ID)).await.expect("the lock"), ID);
        assert_eq!(flaky.left(), 0, "round {round}");
        store.holds(ID).await.expect("the lock is held");
        flaky.lose(1);
        store.unlock(ID).await.expect("the unlock");
        assert!(matches!(store.holds(ID).await, Err(BackendError::LockLost)));
    }
    flaky.lose(1);
    store.write(&state(1, "one")).await.expect("a write");
    assert_eq!(
        store.read().await.expect("a read").as_deref(),
        Some(&*state(1, "one"))
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: tests/real/run kubernetes"]
async fn refusals_say_what_the_server_said() {
    let mut arguments = arguments("refused");
    arguments["token"] = json!("an-unknown-token");
    let store = open("kubernetes", &arguments, &[])
        .store("default")
        .expect("a store");
    let error = store.read().await.expect_err("an unknown user").to_string();
    assert!(
        error.contains("401") && !error.contains("an-unknown-token"),
        "{error}"
    );
    // A label that Kubernetes does not take: the workspace's name is too long for one.
    let long = backend("refused").store(&"a".repeat(64)).expect("a store");
    let error = long
        .write(&state(1, "one"))
        .await
        .expect_err("a long label");
    assert!(error.to_string().contains("63 characters"), "{error}");
}
