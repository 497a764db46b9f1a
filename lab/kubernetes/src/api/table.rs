//! Answers as `Table` (what `kubectl get` prints) and as metadata only.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::object::{at, condition_is_true, integer, is_deleting, list, name, text};
use crate::resources::Resource;

/// A column: name, type, and the cell of an object.
type Column = (&'static str, &'static str, fn(&Value) -> Value);

pub(super) fn metadata_only(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": at(object, &["metadata"])})
}

pub(super) fn of(resource: &Resource, objects: &[Arc<Value>], metadata: Value) -> Value {
    let custom: Vec<&Value> = resource
        .custom
        .iter()
        .flat_map(|c| list(&c.columns, &[]))
        .collect();
    let fixed: &[Column] = columns(&resource.key);
    let mut definitions = vec![definition("Name", "string", "name")];
    definitions.extend(
        fixed
            .iter()
            .map(|(title, kind, _)| definition(title, kind, "")),
    );
    definitions.extend(
        custom
            .iter()
            .map(|c| definition(text(c, &["name"]), text(c, &["type"]), text(c, &["format"]))),
    );
    let ages = custom.iter().any(|c| text(c, &["name"]) == "Age");
    if !ages {
        let (title, kind) = if resource.custom.is_some() {
            ("Age", "date")
        } else {
            ("Age", "string")
        };
        definitions.push(definition(title, kind, ""));
    }
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let mut cells = vec![json!(name(object))];
            cells.extend(fixed.iter().map(|(_, _, cell)| cell(object)));
            cells.extend(custom.iter().map(|c| custom_cell(c, object)));
            if !ages {
                cells.push(age(object));
            }
            json!({"cells": cells, "object": metadata_only(object)})
        })
        .collect();
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": definitions, "rows": rows})
}

fn definition(title: &str, kind: &str, format: &str) -> Value {
    json!({"name": title, "type": kind, "format": format, "description": title, "priority": 0})
}

/// `.spec.a.b` and `.status.conditions[?(@.type=="Ready")].status`: what printer columns use.
fn custom_cell(column: &Value, object: &Value) -> Value {
    let path = text(column, &["jsonPath"]);
    let value = follow(object, path.trim_start_matches('.'));
    match (text(column, &["type"]), value) {
        (_, Value::Null) => Value::Null,
        ("date", Value::String(time)) => json!(elapsed(&time)),
        (_, value @ (Value::Object(_) | Value::Array(_))) => json!(value.to_string()),
        (_, value) => value,
    }
}

fn follow(value: &Value, path: &str) -> Value {
    if path.is_empty() {
        return value.clone();
    }
    let end = path.find(['.', '[']).unwrap_or(path.len());
    let (field, rest) = path.split_at(end);
    let inner = if field.is_empty() {
        value
    } else {
        value.get(field).unwrap_or(&Value::Null)
    };
    let Some(bracket) = rest.strip_prefix('[') else {
        return follow(inner, rest.trim_start_matches('.'));
    };
    let Some((selector, rest)) = bracket.split_once(']') else {
        return Value::Null;
    };
    let rest = rest.trim_start_matches('.');
    let item = if let Some(filter) = selector.strip_prefix("?(@.") {
        let filter = filter.trim_end_matches(')');
        let Some((key, wanted)) = filter.split_once("==") else {
            return Value::Null;
        };
        let wanted = wanted.trim().trim_matches(['"', '\'']);
        list(inner, &[])
            .iter()
            .find(|i| text(i, &[key.trim()]) == wanted)
    } else {
        selector.parse::<usize>().ok().and_then(|i| inner.get(i))
    };
    item.map_or(Value::Null, |i| follow(i, rest))
}

fn age(object: &Value) -> Value {
    match text(object, &["metadata", "creationTimestamp"]) {
        "" => json!("<unknown>"),
        time => json!(elapsed(time)),
    }
}

fn elapsed(time: &str) -> String {
    let Ok(then) = time.parse::<jiff::Timestamp>() else {
        return "<invalid>".to_owned();
    };
    let seconds = (jiff::Timestamp::now().as_second() - then.as_second()).max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn columns(key: &str) -> &'static [Column] {
    match key {
        "pods" => &[
            ("Ready", "string", pod_ready),
            ("Status", "string", pod_status),
            ("Restarts", "string", |_| json!("0")),
        ],
        "nodes" => &[
            ("Status", "string", |o| {
                json!(if condition_is_true(o, "Ready") {
                    "Ready"
                } else {
                    "NotReady"
                })
            }),
            ("Roles", "string", node_roles),
            ("Version", "string", |o| {
                at(o, &["status", "nodeInfo", "kubeletVersion"]).clone()
            }),
        ],
        "deployments.apps" => &[
            ("Ready", "string", |o| {
                ready(o, &["status", "readyReplicas"])
            }),
            ("Up-to-date", "integer", |o| count(o, "updatedReplicas")),
            ("Available", "integer", |o| count(o, "availableReplicas")),
        ],
        "statefulsets.apps" => &[("Ready", "string", |o| {
            ready(o, &["status", "readyReplicas"])
        })],
        "daemonsets.apps" => &[
            ("Desired", "integer", |o| count(o, "desiredNumberScheduled")),
            ("Current", "integer", |o| count(o, "currentNumberScheduled")),
            ("Ready", "integer", |o| count(o, "numberReady")),
        ],
        "services" => &[
            ("Type", "string", |o| at(o, &["spec", "type"]).clone()),
            ("Cluster-IP", "string", |o| {
                at(o, &["spec", "clusterIP"]).clone()
            }),
        ],
        "namespaces" => &[("Status", "string", |o| at(o, &["status", "phase"]).clone())],
        "configmaps" => &[("Data", "integer", data_count)],
        "secrets" => &[
            ("Type", "string", |o| at(o, &["type"]).clone()),
            ("Data", "integer", data_count),
        ],
        "persistentvolumeclaims" => &[
            ("Status", "string", |o| at(o, &["status", "phase"]).clone()),
            ("Volume", "string", |o| {
                at(o, &["spec", "volumeName"]).clone()
            }),
            ("Capacity", "string", |o| {
                at(o, &["status", "capacity", "storage"]).clone()
            }),
            ("StorageClass", "string", |o| {
                at(o, &["spec", "storageClassName"]).clone()
            }),
        ],
        _ => &[],
    }
}

fn count(object: &Value, field: &str) -> Value {
    json!(integer(object, &["status", field]).unwrap_or(0))
}

fn ready(object: &Value, path: &[&str]) -> Value {
    let wanted = integer(object, &["spec", "replicas"]).unwrap_or(0);
    json!(format!("{}/{wanted}", integer(object, path).unwrap_or(0)))
}

fn data_count(object: &Value) -> Value {
    let size = |field: &str| {
        at(object, &[field])
            .as_object()
            .map_or(0, serde_json::Map::len)
    };
    json!(size("data") + size("binaryData"))
}

fn pod_ready(pod: &Value) -> Value {
    let ready = list(pod, &["status", "containerStatuses"])
        .iter()
        .filter(|c| at(c, &["ready"]).as_bool() == Some(true));
    json!(format!(
        "{}/{}",
        ready.count(),
        list(pod, &["spec", "containers"]).len()
    ))
}

fn pod_status(pod: &Value) -> Value {
    if is_deleting(pod) {
        return json!("Terminating");
    }
    let waiting = list(pod, &["status", "containerStatuses"])
        .iter()
        .map(|c| text(c, &["state", "waiting", "reason"]));
    let reason = waiting.into_iter().find(|r| !r.is_empty());
    let phase = text(pod, &["status", "phase"]);
    json!(reason.unwrap_or(if phase == "Succeeded" {
        "Completed"
    } else {
        phase
    }))
}

fn node_roles(node: &Value) -> Value {
    let labels = crate::object::labels(node);
    let roles: Vec<&str> = labels
        .keys()
        .filter_map(|k| k.strip_prefix("node-role.kubernetes.io/"))
        .collect();
    json!(if roles.is_empty() {
        "<none>".to_owned()
    } else {
        roles.join(",")
    })
}
