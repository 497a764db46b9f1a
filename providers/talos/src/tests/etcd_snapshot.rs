//! `talos_etcd_snapshot`, and a bootstrap that begins with one.

use std::path::Path;

use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use stead_sdk::testing::Stored;
use stead_sdk::{Dialer, Environment};

use super::node::{FakeNode, service};
use super::{Talos, administrator, first, secrets};
use crate::machinery::SecretsBundle;

const SNAPSHOT: &str = "talos_etcd_snapshot";
const BOOTSTRAP: &str = "talos_machine_bootstrap";

/// A database with etcd's checksum behind it.
fn database(fill: u8) -> Vec<u8> {
    let mut bytes = vec![fill; 4096];
    bytes.extend_from_slice(&Sha256::digest(&bytes));
    bytes
}

fn config(node: &FakeNode, secrets: &SecretsBundle, more: Json) -> Json {
    let mut config = json!({
        "node": "127.0.0.1",
        "endpoint": node.address.to_string(),
        "client_configuration": administrator(secrets),
        "timeouts": { "create": "5s" },
    });
    if let (Some(config), Json::Object(more)) = (config.as_object_mut(), more) {
        config.extend(more);
    }
    config
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

async fn changes(talos: &Talos, prior: &Stored, config: Json) -> Vec<String> {
    let config = talos.harness.config(SNAPSHOT, config).unwrap();
    let plan = talos.harness.plan(SNAPSHOT, Some(prior), &config).await;
    plan.unwrap().notes
}

#[tokio::test]
async fn snapshots_are_taken_when_they_are_due_and_the_last_are_kept() {
    let secrets = secrets();
    let (talos, node) = (
        Talos::new().await,
        FakeNode::configured(&secrets, "version: v1alpha1\n").await,
    );
    node.inside().snapshot = database(1);
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("backups");
    for old in ["20200101", "20200102", "20200103"] {
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(format!("etcd-{old}T000000Z.snapshot")), "x").unwrap();
    }
    std::fs::write(directory.join("notes.txt"), "not ours").unwrap();
    let wanted = config(
        &node,
        &secrets,
        json!({ "directory": directory, "keep": 2 }),
    );
    let taken = talos
        .harness
        .apply(SNAPSHOT, None, wanted.clone())
        .await
        .unwrap();
    let path = taken.text("path");
    assert_eq!(std::fs::read(&path).unwrap(), database(1));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "it holds all secrets");
    }
    let kept = names(&directory);
    assert_eq!(kept.len(), 3, "{kept:?}");
    assert_eq!(kept.first().unwrap(), "etcd-20200103T000000Z.snapshot");
    assert_eq!(kept.last().unwrap(), "notes.txt");

    let read = talos.harness.read(SNAPSHOT, &taken).await.unwrap().unwrap();
    assert!(changes(&talos, &read, wanted.clone()).await.is_empty());
    let often = config(
        &node,
        &secrets,
        json!({ "directory": directory, "keep": 2, "every": "0s" }),
    );
    let notes = changes(&talos, &read, often).await;
    assert!(
        notes.iter().any(|n| n.contains("a snapshot is due")),
        "{notes:?}"
    );

    std::fs::remove_file(&path).unwrap();
    let read = talos.harness.read(SNAPSHOT, &taken).await.unwrap().unwrap();
    let notes = changes(&talos, &read, wanted.clone()).await;
    assert!(
        notes.iter().any(|n| n.contains("the newest one is gone")),
        "{notes:?}"
    );
    node.inside().snapshot = database(2);
    let again = talos
        .harness
        .apply(SNAPSHOT, Some(&read), wanted)
        .await
        .unwrap();
    assert_eq!(std::fs::read(again.text("path")).unwrap(), database(2));
}

#[tokio::test]
async fn a_damaged_snapshot_is_not_kept() {
    let secrets = secrets();
    let (talos, node) = (
        Talos::new().await,
        FakeNode::configured(&secrets, "version: v1alpha1\n").await,
    );
    let mut damaged = database(1);
    damaged[7] ^= 1;
    node.inside().snapshot = damaged;
    let folder = tempfile::tempdir().unwrap();
    let wanted = config(
        &node,
        &secrets,
        json!({ "directory": folder.path(), "timeouts": { "create": "0s" } }),
    );
    let failure = talos
        .harness
        .apply(SNAPSHOT, None, wanted)
        .await
        .unwrap_err();
    let detail = &first(&failure.diagnostics).detail;
    assert!(detail.contains("does not fit the checksum"), "{detail}");
    assert_eq!(names(folder.path()), Vec::<String>::new());
}

async fn recovering(snapshot: &Path) -> Talos {
    let variable = ("STEAD_TALOS_RECOVER", snapshot.to_str().unwrap());
    let dialer = Dialer::new(Environment::from_iter([variable])).unwrap();
    Talos::over(&dialer, json!({})).await
}

fn waiting() -> crate::api::machine::ServiceInfo {
    let mut etcd = service("etcd", false);
    etcd.state = "Preparing".to_owned();
    etcd
}

#[tokio::test]
async fn a_lost_cluster_begins_with_its_snapshot() {
    let secrets = secrets();
    let node = FakeNode::configured(&secrets, "version: v1alpha1\n").await;
    node.inside().services.push(waiting());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("etcd.snapshot");
    std::fs::write(&path, database(3)).unwrap();
    let talos = recovering(&path).await;
    let wanted = config(&node, &secrets, json!({}));
    talos.harness.apply(BOOTSTRAP, None, wanted).await.unwrap();
    assert_eq!(node.inside().recovered, database(3));
    let calls = node.inside().calls.clone();
    assert_eq!(
        calls,
        [
            "etcd_recover node=127.0.0.1",
            "bootstrap recover node=127.0.0.1"
        ]
    );
}

#[tokio::test]
async fn an_etcd_with_data_and_a_damaged_snapshot_are_left_alone() {
    let secrets = secrets();
    let node = FakeNode::configured(&secrets, "version: v1alpha1\n").await;
    node.inside().services.push(service("etcd", true));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("etcd.snapshot");
    std::fs::write(&path, database(3)).unwrap();
    let talos = recovering(&path).await;
    let wanted = config(&node, &secrets, json!({}));
    let failure = talos
        .harness
        .apply(BOOTSTRAP, None, wanted.clone())
        .await
        .unwrap_err();
    let detail = &first(&failure.diagnostics).detail;
    assert!(
        detail.contains("has data already") && detail.contains("EPHEMERAL"),
        "{detail}"
    );

    node.inside().services = vec![waiting()];
    std::fs::write(&path, "not a snapshot").unwrap();
    let failure = talos
        .harness
        .apply(BOOTSTRAP, None, wanted)
        .await
        .unwrap_err();
    let detail = &first(&failure.diagnostics).detail;
    assert!(detail.contains("no whole database"), "{detail}");
    assert_eq!(node.inside().calls, Vec::<String>::new());
}
