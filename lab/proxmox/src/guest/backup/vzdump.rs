//! Making backups.

use std::time::Duration;

use serde_json::Value;

use super::archive::Archive;
use crate::error::{Answer, ApiError};
use crate::guest::work::hold;
use crate::guest::{Kind, Purpose, Px, power};
use crate::now;
use crate::routes::Call;
use crate::schema::check::Errors;
use crate::state::{State, Volume};
use crate::storage::prune;
use crate::task::TaskLog;

/// What only root@pam may say.
const ROOT_ONLY: &[&str] = &["tmpdir", "dumpdir", "script", "job-id"];
/// What concerns the whole host.
const HOST: &[&str] = &["bwlimit", "ionice", "performance"];

/// `POST /nodes/{node}/vzdump`
pub(super) async fn start(px: &Px, call: Call) -> Answer {
    let vmids = {
        let state = px.state();
        check(&state, &call)?;
        chosen(&state, &call)?
    };
    if vmids.is_empty() {
        // Nothing to do on this node, which is no error.
        return Ok(Value::String("OK".into()));
    }
    let id = match (call.params.list("vmid").as_slice(), vmids.as_slice()) {
        ([_], [one]) => one.to_string(),
        _ => String::new(),
    };
    let (node, caller) = (call.node().to_owned(), call.caller.clone());
    px.worker(&node, "vzdump", &id, &caller, move |task| async move {
        run(&task, &call, &vmids).await
    })
    .await
}

fn storage(call: &Call) -> &str {
    call.params.get("storage").unwrap_or("local")
}

fn check(state: &State, call: &Call) -> Result<(), ApiError> {
    let params = &call.params;
    match ROOT_ONLY.iter().find(|name| params.has(name)) {
        Some(name) if !call.caller.is_root() => {
            return Err(ApiError::parameter(name, "Only root may set this option."));
        }
        Some(name) => {
            return Err(ApiError::new(
                501,
                format!("parameter '{name}' not implemented"),
            ));
        }
        None => {}
    }
    for name in ["stop", "stdout", "fleecing"] {
        if params.is_on(name) || (name == "fleecing" && params.has(name)) {
            return Err(ApiError::new(
                501,
                format!("parameter '{name}' not implemented"),
            ));
        }
    }
    if HOST.iter().any(|name| params.has(name)) {
        state.need(&call.caller, "/", &["Sys.Modify"])?;
    }
    let ways = ["all", "pool", "vmid"].into_iter().filter(|name| {
        if *name == "all" {
            params.is_on("all")
        } else {
            params.has(name)
        }
    });
    match ways.collect::<Vec<_>>().as_slice() {
        [] => {
            return Err(ApiError::parameter("vmid", "property is missing"));
        }
        [_] => {}
        [first, other, ..] => {
            let text = format!("option conflicts with option '{other}'");
            return Err(ApiError::parameter(first, text));
        }
    }
    if params.has("exclude") && !params.is_on("all") {
        let text = "option requires option 'all'".to_owned();
        return Err(ApiError::parameters(Errors::from([(
            "exclude".into(),
            text,
        )])));
    }
    let id = storage(call);
    state.need_space(&call.caller, id)?;
    if params.has("prune-backups") {
        let path = format!("/storage/{id}");
        state.need(&call.caller, &path, &["Datastore.Allocate"])?;
    }
    let found = state.storage(id, call.node())?;
    if !found.takes("backup") {
        return Err(ApiError::failure(format!(
            "could not get storage information for '{id}': can't use storage '{id}' for backups - wrong content type"
        )));
    }
    Ok(())
}

/// The guests of this node that are asked for and that the caller may back up. What is not there is kept, to be
/// complained of in the task.
fn chosen(state: &State, call: &Call) -> Result<Vec<u32>, ApiError> {
    let params = &call.params;
    let here = |vmid: &u32| state.vms.get(vmid).is_none_or(|vm| vm.node == call.node());
    let may = |vmid: &u32| state.may(&call.caller, &format!("/vms/{vmid}"), "VM.Backup");
    if params.is_on("all") {
        let excluded = params.list("exclude");
        let all = state.vms.keys().copied();
        return Ok(all
            .filter(|vmid| here(vmid) && may(vmid) && !excluded.contains(&vmid.to_string()))
            .collect());
    }
    if let Some(pool) = params.get("pool") {
        let found = state
            .pools
            .get(pool)
            .ok_or_else(|| format!("no such pool '{pool}'"))?;
        return Ok(found
            .vms
            .iter()
            .copied()
            .filter(|vmid| here(vmid) && may(vmid))
            .collect());
    }
    let mut vmids = Vec::new();
    for text in params.list("vmid") {
        let vmid: u32 = text
            .parse()
            .map_err(|_| ApiError::parameter("vmid", "invalid format"))?;
        state.need(&call.caller, &format!("/vms/{vmid}"), &["VM.Backup"])?;
        vmids.push(vmid);
    }
    vmids.retain(here);
    Ok(vmids)
}

async fn run(task: &TaskLog, call: &Call, vmids: &[u32]) -> Result<(), String> {
    let list: Vec<String> = vmids.iter().map(u32::to_string).collect();
    task.line(format!(
        "INFO: starting new backup job: vzdump {} --storage {} --mode {}",
        list.join(" "),
        storage(call),
        call.params.get("mode").unwrap_or("snapshot")
    ));
    let mut failed = false;
    for vmid in vmids {
        match guest(task, call, *vmid).await {
            Ok(kind) => task.line(format!("INFO: Finished Backup of {} {vmid}", kind.noun())),
            Err(text) => {
                failed = true;
                task.line(format!("ERROR: Backup of VM {vmid} failed - {text}"));
            }
        }
    }
    match failed {
        true => {
            task.line("INFO: Backup job finished with errors");
            Err("job errors".into())
        }
        false => {
            task.line("INFO: Backup job finished successfully");
            Ok(())
        }
    }
}

async fn guest(task: &TaskLog, call: &Call, vmid: u32) -> Result<Kind, String> {
    let px = &task.proxmox;
    let (kind, running) = {
        let state = px.state();
        let vm = state
            .vms
            .get(&vmid)
            .ok_or_else(|| format!("unable to find VM '{vmid}'"))?;
        (vm.kind, vm.running.is_some())
    };
    let mode = call.params.get("mode").unwrap_or("snapshot");
    task.line(format!(
        "INFO: Starting Backup of {} {vmid} ({})",
        kind.noun(),
        kind.id()
    ));
    task.line(format!(
        "INFO: status = {}",
        if running { "running" } else { "stopped" }
    ));
    let _lock = px.lock_vm(kind, vmid, Purpose::Change).await?;
    let stops = running && mode == "stop";
    let held = {
        let mut state = px.state();
        let vm = state.vms.get(&vmid);
        vm.ok_or_else(|| format!("unable to find VM '{vmid}'"))?
            .check_unlocked()?;
        hold(px, &mut state, vmid, "backup")
    };
    task.line(format!("INFO: backup mode: {mode}"));
    if stops && !px.ask_to_stop(vmid).await {
        px.power_off(vmid).await;
    }
    let saved = room(px, call, kind, vmid).and_then(|()| save(px, call, vmid));
    task.takes(Duration::from_secs(20)).await;
    drop(held);
    if stops {
        task.line(format!(
            "INFO: restarting {}",
            kind.noun().to_ascii_lowercase()
        ));
        power::power_on(px, vmid).await?;
    }
    let (path, size) = saved?;
    task.line(format!("INFO: creating vzdump archive '{path}'"));
    task.line(format!(
        "INFO: archive file size: {:.2}MB",
        size as f64 / f64::from(1 << 20)
    ));
    prune(task, call, kind, vmid)?;
    Ok(kind)
}

/// How many backups are kept: as the call says, else the storage, else all.
fn retention(state: &State, call: &Call) -> Option<String> {
    let given = call.params.get("prune-backups");
    let keep = given.or(prune::configured(state, storage(call)))?;
    prune::limit(keep)?;
    Some(keep.to_owned())
}

/// Whether older backups go once there is a new one.
fn removes(call: &Call) -> bool {
    !call.params.has("remove") || call.params.is_on("remove")
}

/// Where nothing is removed there must be room for one more.
fn room(px: &Px, call: &Call, kind: Kind, vmid: u32) -> Result<(), String> {
    let state = px.state();
    let Some(keep) = retention(&state, call).filter(|_| !removes(call)) else {
        return Ok(());
    };
    let limit = prune::limit(&keep).unwrap_or(usize::MAX);
    let place = (call.node(), storage(call));
    let (count, _) = prune::of_guest(&state, place, (vmid, kind.id()), &keep)?;
    match count < limit {
        true => Ok(()),
        false => Err(format!(
            "There is a max backup limit of {limit} enforced by the target storage or the vzdump parameters. Either increase the \
             limit or delete old backups."
        )),
    }
}

/// Removes the guest's backups that are not to be kept.
fn prune(task: &TaskLog, call: &Call, kind: Kind, vmid: u32) -> Result<(), String> {
    let (keep, outdated) = {
        let mut state = task.proxmox.state();
        let Some(keep) = retention(&state, call).filter(|_| removes(call)) else {
            return Ok(());
        };
        let place = (call.node(), storage(call));
        let (_, outdated) = prune::of_guest(&state, place, (vmid, kind.id()), &keep)?;
        for volid in &outdated {
            state.free(call.node(), volid);
        }
        (keep, outdated)
    };
    task.proxmox.changed();
    task.line(format!(
        "INFO: prune older backups with retention: {}",
        keep.replace(',', ", ")
    ));
    for volid in &outdated {
        task.line(format!("INFO: removing backup '{volid}'"));
    }
    let why = match outdated.is_empty() {
        true => "",
        false => " not covered by keep-retention policy",
    };
    task.line(format!("INFO: pruned {} backup(s){why}", outdated.len()));
    Ok(())
}

/// Puts the archive into the storage; gives its path and size.
fn save(px: &Px, call: &Call, vmid: u32) -> Result<(String, u64), String> {
    let (node, id) = (call.node(), storage(call));
    let mut state = px.state();
    let vm = state
        .vms
        .get(&vmid)
        .ok_or_else(|| format!("unable to find VM '{vmid}'"))?;
    let archive = Archive::new(px, &state, vmid, vm);
    let notes = call
        .params
        .get("notes-template")
        .map(|template| notes(template, &state.name, node, vmid, &vm.name(vmid)));
    let format = match vm.kind {
        Kind::Qemu => "vma",
        Kind::Lxc => "tar",
    };
    let format = match call.params.get("compress").unwrap_or("0") {
        "zstd" => format!("{format}.zst"),
        "gzip" => format!("{format}.gz"),
        "lzo" | "1" => format!("{format}.lzo"),
        _ => format.to_owned(),
    };
    let size = archive.size();
    let mut volume = Volume {
        vmid: Some(vmid),
        notes,
        protected: call.params.is_on("protected"),
        ..Volume::new("backup", &format, size)
    };
    let (name, time) = free_name(&state, call, vm.kind, vmid, &format)?;
    volume.ctime = time;
    volume.archive = Some(Box::new(archive));
    let storage = state.storage(id, node)?;
    let path = format!(
        "{}/{}",
        storage.path(),
        name.replacen("backup/", "dump/", 1)
    );
    state.admit(id, node, &volume)?;
    if let Some(storage) = state.storages.get_mut(id) {
        storage.volumes_mut(node).insert(name, volume);
    }
    drop(state);
    px.changed();
    Ok((path, size))
}

/// `vzdump-qemu-100-2026_11_30-08_00_00.vma.zst`: with the time, and never what is there. Also gives that time.
fn free_name(
    state: &State,
    call: &Call,
    kind: Kind,
    vmid: u32,
    format: &str,
) -> Result<(String, u64), String> {
    let storage = state.storage(storage(call), call.node())?;
    let now = now();
    let name = |at: u64| {
        let seconds = i64::try_from(at).unwrap_or_default();
        let time = jiff::Timestamp::from_second(seconds).unwrap_or_default();
        let time = time.strftime("%Y_%m_%d-%H_%M_%S");
        let name = format!("backup/vzdump-{}-{vmid}-{time}.{format}", kind.id());
        (name, at)
    };
    (now..now + 1000)
        .map(name)
        .find(|(name, _)| {
            storage
                .volumes_of(call.node())
                .all(|(other, _)| other != name)
        })
        .ok_or_else(|| "unable to find a free archive name".into())
}

fn notes(template: &str, cluster: &str, node: &str, vmid: u32, name: &str) -> String {
    template
        .replace("\\n", "\n")
        .replace("{{cluster}}", cluster)
        .replace("{{guestname}}", name)
        .replace("{{node}}", node)
        .replace("{{vmid}}", &vmid.to_string())
}
