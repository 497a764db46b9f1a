//! Which provider configuration a resource uses, and what that configuration says.

use std::sync::Arc;

use stead_lang::config::{ProviderConfig, ProviderName};
use stead_lang::decode::{Decoded, decode};
use stead_lang::syntax::Body;
use stead_state::ProviderConfigRef;
use stead_value::Diagnostic;
use stead_value::addr::{InstanceKey, ModuleInstance};
use stead_value::schema::Block;

use super::{Evaluator, ModuleId, Repetition};

/// A provider configuration found: its address, and its block where there is one.
pub struct FoundProvider<'c> {
    pub address: ProviderConfigRef,
    pub module: ModuleId,
    pub config: Option<&'c ProviderConfig>,
}

impl<'c> Evaluator<'c> {
    /// The provider configuration that `name` means in `module`: declared there, passed by its caller, or inherited.
    pub fn provider_address(
        &self,
        module: ModuleId,
        name: &ProviderName,
        used_by: &str,
    ) -> Result<ProviderConfigRef, Diagnostic> {
        let path = self.module_address(module).module();
        match self.tree().resolve_provider(&path, name) {
            Some(found) => Ok(ProviderConfigRef {
                module: found.module,
                source: found.source,
                alias: found.alias,
            }),
            None => Err(Diagnostic::error(
                "Provider configuration not present",
                format!(
                    "{used_by} needs the provider configuration \"{name}\", which is not there: neither is it declared beside it, nor does the caller of its module pass one. Declare it, with its alias, or name another one."
                ),
            )),
        }
    }

    /// The configuration behind an address, if the module that holds it has been entered. The default configuration of the
    /// root module needs no block.
    pub fn find_provider(&self, address: &ProviderConfigRef) -> Option<FoundProvider<'c>> {
        let keyless = address
            .module
            .0
            .iter()
            .map(|name| (Arc::clone(name), InstanceKey::None));
        let module = self.module(&ModuleInstance(keyless.collect()))?;
        let config = self
            .config(module)
            .provider_config(&address.source, address.alias.as_deref());
        let needs_no_block = address.alias.is_none() && address.module.0.is_empty();
        (config.is_some() || needs_no_block).then(|| FoundProvider {
            address: address.clone(),
            module,
            config,
        })
    }

    /// Evaluates a provider block. Must run within [`Evaluator::run`] for its object.
    pub fn decode_provider(&self, found: &FoundProvider<'_>, schema: &Block) -> Decoded {
        let scope = self.scope(found.module, Repetition::default());
        match found.config {
            Some(config) => decode(&config.body, schema, &scope),
            None => decode(&Body::empty(), schema, &scope),
        }
    }
}
