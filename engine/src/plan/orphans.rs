//! What is recorded and no longer wanted.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use stead_sdk::Found;
use stead_state::ProviderConfigRef;
use stead_value::addr::{ConfigResource, InstanceKey, ResourceInstance};
use stead_value::{Diagnostic, Diagnostics, Value};

use super::resume::doubt_of;
use super::{Finished, Kind, Planner, instance, refresh};
use crate::eval::{Expansion, Object, ROOT};
use crate::{Action, ActionReason, PlanMode, ResourceChange, object};

impl Planner<'_, '_> {
    /// Plans the deletion of every recorded object that nothing wants, and of every deposed one.
    pub(super) async fn retire_orphans(&mut self) {
        if self.diagnostics.has_errors() || self.cancel.is_cancelled() {
            return;
        }
        let destroy = self.kind == Kind::Destroy;
        let doomed = self.doomed();
        let orphans: Vec<(ResourceInstance, ProviderConfigRef)> = self
            .state
            .current_objects()
            .filter(|(address, _, _)| match &doomed {
                Some(doomed) => doomed.contains(address),
                None => {
                    !self.desired.contains(address)
                        && self
                            .selection
                            .keeps_orphan(address, self.is_declared(address))
                }
            })
            .map(|(address, _, provider)| (address, provider.clone()))
            .collect();
        let deposed: Vec<(ResourceInstance, String, ProviderConfigRef)> = self
            .state
            .deposed_objects()
            .filter(|(address, ..)| match &doomed {
                Some(doomed) => doomed.contains(address),
                None => self.selection.is_all() || self.selection.means(address),
            })
            .map(|(address, key, _, provider)| (address, key.to_owned(), provider.clone()))
            .collect();
        let (forgotten_deposed, deposed): (Vec<_>, Vec<_>) =
            deposed.into_iter().partition(|(address, _, _)| {
                !destroy
                    && self.forgets()
                    && !self.desired.contains(address)
                    && self.is_forgotten(address)
            });
        let removed = !destroy && self.forgets();
        self.forgotten = orphans
            .iter()
            .map(|(address, _)| address)
            .filter(|address| Self::is_managed(address))
            .filter(|address| self.is_spared(address) || (removed && self.is_forgotten(address)))
            .cloned()
            .collect();
        for (address, provider) in &orphans {
            if Self::is_managed(address) && !self.forgotten.contains(address) {
                self.want_provider(provider);
                self.want_refresh(address, provider);
            }
        }
        for (_, _, provider) in &deposed {
            self.want_provider(provider);
        }
        self.drain().await;
        for (address, key, provider) in deposed {
            self.refresh_deposed(address, key, &provider);
        }
        self.drain().await;
        self.report_deadlock();
        if self.diagnostics.has_errors() {
            return;
        }
        if self.is_refresh_only() {
            return;
        }
        for (address, provider) in orphans {
            self.retire(address, provider);
        }
        for (address, key, provider) in forgotten_deposed {
            self.forget(address, Some(key), provider);
        }
    }

    /// What a destroy plan takes away: with targets, what they name and what depends on that; with exclusions, all but what
    /// they name and what that depends on. `None` for other plans.
    fn doomed(&self) -> Option<HashSet<ResourceInstance>> {
        if self.kind != Kind::Destroy {
            return None;
        }
        let mut all: Vec<(ResourceInstance, Vec<ConfigResource>)> = Vec::new();
        for (id, resource) in &self.state.resources {
            for (key, instance) in &resource.instances {
                let objects = instance.current.iter().chain(instance.deposed.values());
                let needs = objects
                    .flat_map(|o| &o.dependencies)
                    .filter_map(|text| stead_state::parse_resource_instance(text))
                    .map(|address| address.config())
                    .collect();
                all.push((id.instance(key.clone()), needs));
            }
        }
        if self.selection.is_all() {
            return Some(all.into_iter().map(|(address, _)| address).collect());
        }
        let exclusion = self.selection.is_exclusion();
        // Either what is meant drags along those that need it, or what is spared saves what it needs.
        let mut chosen: HashSet<ResourceInstance> = HashSet::new();
        let mut configs: HashSet<ConfigResource> = HashSet::new();
        let mut queue: Vec<ConfigResource> = Vec::new();
        for (address, _) in &all {
            if self.selection.means(address) != exclusion && chosen.insert(address.clone()) {
                queue.push(address.config());
            }
        }
        let mut links: HashMap<ConfigResource, Vec<&ResourceInstance>> = HashMap::new();
        let mut members: HashMap<ConfigResource, Vec<&ResourceInstance>> = HashMap::new();
        let mut needs_of: HashMap<&ResourceInstance, &Vec<ConfigResource>> = HashMap::new();
        for (address, needs) in &all {
            members.entry(address.config()).or_default().push(address);
            needs_of.insert(address, needs);
            for need in needs {
                links.entry(need.clone()).or_default().push(address);
            }
        }
        while let Some(config) = queue.pop() {
            if !configs.insert(config.clone()) {
                continue;
            }
            let found: Vec<&ResourceInstance> = if exclusion {
                let own = members.get(&config).into_iter().flatten();
                own.filter(|a| chosen.contains(**a))
                    .filter_map(|a| needs_of.get(*a))
                    .flat_map(|needs| needs.iter())
                    .filter_map(|need| members.get(need))
                    .flatten()
                    .copied()
                    .collect()
            } else {
                links.get(&config).into_iter().flatten().copied().collect()
            };
            for address in found {
                if chosen.insert(address.clone()) {
                    queue.push(address.config());
                }
            }
        }
        let addresses = all.into_iter().map(|(address, _)| address);
        Some(
            addresses
                .filter(|address| chosen.contains(address) != exclusion)
                .collect(),
        )
    }

    /// Whether `destroy = false` leaves an object alone: by its configuration, or by its record when that is gone.
    fn is_spared(&self, address: &ResourceInstance) -> bool {
        let config = address.config();
        let node = self.evaluator.tree().get(&config.module);
        match node.and_then(|n| n.module.resources.get(&config.resource)) {
            Some(resource) => resource.lifecycle.destroy == Some(false),
            None => self.state.current(address).is_some_and(|(object, _)| {
                object.unknown_fields.get(object::SKIP_DESTROY) == Some(&true.into())
            }),
        }
    }

    /// Whether the configuration has the resource, whatever its instances.
    fn is_declared(&self, address: &ResourceInstance) -> bool {
        let config = address.config();
        self.evaluator
            .tree()
            .get(&config.module)
            .is_some_and(|node| node.module.resources.contains_key(&config.resource))
    }

    fn retire(&mut self, address: ResourceInstance, provider: ProviderConfigRef) {
        if !Self::is_managed(&address) {
            // A data source leaves nothing behind: it is only dropped from the state.
            self.state.set_current(&address, &provider, None);
            return;
        }
        if self.forgotten.contains(&address) {
            return self.forget(address, None, provider);
        }
        let Some(prior) = self.refreshed.get(&address) else {
            return;
        };
        if prior.value.is_null() {
            return;
        }
        let late = self
            .pool
            .get(&provider)
            .is_some_and(crate::providers::Opened::is_late);
        let (before, prior_private, create_before_destroy) = (
            prior.value.clone(),
            prior.private.clone(),
            prior.create_before_destroy,
        );
        let identity = prior.identity.clone();
        if late {
            self.diagnostics.push(
                Diagnostic::error(
                    "Provider configuration not known",
                    format!("{address} would be destroyed, but the configuration of {provider} depends on values that are only known after an apply. Apply the rest first, or remove the object from the state if it went away with what it lived on."),
                )
                .address(address.to_string()),
            );
            return;
        }
        if let Some(resource) = self.declared(&address)
            && self.evaluator.prevents_destroy(&address, resource)
        {
            self.diagnostics
                .push(instance::prevented(&address, &resource.range));
            return;
        }
        let reason = (self.options.mode == PlanMode::Normal).then(|| self.reason(&address));
        let change = ResourceChange {
            previous_address: self.moved_from.get(&address).cloned(),
            deposed: None,
            importing: None,
            provider,
            action: Action::Delete,
            reason,
            after: Value::null(before.ty()),
            before,
            identity,
            replace_paths: Vec::new(),
            because: Vec::new(),
            notes: Vec::new(),
            late: false,
            private: prior_private.clone(),
            prior_private,
            create_before_destroy,
            dependencies: Vec::new(),
            address: address.clone(),
        };
        self.add_change(change);
    }

    /// Drops an object, the current one or a deposed copy, from the state; its provider is not asked, and need not be there any more.
    fn forget(
        &mut self,
        address: ResourceInstance,
        deposed: Option<String>,
        provider: ProviderConfigRef,
    ) {
        let recorded = match &deposed {
            Some(key) => self
                .state
                .instance(&address)
                .and_then(|i| i.deposed.get(key)),
            None => self.state.current(&address).map(|(object, _)| object),
        };
        let Some(recorded) = recorded else {
            return;
        };
        let before =
            match object::recorded_value(self.registry, &address, &provider.source, recorded) {
                Ok(value) => value,
                Err(errors) => return self.diagnostics.extend(errors),
            };
        let private = recorded.private.clone();
        let change = ResourceChange {
            previous_address: match deposed {
                None => self.moved_from.get(&address).cloned(),
                Some(_) => None,
            },
            deposed: deposed.clone(),
            importing: None,
            provider,
            action: Action::Forget,
            reason: match self.is_spared(&address) {
                _ if deposed.is_some() => None,
                true if self.is_declared(&address) => {
                    Some(ActionReason::ForgotBecauseLifecycleDestroyInConfig)
                }
                true => Some(ActionReason::ForgotBecauseLifecycleDestroyInState),
                false => Some(self.reason(&address)),
            },
            after: Value::null(before.ty()),
            before,
            // As Terraform's plans: what is forgotten is not named by it.
            identity: None,
            replace_paths: Vec::new(),
            because: Vec::new(),
            notes: Vec::new(),
            late: false,
            private: private.clone(),
            prior_private: private,
            create_before_destroy: recorded.create_before_destroy,
            dependencies: Vec::new(),
            address: address.clone(),
        };
        self.add_change(change);
    }

    fn declared(&self, address: &ResourceInstance) -> Option<&stead_lang::config::Resource> {
        let module = self.evaluator.module(&address.module)?;
        self.evaluator
            .config(module)
            .resources
            .get(&address.resource)
    }

    /// Why nothing wants the object any more.
    fn reason(&self, address: &ResourceInstance) -> ActionReason {
        if !self.is_declared(address) {
            let moved = self.moved_from.contains_key(address);
            return if moved {
                ActionReason::DeleteBecauseNoMoveTarget
            } else {
                ActionReason::DeleteBecauseNoResourceConfig
            };
        }
        if !self.module_is_entered(&address.module) {
            return ActionReason::DeleteBecauseNoModule;
        }
        let module = self.evaluator.module(&address.module).unwrap_or(ROOT);
        let keys = self
            .evaluator
            .id(Object::ResourceKeys(module, address.resource.clone()));
        match (self.evaluator.expansion(keys).as_deref(), &address.key) {
            (Some(Expansion::Count(_)), InstanceKey::Int(_)) => {
                ActionReason::DeleteBecauseCountIndex
            }
            (Some(Expansion::ForEach(_)), InstanceKey::String(_)) => {
                ActionReason::DeleteBecauseEachKey
            }
            (Some(Expansion::Absent), InstanceKey::None) => ActionReason::DeleteBecauseEnabledFalse,
            _ => ActionReason::DeleteBecauseWrongRepetition,
        }
    }

    fn refresh_deposed(
        &mut self,
        address: ResourceInstance,
        key: String,
        provider: &ProviderConfigRef,
    ) {
        let Some(opened) = self.pool.get(provider).cloned() else {
            return;
        };
        let recorded = self
            .state
            .instance(&address)
            .and_then(|i| i.deposed.get(&key))
            .cloned();
        let schema = self.registry.resource_schema(
            &provider.source,
            address.resource.mode,
            &address.resource.type_name,
        );
        let (Some(recorded), Ok(schema)) = (recorded, schema) else {
            return;
        };
        let schema = Arc::clone(schema);
        let known = object::recorded(&**opened.provider(), &address.resource, &schema, &recorded);
        let known = match known {
            Ok(known) => known,
            Err(errors) => return self.diagnostics.extend(errors),
        };
        if !self.options.refresh || opened.is_late() {
            return self.retire_deposed(address, key, Ok(Some(known)));
        }
        let look = self.look(address.clone(), opened, schema, known, doubt_of(&recorded));
        self.jobs.push_back(Box::pin(async move {
            let result = look.await;
            Finished::DeposedRefreshed {
                address,
                key,
                result,
            }
        }));
    }

    /// Whatever there is of a deposed object is deleted.
    pub(super) fn take_deposed(
        &mut self,
        address: ResourceInstance,
        key: String,
        result: refresh::Refreshed,
    ) {
        let found = result.map(|seen| {
            let mut found = seen.into_object();
            let warnings = found.as_mut().map(|f| std::mem::take(&mut f.warnings));
            self.diagnostics.extend(warnings.unwrap_or_default());
            found.map(Found::from)
        });
        self.retire_deposed(address, key, found);
    }

    fn retire_deposed(
        &mut self,
        address: ResourceInstance,
        key: String,
        result: Result<Option<Found>, Diagnostics>,
    ) {
        let Some(provider) = self.provider_of(&address) else {
            return;
        };
        let (before, private, identity) = match result {
            Ok(Some(_)) if self.is_refresh_only() => return,
            Ok(Some(found)) => (found.value, found.private, found.identity),
            Ok(None) => return self.state.set_deposed(&address, &provider, &key, None),
            Err(errors) => {
                return self
                    .diagnostics
                    .extend(errors.into_iter().map(|d| d.address(address.to_string())));
            }
        };
        let change = ResourceChange {
            address: address.clone(),
            previous_address: None,
            deposed: Some(key.clone()),
            importing: None,
            provider,
            action: Action::Delete,
            reason: None,
            after: Value::null(before.ty()),
            before,
            identity,
            replace_paths: Vec::new(),
            because: Vec::new(),
            notes: Vec::new(),
            late: false,
            private: private.clone(),
            prior_private: private,
            create_before_destroy: false,
            dependencies: Vec::new(),
        };
        self.add_change(change);
    }

    fn provider_of(&self, address: &ResourceInstance) -> Option<ProviderConfigRef> {
        self.state.provider_of(address).cloned()
    }
}
