//! JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7396).

use serde_json::{Map, Value};

/// Applies a JSON Patch; the error names the operation that failed.
pub(crate) fn json_patch(document: &Value, operations: &Value) -> Result<Value, String> {
    let operations = operations
        .as_array()
        .ok_or("a JSON patch must be an array of operations")?;
    let mut out = document.clone();
    for operation in operations {
        one(&mut out, operation)?;
    }
    Ok(out)
}

fn one(document: &mut Value, operation: &Value) -> Result<(), String> {
    let text = |name: &str| operation.get(name).and_then(Value::as_str);
    let kind = text("op").ok_or("Unexpected kind: unknown")?;
    let path = text("path").ok_or_else(|| format!("{kind} operation does not have a path"))?;
    let value = || {
        operation
            .get("value")
            .cloned()
            .ok_or_else(|| format!("{kind} operation for path {path:?} does not have a value"))
    };
    let from = || text("from").ok_or_else(|| format!("{kind} operation does not have a 'from'"));
    let missing = |path: &str| {
        format!("{kind} operation does not apply: doc is missing path: {path:?}: missing value")
    };
    match kind {
        "add" => insert(document, path, value()?).ok_or_else(|| missing(path)),
        "remove" => take(document, path)
            .map(drop)
            .ok_or_else(|| format!("Unable to remove nonexistent key: {path}: missing value")),
        "replace" => {
            let slot = document.pointer_mut(path).ok_or_else(|| {
                format!(
                    "replace operation does not apply: doc is missing key: {path}: missing value"
                )
            })?;
            *slot = value()?;
            Ok(())
        }
        "move" => {
            let moved = take(document, from()?).ok_or_else(|| missing(path))?;
            insert(document, path, moved).ok_or_else(|| missing(path))
        }
        "copy" => {
            let from = from()?;
            let copied = document
                .pointer(from)
                .cloned()
                .ok_or_else(|| missing(from))?;
            insert(document, path, copied).ok_or_else(|| missing(path))
        }
        "test" => {
            let wanted = operation.get("value").unwrap_or(&Value::Null);
            if document.pointer(path).unwrap_or(&Value::Null) == wanted {
                Ok(())
            } else {
                Err(format!("testing value {path} failed: test failed"))
            }
        }
        other => Err(format!("Unexpected kind: {other}")),
    }
}

fn split(path: &str) -> Option<(&str, String)> {
    let (parent, last) = path.rsplit_once('/')?;
    Some((parent, last.replace("~1", "/").replace("~0", "~")))
}

fn insert(document: &mut Value, path: &str, value: Value) -> Option<()> {
    if path.is_empty() {
        *document = value;
        return Some(());
    }
    let (parent, last) = split(path)?;
    match document.pointer_mut(parent)? {
        Value::Object(map) => {
            map.insert(last, value);
        }
        Value::Array(items) if last == "-" => items.push(value),
        Value::Array(items) => {
            let index: usize = last.parse().ok().filter(|i| *i <= items.len())?;
            items.insert(index, value);
        }
        _ => return None,
    }
    Some(())
}

fn take(document: &mut Value, path: &str) -> Option<Value> {
    let (parent, last) = split(path)?;
    match document.pointer_mut(parent)? {
        Value::Object(map) => map.shift_remove(&last),
        Value::Array(items) => {
            let index: usize = last.parse().ok().filter(|i| *i < items.len())?;
            Some(items.remove(index))
        }
        _ => None,
    }
}

/// Applies a JSON Merge Patch.
pub(crate) fn merge_patch(document: &Value, patch: &Value) -> Value {
    let Value::Object(changes) = patch else {
        return patch.clone();
    };
    let mut out = document.as_object().cloned().unwrap_or_else(Map::new);
    for (key, change) in changes {
        if change.is_null() {
            out.shift_remove(key);
        } else {
            let merged = merge_patch(out.get(key).unwrap_or(&Value::Null), change);
            out.insert(key.clone(), merged);
        }
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_patch_operations() {
        let doc = json!({"a": [1, 2], "m": {"x/y": 1}});
        let patch = json!([
            {"op": "test", "path": "/a/0", "value": 1}, {"op": "add", "path": "/a/1", "value": 9},
            {"op": "add", "path": "/a/-", "value": 3}, {"op": "remove", "path": "/m/x~1y"},
            {"op": "copy", "from": "/a/0", "path": "/c"}, {"op": "move", "from": "/c", "path": "/d"}
        ]);
        assert_eq!(
            json_patch(&doc, &patch).unwrap(),
            json!({"a": [1, 9, 2, 3], "m": {}, "d": 1})
        );
        for bad in [
            json!([{"op": "remove", "path": "/q"}]),
            json!([{"op": "test", "path": "/a/0", "value": 2}]),
            json!({}),
            json!([{"op": "add", "path": "/a/9", "value": 1}]),
        ] {
            assert!(json_patch(&doc, &bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn merge_patch_removes_nulls() {
        let out = merge_patch(
            &json!({"a": {"b": 1, "c": 2}, "l": [1]}),
            &json!({"a": {"b": null, "d": {"e": null}}, "l": [2]}),
        );
        assert_eq!(out, json!({"a": {"c": 2, "d": {}}, "l": [2]}));
    }
}
