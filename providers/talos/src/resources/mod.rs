//! Managed objects.

mod apply;
mod bootstrap;
mod kubeconfig;
mod schematic;
mod secrets;

pub(crate) use apply::MachineConfigurationApply;
pub(crate) use bootstrap::{MachineBootstrap, is_member};
pub(crate) use kubeconfig::{ClusterKubeconfig, fetch_kubeconfig};
pub(crate) use schematic::ImageFactorySchematic;
pub(crate) use secrets::MachineSecretsResource;
