//! Where an expression begins, as messages about arguments show it: not all of it, but what tells it from others.

use super::reference::literal_key;
use crate::syntax::{Expr, ExprKind, Span, Step, StepKind, TemplatePart};

/// The beginning of an expression: an opening bracket, a function's name, the first operand. References are shown whole.
pub(super) fn start_span(expr: &Expr) -> Span {
    let opening = Span::new(expr.span.start, expr.span.start + 1);
    match &expr.kind {
        ExprKind::Tuple(_) | ExprKind::Object(_) | ExprKind::For(_) => opening,
        ExprKind::Unary { op_span, .. } => *op_span,
        ExprKind::Binary { first, .. } => start_span(first),
        ExprKind::Conditional(parts) => start_span(&parts.condition),
        ExprKind::Parens(inner) => start_span(inner),
        ExprKind::Call(call) => call.name_span.to(call.open_paren),
        ExprKind::Traversal { steps, .. } | ExprKind::Access { steps, .. } => {
            steps.last().map_or(expr.span, |s| step_span(expr.span, s))
        }
        ExprKind::Template(parts) => match parts.as_slice() {
            [TemplatePart::Interpolation(_)] => expr.span,
            // Nothing begins behind the quotes.
            [] => Span::new(expr.span.end, expr.span.end + 1),
            [first, ..] => part_span(first),
        },
        ExprKind::Literal(_) | ExprKind::Invalid | ExprKind::Broken(_) => expr.span,
    }
}

fn step_span(whole: Span, last: &Step) -> Span {
    let beginning = |length| Span::new(last.span.start, last.span.start + length);
    match &last.kind {
        StepKind::Index(_) if literal_key(last).is_none() => beginning(1),
        StepKind::FullSplat(_) => beginning(3),
        StepKind::AttrSplat(_) => beginning(2),
        StepKind::Attr(_) | StepKind::Index(_) | StepKind::LegacyIndex(_) => whole,
    }
}

fn part_span(part: &TemplatePart) -> Span {
    match part {
        TemplatePart::Literal { span, .. } => *span,
        TemplatePart::Interpolation(expr) => start_span(expr),
        TemplatePart::If(section) => start_span(&section.condition),
        TemplatePart::For(section) => section.span,
    }
}
