//! States that the published provider's line 0.12 has written plan as "No changes".

use serde_json::{Value as Json, json};
use stead_sdk::Dialer;
use stead_sdk::testing::Harness;

const IMAGE: &str = "factory.talos.dev/metal-installer/376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba:v1.13.9";
const CONFIGURATION: &str = "version: v1alpha1\nmachine:\n    type: worker\n";

fn client_configuration() -> Json {
    json!({ "ca_certificate": "QQ==", "client_certificate": "QQ==", "client_key": "QQ==" })
}

/// What `Create` and `Read` of 0.12.0-alpha.5 leave in the state.
fn machine() -> Json {
    json!({
        "id": "10.0.0.2",
        "node": "10.0.0.2",
        "endpoint": "10.0.0.2",
        "client_configuration": client_configuration(),
        "client_configuration_wo": null,
        "machine_configuration": CONFIGURATION,
        "machine_configuration_wo": null,
        "machine_configuration_hash": "of whatever form",
        "image": IMAGE,
        "reboot_mode": "DEFAULT",
        "drain_on_upgrade": true,
        "ignore_kubernetes_upgrade_drift": false,
        "kubeconfig": "kind: Config",
        "kubeconfig_wo": null,
        "timeouts": null,
        "on_destroy": null,
    })
}

fn cluster() -> Json {
    json!({
        "id": "10.0.0.2",
        "node": "10.0.0.2",
        "endpoint": "10.0.0.2",
        "control_plane_nodes": ["10.0.0.2"],
        "client_configuration": client_configuration(),
        "client_configuration_wo": null,
        "kubernetes_version": "1.36.3",
        "timeouts": null,
    })
}

async fn plans_nothing(type_name: &str, state: &Json, config: Json) {
    let factories = stead_talos::factories(&Dialer::direct());
    let harness = Harness::unconfigured(factories[0].1.as_ref());
    let stored = harness.stored(type_name, 0, state).unwrap();
    let config = harness.config(type_name, config).unwrap();
    let plan = harness
        .plan(type_name, Some(&stored), &config)
        .await
        .unwrap();
    assert_eq!(plan.planned, stored.value, "{type_name}");
    assert_eq!(plan.requires_replace, [], "{type_name}");
}

#[tokio::test]
async fn machines() {
    let mut config = json!({
        "node": "10.0.0.2",
        "client_configuration": client_configuration(),
        "machine_configuration": CONFIGURATION,
        "image": IMAGE,
        "kubeconfig": "kind: Config",
    });
    plans_nothing("talos_machine", &machine(), config.clone()).await;
    // The release is not managed: what the state has of it is what was found.
    config["image"] = Json::Null;
    plans_nothing("talos_machine", &machine(), config).await;
}

#[tokio::test]
async fn clusters() {
    let config = json!({
        "node": "10.0.0.2",
        "client_configuration": client_configuration(),
        "kubernetes_version": "1.36.3",
    });
    plans_nothing("talos_cluster", &cluster(), config).await;
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_by_name() {
    let factories = stead_talos::factories(&Dialer::direct());
    let harness = Harness::unconfigured(factories[0].1.as_ref());
    let whole = json!({
        "node": "10.0.0.2",
        "client_configuration": client_configuration(),
        "machine_configuration": CONFIGURATION,
    });
    let refused = async |type_name: &str, base: &Json, more: Json| {
        let mut config = base.clone();
        for (name, value) in more.as_object().unwrap() {
            config[name] = value.clone();
        }
        let config = harness.config(type_name, config).unwrap();
        let found = harness.plan(type_name, None, &config).await.unwrap_err();
        let all = found.iter();
        all.map(|d| format!("{} {}", d.summary, d.detail))
            .collect::<String>()
    };
    for (more, said) in [
        (json!({ "image": "installer:latest" }), "not a release"),
        (json!({ "image": IMAGE }), "drain_on_upgrade = false"),
        (
            json!({ "reboot_mode": "KEXEC" }),
            "none of DEFAULT, POWERCYCLE",
        ),
        (
            json!({ "kubeconfig": "a", "kubeconfig_wo": "b" }),
            "both are set",
        ),
        (json!({ "machine_configuration": null }), "neither is set"),
    ] {
        let found = refused("talos_machine", &whole, more).await;
        assert!(found.contains(said), "{said}: {found}");
    }
    let whole = json!({
        "node": "10.0.0.2",
        "client_configuration": client_configuration(),
        "kubernetes_version": "v1.36.3",
    });
    for (more, said) in [
        (json!({ "kubernetes_version": "latest" }), "not a version"),
        (
            json!({ "control_plane_nodes": ["10.0.0.3"] }),
            "\"10.0.0.2\" is not among them",
        ),
    ] {
        let found = refused("talos_cluster", &whole, more).await;
        assert!(found.contains(said), "{said}: {found}");
    }
}
