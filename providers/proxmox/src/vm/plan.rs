//! What a change means for the machine, and what cannot work, told before anything is done.

use stead_sdk::value::{Diagnostic, Diagnostics, Path, Type, Value};
use stead_sdk::{Context, Error, Field, PlanDraft};

use crate::client::{Client, PlannedKind};
use crate::guest::{
    Card, File, Kind, Place, check_bridges, check_files, check_mappings, check_source,
    check_storages, keep_description, keep_found, keep_masked, keep_order, keep_origin,
    keep_plain_block, keep_started, keep_tag_order, known, refuse_taken, says_nothing,
};
use crate::privilege::check_privileges;
use crate::vm::decode::is_pinned;
use crate::vm::effect::{Effect, effects, restarts};
use crate::vm::schema::{Agent, Cpu, Memory, NetworkDevice, OperatingSystem, Vga, Vm};
use crate::vm::{disk, privileges};

pub(crate) async fn plan(
    client: Option<&Client>,
    draft: &mut PlanDraft,
    cx: &Context,
) -> Result<(), Diagnostics> {
    cards(draft)?;
    if draft.is_create() {
        return match client {
            Some(client) => {
                imports_over_ssh(client, draft)?;
                let warnings = preflight(client, draft, cx).await?;
                draft.warn_of(warnings);
                Ok(())
            }
            None => Ok(()),
        };
    }
    let id = draft.prior().get("vm_id").and_then(|id| id.as_i64());
    if let (Some(client), Some(id)) = (client, id) {
        client.manages(id);
    }
    keep_tag_order(draft)?;
    keep_description(draft)?;
    keep_started(draft)?;
    keep_machine(draft)?;
    plain_blocks(draft)?;
    volumes(draft)?;
    orders(draft)?;
    // A drive that comes or goes takes no new machine.
    for drive in ["efi_disk", "tpm_state"] {
        let block = Path::root().attr(drive).index_number(0);
        if draft.prior().at(&block).is_none() || draft.get(&block).is_none() {
            draft.keep(&Path::root().attr(drive));
        }
    }
    origins(draft)?;
    if !draft.has_changes() {
        return Ok(());
    }
    if draft.changes("node_name") {
        let migrates = draft.attribute("migrate").and_then(|m| m.as_bool()) == Some(true);
        if migrates {
            draft.note("node_name: migrates, without a stop when the machine runs");
        } else {
            draft.note("node_name: replaces the machine; with migrate = true it would move");
            draft.replace(Path::root().attr("node_name"));
        }
    }
    disks(draft)?;
    if let Some(client) = client {
        imports_over_ssh(client, draft)?;
    }
    if let (Some(client), Some(id)) = (client, id) {
        let warnings = preflight_change(client, draft, id, cx).await?;
        draft.warn_of(warnings);
    }
    consequences(draft)
}

/// What would refuse a change half-way.
async fn preflight_change(
    client: &Client,
    draft: &PlanDraft,
    id: i64,
    cx: &Context,
) -> Result<Diagnostics, Diagnostics> {
    let (Some(old), Some(new)) = (known::<Vm>(draft.prior()), known::<Vm>(draft.planned())) else {
        return Ok(Diagnostics::new());
    };
    let mut found = Diagnostics::new();
    let mut needs = privileges::of_change(id, &old, &new);
    if draft.changes("network_device") {
        let cards = connections(&new);
        check_bridges(client, cx, &new.node_name, cards, &mut needs, &mut found).await;
    }
    if draft.changes("hostpci") || draft.changes("usb") || draft.changes("virtiofs") {
        let mappings = privileges::mappings(&new);
        check_mappings(client, cx, &new.node_name, mappings, &mut found).await;
    }
    check_privileges(client, cx, &format!("change VM {id}"), needs, &mut found).await;
    found.into_result()
}

/// The cards that are to be connected, as far as their bridges are known.
fn connections(vm: &Vm) -> Vec<Card<'_>> {
    let cards = vm.network_device.iter().flatten().enumerate();
    let cards = cards.filter(|(_, card)| card.enabled.unwrap_or(true));
    cards
        .map(|(i, card)| Card {
            bridge: card.bridge.as_deref().unwrap_or_default(),
            vlan: card.vlan_id.unwrap_or(0),
            place: Path::root()
                .attr("network_device")
                .index_number(i)
                .attr("bridge"),
        })
        .collect()
}

/// The files that the machine is made of, and the disc in its drive.
fn files(vm: &Vm) -> Vec<File<'_>> {
    let images = vm.disk.iter().enumerate().filter_map(|(i, d)| {
        let (volume, attribute) = disk::image(d)?;
        let place = Path::root().attr("disk").index_number(i).attr(attribute);
        Some(File { volume, place })
    });
    let disc = vm.cdrom.as_ref().map(|disc| File {
        volume: disc.file_id.as_str(),
        place: Path::root().attr("cdrom").index_number(0).attr("file_id"),
    });
    images.chain(disc).collect()
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
            "firewall" => Value::bool(false),
            // Published providers record either for a card that is connected.
            "disconnected" => before
                .filter(|b| b.as_bool() == Some(false))
                .unwrap_or_else(|| value.clone()),
            "mtu" | "queues" | "rate_limit" | "vlan_id" => Value::number(0),
            "mac_address" => before.unwrap_or_else(|| Value::unknown(Type::String)),
            _ => value.clone(),
        };
        (name.clone(), value)
    });
    Value::object(filled.collect())
}

/// The machine version that the server bound a Windows to stays when people name none.
fn keep_machine(draft: &mut PlanDraft) -> Result<(), Diagnostic> {
    let (Some(old), Some(new)) = (draft.prior().get("machine"), draft.attribute("machine")) else {
        return Ok(());
    };
    let block = Path::root().attr("operating_system").index_number(0);
    let os = draft.get(&block.attr("type"));
    let os = os.as_ref().and_then(Value::as_str).unwrap_or_default();
    let (found, wanted) = (old.as_str(), new.as_str().unwrap_or_default());
    match new.is_known() && found.is_some_and(|found| is_pinned(wanted, found, os)) {
        true => draft.set(&Path::root().attr("machine"), old),
        false => Ok(()),
    }
}

/// Devices have slots, and features no order: another order in the list is no change.
fn orders(draft: &mut PlanDraft) -> Result<(), Diagnostic> {
    for (block, slot) in [
        ("numa", "device"),
        ("hostpci", "device"),
        ("disk", "interface"),
    ] {
        keep_order(draft, block, |item| {
            item.get(slot)?.as_str().map(str::to_owned)
        })?;
    }
    let (Some(old), Some(new)) = (draft.prior().get("hotplug"), draft.attribute("hotplug")) else {
        return Ok(());
    };
    let features = |value: &Value| {
        let text = value.as_str().unwrap_or_default().to_owned();
        let mut features = crate::table::words(&text, &[',']);
        features.sort();
        features
    };
    match old != new && new.is_known() && features(&old) == features(&new) {
        true => draft.set(&Path::root().attr("hotplug"), old),
        false => Ok(()),
    }
}

/// Blocks that an import records although they say nothing.
fn plain_blocks(draft: &mut PlanDraft) -> Result<(), Diagnostic> {
    let vga = Vga {
        memory: 16,
        r#type: "std".into(),
        ..Vga::default()
    };
    keep_plain_block(draft, "agent", &Agent::plain().encode())?;
    keep_plain_block(draft, "cpu", &Cpu::plain().encode())?;
    keep_plain_block(draft, "memory", &Memory::plain().encode())?;
    keep_plain_block(
        draft,
        "operating_system",
        &OperatingSystem::plain().encode(),
    )?;
    keep_plain_block(draft, "vga", &vga.encode())
}

/// What cannot be read back, and what is somebody else's affair when people do not name it.
fn origins(draft: &mut PlanDraft) -> Result<(), Diagnostic> {
    let root = Path::root();
    let init = root.attr("initialization").index_number(0);
    keep_origin(draft, &root.attr("clone"))?;
    keep_found(draft, &root.attr("pool_id"))?;
    keep_found(draft, &init.attr("interface"))?;
    let account = init.attr("user_account").index_number(0);
    keep_masked(draft, &account.attr("password"))?;
    let disks = |value: Option<Value>| {
        value.map_or_else(Vec::new, |v| v.as_sequence().unwrap_or_default().to_vec())
    };
    let before = disks(draft.prior().get("disk"));
    for (index, disk) in disks(draft.attribute("disk")).iter().enumerate() {
        let Some(old) = before
            .iter()
            .find(|d| d.get("interface") == disk.get("interface"))
        else {
            continue;
        };
        // By its slot, which the machine keeps wherever the disk is listed.
        for name in ["import_from", "file_id"] {
            let path = root.attr("disk").index_number(index).attr(name);
            if let Some(was) = old.get(name).filter(|v| says_nothing(Some(v))) {
                draft.keep(&path);
                draft.set(&path, was)?;
            }
        }
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

/// Disks by their slot: what cannot shrink, and what takes a new machine.
fn disks(draft: &mut PlanDraft) -> Result<(), Diagnostics> {
    let (Some(old), Some(new)) = (known::<Vm>(draft.prior()), known::<Vm>(draft.planned())) else {
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

/// New disks of images that the API does not reach.
fn imports_over_ssh(client: &Client, draft: &mut PlanDraft) -> Result<(), Diagnostics> {
    let Some(vm) = known::<Vm>(draft.planned()) else {
        return Ok(());
    };
    let old = known::<Vm>(draft.prior());
    let mut found = Diagnostics::new();
    for (index, d) in vm.disk.iter().enumerate() {
        let mut before = old.iter().flat_map(|old| &old.disk);
        if before.any(|o| o.interface == d.interface && o.file_id == d.file_id) {
            continue;
        }
        match disk::importer(client, index, d) {
            Ok(Some(user)) => draft.note(format!(
                "disk {}: made by `qm disk import` over SSH to {} as {user}",
                d.interface, vm.node_name
            )),
            Ok(None) => {}
            Err(error) => found.push(error.into()),
        }
    }
    found.into_result().map(|_| ())
}

/// A note for every setting that changes, and which addresses are not known any more.
fn consequences(draft: &mut PlanDraft) -> Result<(), Diagnostics> {
    let (Some(old), Some(new)) = (known::<Vm>(draft.prior()), known::<Vm>(draft.planned())) else {
        return Ok(());
    };
    let running = old.started && new.started;
    for (what, effect) in effects(&old, &new) {
        let effect = match (effect, new.reboot_after_update) {
            _ if !running => "at the next start",
            (Effect::Live, _) => "live",
            (Effect::Restart, true) => "restarts now",
            (Effect::Off, _) => "stops and starts",
            (Effect::Waits, _) | (Effect::Restart, false) => "at the next restart",
        };
        draft.note(format!("{what}: {effect}"));
    }
    match (old.started, new.started) {
        (true, false) => draft.note("started: stops"),
        (false, true) if !new.template => draft.note("started: starts"),
        _ => {}
    }
    if !old.template && new.template {
        draft.note("template: becomes a template for good");
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
async fn preflight(
    client: &Client,
    draft: &PlanDraft,
    cx: &Context,
) -> Result<Diagnostics, Diagnostics> {
    let Some(vm) = known::<Vm>(draft.planned()) else {
        return Ok(Diagnostics::new());
    };
    let mut found = Diagnostics::new();
    if !client.is_root() {
        found.extend(root_only(draft.config(), &vm).map(Diagnostic::from));
    }
    if let Some(id) = vm.vm_id {
        let taken = refuse_taken(client, cx, "VM", id, "vm_id").await;
        found.extend(taken.err().map(Diagnostic::from));
    }
    if let Some(from) = &vm.clone {
        check_source(client, cx, Kind::Machine, from.vm_id, &mut found).await?;
    }
    let place = |storage, gibibytes| Place {
        storage,
        content: "images",
        gibibytes,
    };
    let disks = vm
        .disk
        .iter()
        .map(|d| place(d.datastore_id.as_str(), d.size));
    let small = [
        vm.efi_disk.as_ref().map(|e| e.datastore_id.as_str()),
        vm.tpm_state.as_ref().map(|t| t.datastore_id.as_str()),
        vm.initialization.as_ref().map(|i| i.datastore_id.as_str()),
    ];
    let small = small.into_iter().flatten().map(|storage| place(storage, 0));
    let node = vm.node_name.as_str();
    check_storages(client, cx, node, disks.chain(small), &mut found).await?;
    check_files(client, cx, node, files(&vm), &mut found).await;
    check_mappings(client, cx, node, privileges::mappings(&vm), &mut found).await;
    let mut needs = privileges::of_new(&vm);
    check_bridges(client, cx, node, connections(&vm), &mut needs, &mut found).await;
    // A pool that is not known yet may lend what is missing here.
    let pool_is_known = draft
        .attribute("pool_id")
        .is_none_or(|pool| pool.is_known());
    if pool_is_known {
        let doing = match (vm.vm_id, vm.name.as_str()) {
            (Some(id), _) => format!("create VM {id}"),
            (None, "") => "create the VM".to_owned(),
            (None, name) => format!("create the VM {name}"),
        };
        check_privileges(client, cx, &doing, needs, &mut found).await;
    }
    if let Some(id) = vm.vm_id {
        client.planned.note(PlannedKind::Guest, &id.to_string());
    }
    found.into_result()
}

/// What the server lets nobody set but root@pam itself: no token can, not even root's.
fn root_only(config: &Value, vm: &Vm) -> Option<Error> {
    let cpu = vm.cpu.as_ref();
    let memory = vm.memory.as_ref();
    let raw_pci = vm.hostpci.iter().position(|d| !d.id.is_empty());
    let raw_usb = vm
        .usb
        .iter()
        .position(|d| !d.host.is_empty() && d.host != "spice");
    let port = vm
        .serial_device
        .iter()
        .position(|d| d.device.starts_with("/dev/"));
    let in_block =
        |block: &str, i: usize, name: &str| Path::root().attr(block).index_number(i).attr(name);
    let top = |name: &str| Path::root().attr(name);
    let set = [
        (!vm.kvm_arguments.is_empty()).then(|| top("kvm_arguments")),
        (!vm.hook_script_file_id.is_empty()).then(|| top("hook_script_file_id")),
        vm.amd_sev.is_some().then(|| top("amd_sev")),
        cpu.filter(|c| !c.affinity.is_empty())
            .map(|_| in_block("cpu", 0, "affinity")),
        cpu.filter(|c| !c.architecture.is_empty())
            .map(|_| in_block("cpu", 0, "architecture")),
        memory
            .filter(|m| m.shared > 0)
            .map(|_| in_block("memory", 0, "shared")),
        memory
            .filter(|m| !m.hugepages.is_empty())
            .map(|_| in_block("memory", 0, "hugepages")),
        memory
            .filter(|m| m.keep_hugepages)
            .map(|_| in_block("memory", 0, "keep_hugepages")),
        raw_pci.map(|i| in_block("hostpci", i, "id")),
        raw_usb.map(|i| in_block("usb", i, "host")),
        port.map(|i| in_block("serial_device", i, "device")),
    ];
    let place = set
        .into_iter()
        .flatten()
        .find(|place| config.at(place).is_none_or(|v| !v.is_null()))?;
    let mapping = match place.to_string() {
        text if text.starts_with("hostpci") || text.starts_with("usb") => {
            "Make a hardware mapping and name it in `mapping`, which needs Mapping.Use only; or log in as root@pam with its password."
        }
        _ => "Log in as root@pam with its password, or leave it out.",
    };
    let said = "Proxmox VE takes this from nobody but root@pam, logged in with its password; an API token is refused, root's too";
    Some(
        Error::new(format!("set {place}"), said)
            .remedy(mapping)
            .at(place),
    )
}
