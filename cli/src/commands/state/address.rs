//! Addresses on the command line, and what they cover in a state.

use std::fmt;

use stead_state::{Object, ResourceId, State, parse_module_instance, parse_resource_instance};
use stead_value::addr::{InstanceKey, ModuleInstance, ResourceInstance, ResourceMode};
use stead_value::{Diagnostic, Diagnostics};

use crate::commands::planning::problem;
use crate::error::Result;

/// What an address names.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Named {
    Module(ModuleInstance),
    /// A resource with all its instances.
    Resource(ResourceId),
    Instance(ResourceInstance),
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Named::Module(module) => write!(f, "{module}"),
            Named::Resource(id) => write!(f, "{}", id.instance(InstanceKey::None)),
            Named::Instance(address) => write!(f, "{address}"),
        }
    }
}

pub(super) fn parse(text: &str) -> Result<Named, Diagnostic> {
    let resource = text.strip_prefix("resource.").unwrap_or(text);
    if let Some(address) = parse_resource_instance(resource) {
        return Ok(match address.key {
            InstanceKey::None => Named::Resource(ResourceId::of(&address)),
            _ => Named::Instance(address),
        });
    }
    match parse_module_instance(text).filter(|m| !m.is_root()) {
        Some(module) => Ok(Named::Module(module)),
        None => Err(Diagnostic::error("Invalid address", problem(text))),
    }
}

/// Instances that addresses cover, or all; an address that covers nothing is a mistake unless `missing` is allowed.
pub(super) fn instances(
    state: &State,
    addresses: &[String],
    missing: bool,
) -> Result<Vec<ResourceInstance>, Diagnostics> {
    let mut diagnostics = Diagnostics::new();
    let mut found = Vec::new();
    if addresses.is_empty() {
        found = covered(state, |_| true);
    }
    for text in addresses {
        match parse(text).and_then(|object| of(state, &object, missing)) {
            Ok(instances) => found.extend(instances),
            Err(diagnostic) => diagnostics.push(diagnostic),
        }
    }
    if diagnostics.has_errors() {
        return Err(diagnostics);
    }
    Ok(found)
}

fn of(state: &State, object: &Named, missing: bool) -> Result<Vec<ResourceInstance>, Diagnostic> {
    let found = match object {
        Named::Module(module) => covered(state, |address| is_in(&address.module, module)),
        Named::Resource(id) => covered(state, |address| ResourceId::of(address) == *id),
        Named::Instance(wanted) => covered(state, |address| address == wanted),
    };
    if found.is_empty() && !missing {
        let (summary, detail) = match object {
            Named::Module(_) => (
                "Unknown module",
                format!(
                    "The current state contains no module at {object}. If you've just added this module to the configuration, you must run \"stead apply\" first to create the module's entry in the state."
                ),
            ),
            Named::Resource(_) => (
                "Unknown resource",
                format!(
                    "The current state contains no resource {object}. If you've just added this resource to the configuration, you must run \"stead apply\" first to create the resource's entry in the state."
                ),
            ),
            Named::Instance(_) => (
                "Unknown resource instance",
                format!(
                    "The current state contains no resource instance {object}. If you've just added its resource to the configuration or have changed the count or for_each arguments, you must run \"stead apply\" first to update the resource's entry in the state."
                ),
            ),
        };
        return Err(Diagnostic::error(summary, detail));
    }
    Ok(found)
}

/// Whether a module is another one, or below it. Without a key, all instances of the other's last step are meant.
pub(super) fn is_in(module: &ModuleInstance, outer: &ModuleInstance) -> bool {
    let last = outer.0.len().saturating_sub(1);
    module.0.len() >= outer.0.len()
        && module.0.iter().zip(outer.0.iter()).enumerate().all(
            |(i, ((name, key), (outer_name, outer_key)))| {
                name == outer_name
                    && (key == outer_key || (i == last && *outer_key == InstanceKey::None))
            },
        )
}

/// In Terraform's order of addresses: outer modules first, data sources before resources.
fn covered(state: &State, wanted: impl Fn(&ResourceInstance) -> bool) -> Vec<ResourceInstance> {
    let mut found: Vec<ResourceInstance> = state
        .resources
        .iter()
        .flat_map(|(id, resource)| {
            let keys = resource.instances.keys();
            keys.map(move |key| id.instance(key.clone()))
        })
        .filter(wanted)
        .collect();
    found.sort_by(|a, b| order(a).cmp(&order(b)));
    found
}

fn order(address: &ResourceInstance) -> impl Ord {
    let resource = &address.resource;
    (
        address.module.0.len(),
        &address.module,
        resource.mode != ResourceMode::Data,
        &resource.type_name,
        &resource.name,
        &address.key,
    )
}

/// The attribute `id`, where an object has one that is a string.
pub(super) fn has_id(object: &Object, id: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(object.attributes.get())
        .is_ok_and(|attributes| attributes.get("id").and_then(|v| v.as_str()) == Some(id))
}
