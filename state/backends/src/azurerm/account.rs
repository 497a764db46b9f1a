//! The storage account: found, and made ready for requests, when it is first needed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use azure_core::http::Url;
use serde_json::Value as Json;
use stead_sdk::azure::{Cloud, Login, client_options, login, subscription_of_cli};
use stead_sdk::value::Sensitive;
use stead_sdk::{Dialer, Error, HttpOptions};
use stead_state::BackendError;
use tokio::sync::OnceCell;

use super::blobs::Blobs;
use super::settings::{Access, Plan};
use super::shared_key::SharedKey;
use crate::sending::{Patience, failed, send};

/// The version of Resource Manager's storage API that the reference speaks.
const API_VERSION: &str = "2023-01-01";

#[derive(Debug)]
pub(super) struct Account {
    pub(super) plan: Plan,
    dialer: Dialer,
    blobs: OnceCell<Blobs>,
    /// The leases that this process holds, by blob: what is done to a blob under a lease must name it.
    leases: Mutex<HashMap<String, String>>,
}

impl Account {
    pub(super) fn new(plan: Plan, dialer: Dialer) -> Account {
        Account {
            plan,
            dialer,
            blobs: OnceCell::new(),
            leases: Mutex::default(),
        }
    }

    pub(super) fn lease_of(&self, blob: &str) -> Option<String> {
        let leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        leases.get(blob).cloned()
    }

    pub(super) fn note_lease(&self, blob: &str, id: &str) {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        leases.insert(blob.to_owned(), id.to_owned());
    }

    pub(super) fn forget_lease(&self, blob: &str) {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        leases.remove(blob);
    }

    pub(super) async fn blobs(&self) -> Result<&Blobs, BackendError> {
        self.blobs.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<Blobs, BackendError> {
        let plan = &self.plan;
        let cloud = match plan.metadata_host.as_str() {
            "" => Cloud::named(&plan.environment),
            host => Cloud::described_by(host, &self.dialer).await,
        }
        .map_err(failed)?;
        let mut options = client_options(&self.dialer, &cloud.login).map_err(failed)?;
        let signs_in = plan.access == Access::Login || plan.asks_resource_manager();
        let login = match signs_in {
            true => {
                Some(login(&plan.settings.login(), options.clone(), &self.dialer).map_err(failed)?)
            }
            false => None,
        };
        let found = match (&login, plan.asks_resource_manager()) {
            (Some(login), true) => Some(self.look_up(&cloud, login).await?),
            _ => None,
        };
        let address = match &found {
            Some((address, _)) => address.clone(),
            None => format!("https://{}.blob.{}", plan.account, cloud.storage_suffix),
        };
        let place = format!("{}/{}", address.trim_end_matches('/'), plan.container);
        let mut container = Url::parse(&place).map_err(|e| {
            BackendError::failed(format!("read the address {place}"), e.to_string())
        })?;
        let mut key = None;
        match &plan.access {
            Access::Key(given) => key = Some(given.clone()),
            Access::KeyLookedUp => key = found.and_then(|(_, key)| key),
            Access::Signature(signature) => container.set_query(Some(signature.expose_secret())),
            Access::Login => {}
        }
        if let Some(key) = key {
            let policy = SharedKey::new(&plan.account, &key).map_err(failed)?;
            options.per_try_policies.push(Arc::new(policy));
        }
        let login = login.filter(|_| plan.access == Access::Login);
        let credential = login.map(|login| login.credential);
        Blobs::new(container, credential, options)
    }

    /// The subscription that the account is looked up in.
    async fn subscription(&self, login: &Login) -> Result<String, Error> {
        match self.plan.settings.subscription_id.as_str() {
            "" if login.by_cli => subscription_of_cli(self.dialer.environment()).await,
            "" => Err(Error::new(
                format!("look up the storage account {:?}", self.plan.account),
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
    ) -> Result<(String, Option<Sensitive<String>>), BackendError> {
        let plan = &self.plan;
        let subscription = self.subscription(login).await.map_err(failed)?;
        let token = login
            .credential
            .get_token(&[&cloud.arm_scope], None)
            .await
            .map_err(|e| {
                failed(Error::new(
                    "sign in to Azure Resource Manager",
                    e.to_string(),
                ))
            })?;
        let token = Sensitive::new(token.token.secret().to_owned());
        let mut url = Url::parse(&cloud.arm)
            .map_err(|e| BackendError::failed("read Resource Manager's address", e.to_string()))?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend([
                "subscriptions",
                &subscription,
                "resourceGroups",
                &plan.settings.resource_group_name,
                "providers",
                "Microsoft.Storage",
                "storageAccounts",
                &plan.account,
            ]);
        }
        let account = self.ask("GET", &url, &[], &token).await?;
        let address = account
            .pointer("/properties/primaryEndpoints/blob")
            .and_then(Json::as_str)
            .ok_or_else(|| {
                BackendError::failed(
                    format!(
                        "look up the address of the storage account {:?}",
                        plan.account
                    ),
                    "Resource Manager names no endpoint for blobs",
                )
            })?
            .to_owned();
        if plan.access != Access::KeyLookedUp {
            return Ok((address, None));
        }
        if let Ok(mut path) = url.path_segments_mut() {
            path.push("listKeys");
        }
        let answer = self
            .ask("POST", &url, &[("$expand", "kerb")], &token)
            .await?;
        let keys = answer.get("keys").and_then(Json::as_array);
        let full = keys.into_iter().flatten().find(|key| {
            let permissions = key.get("permissions").and_then(Json::as_str);
            permissions.is_some_and(|p| p.eq_ignore_ascii_case("full"))
        });
        let value = full.and_then(|key| key.get("value")?.as_str());
        let value = value.ok_or_else(|| {
            BackendError::failed(
                format!("look up a key of the storage account {:?}", plan.account),
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
    ) -> Result<Json, BackendError> {
        let client = self.dialer.http(&HttpOptions::default()).map_err(failed)?;
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
        let answer = send(&self.dialer, Patience::default(), request).await?;
        let asked = || {
            format!(
                "look up the storage account {:?} ({method} {})",
                self.plan.account,
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
        let error = BackendError::failed(asked(), said);
        Err(match answer.status.as_u16() {
            403 => error.hint(
                "Give this identity a role with Microsoft.Storage/storageAccounts/read and listKeys/action on the account, or set \
                 `use_azuread_auth` or `access_key`.",
            ),
            404 => error.hint("Check `subscription_id`, `resource_group_name` and `storage_account_name`."),
            _ => error,
        })
    }
}
