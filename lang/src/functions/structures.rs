//! Functions over maps and objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use stead_value::convert::{convert, unify_unsafe};
use stead_value::{Kind, Marks, Type, Value};

use super::collections::{element_type_of, type_of};
use super::{Call, FunctionError, Outcome, quoted, shown};

pub(super) fn keys(call: &Call<'_>) -> Outcome {
    let map = call.arg(0);
    let names =
        |names: &mut dyn Iterator<Item = &Arc<str>>| names.map(Value::string).collect::<Vec<_>>();
    let value = match (map.kind(), map.ty()) {
        (Kind::Map(_, entries), _) => Value::list(Type::String, names(&mut entries.keys())),
        (_, Type::Map(_)) => Value::unknown(Type::list(Type::String)),
        (_, Type::Object(o)) => Value::tuple(names(&mut o.attributes.keys())),
        _ => return Err(FunctionError::argument(0, "must have map or object type")),
    };
    Ok(value.with_marks(map.marks()))
}

pub(super) fn values_type(args: &[Value]) -> Result<Type, FunctionError> {
    match type_of(args, 0)? {
        Type::Map(t) => Ok(Type::list((*t).clone())),
        Type::Object(o) => Ok(Type::tuple(o.attributes.values().cloned())),
        _ => Err(FunctionError::new(
            "values() requires a map as the first argument",
        )),
    }
}

pub(super) fn values(call: &Call<'_>) -> Outcome {
    let ty = values_type(call.args)?;
    let map = call.arg(0);
    let values = map
        .as_entries()
        .map(|e| e.values().cloned().collect::<Vec<_>>())
        .unwrap_or_default();
    let value = match ty {
        Type::List(element) => Value::list((*element).clone(), values),
        _ => Value::tuple(values),
    };
    Ok(value.with_marks(map.marks()))
}

pub(super) fn lookup(call: &Call<'_>) -> Outcome {
    let (map, key, default) = (call.arg(0), call.arg(1), call.args.get(2));
    if call.args.len() > 3 {
        let message = format!(
            "lookup() takes two or three arguments, got {}",
            call.args.len()
        );
        return Err(FunctionError::new(message));
    }
    let marks = map.marks().union(key.marks());
    let ty = lookup_type(map, key, default)?;
    let (Some(name), true) = (key.as_str(), map.is_known()) else {
        return Ok(Value::unknown(ty).with_marks(marks));
    };
    if let Some(found) = map.get(name) {
        return Ok(found.with_marks(marks));
    }
    let Some(default) = default else {
        let message = format!("lookup failed to find key {}", shown(name, key.marks()));
        return Err(FunctionError::new(message));
    };
    let value = convert(default, &ty).map_err(|e| FunctionError::new(e.message))?;
    Ok(value.with_marks(marks))
}

fn lookup_type(map: &Value, key: &Value, default: Option<&Value>) -> Result<Type, FunctionError> {
    match map.ty() {
        Type::Object(o) => {
            let Some(name) = key.as_str() else {
                return Ok(Type::Dynamic);
            };
            match (o.attributes.get(name), default) {
                (Some(ty), _) => Ok(ty.clone()),
                (None, Some(default)) => Ok(default.ty()),
                (None, None) => {
                    let name = shown(name, key.marks());
                    Err(FunctionError::argument(
                        0,
                        format!("the given object has no attribute {name}"),
                    ))
                }
            }
        }
        Type::Map(element) => {
            if default.is_some_and(|d| convert(d, &element).is_err()) {
                let message = "the default value must have the same type as the map elements";
                return Err(FunctionError::argument(2, message));
            }
            Ok((*element).clone())
        }
        _ => Err(FunctionError::argument(
            0,
            "lookup() requires a map as the first argument",
        )),
    }
}

pub(super) fn merge_type(args: &[Value]) -> Result<Type, FunctionError> {
    let Some(first) = args.first() else {
        return Ok(Type::object::<Arc<str>>([]));
    };
    let mut attributes = BTreeMap::new();
    let mut keys_known = true;
    for arg in args {
        match arg.ty() {
            Type::Dynamic => return Ok(Type::Dynamic),
            _ if arg.is_null() && matches!(arg.ty(), Type::Map(_) | Type::Object(_)) => {}
            Type::Object(o) => {
                attributes.extend(o.attributes.iter().map(|(k, t)| (Arc::clone(k), t.clone())));
            }
            Type::Map(element) => match arg.as_entries() {
                Some(entries) => {
                    attributes.extend(entries.keys().map(|k| (Arc::clone(k), (*element).clone())));
                }
                None => keys_known = false,
            },
            other => {
                let name = quoted(&other.friendly_name());
                return Err(FunctionError::new(format!(
                    "arguments must be maps or objects, got {name}"
                )));
            }
        }
    }
    let ty = first.ty();
    if args.iter().all(|a| a.ty() == ty) {
        return Ok(ty);
    }
    Ok(if keys_known {
        Type::object(attributes)
    } else {
        Type::Dynamic
    })
}

pub(super) fn merge(call: &Call<'_>) -> Outcome {
    let ty = merge_type(call.args)?;
    let mut marks = Marks::NONE;
    let mut merged = BTreeMap::new();
    for arg in call.args.iter().filter(|a| !a.is_null()) {
        marks = marks.union(arg.marks());
        if let Some(entries) = arg.as_entries() {
            merged.extend(entries.iter().map(|(k, v)| (Arc::clone(k), v.clone())));
        }
    }
    let value = match ty {
        Type::Map(element) => Value::map((*element).clone(), merged),
        _ => Value::object(merged),
    };
    Ok(value.with_marks(marks))
}

pub(super) fn matchkeys_type(args: &[Value]) -> Result<Type, FunctionError> {
    match unify_unsafe(&[type_of(args, 1)?, type_of(args, 2)?]) {
        Some(_) => type_of(args, 0),
        None => Err(FunctionError::new(
            "keys and searchset must be of the same type",
        )),
    }
}

pub(super) fn matchkeys(call: &Call<'_>) -> Outcome {
    let ty = matchkeys_type(call.args)?;
    let list = |i: usize| call.arg(i).as_sequence().unwrap_or_default();
    if list(0).len() != list(1).len() {
        return Err(FunctionError::new(
            "length of keys and values should be equal",
        ));
    }
    let common = unify_unsafe(&[call.arg(1).ty(), call.arg(2).ty()]).unwrap_or(Type::Dynamic);
    let converted =
        |i: usize| convert(call.arg(i), &common).map_err(|e| FunctionError::argument(i, e.message));
    let (keys, search) = (converted(1)?, converted(2)?);
    let element = element_type_of(&ty);
    let search = search.as_sequence().unwrap_or_default();
    if search.is_empty() {
        return Ok(Value::list(element, Vec::new()));
    }
    if !call.arg(0).is_wholly_known() || !keys.is_wholly_known() {
        return Ok(Value::unknown(ty));
    }
    let mut matched = Vec::new();
    for (key, value) in keys.as_sequence().unwrap_or_default().iter().zip(list(0)) {
        for wanted in search {
            match Value::equal(key, wanted).as_bool() {
                Some(true) => {
                    matched.push(value.clone());
                    break;
                }
                Some(false) => {}
                // Which values match is still open.
                None => return Ok(Value::unknown(ty)),
            }
        }
    }
    Ok(Value::list(element, matched))
}

pub(super) fn transpose(call: &Call<'_>) -> Outcome {
    let map = call.arg(0);
    if !map.is_wholly_known() {
        return Ok(Value::unknown(map.ty()));
    }
    let mut turned: BTreeMap<Arc<str>, Vec<Value>> = BTreeMap::new();
    // Keys come sorted, so the lists are sorted too.
    for (key, list) in map.as_entries().into_iter().flatten() {
        let Some(items) = list.as_sequence() else {
            return Err(FunctionError::new("input must not contain null list"));
        };
        for item in items {
            let Some(name) = item.as_str() else {
                return Err(FunctionError::new(
                    "input list must not contain null string",
                ));
            };
            turned
                .entry(name.into())
                .or_default()
                .push(Value::string(key));
        }
    }
    let turned = turned
        .into_iter()
        .map(|(k, v)| (k, Value::list(Type::String, v)))
        .collect();
    Ok(Value::map(Type::list(Type::String), turned))
}

pub(super) fn zipmap_type(args: &[Value]) -> Result<Type, FunctionError> {
    let keys = args.first();
    match type_of(args, 1)? {
        Type::List(element) => Ok(Type::map((*element).clone())),
        Type::Tuple(types) => {
            let Some(keys) = keys.filter(|k| k.is_wholly_known()) else {
                return Ok(Type::Dynamic);
            };
            let keys = keys.as_sequence().unwrap_or_default();
            same_count(keys.len(), types.len())?;
            let mut attributes = BTreeMap::new();
            for (i, (key, ty)) in keys.iter().zip(types.iter()).enumerate() {
                attributes.insert(Arc::<str>::from(key_at(key, i)?), ty.clone());
            }
            Ok(Type::object(attributes))
        }
        _ => Err(FunctionError::new(
            "values argument must be a list or tuple value",
        )),
    }
}

fn key_at(key: &Value, i: usize) -> Result<&str, FunctionError> {
    key.as_str()
        .ok_or_else(|| FunctionError::new(format!("keys list has null value at index {i}")))
}

fn same_count(keys: usize, values: usize) -> Result<(), FunctionError> {
    if keys == values {
        return Ok(());
    }
    Err(FunctionError::new(format!(
        "number of keys ({keys}) does not match number of values ({values})"
    )))
}

pub(super) fn zipmap(call: &Call<'_>) -> Outcome {
    let ty = zipmap_type(call.args)?;
    let (keys, values) = (call.arg(0), call.arg(1));
    let mut marks = keys.marks().union(values.marks());
    if !keys.is_wholly_known() {
        return Ok(Value::unknown(ty).with_marks(marks));
    }
    let (names, items) = (
        keys.as_sequence().unwrap_or_default(),
        values.as_sequence().unwrap_or_default(),
    );
    same_count(names.len(), items.len())?;
    let mut zipped = BTreeMap::new();
    for (i, (name, item)) in names.iter().zip(items).enumerate() {
        marks = marks.union(name.marks());
        zipped.insert(Arc::<str>::from(key_at(name, i)?), item.clone());
    }
    let value = match ty {
        Type::Map(element) => Value::map((*element).clone(), zipped),
        _ => Value::object(zipped),
    };
    Ok(value.with_marks(marks))
}
