//! `azure_vault`: a new key for each run, which a key in Azure Key Vault or Managed HSM encrypts.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use azure_core::http::RequestContent;
use azure_security_keyvault_keys::models::{
    EncryptionAlgorithm, KeyOperationParameters, KeyOperationResult,
};
use azure_security_keyvault_keys::{KeyClient, KeyClientOptions, ResourceId};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use stead_sdk::azure::{Cloud, LoginSettings, client_options, login};
use stead_sdk::{Dialer, Error, ProviderConfig, chain, settings};
use stead_state::encryption::{Key, KeyService, KeySource, ProviderKind};
use stead_value::{Sensitive, Value};

/// OpenTofu's arguments and variables.
#[derive(Clone, Debug, ProviderConfig)]
#[provider(legacy)]
pub(crate) struct Settings {
    /// `https://NAME.vault.azure.net/`.
    #[attr(required)]
    vault_uri: String,
    #[attr(required)]
    vault_key_name: String,
    /// Of the keys that are made, in bytes.
    #[attr(required)]
    key_length: i64,
    /// Whether the key in the vault is an AES key, as only Managed HSM has them.
    #[attr(optional)]
    symmetric: bool,
    /// In bits: 128, 192 or 256.
    #[attr(optional)]
    symmetric_key_size: Option<i64>,
    /// public, usgovernment or china.
    #[attr(optional, env = "ARM_ENVIRONMENT")]
    environment: String,
    #[attr(optional, env = "ARM_METADATA_HOST")]
    metadata_host: String,
    #[attr(optional, env = "ARM_SUBSCRIPTION_ID")]
    subscription_id: String,
    #[attr(optional, env = "ARM_TENANT_ID")]
    tenant_id: String,
    #[attr(optional, env = "ARM_CLIENT_ID")]
    client_id: String,
    #[attr(optional, env = "ARM_CLIENT_ID_FILE_PATH")]
    client_id_file_path: String,
    #[attr(optional, env = "ARM_CLIENT_SECRET")]
    client_secret: Sensitive<String>,
    #[attr(optional, env = "ARM_CLIENT_SECRET_FILE_PATH")]
    client_secret_file_path: String,
    #[attr(optional, unsupported)]
    client_certificate: String,
    #[attr(optional, unsupported)]
    client_certificate_password: String,
    #[attr(optional, unsupported)]
    client_certificate_path: String,
    #[attr(optional)]
    use_oidc: bool,
    #[attr(optional, env = "ARM_OIDC_TOKEN")]
    oidc_token: Sensitive<String>,
    #[attr(optional, env = "ARM_OIDC_TOKEN_FILE_PATH")]
    oidc_token_file_path: String,
    #[attr(optional, env = ["ARM_OIDC_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_URL"])]
    oidc_request_url: String,
    #[attr(optional, env = ["ARM_OIDC_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"])]
    oidc_request_token: Sensitive<String>,
    #[attr(optional)]
    use_msi: bool,
    #[attr(optional, unsupported)]
    msi_endpoint: String,
    #[attr(optional)]
    use_aks_workload_identity: bool,
    /// On unless it is turned off.
    #[attr(optional)]
    use_cli: Option<bool>,
}

pub(crate) fn make(
    config: &Value,
    _chain: Option<Arc<KeySource>>,
    dialer: &Dialer,
) -> Result<ProviderKind, String> {
    let settings: Settings = settings(
        "the key provider \"azure_vault\"",
        config,
        dialer.environment(),
    )
    .map_err(|found| {
        let told: Vec<String> = found.iter().map(|d| d.detail.clone()).collect();
        told.join(" ")
    })?;
    let algorithm = algorithm(&settings)?;
    check_key_name(&settings.vault_key_name)?;
    check_vault(&settings.vault_uri)?;
    let key_length = usize::try_from(settings.key_length)
        .ok()
        .filter(|length| (1..=1024).contains(length))
        .ok_or("key_length must be at least 1")?;
    let key_name = settings.vault_key_name.clone();
    let (settings, dialer) = (Arc::new(settings), dialer.clone());
    let connect = move || -> Connecting {
        let (settings, dialer) = (Arc::clone(&settings), dialer.clone());
        Box::pin(async move {
            let client = sign_in(&settings, &dialer).await;
            client.map_err(|e| e.to_string())
        })
    };
    Ok(ProviderKind::Service(Arc::new(Vault {
        connect: Box::new(connect),
        key_name,
        key_length,
        algorithm,
    })))
}

fn algorithm(settings: &Settings) -> Result<EncryptionAlgorithm, String> {
    match (settings.symmetric, settings.symmetric_key_size) {
        (false, _) => Ok(EncryptionAlgorithm::RsaOaep256),
        (true, Some(128)) => Ok(EncryptionAlgorithm::A128Gcm),
        (true, Some(192)) => Ok(EncryptionAlgorithm::A192Gcm),
        (true, Some(256)) => Ok(EncryptionAlgorithm::A256Gcm),
        (true, _) => Err(
            "when symmetric is set to true, symmetric_key_size must be given a value of 128, 192, or 256"
                .into(),
        ),
    }
}

/// Azure's rules for names, which an address that is not of Azure would break late.
fn check_key_name(name: &str) -> Result<(), String> {
    let fits = (1..=127).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    match fits {
        true => Ok(()),
        false => Err("misconfigured key vault name or key name: invalid key name: Azure requires a key name consists of 1-127 letters, numbers, or hyphens".into()),
    }
}

fn check_vault(uri: &str) -> Result<(), String> {
    let invalid = |what: &str| Err(format!("misconfigured key vault name or key name: {what}"));
    let Ok(address) = azure_core::http::Url::parse(uri) else {
        return invalid("invalid key vault URL");
    };
    let host = address.host_str().unwrap_or_default();
    let name = host.split('.').next().unwrap_or_default();
    let fits = (3..=24).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && !name.ends_with('-')
        && !name.contains("--")
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    match fits {
        true => Ok(()),
        false => invalid(
            "invalid key vault name: Azure requires a key vault name consists of 3-24 letters, numbers, and hyphens only. It must start with a letter, cannot end with a hyphen, and hyphens must be nonconsecutive",
        ),
    }
}

/// What stands in sealed content of a key, as OpenTofu writes it.
#[derive(Debug, Serialize, Deserialize)]
struct Metadata {
    /// The key, encrypted.
    ciphertext: Option<String>,
    iv: Option<String>,
    authentication_tag: Option<String>,
    additional_authenticated_data: Option<String>,
    /// The version of the key in the vault that encrypted it.
    key_version: String,
    algo: String,
}

impl Metadata {
    fn of(result: KeyOperationResult, algorithm: &EncryptionAlgorithm) -> Result<Metadata, String> {
        let text = |bytes: Option<Vec<u8>>| bytes.map(|bytes| BASE64.encode(bytes));
        let id = result.kid.unwrap_or_default();
        let id: ResourceId = id.parse().map_err(|_| "the answer names no key")?;
        Ok(Metadata {
            ciphertext: text(Some(result.result.ok_or("the answer holds no key")?)),
            iv: text(result.iv),
            authentication_tag: text(result.authentication_tag),
            additional_authenticated_data: text(result.additional_authenticated_data),
            key_version: id.version.unwrap_or_default(),
            algo: algorithm.as_ref().to_owned(),
        })
    }

    fn parameters(&self) -> Result<KeyOperationParameters, String> {
        let bytes = |text: &Option<String>| {
            let bytes = text.as_ref().map(|text| BASE64.decode(text)).transpose();
            bytes.map_err(|e| format!("its metadata are damaged: {e}"))
        };
        Ok(KeyOperationParameters {
            algorithm: Some(self.algo.parse().map_err(|_| "of no algorithm")?),
            value: bytes(&self.ciphertext)?,
            iv: bytes(&self.iv)?,
            authentication_tag: bytes(&self.authentication_tag)?,
            additional_authenticated_data: bytes(&self.additional_authenticated_data)?,
        })
    }
}

/// A key in a vault.
struct Vault {
    connect: Connect,
    key_name: String,
    key_length: usize,
    algorithm: EncryptionAlgorithm,
}

/// Signs in when the vault is first asked: that takes a while, and not every run needs a key.
type Connect = Box<dyn Fn() -> Connecting + Send + Sync>;
type Connecting = Pin<Box<dyn Future<Output = Result<KeyClient, String>> + Send>>;

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("key_name", &self.key_name)
            .finish_non_exhaustive()
    }
}

async fn sign_in(settings: &Settings, dialer: &Dialer) -> Result<KeyClient, Error> {
    let cloud = match settings.metadata_host.as_str() {
        "" => Cloud::named(&settings.environment)?,
        host => Cloud::described_by(host, dialer).await?,
    };
    let options = client_options(dialer, &cloud.login)?;
    let credential = login(&settings.login(), options.clone(), dialer)?.credential;
    let options = KeyClientOptions {
        client_options: options,
        ..KeyClientOptions::default()
    };
    KeyClient::new(&settings.vault_uri, credential, Some(options))
        .map_err(|e| Error::new(format!("use the vault {}", settings.vault_uri), chain(&e)))
}

impl KeyService for Vault {
    fn new_key(&self) -> Result<(Key, Vec<u8>), String> {
        let key: Vec<u8> = (0..self.key_length).map(|_| rand::random()).collect();
        let key = Key::new(key);
        let parameters = KeyOperationParameters {
            algorithm: Some(self.algorithm.clone()),
            value: Some(key.to_vec()),
            ..KeyOperationParameters::default()
        };
        let asked = "encrypt";
        let result = waiting(async {
            let client = (self.connect)().await?;
            let content = content(parameters)?;
            // Without a version: the newest.
            let answer = client.encrypt(&self.key_name, content, None).await;
            self.result(asked, answer.and_then(|answer| answer.into_model()))
        })?;
        let metadata = Metadata::of(result, &self.algorithm)?;
        let metadata = serde_json::to_vec(&metadata).map_err(|e| e.to_string())?;
        Ok((key, metadata))
    }

    fn again(&self, metadata: &[u8]) -> Result<Key, String> {
        let metadata: Metadata = serde_json::from_slice(metadata).map_err(|e| e.to_string())?;
        let parameters = metadata.parameters()?;
        let asked = "decrypt";
        let result = waiting(async {
            let client = (self.connect)().await?;
            let content = content(parameters)?;
            let version = &metadata.key_version;
            let answer = client.decrypt(&self.key_name, version, content, None).await;
            self.result(asked, answer.and_then(|answer| answer.into_model()))
        })?;
        let key = result.result.ok_or("the answer holds no key")?;
        Ok(Key::new(key))
    }
}

impl Vault {
    fn result(
        &self,
        asked: &str,
        answer: azure_core::Result<KeyOperationResult>,
    ) -> Result<KeyOperationResult, String> {
        answer.map_err(|e| {
            let denied = e.http_status().is_some_and(|s| u16::from(s) == 403);
            let hint = match denied {
                true => ". Whoever signs in needs the role \"Key Vault Crypto User\" on the vault, or the key permissions encrypt and decrypt",
                false => "",
            };
            format!("failed to {asked} a key with {:?} in the vault: {}{hint}", self.key_name, chain(&e))
        })
    }
}

impl Settings {
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
            ado_pipeline_service_connection_id: String::new(),
            use_aks_workload_identity: self.use_aks_workload_identity,
            use_msi: self.use_msi,
            use_cli: self.use_cli.unwrap_or(true),
        }
    }
}

fn content(
    parameters: KeyOperationParameters,
) -> Result<RequestContent<KeyOperationParameters>, String> {
    parameters
        .try_into()
        .map_err(|e: azure_core::Error| e.to_string())
}

/// Waits on a thread of its own: sealing and opening are not asynchronous, and this one may belong to a runtime.
fn waiting<T: Send>(work: impl Future<Output = Result<T, String>> + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|e| e.to_string())?;
            runtime.block_on(work)
        });
        thread
            .join()
            .unwrap_or_else(|_| Err("asking the vault came to an unexpected end".into()))
    })
}

#[cfg(test)]
mod tests;
