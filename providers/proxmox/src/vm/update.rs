//! Changing a machine: where it is, one request for its settings, its disks, then what must restart.

use reqwest::Method;
use stead_sdk::{Context, Error, Failure};

use crate::client::{Client, Row, params};
use crate::guest::{Guest, Kind, move_between_pools, refuse_conflict, seconds};
use crate::table::{Change, Settings};
use crate::vm::effect::restarts;
use crate::vm::schema::Vm;
use crate::vm::{agent, create, decode, disk, encode, power, reread};

pub(crate) async fn update(
    client: &Client,
    prior: Vm,
    planned: Vm,
    cx: &Context,
) -> Result<Vm, Failure<Vm>> {
    let id = prior.identifier()?;
    let found = Guest::find(client, cx, Kind::Machine, id).await?;
    let (mut guest, row) = found.ok_or_else(|| {
        Error::not_found(format!("change VM {id}"), "there is no such VM any more")
    })?;
    let mut vm = planned;
    if vm.boot_order.is_empty() {
        vm.boot_order.clone_from(&prior.boot_order);
    }
    match apply(&mut guest, &row, &prior, &mut vm).await {
        Ok(restarted) => {
            let mut vm = reread(&guest, vm).await?;
            if restarted && let Err(error) = agent::await_addresses(&guest, &mut vm).await {
                return Err(Failure::partial(error, vm));
            }
            Ok(vm)
        }
        // Part of it may have been done: what the server has is the truth.
        Err(error) => {
            let was = Vm {
                node_name: if vm.migrate {
                    guest.node.clone()
                } else {
                    prior.node_name.clone()
                },
                ..prior
            };
            let now = reread(&guest, was).await;
            Err(Failure {
                error,
                partial: now.map_or_else(|f| f.partial, Some),
                usable: false,
            })
        }
    }
}

/// Whether it started or restarted.
async fn apply(guest: &mut Guest<'_>, row: &Row, prior: &Vm, vm: &mut Vm) -> Result<bool, Error> {
    if prior.template && !vm.template {
        let error = Error::new(
            format!("change {}", guest.name()),
            "a template cannot become a machine again",
        );
        return Err(error.attribute("template"));
    }
    let now = decode::machine(prior.clone(), row, &guest.present().await?, false);
    let [was, wanted, now] = [prior, &*vm, &now].map(encode::settings);
    refuse_conflict(guest, &was, &wanted, &now)?;
    move_between_pools(guest, &prior.pool_id, &vm.pool_id).await?;
    if vm.migrate && vm.node_name != guest.node {
        release_local_devices(guest, prior, vm).await?;
        let timeout = seconds(vm.timeout_migrate);
        guest.migrate(&vm.node_name, "", timeout).await?;
        guest.node.clone_from(&vm.node_name);
    }
    let running = guest.is_running().await?;
    keep_addresses(vm, prior);
    let (old, new) = compared(guest, prior, vm).await?;
    let must_restart = running && vm.started && restarts(&old, &new);
    let moves = moved(prior, vm);
    let off = !moves.is_empty() || prior.tpm_state.is_some() != vm.tpm_state.is_some();
    let off = off && running && vm.started;
    if off && !vm.reboot_after_update {
        let asked = format!("change the disks of {}", guest.name());
        return Err(Error::new(asked, "the machine must be off for it")
            .remedy("Stop the machine first, or set reboot_after_update = true."));
    }
    if running && (off || !vm.started) {
        power::halt(guest, vm).await?;
    }
    for (slot, storage) in moves {
        let form = params([
            ("disk", slot.clone()),
            ("storage", storage.clone()),
            ("delete", "1".to_owned()),
        ]);
        let what = format!("move {slot} of {}", guest.name());
        // The server allocates on a storage under a lock of its own.
        let _turn = guest.client.turn(&format!("move to {storage}"), 2).await;
        guest
            .task(
                Method::POST,
                &what,
                "move_disk",
                &form,
                seconds(vm.timeout_create),
            )
            .await?;
    }
    let change = Change::between(&encode::settings(&old), &encode::settings(&new));
    send(guest, vm, Some(prior), change, &guest.present().await?).await?;
    let mut restarted = off;
    if off {
        guest.start(seconds(vm.timeout_start_vm)).await?;
    } else if must_restart && vm.reboot_after_update {
        // Before the disks grow: a pending change of a disk would undo its size.
        power::restart(guest, vm).await?;
        restarted = true;
    } else if must_restart {
        guest.cx.warn(
            format!("{} must be restarted", guest.name()),
            "Changes wait for a restart, and reboot_after_update = false keeps stead from doing it.",
        );
    }
    disk::grow(guest, vm, &guest.present().await?).await?;
    if vm.template && !prior.template {
        guest.make_template(seconds(vm.timeout_create)).await?;
    } else if vm.started && !running && !vm.template {
        guest.start(seconds(vm.timeout_start_vm)).await?;
        restarted = true;
    }
    Ok(restarted)
}

/// Takes out the devices of the node that change: with them the machine cannot leave it.
async fn release_local_devices(guest: &Guest<'_>, prior: &Vm, vm: &Vm) -> Result<(), Error> {
    let change = Change::between(&encode::settings(prior), &encode::settings(vm));
    let now = guest.present().await?;
    let local = |key: &&str| {
        let of_the_node = ["hostpci", "usb", "virtiofs"]
            .iter()
            .any(|p| key.starts_with(p));
        of_the_node && now.contains_key(*key)
    };
    let delete: Vec<_> = change.keys().filter(local).map(str::to_owned).collect();
    if delete.is_empty() {
        return Ok(());
    }
    if guest.is_running().await? {
        power::halt(guest, vm).await?;
    }
    let change = Change {
        delete,
        ..Change::default()
    };
    guest
        .change(change, now.get("digest").map(String::as_str))
        .await
}

/// Drives on another storage than before, by slot.
fn moved(prior: &Vm, vm: &Vm) -> Vec<(String, String)> {
    let places = |vm: &Vm| -> Vec<(String, String)> {
        let disks = vm
            .disk
            .iter()
            .map(|d| (d.interface.clone(), d.datastore_id.clone()));
        let efi = vm
            .efi_disk
            .iter()
            .map(|e| ("efidisk0".to_owned(), e.datastore_id.clone()));
        let tpm = vm
            .tpm_state
            .iter()
            .map(|t| ("tpmstate0".to_owned(), t.datastore_id.clone()));
        disks.chain(efi).chain(tpm).collect()
    };
    let before = places(prior);
    let moved = |(slot, storage): &(String, String)| {
        before.iter().any(|(s, was)| s == slot && was != storage)
    };
    places(vm).into_iter().filter(moved).collect()
}

/// The machine before and after, as far as settings go: of a clone, what the configuration does not mention is as it is.
async fn compared(guest: &Guest<'_>, prior: &Vm, vm: &Vm) -> Result<(Vm, Vm), Error> {
    let (mut old, mut new) = (prior.clone(), vm.clone());
    if vm.clone.is_some() {
        let row = Row::of(guest.id, &guest.node);
        let copied = decode::machine(Vm::default(), &row, &guest.present().await?, true);
        inherit(&mut old, &copied);
        inherit(&mut new, &copied);
    }
    Ok((old, new))
}

/// Makes a clone what the configuration says, in one request. Where it is silent on a whole block, the template's stays; what
/// attributes at their defaults contradict goes.
pub(crate) async fn adapt_clone(guest: &Guest<'_>, vm: &mut Vm) -> Result<(), Error> {
    let now = guest.present().await?;
    let row = Row::of(guest.id, &guest.node);
    let copied = decode::machine(Vm::default(), &row, &now, true);
    keep_addresses(vm, &copied);
    let mut wanted = vm.clone();
    inherit(&mut wanted, &copied);
    let change = Change::between(&encode::settings(&copied), &encode::settings(&wanted));
    send(guest, vm, None, change, &now).await
}

/// Takes what the configuration does not say from what was copied.
fn inherit(wanted: &mut Vm, copied: &Vm) {
    macro_rules! inherit {
        ($($block:ident),+) => {$(
            if wanted.$block.is_none() { wanted.$block.clone_from(&copied.$block); }
        )+};
        (lists $($block:ident),+) => {$(
            if wanted.$block.is_empty() { wanted.$block.clone_from(&copied.$block); }
        )+};
    }
    inherit!(
        agent,
        amd_sev,
        audio_device,
        cdrom,
        cpu,
        hotplug,
        initialization,
        memory,
        network_device,
        operating_system,
        smbios,
        startup,
        vga,
        watchdog
    );
    inherit!(lists boot_order, hostpci, machine, name, numa, rng, serial_device, usb, virtiofs);
    // Cloud-init of the template that the configuration does not name stays as well, field by field.
    if let (Some(wanted), Some(copied)) = (&mut wanted.initialization, &copied.initialization) {
        inherit_cloud_init(wanted, copied);
    }
}

fn inherit_cloud_init(
    wanted: &mut crate::vm::schema::Initialization,
    copied: &crate::vm::schema::Initialization,
) {
    wanted.dns = wanted.dns.take().or_else(|| copied.dns.clone());
    wanted.upgrade = wanted.upgrade.or(copied.upgrade);
    if wanted.ip_config.is_empty() {
        wanted.ip_config.clone_from(&copied.ip_config);
    }
    if wanted.user_account.is_none() {
        wanted.user_account.clone_from(&copied.user_account);
    }
    let texts = [
        (&mut wanted.r#type, &copied.r#type),
        (&mut wanted.meta_data_file_id, &copied.meta_data_file_id),
        (
            &mut wanted.network_data_file_id,
            &copied.network_data_file_id,
        ),
        (&mut wanted.user_data_file_id, &copied.user_data_file_id),
        (&mut wanted.vendor_data_file_id, &copied.vendor_data_file_id),
    ];
    for (wanted, copied) in texts {
        if wanted.is_empty() {
            wanted.clone_from(copied);
        }
    }
}

/// Adds the drives to a change and sends it.
async fn send(
    guest: &Guest<'_>,
    vm: &Vm,
    prior: Option<&Vm>,
    mut change: Change,
    now: &Settings,
) -> Result<(), Error> {
    for d in &vm.disk {
        let old = prior.and_then(|p| p.disk.iter().find(|o| o.interface == d.interface));
        let value = match decode::volume(now, &d.interface) {
            Some(_) if old.is_some_and(|old| disk::alike(old, d)) => continue,
            Some(volume) => disk::with_volume(&volume, d),
            None => match disk::out_of_reach(guest.client, d) {
                Some(image) => disk::with_volume(&disk::import_over_ssh(guest, d, image).await?, d),
                None => {
                    let source = disk::import_from(guest.client, guest.cx, d).await?;
                    disk::allocation(d, source.as_deref())
                }
            },
        };
        change.set.insert(d.interface.clone(), value);
    }
    let removed = prior
        .into_iter()
        .flat_map(|p| &p.disk)
        .map(|d| &d.interface);
    let removed = removed.filter(|slot| !vm.disk.iter().any(|d| d.interface == **slot));
    change.delete.extend(removed.cloned());
    drives(vm, prior, now, &mut change);
    let Change { set, delete } = &mut change;
    delete.retain(|key| now.contains_key(key) && !set.contains_key(key));
    guest
        .change(change, now.get("digest").map(String::as_str))
        .await
}

/// Cards whose address people leave to the server keep the one that they have.
fn keep_addresses(vm: &mut Vm, known: &Vm) {
    let known = known.network_device.iter().flatten();
    for (card, known) in vm.network_device.iter_mut().flatten().zip(known) {
        if card.mac_address.as_deref().unwrap_or_default().is_empty() {
            card.mac_address.clone_from(&known.mac_address);
        }
    }
}

/// EFI disk, TPM state and cloud-init drive appear and vanish; their cloud-init settings come with the others.
fn drives(vm: &Vm, prior: Option<&Vm>, now: &Settings, change: &mut Change) {
    let existing = decode::cloud_init_drive(now);
    let cloud_init = vm.initialization.as_ref().map(|init| init.slot());
    for (slot, value) in create::drives(vm) {
        if Some(slot.as_str()) != cloud_init {
            if !now.contains_key(&slot) {
                change.set.insert(slot, value);
            }
            continue;
        }
        // Where it already is will do, unless people name a place or another storage.
        let storage = |vm: &Vm| vm.initialization.as_ref().map(|i| i.datastore_id.clone());
        let named = vm
            .initialization
            .as_ref()
            .is_some_and(|i| !i.interface.is_empty());
        let there = existing.is_some_and(|(at, _)| *at == slot || !named);
        let moved = prior.is_some_and(|p| p.initialization.is_some() && storage(p) != storage(vm));
        if there && !moved {
            continue;
        }
        change.delete.extend(existing.map(|(at, _)| at.clone()));
        change.set.insert(slot, value);
    }
    let Some(prior) = prior else { return };
    let gone = [
        (
            prior.efi_disk.is_some() && vm.efi_disk.is_none(),
            Some("efidisk0"),
        ),
        (
            prior.tpm_state.is_some() && vm.tpm_state.is_none(),
            Some("tpmstate0"),
        ),
        (
            prior.initialization.is_some() && vm.initialization.is_none(),
            existing.map(|(at, _)| at.as_str()),
        ),
    ];
    let gone = gone.into_iter().filter(|(gone, _)| *gone);
    change
        .delete
        .extend(gone.filter_map(|(_, slot)| slot.map(str::to_owned)));
}
