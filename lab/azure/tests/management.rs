//! Entra ID and Resource Manager, as a provider uses them.

mod common;

use common::World;
use serde_json::json;
use stead_lab_core::faults::{Effect, Fault};

const MANAGEMENT: &str = "https://management.azure.com/.default";

#[tokio::test]
async fn entra_refuses_with_azures_codes() {
    let world = World::new().await;
    let id = world.azure.options().principals[0].client_id.clone();
    let wrong = world.token_with(&id, "nonsense", MANAGEMENT).await;
    assert_eq!(
        (
            wrong.status,
            wrong.body["error"].as_str(),
            wrong.body["error_codes"][0].as_i64()
        ),
        (401, Some("invalid_client"), Some(7000215))
    );
    let unknown = world
        .token_with("57ead000-0000-4000-8000-0000000000ff", "x", MANAGEMENT)
        .await;
    assert_eq!(
        (unknown.status, unknown.body["error_codes"][0].as_i64()),
        (400, Some(700016))
    );
    let scope = world.token(0, "https://management.azure.com").await;
    assert_eq!(scope.body["error_codes"][0].as_i64(), Some(1002012));
    let tenants = world
        .send(
            "GET",
            "https://login.microsoftonline.com/nobody/v2.0/.well-known/openid-configuration",
            None,
            None,
        )
        .await;
    assert_eq!(tenants.body["error_codes"][0].as_i64(), Some(90002));
}

#[tokio::test]
async fn resource_manager_checks_tokens_versions_and_rights() {
    let world = World::new().await;
    let groups = format!("https://management.azure.com{}/resourcegroups", world.sub());
    let url = format!("{groups}?api-version=2023-07-01");
    let nobody = world.send("GET", &url, None, None).await;
    assert_eq!(
        (nobody.status, nobody.code()),
        (401, "AuthenticationFailed")
    );
    let vault_token = world.bearer(0, "https://vault.azure.net/.default").await;
    assert_eq!(
        world
            .send("GET", &url, Some(&vault_token), None)
            .await
            .code(),
        "InvalidAuthenticationTokenAudience"
    );
    assert_eq!(
        world.send("GET", &url, Some("a.b.c"), None).await.code(),
        "InvalidAuthenticationToken"
    );
    let other = world.bearer(1, MANAGEMENT).await;
    let forbidden = world.send("GET", &url, Some(&other), None).await;
    assert_eq!(
        (forbidden.status, forbidden.code()),
        (403, "AuthorizationFailed")
    );
    let owner = world.bearer(0, MANAGEMENT).await;
    assert_eq!(
        world.send("GET", &groups, Some(&owner), None).await.code(),
        "MissingApiVersionParameter"
    );
    assert_eq!(
        world
            .send(
                "GET",
                &format!("{groups}?api-version=1999-01-01"),
                Some(&owner),
                None
            )
            .await
            .code(),
        "InvalidApiVersionParameter"
    );
    assert_eq!(
        world.send("GET", &url, Some(&owner), None).await.status,
        200
    );
    let foreign = "https://management.azure.com/subscriptions/00000000-0000-0000-0000-0000000000aa?api-version=2022-12-01";
    assert_eq!(
        world.send("GET", foreign, Some(&owner), None).await.code(),
        "SubscriptionNotFound"
    );
    let unsupported = world
        .arm(
            "GET",
            &format!(
                "{}/providers/Microsoft.Compute/virtualMachines",
                world.sub()
            ),
            "2024-07-01",
            None,
        )
        .await;
    assert_eq!(
        (unsupported.status, unsupported.code()),
        (501, "NotImplemented")
    );
}

#[tokio::test]
async fn a_throttled_request_says_when_to_come_again() {
    let world = World::new().await;
    let fault = Fault {
        name: "azure.throttle".into(),
        effect: Effect::On,
        skip: 0,
        times: Some(1),
        percent: 100,
    };
    world.lab.faults.set(fault).unwrap();
    let first = world.arm("GET", &world.sub(), "2022-12-01", None).await;
    assert_eq!((first.status, first.header("retry-after")), (429, "0"));
    assert_eq!(
        world
            .arm("GET", &world.sub(), "2022-12-01", None)
            .await
            .status,
        200
    );
}

/// The bodies and queries of azurerm's observed requests, on their way from create to destroy.
#[tokio::test]
async fn a_provider_creates_reads_and_destroys_everything() {
    let world = World::furnished().await;
    let (sub, vault, account) = (world.sub(), world.vault(), world.account());
    let metadata = world
        .send(
            "GET",
            "https://management.azure.com/metadata/endpoints?api-version=2022-09-01",
            None,
            None,
        )
        .await;
    assert_eq!(metadata.body["suffixes"]["keyVaultDns"], "vault.azure.net");
    let metadata = world
        .send(
            "GET",
            "https://management.azure.com/metadata/endpoints?api-version=2018-01-01",
            None,
            None,
        )
        .await;
    assert_eq!(
        metadata.body["authentication"]["loginEndpoint"],
        "https://login.microsoftonline.com/"
    );
    assert_eq!(
        world
            .arm("GET", &format!("{sub}/providers"), "2022-09-01", None)
            .await
            .status,
        200
    );

    let identity = format!(
        "{sub}/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-lab"
    );
    assert_eq!(
        world.arm("GET", &identity, "2024-11-30", None).await.code(),
        "ResourceNotFound"
    );
    let body =
        json!({"location": "westeurope", "properties": {"isolationScope": "None"}, "tags": {}});
    let made = world.arm("PUT", &identity, "2024-11-30", Some(body)).await;
    let principal = made.body["properties"]["principalId"]
        .as_str()
        .unwrap()
        .to_owned();

    // The first read still sees the vault being registered.
    let state = |v: &serde_json::Value| {
        v["properties"]["provisioningState"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        state(&world.arm("GET", &vault, "2026-02-01", None).await.body),
        "RegisteringDns"
    );
    let read = world.arm("GET", &vault, "2026-02-01", None).await.body;
    assert_eq!(
        (
            state(&read).as_str(),
            read["properties"]["vaultUri"].as_str()
        ),
        ("Succeeded", Some("https://kv-lab.vault.azure.net/"))
    );

    let definitions = format!(
        "{vault}/providers/Microsoft.Authorization/roleDefinitions?$filter=roleName+eq+%27Key+Vault+Secrets+User%27"
    );
    let role = world
        .arm("GET", &definitions, "2022-05-01-preview", None)
        .await
        .body["value"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        role.ends_with("4633458b-17de-408a-b874-0445c86b69e6"),
        "{role}"
    );
    let assignment = format!(
        "{vault}/providers/Microsoft.Authorization/roleAssignments/7617ee04-7d86-44da-bf00-53222cb67c83"
    );
    assert_eq!(
        world
            .arm("GET", &assignment, "2022-04-01", None)
            .await
            .code(),
        "RoleAssignmentNotFound"
    );
    let body = json!({"properties": {"description": "", "principalId": principal, "roleDefinitionId": role}});
    let made = world
        .arm("PUT", &assignment, "2022-04-01", Some(body.clone()))
        .await;
    assert_eq!(
        (
            made.status,
            made.body["properties"]["principalType"].as_str()
        ),
        (201, Some("ServicePrincipal"))
    );
    let twice = assignment.replace("7617ee04", "7617ee05");
    assert_eq!(
        world
            .arm("PUT", &twice, "2022-04-01", Some(body))
            .await
            .code(),
        "RoleAssignmentExists"
    );
    let ghost = json!({"properties": {"principalId": "00000000-0000-0000-0000-00000000dead", "roleDefinitionId": role}});
    assert_eq!(
        world
            .arm("PUT", &twice, "2022-04-01", Some(ghost))
            .await
            .code(),
        "PrincipalNotFound"
    );

    let keys = world
        .arm(
            "POST",
            &format!("{account}/listKeys?$expand=kerb"),
            "2025-08-01",
            None,
        )
        .await;
    assert_eq!(keys.body["keys"][0]["keyName"], "key1");
    for service in ["blobServices", "fileServices"] {
        assert_eq!(
            world
                .arm(
                    "GET",
                    &format!("{account}/{service}/default"),
                    "2025-08-01",
                    None
                )
                .await
                .status,
            200
        );
    }
    let vaults = format!("{sub}/resources?$filter=resourceType+eq+'Microsoft.KeyVault/vaults'");
    let found = world.arm("GET", &vaults, "2015-11-01", None).await.body["value"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(found, 1);

    let inventory = world.azure.inventory();
    assert_eq!(
        (
            inventory.key_vaults.len(),
            inventory.containers.len(),
            inventory.role_assignments
        ),
        (1, 1, 1)
    );

    // Destroy, and the soft-deleted vault after it.
    assert_eq!(
        world
            .arm("DELETE", &account, "2025-08-01", None)
            .await
            .status,
        200
    );
    assert_eq!(
        world
            .arm("DELETE", &account, "2025-08-01", None)
            .await
            .status,
        204
    );
    assert_eq!(
        world.arm("DELETE", &vault, "2026-02-01", None).await.status,
        200
    );
    let again = json!({"location": "westeurope", "properties": {"tenantId": world.azure.options().tenant_id, "sku": {"family": "A", "name": "standard"}}});
    assert_eq!(
        world
            .arm("PUT", &vault, "2026-02-01", Some(again))
            .await
            .code(),
        "ConflictError"
    );
    let deleted =
        format!("{sub}/providers/Microsoft.KeyVault/locations/westeurope/deletedVaults/kv-lab");
    assert_eq!(
        world.arm("GET", &deleted, "2026-02-01", None).await.status,
        200
    );
    let purge = world
        .arm("POST", &format!("{deleted}/purge"), "2026-02-01", None)
        .await;
    let poll = purge.header("location").to_owned();
    assert_eq!(world.arm("GET", &poll, "", None).await.status, 202);
    assert_eq!(world.arm("GET", &poll, "", None).await.status, 200);
    let group = format!("{sub}/resourceGroups/rg");
    let deletion = world.arm("DELETE", &group, "2023-07-01", None).await;
    assert_eq!(deletion.status, 202);
    assert_eq!(
        world.arm("GET", &group, "2023-07-01", None).await.body["properties"]["provisioningState"],
        "Deleting"
    );
    assert_eq!(
        world.arm("GET", &group, "2023-07-01", None).await.code(),
        "ResourceGroupNotFound"
    );
    assert_eq!(
        world.azure.inventory(),
        stead_lab_azure::Inventory::default()
    );
}

#[tokio::test]
async fn bodies_are_checked() {
    let world = World::furnished().await;
    let unknown = json!({"location": "westeurope", "colour": "blue"});
    assert_eq!(
        world
            .arm(
                "PUT",
                &format!("{}/resourceGroups/other", world.sub()),
                "2023-07-01",
                Some(unknown)
            )
            .await
            .code(),
        "InvalidRequestContent"
    );
    let moved = json!({"location": "northeurope"});
    assert_eq!(
        world
            .arm(
                "PUT",
                &format!("{}/resourceGroups/rg", world.sub()),
                "2023-07-01",
                Some(moved)
            )
            .await
            .code(),
        "InvalidResourceGroupLocation"
    );
    let bad = world.account().replace("salab", "Bad-Name");
    assert_eq!(
        world
            .arm("PUT", &bad, "2025-08-01", Some(json!({})))
            .await
            .code(),
        "AccountNameInvalid"
    );
    let public = format!("{}/blobServices/default/containers/open", world.account());
    let body = json!({"properties": {"publicAccess": "Container"}});
    assert_eq!(
        world
            .arm("PUT", &public, "2025-08-01", Some(body))
            .await
            .code(),
        "PublicAccessNotPermitted"
    );
    let lowered = json!({"properties": {"softDeleteRetentionInDays": 8}});
    assert_eq!(
        world
            .arm("PATCH", &world.vault(), "2026-02-01", Some(lowered))
            .await
            .code(),
        "BadRequest"
    );
}

#[tokio::test]
async fn everything_survives_a_restart() {
    let world = World::furnished().await;
    let before = world.azure.inventory();
    let world = world.restart().await;
    assert_eq!(world.azure.inventory(), before);
    assert_eq!(
        world
            .arm("GET", &world.account(), "2025-08-01", None)
            .await
            .status,
        200
    );
}
