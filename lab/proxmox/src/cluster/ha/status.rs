//! What the manager says of itself, of the nodes and of the resources.

use serde_json::{Map, Value, json};

use super::resources::{self, requested};
use crate::now;
use crate::options::Version;
use crate::routes::{Call, Routes};
use crate::sections::Section;
use crate::state::State;

pub(super) fn routes(at: &mut Routes<'_>) {
    at.get("/cluster/ha/status/current", current);
    at.get("/cluster/ha/status/manager_status", manager_status);
    at.post("/cluster/ha/status/disarm-ha", disarm);
    at.post("/cluster/ha/status/arm-ha", arm);
}

/// The state of a resource as the manager has it, and as it is shown.
pub(super) fn states(state: &State, sid: &str, section: &Section) -> (&'static str, &'static str) {
    let vm = resources::guest(sid).and_then(|vmid| state.vms.get(&vmid));
    let running = vm.is_some_and(|vm| vm.running.is_some());
    match (requested(section), running) {
        ("ignored", _) => ("ignored", "ignored"),
        _ if vm.is_none() => ("stopped", "not found"),
        ("started", true) => ("started", "started"),
        ("started", false) => ("started", "starting"),
        ("disabled", false) => ("stopped", "disabled"),
        (_, true) => ("request_stop", "stopping"),
        (_, false) => ("stopped", "stopped"),
    }
}

fn node_of<'a>(state: &'a State, sid: &str) -> Option<&'a str> {
    let vm = resources::guest(sid).and_then(|vmid| state.vms.get(&vmid))?;
    Some(&vm.node)
}

/// `GET /cluster/ha/status/current`
fn current(state: &State, call: &Call) -> Value {
    let master = state.nodes.keys().next().cloned().unwrap_or_default();
    let services: Vec<(&String, &Section)> = state.sections(resources::FILE).collect();
    let activity = |busy: bool| if busy { "active" } else { "idle" };
    let time = now();
    let mut rows = vec![
        json!({ "id": "quorum", "type": "quorum", "node": call.at, "status": "OK", "quorate": 1 }),
    ];
    // A cluster that never had a resource has no master.
    if !services.is_empty() {
        rows.push(json!({
            "id": "master", "type": "master", "node": master, "timestamp": time,
            "status": format!("{master} ({}, {time})", activity(true)),
        }));
    }
    if state.version() >= Version::V9_2 {
        rows.push(match &state.ha_disarmed {
            Some(mode) => json!({
                "id": "fencing", "type": "fencing", "node": master, "armed-state": "disarmed", "resource_mode": mode,
                "status": format!("disarmed, resource mode: {mode} (CRM watchdog released)"),
            }),
            None => {
                let (armed, watchdog) = match services.is_empty() {
                    true => ("standby", "standby"),
                    false => ("armed", "active"),
                };
                json!({
                    "id": "fencing", "type": "fencing", "node": master, "armed-state": armed,
                    "status": format!("{armed} (CRM watchdog {watchdog})"),
                })
            }
        });
    }
    for node in state.nodes.keys().filter(|_| !services.is_empty()) {
        let busy = services
            .iter()
            .any(|(sid, _)| node_of(state, sid) == Some(node));
        rows.push(json!({
            "id": format!("lrm:{node}"), "type": "lrm", "node": node, "timestamp": time,
            "status": format!("{node} ({}, {time})", activity(busy)),
        }));
    }
    rows.extend(
        services
            .into_iter()
            .map(|(sid, section)| service(state, sid, section)),
    );
    Value::Array(rows)
}

fn service(state: &State, sid: &str, section: &Section) -> Value {
    let (crm_state, mut shown) = states(state, sid, section);
    if state.ha_disarmed.as_deref() == Some("ignore") {
        shown = "ignore";
    }
    let number = |option: &str| {
        let given = section.get(option).and_then(|n| n.parse::<u64>().ok());
        given.unwrap_or(1)
    };
    let node = node_of(state, sid);
    let mut row = json!({
        "id": format!("service:{sid}"), "type": "service", "sid": sid, "crm_state": crm_state, "state": shown,
        "status": format!("{sid} ({}, {shown})", node.unwrap_or("---")), "request_state": requested(section),
        "max_restart": number("max_restart"), "max_relocate": number("max_relocate"),
    });
    if let Some(node) = node {
        row["node"] = node.into();
    }
    if state.version() >= Version::V9_2 {
        row["failback"] = number("failback").into();
    } else if let Some(group) = section.get("group") {
        row["group"] = group.into();
    }
    if let Some(comment) = section.get("comment") {
        row["comment"] = comment.into();
    }
    row
}

/// `GET /cluster/ha/status/manager_status`
fn manager_status(state: &State, call: &Call) -> Value {
    let time = now();
    let services = state.sections(resources::FILE).map(|(sid, section)| {
        let (crm_state, _) = states(state, sid, section);
        let running = u8::from(crm_state == "started");
        let row = json!({ "state": crm_state, "node": node_of(state, sid), "running": running, "uid": sid });
        (sid.clone(), row)
    });
    let services: Map<String, Value> = services.collect();
    let nodes = |value: Value| {
        let nodes = state.nodes.keys().map(|node| (node.clone(), value.clone()));
        Value::Object(nodes.collect())
    };
    let lrm = json!({ "mode": "active", "state": "wait_for_agent_lock", "timestamp": time, "results": {} });
    let mut manager = json!({
        "master_node": state.nodes.keys().next(), "timestamp": time, "node_status": nodes("online".into()),
        "service_status": services,
    });
    if let Some(mode) = &state.ha_disarmed {
        manager["disarm"] = json!({ "mode": mode, "state": "disarmed" });
    }
    json!({
        "manager_status": manager, "lrm_status": nodes(lrm), "quorum": { "node": call.at, "quorate": "1" },
    })
}

/// `POST /cluster/ha/status/disarm-ha`
fn disarm(state: &mut State, call: &Call) -> Value {
    state.ha_disarmed = Some(call.params.text("resource-mode").to_owned());
    Value::Null
}

/// `POST /cluster/ha/status/arm-ha`
fn arm(state: &mut State, _: &Call) -> Value {
    state.ha_disarmed = None;
    Value::Null
}
