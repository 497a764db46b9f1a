//! The data source `azurerm_key_vault_secret`.

use stead_sdk::value::Sensitive;
use stead_sdk::{Context, DataSource, Error, async_trait};

use crate::common::{ReadTimeout, Tags, bounded_read};
use crate::provider::Client;
use crate::secret::date;

/// A secret that is there already.
#[derive(Clone, Debug, DataSource)]
#[data_source(name = "azurerm_key_vault_secret", legacy)]
pub(crate) struct SecretData {
    #[attr(computed)]
    pub(crate) content_type: String,
    #[attr(computed)]
    pub(crate) expiration_date: String,
    #[attr(optional, computed)]
    pub(crate) id: String,
    #[attr(required)]
    pub(crate) key_vault_id: String,
    #[attr(required)]
    pub(crate) name: String,
    #[attr(computed)]
    pub(crate) not_before_date: String,
    #[attr(computed)]
    pub(crate) resource_id: String,
    #[attr(computed)]
    pub(crate) resource_versionless_id: String,
    #[attr(computed)]
    pub(crate) tags: Tags,
    #[attr(computed, sensitive)]
    pub(crate) value: Sensitive<String>,
    #[attr(optional)]
    pub(crate) version: String,
    #[attr(computed)]
    pub(crate) versionless_id: String,
    #[attr(block(single))]
    pub(crate) timeouts: Option<ReadTimeout>,
}

#[async_trait]
impl DataSource for SecretData {
    type Client = Client;

    async fn read(client: &Client, config: Self, cx: &Context) -> Result<Self, Error> {
        let cx = &bounded_read(cx, config.timeouts.as_ref())?;
        let uri = client.vault_uri(&config.key_vault_id, cx).await?;
        let found = client
            .vault(&uri, cx)?
            .get(&config.name, &config.version)
            .await?;
        let stored = found.ok_or_else(|| {
            let doing = format!("read the secret {:?} of {uri}", config.name);
            Error::not_found(doing, "it does not exist").attribute("name")
        })?;
        let versionless = format!("{}/secrets/{}", config.key_vault_id, stored.id.name);
        Ok(SecretData {
            content_type: stored.content_type,
            expiration_date: date("", stored.expires),
            id: format!("{}/{}", stored.id.versionless(), stored.id.version),
            not_before_date: date("", stored.not_before),
            resource_id: format!("{versionless}/versions/{}", stored.id.version),
            resource_versionless_id: versionless,
            tags: stored.tags,
            value: stored.value,
            version: stored.id.version.clone(),
            versionless_id: stored.id.versionless(),
            ..config
        })
    }
}
