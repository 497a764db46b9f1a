//! Which nodes make up the cluster (corosync.conf). Nodes don't join or leave while the lab runs.

use serde_json::{Value, json};

use crate::error::{Answer, ApiError};
use crate::node::fingerprint;
use crate::routes::{Call, Routes};
use crate::sections::hex_digest;
use crate::state::State;

pub(super) fn routes(at: &mut Routes<'_>) {
    at.post("/cluster/config", create);
    at.get("/cluster/config/apiversion", |_: &State, _: &Call| json!(1));
    at.get("/cluster/config/join", join_information);
    at.get("/cluster/config/nodes", nodes);
    at.get("/cluster/config/qdevice", |_: &State, _: &Call| json!({}));
    at.get("/cluster/config/totem", |state: &State, _: &Call| {
        totem(state)
    });
}

/// `POST /cluster/config`
fn create(_: &State, _: &Call) -> Answer {
    let text = "cluster config '/etc/pve/corosync.conf' already exists";
    Err(ApiError::failure(text))
}

fn totem(state: &State) -> Value {
    json!({
        "cluster_name": state.name, "config_version": state.nodes.len().to_string(), "interface": { "0": { "linknumber": "0" } },
        "ip_version": "ipv4-6", "link_mode": "passive", "secauth": "on", "version": "2",
    })
}

fn members(state: &State) -> Vec<Value> {
    let nodes = state.nodes.values().enumerate();
    let rows = nodes.map(|(i, node)| {
        json!({
            "name": node.name, "nodeid": (i + 1).to_string(), "quorum_votes": "1", "ring0_addr": node.address,
        })
    });
    rows.collect()
}

/// `GET /cluster/config/nodes`
fn nodes(state: &State, _: &Call) -> Value {
    let rows = members(state).into_iter().map(|mut row| {
        row["node"] = row["name"].clone();
        row
    });
    rows.collect()
}

/// `GET /cluster/config/join`
fn join_information(state: &State, call: &Call) -> Answer {
    let node = call.params.get("node").unwrap_or(&call.at);
    if !state.nodes.contains_key(node) {
        return Err(ApiError::failure(format!("unknown node '{node}'")));
    }
    let mut list = members(state);
    let digest = hex_digest(&format!("{}{}", totem(state), Value::from(list.clone())));
    for row in &mut list {
        row["pve_addr"] = row["ring0_addr"].clone();
        row["pve_fp"] = fingerprint(row["name"].as_str().unwrap_or_default()).into();
    }
    Ok(
        json!({ "nodelist": list, "preferred_node": node, "totem": totem(state), "config_digest": digest }),
    )
}
