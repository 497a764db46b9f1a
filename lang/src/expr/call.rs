//! Function calls: the arguments, and the functions that take expressions instead of values.

use std::sync::Arc;

use stead_value::convert::{convert, convertible};
use stead_value::{CalledFunction, Diagnostics, Kind, Marks, Type, Value};

use super::eval::Evaluator;
use super::start::start_span;
use crate::config::{parse_type, place};
use crate::functions::{self, Function, count_problem};
use crate::syntax::{Call, Expr, Expression, Span};

/// An argument of a function that takes expressions.
enum Lazy<'a> {
    Expr(&'a Expr),
    /// One of an expanding argument, with the place of the whole.
    Value(Value, Span),
}

impl Lazy<'_> {
    fn span(&self) -> Span {
        match self {
            Lazy::Expr(expr) => start_span(expr),
            Lazy::Value(_, span) => *span,
        }
    }
}

/// An argument with the place that messages about it point to.
pub(super) struct Argument {
    pub(super) value: Value,
    pub(super) span: Span,
}

impl Evaluator<'_> {
    pub(super) fn call(&mut self, call: &Call) -> Value {
        if self.constant {
            return self.error(
                call.name_span.to(call.close_paren),
                "Function calls not allowed",
                "Functions may not be called here.",
            );
        }
        let name = call.name.strip_prefix("core::").unwrap_or(&call.name);
        match name {
            "try" => self.try_call(call),
            "can" => self.can_call(call),
            "convert" => self.convert_call(call),
            name => {
                let errors_before = self.outcome.diagnostics.len();
                let Some(arguments) = self.arguments(call) else {
                    return Value::dynamic();
                };
                let errors_of_arguments = self.outcome.diagnostics.len();
                let value = match name.split_once("::") {
                    Some(("provider", rest)) => {
                        let sound = self.outcome.diagnostics.len() == errors_before;
                        self.provider_call(rest, call, &arguments, sound)
                    }
                    Some((namespace, _)) => self.error(
                        call.name_span,
                        "Unknown provider function",
                        format!(
                            "The function namespace \"{namespace}\" is not valid. Provider function calls must use the \"provider::\" namespace prefix."
                        ),
                    ),
                    None => {
                        let sound = self.outcome.diagnostics.len() == errors_before;
                        self.builtin_call(name, call, &arguments, sound)
                    }
                };
                self.say_what_was_called(call, errors_of_arguments);
                value
            }
        }
    }

    /// Adds the function's signature to the diagnostics of its call, which are those behind the first so many.
    fn say_what_was_called(&mut self, call: &Call, before: usize) {
        if self.outcome.diagnostics.len() == before {
            return;
        }
        let name = call.name.strip_prefix("core::").unwrap_or(&call.name);
        let called = CalledFunction {
            name: call.name.to_string(),
            signature: match name.strip_prefix("provider::") {
                Some(name) => self.provided_signature(name),
                None => functions::lookup(name).map(Function::signature),
            },
        };
        for diagnostic in self.outcome.diagnostics.iter_mut().skip(before) {
            diagnostic.call = Some(Box::new(called.clone()));
        }
    }

    /// The first argument that evaluates without an error. What is not wholly known may yet turn out to be an error, so
    /// that nobody can say which argument it will be.
    fn try_call(&mut self, call: &Call) -> Value {
        let Some(args) = self.unevaluated(call) else {
            return Value::dynamic();
        };
        let mut failures = Diagnostics::new();
        for arg in &args {
            match self.attempt(arg) {
                Attempt::Value(value) => return value,
                Attempt::Undecided(marks) => return Value::dynamic().with_marks(marks),
                Attempt::Wrong(diagnostics) => failures.extend(diagnostics),
            }
        }
        let mut detail = "Call to function \"try\" failed: no expression succeeded:\n".to_owned();
        for failure in failures.iter().filter(|d| d.is_error()) {
            detail.push_str(&format!("- {}", failure.summary));
            if let Some(range) = &failure.subject {
                detail.push_str(&format!(" (at {})", place(range)));
            }
            detail.push_str(&format!("\n  {}\n", failure.detail));
        }
        detail.push_str("\nAt least one expression must produce a successful result.");
        if args.is_empty() {
            "Call to function \"try\" failed: at least one argument is required."
                .clone_into(&mut detail);
        }
        let errors_before = self.outcome.diagnostics.len();
        let span = call.name_span.to(call.open_paren);
        let value = self.error(span, "Error in function call", detail);
        self.say_what_was_called(call, errors_before);
        value
    }

    /// Whether the argument evaluates without an error.
    fn can_call(&mut self, call: &Call) -> Value {
        let Some(args) = self.unevaluated(call) else {
            return Value::dynamic();
        };
        match args.as_slice() {
            [arg] => match self.attempt(arg) {
                Attempt::Value(_) => Value::bool(true),
                Attempt::Undecided(marks) => Value::unknown(Type::Bool).with_marks(marks),
                Attempt::Wrong(_) => Value::bool(false),
            },
            [] => self.error(
                call.close_paren,
                "Not enough function arguments",
                "Function \"can\" expects 1 argument(s). Missing value for \"expression\".",
            ),
            [_, second, ..] => self.error(
                second.span(),
                "Too many function arguments",
                "Function \"can\" expects only 1 argument(s).",
            ),
        }
    }

    /// The first argument in the type that the second one names. (Since Terraform 1.15.)
    fn convert_call(&mut self, call: &Call) -> Value {
        let Some(args) = self.unevaluated(call) else {
            return Value::dynamic();
        };
        let [value, ty] = args.as_slice() else {
            let names = ["value", "type"];
            let problem = count_problem(&call.name, &names, false, args.len());
            let at = args.get(2).map_or(call.close_paren, Lazy::span);
            let (summary, detail) = problem.unwrap_or_default();
            return self.error(at, summary, detail);
        };
        let Lazy::Expr(ty) = ty else {
            return self.error(
                ty.span(),
                "Invalid function argument",
                "Invalid value for \"type\" parameter: a type must be written out, not taken from a value.",
            );
        };
        let argument = match value {
            Lazy::Expr(expr) => self.expr(expr),
            Lazy::Value(value, _) => value.clone(),
        };
        let (constraint, diagnostics) =
            parse_type(&Expression::new(Arc::clone(self.file), Expr::clone(ty)));
        if diagnostics.has_errors() {
            self.outcome.diagnostics.extend(diagnostics);
            return Value::dynamic();
        }
        let (argument, marks) = argument.unmark_deep();
        let plain = constraint.ty.without_optional();
        if !argument.is_known() && convertible(&argument.ty(), &constraint.ty, true) {
            return Value::unknown(plain).with_marks(marks);
        }
        match convert(&constraint.defaults.apply(&argument), &constraint.ty) {
            Ok(value) => value.with_marks(marks),
            Err(error) => self.error(
                value.span(),
                "Invalid function argument",
                format!("Invalid value for \"value\" parameter: {error}."),
            ),
        }
    }

    /// The arguments of a function that takes expressions. An expanding argument is evaluated in any case: its elements are the
    /// expressions then.
    fn unevaluated<'a>(&mut self, call: &'a Call) -> Option<Vec<Lazy<'a>>> {
        let (last, before) = match call.args.split_last() {
            Some((last, before)) if call.expand => (last, before),
            _ => return Some(call.args.iter().map(Lazy::Expr).collect()),
        };
        let (value, diagnostics) = self.aside(|e| e.expr(last));
        let wrong = diagnostics.has_errors();
        self.outcome.diagnostics.extend(diagnostics);
        let items = self.expanded(value, last.span).filter(|_| !wrong)?;
        let items = items.into_iter().map(|value| Lazy::Value(value, last.span));
        Some(before.iter().map(Lazy::Expr).chain(items).collect())
    }

    fn attempt(&mut self, arg: &Lazy<'_>) -> Attempt {
        let arg = match arg {
            Lazy::Expr(expr) => *expr,
            Lazy::Value(value, _) if value.is_wholly_known() => {
                return Attempt::Value(value.clone());
            }
            Lazy::Value(value, _) => {
                return Attempt::Undecided(value.marks_deep().without(Marks::SENSITIVE));
            }
        };
        let (pending, failed) = (self.outcome.pending, self.outcome.failed);
        self.outcome.pending = false;
        self.outcome.failed = false;
        let (value, diagnostics) = self.aside(|e| e.expr(arg));
        let unsettled = self.outcome.pending || self.outcome.failed;
        self.outcome.pending |= pending;
        self.outcome.failed |= failed;
        if unsettled {
            return Attempt::Undecided(value.marks().without(Marks::SENSITIVE));
        }
        if diagnostics.has_errors() {
            return Attempt::Wrong(diagnostics);
        }
        self.outcome.diagnostics.extend(diagnostics);
        if value.is_wholly_known() {
            Attempt::Value(value)
        } else {
            Attempt::Undecided(value.marks_deep().without(Marks::SENSITIVE))
        }
    }

    /// Evaluates the arguments; `None` when they can't be used, which was reported or is not known yet.
    fn arguments(&mut self, call: &Call) -> Option<Vec<Argument>> {
        let mut arguments: Vec<Argument> = call
            .args
            .iter()
            .map(|arg| Argument {
                value: self.expr(arg),
                span: start_span(arg),
            })
            .collect();
        if !call.expand {
            return Some(arguments);
        }
        let last = arguments.pop()?;
        let span = call.args.last().map_or(last.span, |arg| arg.span);
        let items = self.expanded(last.value, span)?;
        arguments.extend(items.into_iter().map(|value| Argument { value, span }));
        Some(arguments)
    }

    /// The elements of an expanding argument; `None` when they can't be used, which was reported or is not known yet.
    fn expanded(&mut self, last: Value, span: Span) -> Option<Vec<Value>> {
        let summary = "Invalid expanding argument value";
        let (value, marks) = last.unmark();
        if value.is_null() {
            self.error(
                span,
                summary,
                "The expanding argument (indicated by ...) must not be null.",
            );
            return None;
        }
        let items = match value.kind() {
            Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => items,
            Kind::Unknown(Type::Dynamic | Type::List(_) | Type::Set(_) | Type::Tuple(_), _) => {
                return None;
            }
            _ => {
                self.error(
                    span,
                    summary,
                    "The expanding argument (indicated by ...) must be of a tuple, list, or set type.",
                );
                return None;
            }
        };
        let marked = items.iter().map(|item| item.clone().with_marks(marks));
        Some(marked.collect())
    }
}

/// How evaluating an argument of `try` or `can` went.
enum Attempt {
    Value(Value),
    /// With the marks that last. As in the reference, it is not sensitive yet: there is nothing to show.
    Undecided(Marks),
    Wrong(Diagnostics),
}
