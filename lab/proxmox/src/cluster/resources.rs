//! What exists in the cluster, a row for each; and the next free id.

use serde_json::{Value, json};

use super::ha;
use crate::error::{Answer, ApiError};
use crate::guest::status;
use crate::now;
use crate::options::Version;
use crate::routes::{Call, Routes};
use crate::state::{State, Storage, Vm};

pub(super) fn routes(at: &mut Routes<'_>) {
    at.get("/cluster/nextid", nextid);
    at.get("/cluster/resources", resources);
}

/// `GET /cluster/nextid`: the lowest free id, or whether the given one is free. Reserves nothing.
fn nextid(state: &State, call: &Call) -> Answer {
    if let Some(wanted) = call.params.get("vmid") {
        let taken = wanted.parse().is_ok_and(|id| state.vms.contains_key(&id));
        if taken {
            return Err(ApiError::parameter(
                "vmid",
                format!("VM {wanted} already exists"),
            ));
        }
        return Ok(wanted.into());
    }
    let (lower, upper) = state.next_id_bounds();
    let free = (lower..upper).find(|id| !state.vms.contains_key(id));
    free.map(|id| id.to_string().into()).ok_or_else(|| {
        let text = format!("unable to get any free VMID in range [{lower}, {upper}]");
        ApiError::failure(text)
    })
}

/// `GET /cluster/resources`: what the caller may see.
fn resources(state: &State, call: &Call) -> Value {
    let wanted = |kind: &str| call.params.get("type").is_none_or(|t| t == kind);
    let may = |path: String, privilege: &str| state.may(&call.caller, &path, privilege);
    let mut all = Vec::new();
    if wanted("pool") {
        let seen = state
            .pools
            .keys()
            .filter(|id| may(format!("/pool/{id}"), "Pool.Audit"));
        all.extend(seen.map(|id| pool_row(state, id)));
    }
    if wanted("vm") {
        let seen = state
            .vms
            .iter()
            .filter(|(id, _)| may(format!("/vms/{id}"), "VM.Audit"));
        all.extend(seen.map(|(id, vm)| {
            let mut row = vm_row(state, *id, vm);
            let hidden = row["pool"]
                .as_str()
                .is_some_and(|pool| !may(format!("/pool/{pool}"), "Pool.Audit"));
            if let (true, Some(row)) = (hidden, row.as_object_mut()) {
                row.remove("pool");
            }
            row
        }));
    }
    if wanted("node") {
        let rows = state
            .nodes
            .keys()
            .filter_map(|name| node_row(state, name, may(format!("/nodes/{name}"), "Sys.Audit")));
        all.extend(rows);
    }
    if wanted("storage") {
        let seen = state
            .storages
            .iter()
            .filter(|(id, s)| !s.disabled && may(format!("/storage/{id}"), "Datastore.Audit"));
        for (id, storage) in seen {
            let nodes = state.nodes.keys().filter(|node| storage.is_on(node));
            all.extend(nodes.map(|node| storage_row(id, storage, node)));
        }
    }
    all.extend(network_rows(state, call));
    Value::Array(all)
}

/// The zone that every node has: one of the SDN's before version 9, then one of the network's.
fn network_rows(state: &State, call: &Call) -> Vec<Value> {
    let old = state.version() < Version::V9_2;
    let kind = if old { "sdn" } else { "network" };
    if call.params.get("type").is_some_and(|wanted| wanted != kind)
        || !state.may(&call.caller, "/sdn/zones/localnetwork", "SDN.Audit")
    {
        return Vec::new();
    }
    let rows = state.nodes.keys().map(|node| match old {
        true => json!({
            "id": format!("sdn/{node}/localnetwork"), "node": node, "sdn": "localnetwork", "status": "ok", "type": "sdn",
        }),
        false => json!({
            "id": format!("network/{node}/zone/localnetwork"), "node": node, "network": "localnetwork",
            "network-type": "zone", "status": "ok", "type": "network",
        }),
    });
    rows.collect()
}

/// A pool, with what its running machines take together.
fn pool_row(state: &State, id: &str) -> Value {
    let mut row = json!({ "id": format!("/pool/{id}"), "pool": id, "type": "pool" });
    let members = state.pools.get(id).into_iter().flat_map(|pool| &pool.vms);
    let running: Vec<&Vm> = members
        .filter_map(|vmid| state.vms.get(vmid))
        .filter(|vm| vm.running.is_some())
        .collect();
    if !running.is_empty() {
        let memory: u64 = running.iter().map(|vm| vm.memory()).sum();
        let since = running.iter().filter_map(|vm| vm.running).map(|r| r.since);
        row["uptime"] = now().saturating_sub(since.min().unwrap_or(0)).into();
        row["maxmem"] = memory.into();
        row["mem"] = (memory / 2).into();
        let host = |vm: &Vm| state.nodes.get(&vm.node).map_or(1, |n| u64::from(n.cpu));
        let cpus: u64 = running.iter().map(|vm| vm.cpus(host(vm))).sum();
        row["maxcpu"] = cpus.into();
        row["cpu"] = 0.into();
    }
    row
}

/// A guest and what it takes.
pub(crate) fn vm_row(state: &State, vmid: u32, vm: &Vm) -> Value {
    let mut row = status::figures(state, vmid, vm);
    let cpus = row.remove("cpus").unwrap_or_default();
    row.insert("maxcpu".into(), cpus);
    row.insert("id".into(), format!("{}/{vmid}", vm.kind.id()).into());
    row.insert("type".into(), vm.kind.id().into());
    row.insert("node".into(), vm.node.clone().into());
    row.insert("template".into(), u8::from(vm.is_template()).into());
    if let Some(pool) = state.pool_of(vmid) {
        row.insert("pool".into(), pool.into());
    }
    if let Some(state) = ha::state_of(state, vmid) {
        row.insert("hastate".into(), state.into());
    }
    Value::Object(row)
}

/// A node; what it holds only for auditors.
pub(super) fn node_row(state: &State, name: &str, audit: bool) -> Option<Value> {
    let node = state.nodes.get(name)?;
    let mut row = json!({
        "id": format!("node/{name}"), "node": name, "type": "node", "status": "online", "level": "", "cgroup-mode": 2,
    });
    if audit {
        row["maxcpu"] = node.cpu.into();
        row["cpu"] = 0.02.into();
        row["maxmem"] = node.memory.into();
        row["mem"] = state.memory_used(name).into();
        row["maxdisk"] = (100_u64 << 30).into();
        row["disk"] = (8_u64 << 30).into();
        row["uptime"] = 86400.into();
    }
    Some(row)
}

/// A storage on a node.
pub(crate) fn storage_row(id: &str, storage: &Storage, node: &str) -> Value {
    json!({
        "id": format!("storage/{node}/{id}"), "node": node, "storage": id, "type": "storage", "plugintype": storage.kind,
        "content": storage.content.join(","), "shared": u8::from(storage.shared), "status": "available",
        "maxdisk": storage.capacity, "disk": storage.used(node),
    })
}

impl State {
    /// Bytes that the running machines of a node take, and the node itself.
    pub(crate) fn memory_used(&self, node: &str) -> u64 {
        let running = self
            .vms
            .values()
            .filter(|vm| vm.node == node && vm.running.is_some());
        running
            .map(Vm::memory)
            .sum::<u64>()
            .saturating_add(crate::node::OWN_MEMORY)
    }
}
