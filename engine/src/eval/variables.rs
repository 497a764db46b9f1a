//! Variables, locals and outputs.

use std::sync::Arc;

use stead_lang::config::{Deprecated, ModuleSource, Output, Variable};
use stead_lang::expr::{Deprecation, Evaluation, evaluate, warn_of_parts};
use stead_value::convert::convert;
use stead_value::{Declared, Diagnostic, Marks, Type, Value};

use super::{Evaluator, GivenVariable, ModuleId, Origin, Phase, Repetition};

impl Evaluator<'_> {
    pub(super) fn local(&self, module: ModuleId, name: &Arc<str>) -> Evaluation {
        match self.config(module).locals.get(name) {
            Some(local) => evaluate(&local.value, &self.scope(module, Repetition::default())),
            None => failed(),
        }
    }

    pub(super) fn output(&self, module: ModuleId, name: &Arc<str>) -> Evaluation {
        let Some(output) = self.config(module).outputs.get(name) else {
            return failed();
        };
        if let Some(outputs) = self.replacement(module) {
            let value = outputs.get(name);
            let value = value.unwrap_or_else(|| Value::null(Type::Dynamic));
            return Evaluation::of(match output.sensitive {
                true => value.sensitive(),
                false => value,
            });
        }
        for dependency in &output.depends_on {
            self.demand_all(module, &dependency.target);
        }
        let scope = self.scope(module, Repetition::default());
        let mut evaluation = evaluate(&output.value, &scope);
        let is_root = self.module_address(module).is_root();
        match &output.deprecated {
            None => warn_of_parts(&output.value, &scope, &mut evaluation),
            // It takes over what its parts said.
            Some(_) => evaluation.value = evaluation.value.without_deprecation(),
        }
        if !evaluation.is_settled() {
            return evaluation;
        }
        match convert_output(output, &evaluation.value) {
            Ok(value) => evaluation.value = value,
            Err(problem) => evaluation.diagnostics.push(problem),
        }
        if let Some(deprecated) = &output.deprecated {
            if is_root {
                evaluation
                    .diagnostics
                    .push(root_output_deprecated(deprecated));
            } else {
                let mark = self.deprecation(module, name, deprecated);
                evaluation.value = evaluation.value.with_marks(mark);
            }
        }
        if output.sensitive {
            evaluation.value = evaluation.value.sensitive();
        } else if is_root && evaluation.value.marks_deep().contains(Marks::SENSITIVE) {
            evaluation.diagnostics.push(
                Diagnostic::error(
                    "Output refers to sensitive values",
                    "To reduce the risk of accidentally exporting sensitive data that was intended to be only internal, stead requires that any root module output containing sensitive data be explicitly marked as sensitive, to confirm your intent.\n\nIf you do intend to export this data, annotate the output value as sensitive by adding the following argument:\n    sensitive = true",
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

    /// The mark of a deprecated output.
    fn deprecation(&self, module: ModuleId, output: &str, deprecated: &Deprecated) -> Marks {
        let deprecation = Deprecation {
            message: deprecated.message.clone(),
            origin: format!("{}.{output}", self.module_address(module).module()),
            declared: self.declared(module),
        };
        let mut all = self.deprecations.borrow_mut();
        let known = all.iter().position(|d| *d == deprecation);
        Marks::deprecated(known.unwrap_or_else(|| {
            all.push(deprecation);
            all.len() - 1
        }))
    }

    /// Whether the module or one around it was fetched.
    fn declared(&self, module: ModuleId) -> Declared {
        let path = self.module_address(module).module();
        let around = (1..=path.0.len()).filter_map(|depth| path.0.get(..depth));
        let mut nodes =
            around.filter_map(|names| self.tree().get(&stead_value::addr::Module(names.to_vec())));
        let fetched = |source: &ModuleSource| source.enters_new_package();
        match nodes.any(|node| node.source.as_ref().is_some_and(fetched)) {
            true => Declared::Remote,
            false => Declared::Local,
        }
    }

    /// A variable's value, when its validations hold: what uses a wrong one needs no second message.
    pub(super) fn variable(&self, module: ModuleId, name: &Arc<str>) -> Evaluation {
        let mut evaluation = self.given_variable(module, name);
        if evaluation.is_settled()
            && let Some(variable) = self.config(module).variables.get(name)
            && !variable.validations.is_empty()
        {
            let problems = self.validate_variable(module, variable, &evaluation.value);
            evaluation.diagnostics.extend(problems);
        }
        evaluation
    }

    fn given_variable(&self, module: ModuleId, name: &Arc<str>) -> Evaluation {
        let Some(variable) = self.config(module).variables.get(name) else {
            return failed();
        };
        let node = self.node(module);
        match node.parent {
            None => self.root_variable(variable),
            Some(parent) => {
                let call = node
                    .address
                    .0
                    .last()
                    .and_then(|(n, _)| self.config(parent).calls.get(n));
                match call.and_then(|c| c.arguments.attribute(name)) {
                    Some(argument) => {
                        let mut given =
                            evaluate(&argument.expr, &self.scope(parent, node.repetition.clone()));
                        if given.is_settled() {
                            if !given.value.is_null()
                                && let Some(deprecated) = &variable.deprecated
                            {
                                let warning =
                                    variable_deprecated(deprecated, self.declared(module));
                                given.diagnostics.push(warning.at(argument.expr.range()));
                            }
                            match variable
                                .accept_in(&given.value, &node.address.module().to_string())
                            {
                                Ok(value) => given.value = value,
                                Err(diagnostic) => {
                                    given.diagnostics.push(diagnostic.at(argument.expr.range()));
                                }
                            }
                            let is_ephemeral = given.value.marks_deep().contains(Marks::EPHEMERAL);
                            if is_ephemeral && !variable.ephemeral {
                                let refused = Diagnostic::error(
                                    "Ephemeral value not allowed",
                                    "This input variable is not declared as accepting ephemeral values, so it cannot be set to a result derived from an ephemeral value.",
                                );
                                given.diagnostics.push(refused.at(argument.expr.range()));
                            }
                        }
                        given
                    }
                    // That the call lacks an argument has been said.
                    None if variable.default.is_none() => failed(),
                    None => self.default_of(variable),
                }
            }
        }
    }

    fn root_variable(&self, variable: &Variable) -> Evaluation {
        if self.settings.phase == Phase::Validate {
            let mut value = Value::unknown(variable.constraint.ty.without_optional());
            if variable.sensitive {
                value = value.sensitive();
            }
            if variable.ephemeral {
                value = value.with_marks(Marks::EPHEMERAL);
            }
            return Evaluation::of(value);
        }
        let Some(given) = self.settings.variables.get(&variable.name) else {
            return self.default_of(variable);
        };
        match accept_given(variable, given) {
            Ok(value) => {
                let mut evaluation = Evaluation::of(value);
                if !given.value.is_null()
                    && let Some(deprecated) = &variable.deprecated
                {
                    let warning = variable_deprecated(deprecated, Declared::Local);
                    let warning = warning.at(deprecated.range.clone());
                    evaluation.diagnostics.push(warning);
                }
                evaluation
            }
            Err(diagnostic) => Evaluation {
                diagnostics: diagnostic.into(),
                ..failed()
            },
        }
    }

    fn default_of(&self, variable: &Variable) -> Evaluation {
        match &variable.default {
            Some(default) => match variable.accept(default) {
                Ok(value) => Evaluation::of(value),
                Err(diagnostic) => {
                    let mut evaluation = failed();
                    evaluation
                        .diagnostics
                        .push(diagnostic.at(variable.range.clone()));
                    evaluation
                }
            },
            None => {
                let mut evaluation = failed();
                evaluation.diagnostics.push(no_value(variable));
                evaluation
            }
        }
    }
}

/// A required root variable that nothing gives a value.
pub fn no_value(variable: &Variable) -> Diagnostic {
    Diagnostic::error(
        "No value for required variable",
        format!(
            "The root module input variable \"{}\" is not set, and has no default value. Use a -var or -var-file command line argument to provide a value for this variable.",
            variable.name
        ),
    )
    .at(variable.range.clone())
}

impl GivenVariable {
    /// How it was set, for messages about a value that stands in no file.
    fn how(&self, name: &str) -> String {
        match self.origin {
            Origin::Flag => format!("set using -var=\"{name}=...\""),
            Origin::Environment => format!("set using the TF_VAR_{name} environment variable"),
            Origin::Prompt => "set using an interactive prompt".into(),
            Origin::NamedFile | Origin::AutomaticFile | Origin::Elsewhere => {
                "set from outside of the configuration".into()
            }
        }
    }
}

/// What a value from outside is for the variable that it is meant for.
pub(crate) fn accept_given(
    variable: &Variable,
    given: &GivenVariable,
) -> Result<Value, Diagnostic> {
    match &given.range {
        Some(place) => variable.accept_at(&given.value, place),
        None => variable.accept_from(&given.value, &given.how(&variable.name)),
    }
}

/// An output's value in the type that it declares.
fn convert_output(output: &Output, value: &Value) -> Result<Value, Diagnostic> {
    let constraint = &output.constraint;
    if !constraint.declared {
        return Ok(value.clone());
    }
    let value = constraint.defaults.apply(value);
    convert(&value, &constraint.ty).map_err(|error| {
        let at = match error.path.is_root() {
            true => String::new(),
            false => format!("{}: ", error.path),
        };
        Diagnostic::error(
            "Invalid output value",
            format!("The value expression does not match this output value's type constraint: {at}{error}."),
        )
        .at(output.value.range())
    })
}

fn variable_deprecated(deprecated: &Deprecated, declared: Declared) -> Diagnostic {
    Diagnostic {
        deprecated_in: Some(declared),
        ..Diagnostic::warning("Deprecated variable got a value", &deprecated.message)
    }
}

fn root_output_deprecated(deprecated: &Deprecated) -> Diagnostic {
    Diagnostic::error(
        "Root module output deprecated",
        "Root module outputs cannot be deprecated, as there is no higher-level module to inform of the deprecation.",
    )
    .at(deprecated.range.clone())
}

fn failed() -> Evaluation {
    Evaluation {
        failed: true,
        ..Evaluation::of(Value::dynamic())
    }
}
