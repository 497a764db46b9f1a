//! `-refresh-only`: what has become of the recorded objects, and nothing else.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;
use stead_state::{ProviderConfigRef, ResourceId, State};
use stead_value::addr::{InstanceKey, ResourceInstance};
use stead_value::{Severity, Type, Value};

use super::Planner;
use super::instance::Prepared;
use crate::PlanMode;
use crate::checks::{CheckObject, RuleKind};
use crate::eval::{Object, ObjectId, Rules};

/// Which instances of each resource a state records.
pub(crate) fn recorded_keys(state: &State) -> FxHashMap<ResourceId, BTreeSet<InstanceKey>> {
    let resources = state.resources.iter();
    resources
        .map(|(id, resource)| {
            let instances = resource.instances.iter();
            let current = instances.filter(|(_, i)| i.current.is_some());
            (id.clone(), current.map(|(key, _)| key.clone()).collect())
        })
        .collect()
}

impl Planner<'_, '_> {
    pub(super) fn is_refresh_only(&self) -> bool {
        self.options.mode == PlanMode::RefreshOnly
    }

    /// How bad a condition is that does not hold: a plan that changes nothing has nothing to stop.
    pub(super) fn condition_severity(&self) -> Severity {
        if self.is_refresh_only() {
            Severity::Warning
        } else {
            Severity::Error
        }
    }

    /// Makes references see the instances that there are, not those that there would be.
    pub(super) fn see_only_recorded(&self) {
        self.evaluator.see_only(recorded_keys(&self.state));
    }

    /// An instance is what the refresh finds of it; conditions that do not hold are warnings.
    pub(super) fn refresh_instance(
        &mut self,
        id: ObjectId,
        address: ResourceInstance,
        provider: ProviderConfigRef,
    ) {
        let Some(config) = self.evaluator.instance_config(&address) else {
            return self.publish_failed(id);
        };
        let importing = self.wants_import(&address);
        if self.state.current(&address).is_none() && !importing {
            let schema = self.registry.resource_schema(
                &provider.source,
                address.resource.mode,
                &address.resource.type_name,
            );
            let ty = match &address.key {
                InstanceKey::None => schema.map_or(Type::Dynamic, |s| s.block.value_type()),
                // Of instances that are not there not even the type is known.
                _ => Type::Dynamic,
            };
            return self.publish(id, Value::unknown(ty));
        }
        self.want_refresh(&address, &provider);
        let object = CheckObject::Instance(address.clone());
        let attempt = self.evaluator.run(id, || {
            self.evaluator.demand_declaration(&config);
            if importing {
                self.evaluator.demand(Object::Provider(provider.clone()));
            }
            let scope = self
                .evaluator
                .scope(config.module, config.repetition.clone());
            let rules = Rules::new(
                &object,
                RuleKind::Precondition,
                &config.resource.lifecycle.preconditions,
                Severity::Warning,
            );
            self.evaluator.check(&rules, &scope)
        });
        let Some(attempt) = attempt else {
            return;
        };
        self.diagnostics.extend(attempt.value);
        let prepared = Prepared::recorded(id, address, provider);
        self.plan_prepared(Box::new(prepared));
    }

    /// The refresh is done.
    pub(super) fn take_refreshed_instance(&mut self, prepared: &Prepared) {
        let found = self.refreshed.get(&prepared.address);
        let value = found.map(|prior| prior.value.clone());
        match value.filter(|v| !v.is_null()) {
            Some(value) => {
                self.postconditions(&prepared.address, &value);
                self.publish(prepared.id, value);
            }
            // An instance among others is left out; what is alone is not known.
            None if prepared.address.key == InstanceKey::None => {
                self.publish(prepared.id, Value::dynamic());
            }
            None => self.publish(prepared.id, Value::null(Type::Dynamic)),
        }
    }

    /// Evaluates an instance's postconditions; says whether planning may go on.
    pub(super) fn postconditions(&mut self, address: &ResourceInstance, value: &Value) -> bool {
        let Some(config) = self.evaluator.instance_config(address) else {
            return true;
        };
        let severity = self.condition_severity();
        let checked = (self.evaluator).postconditions(address, &config, value.clone(), severity);
        let holds = !checked.has_errors();
        self.diagnostics.extend(checked);
        holds
    }
}
