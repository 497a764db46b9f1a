//! A container of a storage account: found, and made ready for requests.

use std::sync::Arc;

use azure_core::http::Url;
use serde_json::Value as Json;
use stead_value::Sensitive;

use super::blobs::Blobs;
use super::shared_key::SharedKey;
use super::{Cloud, Login, LoginSettings, client_options, login, subscription_of_cli};
use crate::sending::{Patience, send};
use crate::{Dialer, Error, HttpOptions};

/// The version of Resource Manager's storage API that the reference speaks.
const API_VERSION: &str = "2023-01-01";

/// How requests for blobs prove who sends them.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Access {
    /// Signed with this account key, in base64.
    Key(Sensitive<String>),
    /// With this shared access signature, without a `?` before it.
    Signature(Sensitive<String>),
    /// With a token of Entra ID.
    Login,
    /// Signed with an account key that Resource Manager tells whoever has signed in.
    #[default]
    KeyLookedUp,
}

impl Access {
    /// The first of these that is given, in the reference's order. Empty means not given.
    pub fn of(key: &Sensitive<String>, signature: &Sensitive<String>, by_login: bool) -> Access {
        let signature = signature.expose_secret().trim();
        if !key.expose_secret().is_empty() {
            Access::Key(key.clone())
        } else if !signature.is_empty() {
            Access::Signature(Sensitive::new(signature.trim_start_matches('?').to_owned()))
        } else if by_login {
            Access::Login
        } else {
            Access::KeyLookedUp
        }
    }
}

/// Where a container is, and how one gets to it. Empty means not set.
#[derive(Clone, Debug, Default)]
pub struct ContainerSettings {
    pub account: String,
    pub container: String,
    pub access: Access,
    /// Where the account is, for looking up its key or its address.
    pub resource_group: String,
    /// Ask Resource Manager for the account's address, for accounts with DNS zone endpoints.
    pub looks_up_address: bool,
    /// The cloud by its name, as [`Cloud::named`] takes it.
    pub environment: String,
    /// A host that describes another cloud.
    pub metadata_host: String,
    /// For what is needed only to sign in.
    pub login: LoginSettings,
}

impl ContainerSettings {
    fn asks_resource_manager(&self) -> bool {
        self.looks_up_address || self.access == Access::KeyLookedUp
    }

    /// Finds the account and signs in, as far as that is needed.
    ///
    /// # Errors
    /// When Azure cannot be asked, or does not tell this identity.
    pub async fn connect(&self, dialer: &Dialer) -> Result<Blobs, Error> {
        let cloud = match self.metadata_host.as_str() {
            "" => Cloud::named(&self.environment),
            host => Cloud::described_by(host, dialer).await,
        }?;
        let mut options = client_options(dialer, &cloud.login)?;
        let signs_in = self.access == Access::Login || self.asks_resource_manager();
        let login = match signs_in {
            true => Some(login(&self.login, options.clone(), dialer)?),
            false => None,
        };
        let found = match (&login, self.asks_resource_manager()) {
            (Some(login), true) => Some(self.look_up(&cloud, login, dialer).await?),
            _ => None,
        };
        let address = match &found {
            Some((address, _)) => address.clone(),
            None => format!("https://{}.blob.{}", self.account, cloud.storage_suffix),
        };
        let place = format!("{}/{}", address.trim_end_matches('/'), self.container);
        let mut container = Url::parse(&place)
            .map_err(|e| Error::new(format!("read the address {place}"), e.to_string()))?;
        let mut key = None;
        match &self.access {
            Access::Key(given) => key = Some(given.clone()),
            Access::KeyLookedUp => key = found.and_then(|(_, key)| key),
            Access::Signature(signature) => container.set_query(Some(signature.expose_secret())),
            Access::Login => {}
        }
        if let Some(key) = key {
            let policy = SharedKey::new(&self.account, &key)?;
            options.per_try_policies.push(Arc::new(policy));
        }
        let login = login.filter(|_| self.access == Access::Login);
        let credential = login.map(|login| login.credential);
        Blobs::new(container, credential, options)
    }

    /// The subscription that the account is looked up in.
    async fn subscription(&self, login: &Login, dialer: &Dialer) -> Result<String, Error> {
        match self.login.subscription_id.as_str() {
            "" if login.by_cli => subscription_of_cli(dialer.environment()).await,
            "" => Err(Error::new(
                format!("look up the storage account {:?}", self.account),
                "`subscription_id` is not set",
            )
            .remedy("Set it, or ARM_SUBSCRIPTION_ID: the account is looked up in it.")),
            given => Ok(given.to_owned()),
        }
    }

    /// The account's address for blobs and, where that is the way of access, one of its keys.
    async fn look_up(
        &self,
        cloud: &Cloud,
        login: &Login,
        dialer: &Dialer,
    ) -> Result<(String, Option<Sensitive<String>>), Error> {
        let subscription = self.subscription(login, dialer).await?;
        let token = login
            .credential
            .get_token(&[&cloud.arm_scope], None)
            .await
            .map_err(|e| Error::new("sign in to Azure Resource Manager", e.to_string()))?;
        let token = Sensitive::new(token.token.secret().to_owned());
        let mut url = Url::parse(&cloud.arm)
            .map_err(|e| Error::new("read Resource Manager's address", e.to_string()))?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend([
                "subscriptions",
                &subscription,
                "resourceGroups",
                &self.resource_group,
                "providers",
                "Microsoft.Storage",
                "storageAccounts",
                &self.account,
            ]);
        }
        let account = self.ask("GET", &url, &[], &token, dialer).await?;
        let address = account
            .pointer("/properties/primaryEndpoints/blob")
            .and_then(Json::as_str)
            .ok_or_else(|| {
                Error::new(
                    format!(
                        "look up the address of the storage account {:?}",
                        self.account
                    ),
                    "Resource Manager names no endpoint for blobs",
                )
            })?
            .to_owned();
        if self.access != Access::KeyLookedUp {
            return Ok((address, None));
        }
        if let Ok(mut path) = url.path_segments_mut() {
            path.push("listKeys");
        }
        let answer = self
            .ask("POST", &url, &[("$expand", "kerb")], &token, dialer)
            .await?;
        let keys = answer.get("keys").and_then(Json::as_array);
        let full = keys.into_iter().flatten().find(|key| {
            let permissions = key.get("permissions").and_then(Json::as_str);
            permissions.is_some_and(|p| p.eq_ignore_ascii_case("full"))
        });
        let value = full.and_then(|key| key.get("value")?.as_str());
        let value = value.ok_or_else(|| {
            Error::new(
                format!("look up a key of the storage account {:?}", self.account),
                "Resource Manager names none that allows writing",
            )
        })?;
        Ok((address, Some(Sensitive::new(value.to_owned()))))
    }

    async fn ask(
        &self,
        method: &str,
        url: &Url,
        query: &[(&str, &str)],
        token: &Sensitive<String>,
        dialer: &Dialer,
    ) -> Result<Json, Error> {
        let client = dialer.http(&HttpOptions::default())?;
        let request = || async {
            let request = match method {
                "POST" => client.post(url.clone()).body(""),
                _ => client.get(url.clone()),
            };
            Ok(request
                .query(&[("api-version", API_VERSION)])
                .query(query)
                .bearer_auth(token.expose_secret()))
        };
        let answer = send(dialer, Patience::default(), request).await?;
        let asked = || {
            format!(
                "look up the storage account {:?} ({method} {})",
                self.account,
                url.path()
            )
        };
        let body: Json = serde_json::from_slice(&answer.body).unwrap_or(Json::Null);
        if answer.status.is_success() {
            return Ok(body);
        }
        let text = |name: &str| {
            let error = body.get("error").and_then(|e| e.get(name));
            error.and_then(Json::as_str).unwrap_or_default().to_owned()
        };
        let said = format!(
            "{} {}: {}",
            answer.status.as_u16(),
            text("code"),
            text("message")
        );
        let error = Error::new(asked(), said);
        Err(match answer.status.as_u16() {
            403 => error.remedy(
                "Give this identity a role with Microsoft.Storage/storageAccounts/read and listKeys/action on the account, or set \
                 `use_azuread_auth` or `access_key`.",
            ),
            404 => error.remedy("Check `subscription_id`, `resource_group_name` and `storage_account_name`."),
            _ => error,
        })
    }
}
