//! Attributes, indexes and splats of values.

use stead_value::convert::convert;
use stead_value::{Kind, Type, Value};

use super::eval::Evaluator;
use crate::suggest::did_you_mean;
use crate::syntax::{Span, Step, StepKind};

impl Evaluator<'_> {
    pub(super) fn take_steps(&mut self, value: Value, steps: &[Step]) -> Value {
        let mut value = value;
        for step in steps {
            value = match &step.kind {
                StepKind::Attr(name) => self.attribute(value, name, step.span),
                StepKind::LegacyIndex(key) => self.index(value, key, step.span),
                StepKind::Index(expr) => {
                    let key = self.expr(expr);
                    self.index(value, &key, step.span)
                }
                StepKind::AttrSplat(each) | StepKind::FullSplat(each) => {
                    self.splat(value, each, step.span)
                }
            };
        }
        value
    }

    fn attribute(&mut self, value: Value, name: &str, span: Span) -> Value {
        if value.is_null() {
            return self.error(
                span,
                "Attempt to get attribute from null value",
                "This value is null, so it does not have any attributes.",
            );
        }
        if let Some(found) = value.attr(name) {
            return found;
        }
        match value.ty() {
            Type::Object(object) => {
                let hint = did_you_mean(name, object.attributes.keys().map(|k| &**k));
                self.error(span, "Unsupported attribute", format!("This object does not have an attribute named \"{name}\".{hint}"))
            }
            Type::Map(_) => match value.index(&Value::string(name)) {
                Some(found) => found,
                None => self.error(
                    span,
                    "Missing map element",
                    format!("This map does not have an element with the key \"{name}\"."),
                ),
            },
            Type::List(element) if matches!(*element, Type::Object(_)) => {
                let has = matches!(&*element, Type::Object(o) if o.attributes.contains_key(name));
                let which = if has {
                    format!("attribute \"{name}\"")
                } else {
                    "an attribute".to_owned()
                };
                self.error(
                    span,
                    "Unsupported attribute",
                    format!(
                        "Can't access attributes on a list of objects. Did you mean to access {which} for a specific element of \
                         the list, or across all elements of the list?"
                    ),
                )
            }
            Type::Set(element) if matches!(*element, Type::Object(_)) => self.error(
                span,
                "Unsupported attribute",
                "Can't access attributes on a set of objects. Did you mean to access an attribute across all elements of the set?",
            ),
            ty if ty.is_primitive() => self.error(
                span,
                "Unsupported attribute",
                format!("Can't access attributes on a primitive-typed value ({}).", ty.friendly_name()),
            ),
            _ => self.error(span, "Unsupported attribute", "This value does not have any attributes."),
        }
    }

    pub(super) fn index(&mut self, value: Value, key: &Value, span: Span) -> Value {
        if value.is_null() {
            return self.error(
                span,
                "Attempt to index null value",
                "This value is null, so it does not have any indices.",
            );
        }
        if key.is_null() {
            return self.error(
                span,
                "Invalid index",
                "Can't use a null value as an indexing key.",
            );
        }
        let ty = value.ty();
        let key_type = match &ty {
            Type::Dynamic => return Value::dynamic().with_marks(value.marks().union(key.marks())),
            Type::List(_) | Type::Tuple(_) => Type::Number,
            Type::Map(_) | Type::Object(_) => Type::String,
            Type::Set(_) => {
                return self.error(
                    span,
                    "Invalid index",
                    "Elements of a set are identified only by their value and don't have any separate index or key to select \
                     with, so it's only possible to perform operations across all elements of the set.",
                );
            }
            _ => {
                return self.error(
                    span,
                    "Invalid index",
                    "This value does not have any indices.",
                );
            }
        };
        let by_number = key.ty() == Type::Number;
        let key = match convert(key, &key_type) {
            Ok(key) => key,
            Err(error) => {
                return self.error(
                    span,
                    "Invalid index",
                    format!("The given key does not identify an element in this collection value: {error}."),
                );
            }
        };
        let found = match (&ty, key.as_str()) {
            (Type::Object(_), Some(name)) if value.is_known() => {
                value.attr(name).map(|v| v.with_marks(key.marks()))
            }
            // Which attribute is not known, and so is its type.
            (Type::Object(_), _) => {
                Some(Value::dynamic().with_marks(value.marks().union(key.marks())))
            }
            _ => value.index(&key),
        };
        match found {
            Some(found) => found,
            None => {
                let mut detail = missing_element(&value, &key, &ty);
                if by_number && matches!(ty, Type::Object(_)) {
                    detail.push_str(
                        " An object only supports looking up attributes by name, not by numeric index.",
                    );
                }
                self.error(span, "Invalid index", detail)
            }
        }
    }

    fn splat(&mut self, value: Value, each: &[Step], span: Span) -> Value {
        let ty = value.ty();
        let sequence = matches!(ty, Type::List(_) | Type::Set(_) | Type::Tuple(_));
        let (value, marks) = value.unmark();
        if value.is_null() {
            if sequence {
                return self.error(
                    span,
                    "Splat of null value",
                    "Splat expressions (with the * symbol) cannot be applied to null sequences.",
                );
            }
            return Value::tuple(Vec::new()).with_marks(marks);
        }
        if ty == Type::Dynamic {
            return Value::dynamic().with_marks(marks);
        }
        if !sequence {
            // A single value is a sequence of one; if it may yet be null, of none or one.
            let undecided = !value.is_definitely_not_null();
            let item = self.take_steps(value.with_marks(marks), each);
            if undecided {
                return Value::dynamic().with_marks(marks);
            }
            return Value::tuple(vec![item]).with_marks(marks);
        }
        let result = match value.kind() {
            Kind::Unknown(Type::List(t) | Type::Set(t), refinement) => {
                let item = self.take_steps(Value::unknown((**t).clone()), each);
                let refinement = refinement.as_deref().cloned().unwrap_or_default();
                Value::unknown(Type::list(item.ty())).refine(|r| {
                    r.not_null = true;
                    r.min_length = refinement.min_length;
                    r.max_length = refinement.max_length;
                })
            }
            Kind::Unknown(Type::Tuple(types), _) => {
                let items: Vec<Type> = types
                    .iter()
                    .map(|t| self.take_steps(Value::unknown(t.clone()), each).ty())
                    .collect();
                Value::unknown(Type::tuple(items)).refine_not_null()
            }
            Kind::List(t, items) | Kind::Set(t, items) => {
                if items.is_empty() {
                    let element = self.take_steps(Value::unknown(t.clone()), each).ty();
                    Value::list(element, Vec::new())
                } else {
                    list_or_tuple(
                        items
                            .iter()
                            .map(|item| self.take_steps(item.clone(), each))
                            .collect(),
                    )
                }
            }
            Kind::Tuple(items) => Value::tuple(
                items
                    .iter()
                    .map(|item| self.take_steps(item.clone(), each))
                    .collect(),
            ),
            _ => Value::dynamic(),
        };
        result.with_marks(marks)
    }
}

/// A list when all items have one type.
fn list_or_tuple(items: Vec<Value>) -> Value {
    let mut types = items.iter().map(Value::ty);
    match types.next() {
        Some(first) if first != Type::Dynamic && types.all(|t| t == first) => {
            Value::list(first, items)
        }
        _ => Value::tuple(items),
    }
}

fn missing_element(value: &Value, key: &Value, ty: &Type) -> String {
    let base = "The given key does not identify an element in this collection value";
    let Some(number) = key.as_number() else {
        return format!("{base}.");
    };
    if !number.is_integer() {
        return format!(
            "{base}: indexing a sequence requires a whole number, but the given index has a fractional part."
        );
    }
    if number.is_negative() {
        return format!("{base}: a negative number is not a valid index for a sequence.");
    }
    let length = match ty {
        Type::Tuple(types) => types.len(),
        _ => value.as_sequence().map_or(0, <[Value]>::len),
    };
    // The reference explains itself only just behind the end.
    if !value.marks().is_empty() || number.to_usize() != Some(length) {
        return format!("{base}.");
    }
    if length == 0 {
        return format!("{base}: the collection has no elements.");
    }
    format!("{base}: the given index is greater than or equal to the length of the collection.")
}
