//! The MicroK8s provider (`stead-iac/microk8s`, own schema): nodes installed and kept over SSH, and their kubeconfig.

mod kubeconfig;
mod node;
mod provider;
mod shell;
mod status;

use std::sync::Arc;

use stead_sdk::{Dialer, ProviderFactory};

/// The provider, by the source addresses that it answers to.
pub fn factories(dialer: &Dialer) -> Vec<(&'static str, Arc<dyn ProviderFactory>)> {
    vec![(
        "registry.terraform.io/stead-iac/microk8s",
        stead_sdk::lazily(dialer, provider::factory),
    )]
}
