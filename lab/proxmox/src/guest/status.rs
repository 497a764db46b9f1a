//! Whether guests run, and what they use.

use serde_json::{Map, Value, json};

use super::{Kind, disk};
use crate::cluster::ha;
use crate::error::Answer;
use crate::now;
use crate::qemu::hardware::agent_enabled;
use crate::routes::Call;
use crate::state::{State, Vm};

/// What the lists of both kinds, and of the cluster's resources, have in common.
pub(crate) fn figures(state: &State, vmid: u32, vm: &Vm) -> Map<String, Value> {
    let host = state.nodes.get(&vm.node).map_or(1, |n| u64::from(n.cpu));
    let (running, maxdisk) = (vm.running.is_some(), disk::boot_disk_size(state, vm));
    let row = json!({
        "vmid": vmid, "name": vm.name(vmid), "status": vm.status(), "cpus": vm.cpus(host), "maxmem": vm.memory(),
        "maxdisk": maxdisk, "disk": 0, "diskread": 0, "diskwrite": 0, "netin": 0, "netout": 0, "cpu": 0,
        "mem": if running { vm.memory() / 2 } else { 0 },
        "uptime": vm.running.map_or(0, |r| now().saturating_sub(r.since)),
    });
    let Value::Object(mut row) = row else {
        return Map::new();
    };
    for key in ["tags", "lock"] {
        if let Some(value) = vm.config.get(key) {
            row.insert(key.into(), value.clone().into());
        }
    }
    row
}

fn row(state: &State, vmid: u32, vm: &Vm) -> Map<String, Value> {
    let mut row = figures(state, vmid, vm);
    if vm.is_template() {
        row.insert("template".into(), 1.into());
    }
    if let Some(running) = vm.running {
        row.insert("pid".into(), running.pid.into());
    }
    match vm.kind {
        Kind::Qemu => {}
        Kind::Lxc => {
            row.insert("type".into(), "lxc".into());
            row.insert("swap".into(), 0.into());
            let swap = vm.number("swap", 0).saturating_mul(1 << 20);
            row.insert("maxswap".into(), swap.into());
        }
    }
    row
}

/// `GET /nodes/{node}/qemu` and `…/lxc`
pub(crate) fn list(state: &State, call: &Call) -> Value {
    let (kind, node) = (call.kind(), call.node());
    let seen = state.vms.iter().filter(|(id, vm)| {
        vm.kind == kind
            && vm.node == node
            && state.may(&call.caller, &format!("/vms/{id}"), "VM.Audit")
    });
    seen.map(|(id, vm)| Value::Object(row(state, *id, vm)))
        .collect()
}

/// `GET …/status/current`
pub(crate) fn current(state: &State, call: &Call) -> Answer {
    let vm = call.guest(state)?;
    let mut shown = row(state, call.vmid(), vm);
    shown.insert("ha".into(), ha::shown(state, call.vmid()));
    if vm.kind == Kind::Lxc {
        return Ok(Value::Object(shown));
    }
    let qmp = match vm.running {
        Some(running) if running.paused => "paused",
        _ => vm.status(),
    };
    shown.insert("qmpstatus".into(), qmp.into());
    if vm.running.is_some() {
        let release = state.release();
        let machine = format!("{}+pve0", release.machine("pc-i440fx"));
        shown.insert("running-machine".into(), machine.into());
        shown.insert("running-qemu".into(), release.qemu.into());
    }
    if agent_enabled(vm) {
        shown.insert("agent".into(), 1.into());
    }
    let display = vm.config.get("vga").map_or("", String::as_str);
    if display.contains("qxl") {
        shown.insert("spice".into(), 1.into());
    }
    if display.contains("serial") {
        shown.insert("serial".into(), 1.into());
    }
    Ok(Value::Object(shown))
}
