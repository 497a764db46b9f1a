//! The Talos provider: clusters of Talos Linux machines.
//!
//! [`machinery`] is pure and knows configurations and secrets; `node` talks to machines; `resources` and `data` are what
//! people write, with the schemas of `siderolabs/talos` 0.11.

mod api;
mod blocks;
mod client;
mod credentials;
mod data;
mod defaults;
mod ephemeral;
mod factory_api;
mod generate;
pub mod machinery;
mod node;
mod render;
mod resources;
#[cfg(test)]
mod tests;
mod upgrade;

use std::sync::Arc;

use stead_sdk::{Dialer, Native, ProviderFactory};

use client::{Client, Config, connect};
pub use resources::{Snapshots, Taken};

/// The provider, by its source address; all its connections go through `dialer`.
pub fn factories(dialer: &Dialer) -> Vec<(&'static str, Arc<dyn ProviderFactory>)> {
    vec![(
        "registry.terraform.io/siderolabs/talos",
        stead_sdk::lazily(dialer, factory),
    )]
}

fn factory(dialer: &Dialer) -> impl ProviderFactory + use<> {
    let definition = Native::<Client>::provider::<Config>("talos")
        .configure(connect)
        .resource::<resources::MachineSecretsResource>()
        .resource::<resources::Machine>()
        .resource::<resources::TalosCluster>()
        .resource::<resources::MachineConfigurationApply>()
        .resource::<resources::MachineBootstrap>()
        .resource::<resources::EtcdSnapshot>()
        .resource::<resources::ClusterKubeconfig>()
        .resource::<resources::ImageFactorySchematic>()
        .data_source::<data::ClientConfigurationData>()
        .data_source::<data::ClusterKubeconfigData>()
        .data_source::<data::MachineConfigurationData>()
        .data_source::<data::MachineDisks>()
        .data_source::<data::ClusterHealth>()
        .data_source::<data::ImageFactoryUrls>()
        .data_source::<data::Versions>()
        .data_source::<data::ExtensionsVersions>()
        .data_source::<data::OverlaysVersions>()
        .ephemeral::<ephemeral::MachineSecretsEphemeral>()
        .ephemeral::<ephemeral::MachineConfigurationEphemeral>()
        .ephemeral::<ephemeral::ClientConfigurationEphemeral>()
        .ephemeral::<ephemeral::ClusterKubeconfigEphemeral>()
        .ephemeral::<ephemeral::ClusterHealthEphemeral>();
    definition.build(dialer)
}
