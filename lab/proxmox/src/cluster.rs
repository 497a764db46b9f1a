//! What concerns the whole cluster: version, resources, next free VM id.

use serde_json::{Value, json};

use crate::access::Caller;
use crate::error::{Answer, ApiError};
use crate::now;
use crate::routes::Call;
use crate::state::{State, Vm};

/// `GET /version`
pub(crate) fn version() -> Value {
    json!({ "version": "9.2.3", "release": "9.2", "repoid": "0f6f1dd0d2f27c6d" })
}

/// `GET /cluster/options`
pub(crate) fn options() -> Value {
    json!({ "keyboard": "en-us", "mac_prefix": "BC:24:11" })
}

/// `GET /cluster/status`
pub(crate) fn status(state: &State) -> Value {
    let cluster = json!({
        "type": "cluster", "id": "cluster", "name": state.name, "nodes": state.nodes.len(), "quorate": 1, "version": 3,
    });
    let nodes = state.nodes.values().enumerate().map(|(i, node)| {
        json!({
            "type": "node", "id": format!("node/{}", node.name), "name": node.name, "ip": node.address, "nodeid": i + 1,
            "online": 1, "local": u8::from(i == 0), "level": "",
        })
    });
    std::iter::once(cluster).chain(nodes).collect()
}

/// `GET /cluster/nextid`: the lowest free id, or whether the given one is free. Reserves nothing.
pub(crate) fn nextid(state: &State, call: &Call) -> Answer {
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
    let free = (100..1_000_000).find(|id| !state.vms.contains_key(id));
    free.map(|id| id.to_string().into())
        .ok_or_else(|| ApiError::failure("unable to get any free VMID"))
}

/// `GET /cluster/resources`: what the caller may see.
pub(crate) fn resources(state: &State, call: &Call) -> Value {
    let wanted = |kind: &str| call.params.get("type").is_none_or(|t| t == kind);
    let mut all = Vec::new();
    if wanted("pool") && !call.params.has("type") {
        let seen = state
            .pools
            .keys()
            .filter(|id| state.may(&call.caller, &format!("/pool/{id}"), "Pool.Audit"));
        all.extend(
            seen.map(|id| json!({ "id": format!("/pool/{id}"), "pool": id, "type": "pool" })),
        );
    }
    if wanted("vm") {
        let seen = state
            .vms
            .iter()
            .filter(|(id, _)| state.may(&call.caller, &format!("/vms/{id}"), "VM.Audit"));
        all.extend(seen.map(|(id, vm)| vm_row(state, *id, vm)));
    }
    if wanted("node") {
        all.extend(state.nodes.keys().filter_map(|name| node_row(state, name)));
    }
    if wanted("storage") {
        all.extend(storage_rows(state, &call.caller));
    }
    if wanted("sdn") && state.may(&call.caller, "/sdn/zones/localnetwork", "SDN.Audit") {
        all.extend(state.nodes.keys().map(|node| {
            json!({ "id": format!("sdn/{node}/localnetwork"), "node": node, "sdn": "localnetwork", "status": "ok", "type": "sdn" })
        }));
    }
    Value::Array(all)
}

fn vm_row(state: &State, vmid: u32, vm: &Vm) -> Value {
    let mut row = json!({
        "id": format!("qemu/{vmid}"), "vmid": vmid, "type": "qemu", "node": vm.node, "name": vm.name(vmid),
        "status": if vm.running.is_some() { "running" } else { "stopped" },
        "maxcpu": vm.cpus(), "maxmem": vm.memory(), "maxdisk": crate::qemu::disk::boot_disk_size(state, vm),
        "template": u8::from(vm.is_template()), "disk": 0, "diskread": 0, "diskwrite": 0, "netin": 0, "netout": 0,
        "cpu": 0, "mem": if vm.running.is_some() { vm.memory() / 2 } else { 0 },
        "uptime": vm.running.map_or(0, |r| now().saturating_sub(r.since)),
    });
    if let Some(row) = row.as_object_mut() {
        for key in ["tags", "lock"] {
            if let Some(value) = vm.config.get(key) {
                row.insert(key.into(), value.clone().into());
            }
        }
        if let Some(pool) = state.pool_of(vmid) {
            row.insert("pool".into(), pool.into());
        }
    }
    row
}

fn node_row(state: &State, name: &str) -> Option<Value> {
    let node = state.nodes.get(name)?;
    Some(json!({
        "id": format!("node/{name}"), "node": name, "type": "node", "status": "online", "level": "",
        "maxcpu": node.cpu, "cpu": 0.02, "maxmem": node.memory, "mem": state.memory_used(name),
        "maxdisk": 100_u64 << 30, "disk": 8_u64 << 30, "uptime": 86400, "cgroup-mode": 2,
    }))
}

fn storage_rows<'a>(state: &'a State, caller: &'a Caller) -> impl Iterator<Item = Value> + 'a {
    let seen = move |id: &str| {
        state
            .need_any(
                caller,
                &format!("/storage/{id}"),
                &["Datastore.Audit", "Datastore.AllocateSpace"],
            )
            .is_ok()
    };
    let pairs = state
        .storages
        .iter()
        .flat_map(|(id, storage)| state.nodes.keys().map(move |node| (id, storage, node)));
    pairs.filter(move |(id, storage, node)| storage.is_on(node) && seen(id)).map(|(id, storage, node)| {
        json!({
            "id": format!("storage/{node}/{id}"), "node": node, "storage": id, "type": "storage", "plugintype": storage.kind,
            "content": storage.content.join(","), "shared": u8::from(storage.shared), "status": "available",
            "maxdisk": storage.capacity, "disk": storage.used(node),
        })
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
