//! `for` expressions.

use std::collections::BTreeMap;
use std::sync::Arc;

use stead_value::convert::{ConvertError, convert};
use stead_value::{Kind, Marks, Type, Value};

use super::eval::Evaluator;
use crate::syntax::{Expr, ForExpr, Name, Span};

/// What a `for` goes over.
pub(super) enum Iteration {
    /// Over these; the marks of the collection go to the result.
    Over(Value, Marks),
    /// Nobody knows yet over which.
    Unknown(Marks),
    /// Nobody knows yet whether it can be gone over at all.
    Open(Marks),
    /// An error was reported.
    Broken,
}

impl Evaluator<'_> {
    pub(super) fn for_expr(&mut self, parts: &ForExpr) -> Value {
        let (collection, mut marks) = match self.iteration(&parts.collection) {
            Iteration::Over(collection, marks) => (collection, marks),
            Iteration::Unknown(marks) => {
                let condition = self.condition_in_general(parts);
                let marks = marks.union(condition.unwrap_or_default());
                return Value::dynamic().with_marks(marks);
            }
            Iteration::Open(marks) => return Value::dynamic().with_marks(marks),
            Iteration::Broken => return Value::dynamic(),
        };
        if self.condition_in_general(parts).is_none() {
            return Value::dynamic();
        }
        let mut known = true;
        let result = match &parts.key {
            None => {
                let mut items = Vec::new();
                self.each(
                    &collection,
                    parts.key_name.as_ref(),
                    &parts.value_name,
                    |e| match e.included(parts.condition.as_ref(), &mut marks) {
                        Some(true) => items.push(e.expr(&parts.result)),
                        Some(false) => {}
                        None => known = false,
                    },
                );
                Value::tuple(items)
            }
            Some(key) => {
                let mut entries: BTreeMap<Arc<str>, Vec<Value>> = BTreeMap::new();
                self.each(
                    &collection,
                    parts.key_name.as_ref(),
                    &parts.value_name,
                    |e| match e.included(parts.condition.as_ref(), &mut marks) {
                        Some(true) => known &= e.add_entry(parts, key, &mut entries, &mut marks),
                        Some(false) => {}
                        None => known = false,
                    },
                );
                if parts.group {
                    Value::object(
                        entries
                            .into_iter()
                            .map(|(k, items)| (k, Value::tuple(items)))
                            .collect(),
                    )
                } else {
                    Value::object(
                        entries
                            .into_iter()
                            .filter_map(|(k, mut items)| Some((k, items.pop()?)))
                            .collect(),
                    )
                }
            }
        };
        if known {
            result.with_marks(marks)
        } else {
            Value::dynamic().with_marks(marks)
        }
    }

    /// The collection of a `for`, without its marks.
    pub(super) fn iteration(&mut self, collection: &Expr) -> Iteration {
        let value = self.expr(collection);
        if value.is_null() {
            self.error(
                collection.span,
                "Iteration over null value",
                "A null value cannot be used as the collection in a 'for' expression.",
            );
            return Iteration::Broken;
        }
        let (value, marks) = value.unmark();
        match value.kind() {
            Kind::Unknown(Type::Dynamic, _) => Iteration::Open(marks),
            Kind::Unknown(ty, _) if is_iterable(ty) => Iteration::Unknown(marks),
            Kind::Bool(_) | Kind::Number(_) | Kind::String(_) | Kind::Unknown(..) => {
                self.error(
                    collection.span,
                    "Iteration over non-iterable value",
                    format!(
                        "A value of type {} cannot be used as the collection in a 'for' expression.",
                        value.ty().friendly_name()
                    ),
                );
                Iteration::Broken
            }
            _ => Iteration::Over(value, marks),
        }
    }

    /// Runs `body` for each element with the names bound.
    pub(super) fn each(
        &mut self,
        collection: &Value,
        key_name: Option<&Name>,
        value_name: &Name,
        mut body: impl FnMut(&mut Self),
    ) {
        let depth = self.names.len();
        let mut step = |evaluator: &mut Self, key: &dyn Fn() -> Value, value: &Value| {
            if let Some(name) = key_name {
                evaluator.names.push((Arc::clone(&name.text), key()));
            }
            evaluator
                .names
                .push((Arc::clone(&value_name.text), value.clone()));
            body(evaluator);
            evaluator.names.truncate(depth);
        };
        match collection.kind() {
            Kind::List(_, items) | Kind::Tuple(items) => {
                for (i, item) in items.iter().enumerate() {
                    step(self, &|| Value::number(i), item);
                }
            }
            Kind::Set(_, items) => {
                for item in items.iter() {
                    step(self, &|| item.clone(), item);
                }
            }
            Kind::Map(_, entries) | Kind::Object(entries) => {
                for (key, item) in entries.iter() {
                    step(self, &|| Value::from(Kind::String(Arc::clone(key))), item);
                }
            }
            _ => {}
        }
    }

    /// The `if` clause; `None` when it is unknown or wrong.
    fn included(&mut self, condition: Option<&Expr>, marks: &mut Marks) -> Option<bool> {
        let Some(expr) = condition else {
            return Some(true);
        };
        let value = self.expr(expr);
        if value.is_null() {
            self.error(
                expr.span,
                "Invalid 'for' condition",
                "The value of the 'if' clause must not be null.",
            );
            return None;
        }
        *marks = marks.union(value.marks());
        match convert(&value, &Type::Bool) {
            Ok(value) => value.as_bool(),
            Err(error) => self.not_a_condition(expr, &error),
        }
    }

    fn not_a_condition<T>(&mut self, expr: &Expr, error: &ConvertError) -> Option<T> {
        self.error(
            expr.span,
            "Invalid 'for' condition",
            format!("The 'if' clause value is invalid: {error}."),
        );
        None
    }

    /// Evaluates the `if` clause for an element of which nothing is known: a mistake that does not depend on the element
    /// is reported once, not for each. Gives its marks, or `None` after an error.
    fn condition_in_general(&mut self, parts: &ForExpr) -> Option<Marks> {
        let Some(expr) = &parts.condition else {
            return Some(Marks::NONE);
        };
        let depth = self.names.len();
        let names = parts.key_name.iter().chain([&parts.value_name]);
        let unknown = names.map(|name| (Arc::clone(&name.text), Value::dynamic()));
        self.names.extend(unknown);
        let errors_before = self.outcome.diagnostics.len();
        let value = self.expr(expr);
        self.names.truncate(depth);
        if value.is_null() {
            self.error(
                expr.span,
                "Condition is null",
                "The value of the 'if' clause must not be null.",
            );
            return None;
        }
        if let Err(error) = convert(&value, &Type::Bool) {
            return self.not_a_condition(expr, &error);
        }
        (self.outcome.diagnostics.len() == errors_before).then(|| value.marks())
    }

    /// Adds one entry to the object being built; `false` when its key is unknown or wrong.
    fn add_entry(
        &mut self,
        parts: &ForExpr,
        key_expr: &Expr,
        entries: &mut BTreeMap<Arc<str>, Vec<Value>>,
        marks: &mut Marks,
    ) -> bool {
        let key = self.expr(key_expr);
        *marks = marks.union(key.marks());
        let key = self.entry_key(&key, key_expr.span);
        let value = self.expr(&parts.result);
        let Some(key) = key else { return false };
        let shown = Arc::clone(&key);
        let items = entries.entry(key).or_default();
        if parts.group || items.is_empty() {
            items.push(value);
        } else {
            let name = if marks.contains(Marks::SENSITIVE) {
                "(sensitive value)".to_owned()
            } else {
                format!("\"{shown}\"")
            };
            self.error(
                key_expr.span,
                "Duplicate object key",
                format!(
                    "Two different items produced the key {name} in this 'for' expression. If duplicates are expected, use the \
                     ellipsis (...) after the value expression to enable grouping by key."
                ),
            );
        }
        true
    }

    fn entry_key(&mut self, key: &Value, span: Span) -> Option<Arc<str>> {
        if key.is_null() {
            self.error(
                span,
                "Invalid object key",
                "Key expression in 'for' expression must not produce a null value.",
            );
            return None;
        }
        match convert(key, &Type::String) {
            Ok(key) => match key.kind() {
                Kind::String(s) => Some(Arc::clone(s)),
                _ => None,
            },
            Err(error) => {
                self.error(
                    span,
                    "Invalid object key",
                    format!("The key expression produced an invalid result: {error}."),
                );
                None
            }
        }
    }
}

fn is_iterable(ty: &Type) -> bool {
    ty.is_collection() || matches!(ty, Type::Tuple(_) | Type::Object(_))
}
