//! What concerns the whole cluster.

pub(crate) mod acme;
mod bulk;
pub(crate) mod ceph;
mod cpu_models;
pub(crate) mod ha;
pub(crate) mod jobs;
pub(crate) mod mapping;
mod membership;
pub(crate) mod metrics;
pub(crate) mod notifications;
pub(crate) mod options;
pub(crate) mod resources;

use serde_json::{Value, json};

use crate::routes::{Call, Routes};
use crate::state::State;

/// `GET /version`
pub(crate) fn version(state: &State, _: &Call) -> Value {
    let release = state.release();
    json!({ "version": release.manager, "release": release.name, "repoid": release.repository })
}

/// `GET /cluster/status`
fn status(state: &State, call: &Call) -> Value {
    let cluster = json!({
        "type": "cluster", "id": "cluster", "name": state.name, "nodes": state.nodes.len(), "quorate": 1, "version": 3,
    });
    let nodes = state.nodes.values().enumerate().map(|(i, node)| {
        json!({
            "type": "node", "id": format!("node/{}", node.name), "name": node.name, "ip": node.address, "nodeid": i + 1,
            "online": 1, "local": u8::from(node.name == call.at), "level": "",
        })
    });
    std::iter::once(cluster).chain(nodes).collect()
}

/// `GET /cluster/log`: what tasks began and ended, newest first; one's own for who may not read logs.
fn log(state: &State, call: &Call) -> Value {
    let all = state.may(&call.caller, "/", "Sys.Syslog");
    let name = call.caller.name();
    let mut rows = Vec::new();
    for (upid, task) in state.tasks.iter().filter(|(_, t)| all || t.user == name) {
        let mut row = |time: u64, text: String, pid: u32| {
            let priority = if text.ends_with("OK") || text.starts_with("starting") {
                6
            } else {
                3
            };
            rows.push(json!({
                "uid": 0, "node": task.node, "time": time, "tag": "pvedaemon", "pri": priority, "pid": pid, "user": task.user,
                "msg": text,
            }));
        };
        row(task.start, format!("starting task {upid}"), task.pid);
        if let (Some(end), Some(exit)) = (task.end, &task.exit) {
            row(end, format!("end task {upid} {exit}"), task.pid);
        }
    }
    rows.sort_by_key(|row| row["time"].as_u64());
    for (uid, row) in rows.iter_mut().enumerate() {
        row["id"] = format!("{}:{}", uid + 1, row["node"].as_str().unwrap_or_default()).into();
        row["uid"] = (uid + 1).into();
    }
    let max = call.params.number("max").unwrap_or(50);
    let newest = rows.into_iter().rev();
    newest
        .take(usize::try_from(max).unwrap_or(usize::MAX))
        .collect()
}

pub(crate) fn routes(at: &mut Routes<'_>) {
    at.get("/version", version);
    at.get("/cluster/status", status);
    at.get("/cluster/log", log);
    acme::routes(at);
    bulk::routes(at);
    ceph::routes(at);
    cpu_models::routes(at);
    ha::routes(at);
    jobs::routes(at);
    mapping::routes(at);
    membership::routes(at);
    metrics::routes(at);
    notifications::routes(at);
    options::routes(at);
    resources::routes(at);
}
