//! Whether VMs run, and what they use.

use serde_json::{Value, json};

use super::disk;
use super::hardware::agent_enabled;
use crate::error::{Answer, ApiError};
use crate::now;
use crate::routes::Call;
use crate::state::{State, Vm};

fn row(state: &State, vmid: u32, vm: &Vm) -> Value {
    let mut row = json!({
        "vmid": vmid, "name": vm.name(vmid), "status": if vm.running.is_some() { "running" } else { "stopped" },
        "cpus": vm.cpus(), "maxmem": vm.memory(), "maxdisk": disk::boot_disk_size(state, vm), "disk": 0, "diskread": 0,
        "diskwrite": 0, "netin": 0, "netout": 0, "cpu": 0, "mem": if vm.running.is_some() { vm.memory() / 2 } else { 0 },
        "uptime": vm.running.map_or(0, |r| now().saturating_sub(r.since)),
    });
    if let Some(row) = row.as_object_mut() {
        for key in ["tags", "lock"] {
            if let Some(value) = vm.config.get(key) {
                row.insert(key.into(), value.clone().into());
            }
        }
        if vm.is_template() {
            row.insert("template".into(), 1.into());
        }
        if let Some(running) = vm.running {
            row.insert("pid".into(), running.pid.into());
        }
    }
    row
}

/// `GET /nodes/{node}/qemu`
pub(crate) fn list(state: &State, call: &Call) -> Value {
    let seen = state.vms.iter().filter(|(id, vm)| {
        vm.node == call.node() && state.may(&call.caller, &format!("/vms/{id}"), "VM.Audit")
    });
    seen.map(|(id, vm)| row(state, *id, vm)).collect()
}

/// `GET …/status/current`
pub(crate) fn current(state: &State, call: &Call) -> Answer {
    let vm = state
        .vm(call.node(), call.vmid())
        .map_err(ApiError::failure)?;
    let mut shown = row(state, call.vmid(), vm);
    if let Some(shown) = shown.as_object_mut() {
        shown.insert("ha".into(), json!({ "managed": 0 }));
        let status = shown.get("status").cloned().unwrap_or_default();
        shown.insert("qmpstatus".into(), status);
        if vm.running.is_some() {
            shown.insert("running-machine".into(), "pc-i440fx-10.1+pve0".into());
            shown.insert("running-qemu".into(), "10.1.2".into());
        }
        if vm.config.get("agent").is_some_and(|a| agent_enabled(a)) {
            shown.insert("agent".into(), 1.into());
        }
    }
    Ok(shown)
}
