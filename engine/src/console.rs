//! Expressions at a prompt: evaluated in the root module, with resources as the state (or a fresh plan) has them.

use std::sync::Arc;

use stead_lang::expr::{
    Deprecation, Environment, NoFunction, ProviderFunction, Reference, Resolved, Scope, Target,
    evaluate,
};
use stead_lang::syntax::{Call, ExprKind, Expression, SourceFile, parse_expression};
use stead_state::{ResourceId, State};
use stead_value::addr::{ModuleInstance, ResourceInstance};
use stead_value::{Diagnostic, Diagnostics, Type, Value};

use crate::Registry;
use crate::eval::{EvalScope, Evaluator, Object, ROOT, Repetition};

/// The name under which messages speak of what was typed.
pub const INPUT: &str = "<console-input>";

/// A place to evaluate expressions at.
pub struct Console<'e, 'c> {
    evaluator: &'e Evaluator<'c>,
    registry: &'e Registry,
    state: &'e State,
    /// Objects that are in neither state nor plan are left unknown by the plan already.
    planned: bool,
}

/// What an expression came to.
#[derive(Clone, Debug)]
pub enum Answer {
    Value(Value),
    /// Of `type(…)`.
    Type(Type),
}

impl<'e, 'c> Console<'e, 'c> {
    /// Over the recorded state.
    pub fn new(
        evaluator: &'e Evaluator<'c>,
        registry: &'e Registry,
        state: &'e State,
    ) -> Console<'e, 'c> {
        Console {
            evaluator,
            registry,
            state,
            planned: false,
        }
    }

    /// Over what a plan made with this evaluator left in it.
    #[must_use]
    pub fn of_plan(mut self) -> Console<'e, 'c> {
        self.planned = true;
        self
    }

    /// What is wrong with the root module's own values, before any expression is typed.
    pub fn problems(&self) -> Diagnostics {
        let module = self.evaluator.config(ROOT);
        let variables = module.variables.keys();
        let locals = module.locals.keys();
        let outputs = module.outputs.keys();
        let objects: Vec<Object> = variables
            .map(|n| Object::Variable(ROOT, Arc::clone(n)))
            .chain(locals.map(|n| Object::Local(ROOT, Arc::clone(n))))
            .chain(outputs.map(|n| Object::Output(ROOT, Arc::clone(n))))
            .collect();
        for object in objects {
            self.settle(|| {
                self.evaluator.demand(object.clone());
            });
        }
        self.evaluator.take_diagnostics()
    }

    /// Evaluates what was typed.
    pub fn evaluate(&self, text: &str) -> Result<Answer, Diagnostics> {
        let file = Arc::new(SourceFile::new(INPUT, text));
        let (parsed, diagnostics) = parse_expression(&file);
        if diagnostics.has_errors() {
            return Err(diagnostics);
        }
        let wrong = self
            .evaluator
            .tree()
            .check_expression(&parsed, self.registry);
        if wrong.has_errors() {
            return Err(wrong);
        }
        match call_of_type(&parsed) {
            Some(call) => match call.args.as_slice() {
                [argument] if !call.expand => {
                    let argument = Expression::new(file, argument.clone());
                    Ok(Answer::Type(self.value(&argument)?.ty()))
                }
                [] => Err(misuse(
                    "Not enough function arguments",
                    "Function \"type\" expects 1 argument(s). Missing value for \"value\".",
                )
                .at(parsed.range())
                .into()),
                _ => Err(misuse(
                    "Too many function arguments",
                    "Function \"type\" expects only 1 argument(s).",
                )
                .at(parsed.range())
                .into()),
            },
            None => Ok(Answer::Value(self.value(&parsed)?)),
        }
    }

    fn value(&self, expression: &Expression) -> Result<Value, Diagnostics> {
        let scope = ConsoleScope {
            inner: self.evaluator.scope(ROOT, Repetition::default()),
            console: self,
        };
        let mut outcome = None;
        self.settle(|| outcome = Some(evaluate(expression, &scope)));
        let mut diagnostics = self.evaluator.take_diagnostics();
        let Some(outcome) = outcome else {
            return Err(diagnostics);
        };
        diagnostics.extend(outcome.diagnostics.into_iter().map(only_outermost));
        if diagnostics.has_errors() {
            return Err(diagnostics);
        }
        Ok(outcome.value)
    }

    /// Evaluates again and again, and publishes the resource instances that were lacking, until nothing more is.
    fn settle(&self, mut body: impl FnMut()) {
        loop {
            let ((), asked) = self.evaluator.traced(&mut body);
            let waited_for = self.evaluator.waiting().into_iter().map(|(_, id)| id);
            let mut published = false;
            for id in asked.into_iter().chain(waited_for) {
                if self.evaluator.known(id).is_some() {
                    continue;
                }
                if let Some(Object::Instance(address)) = self.evaluator.object(id) {
                    self.evaluator.publish(id, self.recorded(&address));
                    published = true;
                }
            }
            if !published {
                return;
            }
        }
    }

    fn recorded(&self, address: &ResourceInstance) -> Value {
        let Some((object, provider)) = self.state.current(address) else {
            return Value::dynamic();
        };
        match crate::recorded_value(self.registry, address, &provider.source, object) {
            Ok(value) => value,
            Err(diagnostics) => {
                self.evaluator.report(diagnostics);
                Value::dynamic()
            }
        }
    }
}

/// `type(…)`, when that is all there is.
fn call_of_type(expression: &Expression) -> Option<&Call> {
    let mut node = expression.node();
    while let ExprKind::Parens(inner) = &node.kind {
        node = inner;
    }
    match &node.kind {
        ExprKind::Call(call) if matches!(&*call.name, "type" | "core::type") => Some(call),
        _ => None,
    }
}

/// Inside another expression, `type` is no unknown function but a misuse.
fn only_outermost(diagnostic: Diagnostic) -> Diagnostic {
    let of_type = diagnostic
        .detail
        .starts_with("There is no function named \"type\".");
    if diagnostic.summary == "Call to unknown function" && of_type {
        return misuse(
            "Invalid use of type function",
            "The console-only \"type\" function cannot be used as part of an expression.",
        );
    }
    diagnostic
}

fn misuse(summary: &str, detail: &str) -> Diagnostic {
    Diagnostic::error(summary, detail)
}

/// The root module's scope, in which a resource of which nothing is recorded is unknown as a whole.
struct ConsoleScope<'s, 'e, 'c> {
    inner: EvalScope<'e, 'c>,
    console: &'s Console<'e, 'c>,
}

impl Scope for ConsoleScope<'_, '_, '_> {
    fn resolve(&self, reference: &Reference<'_>) -> Resolved {
        let answer = self.inner.resolve(reference);
        if self.console.planned || matches!(answer, Resolved::Invalid(_)) {
            return answer;
        }
        match &reference.target {
            Target::Resource { resource, .. } => {
                let id = ResourceId {
                    module: ModuleInstance::root(),
                    resource: resource.clone(),
                };
                if self.console.state.resources.contains_key(&id) {
                    answer
                } else {
                    Resolved::Value(Value::dynamic())
                }
            }
            _ => answer,
        }
    }

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
}
