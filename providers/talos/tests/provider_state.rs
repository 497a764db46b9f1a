//! A state that terraform 1.11.4 with terraform-provider-talos 0.11.0 wrote: it decodes, and plans as no change.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use stead_sdk::Dialer;
use stead_sdk::testing::Harness;
use stead_sdk::value::Value;
use stead_talos::machinery::{Role, SecretsBundle};

fn state() -> Json {
    serde_json::from_str(include_str!("golden/provider-state/terraform.tfstate.json")).unwrap()
}

/// The instances of a type in the state.
fn instances(kind: &str) -> Vec<Json> {
    let resources = state()["resources"].as_array().unwrap().clone();
    let of_kind = resources.into_iter().filter(|r| r["type"] == kind);
    of_kind
        .flat_map(|r| r["instances"].as_array().unwrap().clone())
        .collect()
}

async fn talos() -> Harness {
    let (_, factory) = &stead_talos::factories(&Dialer::direct())[0];
    Harness::configured(&**factory, json!({})).await.unwrap()
}

/// The attributes of a state with only those left that a configuration sets.
fn configuration(attributes: &Json, names: &[&str]) -> Json {
    let members = attributes.as_object().unwrap().iter();
    let set = members.filter(|(k, _)| names.contains(&k.as_str()));
    Json::Object(set.map(|(k, v)| (k.clone(), v.clone())).collect())
}

const SECRETS: &str = "talos_machine_secrets";

/// The state's machine secrets with a client certificate that ends some days from now: the one in the state ends some day.
fn secrets_with_certificate_for(days: u64) -> (u64, Json) {
    let instance = instances(SECRETS).remove(0);
    let mut attributes = instance["attributes"].clone();
    let bundle = bundle(&attributes["machine_secrets"]);
    let ttl = Duration::from_secs(days * 24 * 3600);
    let client = bundle
        .client_certificate(&[Role::Admin], ttl, &mut rand::rng(), SystemTime::now())
        .unwrap();
    attributes["client_configuration"]["client_certificate"] = json!(STANDARD.encode(client.cert));
    attributes["client_configuration"]["client_key"] = json!(STANDARD.encode(client.key.expose()));
    (instance["schema_version"].as_u64().unwrap(), attributes)
}

/// The bundle behind the attribute, by way of its YAML form.
fn bundle(secrets: &Json) -> SecretsBundle {
    let pair = |name: &str| json!({ "crt": secrets["certs"][name]["cert"], "key": secrets["certs"][name]["key"] });
    let yaml = json!({
        "cluster": secrets["cluster"],
        "secrets": {
            "bootstraptoken": secrets["secrets"]["bootstrap_token"],
            "secretboxencryptionsecret": secrets["secrets"]["secretbox_encryption_secret"],
        },
        "trustdinfo": secrets["trustdinfo"],
        "certs": {
            "etcd": pair("etcd"),
            "k8s": pair("k8s"),
            "k8saggregator": pair("k8s_aggregator"),
            "k8sserviceaccount": secrets["certs"]["k8s_serviceaccount"],
            "os": pair("os"),
        },
    });
    SecretsBundle::from_yaml(&yaml.to_string()).unwrap()
}

#[tokio::test]
async fn machine_secrets_plan_as_no_change() {
    let talos = talos().await;
    let (version, attributes) = secrets_with_certificate_for(365);
    let stored = talos.stored(SECRETS, version, &attributes).unwrap();
    for config in [json!({}), json!({ "talos_version": "v1.13" })] {
        let config = talos.config(SECRETS, config).unwrap();
        let plan = talos.plan(SECRETS, Some(&stored), &config).await.unwrap();
        assert_eq!(plan.planned, stored.value);
        assert!(plan.requires_replace.is_empty());
    }
    let read = talos.read(SECRETS, &stored).await.unwrap();
    assert_eq!(read.unwrap().value, stored.value);
    let lower = talos
        .config(SECRETS, json!({ "talos_version": "1.12" }))
        .unwrap();
    let plan = talos.plan(SECRETS, Some(&stored), &lower).await.unwrap();
    assert_eq!(
        plan.requires_replace.len(),
        1,
        "lower contracts make new secrets"
    );
}

#[tokio::test]
async fn a_client_certificate_is_renewed_in_its_last_days() {
    let talos = talos().await;
    let (version, attributes) = secrets_with_certificate_for(29);
    let stored = talos.stored(SECRETS, version, &attributes).unwrap();
    let config = talos.config(SECRETS, json!({})).unwrap();
    let plan = talos.plan(SECRETS, Some(&stored), &config).await.unwrap();
    let client = plan.planned.get("client_configuration").unwrap();
    assert!(!client.get("client_key").unwrap().is_known());
    assert_eq!(
        plan.planned.get("machine_secrets"),
        stored.value.get("machine_secrets")
    );
    let renewed = talos
        .apply_planned(SECRETS, Some(&stored), plan, config.clone())
        .await
        .unwrap();
    assert_eq!(
        renewed.attribute("machine_secrets"),
        stored.attribute("machine_secrets")
    );
    assert_ne!(
        renewed.attribute("client_configuration"),
        stored.attribute("client_configuration")
    );
    let again = talos.plan(SECRETS, Some(&renewed), &config).await.unwrap();
    assert_eq!(again.planned, renewed.value);
}

#[tokio::test]
async fn secrets_are_imported_from_a_file() {
    let talos = talos().await;
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/secrets/v1.6.yaml"
    );
    let imported = talos.import(SECRETS, path).await.unwrap();
    assert_eq!(imported.text("talos_version"), "v1.3");
    let ty = imported.value.ty();
    let attributes = stead_sdk::value::json::to_json(&imported.value, &ty).unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(
        bundle(&attributes["machine_secrets"]),
        SecretsBundle::from_yaml(&text).unwrap()
    );
    // Version 0 of the state held the file's text.
    let old = json!({ "id": "x", "talos_version": null, "machine_secrets": text });
    let upgraded = talos.stored(SECRETS, 0, &old).unwrap();
    assert_eq!(
        upgraded.attribute("machine_secrets"),
        imported.attribute("machine_secrets")
    );
    let missing = talos
        .import(SECRETS, "/nowhere/secrets.yaml")
        .await
        .unwrap_err();
    assert!(
        missing
            .iter()
            .next()
            .unwrap()
            .summary
            .contains("/nowhere/secrets.yaml")
    );
}

#[tokio::test]
async fn secrets_are_made_for_the_version() {
    let talos = talos().await;
    let made = talos
        .apply(SECRETS, None, json!({ "talos_version": "v1.6" }))
        .await
        .unwrap();
    assert_eq!(
        (
            made.text("id").as_str(),
            made.text("talos_version").as_str()
        ),
        ("machine_secrets", "v1.6")
    );
    let ty = made.value.ty();
    let attributes = stead_sdk::value::json::to_json(&made.value, &ty).unwrap();
    bundle(&attributes["machine_secrets"]).validate().unwrap();
    let config = talos
        .config(SECRETS, json!({ "talos_version": "v1.6" }))
        .unwrap();
    assert_eq!(
        talos
            .plan(SECRETS, Some(&made), &config)
            .await
            .unwrap()
            .planned,
        made.value
    );
    let unknown = talos
        .config(SECRETS, json!({ "talos_version": "2.0" }))
        .unwrap();
    assert!(talos.plan(SECRETS, None, &unknown).await.is_err());
}

/// What a data source reads, attribute by attribute.
async fn reads_the_same(kind: &str, set: &[&str]) -> usize {
    let talos = talos().await;
    let found = instances(kind);
    for instance in &found {
        let expected = &instance["attributes"];
        let value = talos
            .data(kind, configuration(expected, set))
            .await
            .unwrap();
        let ty = value.ty();
        let read = stead_sdk::value::json::to_json(&value, &ty).unwrap();
        for (name, expected) in expected.as_object().unwrap() {
            assert_eq!(&read[name], expected, "{kind}.{name}");
        }
        assert!(value.is_wholly_known());
    }
    found.len()
}

#[tokio::test]
async fn machine_configurations_are_the_same_bytes() {
    let set = [
        "cluster_name",
        "cluster_endpoint",
        "machine_type",
        "machine_secrets",
        "config_patches",
    ];
    let given = [&set[..], &["talos_version", "kubernetes_version"]].concat();
    assert_eq!(
        reads_the_same("talos_machine_configuration", &given).await,
        2
    );
    // The defaults of the provider, too.
    let talos = talos().await;
    let expected = &instances("talos_machine_configuration")[0]["attributes"];
    let value = talos
        .data("talos_machine_configuration", configuration(expected, &set))
        .await
        .unwrap();
    for name in [
        "machine_configuration",
        "kubernetes_version",
        "talos_version",
        "id",
    ] {
        assert_eq!(
            value.get(name),
            expected[name].as_str().map(Value::string),
            "{name}"
        );
    }
}

#[tokio::test]
async fn client_configurations_are_the_same_bytes() {
    let set = ["cluster_name", "client_configuration", "endpoints", "nodes"];
    assert_eq!(reads_the_same("talos_client_configuration", &set).await, 1);
}

#[tokio::test]
async fn image_urls_are_the_same() {
    let set = [
        "talos_version",
        "schematic_id",
        "platform",
        "sbc",
        "architecture",
    ];
    assert_eq!(reads_the_same("talos_image_factory_urls", &set).await, 17);
}

#[tokio::test]
async fn patches_that_do_not_fit_are_named() {
    let talos = talos().await;
    let mut config = configuration(
        &instances("talos_machine_configuration")[0]["attributes"],
        &[
            "cluster_name",
            "cluster_endpoint",
            "machine_type",
            "machine_secrets",
        ],
    );
    config["config_patches"] = json!(["machine:\n  time: {}\n", "machine:\n  nope: 1\n"]);
    let found = talos
        .data("talos_machine_configuration", config)
        .await
        .unwrap_err();
    let diagnostic = found.iter().next().unwrap();
    assert_eq!(
        diagnostic.attribute.as_ref().unwrap().to_string(),
        "config_patches[1]"
    );
    assert!(
        diagnostic.detail.contains("unknown keys found"),
        "{}",
        diagnostic.detail
    );
    assert_eq!(diagnostic.summary, "Could not apply config_patches[1]");
}

/// What the published provider leaves of the types that talk to nodes: constant identifiers, the endpoint from the node, the
/// SHA-256 of the configuration's bytes, null for what is not set.
#[tokio::test]
async fn what_was_done_to_nodes_plans_as_no_change() {
    let talos = talos().await;
    let (_, secrets) = secrets_with_certificate_for(365);
    let generated = instances("talos_machine_configuration").remove(0);
    let text = generated["attributes"]["machine_configuration"]
        .as_str()
        .unwrap();
    let hash = Sha256::digest(text);
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let kubeconfig = bundle(&secrets["machine_secrets"])
        .kubeconfig(
            "lab",
            "https://10.0.0.2:6443",
            Duration::from_secs(365 * 24 * 3600),
            &mut rand::rng(),
            SystemTime::now(),
        )
        .unwrap();
    let client = &secrets["client_configuration"];
    let cases = [
        (
            "talos_machine_configuration_apply",
            json!({ "machine_configuration_input": text }),
            json!({
                "id": "machine_configuration_apply", "apply_mode": "auto", "resolved_apply_mode": "auto",
                "machine_configuration": text, "machine_configuration_hash": hash, "config_patches": null,
                "client_configuration_wo": null, "machine_configuration_input_wo": null, "on_destroy": null,
            }),
        ),
        (
            "talos_machine_bootstrap",
            json!({}),
            json!({ "id": "machine_bootstrap", "client_configuration_wo": null }),
        ),
        (
            "talos_cluster_kubeconfig",
            json!({}),
            json!({
                "id": "lab", "certificate_renewal_duration": "720h", "kubeconfig_raw": kubeconfig.to_yaml().expose(),
                "kubernetes_client_configuration": {
                    "host": kubeconfig.server,
                    "ca_certificate": STANDARD.encode(&kubeconfig.ca_certificate),
                    "client_certificate": STANDARD.encode(&kubeconfig.user.certificate),
                    "client_key": STANDARD.encode(kubeconfig.user.key.expose()),
                },
            }),
        ),
    ];
    for (kind, set, computed) in cases {
        let mut config = set;
        config["node"] = json!("10.0.0.2");
        config["client_configuration"] = client.clone();
        let mut attributes = config.clone();
        attributes["endpoint"] = json!("10.0.0.2");
        attributes["timeouts"] = Json::Null;
        for (name, value) in computed.as_object().unwrap() {
            attributes[name] = value.clone();
        }
        let stored = talos.stored(kind, 1, &attributes).unwrap();
        let config = talos.config(kind, config).unwrap();
        let plan = talos.plan(kind, Some(&stored), &config).await.unwrap();
        assert_eq!(plan.planned, stored.value, "{kind}");
        assert!(
            plan.requires_replace.is_empty() && plan.notes.is_empty(),
            "{kind}"
        );
    }
}
