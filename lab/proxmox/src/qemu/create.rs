//! Making a VM.

use std::collections::BTreeMap;
use std::time::Duration;

use super::permission::Change;
use super::{CREATE_WAIT, NOT_CONFIG, Px, drive};
use crate::error::{Answer, ApiError};
use crate::now;
use crate::routes::Call;
use crate::state::{State, Vm};

/// Parameters that the contract knows and the simulation does not act on.
const REFUSED: &[&str] = &[
    "archive",
    "ha-managed",
    "live-restore",
    "import-working-storage",
    "unique",
    "force",
];

/// `POST /nodes/{node}/qemu`
pub(crate) async fn create(px: &Px, call: Call) -> Answer {
    let (node, vmid) = (call.node().to_owned(), call.vmid());
    let wanted = wanted(&call)?;
    {
        let mut state = px.state();
        check(px, &state, &call, &wanted)?;
        if let Some(vm) = state.vms.get(&vmid) {
            return Err(ApiError::failure(format!(
                "unable to create VM {vmid} - VM {vmid} already exists on node '{}'",
                vm.node
            )));
        }
        let config = BTreeMap::from([("lock".to_owned(), "create".to_owned())]);
        state.vms.insert(
            vmid,
            Vm {
                node: node.clone(),
                config,
                pending: BTreeMap::new(),
                running: None,
                booted_from: None,
            },
        );
    }
    let (caller, id) = (call.caller.clone(), vmid.to_string());
    let upid = px.worker(&node, "qmcreate", &id, &caller, move |task| async move {
        let px = task.proxmox.clone();
        let made = {
            let lock = px.lock_vm(vmid, CREATE_WAIT).await;
            task.takes(Duration::from_secs(2)).await;
            lock.and_then(|_lock| build(&px, &call, &wanted).map_err(String::from))
        };
        if let Err(text) = made {
            px.state().vms.remove(&vmid);
            return Err(format!("unable to create VM {vmid} - {text}"));
        }
        let made = px.state().volids(&px, vmid);
        for volid in made {
            task.line(format!("successfully created disk '{volid}'"));
        }
        if call.params.is_on("start") {
            super::power::power_on(&px, vmid).await?;
        }
        Ok(())
    });
    let upid = upid.await;
    if upid.is_err() {
        px.state().vms.remove(&vmid);
    }
    upid
}

/// The configuration of a request.
fn wanted(call: &Call) -> Result<BTreeMap<String, String>, ApiError> {
    if let Some(name) = REFUSED
        .iter()
        .find(|name| call.params.has(name) && call.params.get(name) != Some("0"))
    {
        return Err(ApiError::new(
            501,
            format!("parameter '{name}' not implemented"),
        ));
    }
    let options = call
        .params
        .iter()
        .filter(|(name, _)| !NOT_CONFIG.contains(name));
    let mut wanted: BTreeMap<String, String> =
        options.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    if let Some(cdrom) = wanted.remove("cdrom")
        && wanted
            .insert("ide2".into(), format!("{cdrom},media=cdrom"))
            .is_some()
    {
        return Err(ApiError::parameter(
            "cdrom",
            "conflicting options, use either 'cdrom' or 'ide2'",
        ));
    }
    Ok(wanted)
}

fn check(
    px: &Px,
    state: &State,
    call: &Call,
    wanted: &BTreeMap<String, String>,
) -> Result<(), ApiError> {
    let (caller, params, vmid) = (&call.caller, &call.params, call.vmid());
    let pool = params.get("pool");
    if let Some(pool) = pool.filter(|p| !state.pools.contains_key(*p)) {
        return Err(ApiError::failure(format!("pool '{pool}' does not exist")));
    }
    if let Some(storage) = params.get("storage") {
        state.need(
            caller,
            &format!("/storage/{storage}"),
            &["Datastore.AllocateSpace"],
        )?;
    }
    let by_pool = pool.is_some_and(|p| state.may(caller, &format!("/pool/{p}"), "VM.Allocate"));
    if !by_pool {
        state.need(caller, &format!("/vms/{vmid}"), &["VM.Allocate"])?;
    }
    let change = Change {
        caller,
        node: call.node(),
        vmid,
        pool,
        default_storage: params.get("storage"),
    };
    for (key, value) in wanted {
        px.may_set(state, &change, key, Some(value))?;
    }
    if params.is_on("start") && !by_pool {
        state.need(caller, &format!("/vms/{vmid}"), &["VM.PowerMgmt"])?;
    }
    for (key, value) in wanted.iter().filter(|(key, _)| drive::is_drive(key)) {
        let drive = px.drive(key, value)?;
        px.check_drive(state, call.node(), &drive)?;
        check_storage(state, call, &drive)?;
    }
    if let Some(key) = wanted
        .keys()
        .find(|key| drive::is_unused(key) || *key == "lock" || *key == "parent")
    {
        return Err(ApiError::parameter(key, "cannot be set on a new VM"));
    }
    Ok(())
}

/// A new disk's storage must exist here and take disks.
pub(crate) fn check_storage(
    state: &State,
    call: &Call,
    drive: &drive::Drive,
) -> Result<(), ApiError> {
    let storage = match drive.file(call.params.get("storage")) {
        Ok(drive::File::New { storage, .. } | drive::File::CloudInit { storage }) => storage,
        Ok(_) => return Ok(()),
        Err(text) => return Err(ApiError::failure(text)),
    };
    if state.storage(storage, call.node())?.takes("images") {
        return Ok(());
    }
    Err(ApiError::parameter(
        "storage",
        format!("storage '{storage}' does not support vm images"),
    ))
}

/// Makes the disks and writes the configuration; frees what it made when something fails.
fn build(px: &Px, call: &Call, wanted: &BTreeMap<String, String>) -> Result<(), ApiError> {
    let (node, vmid) = (call.node(), call.vmid());
    let mut state = px.state();
    let mut made = Vec::new();
    let built = configure(px, &mut state, call, wanted, &mut made);
    match built {
        Ok(config) => {
            if let Ok(vm) = state.vm_mut(node, vmid) {
                vm.config = config;
            }
            if let Some(pool) = call.params.get("pool").and_then(|p| state.pools.get_mut(p)) {
                pool.vms.push(vmid);
            }
            Ok(())
        }
        Err(error) => {
            for volid in made {
                state.free(node, &volid);
            }
            Err(error)
        }
    }
}

fn configure(
    px: &Px,
    state: &mut State,
    call: &Call,
    wanted: &BTreeMap<String, String>,
    made: &mut Vec<String>,
) -> Result<BTreeMap<String, String>, ApiError> {
    let (node, vmid) = (call.node(), call.vmid());
    let mut config = BTreeMap::new();
    for key in drive::keys() {
        let Some(value) = wanted.get(&key) else {
            continue;
        };
        let asked = px.drive(&key, value)?;
        let realized = px.realize(state, node, vmid, asked, call.params.get("storage"));
        let (kept, volid) = realized.map_err(ApiError::failure)?;
        made.extend(volid);
        config.insert(key, px.print_drive(&kept));
    }
    for (key, value) in wanted.iter().filter(|(key, _)| !drive::is_drive(key)) {
        let value = px.normalized(state, key, value)?;
        config.insert(key.clone(), value);
    }
    if !config.contains_key("smbios1") {
        let uuid = state.uuid();
        config.insert("smbios1".into(), format!("uuid={uuid}"));
    }
    if !config.contains_key("vmgenid") {
        let uuid = state.uuid();
        config.insert("vmgenid".into(), uuid);
    }
    config.insert(
        "meta".into(),
        format!("creation-qemu=10.1.2,ctime={}", now()),
    );
    if config.contains_key("boot") {
        px.check_boot_order(&config)?;
    } else if let Some(order) = px.default_boot(&config) {
        config.insert("boot".into(), order);
    }
    Ok(config)
}

impl State {
    /// The volumes that a VM's configuration names and that are its own.
    pub(crate) fn volids(&self, px: &Px, vmid: u32) -> Vec<String> {
        let Some(vm) = self.vms.get(&vmid) else {
            return Vec::new();
        };
        let unused = vm
            .config
            .iter()
            .filter(|(key, _)| drive::is_unused(key))
            .map(|(_, volid)| volid.clone());
        let drives = px
            .drives(&vm.config)
            .filter_map(|d| d.volid().map(str::to_owned));
        let own = |volid: &String| {
            self.volume(&vm.node, volid)
                .is_some_and(|v| v.vmid == Some(vmid))
        };
        drives.chain(unused).filter(own).collect()
    }
}
