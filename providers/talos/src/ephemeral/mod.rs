//! What is opened while a run needs it, and never stored.

mod client_configuration;
mod cluster_health;
mod cluster_kubeconfig;
mod machine_configuration;
mod machine_secrets;
mod validity;

pub(crate) use client_configuration::ClientConfigurationEphemeral;
pub(crate) use cluster_health::ClusterHealthEphemeral;
pub(crate) use cluster_kubeconfig::ClusterKubeconfigEphemeral;
pub(crate) use machine_configuration::MachineConfigurationEphemeral;
pub(crate) use machine_secrets::MachineSecretsEphemeral;
