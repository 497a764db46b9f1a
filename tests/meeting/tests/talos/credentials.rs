//! Credentials that are made when they are needed are taken by machines and by Kubernetes.

use serde_json::{Value as Json, json};
use stead_sdk::testing::Stored;
use stead_sdk::value::json::to_json;

use crate::rack::{APPLY, Rack, text};

/// A client configuration that is valid for a day from then on.
async fn administrator(rack: &Rack, not_before: &str) -> Json {
    let config = json!({
        "cluster_name": "lab",
        "machine_secrets": rack.secrets["machine_secrets"],
        "not_before": not_before,
        "crt_ttl": "24h",
    });
    let opened = rack
        .open("talos_client_configuration", config)
        .await
        .unwrap();
    let client = opened.get("client_configuration").unwrap();
    to_json(&client, &client.ty()).unwrap()
}

/// A configured control plane node, `10.5.0.11`, by these credentials.
async fn configured(rack: &Rack, identity: &Json) -> Stored {
    rack.boot(11, "v1.13.9").await;
    let generated = rack.generate("controlplane", "v1.13").await;
    let mut config = rack.apply_config(11, &generated, &[]);
    config["client_configuration"] = identity.clone();
    config["on_destroy"] = json!({ "reset": true, "graceful": false, "reboot": true });
    rack.talos.apply(APPLY, None, config).await.unwrap()
}

#[tokio::test]
async fn nothing_of_them_has_to_be_kept() {
    let rack = Rack::start().await;
    let config =
        json!({ "cluster_name": "lab", "machine_secrets": rack.secrets["machine_secrets"] });
    let opened = rack
        .open("talos_client_configuration", config)
        .await
        .unwrap();
    let client = opened.get("client_configuration").unwrap();
    let identity = to_json(&client, &client.ty()).unwrap();
    configured(&rack, &identity).await;
    let talk = json!({ "node": "10.5.0.11", "client_configuration_wo": identity, "timeouts": { "create": "60s" } });
    rack.talos
        .apply("talos_machine_bootstrap", None, talk)
        .await
        .unwrap();
    let health = json!({
        "endpoints": ["10.5.0.11"], "control_plane_nodes": ["10.5.0.11"], "client_configuration": identity,
        "skip_kubernetes_checks": true, "timeout": "60s",
    });
    rack.open("talos_cluster_health", health).await.unwrap();
    // The kubeconfig that a node gives and the one that is made here are of the same authority and lead to the same place.
    let asked = json!({ "node": "10.5.0.11", "client_configuration": identity, "timeouts": { "create": "60s" } });
    let given = rack
        .talos
        .apply("talos_cluster_kubeconfig", None, asked)
        .await
        .unwrap();
    let made = json!({
        "cluster_name": "lab", "endpoint": "https://10.5.0.11:6443", "machine_secrets": rack.secrets["machine_secrets"],
    });
    let made = rack.open("talos_cluster_kubeconfig", made).await.unwrap();
    for part in ["host", "ca_certificate"] {
        let path = ["kubernetes_client_configuration", part];
        assert_eq!(text(&made, &path), text(&given.value, &path), "{part}");
    }
}

#[tokio::test]
async fn an_ended_certificate_locks_nobody_out() {
    let rack = Rack::start().await;
    let ended = administrator(&rack, "2020-01-01T00:00:00Z").await;
    let applied = configured(&rack, &ended).await;
    let read = rack.talos.read(APPLY, &applied).await.unwrap().unwrap();
    assert_eq!(read.value, applied.value);
    rack.talos.delete(APPLY, &read).await.unwrap();
    assert_eq!(rack.stage(11), "maintenance");
}
