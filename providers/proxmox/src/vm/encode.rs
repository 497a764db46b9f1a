//! A machine as the API shall hold it: everything except its drives.

use crate::guest::joined_tags;
use crate::property::{Properties, percent_encode};
use crate::table::{Parts as _, Settings};
use crate::vm::parts::processor;
use crate::vm::schema::{Cpu, Initialization, Memory, NetworkDevice, OperatingSystem, Vm};

/// The parameters. Those of an absent block are the ones of a block at its defaults: a machine is what its configuration says.
pub(crate) fn settings(vm: &Vm) -> Settings {
    let mut out = Settings::new();
    vm.write(&mut out);
    let mut set = |key: &str, value: String| {
        if !value.is_empty() {
            out.insert(key.to_owned(), value);
        }
    };
    set("description", vm.description.trim_end().to_owned());
    set("tags", joined_tags(&vm.tags));
    if !vm.boot_order.is_empty() {
        set("boot", format!("order={}", vm.boot_order.join(";")));
    }
    let one = |block: Option<String>| block.unwrap_or_default();
    set("agent", one(vm.agent.as_ref().map(|b| b.encode())));
    set("amd-sev", one(vm.amd_sev.as_ref().map(|b| b.encode())));
    set("rng0", one(vm.rng.first().map(|b| b.encode())));
    set("smbios1", one(vm.smbios.as_ref().map(|b| b.setting())));
    set("startup", one(vm.startup.as_ref().map(|b| b.encode())));
    set("vga", one(vm.vga.as_ref().map(|b| b.encode())));
    let audio = vm.audio_device.as_ref().filter(|a| a.enabled);
    set("audio0", one(audio.map(|b| b.encode())));
    let watchdog = vm.watchdog.as_ref().filter(|w| w.enabled);
    set("watchdog", one(watchdog.map(|b| b.encode())));
    if let Some(cdrom) = &vm.cdrom {
        let file = match cdrom.file_id.as_str() {
            "" => "cdrom",
            file => file,
        };
        set(&cdrom.interface, format!("{file},media=cdrom"));
    }
    for numa in &vm.numa {
        set(&numa.device, numa.encode());
    }
    for device in &vm.hostpci {
        set(&device.device, device.encode());
    }
    for (i, serial) in vm.serial_device.iter().enumerate() {
        set(&format!("serial{i}"), serial.device.clone());
    }
    for (i, device) in vm.usb.iter().enumerate() {
        set(&format!("usb{i}"), device.encode());
    }
    for (i, share) in vm.virtiofs.iter().enumerate() {
        set(&format!("virtiofs{i}"), share.encode());
    }
    for (i, device) in vm.network_device.iter().flatten().enumerate() {
        if device.enabled.unwrap_or(true) {
            set(&format!("net{i}"), network(device));
        }
    }
    let plain = Cpu::plain();
    let cpu = vm.cpu.as_ref().unwrap_or(&plain);
    cpu.write(&mut out);
    out.insert("cpu".into(), processor(cpu));
    let plain = Memory::plain();
    let memory = vm.memory.as_ref().unwrap_or(&plain);
    memory.write(&mut out);
    if memory.shared > 0 {
        let name = format!("vm-{}-ivshmem", vm.vm_id.unwrap_or_default());
        let size = format!("name={name},size={}", memory.shared);
        out.insert("ivshmem".into(), size);
    }
    let plain = OperatingSystem::plain();
    let os = vm.operating_system.as_ref().unwrap_or(&plain);
    os.write(&mut out);
    if let Some(initialization) = &vm.initialization {
        cloud_init(initialization, &mut out);
    }
    out
}

pub(crate) fn network(device: &NetworkDevice) -> String {
    let or = |value: &Option<String>, default: &str| match value.as_deref() {
        None | Some("") => default.to_owned(),
        Some(value) => value.to_owned(),
    };
    let mut properties = Properties::default()
        .with("model", or(&device.model, "virtio"))
        .with("bridge", or(&device.bridge, "vmbr0"))
        .switch("firewall", device.firewall.unwrap_or(false));
    if device.disconnected == Some(true) {
        properties = properties.switch("link_down", true);
    }
    properties = properties
        .text("macaddr", device.mac_address.as_deref().unwrap_or_default())
        .positive("queues", device.queues.unwrap_or(0));
    if let Some(rate) = device.rate_limit.filter(|rate| *rate > 0.0) {
        properties = properties.with("rate", rate);
    }
    properties
        .positive("tag", device.vlan_id.unwrap_or(0))
        .positive("mtu", device.mtu.unwrap_or(0))
        .text("trunks", device.trunks.as_deref().unwrap_or_default())
        .encode("")
}

/// Everything of cloud-init except its drive.
fn cloud_init(init: &Initialization, out: &mut Settings) {
    let mut text = |key: &str, value: String| {
        if !value.is_empty() {
            out.insert(key.to_owned(), value);
        }
    };
    for (i, config) in init.ip_config.iter().enumerate() {
        text(
            &format!("ipconfig{i}"),
            config.write(Properties::default()).encode(""),
        );
    }
    if let Some(dns) = &init.dns {
        text("nameserver", dns.servers.join(" "));
        text("searchdomain", dns.domain.clone());
    }
    if let Some(account) = &init.user_account {
        let password = account.password.as_ref();
        text("ciuser", account.username.clone());
        text(
            "cipassword",
            password.map_or_else(String::new, |p| p.expose_secret().clone()),
        );
        text("sshkeys", ssh_keys(&account.keys));
    }
    text("cicustom", init.encode());
    text("citype", init.r#type.clone());
    // It means something only without a file of one's own.
    if let Some(upgrade) = init.upgrade.filter(|_| init.user_data_file_id.is_empty()) {
        text("ciupgrade", i32::from(upgrade).to_string());
    }
}

pub(crate) fn ssh_keys(keys: &[String]) -> String {
    let lines = keys.iter().map(|k| k.trim()).filter(|k| !k.is_empty());
    percent_encode(&lines.collect::<Vec<_>>().join("\n"))
}

impl Cpu {
    /// What an absent block stands for.
    pub(crate) fn plain() -> Cpu {
        Cpu {
            cores: 1,
            sockets: 1,
            r#type: "qemu64".into(),
            ..Cpu::default()
        }
    }
}

impl OperatingSystem {
    /// What an absent block stands for.
    pub(crate) fn plain() -> OperatingSystem {
        OperatingSystem {
            r#type: "other".into(),
        }
    }
}

impl Memory {
    /// What an absent block stands for.
    pub(crate) fn plain() -> Memory {
        Memory {
            dedicated: 512,
            ..Memory::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::{Address, IpConfig};
    use crate::vm::schema::{Dns, UserAccount};

    #[test]
    fn cards_are_written_with_what_differs_from_the_defaults() {
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
            user_data_file_id: "local:snippets/u.yaml".into(),
            upgrade: Some(true),
            ..Initialization::default()
        };
        let all = settings(&Vm {
            initialization: Some(init),
            ..Vm::default()
        });
        assert_eq!(all["ipconfig0"], "gw=10.0.0.1,ip=10.0.0.5/24");
        assert_eq!(all["nameserver"], "10.0.0.1 10.0.0.2");
        assert_eq!(all["sshkeys"], "ssh-ed25519%20AA%2BB");
        assert_eq!(all["cicustom"], "user=local:snippets/u.yaml");
        assert!(!all.contains_key("ciupgrade"));
    }
}
