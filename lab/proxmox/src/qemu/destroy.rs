//! Destroying a VM, with its disks.

use std::time::Duration;

use super::{CHANGE_WAIT, Px, check_lock};
use crate::error::{Answer, ApiError};
use crate::routes::Call;
use crate::state::State;

/// `DELETE /nodes/{node}/qemu/{vmid}`
pub(crate) async fn destroy(px: &Px, call: Call) -> Answer {
    check(px, &px.state(), &call)?;
    let (node, vmid, caller) = (call.node().to_owned(), call.vmid(), call.caller.clone());
    px.worker(
        &node,
        "qmdestroy",
        &vmid.to_string(),
        &caller,
        move |task| async move {
            let px = task.proxmox.clone();
            let _lock = px.lock_vm(vmid, CHANGE_WAIT).await?;
            task.takes(Duration::from_secs(1)).await;
            let cluster = {
                let mut state = px.state();
                check(&px, &state, &call)?;
                for volid in state.volids(&px, vmid) {
                    state.free(call.node(), &volid);
                }
                if call.params.is_on("destroy-unreferenced-disks") {
                    free_unreferenced(&mut state, call.node(), vmid);
                }
                state.vms.remove(&vmid);
                for pool in state.pools.values_mut() {
                    pool.vms.retain(|id| *id != vmid);
                }
                if call.params.is_on("purge") {
                    state.access.acl.remove(&format!("/vms/{vmid}"));
                }
                state.name.clone()
            };
            px.destroyed(&cluster, vmid).await;
            Ok(())
        },
    )
    .await
}

fn check(px: &Px, state: &State, call: &Call) -> Result<(), ApiError> {
    let vmid = call.vmid();
    let vm = state.vm(call.node(), vmid).map_err(ApiError::failure)?;
    check_lock(vm, call)?;
    if vm.config.get("protection").is_some_and(|p| p == "1") {
        return Err(ApiError::failure(format!(
            "can't remove VM {vmid} - protection mode enabled"
        )));
    }
    if vm.running.is_some() {
        return Err(ApiError::failure(format!(
            "VM {vmid} is running - destroy failed"
        )));
    }
    let volids = state.volids(px, vmid);
    let children = state
        .storages
        .values()
        .flat_map(|s| s.volumes_of(call.node()));
    for (name, child) in children {
        if let Some(base) = child
            .parent
            .as_ref()
            .filter(|parent| volids.contains(parent))
        {
            return Err(ApiError::failure(format!(
                "base volume '{base}' is still in use by linked cloned '{name}'"
            )));
        }
    }
    Ok(())
}

fn free_unreferenced(state: &mut State, node: &str, vmid: u32) {
    for storage in state.storages.values_mut() {
        storage
            .volumes_mut(node)
            .retain(|_, volume| volume.content != "images" || volume.vmid != Some(vmid));
    }
}
