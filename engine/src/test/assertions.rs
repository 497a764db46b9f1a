//! `assert` blocks, evaluated in the scope of what the run planned or applied.

use std::collections::BTreeMap;
use std::sync::Arc;

use stead_lang::config::CheckRule;
use stead_lang::config::test_file::TestRun;
use stead_lang::expr::{
    About, Deprecation, Environment, NoFunction, ProviderFunction, Reference, Resolved, Scope,
    Target, evaluate, reference_values, references,
};
use stead_value::addr::ResourceMode;
use stead_value::convert::convert;
use stead_value::{Diagnostic, Diagnostics, Type, Value};

use super::report::Status;
use super::scope::{Outputs, has_key, run_name, word};
use crate::Registry;
use crate::eval::{EvalScope, Evaluator, Object, Outcome, ROOT, Repetition};

/// What came of a run's assertions.
pub(super) struct Asserted {
    pub(super) status: Status,
    /// The outputs of the module under test, for later runs.
    pub(super) outputs: Value,
    pub(super) diagnostics: Diagnostics,
}

/// Evaluates a run's assertions and its module's outputs.
pub(super) fn assert(
    evaluator: &Evaluator<'_>,
    registry: &Registry,
    run: &TestRun,
    variables: &BTreeMap<Arc<str>, Value>,
    outputs: &Outputs,
) -> Asserted {
    let scope = AssertScope {
        inner: evaluator.scope(ROOT, Repetition::default()),
        variables,
        outputs,
    };
    let mut status = Status::Pass;
    let mut diagnostics = Diagnostics::new();
    for rule in &run.asserts {
        let found = wrong_references(rule, &scope, registry);
        if found.has_errors() {
            diagnostics.extend(found);
            status.merge(Status::Error);
            continue;
        }
        status.merge(assert_one(evaluator, rule, &scope, &mut diagnostics));
    }
    // What could not be computed has been reported by the plan or the apply.
    drop(evaluator.take_diagnostics());
    let values = evaluator.config(ROOT).outputs.keys().map(|name| {
        let value = scope.output(name).unwrap_or_else(Value::dynamic);
        (Arc::clone(name), value)
    });
    let outputs = Value::object(values.collect());
    diagnostics.extend(evaluator.take_diagnostics());
    Asserted {
        status,
        outputs,
        diagnostics,
    }
}

const FAILED: &str = "Test assertion failed";

fn assert_one(
    evaluator: &Evaluator<'_>,
    rule: &CheckRule,
    scope: &AssertScope<'_, '_, '_>,
    diagnostics: &mut Diagnostics,
) -> Status {
    let mut found: Diagnostics = ephemeral_references(rule).collect();
    let (message, problems) = evaluator.error_message(rule, scope, false);
    found.extend(problems);
    let condition = evaluate(&rule.condition, scope);
    found.extend(condition.diagnostics);
    let wrong = found.has_errors();
    diagnostics.extend(found);
    if wrong {
        return Status::Error;
    }
    let mut report = |summary: &str, detail: String| {
        let about = match summary {
            FAILED => About::Ephemeral,
            _ => About::Anything,
        };
        let mut diagnostic = Diagnostic::error(summary, detail).at(rule.condition.range());
        diagnostic.values = reference_values(&rule.condition, scope, about);
        diagnostics.push(diagnostic);
    };
    let (value, _) = condition.value.unmark_deep();
    if value.is_null() {
        report(
            "Invalid condition run",
            "Condition expression must return either true or false, not null.".into(),
        );
        return Status::Error;
    }
    if !value.is_known() || condition.pending || condition.failed {
        report("Unknown condition value", "Condition expression could not be evaluated at this time. This means you have executed a `run` block with `command = plan` and one of the values your condition depended on is not known until after the plan has been applied. Either remove this value from your condition, or execute an `apply` command from this `run` block. Alternatively, if there is an override for this value, you can make it available during the plan phase by setting `override_during = plan` in the `override_` block.".into());
        return Status::Error;
    }
    match convert(&value, &Type::Bool) {
        Err(error) => {
            report(
                "Invalid condition run",
                format!("Invalid condition run value: {error}."),
            );
            Status::Error
        }
        Ok(value) if value.as_bool() == Some(false) => {
            report(FAILED, message.unwrap_or_default());
            Status::Fail
        }
        Ok(_) => Status::Pass,
    }
}

/// What a condition and its message name in vain.
fn wrong_references(
    rule: &CheckRule,
    scope: &AssertScope<'_, '_, '_>,
    registry: &Registry,
) -> Diagnostics {
    let tree = scope.inner.evaluator.tree();
    let of_tests = |target: &Target| match target {
        Target::Variable(name) => scope.variables.contains_key(name),
        _ => run_name(target).is_some() || word(target, "output").is_some(),
    };
    let found = [&rule.condition, &rule.error_message];
    let found = found.into_iter().flat_map(|expr| references(expr).0);
    found
        .filter(|reference| !of_tests(&reference.target))
        .flat_map(|reference| tree.check_reference(&reference, registry))
        .collect()
}

fn ephemeral_references(rule: &CheckRule) -> impl Iterator<Item = Diagnostic> {
    let found = [&rule.condition, &rule.error_message];
    let found = found.into_iter().flat_map(|expr| references(expr).0);
    found
        .filter(|r| matches!(&r.target, Target::Resource { resource, .. } if resource.mode == ResourceMode::Ephemeral))
        .map(|r| {
            Diagnostic::error(
                "Ephemeral resources cannot be asserted",
                "Ephemeral resources are closed when the test is finished, and are not available within the test context for assertions.",
            )
            .at(r.range)
        })
}

/// The scope of the root module, with `run`, `output`, and the variables that only the test file knows.
struct AssertScope<'s, 'e, 'c> {
    inner: EvalScope<'e, 'c>,
    variables: &'s BTreeMap<Arc<str>, Value>,
    outputs: &'s Outputs,
}

impl AssertScope<'_, '_, '_> {
    /// An output of the module under test; null when it could not be computed.
    fn output(&self, name: &Arc<str>) -> Option<Value> {
        let object = Object::Output(ROOT, Arc::clone(name));
        match self.inner.evaluator.demand(object) {
            Outcome::Value(value) => Some(value),
            Outcome::Pending => None,
            Outcome::Failed => Some(Value::null(Type::Dynamic)),
        }
    }

    fn run(&self, name: &Arc<str>) -> Resolved {
        match self.outputs.get(name) {
            Some(Some(value)) => Resolved::Value(value.clone()),
            Some(None) => Diagnostic::error(
                "Reference to unevaluated run block",
                format!("The run \"{name}\" block has not yet been evaluated, so its results are not available here."),
            )
            .into(),
            None => {
                let near = stead_lang::nearest(name, self.outputs.keys().map(|n| &**n));
                let hint = near.map_or_else(String::new, |n| format!(" Did you mean \"{n}\"?"));
                Diagnostic::error(
                    "Reference to undeclared run block",
                    format!("There is no run \"{name}\" declared in this test suite.{hint}"),
                )
                .into()
            }
        }
    }

    fn declared_output(&self, name: &Arc<str>) -> Resolved {
        let declared = &self.inner.evaluator.config(ROOT).outputs;
        if declared.contains_key(name) {
            let value = self.output(name).unwrap_or_else(Value::dynamic);
            return Resolved::Value(value);
        }
        let near = stead_lang::nearest(name, declared.keys().map(|n| &**n));
        let hint = near.map_or_else(String::new, |n| format!(" Did you mean \"{n}\"?"));
        Diagnostic::error(
            "Reference to undeclared output value",
            format!("An output value with the name \"{name}\" has not been declared.{hint}"),
        )
        .into()
    }
}

impl Scope for AssertScope<'_, '_, '_> {
    fn environment(&self) -> Environment<'_> {
        self.inner.environment()
    }

    fn deprecation(&self, number: usize) -> Option<Deprecation> {
        self.inner.deprecation(number)
    }

    fn provider_function(
        &self,
        provider: &str,
        function: &str,
    ) -> Result<ProviderFunction<'_>, NoFunction> {
        self.inner.provider_function(provider, function)
    }

    fn resolve(&self, reference: &Reference<'_>) -> Resolved {
        let target = &reference.target;
        if let Some(name) = run_name(target) {
            return match has_key(target) {
                true => Resolved::Whole,
                false => self.run(name),
            };
        }
        if let Some(name) = word(target, "output") {
            return match has_key(target) {
                true => Resolved::Whole,
                false => self.declared_output(name),
            };
        }
        if let Target::Variable(name) = target
            && let Some(value) = self.variables.get(name)
        {
            return Resolved::Value(value.clone());
        }
        match self.inner.resolve(reference) {
            // What the run did not compute is not known to it.
            Resolved::Pending | Resolved::Failed => Resolved::Value(Value::dynamic()),
            resolved => resolved,
        }
    }
}
