//! Values for the variables of a module under test: from the run block, the file, and outside, in this order.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use indexmap::IndexMap;
use stead_lang::config::test_file::{TestFile, TestRun};
use stead_lang::config::vars::{undeclared_from_text, value_from_text};
use stead_lang::config::{Module, Variable};
use stead_lang::expr::{Target, references};
use stead_lang::syntax::Expression;
use stead_value::{Diagnostic, Diagnostics, SourceRange, Value};

use super::GlobalValue;
use super::scope::{Outputs, Place, TestScope, at_expression};
use crate::eval::{GivenVariable, Origin, Settings};

/// The variables around a run: those of its file, and those from outside. Each is evaluated once; what is wrong with it is said once.
pub(super) struct Surrounding<'a> {
    settings: &'a Settings,
    globals: &'a BTreeMap<Arc<str>, GlobalValue>,
    file: &'a IndexMap<Arc<str>, Expression>,
    /// Says how texts are read.
    module: &'a Module,
    known: RefCell<BTreeMap<Arc<str>, Option<GivenVariable>>>,
}

impl<'a> Surrounding<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        globals: &'a BTreeMap<Arc<str>, GlobalValue>,
        file: &'a TestFile,
        module: &'a Module,
    ) -> Surrounding<'a> {
        Surrounding {
            settings,
            globals,
            file: &file.variables,
            module,
            known: RefCell::default(),
        }
    }

    /// The value of a variable; `None` when nothing gives it one.
    fn get(&self, name: &Arc<str>, diagnostics: &mut Diagnostics) -> Option<GivenVariable> {
        if let Some(known) = self.known.borrow().get(name) {
            return known.clone();
        }
        let found = match self.file.get(name) {
            Some(expr) => Some(self.file_variable(expr, diagnostics)),
            None => self.global(name, diagnostics),
        };
        self.known
            .borrow_mut()
            .insert(Arc::clone(name), found.clone());
        found
    }

    fn file_variable(&self, expr: &Expression, diagnostics: &mut Diagnostics) -> GivenVariable {
        let mut globals = BTreeMap::new();
        for name in variables_of(expr) {
            if let Some(given) = self.global(&name, diagnostics) {
                globals.insert(name, given.value);
            }
        }
        let scope = TestScope {
            place: Place::FileVariables,
            settings: self.settings,
            variables: &globals,
            outputs: &Outputs::new(),
        };
        let evaluation = scope.evaluate(expr);
        diagnostics.extend(at_expression(evaluation.diagnostics, expr));
        given(evaluation.value, Some(expr.range()))
    }

    fn global(&self, name: &Arc<str>, diagnostics: &mut Diagnostics) -> Option<GivenVariable> {
        match self.globals.get(name)? {
            GlobalValue::Value(value) => Some(value.clone()),
            GlobalValue::Text { text, origin } => {
                let (value, problems) = match self.module.variables.get(name) {
                    Some(variable) => value_from_text(variable, text),
                    None => undeclared_from_text(name, text),
                };
                diagnostics.extend(problems);
                let value = value.map_or_else(Value::dynamic, |v| v.value);
                Some(GivenVariable {
                    value,
                    origin: *origin,
                    range: None,
                })
            }
        }
    }

    /// The values of those variables that an expression names and that there are.
    pub(super) fn named_in(
        &self,
        expr: &Expression,
        diagnostics: &mut Diagnostics,
    ) -> BTreeMap<Arc<str>, Value> {
        let names = variables_of(expr).into_iter();
        names
            .filter_map(|name| {
                let value = self.get(&name, diagnostics)?.value;
                Some((name, value))
            })
            .collect()
    }

    /// Evaluates an expression that may name them and the outputs of earlier runs.
    pub(super) fn evaluate(
        &self,
        expr: &Expression,
        place: Place,
        outputs: &Outputs,
        diagnostics: &mut Diagnostics,
    ) -> Option<Value> {
        let variables = self.named_in(expr, diagnostics);
        let scope = TestScope {
            place,
            settings: self.settings,
            variables: &variables,
            outputs,
        };
        let evaluation = scope.evaluate(expr);
        let settled = evaluation.is_settled();
        diagnostics.extend(at_expression(evaluation.diagnostics, expr));
        settled.then_some(evaluation.value)
    }
}

/// The variables that an expression names.
fn variables_of(expr: &Expression) -> BTreeSet<Arc<str>> {
    let (found, _) = references(expr);
    found
        .into_iter()
        .filter_map(|reference| match reference.target {
            Target::Variable(name) => Some(name),
            _ => None,
        })
        .collect()
}

fn given(value: Value, range: Option<SourceRange>) -> GivenVariable {
    GivenVariable {
        value,
        origin: Origin::Elsewhere,
        range,
    }
}

/// The variables of one run.
#[derive(Default)]
pub(super) struct Variables {
    /// For the module under test.
    pub(super) module: BTreeMap<Arc<str>, GivenVariable>,
    /// Only for the assertions.
    pub(super) extra: BTreeMap<Arc<str>, Value>,
}

/// Collects the variables of a run. `warn`: say which values are for nothing.
pub(super) fn collect(
    surrounding: &Surrounding<'_>,
    run: &TestRun,
    outputs: &Outputs,
    warn: bool,
) -> (Variables, Diagnostics) {
    let declared = &surrounding.module.variables;
    let mut diagnostics = Diagnostics::new();
    let mut found = Variables::default();
    let conditions = run.asserts.iter();
    let asserted: BTreeSet<Arc<str>> = conditions
        .flat_map(|rule| [&rule.condition, &rule.error_message])
        .flat_map(variables_of)
        .collect();
    for (name, expr) in &run.variables {
        let value = surrounding.evaluate(expr, Place::RunVariables, outputs, &mut diagnostics);
        let value = value.unwrap_or_else(Value::dynamic);
        if declared.contains_key(name) {
            let value = given(value, Some(expr.range()));
            found.module.insert(Arc::clone(name), value);
        } else if asserted.contains(name) {
            found.extra.insert(Arc::clone(name), value);
        } else if warn {
            diagnostics.push(
                Diagnostic::warning(
                    "Value for undeclared variable",
                    format!("The module under test does not declare a variable named \"{name}\", but it is declared in run block \"{}\".", run.name),
                )
                .at(expr.range()),
            );
        }
    }
    for name in asserted.iter().filter(|name| !declared.contains_key(*name)) {
        if !found.extra.contains_key(name)
            && let Some(given) = surrounding.get(name, &mut diagnostics)
        {
            found.extra.insert(Arc::clone(name), given.value);
        }
    }
    for (name, variable) in declared {
        if found.module.contains_key(name) {
            continue;
        }
        match surrounding.get(name, &mut diagnostics) {
            Some(given) => drop(found.module.insert(Arc::clone(name), given)),
            None if variable.default.is_none() => diagnostics.push(missing(variable, run)),
            None => {}
        }
    }
    (found, diagnostics)
}

fn missing(variable: &Variable, run: &TestRun) -> Diagnostic {
    Diagnostic::error(
        "No value for required variable",
        format!(
            "The module under test for run block \"{}\" has a required variable \"{}\" with no set value. Use a -var or -var-file command line argument or add this variable into a \"variables\" block within the test file or run block.",
            run.name, variable.name
        ),
    )
    .at(variable.range.clone())
}
