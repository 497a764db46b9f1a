//! Suspending a VM to disk, and waking it.

use std::time::Duration;

use crate::Proxmox;
use crate::cluster::ha;
use crate::error::ApiError;
use crate::guest::Kind;
use crate::routes::Call;
use crate::state::{State, Vm};
use crate::storage::NewDisk;
use crate::task::TaskLog;

/// Room for the state of devices beside the memory.
const DEVICES: u64 = 500 << 20;

/// Whether the VM in the path lies suspended on disk, so that a start wakes it.
pub(crate) fn is_suspended(state: &State, call: &Call) -> bool {
    call.guest(state).is_ok_and(|vm| {
        vm.config
            .get("lock")
            .is_some_and(|lock| lock == "suspended")
    })
}

/// Whether a VM may be suspended to disk.
pub(crate) fn check(px: &Proxmox, call: &Call) -> Result<(), ApiError> {
    let state = px.state();
    if ha::has(&state, call.vmid()) {
        return Err(ApiError::failure("Cannot suspend HA managed VM to disk"));
    }
    let vm = call.guest(&state)?;
    state.need(
        &call.caller,
        &format!("/vms/{}", call.vmid()),
        &["VM.Config.Disk"],
    )?;
    if vm.config.keys().any(|key| key.starts_with("hostpci")) {
        return Err(ApiError::failure(
            "cannot suspend VM to disk due to passed-through PCI device(s), which lack the possibility to save/restore their internal state",
        ));
    }
    let storage = state_storage(&state, vm, call.params.get("statestorage"));
    state.need_space(&call.caller, &storage)
}

/// Where a VM's memory is saved: as asked, as configured, beside its first disk on a shared storage, on any of its disks'.
fn state_storage(state: &State, vm: &Vm, asked: Option<&str>) -> String {
    let configured = asked.or_else(|| vm.config.get("vmstatestorage").map(String::as_str));
    if let Some(storage) = configured {
        return storage.to_owned();
    }
    let disks: Vec<&str> = vm
        .config
        .iter()
        .filter(|(key, value)| {
            crate::guest::drive::is_drive(Kind::Qemu, key) && !value.contains("media=cdrom")
        })
        .filter_map(|(_, value)| Some(value.split_once(':')?.0))
        .collect();
    let shared = disks
        .iter()
        .find(|id| state.storages.get(**id).is_some_and(|s| s.shared));
    shared
        .or(disks.first())
        .map_or_else(|| "local".to_owned(), |id| (*id).to_owned())
}

/// Makes the volume that holds a VM's memory; `suffix` names it.
pub(crate) fn save_memory(
    state: &mut State,
    vmid: u32,
    suffix: &str,
    storage: Option<&str>,
) -> Result<String, String> {
    let vm = state
        .vms
        .get(&vmid)
        .ok_or_else(|| format!("VM {vmid} does not exist"))?;
    let node = vm.node.clone();
    let storage = state_storage(state, vm, storage);
    let disk = NewDisk {
        kind: Kind::Qemu,
        storage: &storage,
        vmid,
        name: Some(&format!("state-{suffix}")),
        format: Some("raw"),
        size: vm.memory().saturating_mul(2).saturating_add(DEVICES),
        label: None,
        parent: None,
    };
    state.allocate(&node, &disk)
}

/// Saves the memory and turns the VM off; it stays locked until it is woken.
pub(crate) async fn to_disk(task: &TaskLog, call: &Call) -> Result<(), String> {
    let (px, vmid) = (&task.proxmox, call.vmid());
    let date = task.proxmox.state().next_pid();
    let saved = {
        let mut state = px.state();
        let saved = save_memory(
            &mut state,
            vmid,
            &format!("suspend-{date}"),
            call.params.get("statestorage"),
        )?;
        let vm = state.vm_mut(call.node(), vmid)?;
        vm.set_lock("suspending");
        vm.config.insert("vmstate".into(), saved.clone());
        saved
    };
    task.takes(Duration::from_secs(5)).await;
    task.line(format!("State saved to '{saved}', quitting"));
    px.power_off(vmid).await;
    let mut state = px.state();
    state.vm_mut(call.node(), vmid)?.set_lock("suspended");
    Ok(())
}

/// A suspended VM is about to run again; gives the volume with its memory, which is needed no longer.
pub(crate) fn wake(vm: &mut Vm) -> Option<String> {
    if vm.config.get("lock").is_none_or(|lock| lock != "suspended") {
        return None;
    }
    vm.config.remove("lock");
    vm.config.remove("vmstate")
}
