//! Things to look up.

mod client_configuration;
mod cluster_kubeconfig;
mod health;
mod image_factory;
mod machine_configuration;
mod machine_disks;

pub(crate) use client_configuration::ClientConfigurationData;
pub(crate) use cluster_kubeconfig::ClusterKubeconfigData;
pub(crate) use health::{Cluster, ClusterHealth, ailment, check as check_health, check_nodes};
pub(crate) use image_factory::{ExtensionsVersions, ImageFactoryUrls, OverlaysVersions, Versions};
pub(crate) use machine_configuration::MachineConfigurationData;
pub(crate) use machine_disks::MachineDisks;
