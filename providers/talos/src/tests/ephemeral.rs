//! What is opened and never stored: the published provider's bytes, and what is refused.

use serde_json::{Value as Json, json};
use stead_sdk::Field;
use stead_sdk::value::{Diagnostics, Value, json::to_json};

use super::{Talos, first, secrets};
use crate::blocks::secrets::generated::MachineSecrets;
use crate::machinery::{SecretsBundle, certificate_validity};

/// The attribute `machine_secrets` of a bundle.
pub(super) fn attribute(bundle: &SecretsBundle) -> Json {
    let value = MachineSecrets::of(bundle).encode();
    to_json(&value, &value.ty()).unwrap()
}

impl Talos {
    async fn open(&self, kind: &str, members: Json) -> Result<(Value, Diagnostics), Diagnostics> {
        let factory = crate::factory(&stead_sdk::Dialer::direct());
        let schema = stead_sdk::ProviderFactory::schema(&factory);
        let schema = &schema.ephemeral_resources[kind];
        let config = stead_sdk::testing::object(schema, members)?;
        let provider = self.harness.provider();
        let checked = provider.validate_ephemeral(kind, &config);
        checked.clone().into_result()?;
        let (lease, said) = provider
            .open_ephemeral(kind, config, &self.harness.cx)
            .await?;
        assert!(lease.renew_at.is_none());
        assert_eq!(lease.object.ty(), schema.block.value_type());
        Ok((lease.object, checked.into_iter().chain(said).collect()))
    }
}

fn text(object: &Value, path: &[&str]) -> String {
    let found = path
        .iter()
        .fold(object.clone(), |v, name| v.get(name).unwrap());
    found.as_str().unwrap().to_owned()
}

/// A golden case: secrets, input and what the published provider made of it.
fn golden(name: &str, secrets: &str) -> (Json, Json) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let read = |path: String| std::fs::read_to_string(path).unwrap();
    let bundle = SecretsBundle::from_yaml(&read(format!("{folder}/secrets/{secrets}.yaml")));
    let case = read(format!("{folder}/deterministic/{name}.json"));
    (
        attribute(&bundle.unwrap()),
        serde_json::from_str(&case).unwrap(),
    )
}

#[tokio::test]
async fn credentials_are_the_published_providers() {
    let talos = Talos::new().await;
    for (name, secrets) in [("v1.13-1y", "v1.13"), ("v1.6-10y", "v1.6")] {
        let (secrets, case) = golden(name, secrets);
        let input = &case["input"];
        let config = json!({
            "cluster_name": input["cluster_name"], "machine_secrets": secrets,
            "not_before": input["not_before"], "crt_ttl": input["crt_ttl"],
        });
        let (client, _) = talos
            .open("talos_client_configuration", config.clone())
            .await
            .unwrap();
        for part in ["ca_certificate", "client_certificate", "client_key"] {
            let expected = case["client_configuration"][part].as_str().unwrap();
            assert_eq!(text(&client, &["client_configuration", part]), expected);
            assert!(
                text(&client, &["talos_config"]).contains(expected),
                "{part}"
            );
        }
        let mut config = config;
        config["endpoint"] = input["endpoint"].clone();
        let (kubeconfig, _) = talos
            .open("talos_cluster_kubeconfig", config)
            .await
            .unwrap();
        let raw = text(&kubeconfig, &["kubeconfig_raw"]);
        assert_eq!(raw, case["kubeconfig_raw"].as_str().unwrap());
        let kubernetes = "kubernetes_client_configuration";
        for part in ["ca_certificate", "client_certificate", "client_key"] {
            assert!(
                raw.contains(&text(&kubeconfig, &[kubernetes, part])),
                "{part}"
            );
        }
        assert_eq!(text(&kubeconfig, &[kubernetes, "host"]), input["endpoint"]);
    }
}

/// The validity of a certificate (base64 of PEM).
fn validity(encoded: &str) -> crate::machinery::Validity {
    certificate_validity(&crate::blocks::decode_pem(encoded, "it").unwrap()).unwrap()
}

#[tokio::test]
async fn without_a_beginning_a_certificate_is_valid_as_long_as_its_authority() {
    let talos = Talos::new().await;
    let bundle = secrets();
    let config = json!({
        "cluster_name": "lab", "machine_secrets": attribute(&bundle), "endpoints": ["10.0.0.2"], "nodes": ["10.0.0.3"],
    });
    let (client, said) = talos
        .open("talos_client_configuration", config.clone())
        .await
        .unwrap();
    assert_eq!(said.iter().count(), 0);
    let certificate = text(&client, &["client_configuration", "client_certificate"]);
    assert_eq!(
        validity(&certificate),
        certificate_validity(&bundle.certs.os.cert).unwrap()
    );
    let talosconfig = text(&client, &["talos_config"]);
    assert!(talosconfig.contains("- 10.0.0.2") && talosconfig.contains("- 10.0.0.3"));
    // A lifetime alone would change nothing, which is said.
    let mut lifetime = config;
    lifetime["crt_ttl"] = json!("24h");
    let (same, said) = talos
        .open("talos_client_configuration", lifetime)
        .await
        .unwrap();
    assert_eq!(first(&said).summary, "The lifetime has no effect");
    assert_eq!(same.get("talos_config"), client.get("talos_config"));
}

#[tokio::test]
async fn dates_that_cannot_be_are_named() {
    let talos = Talos::new().await;
    let secrets = attribute(&secrets());
    let config = |not_before: &str, ttl: &str| {
        json!({ "cluster_name": "lab", "endpoint": "https://10.0.0.1:6443", "machine_secrets": secrets,
                "not_before": not_before, "crt_ttl": ttl })
    };
    for (not_before, ttl, said) in [
        ("yesterday", "24h", "\"yesterday\" is not a time"),
        (
            "2026-01-01T00:00:00Z",
            "a year",
            "\"a year\" is not a lifetime",
        ),
        ("2026-01-01T00:00:00Z", "0s", "\"0s\" is not a lifetime"),
        ("2026-01-01T00:00:00Z", "100000000h", "1970 to 9999"),
    ] {
        for kind in ["talos_client_configuration", "talos_cluster_kubeconfig"] {
            let mut config = config(not_before, ttl);
            if kind == "talos_client_configuration" {
                config.as_object_mut().unwrap().remove("endpoint");
            }
            let refused = talos.open(kind, config).await.unwrap_err();
            assert!(first(&refused).detail.contains(said), "{kind}: {refused:?}");
        }
    }
    // One that has ended already is made, and said to be of no use.
    let (_, said) = talos
        .open(
            "talos_cluster_kubeconfig",
            config("2020-01-01T00:00:00Z", "24h"),
        )
        .await
        .unwrap();
    assert_eq!(
        first(&said).summary,
        "The client certificate is not valid now"
    );
    assert!(first(&said).detail.contains("2020-01-02T00:00:00Z"));
}

#[tokio::test]
async fn a_machine_configuration_is_the_one_of_the_data_source() {
    let talos = Talos::new().await;
    let config = json!({
        "cluster_name": "lab", "cluster_endpoint": "https://10.0.0.1:6443", "machine_type": "worker",
        "machine_secrets": attribute(&secrets()), "talos_version": "v1.11", "kubernetes_version": "1.34.1",
        "config_patches": ["machine:\n  install:\n    disk: /dev/vda\n"],
    });
    let kind = "talos_machine_configuration";
    let (ours, _) = talos.open(kind, config.clone()).await.unwrap();
    let data = talos.harness.data(kind, config.clone()).await.unwrap();
    assert_eq!(
        ours.get("machine_configuration"),
        data.get("machine_configuration")
    );
    assert!(text(&ours, &["machine_configuration"]).contains("disk: /dev/vda"));
    let mut wrong = config;
    wrong["machine_type"] = json!("init");
    assert!(talos.open(kind, wrong).await.is_err());
}

#[tokio::test]
async fn machine_secrets_are_drawn_with_every_opening() {
    let talos = Talos::new().await;
    let kind = "talos_machine_secrets";
    let config = json!({ "talos_version": "v1.6" });
    let (one, _) = talos.open(kind, config.clone()).await.unwrap();
    let (other, _) = talos.open(kind, config).await.unwrap();
    assert_ne!(one.get("machine_secrets"), other.get("machine_secrets"));
    assert_eq!(
        text(&one, &["client_configuration", "ca_certificate"]),
        text(&one, &["machine_secrets", "certs", "os", "cert"])
    );
    let refused = talos.open(kind, json!({ "talos_version": "v3.0" })).await;
    assert!(first(&refused.unwrap_err()).detail.contains("v3.0"));
}

#[tokio::test]
async fn a_health_check_names_what_it_lacks() {
    let talos = Talos::new().await;
    let kind = "talos_cluster_health";
    let identity = super::administrator(&secrets());
    let config = |nodes: Json, timeout: &str| json!({ "endpoints": nodes, "control_plane_nodes": nodes, "client_configuration": identity, "timeout": timeout });
    let refused = talos.open(kind, config(json!([]), "1s")).await.unwrap_err();
    assert!(first(&refused).detail.contains("`endpoints` is empty"));
    let refused = talos.open(kind, config(json!(["10.0.0.1"]), "soon")).await;
    assert!(first(&refused.unwrap_err()).detail.contains("\"soon\""));
    // Nothing listens there.
    let refused = talos
        .open(kind, config(json!(["127.0.0.1:1"]), "50ms"))
        .await;
    assert!(first(&refused.unwrap_err()).detail.contains("127.0.0.1"));
}
