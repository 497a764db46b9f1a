//! The provider `hashicorp/kubernetes`: namespaces, secrets, and manifests of any kind.
//!
//! Schemas are those of the published provider (3.x). It connects at the first request: a cluster that does not exist yet
//! is planned by the schemas alone.

mod fields;
mod identity;
mod manifest;
mod metadata;
mod namespace;
mod provider;
mod secret;
mod waiting;

use std::sync::Arc;

use stead_sdk::{Dialer, ProviderFactory};

pub use provider::factory;

/// The provider, by the source address that it answers to.
pub fn factories(dialer: &Dialer) -> Vec<(&'static str, Arc<dyn ProviderFactory>)> {
    vec![(
        "registry.terraform.io/hashicorp/kubernetes",
        stead_sdk::lazily(dialer, factory),
    )]
}
