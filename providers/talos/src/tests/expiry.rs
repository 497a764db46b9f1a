//! Client certificates that have ended lock nobody out.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use super::node::FakeNode;
use super::{Talos, administrator, administrator_from, first, secrets};
use crate::machinery::SecretsBundle;

const APPLY: &str = "talos_machine_configuration_apply";

/// What of a control plane node's configuration counts here: the authority with its key.
fn control_plane(secrets: &SecretsBundle) -> String {
    let encode = |pem: &str| STANDARD.encode(pem);
    let (cert, key) = (&secrets.certs.os.cert, secrets.certs.os.key.expose());
    format!(
        "version: v1alpha1\nmachine:\n    type: controlplane\n    ca:\n        crt: {}\n        key: {}\n",
        encode(cert),
        encode(key)
    )
}

fn config(node: &FakeNode, identity: Json, text: &str) -> Json {
    json!({
        "node": "127.0.0.1",
        "endpoint": node.address.to_string(),
        "client_configuration": identity,
        "machine_configuration_input": text,
        "on_destroy": { "reset": true },
        "timeouts": { "create": "20s", "update": "20s", "delete": "5s" },
    })
}

/// An administrator whose certificate ended a day ago.
fn ended(secrets: &SecretsBundle) -> Json {
    let days = Duration::from_secs(2 * 24 * 3600);
    administrator_from(secrets, SystemTime::now() - days)
}

#[tokio::test]
async fn who_has_the_authority_signs_a_new_one() {
    let secrets = secrets();
    let text = control_plane(&secrets);
    let (talos, node) = (
        Talos::new().await,
        FakeNode::configured(&secrets, &text).await,
    );
    let config = config(&node, ended(&secrets), &text);
    let applied = talos.harness.apply(APPLY, None, config).await.unwrap();
    // What is stored stays what was configured.
    let stored = applied.attribute("client_configuration");
    let read = talos.harness.read(APPLY, &applied).await.unwrap().unwrap();
    assert_eq!(read.attribute("client_configuration"), stored);
    talos.harness.delete(APPLY, &read).await.unwrap();
    assert_eq!(node.count("reset"), 1);
}

#[tokio::test]
async fn who_has_not_is_told_what_to_do() {
    let (ours, other) = (secrets(), secrets());
    let worker = "version: v1alpha1\nmachine:\n    type: worker\n";
    // The key of another cluster's authority is of no use.
    for text in [worker.to_owned(), control_plane(&other)] {
        let (talos, node) = (Talos::new().await, FakeNode::configured(&ours, &text).await);
        let config = config(&node, ended(&ours), &text);
        let failure = talos.harness.apply(APPLY, None, config).await.unwrap_err();
        let said = &first(&failure.diagnostics).detail;
        assert!(said.contains("has not expired"), "{said}");
        assert_eq!(node.count("apply"), 0);
    }
    // A plan with a renewed certificate is all that it takes.
    let (talos, node) = (
        Talos::new().await,
        FakeNode::configured(&ours, worker).await,
    );
    let config = config(&node, administrator(&ours), worker);
    talos.harness.apply(APPLY, None, config).await.unwrap();
}
