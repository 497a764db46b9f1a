//! The provider `stead-iac/gitops`: hands a cluster over to Git.
//!
//! `gitops_argocd` installs Argo CD from a pinned manifest, `gitops_repository` gives it the credentials of a Git
//! repository, and `gitops_application` applies the root Application or ApplicationSet, waits until everything that it
//! generates is Synced and Healthy, and then lets go of the objects that Git manages now.

mod application;
mod apply;
mod argocd;
mod desired;
mod handoff;
mod manifest;
mod progress;
mod provider;
mod repository;
mod source;

use std::sync::Arc;

use stead_sdk::{Dialer, ProviderFactory};

pub use provider::factory;

/// The provider, by the source address that it answers to.
pub fn factories(dialer: &Dialer) -> Vec<(&'static str, Arc<dyn ProviderFactory>)> {
    vec![(
        "registry.terraform.io/stead-iac/gitops",
        stead_sdk::lazily(dialer, factory),
    )]
}
