//! Whole lives of the resources against a small Azure that lags the way the real one does.

mod support;

use serde_json::{Value as Json, json};
use stead_sdk::Remains;
use stead_sdk::testing::{Harness, Stored};
use support::Azure;

const GROUP: &str = "/subscriptions/sub/resourceGroups/rg-lab";
const VAULT: &str =
    "/subscriptions/sub/resourceGroups/rg-lab/providers/Microsoft.KeyVault/vaults/kv-lab";
const ACCOUNT: &str =
    "/subscriptions/sub/resourceGroups/rg-lab/providers/Microsoft.Storage/storageAccounts/salab";

async fn provider(azure: &Azure, features: Json) -> Harness {
    let factories = stead_azure::factories(&azure.dialer);
    let config = json!({
        "features": [features], "subscription_id": "sub", "tenant_id": "tenant", "client_id": "app",
        "client_secret": "s3cret", "use_cli": false,
    });
    Harness::configured(&*factories[0].1, config).await.unwrap()
}

async fn vault(harness: &Harness) -> Stored {
    let config = json!({
        "name": "kv-lab", "location": "West Europe", "resource_group_name": "rg-lab", "tenant_id": "tenant",
        "sku_name": "standard", "rbac_authorization_enabled": true, "soft_delete_retention_days": 7,
    });
    harness
        .apply("azurerm_key_vault", None, config)
        .await
        .unwrap()
}

/// Whether an object has this identity, and is found by it.
async fn identified(harness: &Harness, name: &str, stored: &Stored, identity: Json) {
    let own = stored.identity.as_ref().expect("an identity");
    assert_eq!(
        stead_sdk::value::json::to_json(own, &own.ty()).unwrap(),
        identity
    );
    let imported = harness.import_by_identity(name, identity).await.unwrap();
    assert_eq!(imported.text("id"), stored.text("id"));
    assert_eq!(imported.identity, stored.identity);
}

/// Nothing differs when it is read again and planned again.
async fn settled(harness: &Harness, name: &str, stored: &Stored, config: Json) {
    let read = harness
        .read(name, stored)
        .await
        .unwrap()
        .expect("it is there");
    assert_eq!(read.value, stored.value, "{name}");
    let config = harness.config(name, config).unwrap();
    let plan = harness.plan(name, Some(&read), &config).await.unwrap();
    assert_eq!(plan.planned, stored.value, "{name}");
}

#[tokio::test]
async fn a_resource_group_comes_changes_and_goes() {
    let azure = Azure::start().await;
    let harness = provider(&azure, json!({})).await;
    let config = json!({"name": "rg-lab", "location": "westeurope", "tags": {"env": "lab"}});
    let group = harness
        .apply("azurerm_resource_group", None, config.clone())
        .await
        .unwrap();
    assert_eq!(group.text("id"), GROUP);
    assert_eq!(
        azure.log(),
        [
            format!("GET {GROUP}"),
            format!("PUT {GROUP}"),
            format!("GET {GROUP}")
        ]
    );
    settled(&harness, "azurerm_resource_group", &group, config.clone()).await;

    let again = harness
        .apply("azurerm_resource_group", None, config)
        .await
        .unwrap_err();
    assert!(
        again
            .diagnostics
            .iter()
            .any(|d| d.detail.contains("import")),
        "{again:?}"
    );

    let config = json!({"name": "rg-lab", "location": "westeurope", "tags": {"env": "prod"}});
    let group = harness
        .apply("azurerm_resource_group", Some(&group), config)
        .await
        .unwrap();
    assert_eq!(azure.body(GROUP).unwrap()["tags"], json!({"env": "prod"}));
    let imported = harness
        .import("azurerm_resource_group", GROUP)
        .await
        .unwrap();
    let read = harness
        .read("azurerm_resource_group", &imported)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(read.text("location"), "westeurope");
    let identity = json!({"name": "rg-lab", "subscription_id": "sub"});
    identified(&harness, "azurerm_resource_group", &group, identity).await;
    let nameless = json!({"name": "", "subscription_id": "sub"});
    let error = harness
        .import_by_identity("azurerm_resource_group", nameless)
        .await
        .unwrap_err();
    let detail = &error.iter().next().unwrap().detail;
    assert!(
        detail.contains("/subscriptions/sub/resourceGroups/"),
        "{detail}"
    );

    azure.lag("operation", 2);
    azure.log();
    harness
        .delete("azurerm_resource_group", &group)
        .await
        .unwrap();
    let log = azure.log();
    assert_eq!(
        log[..2],
        [format!("GET {GROUP}/resources"), format!("DELETE {GROUP}")]
    );
    assert_eq!(
        log.iter()
            .filter(|l| l.starts_with("GET /operations/"))
            .count(),
        3
    );
    assert!(
        harness
            .read("azurerm_resource_group", &group)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_vault_is_ready_when_its_name_is() {
    let azure = Azure::start().await;
    azure.lag("vault", 2);
    let harness = provider(&azure, json!({})).await;
    let made = vault(&harness).await;
    assert_eq!(made.text("id"), VAULT);
    assert_eq!(made.text("vault_uri"), "https://kv-lab.vault.azure.net/");
    assert_eq!(made.text("location"), "West Europe");
    let sent = azure.body(VAULT).unwrap();
    assert_eq!(sent["location"], "westeurope");
    assert_eq!(sent["properties"]["createMode"], "default");
    let read = harness
        .read("azurerm_key_vault", &made)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(read.value, made.value);
    azure.log();
    harness.delete("azurerm_key_vault", &made).await.unwrap();
    let purge = "POST /subscriptions/sub/providers/Microsoft.KeyVault/locations/westeurope/deletedVaults/kv-lab/purge";
    assert!(azure.log().contains(&purge.to_owned()));
}

#[tokio::test]
async fn a_vault_whose_delete_was_cut_off_is_left_until_it_is_purged() {
    let azure = Azure::start().await;
    let harness = provider(&azure, json!({})).await;
    let made = vault(&harness).await;
    let remains = harness.remains("azurerm_key_vault", &made).await.unwrap();
    assert!(matches!(remains, Remains::Whole(_)), "{remains:?}");
    harness.delete("azurerm_key_vault", &made).await.unwrap();
    let remains = harness.remains("azurerm_key_vault", &made).await.unwrap();
    assert!(matches!(remains, Remains::Nothing), "{remains:?}");
    let deleted =
        "/subscriptions/sub/providers/Microsoft.KeyVault/locations/westeurope/deletedVaults/kv-lab";
    azure.put(deleted, json!({"properties": {}}));
    let remains = harness.remains("azurerm_key_vault", &made).await.unwrap();
    assert!(matches!(remains, Remains::Part(_)), "{remains:?}");
    let keeping = json!({"key_vault": [{"purge_soft_delete_on_destroy": false}]});
    let keeping = provider(&azure, keeping).await;
    let remains = keeping.remains("azurerm_key_vault", &made).await.unwrap();
    assert!(matches!(remains, Remains::Nothing), "{remains:?}");
}

#[tokio::test]
async fn a_secret_whose_delete_was_cut_off_is_left_until_it_is_purged() {
    let azure = Azure::start().await;
    let keeping = json!({"key_vault": [{"purge_soft_deleted_secrets_on_destroy": false}]});
    let keeping = provider(&azure, keeping).await;
    vault(&keeping).await;
    let secret = json!({"name": "db-password", "key_vault_id": VAULT, "value": "hunter2"});
    const NAME: &str = "azurerm_key_vault_secret";
    let made = keeping.apply(NAME, None, secret).await.unwrap();
    let remains = keeping.remains(NAME, &made).await.unwrap();
    assert!(matches!(remains, Remains::Whole(_)), "{remains:?}");
    keeping.delete(NAME, &made).await.unwrap();
    let remains = keeping.remains(NAME, &made).await.unwrap();
    assert!(matches!(remains, Remains::Nothing), "{remains:?}");
    let purging = provider(&azure, json!({})).await;
    let remains = purging.remains(NAME, &made).await.unwrap();
    assert!(matches!(remains, Remains::Part(_)), "{remains:?}");
    purging.delete(NAME, &made).await.unwrap();
    let remains = purging.remains(NAME, &made).await.unwrap();
    assert!(matches!(remains, Remains::Nothing), "{remains:?}");
}

#[tokio::test]
async fn a_deleted_vault_of_the_name_is_recovered_or_explained() {
    let azure = Azure::start().await;
    let deleted =
        "/subscriptions/sub/providers/Microsoft.KeyVault/locations/westeurope/deletedVaults/kv-lab";
    azure.put(deleted, json!({"properties": {}}));
    let strict = json!({"key_vault": [{"recover_soft_deleted_key_vaults": false}]});
    let config = json!({
        "name": "kv-lab", "location": "westeurope", "resource_group_name": "rg-lab", "tenant_id": "tenant",
        "sku_name": "standard", "rbac_authorization_enabled": true,
    });
    let strict = provider(&azure, strict).await;
    let refused = strict
        .apply("azurerm_key_vault", None, config)
        .await
        .unwrap_err();
    assert!(refused.kept.is_none());
    assert!(
        refused
            .diagnostics
            .iter()
            .any(|d| d.detail.contains("az keyvault purge --name kv-lab"))
    );
    vault(&provider(&azure, json!({})).await).await;
    assert_eq!(
        azure.body(VAULT).unwrap()["properties"]["createMode"],
        "recover"
    );
}

#[tokio::test]
async fn a_secret_waits_for_the_role_that_was_just_assigned() {
    let azure = Azure::start().await;
    let harness = provider(&azure, json!({})).await;
    vault(&harness).await;
    let secret = json!({"name": "db-password", "key_vault_id": VAULT, "value": "hunter2"});

    // Nothing was assigned: the refusal is final, and says which role is missing.
    azure.lag("role", 1);
    let refused = harness
        .apply("azurerm_key_vault_secret", None, secret.clone())
        .await
        .unwrap_err();
    let text = format!("{:?}", refused.diagnostics);
    assert!(
        text.contains(
            "az role assignment create --assignee app --role \\\"Key Vault Secrets Officer\\\""
        ),
        "{text}"
    );
    assert!(
        !text.contains("hunter2") && !text.contains("s3cret"),
        "{text}"
    );

    azure.lag("principal", 2);
    let config = json!({"scope": VAULT, "role_definition_name": "Key Vault Secrets User", "principal_id": "object"});
    let role = harness
        .apply("azurerm_role_assignment", None, config.clone())
        .await
        .unwrap();
    assert!(role.text("role_definition_id").ends_with("/4633458b"));
    settled(&harness, "azurerm_role_assignment", &role, config).await;

    azure.lag("role", 3);
    let made = harness
        .apply("azurerm_key_vault_secret", None, secret.clone())
        .await
        .unwrap();
    assert_eq!(
        made.text("id"),
        "https://kv-lab.vault.azure.net/secrets/db-password/v1"
    );
    assert_eq!(
        made.text("resource_id"),
        format!("{VAULT}/secrets/db-password/versions/v1")
    );
    settled(&harness, "azurerm_key_vault_secret", &made, secret).await;
    harness
        .delete("azurerm_role_assignment", &role)
        .await
        .unwrap();
}

#[tokio::test]
async fn secrets_get_versions_are_purged_and_recovered() {
    let azure = Azure::start().await;
    let harness = provider(&azure, json!({})).await;
    vault(&harness).await;
    let config = |value: &str, tag: &str| {
        json!({
            "name": "a", "key_vault_id": VAULT, "value": value, "tags": {"t": tag}, "expiration_date": "2030-01-31T00:00:00Z",
        })
    };
    let kind = "azurerm_key_vault_secret";
    let first = harness.apply(kind, None, config("one", "x")).await.unwrap();
    let tagged = harness
        .apply(kind, Some(&first), config("one", "y"))
        .await
        .unwrap();
    assert_eq!(tagged.text("version"), "v1");
    let second = harness
        .apply(kind, Some(&tagged), config("two", "y"))
        .await
        .unwrap();
    assert_eq!(
        (second.text("version"), second.text("value")),
        ("v2".into(), "two".into())
    );
    settled(&harness, kind, &second, config("two", "y")).await;
    let found = harness
        .data(kind, json!({"name": "a", "key_vault_id": VAULT}))
        .await
        .unwrap();
    assert_eq!(
        found.get("expiration_date").unwrap().as_str(),
        Some("2030-01-31T00:00:00Z")
    );

    azure.lag("deletion", 2);
    harness.delete(kind, &second).await.unwrap();
    assert!(azure.names_of_deleted_secrets().is_empty());
    assert!(harness.read(kind, &second).await.unwrap().is_none());

    // Without the right to purge, the secret is gone all the same; the next creation recovers it.
    let third = harness
        .apply(kind, None, config("three", "x"))
        .await
        .unwrap();
    azure.lag("purge right", 1);
    harness.delete(kind, &third).await.unwrap();
    assert_eq!(azure.names_of_deleted_secrets(), ["a"]);
    let keep = json!({"key_vault": [{"recover_soft_deleted_secrets": false}]});
    let refused = provider(&azure, keep)
        .await
        .apply(kind, None, config("four", "x"))
        .await
        .unwrap_err();
    assert!(format!("{:?}", refused.diagnostics).contains("recover_soft_deleted_secrets = true"));
    let back = harness
        .apply(kind, None, config("four", "x"))
        .await
        .unwrap();
    assert_eq!(
        (back.text("version"), back.text("value")),
        ("v2".into(), "four".into())
    );
}

#[tokio::test]
async fn a_write_only_value_is_set_and_not_stored() {
    let azure = Azure::start().await;
    let harness = provider(&azure, json!({})).await;
    vault(&harness).await;
    let kind = "azurerm_key_vault_secret";
    let config = |value: &str, version: u32| {
        json!({
            "name": "a", "key_vault_id": VAULT, "value_wo": value, "value_wo_version": version,
        })
    };
    let made = harness.apply(kind, None, config("one", 1)).await.unwrap();
    assert!(!format!("{:?}", made.value).contains("one"));
    settled(&harness, kind, &made, config("ignored", 1)).await;
    let made = harness
        .apply(kind, Some(&made), config("two", 2))
        .await
        .unwrap();
    assert_eq!(made.text("version"), "v2");
    let found = harness
        .data(kind, json!({"name": "a", "key_vault_id": VAULT}))
        .await
        .unwrap();
    assert_eq!(found.get("value").unwrap().as_str(), Some("two"));
}

#[tokio::test]
async fn a_storage_account_its_container_and_a_signature() {
    let azure = Azure::start().await;
    azure.lag("operation", 2);
    let harness = provider(&azure, json!({})).await;
    let config = json!({
        "name": "salab", "location": "westeurope", "resource_group_name": "rg-lab", "account_tier": "Standard",
        "account_replication_type": "LRS",
        "blob_properties": [{"versioning_enabled": true, "delete_retention_policy": [{"days": 14}]}],
    });
    let account = harness
        .apply("azurerm_storage_account", None, config.clone())
        .await
        .unwrap();
    assert_eq!(account.text("id"), ACCOUNT);
    assert_eq!(
        account.text("primary_connection_string"),
        "DefaultEndpointsProtocol=https;AccountName=salab;AccountKey=a2V5MQ==;EndpointSuffix=core.windows.net"
    );
    assert_eq!(
        account.text("primary_blob_host"),
        "salab.blob.core.windows.net"
    );
    assert_eq!(
        azure.body(ACCOUNT).unwrap()["properties"]["allowBlobPublicAccess"],
        false
    );
    settled(&harness, "azurerm_storage_account", &account, config).await;
    let imported = harness
        .import("azurerm_storage_account", ACCOUNT)
        .await
        .unwrap();
    assert_eq!(imported.text("account_replication_type"), "LRS");
    let identity =
        json!({"name": "salab", "resource_group_name": "rg-lab", "subscription_id": "sub"});
    identified(&harness, "azurerm_storage_account", &account, identity).await;

    azure.lag("container", 2);
    let config = json!({"name": "gitea-db-clean", "storage_account_id": ACCOUNT});
    let container = harness
        .apply("azurerm_storage_container", None, config.clone())
        .await
        .unwrap();
    assert_eq!(
        container.text("url"),
        "https://salab.blob.core.windows.net/gitea-db-clean"
    );
    settled(&harness, "azurerm_storage_container", &container, config).await;

    let config = json!({
        "connection_string": account.text("primary_connection_string"), "container_name": "gitea-db-clean",
        "start": "2026-01-01T00:00:00Z", "expiry": "2030-01-01T00:00:00Z", "permissions": [{"read": true, "list": true}],
    });
    let sas = harness
        .data("azurerm_storage_account_blob_container_sas", config)
        .await
        .unwrap();
    let token = sas.get("sas").unwrap().as_str().unwrap().to_owned();
    assert!(token.starts_with("?sv=2018-11-09&sr=c&"), "{token}");
    harness
        .delete("azurerm_storage_container", &container)
        .await
        .unwrap();
    harness
        .delete("azurerm_storage_account", &account)
        .await
        .unwrap();
    assert!(
        harness
            .read("azurerm_storage_account", &account)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn what_was_accepted_is_kept_when_the_operation_fails() {
    let azure = Azure::start().await;
    azure.lag("failure", 1);
    let harness = provider(&azure, json!({})).await;
    let config = json!({
        "name": "salab", "location": "westeurope", "resource_group_name": "rg-lab", "account_tier": "Standard",
        "account_replication_type": "LRS",
    });
    let failed = harness
        .apply("azurerm_storage_account", None, config)
        .await
        .unwrap_err();
    assert!(
        failed
            .diagnostics
            .iter()
            .any(|d| d.detail.contains("Quota no more accounts"))
    );
    assert_eq!(failed.kept.expect("it may exist").text("id"), ACCOUNT);
}

#[tokio::test]
async fn who_signs_in_is_told_by_the_token() {
    let azure = Azure::start().await;
    let harness = provider(&azure, json!({})).await;
    let who = harness
        .data("azurerm_client_config", json!({}))
        .await
        .unwrap();
    let text = |name: &str| who.get(name).unwrap().as_str().unwrap().to_owned();
    assert_eq!(
        [
            text("client_id"),
            text("object_id"),
            text("subscription_id"),
            text("tenant_id")
        ],
        ["app", "object", "sub", "tenant"]
    );
}

#[tokio::test]
async fn the_environment_and_a_metadata_host_stand_in_for_settings() {
    let variables = [
        ("ARM_SUBSCRIPTION_ID", "sub"),
        ("ARM_TENANT_ID", "tenant"),
        ("ARM_CLIENT_ID", "app"),
        ("ARM_CLIENT_SECRET", "s3cret"),
        ("ARM_METADATA_HOSTNAME", "management.azure.com"),
    ];
    let azure = Azure::start_with(&variables).await;
    let factories = stead_azure::factories(&azure.dialer);
    let harness = Harness::configured(&*factories[0].1, json!({"features": [{}]}))
        .await
        .unwrap();
    let config = json!({
        "name": "salab", "location": "westeurope", "resource_group_name": "rg-lab", "account_tier": "Standard",
        "account_replication_type": "LRS",
    });
    let account = harness
        .apply("azurerm_storage_account", None, config)
        .await
        .unwrap();
    assert!(
        account
            .text("primary_connection_string")
            .ends_with(";EndpointSuffix=storage.lab")
    );
}

#[tokio::test]
async fn what_cannot_be_configured_is_explained() {
    let azure = Azure::start().await;
    let factories = stead_azure::factories(&azure.dialer);
    for (config, detail) in [
        (json!({"subscription_id": "s"}), "features {}"),
        (json!({"features": [{}]}), "ARM_SUBSCRIPTION_ID"),
        (
            json!({"features": [{}], "subscription_id": "s", "use_cli": false}),
            "use_oidc",
        ),
        (
            json!({"features": [{}], "subscription_id": "s", "client_secret": "x"}),
            "ARM_TENANT_ID",
        ),
        (
            json!({"features": [{}], "subscription_id": "s", "environment": "mars"}),
            "metadata_host",
        ),
        (
            json!({"features": [{}], "client_certificate_path": "x"}),
            "client_certificate_path",
        ),
    ] {
        let refused = Harness::configured(&*factories[0].1, config.clone())
            .await
            .err()
            .expect("a refusal");
        assert!(
            refused.iter().any(|d| d.detail.contains(detail)),
            "{config}: {refused:?}"
        );
    }
}
