//! A resource instance's configuration: its body by its schema, and everything it depends on by `depends_on`.

use stead_lang::config::Resource as ResourceConfig;
use stead_lang::decode::{Decoded, decode};
use stead_lang::expr::Target;
use stead_value::addr::{ConfigResource, ModuleInstance, ResourceInstance};
use stead_value::convert::convert;
use stead_value::schema::Block;
use stead_value::{Diagnostic, Type};

use super::{Evaluator, ModuleId, Object, ObjectId, Outcome, Repetition};

/// Where an instance is declared.
pub struct InstanceConfig<'c> {
    pub module: ModuleId,
    pub resource: &'c ResourceConfig,
    pub repetition: Repetition,
}

impl<'c> Evaluator<'c> {
    /// The configuration of an instance whose module has been entered and whose keys are known; `None` when nothing
    /// declares it.
    pub fn instance_config(&self, address: &ResourceInstance) -> Option<InstanceConfig<'c>> {
        let module = self.module(&address.module)?;
        let resource = self.config(module).resources.get(&address.resource)?;
        let keys = self.id(Object::ResourceKeys(module, address.resource.clone()));
        let repeated = self.expansion(keys)?.repeated(&address.key)?;
        Some(InstanceConfig {
            module,
            resource,
            repetition: self.repetition_of(&repeated),
        })
    }

    /// Whether `prevent_destroy` holds for an instance, whose configuration may be gone already (its key, not its block). What is
    /// not known prevents, and what is wrong is reported.
    pub fn prevents_destroy(&self, address: &ResourceInstance, resource: &ResourceConfig) -> bool {
        let Some(expr) = &resource.lifecycle.prevent_destroy else {
            return false;
        };
        let Some(module) = self.module(&address.module) else {
            return false;
        };
        let repetition = self
            .instance_config(address)
            .map_or_else(Repetition::default, |c| c.repetition);
        let scope = self.scope(module, repetition);
        let outcome = stead_lang::expr::evaluate(expr, &scope);
        self.report(outcome.diagnostics);
        let (value, _) = outcome.value.unmark();
        match convert(&value, &Type::Bool) {
            Ok(value) if value.is_null() => false,
            Ok(value) => value.as_bool().unwrap_or(true),
            Err(error) => {
                self.report([Diagnostic::error(
                    "Invalid prevent_destroy value",
                    format!("The prevent_destroy argument needs a bool: {error}."),
                )
                .at(expr.range())]);
                true
            }
        }
    }

    /// Demands the keys that an instance owes its existence to, so that they count as its dependencies.
    pub fn demand_declaration(&self, config: &InstanceConfig<'_>) {
        self.demand(Object::ResourceKeys(
            config.module,
            config.resource.addr.clone(),
        ));
        let mut module = config.module;
        loop {
            let node = self.node(module);
            let (Some(parent), Some((name, _))) = (node.parent, node.address.0.last()) else {
                break;
            };
            self.demand(Object::CallKeys(parent, name.clone()));
            module = parent;
        }
    }

    /// Computes the keys of every call on the way to a module instance; `None` when one cannot be computed.
    pub fn enter_module(&self, address: &ModuleInstance) -> Option<ModuleId> {
        let mut module = super::ROOT;
        for (name, key) in address.0.iter() {
            if !matches!(
                self.demand(Object::CallKeys(module, name.clone())),
                Outcome::Value(_)
            ) {
                return None;
            }
            module = self.child(module, name, key)?;
        }
        Some(module)
    }

    /// Evaluates an instance's body. Must run within [`Evaluator::run`] for the instance.
    pub fn decode_instance(&self, config: &InstanceConfig<'_>, schema: &Block) -> Decoded {
        let scope = self.scope(config.module, config.repetition.clone());
        decode(&config.resource.body, schema, &scope)
    }

    /// Demands everything that `depends_on` of the instance, and of the module calls around it, names.
    /// Returns the resource instances among it.
    pub fn demand_depends_on(&self, config: &InstanceConfig<'_>) -> Vec<ObjectId> {
        let mut instances = Vec::new();
        for dependency in &config.resource.depends_on {
            instances.extend(self.demand_all(config.module, &dependency.target));
        }
        let mut module = config.module;
        loop {
            let node = self.node(module);
            let (Some(parent), Some((name, _))) = (node.parent, node.address.0.last()) else {
                break;
            };
            if let Some(call) = self.config(parent).calls.get(name) {
                for dependency in &call.depends_on {
                    instances.extend(self.demand_all(parent, &dependency.target));
                }
            }
            module = parent;
        }
        instances
    }

    /// Demands an object with all its instances; for a module call everything inside.
    pub(super) fn demand_all(&self, module: ModuleId, target: &Target) -> Vec<ObjectId> {
        match target {
            Target::Resource { resource, .. } => {
                let Some(expansion) = self.expand_resource(module, resource) else {
                    return Vec::new();
                };
                let mut ids = Vec::new();
                for (key, _) in expansion.instances() {
                    let address = ResourceInstance {
                        module: self.module_address(module),
                        resource: resource.clone(),
                        key,
                    };
                    let object = Object::Instance(address);
                    ids.push(self.id(object.clone()));
                    self.demand(object);
                }
                ids
            }
            Target::Module { name, .. } => {
                let object = Object::CallKeys(module, name.clone());
                if !matches!(self.demand(object), Outcome::Value(_)) {
                    return Vec::new();
                }
                let children = self.children(module, name);
                children
                    .iter()
                    .flat_map(|child| self.demand_module(*child))
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    fn demand_module(&self, module: ModuleId) -> Vec<ObjectId> {
        if self.is_replaced(module) {
            return Vec::new();
        }
        let config = self.config(module);
        let resources = config.resources.keys().map(|resource| Target::Resource {
            resource: resource.clone(),
            key: None,
        });
        let calls = config.calls.keys().map(|name| Target::Module {
            name: name.clone(),
            key: None,
            output: None,
        });
        resources
            .chain(calls)
            .flat_map(|target| self.demand_all(module, &target))
            .collect()
    }

    /// Demands every instance of a resource, in whatever instances its module has; in `within` for a module of that name.
    pub fn demand_resource(&self, resource: &ConfigResource, within: &ModuleInstance) {
        let mut modules = vec![super::ROOT];
        if within.module() == resource.module {
            modules = self.module(within).into_iter().collect();
        } else {
            for name in &resource.module.0 {
                let mut children = Vec::new();
                for module in modules {
                    let keys = Object::CallKeys(module, name.clone());
                    if matches!(self.demand(keys), Outcome::Value(_)) {
                        children.extend(self.children(module, name).iter().copied());
                    }
                }
                modules = children;
            }
        }
        let target = Target::Resource {
            resource: resource.resource.clone(),
            key: None,
        };
        for module in modules {
            self.demand_all(module, &target);
        }
    }
}
