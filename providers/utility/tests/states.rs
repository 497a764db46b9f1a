//! States written by the published providers are taken over without a change. `published/states.json` holds what
//! Terraform 1.11 wrote with them, and the configuration that it came from; its keys serve nothing but this test.

mod nowhere;

use serde_json::{Value as Json, json};
use stead_sdk::testing::Harness;
use stead_sdk::value::json::to_json;
use stead_sdk::{Dialer, ProviderFactory};

fn factory(type_name: &str) -> std::sync::Arc<dyn ProviderFactory> {
    let serves =
        |f: &std::sync::Arc<dyn ProviderFactory>| f.schema().resources.contains_key(type_name);
    let mut all = stead_utility::factories(&Dialer::direct(), nowhere::nowhere())
        .into_iter()
        .map(|(_, factory)| factory);
    all.find(serves)
        .unwrap_or_else(|| panic!("nobody serves {type_name}"))
}

#[tokio::test]
async fn published_states_plan_as_no_change() {
    let published: Vec<Json> = serde_json::from_str(include_str!("published/states.json")).unwrap();
    assert_eq!(published.len(), 19);
    for object in published {
        let type_name = object["type"].as_str().unwrap();
        let factory = factory(type_name);
        let harness = Harness::configured(&*factory, json!({})).await.unwrap();
        let stored = harness
            .stored(
                type_name,
                object["version"].as_u64().unwrap(),
                &object["attributes"],
            )
            .unwrap();
        let ty = factory.schema().resources[type_name].block.value_type();
        assert_eq!(
            to_json(&stored.value, &ty).unwrap(),
            object["attributes"],
            "{type_name}"
        );
        let config = harness.config(type_name, object["config"].clone()).unwrap();
        let plan = harness
            .plan(type_name, Some(&stored), &config)
            .await
            .unwrap();
        assert_eq!(plan.planned, stored.value, "{type_name}");
        assert!(
            plan.requires_replace.is_empty(),
            "{type_name}: {:?}",
            plan.requires_replace
        );
        if type_name != "local_file" {
            assert_eq!(
                harness
                    .read(type_name, &stored)
                    .await
                    .unwrap()
                    .unwrap()
                    .value,
                stored.value,
                "{type_name}"
            );
        }
    }
}

#[tokio::test]
async fn older_passwords_gain_what_they_lack() {
    let harness = Harness::configured(&*factory("random_password"), json!({}))
        .await
        .unwrap();
    let old =
        json!({"id": "none", "result": "secret", "number": true, "length": null, "upper": null});
    let stored = harness.stored("random_password", 0, &old).unwrap();
    assert_eq!(stored.attribute("length").as_i64(), Some(6));
    assert_eq!(stored.attribute("numeric").as_bool(), Some(true));
    assert!(bcrypt::verify("secret", &stored.text("bcrypt_hash")).unwrap());
    let config = harness
        .config("random_password", json!({"length": 6}))
        .unwrap();
    let plan = harness
        .plan("random_password", Some(&stored), &config)
        .await
        .unwrap();
    assert_eq!(plan.planned, stored.value);
}

#[tokio::test]
async fn older_keys_gain_the_newer_forms() {
    let published: Vec<Json> = serde_json::from_str(include_str!("published/states.json")).unwrap();
    let harness = Harness::configured(&*factory("tls_private_key"), json!({}))
        .await
        .unwrap();
    let mut seen = 0;
    for object in published.iter().filter(|o| o["type"] == "tls_private_key") {
        let mut old = object["attributes"].clone();
        let members = old.as_object_mut().unwrap();
        for name in [
            "private_key_openssh",
            "private_key_pem_pkcs8",
            "public_key_fingerprint_sha256",
        ] {
            members.remove(name);
        }
        let stored = harness.stored("tls_private_key", 0, &old).unwrap();
        for name in ["private_key_pem_pkcs8", "public_key_fingerprint_sha256"] {
            assert_eq!(
                stored.text(name),
                object["attributes"][name].as_str().unwrap(),
                "{name} of {old}"
            );
        }
        let openssh = |text: &str| text.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----\n");
        let published = object["attributes"]["private_key_openssh"]
            .as_str()
            .unwrap();
        assert_eq!(
            openssh(&stored.text("private_key_openssh")),
            openssh(published)
        );
        seen += 1;
    }
    assert_eq!(seen, 6);
}
