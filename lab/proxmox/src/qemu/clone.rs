//! Cloning VMs, and making templates to clone from.

use std::time::Duration;

use super::{CLONE_WAIT, Px, check_lock, drive};
use crate::error::{Answer, ApiError};
use crate::routes::Call;
use crate::schema::property::Properties;
use crate::state::{State, Vm};
use crate::storage::NewDisk;

/// `POST …/clone`
pub(crate) async fn clone(px: &Px, call: Call) -> Answer {
    let newid: u32 = call.params.text("newid").parse().unwrap_or_default();
    let (node, vmid) = (call.node().to_owned(), call.vmid());
    if let Some(snapshot) = call.params.get("snapname") {
        return Err(ApiError::failure(format!(
            "snapshot '{snapshot}' does not exist"
        )));
    }
    let _target = px
        .lock_vm(newid, CLONE_WAIT)
        .await
        .map_err(ApiError::failure)?;
    let source_lock = px
        .lock_vm(vmid, CLONE_WAIT)
        .await
        .map_err(ApiError::failure)?;
    let full = {
        let mut state = px.state();
        let full = check(px, &state, &call, newid)?;
        let mut vm = Vm {
            pending: Default::default(),
            running: None,
            booted_from: None,
            ..state.vm(&node, vmid).map_err(ApiError::failure)?.clone()
        };
        vm.config.clear();
        vm.config.insert("lock".into(), "clone".into());
        state.vms.insert(newid, vm);
        full
    };
    let (caller, id) = (call.caller.clone(), vmid.to_string());
    let upid = px.worker(&node, "qmclone", &id, &caller, move |task| async move {
        let _source_lock = source_lock;
        let px = task.proxmox.clone();
        task.takes(Duration::from_secs(if full { 20 } else { 2 }))
            .await;
        let outcome = {
            let mut state = px.state();
            let mut made = Vec::new();
            let copied = copy(&px, &mut state, &call, newid, full, &mut made);
            if copied.is_err() {
                for volid in &made {
                    state.free(call.node(), volid);
                }
                state.vms.remove(&newid);
            }
            copied.map(|()| made)
        };
        for volid in outcome.map_err(|text| format!("clone failed: {text}"))? {
            task.line(format!(
                "create {} clone of drive ({volid})",
                if full { "full" } else { "linked" }
            ));
        }
        Ok(())
    });
    let upid = upid.await;
    if upid.is_err() {
        px.state().vms.remove(&newid);
    }
    upid
}

/// Whether the clone may be made, and whether it is a full one.
fn check(px: &Px, state: &State, call: &Call, newid: u32) -> Result<bool, ApiError> {
    let params = &call.params;
    let vm = state
        .vm(call.node(), call.vmid())
        .map_err(ApiError::failure)?;
    check_lock(vm, call)?;
    if state.vms.contains_key(&newid) {
        return Err(ApiError::failure(format!(
            "unable to create VM {newid}: config file already exists"
        )));
    }
    if let Some(pool) = params.get("pool").filter(|p| !state.pools.contains_key(*p)) {
        return Err(ApiError::failure(format!("pool '{pool}' does not exist")));
    }
    if let Some(target) = params.get("target").filter(|t| *t != call.node()) {
        return Err(ApiError::failure(format!(
            "Can't clone VM to node '{target}' (VM uses local storage)"
        )));
    }
    let full = if params.has("full") {
        params.is_on("full")
    } else {
        !vm.is_template()
    };
    if !full && !vm.is_template() {
        return Err(ApiError::failure(
            "you can't do a linked clone of a VM that is not a template",
        ));
    }
    if !full && (params.has("storage") || params.has("format")) {
        return Err(ApiError::parameter(
            "storage",
            "parameter 'storage' not allowed for linked clones",
        ));
    }
    for drive in px
        .drives(&vm.config)
        .filter(|d| !d.is_cdrom() || d.is_cloudinit())
    {
        let own = drive
            .volid()
            .and_then(|v| v.split(':').next())
            .unwrap_or_default();
        let storage = params.get("storage").unwrap_or(own);
        state.need(
            &call.caller,
            &format!("/storage/{storage}"),
            &["Datastore.AllocateSpace"],
        )?;
        if !state.storage(storage, call.node())?.takes("images") {
            return Err(ApiError::failure(format!(
                "storage '{storage}' does not support vm images"
            )));
        }
    }
    for (_, net) in vm.config.iter().filter(|(key, _)| {
        key.starts_with("net") && key.trim_start_matches("net").parse::<u8>().is_ok()
    }) {
        if let Some(bridge) = net.split(',').find_map(|p| p.strip_prefix("bridge=")) {
            state.need(
                &call.caller,
                &format!("/sdn/zones/localnetwork/{bridge}"),
                &["SDN.Use"],
            )?;
        }
    }
    Ok(full)
}

fn copy(
    px: &Px,
    state: &mut State,
    call: &Call,
    newid: u32,
    full: bool,
    made: &mut Vec<String>,
) -> Result<(), String> {
    let node = call.node();
    let source = state.vm(node, call.vmid())?.clone();
    let mut config = source.config.clone();
    config.retain(|key, _| {
        !drive::is_unused(key)
            && !["template", "lock", "parent", "protection"].contains(&key.as_str())
    });
    for mut drive in px.drives(&source.config) {
        if drive.is_cdrom() && !drive.is_cloudinit() {
            continue;
        }
        let Some(old) = drive.volid().map(str::to_owned) else {
            continue;
        };
        let volume = state
            .volume(node, &old)
            .cloned()
            .ok_or_else(|| format!("volume '{old}' does not exist"))?;
        let storage = call
            .params
            .get("storage")
            .unwrap_or_else(|| old.split(':').next().unwrap_or_default());
        let cloudinit = drive.is_cloudinit();
        let disk = NewDisk {
            storage,
            vmid: newid,
            name: cloudinit.then_some("cloudinit"),
            format: call.params.get("format").or_else(|| {
                (storage == old.split(':').next().unwrap_or_default())
                    .then_some(volume.format.as_str())
            }),
            size: volume.size,
            label: volume.label.clone(),
            parent: (!full && !cloudinit).then(|| old.clone()),
        };
        let new = state.allocate(node, &disk)?;
        made.push(new.clone());
        drive.properties.set("file", new);
        config.insert(drive.key.clone(), px.print_drive(&drive));
    }
    let name = call.params.get("name").map_or_else(
        || format!("Copy-of-VM-{}", source.name(call.vmid()).replace(' ', "-")),
        str::to_owned,
    );
    config.insert("name".into(), name);
    if let Some(description) = call.params.get("description") {
        let value = px.normalized(state, "description", description)?;
        config.insert("description".into(), value);
    }
    renew_identity(px, state, &mut config)?;
    state.vm_mut(node, newid)?.config = config;
    if let Some(pool) = call.params.get("pool").and_then(|p| state.pools.get_mut(p)) {
        pool.vms.push(newid);
    }
    Ok(())
}

/// New MACs, SMBIOS UUID and generation id.
fn renew_identity(
    px: &Px,
    state: &mut State,
    config: &mut std::collections::BTreeMap<String, String>,
) -> Result<(), String> {
    let uuid = state.uuid();
    config.insert("vmgenid".into(), uuid);
    let keys: Vec<String> = config.keys().cloned().collect();
    for key in keys {
        let renewed = match crate::schema::numbered(&key) {
            Some(("net", _)) => "macaddr",
            Some(("smbios", 1)) => "uuid",
            _ => continue,
        };
        let Some(names) = px.config_option(&key).and_then(|spec| spec.properties()) else {
            continue;
        };
        let mut value = Properties::parse(
            names,
            config.get(&key).map(String::as_str).unwrap_or_default(),
        )?;
        value.remove(renewed);
        let printed = px.normalized(state, &key, &value.print(names))?;
        config.insert(key, printed);
    }
    Ok(())
}

/// `POST …/template`: the disks become base volumes.
pub(crate) async fn template(px: &Px, call: Call) -> Answer {
    {
        let state = px.state();
        let vm = state
            .vm(call.node(), call.vmid())
            .map_err(ApiError::failure)?;
        check_lock(vm, &call)?;
        if vm.is_template() {
            return Err(ApiError::failure(
                "you can't convert a template to a template",
            ));
        }
        if vm.running.is_some() {
            return Err(ApiError::failure(
                "you can't convert a VM to template if VM is running",
            ));
        }
        if let Some(disk) = call.params.get("disk") {
            return Err(ApiError::new(
                501,
                format!("parameter 'disk' ({disk}) not implemented"),
            ));
        }
    }
    let (node, vmid, caller) = (call.node().to_owned(), call.vmid(), call.caller.clone());
    px.worker(
        &node.clone(),
        "qmtemplate",
        &vmid.to_string(),
        &caller,
        move |task| async move {
            let px = task.proxmox.clone();
            let _lock = px.lock_vm(vmid, super::CHANGE_WAIT).await?;
            task.takes(Duration::from_secs(1)).await;
            let mut state = px.state();
            let drives: Vec<drive::Drive> = px.drives(&state.vm(&node, vmid)?.config).collect();
            for mut drive in drives {
                if drive.is_cdrom() || drive.is_cloudinit() {
                    continue;
                }
                let Some((storage, old)) = drive
                    .volid()
                    .and_then(crate::storage::parse_volid)
                    .map(|(s, n)| (s.to_owned(), n.to_owned()))
                else {
                    continue;
                };
                let new = old.replacen(&format!("vm-{vmid}-"), &format!("base-{vmid}-"), 1);
                if let Some(found) = state.storages.get_mut(&storage) {
                    let volumes = found.volumes_mut(&node);
                    if let Some(volume) = volumes.remove(&old) {
                        volumes.insert(new.clone(), volume);
                    }
                }
                drive.properties.set("file", format!("{storage}:{new}"));
                let printed = px.print_drive(&drive);
                state.vm_mut(&node, vmid)?.config.insert(drive.key, printed);
            }
            state
                .vm_mut(&node, vmid)?
                .config
                .insert("template".into(), "1".into());
            Ok(())
        },
    )
    .await
}
