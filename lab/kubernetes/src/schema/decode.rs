//! Decoding: what the server keeps of a body, what it refuses, and the defaults it fills in.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::{Kind, Object, Schema, quantity};

/// A body as the server understands it.
pub(crate) struct Decoded {
    pub(crate) value: Value,
    /// Paths of fields that the type does not have, such as `spec.foo`; they are dropped.
    pub(crate) unknown: Vec<String>,
}

/// Decodes a body into a built-in type. The error is the decoder's own text.
pub(crate) fn decode_builtin(schema: &Schema, value: Value) -> Result<Decoded, String> {
    let mut decoder = Decoder {
        unknown: Vec::new(),
        builtin: true,
    };
    let value = decoder.value(schema, value, "", &schema.name)?;
    Ok(Decoded {
        value: value.unwrap_or(Value::Null),
        unknown: decoder.unknown,
    })
}

/// Drops what a custom resource's schema does not know. Types are checked later, by validation.
pub(crate) fn prune_custom(schema: &Schema, value: Value) -> Result<Decoded, String> {
    let mut decoder = Decoder {
        unknown: Vec::new(),
        builtin: false,
    };
    let value = decoder.value(schema, value, "", "")?;
    Ok(Decoded {
        value: value.unwrap_or(Value::Null),
        unknown: decoder.unknown,
    })
}

struct Decoder {
    unknown: Vec<String>,
    builtin: bool,
}

impl Decoder {
    /// `None`: the value is dropped (null in a built-in type).
    fn value(
        &mut self,
        schema: &Schema,
        value: Value,
        path: &str,
        go: &str,
    ) -> Result<Option<Value>, String> {
        if value.is_null() {
            return Ok(if self.builtin && !matches!(schema.kind, Kind::Any) {
                None
            } else {
                Some(value)
            });
        }
        match (&schema.kind, value) {
            (Kind::Object(object), Value::Object(map)) => {
                self.object(schema, object, map, path).map(Some)
            }
            (Kind::Array { items, .. }, Value::Array(list)) => {
                let mut out = Vec::with_capacity(list.len());
                for (index, item) in list.into_iter().enumerate() {
                    let item = self.value(items.get(), item, &format!("{path}[{index}]"), go)?;
                    out.push(item.unwrap_or(Value::Null));
                }
                Ok(Some(Value::Array(out)))
            }
            (_, value) if self.builtin => scalar(schema, value, path, go).map(Some),
            (_, value) => Ok(Some(value)),
        }
    }

    fn object(
        &mut self,
        schema: &Schema,
        object: &Object,
        map: Map<String, Value>,
        path: &str,
    ) -> Result<Value, String> {
        let mut out = Map::with_capacity(map.len());
        for (key, value) in map {
            let inner = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            if let Some(field) = object.properties.get(&key) {
                let go = if schema.name.is_empty() {
                    "map"
                } else {
                    &schema.name
                };
                if let Some(value) = self.value(field.schema.get(), value, &inner, go)? {
                    out.insert(key, value);
                }
            } else if let Some(additional) = &object.additional {
                let kept = self.value(additional.get(), value, &inner, &schema.name)?;
                // A null in a map of texts is the empty text.
                let kept = kept.unwrap_or_else(|| Value::String(String::new()));
                out.insert(key, kept);
            } else if schema.preserve
                || schema.embedded && matches!(key.as_str(), "apiVersion" | "kind" | "metadata")
            {
                out.insert(key, value);
            } else {
                self.unknown.push(inner);
            }
        }
        Ok(Value::Object(out))
    }
}

fn scalar(schema: &Schema, value: Value, path: &str, go: &str) -> Result<Value, String> {
    let wrong = |wanted: &str| {
        let found = match &value {
            Value::String(_) => "string",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::Array(_) => "array",
            _ => "object",
        };
        Err(format!(
            "json: cannot unmarshal {found} into Go struct field {go}.{path} of type {wanted}"
        ))
    };
    match (&schema.kind, &value) {
        (Kind::Any, _)
        | (Kind::String, Value::String(_))
        | (Kind::Boolean, Value::Bool(_))
        | (Kind::Number, Value::Number(_)) => Ok(value),
        (Kind::Integer, Value::Number(n)) if n.as_i64().is_some() || n.as_u64().is_some() => {
            Ok(value)
        }
        (Kind::IntOrString, Value::String(_)) => Ok(value),
        (Kind::IntOrString, Value::Number(n)) if n.as_i64().is_some() => Ok(value),
        (Kind::Quantity, Value::String(_) | Value::Number(_)) => {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            quantity::canonical(&text).map(Value::String).ok_or_else(|| {
                "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'".to_owned()
            })
        }
        (Kind::Bytes, Value::String(text)) => match STANDARD.decode(text.replace(['\n', '\r'], ""))
        {
            Ok(bytes) => Ok(Value::String(STANDARD.encode(bytes))),
            Err(_) => Err(format!(
                "illegal base64 data at input byte {}",
                bad_byte(text)
            )),
        },
        (Kind::Time, Value::String(text)) => match text.parse::<jiff::Timestamp>() {
            Ok(_) => Ok(value),
            Err(_) => Err(format!(
                "parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {text:?} as \"2006\""
            )),
        },
        (Kind::Integer, _) => wrong("int32"),
        (Kind::Number, _) => wrong("float64"),
        (Kind::Boolean, _) => wrong("bool"),
        (Kind::IntOrString, _) => wrong("intstr.IntOrString"),
        (Kind::Bytes, _) => wrong("[]uint8"),
        (Kind::Array { .. }, _) => wrong("[]interface {}"),
        (Kind::Object(_), _) => wrong(if schema.name.is_empty() {
            "map[string]string"
        } else {
            &schema.name
        }),
        (Kind::String | Kind::Time | Kind::Quantity, _) => wrong("string"),
    }
}

fn bad_byte(text: &str) -> usize {
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    text.find(|c: char| !is_base64(c))
        .unwrap_or(text.len().saturating_sub(1))
}

impl Schema {
    /// Fills in the defaults of fields that are not given, in whatever is there.
    pub(crate) fn fill_defaults(&self, value: &mut Value) {
        match (&self.kind, value) {
            (Kind::Object(object), Value::Object(map)) => {
                for (name, field) in &object.properties {
                    if let Some(default) = &field.default {
                        let pruned = !field.schema.get().nullable
                            && map.get(name).is_some_and(Value::is_null);
                        if pruned || !map.contains_key(name) {
                            map.insert(name.clone(), default.clone());
                        }
                    }
                    if let Some(inner) = map.get_mut(name) {
                        field.schema.get().fill_defaults(inner);
                    }
                }
                if let Some(additional) = &object.additional {
                    for (key, inner) in map.iter_mut() {
                        if !object.properties.contains_key(key) {
                            additional.get().fill_defaults(inner);
                        }
                    }
                }
            }
            (Kind::Array { items, .. }, Value::Array(list)) => {
                list.iter_mut()
                    .for_each(|item| items.get().fill_defaults(item));
            }
            _ => {}
        }
    }
}
