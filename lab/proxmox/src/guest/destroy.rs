//! Destroying a guest, with its disks.

use std::time::Duration;

use super::work::locked;
use super::{Kind, Px, check_lock};
use crate::cluster::ha;
use crate::error::{Answer, ApiError};
use crate::routes::Call;
use crate::state::State;

/// `DELETE /nodes/{node}/qemu/{vmid}` and `…/lxc/{vmid}`
pub(crate) async fn destroy(px: &Px, call: Call) -> Answer {
    check(px, &px.state(), &call)?;
    locked(px, call, "destroy", |task, call| async move {
        let (px, kind, vmid) = (&task.proxmox, call.kind(), call.vmid());
        task.takes(Duration::from_secs(1)).await;
        check(px, &px.state(), &call)?;
        if px.is_running(vmid) {
            task.line(format!("forced to stop CT {vmid} before destroying!"));
            px.power_off(vmid).await;
        }
        let cluster = {
            let mut state = px.state();
            check(px, &state, &call)?;
            if call.params.is_on("purge") {
                ha::forget(&mut state, vmid);
            }
            px.erase(&mut state, vmid);
            if call.params.is_on("destroy-unreferenced-disks") {
                free_unreferenced(&mut state, call.node(), vmid);
            }
            state.access.acl.remove(&format!("/vms/{vmid}"));
            state.name.clone()
        };
        if call.params.is_on("purge") {
            task.line(format!(
                "purging {} {vmid} from related configurations..",
                kind.noun()
            ));
        }
        px.destroyed(&cluster, vmid).await;
        Ok(())
    })
    .await
}

impl crate::Proxmox {
    /// Frees a guest's volumes and forgets it.
    pub(crate) fn erase(&self, state: &mut State, vmid: u32) {
        self.free_volumes(state, vmid);
        state.remove_vm(vmid);
    }
}

fn check(px: &Px, state: &State, call: &Call) -> Result<(), ApiError> {
    let (vmid, kind) = (call.vmid(), call.kind());
    let vm = call.guest(state)?;
    let noun = kind.noun();
    check_lock(vm, call)?;
    vm.check_protection(&format!("can't remove {noun} {vmid}"))?;
    if !call.params.is_on("purge") && ha::has(state, vmid) {
        return Err(ApiError::failure(format!(
            "unable to remove {noun} {vmid} - used in HA resources and purge parameter not set."
        )));
    }
    if vm.running.is_some() && !(kind == Kind::Lxc && call.params.is_on("force")) {
        return Err(ApiError::failure(match kind {
            Kind::Qemu => format!("VM {vmid} is running - destroy failed"),
            Kind::Lxc => format!("unable to destroy CT {vmid} - container is running"),
        }));
    }
    for volid in px.volids(state, vmid, vm) {
        if let Some(child) = state.clone_of(&vm.node, &volid) {
            return Err(ApiError::failure(format!(
                "base volume '{volid}' is still in use by linked cloned '{child}'"
            )));
        }
    }
    Ok(())
}

fn free_unreferenced(state: &mut State, node: &str, vmid: u32) {
    for storage in state.storages.values_mut() {
        storage
            .volumes_mut(node)
            .retain(|_, volume| !volume.is_disk() || volume.vmid != Some(vmid));
    }
}
