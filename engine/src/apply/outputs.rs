//! Root outputs, as state records them.

use std::sync::Arc;

use stead_value::Severity;
use stead_value::addr::ModuleInstance;

use super::Executor;
use crate::checks::{CheckObject, RuleKind};
use crate::eval::{Object, Outcome, ROOT, Repetition, Rules};
use crate::outputs::encode;
use crate::{PlanMode, object};

impl Executor<'_, '_> {
    /// Evaluates the root outputs; one that cannot be computed keeps its recorded value.
    pub(super) fn record_outputs(&mut self) {
        let config = self.evaluator.config(ROOT);
        for (name, change) in &self.plan.outputs {
            let Some(output) = config.outputs.get(name).filter(|o| !o.ephemeral) else {
                if change.action == crate::Action::Delete {
                    self.state.outputs.remove(&**name);
                }
                continue;
            };
            let Outcome::Value(value) = self
                .evaluator
                .demand(Object::Output(ROOT, Arc::clone(name)))
            else {
                continue;
            };
            // What its preconditions have against it is said with the other checks.
            let object = CheckObject::Output(ModuleInstance::root(), Arc::clone(name));
            let rules = Rules::new(
                &object,
                RuleKind::OutputPrecondition,
                &output.preconditions,
                Severity::Error,
            );
            let scope = self.evaluator.scope(ROOT, Repetition::default());
            let checked = self.evaluator.check(&rules, &scope);
            // Only what is found out is recorded whatever conditions say of it.
            if checked.has_errors() && self.plan.mode != PlanMode::RefreshOnly {
                continue;
            }
            // What was known is as it was planned.
            let value = match change.after.is_wholly_known() {
                true => change.after.clone(),
                false => value,
            };
            let value = match value.is_wholly_known() {
                true if value.is_null() => {
                    self.state.outputs.remove(&**name);
                    continue;
                }
                true => value,
                // What depends on objects that are not there is null for now.
                false if self.plan.mode == PlanMode::RefreshOnly => object::unknown_as_null(&value),
                false => continue,
            };
            match encode(&value, output.sensitive) {
                Ok(recorded) => {
                    self.state.outputs.insert(name.to_string(), recorded);
                }
                Err(diagnostic) => self.diagnostics.push(diagnostic),
            }
        }
    }
}
