//! The conditions that no operation evaluates: of objects that stay as they are, of outputs, variables and `check` blocks.

use std::sync::Arc;

use serde_json::value::RawValue;
use stead_value::{Diagnostic, Severity};

use super::Executor;
use crate::checks::{CheckObject, Checkable, RuleKind};
use crate::eval::{Object, Outcome, ROOT, Rules};
use crate::{Action, PlanMode};

impl Executor<'_, '_> {
    /// Evaluates them with the values that there are now, and records the results of all conditions.
    pub(super) fn conclude_checks(&mut self) {
        if self.plan.checks.is_empty() {
            self.state.check_results = None;
            return;
        }
        let results = match self.plan.mode {
            PlanMode::Normal => {
                self.check_unchanged();
                self.check_modules();
                self.evaluator.check_results_like(&self.plan.checks)
            }
            // Of objects it holds what the plan found.
            PlanMode::RefreshOnly => {
                self.check_modules();
                let mut results = self.evaluator.check_results_like(&self.plan.checks);
                for (checkable, planned) in &self.plan.checks.0 {
                    if matches!(checkable, Checkable::Resource(_)) {
                        results.0.insert(checkable.clone(), planned.clone());
                    }
                }
                results
            }
            PlanMode::Destroy => self.plan.checks.clone(),
        };
        match serde_json::value::to_raw_value(&results.to_state()) {
            Ok(raw) => self.state.check_results = Some(Arc::<RawValue>::from(raw)),
            Err(e) => self.diagnostics.push(Diagnostic::error(
                "Check results cannot be stored",
                e.to_string(),
            )),
        }
    }

    fn check_unchanged(&mut self) {
        for change in self.plan.changes.clone() {
            if change.action != Action::NoOp || change.deposed.is_some() {
                continue;
            }
            let Some(config) = self.enter(&change.address) else {
                continue;
            };
            let lifecycle = &config.resource.lifecycle;
            let object = CheckObject::Instance(change.address.clone());
            for (kind, rules, value) in [
                (RuleKind::Precondition, &lifecycle.preconditions, None),
                (
                    RuleKind::Postcondition,
                    &lifecycle.postconditions,
                    Some(change.after.clone()),
                ),
            ] {
                let scope =
                    self.evaluator
                        .condition_scope(config.module, &config.repetition, value);
                let rules = Rules::new(&object, kind, rules, Severity::Error);
                let checked = self.evaluator.check(&rules, &scope);
                self.diagnostics.extend(checked);
            }
        }
    }

    /// Goes through the module instances.
    fn check_modules(&mut self) {
        let mut modules = vec![ROOT];
        while let Some(module) = modules.pop() {
            let planned = &self.plan.checks;
            let id = self.evaluator.id(Object::Checks(module));
            let attempt = self.evaluator.run(id, || {
                let wanted = |c: &Checkable| planned.0.get(c).is_some_and(Option::is_some);
                self.evaluator
                    .module_checks(module, Severity::Error, &wanted)
            });
            // What could not be computed stays unknown: its errors were reported.
            if let Some(attempt) = attempt {
                self.diagnostics.extend(attempt.value);
            }
            for name in self.evaluator.config(module).calls.keys() {
                let keys = Object::CallKeys(module, Arc::clone(name));
                if let Outcome::Value(_) = self.evaluator.demand(keys) {
                    modules.extend(self.evaluator.children(module, name).iter().copied());
                }
            }
        }
    }
}
