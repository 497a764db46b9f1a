//! Growing and moving disks.

use std::time::Duration;

use super::{CHANGE_WAIT, Px, config, update};
use crate::error::{Answer, ApiError};
use crate::routes::Call;
use crate::state::{State, Vm};
use crate::storage::{NewDisk, format_size, parse_size};

/// The size of the first disk in the boot order, in bytes.
pub(crate) fn boot_disk_size(state: &State, vm: &Vm) -> u64 {
    let value = config::boot_order(&vm.config).into_iter().find_map(|key| {
        vm.config
            .get(&key)
            .filter(|v| super::drive::is_drive(&key) && !v.contains("media=cdrom"))
    });
    let volid = value.and_then(|v| v.split(',').next());
    volid
        .and_then(|volid| state.volume(&vm.node, volid))
        .map_or(0, |volume| volume.size)
}

/// `PUT …/resize`
pub(crate) async fn resize(px: &Px, call: Call) -> Answer {
    grown(px, &px.state(), &call)?;
    let (node, vmid, caller) = (
        call.node().to_owned(),
        call.vmid().to_string(),
        call.caller.clone(),
    );
    px.worker(&node, "resize", &vmid, &caller, move |task| async move {
        let px = task.proxmox.clone();
        let _lock = px.lock_vm(call.vmid(), CHANGE_WAIT).await?;
        task.takes(Duration::from_millis(500)).await;
        let mut state = px.state();
        let (mut drive, size) = grown(&px, &state, &call)?;
        let node = call.node();
        let volid = drive.volid().unwrap_or_default().to_owned();
        if let Some(mut volume) = state.volume(node, &volid).cloned() {
            let more = size.saturating_sub(volume.size);
            volume.size = more;
            let storage = volid.split(':').next().unwrap_or_default();
            state.storage(storage, node)?.admit(node, &volume)?;
        }
        if let Some(volume) = state.volume_mut(node, &volid) {
            volume.size = size;
        }
        drive.properties.set("size", format_size(size));
        let printed = px.print_drive(&drive);
        state
            .vm_mut(node, call.vmid())?
            .config
            .insert(drive.key, printed);
        Ok(())
    })
    .await
}

/// The drive of a resize, and the size that it is to have.
fn grown(px: &Px, state: &State, call: &Call) -> Result<(super::drive::Drive, u64), ApiError> {
    let key = call.params.text("disk");
    let vm = config::changeable(state, call)?;
    let value = vm
        .config
        .get(key)
        .ok_or_else(|| ApiError::failure(format!("disk '{key}' does not exist")))?;
    let drive = px.drive(key, value)?;
    if drive.is_cdrom() {
        return Err(ApiError::failure("can't resize a cdrom"));
    }
    let volid = drive.volid().unwrap_or_default();
    let now = state.volume(call.node(), volid).map(|v| v.size);
    let now = now.ok_or_else(|| ApiError::failure(format!("volume '{volid}' does not exist")))?;
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
    if size < now {
        return Err(ApiError::failure("shrinking disks is not supported"));
    }
    Ok((drive, size))
}

/// `POST …/move_disk`: to another storage.
pub(crate) async fn relocate(px: &Px, call: Call) -> Answer {
    if let Some(name) = ["target-vmid", "target-disk", "target-digest"]
        .into_iter()
        .find(|n| call.params.has(n))
    {
        return Err(ApiError::new(
            501,
            format!("parameter '{name}' not implemented"),
        ));
    }
    {
        let state = px.state();
        let vm = config::changeable(&state, &call)?;
        let key = call.params.text("disk");
        let storage = call.params.get("storage");
        let storage =
            storage.ok_or_else(|| ApiError::parameter("storage", "storage is required"))?;
        state.need(
            &call.caller,
            &format!("/storage/{storage}"),
            &["Datastore.AllocateSpace"],
        )?;
        let value = vm
            .config
            .get(key)
            .ok_or_else(|| ApiError::failure(format!("disk '{key}' does not exist")))?;
        let drive = px.drive(key, value)?;
        if drive.is_cdrom() && !drive.is_cloudinit() {
            return Err(ApiError::failure("you can't move a cdrom"));
        }
        let volid = drive.volid().unwrap_or_default();
        let format = state
            .volume(call.node(), volid)
            .map(|v| v.format.clone())
            .unwrap_or_default();
        let same_format = call.params.get("format").is_none_or(|f| f == format);
        if volid.split(':').next() == Some(storage) && same_format {
            return Err(ApiError::failure(
                "you can't move to the same storage with same format",
            ));
        }
        if !state.storage(storage, call.node())?.takes("images") {
            return Err(ApiError::failure(format!(
                "storage '{storage}' does not support vm images"
            )));
        }
    }
    let (node, vmid, caller) = (
        call.node().to_owned(),
        call.vmid().to_string(),
        call.caller.clone(),
    );
    px.worker(&node, "qmmove", &vmid, &caller, move |task| async move {
        let px = task.proxmox.clone();
        let _lock = px.lock_vm(call.vmid(), CHANGE_WAIT).await?;
        task.line(format!(
            "create full clone of drive {}",
            call.params.text("disk")
        ));
        task.takes(Duration::from_secs(5)).await;
        let mut state = px.state();
        let (node, vmid, key) = (call.node(), call.vmid(), call.params.text("disk"));
        let value = config::changeable(&state, &call)?
            .config
            .get(key)
            .cloned()
            .unwrap_or_default();
        let mut drive = px.drive(key, &value)?;
        let old = drive.volid().unwrap_or_default().to_owned();
        let volume = state
            .volume(node, &old)
            .cloned()
            .ok_or_else(|| format!("volume '{old}' does not exist"))?;
        let name = if drive.is_cloudinit() {
            Some("cloudinit")
        } else {
            None
        };
        let storage = call.params.text("storage");
        let disk = NewDisk {
            storage,
            vmid,
            name,
            format: call.params.get("format"),
            size: volume.size,
            label: volume.label,
            parent: None,
        };
        let new = state.allocate(node, &disk)?;
        drive.properties.set("file", new.clone());
        let printed = px.print_drive(&drive);
        let vm = state.vm_mut(node, vmid)?;
        vm.config.insert(key.to_owned(), printed);
        // The content moved, so a guest that lived on it lives on.
        if vm.booted_from.as_ref() == Some(&old) {
            vm.booted_from = Some(new);
        }
        if call.params.is_on("delete") || drive.is_cloudinit() {
            state.free(node, &old);
            return Ok(());
        }
        update::detach(&mut state, node, vmid, old).map_err(String::from)
    })
    .await
}
