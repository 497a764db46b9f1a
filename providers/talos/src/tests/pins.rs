//! The fingerprint of a machine, on the first contact.

use serde_json::json;
use stead_sdk::testing::Harness;
use stead_sdk::{Dialer, Environment};

use super::node::FakeNode;
use super::{administrator, first, secrets};

const APPLY: &str = "talos_machine_configuration_apply";

async fn provider(pins: &str) -> Result<Harness, stead_sdk::value::Diagnostics> {
    let environment = Environment::from_iter([("STEAD_TALOS_FINGERPRINTS", pins)]);
    let factory = crate::factory(&Dialer::new(environment).unwrap());
    Harness::configured(&factory, json!({})).await
}

#[tokio::test]
async fn another_machine_gets_no_secrets() {
    let secrets = secrets();
    let node = FakeNode::start(&secrets).await;
    let config = json!({
        "node": "127.0.0.1",
        "endpoint": node.address.to_string(),
        "client_configuration": administrator(&secrets),
        "machine_configuration_input": "version: v1alpha1\nmachine:\n    type: worker\n",
        "timeouts": { "create": "20s" },
    });
    let another = format!("127.0.0.1={}", "00".repeat(32));
    let another = provider(&another).await.unwrap();
    let refused = another
        .apply(APPLY, None, config.clone())
        .await
        .unwrap_err();
    let said = &first(&refused.diagnostics).detail;
    // Who is at the machine's console can compare.
    let (_, shown) = said.split_once("SHA-256 ").unwrap();
    let (shown, _) = shown.split_once(',').unwrap();
    let unnamed = provider(&format!("10.9.9.9={shown}")).await.unwrap();
    let refused = unnamed
        .apply(APPLY, None, config.clone())
        .await
        .unwrap_err();
    assert!(
        first(&refused.diagnostics)
            .detail
            .contains("does not name it")
    );
    assert_eq!(node.count("apply"), 0);
    let named = provider(&format!("127.0.0.1={shown}")).await.unwrap();
    named.apply(APPLY, None, config).await.unwrap();
    assert_eq!(node.count("apply"), 1);
}

#[tokio::test]
async fn a_variable_that_cannot_be_read_is_told_at_once() {
    let refused = provider("127.0.0.1=aa:bb").await.err().unwrap();
    assert!(
        first(&refused).detail.contains("STEAD_TALOS_FINGERPRINTS")
            || first(&refused).summary.contains("STEAD_TALOS")
    );
}
