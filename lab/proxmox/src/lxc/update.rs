//! Changing a container's configuration: what applies at once, what waits for the next start.

use serde_json::Value;

use super::permission::Current;
use crate::Proxmox;
use crate::error::{Answer, ApiError};
use crate::guest::drive::{Drive, File, is_drive, is_unused};
use crate::guest::{Kind, Purpose, Px, config, disk};
use crate::qemu::permission::Change;
use crate::routes::Call;
use crate::schema::check::Errors;
use crate::state::{State, Vm};

/// Options that a running container takes at once.
const LIVE: &[&str] = &[
    "cores",
    "cpulimit",
    "cpuunits",
    "description",
    "hookscript",
    "hostname",
    "lock",
    "memory",
    "onboot",
    "protection",
    "startup",
    "swap",
    "tags",
];

/// Options that a container can't be without.
const REQUIRED: &[&str] = &["memory", "ostype", "rootfs"];

/// `PUT …/config`
pub(crate) async fn now(px: &Px, call: Call) -> Answer {
    if call.options().next().is_none() && !call.params.has("delete") && !call.params.has("revert") {
        return Err(ApiError::failure("no options specified"));
    }
    check(px, &px.state(), &call)?;
    let _lock = px.lock_vm(Kind::Lxc, call.vmid(), Purpose::Change).await?;
    let mut state = px.state();
    check(px, &state, &call)?;
    apply(px, &mut state, &call)?;
    drop(state);
    px.changed();
    Ok(Value::Null)
}

fn check(px: &Px, state: &State, call: &Call) -> Result<(), ApiError> {
    let vm = call.guest(state)?;
    vm.check_unlocked()?;
    crate::guest::check_digest(vm, call)?;
    let change = Change {
        caller: &call.caller,
        node: call.node(),
        vmid: call.vmid(),
        pool: None,
        default_storage: None,
    };
    let current = Current {
        config: Some(&vm.config),
        unprivileged: vm.config.get("unprivileged").is_some_and(|v| v == "1"),
    };
    let revert = call.params.list("revert");
    for (parameter, keys) in [
        ("delete", call.params.list("delete")),
        ("revert", revert.clone()),
    ] {
        for key in &keys {
            px.may_set_in_container(state, &change, &current, key, None)?;
            let wrong = if px.option(Kind::Lxc, key).is_none() {
                format!("unknown option '{key}'")
            } else if call.params.has(key) {
                format!("you can't use '-{key}' and '-{parameter} {key}' at the same time")
            } else if parameter == "delete" && revert.contains(key) {
                format!("you can't use '-delete {key}' and '-revert {key}' at the same time")
            } else {
                continue;
            };
            return Err(ApiError::parameter(parameter, wrong));
        }
    }
    for (key, value) in call.options() {
        px.may_set_in_container(state, &change, &current, key, Some(value))?;
    }
    Ok(())
}

fn apply(px: &Px, state: &mut State, call: &Call) -> Result<(), ApiError> {
    let (node, vmid) = (call.node(), call.vmid());
    let before = state.vm(node, vmid)?.clone();
    for key in call.params.list("revert") {
        state.vm_mut(node, vmid)?.pending.remove(&key);
    }
    for key in call.params.list("delete") {
        if !before.config.contains_key(&key) && !before.pending.contains_key(&key) {
            continue;
        }
        let refused = match key.as_str() {
            key if REQUIRED.contains(&key) => {
                Err(format!("unable to delete required option '{key}'"))
            }
            "unprivileged" => Err(format!("unable to delete read-only option: '{key}'")),
            key if is_unused(key) || is_drive(Kind::Lxc, key) => {
                before.check_protection(&format!("can't remove CT {vmid} drive '{key}'"))
            }
            _ => Ok(()),
        };
        refused?;
        state.vm_mut(node, vmid)?.pending.insert(key, None);
    }
    for (key, value) in call.options() {
        let value = match key {
            "unprivileged" => {
                return Err(ApiError::failure(format!(
                    "unable to modify read-only option: '{key}'"
                )));
            }
            key if is_drive(Kind::Lxc, key) => {
                before.check_protection(&format!("can't update CT {vmid} drive '{key}'"))?;
                check_mount(px, state, node, key, value)?;
                value.to_owned()
            }
            key => px.normalized(state, Kind::Lxc, key, value)?,
        };
        let vm = state.vm_mut(node, vmid)?;
        match vm.config.get(key) == Some(&value) {
            true => drop(vm.pending.remove(key)),
            false => drop(vm.pending.insert(key.to_owned(), Some(value))),
        }
    }
    let errors = px.commit_to_container(state, vmid);
    if errors.is_empty() {
        return Ok(());
    }
    // With an error nothing of the request is kept.
    *state.vm_mut(node, vmid)? = before;
    Err(ApiError::parameters(errors))
}

/// A volume's storage must take container directories.
fn check_mount(px: &Px, state: &State, node: &str, key: &str, value: &str) -> Result<(), ApiError> {
    let mount = px.drive(Kind::Lxc, key, value)?;
    let storage = match mount.file(None)? {
        File::New { storage, .. } => storage,
        File::Volume(_) => mount.storage().unwrap_or_default(),
        File::Nothing | File::Path(_) | File::CloudInit { .. } => return Ok(()),
    };
    match state.storage(storage, node)?.takes("rootdir") {
        true => Ok(()),
        false => Err(ApiError::failure(format!(
            "storage '{storage}' does not allow content type 'rootdir' (Container)"
        ))),
    }
}

/// Whether a running container takes a pending change now.
fn takes_now(vm: &Vm, key: &str) -> bool {
    let stem = crate::schema::numbered(key).map_or(key, |(stem, _)| stem);
    let removed = vm.pending.get(key).is_some_and(Option::is_none);
    match stem {
        "unused" | "net" => true,
        // Something new can be mounted; what is mounted stays so.
        "mp" | "dev" => !removed && !vm.config.contains_key(key),
        _ => LIVE.contains(&key),
    }
}

/// Everything that waited for the start.
pub(crate) fn apply_pending(px: &Proxmox, state: &mut State, vmid: u32) -> Result<(), String> {
    let errors = px.commit_to_container(state, vmid);
    match errors.into_iter().next() {
        None => Ok(()),
        Some((_, text)) => Err(text),
    }
}

impl Proxmox {
    /// Carries out what is pending: all of it, or of a running container what that takes now.
    fn commit_to_container(&self, state: &mut State, vmid: u32) -> Errors {
        let mut errors = Errors::new();
        let Some(vm) = state.vms.get(&vmid) else {
            return errors;
        };
        let running = vm.running.is_some();
        let due: Vec<String> = vm
            .pending
            .keys()
            .filter(|key| !running || takes_now(vm, key))
            .cloned()
            .collect();
        for key in due {
            if let Err(text) = self.commit_one(state, vmid, &key) {
                let text = match running {
                    true => format!("unable to hotplug {key}: {text}"),
                    false => format!("unable to apply pending change {key} : {text}"),
                };
                errors.insert(key, text);
            }
        }
        errors
    }

    fn commit_one(&self, state: &mut State, vmid: u32, key: &str) -> Result<(), String> {
        let Some(vm) = state.vms.get(&vmid) else {
            return Ok(());
        };
        let node = vm.node.clone();
        let Some(value) = vm.pending.get(key).cloned() else {
            return Ok(());
        };
        let (old, value) = if is_unused(key) {
            self.drop_unused(state, &node, vmid, key)?;
            (None, None)
        } else if is_drive(Kind::Lxc, key) {
            let parsed = |value: &String| self.drive(Kind::Lxc, key, value).ok();
            let old = vm.config.get(key).and_then(parsed);
            let new = match value.as_ref().and_then(parsed) {
                None => None,
                Some(asked) => Some(self.realize(state, &node, vmid, asked, None)?.0),
            };
            (old, new.map(|new| self.print_drive(&new)))
        } else {
            (None, value)
        };
        let vm = state.vm_mut(&node, vmid)?;
        vm.pending.remove(key);
        match &value {
            Some(value) => drop(vm.config.insert(key.to_owned(), value.clone())),
            None => drop(vm.config.remove(key)),
        }
        let in_use: Vec<String> = self
            .disks(Kind::Lxc, &vm.config)
            .filter_map(|drive| drive.volid().map(str::to_owned))
            .collect();
        vm.config
            .retain(|key, value| !is_unused(key) || !in_use.contains(value));
        match old.as_ref().and_then(Drive::volid) {
            Some(volid) if !in_use.iter().any(|v| v == volid) => config::keep_unused(vm, volid),
            _ => Ok(()),
        }
    }

    fn drop_unused(
        &self,
        state: &mut State,
        node: &str,
        vmid: u32,
        key: &str,
    ) -> Result<(), String> {
        let vm = state.vm(node, vmid)?;
        if let Some(volid) = vm.config.get(key).cloned()
            && !disk::in_snapshot(vm, &volid)
        {
            self.free_disk(state, node, vmid, &volid);
        }
        Ok(())
    }
}
