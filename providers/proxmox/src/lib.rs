//! The Proxmox VE provider (`bpg/proxmox`): virtual machines, images and mappings over the REST API, without SSH.

mod client;
mod data;
mod download_file;
mod mapping_pci;
mod property;
mod provider;
mod vm;

use std::sync::Arc;

use stead_sdk::{Dialer, ProviderFactory};

pub use provider::factory;

/// The provider, by the source address that it answers to.
pub fn factories(dialer: &Dialer) -> Vec<(&'static str, Arc<dyn ProviderFactory>)> {
    vec![(
        "registry.terraform.io/bpg/proxmox",
        stead_sdk::lazily(dialer, factory),
    )]
}
