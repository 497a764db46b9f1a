//! Changing a VM's configuration: what applies at once, what waits for the next start.

use std::collections::BTreeMap;

use serde_json::Value;

use super::permission::Change;
use super::{CHANGE_WAIT, NOT_CONFIG, Px, config, create, drive};
use crate::error::{Answer, ApiError};
use crate::routes::Call;
use crate::state::State;

/// Options that a running machine takes at once.
const LIVE: &[&str] = &[
    "name",
    "description",
    "tags",
    "onboot",
    "startup",
    "protection",
    "hookscript",
    "shares",
    "hotplug",
    "autostart",
    "lock",
    "vmstatestorage",
    "migrate_downtime",
    "migrate_speed",
    "boot",
    "bootdisk",
    "template",
    "reboot",
    "ciuser",
    "cipassword",
    "cicustom",
    "citype",
    "ciupgrade",
    "sshkeys",
    "nameserver",
    "searchdomain",
];
/// Numbered ones that hot-plugging covers.
const PLUGGABLE: &[&str] = &[
    "net", "scsi", "virtio", "sata", "ide", "usb", "unused", "ipconfig",
];

/// `PUT …/config`: done when answered.
pub(crate) async fn now(px: &Px, call: Call) -> Answer {
    check(px, &call)?;
    let _lock = px
        .lock_vm(call.vmid(), CHANGE_WAIT)
        .await
        .map_err(ApiError::failure)?;
    apply(px, &call)?;
    Ok(Value::Null)
}

/// `POST …/config`: a task.
pub(crate) async fn in_task(px: &Px, call: Call) -> Answer {
    check(px, &call)?;
    let (node, vmid, caller) = (
        call.node().to_owned(),
        call.vmid().to_string(),
        call.caller.clone(),
    );
    px.worker(&node, "qmconfig", &vmid, &caller, move |task| async move {
        let px = task.proxmox.clone();
        let _lock = px.lock_vm(call.vmid(), CHANGE_WAIT).await?;
        apply(&px, &call).map_err(String::from)
    })
    .await
}

fn changes(call: &Call) -> BTreeMap<String, String> {
    let options = call
        .params
        .iter()
        .filter(|(name, _)| !NOT_CONFIG.contains(name));
    let mut wanted: BTreeMap<String, String> =
        options.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    if let Some(cdrom) = wanted.remove("cdrom") {
        wanted.insert("ide2".into(), format!("{cdrom},media=cdrom"));
    }
    wanted
}

fn check(px: &Px, call: &Call) -> Result<(), ApiError> {
    let state = px.state();
    let vm = config::changeable(&state, call)?;
    let (wanted, delete, revert) = (
        changes(call),
        call.params.list("delete"),
        call.params.list("revert"),
    );
    if wanted.is_empty() && delete.is_empty() && revert.is_empty() {
        return Err(ApiError::failure("no options specified"));
    }
    for (parameter, keys) in [("delete", &delete), ("revert", &revert)] {
        for key in keys {
            if wanted.contains_key(key) {
                let text =
                    format!("you can't use '-{key}' and '-{parameter} {key}' at the same time");
                return Err(ApiError::parameter(parameter, text));
            }
            if px.config_option(key).is_none() {
                return Err(ApiError::parameter(
                    parameter,
                    format!("unknown option '{key}'"),
                ));
            }
        }
    }
    if wanted.contains_key("parent") || wanted.keys().any(|key| drive::is_unused(key)) {
        return Err(ApiError::failure("unused disks and snapshots can't be set"));
    }
    let change = Change {
        caller: &call.caller,
        node: call.node(),
        vmid: call.vmid(),
        pool: None,
        default_storage: None,
    };
    for (key, value) in &wanted {
        px.may_set(&state, &change, key, Some(value))?;
    }
    for key in &delete {
        let held = vm
            .config
            .get(key)
            .filter(|_| key.starts_with("usb") || key.starts_with("hostpci"));
        px.may_set(&state, &change, key, held.map(String::as_str))?;
    }
    for (key, value) in wanted.iter().filter(|(key, _)| drive::is_drive(key)) {
        let drive = px.drive(key, value)?;
        px.check_drive(&state, call.node(), &drive)?;
        create::check_storage(&state, call, &drive)?;
    }
    Ok(())
}

fn apply(px: &Px, call: &Call) -> Result<(), ApiError> {
    let (node, vmid) = (call.node(), call.vmid());
    let mut state = px.state();
    let vm = config::changeable(&state, call)?;
    let running = vm.running.is_some();
    let protected = vm.config.get("protection").is_some_and(|p| p == "1");
    for key in call.params.list("revert") {
        state
            .vm_mut(node, vmid)
            .map_err(ApiError::failure)?
            .pending
            .remove(&key);
    }
    let delete = call.params.list("delete");
    if let Some(key) = delete
        .iter()
        .find(|key| protected && (drive::is_drive(key) || drive::is_unused(key)))
    {
        return Err(ApiError::failure(format!(
            "can't remove drive '{key}' - protection mode enabled"
        )));
    }
    for key in &delete {
        remove(px, &mut state, call, key, running)?;
    }
    for (key, value) in changes(call) {
        let was_cdrom = state
            .vm(node, vmid)
            .ok()
            .and_then(|vm| px.drive(&key, vm.config.get(&key)?).ok())
            .is_some_and(|d| d.is_cdrom());
        let value = match drive::is_drive(&key) {
            true => set_drive(px, &mut state, call, &key, &value)?,
            false => px.normalized(&mut state, &key, &value)?,
        };
        if key == "boot" {
            let mut merged = state.vm(node, vmid).map_err(ApiError::failure)?.merged();
            merged.insert("boot".into(), value.clone());
            merged.extend(changes(call).into_iter().filter(|(k, _)| k != "boot"));
            px.check_boot_order(&merged)?;
        }
        let cdrom = drive::is_drive(&key)
            && px
                .drive(&key, &value)
                .is_ok_and(|d| d.is_cdrom() && !d.is_cloudinit());
        put(&mut state, node, vmid, &key, Some(value), running)?;
        if cdrom && !was_cdrom {
            change_boot_order(&mut state, node, vmid, |order| order.push(key.clone()))?;
        }
    }
    px.changed();
    Ok(())
}

/// Sets or removes an option: in the configuration, or as pending.
fn put(
    state: &mut State,
    node: &str,
    vmid: u32,
    key: &str,
    value: Option<String>,
    running: bool,
) -> Result<(), ApiError> {
    let vm = state.vm_mut(node, vmid).map_err(ApiError::failure)?;
    let stem = crate::schema::numbered(key).map_or(key, |(stem, _)| stem);
    vm.pending.remove(key);
    if running && !LIVE.contains(&key) && !PLUGGABLE.contains(&stem) {
        if vm.config.get(key) != value.as_ref() {
            vm.pending.insert(key.to_owned(), value);
        }
        return Ok(());
    }
    match value {
        Some(value) => drop(vm.config.insert(key.to_owned(), value)),
        None => drop(vm.config.remove(key)),
    }
    Ok(())
}

fn remove(
    px: &Px,
    state: &mut State,
    call: &Call,
    key: &str,
    running: bool,
) -> Result<(), ApiError> {
    let (node, vmid) = (call.node(), call.vmid());
    let vm = state.vm(node, vmid).map_err(ApiError::failure)?;
    let Some(value) = vm.config.get(key).cloned() else {
        return put(state, node, vmid, key, None, running);
    };
    if drive::is_unused(key) {
        free(px, state, node, vmid, &value);
    } else if drive::is_drive(key) {
        let old = px.drive(key, &value)?;
        match old.volid().map(str::to_owned) {
            Some(volid) if old.is_cloudinit() || call.params.is_on("force") => {
                free(px, state, node, vmid, &volid);
            }
            Some(volid) if !old.is_cdrom() => detach(state, node, vmid, volid)?,
            _ => {}
        }
    }
    if drive::is_drive(key) || key.starts_with("net") {
        change_boot_order(state, node, vmid, |order| {
            order.retain(|device| device != key);
        })?;
    }
    put(state, node, vmid, key, None, running)
}

/// Frees a volume of a VM; a guest that lived on it is forgotten.
pub(crate) fn free(px: &Px, state: &mut State, node: &str, vmid: u32, volid: &str) {
    state.free(node, volid);
    let lived_there = state
        .vms
        .get_mut(&vmid)
        .is_some_and(|vm| vm.booted_from.take_if(|v| v == volid).is_some());
    if lived_there {
        px.forget_guest(&state.name, vmid);
    }
}

/// Keeps a volume that no drive uses any more as the next `unusedN`.
pub(crate) fn detach(
    state: &mut State,
    node: &str,
    vmid: u32,
    volid: String,
) -> Result<(), ApiError> {
    let vm = state.vm_mut(node, vmid).map_err(ApiError::failure)?;
    let free = (0..256)
        .map(|n| format!("unused{n}"))
        .find(|key| !vm.config.contains_key(key));
    let key = free
        .ok_or_else(|| ApiError::failure("too many unused volumes - please delete them first."))?;
    vm.config.insert(key, volid);
    Ok(())
}

/// Makes what a drive's new value asks for; what it held before becomes unused.
fn set_drive(
    px: &Px,
    state: &mut State,
    call: &Call,
    key: &str,
    value: &str,
) -> Result<String, ApiError> {
    let (node, vmid) = (call.node(), call.vmid());
    let asked = px.drive(key, value)?;
    let vm = state.vm(node, vmid).map_err(ApiError::failure)?;
    let old = vm
        .config
        .get(key)
        .map(|old| px.drive(key, old))
        .transpose()?;
    let same = old
        .as_ref()
        .is_some_and(|old| old.volid().is_some() && old.volid() == asked.volid());
    let (kept, _) = px
        .realize(state, node, vmid, asked, None)
        .map_err(ApiError::failure)?;
    if let Some(volid) = old.as_ref().filter(|_| !same).and_then(|old| old.volid()) {
        let old_cdrom = old.as_ref().is_some_and(|old| old.is_cdrom());
        let cloudinit = old.as_ref().is_some_and(|old| old.is_cloudinit());
        match (cloudinit, old_cdrom) {
            (true, _) if kept.volid() != Some(volid) => free(px, state, node, vmid, volid),
            (false, false) => detach(state, node, vmid, volid.to_owned())?,
            _ => {}
        }
    }
    // A volume that comes back into use is no longer unused.
    if let (Some(volid), Ok(vm)) = (kept.volid(), state.vm_mut(node, vmid)) {
        vm.config
            .retain(|key, value| !drive::is_unused(key) || value != volid);
    }
    Ok(px.print_drive(&kept))
}

fn change_boot_order(
    state: &mut State,
    node: &str,
    vmid: u32,
    change: impl FnOnce(&mut Vec<String>),
) -> Result<(), ApiError> {
    let vm = state.vm_mut(node, vmid).map_err(ApiError::failure)?;
    if !vm
        .config
        .get("boot")
        .is_some_and(|boot| boot.contains("order="))
    {
        return Ok(());
    }
    let before = config::boot_order(&vm.config);
    let mut after = before.clone();
    change(&mut after);
    if after != before {
        vm.config
            .insert("boot".into(), format!("order={}", after.join(";")));
    }
    Ok(())
}
