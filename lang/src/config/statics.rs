//! Expressions that must stand there as they are: lists, keywords and references that are read without evaluating them.

use std::sync::Arc;

use stead_value::{Diagnostic, Diagnostics, SourceRange};

use crate::syntax::{
    Expr, ExprKind, Expression, SourceFile, Span, Step, StepKind, TemplatePart, parse_expression,
};

/// The items of a list in brackets; anything else is reported.
pub(crate) fn list(expr: &Expression, diagnostics: &mut Diagnostics) -> Vec<Expression> {
    match &expr.node().kind {
        ExprKind::Tuple(items) => items
            .iter()
            .map(|item| Expression::new(Arc::clone(expr.file()), item.clone()))
            .collect(),
        _ => {
            diagnostics.push(
                Diagnostic::error(
                    "Invalid expression",
                    "A static list expression is required.",
                )
                .at(start_range(expr)),
            );
            Vec::new()
        }
    }
}

/// A sole word, such as `all`.
pub(crate) fn keyword(expr: &Expression) -> Option<Arc<str>> {
    match &expr.node().kind {
        ExprKind::Traversal { root, steps } if steps.is_empty() => Some(Arc::clone(&root.text)),
        _ => None,
    }
}

/// A word that may still be quoted, as of old.
pub(crate) fn keyword_or_quoted(
    expr: &Expression,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<str>> {
    match unquoted(expr) {
        Some(inner) => {
            diagnostics.push(
                Diagnostic::warning(
                    "Quoted keywords are deprecated",
                    "In this context, keywords are expected literally rather than in quotes. Terraform 0.11 and earlier \
                     required quotes, but quoted keywords are now deprecated and will be removed in a future version of \
                     Terraform. Remove the quotes surrounding this keyword to silence this warning.",
                )
                .at(expr.range()),
            );
            keyword(&inner)
        }
        None => keyword(expr),
    }
}

/// The text of a quoted string that holds nothing but a reference, read as that reference. Positions within are those of the text
/// itself: messages use the range of the whole.
pub(crate) fn unquoted(expr: &Expression) -> Option<Expression> {
    let text = quoted_text(expr.node())?;
    let inner = Arc::new(SourceFile::new(expr.file().name().clone(), text));
    let (read, diagnostics) = parse_expression(&inner);
    (!diagnostics.has_errors()).then_some(read)
}

/// The text between the quotes of a string without interpolations.
pub(crate) fn quoted_text(expr: &Expr) -> Option<Arc<str>> {
    let ExprKind::Template(parts) = &expr.kind else {
        return None;
    };
    match parts.as_slice() {
        [] => Some("".into()),
        [TemplatePart::Literal { text, .. }] => Some(Arc::clone(text)),
        _ => None,
    }
}

/// The warning for a reference in quotes.
pub(crate) fn quoted_reference(range: SourceRange) -> Diagnostic {
    Diagnostic::warning(
        "Quoted references are deprecated",
        "In this context, references are expected literally rather than in quotes. Terraform 0.11 and earlier required quotes, \
         but quoted references are now deprecated and will be removed in a future version of Terraform. Remove the quotes \
         surrounding this reference to silence this warning.",
    )
    .at(range)
}

/// What is said of an expression that is no reference with constant keys.
pub(crate) fn not_static(range: SourceRange) -> Diagnostic {
    Diagnostic::error(
        "Invalid expression",
        "A single static variable reference is required: only attribute access and indexing with constant keys. No \
         calculations, function calls, template expressions, etc are allowed here.",
    )
    .at(range)
}

/// A reference with constant keys: its first word and what follows. `null`, `true` and `false` are words here.
pub(crate) fn traversal(expr: &Expr, file: &SourceFile) -> Option<(Arc<str>, Vec<Step>)> {
    let word = |node: &Expr| {
        matches!(&node.kind, ExprKind::Literal(value) if value.as_number().is_none())
            .then(|| Arc::<str>::from(file.slice(node.span)))
    };
    let (root, steps) = match &expr.kind {
        ExprKind::Traversal { root, steps } => (Arc::clone(&root.text), steps.clone()),
        ExprKind::Literal(_) => (word(expr)?, Vec::new()),
        ExprKind::Access { base, steps } => (word(base)?, steps.clone()),
        _ => return None,
    };
    let constant = steps.iter().all(|step| {
        matches!(step.kind, StepKind::Attr(_)) || crate::expr::literal_key(step).is_some()
    });
    constant.then_some((root, steps))
}

/// Where an expression begins, as far as messages about its kind show it.
pub(crate) fn start_range(expr: &Expression) -> SourceRange {
    expr.file().range(start_span(expr.node()))
}

fn start_span(expr: &Expr) -> Span {
    let first = |length: u32| Span::new(expr.span.start, expr.span.start + length);
    match &expr.kind {
        ExprKind::Call(call) => call.name_span.to(call.open_paren),
        ExprKind::Unary { op_span, .. } => *op_span,
        ExprKind::Binary { first, .. } => start_span(first),
        ExprKind::Conditional(parts) => start_span(&parts.condition),
        ExprKind::For(_) | ExprKind::Tuple(_) | ExprKind::Object(_) => first(1),
        ExprKind::Template(parts) => match parts.first() {
            Some(TemplatePart::Literal { span, .. }) => *span,
            Some(TemplatePart::Interpolation(inner)) if parts.len() > 1 => start_span(inner),
            _ => expr.span,
        },
        ExprKind::Parens(inner) => start_span(inner),
        ExprKind::Traversal { .. }
        | ExprKind::Access { .. }
        | ExprKind::Literal(_)
        | ExprKind::Invalid
        | ExprKind::Broken(_) => expr.span,
    }
}
