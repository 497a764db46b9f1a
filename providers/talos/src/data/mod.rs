//! Things to look up.

mod client_configuration;
mod health;
mod image_factory;
mod machine_configuration;

pub(crate) use client_configuration::ClientConfigurationData;
pub(crate) use health::{ClusterHealth, ailment};
pub(crate) use image_factory::{ExtensionsVersions, ImageFactoryUrls, OverlaysVersions, Versions};
pub(crate) use machine_configuration::MachineConfigurationData;
