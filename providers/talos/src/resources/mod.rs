//! Managed objects.

mod apply;
mod bootstrap;
mod cluster;
mod etcd_snapshot;
mod kubeconfig;
mod machine;
mod schematic;
mod secrets;

pub(crate) use apply::MachineConfigurationApply;
pub(crate) use bootstrap::{MachineBootstrap, is_member, url_host};
pub(crate) use cluster::TalosCluster;
pub(crate) use etcd_snapshot::EtcdSnapshot;
pub use etcd_snapshot::{Snapshots, Taken};
pub(crate) use kubeconfig::{ClusterKubeconfig, access, fetch_kubeconfig};
pub(crate) use machine::Machine;
pub(crate) use schematic::ImageFactorySchematic;
pub(crate) use secrets::{
    MachineSecretsResource, administrator, contract as secrets_contract,
    generate as generate_secrets,
};
