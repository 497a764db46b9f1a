//! `condition ? then : otherwise`.

use stead_value::convert::{convert, unify_unsafe};
use stead_value::{Diagnostics, Kind, Number, Refinement, Type, Value};

use super::eval::Evaluator;
use crate::syntax::Conditional;

impl Evaluator<'_> {
    /// Both arms are evaluated, because the result's type is what they have in common; only the chosen one may be wrong.
    pub(super) fn conditional(&mut self, parts: &Conditional) -> Value {
        let (then, then_diagnostics) = self.aside(|e| e.expr(&parts.then));
        let (otherwise, otherwise_diagnostics) = self.aside(|e| e.expr(&parts.otherwise));
        let Some(ty) = common_type(&then, &otherwise) else {
            let detail = format!(
                "The true and false result expressions must have consistent types. {}.",
                describe_mismatch(&then.ty(), &otherwise.ty())
            );
            let arms = parts.then.span.to(parts.otherwise.span);
            return self.error(arms, "Inconsistent conditional result types", detail);
        };
        let condition = self.expr(&parts.condition);
        if condition.is_null() {
            self.error(
                parts.condition.span,
                "Null condition",
                "The condition value is null. Conditions must either be true or false.",
            );
            return Value::unknown(ty.unwrap_or(Type::Dynamic));
        }
        // Of an unknown condition the reference does not ask the type.
        let condition = match convert(&condition, &Type::Bool) {
            _ if !condition.is_known() => condition,
            Ok(condition) => condition,
            Err(_) => {
                self.error(
                    parts.condition.span,
                    "Incorrect condition type",
                    "The condition expression must be of type bool.",
                );
                return Value::unknown(ty.unwrap_or(Type::Dynamic));
            }
        };
        // The value that is not chosen taints too: how the choice went must not show what is secret, as in Terraform. What
        // is marked only further inside stays with its own arm.
        let marks = condition
            .marks()
            .union(then.marks())
            .union(otherwise.marks());
        let (chosen, diagnostics, which, span) = match condition.as_bool() {
            Some(true) => (then, then_diagnostics, "true", parts.then.span),
            Some(false) => (
                otherwise,
                otherwise_diagnostics,
                "false",
                parts.otherwise.span,
            ),
            // An arm's errors count only once it is chosen.
            None => {
                return either(&then, &otherwise, ty).with_marks(marks);
            }
        };
        self.outcome.diagnostics.extend(diagnostics);
        let Some(ty) = ty else {
            return chosen.with_marks(marks);
        };
        match convert(&chosen, &ty) {
            Ok(value) => value.with_marks(marks),
            Err(error) => {
                let detail = format!("The {which} result value has the wrong type: {error}.");
                self.error(span, "Inconsistent conditional result types", detail);
                Value::unknown(ty)
            }
        }
    }

    /// Evaluates something whose diagnostics may not count.
    pub(super) fn aside<T>(&mut self, evaluate: impl FnOnce(&mut Self) -> T) -> (T, Diagnostics) {
        let outside = std::mem::take(&mut self.outcome.diagnostics);
        let value = evaluate(self);
        let inside = std::mem::replace(&mut self.outcome.diagnostics, outside);
        (value, inside)
    }
}

/// What both arms convert to: `Some(None)` when that is not known yet, `None` when there is nothing.
fn common_type(then: &Value, otherwise: &Value) -> Option<Option<Type>> {
    let untyped_null = |v: &Value| matches!(v.kind(), Kind::Null(Type::Dynamic));
    let (a, b) = (then.ty(), otherwise.ty());
    if untyped_null(then) {
        return Some(Some(b));
    }
    if untyped_null(otherwise) {
        return Some(Some(a));
    }
    if a == Type::Dynamic || b == Type::Dynamic {
        return Some(None);
    }
    if a == b {
        return Some(Some(a));
    }
    unify_unsafe(&[a, b]).map(Some)
}

/// The unknown that is one of the two: with what is common to both.
fn either(then: &Value, otherwise: &Value, ty: Option<Type>) -> Value {
    let Some(ty) = ty else {
        return Value::dynamic();
    };
    if then.is_null() && otherwise.is_null() {
        return Value::null(ty);
    }
    let (a, b) = (bounds(then), bounds(otherwise));
    let not_null = a.not_null && b.not_null;
    let alike = then.ty() == otherwise.ty() && (ty == Type::Number || ty.is_collection());
    if !alike {
        return Value::unknown(ty).refine(|r| r.not_null = not_null);
    }
    Value::unknown(ty).refine(|r| {
        *r = Refinement {
            not_null,
            prefix: None,
            lower: wider(a.lower, b.lower, |x, y| x < y),
            upper: wider(a.upper, b.upper, |x, y| x > y),
            min_length: a
                .min_length
                .zip(b.min_length)
                .map(|(x, y)| x.min(y))
                .filter(|n| *n > 0),
            max_length: a.max_length.zip(b.max_length).map(|(x, y)| x.max(y)),
        };
    })
}

/// What is known of a value, as a refinement.
fn bounds(value: &Value) -> Refinement {
    let exactly = |n: usize| Refinement {
        not_null: true,
        min_length: Some(n),
        max_length: Some(n),
        ..Refinement::default()
    };
    match value.kind() {
        Kind::Null(_) => Refinement::default(),
        Kind::Unknown(_, refinement) => refinement.as_deref().cloned().unwrap_or_default(),
        Kind::Number(n) => Refinement {
            not_null: true,
            lower: Some((n.clone(), true)),
            upper: Some((n.clone(), true)),
            ..Refinement::default()
        },
        Kind::List(_, items) => exactly(items.len()),
        Kind::Set(_, items) if value.is_wholly_known() => exactly(items.len()),
        Kind::Map(_, entries) => exactly(entries.len()),
        _ => Refinement {
            not_null: true,
            ..Refinement::default()
        },
    }
}

fn wider(
    a: Option<(Number, bool)>,
    b: Option<(Number, bool)>,
    a_is_wider: impl Fn(&Number, &Number) -> bool,
) -> Option<(Number, bool)> {
    let (a, b) = (a?, b?);
    Some(if a.0 == b.0 {
        (a.0, a.1 || b.1)
    } else if a_is_wider(&a.0, &b.0) {
        a
    } else {
        b
    })
}

/// What keeps the two types apart, said where it is.
fn describe_mismatch(then: &Type, otherwise: &Type) -> String {
    match (then, otherwise) {
        (Type::Object(a), Type::Object(b)) => {
            for (name, ta) in &a.attributes {
                match b.attributes.get(name) {
                    None => {
                        return format!(
                            "The 'true' value includes object attribute {name:?}, which is absent in the 'false' value"
                        );
                    }
                    Some(tb) if ta != tb => {
                        return format!(
                            "Type mismatch for object attribute {name:?}: {}",
                            describe_mismatch(ta, tb)
                        );
                    }
                    Some(_) => {}
                }
            }
            let extra = b.attributes.keys().find(|k| !a.attributes.contains_key(*k));
            if let Some(name) = extra {
                return format!(
                    "The 'false' value includes object attribute {name:?}, which is absent in the 'true' value"
                );
            }
        }
        (Type::Tuple(a), Type::Tuple(b)) if a.len() != b.len() => {
            return format!(
                "The 'true' tuple has length {}, but the 'false' tuple has length {}",
                a.len(),
                b.len()
            );
        }
        (Type::Tuple(a), Type::Tuple(b)) => {
            let different = a
                .iter()
                .zip(b.iter())
                .enumerate()
                .find(|(_, (a, b))| a != b);
            if let Some((i, (ta, tb))) = different {
                return format!(
                    "Type mismatch for tuple element {i}: {}",
                    describe_mismatch(ta, tb)
                );
            }
        }
        (Type::List(a), Type::List(b)) if structures(a, b) => {
            return elements_mismatch("list", a, b);
        }
        (Type::Set(a), Type::Set(b)) if structures(a, b) => return elements_mismatch("set", a, b),
        (Type::Map(a), Type::Map(b)) if structures(a, b) => return elements_mismatch("map", a, b),
        _ => {}
    }
    let (then, otherwise) = (then.friendly_name(), otherwise.friendly_name());
    if then == otherwise {
        return "At least one deeply-nested attribute or element is not compatible across both the 'true' and the 'false' value".into();
    }
    format!("The 'true' value is {then}, but the 'false' value is {otherwise}")
}

/// Whether both are objects or both tuples, whose names say nothing about what is inside.
fn structures(a: &Type, b: &Type) -> bool {
    matches!(
        (a, b),
        (Type::Object(_), Type::Object(_)) | (Type::Tuple(_), Type::Tuple(_))
    )
}

fn elements_mismatch(noun: &str, a: &Type, b: &Type) -> String {
    format!(
        "Mismatched {noun} element types: {}",
        describe_mismatch(a, b)
    )
}
