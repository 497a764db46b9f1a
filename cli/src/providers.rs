//! The providers that this program has, by the source addresses that people write.

use std::sync::Arc;

use crate::backend::OtherStacks;
use crate::encryption::Encryptions;
use stead_engine::Registry;
use stead_sdk::{Dialer, ProviderFactory};
use stead_utility::terraform;
use stead_value::Diagnostics;
use stead_value::addr::ProviderSource;

/// Every native provider, over one dialer.
///
/// # Errors
/// When the environment (`STEAD_DIAL`, `HTTPS_PROXY`, `SSL_CERT_FILE`) makes no sense.
pub(crate) fn registry() -> Result<Registry, Diagnostics> {
    let dialer = Dialer::from_env().map_err(stead_value::Diagnostic::from)?;
    let mut registry = Registry::default();
    for (source, factory) in stead_utility::factories(&dialer, Arc::new(OtherStacks::default())) {
        register(&mut registry, source, factory);
    }
    for (name, provisioner) in stead_utility::provision::provisioners(&dialer) {
        registry.register_provisioner(name, provisioner);
    }
    #[cfg(feature = "homelab")]
    for (source, factory) in homelab(&dialer) {
        register(&mut registry, source, factory);
    }
    Ok(registry)
}

/// Lets `terraform_remote_state` read states that are sealed.
pub(crate) fn open_states(
    registry: &mut Registry,
    encryptions: Encryptions,
) -> Result<(), Diagnostics> {
    let dialer = Dialer::from_env().map_err(stead_value::Diagnostic::from)?;
    let states = Arc::new(OtherStacks::opened_with(encryptions));
    let factory = Arc::new(terraform::factory(&dialer, states));
    register(registry, terraform::SOURCE, factory);
    Ok(())
}

/// The providers of a homelab, by source address.
#[cfg(feature = "homelab")]
fn homelab(dialer: &Dialer) -> impl Iterator<Item = (&'static str, Arc<dyn ProviderFactory>)> {
    [
        stead_truenas::factories(dialer),
        stead_microk8s::factories(dialer),
        stead_proxmox::factories(dialer),
        stead_azure::factories(dialer),
        stead_kubernetes::factories(dialer),
        stead_gitops::factories(dialer),
        stead_talos::factories(dialer),
    ]
    .into_iter()
    .flatten()
}

fn register(registry: &mut Registry, source: &str, factory: Arc<dyn ProviderFactory>) {
    if let Some(source) = ProviderSource::parse(source) {
        registry.register(source, factory);
    }
}

#[cfg(test)]
mod tests {
    use stead_sdk::testing::malformed_patterns;

    /// One that is malformed would let every value pass.
    #[test]
    fn the_patterns_of_all_schemas_are_patterns() {
        let registry = super::registry().expect("a registry");
        for source in registry.sources() {
            let factory = registry.factory(source).expect("a factory");
            let malformed = malformed_patterns(factory.schema());
            assert!(malformed.is_empty(), "{source}: {malformed:?}");
        }
    }
}
