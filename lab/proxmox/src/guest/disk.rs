//! Growing disks, moving them to other storages, and giving them to other guests.

use std::time::Duration;

use super::drive::{self, Drive};
use super::work::{hold, locked};
use super::{Kind, Purpose, Px, check_lock, config, digest};
use crate::error::{Answer, ApiError};
use crate::qemu::boot;
use crate::routes::Call;
use crate::state::{State, Vm};
use crate::storage::{NewDisk, format_size, parse_size, parse_volid};
use crate::task::TaskLog;

/// What a guest without a root volume is said to have.
const DEFAULT_SIZE: u64 = 4 << 30;

/// The size of the first disk in the boot order, or of a container's root, in bytes.
pub(crate) fn boot_disk_size(state: &State, vm: &Vm) -> u64 {
    let value = match vm.kind {
        Kind::Lxc => vm.config.get("rootfs"),
        Kind::Qemu => boot::boot_order(&vm.config).into_iter().find_map(|key| {
            vm.config
                .get(&key)
                .filter(|v| drive::is_drive(Kind::Qemu, &key) && !v.contains("media=cdrom"))
        }),
    };
    let volid = value.and_then(|v| v.split(',').next());
    let size = volid
        .and_then(|volid| state.volume(&vm.node, volid))
        .map(|volume| volume.size);
    size.unwrap_or(match vm.kind {
        Kind::Qemu => 0,
        Kind::Lxc => DEFAULT_SIZE,
    })
}

/// `PUT …/resize`
pub(crate) async fn resize(px: &Px, call: Call) -> Answer {
    grown(px, &px.state(), &call)?;
    locked(px, call, "resize", |task, call| async move {
        let px = task.proxmox.clone();
        task.takes(Duration::from_millis(500)).await;
        let mut state = px.state();
        let (mut drive, size) = grown(&px, &state, &call)?;
        let node = call.node();
        let volid = drive.volid().unwrap_or_default().to_owned();
        state.resize_volume(node, &volid, size)?;
        drive.properties.set("size", format_size(size));
        let printed = px.print_drive(&drive);
        let vm = state.vm_mut(node, call.vmid())?;
        vm.config.insert(drive.key, printed);
        Ok(())
    })
    .await
}

/// The drive of a resize, and the size that it is to have.
fn grown(px: &Px, state: &State, call: &Call) -> Result<(Drive, u64), ApiError> {
    let key = call.params.text("disk");
    let vm = call.changeable(state)?;
    let value = vm
        .config
        .get(key)
        .ok_or_else(|| format!("disk '{key}' does not exist"))?;
    let drive = px.drive(vm.kind, key, value)?;
    if drive.is_cdrom() {
        return Err(ApiError::failure("you can't resize a cdrom"));
    }
    let volid = drive
        .volid()
        .ok_or_else(|| format!("disk '{key}' has no associated volume"))?;
    let storage = drive.storage().unwrap_or_default();
    state.need_space(&call.caller, storage)?;
    let now = state.volume(call.node(), volid).map(|v| v.size);
    let now = now.ok_or_else(|| format!("Could not determine current size of volume '{volid}'"))?;
    let text = call.params.text("size");
    let size = parse_size(text.trim_start_matches('+'));
    let size = size.and_then(|s| {
        if text.starts_with('+') {
            s.checked_add(now)
        } else {
            Some(s)
        }
    });
    let size =
        size.ok_or_else(|| ApiError::parameter("size", "value does not match the regex pattern"))?;
    let refused = match vm.kind {
        Kind::Qemu if size < now => Some("shrinking disks is not supported"),
        Kind::Lxc if size < now => Some("unable to shrink disk size"),
        Kind::Lxc if size == now => Some("disk is already at specified size"),
        _ => None,
    };
    match refused {
        Some(text) => Err(ApiError::failure(text)),
        None => Ok((drive, size)),
    }
}

/// `POST …/move_disk` and `…/move_volume`: to another storage, or to another guest.
pub(crate) async fn relocate(px: &Px, call: Call) -> Answer {
    match (call.params.has("target-vmid"), call.params.has("storage")) {
        (true, true) => Err(either(&call)),
        (true, false) => reassign(px, call).await,
        (false, true) => to_storage(px, call).await,
        (false, false) if call.kind() == Kind::Qemu => {
            let text = "Either set 'storage' or 'target-vmid'";
            let both = ["storage", "target-vmid"].map(|name| (name.to_owned(), text.to_owned()));
            Err(ApiError::parameters(both.into()))
        }
        (false, false) => Err(ApiError::failure("storage is required")),
    }
}

fn either(call: &Call) -> ApiError {
    match call.kind() {
        Kind::Qemu => {
            let text = "set either 'storage' or 'target-vmid', but not both";
            let both = ["storage", "target-vmid"].map(|name| (name.to_owned(), text.to_owned()));
            ApiError::parameters(both.into())
        }
        Kind::Lxc => ApiError::failure("either set storage or target-vmid, but not both"),
    }
}

/// The parameter that names the disk.
fn source_key(call: &Call) -> &str {
    match call.kind() {
        Kind::Qemu => call.params.text("disk"),
        Kind::Lxc => call.params.text("volume"),
    }
}

async fn to_storage(px: &Px, call: Call) -> Answer {
    movable(px, &px.state(), &call)?;
    locked(px, call, "move", |task, call| async move {
        let px = &task.proxmox;
        let held = {
            let mut state = px.state();
            movable(px, &state, &call)?;
            hold(px, &mut state, call.vmid(), "disk")
        };
        task.takes(Duration::from_secs(5)).await;
        drop(held);
        moved(px, &task, &call)
    })
    .await
}

/// A disk that may go to the storage that a request names.
fn movable(px: &Px, state: &State, call: &Call) -> Result<Drive, ApiError> {
    let (node, key, storage) = (call.node(), source_key(call), call.params.text("storage"));
    let vm = call.changeable(state)?;
    let refused = |text: String| Err(ApiError::failure(text));
    let drive = match vm.config.get(key) {
        Some(_) if vm.kind == Kind::Lxc && vm.running.is_some() => {
            return refused("cannot move volumes of a running container".into());
        }
        Some(_) if drive::is_unused(key) => {
            return refused(format!(
                "cannot move volume '{key}', only configured volumes can be moved to another storage"
            ));
        }
        Some(value) => px.drive(vm.kind, key, value)?,
        None => return refused(format!("disk '{key}' does not exist")),
    };
    if drive.is_cdrom() && !drive.is_cloudinit() {
        return refused("you can't move a cdrom".into());
    }
    let Some(volid) = drive.volid() else {
        return refused(format!("disk '{key}' has no associated volume"));
    };
    state.need_space(&call.caller, storage)?;
    let format = state
        .volume(node, volid)
        .map(|v| v.format.clone())
        .unwrap_or_default();
    let same_format = call.params.get("format").is_none_or(|f| f == format);
    if vm.kind == Kind::Qemu && drive.storage() == Some(storage) && same_format {
        return refused("you can't move to the same storage with same format".into());
    }
    if !state.storage(storage, node)?.takes(vm.kind.content()) {
        return Err(ApiError::parameter(
            "storage",
            vm.kind.wrong_storage(storage),
        ));
    }
    if call.params.is_on("delete") && in_snapshot(vm, volid) {
        return refused(match vm.kind {
            Kind::Qemu => "you can't move a disk with snapshots and delete the source".into(),
            Kind::Lxc => "you can't move a volume with snapshots and delete the source".into(),
        });
    }
    Ok(drive)
}

/// Whether a snapshot's configuration names a volume.
pub(crate) fn in_snapshot(vm: &Vm, volid: &str) -> bool {
    let mut values = vm.snapshots.values().flat_map(|config| config.values());
    values.any(|value| value.split(',').next().is_some_and(|v| v.ends_with(volid)))
}

fn moved(px: &Px, task: &TaskLog, call: &Call) -> Result<(), String> {
    let (node, vmid, storage) = (call.node(), call.vmid(), call.params.text("storage"));
    let mut state = px.state();
    let mut drive = movable(px, &state, call)?;
    let old = drive.volid().unwrap_or_default().to_owned();
    let volume = state
        .volume(node, &old)
        .cloned()
        .ok_or_else(|| format!("volume '{old}' does not exist"))?;
    let disk = NewDisk {
        kind: drive.kind,
        storage,
        vmid,
        name: drive.is_cloudinit().then_some("cloudinit"),
        format: call.params.get("format"),
        size: volume.size,
        label: volume.label,
        parent: None,
    };
    let new = state.allocate(node, &disk)?;
    drive.set_volid(new.clone());
    let (printed, template) = (px.print_drive(&drive), state.vm(node, vmid)?.is_template());
    let vm = state.vm_mut(node, vmid)?;
    vm.config.insert(drive.key.clone(), printed);
    // The content moved, so a guest that lived on it lives on.
    if vm.booted_from.as_ref() == Some(&old) {
        vm.booted_from = Some(new);
    }
    let removed = call.params.is_on("delete") || drive.is_cloudinit();
    if removed {
        state.free(node, &old);
    } else {
        config::keep_unused(state.vm_mut(node, vmid)?, &old)?;
    }
    if template {
        super::template::convert(px, &mut state, node, vmid, Some(&drive.key))?;
    }
    drop(state);
    task.line(format!(
        "copying volume '{old}' from current storage '{}' to target storage '{storage}'",
        old.split(':').next().unwrap_or_default()
    ));
    if removed {
        task.line(format!(
            "removing source volume '{old}' after successful copy"
        ));
    }
    Ok(())
}

async fn reassign(px: &Px, call: Call) -> Answer {
    let kind = call.kind();
    reassignable(px, &px.state(), &call)?;
    let (node, vmid, caller) = (call.node().to_owned(), call.vmid(), call.caller.clone());
    let id = format!("{vmid}-to-{}", call.params.text("target-vmid"));
    let work = move |task: TaskLog| async move {
        let px = task.proxmox.clone();
        let (first, second) = {
            let target = target_vmid(&call);
            (vmid.min(target), vmid.max(target))
        };
        // Always in the same order, so that two that exchange disks do not wait for each other.
        let _first = px.lock_vm(kind, first, Purpose::Change).await?;
        let _second = match first == second {
            true => None,
            false => Some(px.lock_vm(kind, second, Purpose::Change).await?),
        };
        task.takes(Duration::from_millis(500)).await;
        reassigned(&px, &task, &call)
    };
    px.worker(&node, &kind.task("move"), &id, &caller, work)
        .await
}

fn target_vmid(call: &Call) -> u32 {
    call.params.text("target-vmid").parse().unwrap_or_default()
}

/// Where a disk goes in the other guest.
fn target_key(call: &Call) -> &str {
    let name = match call.kind() {
        Kind::Qemu => "target-disk",
        Kind::Lxc => "target-volume",
    };
    call.params.get(name).unwrap_or_else(|| source_key(call))
}

/// A disk that may become another guest's.
fn reassignable(px: &Px, state: &State, call: &Call) -> Result<Drive, ApiError> {
    let (kind, key, target_key) = (call.kind(), source_key(call), target_key(call));
    let (vmid, target) = (call.vmid(), target_vmid(call));
    state.need(&call.caller, &format!("/vms/{target}"), &["VM.Config.Disk"])?;
    let source = call.guest(state)?;
    let refused = |text: String| Err(ApiError::failure(text));
    if kind == Kind::Lxc && (key == "rootfs" || target_key == "rootfs") {
        return refused("Cannot move to/from 'rootfs'".into());
    }
    if drive::is_unused(key) && !drive::is_unused(target_key) {
        let what = if kind == Kind::Qemu { "disk" } else { "volume" };
        return refused(format!(
            "Moving an unused {what} to a used one is not possible"
        ));
    }
    let Some(other) = state.vms.get(&target).filter(|vm| vm.kind == kind) else {
        let what = if kind == Kind::Qemu {
            "target VM"
        } else {
            "CT"
        };
        return refused(format!("could not find {what} {target}"));
    };
    if other.node != source.node {
        let both = if kind == Kind::Qemu {
            "VMs"
        } else {
            "containers"
        };
        return refused(format!(
            "Both {both} need to be on the same node ({} != {})",
            source.node, other.node
        ));
    }
    check_lock(source, call)?;
    check_lock(other, call)?;
    if source.is_template() || other.is_template() {
        return refused(match kind {
            Kind::Qemu => "Can't move disks from or to template VMs".into(),
            Kind::Lxc => "Can't move volumes from or to template CT".into(),
        });
    }
    for (name, vm, id) in [("digest", source, vmid), ("target-digest", other, target)] {
        if call
            .params
            .get(name)
            .is_some_and(|given| given != digest(vm))
        {
            let noun = if kind == Kind::Qemu {
                "VM"
            } else {
                "Container"
            };
            return refused(format!(
                "{noun} {id}: checksum mismatch (file change by other user?)"
            ));
        }
    }
    let Some(value) = source.config.get(key) else {
        return refused(match kind {
            Kind::Qemu => format!("Disk '{key}' for VM '{vmid}' does not exist"),
            Kind::Lxc => format!("volume '{key}' for container '{vmid}' does not exist"),
        });
    };
    if other.config.contains_key(target_key) {
        return refused(match kind {
            Kind::Qemu => {
                format!("Target disk key '{target_key}' is already in use for VM '{target}'")
            }
            Kind::Lxc => format!(
                "Target volume key '{target_key}' is already in use for container '{target}'"
            ),
        });
    }
    let drive = match drive::is_unused(key) {
        true => px.drive(kind, &default_key(kind), value)?,
        false => px.drive(kind, key, value)?,
    };
    if drive.is_cdrom() {
        return refused("CD drive contents can't be moved to another VM".into());
    }
    let Some(volid) = drive.volid() else {
        return refused(format!("disk '{key}' has no associated volume"));
    };
    if in_snapshot(source, volid) {
        return refused(match kind {
            Kind::Qemu => "Can't move disk used by a snapshot to another VM".into(),
            Kind::Lxc => "Cannot move volume used by a snapshot to another container".into(),
        });
    }
    if source.running.is_some() && !drive::is_unused(key) {
        return refused(match kind {
            Kind::Qemu => {
                "Cannot move disk to another VM while the source VM is running - detach first"
                    .into()
            }
            Kind::Lxc => "Cannot move in-use volume while the source CT is running - detach or shutdown first".into(),
        });
    }
    Ok(drive)
}

/// A key whose format an unused volume's text has, too.
fn default_key(kind: Kind) -> String {
    match kind {
        Kind::Qemu => "scsi0".into(),
        Kind::Lxc => "rootfs".into(),
    }
}

fn reassigned(px: &Px, task: &TaskLog, call: &Call) -> Result<(), String> {
    let (node, kind) = (call.node(), call.kind());
    let (vmid, target) = (call.vmid(), target_vmid(call));
    let (key, target_key) = (source_key(call), target_key(call));
    let mut state = px.state();
    let mut drive = reassignable(px, &state, call)?;
    let old = drive.volid().unwrap_or_default().to_owned();
    let (storage, name) = parse_volid(&old).unwrap_or_default();
    let new = state.free_disk_name(node, storage, target, name)?;
    if !state.rename_volume(node, storage, name, &new) {
        return Err(format!("volume '{old}' does not exist"));
    }
    let volid = format!("{storage}:{new}");
    if let Some(volume) = state.volume_mut(node, &volid) {
        volume.vmid = Some(target);
    }
    drive.set_volid(volid.clone());
    let value = match drive::is_unused(target_key) {
        true => volid.clone(),
        false => {
            // The text is checked as what it becomes: `iothread` means nothing to an IDE drive.
            let as_target = px.print(kind, &drive.key, &drive.properties);
            let target = px.drive(kind, target_key, &as_target);
            let target = target.map_err(|error| {
                format!(
                    "failed to parse source disk for target disk format - {}",
                    String::from(error)
                )
            })?;
            px.print_drive(&target)
        }
    };
    state.vm_mut(node, vmid)?.config.remove(key);
    boot::forget_device(state.vm_mut(node, vmid)?, key);
    state
        .vm_mut(node, target)?
        .config
        .insert(target_key.to_owned(), value);
    drop(state);
    task.line(format!(
        "reassign disk '{key}' from {0} '{vmid}' as '{target_key}' to {0} '{target}'",
        kind.noun()
    ));
    task.line(format!("renaming volume '{old}' to '{volid}'"));
    Ok(())
}
