//! Snapshots: sections of a guest's configuration, with its volumes as they were. What a guest's operating system
//! keeps in its own simulation is not rolled back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::drive::{self, Drive};
use super::work::{Undo, locked};
use super::{Kind, Px, config, power};
use crate::error::{Answer, ApiError};
use crate::now;
use crate::qemu::suspend;
use crate::routes::Call;
use crate::state::{Frozen, State, Vm};
use crate::task::TaskLog;

/// What a snapshot does not take from the configuration, nor a rollback from the snapshot.
const LEFT_OUT: &[&str] = &["description", "lock", "snapstate", "snaptime", "vmstate"];

fn copied(config: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let kept = config
        .iter()
        .filter(|(key, _)| !LEFT_OUT.contains(&key.as_str()) && !drive::is_unused(key));
    kept.map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn snapname(call: &Call) -> &str {
    call.params.text("snapname")
}

/// `GET …/snapshot`: also the present, as `current`.
pub(crate) fn list(state: &State, call: &Call) -> Answer {
    let vm = call.guest(state)?;
    let row = |name: &str, section: &BTreeMap<String, String>| {
        let mut row = Map::from_iter([("name".to_owned(), json!(name))]);
        let text = section.get("description").map_or("", String::as_str);
        row.insert("description".into(), text.into());
        if let Some(time) = section.get("snaptime").and_then(|t| t.parse::<u64>().ok()) {
            row.insert("snaptime".into(), time.into());
        }
        for key in ["parent", "snapstate"] {
            if let Some(value) = section.get(key) {
                row.insert(key.into(), value.clone().into());
            }
        }
        if vm.kind == Kind::Qemu {
            row.insert(
                "vmstate".into(),
                u8::from(section.contains_key("vmstate")).into(),
            );
        }
        row
    };
    let mut rows: Vec<Value> = vm
        .snapshots
        .iter()
        .map(|(name, section)| Value::Object(row(name, section)))
        .collect();
    let mut current = Map::from_iter([
        ("name".to_owned(), json!("current")),
        ("description".to_owned(), json!("You are here!")),
        ("digest".to_owned(), json!(super::digest(vm))),
        ("running".to_owned(), json!(u8::from(vm.running.is_some()))),
    ]);
    if let Some(parent) = vm.config.get("parent") {
        current.insert("parent".into(), parent.clone().into());
    }
    rows.push(Value::Object(current));
    Ok(Value::Array(rows))
}

/// `GET …/snapshot/{snapname}`: what there is below it.
pub(crate) fn index(_: &State, _: &Call) -> Value {
    json!([{ "cmd": "rollback" }, { "cmd": "config" }])
}

/// `GET …/snapshot/{snapname}/config`
pub(crate) fn read(px: &crate::Proxmox, call: &Call) -> Answer {
    let state = px.state();
    let vm = call.guest(&state)?;
    let section = vm.snapshot(snapname(call))?;
    Ok(Value::Object(px.section(vm.kind, section)))
}

/// `PUT …/snapshot/{snapname}/config`: its description.
pub(crate) fn describe(px: &crate::Proxmox, call: &Call) -> Answer {
    let mut state = px.state();
    let vm = call.guest(&state)?;
    super::check_lock(vm, call)?;
    vm.snapshot(snapname(call))?;
    let Some(text) = call.params.get("description") else {
        return Ok(Value::Null);
    };
    let text = px.normalized(&mut state, call.kind(), "description", text)?;
    let vm = state.vm_mut(call.node(), call.vmid())?;
    if let Some(section) = vm.snapshots.get_mut(snapname(call)) {
        section.insert("description".into(), text);
    }
    Ok(Value::Null)
}

/// `POST …/snapshot`
pub(crate) async fn create(px: &Px, call: Call) -> Answer {
    let name = snapname(&call);
    if let (_, "current") | (Kind::Lxc, "vzdump") | (Kind::Qemu, "pending" | "cloudinit") =
        (call.kind(), name)
    {
        return Err(ApiError::failure(format!(
            "unable to use snapshot name '{name}' (reserved name)"
        )));
    }
    call.guest(&px.state())?;
    locked(px, call, "snapshot", |task, call| async move {
        prepare(&task, &call)?;
        let (px, call) = (task.proxmox.clone(), Arc::new(call));
        let undo = {
            let (px, call) = (px.clone(), call.clone());
            Undo::new(move || drop(remove(&px, &mut px.state(), &call)))
        };
        task.takes(Duration::from_secs(2)).await;
        undo.keep();
        commit(&px, &call)
    })
    .await
}

/// Locks the guest and notes what it is, with a running VM's memory when that is asked for.
fn prepare(task: &TaskLog, call: &Call) -> Result<(), String> {
    let px = &task.proxmox;
    let (node, vmid, name) = (call.node(), call.vmid(), snapname(call));
    let mut state = px.state();
    let vm = call.guest(&state)?;
    if vm.is_template() {
        return Err("you can't take a snapshot if it's a template".into());
    }
    vm.check_unlocked()?;
    if vm.snapshots.contains_key(name) {
        return Err(format!("snapshot name '{name}' already used"));
    }
    let disks: Vec<Drive> = px.disks(vm.kind, &vm.config).collect();
    if !disks
        .iter()
        .all(|drive| state.can_snapshot(node, drive.volid().unwrap_or_default()))
    {
        return Err("snapshot feature is not available".into());
    }
    let mut section = copied(&vm.config);
    section.insert("snapstate".into(), "prepare".into());
    section.insert("snaptime".into(), now().to_string());
    let saves = vm.running.is_some() && vm.kind == Kind::Qemu && call.params.is_on("vmstate");
    if let Some(text) = call.params.get("description").filter(|t| !t.is_empty()) {
        let text = px.normalized(&mut state, call.kind(), "description", text)?;
        section.insert("description".into(), text);
    }
    let memory = match saves {
        false => None,
        true => Some(suspend::save_memory(&mut state, vmid, name, None)?),
    };
    if let Some(volid) = &memory {
        section.insert("vmstate".into(), volid.clone());
        section.insert("runningmachine".into(), "pc-i440fx-10.1+pve0".into());
        section.insert(
            "runningcpu".into(),
            "kvm64,enforce,+kvm_pv_eoi,+kvm_pv_unhalt,+lahf_lm,+sep".into(),
        );
    }
    let number = state.next_pid();
    for drive in &disks {
        if let Some(volume) = state.volume_mut(node, drive.volid().unwrap_or_default()) {
            let frozen = Frozen {
                number,
                size: volume.size,
                label: volume.label.clone(),
            };
            volume.snapshots.insert(name.to_owned(), frozen);
        }
    }
    let vm = state.vm_mut(node, vmid)?;
    vm.set_lock("snapshot");
    vm.snapshots.insert(name.to_owned(), section);
    drop(state);
    if let Some(volid) = &memory {
        task.line(format!(
            "saving VM state and RAM using storage '{}'",
            volid.split(':').next().unwrap_or_default()
        ));
    }
    for drive in disks {
        task.line(format!(
            "snapshotting '{}' ({})",
            drive.key,
            drive.volid().unwrap_or_default()
        ));
    }
    Ok(())
}

fn commit(px: &Px, call: &Call) -> Result<(), String> {
    let mut state = px.state();
    let vm = state.vm_mut(call.node(), call.vmid())?;
    vm.config.remove("lock");
    if let Some(section) = vm.snapshots.get_mut(snapname(call)) {
        section.remove("snapstate");
    }
    vm.config.insert("parent".into(), snapname(call).to_owned());
    Ok(())
}

/// `DELETE …/snapshot/{snapname}`
pub(crate) async fn delete(px: &Px, call: Call) -> Answer {
    call.guest(&px.state())?;
    locked(px, call, "delsnapshot", |task, call| async move {
        let px = task.proxmox.clone();
        let (node, vmid) = (call.node(), call.vmid());
        {
            let mut state = px.state();
            let vm = call.guest(&state)?;
            vm.snapshot(snapname(&call))?;
            vm.check_unlocked()?;
            if vm.is_template() {
                return Err("you can't delete a snapshot if vm is a template".into());
            }
            let vm = state.vm_mut(node, vmid)?;
            vm.set_lock("snapshot-delete");
            if let Some(section) = vm.snapshots.get_mut(snapname(&call)) {
                section.insert("snapstate".into(), "delete".into());
            }
        }
        task.takes(Duration::from_secs(2)).await;
        remove(&px, &mut px.state(), &call)
    })
    .await
}

/// Takes the section out of the configuration and the frozen volumes out of the storages.
fn remove(px: &Px, state: &mut State, call: &Call) -> Result<(), String> {
    let (node, vmid, name) = (call.node(), call.vmid(), snapname(call));
    let vm = state.vm_mut(node, vmid)?;
    let section = vm
        .snapshots
        .remove(name)
        .ok_or_else(|| format!("snapshot '{name}' does not exist"))?;
    vm.config.remove("lock");
    // Its children become its parent's.
    let parent = section.get("parent").cloned();
    let others = std::iter::once(&mut vm.config).chain(vm.snapshots.values_mut());
    for config in others.filter(|c| c.get("parent").is_some_and(|p| p == name)) {
        match &parent {
            Some(parent) => drop(config.insert("parent".into(), parent.clone())),
            None => drop(config.remove("parent")),
        }
    }
    let kind = vm.kind;
    let disks: Vec<Drive> = px.disks(kind, &section).collect();
    for drive in disks {
        let volid = drive.volid().unwrap_or_default();
        if let Some(volume) = state.volume_mut(node, volid) {
            volume.snapshots.remove(name);
        }
        keep_orphan(px, state, node, vmid, volid)?;
    }
    if let Some(memory) = section.get("vmstate") {
        state.free(node, memory);
    }
    Ok(())
}

/// A volume that only snapshots named becomes unused when the last of them is gone.
fn keep_orphan(
    px: &Px,
    state: &mut State,
    node: &str,
    vmid: u32,
    volid: &str,
) -> Result<(), String> {
    let exists = state.volume(node, volid).is_some();
    let vm = state.vm_mut(node, vmid)?;
    let used = px
        .drives(vm.kind, &vm.config)
        .any(|drive| drive.volid() == Some(volid));
    if exists && !used && !super::disk::in_snapshot(vm, volid) {
        config::keep_unused(vm, volid)?;
    }
    Ok(())
}

/// `POST …/snapshot/{snapname}/rollback`
pub(crate) async fn rollback(px: &Px, call: Call) -> Answer {
    call.guest(&px.state())?;
    locked(px, call, "rollback", |task, call| async move {
        let px = task.proxmox.clone();
        let vmid = call.vmid();
        possible(&px, &px.state(), &call)?;
        if px.is_running(vmid) {
            px.power_off(vmid).await;
        }
        px.state().vm_mut(call.node(), vmid)?.set_lock("rollback");
        task.takes(Duration::from_secs(3)).await;
        let with_memory = restore(&px, &mut px.state(), &call)?;
        if with_memory || call.params.is_on("start") {
            power::power_on(&px, vmid).await?;
        }
        Ok(())
    })
    .await
}

fn possible(px: &Px, state: &State, call: &Call) -> Result<(), String> {
    let name = snapname(call);
    let vm: &Vm = call.guest(state)?;
    if vm.is_template() {
        return Err("you can't rollback if vm is a template".into());
    }
    let section = vm.snapshot(name)?;
    if let Some(unfinished) = section.get("snapstate") {
        return Err(format!(
            "unable to rollback to incomplete snapshot (snapstate = {unfinished})"
        ));
    }
    vm.check_unlocked()?;
    for drive in px.disks(vm.kind, section) {
        let volid = drive.volid().unwrap_or_default();
        let Some(volume) = state.volume(call.node(), volid) else {
            return Err(format!("volume '{volid}' does not exist"));
        };
        let Some(frozen) = volume.snapshots.get(name) else {
            return Err(format!("snapshot '{name}' does not exist on '{volid}'"));
        };
        // ZFS goes back to the last snapshot only.
        let zfs = drive
            .storage()
            .and_then(|id| state.storages.get(id))
            .is_some_and(|s| s.kind == "zfspool");
        if zfs
            && volume
                .snapshots
                .values()
                .any(|other| other.number > frozen.number)
        {
            return Err(format!(
                "can't rollback, '{name}' is not most recent snapshot on '{volid}'"
            ));
        }
    }
    Ok(())
}

/// Puts configuration and volumes back; tells whether the snapshot holds the memory, too.
fn restore(px: &Px, state: &mut State, call: &Call) -> Result<bool, String> {
    let (node, vmid, name) = (call.node(), call.vmid(), snapname(call));
    let vm = state.vm(node, vmid)?;
    let (kind, section) = (vm.kind, vm.snapshot(name)?.clone());
    let now_used: Vec<String> = px
        .disks(kind, &vm.config)
        .filter_map(|drive| drive.volid().map(str::to_owned))
        .collect();
    let back: Vec<String> = px
        .disks(kind, &section)
        .filter_map(|drive| drive.volid().map(str::to_owned))
        .collect();
    for volid in &back {
        if let Some(volume) = state.volume_mut(node, volid)
            && let Some(frozen) = volume.snapshots.get(name).cloned()
        {
            volume.size = frozen.size;
            volume.label = frozen.label;
        }
    }
    let vm = state.vm_mut(node, vmid)?;
    let kept = vm
        .config
        .iter()
        .filter(|(key, value)| {
            *key == "description" || (drive::is_unused(key) && !back.contains(value))
        })
        .map(|(k, v)| (k.clone(), v.clone()));
    let mut config: BTreeMap<String, String> = kept.collect();
    config.extend(copied(&section));
    config.retain(|key, _| key != "runningmachine" && key != "runningcpu");
    config.insert("parent".into(), name.to_owned());
    vm.config = config;
    vm.pending.clear();
    vm.forced.clear();
    for volid in now_used.iter().filter(|volid| !back.contains(volid)) {
        keep_orphan(px, state, node, vmid, volid)?;
    }
    Ok(section.contains_key("vmstate"))
}
