//! Deprecated values: the mark travels with a value to where it is used, which is told, and ends there.

use stead_value::{Declared, Diagnostic, Marks, Path, Step, Value};

use super::scope::{Evaluation, Scope};
use crate::syntax::{Expr, ExprKind, Expression, ObjectKey};

/// What a deprecated value comes with. Values hold only its number: [`Marks::deprecated`], [`Scope::deprecation`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deprecation {
    /// The author's words.
    pub message: String,
    /// What is deprecated: `module.network.subnet`.
    pub origin: String,
    pub declared: Declared,
}

/// Warns when the value itself is deprecated. Its parts may be used or not.
pub(super) fn warn(expr: &Expression, scope: &dyn Scope, evaluation: &mut Evaluation) {
    let (value, marks) = std::mem::replace(&mut evaluation.value, Value::dynamic()).unmark();
    evaluation.value = value.with_marks(marks.without(Marks::DEPRECATED));
    if !evaluation.pending {
        let warnings = warnings(marks, expr, expr.node(), scope);
        evaluation.diagnostics.extend(warnings);
    }
}

/// Warns of every deprecated part of a value that nobody can refer to any more.
pub fn warn_of_parts(expr: &Expression, scope: &dyn Scope, evaluation: &mut Evaluation) {
    let deprecated = |marks: Marks| marks.without(Marks::DEPRECATED) != marks;
    if !deprecated(evaluation.value.marks_deep()) {
        return;
    }
    let value = std::mem::replace(&mut evaluation.value, Value::dynamic());
    let (plain, marks) = value.unmark_deep_with_paths();
    for (path, marks) in &marks {
        if deprecated(*marks) && !evaluation.pending {
            let place = part(expr.node(), path.steps());
            let warnings = warnings(*marks, expr, place, scope);
            evaluation.diagnostics.extend(warnings);
        }
    }
    let kept: Vec<(Path, Marks)> = marks
        .into_iter()
        .map(|(path, marks)| (path, marks.without(Marks::DEPRECATED)))
        .collect();
    evaluation.value = plain.mark_with_paths(&kept);
}

fn warnings(marks: Marks, expr: &Expression, place: &Expr, scope: &dyn Scope) -> Vec<Diagnostic> {
    let found = marks.deprecations().filter_map(|n| scope.deprecation(n));
    found
        .map(|deprecation| {
            let mut warning = Diagnostic::warning("Deprecated value used", deprecation.message)
                .at(expr.file().range(place.span));
            warning.origin = Some(deprecation.origin);
            warning.deprecated_in = Some(deprecation.declared);
            warning
        })
        .collect()
}

/// The expression of a part of a value, as far as the syntax shows it.
fn part<'e>(expr: &'e Expr, path: &[Step]) -> &'e Expr {
    let Some((step, rest)) = path.split_first() else {
        return expr;
    };
    let found = match (&expr.kind, step) {
        (ExprKind::Object(items), step) => {
            let wanted = match step {
                Step::Attr(name) => Some(&**name),
                Step::Index(key) => key.as_str(),
            };
            let named = |key: &ObjectKey| match key {
                ObjectKey::Name(name) => Some(&*name.text) == wanted,
                ObjectKey::Expr(key) => {
                    super::literal_text(key).is_some_and(|text| Some(&*text) == wanted)
                }
            };
            let item = items.iter().find(|item| named(&item.key));
            item.map(|item| &item.value)
        }
        (ExprKind::Tuple(items), Step::Index(key)) => {
            let at = key.as_number().and_then(stead_value::Number::to_usize);
            at.and_then(|at| items.get(at))
        }
        _ => None,
    };
    found.map_or(expr, |found| part(found, rest))
}
