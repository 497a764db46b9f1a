//! Start, stop, shutdown, reboot, reset; and what lives in running machines.

use std::sync::Arc;
use std::time::Duration;

use stead_lab_core::machine::Guest;

use super::hardware::machine_id;
use super::{CHANGE_WAIT, Px, check_lock};
use crate::error::{Answer, ApiError};
use crate::routes::Call;
use crate::state::Running;
use crate::{Proxmox, lock, now};

/// Parameters of `start` that concern migration and the command line.
const START_INTERNAL: &[&str] = &[
    "force-cpu",
    "machine",
    "migratedfrom",
    "migration_network",
    "migration_type",
    "nets-host-mtu",
    "stateuri",
    "targetstorage",
    "with-conntrack-state",
];

fn refuse(call: &Call, names: &[&str]) -> Result<(), ApiError> {
    match names.iter().find(|name| call.params.has(name)) {
        None => Ok(()),
        Some(name) => Err(ApiError::parameter(name, "Only root may use this option.")),
    }
}

/// The VM is there and nothing else works on it; tells whether it runs.
fn ready(px: &Proxmox, call: &Call) -> Result<bool, ApiError> {
    let state = px.state();
    let vm = state
        .vm(call.node(), call.vmid())
        .map_err(ApiError::failure)?;
    check_lock(vm, call)?;
    Ok(vm.running.is_some())
}

/// `POST …/status/start`
pub(crate) async fn start(px: &Px, call: Call) -> Answer {
    refuse(&call, START_INTERNAL)?;
    ready(px, &call)?;
    let vmid = call.vmid();
    px.worker(
        call.node(),
        "qmstart",
        &vmid.to_string(),
        &call.caller,
        move |task| async move {
            let px = task.proxmox.clone();
            let _lock = px.lock_vm(vmid, CHANGE_WAIT).await?;
            task.takes(Duration::from_secs(2)).await;
            power_on(&px, vmid).await
        },
    )
    .await
}

/// `POST …/status/stop`: pulls the plug. A VM that is off stays off, and that is no error.
pub(crate) async fn stop(px: &Px, call: Call) -> Answer {
    refuse(&call, &["migratedfrom", "keepActive"])?;
    ready(px, &call)?;
    let vmid = call.vmid();
    px.worker(
        call.node(),
        "qmstop",
        &vmid.to_string(),
        &call.caller,
        move |task| async move {
            let px = task.proxmox.clone();
            let _lock = px.lock_vm(vmid, CHANGE_WAIT).await?;
            px.power_off(vmid).await;
            Ok(())
        },
    )
    .await
}

/// `POST …/status/shutdown`: asks the guest; with `forceStop`, pulls the plug if it does not.
pub(crate) async fn shutdown(px: &Px, call: Call) -> Answer {
    refuse(&call, &["keepActive"])?;
    ready(px, &call)?;
    let vmid = call.vmid();
    let (node, caller) = (call.node().to_owned(), call.caller.clone());
    px.worker(
        &node,
        "qmshutdown",
        &vmid.to_string(),
        &caller,
        move |task| async move {
            let px = task.proxmox.clone();
            let _lock = px.lock_vm(vmid, CHANGE_WAIT).await?;
            if !px.is_running(vmid) || px.ask_to_stop(vmid).await {
                return Ok(());
            }
            task.takes(Duration::from_secs(
                call.params.number("timeout").unwrap_or(180),
            ))
            .await;
            task.line("VM quit/powerdown failed - got timeout");
            if !call.params.is_on("forceStop") {
                return Err("VM quit/powerdown failed - got timeout".into());
            }
            task.line("VM still running - terminating now with SIGTERM");
            px.power_off(vmid).await;
            Ok(())
        },
    )
    .await
}

/// `POST …/status/reboot`: shut down, then start with what was pending.
pub(crate) async fn reboot(px: &Px, call: Call) -> Answer {
    let vmid = call.vmid();
    if !ready(px, &call)? {
        return Err(ApiError::failure(format!("VM {vmid} not running")));
    }
    let (node, caller) = (call.node().to_owned(), call.caller.clone());
    px.worker(
        &node,
        "qmreboot",
        &vmid.to_string(),
        &caller,
        move |task| async move {
            let px = task.proxmox.clone();
            let _lock = px.lock_vm(vmid, CHANGE_WAIT).await?;
            task.line("requesting reboot of VM");
            if !px.ask_to_stop(vmid).await {
                task.takes(Duration::from_secs(
                    call.params.number("timeout").unwrap_or(180),
                ))
                .await;
                return Err("VM quit/powerdown failed - got timeout".into());
            }
            task.takes(Duration::from_secs(2)).await;
            power_on(&px, vmid).await
        },
    )
    .await
}

/// `POST …/status/reset`: the reset button; nothing pending is applied.
pub(crate) async fn reset(px: &Px, call: Call) -> Answer {
    let vmid = call.vmid();
    if !ready(px, &call)? {
        return Err(ApiError::failure(format!("VM {vmid} not running")));
    }
    px.worker(
        call.node(),
        "qmreset",
        &vmid.to_string(),
        &call.caller,
        move |task| async move {
            let px = task.proxmox.clone();
            let _lock = px.lock_vm(vmid, CHANGE_WAIT).await?;
            let guest = lock(&px.guests).remove(&vmid);
            if let Some(guest) = guest {
                guest.power_off().await;
            }
            px.boot(vmid).await
        },
    )
    .await
}

/// Applies what is pending, checks that the node can carry it, and boots.
pub(crate) async fn power_on(px: &Px, vmid: u32) -> Result<(), String> {
    let booting = {
        let mut guard = px.state();
        let state = &mut *guard;
        let pid = state.next_pid();
        let vm = state
            .vms
            .get_mut(&vmid)
            .ok_or_else(|| format!("VM {vmid} does not exist"))?;
        if vm.is_template() {
            return Err("you can't start a vm if it's a template".into());
        }
        if vm.running.is_some() {
            return Err(format!("VM {vmid} already running"));
        }
        vm.config = vm.merged();
        vm.pending.clear();
        let (node, memory) = (vm.node.clone(), vm.memory());
        let total = state.nodes.get(&node).map_or(0, |n| n.memory);
        if state.memory_used(&node).saturating_add(memory) > total {
            return Err("start failed: QEMU exited with code 1: cannot set up guest memory 'pc.ram': Cannot allocate memory".into());
        }
        if let Some(cores) = state
            .nodes
            .get(&node)
            .map(|n| u64::from(n.cpu))
            .filter(|cpus| state.vms.get(&vmid).is_some_and(|vm| vm.cpus() > *cpus))
        {
            return Err(format!("MAX {cores} vcpus allowed per VM on this node"));
        }
        px.assemble(state, vmid)?;
        if let Some(vm) = state.vms.get_mut(&vmid) {
            vm.running = Some(Running { pid, since: now() });
        }
        px.changed();
        px.boot(vmid)
    };
    let booted = booting.await;
    if booted.is_err()
        && let Some(vm) = px.state().vms.get_mut(&vmid)
    {
        vm.running = None;
    }
    booted
}

impl Proxmox {
    pub(crate) fn is_running(&self, vmid: u32) -> bool {
        self.state()
            .vms
            .get(&vmid)
            .is_some_and(|vm| vm.running.is_some())
    }

    /// Brings a running machine's operating system to life, if any kind knows it.
    async fn boot(self: &Arc<Self>, vmid: u32) -> Result<(), String> {
        let (hardware, pid) = {
            let mut state = self.state();
            let assembled = self.assemble(&state, vmid)?;
            let vm = state
                .vms
                .get_mut(&vmid)
                .ok_or_else(|| format!("VM {vmid} does not exist"))?;
            vm.booted_from = assembled.boot_volume;
            (assembled.hardware, vm.running.map(|r| r.pid))
        };
        let Some(kind) = self.kinds.iter().find(|kind| kind.recognises(&hardware)) else {
            return Ok(());
        };
        let guest = kind.boot(hardware).await;
        lock(&self.guests).insert(vmid, guest.clone());
        self.watch(vmid, pid, guest);
        Ok(())
    }

    /// A guest that turns itself off takes the machine with it.
    fn watch(self: &Arc<Self>, vmid: u32, pid: Option<u32>, guest: Arc<dyn Guest>) {
        let px = self.clone();
        self.lab.tasks.spawn(async move {
            tokio::select! {
                () = guest.stopped() => {}
                () = px.lab.shutdown.cancelled() => return,
            }
            // Guests end with the lab too: that is not the machine turning itself off, and it boots again with the lab.
            if px.lab.shutdown.is_cancelled() {
                return;
            }
            let current = lock(&px.guests)
                .get(&vmid)
                .is_some_and(|g| Arc::ptr_eq(g, &guest));
            if !current {
                return;
            }
            lock(&px.guests).remove(&vmid);
            if let Some(vm) = px
                .state()
                .vms
                .get_mut(&vmid)
                .filter(|vm| vm.running.map(|r| r.pid) == pid)
            {
                vm.running = None;
            }
            px.changed();
        });
    }

    /// Whether an operating system was there to heed the power button, and the machine is off now.
    async fn ask_to_stop(&self, vmid: u32) -> bool {
        let guest = lock(&self.guests).get(&vmid).cloned();
        let Some(guest) = guest else { return false };
        guest.shutdown().await;
        lock(&self.guests).remove(&vmid);
        self.mark_off(vmid);
        true
    }

    pub(crate) async fn power_off(&self, vmid: u32) {
        let guest = lock(&self.guests).remove(&vmid);
        if let Some(guest) = guest {
            guest.power_off().await;
        }
        self.mark_off(vmid);
    }

    /// What waited for the machine to be off applies now.
    fn mark_off(&self, vmid: u32) {
        if let Some(vm) = self.state().vms.get_mut(&vmid) {
            vm.running = None;
            vm.config = vm.merged();
            vm.pending.clear();
        }
        self.changed();
    }

    /// After a restart of the lab: what ran, runs again.
    pub(crate) async fn boot_again(self: &Arc<Self>) {
        let running: Vec<u32> = {
            let state = self.state();
            state
                .vms
                .iter()
                .filter(|(_, vm)| vm.running.is_some())
                .map(|(id, _)| *id)
                .collect()
        };
        for vmid in running {
            if let Err(error) = self.boot(vmid).await {
                tracing::warn!(vmid, error, "a machine did not come back");
                self.mark_off(vmid);
            }
        }
    }

    /// A machine and its disks are gone for good.
    pub(crate) async fn destroyed(&self, cluster: &str, vmid: u32) {
        lock(&self.guests).remove(&vmid);
        lock(&self.locks).remove(&vmid);
        for kind in &self.kinds {
            kind.destroyed(&machine_id(cluster, vmid)).await;
        }
    }

    /// The disk on which a guest lived is gone, its machine is not.
    pub(crate) fn forget_guest(self: &Arc<Self>, cluster: &str, vmid: u32) {
        let (px, id) = (self.clone(), machine_id(cluster, vmid));
        self.lab.tasks.spawn(async move {
            for kind in &px.kinds {
                kind.destroyed(&id).await;
            }
        });
    }
}
