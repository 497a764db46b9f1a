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
use crate::eval::{GivenVariable, Origin, Settings, accept_given};

/// The values of the variables that a file declares; `None` where there is none although there must be.
pub(super) type Declared = BTreeMap<Arc<str>, Option<GivenVariable>>;

/// Takes the values of a file's variables from outside, or their defaults.
pub(super) fn declared(
    file: &TestFile,
    globals: &BTreeMap<Arc<str>, GlobalValue>,
) -> (Declared, Diagnostics) {
    let mut diagnostics = Diagnostics::new();
    let values = file.declared.values().map(|variable| {
        let value = declared_value(variable, globals.get(&variable.name), &mut diagnostics);
        (Arc::clone(&variable.name), value)
    });
    (values.collect(), diagnostics)
}

fn declared_value(
    variable: &Variable,
    global: Option<&GlobalValue>,
    diagnostics: &mut Diagnostics,
) -> Option<GivenVariable> {
    let given = match global {
        Some(global) => read(global, &variable.name, Some(variable), diagnostics)?,
        None => match &variable.default {
            Some(default) => given(default.clone(), Some(variable.range.clone())),
            None => {
                let detail = format!(
                    "The variable \"{}\" is required, but is not set.",
                    variable.name
                );
                let missing = Diagnostic::error("Required variable not set", detail);
                diagnostics.push(missing.at(variable.range.clone()));
                return None;
            }
        },
    };
    match accept_given(variable, &given) {
        Ok(value) => Some(GivenVariable { value, ..given }),
        Err(diagnostic) => {
            diagnostics.push(diagnostic);
            None
        }
    }
}

/// The value that a global has for a variable; an expression where nothing declares it. `None` when it cannot be read.
fn read(
    global: &GlobalValue,
    name: &str,
    variable: Option<&Variable>,
    diagnostics: &mut Diagnostics,
) -> Option<GivenVariable> {
    let (text, origin) = match global {
        GlobalValue::Value(value) => return Some(value.clone()),
        GlobalValue::Text { text, origin } => (text, origin),
    };
    let (value, problems) = match variable {
        Some(variable) => value_from_text(variable, text),
        None => undeclared_from_text(name, text),
    };
    diagnostics.extend(problems);
    Some(GivenVariable {
        value: value?.value,
        origin: *origin,
        range: None,
    })
}

/// The variables around a run: those of its file, and those from outside. Each is evaluated once; what is wrong with it is said once.
pub(super) struct Surrounding<'a> {
    settings: &'a Settings,
    globals: &'a BTreeMap<Arc<str>, GlobalValue>,
    declared: &'a Declared,
    file: &'a IndexMap<Arc<str>, Expression>,
    /// Says how texts are read.
    module: &'a Module,
    known: RefCell<BTreeMap<Arc<str>, Option<GivenVariable>>>,
}

impl<'a> Surrounding<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        globals: &'a BTreeMap<Arc<str>, GlobalValue>,
        declared: &'a Declared,
        file: &'a TestFile,
        module: &'a Module,
    ) -> Surrounding<'a> {
        Surrounding {
            settings,
            globals,
            declared,
            file: &file.variables,
            module,
            known: RefCell::default(),
        }
    }

    /// The value of a variable; `None` when nothing gives it one.
    fn get(
        &self,
        name: &Arc<str>,
        outputs: &Outputs,
        diagnostics: &mut Diagnostics,
    ) -> Option<GivenVariable> {
        if let Some(known) = self.known.borrow().get(name) {
            return known.clone();
        }
        let found = match self.file.get(name) {
            Some(expr) => {
                // While it is evaluated there is no such variable: it can't be made of itself.
                self.know(name, None);
                Some(self.file_variable(expr, outputs, diagnostics))
            }
            None => self.given_outside(name, diagnostics),
        };
        self.know(name, found.clone());
        found
    }

    fn know(&self, name: &Arc<str>, value: Option<GivenVariable>) {
        self.known.borrow_mut().insert(Arc::clone(name), value);
    }

    fn file_variable(
        &self,
        expr: &Expression,
        outputs: &Outputs,
        diagnostics: &mut Diagnostics,
    ) -> GivenVariable {
        let mut variables = BTreeMap::new();
        for name in variables_of(expr) {
            let found = self.given_outside(&name, diagnostics);
            if let Some(given) = found.or_else(|| self.get(&name, outputs, diagnostics)) {
                variables.insert(name, given.value);
            }
        }
        let scope = TestScope {
            place: Place::FileVariables,
            settings: self.settings,
            variables: &variables,
            outputs,
        };
        let evaluation = scope.evaluate(expr);
        diagnostics.extend(at_expression(evaluation.diagnostics, expr));
        given(evaluation.value, Some(expr.range()))
    }

    fn given_outside(
        &self,
        name: &Arc<str>,
        diagnostics: &mut Diagnostics,
    ) -> Option<GivenVariable> {
        if let Some(declared) = self.declared.get(name) {
            return declared.clone();
        }
        let global = self.globals.get(name)?;
        let found = read(global, name, self.module.variables.get(name), diagnostics);
        // One that cannot be read is there all the same.
        Some(found.unwrap_or_else(|| given(Value::dynamic(), None)))
    }

    /// The values of those variables that an expression names and that there are.
    pub(super) fn named_in(
        &self,
        expr: &Expression,
        outputs: &Outputs,
        diagnostics: &mut Diagnostics,
    ) -> BTreeMap<Arc<str>, Value> {
        let names = variables_of(expr).into_iter();
        names
            .filter_map(|name| {
                let value = self.get(&name, outputs, diagnostics)?.value;
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
        let variables = self.named_in(expr, outputs, diagnostics);
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
    let asserted = asserted(run);
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
            && let Some(given) = surrounding.get(name, outputs, &mut diagnostics)
        {
            found.extra.insert(Arc::clone(name), given.value);
        }
    }
    for (name, variable) in declared {
        if found.module.contains_key(name) {
            continue;
        }
        match surrounding.get(name, outputs, &mut diagnostics) {
            Some(given) => drop(found.module.insert(Arc::clone(name), given)),
            None if variable.default.is_none() => diagnostics.push(missing(variable, run)),
            None => {}
        }
    }
    (found, diagnostics)
}

/// The variables that assertions name.
fn asserted(run: &TestRun) -> BTreeSet<Arc<str>> {
    let rules = run.asserts.iter();
    let conditions = rules.flat_map(|rule| [&rule.condition, &rule.error_message]);
    conditions.flat_map(variables_of).collect()
}

/// The variables around a run that it makes use of: those it names, and those of the module that it does not set itself.
pub(super) fn used(run: &TestRun, module: &Module) -> BTreeSet<Arc<str>> {
    let mut used = asserted(run);
    used.extend(run.variables.values().flat_map(variables_of));
    let of_module = module.variables.keys();
    used.extend(
        of_module
            .filter(|name| !run.variables.contains_key(*name))
            .cloned(),
    );
    used
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
