//! Changing a machine: one request for its settings, then disks, then what must restart.

use reqwest::Method;
use serde_json::Value as Json;
use stead_sdk::{Context, Error, Failure};

use crate::client::{Client, Params, params, text};
use crate::vm::encode::{Change, Settings};
use crate::vm::power::seconds;
use crate::vm::schema::Vm;
use crate::vm::{agent, config, create, decode, disk, encode, plan, power, reread};

pub(crate) async fn update(
    client: &Client,
    prior: Vm,
    planned: Vm,
    cx: &Context,
) -> Result<Vm, Failure<Vm>> {
    let id = prior.identifier()?;
    let mut vm = planned;
    if vm.boot_order.is_empty() {
        vm.boot_order.clone_from(&prior.boot_order);
    }
    // Until the move succeeds it is where it was.
    let target = std::mem::replace(&mut vm.node_name, prior.node_name.clone());
    if target != vm.node_name {
        migrate(client, cx, &vm, id, &target).await?;
        vm.node_name = target;
    }
    match apply(client, cx, &prior, &mut vm, id).await {
        Ok(restarted) => {
            let mut vm = reread(client, cx, vm, id).await?;
            if restarted && let Err(error) = agent::await_addresses(client, cx, &mut vm, id).await {
                return Err(Failure::partial(error, vm));
            }
            Ok(vm)
        }
        // Part of it may have been done: what the server has is the truth.
        Err(error) => {
            let node = vm.node_name;
            let was = Vm {
                node_name: node,
                ..prior
            };
            let now = reread(client, cx, was, id).await;
            Err(Failure {
                error,
                partial: now.map_or_else(|f| f.partial, Some),
                usable: false,
            })
        }
    }
}

async fn migrate(
    client: &Client,
    cx: &Context,
    vm: &Vm,
    id: i64,
    target: &str,
) -> Result<(), Error> {
    let running = power::is_running(client, cx, vm, id).await?;
    let form = params([
        ("target", target.to_owned()),
        ("online", i32::from(running).to_string()),
        ("with-local-disks", "1".to_owned()),
    ]);
    let path = format!("/nodes/{}/qemu/{id}/migrate", vm.node_name);
    let what = format!("migrate VM {id} to {target}");
    client
        .run(
            cx,
            Method::POST,
            &what,
            &path,
            &form,
            seconds(vm.timeout_migrate),
        )
        .await?;
    client.guests_changed().await;
    Ok(())
}

/// Whether it started or restarted.
async fn apply(
    client: &Client,
    cx: &Context,
    prior: &Vm,
    vm: &mut Vm,
    id: i64,
) -> Result<bool, Error> {
    if prior.template && !vm.template {
        return Err(Error::new(
            format!("change VM {id}"),
            "a template cannot become a machine again",
        )
        .attribute("template"));
    }
    if prior.pool_id != vm.pool_id {
        pool(client, cx, &prior.pool_id, &vm.pool_id, id).await?;
    }
    let running = power::is_running(client, cx, vm, id).await?;
    let must_restart = running && vm.started && plan::restarts(prior, vm);
    if running && !vm.started {
        power::halt(client, cx, vm, id).await?;
    }
    let moves = moved(prior, vm);
    let off_for_move = running && vm.started && !moves.is_empty();
    if off_for_move {
        if !vm.reboot_after_update {
            return Err(Error::new(
                format!("move disks of VM {id}"),
                "the machine must be off for it",
            )
            .remedy("Stop the machine first, or set reboot_after_update = true."));
        }
        power::halt(client, cx, vm, id).await?;
    }
    for (slot, storage) in moves {
        let form = params([
            ("disk", slot.clone()),
            ("storage", storage),
            ("delete", "1".to_owned()),
        ]);
        let path = format!("/nodes/{}/qemu/{id}/move_disk", vm.node_name);
        client
            .run(
                cx,
                Method::POST,
                &format!("move {slot} of VM {id}"),
                &path,
                &form,
                seconds(vm.timeout_create),
            )
            .await?;
    }
    configure(client, cx, vm, id, Some(prior)).await?;
    let mut restarted = false;
    if off_for_move {
        power::start(client, cx, vm, id).await?;
        restarted = true;
    } else if must_restart {
        if vm.reboot_after_update {
            // Before the disks grow: a pending change of a disk would undo its size.
            power::restart(client, cx, vm, id).await?;
            restarted = true;
        } else {
            cx.warn(
                format!("VM {id} must be restarted"),
                "Changes wait for a restart, and reboot_after_update = false keeps stead from doing it.",
            );
        }
    }
    if let Some(found) = config(client, cx, &vm.node_name, id).await? {
        disk::grow(client, cx, vm, id, &found).await?;
    }
    if vm.template && !prior.template {
        let path = format!("/nodes/{}/qemu/{id}/template", vm.node_name);
        let what = format!("make a template of VM {id}");
        client
            .run(
                cx,
                Method::POST,
                &what,
                &path,
                &Params::new(),
                seconds(vm.timeout_create),
            )
            .await?;
    } else if vm.started && !running && !vm.template {
        power::start(client, cx, vm, id).await?;
        restarted = true;
    }
    Ok(restarted)
}

/// Disks on another storage than before, by slot.
fn moved(prior: &Vm, vm: &Vm) -> Vec<(String, String)> {
    let old = |slot: &str| prior.disk.iter().find(|d| d.interface == slot);
    let disks = vm
        .disk
        .iter()
        .filter(|d| old(&d.interface).is_some_and(|o| o.datastore_id != d.datastore_id));
    let mut out: Vec<_> = disks
        .map(|d| (d.interface.clone(), d.datastore_id.clone()))
        .collect();
    if let (Some(old), Some(new)) = (&prior.efi_disk, &vm.efi_disk)
        && old.datastore_id != new.datastore_id
    {
        out.push(("efidisk0".into(), new.datastore_id.clone()));
    }
    if let (Some(old), Some(new)) = (&prior.tpm_state, &vm.tpm_state)
        && old.datastore_id != new.datastore_id
    {
        out.push(("tpmstate0".into(), new.datastore_id.clone()));
    }
    out
}

async fn pool(client: &Client, cx: &Context, old: &str, new: &str, id: i64) -> Result<(), Error> {
    let change = |pool: &str, delete: bool| {
        let mut form = params([("poolid", pool.to_owned()), ("vms", id.to_string())]);
        if delete {
            form.push(("delete".into(), "1".into()));
        }
        form
    };
    for (pool, delete) in [(old, true), (new, false)] {
        if !pool.is_empty() {
            let what = format!("change the pool {pool} of VM {id}");
            client
                .change(cx, Method::PUT, &what, "/pools", &change(pool, delete))
                .await?;
        }
    }
    client.guests_changed().await;
    Ok(())
}

/// Sends what differs from `prior`, or from the server's own configuration for a clone, in one request.
pub(crate) async fn configure(
    client: &Client,
    cx: &Context,
    vm: &mut Vm,
    id: i64,
    prior: Option<&Vm>,
) -> Result<(), Error> {
    let missing = || Error::not_found(format!("change VM {id}"), "the VM is gone");
    let now = config(client, cx, &vm.node_name, id)
        .await?
        .ok_or_else(missing)?;
    keep_addresses(vm, prior, &now);
    let mut change = Change::between(
        &prior.map(encode::settings).unwrap_or_default(),
        &encode::settings(vm),
    );
    if prior.is_none() {
        surplus(vm, &now, &mut change);
        inherit(vm, &mut change);
    }
    for (index, d) in vm.disk.iter().enumerate() {
        let old = prior.and_then(|p| p.disk.iter().find(|o| o.interface == d.interface));
        match create::volume(&now, &d.interface) {
            Some(_) if old.is_some_and(|o| disk::options(o) == disk::options(d)) => {}
            Some(volume) => {
                change
                    .set
                    .insert(d.interface.clone(), disk::with_volume(&volume, d));
            }
            None => {
                let source = disk::import_from(client, cx, index, d).await?;
                change
                    .set
                    .insert(d.interface.clone(), disk::allocation(d, source.as_deref()));
            }
        }
    }
    let removed = prior
        .into_iter()
        .flat_map(|p| &p.disk)
        .map(|d| d.interface.as_str());
    let removed = removed.filter(|slot| {
        !vm.disk.iter().any(|d| d.interface == *slot) && !change.set.contains_key(*slot)
    });
    let removed: Vec<_> = removed
        .filter(|slot| now.get(slot).is_some())
        .map(str::to_owned)
        .collect();
    change.delete.extend(removed);
    drives(vm, prior, &now, &mut change);
    change.delete.retain(|key| now.get(key).is_some());
    if change.is_empty() {
        return Ok(());
    }
    let mut form: Params = change.set.into_iter().collect();
    if !change.delete.is_empty() {
        form.push(("delete".into(), change.delete.join(",")));
    }
    if let Some(digest) = text(&now, "digest") {
        form.push(("digest".into(), digest));
    }
    let path = format!("/nodes/{}/qemu/{id}/config", vm.node_name);
    client
        .change(cx, Method::PUT, &format!("change VM {id}"), &path, &form)
        .await?;
    Ok(())
}

/// Cards whose address people leave to the server keep the one that they have.
fn keep_addresses(vm: &mut Vm, prior: Option<&Vm>, now: &Json) {
    let guest = crate::client::Guest {
        id: 0,
        node: String::new(),
        running: false,
        pool: String::new(),
        template: false,
        is_container: false,
    };
    let found = decode::machine(Vm::default(), &guest, now, false)
        .network_device
        .unwrap_or_default();
    // A clone has addresses of its own already.
    let known = prior
        .and_then(|p| p.network_device.clone())
        .unwrap_or(found);
    for (device, known) in vm.network_device.iter_mut().flatten().zip(known) {
        if device.mac_address.as_deref().unwrap_or_default().is_empty() {
            device.mac_address = known.mac_address;
        }
    }
}

/// Cards and serial ports that a clone has beyond what is configured.
fn surplus(vm: &Vm, now: &Json, change: &mut Change) {
    let members = now.as_object().into_iter().flatten();
    for (key, _) in members {
        let beyond = |prefix: &str, count: usize| {
            key.strip_prefix(prefix)
                .and_then(|n| n.parse::<usize>().ok())
                .is_some_and(|n| n >= count)
        };
        let net = vm
            .network_device
            .as_ref()
            .is_some_and(|n| beyond("net", n.len()));
        let serial = !vm.serial_device.is_empty() && beyond("serial", vm.serial_device.len());
        if net || serial {
            change.delete.push(key.clone());
        }
    }
}

/// A clone keeps what its template has where the configuration is silent on a whole block, and loses what attributes
/// planned at their defaults contradict.
fn inherit(vm: &Vm, change: &mut Change) {
    let silent: [(bool, &[&str]); 3] = [
        (vm.cpu.is_none(), &["cores", "sockets", "cpu"]),
        (vm.memory.is_none(), &["memory"]),
        (vm.operating_system.is_none(), &["ostype"]),
    ];
    for key in silent.iter().filter(|s| s.0).flat_map(|s| s.1) {
        change.set.remove(*key);
    }
    for key in [
        "acpi",
        "tablet",
        "protection",
        "tags",
        "hookscript",
        "args",
        "description",
    ] {
        if !change.set.contains_key(key) {
            change.delete.push(key.to_owned());
        }
    }
}

/// EFI disk, TPM state and cloud-init drive appear and vanish; their cloud-init settings come with the others.
fn drives(vm: &Vm, prior: Option<&Vm>, now: &Json, change: &mut Change) {
    let mut wanted = Settings::new();
    create::drives(vm, &mut wanted);
    let existing = decode::cloud_init_drive(now).map(|d| d.0.to_owned());
    for (slot, value) in wanted {
        let is_cloud_init = value.contains("cloudinit");
        let present = if is_cloud_init {
            // Where it already is will do, unless people name a place or another storage.
            let same_slot = existing.as_deref() == Some(slot.as_str())
                || (existing.is_some()
                    && vm
                        .initialization
                        .as_ref()
                        .is_some_and(|i| i.interface.is_empty()));
            let storage = |v: &Vm| v.initialization.as_ref().map(|i| i.datastore_id.clone());
            same_slot && prior.is_none_or(|p| storage(p) == storage(vm))
        } else {
            now.get(&slot).is_some()
        };
        if present {
            continue;
        }
        if is_cloud_init && let Some(old) = existing.as_ref().filter(|old| **old != slot) {
            change.delete.push(old.clone());
        }
        change.set.insert(slot, value);
    }
    let Some(prior) = prior else { return };
    let gone = [
        (
            prior.efi_disk.is_some() && vm.efi_disk.is_none(),
            Some("efidisk0".to_owned()),
        ),
        (
            prior.tpm_state.is_some() && vm.tpm_state.is_none(),
            Some("tpmstate0".to_owned()),
        ),
        (
            prior.initialization.is_some() && vm.initialization.is_none(),
            existing,
        ),
    ];
    change
        .delete
        .extend(gone.into_iter().filter(|g| g.0).filter_map(|g| g.1));
}
