//! Making a guest, from options or from a backup: what is the same for both kinds.

use std::collections::BTreeMap;
use std::time::Duration;

use super::work::{Undo, in_task};
use super::{Kind, Purpose, Px, power};
use crate::cluster::ha;
use crate::error::{Answer, ApiError};
use crate::routes::Call;
use crate::state::{State, Vm};
use crate::task::TaskLog;

/// A guest that is about to be made.
#[derive(Default)]
pub(crate) struct Made {
    pub(crate) config: BTreeMap<String, String>,
    /// Volumes that were made for it; freed when it comes to nothing.
    pub(crate) volids: Vec<String>,
    /// It is to become a template, as it was when it was backed up.
    pub(crate) template: bool,
}

/// Fills in configuration and volumes.
pub(crate) type Configure = fn(&Px, &mut State, &Call, &mut Made) -> Result<(), ApiError>;

/// Whether a guest is made anew or from a backup.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Options,
    Backup,
}

impl Source {
    fn verb(self) -> &'static str {
        match self {
            Source::Options => "create",
            Source::Backup => "restore",
        }
    }
}

/// The rights that making a guest takes, beside those for its options.
pub(crate) fn may_make(state: &State, call: &Call) -> Result<(), ApiError> {
    let (caller, params, vmid) = (&call.caller, &call.params, call.vmid());
    let pool = params.get("pool");
    if let Some(pool) = pool.filter(|p| !state.pools.contains_key(*p)) {
        return Err(ApiError::failure(format!("pool '{pool}' does not exist")));
    }
    if params.is_on("ha-managed") {
        state.need(caller, "/", &["Sys.Console"])?;
    }
    if let Some(storage) = params.get("storage") {
        state.need_space(caller, storage)?;
    }
    let by_pool = pool.is_some_and(|p| state.may(caller, &format!("/pool/{p}"), "VM.Allocate"));
    let overwrites = params.is_on("force") && state.vms.contains_key(&vmid);
    let may_restore = overwrites && state.may(caller, &format!("/vms/{vmid}"), "VM.Backup");
    if !(by_pool || may_restore) {
        state.need(caller, &format!("/vms/{vmid}"), &["VM.Allocate"])?;
    }
    if params.is_on("start") && !by_pool {
        state.need(caller, &format!("/vms/{vmid}"), &["VM.PowerMgmt"])?;
    }
    Ok(())
}

/// Makes the guest in a task.
pub(crate) async fn make(px: &Px, call: Call, source: Source, configure: Configure) -> Answer {
    let (kind, vmid) = (call.kind(), call.vmid());
    let complaint = format!("unable to {} {} {vmid} -", source.verb(), kind.noun());
    let reserved = reserve(px, &call, source, &complaint)?;
    in_task(px, call, source.verb(), move |task, call| async move {
        let made = build(&task, &call, source, configure).await;
        made.map_err(|text| format!("{complaint} {text}"))?;
        reserved.keep();
        if call.params.is_on("ha-managed") {
            ha::add(&mut task.proxmox.state(), vmid);
        }
        if call.params.is_on("start") {
            power::power_on(&task.proxmox, vmid).await?;
        }
        Ok(())
    })
    .await
}

/// Takes the id until what is given back is dropped. An older guest that was not touched until then is back.
fn reserve(px: &Px, call: &Call, source: Source, complaint: &str) -> Result<Undo, ApiError> {
    let vmid = call.vmid();
    let before = take_id(&mut px.state(), call, source, complaint)?;
    let px = px.clone();
    Ok(Undo::new(move || {
        let mut state = px.state();
        let untouched = state.vms.get(&vmid).is_some_and(|vm| vm.config.len() > 1);
        match before.filter(|_| untouched) {
            Some(old) => drop(state.vms.insert(vmid, old)),
            None => state.remove_vm(vmid),
        }
        px.changed();
    }))
}

/// Takes the id with a configuration that holds only a lock; gives the guest that a restore overwrites.
fn take_id(
    state: &mut State,
    call: &Call,
    source: Source,
    complaint: &str,
) -> Result<Option<Vm>, ApiError> {
    let (kind, vmid) = (call.kind(), call.vmid());
    let overwrites = source == Source::Backup && call.params.is_on("force");
    let Some(vm) = state.vms.get_mut(&vmid).filter(|_| overwrites) else {
        state.check_vmid_unused(vmid).map_err(|text| match kind {
            Kind::Qemu => format!("{complaint} {text}"),
            Kind::Lxc => text,
        })?;
        let new = Vm::locked(kind, call.node(), "create");
        state.vms.insert(vmid, new);
        return Ok(None);
    };
    if vm.kind != kind || vm.node != call.node() {
        return Err(ApiError::failure(format!(
            "{complaint} {} {vmid} already exists on node '{}'",
            vm.kind.noun(),
            vm.node
        )));
    }
    vm.check_protection(complaint.trim_end_matches(" -"))?;
    vm.check_unlocked()
        .map_err(|text| format!("{complaint} {text}"))?;
    if vm.running.is_some() {
        return Err(ApiError::failure(match kind {
            Kind::Qemu => format!("{complaint} vm is running"),
            Kind::Lxc => "can't overwrite running container".into(),
        }));
    }
    let old = vm.clone();
    vm.set_lock("create");
    Ok(Some(old))
}

async fn build(
    task: &TaskLog,
    call: &Call,
    source: Source,
    configure: Configure,
) -> Result<(), String> {
    let px = &task.proxmox;
    let (kind, node, vmid) = (call.kind(), call.node(), call.vmid());
    let lock = px.lock_vm(kind, vmid, Purpose::Create).await;
    task.takes(Duration::from_secs(if source == Source::Backup {
        20
    } else {
        2
    }))
    .await;
    let _lock = lock?;
    let mut state = px.state();
    let mut made = Made::default();
    if let Err(error) = configure(px, &mut state, call, &mut made) {
        for volid in made.volids {
            state.free(node, &volid);
        }
        return Err(error.into());
    }
    let vm = state.vm_mut(node, vmid)?;
    let fresh = Vm {
        config: made.config,
        ..Vm::locked(kind, node, "create")
    };
    *vm = fresh;
    if made.template {
        super::template::convert(px, &mut state, node, vmid, None)?;
        let vm = state.vm_mut(node, vmid)?;
        vm.config.insert("template".into(), "1".into());
    }
    if let Some(pool) = call.params.get("pool") {
        state.join_pool(pool, vmid);
    }
    drop(state);
    for volid in made.volids {
        task.line(match kind {
            Kind::Qemu => format!("successfully created disk '{volid}'"),
            Kind::Lxc => format!("Creating filesystem on '{volid}'"),
        });
    }
    Ok(())
}
