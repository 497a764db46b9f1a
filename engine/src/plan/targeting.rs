//! `-target` and `-exclude`: which part of the configuration and the state a plan is about.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use stead_state::{parse_module_instance, parse_resource_instance};
use stead_value::addr::{
    ConfigResource, InstanceKey, Module, ModuleInstance, Resource, ResourceInstance,
};

use crate::checks::Checkable;
use crate::eval::Object;
use crate::references::{Node, References};

/// What a `-target` or `-exclude` names: a module, a resource or an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    module: ModuleInstance,
    resource: Option<(Resource, InstanceKey)>,
}

/// Words that begin something other than a resource.
pub const RESERVED: [&str; 11] = [
    "count",
    "each",
    "local",
    "module",
    "path",
    "self",
    "terraform",
    "var",
    "template",
    "lazy",
    "arg",
];

impl Target {
    /// Reads an address; `None` when it is none.
    pub fn parse(text: &str) -> Option<Target> {
        if let Some(address) = parse_resource_instance(text)
            && !RESERVED.contains(&&*address.resource.type_name)
        {
            return Some(Target {
                module: address.module,
                resource: Some((address.resource, address.key)),
            });
        }
        let module = parse_module_instance(text).filter(|m| !m.is_root())?;
        Some(Target {
            module,
            resource: None,
        })
    }

    /// Whether an instance is meant. Without a key, all instances of the resource or of the last module are.
    pub(crate) fn contains(&self, address: &ResourceInstance) -> bool {
        match &self.resource {
            Some((resource, key)) => {
                *resource == address.resource
                    && self.module == address.module
                    && (*key == InstanceKey::None || *key == address.key)
            }
            None => self.contains_module(&address.module),
        }
    }

    fn contains_module(&self, module: &ModuleInstance) -> bool {
        let last = self.module.0.len().saturating_sub(1);
        module.0.len() >= self.module.0.len()
            && self.module.0.iter().zip(module.0.iter()).enumerate().all(
                |(i, ((name, key), (other, other_key)))| {
                    name == other && (key == other_key || (i == last && *key == InstanceKey::None))
                },
            )
    }

    /// Whether a resource is meant, or one of its instances.
    fn touches(&self, resource: &ConfigResource) -> bool {
        let names = self.module.module();
        match &self.resource {
            Some((own, _)) => *own == resource.resource && names == resource.module,
            None => resource.module.0.starts_with(&names.0),
        }
    }

    /// Whether a resource is meant as a whole, whatever instances it has.
    fn covers(&self, resource: &ConfigResource) -> bool {
        let keyless = self
            .module
            .0
            .iter()
            .all(|(_, key)| *key == InstanceKey::None);
        let whole = self
            .resource
            .as_ref()
            .is_none_or(|(_, key)| *key == InstanceKey::None);
        keyless && whole && self.touches(resource)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.resource {
            Some((resource, key)) => {
                if !self.module.is_root() {
                    write!(f, "{}.", self.module)?;
                }
                write!(f, "{resource}{key}")
            }
            None => self.module.fmt(f),
        }
    }
}

/// The part of a configuration that a plan is about; the default is all of it.
#[derive(Default)]
pub(super) struct Selection {
    /// `None`: everything.
    kept: Option<HashSet<Node>>,
    targets: Vec<Target>,
    excludes: Vec<Target>,
}

impl Selection {
    pub(super) fn new(
        references: &References<'_>,
        targets: &[Target],
        excludes: &[Target],
    ) -> Selection {
        if targets.is_empty() && excludes.is_empty() {
            return Selection::default();
        }
        let all = references.all_resources();
        let seeds: Vec<ConfigResource> = if targets.is_empty() {
            without_excluded(references, all, excludes)
        } else {
            all.into_iter()
                .filter(|resource| targets.iter().any(|t| t.touches(resource)))
                .collect()
        };
        let mut kept = references.with_ancestors(seeds.into_iter().map(Node::Resource));
        // Outputs cannot be targeted themselves: those that need nothing but what is kept go along.
        let outputs: Vec<Node> = references
            .root_outputs()
            .into_iter()
            .filter(|output| {
                let needs = references.resources(output.clone());
                !needs.is_empty() && needs.into_iter().all(|r| kept.contains(&Node::Resource(r)))
            })
            .collect();
        kept.extend(references.with_ancestors(outputs));
        Selection {
            kept: Some(kept),
            targets: targets.to_vec(),
            excludes: excludes.to_vec(),
        }
    }

    pub(super) fn is_all(&self) -> bool {
        self.kept.is_none()
    }

    fn keeps(&self, node: &Node) -> bool {
        self.kept.as_ref().is_none_or(|kept| kept.contains(node))
    }

    pub(super) fn keeps_resource(&self, module: Module, resource: &Resource) -> bool {
        self.is_all()
            || self.keeps(&Node::Resource(ConfigResource {
                module,
                resource: resource.clone(),
            }))
    }

    pub(super) fn keeps_call(&self, mut caller: Module, name: &Arc<str>) -> bool {
        if self.is_all() {
            return true;
        }
        caller.0.push(Arc::clone(name));
        self.keeps(&Node::Call(caller))
    }

    pub(super) fn keeps_output(&self, module: Module, name: &Arc<str>) -> bool {
        self.is_all() || self.keeps(&Node::Output(module, Arc::clone(name)))
    }

    /// Whether a local, variable or output of a module is kept.
    pub(super) fn keeps_named(&self, object: &Object, module: impl Fn() -> Module) -> bool {
        match object {
            Object::Local(_, name) => self.keeps(&Node::Local(module(), Arc::clone(name))),
            Object::Variable(_, name) => self.keeps(&Node::Variable(module(), Arc::clone(name))),
            Object::Output(_, name) => self.keeps(&Node::Output(module(), Arc::clone(name))),
            _ => true,
        }
    }

    pub(super) fn keeps_checkable(&self, checkable: &Checkable) -> bool {
        if self.is_all() {
            return true;
        }
        match checkable {
            Checkable::Resource(resource) => self.keeps(&Node::Resource(resource.clone())),
            Checkable::Output(module, name) => {
                self.keeps(&Node::Output(module.clone(), Arc::clone(name)))
            }
            Checkable::Variable(module, name) => {
                self.keeps(&Node::Variable(module.clone(), Arc::clone(name)))
            }
            Checkable::Check(..) => false,
        }
    }

    /// Whether a declared instance of a resource that is kept is planned: with targets, of a resource that is targeted itself
    /// only the instances meant are.
    pub(super) fn keeps_instance(&self, address: &ResourceInstance) -> bool {
        let config = || address.config();
        if !self.targets.is_empty() && self.targets.iter().any(|t| t.touches(&config())) {
            return self.targets.iter().any(|t| t.contains(address));
        }
        !self.excludes.iter().any(|t| t.contains(address))
    }

    /// Whether a recorded object may be planned to go.
    pub(super) fn keeps_orphan(&self, address: &ResourceInstance, declared: bool) -> bool {
        if self.is_all() {
            return true;
        }
        if declared {
            return self.keeps(&Node::Resource(address.config())) && self.keeps_instance(address);
        }
        if self.targets.is_empty() {
            return !self.excludes.iter().any(|t| t.contains(address));
        }
        self.targets.iter().any(|t| t.contains(address))
    }

    /// Whether an object may be destroyed by a destroy plan, before what depends on it is taken along.
    pub(super) fn means(&self, address: &ResourceInstance) -> bool {
        if self.targets.is_empty() {
            return !self.excludes.iter().any(|t| t.contains(address));
        }
        self.targets.iter().any(|t| t.contains(address))
    }

    pub(super) fn is_exclusion(&self) -> bool {
        self.targets.is_empty()
    }

    pub(super) fn targets(&self) -> &[Target] {
        &self.targets
    }
}

/// The resources that are neither excluded nor depend on what is, even on a single instance.
fn without_excluded(
    references: &References<'_>,
    all: Vec<ConfigResource>,
    excludes: &[Target],
) -> Vec<ConfigResource> {
    let touched: HashMap<ConfigResource, bool> = all
        .iter()
        .filter(|resource| excludes.iter().any(|t| t.touches(resource)))
        .map(|resource| {
            let whole = excludes.iter().any(|t| t.covers(resource));
            (resource.clone(), whole)
        })
        .collect();
    all.into_iter()
        .filter(|resource| {
            let depends = references
                .resources(Node::Resource(resource.clone()))
                .iter()
                .any(|needed| touched.contains_key(needed));
            !depends && touched.get(resource) != Some(&true)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(target: &str, address: &str, contained: bool) {
        let target = Target::parse(target).expect("a target");
        let address = parse_resource_instance(address).expect("an address");
        assert_eq!(target.contains(&address), contained, "{target} {address}");
    }

    #[test]
    fn targets_without_a_key_mean_all_instances() {
        check("t.a", "t.a[1]", true);
        check("t.a[1]", "t.a[0]", false);
        check("module.m", "module.m[0].t.a", true);
        check("module.m", "module.m[0].module.n.t.a", true);
        check("module.m.t.a", "module.m[0].t.a", false);
        check("module.m[0].module.n", "module.m[1].module.n.t.a", false);
    }
}
