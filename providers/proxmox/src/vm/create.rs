//! Making a machine: new or as a clone; its disks, its cloud-init drive, its first start.

use reqwest::Method;
use serde_json::Value as Json;
use stead_sdk::wait::{self, Poll, Polling};
use stead_sdk::{Context, Cut, Error, ErrorKind, Failure, Resource as _, Resumed};

use crate::client::{Client, Params, params};
use crate::vm::encode::Settings;
use crate::vm::power::seconds;
use crate::vm::schema::{EfiDisk, Initialization, TpmState, Vm};
use crate::vm::{agent, config, disk, encode, power, reread, update};

/// How often another takes the identifier first before stead gives up.
const RACES: u32 = 8;

pub(crate) async fn create(client: &Client, planned: Vm, cx: &Context) -> Result<Vm, Failure<Vm>> {
    let mut vm = planned;
    let made = if vm.clone.is_some() {
        copy(client, cx, &vm).await
    } else {
        make(client, cx, &vm).await
    };
    let id = match (made, vm.vm_id) {
        (Ok(id), _) => id,
        // Nobody waited for the end, but the machine may come to be under the identifier that was asked for.
        (Err(error), Some(id)) if error.is_cancelled() || error.kind() == ErrorKind::TimedOut => {
            vm.id = id.to_string();
            vm.started = false;
            return Err(Failure::partial(error, vm));
        }
        (Err(error), _) => return Err(error.into()),
    };
    vm.id = id.to_string();
    vm.vm_id = Some(id);
    client.guests_changed().await;
    // From here on the machine exists: whatever fails, it is handed over.
    match finish(client, cx, &mut vm, id).await {
        Ok(()) => {}
        Err(error) => {
            vm.started = false;
            return Err(Failure::partial(error, vm));
        }
    }
    let mut vm = reread(client, cx, vm, id).await?;
    if vm.started
        && !vm.template
        && let Err(error) = agent::await_addresses(client, cx, &mut vm, id).await
    {
        return Err(Failure::partial(error, vm));
    }
    Ok(vm)
}

/// Disks to their size, the template mark, the start.
async fn finish(client: &Client, cx: &Context, vm: &mut Vm, id: i64) -> Result<(), Error> {
    if vm.clone.is_some() {
        update::configure(client, cx, vm, id, None).await?;
    }
    if let Some(found) = config(client, cx, &vm.node_name, id).await? {
        disk::grow(client, cx, vm, id, &found).await?;
    }
    if vm.template {
        let path = format!("/nodes/{}/qemu/{id}/template", vm.node_name);
        let what = format!("make a template of VM {id}");
        return client
            .run(
                cx,
                Method::POST,
                &what,
                &path,
                &Params::new(),
                seconds(vm.timeout_create),
            )
            .await;
    }
    if vm.started {
        power::start(client, cx, vm, id).await?;
        if vm.reboot {
            power::restart(client, cx, vm, id).await?;
        }
    }
    Ok(())
}

/// A free identifier that nobody else in this process was given: the server reserves none, and tells two who ask at the
/// same time the same one.
async fn next_id(client: &Client, cx: &Context) -> Result<i64, Error> {
    let what = "find a free VM identifier";
    let mut given = client.identifiers.lock().await;
    let found = client
        .get(cx, what, "/cluster/nextid", &Params::new())
        .await?;
    let id = found.as_i64().or_else(|| found.as_str()?.parse().ok());
    let mut id = id.ok_or_else(|| Error::new(what, "the answer is not a number"))?;
    while given.contains(&id) {
        id += 1;
        let probe = params([("vmid", id.to_string())]);
        match client.get(cx, what, "/cluster/nextid", &probe).await {
            // Taken.
            Err(e) if e.status() == Some(400) => {
                given.insert(id);
            }
            other => {
                other?;
            }
        }
    }
    given.insert(id);
    Ok(id)
}

fn is_taken(error: &Error) -> bool {
    [
        "already exists",
        "config file already exists",
        "can't lock file",
    ]
    .iter()
    .any(|w| error.said().contains(w))
}

/// Runs `attempt` with the wanted identifier, or with free ones until no other is faster.
async fn with_id<F>(
    client: &Client,
    cx: &Context,
    wanted: Option<i64>,
    mut attempt: impl FnMut(i64) -> F,
) -> Result<i64, Error>
where
    F: Future<Output = Result<(), Error>>,
{
    if let Some(id) = wanted {
        return attempt(id).await.map(|()| id).map_err(|e| match is_taken(&e) {
            true if e.said().contains("can't lock file") => e.remedy(
                "Another task holds the machine's lock: apply again when it is done.",
            ),
            true => e.remedy(format!(
                "Choose another `vm_id`, leave it out for the next free one, or import the machine: `NODE/{id}`."
            )),
            false => e,
        });
    }
    let mut races = 0;
    loop {
        let id = next_id(client, cx).await?;
        match attempt(id).await {
            Err(e) if is_taken(&e) && races < RACES && !cx.is_cancelled() => races += 1,
            other => return other.map(|()| id),
        }
    }
}

async fn make(client: &Client, cx: &Context, vm: &Vm) -> Result<i64, Error> {
    let mut settings = encode::settings(vm);
    for (index, d) in vm.disk.iter().enumerate() {
        let source = disk::import_from(client, cx, index, d).await?;
        settings.insert(d.interface.clone(), disk::allocation(d, source.as_deref()));
    }
    drives(vm, &mut settings);
    if vm.boot_order.is_empty() {
        let order = boot_order(vm);
        if !order.is_empty() {
            settings.insert("boot".into(), format!("order={order}"));
        }
    }
    if !vm.pool_id.is_empty() {
        settings.insert("pool".into(), vm.pool_id.clone());
    }
    let path = format!("/nodes/{}/qemu", vm.node_name);
    let (settings, path) = (&settings, &path);
    with_id(client, cx, vm.vm_id, |id| async move {
        identified(cx, vm, id).await?;
        let mut form = params([("vmid", id.to_string())]);
        form.extend(settings.iter().map(|(k, v)| (k.clone(), v.clone())));
        client
            .run(
                cx,
                Method::POST,
                &format!("create VM {id}"),
                path,
                &form,
                seconds(vm.timeout_create),
            )
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
    let what = format!("the task that was making VM {id}");
    let polling = Polling::default().timeout(seconds(known.timeout_create));
    wait::until(cx, &what, polling, || async {
        let Some(guest) = client.guest(cx, id).await? else {
            return Ok(Poll::Ready(()));
        };
        let found = config(client, cx, &guest.node, id).await?;
        let lock = found.as_ref().and_then(|c| c.get("lock")?.as_str());
        Ok(match lock {
            Some("create" | "clone") => Poll::Pending,
            _ => Poll::Ready(()),
        })
    })
    .await?;
    client.guests_changed().await;
    let Some(found) = Vm::read(client, known.clone(), cx).await? else {
        return Ok(Resumed::Absent);
    };
    // Somebody else was faster with the identifier: ours was never made.
    if !cut.planned.name.is_empty() && !found.name.is_empty() && found.name != cut.planned.name {
        return Ok(Resumed::Absent);
    }
    Ok(match cut.is_met_by(&found) {
        true => Resumed::Complete(found),
        // Without a name it may be anybody's.
        false if cut.planned.name.is_empty() => Resumed::Unknown,
        false => Resumed::Unfit(found),
    })
}

/// The disks that are not `disk` blocks.
pub(crate) fn drives(vm: &Vm, settings: &mut Settings) {
    if let Some(efi) = &vm.efi_disk {
        settings.insert("efidisk0".into(), efi_disk(efi));
    }
    if let Some(tpm) = &vm.tpm_state {
        settings.insert("tpmstate0".into(), tpm_state(tpm));
    }
    if let Some(init) = &vm.initialization {
        settings.insert(cloud_init_slot(init).to_owned(), cloud_init_drive(init));
    }
}

fn efi_disk(efi: &EfiDisk) -> String {
    let file =
        crate::property::Properties::default().with("file", format!("{}:1", efi.datastore_id));
    file.text("format", efi.file_format.as_deref().unwrap_or_default())
        .with("efitype", &efi.r#type)
        .switch("pre-enrolled-keys", efi.pre_enrolled_keys)
        .encode("file")
}

fn tpm_state(tpm: &TpmState) -> String {
    format!("{}:1,version={}", tpm.datastore_id, tpm.version)
}

pub(crate) fn cloud_init_slot(init: &Initialization) -> &str {
    if init.interface.is_empty() {
        "ide2"
    } else {
        &init.interface
    }
}

pub(crate) fn cloud_init_drive(init: &Initialization) -> String {
    let format = init.file_format.as_deref().unwrap_or_default();
    let drive = crate::property::Properties::default()
        .with("file", format!("{}:cloudinit", init.datastore_id));
    drive
        .with("media", "cdrom")
        .text("format", format)
        .encode("file")
}

/// What boots when people do not say: the disc, the first disk of each controller, the first network card.
fn boot_order(vm: &Vm) -> String {
    let disc = vm.cdrom.as_ref().map(|c| c.interface.as_str());
    let first = ["ide0", "sata0", "scsi0", "virtio0"];
    let disks = first
        .into_iter()
        .filter(|slot| vm.disk.iter().any(|d| d.interface == *slot));
    let card = vm
        .network_device
        .iter()
        .flatten()
        .any(|n| n.enabled.unwrap_or(true))
        .then_some("net0");
    disc.into_iter()
        .chain(disks)
        .chain(card)
        .collect::<Vec<_>>()
        .join(";")
}

async fn copy(client: &Client, cx: &Context, vm: &Vm) -> Result<i64, Error> {
    let Some(from) = &vm.clone else {
        return Err(Error::new("clone a VM", "the plan has no `clone` block"));
    };
    let template = client.guest(cx, from.vm_id).await?;
    let template = template.ok_or_else(|| {
        Error::not_found(
            format!("clone VM {}", from.vm_id),
            "there is no such VM in the cluster",
        )
        .attribute("clone")
    })?;
    let node = if from.node_name.is_empty() {
        template.node
    } else {
        from.node_name.clone()
    };
    let mut form = params([("full", i32::from(from.full).to_string())]);
    let mut set = |key: &str, value: &str| {
        if !value.is_empty() {
            form.push((key.to_owned(), value.to_owned()));
        }
    };
    set("name", &vm.name);
    set("description", &vm.description);
    set("pool", &vm.pool_id);
    if from.full {
        set("storage", &from.datastore_id);
    }
    if node != vm.node_name {
        set("target", &vm.node_name);
    }
    let path = format!("/nodes/{node}/qemu/{}/clone", from.vm_id);
    // Copies of one template wait for its lock, and give up: so they queue here.
    let queue = client.queue(&format!("clone {}", from.vm_id));
    let _turn = queue.lock().await;
    let (form, path) = (&form, &path);
    with_id(client, cx, vm.vm_id, |id| async move {
        identified(cx, vm, id).await?;
        let mut form = form.clone();
        form.push(("newid".into(), id.to_string()));
        let what = format!("clone VM {} to {id}", from.vm_id);
        client
            .run(
                cx,
                Method::POST,
                &what,
                path,
                &form,
                seconds(vm.timeout_clone),
            )
            .await
    })
    .await
}

/// The value of a volume in the configuration that the server has.
pub(crate) fn volume(config: &Json, slot: &str) -> Option<String> {
    let value = crate::client::text(config, slot)?;
    crate::property::Properties::parse(&value, "file")
        .get("file")
        .map(str::to_owned)
}
