//! JSON6902 patches as evanphx/json-patch applies them, with ghodss/yaml around.

use serde_json::Value as Json;

use super::PatchError;
use crate::machinery::schema::free_form;
use crate::machinery::value::{Fields, Value};
use crate::machinery::yaml::{Node, NodeKind, Style, emit, parse_documents, to_value};

/// One operation of a patch; its members are checked when it is applied, as upstream does.
#[derive(Clone, PartialEq)]
pub(crate) struct Operation(Fields);

impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {}",
            self.text("op").unwrap_or("unknown"),
            self.text("path").unwrap_or("unknown")
        )
    }
}

/// Parses a JSON list of operations.
pub(super) fn parse_json(text: &str) -> Result<Vec<Operation>, String> {
    let list: Vec<serde_json::Map<String, Json>> =
        serde_json::from_str(text).map_err(|e| e.to_string())?;
    Ok(list
        .into_iter()
        .map(|op| Operation(op.into_iter().map(|(k, v)| (k, from_json(v))).collect()))
        .collect())
}

/// Parses a YAML list of operations; `None` when the text is not one.
pub(super) fn parse_yaml(text: &str) -> Option<Vec<Operation>> {
    let documents = parse_documents(text).ok()?;
    let NodeKind::Seq(items) = &documents.first()?.kind else {
        return None;
    };
    items
        .iter()
        .map(|item| match to_value(item) {
            Ok(Value::Map(fields)) => Some(Operation(fields)),
            _ => None,
        })
        .collect()
}

fn from_json(json: Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(b),
        Json::Number(n) => {
            let text = n.to_string();
            match (text.parse::<i128>(), text.parse::<f64>()) {
                (Ok(i), _) => Value::Int(i),
                (_, Ok(x)) => Value::Float(x),
                _ => Value::Str(text),
            }
        }
        Json::String(s) => Value::Str(s),
        Json::Array(items) => Value::List(items.into_iter().map(from_json).collect()),
        Json::Object(map) => Value::Map(map.into_iter().map(|(k, v)| (k, from_json(v))).collect()),
    }
}

/// Applies the operations to a text of one document and writes it with sorted keys.
pub(super) fn apply(text: &str, operations: &[Operation]) -> Result<String, PatchError> {
    let documents = parse_documents(text)?;
    let [document] = documents.as_slice() else {
        return Err(PatchError::MultiDocument);
    };
    let mut root = json_value(document)?;
    for operation in operations {
        operation.apply(&mut root).map_err(PatchError::Json)?;
    }
    Ok(emit(&free_form(&root), Style::yaml_v2()))
}

/// YAMLToJSON: keys become text whatever they were.
fn json_value(node: &Node) -> Result<Value, PatchError> {
    match &node.kind {
        NodeKind::Map(pairs) => {
            let mut fields = Fields::new();
            for (key, value) in pairs {
                let name = key
                    .as_scalar()
                    .ok_or_else(|| PatchError::Yaml("unsupported map key".to_owned()))?;
                fields.insert(name.text.clone(), json_value(value)?);
            }
            Ok(Value::Map(fields))
        }
        NodeKind::Seq(items) => Ok(Value::List(
            items.iter().map(json_value).collect::<Result<_, _>>()?,
        )),
        NodeKind::Scalar(_) => Ok(to_value(node)?),
    }
}

const MISSING: &str = "missing value";

impl Operation {
    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(Value::as_str)
    }

    fn value(&self) -> Value {
        self.0.get("value").cloned().unwrap_or(Value::Null)
    }

    fn apply(&self, root: &mut Value) -> Result<(), String> {
        let op = self.text("op").unwrap_or("unknown");
        let need = |key: &str| {
            self.text(key).ok_or_else(|| format!("{op} operation failed to decode {key}: operation missing {key} field: {MISSING}"))
        };
        match op {
            "add" => {
                let path = need("path")?;
                let (target, key) = find(root, path).ok_or_else(|| {
                    format!(
                        "add operation does not apply: doc is missing path: \"{path}\": {MISSING}"
                    )
                })?;
                add(target, &key, self.value())
                    .map_err(|e| format!("error in add for path: '{path}': {e}"))
            }
            "remove" => {
                let path = need("path")?;
                let (target, key) = find(root, path)
                    .ok_or_else(|| format!("remove operation does not apply: doc is missing path: \"{path}\": {MISSING}"))?;
                remove(target, &key)
                    .map(drop)
                    .map_err(|e| format!("error in remove for path: '{path}': {e}"))
            }
            "replace" => {
                let path = need("path")?;
                let (target, key) = find(root, path).ok_or_else(|| {
                    format!(
                        "replace operation does not apply: doc is missing path: {path}: {MISSING}"
                    )
                })?;
                let slot = get_mut(target, &key).map_err(|_| {
                    format!(
                        "replace operation does not apply: doc is missing key: {path}: {MISSING}"
                    )
                })?;
                *slot = self.value();
                Ok(())
            }
            "move" | "copy" => self.transfer(root, op, need("from")?, need("path")?),
            "test" => {
                let path = need("path")?;
                let (target, key) = find(root, path).ok_or_else(|| {
                    format!("test operation does not apply: is missing path: {path}: {MISSING}")
                })?;
                let have = get_mut(target, &key).map(|v| v.clone());
                let same = match have {
                    Ok(have) => equal(&have, &self.value()),
                    Err(_) => self.0.get("value").is_some_and(|v| *v == Value::Null),
                };
                if same {
                    Ok(())
                } else {
                    Err(format!("testing value {path} failed: test failed"))
                }
            }
            other => Err(format!("Unexpected kind: {other}")),
        }
    }

    fn transfer(&self, root: &mut Value, op: &str, from: &str, path: &str) -> Result<(), String> {
        let (source, key) = find(root, from).ok_or_else(|| {
            format!("{op} operation does not apply: doc is missing from path: {from}: {MISSING}")
        })?;
        let value = if op == "move" {
            remove(source, &key).map_err(|e| format!("error in move for path: '{key}': {e}"))?
        } else {
            get_mut(source, &key)
                .map_err(|e| format!("error in copy for from: '{from}': {e}"))?
                .clone()
        };
        let (target, key) = find(root, path).ok_or_else(|| {
            format!(
                "{op} operation does not apply: doc is missing destination path: {path}: {MISSING}"
            )
        })?;
        add(target, &key, value).map_err(|e| format!("error in {op} for path: '{path}': {e}"))
    }
}

/// The container a pointer leads into, with the last key.
fn find<'a>(root: &'a mut Value, path: &str) -> Option<(&'a mut Value, String)> {
    let mut parts = path
        .split('/')
        .skip(1)
        .map(|p| p.replace("~1", "/").replace("~0", "~"));
    let mut key = parts.next()?;
    let mut at = root;
    for next in parts {
        at = get_mut(at, &key).ok()?;
        key = next;
    }
    matches!(at, Value::Map(_) | Value::List(_)).then_some((at, key))
}

fn index(key: &str, length: usize, what: &str) -> Result<usize, String> {
    let invalid = |i: i64| format!("Unable to access invalid index: {i}: invalid index referenced");
    let i: i64 = key
        .parse()
        .map_err(|_| format!("{what}strconv.Atoi: parsing {key:?}: invalid syntax"))?;
    let bound = i64::try_from(length).map_err(|_| invalid(i))?;
    // Negative indices count from the end.
    let absolute = if i < 0 { i + bound } else { i };
    if (0..bound).contains(&absolute) {
        usize::try_from(absolute).map_err(|_| invalid(i))
    } else {
        Err(invalid(i))
    }
}

fn get_mut<'a>(target: &'a mut Value, key: &str) -> Result<&'a mut Value, String> {
    match target {
        Value::Map(fields) => fields
            .get_mut(key)
            .ok_or_else(|| format!("unable to get nonexistent key: {key}: {MISSING}")),
        Value::List(items) => {
            let at = index(key, items.len(), "")?;
            items.get_mut(at).ok_or_else(|| MISSING.to_owned())
        }
        _ => Err(MISSING.to_owned()),
    }
}

fn add(target: &mut Value, key: &str, value: Value) -> Result<(), String> {
    match target {
        Value::Map(fields) => {
            fields.insert(key.to_owned(), value);
        }
        Value::List(items) if key == "-" => items.push(value),
        Value::List(items) => {
            let at = index(
                key,
                items.len() + 1,
                &format!("value was not a proper array index: '{key}': "),
            )?;
            items.insert(at, value);
        }
        _ => return Err(MISSING.to_owned()),
    }
    Ok(())
}

fn remove(target: &mut Value, key: &str) -> Result<Value, String> {
    match target {
        Value::Map(fields) => fields
            .shift_remove(key)
            .ok_or_else(|| format!("Unable to remove nonexistent key: {key}: {MISSING}")),
        Value::List(items) => {
            let at = index(key, items.len(), "")?;
            Ok(items.remove(at))
        }
        _ => Err(MISSING.to_owned()),
    }
}

/// Equality that knows no order of keys.
fn equal(a: &Value, b: &Value) -> bool {
    free_form(a) == free_form(b)
}
