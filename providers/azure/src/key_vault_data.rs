//! The data source `azurerm_key_vault`.

use stead_sdk::{Block, Context, DataSource, Error, async_trait};

use crate::common::{ReadTimeout, Tags, bounded_read};
use crate::ids;
use crate::key_vault::{AccessPolicy, KeyVault};
use crate::provider::Client;

/// A vault that is there already.
#[derive(Clone, Debug, DataSource)]
#[data_source(name = "azurerm_key_vault", legacy)]
pub(crate) struct KeyVaultData {
    #[attr(computed)]
    pub(crate) access_policy: Vec<AccessPolicy>,
    #[attr(computed, deprecated = "Gone in azurerm 5.")]
    pub(crate) enable_rbac_authorization: bool,
    #[attr(computed)]
    pub(crate) enabled_for_deployment: bool,
    #[attr(computed)]
    pub(crate) enabled_for_disk_encryption: bool,
    #[attr(computed)]
    pub(crate) enabled_for_template_deployment: bool,
    #[attr(optional, computed)]
    pub(crate) id: String,
    #[attr(computed)]
    pub(crate) location: String,
    #[attr(required)]
    pub(crate) name: String,
    #[attr(computed)]
    pub(crate) network_acls: Vec<Rules>,
    #[attr(computed)]
    pub(crate) public_network_access_enabled: bool,
    #[attr(computed)]
    pub(crate) purge_protection_enabled: bool,
    #[attr(computed)]
    pub(crate) rbac_authorization_enabled: bool,
    #[attr(required)]
    pub(crate) resource_group_name: String,
    #[attr(computed)]
    pub(crate) sku_name: String,
    #[attr(computed)]
    pub(crate) tags: Tags,
    #[attr(computed)]
    pub(crate) tenant_id: String,
    #[attr(computed)]
    pub(crate) vault_uri: String,
    #[attr(block(single))]
    pub(crate) timeouts: Option<ReadTimeout>,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct Rules {
    #[attr(optional, computed)]
    pub(crate) bypass: String,
    #[attr(optional, computed)]
    pub(crate) default_action: String,
    #[attr(optional, computed)]
    pub(crate) ip_rules: Vec<String>,
    #[attr(optional, computed)]
    pub(crate) virtual_network_subnet_ids: Vec<String>,
}

#[async_trait]
impl DataSource for KeyVaultData {
    type Client = Client;

    async fn read(client: &Client, config: Self, cx: &Context) -> Result<Self, Error> {
        let cx = &bounded_read(cx, config.timeouts.as_ref())?;
        let (group, name) = (&config.resource_group_name, &config.name);
        let id = ids::format(ids::VAULT, &[&client.subscription_id, group, name]);
        let found = KeyVault::find(client, id, group, name, cx).await?;
        let vault = found.ok_or_else(|| {
            let said = format!("the resource group {group:?} has no such vault");
            Error::not_found(format!("read the key vault {name:?}"), said).attribute("name")
        })?;
        let rules = vault.network_acls.into_iter().map(|rules| Rules {
            bypass: rules.bypass,
            default_action: rules.default_action,
            ip_rules: rules.ip_rules,
            virtual_network_subnet_ids: rules.virtual_network_subnet_ids,
        });
        Ok(KeyVaultData {
            access_policy: vault.access_policy,
            enable_rbac_authorization: vault.rbac_authorization_enabled,
            enabled_for_deployment: vault.enabled_for_deployment,
            enabled_for_disk_encryption: vault.enabled_for_disk_encryption,
            enabled_for_template_deployment: vault.enabled_for_template_deployment,
            id: vault.id,
            location: vault.location,
            network_acls: rules.collect(),
            public_network_access_enabled: vault.public_network_access_enabled,
            purge_protection_enabled: vault.purge_protection_enabled,
            rbac_authorization_enabled: vault.rbac_authorization_enabled,
            sku_name: vault.sku_name,
            tags: vault.tags,
            tenant_id: vault.tenant_id,
            vault_uri: vault.vault_uri,
            ..config
        })
    }
}
