//! Cloning guests, fully or linked to a template's disks, from now or from a snapshot.

use std::collections::BTreeMap;
use std::time::Duration;

use super::drive::{self, Drive};
use super::work::{Undo, hold, in_task};
use super::{Kind, Purpose, Px};
use crate::error::{Answer, ApiError};
use crate::routes::Call;
use crate::state::{State, Vm};
use crate::storage::NewDisk;
use crate::task::TaskLog;

/// What a clone is made from.
struct Plan {
    kind: Kind,
    full: bool,
    /// The configuration now, or of the snapshot.
    config: BTreeMap<String, String>,
}

/// Options that say something of one guest only.
const OWN: &[&str] = &[
    "lock",
    "parent",
    "protection",
    "runningcpu",
    "runningmachine",
    "snapstate",
    "snaptime",
    "template",
    "vmstate",
];

/// `POST …/clone`
pub(crate) async fn clone(px: &Px, call: Call) -> Answer {
    let held = {
        let mut state = px.state();
        super::check_lock(call.guest(&state)?, &call)?;
        plan(px, &state, &call)?;
        // A container says so in its own configuration, before the task begins.
        (call.kind() == Kind::Lxc).then(|| hold(px, &mut state, call.vmid(), "disk"))
    };
    in_task(px, call, "clone", |task, call| async move {
        let _held = held;
        work(&task, &call).await
    })
    .await
}

async fn work(task: &TaskLog, call: &Call) -> Result<(), String> {
    let px = &task.proxmox;
    let (kind, vmid, newid) = (call.kind(), call.vmid(), newid(call));
    // Of a guest that is off, any number of clones are made at a time.
    let running = px.is_running(vmid);
    let _source = px.lock_source(kind, vmid, running).await?;
    let _target = px.lock_vm(kind, newid, Purpose::Clone).await?;
    let (plan, reserved) = {
        let mut state = px.state();
        if kind == Kind::Qemu {
            super::check_lock(call.guest(&state)?, call)?;
        }
        let plan = plan(px, &state, call)?;
        let lock = match kind {
            Kind::Qemu => "clone",
            Kind::Lxc => "create",
        };
        let new = Vm::locked(kind, call.node(), lock);
        state.vms.insert(newid, new);
        let px = px.clone();
        (plan, Undo::new(move || px.state().remove_vm(newid)))
    };
    task.line(format!(
        "creating a clone of {} {vmid} with ID {newid}",
        kind.noun()
    ));
    task.takes(Duration::from_secs(if plan.full { 20 } else { 2 }))
        .await;
    let made = copy(px, call, &plan).map_err(|text| format!("clone failed: {text}"))?;
    reserved.keep();
    let how = if plan.full { "full" } else { "linked" };
    for volid in made {
        task.line(format!("create {how} clone of drive ({volid})"));
    }
    Ok(())
}

fn newid(call: &Call) -> u32 {
    call.params.text("newid").parse().unwrap_or_default()
}

/// The other node that the clone is to be on.
fn target(call: &Call) -> Option<&str> {
    let target = call.params.get("target")?;
    (target != call.node() && target != "localhost").then_some(target)
}

/// Whether the clone may be made, and from what.
fn plan(px: &Px, state: &State, call: &Call) -> Result<Plan, ApiError> {
    let (params, kind, node) = (&call.params, call.kind(), call.node());
    let vm = call.guest(state)?;
    if let Some(pool) = params.get("pool").filter(|p| !state.pools.contains_key(*p)) {
        return Err(ApiError::failure(format!("pool '{pool}' does not exist")));
    }
    if let Some(target) = target(call).filter(|t| !state.nodes.contains_key(*t)) {
        return Err(ApiError::failure(format!(
            "no such cluster node '{target}'"
        )));
    }
    if let Some(storage) = params.get("storage") {
        if !state.storage(storage, node)?.takes(kind.content()) {
            return Err(ApiError::parameter("storage", kind.wrong_storage(storage)));
        }
        if let Some(target) = target(call)
            && !state.storage(storage, target)?.shared
        {
            return Err(ApiError::failure(format!(
                "can't clone to non-shared storage '{storage}'"
            )));
        }
    }
    let running = vm.running.is_some();
    let full = if params.has("full") {
        params.is_on("full")
    } else {
        !vm.is_template()
    };
    for name in ["storage", "format"] {
        if !full && params.has(name) {
            return Err(ApiError::failure(format!(
                "parameter '{name}' not allowed for linked clones"
            )));
        }
    }
    let snapshot = params.get("snapname");
    let config = match snapshot {
        Some(name) => vm.snapshot(name).map_err(ApiError::failure)?.clone(),
        None => vm.config.clone(),
    };
    let newid = newid(call);
    if state.vms.contains_key(&newid) {
        return Err(ApiError::failure(match kind {
            Kind::Qemu => format!("unable to create VM {newid}: config file already exists"),
            Kind::Lxc => format!("CT {newid} already exists on node '{node}'"),
        }));
    }
    let drives: Vec<Drive> = px.drives(kind, &config).collect();
    for drive in &drives {
        check_drive(state, call, drive, full, running)?;
    }
    for (_, net) in config.iter().filter(|(key, _)| is_net(key)) {
        state.may_use_net(&call.caller, net)?;
    }
    Ok(Plan { kind, full, config })
}

pub(super) fn is_net(key: &str) -> bool {
    crate::schema::numbered(key).is_some_and(|(stem, _)| stem == "net")
}

fn check_drive(
    state: &State,
    call: &Call,
    drive: &Drive,
    full: bool,
    running: bool,
) -> Result<(), ApiError> {
    let (kind, node, key) = (drive.kind, call.node(), &drive.key);
    let snapshot = call.params.get("snapname");
    if drive.is_cdrom() && !drive.is_cloudinit() {
        return Ok(());
    }
    let Some(volid) = drive.volid() else {
        return match kind {
            Kind::Qemu => Ok(()),
            Kind::Lxc => Err(ApiError::failure(format!(
                "unable to clone mountpoint '{key}' (type bind)"
            ))),
        };
    };
    let own = drive.storage().unwrap_or_default();
    let storage = call.params.get("storage").unwrap_or(own);
    state.need_space(&call.caller, storage)?;
    if let Some(target) = target(call)
        && !state.storage(storage, node)?.shared
    {
        return Err(ApiError::failure(format!(
            "can't clone {} to node '{target}' ({0} uses local storage)",
            kind.noun()
        )));
    }
    if kind == Kind::Lxc && full && running && snapshot.is_none() {
        return Err(ApiError::failure(
            "Full clone of a running container is only possible from a snapshot",
        ));
    }
    if kind == Kind::Qemu && full && running && snapshot.is_none() && key == "tpmstate0" {
        return Err(ApiError::failure(
            "cannot clone TPM state while VM is running",
        ));
    }
    let copied = full || drive.is_cloudinit() || key == "tpmstate0";
    if !copied && (snapshot.is_some() || !state.is_base(node, volid)) {
        let of = if snapshot.is_some() {
            " a snapshot of"
        } else {
            ""
        };
        return Err(ApiError::failure(match kind {
            Kind::Qemu => {
                format!("Linked clone feature is not supported for{of} '{volid}' ({key})")
            }
            Kind::Lxc => format!("Linked clone feature for '{volid}' is not available"),
        }));
    }
    Ok(())
}

/// Makes the volumes and the configuration; gives what was made.
fn copy(px: &Px, call: &Call, plan: &Plan) -> Result<Vec<String>, String> {
    let (mut state, mut made) = (px.state(), Vec::new());
    let copied = copy_to(px, &mut state, call, plan, &mut made);
    if copied.is_err() {
        for volid in &made {
            state.free(call.node(), volid);
        }
    }
    copied.map(|()| made)
}

fn copy_to(
    px: &Px,
    state: &mut State,
    call: &Call,
    plan: &Plan,
    made: &mut Vec<String>,
) -> Result<(), String> {
    let (node, kind, newid) = (call.node(), plan.kind, newid(call));
    let mut config = plan.config.clone();
    config.retain(|key, _| !drive::is_unused(key) && !OWN.contains(&key.as_str()));
    let drives: Vec<Drive> = px.disks(kind, &plan.config).collect();
    for mut drive in drives {
        let old = drive.volid().unwrap_or_default().to_owned();
        let volume = state
            .volume(node, &old)
            .cloned()
            .ok_or_else(|| format!("volume '{old}' does not exist"))?;
        let (size, label) = match call.params.get("snapname") {
            Some(name) => volume
                .snapshots
                .get(name)
                .map(|frozen| (frozen.size, frozen.label.clone()))
                .ok_or_else(|| format!("snapshot '{name}' does not exist on '{old}'"))?,
            None => (volume.size, volume.label.clone()),
        };
        let own = drive.storage().unwrap_or_default().to_owned();
        let storage = call.params.get("storage").unwrap_or(&own);
        let whole = plan.full || drive.is_cloudinit() || drive.key == "tpmstate0";
        let disk = NewDisk {
            kind,
            storage,
            vmid: newid,
            name: drive.is_cloudinit().then_some("cloudinit"),
            format: call
                .params
                .get("format")
                .or_else(|| (storage == own).then_some(volume.format.as_str())),
            size,
            label,
            parent: (!whole).then(|| old.clone()),
        };
        let new = state.allocate(node, &disk)?;
        made.push(new.clone());
        drive.set_volid(new);
        config.insert(drive.key.clone(), px.print_drive(&drive));
    }
    if let Some(name) = new_name(call, &plan.config) {
        config.insert(kind.name_key().into(), name);
    }
    if let Some(description) = call.params.get("description") {
        let value = px.normalized(state, kind, "description", description)?;
        config.insert("description".into(), value);
    }
    px.renew_identity(state, kind, &mut config)?;
    state.firewall.clone_guest(call.vmid(), newid);
    let vm = state.vm_mut(node, newid)?;
    vm.config = config;
    if let Some(target) = target(call) {
        vm.node = target.to_owned();
    }
    if let Some(pool) = call.params.get("pool") {
        state.join_pool(pool, newid);
    }
    Ok(())
}

/// What the clone is called; a container keeps its name when no other is asked for.
fn new_name(call: &Call, source: &BTreeMap<String, String>) -> Option<String> {
    let kind = call.kind();
    let given = call.params.get(kind.name_key()).map(str::to_owned);
    match kind {
        Kind::Lxc => given,
        Kind::Qemu => Some(given.unwrap_or_else(|| {
            let id = call.vmid().to_string();
            format!("Copy-of-VM-{}", source.get("name").unwrap_or(&id))
        })),
    }
}

impl crate::Proxmox {
    /// New MAC addresses; of a VM also SMBIOS UUID and generation id.
    pub(crate) fn renew_identity(
        &self,
        state: &mut State,
        kind: Kind,
        config: &mut BTreeMap<String, String>,
    ) -> Result<(), String> {
        if config.contains_key("vmgenid") {
            config.insert("vmgenid".into(), state.uuid());
        }
        let keys: Vec<String> = config.keys().cloned().collect();
        for key in keys {
            let renewed = match crate::schema::numbered(&key) {
                Some(("net", _)) => kind.mac_key(),
                Some(("smbios", 1)) => "uuid",
                _ => continue,
            };
            let held = config.get(&key).map(String::as_str).unwrap_or_default();
            let mut value = self.properties(kind, &key, held)?;
            value.remove(renewed);
            let printed = self.print(kind, &key, &value);
            let printed = self.normalized(state, kind, &key, &printed)?;
            config.insert(key, printed);
        }
        Ok(())
    }
}
