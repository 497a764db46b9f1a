//! `moved`: objects that keep their life under a new address.

use stead_lang::config::ObjectAddress;
use stead_state::{ResourceId, State};
use stead_value::Diagnostic;
use stead_value::addr::{InstanceKey, Module, ModuleInstance, Resource, ResourceInstance};

use super::Planner;
use crate::eval::{Expansion, ModuleId};

/// One statement, with the module that it stands in.
struct Move {
    module: Module,
    from: ObjectAddress,
    to: ObjectAddress,
}

impl Planner<'_, '_> {
    /// Applies every `moved` block to the prior state, following chains.
    pub(super) fn move_objects(&mut self) {
        let mut moves = Vec::new();
        for node in self.evaluator.tree().nodes() {
            moves.extend(node.module.moved.iter().map(|moved| Move {
                module: node.path.clone(),
                from: moved.from.clone(),
                to: moved.to.clone(),
            }));
        }
        // A chain of n statements needs at most n rounds, whatever their order.
        for _ in 0..=moves.len() {
            let mut moved = false;
            for step in &moves {
                moved |= self.apply_move(step);
            }
            if !moved {
                break;
            }
        }
    }

    fn apply_move(&mut self, step: &Move) -> bool {
        let addresses: Vec<ResourceInstance> =
            self.state.current_objects().map(|(address, _, _)| address).collect();
        let mut moved = false;
        for address in addresses {
            if let Some(target) = target(step, &address) {
                moved |= self.move_object(&address, &target);
            }
        }
        moved
    }

    /// Moves one object unless its new place is taken.
    fn move_object(&mut self, from: &ResourceInstance, to: &ResourceInstance) -> bool {
        if from == to {
            return false;
        }
        if self.state.current(to).is_some() {
            self.diagnostics.push(Diagnostic::warning(
                "Unresolved resource instance address changes",
                format!("{from} could not be moved to {to}, because there is an object at that address already. It is planned as if it had not been moved."),
            ));
            return false;
        }
        if !rename(&mut self.state, from, to) {
            return false;
        }
        let origin = self.moved_from.remove(from).unwrap_or_else(|| from.clone());
        self.moved_from.insert(to.clone(), origin);
        true
    }

    /// Adding or removing `count` moves `a` to `a[0]` and back.
    pub(super) fn imply_moves(&mut self, module: ModuleId, resource: &Resource, expansion: &Expansion) {
        let at = |key: InstanceKey| ResourceInstance {
            module: self.evaluator.module_address(module),
            resource: resource.clone(),
            key,
        };
        let (single, first) = (at(InstanceKey::None), at(InstanceKey::Int(0)));
        let (from, to) = match expansion {
            Expansion::Single => (first, single),
            Expansion::Count(n) if *n > 0 => (single, first),
            _ => return,
        };
        if self.state.current(&from).is_some() && self.state.current(&to).is_none() {
            self.move_object(&from, &to);
        }
    }
}

/// Where an object goes by a statement, if the statement is about it.
fn target(step: &Move, address: &ResourceInstance) -> Option<ResourceInstance> {
    let depth = step.module.0.len();
    let calls = &address.module.0;
    // The statement speaks of every instance of the module that it stands in.
    if calls.len() < depth || !calls.iter().zip(&step.module.0).all(|((name, _), wanted)| name == wanted) {
        return None;
    }
    let (base, inner) = calls.split_at(depth);
    let from = &step.from;
    if inner.len() < from.module.len() {
        return None;
    }
    let (matched, rest) = inner.split_at(from.module.len());
    let mut keys = Vec::new();
    for ((name, key), (wanted, wanted_key)) in matched.iter().zip(&from.module) {
        let key_fits = wanted_key.as_ref().is_none_or(|w| w == key);
        if name != wanted || !key_fits {
            return None;
        }
        keys.push(key.clone());
    }
    let rename_calls = |tail: &[(std::sync::Arc<str>, InstanceKey)]| {
        let renamed = step.to.module.iter().enumerate().map(|(i, (name, key))| {
            // Without a key on both sides all instances move, each keeping its key.
            let kept = from.module.get(i).and_then(|(_, k)| k.as_ref()).is_none();
            let old = keys.get(i).cloned().unwrap_or(InstanceKey::None);
            let key = key.clone().unwrap_or(if kept { old } else { InstanceKey::None });
            (std::sync::Arc::clone(name), key)
        });
        ModuleInstance(base.iter().cloned().chain(renamed).chain(tail.iter().cloned()).collect())
    };
    match (&from.resource, &step.to.resource) {
        (None, None) => Some(ResourceInstance {
            module: rename_calls(rest),
            resource: address.resource.clone(),
            key: address.key.clone(),
        }),
        (Some((resource, key)), Some((to_resource, to_key))) => {
            if !rest.is_empty() || *resource != address.resource {
                return None;
            }
            if key.as_ref().is_some_and(|k| *k != address.key) {
                return None;
            }
            let key = match (key, to_key) {
                (_, Some(to)) => to.clone(),
                (Some(_), None) => InstanceKey::None,
                (None, None) => address.key.clone(),
            };
            Some(ResourceInstance { module: rename_calls(&[]), resource: to_resource.clone(), key })
        }
        _ => None,
    }
}

/// Takes an instance with all its objects to another address.
fn rename(state: &mut State, from: &ResourceInstance, to: &ResourceInstance) -> bool {
    let id = ResourceId::of(from);
    let Some(resource) = state.resources.get_mut(&id) else { return false };
    let Some(objects) = resource.instances.remove(&from.key) else { return false };
    let provider = resource.provider.clone();
    if resource.instances.is_empty() {
        state.resources.remove(&id);
    }
    if let Some(current) = objects.current {
        state.set_current(to, &provider, Some(current));
    }
    for (key, object) in objects.deposed {
        state.set_deposed(to, &provider, &key, Some(object));
    }
    true
}
