//! Moves between types, and between providers: the new provider makes the recorded object one of its own.

use std::sync::Arc;

use stead_sdk::ForeignObject;
use stead_state::{Object, ProviderConfigRef, ResourceId};
use stead_value::addr::{ProviderSource, ResourceInstance};
use stead_value::schema::Schema;
use stead_value::{Diagnostic, Diagnostics, SourceRange};

use super::Planner;
use crate::identity;
use crate::object;
use crate::providers::config_ref;

impl Planner<'_, '_> {
    /// Before an object moves: turns it into one of the type and the provider that its new address has, when these are others.
    /// Gives the provider configuration that the object has from then on; `None` when it must stay, and why has been said.
    pub(super) fn take_over(
        &mut self,
        from: &ResourceInstance,
        to: &ResourceInstance,
        statement: &SourceRange,
    ) -> Option<ProviderConfigRef> {
        let recorded = self.state.resources.get(&ResourceId::of(from))?;
        let instance = recorded.instances.get(&from.key)?;
        let old = recorded.provider_of(instance).clone();
        let same_type = from.resource.type_name == to.resource.type_name;
        let Some(new) = self.configured_provider(to) else {
            if same_type {
                return Some(old);
            }
            self.diagnostics.push(
                unsupported(format!("This statement declares a move from {from} to {to}, which is of another type and not declared in the configuration, so that no provider can take the object over. Declare it, or write a \"removed\" block for the old object."))
                    .at(statement.clone()),
            );
            return None;
        };
        if same_type && alike(&old.source, &new.source) {
            return Some(old);
        }
        let mut taken = instance.clone();
        for object in taken.current.iter_mut().chain(taken.deposed.values_mut()) {
            match self.taken(from, &old.source, to, &new, object, statement) {
                Ok(own) => *object = own,
                Err(errors) => {
                    self.diagnostics.extend(errors);
                    return None;
                }
            }
        }
        let resource = self.state.resources.get_mut(&ResourceId::of(from))?;
        resource.instances.insert(from.key.clone(), taken);
        Some(new)
    }

    /// The provider configuration that a declared resource has.
    fn configured_provider(&self, address: &ResourceInstance) -> Option<ProviderConfigRef> {
        let tree = self.evaluator.tree();
        let path = address.module.module();
        let resource = tree.get(&path)?.module.resources.get(&address.resource)?;
        tree.resolve_provider(&path, &resource.provider_name())
            .map(config_ref)
    }

    fn taken(
        &self,
        from: &ResourceInstance,
        source: &ProviderSource,
        to: &ResourceInstance,
        provider: &ProviderConfigRef,
        object: &Object,
        statement: &SourceRange,
    ) -> Result<Object, Diagnostics> {
        let type_name = &to.resource.type_name;
        let schema: &Arc<Schema> =
            self.registry
                .resource_schema(&provider.source, to.resource.mode, type_name)?;
        let attributes = serde_json::from_str(object.attributes.get()).map_err(|e| {
            Diagnostic::error("Malformed state", format!("The attributes of {from}: {e}."))
        })?;
        let foreign = ForeignObject {
            provider: source,
            type_name: &from.resource.type_name,
            schema_version: object.schema_version,
            attributes: &attributes,
            private: &object.private,
        };
        let factory = self.registry.factory_for(provider)?;
        let Some(own) = factory.instantiate().take_over(type_name, &foreign)? else {
            return Err(unsupported(format!(
                "The provider \"{}\" does not support moved operations across resource types and providers.",
                provider.source
            ))
            .at(statement.clone())
            .into());
        };
        identity::check(to, schema, None, own.identity.as_ref())?;
        let mut encoded = object::encode(
            own,
            schema,
            object.status,
            object.dependencies.clone(),
            object.create_before_destroy,
        )?;
        encoded.unknown_fields = object.unknown_fields.clone();
        Ok(encoded)
    }
}

fn unsupported(detail: String) -> Diagnostic {
    Diagnostic::error("Unsupported `moved` across resource types", detail)
}

/// Whether two addresses mean one provider: OpenTofu's registry names the same ones.
fn alike(a: &ProviderSource, b: &ProviderSource) -> bool {
    let known = |host: &str| matches!(host, ProviderSource::DEFAULT_HOST | "registry.opentofu.org");
    (a.namespace == b.namespace && a.name == b.name)
        && (a.host == b.host || (known(&a.host) && known(&b.host)))
}
