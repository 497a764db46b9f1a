//! States written by azurerm 4.81 and 5.2 are taken over without a change. `published/states.json` holds what they wrote
//! against a loopback server with made-up ids and keys, and the configuration that it came from.

use serde_json::{Value as Json, json};
use stead_sdk::Dialer;
use stead_sdk::testing::{Harness, Stored};

fn states() -> Vec<Json> {
    serde_json::from_str(include_str!("published/states.json")).unwrap()
}

fn harness() -> Harness {
    Harness::unconfigured(&*stead_azure::factories(&Dialer::direct())[0].1)
}

fn stored(harness: &Harness, object: &Json) -> Stored {
    let version = object["version"].as_u64().unwrap();
    harness
        .stored(
            object["type"].as_str().unwrap(),
            version,
            &object["attributes"],
        )
        .unwrap()
}

#[tokio::test]
async fn published_states_plan_as_no_change() {
    let harness = harness();
    let all = states();
    assert_eq!(all.len(), 12);
    for object in &all {
        let name = object["type"].as_str().unwrap();
        let what = format!("{name} of {}", object["provider"]);
        let stored = stored(&harness, object);
        for (attribute, value) in object["attributes"].as_object().unwrap() {
            if let Some(text) = value.as_str() {
                assert_eq!(stored.text(attribute), text, "{what}: {attribute}");
            }
        }
        let config = harness.config(name, object["config"].clone()).unwrap();
        let plan = harness.plan(name, Some(&stored), &config).await.unwrap();
        assert_eq!(plan.planned, stored.value, "{what}");
        assert!(
            plan.requires_replace.is_empty(),
            "{what}: {:?}",
            plan.requires_replace
        );
    }
}

/// Another spelling of the location, of the same account and of the same role changes nothing.
#[tokio::test]
async fn other_spellings_plan_as_no_change() {
    let harness = harness();
    let group = states()
        .into_iter()
        .find(|o| o["type"] == "azurerm_resource_group")
        .unwrap();
    let prior = stored(&harness, &group);
    let config = json!({"name": "rg-lab", "location": "West Europe", "tags": {"env": "lab"}});
    let config = harness.config("azurerm_resource_group", config).unwrap();
    let plan = harness
        .plan("azurerm_resource_group", Some(&prior), &config)
        .await
        .unwrap();
    assert_eq!(plan.planned, prior.value);
    assert!(plan.requires_replace.is_empty());
    let moved = harness
        .config(
            "azurerm_resource_group",
            json!({"name": "rg-lab", "location": "northeurope"}),
        )
        .unwrap();
    let plan = harness
        .plan("azurerm_resource_group", Some(&prior), &moved)
        .await
        .unwrap();
    assert_eq!(plan.requires_replace.len(), 1);
}

/// A container that azurerm 4 made by the account's name: its id becomes the one of Resource Manager.
#[tokio::test]
async fn older_containers_get_their_new_id() {
    let harness = harness();
    let id = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/salab/blobServices/default/containers/c";
    let old = json!({
        "id": "https://salab.blob.core.windows.net/c", "resource_manager_id": id, "name": "abc",
        "storage_account_name": "salab", "container_access_type": "private", "encryption_scope_override_enabled": true,
    });
    let prior = harness
        .stored("azurerm_storage_container", 1, &old)
        .unwrap();
    assert_eq!(prior.text("id"), id);
    let by = |config: Json| harness.config("azurerm_storage_container", config).unwrap();
    let account = id.split("/blobServices").next().unwrap();
    for (config, replaced) in [
        (
            json!({"name": "abc", "storage_account_name": "salab"}),
            false,
        ),
        (json!({"name": "abc", "storage_account_id": account}), false),
        (
            json!({"name": "abc", "storage_account_name": "other"}),
            true,
        ),
    ] {
        let plan = harness
            .plan(
                "azurerm_storage_container",
                Some(&prior),
                &by(config.clone()),
            )
            .await
            .unwrap();
        assert_eq!(!plan.requires_replace.is_empty(), replaced, "{config}");
    }
}

#[tokio::test]
async fn a_new_value_is_a_new_version_and_a_lost_expiry_a_new_secret() {
    let harness = harness();
    let secret = states()
        .into_iter()
        .find(|o| o["type"] == "azurerm_key_vault_secret")
        .unwrap();
    let mut prior = stored(&harness, &secret);
    let mut config = secret["config"].clone();
    config["tags"] = json!({"app": "gitea"});
    let tagged = harness
        .config("azurerm_key_vault_secret", config.clone())
        .unwrap();
    let plan = harness
        .plan("azurerm_key_vault_secret", Some(&prior), &tagged)
        .await
        .unwrap();
    assert_eq!(plan.planned.get("version"), prior.value.get("version"));
    config["value"] = json!("other");
    let changed = harness.config("azurerm_key_vault_secret", config).unwrap();
    let plan = harness
        .plan("azurerm_key_vault_secret", Some(&prior), &changed)
        .await
        .unwrap();
    assert!(!plan.planned.get("id").unwrap().is_known());
    let mut attributes = secret["attributes"].clone();
    attributes["expiration_date"] = json!("2030-01-31T00:00:00Z");
    prior = harness
        .stored("azurerm_key_vault_secret", 0, &attributes)
        .unwrap();
    let config = harness
        .config("azurerm_key_vault_secret", secret["config"].clone())
        .unwrap();
    let plan = harness
        .plan("azurerm_key_vault_secret", Some(&prior), &config)
        .await
        .unwrap();
    assert_eq!(plan.requires_replace.len(), 1);
}

#[tokio::test]
async fn impossible_configurations_are_refused() {
    let harness = harness();
    let vault = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv";
    for (name, config, attribute) in [
        (
            "azurerm_key_vault_secret",
            json!({"name": "a_b", "key_vault_id": vault, "value": "x"}),
            "name",
        ),
        (
            "azurerm_key_vault_secret",
            json!({"name": "a", "key_vault_id": vault}),
            "value",
        ),
        (
            "azurerm_key_vault_secret",
            json!({"name": "a", "key_vault_id": vault, "value_wo": "x"}),
            "value_wo_version",
        ),
        (
            "azurerm_storage_container",
            json!({"name": "abc"}),
            "storage_account_id",
        ),
        (
            "azurerm_storage_account",
            json!({"name": "Salab", "location": "x", "resource_group_name": "rg", "account_tier": "Standard",
                   "account_replication_type": "LRS"}),
            "name",
        ),
        (
            "azurerm_role_assignment",
            json!({"scope": vault, "principal_id": "p"}),
            "role_definition_name",
        ),
    ] {
        let config = harness.config(name, config).unwrap();
        let refused = harness.plan(name, None, &config).await.unwrap_err();
        let paths: Vec<String> = refused
            .iter()
            .filter_map(|d| d.attribute.as_ref().map(ToString::to_string))
            .collect();
        assert!(
            paths.iter().any(|p| p.trim_start_matches('.') == attribute),
            "{name}: {paths:?}"
        );
    }
}
