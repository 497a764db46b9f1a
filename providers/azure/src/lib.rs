//! The provider `hashicorp/azurerm`: resource groups, Key Vault, storage and role assignments, in the schema of azurerm 5
//! with azurerm 4's deprecated attributes.
//!
//! `provider` connects (`cloud`, `credentials`, `transport`), `arm` speaks to Azure Resource Manager, `vault` to a vault's
//! data plane; every other module is a resource or data source.

mod account;
mod arm;
mod client_config;
mod common;
mod container;
mod container_sas;
mod error;
mod features;
mod identity;
mod ids;
mod key_vault;
mod key_vault_data;
mod provider;
mod resource_group;
mod role_assignment;
mod secret;
mod secret_data;
mod vault;

use std::sync::Arc;

use stead_sdk::{Dialer, ProviderFactory};

/// The provider, by the source address that it answers to.
pub fn factories(dialer: &Dialer) -> Vec<(&'static str, Arc<dyn ProviderFactory>)> {
    vec![(
        "registry.terraform.io/hashicorp/azurerm",
        stead_sdk::lazily(dialer, provider::factory),
    )]
}
