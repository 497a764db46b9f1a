//! Short ways to the fields of an object in JSON.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// The value at a path of field names; `Null` where there is none.
pub(crate) fn at<'a>(object: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().fold(object, |value, field| {
        value.get(field).unwrap_or(&Value::Null)
    })
}

/// The text at a path; empty where there is none.
pub(crate) fn text<'a>(object: &'a Value, path: &[&str]) -> &'a str {
    at(object, path).as_str().unwrap_or_default()
}

pub(crate) fn integer(object: &Value, path: &[&str]) -> Option<i64> {
    at(object, path).as_i64()
}

pub(crate) fn list<'a>(object: &'a Value, path: &[&str]) -> &'a [Value] {
    at(object, path)
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// Sets the value at a path, making the objects on the way.
pub(crate) fn set(object: &mut Value, path: &[&str], value: Value) {
    match path {
        [] => *object = value,
        [field, rest @ ..] => {
            let inner = entry(object)
                .entry((*field).to_owned())
                .or_insert(Value::Null);
            set(inner, rest, value);
        }
    }
}

/// Removes the value at a path.
pub(crate) fn remove(object: &mut Value, path: &[&str]) -> Option<Value> {
    match path {
        [] => None,
        [field] => object.as_object_mut()?.shift_remove(*field),
        [field, rest @ ..] => remove(object.get_mut(*field)?, rest),
    }
}

/// The value as a map; what is not one becomes an empty one first.
pub(crate) fn entry(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("a value that was just made an object is one"),
    }
}

/// The value at a path as a map, made when it is not there.
pub(crate) fn map_at<'a>(object: &'a mut Value, path: &[&str]) -> &'a mut Map<String, Value> {
    match path {
        [] => entry(object),
        [field, rest @ ..] => map_at(
            entry(object)
                .entry((*field).to_owned())
                .or_insert(json!({})),
            rest,
        ),
    }
}

pub(crate) fn name(object: &Value) -> &str {
    text(object, &["metadata", "name"])
}

pub(crate) fn namespace(object: &Value) -> &str {
    text(object, &["metadata", "namespace"])
}

pub(crate) fn uid(object: &Value) -> &str {
    text(object, &["metadata", "uid"])
}

pub(crate) fn label<'a>(object: &'a Value, key: &str) -> &'a str {
    text(object, &["metadata", "labels", key])
}

pub(crate) fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    at(object, &["metadata", "annotations", key]).as_str()
}

pub(crate) fn labels(object: &Value) -> BTreeMap<String, String> {
    text_map(at(object, &["metadata", "labels"]))
}

/// A map of texts; other values are left out.
pub(crate) fn text_map(value: &Value) -> BTreeMap<String, String> {
    let entries = value.as_object().into_iter().flatten();
    entries
        .filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned())))
        .collect()
}

pub(crate) fn is_deleting(object: &Value) -> bool {
    !at(object, &["metadata", "deletionTimestamp"]).is_null()
}

pub(crate) fn finalizers(object: &Value) -> Vec<&str> {
    list(object, &["metadata", "finalizers"])
        .iter()
        .filter_map(Value::as_str)
        .collect()
}

/// The owner that is marked as the managing controller.
pub(crate) fn controller(object: &Value) -> Option<&Value> {
    list(object, &["metadata", "ownerReferences"])
        .iter()
        .find(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true))
}

/// Group and version of an `apiVersion`.
pub(crate) fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

pub(crate) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}

/// The condition of this type, of `status.conditions`.
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    list(object, &["status", "conditions"])
        .iter()
        .find(|c| c.get("type").and_then(Value::as_str) == Some(kind))
}

pub(crate) fn condition_is_true(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|c| text(c, &["status"]) == "True")
}

/// Sets a condition; its transition time moves only with its status. True when anything changed.
pub(crate) fn set_condition(
    object: &mut Value,
    kind: &str,
    status: bool,
    reason: &str,
    message: &str,
    now: &str,
) -> bool {
    let status = if status { "True" } else { "False" };
    let wanted = json!({"type": kind, "status": status, "lastTransitionTime": now,
        "reason": reason, "message": message});
    let status_object = map_at(object, &["status"]);
    let conditions = status_object.entry("conditions").or_insert(json!([]));
    let Some(conditions) = conditions.as_array_mut() else {
        return false;
    };
    match conditions.iter_mut().find(|c| text(c, &["type"]) == kind) {
        None => {
            conditions.push(wanted);
            true
        }
        Some(old) => {
            let same_status = text(old, &["status"]) == status;
            if same_status && text(old, &["reason"]) == reason && text(old, &["message"]) == message
            {
                return false;
            }
            let since = old.get("lastTransitionTime").cloned();
            let map = entry(old);
            map.insert("status".into(), status.into());
            map.insert("reason".into(), reason.into());
            map.insert("message".into(), message.into());
            let time = if same_status {
                since.unwrap_or(now.into())
            } else {
                now.into()
            };
            map.insert("lastTransitionTime".into(), time);
            true
        }
    }
}

/// Now, as Kubernetes writes times: UTC, seconds.
pub(crate) fn now() -> String {
    let now = jiff::Timestamp::now();
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A random suffix of five letters as Kubernetes generates names.
pub(crate) fn random_suffix(length: usize) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let bytes = uuid::Uuid::new_v4();
    let letters = bytes.as_bytes().iter().take(length);
    letters
        .filter_map(|b| {
            LETTERS
                .get(usize::from(*b) % LETTERS.len())
                .map(|l| char::from(*l))
        })
        .collect()
}
