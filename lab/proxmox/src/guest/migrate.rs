//! Moving guests to other nodes: configuration, local disks, and a running VM with what lives in it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, json};

use super::work::{hold, in_task};
use super::{Kind, Purpose, Px, power};
use crate::access::Caller;
use crate::cluster::{ha, mapping};
use crate::error::{Answer, ApiError};
use crate::routes::Call;
use crate::state::{State, Vm};
use crate::storage::parse_volid;
use crate::task::TaskLog;

/// Which storage a volume's content goes to.
enum Targets {
    Same,
    All(String),
    /// By source; what is not named stays where it is.
    Each(BTreeMap<String, String>, Option<String>),
}

impl Targets {
    /// `1`, `other`, `a:b,c:d`.
    fn parse(text: Option<&str>) -> Result<Targets, String> {
        let Some(text) = text.filter(|t| !t.is_empty()) else {
            return Ok(Targets::Same);
        };
        if text == "1" {
            return Ok(Targets::Same);
        }
        let (mut each, mut default) = (BTreeMap::new(), None);
        for entry in crate::schema::format::list(text) {
            match entry.split_once(':') {
                Some((from, to)) => {
                    if each.insert(from.to_owned(), to.to_owned()).is_some() {
                        return Err(format!("duplicate mapping for '{from}'"));
                    }
                }
                None if default.is_none() => default = Some(entry.to_owned()),
                None => return Err("default target can only be provided once".into()),
            }
        }
        Ok(match (each.is_empty(), default) {
            (true, Some(all)) => Targets::All(all),
            (_, default) => Targets::Each(each, default),
        })
    }

    fn of<'a>(&'a self, source: &'a str) -> &'a str {
        match self {
            Targets::Same => source,
            Targets::All(all) => all,
            Targets::Each(each, default) => each
                .get(source)
                .or(default.as_ref())
                .map_or(source, String::as_str),
        }
    }
}

fn targets(call: &Call) -> Result<Targets, ApiError> {
    let name = match call.kind() {
        Kind::Qemu => "targetstorage",
        Kind::Lxc => "target-storage",
    };
    Targets::parse(call.params.get(name))
        .map_err(|text| ApiError::parameter(name, format!("failed to parse storage map: {text}")))
}

fn storage_of(volid: &str) -> &str {
    parse_volid(volid).map_or("", |(storage, _)| storage)
}

/// Storages of a guest that a node does not have.
fn unavailable(px: &crate::Proxmox, state: &State, vm: &Vm, node: &str) -> Vec<String> {
    let mut missing: Vec<String> = Vec::new();
    for named in px.volumes(vm) {
        let id = storage_of(&named.volid);
        if state.storage(id, node).is_err() && !missing.iter().any(|m| m == id) {
            missing.push(id.to_owned());
        }
    }
    missing
}

/// Devices of the host that a VM holds, and mappings by device.
fn devices(px: &crate::Proxmox, vm: &Vm) -> (Vec<String>, BTreeMap<String, String>) {
    let (mut local, mut mapped) = (Vec::new(), BTreeMap::new());
    let passed = |key: &String| {
        crate::schema::numbered(key)
            .is_some_and(|(stem, _)| ["hostpci", "usb", "virtiofs"].contains(&stem))
    };
    for (key, value) in vm.config.iter().filter(|(key, _)| passed(key)) {
        let Ok(device) = px.properties(vm.kind, key, value) else {
            continue;
        };
        match device.get("mapping").or_else(|| device.get("dirid")) {
            Some(id) => drop(mapped.insert(key.clone(), id.to_owned())),
            None if device
                .get("host")
                .is_some_and(|h| h.eq_ignore_ascii_case("spice")) => {}
            None => local.push(key.clone()),
        }
    }
    let more = vm
        .config
        .iter()
        .filter(|(key, value)| {
            key.starts_with("parallel")
                || (key.starts_with("serial") && *value != "socket")
                || *key == "ivshmem"
        })
        .map(|(key, _)| key.clone());
    local.extend(more.filter(|_| vm.kind == Kind::Qemu));
    (local, mapped)
}

/// Mapped devices that a node does not have.
fn missing_devices(state: &State, mapped: &BTreeMap<String, String>, node: &str) -> Vec<String> {
    mapped
        .iter()
        .filter(|(key, id)| {
            key.starts_with("hostpci") && mapping::resolve(state, id, node).is_err()
        })
        .map(|(key, _)| key.clone())
        .collect()
}

/// `GET …/migrate`: where the guest could go, and what stands in its way.
pub(crate) fn precondition(px: &crate::Proxmox, call: &Call) -> Answer {
    let state = px.state();
    let vm = call.guest(&state)?;
    vm.check_unlocked()?;
    let (local, mapped) = devices(px, vm);
    let (mut allowed, mut refused) = (Vec::new(), Map::new());
    for node in state.nodes.keys().filter(|node| **node != vm.node) {
        let mut why = Map::new();
        let storages = unavailable(px, &state, vm, node);
        if !storages.is_empty() {
            why.insert("unavailable_storages".into(), storages.into());
        }
        let missing = missing_devices(&state, &mapped, node);
        if !missing.is_empty() {
            why.insert("unavailable-resources".into(), missing.into());
        }
        match why.is_empty() {
            true => allowed.push(node.clone()),
            false => drop(refused.insert(node.clone(), why.into())),
        }
    }
    let running = u8::from(vm.running.is_some());
    if vm.kind == Kind::Lxc {
        return Ok(json!({
            "running": running, "allowed-nodes": allowed, "not-allowed-nodes": refused,
        }));
    }
    let disks = px.volumes(vm).into_iter().filter_map(|named| {
        let storage = state.storages.get(storage_of(&named.volid))?;
        let volume = state.volume(&vm.node, &named.volid)?;
        (!storage.shared).then(|| {
            json!({
                "volid": named.volid, "drivename": named.key, "size": volume.size,
                "cdrom": u8::from(named.cdrom), "is_unused": u8::from(named.unused),
                "is_attached": u8::from(!named.unused && !named.snapshot), "is_vmstate": u8::from(named.key == "vmstate"),
                "replicate": 1, "shared": 0,
            })
        })
    });
    let info = mapped.iter().map(|(key, id)| {
        let live = mapping::live_migratable(&state, id);
        (
            key.clone(),
            json!({ "name": id, "live-migration": u8::from(live) }),
        )
    });
    Ok(json!({
        "running": running, "allowed_nodes": allowed, "not_allowed_nodes": refused,
        "local_disks": disks.collect::<Vec<_>>(), "local_resources": local,
        "mapped-resources": mapped.keys().collect::<Vec<_>>(), "mapped-resource-info": info.collect::<Map<_, _>>(),
        "has-dbus-vmstate": 1,
    }))
}

/// `POST …/migrate`
pub(crate) async fn migrate(px: &Px, call: Call) -> Answer {
    check(px, &px.state(), &call)?;
    let (kind, vmid, node) = (call.kind(), call.vmid(), call.node().to_owned());
    let (caller, id) = (call.caller.clone(), vmid.to_string());
    let target = call.params.text("target").to_owned();
    if ha::manages(&px.state(), vmid) {
        return px
            .worker(&node, "hamigrate", &id, &caller, move |task| async move {
                task.line(format!(
                    "Requesting HA migration for {} {vmid} to node {target}",
                    kind.noun()
                ));
                by_manager(&task.proxmox, call);
                Ok(())
            })
            .await;
    }
    in_task(px, call, "migrate", |task, call| async move {
        carry_out(&task, &call).await
    })
    .await
}

/// The HA manager migrates in its next round, as itself.
pub(crate) fn by_manager(px: &Px, call: Call) {
    let px = px.clone();
    px.lab.tasks.clone().spawn(async move {
        tokio::select! {
            () = px.takes(ha::ROUND) => {}
            () = px.lab.shutdown.cancelled() => return,
        }
        if let Err(error) = as_manager(&px, call).await {
            tracing::warn!(error = error.message, "migration by the HA manager");
        }
    });
}

/// Begins the task in which the HA manager migrates a guest.
pub(crate) async fn as_manager(px: &Px, mut call: Call) -> Answer {
    call.caller = Caller::named("root@pam");
    in_task(px, call, "migrate", |task, call| async move {
        carry_out(&task, &call).await
    })
    .await
}

/// Whether the guest is to run on the other side without a stop.
fn online(vm: &Vm, call: &Call) -> bool {
    vm.running.is_some() && vm.kind == Kind::Qemu && call.params.is_on("online")
}

fn check(px: &Px, state: &State, call: &Call) -> Result<(), ApiError> {
    let target = call.params.text("target");
    if target == call.node() {
        return Err(ApiError::parameter("target", "target is local node."));
    }
    if !state.nodes.contains_key(target) {
        return Err(ApiError::failure(format!(
            "no such cluster node '{target}'"
        )));
    }
    for name in ["force", "migration_type", "migration_network"] {
        if call.params.has(name) && !call.caller.is_root() {
            return Err(ApiError::parameter(name, "Only root may use this option."));
        }
    }
    let vm = call.guest(state)?;
    vm.check_unlocked()?;
    if vm.running.is_some() {
        let may = call.params.is_on("online") || call.params.is_on("restart");
        match vm.kind {
            Kind::Qemu if !call.params.is_on("online") => {
                return Err(ApiError::failure(
                    "can't migrate running VM without --online",
                ));
            }
            Kind::Lxc if !may => {
                return Err(ApiError::failure(
                    "can't migrate running container without --online or --restart",
                ));
            }
            _ => {}
        }
    }
    let targets = targets(call)?;
    for named in px.volumes(vm) {
        let source = storage_of(&named.volid);
        let to = targets.of(source);
        if to != source {
            state.need_space(&call.caller, to)?;
        }
        let found = state.storage(to, target)?;
        if !named.cdrom && !found.takes(vm.kind.content()) {
            return Err(ApiError::parameter("storage", vm.kind.wrong_storage(to)));
        }
    }
    Ok(())
}

async fn carry_out(task: &TaskLog, call: &Call) -> Result<(), String> {
    let px = &task.proxmox;
    let (kind, vmid, target) = (call.kind(), call.vmid(), call.params.text("target"));
    let _lock = px.lock_vm(kind, vmid, Purpose::Change).await?;
    let (running, online, moved) = {
        let state = px.state();
        check(px, &state, call)?;
        let vm = call.guest(&state)?;
        if kind == Kind::Lxc && vm.running.is_some() && !call.params.is_on("restart") {
            return Err("lxc live migration is currently not implemented".into());
        }
        let online = online(vm, call);
        check_devices(px, &state, vm, target, online)?;
        let moved = to_move(px, &state, vm, call, online);
        (vm.running.is_some(), online, moved)
    };
    let moved = match moved {
        Ok(moved) => moved,
        Err(problems) => {
            for problem in problems {
                task.line(problem);
            }
            return Err(format!("can't migrate {} - check log", kind.noun()));
        }
    };
    let address = px
        .state()
        .nodes
        .get(target)
        .map(|node| node.address.clone())
        .unwrap_or_default();
    task.line(format!(
        "starting migration of {} {vmid} to node '{target}' ({address})",
        kind.noun()
    ));
    let held = hold(px, &mut px.state(), vmid, "migrate");
    let restarts = running && !online;
    if restarts {
        px.power_off(vmid).await;
    }
    for volid in &moved {
        task.line(format!("copying local disk '{volid}'"));
    }
    task.takes(Duration::from_secs(if moved.is_empty() { 5 } else { 20 }))
        .await;
    drop(held);
    hand_over(px, call, &moved)?;
    if restarts {
        task.line("start container on target node");
        power::power_on(px, vmid).await?;
    }
    task.line("migration finished successfully");
    Ok(())
}

fn check_devices(
    px: &Px,
    state: &State,
    vm: &Vm,
    target: &str,
    online: bool,
) -> Result<(), String> {
    let (local, mapped) = devices(px, vm);
    if !local.is_empty() {
        return Err(format!(
            "can't migrate VM which uses local devices: {}",
            local.join(", ")
        ));
    }
    let missing = missing_devices(state, &mapped, target);
    if !missing.is_empty() {
        return Err(format!(
            "can't migrate to '{target}': missing mapped devices {}",
            missing.join(", ")
        ));
    }
    let fixed: Vec<&str> = mapped
        .iter()
        .filter(|(_, id)| !mapping::live_migratable(state, id))
        .map(|(key, _)| key.as_str())
        .collect();
    match online && !fixed.is_empty() {
        true => Err(format!(
            "can't live migrate running VM which uses following mapped devices: {}",
            fixed.join(", ")
        )),
        false => Ok(()),
    }
}

/// The local volumes that go along, or why some can't.
fn to_move(
    px: &Px,
    state: &State,
    vm: &Vm,
    call: &Call,
    online: bool,
) -> Result<Vec<String>, Vec<String>> {
    let (mut moved, mut problems) = (Vec::new(), Vec::new());
    let targets = targets(call).map_err(|error| vec![String::from(error)])?;
    for named in px.volumes(vm) {
        let (id, volid) = (storage_of(&named.volid), &named.volid);
        let Some(storage) = state.storages.get(id).filter(|s| !s.shared) else {
            continue;
        };
        let mut refuse =
            |why: &str| problems.push(format!("can't migrate local disk '{volid}': {why}"));
        let Some(volume) = state.volume(&vm.node, volid) else {
            refuse("volume does not exist");
            continue;
        };
        let goes_on_as_is = storage.kind == "zfspool"
            && state
                .storages
                .get(targets.of(id))
                .is_some_and(|s| s.kind == "zfspool");
        if named.cdrom && !named.cloudinit {
            refuse("local cdrom image");
        } else if online && !named.cloudinit && !call.params.is_on("with-local-disks") {
            refuse("can't live migrate attached local disks without with-local-disks option");
        } else if state.clone_of(&vm.node, volid).is_some() {
            refuse("referenced by linked clone(s)");
        } else if let Some(base) = &volume.parent {
            refuse(&format!("it's a clone of '{base}'"));
        } else if !volume.snapshots.is_empty() && online {
            refuse("online storage migration not possible if non-replicated snapshot exists");
        } else if !volume.snapshots.is_empty() && volume.format != "qcow2" && !goes_on_as_is {
            refuse("non-migratable snapshot exists");
        } else {
            moved.push(volid.clone());
        }
    }
    if problems.is_empty() {
        Ok(moved)
    } else {
        Err(problems)
    }
}

/// Puts the volumes on the other node and the configuration with them; nothing is changed when one does not fit.
fn hand_over(px: &Px, call: &Call, moved: &[String]) -> Result<(), String> {
    let (vmid, source, target) = (call.vmid(), call.node(), call.params.text("target"));
    let targets = targets(call)?;
    let mut state = px.state();
    let mut made: Vec<(String, String)> = Vec::new();
    for old in moved {
        match copy(&mut state, source, target, vmid, old, &targets) {
            Ok(new) => made.push((old.clone(), new)),
            Err(text) => {
                for (_, new) in made {
                    state.free(target, &new);
                }
                return Err(format!(
                    "storage migration for '{old}' to storage '{}' failed - {text}",
                    targets.of(storage_of(old))
                ));
            }
        }
    }
    for (old, _) in &made {
        state.free(source, old);
    }
    let vm = state.vm_mut(source, vmid)?;
    let sections = std::iter::once(&mut vm.config).chain(vm.snapshots.values_mut());
    for value in sections.flat_map(|config| config.values_mut()) {
        rename(value, &made);
    }
    for value in vm.pending.values_mut().flatten() {
        rename(value, &made);
    }
    if let Some(volid) = &mut vm.booted_from {
        rename(volid, &made);
    }
    vm.node = target.to_owned();
    drop(state);
    px.changed();
    Ok(())
}

/// A configuration's value with its volume's new name.
fn rename(value: &mut String, names: &[(String, String)]) {
    let first = value.split(',').next().unwrap_or_default();
    let volid = first.rsplit('=').next().unwrap_or_default().to_owned();
    if let Some((_, new)) = names.iter().find(|(old, _)| *old == volid) {
        *value = value.replacen(&volid, new, 1);
    }
}

fn copy(
    state: &mut State,
    source: &str,
    target: &str,
    vmid: u32,
    old: &str,
    targets: &Targets,
) -> Result<String, String> {
    let mut volume = state
        .volume(source, old)
        .cloned()
        .ok_or_else(|| format!("volume '{old}' does not exist"))?;
    let (id, name) = parse_volid(old).unwrap_or_default();
    let to = targets.of(id);
    state.admit(to, target, &volume)?;
    let found = state.storage(to, target)?;
    let same_place = state.storages.get(id).map(|s| s.has_path()) == Some(found.has_path());
    let free = found.volumes_of(target).all(|(other, _)| other != name);
    let new = match same_place && free {
        true => name.to_owned(),
        false => state.free_disk_name(target, to, vmid, name)?,
    };
    if !state.storages.get(to).is_some_and(|s| s.has_path()) && volume.format != "subvol" {
        volume.format = "raw".into();
    }
    if let Some(storage) = state.storages.get_mut(to) {
        storage.volumes_mut(target).insert(new.clone(), volume);
    }
    Ok(format!("{to}:{new}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_maps_name_one_target_or_each() {
        let of =
            |text, source| Targets::parse(Some(text)).map(|targets| targets.of(source).to_owned());
        assert_eq!(of("1", "a").as_deref(), Ok("a"));
        assert_eq!(of("b", "a").as_deref(), Ok("b"));
        assert_eq!(of("a:b,c:d", "c").as_deref(), Ok("d"));
        assert_eq!(of("a:b,z", "c").as_deref(), Ok("z"));
        assert_eq!(of("a:b", "c").as_deref(), Ok("c"));
        assert!(of("a:b,a:c", "a").is_err());
        assert!(of("x,y", "a").is_err());
    }

    #[test]
    fn a_value_follows_its_volume() {
        let names = [(
            "local-lvm:vm-1-disk-0".to_owned(),
            "zfs:vm-1-disk-3".to_owned(),
        )];
        let mut value = "local-lvm:vm-1-disk-0,size=2G".to_owned();
        rename(&mut value, &names);
        assert_eq!(value, "zfs:vm-1-disk-3,size=2G");
        let mut other = "local-lvm:vm-1-disk-01,size=2G".to_owned();
        rename(&mut other, &names);
        assert_eq!(other, "local-lvm:vm-1-disk-01,size=2G");
    }
}
