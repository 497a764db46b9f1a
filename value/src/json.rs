//! Values and types as JSON, exactly as the field's reference encodes them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::convert::convert;
use crate::{Kind, Number, ObjectType, Path, Step, Type, Value};

/// Why a value has no JSON form, or JSON is not a value of the type.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct JsonError {
    pub path: Path,
    pub message: String,
}

fn fail<T>(path: &Path, message: impl Into<String>) -> Result<T, JsonError> {
    Err(JsonError {
        path: path.clone(),
        message: message.into(),
    })
}

/// The value as JSON for the type, which it must conform to. Where the type says `Dynamic`, the value's type is written too.
/// Marks and unknowns have no JSON form.
pub fn to_json(value: &Value, ty: &Type) -> Result<Json, JsonError> {
    encode(value, ty, &mut Path::root())
}

/// [`to_json`] as text: no blanks, keys sorted, and the characters escaped that Go escapes. This is what state files hold.
pub fn to_json_text(value: &Value, ty: &Type) -> Result<String, JsonError> {
    let mut out = String::new();
    write_json(&to_json(value, ty)?, &mut out);
    Ok(out)
}

/// JSON as text the way Go writes it: no blanks, `<`, `>`, `&` and the line separators escaped.
pub fn write_json(json: &Json, out: &mut String) {
    match json {
        Json::Null => out.push_str("null"),
        Json::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Json::Number(n) => _ = write!(out, "{n}"),
        Json::String(s) => write_json_string(s, out),
        Json::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_json(item, out);
            }
            out.push(']');
        }
        Json::Object(entries) => {
            out.push('{');
            for (i, (key, value)) in entries.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_json_string(key, out);
                out.push(':');
                write_json(value, out);
            }
            out.push('}');
        }
    }
}

/// A JSON string the way Go writes it.
pub fn write_json_string(s: &str, out: &mut String) {
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\0'..='\x1f' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn encode(value: &Value, ty: &Type, path: &mut Path) -> Result<Json, JsonError> {
    if !value.marks().is_empty() {
        return fail(path, "value has marks, so it cannot be serialized as JSON");
    }
    if !value.is_known() {
        return fail(path, "value is not known");
    }
    if *ty == Type::Dynamic {
        let own = value.ty();
        if own != Type::Dynamic {
            let mut wrapped = serde_json::Map::new();
            wrapped.insert("value".into(), encode(value, &own, path)?);
            wrapped.insert("type".into(), type_to_json(&own));
            return Ok(Json::Object(wrapped));
        }
    }
    match (value.kind(), ty) {
        (Kind::Null(_), _) => Ok(Json::Null),
        (Kind::Bool(b), Type::Bool) => Ok(Json::Bool(*b)),
        (Kind::Number(n), Type::Number) => encode_number(n, path),
        (Kind::String(s), Type::String) => Ok(Json::String(s.to_string())),
        (Kind::List(_, items), Type::List(t)) => encode_sequence(
            items
                .iter()
                .enumerate()
                .map(|(i, v)| (Value::number(i), v, &**t)),
            path,
        ),
        (Kind::Set(_, items), Type::Set(t)) => {
            encode_sequence(items.iter().map(|v| (v.clone(), v, &**t)), path)
        }
        (Kind::Tuple(items), Type::Tuple(types)) if items.len() == types.len() => encode_sequence(
            items
                .iter()
                .zip(types.iter())
                .enumerate()
                .map(|(i, (v, t))| (Value::number(i), v, t)),
            path,
        ),
        (Kind::Map(_, entries), Type::Map(t)) => {
            let mut out = serde_json::Map::with_capacity(entries.len());
            for (key, value) in entries.iter() {
                let step = Step::Index(Value::string(key));
                out.insert(
                    key.to_string(),
                    inside(step, path, |path| encode(value, t, path))?,
                );
            }
            Ok(Json::Object(out))
        }
        (Kind::Object(entries), Type::Object(o)) => {
            let mut out = serde_json::Map::with_capacity(o.attributes.len());
            for (key, ty) in &o.attributes {
                let Some(value) = entries.get(key) else {
                    return fail(path, format!("attribute {key:?} is missing"));
                };
                let step = Step::Attr(Arc::clone(key));
                out.insert(
                    key.to_string(),
                    inside(step, path, |path| encode(value, ty, path))?,
                );
            }
            Ok(Json::Object(out))
        }
        _ => fail(path, format!("{} is required", ty.friendly_name())),
    }
}

fn encode_number(n: &Number, path: &Path) -> Result<Json, JsonError> {
    if n.is_infinite() {
        return fail(path, "cannot serialize infinity as JSON");
    }
    match n.to_string().parse::<serde_json::Number>() {
        Ok(n) => Ok(Json::Number(n)),
        Err(e) => fail(path, format!("cannot serialize number: {e}")),
    }
}

fn encode_sequence<'a>(
    items: impl Iterator<Item = (Value, &'a Value, &'a Type)>,
    path: &mut Path,
) -> Result<Json, JsonError> {
    items
        .map(|(key, value, ty)| inside(Step::Index(key), path, |path| encode(value, ty, path)))
        .collect::<Result<Vec<_>, _>>()
        .map(Json::Array)
}

fn inside<T>(
    step: Step,
    path: &mut Path,
    work: impl FnOnce(&mut Path) -> Result<T, JsonError>,
) -> Result<T, JsonError> {
    path.0.push(step);
    let result = work(path);
    path.0.pop();
    result
}

/// Reads JSON as a value of the type. Numbers keep all their digits; attributes that are missing are null.
pub fn from_json(json: &Json, ty: &Type) -> Result<Value, JsonError> {
    decode(json, ty, &mut Path::root())
}

fn decode(json: &Json, ty: &Type, path: &mut Path) -> Result<Value, JsonError> {
    match (json, ty) {
        (Json::Null, _) => Ok(Value::null(ty.without_optional())),
        (_, Type::Dynamic) => decode_dynamic(json, path),
        (_, Type::Bool | Type::Number | Type::String) => decode_primitive(json, ty, path),
        (Json::Array(items), Type::List(t)) => {
            let items = items
                .iter()
                .enumerate()
                .map(|(i, v)| {
                    inside(Step::Index(Value::number(i)), path, |path| {
                        decode(v, t, path)
                    })
                })
                .collect::<Result<Vec<_>, _>>()?;
            same_type(
                Value::list(crate::access::common_type(t, items.iter()), items),
                path,
            )
        }
        (Json::Array(items), Type::Set(t)) => {
            let key = Value::unknown((**t).clone());
            let items = items
                .iter()
                .map(|v| inside(Step::Index(key.clone()), path, |path| decode(v, t, path)))
                .collect::<Result<Vec<_>, _>>()?;
            same_type(
                Value::set(crate::access::common_type(t, items.iter()), items),
                path,
            )
        }
        (Json::Array(items), Type::Tuple(types)) => {
            if items.len() != types.len() {
                let how = if items.len() > types.len() {
                    "too many"
                } else {
                    "not enough"
                };
                return fail(path, format!("{how} tuple elements (need {})", types.len()));
            }
            let decoded = items
                .iter()
                .zip(types.iter())
                .enumerate()
                .map(|(i, (v, t))| {
                    inside(Step::Index(Value::number(i)), path, |path| {
                        decode(v, t, path)
                    })
                });
            Ok(Value::tuple(decoded.collect::<Result<_, _>>()?))
        }
        (Json::Object(entries), Type::Map(t)) => {
            let mut out = BTreeMap::new();
            for (key, value) in entries {
                let step = Step::Index(Value::string(key));
                out.insert(
                    normal(key),
                    inside(step, path, |path| decode(value, t, path))?,
                );
            }
            same_type(
                Value::map(crate::access::common_type(t, out.values()), out),
                path,
            )
        }
        (Json::Object(entries), Type::Object(o)) => decode_object(entries, o, path),
        (_, Type::Map(_) | Type::Object(_)) => fail(path, "missing expected {"),
        (_, Type::List(_) | Type::Set(_) | Type::Tuple(_)) => fail(path, "missing expected ["),
    }
}

/// Keys are strings of the language, so they are normalised like all strings.
fn normal(key: &str) -> Arc<str> {
    match Value::string(key).into_kind() {
        Kind::String(s) => s,
        _ => key.into(),
    }
}

/// Elements written with their own types must agree.
fn same_type(collection: Value, path: &Path) -> Result<Value, JsonError> {
    let agree = |t: &Type, v: &Value| v.ty() == *t;
    let uniform = match collection.kind() {
        Kind::List(t, items) | Kind::Set(t, items) => items.iter().all(|v| agree(t, v)),
        Kind::Map(t, entries) => entries.values().all(|v| agree(t, v)),
        _ => true,
    };
    if uniform {
        Ok(collection)
    } else {
        fail(path, "elements of a collection must have one type")
    }
}

fn decode_object(
    entries: &serde_json::Map<String, Json>,
    ty: &ObjectType,
    path: &mut Path,
) -> Result<Value, JsonError> {
    let mut out = BTreeMap::new();
    for (key, value) in entries {
        let key = normal(key);
        let Some(ty) = ty.attributes.get(&key) else {
            return fail(path, format!("unsupported attribute {key:?}"));
        };
        let value = inside(Step::Attr(Arc::clone(&key)), path, |path| {
            decode(value, ty, path)
        })?;
        out.insert(key, value);
    }
    for (key, ty) in &ty.attributes {
        out.entry(Arc::clone(key))
            .or_insert_with(|| Value::null(ty.without_optional()));
    }
    Ok(Value::object(out))
}

fn decode_primitive(json: &Json, ty: &Type, path: &Path) -> Result<Value, JsonError> {
    match (json, ty) {
        (Json::Bool(b), Type::Bool) => Ok(Value::bool(*b)),
        (Json::String(s), Type::String) => Ok(Value::string(s)),
        (Json::Number(n), Type::String) => Ok(Value::string(n.to_string())),
        (Json::Bool(b), Type::String) => Ok(Value::string(if *b { "true" } else { "false" })),
        (Json::Number(n), Type::Number) => match Number::parse(&n.to_string()) {
            Some(n) => Ok(Value::number(n)),
            None => fail(path, "a number is required"),
        },
        (Json::String(s), Type::Number | Type::Bool) => match convert(&Value::string(s), ty) {
            Ok(value) => Ok(value),
            Err(e) => fail(path, e.message),
        },
        _ => fail(path, format!("{} is required", ty.friendly_name())),
    }
}

fn decode_dynamic(json: &Json, path: &mut Path) -> Result<Value, JsonError> {
    let Json::Object(entries) = json else {
        return fail(path, "missing expected {");
    };
    if let Some(key) = entries.keys().find(|k| *k != "type" && *k != "value") {
        return fail(
            path,
            format!("invalid key {key:?} in dynamically-typed value"),
        );
    }
    let Some(ty) = entries.get("type") else {
        return fail(path, "missing type in dynamically-typed value");
    };
    let Some(value) = entries.get("value") else {
        return fail(path, "missing value in dynamically-typed value");
    };
    let Some(ty) = type_from_json(ty) else {
        return fail(path, "failed to decode type for dynamic value");
    };
    decode(value, &ty, path)
}

/// Reads JSON as the value that it looks like: objects become objects, arrays tuples, nulls have no type.
pub fn from_json_implied(json: &Json) -> Result<Value, JsonError> {
    fn go(json: &Json, path: &mut Path) -> Result<Value, JsonError> {
        match json {
            Json::Null => Ok(Value::null(Type::Dynamic)),
            Json::Bool(b) => Ok(Value::bool(*b)),
            Json::Number(_) => decode_primitive(json, &Type::Number, path),
            Json::String(s) => Ok(Value::string(s)),
            Json::Array(items) => {
                let items = items
                    .iter()
                    .enumerate()
                    .map(|(i, v)| inside(Step::Index(Value::number(i)), path, |path| go(v, path)))
                    .collect::<Result<_, _>>()?;
                Ok(Value::tuple(items))
            }
            Json::Object(entries) => {
                let mut out = BTreeMap::new();
                for (key, value) in entries {
                    let key = normal(key);
                    let value = inside(Step::Attr(Arc::clone(&key)), path, |path| go(value, path))?;
                    out.insert(key, value);
                }
                Ok(Value::object(out))
            }
        }
    }
    go(json, &mut Path::root())
}

/// A type as JSON: `"string"`, `["list","string"]`, `["object",{…},["optional"]]`; `"dynamic"` for any.
pub fn type_to_json(ty: &Type) -> Json {
    let of = |name: &str, inner: Json| Json::Array(vec![Json::String(name.into()), inner]);
    match ty {
        Type::Dynamic => Json::String("dynamic".into()),
        Type::Bool => Json::String("bool".into()),
        Type::Number => Json::String("number".into()),
        Type::String => Json::String("string".into()),
        Type::List(t) => of("list", type_to_json(t)),
        Type::Set(t) => of("set", type_to_json(t)),
        Type::Map(t) => of("map", type_to_json(t)),
        Type::Tuple(types) => of(
            "tuple",
            Json::Array(types.iter().map(type_to_json).collect()),
        ),
        Type::Object(o) => {
            let attributes = o
                .attributes
                .iter()
                .map(|(k, t)| (k.to_string(), type_to_json(t)))
                .collect();
            let mut parts = vec![Json::String("object".into()), Json::Object(attributes)];
            if !o.optional.is_empty() {
                parts.push(Json::Array(
                    o.optional
                        .iter()
                        .map(|k| Json::String(k.to_string()))
                        .collect(),
                ));
            }
            Json::Array(parts)
        }
    }
}

/// Reads what [`type_to_json`] writes; `None` for anything else.
pub fn type_from_json(json: &Json) -> Option<Type> {
    match json {
        Json::String(name) => match name.as_str() {
            "dynamic" => Some(Type::Dynamic),
            "bool" => Some(Type::Bool),
            "number" => Some(Type::Number),
            "string" => Some(Type::String),
            _ => None,
        },
        Json::Array(parts) => match parts.as_slice() {
            [Json::String(name), inner] => match (name.as_str(), inner) {
                ("list", t) => Some(Type::list(type_from_json(t)?)),
                ("set", t) => Some(Type::set(type_from_json(t)?)),
                ("map", t) => Some(Type::map(type_from_json(t)?)),
                ("tuple", Json::Array(types)) => Some(Type::tuple(
                    types
                        .iter()
                        .map(type_from_json)
                        .collect::<Option<Vec<_>>>()?,
                )),
                ("object", Json::Object(attributes)) => object_from_json(attributes, &[]),
                _ => None,
            },
            [
                Json::String(name),
                Json::Object(attributes),
                Json::Array(optional),
            ] if name == "object" => object_from_json(attributes, optional),
            _ => None,
        },
        _ => None,
    }
}

fn object_from_json(attributes: &serde_json::Map<String, Json>, optional: &[Json]) -> Option<Type> {
    let attributes = attributes
        .iter()
        .map(|(k, t)| Some((normal(k), type_from_json(t)?)))
        .collect::<Option<BTreeMap<_, _>>>()?;
    let optional = optional
        .iter()
        .map(|k| {
            k.as_str()
                .map(normal)
                .filter(|k| attributes.contains_key(k))
        })
        .collect::<Option<_>>()?;
    Some(Type::Object(Arc::new(ObjectType {
        attributes,
        optional,
    })))
}

#[cfg(test)]
mod tests;
