//! The API's answer as attributes. What people did not configure stays absent, except when a machine is imported.

use serde_json::Value as Json;

use crate::client::{Guest, flag, number, text};
use crate::property::{Properties, gibibytes, is_on, percent_decode};
use crate::vm::encode::ssh_keys;
use crate::vm::schema::{
    Address, Agent, Cdrom, Cpu, Disk, Dns, EfiDisk, HostPci, Initialization, IpConfig, Memory,
    NetworkDevice, OperatingSystem, SerialDevice, Speed, Startup, TpmState, Usb, UserAccount, Vga,
    Vm,
};

/// The keys of the form `PREFIXn` that the configuration has, in the order of their numbers.
fn indexed<'a>(config: &'a Json, prefix: &str) -> Vec<(i64, &'a str)> {
    let members = config.as_object().into_iter().flatten();
    let mut found: Vec<_> = members
        .filter_map(|(k, v)| Some((k.strip_prefix(prefix)?.parse().ok()?, v.as_str()?)))
        .collect();
    found.sort_unstable_by_key(|f| f.0);
    found
}

/// The machine as it is. `prior` says which blocks are managed; `importing` takes in all there are.
pub(crate) fn machine(prior: Vm, guest: &Guest, config: &Json, importing: bool) -> Vm {
    let mut vm = prior;
    vm.id = guest.id.to_string();
    vm.vm_id = Some(guest.id);
    vm.node_name.clone_from(&guest.node);
    let string = |key: &str| text(config, key).unwrap_or_default();
    let or = |key: &str, default: &str| text(config, key).unwrap_or_else(|| default.to_owned());
    let on = |key: &str, default: bool| flag(config, key).unwrap_or(default);
    vm.name = string("name");
    vm.description = described(&vm.description, &string("description"));
    vm.tags = tags(&vm.tags, &string("tags"));
    vm.hook_script_file_id = string("hookscript");
    vm.kvm_arguments = string("args");
    vm.machine = string("machine");
    vm.bios = or("bios", "seabios");
    vm.scsi_hardware = or("scsihw", "lsi");
    vm.keyboard_layout = or("keyboard", "en-us");
    vm.hotplug = text(config, "hotplug");
    vm.on_boot = on("onboot", false);
    vm.protection = on("protection", false);
    vm.acpi = on("acpi", true);
    vm.tablet_device = on("tablet", true);
    vm.template = on("template", guest.template);
    if !vm.template {
        vm.started = guest.running;
    }
    // A membership that is managed elsewhere is none of ours.
    if importing || !vm.pool_id.is_empty() {
        vm.pool_id.clone_from(&guest.pool);
    }
    let boot = Properties::parse(&string("boot"), "legacy");
    vm.boot_order = boot
        .get("order")
        .map(|o| o.split(';').map(str::to_owned).collect())
        .unwrap_or_default();
    if importing || vm.operating_system.is_some() {
        vm.operating_system = Some(OperatingSystem {
            r#type: or("ostype", "other"),
        });
    }
    if importing || vm.agent.is_some() {
        vm.agent = agent(vm.agent, text(config, "agent"));
    }
    if importing || vm.cpu.is_some() {
        vm.cpu = Some(cpu(vm.cpu.unwrap_or_default(), config));
    }
    if importing || vm.memory.is_some() {
        vm.memory = Some(memory(config));
    }
    if vm.vga.is_some() || (importing && config.get("vga").is_some()) {
        let read = Properties::parse(&string("vga"), "type");
        vm.vga = Some(Vga {
            clipboard: read.get("clipboard").unwrap_or_default().to_owned(),
            memory: read
                .number("memory")
                .unwrap_or_else(|| vm.vga.map_or(16, |v| v.memory)),
            r#type: read.get("type").unwrap_or("std").to_owned(),
        });
    }
    if vm.startup.is_some() || (importing && config.get("startup").is_some()) {
        let read = Properties::parse(&string("startup"), "order");
        let part = |key: &str| read.number(key).unwrap_or(-1);
        vm.startup = Some(Startup {
            order: part("order"),
            up_delay: part("up"),
            down_delay: part("down"),
        });
    }
    if importing || !vm.serial_device.is_empty() {
        let found = indexed(config, "serial").into_iter();
        vm.serial_device = found
            .map(|(_, device)| SerialDevice {
                device: device.to_owned(),
            })
            .collect();
    }
    if importing || !vm.hostpci.is_empty() {
        let slots = indexed(config, "hostpci").into_iter();
        vm.hostpci = in_order(
            slots.map(|(n, v)| hostpci(n, v)).collect(),
            &vm.hostpci,
            |h| h.device.clone(),
        );
    }
    if importing || !vm.usb.is_empty() {
        vm.usb = indexed(config, "usb")
            .into_iter()
            .map(|(_, v)| usb(v))
            .collect();
    }
    vm.network_device = Some(networks(
        vm.network_device.as_deref().unwrap_or_default(),
        config,
    ));
    // The agent knows more; what it told last stays until it tells something else.
    if vm.mac_addresses.is_empty() || !vm.agent.as_ref().is_some_and(|a| a.enabled) {
        vm.mac_addresses = vm
            .network_device
            .iter()
            .flatten()
            .filter_map(|n| n.mac_address.clone())
            .filter(|m| !m.is_empty())
            .collect();
    }
    cdrom(&mut vm, config, importing);
    disks(&mut vm, config, importing);
    if vm.initialization.is_some() || (importing && cloud_init_drive(config).is_some()) {
        vm.initialization = initialization(vm.initialization, config);
    }
    vm
}

/// `prior`'s elements first and in its order, then the new ones.
fn in_order<T>(mut found: Vec<T>, prior: &[T], key: impl Fn(&T) -> String) -> Vec<T> {
    found.sort_by_key(|f| {
        prior
            .iter()
            .position(|p| key(p) == key(f))
            .unwrap_or(usize::MAX)
    });
    found
}

/// The server ends the text with a newline.
fn described(prior: &str, found: &str) -> String {
    if prior.trim_end() == found.trim_end() {
        prior.to_owned()
    } else {
        found.trim_end().to_owned()
    }
}

/// The order is the server's affair.
fn tags(prior: &[String], found: &str) -> Vec<String> {
    let found: Vec<String> = found
        .split([';', ',', ' '])
        .filter(|t| !t.is_empty())
        .map(str::to_owned)
        .collect();
    let sorted = |tags: &[String]| {
        let mut tags: Vec<_> = tags
            .iter()
            .map(|t| t.trim().to_owned())
            .filter(|t| !t.is_empty())
            .collect();
        tags.sort_unstable();
        tags.dedup();
        tags
    };
    if sorted(prior) == sorted(&found) {
        prior.to_vec()
    } else {
        found
    }
}

fn agent(prior: Option<Agent>, found: Option<String>) -> Option<Agent> {
    let Some(found) = found else {
        return prior.map(|p| Agent {
            enabled: false,
            ..p
        });
    };
    let read = Properties::parse(&found, "enabled");
    let prior = prior.unwrap_or_else(|| Agent {
        timeout: "15m".into(),
        ..Agent::default()
    });
    Some(Agent {
        enabled: read.flag("enabled").unwrap_or(false),
        trim: read.flag("fstrim_cloned_disks").unwrap_or(false),
        r#type: read.get("type").unwrap_or("virtio").to_owned(),
        ..prior
    })
}

fn cpu(prior: Cpu, config: &Json) -> Cpu {
    let read = Properties::parse(
        &text(config, "cpu").unwrap_or_else(|| "kvm64".into()),
        "cputype",
    );
    let flags = read.get("flags").unwrap_or_default();
    Cpu {
        affinity: text(config, "affinity").unwrap_or_default(),
        architecture: text(config, "arch").unwrap_or_default(),
        cores: number(config, "cores").unwrap_or(1),
        flags: flags
            .split(';')
            .filter(|f| !f.is_empty())
            .map(str::to_owned)
            .collect(),
        hotplugged: number(config, "vcpus").unwrap_or(0),
        limit: text(config, "cpulimit")
            .and_then(|l| l.parse().ok())
            .unwrap_or(0.0),
        numa: flag(config, "numa").unwrap_or(false),
        sockets: number(config, "sockets").unwrap_or(1),
        r#type: read.get("cputype").unwrap_or_default().to_owned(),
        units: number(config, "cpuunits").or(prior.units),
    }
}

fn memory(config: &Json) -> Memory {
    let dedicated = text(config, "memory").unwrap_or_default();
    let dedicated = Properties::parse(&dedicated, "current")
        .number("current")
        .unwrap_or(512);
    Memory {
        dedicated,
        floating: number(config, "balloon").unwrap_or(0),
        hugepages: text(config, "hugepages").unwrap_or_default(),
        keep_hugepages: flag(config, "keephugepages").unwrap_or(false),
        shared: text(config, "ivshmem")
            .and_then(|i| Properties::parse(&i, "size").number("size"))
            .unwrap_or(0),
    }
}

fn hostpci(slot: i64, value: &str) -> HostPci {
    let read = Properties::parse(value, "host");
    let string = |key: &str| read.get(key).unwrap_or_default().to_owned();
    HostPci {
        device: format!("hostpci{slot}"),
        id: string("host"),
        mapping: string("mapping"),
        mdev: string("mdev"),
        pcie: read.flag("pcie"),
        rom_file: string("romfile"),
        rombar: read.flag("rombar"),
        xvga: read.flag("x-vga"),
    }
}

fn usb(value: &str) -> Usb {
    let read = Properties::parse(value, "host");
    let string = |key: &str| read.get(key).unwrap_or_default().to_owned();
    Usb {
        host: string("host"),
        mapping: string("mapping"),
        usb3: read.flag("usb3"),
    }
}

const MODELS: [&str; 5] = ["virtio", "e1000", "e1000e", "rtl8139", "vmxnet3"];

/// The cards by slot; what the server has no word for is as `prior` has it.
fn networks(prior: &[NetworkDevice], config: &Json) -> Vec<NetworkDevice> {
    let found = indexed(config, "net");
    let last = found.last().map_or(0, |f| f.0 + 1);
    // A card that is switched off keeps its place.
    let last = prior
        .iter()
        .rposition(|p| p.enabled == Some(false))
        .map_or(last, |i| last.max(i as i64 + 1));
    let slots = (0..last).map(|slot| {
        let prior = usize::try_from(slot).ok().and_then(|s| prior.get(s));
        match found.iter().find(|f| f.0 == slot) {
            Some((_, value)) => Some(network(prior, value)),
            None => prior.filter(|p| p.enabled == Some(false)).cloned(),
        }
    });
    slots.flatten().collect()
}

fn network(prior: Option<&NetworkDevice>, value: &str) -> NetworkDevice {
    let read = Properties::parse(value, "model");
    let named = read.parts().find(|(k, _)| MODELS.contains(k));
    let model = named
        .map(|n| n.0)
        .or(read.get("model"))
        .unwrap_or("virtio")
        .to_owned();
    let found = named
        .map(|n| n.1)
        .or(read.get("macaddr"))
        .unwrap_or_default();
    // People write MAC addresses in either case.
    let mac = prior
        .and_then(|p| p.mac_address.clone())
        .filter(|p| p.eq_ignore_ascii_case(found))
        .unwrap_or_else(|| found.to_uppercase());
    NetworkDevice {
        bridge: Some(read.get("bridge").unwrap_or_default().to_owned()),
        disconnected: Some(read.flag("link_down").unwrap_or(false)),
        enabled: Some(true),
        firewall: Some(read.flag("firewall").unwrap_or(false)),
        mac_address: Some(mac),
        model: Some(model),
        mtu: Some(read.number("mtu").unwrap_or(0)),
        queues: Some(read.number("queues").unwrap_or(0)),
        rate_limit: Some(read.get("rate").and_then(|r| r.parse().ok()).unwrap_or(0.0)),
        trunks: Some(read.get("trunks").unwrap_or_default().to_owned()),
        vlan_id: Some(read.number("tag").unwrap_or(0)),
    }
}

/// Whether a key names a slot for drives.
pub(crate) fn is_drive(key: &str) -> bool {
    ["scsi", "virtio", "sata", "ide"].iter().any(|p| {
        key.strip_prefix(p)
            .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    })
}

fn drives(config: &Json) -> impl Iterator<Item = (&str, &str)> {
    let members = config.as_object().into_iter().flatten();
    members
        .filter(|(k, _)| is_drive(k))
        .filter_map(|(k, v)| Some((k.as_str(), v.as_str()?)))
}

/// The slot and value of the cloud-init drive.
pub(crate) fn cloud_init_drive(config: &Json) -> Option<(&str, &str)> {
    drives(config).find(|(_, v)| v.contains("media=cdrom") && v.contains("cloudinit"))
}

fn cdrom(vm: &mut Vm, config: &Json, importing: bool) {
    let file = |value: &str| {
        Properties::parse(value, "file")
            .get("file")
            .unwrap_or_default()
            .to_owned()
    };
    if let Some(cdrom) = &mut vm.cdrom {
        let found = text(config, &cdrom.interface)
            .map(|v| file(&v))
            .unwrap_or_default();
        if !(cdrom.file_id.is_empty() && found == "cdrom") {
            cdrom.file_id = found;
        }
    } else if importing {
        let mut discs =
            drives(config).filter(|(_, v)| v.contains("media=cdrom") && !v.contains("cloudinit"));
        vm.cdrom = discs.next().map(|(k, v)| Cdrom {
            enabled: false,
            file_id: file(v),
            interface: k.to_owned(),
        });
    }
}

/// Disks by their slot. Those that are not managed are left alone: to see them would mean to remove them.
fn disks(vm: &mut Vm, config: &Json, importing: bool) {
    if importing {
        let mut found: Vec<_> = drives(config)
            .filter(|(_, v)| !v.contains("media=cdrom"))
            .map(|(k, v)| {
                disk(
                    Disk {
                        interface: k.to_owned(),
                        ..Disk::default()
                    },
                    v,
                )
            })
            .collect();
        found.sort_by(|a, b| a.interface.cmp(&b.interface));
        vm.disk = found;
    } else {
        let prior = std::mem::take(&mut vm.disk);
        vm.disk = prior
            .into_iter()
            .filter_map(|d| text(config, &d.interface).map(|value| disk(d, &value)))
            .collect();
    }
    let volume = |key: &str| text(config, key).map(|v| Properties::parse(&v, "file"));
    vm.efi_disk = volume("efidisk0")
        .filter(|_| importing || vm.efi_disk.is_some())
        .map(|read| EfiDisk {
            datastore_id: storage_of(read.get("file").unwrap_or_default()).to_owned(),
            file_format: Some(format_of(&read)),
            pre_enrolled_keys: read.flag("pre-enrolled-keys").unwrap_or(false),
            r#type: read.get("efitype").unwrap_or("2m").to_owned(),
        });
    vm.tpm_state = volume("tpmstate0")
        .filter(|_| importing || vm.tpm_state.is_some())
        .map(|read| TpmState {
            datastore_id: storage_of(read.get("file").unwrap_or_default()).to_owned(),
            version: read.get("version").unwrap_or("v1.2").to_owned(),
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

fn disk(prior: Disk, value: &str) -> Disk {
    let read = Properties::parse(value, "file");
    let volume = read.get("file").unwrap_or_default();
    let string = |key: &str, default: &str| read.get(key).unwrap_or(default).to_owned();
    let rate = |key: &str| read.number(key).unwrap_or(0);
    let speed = Speed {
        iops_read: rate("iops_rd"),
        iops_read_burstable: rate("iops_rd_max"),
        iops_write: rate("iops_wr"),
        iops_write_burstable: rate("iops_wr_max"),
        read: rate("mbps_rd"),
        read_burstable: rate("mbps_rd_max"),
        write: rate("mbps_wr"),
        write_burstable: rate("mbps_wr_max"),
    };
    Disk {
        aio: string("aio", "io_uring"),
        backup: read.flag("backup").unwrap_or(true),
        cache: string("cache", "none"),
        datastore_id: storage_of(volume).to_owned(),
        discard: string("discard", "ignore"),
        file_format: Some(format_of(&read)),
        iothread: read.flag("iothread").unwrap_or(false),
        path_in_datastore: volume.split_once(':').map(|v| v.1.to_owned()),
        queues: rate("queues"),
        replicate: read.flag("replicate").unwrap_or(true),
        serial: string("serial", ""),
        size: read.get("size").and_then(gibibytes).unwrap_or(prior.size),
        ssd: read.get("ssd").is_some_and(is_on),
        speed: (prior.speed.is_some() || speed != Speed::default()).then_some(speed),
        file_id: prior.file_id,
        import_from: prior.import_from,
        interface: prior.interface,
    }
}

fn initialization(prior: Option<Initialization>, config: &Json) -> Option<Initialization> {
    let importing = prior.is_none();
    let prior = prior.unwrap_or_default();
    let (slot, drive) = cloud_init_drive(config)?;
    let read = Properties::parse(drive, "file");
    let custom = Properties::parse(&text(config, "cicustom").unwrap_or_default(), "user");
    let volume = |key: &str| Some(custom.get(key).unwrap_or_default().to_owned());
    let string = |key: &str| text(config, key).unwrap_or_default();
    let servers: Vec<String> = string("nameserver")
        .split([' ', ',', ';'])
        .filter(|s| !s.is_empty())
        .map(str::to_owned)
        .collect();
    let domain = string("searchdomain");
    let has_dns = prior.dns.is_some() || !servers.is_empty() || !domain.is_empty();
    let mut addresses = ip_configs(config);
    // A block with nothing in it has no counterpart in the API.
    while addresses.len() < prior.ip_config.len() {
        addresses.push(IpConfig::default());
    }
    Some(Initialization {
        datastore_id: storage_of(read.get("file").unwrap_or_default()).to_owned(),
        file_format: Some(format_of(&read)),
        interface: if !importing && prior.interface.is_empty() {
            String::new()
        } else {
            slot.to_owned()
        },
        meta_data_file_id: volume("meta"),
        network_data_file_id: volume("network"),
        user_data_file_id: volume("user"),
        vendor_data_file_id: volume("vendor"),
        r#type: Some(string("citype")),
        upgrade: flag(config, "ciupgrade").or(prior.upgrade),
        dns: has_dns.then_some(Dns { domain, servers }),
        user_account: account(prior.user_account, config),
        ip_config: addresses,
    })
}

fn ip_configs(config: &Json) -> Vec<IpConfig> {
    let found = indexed(config, "ipconfig");
    let last = found.last().map_or(0, |f| f.0 + 1);
    let one = |slot: i64| {
        let read = found
            .iter()
            .find(|f| f.0 == slot)
            .map(|f| Properties::parse(f.1, "ip"));
        let read = read.unwrap_or_default();
        let part = |ip: &str, gw: &str| {
            let string = |key: &str| read.get(key).unwrap_or_default().to_owned();
            let address = Address {
                address: string(ip),
                gateway: string(gw),
            };
            (address != Address::default()).then_some(address)
        };
        IpConfig {
            ipv4: part("ip", "gw"),
            ipv6: part("ip6", "gw6"),
        }
    };
    (0..last).map(one).collect()
}

/// The password is what it was: the server shows asterisks.
fn account(prior: Option<UserAccount>, config: &Json) -> Option<UserAccount> {
    let username = text(config, "ciuser").unwrap_or_default();
    let sent = text(config, "sshkeys").unwrap_or_default();
    let decoded = percent_decode(&sent);
    if prior.is_none() && username.is_empty() && decoded.is_empty() {
        return None;
    }
    let prior = prior.unwrap_or_default();
    let same = percent_decode(&ssh_keys(&prior.keys)).trim_end() == decoded.trim_end();
    let keys = if same {
        prior.keys
    } else {
        decoded.lines().map(str::to_owned).collect()
    };
    Some(UserAccount {
        keys,
        password: prior.password,
        username,
    })
}
