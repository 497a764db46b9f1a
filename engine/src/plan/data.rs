//! Data sources: read while planning when everything they need is known and settled, else during the apply.

use std::time::Instant;

use stead_sdk::Found;
use stead_state::ObjectStatus;
use stead_value::addr::{ConfigResource, ModuleInstance, ResourceInstance, ResourceMode};
use stead_value::condition::{Condition, RuleKind};
use stead_value::{Diagnostic, Diagnostics, Severity, Value};

use super::instance::{Prepared, display_id, unknown_where_computed};
use super::{Finished, Kind, Planner, locate};
use crate::checks::CheckObject;
use crate::eval::InstanceConfig;
use crate::event::Event;
use crate::references::Node;
use crate::{Action, ActionReason, ResourceChange, object};

impl Planner<'_, '_> {
    pub(super) fn plan_data(&mut self, prepared: Box<Prepared>) {
        let Some(opened) = self.pool.get(&prepared.provider).cloned() else {
            return self.publish_failed(prepared.id);
        };
        let (config, _) = prepared.config.clone().unmark_deep();
        let reason = if !config.is_wholly_known() || opened.is_late() {
            Some(ActionReason::ReadBecauseConfigUnknown)
        } else if self.is_awaiting(&prepared.address) {
            Some(ActionReason::ReadBecauseDependencyPending)
        } else {
            None
        };
        if let Some(reason) = reason {
            return self.read_later(*prepared, reason);
        }
        let context = self.context(&prepared.address);
        let observer = std::sync::Arc::clone(&self.observer);
        self.jobs.push_back(Box::pin(async move {
            let address = prepared.address.clone();
            let started = Instant::now();
            observer.event(Event::Start {
                address: address.clone(),
                deposed: None,
                action: Action::Read,
                id: None,
            });
            let result = opened
                .provider()
                .read_data(&address.resource.type_name, config, &context)
                .await;
            let elapsed = started.elapsed();
            observer.event(match &result {
                Ok((value, _)) => Event::Done {
                    address,
                    deposed: None,
                    action: Action::Read,
                    id: display_id(value),
                    elapsed,
                },
                Err(_) => Event::Failed {
                    address,
                    deposed: None,
                    action: Action::Read,
                    elapsed,
                },
            });
            Finished::DataRead { prepared, result }
        }));
    }

    /// The resources that must be settled before a data source is read: with conditions everything that it needs, since an
    /// update upstream might be what makes a condition hold.
    pub(super) fn awaited(
        &self,
        address: &ResourceInstance,
        config: &InstanceConfig<'_>,
    ) -> Vec<ConfigResource> {
        let references = self.evaluator.references();
        let lifecycle = &config.resource.lifecycle;
        let mut awaited =
            if lifecycle.preconditions.is_empty() && lifecycle.postconditions.is_empty() {
                references.awaited_by(&address.config())
            } else {
                references.resources(Node::Resource(address.config()))
            };
        awaited.retain(|resource| resource.resource.mode == ResourceMode::Managed);
        awaited
    }

    /// Whether the plan changes something that the data source must see changed.
    fn is_awaiting(&self, address: &ResourceInstance) -> bool {
        let Some(config) = self.evaluator.instance_config(address) else {
            return false;
        };
        let path = address.module.module();
        self.awaited(address, &config).iter().any(|resource| {
            // Of a resource in the same module only the one in the same instance of it counts.
            let counts =
                |module: &ModuleInstance| resource.module != path || *module == address.module;
            self.pending
                .get(resource)
                .is_some_and(|modules| modules.iter().any(counts))
                || self.loses_instances(resource, counts)
        })
    }

    /// Whether instances of a resource are recorded that are not wanted any more.
    fn loses_instances(
        &self,
        resource: &ConfigResource,
        counts: impl Fn(&ModuleInstance) -> bool,
    ) -> bool {
        let recorded = self.recorded_instances(resource);
        recorded
            .iter()
            .any(|address| counts(&address.module) && !self.desired.contains(address))
    }

    /// Whether the instance is a data source that a destroy plan reads, as a plan for a change would: the configuration of a
    /// provider whose objects go may be made from it. What only a check block needs is of no use to it.
    pub(super) fn is_read_before_destroy(&self, config: &InstanceConfig<'_>) -> bool {
        let resource = config.resource;
        self.reads_before_destroy
            && resource.addr.mode == ResourceMode::Data
            && resource.check.is_none()
    }

    fn read_later(&mut self, prepared: Prepared, reason: ActionReason) {
        if self.kind == Kind::Destroy {
            // Later there is nothing to see: what was read last is the best that is known.
            let recorded = self.refreshed.get(&prepared.address);
            let value = recorded.map(|prior| prior.value.clone());
            return self.publish_destroyed(prepared.id, &prepared.address, value);
        }
        let Ok(schema) = self.schema_of(&prepared) else {
            return self.publish_failed(prepared.id);
        };
        if self.is_refresh_only() {
            // Nothing is planned, so nothing can be read later.
            let nothing = Value::null(schema.block.value_type());
            self.state
                .set_current(&prepared.address, &prepared.provider, None);
            return self.publish(prepared.id, nothing);
        }
        let after = unknown_where_computed(&schema.block, &prepared.config);
        let after = self.mark(&prepared, after);
        if let Some(check) = self.check_of(&prepared.address) {
            self.evaluator.record_check_data(&check, None);
        }
        self.plan_read(&prepared, reason, after.clone());
        self.publish(prepared.id, after);
    }

    /// The check block that a data source belongs to.
    fn check_of(&self, address: &ResourceInstance) -> Option<CheckObject> {
        let config = self.evaluator.instance_config(address)?;
        let name = config.resource.check.clone()?;
        Some(CheckObject::Check(address.module.clone(), name))
    }

    /// What only a check needs stops nothing: the errors become warnings, and the read is tried again in the apply.
    fn check_data_failed(
        &mut self,
        prepared: Prepared,
        check: &CheckObject,
        errors: Vec<Diagnostic>,
    ) {
        let texts: Vec<String> = errors
            .iter()
            .map(|d| format!("{}: {}", d.summary, d.detail))
            .collect();
        self.evaluator
            .record_check_data(check, Some(texts.join("\n")));
        self.diagnostics.extend(of_check_data(check, errors));
        let Ok(schema) = self.schema_of(&prepared) else {
            return self.publish_failed(prepared.id);
        };
        let unknown = unknown_where_computed(&schema.block, &prepared.config);
        let after = self.mark(&prepared, unknown);
        if !self.is_refresh_only() {
            self.plan_read(
                &prepared,
                ActionReason::ReadBecauseCheckNested,
                after.clone(),
            );
        }
        self.publish(prepared.id, after);
    }

    /// Plans that a data source is read in the apply.
    fn plan_read(&mut self, prepared: &Prepared, reason: ActionReason, after: Value) {
        let before = Value::null(after.ty());
        let late = self
            .pool
            .get(&prepared.provider)
            .is_some_and(crate::providers::Opened::is_late);
        let change = ResourceChange {
            address: prepared.address.clone(),
            previous_address: None,
            deposed: None,
            importing: None,
            provider: prepared.provider.clone(),
            action: Action::Read,
            reason: Some(reason),
            before,
            after,
            identity: None,
            replace_paths: Vec::new(),
            because: Vec::new(),
            notes: Vec::new(),
            late,
            private: Vec::new(),
            prior_private: Vec::new(),
            create_before_destroy: false,
            dependencies: Vec::new(),
        };
        self.add_change(change);
    }

    pub(super) fn take_data(
        &mut self,
        prepared: Prepared,
        result: Result<(Value, Diagnostics), Diagnostics>,
    ) {
        let address = prepared.address.to_string();
        let value = match result {
            Ok((value, warnings)) => {
                self.diagnostics
                    .extend(locate(warnings, &prepared.ranges, &address));
                value
            }
            Err(errors) => {
                let errors: Vec<Diagnostic> = locate(errors, &prepared.ranges, &address).collect();
                if let Some(check) = self.check_of(&prepared.address) {
                    return self.check_data_failed(prepared, &check, errors);
                }
                self.diagnostics.extend(errors);
                return self.publish_failed(prepared.id);
            }
        };
        let value = self.mark(&prepared, value);
        if let Some(check) = self.check_of(&prepared.address) {
            self.evaluator.record_check_data(&check, None);
            // An apply reads it once more, to check what has become of it.
            if !self.is_refresh_only() {
                self.plan_read(
                    &prepared,
                    ActionReason::ReadBecauseCheckNested,
                    value.clone(),
                );
            }
        }
        if self.kind != Kind::Destroy && !self.postconditions(&prepared.address, &value) {
            return self.publish_failed(prepared.id);
        }
        let encoded = self.schema_of(&prepared).and_then(|schema| {
            let found = Found {
                value: value.clone(),
                private: Vec::new(),
                identity: None,
            };
            object::encode(found, schema, ObjectStatus::Ready, Vec::new(), false)
        });
        match encoded {
            Ok(object) => {
                self.state
                    .set_current(&prepared.address, &prepared.provider, Some(object));
            }
            Err(diagnostic) => {
                self.diagnostics.push(diagnostic.address(address));
                return self.publish_failed(prepared.id);
            }
        }
        self.publish(prepared.id, value);
    }
}

/// Problems of a data source that only a check needs: that it cannot be read is one of the check's conditions.
pub(crate) fn of_check_data(
    check: &CheckObject,
    diagnostics: impl IntoIterator<Item = Diagnostic>,
) -> impl Iterator<Item = Diagnostic> {
    let condition = Condition {
        object: check.clone(),
        kind: RuleKind::CheckData,
    };
    diagnostics.into_iter().map(move |mut diagnostic| {
        diagnostic.severity = Severity::Warning;
        diagnostic.of_condition(condition.clone())
    })
}
