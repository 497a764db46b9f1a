//! Which credential the provider block asks for, made by the official `azure_identity`.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::{Dialer, Error, HttpOptions, async_trait};
use azure_core::credentials::{Secret, TokenCredential};
use azure_core::http::{ClientMethodOptions, ClientOptions};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertion, ClientAssertionCredential,
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
};
use stead_value::Sensitive;

/// The settings that decide, environment variables and files taken into account. Empty means not set.
pub struct Wanted {
    pub tenant_id: String,
    pub client_id: String,
    pub client_secret: Sensitive<String>,
    pub subscription_id: String,
    pub assertion: Option<AssertionSource>,
    pub use_msi: bool,
    pub use_cli: bool,
}

/// Where a token of another identity provider, which stands in for a secret, comes from.
#[derive(Clone, Debug)]
pub enum AssertionSource {
    Token(Sensitive<String>),
    /// Read anew for every token, because whoever writes it rotates it.
    File(PathBuf),
    /// The endpoint of GitHub Actions and the token for it.
    Request {
        url: String,
        token: Sensitive<String>,
    },
    /// The endpoint of Azure Pipelines (`SYSTEM_OIDCREQUESTURI`), the token for it and the id of the service connection.
    Pipeline {
        url: String,
        token: Sensitive<String>,
        connection: String,
    },
}

/// The first that is configured: client secret, federated token, managed identity, Azure CLI.
pub fn credential(
    wanted: Wanted,
    options: ClientOptions,
    dialer: &Dialer,
) -> Result<Arc<dyn TokenCredential>, Error> {
    let failed = |e: azure_core::Error| Error::new("set up the credentials", e.to_string());
    let application = |attribute: &'static str, value: &str, variable: &'static str| {
        if value.is_empty() {
            Err(Error::missing_setting(attribute, &[variable]))
        } else {
            Ok(())
        }
    };
    if !wanted.client_secret.expose_secret().is_empty() {
        application("tenant_id", &wanted.tenant_id, "ARM_TENANT_ID")?;
        application("client_id", &wanted.client_id, "ARM_CLIENT_ID")?;
        let secret = Secret::new(wanted.client_secret.into_secret());
        let options = ClientSecretCredentialOptions {
            client_options: options,
        };
        return Ok(ClientSecretCredential::new(
            &wanted.tenant_id,
            wanted.client_id,
            secret,
            Some(options),
        )
        .map_err(failed)?);
    }
    if let Some(source) = wanted.assertion {
        application("tenant_id", &wanted.tenant_id, "ARM_TENANT_ID")?;
        application("client_id", &wanted.client_id, "ARM_CLIENT_ID")?;
        let options = ClientAssertionCredentialOptions {
            client_options: options,
        };
        let assertion = Assertion {
            source,
            dialer: dialer.clone(),
        };
        return Ok(ClientAssertionCredential::new(
            wanted.tenant_id,
            wanted.client_id,
            assertion,
            Some(options),
        )
        .map_err(failed)?);
    }
    if wanted.use_msi {
        let id =
            (!wanted.client_id.is_empty()).then_some(UserAssignedId::ClientId(wanted.client_id));
        let options = ManagedIdentityCredentialOptions {
            user_assigned_id: id,
            client_options: options,
        };
        return Ok(ManagedIdentityCredential::new(Some(options)).map_err(failed)?);
    }
    if wanted.use_cli {
        let tenant = Some(wanted.tenant_id).filter(|t| !t.is_empty());
        // The CLI takes a tenant or a subscription, not both.
        let subscription = tenant.is_none().then_some(wanted.subscription_id);
        let options = AzureCliCredentialOptions {
            tenant_id: tenant,
            subscription,
            ..AzureCliCredentialOptions::default()
        };
        return Ok(AzureCliCredential::new(Some(options)).map_err(failed)?);
    }
    Err(Error::new("set up the credentials", "no way to sign in is configured").remedy(
        "Set `client_id`, `client_secret` and `tenant_id` (ARM_CLIENT_ID, ARM_CLIENT_SECRET, ARM_TENANT_ID), or `use_oidc`, \
         `use_msi` or `use_cli`.",
    ))
}

struct Assertion {
    source: AssertionSource,
    dialer: Dialer,
}

impl fmt::Debug for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assertion")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl Assertion {
    async fn fetch(&self) -> Result<String, Error> {
        match &self.source {
            AssertionSource::Token(token) => Ok(token.expose_secret().clone()),
            AssertionSource::File(path) => {
                let text = tokio::fs::read_to_string(path).await.map_err(|e| {
                    Error::new(
                        format!("read the federated token {}", path.display()),
                        e.to_string(),
                    )
                })?;
                Ok(text.trim().to_owned())
            }
            AssertionSource::Request { url, token } => self.request(url, token).await,
            AssertionSource::Pipeline {
                url,
                token,
                connection,
            } => self.pipeline(url, token, connection).await,
        }
    }

    /// GitHub's answer is `{"value": "<token>"}`.
    async fn request(&self, url: &str, token: &Sensitive<String>) -> Result<String, Error> {
        let asked = "fetch an OIDC token (GET oidc_request_url)";
        let client = self.dialer.http(&HttpOptions::default())?;
        let request = client
            .get(url)
            .query(&[("audience", "api://AzureADTokenExchange")])
            .bearer_auth(token.expose_secret());
        let help = "In GitHub Actions the job needs `permissions: id-token: write`.";
        self.token(asked, request, "value", help).await
    }

    /// Azure Pipelines' answer is `{"oidcToken": "<token>"}`.
    async fn pipeline(
        &self,
        url: &str,
        token: &Sensitive<String>,
        connection: &str,
    ) -> Result<String, Error> {
        let asked = "fetch an OIDC token (POST oidc_request_url)";
        let client = self.dialer.http(&HttpOptions::default())?;
        let request = client
            .post(url)
            .query(&[("api-version", "7.1"), ("serviceConnectionId", connection)])
            .header("content-type", "application/json")
            // Else a refused token is answered with a page to sign in at.
            .header("x-tfs-fedauthredirect", "Suppress")
            .bearer_auth(token.expose_secret())
            .body("");
        let help = "Check `ado_pipeline_service_connection_id`, and that the task gets System.AccessToken.";
        self.token(asked, request, "oidcToken", help).await
    }

    async fn token(
        &self,
        asked: &str,
        request: reqwest::RequestBuilder,
        member: &str,
        help: &str,
    ) -> Result<String, Error> {
        let response = self.dialer.send(request).await?;
        let status = response.status().as_u16();
        if status != 200 {
            let said = format!("the endpoint answered {status}");
            return Err(Error::http(status, asked, said).remedy(help));
        }
        let body: serde_json::Value = response
            .json()
            .await
            .map_err(|_| Error::new(asked, "the answer is not JSON"))?;
        let value = body.get(member).and_then(serde_json::Value::as_str);
        value
            .map(str::to_owned)
            .ok_or_else(|| Error::new(asked, "the answer holds no token"))
    }
}

#[async_trait]
impl ClientAssertion for Assertion {
    async fn secret(
        &self,
        _options: Option<ClientMethodOptions<'_>>,
    ) -> azure_core::Result<String> {
        self.fetch().await.map_err(|e| {
            azure_core::Error::with_message(azure_core::error::ErrorKind::Credential, e.to_string())
        })
    }
}
