//! What a change means for the machine, and what cannot work, told before anything is done.

use stead_sdk::value::{Diagnostic, Diagnostics, Path, Type, Value};
use stead_sdk::wait::parse_duration;
use stead_sdk::{Context, Error, Field, PlanDraft};

use crate::client::Client;
use crate::vm::disk;
use crate::vm::encode::{Change, settings};
use crate::vm::schema::{NetworkDevice, Vm};

/// Settings that a running machine takes at once.
const LIVE: [&str; 11] = [
    "name",
    "description",
    "tags",
    "onboot",
    "protection",
    "startup",
    "hookscript",
    "hotplug",
    "smbios1",
    "net",
    "ide",
];

/// Whether a setting takes effect only in a restarted machine.
fn needs_restart(key: &str) -> bool {
    let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
    !LIVE.contains(&stem)
}

/// Whether the change from one to the other needs a restart.
pub(crate) fn restarts(prior: &Vm, planned: &Vm) -> bool {
    let change = Change::between(&settings(prior), &settings(planned));
    let disks = planned.disk.iter().any(|d| {
        let old = prior.disk.iter().find(|o| o.interface == d.interface);
        old.is_some_and(|o| o.aio != d.aio || o.queues != d.queues)
    });
    let drives = prior.efi_disk.is_some() != planned.efi_disk.is_some()
        || prior.tpm_state.is_some() != planned.tpm_state.is_some()
        || prior.initialization.is_some() != planned.initialization.is_some();
    disks || drives || change.keys().any(needs_restart)
}

/// Checks that no type can express.
pub(crate) fn validate(config: &Value) -> Diagnostics {
    let mut found = Diagnostics::new();
    let blocks = |name: &str| {
        config
            .get(name)
            .and_then(|b| b.as_sequence().map(<[Value]>::to_vec))
            .unwrap_or_default()
    };
    let mut slots = Vec::new();
    for (i, block) in blocks("disk").iter().enumerate() {
        let Some(slot) = block
            .get("interface")
            .and_then(|v| v.as_str().map(str::to_owned))
        else {
            continue;
        };
        let place = Path::root().attr("disk").index_number(i).attr("interface");
        if !crate::vm::decode::is_drive(&slot) {
            let detail = format!(
                "{slot:?} is no slot for a disk: write scsi0 to scsi30, virtio0 to virtio15, sata0 to sata5 or ide0 to ide3."
            );
            found
                .push(Diagnostic::error("Invalid disk interface", detail).attribute(place.clone()));
        }
        if slots.contains(&slot) {
            let detail = format!("Two disks are in the slot {slot}.");
            found.push(Diagnostic::error("Duplicate disk interface", detail).attribute(place));
        }
        slots.push(slot);
    }
    for agent in blocks("agent") {
        if let Some(timeout) = agent
            .get("timeout")
            .and_then(|t| t.as_str().map(str::to_owned))
            && parse_duration(&timeout).is_none()
        {
            let place = Path::root().attr("agent").index_number(0).attr("timeout");
            let detail = format!("{timeout:?} is not a duration such as 15m or 90s.");
            found.push(Diagnostic::error("Invalid duration", detail).attribute(place));
        }
    }
    found
}

pub(crate) async fn plan(
    client: Option<&Client>,
    draft: &mut PlanDraft,
    cx: &Context,
) -> Result<(), Diagnostics> {
    cards(draft)?;
    if draft.is_create() {
        return match client {
            Some(client) => preflight(client, draft, cx).await,
            None => Ok(()),
        };
    }
    let id = draft.prior().get("vm_id").and_then(|id| id.as_i64());
    if let (Some(client), Some(id)) = (client, id) {
        client.manages(id);
    }
    tag_order(draft)?;
    volumes(draft)?;
    // It says how the machine came to be: nothing that can be read, and so nothing that an import finds.
    let clone = Path::root().attr("clone");
    if draft
        .prior()
        .get("clone")
        .is_none_or(|c| c.as_sequence().is_none_or(<[Value]>::is_empty))
    {
        draft.keep(&clone);
    }
    if !draft.has_changes() {
        return Ok(());
    }
    if draft.changes("node_name") {
        let migrates = draft.attribute("migrate").and_then(|m| m.as_bool()) == Some(true);
        if migrates {
            draft.note("node_name: migrates, without a stop when the machine runs");
        } else {
            draft.replace(Path::root().attr("node_name"));
        }
    }
    disks(draft)?;
    effects(draft)
}

/// The cards of a plain `list(object)`: defaults, and addresses that the server gives.
fn cards(draft: &mut PlanDraft) -> Result<(), Diagnostic> {
    let path = Path::root().attr("network_device");
    let Some(planned) = draft.attribute("network_device") else {
        return Ok(());
    };
    let Some(items) = planned.as_sequence() else {
        return Ok(());
    };
    let prior = draft.prior().get("network_device");
    let prior = prior
        .as_ref()
        .and_then(Value::as_sequence)
        .unwrap_or_default();
    let filled = items
        .iter()
        .enumerate()
        .map(|(i, card)| card_with_defaults(card, prior.get(i)));
    let list = Value::list(NetworkDevice::ty(), filled.collect());
    draft.set(&path, list)
}

fn card_with_defaults(card: &Value, prior: Option<&Value>) -> Value {
    let Some(entries) = card.as_entries() else {
        return card.clone();
    };
    let filled = entries.iter().map(|(name, value)| {
        if !value.is_null() {
            return (name.clone(), value.clone());
        }
        let before = prior.and_then(|p| p.get(name)).filter(|p| !p.is_null());
        let value = match &**name {
            "bridge" => Value::string("vmbr0"),
            "model" => Value::string("virtio"),
            "enabled" => Value::bool(true),
            "firewall" | "disconnected" => Value::bool(false),
            "mtu" | "queues" | "rate_limit" | "vlan_id" => Value::number(0),
            "mac_address" => before.unwrap_or_else(|| Value::unknown(Type::String)),
            _ => value.clone(),
        };
        (name.clone(), value)
    });
    Value::object(filled.collect())
}

/// The server sorts tags: another order is no change.
fn tag_order(draft: &mut PlanDraft) -> Result<(), Diagnostic> {
    let (Some(old), Some(new)) = (draft.prior().get("tags"), draft.attribute("tags")) else {
        return Ok(());
    };
    let sorted = |v: &Value| {
        let mut tags: Vec<_> = v
            .as_sequence()
            .unwrap_or_default()
            .iter()
            .map(|t| t.as_str().map(str::to_owned))
            .collect();
        tags.sort();
        tags
    };
    if new.is_wholly_known() && old != new && sorted(&old) == sorted(&new) {
        draft.set(&Path::root().attr("tags"), old)?;
    }
    Ok(())
}

/// What the server chose for a disk belongs to its slot, not to its place in the list.
fn volumes(draft: &mut PlanDraft) -> Result<(), Diagnostic> {
    let list = |value: Option<Value>| {
        value
            .and_then(|v| v.as_sequence().map(<[Value]>::to_vec))
            .unwrap_or_default()
    };
    let (old, new) = (
        list(draft.prior().get("disk")),
        list(draft.attribute("disk")),
    );
    let config = list(draft.config().get("disk"));
    for (index, disk) in new.iter().enumerate() {
        let before = old
            .iter()
            .find(|o| o.get("interface") == disk.get("interface"));
        let before = before.filter(|b| b.get("datastore_id") == disk.get("datastore_id"));
        for name in ["file_format", "path_in_datastore"] {
            if config
                .get(index)
                .and_then(|c| c.get(name))
                .is_some_and(|v| !v.is_null())
            {
                continue;
            }
            let value = before
                .and_then(|b| b.get(name))
                .unwrap_or_else(|| Value::unknown(Type::String));
            draft.set(
                &Path::root().attr("disk").index_number(index).attr(name),
                value,
            )?;
        }
    }
    Ok(())
}

/// The planned machine, as far as it is known: unknown parts count as absent.
fn known(value: &Value) -> Option<Vm> {
    Vm::decode(&known_only(value), &Path::root()).ok()
}

fn known_only(value: &Value) -> Value {
    if !value.is_known() {
        return Value::null(value.ty());
    }
    if let Some(entries) = value
        .as_entries()
        .filter(|_| matches!(value.ty(), Type::Object(_)))
    {
        return Value::object(
            entries
                .iter()
                .map(|(k, v)| (k.clone(), known_only(v)))
                .collect(),
        );
    }
    match (value.ty(), value.as_sequence()) {
        (Type::List(ty), Some(items)) => {
            Value::list((*ty).clone(), items.iter().map(known_only).collect())
        }
        _ => value.clone(),
    }
}

/// Disks by their slot: what cannot shrink, and what takes a new machine.
fn disks(draft: &mut PlanDraft) -> Result<(), Diagnostics> {
    let (Some(old), Some(new)) = (known(draft.prior()), known(draft.planned())) else {
        return Ok(());
    };
    for (index, disk) in new.disk.iter().enumerate() {
        let Some(before) = old.disk.iter().find(|d| d.interface == disk.interface) else {
            draft.note(format!("disk {}: added", disk.interface));
            continue;
        };
        let place = Path::root().attr("disk").index_number(index);
        // A machine that was imported does not know what its disks were made of.
        if disk.file_id != before.file_id && !before.file_id.is_empty() {
            draft.replace(place.attr("file_id"));
        }
        if disk.size < before.size {
            let said = format!(
                "{} holds {} GiB, and disks cannot shrink to {} GiB",
                disk.interface, before.size, disk.size
            );
            let error = Error::new(format!("resize {}", disk.interface), said);
            let remedy = format!(
                "Set `size` to {} or more, or replace the machine with -replace.",
                before.size
            );
            return Err(error.remedy(remedy).at(place.attr("size")).into());
        }
        if disk.size > before.size {
            draft.note(format!(
                "disk {}: grows from {} to {} GiB, live",
                disk.interface, before.size, disk.size
            ));
        }
        if disk.datastore_id != before.datastore_id {
            draft.note(format!(
                "disk {}: stops, moves to {} and starts",
                disk.interface, disk.datastore_id
            ));
        }
    }
    for before in old
        .disk
        .iter()
        .filter(|o| !new.disk.iter().any(|d| d.interface == o.interface))
    {
        draft.note(format!(
            "disk {}: detached; its volume stays as unused until the machine is destroyed",
            before.interface
        ));
    }
    Ok(())
}

/// A note for every setting that changes, and which addresses are not known any more.
fn effects(draft: &mut PlanDraft) -> Result<(), Diagnostics> {
    let (Some(old), Some(new)) = (known(draft.prior()), known(draft.planned())) else {
        return Ok(());
    };
    let running = old.started && new.started;
    let change = Change::between(&settings(&old), &settings(&new));
    for key in change.keys() {
        let effect = match (needs_restart(key) && running, new.reboot_after_update) {
            _ if !running => continue,
            (false, _) => "live",
            (true, true) => "restarts now",
            (true, false) => "at the next restart",
        };
        draft.note(format!("{key}: {effect}"));
    }
    // The server adds new drives to the order, and takes removed ones out.
    let slots = |vm: &Vm| {
        let disc = vm.cdrom.iter().map(|c| c.interface.clone());
        let mut slots: Vec<_> = vm
            .disk
            .iter()
            .map(|d| d.interface.clone())
            .chain(disc)
            .collect();
        slots.sort();
        slots
    };
    if slots(&old) != slots(&new) && draft.config().get("boot_order").is_none_or(|b| b.is_null()) {
        draft.set_unknown(&Path::root().attr("boot_order"))?;
    }
    let restart = running && new.reboot_after_update && restarts(&old, &new);
    let storage = |vm: &Vm| {
        vm.disk
            .iter()
            .map(|d| (d.interface.clone(), d.datastore_id.clone()))
            .collect::<Vec<_>>()
    };
    if restart
        || old.started != new.started
        || draft.changes("network_device")
        || storage(&old) != storage(&new)
    {
        for name in [
            "ipv4_addresses",
            "ipv6_addresses",
            "network_interface_names",
            "mac_addresses",
        ] {
            if draft.config().get(name).is_none_or(|v| v.is_null()) {
                draft.set_unknown(&Path::root().attr(name))?;
            }
        }
    }
    Ok(())
}

/// What would fail in the middle of a create, found before it begins.
async fn preflight(client: &Client, draft: &PlanDraft, cx: &Context) -> Result<(), Diagnostics> {
    let Some(vm) = known(draft.planned()) else {
        return Ok(());
    };
    let mut found = Diagnostics::new();
    for (index, d) in vm.disk.iter().enumerate() {
        if let Some(error) = disk::refusal(client.is_root(), index, d) {
            found.push(error.into());
        }
    }
    if let Some(id) = vm.vm_id.filter(|id| !client.is_managed(*id))
        && let Some(guest) = client.guest(cx, id).await?
    {
        let remedy = format!(
            "Choose another `vm_id`, leave it out, or import the machine as {}/{id}.",
            guest.node
        );
        let error = Error::new(
            format!("create VM {id}"),
            format!("the identifier is taken on {}", guest.node),
        );
        found.push(error.remedy(remedy).attribute("vm_id").into());
    }
    if !vm.node_name.is_empty() {
        storages(client, cx, &vm, &mut found).await?;
    }
    if found.has_errors() {
        Err(found)
    } else {
        Ok(())
    }
}

async fn storages(
    client: &Client,
    cx: &Context,
    vm: &Vm,
    found: &mut Diagnostics,
) -> Result<(), Error> {
    let known = client.storages(cx, &vm.node_name).await?;
    // Bytes wanted of each storage.
    let mut wanted = std::collections::BTreeMap::<&str, i64>::new();
    for d in vm.disk.iter().filter(|d| !d.datastore_id.is_empty()) {
        let sum = wanted.entry(&d.datastore_id).or_default();
        *sum = sum.saturating_add(d.size.saturating_mul(1 << 30));
    }
    let small = [
        vm.efi_disk.as_ref().map(|e| e.datastore_id.as_str()),
        vm.tpm_state.as_ref().map(|t| t.datastore_id.as_str()),
        vm.initialization.as_ref().map(|i| i.datastore_id.as_str()),
    ];
    for name in small.into_iter().flatten() {
        wanted.entry(name).or_default();
    }
    for (name, bytes) in wanted {
        let asked = || format!("place disks on the storage {name} of {}", vm.node_name);
        let Some(storage) = known.iter().find(|s| s.name == name) else {
            let names: Vec<_> = known.iter().map(|s| s.name.as_str()).collect();
            let remedy = format!(
                "This node shows: {}. A storage without Datastore.Audit on it is not shown.",
                names.join(", ")
            );
            found.push(
                Error::new(
                    asked(),
                    "there is no such storage, or the user may not see it",
                )
                .remedy(remedy)
                .into(),
            );
            continue;
        };
        if !storage.active {
            found.push(
                Error::new(asked(), "the storage is not active")
                    .remedy("Look at `pvesm status`.")
                    .into(),
            );
        }
        if !storage.content.iter().any(|c| c == "images") {
            let all = storage.content.join(",");
            let remedy = format!("Enable it: `pvesm set {name} --content {all},images`.");
            found.push(
                Error::new(asked(), "it does not take disk images")
                    .remedy(remedy)
                    .into(),
            );
        }
        if storage.available.is_some_and(|free| free < bytes) {
            let free = storage.available.unwrap_or(0) >> 30;
            found.push(Diagnostic::warning(
                format!("Storage {name} is short of space"),
                format!(
                    "The disks of this machine may grow to {} GiB, and {free} GiB are free.",
                    bytes >> 30
                ),
            ));
        }
    }
    Ok(())
}
