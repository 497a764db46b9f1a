//! Conditions: validations, pre- and postconditions, assertions.

use stead_lang::config::CheckRule;
use stead_lang::expr::evaluate;
use stead_value::{Diagnostic, Diagnostics, Marks, Severity, Type, Value};

use super::{EvalScope, Evaluator, ModuleId, Object, Outcome, Repetition};

/// The outcome of a set of conditions.
#[derive(Debug, Default)]
pub struct Checked {
    pub diagnostics: Diagnostics,
    /// A condition is not known yet; it must be checked again during the apply.
    pub unknown: bool,
}

impl<'c> Evaluator<'c> {
    /// Evaluates conditions. `summary` heads the message of one that does not hold.
    pub fn check(
        &self,
        rules: &[CheckRule],
        scope: &EvalScope<'_, '_>,
        summary: &str,
        severity: Severity,
    ) -> Checked {
        let mut checked = Checked::default();
        for rule in rules {
            let condition = evaluate(&rule.condition, scope);
            checked.diagnostics.extend(condition.diagnostics);
            if condition.pending || condition.failed {
                checked.unknown = true;
                continue;
            }
            let (condition, _) = condition.value.unmark_deep();
            let condition = match stead_value::convert::convert(&condition, &Type::Bool) {
                Ok(value) => value,
                Err(e) => {
                    checked.diagnostics.push(
                        Diagnostic::error(
                            "Invalid condition result",
                            format!("Invalid condition result value: {}.", e.message),
                        )
                        .at(rule.condition.range()),
                    );
                    continue;
                }
            };
            if !condition.is_known() {
                checked.unknown = true;
                continue;
            }
            match condition.as_bool() {
                Some(true) => {}
                Some(false) => {
                    let mut diagnostic =
                        Diagnostic::error(summary, self.error_message(rule, scope));
                    diagnostic.severity = severity;
                    checked
                        .diagnostics
                        .push(diagnostic.at(rule.condition.range()));
                }
                None => checked.diagnostics.push(
                    Diagnostic::error(
                        "Invalid condition result",
                        "Condition expression must return either true or false, not null.",
                    )
                    .at(rule.condition.range()),
                ),
            }
        }
        checked
    }

    fn error_message(&self, rule: &CheckRule, scope: &EvalScope<'_, '_>) -> String {
        let message = evaluate(&rule.error_message, scope);
        let hidden = |why: &str| {
            format!("This check failed, but stead cannot show its error message: {why}.")
        };
        if message.pending || message.failed || message.diagnostics.has_errors() {
            return hidden("it could not be evaluated");
        }
        if !message.value.marks_deep().is_empty() {
            let secret = message.value.marks_deep().contains(Marks::SENSITIVE);
            return hidden(if secret {
                "it refers to sensitive values"
            } else {
                "it refers to ephemeral values"
            });
        }
        match message.value.as_str() {
            Some(text) => text.trim().to_owned(),
            None => hidden("it is not a known string"),
        }
    }

    /// The validations of every variable of a module instance, its outputs' preconditions and its `check` blocks.
    /// Run as the planner's object [`Object::Checks`]: what is missing makes it wait.
    pub fn module_checks(&self, module: ModuleId) -> Checked {
        let config = self.config(module);
        let scope = self.scope(module, Repetition::default());
        let mut all = Checked::default();
        for variable in config.variables.values() {
            if variable.validations.is_empty() {
                continue;
            }
            // A variable that has no value needs no second message.
            if let Outcome::Value(_) = self.demand(Object::Variable(module, variable.name.clone()))
            {
                let checked = self.check(
                    &variable.validations,
                    &scope,
                    "Invalid value for variable",
                    Severity::Error,
                );
                let place = self.given_place(module, &variable.name);
                all.unknown |= checked.unknown;
                all.diagnostics
                    .extend(checked.diagnostics.into_iter().map(|mut d| {
                        if let (true, Some(place)) =
                            (d.summary == "Invalid value for variable", &place)
                        {
                            d.detail = format!(
                                "{}\n\nThis was checked by the validation rule at {}:{}.",
                                d.detail,
                                variable.range.file,
                                d.subject
                                    .as_ref()
                                    .map_or(variable.range.start.line, |r| r.start.line)
                            );
                            d.context = Some(place.clone());
                        }
                        d
                    }));
            }
        }
        for output in config.outputs.values() {
            let checked = self.check(
                &output.preconditions,
                &scope,
                "Module output value precondition failed",
                Severity::Error,
            );
            all.unknown |= checked.unknown;
            all.diagnostics.extend(checked.diagnostics);
        }
        for check in config.checks.values() {
            let checked = self.check(
                &check.asserts,
                &scope,
                "Check block assertion failed",
                Severity::Warning,
            );
            all.unknown |= checked.unknown;
            all.diagnostics.extend(checked.diagnostics);
        }
        all
    }

    /// Where the caller gives a child module's variable its value.
    fn given_place(&self, module: ModuleId, name: &str) -> Option<stead_value::SourceRange> {
        let node = self.node(module);
        let (call, _) = node.address.0.last()?;
        let argument = self
            .config(node.parent?)
            .calls
            .get(call)?
            .arguments
            .attribute(name)?;
        Some(argument.expr.range())
    }

    /// The scope of pre- and postconditions of a resource instance; `self` only for the latter.
    pub fn condition_scope(
        &self,
        module: ModuleId,
        repetition: &Repetition,
        self_object: Option<Value>,
    ) -> EvalScope<'_, 'c> {
        let mut repetition = repetition.clone();
        repetition.self_object = self_object;
        EvalScope {
            evaluator: self,
            module,
            repetition,
        }
    }
}
