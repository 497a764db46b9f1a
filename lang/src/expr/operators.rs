//! Unary and binary operators.

use stead_value::convert::convert;
use stead_value::{Kind, Marks, Number, Type, Value};

use super::eval::Evaluator;
use crate::syntax::{BinaryOp, Expr, Span, UnaryOp};

impl Evaluator<'_> {
    pub(super) fn unary(&mut self, op: UnaryOp, operand: &Expr, whole: Span) -> Value {
        let value = self.expr(operand);
        let ty = match op {
            UnaryOp::Negate => Type::Number,
            UnaryOp::Not => Type::Bool,
        };
        let Some((value, marks)) = self.operand(&value, &ty, "unary", operand.span, whole) else {
            return Value::unknown(ty);
        };
        let result = match (op, value.kind()) {
            (UnaryOp::Negate, Kind::Number(n)) => Value::number(-n.clone()),
            (UnaryOp::Not, Kind::Bool(b)) => Value::bool(!b),
            _ => Value::unknown(ty).refine_not_null(),
        };
        result.with_marks(marks)
    }

    /// Operators of one precedence, from left to right.
    pub(super) fn binary(&mut self, first: &Expr, rest: &[(BinaryOp, Expr)]) -> Value {
        let mut value = self.expr(first);
        let mut left = first.span;
        for (op, operand) in rest {
            value = match op {
                BinaryOp::Equal | BinaryOp::NotEqual => {
                    let right = self.expr(operand);
                    let equal = Value::equal(&value, &right);
                    match (op, equal.as_bool()) {
                        (BinaryOp::NotEqual, Some(equal_known)) => {
                            Value::bool(!equal_known).with_marks(equal.marks())
                        }
                        _ => equal,
                    }
                }
                BinaryOp::And | BinaryOp::Or => self.logical(*op, &value, left, operand),
                _ => self.numeric(*op, &value, left, operand),
            };
            left = left.to(operand.span);
        }
        value
    }

    /// `&&` and `||`. When the left side decides, what is wrong with the right side does not matter, but its marks do. An unknown
    /// side makes the result unknown, whatever the other is: so the reference plans.
    fn logical(&mut self, op: BinaryOp, left: &Value, left_span: Span, right: &Expr) -> Value {
        let decides = op == BinaryOp::Or;
        let whole = left_span.to(right.span);
        let left = self.operand(left, &Type::Bool, "left", left_span, whole);
        let ((value, right), problems) = self.aside(|e| {
            let value = e.expr(right);
            let operand = e.operand(&value, &Type::Bool, "right", right.span, whole);
            (value, operand)
        });
        if let Some((left, marks)) = &left
            && left.as_bool() == Some(decides)
            && problems.has_errors()
        {
            return Value::bool(decides).with_marks(marks.union(value.marks()));
        }
        self.outcome.diagnostics.extend(problems);
        let (Some((left, left_marks)), Some((right, right_marks))) = (left, right) else {
            return Value::unknown(Type::Bool);
        };
        let result = match (left.as_bool(), right.as_bool()) {
            (Some(left), Some(right)) if op == BinaryOp::Or => Value::bool(left || right),
            (Some(left), Some(right)) => Value::bool(left && right),
            _ => Value::unknown(Type::Bool).refine_not_null(),
        };
        result.with_marks(left_marks.union(right_marks))
    }

    fn numeric(&mut self, op: BinaryOp, left: &Value, left_span: Span, right: &Expr) -> Value {
        let right_span = right.span;
        let whole = left_span.to(right_span);
        let value = self.expr(right);
        let left_operand = self.operand(left, &Type::Number, "left", left_span, whole);
        let right_operand = self.operand(&value, &Type::Number, "right", right_span, whole);
        let result_type = if is_comparison(op) {
            Type::Bool
        } else {
            Type::Number
        };
        let (Some((left, left_marks)), Some((right, right_marks))) = (left_operand, right_operand)
        else {
            return Value::unknown(result_type);
        };
        let marks = left_marks.union(right_marks);
        let result = match (left.as_number(), right.as_number()) {
            (Some(a), Some(b)) if is_comparison(op) => Value::bool(compare(op, a, b)),
            (Some(a), Some(b)) => match arithmetic(op, a, b) {
                Some(n) => Value::number(n),
                None => {
                    let detail = match op {
                        BinaryOp::Divide => "can't divide zero by zero or infinity by infinity",
                        BinaryOp::Multiply | BinaryOp::Modulo => "can't multiply zero by infinity",
                        _ => "can't compute the difference of infinities",
                    };
                    return self.error(
                        whole,
                        "Operation failed",
                        format!("Error during operation: {detail}."),
                    );
                }
            },
            _ if is_comparison(op) => compare_bounds(op, &left, &right)
                .map_or_else(|| Value::unknown(Type::Bool).refine_not_null(), Value::bool),
            _ => Value::unknown(Type::Number).refine_not_null(),
        };
        result.with_marks(marks)
    }

    /// An operand in its type, without marks, and the marks. `None` after an error.
    fn operand(
        &mut self,
        value: &Value,
        ty: &Type,
        side: &str,
        span: Span,
        whole: Span,
    ) -> Option<(Value, Marks)> {
        match convert(value, ty) {
            Ok(value) if value.is_null() => {
                self.error(
                    whole,
                    "Operation failed",
                    "Error during operation: argument must not be null.",
                );
                None
            }
            Ok(value) => Some(value.unmark()),
            Err(error) => {
                self.error(
                    span,
                    "Invalid operand",
                    format!("Unsuitable value for {side} operand: {error}."),
                );
                None
            }
        }
    }
}

fn is_comparison(op: BinaryOp) -> bool {
    matches!(
        op,
        BinaryOp::Less | BinaryOp::LessEqual | BinaryOp::Greater | BinaryOp::GreaterEqual
    )
}

fn compare(op: BinaryOp, a: &Number, b: &Number) -> bool {
    match op {
        BinaryOp::Less => a < b,
        BinaryOp::LessEqual => a <= b,
        BinaryOp::Greater => a > b,
        _ => a >= b,
    }
}

fn arithmetic(op: BinaryOp, a: &Number, b: &Number) -> Option<Number> {
    match op {
        BinaryOp::Add => a.checked_add(b),
        BinaryOp::Subtract => a.checked_sub(b),
        BinaryOp::Multiply => a.checked_mul(b),
        BinaryOp::Divide => a.checked_div(b),
        _ => a.checked_rem(b),
    }
}

/// A comparison that what is known of an unknown number decides already. As in the reference, bounds count as exclusive.
fn compare_bounds(op: BinaryOp, a: &Value, b: &Value) -> Option<bool> {
    let lowest = |v: &Value| match v.as_number() {
        Some(n) => Some(n.clone()),
        None => v.refinement()?.lower.as_ref().map(|(n, _)| n.clone()),
    };
    let highest = |v: &Value| match v.as_number() {
        Some(n) => Some(n.clone()),
        None => v.refinement()?.upper.as_ref().map(|(n, _)| n.clone()),
    };
    // Whether `x < y` (`or_equal`: `x <= y`) holds for all or for no values within the bounds.
    let less = |x: &Value, y: &Value, or_equal: bool| {
        // The reference asks for "less" or "equal", and equality of two unknowns is never known.
        if or_equal && !x.is_known() && !y.is_known() {
            return None;
        }
        if let (Some(high), Some(low)) = (highest(x), lowest(y))
            && high < low
        {
            return Some(true);
        }
        if let (Some(low), Some(high)) = (lowest(x), highest(y))
            && low > high
        {
            return Some(false);
        }
        None
    };
    match op {
        BinaryOp::Less => less(a, b, false),
        BinaryOp::LessEqual => less(a, b, true),
        BinaryOp::Greater => less(b, a, false),
        _ => less(b, a, true),
    }
}
