//! Strategic merge patches: a merge patch that knows the lists' merge keys (published in the API description).

use serde_json::{Map, Value};

use crate::schema::{Field, Kind, Patch, Schema, any};

/// Applies a strategic merge patch to a built-in object.
pub(crate) fn strategic_patch(
    schema: &Schema,
    document: &Value,
    patch: &Value,
) -> Result<Value, String> {
    let base = document.as_object().cloned().unwrap_or_default();
    let changes = patch
        .as_object()
        .ok_or("a strategic merge patch must be an object")?;
    object(schema, base, changes).map(|o| o.map_or(Value::Null, Value::Object))
}

fn field<'a>(schema: &'a Schema, name: &str) -> (&'a Schema, Patch) {
    match &schema.kind {
        Kind::Object(o) => match o.properties.get(name) {
            Some(Field { schema, patch, .. }) => (schema.get(), patch.clone()),
            None => (
                o.additional.as_ref().map_or(any(), |a| a.get()),
                Patch::default(),
            ),
        },
        _ => (any(), Patch::default()),
    }
}

/// `None`: the object is to be deleted.
fn object(
    schema: &Schema,
    mut base: Map<String, Value>,
    changes: &Map<String, Value>,
) -> Result<Option<Map<String, Value>>, String> {
    match changes.get("$patch").and_then(Value::as_str) {
        Some("delete") => return Ok(None),
        Some("replace") => {
            let mut replaced = changes.clone();
            replaced.shift_remove("$patch");
            return Ok(Some(replaced));
        }
        Some("merge") | None => {}
        Some(other) => return Err(format!("Unknown patch type found: {other}")),
    }
    if let Some(Value::Array(retained)) = changes.get("$retainKeys") {
        base.retain(|key, _| retained.iter().any(|r| r.as_str() == Some(key)));
    }
    for (key, change) in changes {
        if matches!(key.as_str(), "$patch" | "$retainKeys") {
            continue;
        }
        if let Some(name) = key.strip_prefix("$deleteFromPrimitiveList/") {
            delete_primitives(&mut base, name, change);
            continue;
        }
        if key.starts_with("$setElementOrder/") {
            continue;
        }
        let (inner, how) = field(schema, key);
        match change {
            Value::Null => {
                base.shift_remove(key);
            }
            Value::Object(map) => {
                let before = match base.get(key) {
                    Some(Value::Object(before)) => before.clone(),
                    _ => Map::new(),
                };
                match object(inner, before, map)? {
                    Some(merged) => base.insert(key.clone(), Value::Object(merged)),
                    None => base.shift_remove(key),
                };
            }
            Value::Array(items) if how.merge => {
                let before = match base.get(key) {
                    Some(Value::Array(before)) => before.clone(),
                    _ => Vec::new(),
                };
                let merged = list(inner, &how, before, items)?;
                base.insert(key.clone(), Value::Array(merged));
            }
            other => {
                base.insert(key.clone(), other.clone());
            }
        }
    }
    for (key, order) in changes {
        if let Some(name) = key.strip_prefix("$setElementOrder/") {
            let (_, how) = field(schema, name);
            set_order(&mut base, name, how.merge_key.as_deref(), order);
        }
    }
    Ok(Some(base))
}

fn delete_primitives(base: &mut Map<String, Value>, name: &str, change: &Value) {
    let gone = change.as_array().map(Vec::as_slice).unwrap_or_default();
    if let Some(Value::Array(items)) = base.get_mut(name) {
        items.retain(|item| !gone.contains(item));
    }
}

fn list(
    schema: &Schema,
    how: &Patch,
    mut base: Vec<Value>,
    changes: &[Value],
) -> Result<Vec<Value>, String> {
    if changes
        .iter()
        .any(|c| c.get("$patch").and_then(Value::as_str) == Some("replace"))
    {
        let kept = changes.iter().filter(|c| c.get("$patch").is_none());
        return Ok(kept.cloned().collect());
    }
    let Some(key) = &how.merge_key else {
        for change in changes
            .iter()
            .filter(|c| !base.contains(c))
            .cloned()
            .collect::<Vec<_>>()
        {
            base.push(change);
        }
        return Ok(base);
    };
    for change in changes {
        let Value::Object(map) = change else {
            return Err(format!("expected an object in a list merged by {key}"));
        };
        let identity = map
            .get(key)
            .ok_or_else(|| format!("map: {change} does not contain declared merge key: {key}"))?;
        let position = base.iter().position(|item| item.get(key) == Some(identity));
        let before = position
            .and_then(|p| base.get(p))
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        let merged = object(schema.items(), before, map)?;
        match (position, merged) {
            (Some(p), Some(merged)) => {
                if let Some(slot) = base.get_mut(p) {
                    *slot = Value::Object(merged);
                }
            }
            (Some(p), None) => drop(base.remove(p)),
            (None, Some(merged)) => base.push(Value::Object(merged)),
            (None, None) => {}
        }
    }
    Ok(base)
}

fn set_order(base: &mut Map<String, Value>, name: &str, key: Option<&str>, order: &Value) {
    let order = order.as_array().map(Vec::as_slice).unwrap_or_default();
    if let Some(Value::Array(items)) = base.get_mut(name) {
        let rank = |item: &Value| {
            let found = order.iter().position(|o| match key {
                Some(key) => o.get(key) == item.get(key),
                None => o == item,
            });
            found.unwrap_or(order.len())
        };
        items.sort_by_key(rank);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::builtin;
    use serde_json::json;

    #[test]
    fn lists_merge_by_their_keys_and_directives_work() {
        let live = json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}], "tolerations": [{"key": "x"}]}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}});
        let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "b", "image": "2"}, {"name": "a", "$patch": "delete"}, {"name": "c"}], "tolerations": [{"key": "y"}]}},
            "strategy": {"$retainKeys": ["type"], "type": "Recreate"}}});
        let out = strategic_patch(builtin("apps.v1.Deployment"), &live, &patch).unwrap();
        assert_eq!(
            out,
            json!({"spec": {"template": {"spec": {"containers": [{"name": "b", "image": "2"}, {"name": "c"}], "tolerations": [{"key": "y"}]}},
            "strategy": {"type": "Recreate"}}})
        );
        assert!(
            strategic_patch(
                builtin("apps.v1.Deployment"),
                &live,
                &json!({"spec": {"template": {"spec": {"containers": [{"image": "x"}]}}}})
            )
            .is_err()
        );
    }
}
