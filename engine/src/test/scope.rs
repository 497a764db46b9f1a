//! What expressions of a test file can name outside of assertions: variables from around the run, and the outputs of earlier runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use stead_lang::expr::{
    Environment as Surroundings, Evaluation, Reference, Resolved, Scope, StaticReference, Target,
    evaluate, references,
};
use stead_lang::syntax::Expression;
use stead_value::addr::ResourceMode;
use stead_value::{Diagnostic, Diagnostics, Step, Value};

use crate::eval::Settings;

/// The outputs of the runs of a file; `None` of those that have not been executed.
pub(super) type Outputs = BTreeMap<Arc<str>, Option<Value>>;

/// Where an expression stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    RunVariables,
    Provider,
    FileVariables,
}

/// A scope that has been asked for everything beforehand.
pub(super) struct TestScope<'a> {
    pub(super) place: Place,
    pub(super) settings: &'a Settings,
    /// Those that the expression refers to, as far as there are any.
    pub(super) variables: &'a BTreeMap<Arc<str>, Value>,
    pub(super) outputs: &'a Outputs,
}

/// The name of the run that a reference begins with: `run.NAME`.
pub(super) fn run_name(target: &Target) -> Option<&Arc<str>> {
    word(target, "run")
}

/// `WORD.NAME` reads as a resource of the type WORD.
pub(super) fn word<'t>(target: &'t Target, word: &str) -> Option<&'t Arc<str>> {
    match target {
        Target::Resource { resource, .. }
            if resource.mode == ResourceMode::Managed && &*resource.type_name == word =>
        {
            Some(&resource.name)
        }
        _ => None,
    }
}

impl Scope for TestScope<'_> {
    fn environment(&self) -> Surroundings<'_> {
        Surroundings {
            files: &*self.settings.files,
            working_directory: self.settings.working_directory.to_str(),
            home_directory: self.settings.home_directory.as_deref(),
            plan_timestamp: self.settings.plan_timestamp.as_deref(),
            world: self.settings.world.as_deref(),
        }
    }

    fn resolve(&self, reference: &Reference<'_>) -> Resolved {
        if let Some(name) = run_name(&reference.target) {
            return match self.outputs.get(name) {
                _ if has_key(&reference.target) => Resolved::Whole,
                Some(Some(value)) => Resolved::Value(value.clone()),
                _ => Resolved::Failed,
            };
        }
        match &reference.target {
            Target::Variable(name) => match self.variables.get(name) {
                Some(value) => Resolved::Value(value.clone()),
                None => Resolved::Failed,
            },
            _ => Resolved::Failed,
        }
    }
}

pub(super) fn has_key(target: &Target) -> bool {
    matches!(target, Target::Resource { key: Some(_), .. })
}

impl TestScope<'_> {
    /// Evaluates an expression, after a look at all that it refers to.
    pub(super) fn evaluate(&self, expr: &Expression) -> Evaluation {
        let (found, mut diagnostics) = references(expr);
        for reference in &found {
            diagnostics.extend(self.problem(reference));
        }
        if diagnostics.has_errors() {
            return Evaluation {
                diagnostics,
                failed: true,
                ..Evaluation::of(Value::dynamic())
            };
        }
        evaluate(expr, self)
    }

    fn problem(&self, reference: &StaticReference) -> Option<Diagnostic> {
        let error = |summary: &str, detail: String| {
            Some(Diagnostic::error(summary, detail).at(reference.range.clone()))
        };
        if let Some(name) = run_name(&reference.target) {
            return self.run_problem(name, reference);
        }
        let detail = match &reference.target {
            Target::Variable(name) if self.variables.contains_key(name) => return None,
            Target::Variable(name) => {
                let detail = match self.place {
                    Place::RunVariables => format!(
                        "The input variable \"{name}\" is not available to the current run block. You can only reference variables defined at the file or global levels."
                    ),
                    Place::Provider => format!(
                        "The input variable \"{name}\" is not available to the current provider configuration. You can only reference variables defined at the file or global levels."
                    ),
                    Place::FileVariables => format!(
                        "The input variable \"{name}\" is not available to the current context. You can only reference global variables."
                    ),
                };
                return error("Reference to unavailable variable", detail);
            }
            _ => match self.place {
                Place::RunVariables => {
                    "You can only reference earlier run blocks, file level, and global variables while defining variables from inside a run block."
                }
                Place::Provider => {
                    "You can only reference run blocks, file level, and global variables while defining variables from inside provider configurations."
                }
                Place::FileVariables => {
                    "You can only reference global variables within the test file variables block."
                }
            },
        };
        error("Invalid reference", detail.into())
    }

    fn run_problem(&self, name: &Arc<str>, reference: &StaticReference) -> Option<Diagnostic> {
        let error = |summary: &str, detail: String| {
            Some(Diagnostic::error(summary, detail).at(reference.range.clone()))
        };
        let before = match self.place {
            Place::Provider => "the provider is required",
            Place::RunVariables | Place::FileVariables => "the current run block",
        };
        let which = format!(
            "You can only reference run blocks that are in the same test file and will execute before {before}."
        );
        let value = match self.outputs.get(name) {
            Some(Some(value)) => value,
            _ if self.place == Place::FileVariables => {
                return error(
                    "Invalid reference",
                    "You can not reference run blocks from within the file variables block.".into(),
                );
            }
            None => {
                return error(
                    "Reference to unknown run block",
                    format!(
                        "The run block \"{name}\" does not exist within this test file. {which}"
                    ),
                );
            }
            Some(None) => {
                return error(
                    "Reference to unavailable run block",
                    format!("The run block \"{name}\" has not executed yet. {which}"),
                );
            }
        };
        // What is wrong with the steps is said when they are taken.
        let used = value.at(&reference.rest)?;
        if used.is_wholly_known() {
            return None;
        }
        let rest: String = reference.rest.steps().iter().map(step).collect();
        error(
            "Reference to unknown value",
            format!(
                "The value for run.{name}{rest} is unknown. Run block \"{name}\" is executing a \"plan\" operation, and the specified output value is only known after apply."
            ),
        )
    }
}

fn step(step: &Step) -> String {
    match step {
        Step::Attr(name) => format!(".{name}"),
        Step::Index(key) => match (key.as_str(), key.as_number()) {
            (Some(text), _) => format!("[{text:?}]"),
            (None, Some(number)) => format!("[{number}]"),
            (None, None) => "[...]".into(),
        },
    }
}

/// Adds places to what has none.
pub(super) fn at_expression(
    diagnostics: Diagnostics,
    expr: &Expression,
) -> impl Iterator<Item = Diagnostic> {
    let range = expr.range();
    diagnostics.into_iter().map(move |mut diagnostic| {
        diagnostic.subject.get_or_insert_with(|| range.clone());
        diagnostic
    })
}
