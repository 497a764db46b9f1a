//! The TrueNAS provider (`truenas/truenas`): datasets and NFS shares over JSON-RPC 2.0 on a WebSocket, never REST.

mod client;
mod dataset;
mod nfs_share;
mod provider;
mod rpc;

use std::sync::Arc;

use stead_sdk::{Dialer, ProviderFactory};

/// The provider, by the source address that it answers to.
pub fn factories(dialer: &Dialer) -> Vec<(&'static str, Arc<dyn ProviderFactory>)> {
    vec![(
        "registry.terraform.io/truenas/truenas",
        stead_sdk::lazily(dialer, provider::factory),
    )]
}
