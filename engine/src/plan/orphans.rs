//! What is recorded and no longer wanted.

use std::sync::Arc;
use std::time::Instant;

use stead_state::ProviderConfigRef;
use stead_value::addr::{InstanceKey, ResourceInstance};
use stead_value::{Diagnostic, Value};

use super::{Finished, Kind, Planner, instance, refresh};
use crate::eval::{Expansion, Object, ROOT};
use crate::event::Event;
use crate::{Action, ActionReason, PlanMode, ResourceChange, object};

impl Planner<'_, '_> {
    /// Plans the deletion of every recorded object that nothing wants, and of every deposed one.
    pub(super) async fn retire_orphans(&mut self) {
        if self.diagnostics.has_errors() || self.cancel.is_cancelled() {
            return;
        }
        let destroy = self.kind == Kind::Destroy;
        let orphans: Vec<(ResourceInstance, ProviderConfigRef)> = self
            .state
            .current_objects()
            .filter(|(address, _, _)| destroy || !self.desired.contains(address))
            .map(|(address, _, provider)| (address, provider.clone()))
            .collect();
        let deposed: Vec<(ResourceInstance, String, ProviderConfigRef)> = self
            .state
            .deposed_objects()
            .map(|(address, key, _, provider)| (address, key.to_owned(), provider.clone()))
            .collect();
        let (forgotten_deposed, deposed): (Vec<_>, Vec<_>) =
            deposed.into_iter().partition(|(address, _, _)| {
                !destroy
                    && self.forgets()
                    && !self.desired.contains(address)
                    && self.is_forgotten(address)
            });
        if !destroy && self.forgets() {
            self.forgotten = orphans
                .iter()
                .map(|(address, _)| address)
                .filter(|address| Self::is_managed(address) && self.is_forgotten(address))
                .cloned()
                .collect();
        }
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
        for (address, provider) in orphans {
            self.retire(address, provider);
        }
        for (address, key, provider) in forgotten_deposed {
            self.forget(address, Some(key), provider);
        }
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
        self.changes.insert((address, None), change);
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
            reason: deposed.is_none().then(|| self.reason(&address)),
            after: Value::null(before.ty()),
            before,
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
        self.changes.insert((address, deposed), change);
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
        let config = address.config();
        let declared = self.evaluator.tree().get(&config.module);
        if !declared.is_some_and(|node| node.module.resources.contains_key(&config.resource)) {
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
        let value = match object::decode(&**opened.provider(), &address.resource, schema, &recorded)
        {
            Ok(value) => value,
            Err(errors) => return self.diagnostics.extend(errors),
        };
        if !self.options.refresh || opened.is_late() {
            let found = Some((value, recorded.private, stead_value::Diagnostics::new()));
            return self.retire_deposed(address, key, Ok(found));
        }
        let observer = Arc::clone(&self.observer);
        let context = self.context(&address);
        let (plain, _) = value.unmark_deep();
        self.jobs.push_back(Box::pin(async move {
            let started = Instant::now();
            observer.event(Event::RefreshStart {
                address: address.clone(),
                id: instance::display_id(&plain),
            });
            let read = opened
                .provider()
                .read(
                    &address.resource.type_name,
                    plain,
                    recorded.private,
                    &context,
                )
                .await;
            observer.event(Event::RefreshDone {
                address: address.clone(),
                elapsed: started.elapsed(),
            });
            let result = read.map(|found| found.map(|r| (r.value, r.private, r.warnings)));
            Finished::DeposedRefreshed {
                address,
                key,
                result,
            }
        }));
    }

    pub(super) fn retire_deposed(
        &mut self,
        address: ResourceInstance,
        key: String,
        result: refresh::Refreshed,
    ) {
        let Some(provider) = self.provider_of(&address) else {
            return;
        };
        let (before, private) = match result {
            Ok(Some((value, private, warnings))) => {
                self.diagnostics.extend(warnings);
                (value, private)
            }
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
            replace_paths: Vec::new(),
            because: Vec::new(),
            notes: Vec::new(),
            late: false,
            private: private.clone(),
            prior_private: private,
            create_before_destroy: false,
            dependencies: Vec::new(),
        };
        self.changes.insert((address, Some(key)), change);
    }

    fn provider_of(&self, address: &ResourceInstance) -> Option<ProviderConfigRef> {
        let id = stead_state::ResourceId::of(address);
        self.state.resources.get(&id).map(|r| r.provider.clone())
    }
}
