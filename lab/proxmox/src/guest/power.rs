//! Start, stop, shutdown, reboot, reset, suspend, resume; and what lives in running guests.

use std::sync::Arc;
use std::time::Duration;

use stead_lab_core::machine::Guest;

use super::work::locked;
use super::{Kind, Px, check_lock};
use crate::cluster::ha;
use crate::error::{Answer, ApiError};
use crate::lxc;
use crate::qemu::hardware::{Assembled, machine_id};
use crate::qemu::suspend;
use crate::routes::Call;
use crate::state::{Running, State};
use crate::{Proxmox, lock, now};

/// Parameters of `start`, `stop` and `shutdown` that concern migration, the command line and the HA manager.
const ROOT_ONLY: &[&str] = &[
    "force-cpu",
    "keepActive",
    "machine",
    "migratedfrom",
    "migration_network",
    "migration_type",
    "nets-host-mtu",
    "nocheck",
    "stateuri",
    "targetstorage",
    "with-conntrack-state",
];

fn check_root_only(call: &Call) -> Result<(), ApiError> {
    match ROOT_ONLY.iter().find(|name| call.params.has(name)) {
        Some(name) if !call.caller.is_root() => {
            Err(ApiError::parameter(name, "Only root may use this option."))
        }
        // They make sense on a node's command line only.
        Some(name) => Err(ApiError::new(
            501,
            format!("parameter '{name}' not implemented"),
        )),
        None => Ok(()),
    }
}

/// The guest is there and nothing else works on it; tells whether it runs.
fn ready(px: &Proxmox, call: &Call) -> Result<bool, ApiError> {
    check_root_only(call)?;
    let state = px.state();
    let vm = call.guest(&state)?;
    check_lock(vm, call)?;
    Ok(vm.running.is_some())
}

/// A container that is off can't be told to go off; of a VM nobody minds.
fn must_run(call: &Call, running: bool) -> Result<(), ApiError> {
    match call.kind() {
        Kind::Lxc if !running => Err(call.not_running()),
        _ => Ok(()),
    }
}

/// Leaves it to the HA manager to start or stop a guest that it manages.
async fn by_ha(px: &Px, call: &Call, verb: &'static str) -> Option<Answer> {
    let (kind, vmid) = (call.kind(), call.vmid());
    if !ha::manages(&px.state(), vmid) {
        return None;
    }
    let wanted = if verb == "start" {
        "started"
    } else {
        "stopped"
    };
    let (id, name, caller) = (vmid.to_string(), format!("ha{verb}"), &call.caller);
    let task = px.worker(call.node(), &name, &id, caller, move |task| async move {
        task.line(format!("Requesting HA {verb} for {} {vmid}", kind.noun()));
        ha::request(&task.proxmox, vmid, wanted);
        Ok(())
    });
    Some(task.await)
}

/// `POST …/status/start`
pub(crate) async fn start(px: &Px, call: Call) -> Answer {
    let suspended = suspend::is_suspended(&px.state(), &call);
    let running = match suspended {
        true => false,
        false => ready(px, &call)?,
    };
    if running && call.kind() == Kind::Lxc {
        return Err(ApiError::failure(format!(
            "CT {} already running",
            call.vmid()
        )));
    }
    if let Some(answer) = by_ha(px, &call, "start").await {
        return answer;
    }
    locked(px, call, "start", |task, call| async move {
        task.takes(Duration::from_secs(2)).await;
        if suspend::is_suspended(&task.proxmox.state(), &call) {
            task.line("Resuming suspended VM");
        }
        power_on(&task.proxmox, call.vmid()).await
    })
    .await
}

/// `POST …/status/stop`: pulls the plug. A VM that is off stays off, and that is no error.
pub(crate) async fn stop(px: &Px, call: Call) -> Answer {
    let running = ready(px, &call)?;
    must_run(&call, running)?;
    if call.params.is_on("overrule-shutdown") && ha::manages(&px.state(), call.vmid()) {
        return Err(ApiError::parameter(
            "overrule-shutdown",
            "Not applicable for HA resources.",
        ));
    }
    if let Some(answer) = by_ha(px, &call, "stop").await {
        return answer;
    }
    let (kind, vmid) = (call.kind(), call.vmid());
    let overruled = match call.params.is_on("overrule-shutdown") {
        true => px.abort_tasks(&call.caller, &kind.task("shutdown"), &vmid.to_string()),
        false => Vec::new(),
    };
    locked(px, call, "stop", move |task, _| async move {
        if !overruled.is_empty() {
            task.line(format!(
                "overruled {} tasks: {}",
                kind.task("shutdown"),
                overruled.join(", ")
            ));
        }
        task.proxmox.power_off(vmid).await;
        Ok(())
    })
    .await
}

/// `POST …/status/shutdown`: asks the guest; with `forceStop`, pulls the plug if it does not.
pub(crate) async fn shutdown(px: &Px, call: Call) -> Answer {
    let running = ready(px, &call)?;
    must_run(&call, running)?;
    let force = call.params.is_on("forceStop");
    if px.is_paused(call.vmid()) && !force {
        return Err(ApiError::failure("VM is paused - cannot shutdown"));
    }
    if let Some(answer) = by_ha(px, &call, "stop").await {
        return answer;
    }
    locked(px, call, "shutdown", move |task, call| async move {
        let (px, vmid) = (&task.proxmox, call.vmid());
        if !px.is_running(vmid) || (!px.is_paused(vmid) && px.ask_to_stop(vmid).await) {
            return Ok(());
        }
        if !px.is_paused(vmid) {
            let timeout = call.params.number("timeout");
            let default = if call.kind() == Kind::Qemu { 180 } else { 60 };
            task.takes(Duration::from_secs(timeout.unwrap_or(default)))
                .await;
            task.line("VM quit/powerdown failed - got timeout");
        }
        if !force {
            return Err("VM quit/powerdown failed - got timeout".into());
        }
        task.line("VM still running - terminating now with SIGTERM");
        px.power_off(vmid).await;
        Ok(())
    })
    .await
}

/// `POST …/status/reboot`: shut down, then start with what was pending.
pub(crate) async fn reboot(px: &Px, call: Call) -> Answer {
    if !ready(px, &call)? {
        return Err(call.not_running());
    }
    locked(px, call, "reboot", |task, call| async move {
        let (px, vmid) = (&task.proxmox, call.vmid());
        task.line(format!("requesting reboot of {}", call.kind().noun()));
        if !px.ask_to_stop(vmid).await {
            let timeout = call.params.number("timeout").unwrap_or(180);
            task.takes(Duration::from_secs(timeout)).await;
            return Err("VM quit/powerdown failed - got timeout".into());
        }
        task.takes(Duration::from_secs(2)).await;
        power_on(px, vmid).await
    })
    .await
}

/// `POST …/status/reset`: the reset button; nothing pending is applied.
pub(crate) async fn reset(px: &Px, call: Call) -> Answer {
    if !ready(px, &call)? {
        return Err(call.not_running());
    }
    locked(px, call, "reset", |task, call| async move {
        let (px, vmid) = (&task.proxmox, call.vmid());
        let guest = lock(&px.guests).remove(&vmid);
        if let Some(guest) = guest {
            guest.power_off().await;
        }
        px.boot(vmid).await
    })
    .await
}

/// `POST …/status/suspend`: the processors stand still; a VM with `todisk` is saved and goes off.
pub(crate) async fn pause(px: &Px, call: Call) -> Answer {
    if !ready(px, &call)? {
        return Err(call.not_running());
    }
    if call.params.is_on("todisk") {
        suspend::check(px, &call)?;
    }
    locked(px, call, "suspend", |task, call| async move {
        if call.params.is_on("todisk") {
            return suspend::to_disk(&task, &call).await;
        }
        task.proxmox.set_paused(call.vmid(), true);
        Ok(())
    })
    .await
}

/// `POST …/status/resume`
pub(crate) async fn resume(px: &Px, call: Call) -> Answer {
    let suspended = suspend::is_suspended(&px.state(), &call);
    let (kind, vmid) = (call.kind(), call.vmid());
    if !suspended && !ready(px, &call)? {
        return Err(call.not_running());
    }
    if kind == Kind::Lxc && !px.is_paused(vmid) {
        return Err(ApiError::failure(format!("CT {vmid} already running")));
    }
    locked(px, call, "resume", move |task, _| async move {
        match suspended {
            true => power_on(&task.proxmox, vmid).await,
            false => {
                task.proxmox.set_paused(vmid, false);
                Ok(())
            }
        }
    })
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
        let kind = vm.kind;
        if vm.is_template() {
            return Err(match kind {
                Kind::Qemu => "you can't start a vm if it's a template".into(),
                Kind::Lxc => "you can't start a CT if it's a template".into(),
            });
        }
        if vm.running.is_some() {
            return Err(format!("{} {vmid} already running", kind.noun()));
        }
        let (node, woken) = (vm.node.clone(), suspend::wake(vm));
        px.apply_pending(state, vmid)?;
        check_capacity(state, &node, vmid)?;
        if let Some(bridge) = state.missing_bridge(&node, vmid) {
            return Err(format!("bridge '{bridge}' does not exist"));
        }
        px.assemble(state, vmid)?;
        if let Some(volid) = woken {
            state.free(&node, &volid);
        }
        if let Some(vm) = state.vms.get_mut(&vmid) {
            vm.running = Some(Running {
                pid,
                since: now(),
                paused: false,
                frozen: false,
            });
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

/// Whether the node has the memory and processors that a guest asks for; containers take only what they use.
fn check_capacity(state: &State, node: &str, vmid: u32) -> Result<(), String> {
    let (Some(spec), Some(vm)) = (state.nodes.get(node), state.vms.get(&vmid)) else {
        return Ok(());
    };
    if vm.kind == Kind::Lxc {
        return Ok(());
    }
    if state.memory_used(node).saturating_add(vm.memory()) > spec.memory {
        return Err("start failed: QEMU exited with code 1: cannot set up guest memory 'pc.ram': Cannot allocate memory".into());
    }
    let most = u64::from(spec.cpu);
    if vm.cpus(most) > most {
        return Err(format!("MAX {most} vcpus allowed per VM on this node"));
    }
    Ok(())
}

impl Proxmox {
    pub(crate) fn is_running(&self, vmid: u32) -> bool {
        self.state()
            .vms
            .get(&vmid)
            .is_some_and(|vm| vm.running.is_some())
    }

    pub(crate) fn is_paused(&self, vmid: u32) -> bool {
        self.state()
            .vms
            .get(&vmid)
            .is_some_and(|vm| vm.running.is_some_and(|running| running.paused))
    }

    pub(crate) fn set_paused(&self, vmid: u32, paused: bool) {
        if let Some(running) = self
            .state()
            .vms
            .get_mut(&vmid)
            .and_then(|vm| vm.running.as_mut())
        {
            running.paused = paused;
        }
        self.changed();
    }

    /// What waited for the next start becomes the configuration.
    pub(crate) fn apply_pending(&self, state: &mut State, vmid: u32) -> Result<(), String> {
        match state.vms.get(&vmid).map(|vm| vm.kind) {
            Some(Kind::Qemu) => self.commit_pending(state, vmid),
            Some(Kind::Lxc) => lxc::update::apply_pending(self, state, vmid),
            None => Ok(()),
        }
    }

    /// Puts together what a guest finds at power-on, or says why it can't start.
    pub(crate) fn assemble(&self, state: &State, vmid: u32) -> Result<Assembled, String> {
        let vm = state
            .vms
            .get(&vmid)
            .ok_or_else(|| format!("VM {vmid} does not exist"))?;
        match vm.kind {
            Kind::Qemu => self.assemble_vm(state, vmid),
            Kind::Lxc => lxc::hardware::assemble(self, state, vmid, vm),
        }
    }

    /// Brings a running machine's operating system to life, if any kind knows it.
    pub(crate) async fn boot(self: &Arc<Self>, vmid: u32) -> Result<(), String> {
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
    pub(crate) async fn ask_to_stop(&self, vmid: u32) -> bool {
        let guest = lock(&self.guests).get(&vmid).cloned();
        match guest {
            Some(guest) => guest.shutdown().await,
            // Every container has an init that heeds; a VM without an operating system has nobody.
            None if self.is_container(vmid) => {}
            None => return false,
        }
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

    fn is_container(&self, vmid: u32) -> bool {
        let state = self.state();
        state.vms.get(&vmid).is_some_and(|vm| vm.kind == Kind::Lxc)
    }

    /// What waited for a VM to be off applies now; a container's waits for its start.
    fn mark_off(&self, vmid: u32) {
        let mut state = self.state();
        if let Some(vm) = state.vms.get_mut(&vmid) {
            vm.running = None;
            let kind = vm.kind;
            if kind == Kind::Qemu
                && let Err(text) = self.apply_pending(&mut state, vmid)
            {
                tracing::warn!(vmid, text, "pending changes were not applied");
            }
        }
        drop(state);
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
    pub(crate) fn forget_guest(&self, cluster: &str, vmid: u32) {
        let (kinds, id) = (self.kinds.clone(), machine_id(cluster, vmid));
        self.lab.tasks.spawn(async move {
            for kind in &kinds {
                kind.destroyed(&id).await;
            }
        });
    }
}
