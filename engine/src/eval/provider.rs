//! Which provider configuration a resource uses, and what that configuration says.

use std::sync::Arc;

use stead_lang::config::{ProviderConfig, ProviderName};
use stead_lang::decode::{Decoded, decode};
use stead_lang::expr::evaluate;
use stead_lang::syntax::{Body, Expression};
use stead_state::ProviderConfigRef;
use stead_value::addr::{InstanceKey, Module, ModuleInstance};
use stead_value::convert::convert;
use stead_value::schema::Block;
use stead_value::{Diagnostic, Diagnostics, Marks, Type};

use super::{Evaluator, ModuleId, Object, Outcome, Phase, Repetition};
use crate::providers::config_ref;

/// A provider configuration found: its address, and its block where there is one.
pub struct FoundProvider<'c> {
    pub address: ProviderConfigRef,
    pub module: ModuleId,
    pub config: Option<&'c ProviderConfig>,
}

/// How an object names its provider.
pub struct NamedProvider<'a> {
    pub name: ProviderName,
    /// The key of an instance, and what `each` and `count` mean in it.
    pub key: Option<(&'a Expression, Repetition)>,
}

impl<'c> Evaluator<'c> {
    /// The provider configuration that is meant in `module`: declared there, passed by its caller, or inherited; with the key
    /// of an instance where it has `for_each`. Must run within [`Evaluator::run`], unless nobody gives a key.
    ///
    /// # Errors
    /// What is wrong; nothing while a key lacks something, which the run around it knows.
    pub fn provider_address(
        &self,
        module: ModuleId,
        named: NamedProvider<'_>,
        used_by: &str,
    ) -> Result<ProviderConfigRef, Diagnostics> {
        let path = self.module_address(module).module();
        let Some(found) = self.tree().passed_instance(&path, &named.name) else {
            if let Some(address) = self.expected_provider(module, &named.name) {
                return Ok(address);
            }
            return Err(Diagnostic::error(
                "Provider configuration not present",
                format!(
                    "{used_by} needs the provider configuration \"{}\", which is not there: neither is it declared beside it, nor does the caller of its module pass one. Declare it, with its alias, or name another one.", named.name
                ),
            ).into());
        };
        let mut address = config_ref(found.provider);
        let key = match (named.key, found.key) {
            (Some((key, repetition)), _) => Some((module, key, repetition)),
            (None, Some((called, key))) => self
                .calling(module, &called)
                .map(|(caller, repetition)| (caller, key, repetition)),
            (None, None) => None,
        };
        if let Some((module, key, repetition)) = key {
            address.key = self.provider_key(module, key, repetition, used_by)?;
        }
        Ok(address)
    }

    /// The provider configuration that the root module wants from its caller (`configuration_aliases`), while it is validated
    /// without one; `module` may have got it from there.
    fn expected_provider(
        &self,
        module: ModuleId,
        name: &ProviderName,
    ) -> Option<ProviderConfigRef> {
        if self.phase() != Phase::Validate {
            return None;
        }
        let (mut path, mut name) = (self.module_address(module).module(), name);
        while let Some(call) = path.0.pop() {
            let call = self.tree().get(&path)?.module.calls.get(&call)?;
            let passed = call.providers.iter().find(|p| p.in_child.name == *name)?;
            name = &passed.in_parent.name;
        }
        let required = &self.config(super::ROOT).terraform.required_providers;
        let required = required.get(&name.local)?;
        required.aliases.contains(name).then(|| ProviderConfigRef {
            module: Module::default(),
            source: required.source.clone(),
            alias: name.alias.clone(),
            key: InstanceKey::None,
        })
    }

    /// Whether nobody has configured the provider yet, because the caller is to do it.
    pub fn awaits_caller(&self, address: &ProviderConfigRef) -> bool {
        let required = &self.config(super::ROOT).terraform.required_providers;
        self.phase() == Phase::Validate
            && address.module.0.is_empty()
            && self.find_provider(address).is_none()
            && required.values().any(|r| {
                let aliased = r.aliases.iter().any(|name| name.alias == address.alias);
                r.source == address.source && aliased
            })
    }

    /// Whether finding an object's provider needs an expression to be evaluated.
    pub fn has_provider_key(&self, module: ModuleId, named: &NamedProvider<'_>) -> bool {
        let path = self.module_address(module).module();
        let passed = || self.tree().passed_instance(&path, &named.name);
        named.key.is_some() || passed().is_some_and(|found| found.key.is_some())
    }

    /// The caller of the module at `called`, which `module` is or lies in, and what `each` means in its call.
    fn calling(&self, module: ModuleId, called: &Module) -> Option<(ModuleId, Repetition)> {
        let address = self.module_address(module);
        let called = ModuleInstance(address.0.get(..called.0.len())?.into());
        let node = self.node(self.module(&called)?);
        Some((node.parent?, node.repetition.clone()))
    }

    fn provider_key(
        &self,
        module: ModuleId,
        key: &Expression,
        repetition: Repetition,
        used_by: &str,
    ) -> Result<InstanceKey, Diagnostics> {
        let evaluation = evaluate(key, &self.scope(module, repetition));
        let settled = evaluation.is_settled();
        self.report(evaluation.diagnostics);
        if !settled {
            return Err(Diagnostics::new());
        }
        if self.phase() == Phase::Validate {
            // Whichever it will be: the configuration is looked at for one that stands for all.
            return Ok(InstanceKey::None);
        }
        let (value, marks) = evaluation.value.unmark_deep();
        let wrong = |detail: String| {
            Err(Diagnostic::error("Invalid provider instance key", detail)
                .at(key.range())
                .into())
        };
        if marks.contains(Marks::SENSITIVE) {
            return wrong(
                "A provider instance key must not be derived from a sensitive value.".into(),
            );
        }
        if marks.contains(Marks::EPHEMERAL) {
            return wrong(
                "A provider instance key must not be derived from an ephemeral value.".into(),
            );
        }
        if value.is_null() {
            return wrong("A provider instance key must not be null.".into());
        }
        if !value.is_known() {
            return wrong(format!(
                "The provider instance key for {used_by} depends on values that cannot be determined until apply, so that stead can't know which provider instance plans it."
            ));
        }
        match convert(&value, &Type::String) {
            Ok(text) => Ok(InstanceKey::String(
                text.as_str().unwrap_or_default().into(),
            )),
            Err(error) => wrong(format!(
                "The given instance key is unsuitable: {}.",
                error.message
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
        let Some(config) = found.config else {
            let scope = self.scope(found.module, Repetition::default());
            return decode(&Body::empty(), schema, &scope);
        };
        match self.provider_repetition(found, config) {
            Ok(repetition) => {
                let scope = self.scope(found.module, repetition);
                decode(&config.body, schema, &scope)
            }
            Err(diagnostics) => Decoded {
                diagnostics,
                failed: true,
                ..decode(
                    &Body::empty(),
                    &Block::default(),
                    &self.scope(found.module, Repetition::default()),
                )
            },
        }
    }

    /// What `each` means in a provider block, for the instance that an address names.
    fn provider_repetition(
        &self,
        found: &FoundProvider<'_>,
        config: &ProviderConfig,
    ) -> Result<Repetition, Diagnostics> {
        let keys = Object::ProviderKeys(found.module, config.name.clone());
        let id = self.id(keys.clone());
        let Outcome::Value(_) = self.demand(keys) else {
            return Err(Diagnostics::new());
        };
        let key = &found.address.key;
        let repeated = self.expansion(id).and_then(|e| e.repeated(key));
        repeated.map(|r| self.repetition_of(&r)).ok_or_else(|| {
            let address = &found.address;
            let detail = match key {
                InstanceKey::None => format!("There are objects of the provider configuration {address} as it was before it had for_each. Return to the configuration without for_each until these objects are destroyed or removed from the state, or give their resources a key of an instance."),
                InstanceKey::Int(_) | InstanceKey::String(_) => format!("There are objects of the provider instance {address}, but its configuration has no such instance any more. Put the element back until these objects are destroyed.\n\nThis is commonly caused by using the same for_each collection for a resource, or its module, and for its provider configuration: the provider's must keep an element for one more apply, so that the objects can be destroyed."),
            };
            Diagnostic::error("Provider instance not present", detail).into()
        })
    }
}
