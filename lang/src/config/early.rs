//! What is known before anything is planned: variables and local values in `source` and `version` of module calls, and in `backend`.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stead_value::schema::Block;
use stead_value::{Diagnostic, Value};

use super::model::{Module, ModuleCall};
use crate::Files;
use crate::decode::{Decoded, decode};
use crate::expr::{
    Environment, Evaluation, PathKind, Reference, Resolved, Scope, Target, evaluate,
};
use crate::syntax::{Body, Expression};

/// The values given to the root module's variables, unconverted, and the selected workspace.
#[derive(Clone, Debug, Default)]
pub struct EarlyValues {
    pub variables: BTreeMap<Arc<str>, Value>,
    pub workspace: String,
}

/// Decodes a root module's block whose body is evaluated early, such as `backend`.
pub fn early_block(
    files: &dyn Files,
    module: &Module,
    body: &Body,
    schema: &Block,
    values: &EarlyValues,
) -> Decoded {
    decode(body, schema, &EarlyModule::root(files, module, values))
}

/// Evaluates an expression early, as if it stood in the root module.
pub fn early_expression(
    files: &dyn Files,
    module: &Module,
    expr: &Expression,
    values: &EarlyValues,
) -> Evaluation {
    EarlyModule::root(files, module, values).evaluate(expr)
}

/// A module as far as it can be evaluated early.
pub(crate) struct EarlyModule<'a> {
    pub(crate) module: &'a Module,
    /// The module that calls it, and the call.
    pub(crate) caller: Option<(&'a EarlyModule<'a>, &'a ModuleCall)>,
    pub(crate) values: &'a EarlyValues,
    pub(crate) files: &'a dyn Files,
    /// Local values and variables under evaluation, against those that refer to themselves.
    pub(crate) running: RefCell<BTreeSet<Arc<str>>>,
}

impl<'a> EarlyModule<'a> {
    fn root(files: &'a dyn Files, module: &'a Module, values: &'a EarlyValues) -> Self {
        EarlyModule {
            module,
            caller: None,
            values,
            files,
            running: RefCell::default(),
        }
    }
}

impl EarlyModule<'_> {
    /// Evaluates an expression. What is not known early is reported.
    pub(crate) fn evaluate(&self, expr: &Expression) -> Evaluation {
        evaluate(expr, self)
    }

    fn variable(&self, name: &Arc<str>) -> Resolved {
        let Some(variable) = self.module.variables.get(name) else {
            return Diagnostic::error(
                "Reference to undeclared input variable",
                format!("An input variable with the name \"{name}\" has not been declared."),
            )
            .into();
        };
        let given = match self.caller {
            Some((caller, call)) => match call.arguments.attribute(name) {
                Some(argument) => {
                    let outcome = caller.evaluate(&argument.expr);
                    if outcome.diagnostics.has_errors() {
                        return Resolved::Invalid(outcome.diagnostics);
                    }
                    Some(outcome.value)
                }
                None => None,
            },
            None => self.values.variables.get(name).cloned(),
        };
        match (given, &variable.default) {
            (Some(value), _) => match variable.accept(&value) {
                Ok(value) => Resolved::Value(value),
                Err(diagnostic) => diagnostic.into(),
            },
            (None, Some(default)) => Resolved::Value(default.clone()),
            (None, None) => Diagnostic::error(
                "Variable value not provided",
                format!("The variable \"{name}\" is needed before anything is planned, and no value was given for it. Give it with -var, in a .tfvars file, or by the environment variable TF_VAR_{name}."),
            )
            .into(),
        }
    }

    fn local(&self, name: &Arc<str>) -> Resolved {
        let Some(local) = self.module.locals.get(name) else {
            return Diagnostic::error(
                "Reference to undeclared local value",
                format!("A local value with the name \"{name}\" has not been declared."),
            )
            .into();
        };
        if !self.running.borrow_mut().insert(Arc::clone(name)) {
            return Diagnostic::error(
                "Circular reference",
                format!("local.{name} is needed to find its own value."),
            )
            .into();
        }
        let outcome = self.evaluate(&local.value);
        self.running.borrow_mut().remove(name);
        if outcome.diagnostics.has_errors() {
            return Resolved::Invalid(outcome.diagnostics);
        }
        Resolved::Value(outcome.value)
    }
}

impl Scope for EarlyModule<'_> {
    fn resolve(&self, reference: &Reference<'_>) -> Resolved {
        match &reference.target {
            Target::Variable(name) => self.variable(name),
            Target::Local(name) => self.local(name),
            Target::Path(kind) => {
                let path = match kind {
                    PathKind::Module => self.module.directory.display().to_string(),
                    PathKind::Root | PathKind::Cwd => ".".to_owned(),
                };
                Resolved::Value(Value::string(if path.is_empty() { "." } else { &path }))
            }
            Target::Workspace => Resolved::Value(Value::string(&self.values.workspace)),
            _ => Diagnostic::error(
                "Dynamic value in static context",
                format!(
                    "{} is not known before the plan: here only variables, local values made of them, path and terraform.workspace can be used.",
                    reference.source.text()
                ),
            )
            .into(),
        }
    }

    fn environment(&self) -> Environment<'_> {
        Environment {
            files: self.files,
            working_directory: None,
            home_directory: None,
            plan_timestamp: None,
            world: None,
        }
    }
}
