//! Data sources: read while planning when everything they need is known and settled, else during the apply.

use std::time::Instant;

use stead_state::ObjectStatus;
use stead_value::{Diagnostics, Severity, Value};

use super::instance::{Prepared, display_id, unknown_where_computed};
use super::{Finished, Planner, locate};
use crate::event::Event;
use crate::{Action, ActionReason, ResourceChange, object};

impl Planner<'_, '_> {
    pub(super) fn plan_data(&mut self, prepared: Box<Prepared>) {
        let Some(opened) = self.pool.get(&prepared.provider).cloned() else {
            return self.publish_failed(prepared.id);
        };
        let (config, _) = prepared.config.clone().unmark_deep();
        let reason = if !config.is_wholly_known() || opened.is_late() {
            Some(ActionReason::ReadBecauseConfigUnknown)
        } else if prepared.depends_on.iter().any(|id| self.will_change(*id)) {
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
                    action: Action::Read,
                    id: display_id(value),
                    elapsed,
                },
                Err(_) => Event::Failed {
                    address,
                    action: Action::Read,
                    elapsed,
                },
            });
            Finished::DataRead { prepared, result }
        }));
    }

    /// Whether the plan so far does something with this instance.
    fn will_change(&self, id: crate::eval::ObjectId) -> bool {
        let Some(crate::eval::Object::Instance(address)) = self.evaluator.object(id) else {
            return false;
        };
        self.changes
            .get(&(address, None))
            .is_some_and(|c| c.action != Action::NoOp)
    }

    fn read_later(&mut self, prepared: Prepared, reason: ActionReason) {
        let Ok(schema) = self.schema_of(&prepared) else {
            return self.publish_failed(prepared.id);
        };
        let after = unknown_where_computed(&schema.block, &prepared.config);
        let after = self.mark(&prepared, after);
        let before = Value::null(schema.block.value_type());
        let late = self
            .pool
            .get(&prepared.provider)
            .is_some_and(crate::providers::Opened::is_late);
        let change = ResourceChange {
            address: prepared.address.clone(),
            previous_address: None,
            deposed: None,
            importing: None,
            provider: prepared.provider,
            action: Action::Read,
            reason: Some(reason),
            before,
            after: after.clone(),
            replace_paths: Vec::new(),
            because: Vec::new(),
            notes: Vec::new(),
            late,
            private: Vec::new(),
            prior_private: Vec::new(),
            create_before_destroy: false,
            dependencies: Vec::new(),
        };
        self.changes.insert((prepared.address, None), change);
        self.publish(prepared.id, after);
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
                self.diagnostics
                    .extend(locate(errors, &prepared.ranges, &address));
                return self.publish_failed(prepared.id);
            }
        };
        let value = self.mark(&prepared, value);
        if let Some(config) = self.evaluator.instance_config(&prepared.address) {
            let checked = self.evaluator.check(
                &config.resource.lifecycle.postconditions,
                &self.evaluator.condition_scope(
                    config.module,
                    &config.repetition,
                    Some(value.clone()),
                ),
                "Resource postcondition failed",
                Severity::Error,
            );
            let failed = checked.diagnostics.has_errors();
            self.diagnostics.extend(
                checked
                    .diagnostics
                    .into_iter()
                    .map(|d| d.address(address.clone())),
            );
            if failed {
                return self.publish_failed(prepared.id);
            }
        }
        let encoded = self.schema_of(&prepared).and_then(|schema| {
            object::encode(
                &value,
                schema,
                Vec::new(),
                ObjectStatus::Ready,
                Vec::new(),
                false,
            )
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
