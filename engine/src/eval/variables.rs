//! Variables, locals and outputs.

use std::sync::Arc;

use stead_lang::config::Variable;
use stead_lang::expr::{Evaluation, evaluate};
use stead_value::{Diagnostic, Marks, Value};

use super::{Evaluator, ModuleId, Phase, Repetition};

impl Evaluator<'_> {
    pub(super) fn local(&self, module: ModuleId, name: &Arc<str>) -> Evaluation {
        match self.config(module).locals.get(name) {
            Some(local) => evaluate(&local.value, &self.scope(module, Repetition::default())),
            None => failed(),
        }
    }

    pub(super) fn output(&self, module: ModuleId, name: &Arc<str>) -> Evaluation {
        let Some(output) = self.config(module).outputs.get(name) else { return failed() };
        for dependency in &output.depends_on {
            self.demand_all(module, &dependency.target);
        }
        let mut evaluation = evaluate(&output.value, &self.scope(module, Repetition::default()));
        if !evaluation.is_settled() {
            return evaluation;
        }
        let is_root = self.module_address(module).is_root();
        if output.sensitive {
            evaluation.value = evaluation.value.sensitive();
        } else if is_root && evaluation.value.marks_deep().contains(Marks::SENSITIVE) {
            evaluation.diagnostics.push(
                Diagnostic::error(
                    "Output refers to sensitive values",
                    "To reduce the risk of accidentally exporting sensitive data that was intended to be only internal, any root module output containing sensitive data must be explicitly marked as sensitive, to confirm your intent.\n\nIf you do intend to export this data, annotate the output value as sensitive by adding the following argument:\n    sensitive = true",
                )
                .at(output.range.clone()),
            );
        }
        if output.ephemeral {
            evaluation.value = evaluation.value.with_marks(Marks::EPHEMERAL);
        } else if evaluation.value.marks_deep().contains(Marks::EPHEMERAL) {
            evaluation.diagnostics.push(
                Diagnostic::error(
                    "Ephemeral value not allowed",
                    "This output value is not declared as returning an ephemeral value, so it cannot be set to a result derived from an ephemeral value.",
                )
                .at(output.value.range()),
            );
        }
        evaluation
    }

    pub(super) fn variable(&self, module: ModuleId, name: &Arc<str>) -> Evaluation {
        let Some(variable) = self.config(module).variables.get(name) else { return failed() };
        let node = self.node(module);
        let given = match node.parent {
            None => self.root_variable(variable),
            Some(parent) => {
                let call = node.address.0.last().and_then(|(n, _)| self.config(parent).calls.get(n));
                match call.and_then(|c| c.arguments.attribute(name)) {
                    Some(argument) => {
                        let mut given = evaluate(&argument.expr, &self.scope(parent, node.repetition.clone()));
                        if given.is_settled() {
                            match self.settle(variable, given.value.clone()) {
                                Ok(value) => given.value = value,
                                Err(message) => given.diagnostics.push(
                                    Diagnostic::error(
                                        "Invalid value for input variable",
                                        format!("The given value is not suitable for {}.var.{name} declared at {}: {message}.", node.address, place(variable)),
                                    )
                                    .at(argument.expr.range()),
                                ),
                            }
                        }
                        given
                    }
                    None => self.default_of(variable),
                }
            }
        };
        mark(given, variable)
    }

    fn root_variable(&self, variable: &Variable) -> Evaluation {
        if self.settings.phase == Phase::Validate {
            return Evaluation::of(Value::unknown(variable.constraint.ty.without_optional()));
        }
        let Some(given) = self.settings.variables.get(&variable.name) else {
            return self.default_of(variable);
        };
        match self.settle(variable, given.value.clone()) {
            Ok(value) => Evaluation::of(value),
            Err(message) => {
                let mut evaluation = failed();
                evaluation.diagnostics.push(
                    Diagnostic::error(
                        "Invalid value for input variable",
                        format!(
                            "The value of var.{} from {} is not suitable for its declaration at {}: {message}.",
                            variable.name,
                            given.origin,
                            place(variable)
                        ),
                    )
                    .at(variable.range.clone()),
                );
                evaluation
            }
        }
    }

    fn default_of(&self, variable: &Variable) -> Evaluation {
        match &variable.default {
            Some(default) => Evaluation::of(default.clone()),
            None => {
                let mut evaluation = failed();
                evaluation.diagnostics.push(
                    Diagnostic::error(
                        "No value for required variable",
                        format!("The variable \"{}\" is not set, and has no default value. Set it with -var=\"{}=…\", in terraform.tfvars, or in the environment as TF_VAR_{}.", variable.name, variable.name, variable.name),
                    )
                    .at(variable.range.clone()),
                );
                evaluation
            }
        }
    }

    /// Null handling, defaults of optional attributes and conversion, in that order.
    fn settle(&self, variable: &Variable, value: Value) -> Result<Value, String> {
        if value.is_null() {
            return match (&variable.default, variable.nullable) {
                (Some(default), false) => Ok(default.clone()),
                (None, false) => Err("the variable is declared with nullable = false, so null is not a value for it".into()),
                (_, true) => Ok(Value::null(variable.constraint.ty.without_optional()).with_marks(value.marks())),
            };
        }
        let constraint = &variable.constraint;
        let filled = constraint.defaults.apply(&value);
        stead_value::convert::convert(&filled, &constraint.ty).map_err(|e| {
            if e.path.is_root() { e.message } else { format!("attribute {}: {}", e.path, e.message) }
        })
    }
}

fn mark(mut evaluation: Evaluation, variable: &Variable) -> Evaluation {
    if variable.sensitive {
        evaluation.value = evaluation.value.sensitive();
    }
    if variable.ephemeral {
        evaluation.value = evaluation.value.with_marks(Marks::EPHEMERAL);
    }
    evaluation
}

fn place(variable: &Variable) -> String {
    format!("{}:{}", variable.range.file, variable.range.start.line)
}

fn failed() -> Evaluation {
    Evaluation { failed: true, ..Evaluation::of(Value::dynamic()) }
}
