//! Strategic merge of typed documents (facts: Talos `pkg/machinery/config/merge`).

use super::schema::{Document, Merge, ScalarKind, Schema, Struct, Type};
use super::value::{Fields, Value};

/// A free-form value of one type met one of another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("merge field {path}: merge type mismatch left {left} right {right}")]
pub(crate) struct MergeError {
    path: String,
    left: &'static str,
    right: &'static str,
}

/// Merges `right` into `left`; both are of one kind.
pub(crate) fn merge_documents(left: &mut Document, right: &Document) -> Result<(), MergeError> {
    let name = left.struct_name();
    match Schema::get().structure(name) {
        Some(structure) => merge_struct(&mut left.fields, &right.fields, structure, name),
        None => Ok(()),
    }
}

fn merge_struct(
    left: &mut Fields,
    right: &Fields,
    structure: &Struct,
    path: &str,
) -> Result<(), MergeError> {
    for field in &structure.fields {
        let at = format!("{path}.{}", field.name);
        let merged = merge_field(
            left.get(field.name),
            right.get(field.name),
            &field.ty,
            field.merge,
            &at,
        )?;
        match merged {
            Some(value) => left.insert(field.name.to_owned(), value),
            None => left.shift_remove(field.name),
        };
    }
    Ok(())
}

fn merge_field(
    left: Option<&Value>,
    right: Option<&Value>,
    ty: &Type,
    rule: Merge,
    path: &str,
) -> Result<Option<Value>, MergeError> {
    match rule {
        Merge::ByType => merge_value(left, right, ty, false, path),
        Merge::Replace => Ok(right.filter(|v| !is_unset(v, ty)).or(left).cloned()),
        Merge::Devices => merge_keyed(left, right, ty, path, |have, new| {
            match text(new, "interface") {
                "" => new
                    .get("deviceSelector")
                    .is_some_and(|s| have.get("deviceSelector").is_some_and(|h| same(h, s))),
                name => text(have, "interface") == name,
            }
        }),
        Merge::Keyed(key) => merge_keyed(left, right, ty, path, |have, new| {
            have.get(key) == new.get(key)
        }),
        Merge::KeyedReplace(key) => Ok(replace_keyed(left, right, key)),
    }
}

/// Whether a right value behind a `replace` mark is Go's zero: nil, or free-form data without keys.
fn is_unset(value: &Value, ty: &Type) -> bool {
    matches!(value, Value::Null)
        || matches!(ty, Type::Any) && value.as_map().is_some_and(Fields::is_empty)
}

/// Two absent-or-false switches of a selector are the same only if written alike.
fn same(a: &Value, b: &Value) -> bool {
    a == b
}

/// `set` tells that the right side is behind a pointer, where even a zero counts as set.
fn merge_value(
    left: Option<&Value>,
    right: Option<&Value>,
    ty: &Type,
    set: bool,
    path: &str,
) -> Result<Option<Value>, MergeError> {
    let left = left.filter(|v| **v != Value::Null);
    let right = right.filter(|v| **v != Value::Null);
    if let Type::Scalar(kind) = ty {
        return Ok(merge_scalar(left, right, kind, set));
    }
    if let (Type::Struct(name), Some(Value::Map(have)), None) = (ty, left, right) {
        // A struct by value is merged even when the right side does not mention it, which is how
        // the types that overwrite always come to wipe what they find.
        let mut fields = have.clone();
        if let Some(structure) = Schema::get().structure(name) {
            merge_struct(&mut fields, &Fields::new(), structure, path)?;
        }
        return Ok(Some(Value::Map(fields)));
    }
    let (Some(l), Some(r)) = (left, right) else {
        return Ok(right.or(left).cloned());
    };
    let merged = match (ty, l, r) {
        (Type::Pointer(inner), _, _) => return merge_value(left, right, inner, true, path),
        (Type::List(_), Value::List(have), Value::List(more)) => {
            Value::List(have.iter().chain(more).cloned().collect())
        }
        (Type::Struct(name), Value::Map(have), Value::Map(more)) => {
            let mut fields = have.clone();
            if let Some(structure) = Schema::get().structure(name) {
                merge_struct(&mut fields, more, structure, path)?;
            }
            Value::Map(fields)
        }
        (Type::Map(inner), Value::Map(have), Value::Map(more)) => {
            let mut fields = have.clone();
            for (key, value) in more {
                let at = format!("{path}[{key}]");
                let merged = merge_value(fields.get(key), Some(value), inner, false, &at)?;
                fields.insert(key.clone(), merged.unwrap_or(Value::Null));
            }
            Value::Map(fields)
        }
        (Type::Args, Value::Map(have), Value::Map(more)) => {
            let mut fields = have.clone();
            fields.extend(more.iter().map(|(k, v)| (k.clone(), v.clone())));
            Value::Map(fields)
        }
        (Type::Any, Value::Map(have), Value::Map(more)) => {
            Value::Map(merge_free_form(have, more, path)?)
        }
        _ => r.clone(),
    };
    Ok(Some(merged))
}

fn merge_scalar(
    left: Option<&Value>,
    right: Option<&Value>,
    kind: &ScalarKind,
    set: bool,
) -> Option<Value> {
    match (kind, right) {
        // Talos keeps bytes and percents in two slots of one size and writes the bytes.
        (ScalarKind::Size, Some(Value::Str(new))) if new.contains('%') => match left {
            Some(Value::Str(old)) if !old.is_empty() && !old.contains('%') => left.cloned(),
            _ => right.cloned(),
        },
        (kind, None) if kind.overwrites_always() && !set => None,
        (kind, Some(value)) if set || kind.overwrites_always() || !kind.is_zero(value) => {
            Some(value.clone())
        }
        _ => left.cloned(),
    }
}

/// Merges `map[string]any`: scalars by kind, lists appended, a change of type refused.
fn merge_free_form(left: &Fields, right: &Fields, path: &str) -> Result<Fields, MergeError> {
    let mut fields = left.clone();
    for (key, new) in right {
        let at = format!("{path}[{key}]");
        let merged = match (fields.get(key), new) {
            (None | Some(Value::Null), new) => new.clone(),
            (Some(Value::Map(have)), Value::Map(more)) => {
                Value::Map(merge_free_form(have, more, &at)?)
            }
            (Some(Value::List(have)), Value::List(more)) => {
                Value::List(have.iter().chain(more).cloned().collect())
            }
            (Some(have), new) if go_type(have) != go_type(new) => {
                return Err(MergeError {
                    path: at,
                    left: go_type(have),
                    right: go_type(new),
                });
            }
            (Some(have), Value::Str(text)) if text.is_empty() => have.clone(),
            (Some(have), Value::Int(0)) => have.clone(),
            (Some(have), Value::Float(x)) if *x == 0.0 => have.clone(),
            (Some(_), new) => new.clone(),
        };
        fields.insert(key.clone(), merged);
    }
    Ok(fields)
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Int(i) if *i > i128::from(i64::MAX) => "uint64",
        Value::Int(_) => "int",
        Value::Float(_) => "float64",
        Value::Str(_) | Value::Plain(_) => "string",
        Value::List(_) => "[]interface {}",
        Value::Map(_) => "map[string]interface {}",
    }
}

fn text<'a>(fields: &'a Fields, key: &str) -> &'a str {
    fields.get(key).and_then(Value::as_str).unwrap_or("")
}

/// Merges list elements that `matches` calls the same, appends the others.
fn merge_keyed(
    left: Option<&Value>,
    right: Option<&Value>,
    ty: &Type,
    path: &str,
    matches: impl Fn(&Fields, &Fields) -> bool,
) -> Result<Option<Value>, MergeError> {
    let (Type::List(element), Some(Value::List(more))) = (ty, right) else {
        return Ok(left.cloned());
    };
    let mut items = left.and_then(Value::as_list).unwrap_or_default().to_vec();
    for new in more {
        let found = new.as_map().and_then(|n| {
            items
                .iter()
                .position(|i| i.as_map().is_some_and(|have| matches(have, n)))
        });
        match found {
            Some(index) => {
                if let Some(merged) = merge_value(items.get(index), Some(new), element, true, path)?
                {
                    items[index] = merged;
                }
            }
            None => items.push(new.clone()),
        }
    }
    // An empty list merged onto nothing stays nothing here, unlike an ordinary list.
    Ok((left.is_some() || !items.is_empty()).then_some(Value::List(items)))
}

fn replace_keyed(left: Option<&Value>, right: Option<&Value>, key: &str) -> Option<Value> {
    let Some(Value::List(more)) = right else {
        return left.cloned();
    };
    let mut items = left.and_then(Value::as_list).unwrap_or_default().to_vec();
    let known = items.len();
    for new in more {
        let id = new.as_map().and_then(|m| m.get(key));
        let found = items[..known]
            .iter()
            .rposition(|i| i.as_map().and_then(|m| m.get(key)) == id);
        match found {
            Some(index) => items[index] = new.clone(),
            None => items.push(new.clone()),
        }
    }
    (left.is_some() || !items.is_empty()).then_some(Value::List(items))
}
