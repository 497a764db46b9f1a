//! Key Vault's data plane, with Azure's own client and by hand.

mod common;

use std::sync::Arc;

use azure_core::credentials::Secret;
use azure_core::http::{ClientOptions, RetryOptions, Transport};
use azure_identity::{ClientSecretCredential, ClientSecretCredentialOptions};
use azure_security_keyvault_secrets::models::SetSecretParameters;
use azure_security_keyvault_secrets::{SecretClient, SecretClientOptions};
use common::World;
use futures::TryStreamExt;
use serde_json::json;
use stead_lab_core::faults::{Effect, Fault};

const OFFICER: &str = "b86a8fe4-44ce-4948-aee5-eccb2c155cd7";
const NAME: &str = "11111111-1111-4111-8111-111111111111";

fn options(world: &World) -> ClientOptions {
    ClientOptions {
        transport: Some(Transport::new(Arc::new(world.http.clone()))),
        retry: RetryOptions::none(),
        ..ClientOptions::default()
    }
}

fn client(world: &World) -> SecretClient {
    let principal = &world.azure.options().principals[0];
    let credential = ClientSecretCredential::new(
        &world.azure.options().tenant_id,
        principal.client_id.clone(),
        Secret::from(principal.client_secret.0.clone()),
        Some(ClientSecretCredentialOptions {
            client_options: options(world),
        }),
    )
    .unwrap();
    let options = SecretClientOptions {
        client_options: options(world),
        ..SecretClientOptions::default()
    };
    SecretClient::new("https://kv-lab.vault.azure.net", credential, Some(options)).unwrap()
}

fn value(text: &str) -> azure_core::http::RequestContent<SetSecretParameters> {
    SetSecretParameters {
        value: Some(text.into()),
        ..SetSecretParameters::default()
    }
    .try_into()
    .unwrap()
}

#[tokio::test]
async fn the_official_client_sets_reads_lists_deletes_and_recovers() {
    let world = World::furnished().await;
    world.grant(&world.vault(), OFFICER, NAME).await;
    let client = client(&world);
    let first = client
        .set_secret("db-password", value("one"), None)
        .await
        .unwrap()
        .into_model()
        .unwrap();
    assert_eq!(first.value.as_deref(), Some("one"));
    client
        .set_secret("db-password", value("two"), None)
        .await
        .unwrap();
    let read = client
        .get_secret("db-password", None)
        .await
        .unwrap()
        .into_model()
        .unwrap();
    assert_eq!(read.value.as_deref(), Some("two"));
    let versions: Vec<_> = client
        .list_secret_properties_versions("db-password", None)
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(versions.len(), 2);
    for n in 0..30 {
        client
            .set_secret(&format!("app-{n}"), value("x"), None)
            .await
            .unwrap();
    }
    let all: Vec<_> = client
        .list_secret_properties(None)
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(all.len(), 31, "pages of 25 are followed");

    client.delete_secret("db-password", None).await.unwrap();
    let gone = client.get_secret("db-password", None).await.unwrap_err();
    assert_eq!(gone.http_status().map(u16::from), Some(404));
    // The first look still finds the deletion under way.
    assert!(
        client
            .get_deleted_secret("db-password", None)
            .await
            .is_err()
    );
    client
        .get_deleted_secret("db-password", None)
        .await
        .unwrap();
    let taken = client
        .set_secret("db-password", value("three"), None)
        .await
        .unwrap_err();
    assert!(
        taken.to_string().contains("deleted but recoverable"),
        "{taken}"
    );
    client
        .recover_deleted_secret("db-password", None)
        .await
        .unwrap();
    let world = world.restart().await;
    let read = self::client(&world)
        .get_secret("db-password", None)
        .await
        .unwrap()
        .into_model()
        .unwrap();
    assert_eq!(read.value.as_deref(), Some("two"));
}

#[tokio::test]
async fn rights_on_the_subscription_are_no_rights_on_the_secrets() {
    let world = World::furnished().await;
    let url = "https://kv-lab.vault.azure.net/secrets/a?api-version=7.4";
    let stranger = world.send("GET", url, None, None).await;
    assert_eq!(stranger.status, 401);
    assert!(
        stranger
            .header("www-authenticate")
            .contains("resource=\"https://vault.azure.net\"")
    );
    let token = world.bearer(0, "https://vault.azure.net/.default").await;
    let owner = world.send("GET", url, Some(&token), None).await;
    assert_eq!(
        (
            owner.status,
            owner.body["error"]["innererror"]["code"].as_str()
        ),
        (403, Some("ForbiddenByRbac"))
    );
    world.grant(&world.vault(), OFFICER, NAME).await;
    assert_eq!(
        world.send("GET", url, Some(&token), None).await.code(),
        "SecretNotFound"
    );
    let lag = Fault {
        name: "azure.rbac-lag".into(),
        effect: Effect::On,
        skip: 0,
        times: Some(1),
        percent: 100,
    };
    world.lab.faults.set(lag).unwrap();
    assert_eq!(world.send("GET", url, Some(&token), None).await.status, 403);
    assert_eq!(world.send("GET", url, Some(&token), None).await.status, 404);
    let keys = world
        .send(
            "POST",
            "https://kv-lab.vault.azure.net/keys/k/create?api-version=7.4",
            Some(&token),
            Some(json!({"kty": "RSA"})),
        )
        .await;
    assert_eq!((keys.status, keys.code()), (501, "NotImplemented"));
}

#[tokio::test]
async fn access_policies_rule_a_vault_without_rbac() {
    let world = World::furnished().await;
    let principal = world.azure.options().principals[1].object_id.clone();
    let tenant = world.azure.options().tenant_id.clone();
    let off = json!({"properties": {"enableRbacAuthorization": false, "accessPolicies": [
        {"tenantId": tenant, "objectId": principal, "permissions": {"secrets": ["Get", "Set", "Delete"]}}]}});
    assert_eq!(
        world
            .arm("PATCH", &world.vault(), "2026-02-01", Some(off))
            .await
            .status,
        200
    );
    let token = world.bearer(1, "https://vault.azure.net/.default").await;
    let url = "https://kv-lab.vault.azure.net/secrets/a?api-version=7.4";
    assert_eq!(
        world
            .send("PUT", url, Some(&token), Some(json!({"value": "v"})))
            .await
            .status,
        200
    );
    assert_eq!(
        world.send("GET", url, Some(&token), None).await.body["value"],
        "v"
    );
    let list = world
        .send(
            "GET",
            "https://kv-lab.vault.azure.net/secrets?api-version=7.4",
            Some(&token),
            None,
        )
        .await;
    assert_eq!(list.body["error"]["innererror"]["code"], "AccessDenied");
    assert_eq!(
        world.send("DELETE", url, Some(&token), None).await.status,
        200
    );
    let purge = world
        .send(
            "DELETE",
            "https://kv-lab.vault.azure.net/deletedsecrets/a?api-version=7.4",
            Some(&token),
            None,
        )
        .await;
    assert_eq!(purge.status, 403, "deleting is not purging");
}
