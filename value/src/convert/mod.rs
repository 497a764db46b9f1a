//! Conversion of values to types, as the language does it implicitly.

mod defaults;
mod mismatch;
mod structure;
mod unify;

pub use defaults::Defaults;
pub use mismatch::mismatch_message;
pub use unify::{unify, unify_unsafe, unify_values};

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Kind, Number, Path, Type, Value};

/// Why a value does not convert. The message has no path in it and no content of the value.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ConvertError {
    /// Where inside the value.
    pub path: Path,
    pub message: String,
}

impl ConvertError {
    pub(crate) fn new(path: &Path, message: impl Into<String>) -> ConvertError {
        ConvertError {
            path: path.clone(),
            message: message.into(),
        }
    }
}

/// Converts the value to the type. Nulls and unknowns keep their nature, marks their places. Attributes that `want` calls
/// optional and the value lacks become null (defaults: [`Defaults`]).
pub fn convert(value: &Value, want: &Type) -> Result<Value, ConvertError> {
    let got = value.ty();
    if got == want.without_optional() {
        return Ok(value.clone());
    }
    if !convertible(&got, want, true) {
        return Err(ConvertError::new(
            &Path::root(),
            mismatch_message(&got, want),
        ));
    }
    convert_at(value, want, &mut Path::root())
}

/// Whether values of type `got` convert to `want`: always if `unsafe_` is false, possibly (depending on the value) if true.
pub fn convertible(got: &Type, want: &Type, unsafe_: bool) -> bool {
    structure::plan(got, want, unsafe_)
}

fn convert_at(value: &Value, want: &Type, path: &mut Path) -> Result<Value, ConvertError> {
    if *want == Type::Dynamic {
        return Ok(value.clone());
    }
    let marks = value.marks();
    let converted = match value.kind() {
        Kind::Unknown(got, _) => {
            let target = structure::fill_dynamic(got, &want.without_optional());
            structure::unknown_result(value, target)
        }
        Kind::Null(got) => Value::null(structure::fill_dynamic(got, &want.without_optional())),
        Kind::Bool(_) | Kind::Number(_) | Kind::String(_) => primitive(value, want, path)?,
        _ => structure::convert_structure(value, want, path)?,
    };
    Ok(converted.with_marks(marks))
}

fn primitive(value: &Value, want: &Type, path: &Path) -> Result<Value, ConvertError> {
    let fail = |message: &str| Err(ConvertError::new(path, message));
    match (value.kind(), want) {
        (Kind::Bool(_), Type::Bool)
        | (Kind::Number(_), Type::Number)
        | (Kind::String(_), Type::String) => Ok(value.clone().unmark().0),
        (Kind::Bool(b), Type::String) => Ok(Value::string(if *b { "true" } else { "false" })),
        (Kind::Number(n), Type::String) => Ok(Value::string(n.to_string())),
        (Kind::String(s), Type::Number) => match Number::parse(s) {
            Some(n) => Ok(Value::number(n)),
            None => fail("a number is required"),
        },
        (Kind::String(s), Type::Bool) => match &**s {
            "true" | "1" => Ok(Value::bool(true)),
            "false" | "0" => Ok(Value::bool(false)),
            other => match other.to_lowercase().as_str() {
                "true" => {
                    fail("a bool is required; to convert from string, use lowercase \"true\"")
                }
                "false" => {
                    fail("a bool is required; to convert from string, use lowercase \"false\"")
                }
                _ => fail("a bool is required"),
            },
        },
        _ => Err(ConvertError::new(path, mismatch_message(&value.ty(), want))),
    }
}

/// A list of converted elements, whose types may still differ where the wanted type left them open.
pub(crate) fn list_of(
    fallback: &Type,
    items: Vec<Value>,
    path: &Path,
) -> Result<Value, ConvertError> {
    let (element, items) = uniform(fallback, items).ok_or_else(|| {
        ConvertError::new(path, "element types must all match for conversion to list")
    })?;
    Ok(Value::list(element, items))
}

pub(crate) fn set_of(
    fallback: &Type,
    items: Vec<Value>,
    path: &Path,
) -> Result<Value, ConvertError> {
    let (element, items) = uniform(fallback, items).ok_or_else(|| {
        ConvertError::new(path, "element types must all match for conversion to set")
    })?;
    Ok(Value::set(element, items))
}

pub(crate) fn map_of(
    fallback: &Type,
    entries: BTreeMap<Arc<str>, Value>,
    path: &Path,
) -> Result<Value, ConvertError> {
    let (keys, items): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
    let (element, items) = uniform(fallback, items).ok_or_else(|| {
        ConvertError::new(path, "element types must all match for conversion to map")
    })?;
    Ok(Value::map(element, keys.into_iter().zip(items).collect()))
}

/// The elements' one type, and the elements; those without a type of their own (unknown or null) take it.
fn uniform(fallback: &Type, items: Vec<Value>) -> Option<(Type, Vec<Value>)> {
    let element = crate::access::common_type(fallback, items.iter());
    let items = items
        .into_iter()
        .map(|item| {
            let ty = item.ty();
            if ty == element {
                return Some(item);
            }
            (ty == Type::Dynamic).then(|| {
                let typed = if item.is_null() {
                    Value::null(element.clone())
                } else {
                    Value::unknown(element.clone())
                };
                typed.with_marks(item.marks())
            })
        })
        .collect::<Option<Vec<_>>>()?;
    Some((element, items))
}

#[cfg(test)]
mod tests;
