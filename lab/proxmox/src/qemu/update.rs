//! Changing a VM's configuration. Every change is pending first; see [`super::hotplug`] for when it is carried out.

use std::collections::BTreeMap;

use serde_json::Value;

use super::boot;
use super::permission::Change;
use crate::Proxmox;
use crate::error::{Answer, ApiError};
use crate::guest::work::locked;
use crate::guest::{Kind, Purpose, Px, drive};
use crate::routes::Call;
use crate::state::{State, Vm};

/// `PUT …/config`: done when answered.
pub(crate) async fn now(px: &Px, call: Call) -> Answer {
    check(px, &call)?;
    let _lock = px.lock_vm(Kind::Qemu, call.vmid(), Purpose::Change).await?;
    apply(px, &call)?;
    Ok(Value::Null)
}

/// `POST …/config`: a task.
pub(crate) async fn in_task(px: &Px, call: Call) -> Answer {
    check(px, &call)?;
    locked(px, call, "config", |task, call| async move {
        apply(&task.proxmox, &call).map_err(String::from)
    })
    .await
}

/// `PUT …/unlink`: takes disks off, as a change of the configuration that deletes them.
pub(crate) async fn unlink(px: &Px, mut call: Call) -> Answer {
    let keys = call.params.text("idlist").to_owned();
    call.params.set("delete", keys);
    now(px, call).await
}

/// The options that a request sets.
pub(crate) fn wanted(call: &Call) -> Result<BTreeMap<String, String>, ApiError> {
    let mut wanted: BTreeMap<String, String> = call
        .options()
        .filter(|(key, _)| *key != "idlist")
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
    if let Some(cdrom) = wanted.remove("cdrom")
        && wanted
            .insert("ide2".into(), format!("{cdrom},media=cdrom"))
            .is_some()
    {
        return Err(ApiError::parameter(
            "cdrom",
            "conflicting options, use either 'cdrom' or 'ide2'",
        ));
    }
    Ok(wanted)
}

fn check(px: &Px, call: &Call) -> Result<(), ApiError> {
    let state = px.state();
    let vm = call.changeable(&state)?;
    let (wanted, delete, revert) = (
        wanted(call)?,
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
            if px.option(Kind::Qemu, key).is_none() {
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
    for (key, value) in &wanted {
        px.check_option(&state, call, key, value)?;
    }
    Ok(())
}

impl Proxmox {
    /// What an option asks for is there to be had.
    pub(super) fn check_option(
        &self,
        state: &State,
        call: &Call,
        key: &str,
        value: &str,
    ) -> Result<(), ApiError> {
        if drive::is_drive(Kind::Qemu, key) {
            let drive = self.drive(Kind::Qemu, key, value)?;
            return self.check_drive(state, call.node(), &drive, call.params.get("storage"));
        }
        if key.starts_with("hostpci") {
            let device = self.properties(Kind::Qemu, key, value)?;
            match (device.get("host"), device.get("mapping")) {
                (None, None) => {
                    let text = "either 'host' or 'mapping' must be set";
                    return Err(ApiError::parameter(key, text));
                }
                (Some(_), Some(_)) => {
                    let text = "'host' and 'mapping' cannot be set at the same time";
                    return Err(ApiError::parameter(key, text));
                }
                _ => {}
            }
        }
        if key == "vmstatestorage" {
            state.storage(value, call.node())?;
        }
        Ok(())
    }
}

fn apply(px: &Px, call: &Call) -> Result<(), ApiError> {
    let (node, vmid) = (call.node(), call.vmid());
    let mut state = px.state();
    call.changeable(&state)?;
    for key in call.params.list("revert") {
        let vm = state.vm_mut(node, vmid)?;
        vm.pending.remove(&key);
        vm.forced.remove(&key);
    }
    for key in call.params.list("delete") {
        delete(px, &mut state, call, &key)?;
    }
    for (key, value) in wanted(call)? {
        set(px, &mut state, call, &key, &value)?;
    }
    px.commit_pending(&mut state, vmid)?;
    px.changed();
    Ok(())
}

fn delete(px: &Px, state: &mut State, call: &Call, key: &str) -> Result<(), ApiError> {
    let (node, vmid) = (call.node(), call.vmid());
    let vm = state.vm_mut(node, vmid)?;
    if drive::is_unused(key) {
        vm.check_protection(&format!("can't remove unused disk '{key}'"))?;
        let Some(volid) = vm.config.remove(key) else {
            return Ok(());
        };
        if crate::guest::disk::in_snapshot(vm, &volid) {
            vm.config.insert(key.to_owned(), volid.clone());
            return Err(ApiError::failure(format!(
                "cannot remove volume '{volid}' - it is used by a snapshot"
            )));
        }
        px.free_disk(state, node, vmid, &volid);
        return Ok(());
    }
    if drive::is_drive(Kind::Qemu, key) {
        vm.check_protection(&format!("can't remove drive '{key}'"))?;
    }
    if !vm.config.contains_key(key) {
        vm.pending.remove(key);
        return Ok(());
    }
    vm.pending.insert(key.to_owned(), None);
    if call.params.is_on("force") {
        vm.forced.insert(key.to_owned());
    }
    change_boot_order(vm, |order| order.retain(|device| device != key));
    Ok(())
}

fn set(px: &Px, state: &mut State, call: &Call, key: &str, value: &str) -> Result<(), ApiError> {
    let (node, vmid) = (call.node(), call.vmid());
    let was_cdrom = state
        .vm(node, vmid)?
        .config
        .get(key)
        .and_then(|held| px.drive(Kind::Qemu, key, held).ok())
        .is_some_and(|d| d.is_cdrom());
    let (value, new_cdrom) = if drive::is_drive(Kind::Qemu, key) {
        let asked = px.drive(Kind::Qemu, key, value)?;
        let (kept, _) = px.realize(state, node, vmid, asked, None)?;
        let cdrom = kept.is_cdrom() && !kept.is_cloudinit() && !was_cdrom;
        (px.print_drive(&kept), cdrom)
    } else {
        (px.normalized(state, Kind::Qemu, key, value)?, false)
    };
    if key == "boot" {
        let mut merged = state.vm(node, vmid)?.merged();
        merged.extend(wanted(call)?);
        merged.insert("boot".into(), value.clone());
        px.check_boot_order(&merged)?;
    }
    let vm = state.vm_mut(node, vmid)?;
    vm.forced.remove(key);
    if vm.config.get(key) == Some(&value) {
        vm.pending.remove(key);
    } else {
        vm.pending.insert(key.to_owned(), Some(value));
    }
    if new_cdrom {
        change_boot_order(vm, |order| order.push(key.to_owned()));
    }
    Ok(())
}

/// The boot order follows the devices, as another pending change.
fn change_boot_order(vm: &mut Vm, change: impl FnOnce(&mut Vec<String>)) {
    let merged = vm.merged();
    let before = boot::boot_order(&merged);
    let mut after = before.clone();
    change(&mut after);
    if after != before {
        let order = format!("order={}", after.join(";"));
        vm.pending.insert("boot".into(), Some(order));
    }
}
