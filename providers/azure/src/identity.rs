//! Identities of Resource Manager's objects, as azurerm gives them: the names in an object's id, with the last one as `name`.
//!
//! Of the types here, azurerm 4.81 and 5.2 have identities of resource groups, key vaults and storage accounts only
//! (`GenerateIdentitySchema` in its `internal/services`).

use stead_sdk::{Block, Error, Identity};

use crate::account::StorageAccount;
use crate::ids;
use crate::key_vault::KeyVault;
use crate::resource_group::ResourceGroup;

#[derive(Clone, Debug, Block)]
pub(crate) struct InSubscription {
    #[attr(required)]
    name: String,
    #[attr(required)]
    subscription_id: String,
}

#[derive(Clone, Debug, Block)]
pub(crate) struct InGroup {
    #[attr(required)]
    name: String,
    #[attr(required)]
    resource_group_name: String,
    #[attr(required)]
    subscription_id: String,
}

impl InGroup {
    fn read(template: &str, id: &str) -> Option<InGroup> {
        let [subscription_id, resource_group_name, name] =
            ids::parse(template, id, "id").ok()?.map(str::to_owned);
        Some(InGroup {
            name,
            resource_group_name,
            subscription_id,
        })
    }

    fn id(&self, template: &str) -> String {
        let parts = [&self.subscription_id, &self.resource_group_name, &self.name];
        ids::format(template, &parts.map(String::as_str))
    }
}

impl Identity<ResourceGroup> for InSubscription {
    fn of(group: &ResourceGroup) -> Option<Self> {
        let [subscription_id, name] = ids::parse(ids::RESOURCE_GROUP, &group.id, "id")
            .ok()?
            .map(str::to_owned);
        Some(InSubscription {
            name,
            subscription_id,
        })
    }

    fn import_id(&self) -> Result<String, Error> {
        let parts = [&*self.subscription_id, &*self.name];
        Ok(ids::format(ids::RESOURCE_GROUP, &parts))
    }
}

impl Identity<KeyVault> for InGroup {
    fn of(vault: &KeyVault) -> Option<Self> {
        InGroup::read(ids::VAULT, &vault.id)
    }

    fn import_id(&self) -> Result<String, Error> {
        Ok(self.id(ids::VAULT))
    }
}

impl Identity<StorageAccount> for InGroup {
    fn of(account: &StorageAccount) -> Option<Self> {
        InGroup::read(ids::ACCOUNT, &account.id)
    }

    fn import_id(&self) -> Result<String, Error> {
        Ok(self.id(ids::ACCOUNT))
    }
}
