//! The provider block, and the client that it configures.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use azure_core::credentials::TokenCredential;
use azure_core::http::ClientOptions;
use azure_security_keyvault_secrets::SecretClient;
use stead_sdk::azure::{AssertionSource, Cloud, Wanted, client_options, credential};
use stead_sdk::value::{Diagnostic, Diagnostics, Sensitive};
use stead_sdk::{Context, Dialer, Error, Native, ProviderConfig, ProviderFactory};

use crate::account::StorageAccount;
use crate::arm::Arm;
use crate::client_config::ClientConfig;
use crate::container::Container;
use crate::container_sas::ContainerSas;
use crate::features::{Behaviour, EnhancedValidation, Features};
use crate::key_vault::KeyVault;
use crate::key_vault_data::KeyVaultData;
use crate::resource_group::ResourceGroup;
use crate::role_assignment::RoleAssignment;
use crate::secret::Secret;
use crate::secret_data::SecretData;

/// The application id of the Azure CLI, which signs in for its users.
const AZURE_CLI: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";

/// How long a new role assignment may take to count everywhere.
const ASSIGNMENT_LAG: Duration = Duration::from_secs(600);

#[derive(Clone, Debug, ProviderConfig)]
#[provider(legacy)]
pub(crate) struct Config {
    #[attr(optional, unsupported)]
    pub(crate) ado_pipeline_service_connection_id: String,
    #[attr(optional, unsupported)]
    pub(crate) auxiliary_tenant_ids: Vec<String>,
    #[attr(optional, unsupported)]
    pub(crate) client_certificate: String,
    #[attr(optional, unsupported)]
    pub(crate) client_certificate_password: String,
    #[attr(optional, unsupported)]
    pub(crate) client_certificate_path: String,
    /// The application to sign in as.
    #[attr(optional, env = "ARM_CLIENT_ID")]
    pub(crate) client_id: String,
    #[attr(optional, env = "ARM_CLIENT_ID_FILE_PATH")]
    pub(crate) client_id_file_path: String,
    #[attr(optional, env = "ARM_CLIENT_SECRET")]
    pub(crate) client_secret: Sensitive<String>,
    #[attr(optional, env = "ARM_CLIENT_SECRET_FILE_PATH")]
    pub(crate) client_secret_file_path: String,
    /// Nothing to turn off: stead sends no correlation id of its own.
    #[attr(optional, env = "ARM_DISABLE_CORRELATION_REQUEST_ID")]
    pub(crate) disable_correlation_request_id: bool,
    /// Nothing to turn off: stead sends no partner id.
    #[attr(optional, env = "ARM_DISABLE_TERRAFORM_PARTNER_ID")]
    pub(crate) disable_terraform_partner_id: bool,
    /// public, usgovernment or china.
    #[attr(optional, env = "ARM_ENVIRONMENT")]
    pub(crate) environment: String,
    /// A host that describes another cloud under /metadata/endpoints.
    #[attr(optional, env = "ARM_METADATA_HOSTNAME")]
    pub(crate) metadata_host: String,
    #[attr(optional, unsupported)]
    pub(crate) msi_api_version: String,
    #[attr(optional, unsupported)]
    pub(crate) msi_endpoint: String,
    #[attr(optional, env = ["ARM_OIDC_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"])]
    pub(crate) oidc_request_token: Sensitive<String>,
    #[attr(optional, env = ["ARM_OIDC_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_URL"])]
    pub(crate) oidc_request_url: String,
    #[attr(optional, env = "ARM_OIDC_TOKEN")]
    pub(crate) oidc_token: Sensitive<String>,
    #[attr(optional, env = "ARM_OIDC_TOKEN_FILE_PATH")]
    pub(crate) oidc_token_file_path: String,
    #[attr(optional, unsupported)]
    pub(crate) partner_id: String,
    /// `none` never registers resource providers; any other value registers one when a request needs it.
    #[attr(optional, env = "ARM_RESOURCE_PROVIDER_REGISTRATIONS")]
    pub(crate) resource_provider_registrations: String,
    #[attr(optional, unsupported)]
    pub(crate) resource_providers_to_register: Vec<String>,
    #[attr(
        optional,
        env = "ARM_SKIP_PROVIDER_REGISTRATION",
        deprecated = "Gone in azurerm 5: use resource_provider_registrations."
    )]
    pub(crate) skip_provider_registration: bool,
    /// Nothing to choose: stead works on containers through Resource Manager, which always takes a token.
    #[attr(optional, env = "ARM_STORAGE_USE_AZUREAD")]
    pub(crate) storage_use_azuread: bool,
    #[attr(optional, env = "ARM_SUBSCRIPTION_ID")]
    pub(crate) subscription_id: String,
    #[attr(optional, env = "ARM_TENANT_ID")]
    pub(crate) tenant_id: String,
    /// Signs in with the token that Kubernetes gives a pod (AZURE_FEDERATED_TOKEN_FILE).
    #[attr(optional, env = "ARM_USE_AKS_WORKLOAD_IDENTITY")]
    pub(crate) use_aks_workload_identity: bool,
    #[attr(optional, default = true, env = "ARM_USE_CLI")]
    pub(crate) use_cli: bool,
    #[attr(optional, env = "ARM_USE_MSI")]
    pub(crate) use_msi: bool,
    #[attr(optional, env = "ARM_USE_OIDC")]
    pub(crate) use_oidc: bool,
    #[attr(
        block(list),
        unsupported,
        deprecated = "Gone in azurerm 5: moved into features."
    )]
    pub(crate) enhanced_validation: Vec<EnhancedValidation>,
    #[attr(block(list))]
    pub(crate) features: Vec<Features>,
}

/// One provider configuration's connection to Azure.
pub(crate) struct Client {
    pub(crate) arm: Arm,
    pub(crate) cloud: Cloud,
    pub(crate) behaviour: Behaviour,
    pub(crate) subscription_id: String,
    pub(crate) tenant_id: String,
    /// Empty when the credential alone knows it.
    pub(crate) client_id: String,
    pub(crate) credential: Arc<dyn TokenCredential>,
    pub(crate) options: ClientOptions,
    /// Clients of vaults by address; each remembers its vault's challenge.
    pub(crate) vaults: Mutex<HashMap<String, Arc<SecretClient>>>,
    /// When a role was last assigned here.
    assigned: Mutex<Option<Instant>>,
}

impl Client {
    /// Notes that a role was assigned: refusals for want of a role may now be passing ones.
    pub(crate) fn note_assignment(&self) {
        let mut assigned = self.assigned.lock().unwrap_or_else(PoisonError::into_inner);
        *assigned = Some(Instant::now());
    }

    /// How much longer an assignment made here may take to count; zero when none was made.
    pub(crate) fn assignment_lag(&self) -> Duration {
        let assigned = self.assigned.lock().unwrap_or_else(PoisonError::into_inner);
        assigned.map_or(Duration::ZERO, |at| {
            ASSIGNMENT_LAG.saturating_sub(at.elapsed())
        })
    }
}

/// `value`, or what the file holds that `path` names.
async fn or_file(value: &str, path: &str, attribute: &str) -> Result<String, Error> {
    if path.is_empty() || !value.is_empty() {
        return Ok(value.to_owned());
    }
    let text = tokio::fs::read_to_string(path).await.map_err(|e| {
        Error::new(format!("read `{attribute}` ({path})"), e.to_string()).attribute(attribute)
    })?;
    Ok(text.trim().to_owned())
}

/// Where a federated token comes from, when the block asks for one.
fn assertion(config: &Config, dialer: &Dialer) -> Result<Option<AssertionSource>, Error> {
    if config.use_oidc {
        if !config.oidc_token.expose_secret().is_empty() {
            return Ok(Some(AssertionSource::Token(config.oidc_token.clone())));
        }
        if !config.oidc_token_file_path.is_empty() {
            let path = config.oidc_token_file_path.clone().into();
            return Ok(Some(AssertionSource::File(path)));
        }
        if !config.oidc_request_url.is_empty() {
            return Ok(Some(AssertionSource::Request {
                url: config.oidc_request_url.clone(),
                token: config.oidc_request_token.clone(),
            }));
        }
        return Err(
            Error::new("set up the credentials", "`use_oidc` is on, but there is no token")
                .remedy("Set `oidc_token`, `oidc_token_file_path` or `oidc_request_url` with `oidc_request_token`.")
                .attribute("use_oidc"),
        );
    }
    if config.use_aks_workload_identity {
        let variable = "AZURE_FEDERATED_TOKEN_FILE";
        let file = dialer.environment().get(variable).ok_or_else(|| {
            Error::new("set up the credentials", format!("{variable} is not set"))
                .remedy("The pod's service account needs the label azure.workload.identity/use.")
                .attribute("use_aks_workload_identity")
        })?;
        return Ok(Some(AssertionSource::File(file.into())));
    }
    Ok(None)
}

/// Whether resource providers may be registered. The default is azurerm 5's.
fn registers(config: &Config) -> Result<bool, Error> {
    if config.skip_provider_registration {
        return Ok(false);
    }
    match config.resource_provider_registrations.as_str() {
        "" | "none" => Ok(false),
        "core" | "extended" | "all" | "legacy" => Ok(true),
        other => Err(Error::new(
            "configure the provider",
            format!("`resource_provider_registrations` is {other:?}"),
        )
        .remedy("Take core, extended, all, legacy or none.")
        .attribute("resource_provider_registrations")),
    }
}

async fn configure(config: Config, dialer: Dialer, _cx: Context) -> Result<Client, Diagnostics> {
    let Some(features) = config.features.first() else {
        let detail =
            "The provider azurerm wants a `features` block, which may be empty: `features {}`.";
        return Err(Diagnostic::error("Missing features block", detail).into());
    };
    if dialer
        .environment()
        .first(&["ARM_CLIENT_CERTIFICATE", "ARM_CLIENT_CERTIFICATE_PATH"])
        .is_some()
    {
        return Err(Error::unsupported(
            "sign in with a client certificate",
            "stead does not do this yet",
        )
        .remedy("Unset ARM_CLIENT_CERTIFICATE and ARM_CLIENT_CERTIFICATE_PATH, and use a client secret or OIDC.")
        .into());
    }
    if config.subscription_id.is_empty() {
        return Err(Error::missing_setting("subscription_id", &["ARM_SUBSCRIPTION_ID"]).into());
    }
    let pod = config.use_aks_workload_identity;
    let from_pod = |value: String, variable: &str| match dialer.environment().get(variable) {
        Some(found) if pod && value.is_empty() => found.to_owned(),
        _ => value,
    };
    let tenant_id = from_pod(config.tenant_id.clone(), "AZURE_TENANT_ID");
    let client_id = or_file(
        &config.client_id,
        &config.client_id_file_path,
        "client_id_file_path",
    )
    .await?;
    let client_id = from_pod(client_id, "AZURE_CLIENT_ID");
    let secret = or_file(
        config.client_secret.expose_secret(),
        &config.client_secret_file_path,
        "client_secret_file_path",
    )
    .await?;
    let cloud = match config.metadata_host.as_str() {
        "" => Cloud::named(&config.environment)?,
        host => Cloud::described_by(host, &dialer).await?,
    };
    let options = client_options(&dialer, &cloud.login)?;
    let wanted = Wanted {
        tenant_id: tenant_id.clone(),
        client_id: client_id.clone(),
        client_secret: secret.into(),
        subscription_id: config.subscription_id.clone(),
        assertion: assertion(&config, &dialer)?,
        use_msi: config.use_msi,
        use_cli: config.use_cli,
    };
    let by_cli = wanted.client_secret.expose_secret().is_empty()
        && wanted.assertion.is_none()
        && !wanted.use_msi;
    let credential = credential(wanted, options.clone(), &dialer)?;
    let client_id = if by_cli {
        AZURE_CLI.to_owned()
    } else {
        client_id
    };
    let who = match client_id.as_str() {
        "" | AZURE_CLI => "YOUR_PRINCIPAL_ID",
        id => id,
    };
    let arm = Arm::new(
        Arc::clone(&credential),
        &cloud,
        options.clone(),
        &config.subscription_id,
        registers(&config)?,
        who,
    );
    Ok(Client {
        arm,
        cloud,
        behaviour: features.behaviour(),
        subscription_id: config.subscription_id,
        tenant_id,
        client_id,
        credential,
        options,
        vaults: Mutex::default(),
        assigned: Mutex::default(),
    })
}

pub(crate) fn factory(dialer: &Dialer) -> impl ProviderFactory + use<> {
    Native::<Client>::provider::<Config>("azurerm")
        .configure(configure)
        .resource::<ResourceGroup>()
        .resource::<KeyVault>()
        .resource::<Secret>()
        .resource::<StorageAccount>()
        .resource::<Container>()
        .resource::<RoleAssignment>()
        .data_source::<ClientConfig>()
        .data_source::<ContainerSas>()
        .data_source::<KeyVaultData>()
        .data_source::<SecretData>()
        .build(dialer)
}
