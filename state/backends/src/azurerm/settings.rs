//! The backend's block: the reference's arguments, and what they come to.

use stead_sdk::azure::{Access, ContainerSettings, LoginSettings};
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Sensitive, Value};
use stead_sdk::{Dialer, ProviderConfig, settings};

#[derive(Clone, Debug, ProviderConfig)]
#[provider(legacy)]
pub(super) struct Settings {
    #[attr(optional, env = "ARM_SUBSCRIPTION_ID")]
    subscription_id: String,
    /// Where the account is, for looking up its key or its address.
    #[attr(optional)]
    resource_group_name: String,
    #[attr(required)]
    storage_account_name: String,
    #[attr(required)]
    container_name: String,
    /// The blob's name.
    #[attr(required)]
    key: String,
    /// Ask Resource Manager for the account's address, for accounts with DNS zone endpoints.
    #[attr(optional, env = "ARM_USE_DNS_ZONE_ENDPOINT")]
    lookup_blob_endpoint: bool,
    /// Take a snapshot of the blob before each write.
    #[attr(optional, env = "ARM_SNAPSHOT")]
    snapshot: bool,
    /// public, usgovernment or china.
    #[attr(optional, env = "ARM_ENVIRONMENT")]
    environment: String,
    /// A host that describes another cloud under /metadata/endpoints.
    #[attr(optional, env = ["ARM_METADATA_HOSTNAME", "ARM_METADATA_HOST"])]
    metadata_host: String,
    #[attr(optional, env = "ARM_ACCESS_KEY")]
    access_key: Sensitive<String>,
    #[attr(optional, env = "ARM_SAS_TOKEN")]
    sas_token: Sensitive<String>,
    #[attr(optional, env = "ARM_TENANT_ID")]
    tenant_id: String,
    #[attr(optional, env = "ARM_CLIENT_ID")]
    client_id: String,
    #[attr(optional, env = "ARM_CLIENT_ID_FILE_PATH")]
    client_id_file_path: String,
    /// Terraform takes it and does nothing with it.
    #[attr(optional, unsupported, deprecated = "Use `msi_endpoint`.")]
    endpoint: String,
    #[attr(optional, unsupported)]
    client_certificate: String,
    #[attr(optional, unsupported)]
    client_certificate_path: String,
    #[attr(optional, unsupported)]
    client_certificate_password: String,
    #[attr(optional, env = "ARM_CLIENT_SECRET")]
    client_secret: Sensitive<String>,
    #[attr(optional, env = "ARM_CLIENT_SECRET_FILE_PATH")]
    client_secret_file_path: String,
    #[attr(optional, env = "ARM_USE_OIDC")]
    use_oidc: bool,
    #[attr(optional, env = ["ARM_ADO_PIPELINE_SERVICE_CONNECTION_ID", "ARM_OIDC_AZURE_SERVICE_CONNECTION_ID"])]
    ado_pipeline_service_connection_id: String,
    #[attr(optional, env = ["ARM_OIDC_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "SYSTEM_ACCESSTOKEN"])]
    oidc_request_token: Sensitive<String>,
    #[attr(optional, env = ["ARM_OIDC_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_URL", "SYSTEM_OIDCREQUESTURI"])]
    oidc_request_url: String,
    #[attr(optional, env = "ARM_OIDC_TOKEN")]
    oidc_token: Sensitive<String>,
    #[attr(optional, env = "ARM_OIDC_TOKEN_FILE_PATH")]
    oidc_token_file_path: String,
    #[attr(optional, env = "ARM_USE_MSI")]
    use_msi: bool,
    #[attr(optional, unsupported)]
    msi_endpoint: String,
    #[attr(optional, default = true, env = "ARM_USE_CLI")]
    use_cli: bool,
    #[attr(optional, env = "ARM_USE_AKS_WORKLOAD_IDENTITY")]
    use_aks_workload_identity: bool,
    /// Sign in to the storage itself, in place of an account key.
    #[attr(optional, env = "ARM_USE_AZUREAD")]
    use_azuread_auth: bool,
}

/// What the block comes to.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) container: ContainerSettings,
    pub(super) key: String,
    pub(super) snapshot: bool,
}

pub(super) fn plan(config: &Value, dialer: &Dialer) -> Result<Plan, Diagnostics> {
    let settings: Settings = settings("the backend \"azurerm\"", config, dialer.environment())?;
    let access = Access::of(
        &settings.access_key,
        &settings.sas_token,
        settings.use_azuread_auth,
    );
    if settings.resource_group_name.is_empty() && access == Access::KeyLookedUp {
        let detail = "One of `access_key`, `sas_token`, `use_azuread_auth` and `resource_group_name` must be specified \
                      (ARM_ACCESS_KEY, ARM_SAS_TOKEN, ARM_USE_AZUREAD).";
        return Err(invalid("No way to reach the blob", detail, None));
    }
    if settings.resource_group_name.is_empty() && settings.lookup_blob_endpoint {
        let detail = "`resource_group_name` is required when `lookup_blob_endpoint` is set.";
        return Err(invalid(
            "Missing resource group",
            detail,
            Some("resource_group_name"),
        ));
    }
    // A URL would take these for steps up and down.
    if settings.key.split('/').any(|s| matches!(s, "." | "..")) {
        let detail = "`key` must not have \".\" or \"..\" between its slashes.";
        return Err(invalid("Invalid blob name", detail, Some("key")));
    }
    Ok(Plan {
        container: ContainerSettings {
            login: settings.login(),
            account: settings.storage_account_name,
            container: settings.container_name,
            access,
            resource_group: settings.resource_group_name,
            looks_up_address: settings.lookup_blob_endpoint,
            environment: settings.environment,
            metadata_host: settings.metadata_host,
        },
        key: settings.key,
        snapshot: settings.snapshot,
    })
}

impl Settings {
    /// What decides who signs in.
    fn login(&self) -> LoginSettings {
        LoginSettings {
            tenant_id: self.tenant_id.clone(),
            subscription_id: self.subscription_id.clone(),
            client_id: self.client_id.clone(),
            client_id_file_path: self.client_id_file_path.clone(),
            client_secret: self.client_secret.clone(),
            client_secret_file_path: self.client_secret_file_path.clone(),
            use_oidc: self.use_oidc,
            oidc_token: self.oidc_token.clone(),
            oidc_token_file_path: self.oidc_token_file_path.clone(),
            oidc_request_url: self.oidc_request_url.clone(),
            oidc_request_token: self.oidc_request_token.clone(),
            ado_pipeline_service_connection_id: self.ado_pipeline_service_connection_id.clone(),
            use_aks_workload_identity: self.use_aks_workload_identity,
            use_msi: self.use_msi,
            use_cli: self.use_cli,
        }
    }
}

fn invalid(summary: &str, detail: &str, attribute: Option<&str>) -> Diagnostics {
    let diagnostic = Diagnostic::error(summary, detail);
    match attribute {
        Some(name) => diagnostic.attribute(Path::root().attr(name)).into(),
        None => diagnostic.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};
    use stead_sdk::value::schema::Schema;
    use stead_sdk::{Block as _, Environment};

    use super::*;

    fn read(extra: Json, environment: &[(&str, &str)]) -> Result<Plan, Diagnostics> {
        let mut arguments =
            json!({ "storage_account_name": "acct", "container_name": "c", "key": "a/b.tfstate" });
        for (name, value) in extra.as_object().unwrap() {
            arguments[name] = value.clone();
        }
        let schema = Schema::from(Settings::block());
        let value = stead_sdk::testing::object(&schema, arguments).unwrap();
        let environment: Environment = environment.iter().copied().collect();
        plan(&value, &Dialer::new(environment).unwrap())
    }

    #[test]
    fn the_first_way_of_access_that_is_given_is_taken() {
        let key = Access::Key(Sensitive::new("a2V5".to_owned()));
        let both = json!({ "access_key": "a2V5", "sas_token": "?sv=1" });
        assert_eq!(read(both, &[]).unwrap().container.access, key);
        assert_eq!(
            read(json!({}), &[("ARM_ACCESS_KEY", "a2V5")])
                .unwrap()
                .container
                .access,
            key
        );
        let signature = read(json!({ "sas_token": "?sv=1&sig=x" }), &[]).unwrap();
        assert_eq!(
            signature.container.access,
            Access::Signature(Sensitive::new("sv=1&sig=x".to_owned()))
        );
        let login = read(json!({}), &[("ARM_USE_AZUREAD", "true")]).unwrap();
        assert_eq!(login.container.access, Access::Login);
        let looked_up = json!({ "resource_group_name": "rg", "subscription_id": "s" });
        assert_eq!(
            read(looked_up, &[]).unwrap().container.access,
            Access::KeyLookedUp
        );
    }

    #[test]
    fn what_is_missing_and_what_cannot_be_done_is_named() {
        let key = || json!({ "access_key": "a2V5" });
        let with = |name: &str, value: Json| {
            let mut arguments = key();
            arguments[name] = value;
            arguments
        };
        for (arguments, says) in [
            (json!({}), "resource_group_name"),
            (
                with("lookup_blob_endpoint", json!(true)),
                "resource_group_name",
            ),
            (with("msi_endpoint", json!("http://x")), "msi_endpoint"),
            (
                with("client_certificate_path", json!("/x")),
                "client_certificate_path",
            ),
            (with("endpoint", json!("http://x")), "endpoint"),
            (with("key", json!("a/../b")), "`key`"),
        ] {
            let error = read(arguments, &[]).unwrap_err();
            assert!(format!("{error:?}").contains(says), "{says}: {error:?}");
        }
    }

    #[test]
    fn secrets_do_not_show() {
        let plan = read(
            json!({ "access_key": "a2V5LXNlY3JldA==", "client_secret": "passw0rd" }),
            &[],
        );
        let shown = format!("{:?}", plan.unwrap());
        assert!(
            !shown.contains("a2V5LXNlY3JldA") && !shown.contains("passw0rd"),
            "{shown}"
        );
    }
}
