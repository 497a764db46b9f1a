//! The data plane of Key Vault, through the official client.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use azure_core::time::OffsetDateTime;
use azure_security_keyvault_secrets::models::{
    Secret, SecretAttributes, SecretClientGetSecretOptions,
    SecretClientUpdateSecretPropertiesOptions, SetSecretParameters,
    UpdateSecretPropertiesParameters,
};
use azure_security_keyvault_secrets::{SecretClient, SecretClientOptions};
use stead_sdk::value::Sensitive;
use stead_sdk::wait::{self, Poll};
use stead_sdk::{Context, Error};

use crate::arm::{KEY_VAULT, polling, until_accepted};
use crate::common;
use crate::error::ApiError;
use crate::ids::SecretId;
use crate::key_vault::with_slash;
use crate::provider::Client;

/// The version of the API that azurerm uses.
const API: &str = "7.4";

/// How long a deletion or recovery under way, or the name of a new vault, may take.
const PASSING: Duration = Duration::from_secs(120);

/// Refusals while a secret is on its way in or out.
const MOVING: &[&str] = &["ObjectIsBeingDeleted", "ObjectIsBeingRecovered"];

/// Refusals for want of a role.
const WITHOUT_ROLE: &[&str] = &["ForbiddenByRbac"];

/// One vault's secrets.
pub(crate) struct Vault<'a> {
    secrets: Arc<SecretClient>,
    client: &'a Client,
    cx: &'a Context,
}

/// A version of a secret.
pub(crate) struct Stored {
    pub(crate) id: SecretId,
    pub(crate) value: Sensitive<String>,
    pub(crate) content_type: String,
    pub(crate) tags: common::Tags,
    /// Seconds since 1970.
    pub(crate) not_before: Option<i64>,
    pub(crate) expires: Option<i64>,
}

/// What is said of a secret beside its value.
pub(crate) struct Properties<'a> {
    pub(crate) content_type: &'a str,
    pub(crate) tags: &'a BTreeMap<String, String>,
    pub(crate) not_before: Option<i64>,
    pub(crate) expires: Option<i64>,
}

impl Properties<'_> {
    fn attributes(&self) -> Result<SecretAttributes, Error> {
        let time = |seconds: Option<i64>| -> Result<Option<OffsetDateTime>, Error> {
            let read = |s| {
                OffsetDateTime::from_unix_timestamp(s)
                    .map_err(|e| Error::new("read a date of the secret", e.to_string()))
            };
            seconds.map(read).transpose()
        };
        Ok(SecretAttributes {
            enabled: Some(true),
            not_before: time(self.not_before)?,
            expires: time(self.expires)?,
            ..SecretAttributes::default()
        })
    }

    fn tags(&self) -> std::collections::HashMap<String, String> {
        self.tags
            .iter()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    }
}

impl Client {
    /// The address of the vault with this id.
    pub(crate) async fn vault_uri(&self, id: &str, cx: &Context) -> Result<String, Error> {
        let doing = format!("look up the vault {:?}", crate::ids::last(id));
        let found = self.arm.get(id, KEY_VAULT, &doing, cx).await?;
        let body = found.ok_or_else(|| {
            Error::not_found(doing.clone(), format!("{id} does not exist"))
                .remedy("Create the vault first: refer to its `id`.")
                .attribute("key_vault_id")
        })?;
        match common::text(&body, "/properties/vaultUri") {
            uri if uri.is_empty() => Err(Error::new(doing, "the answer names no vaultUri")),
            uri => Ok(with_slash(&uri)),
        }
    }

    pub(crate) fn vault<'a>(&'a self, uri: &str, cx: &'a Context) -> Result<Vault<'a>, Error> {
        let mut vaults = self.vaults.lock().unwrap_or_else(PoisonError::into_inner);
        let secrets = match vaults.get(uri) {
            Some(known) => Arc::clone(known),
            None => {
                let options = SecretClientOptions {
                    api_version: API.to_owned(),
                    client_options: self.options.clone(),
                    ..SecretClientOptions::default()
                };
                let made = SecretClient::new(uri, Arc::clone(&self.credential), Some(options))
                    .map_err(|e| Error::new(format!("use the vault {uri}"), e.to_string()))?;
                let made = Arc::new(made);
                vaults.insert(uri.to_owned(), Arc::clone(&made));
                made
            }
        };
        Ok(Vault {
            secrets,
            client: self,
            cx,
        })
    }
}

impl Vault<'_> {
    fn error(&self, asked: &str, error: &azure_core::Error) -> ApiError {
        ApiError::from_azure(asked, error, &self.client.arm.who)
    }

    /// Failures that pass: a role assigned a moment ago, a secret on its way, the name of a vault made a moment ago, a token that another
    /// request has thrown away.
    fn passing(&self) -> impl Fn(&ApiError) -> bool + use<'_> {
        let started = std::time::Instant::now();
        move |error| {
            let soon = started.elapsed() < PASSING;
            (error.is(WITHOUT_ROLE) && !self.client.assignment_lag().is_zero())
                || (soon && (error.is(MOVING) || error.is_unreachable() || error.is_unsigned()))
        }
    }

    fn patience(&self) -> Duration {
        self.client.assignment_lag().max(PASSING)
    }

    /// The version asked for, the latest when `version` is empty; `None` when there is no such secret.
    pub(crate) async fn get(&self, name: &str, version: &str) -> Result<Option<Stored>, ApiError> {
        let doing = format!("read the secret {name:?}");
        let asked = format!("{doing} (GET {}secrets/{name})", self.secrets.endpoint());
        let found = until_accepted(self.cx, &doing, self.patience(), self.passing(), || async {
            let options = SecretClientGetSecretOptions {
                secret_version: (!version.is_empty()).then(|| version.to_owned()),
                ..SecretClientGetSecretOptions::default()
            };
            let answer = self.secrets.get_secret(name, Some(options)).await;
            answer
                .and_then(|r| r.into_model())
                .map_err(|e| self.error(&asked, &e))
        });
        match found.await {
            Ok(secret) => Ok(Some(Stored::of(secret, &asked)?)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a new version.
    pub(crate) async fn set(
        &self,
        name: &str,
        value: &Sensitive<String>,
        properties: &Properties<'_>,
    ) -> Result<Stored, ApiError> {
        let doing = format!("set the secret {name:?}");
        let asked = format!("{doing} (PUT {}secrets/{name})", self.secrets.endpoint());
        let parameters = SetSecretParameters {
            content_type: Some(properties.content_type.to_owned()),
            secret_attributes: Some(properties.attributes()?),
            tags: Some(properties.tags()),
            value: Some(value.expose_secret().clone()),
        };
        let set = until_accepted(self.cx, &doing, self.patience(), self.passing(), || async {
            let content = parameters
                .clone()
                .try_into()
                .map_err(|e| self.error(&asked, &e))?;
            let answer = self.secrets.set_secret(name, content, None).await;
            answer
                .and_then(|r| r.into_model())
                .map_err(|e| self.error(&asked, &e))
        });
        Ok(Stored::of(set.await?, &asked)?)
    }

    /// Changes what is said of a version.
    pub(crate) async fn update(
        &self,
        id: &SecretId,
        properties: &Properties<'_>,
    ) -> Result<(), ApiError> {
        let doing = format!("change the secret {:?}", id.name);
        let asked = format!("{doing} (PATCH {}/{})", id.versionless(), id.version);
        let parameters = UpdateSecretPropertiesParameters {
            content_type: Some(properties.content_type.to_owned()),
            secret_attributes: Some(properties.attributes()?),
            tags: Some(properties.tags()),
        };
        let changed = until_accepted(self.cx, &doing, self.patience(), self.passing(), || async {
            let content = parameters
                .clone()
                .try_into()
                .map_err(|e| self.error(&asked, &e))?;
            let options = SecretClientUpdateSecretPropertiesOptions {
                secret_version: Some(id.version.clone()),
                ..SecretClientUpdateSecretPropertiesOptions::default()
            };
            self.secrets
                .update_secret_properties(&id.name, content, Some(options))
                .await
                .map_err(|e| self.error(&asked, &e))
        });
        changed.await.map(drop)
    }

    /// Brings a deleted secret back and waits until it can be read.
    pub(crate) async fn recover(&self, name: &str) -> Result<(), ApiError> {
        let doing = format!("recover the deleted secret {name:?}");
        let asked = format!(
            "{doing} (POST {}deletedsecrets/{name}/recover)",
            self.secrets.endpoint()
        );
        let recovered =
            until_accepted(self.cx, &doing, self.patience(), self.passing(), || async {
                self.secrets
                    .recover_deleted_secret(name, None)
                    .await
                    .map_err(|e| self.error(&asked, &e))
            });
        recovered.await?;
        let what = format!("the secret {name:?} to be recovered");
        let back = wait::until(self.cx, &what, polling().timeout(PASSING), || async {
            Ok(match self.get(name, "").await? {
                Some(_) => Poll::Ready(()),
                None => Poll::Pending,
            })
        });
        Ok(back.await?)
    }

    /// Deletes a secret and waits until the vault lists it as deleted.
    pub(crate) async fn delete(&self, name: &str) -> Result<(), ApiError> {
        let doing = format!("delete the secret {name:?}");
        let asked = format!("{doing} (DELETE {}secrets/{name})", self.secrets.endpoint());
        let deleted = until_accepted(self.cx, &doing, self.patience(), self.passing(), || async {
            self.secrets
                .delete_secret(name, None)
                .await
                .map_err(|e| self.error(&asked, &e))
        });
        match deleted.await {
            Ok(_) => {}
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(error),
        }
        let what = format!("the secret {name:?} to be deleted");
        let gone = wait::until(self.cx, &what, polling().timeout(PASSING), || async {
            match self.secrets.get_deleted_secret(name, None).await {
                Ok(_) => Ok(Poll::Ready(())),
                Err(error) => {
                    let error = self.error(&asked, &error);
                    match error.status() {
                        Some(404) => Ok(Poll::Pending),
                        // Without the right to look, the deletion itself is all that can be known.
                        Some(403) => Ok(Poll::Ready(())),
                        _ => Err(error.into()),
                    }
                }
            }
        });
        Ok(gone.await?)
    }

    /// Whether the vault keeps a deleted secret of this name. Without the right to look, the purge itself will tell.
    pub(crate) async fn is_soft_deleted(&self, name: &str) -> Result<bool, ApiError> {
        let doing = format!("look for the deleted secret {name:?}");
        let asked = format!(
            "{doing} (GET {}deletedsecrets/{name})",
            self.secrets.endpoint()
        );
        let found = until_accepted(self.cx, &doing, self.patience(), self.passing(), || async {
            self.secrets
                .get_deleted_secret(name, None)
                .await
                .map_err(|e| self.error(&asked, &e))
        });
        match found.await {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.status(), Some(403 | 404)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes a deleted secret for good and waits until its name is free.
    pub(crate) async fn purge(&self, name: &str) -> Result<(), ApiError> {
        let doing = format!("purge the deleted secret {name:?}");
        let asked = format!(
            "{doing} (DELETE {}deletedsecrets/{name})",
            self.secrets.endpoint()
        );
        let purged = until_accepted(self.cx, &doing, self.patience(), self.passing(), || async {
            self.secrets
                .purge_deleted_secret(name, None)
                .await
                .map_err(|e| self.error(&asked, &e))
        });
        match purged.await {
            Ok(_) => {}
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(error),
        }
        let what = format!("the secret {name:?} to be purged");
        let gone = wait::until(self.cx, &what, polling().timeout(PASSING), || async {
            match self.secrets.get_deleted_secret(name, None).await {
                Ok(_) => Ok(Poll::Pending),
                Err(error) => match self.error(&asked, &error) {
                    error if matches!(error.status(), Some(404 | 403)) => Ok(Poll::Ready(())),
                    error => Err(error.into()),
                },
            }
        });
        Ok(gone.await?)
    }
}

impl Stored {
    fn of(secret: Secret, asked: &str) -> Result<Stored, Error> {
        let id = secret
            .id
            .ok_or_else(|| Error::new(asked, "the answer names no id"))?;
        let attributes = secret.attributes.unwrap_or_default();
        Ok(Stored {
            id: SecretId::parse(&id)?,
            value: secret.value.unwrap_or_default().into(),
            content_type: secret.content_type.unwrap_or_default(),
            tags: secret.tags.unwrap_or_default().into_iter().collect(),
            not_before: attributes.not_before.map(OffsetDateTime::unix_timestamp),
            expires: attributes.expires.map(OffsetDateTime::unix_timestamp),
        })
    }
}
