//! The apply of a refresh-only plan: what was found is recorded, with the outputs that follow from it.

use std::sync::Arc;

use stead_value::addr::{ResourceInstance, ResourceMode};
use stead_value::{Type, Value};

use super::Executor;
use crate::eval::{Object, Outcome, ROOT};

impl Executor<'_, '_> {
    /// From now on only what is recorded is there; what the configuration wants beside it is not known.
    pub(super) fn see_only_recorded(&mut self) {
        self.evaluator
            .see_only(crate::plan::recorded_keys(&self.state));
        let mut modules = vec![ROOT];
        while let Some(module) = modules.pop() {
            let config = self.evaluator.config(module);
            let managed = config.resources.keys();
            for resource in managed.filter(|r| r.mode == ResourceMode::Managed) {
                let Some(expansion) = self.evaluator.expand_resource(module, resource) else {
                    continue;
                };
                for (key, _) in expansion.instances() {
                    let address = ResourceInstance {
                        module: self.evaluator.module_address(module),
                        resource: resource.clone(),
                        key,
                    };
                    if self.state.current(&address).is_none() {
                        let absent = Value::unknown(self.type_of(&address));
                        let id = self.evaluator.id(Object::Instance(address));
                        self.evaluator.publish(id, absent);
                    }
                }
            }
            for name in config.calls.keys() {
                let keys = Object::CallKeys(module, Arc::clone(name));
                if let Outcome::Value(_) = self.evaluator.demand(keys) {
                    modules.extend(self.evaluator.children(module, name).iter().copied());
                }
            }
        }
    }

    fn type_of(&self, address: &ResourceInstance) -> Type {
        let resource = &address.resource;
        let schema = self
            .evaluator
            .tree()
            .get(&address.module.module())
            .and_then(|node| node.module.resources.get(resource))
            .map(|declared| declared.provider_name())
            .and_then(|name| {
                let path = address.module.module();
                self.evaluator.tree().resolve_provider(&path, &name)
            })
            .and_then(|provider| {
                self.registry
                    .resource_schema(&provider.source, resource.mode, &resource.type_name)
                    .ok()
            });
        schema.map_or(Type::Dynamic, |schema| schema.block.value_type())
    }
}
