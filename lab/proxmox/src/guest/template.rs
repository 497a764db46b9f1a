//! Templates: guests whose disks have become base volumes.

use std::time::Duration;

use super::drive::Drive;
use super::work::locked;
use super::{Kind, Px};
use crate::error::{Answer, ApiError};
use crate::routes::Call;
use crate::state::State;
use crate::storage::parse_volid;

/// `POST …/template`
pub(crate) async fn template(px: &Px, call: Call) -> Answer {
    check(px, &px.state(), &call)?;
    locked(px, call, "template", |task, call| async move {
        task.takes(Duration::from_secs(1)).await;
        let (px, node, vmid) = (&task.proxmox, call.node(), call.vmid());
        let mut state = px.state();
        check(px, &state, &call)?;
        convert(px, &mut state, node, vmid, call.params.get("disk"))?;
        let vm = state.vm_mut(node, vmid)?;
        vm.config.insert("template".into(), "1".into());
        Ok(())
    })
    .await
}

fn check(px: &Px, state: &State, call: &Call) -> Result<(), ApiError> {
    let vm = call.guest(state)?;
    super::check_lock(vm, call)?;
    let (article, noun) = match vm.kind {
        Kind::Qemu => ("VM", "VM"),
        Kind::Lxc => ("the CT", "CT"),
    };
    let refused = |text: String| Err(ApiError::failure(text));
    if !vm.snapshots.is_empty() {
        return refused(format!(
            "unable to create template, because {noun} contains snapshots"
        ));
    }
    if vm.is_template() && !call.params.has("disk") {
        return refused("you can't convert a template to a template".into());
    }
    if vm.running.is_some() {
        return refused(format!(
            "you can't convert a {noun} to template if {article} is running"
        ));
    }
    if let Some(key) = call.params.get("disk")
        && !px.disks(vm.kind, &vm.config).any(|drive| drive.key == key)
    {
        return refused(format!("unable to convert disk '{key}' to base image"));
    }
    Ok(())
}

/// Renames the disks (or one of them) to base volumes.
pub(crate) fn convert(
    px: &Px,
    state: &mut State,
    node: &str,
    vmid: u32,
    only: Option<&str>,
) -> Result<(), String> {
    let vm = state.vm(node, vmid)?;
    let kind = vm.kind;
    let drives: Vec<Drive> = px
        .disks(kind, &vm.config)
        .filter(|drive| !drive.is_cloudinit() && only.is_none_or(|key| key == drive.key))
        .collect();
    for mut drive in drives {
        let volid = drive.volid().unwrap_or_default().to_owned();
        let Some((storage, old)) = parse_volid(&volid) else {
            continue;
        };
        let new = old
            .replacen(&format!("subvol-{vmid}-"), &format!("basevol-{vmid}-"), 1)
            .replacen(&format!("vm-{vmid}-"), &format!("base-{vmid}-"), 1);
        let renamed = state.rename_volume(node, storage, old, &new);
        if renamed {
            drive.set_volid(format!("{storage}:{new}"));
            let printed = px.print_drive(&drive);
            state.vm_mut(node, vmid)?.config.insert(drive.key, printed);
        }
    }
    Ok(())
}
