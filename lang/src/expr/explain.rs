//! The values behind an error: what the references near it were, without showing secrets.

use stead_value::{Diagnostics, Kind, Marks, Type, Value};

use super::eval::Evaluator;
use super::reference::traversals;
use super::scope::Scope;
use crate::syntax::{Expr, Expression, Name, Span, Step};

/// More than a reader takes in.
const MAX_VALUES: usize = 8;
/// Every part of a reference is tried; a longer one than this is not worth it.
const MAX_STEPS: usize = 64;

/// What a problem is about. Other values that are secret or not known yet are not mentioned beside it: readers would take them
/// for its cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    Anything,
    Unknown,
    Sensitive,
    /// That of an assertion in a test: ephemeral values are named as such.
    Ephemeral,
}

/// What the references in an expression are, by name: for messages about its result.
pub fn reference_values(
    expr: &Expression,
    scope: &dyn Scope,
    about: About,
) -> Vec<(String, String)> {
    let mut evaluator = Evaluator::new(expr.file(), scope);
    let mut values: Vec<(String, String)> = Vec::new();
    for (root, steps, span) in traversals(expr.node()) {
        if let Some((text, value)) = evaluator.part_with_value(root, steps, span)
            && let Some(statement) = describe(&value, about)
            && !values.iter().any(|(t, _)| *t == text)
        {
            values.push((text, statement));
        }
    }
    values.sort();
    values
}

impl Evaluator<'_> {
    /// Adds to each error the values of the references on its lines. Costs nothing without errors.
    pub(super) fn explain(&mut self, expr: &Expr) {
        // What is pending is evaluated once more, and explained then.
        if !self.outcome.diagnostics.has_errors() || self.outcome.pending {
            return;
        }
        let mut known: Vec<(Span, String, String)> = Vec::new();
        for (root, steps, span) in traversals(expr) {
            if let Some((text, statement)) = self.describe(root, steps, span)
                && !known.iter().any(|(_, t, _)| *t == text)
            {
                known.push((span, text, statement));
            }
        }
        let file = self.file;
        let near = |diagnostic: &stead_value::Diagnostic, span: Span| {
            diagnostic.subject.as_ref().is_some_and(|subject| {
                let range = file.range(span);
                subject.file == range.file
                    && range.start.line <= subject.end.line
                    && range.end.line >= subject.start.line
            })
        };
        let explained = std::mem::take(&mut self.outcome.diagnostics)
            .into_iter()
            .map(|mut diagnostic| {
                if diagnostic.is_error() && diagnostic.values.is_empty() {
                    diagnostic.values = known
                        .iter()
                        .filter(|(span, ..)| near(&diagnostic, *span))
                        .take(MAX_VALUES)
                        .map(|(_, text, statement)| (text.clone(), statement.clone()))
                        .collect();
                }
                diagnostic
            });
        self.outcome.diagnostics = explained.collect::<Diagnostics>();
    }

    /// The longest part of a traversal that has a value, and what that is.
    fn describe(&mut self, root: &Name, steps: &[Step], span: Span) -> Option<(String, String)> {
        let (text, value) = self.part_with_value(root, steps, span)?;
        Some((text, describe(&value, About::Anything)?))
    }

    /// The longest part of a traversal that has a value, and the value.
    fn part_with_value(
        &mut self,
        root: &Name,
        steps: &[Step],
        span: Span,
    ) -> Option<(String, Value)> {
        if steps.len() > MAX_STEPS {
            return None;
        }
        for length in (0..=steps.len()).rev() {
            let (taken, _) = steps.split_at_checked(length)?;
            let end = taken.last().map_or(root.span, |step| step.span);
            let part = Span::new(span.start, end.end);
            let (value, diagnostics) = self.aside(|e| e.traversal(root, taken));
            if !diagnostics.has_errors() {
                return Some((self.file.slice(part).to_owned(), value));
            }
        }
        None
    }
}

/// `is "x"`, `is list of string with 2 elements`, `has a sensitive value`, …
fn describe(value: &Value, about: About) -> Option<String> {
    let marks = value.marks();
    if marks.contains(Marks::EPHEMERAL) {
        let alone = about == About::Ephemeral && !marks.contains(Marks::SENSITIVE);
        return alone.then(|| "has an ephemeral value".into());
    }
    if marks.contains(Marks::SENSITIVE) {
        return (about == About::Sensitive).then(|| "has a sensitive value".into());
    }
    let ty = value.ty();
    let counted = |count: usize, what: &str| match count {
        0 => format!("is empty {}", ty.friendly_name()),
        1 => format!("is {} with 1 {what}", ty.friendly_name()),
        n => format!("is {} with {n} {what}s", ty.friendly_name()),
    };
    let statement = match value.kind() {
        Kind::Null(_) => "is null".into(),
        Kind::Unknown(Type::Dynamic, _) if about != About::Unknown => return None,
        Kind::Unknown(Type::Dynamic, _) => "will be known only after apply".into(),
        Kind::Unknown(ty, _) if about != About::Unknown => format!("is a {}", ty.friendly_name()),
        Kind::Unknown(ty, _) => format!("is a {}, known only after apply", ty.friendly_name()),
        Kind::Bool(b) => format!("is {b}"),
        Kind::Number(n) => format!("is {n}"),
        Kind::String(s) => format!("is {}", stead_value::addr::quote(s)),
        Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => {
            counted(items.len(), "element")
        }
        Kind::Map(_, entries) => counted(entries.len(), "element"),
        Kind::Object(entries) => match entries.len() {
            0 => "is object with no attributes".into(),
            _ => counted(entries.len(), "attribute"),
        },
    };
    Some(statement)
}
