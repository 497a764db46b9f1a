//! Services: which exist, whether they run and start at boot.

use serde_json::{Value, json};

use crate::error::{ENOENT, Failure};
use crate::query::query;
use crate::state::{Service, State};
use crate::system::System;

type Outcome = Result<Value, Failure>;

/// Ids and names, as the appliance numbers them.
const SERVICES: &[(i64, &str)] = &[
    (4, "cifs"),
    (6, "ftp"),
    (7, "iscsitarget"),
    (9, "nfs"),
    (10, "snmp"),
    (11, "ssh"),
    (14, "ups"),
    (25, "nvmet"),
];

fn entry(state: &State, id: i64, name: &str) -> Value {
    let service = state.services.get(name);
    let running = service.is_some_and(|s| s.running);
    json!({"id": id, "service": name, "enable": service.is_some_and(|s| s.enabled), "state": if running { "RUNNING" } else { "STOPPED" },
        "pids": if running { json!([2000 + id]) } else { json!([]) }})
}

fn rows(system: &System) -> Vec<Value> {
    let state = system.state();
    SERVICES
        .iter()
        .map(|(id, name)| entry(&state, *id, name))
        .collect()
}

pub(super) fn list(system: &System, filters: &Value, options: &Value) -> Outcome {
    query(rows(system), filters, options)
}

pub(super) fn instance(system: &System, id: &Value) -> Outcome {
    rows(system)
        .into_iter()
        .find(|s| s.get("id") == Some(id))
        .ok_or_else(|| Failure::missing("Service", id))
}

fn find(name: &Value) -> Result<(i64, &'static str), Failure> {
    let found = SERVICES
        .iter()
        .find(|(id, n)| name.as_i64() == Some(*id) || name.as_str() == Some(n));
    let shown = name
        .as_str()
        .map_or_else(|| name.to_string(), str::to_owned);
    found
        .copied()
        .ok_or_else(|| Failure::call(ENOENT, format!("Service {shown} not found.")))
}

fn change(
    system: &System,
    name: &Value,
    work: impl FnOnce(&mut Service),
) -> Result<(i64, Value), Failure> {
    let (id, name) = find(name)?;
    let mut state = system.state();
    work(state.services.entry(name.to_owned()).or_insert(Service {
        enabled: false,
        running: false,
    }));
    let changed = entry(&state, id, name);
    drop(state);
    system.changed();
    system.event("service.query", "changed", &json!(id), Some(&changed));
    Ok((id, changed))
}

/// `service.control(verb, service)`: whether the service now is as the verb wants it.
pub(super) fn control(system: &System, verb: &Value, name: &Value) -> Outcome {
    let verb = verb.as_str().unwrap_or_default();
    change(system, name, |service| match verb {
        "STOP" => service.running = false,
        "RELOAD" => {}
        _ => service.running = true,
    })?;
    Ok(Value::Bool(true))
}

pub(super) fn update(system: &System, name: &Value, data: &Value) -> Outcome {
    let enable = data.get("enable").and_then(Value::as_bool);
    let (id, _) = change(system, name, |service| {
        service.enabled = enable.unwrap_or(service.enabled);
    })?;
    Ok(json!(id))
}

/// `service.started`, or with the start at boot counted too.
pub(super) fn started(system: &System, name: &Value, or_enabled: bool) -> Outcome {
    let (_, name) = find(name)?;
    let state = system.state();
    let service = state.services.get(name);
    Ok(json!(
        service.is_some_and(|s| s.running || (or_enabled && s.enabled))
    ))
}
