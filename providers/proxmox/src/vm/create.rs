//! Making a machine: new or as a clone; its disks, its cloud-init drive, its first start.

use std::sync::atomic::{AtomicI64, Ordering};

use reqwest::Method;
use stead_sdk::{Context, Cut, Error, ErrorKind, Failure, Resource as _, Resumed};

use crate::client::{Client, params};
use crate::guest::{Copy, Guest, Kind, copy, resumed, seconds, with_identifier};
use crate::table::{Change, Settings, Table as _};
use crate::vm::schema::{CloneFrom, Disk, Vm};
use crate::vm::{agent, disk, encode, power, reread, update};

pub(crate) async fn create(client: &Client, planned: Vm, cx: &Context) -> Result<Vm, Failure<Vm>> {
    let mut vm = planned;
    // Who cannot log in is told so before there is a machine that lacks its disks.
    if vm
        .disk
        .iter()
        .any(|d| disk::out_of_reach(client, d).is_some())
    {
        client.shell(cx, &vm.node_name).await?;
    }
    let asked_for = AtomicI64::new(0);
    let made = match &vm.clone {
        Some(from) => clone(client, cx, &vm, from, &asked_for).await,
        None => make(client, cx, &vm, &asked_for).await,
    };
    let id = match (made, asked_for.into_inner()) {
        (Ok(id), _) => id,
        // Nobody waited for the end, but the machine may come to be under the identifier that was asked for.
        (Err(error), id @ 1..) if error.is_cancelled() || error.kind() == ErrorKind::TimedOut => {
            vm.id = id.to_string();
            vm.vm_id = Some(id);
            vm.started = false;
            return Err(Failure::partial(error, vm));
        }
        (Err(error), _) => return Err(error.into()),
    };
    vm.id = id.to_string();
    vm.vm_id = Some(id);
    client.guests_changed().await;
    let guest = Guest::new(client, cx, Kind::Machine, &vm.node_name, id);
    // From here on the machine exists: whatever fails, it is handed over.
    if let Err(error) = finish(&guest, &mut vm).await {
        vm.started = false;
        return Err(Failure::partial(error, vm));
    }
    let mut vm = reread(&guest, vm).await?;
    if let Err(error) = agent::await_addresses(&guest, &mut vm).await {
        return Err(Failure::partial(error, vm));
    }
    Ok(vm)
}

/// Disks of images that the API does not reach, and what else only makes sense with them.
async fn late_disks(guest: &Guest<'_>, vm: &Vm) -> Result<(), Error> {
    let late = vm
        .disk
        .iter()
        .filter_map(|d| Some((d, disk::out_of_reach(guest.client, d)?)));
    let mut change = Change::default();
    for (d, image) in late {
        let volume = disk::import_over_ssh(guest, d, image).await?;
        change
            .set
            .insert(d.interface.clone(), disk::with_volume(&volume, d));
    }
    if change.set.is_empty() {
        return Ok(());
    }
    change
        .set
        .extend(boot(vm).map(|order| ("boot".to_owned(), order)));
    guest.change(change, None).await
}

/// Disks to their size, the template mark, the start.
async fn finish(guest: &Guest<'_>, vm: &mut Vm) -> Result<(), Error> {
    if vm.clone.is_some() {
        update::adapt_clone(guest, vm).await?;
    } else {
        late_disks(guest, vm).await?;
    }
    disk::grow(guest, vm, &guest.present().await?).await?;
    if vm.template {
        return guest.make_template(seconds(vm.timeout_create)).await;
    }
    if vm.started {
        guest.start(seconds(vm.timeout_start_vm)).await?;
        if vm.reboot {
            power::restart(guest, vm).await?;
        }
    }
    Ok(())
}

async fn make(client: &Client, cx: &Context, vm: &Vm, asked_for: &AtomicI64) -> Result<i64, Error> {
    let mut settings = encode::settings(vm);
    let is_late = |d: &Disk| disk::out_of_reach(client, d).is_some();
    for d in vm.disk.iter().filter(|d| !is_late(d)) {
        let source = disk::import_from(client, cx, d).await?;
        settings.put(&d.interface, disk::allocation(d, source.as_deref()));
    }
    settings.extend(drives(vm));
    match boot(vm) {
        // It names drives that the machine does not have yet.
        Some(_) if vm.disk.iter().any(is_late) => {
            settings.remove("boot");
        }
        Some(order) => settings.put("boot", order),
        None => {}
    }
    if !vm.pool_id.is_empty() {
        settings.put("pool", vm.pool_id.clone());
    }
    let path = format!("/nodes/{}/qemu", vm.node_name);
    let (settings, path) = (&settings, &path);
    with_identifier(client, cx, vm.vm_id, |id| async move {
        identified(cx, vm, id).await?;
        asked_for.store(id, Ordering::Relaxed);
        let mut form = params([("vmid", id.to_string())]);
        form.extend(settings.clone());
        let what = format!("create VM {id}");
        let timeout = seconds(vm.timeout_create);
        client
            .run(cx, Method::POST, &what, path, &form, timeout)
            .await
    })
    .await
}

/// Says under which identifier the machine is about to be made.
async fn identified(cx: &Context, vm: &Vm, id: i64) -> Result<(), Error> {
    let known = Vm {
        id: id.to_string(),
        vm_id: Some(id),
        ..vm.clone()
    };
    cx.identified(&known).await
}

/// What has become of a machine whose making was cut off. The task that makes it goes on without us: its end is awaited.
pub(crate) async fn resume(
    client: &Client,
    cut: Cut<Vm>,
    cx: &Context,
) -> Result<Resumed<Vm>, Error> {
    let Some(known) = &cut.known else {
        return Ok(Resumed::Unknown);
    };
    let id = known.identifier()?;
    client.guests_changed().await;
    if let Some((guest, _)) = Guest::find(client, cx, Kind::Machine, id).await? {
        guest.made(seconds(known.timeout_create)).await?;
    }
    let found = Vm::read(client, known.clone(), cx).await?;
    Ok(resumed(&cut, found, |vm| Some(vm.name.clone())))
}

/// The drives that are not `disk` blocks, as they are made.
pub(crate) fn drives(vm: &Vm) -> Settings {
    let efi = vm.efi_disk.as_ref();
    let tpm = vm.tpm_state.as_ref();
    let init = vm.initialization.as_ref();
    let drives = [
        efi.map(|efi| ("efidisk0".to_owned(), efi.allocation())),
        tpm.map(|tpm| ("tpmstate0".to_owned(), tpm.allocation())),
        init.map(|init| (init.slot().to_owned(), init.allocation())),
    ];
    drives.into_iter().flatten().collect()
}

/// In which order drives and cards are booted from, as people say or as it makes sense.
fn boot(vm: &Vm) -> Option<String> {
    let order = match vm.boot_order.is_empty() {
        true => boot_order(vm),
        false => vm.boot_order.join(";"),
    };
    (!order.is_empty()).then(|| format!("order={order}"))
}

/// What boots when people do not say: the disc, the first disk of each controller, the first network card.
fn boot_order(vm: &Vm) -> String {
    let disc = vm.cdrom.as_ref().map(|c| c.interface.as_str());
    let first = ["ide0", "sata0", "scsi0", "virtio0"];
    let disks = first
        .into_iter()
        .filter(|slot| vm.disk.iter().any(|d| d.interface == *slot));
    let mut cards = vm.network_device.iter().flatten();
    let card = cards.any(|n| n.enabled.unwrap_or(true)).then_some("net0");
    let order: Vec<_> = disc.into_iter().chain(disks).chain(card).collect();
    order.join(";")
}

async fn clone(
    client: &Client,
    cx: &Context,
    vm: &Vm,
    from: &CloneFrom,
    asked_for: &AtomicI64,
) -> Result<i64, Error> {
    let order = Copy {
        kind: Kind::Machine,
        source: from.vm_id,
        wanted: vm.vm_id,
        full: from.full,
        node: &vm.node_name,
        storage: &from.datastore_id,
        more: vec![
            ("name", &vm.name),
            ("description", &vm.description),
            ("pool", &vm.pool_id),
        ],
        attempts: from.retries,
        timeout: seconds(vm.timeout_clone),
    };
    copy(client, cx, &order, |id| async move {
        identified(cx, vm, id).await?;
        asked_for.store(id, Ordering::Relaxed);
        Ok(())
    })
    .await
}
