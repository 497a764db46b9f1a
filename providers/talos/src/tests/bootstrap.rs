//! `talos_machine_bootstrap`.

use serde_json::{Value as Json, json};
use tonic::Status;

use super::node::{FakeNode, service};
use super::{Talos, administrator, first, secrets};
use crate::api::machine::EtcdMember;
use crate::api::specs::MachineStage;
use crate::machinery::SecretsBundle;

const BOOTSTRAP: &str = "talos_machine_bootstrap";

async fn ready(secrets: &SecretsBundle) -> FakeNode {
    let node = FakeNode::configured(secrets, "version: v1alpha1\n").await;
    node.inside().stage = MachineStage::Booting;
    node
}

fn config(node: &FakeNode, secrets: &SecretsBundle, timeout: &str) -> Json {
    json!({
        "node": "127.0.0.1",
        "endpoint": node.address.to_string(),
        "client_configuration": administrator(secrets),
        "timeouts": { "create": timeout },
    })
}

#[tokio::test]
async fn a_node_that_is_not_ready_is_asked_again() {
    let secrets = secrets();
    let (talos, node) = (Talos::new().await, ready(&secrets).await);
    for reason in ["bootstrap is not available yet", "time is not in sync yet"] {
        node.inside()
            .refusals
            .push_back(Status::failed_precondition(reason));
    }
    let done = talos
        .harness
        .apply(BOOTSTRAP, None, config(&node, &secrets, "20s"))
        .await
        .unwrap();
    assert_eq!(done.text("id"), "machine_bootstrap");
    assert_eq!(node.inside().calls, ["bootstrap node=127.0.0.1"; 3]);
    assert!(talos.said("time is not in sync yet") && talos.said("etcd on node"));
}

#[tokio::test]
async fn etcd_with_data_is_a_success_only_for_a_member() {
    let secrets = secrets();
    let (talos, node) = (Talos::new().await, ready(&secrets).await);
    let full = || Status::already_exists("etcd data directory is not empty");
    node.inside().refusals.extend([full(), full()]);
    node.inside().services.push(service("etcd", true));
    let stranger = EtcdMember {
        hostname: "cp-2".to_owned(),
        ..Default::default()
    };
    node.inside().members.push(stranger);
    let failure = talos
        .harness
        .apply(BOOTSTRAP, None, config(&node, &secrets, "0s"))
        .await
        .unwrap_err();
    let detail = &first(&failure.diagnostics).detail;
    assert!(detail.contains("the node is no member of etcd"), "{detail}");
    let member = EtcdMember {
        hostname: "cp-1".to_owned(),
        ..Default::default()
    };
    node.inside().members.push(member);
    talos
        .harness
        .apply(BOOTSTRAP, None, config(&node, &secrets, "20s"))
        .await
        .unwrap();
    assert_eq!(node.count("bootstrap"), 2);
}

#[tokio::test]
async fn a_worker_is_not_waited_for() {
    let secrets = secrets();
    let (talos, node) = (Talos::new().await, ready(&secrets).await);
    let text = "bootstrap can only be performed on a control plane node";
    node.inside()
        .refusals
        .push_back(Status::failed_precondition(text));
    let failure = talos
        .harness
        .apply(BOOTSTRAP, None, config(&node, &secrets, "20s"))
        .await
        .unwrap_err();
    assert!(first(&failure.diagnostics).detail.starts_with(text));
    assert_eq!(node.count("bootstrap"), 1);
}

#[tokio::test]
async fn etcd_has_to_become_healthy() {
    let secrets = secrets();
    let (talos, node) = (Talos::new().await, ready(&secrets).await);
    // Found first in the list, before the one that the bootstrap starts.
    node.inside().services.push(service("etcd", false));
    let failure = talos
        .harness
        .apply(BOOTSTRAP, None, config(&node, &secrets, "0s"))
        .await
        .unwrap_err();
    let detail = &first(&failure.diagnostics).detail;
    assert!(detail.contains("etcd is not healthy: not yet"), "{detail}");
}

#[tokio::test]
async fn a_bootstrapped_cluster_can_be_imported() {
    let talos = Talos::new().await;
    let imported = talos.harness.import(BOOTSTRAP, "whatever").await.unwrap();
    assert_eq!(imported.text("id"), "machine_bootstrap");
    let updated = talos
        .harness
        .apply(
            BOOTSTRAP,
            Some(&imported),
            json!({ "node": "10.0.0.2", "client_configuration": administrator(&secrets()) }),
        )
        .await
        .unwrap();
    assert_eq!(updated.text("endpoint"), "10.0.0.2");
}
