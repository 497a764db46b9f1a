//! The evaluator: one walk over the tree. Errors are reported and become unknown values, so that one walk finds many.

use std::collections::BTreeMap;
use std::sync::Arc;

use stead_value::convert::convert;
use stead_value::{Diagnostic, Kind, Marks, Type, Value};

use crate::files::NoFiles;

use super::deprecation;
use super::reference::{consumed_span, instance_key, literal_key, parse_target, static_path};
use super::scope::{Environment, Evaluation, Reference, Resolved, Scope, Source, Target};
use crate::syntax::{
    Expr, ExprKind, Expression, Name, ObjectItem, ObjectKey, SourceFile, Span, Step, StepKind,
};

/// Evaluates an expression. Whatever the scope can't give yet is an unknown value; see [`Evaluation`].
pub fn evaluate(expr: &Expression, scope: &dyn Scope) -> Evaluation {
    evaluate_with(expr, scope, &[])
}

/// Evaluates an expression with some names bound beside what the scope gives.
pub(crate) fn evaluate_with(
    expr: &Expression,
    scope: &dyn Scope,
    names: &[(Arc<str>, Value)],
) -> Evaluation {
    let mut evaluator = Evaluator::new(expr.file(), scope);
    evaluator.names = names.to_vec();
    let value = evaluator.expr(expr.node());
    evaluator.explain(expr.node());
    let mut evaluation = Evaluation {
        value,
        ..evaluator.outcome
    };
    deprecation::warn(expr, scope, &mut evaluation);
    evaluation
}

/// Evaluates an expression that must be constant: it may refer to nothing and call nothing.
pub fn evaluate_constant(expr: &Expression) -> Evaluation {
    let mut evaluator = Evaluator::new(expr.file(), &Constant);
    evaluator.constant = true;
    let value = evaluator.expr(expr.node());
    Evaluation {
        value,
        ..evaluator.outcome
    }
}

/// The scope of constants: nothing.
struct Constant;

impl Scope for Constant {
    fn resolve(&self, _: &Reference<'_>) -> Resolved {
        Resolved::Failed
    }

    fn environment(&self) -> Environment<'_> {
        Environment {
            files: &NoFiles,
            working_directory: None,
            home_directory: None,
            plan_timestamp: None,
            world: None,
        }
    }
}

pub(super) struct Evaluator<'a> {
    pub(super) scope: &'a dyn Scope,
    pub(super) file: &'a Arc<SourceFile>,
    /// Diagnostics and flags; its value is not used.
    pub(super) outcome: Evaluation,
    /// Names bound by `for` around the current place, innermost last; in a template, its variables.
    pub(super) names: Vec<(Arc<str>, Value)>,
    /// Nothing can be referred to and no function called.
    pub(super) constant: bool,
    /// In a template file: only `names` can be referred to.
    pub(super) template: Option<TemplateContext>,
}

/// The kind of template that is being rendered.
#[derive(Clone, Copy)]
pub(super) struct TemplateContext {
    /// Whether functions may read files.
    pub(super) files: bool,
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(file: &'a Arc<SourceFile>, scope: &'a dyn Scope) -> Evaluator<'a> {
        Evaluator {
            scope,
            file,
            outcome: Evaluation::of(Value::dynamic()),
            names: Vec::new(),
            template: None,
            constant: false,
        }
    }

    pub(super) fn expr(&mut self, expr: &Expr) -> Value {
        match &expr.kind {
            ExprKind::Literal(value) => value.clone(),
            ExprKind::Template(parts) => self.template(parts),
            ExprKind::Traversal { root, steps } => self.traversal(root, steps),
            ExprKind::Access { base, steps } => {
                let value = self.expr(base);
                self.take_steps(value, steps)
            }
            ExprKind::Call(call) => self.call(call),
            ExprKind::Unary { op, operand, .. } => self.unary(*op, operand, expr.span),
            ExprKind::Binary { first, rest } => self.binary(first, rest),
            ExprKind::Conditional(conditional) => self.conditional(conditional),
            ExprKind::For(parts) => self.for_expr(parts),
            ExprKind::Tuple(items) => Value::tuple(items.iter().map(|e| self.expr(e)).collect()),
            ExprKind::Object(items) => self.object(items),
            ExprKind::Parens(inner) => self.expr(inner),
            ExprKind::Broken(problems) => {
                self.outcome.diagnostics.extend(problems.iter().cloned());
                Value::dynamic()
            }
            ExprKind::Invalid => {
                self.outcome.failed = true;
                Value::dynamic()
            }
        }
    }

    /// Reports an error and gives the value to go on with.
    pub(super) fn error(&mut self, span: Span, summary: &str, detail: impl Into<String>) -> Value {
        let diagnostic = Diagnostic::error(summary, detail.into()).at(self.file.range(span));
        self.outcome.diagnostics.push(diagnostic);
        Value::dynamic()
    }

    pub(super) fn traversal(&mut self, root: &Name, steps: &[Step]) -> Value {
        if let Some((_, value)) = self.names.iter().rev().find(|(name, _)| *name == root.text) {
            let value = value.clone();
            return self.take_steps(value, steps);
        }
        if self.constant {
            return self.error(
                root.span,
                "Variables not allowed",
                "Variables may not be used here.",
            );
        }
        if self.template.is_some() {
            return self.error(
                root.span,
                "Unknown variable",
                format!("There is no variable named \"{}\".", root.text),
            );
        }
        let parsed = match parse_target(root, steps) {
            Ok(parsed) => parsed,
            Err(bad) => {
                let diagnostic = bad.diagnostic(self.file);
                self.outcome.diagnostics.push(diagnostic);
                return Value::dynamic();
            }
        };
        let whole = parsed.target.clone();
        let mut target = parsed.target;
        let mut consumed = parsed.consumed;
        let mut marks = Marks::NONE;
        let mut evaluated_key = None;
        if let Target::Resource { key, .. } | Target::Module { key, .. } = &mut target
            && let Some(step) = steps.get(consumed)
            && let StepKind::Index(_) | StepKind::LegacyIndex(_) = step.kind
        {
            let value = match &step.kind {
                StepKind::Index(expr) if literal_key(step).is_none() => self.expr(expr),
                _ => literal_key(step).unwrap_or_else(Value::dynamic),
            };
            *key = instance_key(&value);
            if key.is_some() {
                marks = value.marks();
                consumed += 1;
            } else if let Target::Module { .. } | Target::Resource { .. } = whole {
                // Unknown or no key at all: the whole is needed, and indexing it says what is wrong.
                evaluated_key = Some(value);
            }
        }
        if evaluated_key.is_none()
            && let Target::Module { output, .. } = &mut target
            && let Some(Step {
                kind: StepKind::Attr(name),
                ..
            }) = steps.get(consumed)
        {
            *output = Some(Arc::clone(name));
            consumed += 1;
        }
        let rest = steps.get(consumed..).unwrap_or(&[]);
        let span = consumed_span(root, steps, consumed);
        let (value, steps) = match self.resolve(target, rest, span) {
            Answer::Value(value) => (value.with_marks(marks), rest),
            Answer::NoInstance => {
                let at = steps.get(parsed.consumed).map_or(span, |s| s.span);
                return self.error(
                    at,
                    "Invalid index",
                    "The given key does not identify an element in this collection value.",
                );
            }
            Answer::Whole => {
                let rest = steps.get(parsed.consumed..).unwrap_or(&[]);
                match self.resolve(whole, rest, span) {
                    Answer::Value(value) => (value, rest),
                    Answer::NoInstance | Answer::Whole => (Value::dynamic(), rest),
                }
            }
        };
        match (evaluated_key, steps.split_first()) {
            (Some(key), Some((step, rest))) => {
                let value = self.index(value, &key, step.span);
                self.take_steps(value, rest)
            }
            _ => self.take_steps(value, steps),
        }
    }

    fn resolve(&mut self, target: Target, rest: &[Step], span: Span) -> Answer {
        let source = Source {
            file: self.file,
            span,
        };
        let reference = Reference {
            target,
            rest: static_path(rest),
            source: &source,
        };
        match self.scope.resolve(&reference) {
            Resolved::NoInstance => Answer::NoInstance,
            Resolved::Whole => Answer::Whole,
            answer => Answer::Value(self.settle(answer, span)),
        }
    }

    /// The value of an answer, or an unknown one with the reason recorded.
    pub(super) fn settle(&mut self, answer: Resolved, span: Span) -> Value {
        match answer {
            Resolved::Value(value) => return value,
            Resolved::Pending => self.outcome.pending = true,
            Resolved::Failed | Resolved::NoInstance | Resolved::Whole => self.outcome.failed = true,
            Resolved::Invalid(diagnostics) => {
                for mut diagnostic in diagnostics {
                    diagnostic
                        .subject
                        .get_or_insert_with(|| self.file.range(span));
                    self.outcome.diagnostics.push(diagnostic);
                }
            }
        }
        Value::dynamic()
    }

    fn object(&mut self, items: &[ObjectItem]) -> Value {
        let mut entries = BTreeMap::new();
        let mut marks = Marks::NONE;
        let mut known = true;
        for item in items {
            let key = match &item.key {
                ObjectKey::Name(name) => Some(Arc::clone(&name.text)),
                ObjectKey::Expr(expr) if matches!(expr.kind, ExprKind::Traversal { .. }) => {
                    self.error(
                        expr.span,
                        "Ambiguous attribute key",
                        "If this expression is intended to be a reference, wrap it in parentheses. If it's instead intended \
                         as a literal name containing periods, wrap it in quotes to create a string literal.",
                    );
                    None
                }
                ObjectKey::Expr(expr) => {
                    let value = self.expr(expr);
                    marks = marks.union(value.marks());
                    known &= value.is_known();
                    self.object_key(&value, expr.span, item.value.span)
                }
            };
            let value = self.expr(&item.value);
            if let Some(key) = key {
                entries.insert(key, value);
            } else {
                known = false;
            }
        }
        if !known {
            return Value::dynamic().with_marks(marks);
        }
        Value::object(entries).with_marks(marks)
    }

    fn object_key(&mut self, value: &Value, span: Span, value_span: Span) -> Option<Arc<str>> {
        if value.is_null() {
            // The reference points to the value that has no key.
            self.error(
                value_span,
                "Null value as key",
                "Can't use a null value as a key.",
            );
            return None;
        }
        match convert(value, &Type::String) {
            Ok(key) => match key.kind() {
                Kind::String(key) => Some(Arc::clone(key)),
                _ => None,
            },
            Err(error) => {
                self.error(
                    span,
                    "Incorrect key type",
                    format!("Can't use this value as a key: {error}."),
                );
                None
            }
        }
    }
}

enum Answer {
    Value(Value),
    NoInstance,
    Whole,
}
