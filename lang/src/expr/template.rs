//! Templates: text with interpolations and directives.

use stead_value::convert::convert;
use stead_value::{Kind, Marks, Type, Value};

use super::comprehension::Iteration;
use super::eval::Evaluator;
use crate::functions::certain_prefix;
use crate::syntax::{Expr, TemplatePart};

/// A string that is being put together.
#[derive(Default)]
struct Text {
    /// What is known from the beginning on.
    known: String,
    /// Something unknown was met: the rest is not known.
    unknown: bool,
    marks: Marks,
}

impl Text {
    fn push(&mut self, text: &str) {
        if !self.unknown {
            self.known.push_str(text);
        }
    }
}

impl Evaluator<'_> {
    pub(super) fn template(&mut self, parts: &[TemplatePart]) -> Value {
        match parts {
            [] => return Value::string(""),
            [TemplatePart::Literal { text, .. }] => return Value::string(text),
            // One sole interpolation is the value itself.
            [TemplatePart::Interpolation(expr)] => return self.expr(expr),
            _ => {}
        }
        let mut text = Text::default();
        let errors_before = self.outcome.diagnostics.len();
        self.parts(parts, &mut text);
        let value = if !text.unknown {
            Value::string(&text.known)
        } else if self.outcome.diagnostics.len() > errors_before {
            Value::unknown(Type::String)
        } else {
            Value::unknown(Type::String).refine(|r| {
                r.not_null = true;
                r.prefix = safe_prefix(&text.known);
            })
        };
        value.with_marks(text.marks)
    }

    fn parts(&mut self, parts: &[TemplatePart], out: &mut Text) {
        for part in parts {
            match part {
                TemplatePart::Literal { text, .. } => out.push(text),
                TemplatePart::Interpolation(expr) => self.interpolation(expr, out),
                TemplatePart::If(section) => {
                    match self.directive_condition(&section.condition, out) {
                        Some(true) => self.parts(&section.then, out),
                        Some(false) => self.parts(&section.otherwise, out),
                        None => {
                            out.unknown = true;
                            // Both are evaluated for their marks; their text and errors count only for the chosen one.
                            self.aside(|e| {
                                e.parts(&section.then, out);
                                e.parts(&section.otherwise, out);
                            });
                        }
                    }
                }
                TemplatePart::For(section) => match self.iteration(&section.collection) {
                    Iteration::Over(value, marks) => {
                        out.marks = out.marks.union(marks);
                        self.each(
                            &value,
                            section.key_name.as_ref(),
                            &section.value_name,
                            |e| {
                                e.parts(&section.body, out);
                            },
                        );
                    }
                    Iteration::Unknown(marks) | Iteration::Open(marks) => {
                        out.marks = out.marks.union(marks);
                        out.unknown = true;
                    }
                    Iteration::Broken => out.unknown = true,
                },
            }
        }
    }

    fn interpolation(&mut self, expr: &Expr, out: &mut Text) {
        let value = self.expr(expr);
        if value.is_null() {
            self.error(
                expr.span,
                "Invalid template interpolation value",
                "The expression result is null. Cannot include a null value in a string template.",
            );
            out.unknown = true;
            return;
        }
        match convert(&value, &Type::String) {
            Ok(value) => {
                out.marks = out.marks.union(value.marks());
                match value.kind() {
                    Kind::String(s) => out.push(s),
                    _ => {
                        out.unknown = true;
                    }
                }
            }
            Err(error) => {
                self.error(
                    expr.span,
                    "Invalid template interpolation value",
                    format!("Cannot include the given value in a string template: {error}."),
                );
                out.unknown = true;
            }
        }
    }

    /// The condition of an `if` directive; `None` when unknown or wrong.
    fn directive_condition(&mut self, expr: &Expr, out: &mut Text) -> Option<bool> {
        let value = self.expr(expr);
        if value.is_null() {
            self.error(
                expr.span,
                "Null condition",
                "The condition value is null. Conditions must either be true or false.",
            );
            return None;
        }
        match convert(&value, &Type::Bool) {
            Ok(value) => {
                out.marks = out.marks.union(value.marks());
                value.as_bool()
            }
            Err(_) => {
                self.error(
                    expr.span,
                    "Incorrect condition type",
                    "The condition expression must be of type bool.",
                );
                None
            }
        }
    }
}

/// What is certain of a text that goes on unknown, up to the length that the reference keeps.
fn safe_prefix(text: &str) -> Option<std::sync::Arc<str>> {
    let text = text.get(..text.floor_char_boundary(128)).unwrap_or(text);
    let certain = certain_prefix(text);
    (!certain.is_empty()).then(|| certain.into())
}
