//! Puts typed values into emission order and drops what Talos' encoder omits.

use std::cmp::Ordering;

use super::table::{Schema, Struct, Type};
use crate::machinery::value::{Fields, Value};

/// Orders the fields of a struct as its type lists them.
pub(super) fn structure(fields: &Fields, struct_name: &str) -> Value {
    let mut out = Fields::new();
    if let Some(structure) = Schema::get().structure(struct_name) {
        for field in &structure.fields {
            let value = fields.get(field.name);
            if field.omit_empty && is_empty(value, &field.ty) {
                continue;
            }
            out.insert(field.name.to_owned(), encode(value, &field.ty));
        }
    }
    Value::Map(out)
}

fn encode(value: Option<&Value>, ty: &Type) -> Value {
    match (ty, value) {
        (Type::Pointer(_), None | Some(Value::Null)) => Value::Null,
        (Type::Pointer(inner), value) => encode(value, inner),
        (Type::Scalar(kind), None | Some(Value::Null)) => kind.zero(),
        (Type::Scalar(_), Some(value)) => value.clone(),
        (Type::Struct(name), Some(Value::Map(fields))) => structure(fields, name),
        (Type::Struct(name), _) => structure(&Fields::new(), name),
        (Type::List(inner), Some(Value::List(items))) => {
            Value::List(items.iter().map(|i| encode(Some(i), inner)).collect())
        }
        (Type::List(_), _) => Value::List(Vec::new()),
        (Type::Map(inner), Some(Value::Map(fields))) => Value::Map(
            in_order(fields)
                .into_iter()
                .map(|(k, v)| (k.clone(), encode(Some(v), inner)))
                .collect(),
        ),
        // An argument set to the empty text encodes as null.
        (Type::Args, Some(Value::Map(fields))) => Value::Map(
            in_order(fields)
                .into_iter()
                .map(|(k, v)| {
                    (
                        k.clone(),
                        if v.as_str() == Some("") {
                            Value::Null
                        } else {
                            v.clone()
                        },
                    )
                })
                .collect(),
        ),
        (Type::Any, Some(value @ Value::Map(_))) => free_form(value),
        (Type::Map(_) | Type::Args | Type::Any, _) => Value::Map(Fields::new()),
    }
}

/// Sorts the keys of free-form data at every level.
pub(crate) fn free_form(value: &Value) -> Value {
    match value {
        Value::Map(fields) => Value::Map(
            in_order(fields)
                .into_iter()
                .map(|(k, v)| (k.clone(), free_form(v)))
                .collect(),
        ),
        Value::List(items) => Value::List(items.iter().map(free_form).collect()),
        other => other.clone(),
    }
}

fn in_order(fields: &Fields) -> Vec<(&String, &Value)> {
    let mut pairs: Vec<_> = fields.iter().collect();
    pairs.sort_by(|a, b| natural_order(a.0, b.0));
    pairs
}

/// go-yaml's zero test behind omitempty.
fn is_empty(value: Option<&Value>, ty: &Type) -> bool {
    let Some(value) = value.filter(|v| **v != Value::Null) else {
        return true;
    };
    match (ty, value) {
        (Type::Pointer(_), _) => false,
        (Type::Scalar(_), Value::Str(s)) if s.is_empty() => true,
        (Type::Scalar(kind), value) => kind.is_zero(value),
        (Type::List(_), Value::List(items)) => items.is_empty(),
        (Type::Map(_) | Type::Args | Type::Any, Value::Map(fields)) => fields.is_empty(),
        (Type::Struct(name), Value::Map(fields)) => Schema::get()
            .structure(name)
            .is_none_or(|s| struct_is_zero(fields, s)),
        _ => false,
    }
}

fn struct_is_zero(fields: &Fields, structure: &Struct) -> bool {
    let tested = |name: &str| structure.zero.as_ref().is_none_or(|z| z.contains(&name));
    structure
        .fields
        .iter()
        .filter(|f| tested(f.name))
        .all(|f| is_empty(fields.get(f.name), &f.ty))
}

/// go-yaml's order of mapping keys: letters after other characters, digits by their number.
pub(crate) fn natural_order(a: &str, b: &str) -> Ordering {
    let (ar, br): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut digits = false;
    for i in 0..ar.len().min(br.len()) {
        if ar[i] == br[i] {
            digits = ar[i].is_numeric();
            continue;
        }
        let (al, bl) = (ar[i].is_alphabetic(), br[i].is_alphabetic());
        if al && bl {
            return ar[i].cmp(&br[i]);
        }
        if al || bl {
            let less = if digits { al } else { bl };
            return if less {
                Ordering::Less
            } else {
                Ordering::Greater
            };
        }
        // Leading zeros count only inside a longer number.
        let inside_number = (ar[i] == '0' || br[i] == '0')
            && ar[..i]
                .iter()
                .rev()
                .take_while(|c| c.is_numeric())
                .any(|c| *c != '0');
        let number = |chars: &[char]| {
            let run: Vec<u32> = chars[i..].iter().map_while(|c| c.to_digit(10)).collect();
            let start = u128::from(inside_number);
            let value = run.iter().fold(start, |n, d| {
                n.saturating_mul(10).saturating_add(u128::from(*d))
            });
            (value, run.len())
        };
        let (an, bn) = (number(&ar), number(&br));
        return an.cmp(&bn).then_with(|| ar[i].cmp(&br[i]));
    }
    ar.len().cmp(&br.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_naturally() {
        let mut keys = vec!["b10", "b2", "B", "a", "a.b", "a-b", "a1", "net.x", "_z"];
        keys.sort_by(|a, b| natural_order(a, b));
        assert_eq!(
            keys,
            ["_z", "B", "a", "a-b", "a.b", "a1", "b2", "b10", "net.x"]
        );
    }
}
