//! The backend `azurerm` against Azurite, which is reached under the name of a real account: through a proxy, as the lab's Azure is.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use stead_state::{Backend, BackendError};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::flaky::Flaky;
use crate::{conformance, lock_info, open, state, terraform, variable};

const ID: &str = "6fa459ea-ee8a-3ca4-894e-db77e160355e";
const ACCOUNT: &str = "stead.blob.core.windows.net:443";

/// Takes CONNECT for the account and leads to the emulator; everything else is refused.
struct Proxy {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Proxy {
    async fn to(service: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(tunnel(client, service));
            }
        });
        Proxy { address, task }
    }

    async fn to_azurite() -> Proxy {
        Proxy::to(service()).await
    }

    /// What our dialer is to know.
    fn environment(&self) -> Vec<(String, String)> {
        vec![
            (
                "STEAD_DIAL".to_owned(),
                format!("connect://{}", self.address),
            ),
            (
                "SSL_CERT_FILE".to_owned(),
                variable("STEAD_TEST_AZURITE_CA"),
            ),
        ]
    }

    fn backend(&self, arguments: &Json) -> Arc<dyn Backend> {
        let environment = self.environment();
        let environment: Vec<(&str, &str)> = environment
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        open("azurerm", arguments, &environment)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn tunnel(client: TcpStream, service: SocketAddr) {
    let mut client = BufReader::new(client);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if client.read_line(&mut head).await.unwrap_or(0) == 0 {
            return;
        }
    }
    if head.split(' ').nth(1) != Some(ACCOUNT) {
        let _ = client.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await;
        return;
    }
    let Ok(mut server) = TcpStream::connect(service).await else {
        return;
    };
    if client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.is_ok() {
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    }
}

fn service() -> SocketAddr {
    variable("STEAD_TEST_AZURITE").parse().expect("an address")
}

/// Each test has a blob of its own.
fn arguments(key: &str) -> Json {
    json!({
        "storage_account_name": "stead",
        "container_name": "state",
        "key": key,
        "access_key": variable("STEAD_TEST_AZURITE_KEY"),
    })
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Azurite: tests/real/run azurite"]
async fn keeps_states_and_locks() {
    let proxy = Proxy::to_azurite().await;
    for (key, workspace) in [
        ("conformance.tfstate", "default"),
        ("folder/a b.tfstate", "staging"),
    ] {
        conformance::check(|| proxy.backend(&arguments(key)), workspace).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Azurite: tests/real/run azurite"]
async fn keeps_states_by_a_shared_access_signature() {
    let proxy = Proxy::to_azurite().await;
    let signature = variable("STEAD_TEST_AZURITE_SAS");
    let arguments = json!({
        "storage_account_name": "stead", "container_name": "state", "key": "signed/x.tfstate", "sas_token": format!("?{signature}"),
    });
    conformance::check(|| proxy.backend(&arguments), "staging").await;
    // A failure to reach the account does not show the signature.
    let nowhere = Proxy::to("127.0.0.1:1".parse().expect("an address")).await;
    let backend = nowhere.backend(&arguments);
    let store = backend.store("default").expect("a store");
    let error = store.read().await.expect_err("no server").to_string();
    let secret = signature.rsplit("sig=").next().expect("the signature");
    assert!(
        !error.contains(secret) && error.contains("stead.blob.core.windows.net"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Azurite: tests/real/run azurite"]
async fn one_of_many_gets_the_lock() {
    let proxy = Proxy::to_azurite().await;
    conformance::one_wins(|| proxy.backend(&arguments("race.tfstate")), "default").await;
    // Also on a blob that none of them finds there.
    let backend = proxy.backend(&arguments("race.tfstate"));
    let stores = ["a", "b"].map(|_| backend.store("new").expect("a store"));
    let ids = [ID, "16fd2706-8baf-433b-82eb-8c7fada847da"].map(lock_info);
    let (one, other) = tokio::join!(stores[0].lock(&ids[0]), stores[1].lock(&ids[1]));
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Azurite: tests/real/run azurite"]
async fn shares_a_container_with_terraform() {
    let proxy = Proxy::to_azurite().await;
    let arguments = arguments("shared/terraform.tfstate");
    let (address, authority) = (
        format!("http://{}", proxy.address),
        variable("STEAD_TEST_AZURITE_CA"),
    );
    let environment = [
        ("HTTPS_PROXY", address.as_str()),
        ("SSL_CERT_FILE", &authority),
    ];
    let backend = proxy.backend(&arguments);
    terraform::share(&backend, "azurerm", &arguments, &environment, true).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Azurite: tests/real/run azurite"]
async fn lost_answers_make_no_false_locks() {
    let flaky = Flaky::before(service()).await;
    let proxy = Proxy::to(flaky.address).await;
    let store = proxy
        .backend(&arguments("flaky.tfstate"))
        .store("default")
        .expect("a store");
    store.write(&state(1, "one")).await.expect("a write");
    // Locking takes several requests, and so does unlocking: each loses its answer in turn.
    for lost in 0..4 {
        store.read().await.expect("a read");
        flaky.lose_after(lost);
        assert_eq!(store.lock(&lock_info(ID)).await.expect("the lock"), ID);
        assert_eq!(flaky.left(), 0, "{lost} answers before the lost one");
        store.holds(ID).await.expect("the lock is held");
        flaky.lose(1);
        store.write(&state(2, "two")).await.expect("a write");
        flaky.lose_after(lost);
        store.unlock(ID).await.expect("the unlock");
        assert_eq!(flaky.left(), 0, "{lost} answers before the lost one");
        assert!(matches!(store.holds(ID).await, Err(BackendError::LockLost)));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Azurite: tests/real/run azurite"]
async fn snapshots_are_taken_before_writes_and_go_with_the_workspace() {
    let proxy = Proxy::to_azurite().await;
    let mut arguments = arguments("snapshots.tfstate");
    arguments["snapshot"] = json!(true);
    let backend = proxy.backend(&arguments);
    let store = backend.store("staging").expect("a store");
    for serial in 1..4 {
        store.write(&state(serial, "x")).await.expect("a write");
    }
    // Azurite refuses to delete a blob that has snapshots unless told that they may go.
    backend.delete("staging", false).await.expect("a removal");
    assert_eq!(backend.workspaces().await.expect("workspaces"), ["default"]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Azurite: tests/real/run azurite"]
async fn a_locked_state_is_neither_written_nor_removed_by_others() {
    let proxy = Proxy::to_azurite().await;
    let (ours, theirs) = (
        proxy.backend(&arguments("locked.tfstate")),
        proxy.backend(&arguments("locked.tfstate")),
    );
    let store = ours.store("staging").expect("a store");
    store.lock(&lock_info(ID)).await.expect("the lock");
    let other = theirs.store("staging").expect("a store");
    for refused in [
        other.write(&state(1, "other")).await,
        theirs.delete("staging", false).await,
    ] {
        match refused {
            Err(BackendError::Locked { holder, .. }) => assert_eq!(holder.expect("a note").id, ID),
            found => panic!("done under somebody else's lock: {found:?}"),
        }
    }
    ours.delete("staging", false)
        .await
        .expect("a removal under our own lock");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Azurite: tests/real/run azurite"]
async fn refusals_say_what_to_do() {
    let proxy = Proxy::to_azurite().await;
    let mut wrong = arguments("refused.tfstate");
    wrong["access_key"] = json!("d3Jvbmc=");
    let store = proxy.backend(&wrong).store("default").expect("a store");
    let error = store.read().await.expect_err("a wrong key").to_string();
    assert!(
        error.contains("access key") && error.contains("403"),
        "{error}"
    );
    assert!(!error.contains("d3Jvbmc="), "{error}");
    let mut wrong = arguments("refused.tfstate");
    wrong["container_name"] = json!("nowhere");
    let store = proxy.backend(&wrong).store("default").expect("a store");
    let error = store.read().await.expect_err("no container").to_string();
    assert!(error.contains("az storage container create"), "{error}");
}
