//! Conversions, and functions about values' marks.

use stead_value::convert::{convert, convertible, mismatch_message};
use stead_value::{Kind, Marks, Type, Value};

use super::{Call, FunctionError, Outcome, quoted};

fn to(call: &Call<'_>, want: &Type) -> Outcome {
    let value = call.arg(0);
    let got = value.ty();
    let cannot = || {
        format!(
            "cannot convert {} to {}",
            got.friendly_name(),
            want.constraint_name()
        )
    };
    let wrong = |message: String| Err(FunctionError::argument(0, message));
    if got != *want && !convertible(&got, want, true) {
        return match (&got, want) {
            (Type::Tuple(_), Type::Tuple(_)) => wrong(format!(
                "incompatible tuple type for conversion: {}",
                mismatch_message(&got, want)
            )),
            (Type::Object(_), Type::Object(_)) => wrong(format!(
                "incompatible object type for conversion: {}",
                mismatch_message(&got, want)
            )),
            _ => wrong(cannot()),
        };
    }
    if !value.is_known() {
        // What was known of it is forgotten, as in the reference.
        return Ok(Value::unknown(want.clone()).with_marks(value.marks()));
    }
    if let Ok(converted) = convert(value, want) {
        return Ok(converted);
    }
    if value.marks_deep().contains(Marks::SENSITIVE) {
        let (got, want) = (got.friendly_name(), want.constraint_name());
        return wrong(format!("cannot convert this sensitive {got} to {want}"));
    }
    let text = value.as_str().map_or_else(|| "string".to_owned(), quoted);
    match (&got, want) {
        (Type::String, Type::Bool) => wrong(format!(
            "cannot convert {text} to bool; only the strings \"true\" or \"false\" are allowed"
        )),
        (Type::String, Type::Number) => wrong(format!(
            "cannot convert {text} to number; given string must be a decimal representation of a number"
        )),
        _ => wrong(cannot()),
    }
}

pub(super) fn tobool(call: &Call<'_>) -> Outcome {
    to(call, &Type::Bool)
}

pub(super) fn tonumber(call: &Call<'_>) -> Outcome {
    to(call, &Type::Number)
}

pub(super) fn tostring(call: &Call<'_>) -> Outcome {
    to(call, &Type::String)
}

pub(super) fn tolist(call: &Call<'_>) -> Outcome {
    to(call, &Type::list(Type::Dynamic))
}

pub(super) fn toset(call: &Call<'_>) -> Outcome {
    to(call, &Type::set(Type::Dynamic))
}

pub(super) fn tomap(call: &Call<'_>) -> Outcome {
    to(call, &Type::map(Type::Dynamic))
}

pub(super) fn sensitive(call: &Call<'_>) -> Outcome {
    Ok(call.arg(0).clone().sensitive())
}

/// Takes off the value's own mark only; those of its elements stay.
pub(super) fn nonsensitive(call: &Call<'_>) -> Outcome {
    let (value, marks) = call.arg(0).clone().unmark();
    Ok(value.with_marks(marks.without(Marks::SENSITIVE)))
}

pub(super) fn issensitive(call: &Call<'_>) -> Outcome {
    let value = call.arg(0);
    if value.is_sensitive() {
        return Ok(Value::bool(true));
    }
    // What is unknown may turn out sensitive.
    Ok(if value.is_known() {
        Value::bool(false)
    } else {
        Value::unknown(Type::Bool)
    })
}

/// Replaces everything ephemeral, at any depth, by null.
pub(super) fn ephemeralasnull(call: &Call<'_>) -> Outcome {
    fn without(value: &Value) -> Value {
        if value.marks().contains(Marks::EPHEMERAL) {
            return Value::null(value.ty()).with_marks(value.marks().without(Marks::EPHEMERAL));
        }
        let all = |items: &[Value]| items.iter().map(without).collect::<Vec<_>>();
        let plain = match value.kind() {
            Kind::List(t, items) => Value::list(t.clone(), all(items)),
            Kind::Set(t, items) => Value::set(t.clone(), all(items)),
            Kind::Tuple(items) => Value::tuple(all(items)),
            Kind::Map(t, entries) => Value::map(
                t.clone(),
                entries
                    .iter()
                    .map(|(k, v)| (k.clone(), without(v)))
                    .collect(),
            ),
            Kind::Object(entries) => Value::object(
                entries
                    .iter()
                    .map(|(k, v)| (k.clone(), without(v)))
                    .collect(),
            ),
            _ => return value.clone(),
        };
        plain.with_marks(value.marks())
    }
    Ok(without(call.arg(0)))
}

pub(super) fn list(_: &Call<'_>) -> Outcome {
    gone("list", "tolist([ ... ]) syntax to write a literal list")
}

pub(super) fn map(_: &Call<'_>) -> Outcome {
    gone("map", "tomap({ ... }) syntax to write a literal map")
}

fn gone(name: &str, instead: &str) -> Outcome {
    Err(FunctionError::new(format!(
        "the \"{name}\" function was deprecated in Terraform v0.12 and is no longer available; use {instead}"
    )))
}
