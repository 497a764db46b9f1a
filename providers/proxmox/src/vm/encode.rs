//! Attributes as API parameters: everything of a machine except its disks.

use std::collections::BTreeMap;

use crate::property::{Properties, percent_encode};
use crate::vm::schema::{
    Agent, Cpu, HostPci, Initialization, IpConfig, NetworkDevice, Startup, Usb, Vm,
};

/// Parameter name to value.
pub(crate) type Settings = BTreeMap<String, String>;

/// What the API shall hold. What is at the API's own default is left out, so that no privilege is needed for it.
pub(crate) fn settings(vm: &Vm) -> Settings {
    let mut out = Settings::new();
    let mut text = |key: &str, value: &str| {
        if !value.is_empty() {
            out.insert(key.to_owned(), value.to_owned());
        }
    };
    text("name", &vm.name);
    text("description", vm.description.trim_end());
    text("tags", &tags(&vm.tags));
    text("hookscript", &vm.hook_script_file_id);
    text("args", &vm.kvm_arguments);
    text("machine", &vm.machine);
    text("bios", if vm.bios == "seabios" { "" } else { &vm.bios });
    text("scsihw", &vm.scsi_hardware);
    text("keyboard", &vm.keyboard_layout);
    text("hotplug", vm.hotplug.as_deref().unwrap_or_default());
    text("onboot", if vm.on_boot { "1" } else { "0" });
    text("protection", if vm.protection { "1" } else { "" });
    text("acpi", if vm.acpi { "" } else { "0" });
    text("tablet", if vm.tablet_device { "" } else { "0" });
    text(
        "ostype",
        vm.operating_system.as_ref().map_or("other", |o| &o.r#type),
    );
    if !vm.boot_order.is_empty() {
        text("boot", &format!("order={}", vm.boot_order.join(";")));
    }
    if let Some(agent) = &vm.agent {
        text("agent", &agent_setting(agent));
    }
    if let Some(vga) = &vm.vga {
        let vga = Properties::default()
            .text("type", &vga.r#type)
            .text("clipboard", &vga.clipboard)
            .positive("memory", vga.memory);
        text("vga", &vga.encode("type"));
    }
    if let Some(cdrom) = &vm.cdrom {
        let file = if cdrom.file_id.is_empty() {
            "cdrom"
        } else {
            &cdrom.file_id
        };
        text(&cdrom.interface, &format!("{file},media=cdrom"));
    }
    if let Some(startup) = &vm.startup {
        text("startup", &startup_setting(startup));
    }
    for (i, serial) in vm.serial_device.iter().enumerate() {
        text(&format!("serial{i}"), &serial.device);
    }
    for device in &vm.hostpci {
        text(&device.device, &hostpci(device));
    }
    for (i, device) in vm.usb.iter().enumerate() {
        text(&format!("usb{i}"), &usb(device));
    }
    for (i, device) in vm.network_device.iter().flatten().enumerate() {
        if device.enabled.unwrap_or(true) {
            text(&format!("net{i}"), &network(device));
        }
    }
    cpu(vm.cpu.as_ref(), &mut out);
    memory(vm, &mut out);
    if let Some(initialization) = &vm.initialization {
        cloud_init(initialization, &mut out);
    }
    out
}

/// Sorted, as the server keeps them.
fn tags(tags: &[String]) -> String {
    let mut tags: Vec<_> = tags
        .iter()
        .map(|t| t.trim())
        .filter(|t| !t.is_empty())
        .collect();
    tags.sort_unstable();
    tags.dedup();
    tags.join(";")
}

fn agent_setting(agent: &Agent) -> String {
    Properties::default()
        .switch("enabled", agent.enabled)
        .switch("fstrim_cloned_disks", agent.trim)
        .text("type", &agent.r#type)
        .encode("")
}

fn startup_setting(startup: &Startup) -> String {
    let part =
        |p: Properties, key: &str, value: i64| if value >= 0 { p.with(key, value) } else { p };
    let properties = part(Properties::default(), "order", startup.order);
    let properties = part(properties, "up", startup.up_delay);
    part(properties, "down", startup.down_delay).encode("")
}

fn hostpci(device: &HostPci) -> String {
    let optional = |p: Properties, key: &str, value: Option<bool>| match value {
        Some(value) => p.switch(key, value),
        None => p,
    };
    let properties = Properties::default()
        .text("host", &device.id)
        .text("mapping", &device.mapping)
        .text("mdev", &device.mdev);
    let properties = optional(properties, "pcie", device.pcie);
    let properties =
        optional(properties, "rombar", device.rombar).text("romfile", &device.rom_file);
    optional(properties, "x-vga", device.xvga).encode("")
}

fn usb(device: &Usb) -> String {
    let properties = Properties::default()
        .text("host", &device.host)
        .text("mapping", &device.mapping);
    match device.usb3 {
        Some(usb3) => properties.switch("usb3", usb3).encode(""),
        None => properties.encode(""),
    }
}

pub(crate) fn network(device: &NetworkDevice) -> String {
    let or = |value: &Option<String>, default: &str| {
        value
            .clone()
            .filter(|v| !v.is_empty())
            .unwrap_or_else(|| default.to_owned())
    };
    let properties = Properties::default()
        .with("model", or(&device.model, "virtio"))
        .with("bridge", or(&device.bridge, "vmbr0"))
        .switch("firewall", device.firewall.unwrap_or(false));
    let properties = if device.disconnected == Some(true) {
        properties.switch("link_down", true)
    } else {
        properties
    };
    let properties = properties
        .text("macaddr", device.mac_address.as_deref().unwrap_or_default())
        .positive("queues", device.queues.unwrap_or(0));
    let rate = device.rate_limit.unwrap_or(0.0);
    let properties = if rate > 0.0 {
        properties.with("rate", rate)
    } else {
        properties
    };
    properties
        .positive("tag", device.vlan_id.unwrap_or(0))
        .positive("mtu", device.mtu.unwrap_or(0))
        .text("trunks", device.trunks.as_deref().unwrap_or_default())
        .encode("")
}

fn cpu(cpu: Option<&Cpu>, out: &mut Settings) {
    let plain = Cpu {
        cores: 1,
        sockets: 1,
        r#type: "qemu64".into(),
        ..Cpu::default()
    };
    let cpu = cpu.unwrap_or(&plain);
    let mut set = |key: &str, value: String| out.insert(key.to_owned(), value);
    set("cores", cpu.cores.to_string());
    set("sockets", cpu.sockets.to_string());
    set(
        "cpu",
        if cpu.flags.is_empty() {
            cpu.r#type.clone()
        } else {
            format!("cputype={},flags={}", cpu.r#type, cpu.flags.join(";"))
        },
    );
    if cpu.numa {
        set("numa", "1".into());
    }
    if cpu.limit > 0.0 {
        set("cpulimit", cpu.limit.to_string());
    }
    if let Some(units) = cpu.units.filter(|u| *u > 0) {
        set("cpuunits", units.to_string());
    }
    if cpu.hotplugged > 0 {
        set("vcpus", cpu.hotplugged.to_string());
    }
    if !cpu.affinity.is_empty() {
        set("affinity", cpu.affinity.clone());
    }
    if !cpu.architecture.is_empty() {
        set("arch", cpu.architecture.clone());
    }
}

fn memory(vm: &Vm, out: &mut Settings) {
    let Some(memory) = &vm.memory else {
        out.insert("memory".into(), "512".into());
        return;
    };
    out.insert("memory".into(), memory.dedicated.to_string());
    out.insert("balloon".into(), memory.floating.to_string());
    if memory.shared > 0 {
        let name = format!("vm-{}-ivshmem", vm.vm_id.unwrap_or_default());
        out.insert(
            "ivshmem".into(),
            format!("name={name},size={}", memory.shared),
        );
    }
    if !memory.hugepages.is_empty() {
        out.insert("hugepages".into(), memory.hugepages.clone());
    }
    if memory.keep_hugepages {
        out.insert("keephugepages".into(), "1".into());
    }
}

/// Everything of cloud-init except its drive.
fn cloud_init(init: &Initialization, out: &mut Settings) {
    for (i, config) in init.ip_config.iter().enumerate() {
        let value = ip_config(config);
        if !value.is_empty() {
            out.insert(format!("ipconfig{i}"), value);
        }
    }
    let mut text = |key: &str, value: &str| {
        if !value.is_empty() {
            out.insert(key.to_owned(), value.to_owned());
        }
    };
    if let Some(dns) = &init.dns {
        text("nameserver", &dns.servers.join(" "));
        text("searchdomain", &dns.domain);
    }
    if let Some(account) = &init.user_account {
        text("ciuser", &account.username);
        text(
            "cipassword",
            account.password.as_ref().map_or("", |p| p.expose_secret()),
        );
        text("sshkeys", &ssh_keys(&account.keys));
    }
    let volume = |v: &Option<String>| v.clone().unwrap_or_default();
    let custom = Properties::default()
        .text("meta", &volume(&init.meta_data_file_id))
        .text("network", &volume(&init.network_data_file_id))
        .text("user", &volume(&init.user_data_file_id))
        .text("vendor", &volume(&init.vendor_data_file_id));
    text("cicustom", &custom.encode(""));
    text("citype", init.r#type.as_deref().unwrap_or_default());
    if let Some(upgrade) = init.upgrade
        && init
            .user_data_file_id
            .as_deref()
            .unwrap_or_default()
            .is_empty()
    {
        text("ciupgrade", if upgrade { "1" } else { "0" });
    }
}

pub(crate) fn ssh_keys(keys: &[String]) -> String {
    let lines: Vec<_> = keys
        .iter()
        .map(|k| k.trim())
        .filter(|k| !k.is_empty())
        .collect();
    percent_encode(&lines.join("\n"))
}

fn ip_config(config: &IpConfig) -> String {
    let (v4, v6) = (
        config.ipv4.clone().unwrap_or_default(),
        config.ipv6.clone().unwrap_or_default(),
    );
    Properties::default()
        .text("gw", &v4.gateway)
        .text("gw6", &v6.gateway)
        .text("ip", &v4.address)
        .text("ip6", &v6.address)
        .encode("")
}

/// What an update sends: values that differ, and names to delete.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) set: Settings,
    pub(crate) delete: Vec<String>,
}

impl Change {
    pub(crate) fn between(old: &Settings, new: &Settings) -> Change {
        let changed = |(k, v): &(&String, &String)| old.get(*k) != Some(*v);
        Change {
            set: new
                .iter()
                .filter(changed)
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect(),
            delete: old
                .keys()
                .filter(|k| !new.contains_key(*k))
                .cloned()
                .collect(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.set.is_empty() && self.delete.is_empty()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.set.keys().chain(&self.delete).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::schema::{Address, Dns, UserAccount};

    fn machine() -> Vm {
        Vm {
            acpi: true,
            tablet_device: true,
            bios: "seabios".into(),
            ..Vm::default()
        }
    }

    #[test]
    fn devices_are_written_as_the_api_reads_them() {
        let device = HostPci {
            device: "hostpci0".into(),
            mapping: "gpu".into(),
            pcie: Some(true),
            rombar: Some(false),
            xvga: Some(true),
            ..HostPci::default()
        };
        assert_eq!(hostpci(&device), "mapping=gpu,pcie=1,rombar=0,x-vga=1");
        let startup = Startup {
            order: 3,
            up_delay: 60,
            down_delay: -1,
        };
        assert_eq!(startup_setting(&startup), "order=3,up=60");
        let card = NetworkDevice {
            vlan_id: Some(20),
            mac_address: Some("BC:24:11:00:00:01".into()),
            rate_limit: Some(12.5),
            ..NetworkDevice::default()
        };
        let expected =
            "model=virtio,bridge=vmbr0,firewall=0,macaddr=BC:24:11:00:00:01,rate=12.5,tag=20";
        assert_eq!(network(&card), expected);
    }

    #[test]
    fn processor_flags_follow_the_type() {
        let cpu = Cpu {
            cores: 2,
            sockets: 1,
            r#type: "host".into(),
            flags: vec!["+aes".into(), "-pcid".into()],
            ..Cpu::default()
        };
        let all = settings(&Vm {
            cpu: Some(cpu),
            ..machine()
        });
        assert_eq!(all["cpu"], "cputype=host,flags=+aes;-pcid");
        assert!(!all.contains_key("cpulimit"));
    }

    #[test]
    fn cloud_init_is_written_with_keys_encoded_for_the_form() {
        let address = Address {
            address: "10.0.0.5/24".into(),
            gateway: "10.0.0.1".into(),
        };
        let init = Initialization {
            dns: Some(Dns {
                domain: "lan".into(),
                servers: vec!["10.0.0.1".into(), "10.0.0.2".into()],
            }),
            ip_config: vec![IpConfig {
                ipv4: Some(address),
                ipv6: None,
            }],
            user_account: Some(UserAccount {
                keys: vec!["ssh-ed25519 AA+B".into()],
                password: None,
                username: "admin".into(),
            }),
            user_data_file_id: Some("local:snippets/u.yaml".into()),
            upgrade: Some(true),
            ..Initialization::default()
        };
        let all = settings(&Vm {
            initialization: Some(init),
            ..machine()
        });
        assert_eq!(all["ipconfig0"], "gw=10.0.0.1,ip=10.0.0.5/24");
        assert_eq!(all["nameserver"], "10.0.0.1 10.0.0.2");
        assert_eq!(all["sshkeys"], "ssh-ed25519%20AA%2BB");
        assert_eq!(all["cicustom"], "user=local:snippets/u.yaml");
        // It only means something without a file of one's own.
        assert!(!all.contains_key("ciupgrade"));
    }

    #[test]
    fn a_change_holds_only_what_differs() {
        let old = Settings::from([("a".into(), "1".into()), ("b".into(), "2".into())]);
        let new = Settings::from([("a".into(), "1".into()), ("c".into(), "3".into())]);
        let change = Change::between(&old, &new);
        assert_eq!(change.set.keys().collect::<Vec<_>>(), ["c"]);
        assert_eq!(change.delete, ["b"]);
        assert!(Change::between(&new, &new).is_empty());
    }
}
