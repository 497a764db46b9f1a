//! The Proxmox VE provider (`bpg/proxmox`) over the REST API; over SSH what that cannot do, which the plan says.

mod access;
mod client;
mod cluster;
mod container;
mod data;
mod download_file;
mod file;
mod firewall;
mod guest;
mod node;
mod oci_image;
mod privilege;
mod property;
mod provider;
mod rest;
mod sdn;
mod ssh;
mod storage;
mod table;
mod unpack;
mod upstream;
mod vm;
mod vm2;
mod volume;

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
