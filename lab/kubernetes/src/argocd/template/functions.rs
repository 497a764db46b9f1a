//! The functions of templates: Go's own and those of the Sprig library that ApplicationSets commonly use.

use serde_json::Value;

/// A value as text.
pub(super) fn print(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "<no value>".to_owned(),
        Value::Array(items) => format!(
            "[{}]",
            items.iter().map(print).collect::<Vec<_>>().join(" ")
        ),
        Value::Object(map) => {
            let sorted: std::collections::BTreeMap<&String, &Value> = map.iter().collect();
            let parts: Vec<String> = sorted
                .into_iter()
                .map(|(k, v)| format!("{k}:{}", print(v)))
                .collect();
            format!("map[{}]", parts.join(" "))
        }
        other => other.to_string(),
    }
}

/// Whether a value counts as true: neither zero nor empty.
pub(super) fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(b) => *b,
        Value::Number(n) => n.as_f64() != Some(0.0),
        Value::String(s) => !s.is_empty(),
        Value::Array(a) => !a.is_empty(),
        Value::Object(o) => !o.is_empty(),
    }
}

pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

fn words(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(print).collect()
}

fn text(value: &Value) -> String {
    if value.is_null() {
        String::new()
    } else {
        print(value)
    }
}

pub(super) fn call(name: &str, arguments: &[Value]) -> Result<Value, String> {
    let wrong = || {
        Err(format!(
            "wrong number of args for {name}: got {}",
            arguments.len()
        ))
    };
    Ok(match (name, arguments) {
        ("index", [value, keys @ ..]) => index(value, keys)?,
        ("default", [fallback, value]) => {
            if truth(value) {
                value.clone()
            } else {
                fallback.clone()
            }
        }
        ("coalesce", values) => values
            .iter()
            .find(|v| truth(v))
            .cloned()
            .unwrap_or(Value::Null),
        ("ternary", [yes, no, condition]) => {
            if truth(condition) {
                yes.clone()
            } else {
                no.clone()
            }
        }
        ("empty", [value]) => (!truth(value)).into(),
        ("required", [message, value]) => {
            if truth(value) || matches!(value, Value::Bool(_) | Value::Number(_)) {
                value.clone()
            } else {
                return Err(text(message));
            }
        }
        ("lower", [v]) => text(v).to_lowercase().into(),
        ("upper", [v]) => text(v).to_uppercase().into(),
        ("title", [v]) => title(&text(v)).into(),
        ("trim", [v]) => text(v).trim().into(),
        ("trimPrefix", [prefix, v]) => text(v)
            .strip_prefix(&text(prefix))
            .map_or_else(|| text(v), str::to_owned)
            .into(),
        ("trimSuffix", [suffix, v]) => text(v)
            .strip_suffix(&text(suffix))
            .map_or_else(|| text(v), str::to_owned)
            .into(),
        ("trimAll", [set, v]) => text(v).trim_matches(|c| text(set).contains(c)).into(),
        ("replace", [old, new, v]) => text(v).replace(&text(old), &text(new)).into(),
        ("contains", [part, v]) => text(v).contains(&text(part)).into(),
        ("hasPrefix", [part, v]) => text(v).starts_with(&text(part)).into(),
        ("hasSuffix", [part, v]) => text(v).ends_with(&text(part)).into(),
        ("trunc", [length, v]) => truncate(length.as_i64().unwrap_or(0), &text(v)).into(),
        ("quote", [v]) => Value::String(text(v)).to_string().into(),
        ("squote", [v]) => format!("'{}'", text(v)).into(),
        ("split", [separator, v]) => {
            let parts = text(v)
                .split(&text(separator))
                .enumerate()
                .map(|(i, p)| (format!("_{i}"), p.into()))
                .collect();
            Value::Object(parts)
        }
        ("splitList", [separator, v]) => text(v).split(&text(separator)).map(Value::from).collect(),
        ("join", [separator, v]) => words(v).join(&text(separator)).into(),
        ("first", [Value::Array(items)]) => items.first().cloned().unwrap_or(Value::Null),
        ("last", [Value::Array(items)]) => items.last().cloned().unwrap_or(Value::Null),
        ("has", [item, Value::Array(items)]) => items.contains(item).into(),
        ("list", items) => items.to_vec().into(),
        ("dict", items) => items
            .chunks(2)
            .map(|c| {
                (
                    c.first().map(text).unwrap_or_default(),
                    c.get(1).cloned().unwrap_or(Value::Null),
                )
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        ("hasKey", [Value::Object(map), key]) => map.contains_key(&text(key)).into(),
        ("get", [Value::Object(map), key]) => {
            map.get(&text(key)).cloned().unwrap_or_else(|| "".into())
        }
        ("len", [value]) => match value {
            Value::String(s) => s.len().into(),
            Value::Array(a) => a.len().into(),
            Value::Object(o) => o.len().into(),
            other => {
                return Err(format!(
                    "error calling len: len of type {}",
                    type_name(other)
                ));
            }
        },
        ("eq", [first, rest @ ..]) if !rest.is_empty() => rest.iter().any(|r| r == first).into(),
        ("ne", [a, b]) => (a != b).into(),
        ("lt", [a, b]) => compare(a, b)?.is_lt().into(),
        ("le", [a, b]) => compare(a, b)?.is_le().into(),
        ("gt", [a, b]) => compare(a, b)?.is_gt().into(),
        ("ge", [a, b]) => compare(a, b)?.is_ge().into(),
        ("not", [v]) => (!truth(v)).into(),
        ("and", values @ [.., last]) => values.iter().find(|v| !truth(v)).unwrap_or(last).clone(),
        ("or", values @ [.., last]) => values.iter().find(|v| truth(v)).unwrap_or(last).clone(),
        ("add", values) => values.iter().filter_map(int).sum::<i64>().into(),
        ("sub", [a, b]) => int(a)
            .unwrap_or(0)
            .saturating_sub(int(b).unwrap_or(0))
            .into(),
        ("int" | "int64" | "atoi", [v]) => int(v).unwrap_or(0).into(),
        ("toString" | "print", [v]) => text(v).into(),
        ("toJson", [v]) => v.to_string().into(),
        // JSON is YAML.
        ("toYaml", [v]) => {
            if v.is_string() {
                text(v).into()
            } else {
                v.to_string().into()
            }
        }
        ("fromJson" | "fromYaml", [v]) => {
            crate::yaml::document(&text(v)).map_err(|e| format!("error calling {name}: {e}"))?
        }
        ("printf", [format, rest @ ..]) => printf(&text(format), rest).into(),
        ("normalize", [v]) => normalize(&text(v)).into(),
        ("slugify", [v]) => normalize(&text(v)).into(),
        ("b64enc", [v]) => {
            use base64::Engine;
            base64::engine::general_purpose::STANDARD
                .encode(text(v))
                .into()
        }
        (
            "index" | "default" | "ternary" | "lower" | "upper" | "replace" | "eq" | "ne" | "not"
            | "len" | "printf" | "trim" | "join",
            _,
        ) => return wrong(),
        _ => return Err(format!("function {name:?} not defined")),
    })
}

fn int(value: &Value) -> Option<i64> {
    value
        .as_i64()
        .or_else(|| value.as_str().and_then(|s| s.parse().ok()))
}

fn index(value: &Value, keys: &[Value]) -> Result<Value, String> {
    let mut current = value;
    for key in keys {
        current = match (current, key) {
            (Value::Array(items), Value::Number(n)) => {
                let position = n.as_i64().and_then(|n| usize::try_from(n).ok());
                position.and_then(|p| items.get(p)).ok_or_else(|| {
                    format!("error calling index: reflect: slice index out of range: {n}")
                })?
            }
            (Value::Object(map), Value::String(name)) => map.get(name).unwrap_or(&Value::Null),
            (other, _) => {
                return Err(format!(
                    "error calling index: can't index item of type {}",
                    type_name(other)
                ));
            }
        };
    }
    Ok(current.clone())
}

fn compare(a: &Value, b: &Value) -> Result<std::cmp::Ordering, String> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a
            .as_f64()
            .partial_cmp(&b.as_f64())
            .ok_or_else(|| "incompatible types for comparison".to_owned()),
        (Value::String(a), Value::String(b)) => Ok(a.cmp(b)),
        _ => Err("incompatible types for comparison".to_owned()),
    }
}

fn title(text: &str) -> String {
    let word = |w: &str| {
        let mut chars = w.chars();
        chars
            .next()
            .map(|c| c.to_uppercase().chain(chars).collect::<String>())
            .unwrap_or_default()
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn truncate(length: i64, text: &str) -> String {
    let count = usize::try_from(length.unsigned_abs()).unwrap_or(usize::MAX);
    if length >= 0 {
        text.chars().take(count).collect()
    } else {
        let skip = text.chars().count().saturating_sub(count);
        text.chars().skip(skip).collect()
    }
}

fn printf(format: &str, values: &[Value]) -> String {
    let mut out = String::new();
    let mut values = values.iter();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('%') => out.push('%'),
            Some('q') => out.push_str(
                &values
                    .next()
                    .map(|v| Value::String(text(v)).to_string())
                    .unwrap_or_default(),
            ),
            Some('s' | 'd' | 'v' | 't') => out.push_str(
                &values
                    .next()
                    .map(print)
                    .unwrap_or_else(|| "%!(MISSING)".to_owned()),
            ),
            Some(other) => {
                out.push('%');
                out.push(other);
            }
            None => out.push('%'),
        }
    }
    out
}

/// A name as DNS takes it: lower case, everything else a dash, at most 253 characters.
pub(crate) fn normalize(text: &str) -> String {
    let mapped: String = text
        .to_lowercase()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '.') {
                c
            } else {
                '-'
            }
        })
        .take(253)
        .collect();
    mapped.trim_matches(['-', '.']).to_owned()
}
