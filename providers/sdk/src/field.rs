//! Rust types that stand for values of the language.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stead_value::{Diagnostic, Kind, Number, Path, Sensitive, Type, Value};

/// A Rust type with a fixed place in a schema. Derived for structs; implemented here for the rest.
pub trait Field: Sized {
    /// The type that its values have.
    fn ty() -> Type;

    /// Reads a wholly known value; `path` is where it stands, for the diagnostic.
    fn decode(value: &Value, path: &Path) -> Result<Self, Diagnostic>;

    fn encode(&self) -> Value;
}

/// A value of any type: an attribute whose type the schema leaves open.
pub type Dynamic = Value;

/// The diagnostic for a value that does not have the schema's type.
pub(crate) fn mismatch(expected: &str, value: &Value, path: &Path) -> Diagnostic {
    let found = match value.kind() {
        Kind::Null(_) => "no value".to_owned(),
        Kind::Unknown(..) => "a value that is not known yet".to_owned(),
        _ => value.ty().friendly_name(),
    };
    let place = if path.is_root() {
        "The object".to_owned()
    } else {
        format!("`{path}`")
    };
    Diagnostic::error(
        "Value of an unexpected type",
        format!("{place} must be {expected}, not {found}."),
    )
    .attribute(path.clone())
}

impl Field for String {
    fn ty() -> Type {
        Type::String
    }

    fn decode(value: &Value, path: &Path) -> Result<Self, Diagnostic> {
        value
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| mismatch("a string", value, path))
    }

    fn encode(&self) -> Value {
        Value::string(self)
    }
}

impl Field for bool {
    fn ty() -> Type {
        Type::Bool
    }

    fn decode(value: &Value, path: &Path) -> Result<Self, Diagnostic> {
        value
            .as_bool()
            .ok_or_else(|| mismatch("true or false", value, path))
    }

    fn encode(&self) -> Value {
        Value::bool(*self)
    }
}

impl Field for i64 {
    fn ty() -> Type {
        Type::Number
    }

    fn decode(value: &Value, path: &Path) -> Result<Self, Diagnostic> {
        value
            .as_i64()
            .ok_or_else(|| mismatch("a whole number of 64 bits", value, path))
    }

    fn encode(&self) -> Value {
        Value::number(*self)
    }
}

impl Field for u64 {
    fn ty() -> Type {
        Type::Number
    }

    fn decode(value: &Value, path: &Path) -> Result<Self, Diagnostic> {
        let number = value.as_number().and_then(Number::to_u64);
        number.ok_or_else(|| mismatch("a whole number that is not negative", value, path))
    }

    fn encode(&self) -> Value {
        Value::number(*self)
    }
}

impl Field for f64 {
    fn ty() -> Type {
        Type::Number
    }

    fn decode(value: &Value, path: &Path) -> Result<Self, Diagnostic> {
        value
            .as_number()
            .map(Number::to_f64)
            .ok_or_else(|| mismatch("a number", value, path))
    }

    /// Not-a-number has no place in the language and becomes null.
    fn encode(&self) -> Value {
        Number::from_f64(*self).map_or_else(|| Value::null(Type::Number), Value::number)
    }
}

impl Field for Value {
    fn ty() -> Type {
        Type::Dynamic
    }

    fn decode(value: &Value, _path: &Path) -> Result<Self, Diagnostic> {
        Ok(value.clone())
    }

    fn encode(&self) -> Value {
        self.clone()
    }
}

impl<T: Field> Field for Option<T> {
    fn ty() -> Type {
        T::ty()
    }

    fn decode(value: &Value, path: &Path) -> Result<Self, Diagnostic> {
        if value.is_null() {
            Ok(None)
        } else {
            T::decode(value, path).map(Some)
        }
    }

    fn encode(&self) -> Value {
        self.as_ref()
            .map_or_else(|| Value::null(T::ty()), T::encode)
    }
}

/// Hides the secret from `Debug`; the schema's `sensitive` flag is the field's own affair.
impl<T: Field> Field for Sensitive<T> {
    fn ty() -> Type {
        T::ty()
    }

    fn decode(value: &Value, path: &Path) -> Result<Self, Diagnostic> {
        T::decode(value, path).map(Sensitive::new)
    }

    fn encode(&self) -> Value {
        self.expose_secret().encode()
    }
}

impl<T: Field> Field for Box<T> {
    fn ty() -> Type {
        T::ty()
    }

    fn decode(value: &Value, path: &Path) -> Result<Self, Diagnostic> {
        T::decode(value, path).map(Box::new)
    }

    fn encode(&self) -> Value {
        T::encode(self)
    }
}

/// Elements of a list or set, each with its place.
fn elements<T: Field>(value: &Value, path: &Path) -> Result<Vec<T>, Diagnostic> {
    let items = value
        .as_sequence()
        .ok_or_else(|| mismatch("a list", value, path))?;
    let is_set = matches!(value.kind(), Kind::Set(..));
    items
        .iter()
        .enumerate()
        .map(|(i, item)| {
            let place = if is_set {
                path.index(item.clone())
            } else {
                path.index_number(i)
            };
            T::decode(item, &place)
        })
        .collect()
}

/// A list; with the flag `set`, a set.
impl<T: Field> Field for Vec<T> {
    fn ty() -> Type {
        Type::list(T::ty())
    }

    fn decode(value: &Value, path: &Path) -> Result<Self, Diagnostic> {
        elements(value, path)
    }

    fn encode(&self) -> Value {
        Value::list(T::ty(), self.iter().map(T::encode).collect())
    }
}

impl<T: Field + Ord> Field for BTreeSet<T> {
    fn ty() -> Type {
        Type::set(T::ty())
    }

    fn decode(value: &Value, path: &Path) -> Result<Self, Diagnostic> {
        Ok(elements(value, path)?.into_iter().collect())
    }

    fn encode(&self) -> Value {
        Value::set(T::ty(), self.iter().map(T::encode).collect())
    }
}

impl<T: Field> Field for BTreeMap<String, T> {
    fn ty() -> Type {
        Type::map(T::ty())
    }

    fn decode(value: &Value, path: &Path) -> Result<Self, Diagnostic> {
        let entries = value
            .as_entries()
            .ok_or_else(|| mismatch("a map", value, path))?;
        entries
            .iter()
            .map(|(k, v)| Ok((k.to_string(), T::decode(v, &path.index(Value::string(k)))?)))
            .collect()
    }

    fn encode(&self) -> Value {
        Value::map(
            T::ty(),
            self.iter()
                .map(|(k, v)| (Arc::from(k.as_str()), v.encode()))
                .collect(),
        )
    }
}
