//! The API's answer as attributes.
//!
//! A block that people left out stays out as long as the machine is what an absent block stands for; a clone has the rest
//! from its template. Drives that are not configured are left alone: to see them would mean to remove them.

use stead_sdk::value::Sensitive;

use crate::client::Row;
use crate::guest::{IpConfig, Shown, described, tags};
use crate::property::{Properties, gibibytes, percent_decode};
use crate::table::{Parts, Settings, Table as _, indexed, words};
use crate::vm::encode::ssh_keys;
use crate::vm::parts::processor_found;
use crate::vm::schema::{
    Agent, AudioDevice, Cdrom, Cpu, Disk, Dns, EfiDisk, HostPci, Initialization, Memory,
    NetworkDevice, Numa, OperatingSystem, Rng, SerialDevice, Smbios, Speed, TpmState, Usb,
    UserAccount, Vga, Virtiofs, Vm, Watchdog,
};

/// Whether the server made this machine version of the one that people want: it binds Windows to the newest that it has.
pub(crate) fn is_pinned(wanted: &str, found: &str, os: &str) -> bool {
    let family = match wanted {
        "" | "pc" => "pc-i440fx-",
        "q35" => "pc-q35-",
        _ => return false,
    };
    os.starts_with('w') && found.starts_with(family)
}

/// The machine as it is. `prior` says what is managed; `importing` takes in all there is.
pub(crate) fn machine(prior: Vm, row: &Row, config: &Settings, importing: bool) -> Vm {
    let shown = Shown {
        all: importing,
        drift: prior.clone.is_none(),
    };
    // A clone that is not given these has them from its template.
    let inherited = |own: &str| !shown.all && !shown.drift && own.is_empty();
    let (name, machine) = (inherited(&prior.name), inherited(&prior.machine));
    let wanted = prior.machine.clone();
    let mut vm = prior.read(config);
    let os = config.get("ostype").map_or("", String::as_str);
    if !importing && is_pinned(&wanted, &vm.machine, os) {
        vm.machine = wanted;
    }
    for (inherited, text) in [(name, &mut vm.name), (machine, &mut vm.machine)] {
        if inherited {
            text.clear();
        }
    }
    let get = |key: &str| config.get(key);
    vm.id = row.id.to_string();
    vm.vm_id = Some(row.id);
    // A machine that the cluster moved is the same machine: only one that is to migrate has a node to go back to.
    if importing || vm.migrate {
        vm.node_name.clone_from(&row.node);
    }
    vm.kvm_arguments = vm.kvm_arguments.trim().to_owned();
    vm.description = described(vm.description, get("description"));
    vm.tags = tags(vm.tags, get("tags"));
    vm.template = get("template").map_or(row.template, |t| crate::property::is_on(t));
    if !vm.template {
        vm.started = row.running;
    }
    // A membership that is managed elsewhere is none of ours.
    if importing || !vm.pool_id.is_empty() {
        vm.pool_id.clone_from(&row.pool);
    }
    let boot = Properties::parse(get("boot").map_or("", String::as_str), "legacy");
    vm.boot_order = words(boot.get("order").unwrap_or_default(), &[';']);
    blocks(&mut vm, shown, config);
    devices(&mut vm, shown, config);
    vm.network_device = Some(networks(
        vm.network_device.as_deref().unwrap_or_default(),
        config,
    ));
    // The agent knows more; what it told last stays until it tells something else.
    if vm.mac_addresses.is_empty() || !vm.agent.as_ref().is_some_and(|a| a.enabled) {
        let cards = vm.network_device.iter().flatten();
        let macs = cards.filter_map(|card| card.mac_address.clone());
        vm.mac_addresses = macs.filter(|mac| !mac.is_empty()).collect();
    }
    cdrom(&mut vm, config, importing);
    disks(&mut vm, config, importing);
    if vm.initialization.is_some()
        || ((shown.all || shown.drift) && cloud_init_drive(config).is_some())
    {
        vm.initialization = initialization(vm.initialization, shown, config);
    }
    vm
}

/// The part of the configuration under a key, read over `prior`.
fn found<T: Parts + Default>(config: &Settings, key: &str) -> Option<T> {
    config.get(key).map(|text| T::default().decode(text))
}

fn blocks(vm: &mut Vm, shown: Shown, config: &Settings) {
    let cpu = vm.cpu.clone().unwrap_or_default().read(config);
    let (kind, flags) = processor_found(config.part("cpu").unwrap_or("kvm64"));
    let cpu = Cpu {
        r#type: kind,
        flags,
        ..cpu
    };
    vm.cpu = shown.block(vm.cpu.as_ref(), cpu, &Cpu::plain());

    let mut memory = Memory::default().read(config);
    // `current=4096`, as newer servers may write it.
    let current = config
        .part("memory")
        .and_then(|m| Properties::parse(m, "current").number("current"));
    memory.dedicated = current.unwrap_or(memory.dedicated);
    let shared = config
        .part("ivshmem")
        .and_then(|i| Properties::parse(i, "size").number("size"));
    memory.shared = shared.unwrap_or(0);
    vm.memory = shown.block(vm.memory.as_ref(), memory, &Memory::plain());

    let os = OperatingSystem::default().read(config);
    let plain = OperatingSystem::plain();
    vm.operating_system = shown.block(vm.operating_system.as_ref(), os, &plain);

    let plain = Agent::plain();
    let agent = vm.agent.clone().unwrap_or_else(Agent::plain);
    let agent = agent.decode(config.part("agent").unwrap_or_default());
    vm.agent = shown.block(vm.agent.as_ref(), agent, &plain);

    let vga = Vga::default().decode(config.part("vga").unwrap_or_default());
    let plain = Vga {
        memory: 16,
        r#type: "std".into(),
        ..Vga::default()
    };
    vm.vga = shown.block(vm.vga.as_ref(), vga, &plain);

    vm.amd_sev = shown.device(vm.amd_sev.as_ref(), found(config, "amd-sev"));
    vm.startup = match (found(config, "startup"), vm.startup.take()) {
        (None, Some(_)) => Some(crate::guest::Startup::default().decode("")),
        (startup, prior) => shown.device(prior.as_ref(), startup),
    };
    let rng: Option<Rng> = shown.device(vm.rng.first(), found(config, "rng0"));
    vm.rng = rng.into_iter().collect();
    vm.smbios = smbios(vm.smbios.take(), shown, config);

    // A device that is switched off is not there, and its other attributes are only remembered.
    vm.audio_device = match (
        found::<AudioDevice>(config, "audio0"),
        vm.audio_device.take(),
    ) {
        (None, Some(prior)) => Some(AudioDevice {
            enabled: false,
            ..prior
        }),
        (device, prior) => shown
            .device(prior.as_ref(), device)
            .map(|device| AudioDevice {
                enabled: true,
                ..device
            }),
    };
    vm.watchdog = match (found::<Watchdog>(config, "watchdog"), vm.watchdog.take()) {
        (None, Some(prior)) => Some(Watchdog {
            enabled: false,
            ..prior
        }),
        (device, prior) => shown.device(prior.as_ref(), device).map(|device| Watchdog {
            enabled: true,
            ..device
        }),
    };
}

/// The server gives every machine an identifier: alone it says nothing.
fn smbios(prior: Option<Smbios>, shown: Shown, config: &Settings) -> Option<Smbios> {
    let found = Smbios::found(config.part("smbios1").unwrap_or_default());
    let plain = Smbios {
        uuid: found.uuid.clone(),
        ..Smbios::default()
    };
    let drift = Shown {
        all: false,
        drift: shown.all || shown.drift,
    };
    drift.block(prior.as_ref(), found, &plain)
}

fn devices(vm: &mut Vm, shown: Shown, config: &Settings) {
    if shown.devices(&vm.serial_device) {
        let found = indexed(config, "serial").into_iter();
        let serial = found.map(|(_, device)| SerialDevice {
            device: device.to_owned(),
        });
        vm.serial_device = serial.collect();
    }
    if shown.devices(&vm.usb) {
        let found = indexed(config, "usb").into_iter();
        vm.usb = found.map(|(_, v)| Usb::default().decode(v)).collect();
    }
    if shown.devices(&vm.virtiofs) {
        let found = indexed(config, "virtiofs").into_iter();
        vm.virtiofs = found.map(|(_, v)| Virtiofs::default().decode(v)).collect();
    }
    if shown.devices(&vm.hostpci) {
        let found = indexed(config, "hostpci").into_iter();
        let device = |(slot, v): (usize, &str)| HostPci {
            device: format!("hostpci{slot}"),
            ..HostPci::default().decode(v)
        };
        vm.hostpci = in_order(found.map(device).collect(), &vm.hostpci, |h| &h.device);
    }
    if shown.devices(&vm.numa) {
        let found = indexed(config, "numa").into_iter();
        let node = |(slot, v): (usize, &str)| Numa {
            device: format!("numa{slot}"),
            ..Numa::default().decode(v)
        };
        vm.numa = in_order(found.map(node).collect(), &vm.numa, |n| &n.device);
    }
}

/// `prior`'s elements first and in its order, then the new ones.
fn in_order<T>(mut found: Vec<T>, prior: &[T], key: impl Fn(&T) -> &String) -> Vec<T> {
    found.sort_by_key(|f| {
        let place = prior.iter().position(|p| key(p) == key(f));
        place.unwrap_or(usize::MAX)
    });
    found
}

const MODELS: [&str; 5] = ["virtio", "e1000", "e1000e", "rtl8139", "vmxnet3"];

/// The cards by slot; what the server has no word for is as `prior` has it.
fn networks(prior: &[NetworkDevice], config: &Settings) -> Vec<NetworkDevice> {
    let found = indexed(config, "net");
    let off = |card: &NetworkDevice| card.enabled == Some(false);
    // A card that is switched off keeps its place.
    let slots = found.last().map_or(0, |f| f.0 + 1);
    let slots = prior
        .iter()
        .rposition(off)
        .map_or(slots, |i| slots.max(i + 1));
    let cards = (0..slots).map(|slot| match found.iter().find(|f| f.0 == slot) {
        Some((_, value)) => Some(network(prior.get(slot), value)),
        None => prior.get(slot).filter(|card| off(card)).cloned(),
    });
    cards.flatten().collect()
}

fn network(prior: Option<&NetworkDevice>, value: &str) -> NetworkDevice {
    let read = Properties::parse(value, "model");
    let named = read.parts().find(|(k, _)| MODELS.contains(k));
    let model = named.map(|n| n.0).or(read.get("model")).unwrap_or("virtio");
    let found = named
        .map(|n| n.1)
        .or(read.get("macaddr"))
        .unwrap_or_default();
    // People write MAC addresses in either case.
    let mac = prior
        .and_then(|p| p.mac_address.clone())
        .filter(|p| p.eq_ignore_ascii_case(found))
        .unwrap_or_else(|| found.to_uppercase());
    let text = |key: &str| Some(read.get(key).unwrap_or_default().to_owned());
    let number = |key: &str| Some(read.number(key).unwrap_or(0));
    let switch = |key: &str| Some(read.flag(key).unwrap_or(false));
    NetworkDevice {
        bridge: text("bridge"),
        disconnected: switch("link_down"),
        enabled: Some(true),
        firewall: switch("firewall"),
        mac_address: Some(mac),
        model: Some(model.to_owned()),
        mtu: number("mtu"),
        queues: number("queues"),
        rate_limit: Some(read.get("rate").and_then(|r| r.parse().ok()).unwrap_or(0.0)),
        trunks: text("trunks"),
        vlan_id: number("tag"),
    }
}

/// Whether a key names a slot for drives.
pub(crate) fn is_drive(key: &str) -> bool {
    let controllers = [("scsi", 31), ("virtio", 16), ("sata", 6), ("ide", 4)];
    controllers.into_iter().any(|(controller, slots)| {
        let slot = key
            .strip_prefix(controller)
            .and_then(|n| n.parse::<usize>().ok());
        slot.is_some_and(|slot| slot < slots)
    })
}

fn drives(config: &Settings) -> impl Iterator<Item = (&String, &String)> {
    config.iter().filter(|(key, _)| is_drive(key))
}

fn is_cloud_init(drive: &str) -> bool {
    drive.contains("media=cdrom") && drive.contains("cloudinit")
}

/// The slot and value of the cloud-init drive.
pub(crate) fn cloud_init_drive(config: &Settings) -> Option<(&String, &String)> {
    drives(config).find(|(_, drive)| is_cloud_init(drive))
}

/// The volume in a slot.
pub(crate) fn volume(config: &Settings, slot: &str) -> Option<String> {
    let drive = Properties::parse(config.get(slot)?, "file");
    drive.get("file").map(str::to_owned)
}

fn cdrom(vm: &mut Vm, config: &Settings, importing: bool) {
    if let Some(cdrom) = &mut vm.cdrom {
        let found = volume(config, &cdrom.interface).unwrap_or_default();
        // An empty name stands for the host's drive.
        if !(cdrom.file_id.is_empty() && found == "cdrom") {
            cdrom.file_id = found;
        }
    } else if importing {
        let disc = drives(config).find(|(_, v)| v.contains("media=cdrom") && !is_cloud_init(v));
        vm.cdrom = disc.map(|(slot, _)| Cdrom {
            enabled: false,
            file_id: volume(config, slot).unwrap_or_default(),
            interface: slot.clone(),
        });
    }
}

/// Disks by their slot.
fn disks(vm: &mut Vm, config: &Settings, importing: bool) {
    let prior = std::mem::take(&mut vm.disk);
    let found: Vec<Disk> = match importing {
        true => drives(config)
            .filter(|(_, drive)| !drive.contains("media=cdrom"))
            .map(|(slot, drive)| {
                disk(
                    Disk {
                        interface: slot.clone(),
                        ..Disk::default()
                    },
                    drive,
                )
            })
            .collect(),
        false => prior
            .into_iter()
            .filter_map(|d| Some(disk(d.clone(), config.get(&d.interface)?)))
            .collect(),
    };
    vm.disk = found;
    let managed = importing || vm.efi_disk.is_some();
    let efi = config.get("efidisk0").filter(|_| managed);
    vm.efi_disk = efi.map(|drive| {
        let read = Properties::parse(drive, "file");
        EfiDisk {
            datastore_id: storage_of(read.get("file").unwrap_or_default()).to_owned(),
            file_format: format_of(&read),
            ..EfiDisk::default().read(&read)
        }
    });
    let managed = importing || vm.tpm_state.is_some();
    let tpm = config.get("tpmstate0").filter(|_| managed);
    vm.tpm_state = tpm.map(|drive| {
        let read = Properties::parse(drive, "file");
        TpmState {
            datastore_id: storage_of(read.get("file").unwrap_or_default()).to_owned(),
            ..TpmState::default().read(&read)
        }
    });
}

pub(crate) fn storage_of(volume: &str) -> &str {
    volume.split_once(':').map_or("", |v| v.0)
}

fn format_of(read: &Properties) -> String {
    let volume = read.get("file").unwrap_or_default();
    let by_name = ["qcow2", "vmdk", "raw"]
        .into_iter()
        .find(|f| volume.ends_with(&format!(".{f}")));
    read.get("format").or(by_name).unwrap_or("raw").to_owned()
}

fn disk(prior: Disk, drive: &str) -> Disk {
    let read = Properties::parse(drive, "file");
    let volume = read.get("file").unwrap_or_default();
    let (datastore, path) = volume.split_once(':').unwrap_or(("", volume));
    let speed = Speed::default().read(&read);
    let limited = prior.speed.is_some() || speed != Speed::default();
    Disk {
        datastore_id: datastore.to_owned(),
        path_in_datastore: path.to_owned(),
        file_format: format_of(&read),
        size: read.get("size").and_then(gibibytes).unwrap_or(prior.size),
        speed: limited.then_some(speed),
        ..prior.read(&read)
    }
}

fn initialization(
    prior: Option<Initialization>,
    shown: Shown,
    config: &Settings,
) -> Option<Initialization> {
    let (slot, drive) = cloud_init_drive(config)?;
    let importing = prior.is_none();
    let prior = prior.unwrap_or_default();
    let read = Properties::parse(drive, "file");
    let text = |key: &str| config.part(key).unwrap_or_default();
    let servers = words(text("nameserver"), &[' ', ',', ';']);
    let domain = text("searchdomain").to_owned();
    let has_dns = !servers.is_empty() || !domain.is_empty();
    let mut addresses = match shown.inner(!prior.ip_config.is_empty(), true) {
        true => ip_configs(config),
        false => Vec::new(),
    };
    // A block with nothing in it has no counterpart in the API.
    while addresses.len() < prior.ip_config.len() {
        addresses.push(IpConfig::default());
    }
    let interface = match !importing && prior.interface.is_empty() {
        true => String::new(),
        false => slot.clone(),
    };
    let upgrade = config.part("ciupgrade").map(crate::property::is_on);
    Some(Initialization {
        datastore_id: storage_of(read.get("file").unwrap_or_default()).to_owned(),
        file_format: format_of(&read),
        interface,
        r#type: text("citype").to_owned(),
        upgrade: upgrade.or(prior.upgrade),
        dns: shown
            .inner(prior.dns.is_some(), has_dns)
            .then_some(Dns { domain, servers }),
        user_account: account(prior.user_account.clone(), config)
            .filter(|_| shown.inner(prior.user_account.is_some(), true)),
        ip_config: addresses,
        ..prior.decode(text("cicustom"))
    })
}

fn ip_configs(config: &Settings) -> Vec<IpConfig> {
    let found = indexed(config, "ipconfig");
    let slots = found.last().map_or(0, |f| f.0 + 1);
    let one = |slot: usize| {
        let read = found.iter().find(|f| f.0 == slot);
        let read = read.map(|f| Properties::parse(f.1, "ip"));
        IpConfig::read(&read.unwrap_or_default())
    };
    (0..slots).map(one).collect()
}

/// The password is what it was: the server shows asterisks, which also say that there is one.
fn account(prior: Option<UserAccount>, config: &Settings) -> Option<UserAccount> {
    let username = config.part("ciuser").unwrap_or_default().to_owned();
    let keys = percent_decode(config.part("sshkeys").unwrap_or_default());
    let masked = config
        .part("cipassword")
        .map(|p| Sensitive::new(p.to_owned()));
    if prior.is_none() && username.is_empty() && keys.is_empty() && masked.is_none() {
        return None;
    }
    let prior = prior.unwrap_or_default();
    let same = percent_decode(&ssh_keys(&prior.keys)).trim_end() == keys.trim_end();
    Some(UserAccount {
        keys: match same {
            true => prior.keys,
            false => keys.lines().map(str::to_owned).collect(),
        },
        password: prior.password.or(masked),
        username,
    })
}

impl Agent {
    /// What an absent block stands for.
    pub(crate) fn plain() -> Agent {
        Agent {
            timeout: "15m".into(),
            r#type: "virtio".into(),
            ..Agent::default()
        }
    }
}
