//! Validation: custom resources against their OpenAPI schema, built-in objects for required fields.

use regex::Regex;
use serde_json::Value;

use super::{Kind, Schema};
use crate::error::Cause;
use crate::object::{list, text};

/// Checks a custom resource against its `openAPIV3Schema`. `apiVersion`, `kind` and `metadata` are checked elsewhere.
pub(crate) fn validate_custom(openapi: &Value, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    node(openapi, object, "", &mut causes);
    causes
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn node(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    if value.is_null() && schema.get("nullable").and_then(Value::as_bool) == Some(true) {
        return;
    }
    if !type_fits(schema, value) {
        let (wanted, found) = (text(schema, &["type"]), type_name(value));
        let detail = format!("{path} in body must be of type {wanted}: {found:?}");
        causes.push(Cause {
            reason: "FieldValueTypeInvalid",
            message: format!("Invalid value: {found:?}: {detail}"),
            field: if path.is_empty() {
                "<nil>".to_owned()
            } else {
                path.to_owned()
            },
        });
        return;
    }
    match value {
        Value::Object(_) => object(schema, value, path, causes),
        Value::Array(items) => array(schema, value, items, path, causes),
        Value::String(content) => string(schema, value, content, path, causes),
        Value::Number(_) => number(schema, value, path, causes),
        _ => {}
    }
    allowed_values(schema, value, path, causes);
    junctors(schema, value, path, causes);
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn type_fits(schema: &Value, value: &Value) -> bool {
    if schema
        .get("x-kubernetes-int-or-string")
        .and_then(Value::as_bool)
        == Some(true)
    {
        return matches!(type_name(value), "integer" | "string");
    }
    match text(schema, &["type"]) {
        "" => true,
        "number" => value.is_number(),
        "integer" => {
            value.as_i64().is_some()
                || value.as_u64().is_some()
                || value.as_f64().is_some_and(|f| f.fract() == 0.0)
        }
        wanted => wanted == type_name(value),
    }
}

fn object(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let Some(map) = value.as_object() else { return };
    for name in list(schema, &["required"]).iter().filter_map(Value::as_str) {
        if !map.contains_key(name) {
            causes.push(Cause::required(join(path, name), ""));
        }
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    let additional = schema.get("additionalProperties").filter(|a| a.is_object());
    for (name, inner) in map {
        let at_root =
            path.is_empty() && matches!(name.as_str(), "apiVersion" | "kind" | "metadata");
        if at_root {
            continue;
        }
        if let Some(property) = properties.and_then(|p| p.get(name)) {
            node(property, inner, &join(path, name), causes);
        } else if let Some(additional) = additional {
            node(additional, inner, &join(path, name), causes);
        }
    }
    count(
        schema,
        ("minProperties", "maxProperties"),
        map.len(),
        "properties",
        value,
        path,
        causes,
    );
}

fn array(schema: &Value, value: &Value, items: &[Value], path: &str, causes: &mut Vec<Cause>) {
    if let Some(inner) = schema.get("items") {
        for (index, item) in items.iter().enumerate() {
            node(inner, item, &format!("{path}[{index}]"), causes);
        }
    }
    count(
        schema,
        ("minItems", "maxItems"),
        items.len(),
        "items",
        value,
        path,
        causes,
    );
    match text(schema, &["x-kubernetes-list-type"]) {
        "set" => doubles(items.iter().cloned(), items, path, causes),
        "map" => {
            let keys = list(schema, &["x-kubernetes-list-map-keys"]);
            let identity = |item: &Value| -> Value {
                keys.iter()
                    .filter_map(Value::as_str)
                    .map(|k| item.get(k).cloned().unwrap_or(Value::Null))
                    .collect()
            };
            doubles(items.iter().map(identity), items, path, causes);
        }
        _ => {}
    }
}

fn doubles(
    identities: impl Iterator<Item = Value>,
    items: &[Value],
    path: &str,
    causes: &mut Vec<Cause>,
) {
    let mut seen = std::collections::HashSet::new();
    for (index, identity) in identities.enumerate() {
        if !seen.insert(identity.to_string()) {
            causes.push(Cause {
                reason: "FieldValueDuplicate",
                message: format!(
                    "Duplicate value: {}",
                    items.get(index).unwrap_or(&Value::Null)
                ),
                field: format!("{path}[{index}]"),
            });
        }
    }
}

fn count(
    schema: &Value,
    (least, most): (&str, &str),
    found: usize,
    what: &str,
    value: &Value,
    path: &str,
    causes: &mut Vec<Cause>,
) {
    let bound = |name: &str| {
        schema
            .get(name)
            .and_then(Value::as_u64)
            .and_then(|n| usize::try_from(n).ok())
    };
    if let Some(least) = bound(least).filter(|b| found < *b) {
        causes.push(Cause::invalid(
            path,
            value,
            &format!("{path} in body should have at least {least} {what}"),
        ));
    }
    if let Some(most) = bound(most).filter(|b| found > *b) {
        causes.push(Cause {
            reason: "FieldValueTooMany",
            message: format!("Too many: {found}: must have at most {most} {what}"),
            field: path.to_owned(),
        });
    }
}

fn string(schema: &Value, value: &Value, content: &str, path: &str, causes: &mut Vec<Cause>) {
    let length = content.chars().count();
    let bound = |name: &str| {
        schema
            .get(name)
            .and_then(Value::as_u64)
            .and_then(|n| usize::try_from(n).ok())
    };
    if let Some(least) = bound("minLength").filter(|b| length < *b) {
        causes.push(Cause::invalid(
            path,
            value,
            &format!("{path} in body should be at least {least} chars long"),
        ));
    }
    if let Some(most) = bound("maxLength").filter(|b| length > *b) {
        causes.push(Cause {
            reason: "FieldValueTooLong",
            message: format!("Too long: may not be more than {most} bytes"),
            field: path.to_owned(),
        });
    }
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
        && let Ok(regex) = Regex::new(pattern)
        && !regex.is_match(content)
    {
        causes.push(Cause::invalid(
            path,
            value,
            &format!("{path} in body should match '{pattern}'"),
        ));
    }
    let format = text(schema, &["format"]);
    let fits = match format {
        "date-time" => content.parse::<jiff::Timestamp>().is_ok(),
        "uuid" => uuid::Uuid::parse_str(content).is_ok(),
        "ipv4" => content.parse::<std::net::Ipv4Addr>().is_ok(),
        "ipv6" => content.parse::<std::net::Ipv6Addr>().is_ok(),
        _ => true,
    };
    if !fits {
        causes.push(Cause::invalid(
            path,
            value,
            &format!("{path} in body must be of type {format}: {value}"),
        ));
    }
}

fn number(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let Some(found) = value.as_f64() else { return };
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    let flag = |name: &str| schema.get(name).and_then(Value::as_bool).unwrap_or(false);
    if let Some(least) = bound("minimum") {
        let exclusive = flag("exclusiveMinimum");
        if found < least || exclusive && found <= least {
            let how = if exclusive {
                "greater than"
            } else {
                "greater than or equal to"
            };
            causes.push(Cause::invalid(
                path,
                value,
                &format!("{path} in body should be {how} {least}"),
            ));
        }
    }
    if let Some(most) = bound("maximum") {
        let exclusive = flag("exclusiveMaximum");
        if found > most || exclusive && found >= most {
            let how = if exclusive {
                "less than"
            } else {
                "less than or equal to"
            };
            causes.push(Cause::invalid(
                path,
                value,
                &format!("{path} in body should be {how} {most}"),
            ));
        }
    }
    if let Some(step) = bound("multipleOf").filter(|s| *s != 0.0)
        && (found / step).fract() != 0.0
    {
        causes.push(Cause::invalid(
            path,
            value,
            &format!("{path} in body should be a multiple of {step}"),
        ));
    }
}

fn allowed_values(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let allowed = list(schema, &["enum"]);
    if !allowed.is_empty() && !allowed.contains(value) {
        causes.push(Cause::unsupported(path, value, allowed));
    }
}

fn junctors(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let passes = |inner: &Value| {
        let mut found = Vec::new();
        node(inner, value, path, &mut found);
        found.is_empty()
    };
    for inner in list(schema, &["allOf"]) {
        node(inner, value, path, causes);
    }
    let any = list(schema, &["anyOf"]);
    if !any.is_empty() && !any.iter().any(passes) {
        causes.push(Cause::invalid(
            path,
            value,
            &format!("{path} in body must validate at least one schema (anyOf)"),
        ));
    }
    let one = list(schema, &["oneOf"]);
    let matching = one.iter().filter(|s| passes(s)).count();
    if !one.is_empty() && matching != 1 {
        let detail = format!(
            "{path:?} must validate one and only one schema (oneOf). Found {} valid",
            if matching == 0 {
                "none"
            } else {
                "more than one"
            }
        );
        causes.push(Cause::invalid(path, value, &detail));
    }
    if let Some(not) = schema.get("not").filter(|n| n.is_object())
        && passes(not)
    {
        causes.push(Cause::invalid(
            path,
            value,
            &format!("{path:?} must not validate the schema (not)"),
        ));
    }
}

/// Required fields that a built-in object lacks. Status is the controllers' own and not checked.
pub(crate) fn required_builtin(schema: &Schema, value: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let Some(map) = value.as_object() else {
        return causes;
    };
    for (name, inner) in map
        .iter()
        .filter(|(n, _)| !matches!(n.as_str(), "status" | "metadata"))
    {
        required(schema.field(name), inner, name, &mut causes);
    }
    own_required(schema, value, "", &mut causes);
    causes
}

fn own_required(schema: &Schema, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    if let Kind::Object(object) = &schema.kind {
        for name in &object.required {
            let missing = match value.get(name) {
                None | Some(Value::Null) => true,
                Some(Value::String(text)) => text.is_empty() && name == "name",
                Some(Value::Array(list)) => list.is_empty() && name == "containers",
                Some(_) => false,
            };
            if missing {
                causes.push(Cause::required(join(path, name), ""));
            }
        }
    }
}

fn required(schema: &Schema, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    match value {
        Value::Object(map) => {
            own_required(schema, value, path, causes);
            for (name, inner) in map {
                let inner_path = if schema.declares(name) {
                    join(path, name)
                } else {
                    format!("{path}[{name}]")
                };
                required(schema.field(name), inner, &inner_path, causes);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                required(schema.items(), item, &format!("{path}[{index}]"), causes);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn custom_resources_are_checked_as_the_published_validator_does() {
        let schema = json!({"type": "object", "required": ["spec"], "properties": {"spec": {"type": "object",
            "required": ["size"], "properties": {
                "size": {"type": "integer", "minimum": 1},
                "mode": {"type": "string", "enum": ["a", "b"]},
                "names": {"type": "array", "maxItems": 1, "items": {"type": "string", "pattern": "^[a-z]+$"}}}}}});
        let texts = |v: Value| -> Vec<String> {
            validate_custom(&schema, &v)
                .iter()
                .map(|c| format!("{}: {}", c.field, c.message))
                .collect()
        };
        assert_eq!(texts(json!({})), ["spec: Required value"]);
        assert_eq!(
            texts(json!({"spec": {"size": "x"}})),
            [
                "spec.size: Invalid value: \"string\": spec.size in body must be of type integer: \"string\""
            ]
        );
        assert_eq!(
            texts(json!({"spec": {"size": 0, "mode": "c", "names": ["A", "b"]}})).len(),
            4
        );
        assert!(texts(json!({"spec": {"size": 1, "mode": "a", "names": ["b"]}})).is_empty());
    }

    #[test]
    fn built_in_objects_need_their_required_fields() {
        let pod = super::super::builtin("core.v1.Pod");
        let causes = required_builtin(pod, &json!({"spec": {"containers": [{"image": "x"}]}}));
        assert_eq!(causes, vec![Cause::required("spec.containers[0].name", "")]);
    }
}
