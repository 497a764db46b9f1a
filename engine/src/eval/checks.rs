//! Conditions: validations, pre- and postconditions, assertions.

use stead_lang::config::{CheckRule, Variable};
use stead_lang::expr::{About, Scope, Target, evaluate, reference_values};
use stead_value::addr::{Module as ModulePath, ResourceInstance};
use stead_value::condition::Condition;
use stead_value::{Diagnostic, Diagnostics, Marks, Severity, SourceRange, Type, Value};

use super::{EvalScope, Evaluator, InstanceConfig, ModuleId, Object, Phase, Repetition};
use crate::checks::{
    CheckObject, CheckResults, CheckStatus, Checkable, ObjectResult, RuleKind, RuleResult,
};

/// What conditions are about, and what follows when one does not hold.
pub struct Rules<'a> {
    pub object: &'a CheckObject,
    pub kind: RuleKind,
    pub rules: &'a [CheckRule],
    pub severity: Severity,
    /// Where a wrong value comes from, for validations; the condition's own place otherwise.
    pub blame: Option<SourceRange>,
}

impl<'a> Rules<'a> {
    pub fn new(
        object: &'a CheckObject,
        kind: RuleKind,
        rules: &'a [CheckRule],
        severity: Severity,
    ) -> Rules<'a> {
        Rules {
            object,
            kind,
            rules,
            severity,
            blame: None,
        }
    }

    fn condition(&self) -> Condition {
        Condition {
            object: self.object.clone(),
            kind: self.kind,
        }
    }
}

impl<'c> Evaluator<'c> {
    /// Evaluates conditions, and keeps the results for the plan and the state to show.
    pub fn check(&self, rules: &Rules<'_>, scope: &dyn Scope) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        let mut results = Vec::new();
        for rule in rules.rules {
            let result = self.check_rule(rules, rule, scope, &mut diagnostics);
            results.push(result);
        }
        if !results.is_empty() {
            let mut checks = self.checks.borrow_mut();
            checks.put(rules.object, rules.kind, &results);
        }
        diagnostics
    }

    /// Keeps how the data source of a `check` block turned out: `None` when it could be read.
    pub(crate) fn record_check_data(&self, object: &CheckObject, problem: Option<String>) {
        let result = RuleResult {
            status: match problem {
                None => CheckStatus::Pass,
                Some(_) => CheckStatus::Fail,
            },
            message: problem,
        };
        let mut checks = self.checks.borrow_mut();
        checks.put(object, RuleKind::CheckData, &[result]);
    }

    fn check_rule(
        &self,
        rules: &Rules<'_>,
        rule: &CheckRule,
        scope: &dyn Scope,
        diagnostics: &mut Diagnostics,
    ) -> RuleResult {
        let validation = rules.kind == RuleKind::Validation;
        let status = |status| RuleResult {
            status,
            message: None,
        };
        let (message, problems) = self.error_message(rule, scope, validation);
        let broken = problems.has_errors();
        // A validation's message matters only when the value is wrong.
        if !validation {
            diagnostics.extend(problems.clone());
        }
        let condition = evaluate(&rule.condition, scope);
        let wrong = condition.diagnostics.has_errors();
        diagnostics.extend(condition.diagnostics);
        if condition.pending {
            return status(CheckStatus::Unknown);
        }
        if wrong || condition.failed || (broken && !validation) {
            return status(CheckStatus::Error);
        }
        let invalid = |detail: String| {
            let summary = if validation {
                "Invalid variable validation result"
            } else {
                "Invalid condition result"
            };
            Diagnostic::error(summary, detail).at(rule.condition.range())
        };
        let (condition, _) = condition.value.unmark_deep();
        if !condition.is_known() {
            if rules.kind == RuleKind::Assertion && self.settings.phase != Phase::Validate {
                let mut later = Diagnostic::warning("Check block assertion known after apply", "The condition could not be evaluated at this time, a result will be known when this plan is applied.")
                    .at(rule.condition.range());
                later.values = reference_values(&rule.condition, scope, About::Anything);
                diagnostics.push(later.of_condition(rules.condition()));
            }
            return status(CheckStatus::Unknown);
        }
        // Of what validating sees nothing is certain: the plan judges.
        if self.settings.phase == Phase::Validate && !validation && condition.as_bool().is_none() {
            return status(CheckStatus::Unknown);
        }
        if condition.is_null() {
            let what = if validation {
                "Validation condition"
            } else {
                "Condition"
            };
            diagnostics.push(invalid(format!(
                "{what} expression must return either true or false, not null."
            )));
            return status(CheckStatus::Error);
        }
        let holds = match stead_value::convert::convert(&condition, &Type::Bool) {
            Ok(value) => value.as_bool().unwrap_or(false),
            Err(e) => {
                let what = if validation {
                    "validation condition"
                } else {
                    "condition"
                };
                diagnostics.push(invalid(format!(
                    "Invalid {what} result value: {}.",
                    e.message
                )));
                return status(CheckStatus::Error);
            }
        };
        // What is wrong with the values at hand is for plans to say.
        if holds || (self.settings.phase == Phase::Validate && !validation) {
            return status(CheckStatus::Pass);
        }
        if validation {
            diagnostics.extend(problems);
        }
        let mut failure = self.failure(rules, rule, message.as_deref());
        failure.severity = rules.severity;
        failure.values = reference_values(&rule.condition, scope, About::Anything);
        diagnostics.push(failure.of_condition(rules.condition()));
        RuleResult {
            status: CheckStatus::Fail,
            message,
        }
    }

    fn failure(&self, rules: &Rules<'_>, rule: &CheckRule, message: Option<&str>) -> Diagnostic {
        if rules.kind == RuleKind::Validation {
            let message = message.unwrap_or("Failed to evaluate condition error message.");
            return Diagnostic::error(
                "Invalid value for variable",
                format!(
                    "{message}\n\nThis was checked by the validation rule at {}.",
                    rule.range
                ),
            )
            .at(rules
                .blame
                .clone()
                .unwrap_or_else(|| rule.condition.range()));
        }
        let detail = message.unwrap_or(
            "This check failed, but has an invalid error message as described in the other accompanying messages.",
        );
        Diagnostic::error(format!("{} failed", rules.kind.description()), detail)
            .at(rule.condition.range())
    }

    /// The author's message, if it can be shown.
    pub(crate) fn error_message(
        &self,
        rule: &CheckRule,
        scope: &dyn Scope,
        validation: bool,
    ) -> (Option<String>, Diagnostics) {
        let message = evaluate(&rule.error_message, scope);
        let mut diagnostics = message.diagnostics;
        if message.pending || message.failed || diagnostics.has_errors() {
            return (None, diagnostics);
        }
        let place = rule.error_message.range();
        let (plain, marks) = message.value.unmark_deep();
        let text = match stead_value::convert::convert(&plain, &Type::String) {
            Ok(text) => text,
            Err(e) => {
                diagnostics.push(
                    Diagnostic::error(
                        "Invalid error message",
                        format!("Unsuitable value for error message: {}.", e.message),
                    )
                    .at(place),
                );
                return (None, diagnostics);
            }
        };
        if !text.is_known() {
            if validation && self.settings.phase != Phase::Validate {
                diagnostics.push(
                    Diagnostic::error("Invalid error message", "Unsuitable value for error message: expression refers to values that won't be known until the apply phase.")
                        .at(place),
                );
            }
            return (None, diagnostics);
        }
        let Some(text) = text.as_str() else {
            diagnostics.push(
                Diagnostic::error(
                    "Invalid error message",
                    "Unsuitable value for error message: must not be null.",
                )
                .at(place),
            );
            return (None, diagnostics);
        };
        let secret = if marks.contains(Marks::SENSITIVE) {
            Some((
                "sensitive",
                "removing references to sensitive values, or by carefully using the nonsensitive() function if the expression will not reveal the sensitive data",
            ))
        } else if marks.contains(Marks::EPHEMERAL) {
            Some((
                "ephemeral",
                "removing references to ephemeral values, or by using the ephemeralasnull() function on the references to not reveal ephemeral data",
            ))
        } else {
            None
        };
        if let Some((kind, remedy)) = secret {
            let mut diagnostic = Diagnostic::warning(
                format!("Error message refers to {kind} values"),
                format!("The error expression used to explain this condition refers to {kind} values, so stead will not display the resulting message.\n\nYou can correct this by {remedy}."),
            )
            .at(place);
            if validation {
                diagnostic.severity = Severity::Error;
            }
            diagnostics.push(diagnostic);
            let shown = validation.then(|| {
                "The error message included a sensitive value, so it will not be displayed."
                    .to_owned()
            });
            return (shown, diagnostics);
        }
        (Some(text.trim().to_owned()), diagnostics)
    }

    /// The validations of every variable of a module instance, its outputs' preconditions and its `check` blocks; `wanted`
    /// says which of them. Run as the planner's object [`Object::Checks`]: what is missing makes it wait.
    pub fn module_checks(
        &self,
        module: ModuleId,
        severity: Severity,
        wanted: &dyn Fn(&Checkable) -> bool,
    ) -> Diagnostics {
        if self.is_replaced(module) {
            return Diagnostics::new();
        }
        let config = self.config(module);
        let address = self.module_address(module);
        let path = address.module();
        let scope = self.scope(module, Repetition::default());
        let mut all = Diagnostics::new();
        for variable in config.variables.values() {
            if variable.validations.is_empty()
                || !wanted(&Checkable::Variable(path.clone(), variable.name.clone()))
            {
                continue;
            }
            // Its validations are part of the variable.
            self.demand(Object::Variable(module, variable.name.clone()));
        }
        for output in config.outputs.values() {
            if !wanted(&Checkable::Output(path.clone(), output.name.clone())) {
                continue;
            }
            let object = CheckObject::Output(address.clone(), output.name.clone());
            let rules = Rules::new(
                &object,
                RuleKind::OutputPrecondition,
                &output.preconditions,
                severity,
            );
            all.extend(self.check(&rules, &scope));
        }
        for check in config.checks.values() {
            if !wanted(&Checkable::Check(path.clone(), check.name.clone())) {
                continue;
            }
            let object = CheckObject::Check(address.clone(), check.name.clone());
            if let Some(data) = &check.data {
                let target = Target::Resource {
                    resource: data.clone(),
                    key: None,
                };
                self.demand_all(module, &target);
            }
            // Without its data there is nothing to assert.
            if self
                .checks
                .borrow()
                .has_failed(&object, RuleKind::CheckData)
            {
                continue;
            }
            let rules = Rules::new(
                &object,
                RuleKind::Assertion,
                &check.asserts,
                Severity::Warning,
            );
            all.extend(self.check(&rules, &scope));
        }
        all
    }

    /// Evaluates a variable's validations, which see the value although it does not count yet.
    pub(super) fn validate_variable(
        &self,
        module: ModuleId,
        variable: &Variable,
        value: &Value,
    ) -> Diagnostics {
        let object = CheckObject::Variable(self.module_address(module), variable.name.clone());
        let mut rules = Rules::new(
            &object,
            RuleKind::Validation,
            &variable.validations,
            Severity::Error,
        );
        rules.blame = Some(
            self.given_place(module, &variable.name)
                .unwrap_or_else(|| variable.range.clone()),
        );
        let repetition = Repetition {
            variable: Some((variable.name.clone(), value.clone())),
            ..Repetition::default()
        };
        self.check(&rules, &self.scope(module, repetition))
    }

    /// Where a variable's value is given: in the caller's block, or in a file of values.
    fn given_place(&self, module: ModuleId, name: &str) -> Option<SourceRange> {
        let node = self.node(module);
        let Some((call, _)) = node.address.0.last() else {
            return self.settings.variables.get(name)?.range.clone();
        };
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

    /// Evaluates an instance's postconditions on what became of it.
    pub(crate) fn postconditions(
        &self,
        address: &ResourceInstance,
        config: &InstanceConfig<'_>,
        value: Value,
        severity: Severity,
    ) -> Diagnostics {
        let object = CheckObject::Instance(address.clone());
        let rules = &config.resource.lifecycle.postconditions;
        let rules = Rules::new(&object, RuleKind::Postcondition, rules, severity);
        let scope = self.condition_scope(config.module, &config.repetition, Some(value));
        self.check(&rules, &scope)
    }

    /// Everything in the configuration that has conditions, with how many of each kind.
    pub fn checkables(&self) -> Vec<(Checkable, Vec<(RuleKind, usize)>)> {
        let mut found = Vec::new();
        for node in self.tree.nodes() {
            let path: &ModulePath = &node.path;
            let module = &node.module;
            for resource in module.resources.values() {
                let rules = vec![
                    (
                        RuleKind::Precondition,
                        resource.lifecycle.preconditions.len(),
                    ),
                    (
                        RuleKind::Postcondition,
                        resource.lifecycle.postconditions.len(),
                    ),
                ];
                let address = stead_value::addr::ConfigResource {
                    module: path.clone(),
                    resource: resource.addr.clone(),
                };
                found.push((Checkable::Resource(address), rules));
            }
            for output in module.outputs.values() {
                let rules = vec![(RuleKind::OutputPrecondition, output.preconditions.len())];
                let checkable = Checkable::Output(path.clone(), output.name.clone());
                found.push((checkable, rules));
            }
            for check in module.checks.values() {
                let rules = vec![
                    (RuleKind::CheckData, usize::from(check.data.is_some())),
                    (RuleKind::Assertion, check.asserts.len()),
                ];
                found.push((Checkable::Check(path.clone(), check.name.clone()), rules));
            }
            for variable in module.variables.values() {
                let rules = vec![(RuleKind::Validation, variable.validations.len())];
                let checkable = Checkable::Variable(path.clone(), variable.name.clone());
                found.push((checkable, rules));
            }
        }
        found.retain(|(_, rules)| rules.iter().any(|(_, count)| *count > 0));
        found
    }

    /// The results so far. `wanted` says what this run looks at: of the rest nothing is known.
    pub fn check_results(&self, wanted: &dyn Fn(&Checkable) -> bool) -> CheckResults {
        let mut results = CheckResults::default();
        let checkables = self.checkables();
        if checkables.is_empty() {
            return results;
        }
        let mut instances: std::collections::HashMap<ModulePath, Vec<ModuleId>> =
            std::collections::HashMap::new();
        for (index, node) in self.modules.borrow().iter().enumerate() {
            instances
                .entry(node.address.module())
                .or_default()
                .push(ModuleId(index as u32));
        }
        for (checkable, rules) in checkables {
            let objects = wanted(&checkable)
                .then(|| self.check_objects(&checkable, &instances))
                .flatten();
            let recorded = self.checks.borrow();
            let objects = objects.map(|objects| {
                objects
                    .into_iter()
                    .map(|object| {
                        let result = recorded.of(&object, &rules);
                        (object, result)
                    })
                    .collect()
            });
            results.0.insert(checkable, objects);
        }
        results
    }

    /// The instances of what has conditions; `None` when they are not known.
    fn check_objects(
        &self,
        checkable: &Checkable,
        instances: &std::collections::HashMap<ModulePath, Vec<ModuleId>>,
    ) -> Option<Vec<CheckObject>> {
        let modules = instances
            .get(checkable.module())
            .map(Vec::as_slice)
            .unwrap_or_default();
        let mut objects = Vec::new();
        for module in modules {
            let address = self.module_address(*module);
            match checkable {
                Checkable::Output(_, name) => {
                    objects.push(CheckObject::Output(address, name.clone()));
                }
                Checkable::Check(_, name) => {
                    objects.push(CheckObject::Check(address, name.clone()));
                }
                Checkable::Variable(_, name) => {
                    objects.push(CheckObject::Variable(address, name.clone()));
                }
                Checkable::Resource(resource) => {
                    let keys = self.id(Object::ResourceKeys(*module, resource.resource.clone()));
                    for (key, _) in self.expansion(keys)?.instances() {
                        objects.push(CheckObject::Instance(ResourceInstance {
                            module: address.clone(),
                            resource: resource.resource.clone(),
                            key,
                        }));
                    }
                }
            }
        }
        Some(objects)
    }

    /// Results for the objects of earlier ones, evaluated anew.
    pub fn check_results_like(&self, planned: &CheckResults) -> CheckResults {
        let rules: std::collections::BTreeMap<_, _> = self.checkables().into_iter().collect();
        let recorded = self.checks.borrow();
        let again = |checkable: &Checkable, object: &CheckObject| -> ObjectResult {
            let rules = rules.get(checkable).map(Vec::as_slice).unwrap_or_default();
            recorded.of(object, rules)
        };
        CheckResults(
            planned
                .0
                .iter()
                .map(|(checkable, objects)| {
                    let objects = objects.as_ref().map(|objects| {
                        objects
                            .keys()
                            .map(|object| (object.clone(), again(checkable, object)))
                            .collect()
                    });
                    (checkable.clone(), objects)
                })
                .collect(),
        )
    }
}
