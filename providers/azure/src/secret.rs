//! `azurerm_key_vault_secret`.

use jiff::Timestamp;
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Sensitive, Value};
use stead_sdk::{
    Context, Cut, Error, Failure, PlanDraft, Remains, Resource, ResourceSchema, Resumed,
    async_trait, codec,
};

use crate::common::{self, Phase, Tags, Timeouts, bounded};
use crate::error::ApiError;
use crate::ids::SecretId;
use crate::provider::Client;
use crate::vault::{Properties, Stored, Vault};

/// A secret in a vault; a change of its value is a new version.
#[derive(Clone, Debug, Resource)]
#[resource(name = "azurerm_key_vault_secret", version = 0, legacy)]
pub(crate) struct Secret {
    #[attr(optional)]
    pub(crate) content_type: String,
    #[attr(optional)]
    pub(crate) expiration_date: String,
    #[attr(optional, computed)]
    pub(crate) id: String,
    #[attr(required, replace)]
    pub(crate) key_vault_id: String,
    #[attr(required, replace)]
    pub(crate) name: String,
    #[attr(optional)]
    pub(crate) not_before_date: String,
    #[attr(computed)]
    pub(crate) resource_id: String,
    #[attr(computed)]
    pub(crate) resource_versionless_id: String,
    #[attr(optional)]
    pub(crate) tags: Tags,
    #[attr(optional, sensitive)]
    pub(crate) value: Sensitive<String>,
    #[attr(optional, write_only)]
    pub(crate) value_wo: Option<Sensitive<String>>,
    #[attr(optional)]
    pub(crate) value_wo_version: i64,
    #[attr(computed)]
    pub(crate) version: String,
    #[attr(computed)]
    pub(crate) versionless_id: String,
    #[attr(block(single))]
    pub(crate) timeouts: Option<Timeouts>,
}

/// Seconds since 1970 of a date as it is configured; `None` for an empty one.
fn seconds(text: &str, attribute: &str) -> Result<Option<i64>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    let time: Timestamp = text.parse().map_err(|_| {
        let said = format!("{text:?} is not a date such as \"2030-01-31T00:00:00Z\"");
        Error::new(format!("read `{attribute}`"), said).attribute(attribute)
    })?;
    Ok(Some(time.as_second()))
}

/// A date from the server, in the known spelling when it is the same instant.
pub(crate) fn date(known: &str, server: Option<i64>) -> String {
    let Some(server) = server else {
        return String::new();
    };
    let same = known
        .parse::<Timestamp>()
        .is_ok_and(|t| t.as_second() == server);
    if same {
        return known.to_owned();
    }
    Timestamp::from_second(server).map_or_else(|_| String::new(), |t| t.to_string())
}

impl Secret {
    fn properties(&self) -> Result<Properties<'_>, Error> {
        Ok(Properties {
            content_type: &self.content_type,
            tags: &self.tags,
            not_before: seconds(&self.not_before_date, "not_before_date")?,
            expires: seconds(&self.expiration_date, "expiration_date")?,
        })
    }

    /// The value to set: the write-only one, or the stored one.
    fn wanted(&self, config: &Value) -> Result<Sensitive<String>, Error> {
        let write_only: Option<Sensitive<String>> = codec::attribute(config, "value_wo")?;
        Ok(write_only.unwrap_or_else(|| self.value.clone()))
    }

    fn filled(self, stored: Stored) -> Self {
        let versionless = format!("{}/secrets/{}", self.key_vault_id, stored.id.name);
        // A write-only value is never stored.
        let value = if self.value_wo_version == 0 {
            stored.value
        } else {
            Sensitive::default()
        };
        Secret {
            content_type: stored.content_type,
            expiration_date: date(&self.expiration_date, stored.expires),
            id: format!("{}/{}", stored.id.versionless(), stored.id.version),
            not_before_date: date(&self.not_before_date, stored.not_before),
            resource_id: format!("{versionless}/versions/{}", stored.id.version),
            resource_versionless_id: versionless,
            tags: stored.tags,
            value,
            version: stored.id.version.clone(),
            versionless_id: stored.id.versionless(),
            ..self
        }
    }

    /// Sets the secret; one that is deleted is recovered first, if the provider block allows it.
    async fn set(
        &self,
        client: &Client,
        vault: &Vault<'_>,
        value: &Sensitive<String>,
        cx: &Context,
    ) -> Result<Stored, ApiError> {
        let properties = self.properties()?;
        let first = vault.set(&self.name, value, &properties).await;
        let Err(error) = &first else { return first };
        if !error.is(&["ObjectIsDeletedButRecoverable"]) {
            return first;
        }
        if !client.behaviour.recover_secrets {
            let name = &self.name;
            return first.map_err(|e| {
                e.remedy(format!(
                    "Purge it with `az keyvault secret purge --vault-name VAULT --name {name}`, or let it be recovered: \
                     `features {{ key_vault {{ recover_soft_deleted_secrets = true }} }}`."
                ))
            });
        }
        cx.progress(format!("recovering the deleted secret {:?}", self.name));
        vault.recover(&self.name).await?;
        vault.set(&self.name, value, &properties).await
    }
}

/// Checks `value` and `value_wo`: exactly one of them, the latter with its version.
fn validate_value(config: &Value, found: &mut Diagnostics) {
    let [value, write_only, version] =
        ["value", "value_wo", "value_wo_version"].map(|n| common::is_configured(config, n));
    let mut refuse = |name: &str, detail: &str| {
        found.push(
            Diagnostic::error("Invalid combination of arguments", detail)
                .attribute(Path::root().attr(name)),
        );
    };
    let unknown = ["value", "value_wo"]
        .iter()
        .any(|n| config.get(n).is_some_and(|v| !v.is_known()));
    match (value, write_only) {
        (true, true) if !unknown => refuse("value", "Set `value` or `value_wo`, not both."),
        (false, false) => refuse("value", "Set one of `value` and `value_wo`."),
        _ => {}
    }
    if write_only && !version {
        refuse(
            "value_wo_version",
            "`value_wo` needs `value_wo_version`: raise it to have a new value set.",
        );
    }
    if version && !write_only && !unknown {
        refuse(
            "value_wo_version",
            "`value_wo_version` belongs to `value_wo`.",
        );
    }
}

#[async_trait]
impl Resource for Secret {
    type Client = Client;

    fn validate(config: &Value) -> Diagnostics {
        let mut found = Diagnostics::new();
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let rule = "a secret's name has 1 to 127 letters, digits and dashes";
        common::name_rule(config, "name", 1..=127, allowed, rule, &mut found);
        validate_value(config, &mut found);
        for name in ["expiration_date", "not_before_date"] {
            let text = config.get(name).and_then(|v| v.as_str().map(str::to_owned));
            if let Some(Err(error)) = text.map(|t| seconds(&t, name)) {
                found.push(error.into());
            }
        }
        found
    }

    async fn plan(
        _client: Option<&Client>,
        plan: &mut PlanDraft,
        _cx: &Context,
    ) -> Result<(), Diagnostics> {
        if plan.is_create() {
            return Ok(());
        }
        if plan.changes("value") || plan.changes("value_wo_version") {
            for name in ["id", "version", "resource_id"] {
                plan.set_unknown(&Path::root().attr(name))?;
            }
        }
        // The service cannot take an expiry away.
        let set = |v: Option<Value>| v.is_some_and(|v| v.as_str().is_some_and(|s| !s.is_empty()));
        let silent = plan
            .attribute("expiration_date")
            .is_none_or(|v| v.is_null() || v.as_str() == Some(""));
        if set(plan.prior().get("expiration_date")) && silent {
            plan.replace(Path::root().attr("expiration_date"));
        }
        Ok(())
    }

    async fn create(
        client: &Client,
        planned: Self,
        config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let cx = &bounded(cx, planned.timeouts.as_ref(), Phase::Create)?;
        let uri = client.vault_uri(&planned.key_vault_id, cx).await?;
        let vault = client.vault(&uri, cx)?;
        if !client.behaviour.overwrite_existing
            && let Some(found) = vault.get(&planned.name, "").await?
        {
            let id = format!("{}/{}", found.id.versionless(), found.id.version);
            return Err(common::exists(<Self as ResourceSchema>::NAME, &id).into());
        }
        let value = planned.wanted(config)?;
        let stored = planned.set(client, &vault, &value, cx).await?;
        Ok(planned.filled(stored))
    }

    /// The vault names a version; the secret is ours when its newest version holds what was to be stored.
    async fn resume(client: &Client, cut: Cut<Self>, cx: &Context) -> Result<Resumed<Self>, Error> {
        let cx = &bounded(cx, cut.planned.timeouts.as_ref(), Phase::Read)?;
        let uri = client.vault_uri(&cut.planned.key_vault_id, cx).await?;
        let stored = client.vault(&uri, cx)?.get(&cut.planned.name, "").await?;
        let found = stored.map(|stored| cut.planned.clone().filled(stored));
        Ok(match found {
            None => Resumed::Absent,
            Some(found) if cut.is_met_by(&found) => Resumed::Complete(found),
            Some(_) => Resumed::Unknown,
        })
    }

    async fn read(client: &Client, prior: Self, cx: &Context) -> Result<Option<Self>, Error> {
        let cx = &bounded(cx, prior.timeouts.as_ref(), Phase::Read)?;
        let id = SecretId::parse(&prior.id)?;
        match client.vault(&id.vault, cx)?.get(&id.name, "").await {
            Ok(found) => Ok(found.map(|stored| prior.filled(stored))),
            // A vault that was deleted has no address any more.
            Err(error) if error.is_unreachable() && !prior.key_vault_id.is_empty() => {
                match client.vault_uri(&prior.key_vault_id, cx).await {
                    Err(gone) if gone.is_not_found() => Ok(None),
                    _ => Err(error.into()),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn update(
        client: &Client,
        prior: Self,
        planned: Self,
        config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let cx = &bounded(cx, planned.timeouts.as_ref(), Phase::Update)?;
        let id = SecretId::parse(&prior.id)?;
        let vault = client.vault(&id.vault, cx)?;
        if prior.value != planned.value || prior.value_wo_version != planned.value_wo_version {
            let value = planned.wanted(config)?;
            let stored = planned.set(client, &vault, &value, cx).await?;
            return Ok(planned.filled(stored));
        }
        vault.update(&id, &planned.properties()?).await?;
        let stored = vault.get(&id.name, &id.version).await?;
        let gone = || Error::not_found("read the changed secret", "it is gone");
        Ok(planned.filled(stored.ok_or_else(gone)?))
    }

    async fn delete(client: &Client, prior: Self, cx: &Context) -> Result<(), Error> {
        let cx = &bounded(cx, prior.timeouts.as_ref(), Phase::Delete)?;
        let id = SecretId::parse(&prior.id)?;
        let vault = client.vault(&id.vault, cx)?;
        vault.delete(&id.name).await?;
        if !client.behaviour.purge_secrets {
            return Ok(());
        }
        match vault.purge(&id.name).await {
            Ok(()) => Ok(()),
            // The secret is deleted either way: keeping it in the state would help nobody.
            Err(error) if error.status() == Some(403) || error.is(&["Forbidden"]) => {
                let name = &id.name;
                cx.warn(
                    format!("The secret {name:?} is deleted, but not purged"),
                    format!(
                        "{} Its name stays taken until it is purged; a later creation recovers it.",
                        Error::from(error)
                    ),
                );
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn remains(client: &Client, prior: Self, cx: &Context) -> Result<Remains<Self>, Error> {
        if let Some(found) = Self::read(client, prior.clone(), cx).await? {
            return Ok(Remains::Whole(found));
        }
        if !client.behaviour.purge_secrets {
            return Ok(Remains::Nothing);
        }
        let cx = &bounded(cx, prior.timeouts.as_ref(), Phase::Read)?;
        let id = SecretId::parse(&prior.id)?;
        match client.vault(&id.vault, cx)?.is_soft_deleted(&id.name).await {
            Ok(true) => Ok(Remains::Part(prior)),
            Ok(false) => Ok(Remains::Nothing),
            // It went with its vault: `read` has made sure that this is gone.
            Err(error) if error.is_unreachable() => Ok(Remains::Nothing),
            Err(error) => Err(error.into()),
        }
    }

    async fn import(client: &Client, id: &str, cx: &Context) -> Result<Self, Error> {
        let id = SecretId::parse(id)?;
        let doing = format!("import the secret {:?}", id.name);
        let key_vault_id = client.vault_with_uri(&id.vault, cx).await?;
        let found = client.vault(&id.vault, cx)?.get(&id.name, "").await?;
        let stored = found.ok_or_else(|| Error::not_found(doing, "it does not exist"))?;
        let empty = Secret {
            content_type: String::new(),
            expiration_date: String::new(),
            id: String::new(),
            key_vault_id,
            name: id.name,
            not_before_date: String::new(),
            resource_id: String::new(),
            resource_versionless_id: String::new(),
            tags: Tags::new(),
            value: Sensitive::default(),
            value_wo: None,
            value_wo_version: 0,
            version: String::new(),
            versionless_id: String::new(),
            timeouts: None,
        };
        Ok(empty.filled(stored))
    }
}

impl Client {
    /// The id of the subscription's vault with this address.
    async fn vault_with_uri(&self, uri: &str, cx: &Context) -> Result<String, Error> {
        let doing = format!("find the vault {uri}");
        let path = format!(
            "/subscriptions/{}/providers/Microsoft.KeyVault/vaults",
            self.subscription_id
        );
        let listed = self
            .arm
            .get(&path, crate::arm::KEY_VAULT, &doing, cx)
            .await?
            .unwrap_or_default();
        let vaults = listed.get("value").and_then(serde_json::Value::as_array);
        let same = |v: &&serde_json::Value| {
            crate::key_vault::with_slash(&common::text(v, "/properties/vaultUri")) == uri
        };
        vaults
            .and_then(|all| all.iter().find(same))
            .map(|v| common::text(v, "/id"))
            .ok_or_else(|| {
                Error::not_found(doing, "no vault of this subscription has this address")
            })
    }
}
