//! Credentials that are made when they are needed are taken by machines and by Kubernetes.

use serde_json::{Value as Json, json};
use stead_meeting::talos::{ENDPOINT, TalosLab};
use stead_sdk::testing::Stored;
use stead_sdk::value::Value;
use stead_sdk::value::json::to_json;

use super::APPLY;

/// A text in an object.
fn text(object: &Value, path: &[&str]) -> String {
    let found = path.iter().fold(object.clone(), |value, name| {
        value.get(name).expect("an attribute")
    });
    found.as_str().expect("a text").to_owned()
}

/// A client configuration that is valid for a day from then on.
async fn administrator(lab: &TalosLab, not_before: &str) -> Json {
    let config = json!({
        "cluster_name": "lab",
        "machine_secrets": lab.machine_secrets(),
        "not_before": not_before,
        "crt_ttl": "24h",
    });
    let opened = lab
        .open("talos_client_configuration", config)
        .await
        .unwrap();
    let client = opened.get("client_configuration").unwrap();
    to_json(&client, &client.ty()).unwrap()
}

/// A configured control plane node, `10.5.0.11`, by these credentials.
async fn configured(lab: &TalosLab, identity: &Json) -> Stored {
    lab.boot(11, "v1.13.9", "").await;
    let generated = lab.generated("controlplane", "v1.13").await;
    let mut config = lab.of_apply(11, &generated, &[]);
    config["client_configuration"] = identity.clone();
    config["on_destroy"] = json!({ "reset": true, "graceful": false, "reboot": true });
    lab.provider.apply(APPLY, None, config).await.unwrap()
}

#[tokio::test]
async fn nothing_of_them_has_to_be_kept() {
    let lab = TalosLab::start().await;
    let config = json!({ "cluster_name": "lab", "machine_secrets": lab.machine_secrets() });
    let opened = lab
        .open("talos_client_configuration", config)
        .await
        .unwrap();
    let client = opened.get("client_configuration").unwrap();
    let identity = to_json(&client, &client.ty()).unwrap();
    configured(&lab, &identity).await;
    let talk = json!({ "node": "10.5.0.11", "client_configuration_wo": identity, "timeouts": { "create": "60s" } });
    lab.provider
        .apply("talos_machine_bootstrap", None, talk)
        .await
        .unwrap();
    let health = json!({
        "endpoints": ["10.5.0.11"], "control_plane_nodes": ["10.5.0.11"], "client_configuration": identity,
        "skip_kubernetes_checks": true, "timeout": "60s",
    });
    lab.open("talos_cluster_health", health).await.unwrap();
    // The kubeconfig that a node gives and the one that is made here are of the same authority and lead to the same place.
    let asked = json!({ "node": "10.5.0.11", "client_configuration": identity, "timeouts": { "create": "60s" } });
    let given = lab
        .provider
        .apply("talos_cluster_kubeconfig", None, asked)
        .await
        .unwrap();
    let made = json!({
        "cluster_name": "lab", "endpoint": format!("https://{ENDPOINT}:6443"), "machine_secrets": lab.machine_secrets(),
    });
    let made = lab.open("talos_cluster_kubeconfig", made).await.unwrap();
    for part in ["host", "ca_certificate"] {
        let path = ["kubernetes_client_configuration", part];
        assert_eq!(text(&made, &path), text(&given.value, &path), "{part}");
    }
}

#[tokio::test]
async fn an_ended_certificate_locks_nobody_out() {
    let lab = TalosLab::start().await;
    let ended = administrator(&lab, "2020-01-01T00:00:00Z").await;
    let applied = configured(&lab, &ended).await;
    let read = lab.provider.read(APPLY, &applied).await.unwrap().unwrap();
    assert_eq!(read.value, applied.value);
    lab.provider.delete(APPLY, &read).await.unwrap();
    assert_eq!(lab.stage(11), "maintenance");
}
