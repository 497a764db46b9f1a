//! A container as the API shall hold it: everything except its volumes.

use crate::container::schema::{Console, Container, Cpu, Disk, Memory, MountPoint};
use crate::guest::{IpConfig, joined_tags};
use crate::property::{Properties, bytes};
use crate::table::{Parts as _, Settings};

/// The parameters. Those of an absent block are the ones of a block at its defaults.
pub(crate) fn settings(container: &Container) -> Settings {
    let mut out = Settings::new();
    container.write(&mut out);
    let plain = (Console::plain(), Cpu::plain(), Memory::plain());
    container
        .console
        .as_ref()
        .unwrap_or(&plain.0)
        .write(&mut out);
    container.cpu.as_ref().unwrap_or(&plain.1).write(&mut out);
    container
        .memory
        .as_ref()
        .unwrap_or(&plain.2)
        .write(&mut out);
    if let Some(os) = &container.operating_system {
        os.write(&mut out);
    }
    let mut set = |key: &str, value: String| {
        if !value.is_empty() {
            out.insert(key.to_owned(), value);
        }
    };
    set("description", container.description.trim_end().to_owned());
    set("tags", joined_tags(&container.tags));
    let features = container.features.as_ref();
    set("features", features.map(|f| f.encode()).unwrap_or_default());
    let startup = container.startup.as_ref();
    set("startup", startup.map(|s| s.encode()).unwrap_or_default());
    let environment = container.environment_variables.iter();
    let environment: Vec<_> = environment.map(|(k, v)| format!("{k}={v}")).collect();
    set("env", environment.join("\0"));
    for (i, device) in container.device_passthrough.iter().enumerate() {
        set(&format!("dev{i}"), device.encode());
    }
    let init = container.initialization.as_ref();
    if let Some(init) = init {
        set("entrypoint", init.entrypoint.clone());
        set("hostname", init.hostname.clone());
        if let Some(dns) = &init.dns {
            set("searchdomain", dns.domain.clone());
            set(
                "nameserver",
                match dns.servers.as_slice() {
                    [] => dns.server.clone(),
                    servers => servers.join(" "),
                },
            );
        }
    }
    let none = IpConfig::default();
    for (i, card) in container.network_interface.iter().enumerate() {
        if card.enabled {
            let addresses = init.and_then(|init| init.ip_config.get(i)).unwrap_or(&none);
            let mut value = Properties::default();
            card.write(&mut value);
            set(
                &format!("net{i}"),
                addresses.write(value).with("type", "veth").encode(""),
            );
        }
    }
    out
}

impl Disk {
    /// The root file system on a volume, or on one that is to be made.
    pub(crate) fn value(&self, volume: &str) -> String {
        let mut out = Properties::default().with("volume", volume);
        self.write(&mut out);
        out.encode("volume")
    }

    pub(crate) fn allocation(&self) -> String {
        self.value(&format!("{}:{}", self.datastore_id, self.size))
    }
}

impl MountPoint {
    /// On `volume`, which may be what is there already.
    pub(crate) fn value(&self, volume: &str) -> String {
        let mut out = Properties::default().with("volume", volume);
        self.write(&mut out);
        out.encode("volume")
    }

    /// Made anew, where a storage alone is named.
    pub(crate) fn allocation(&self) -> String {
        let gibibytes = bytes(&self.size).map(|size| size.div_ceil(1 << 30));
        match (self.storage(), gibibytes) {
            (Some(storage), Some(size)) => self.value(&format!("{storage}:{size}")),
            _ => self.value(&self.volume),
        }
    }

    /// The storage that people leave the choice of a volume to.
    pub(crate) fn storage(&self) -> Option<&str> {
        let (storage, volume) = self.volume.split_once(':').unwrap_or((&self.volume, ""));
        let chosen = volume.is_empty() && !storage.starts_with('/');
        chosen.then_some(storage)
    }

    /// A directory or device of the node: only root@pam may name one.
    pub(crate) fn is_of_the_node(&self) -> bool {
        self.volume.starts_with('/')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::schema::{Initialization, NetworkInterface};
    use crate::guest::Address;

    #[test]
    fn addresses_travel_with_their_cards() {
        let card = NetworkInterface {
            name: "eth0".into(),
            bridge: "vmbr0".into(),
            enabled: true,
            vlan_id: 5,
            ..NetworkInterface::default()
        };
        let v4 = Address {
            address: "10.0.0.7/24".into(),
            gateway: "10.0.0.1".into(),
        };
        let container = Container {
            network_interface: vec![card],
            initialization: Some(Initialization {
                ip_config: vec![IpConfig {
                    ipv4: Some(v4),
                    ipv6: None,
                }],
                ..Initialization::default()
            }),
            ..Container::default()
        };
        let expected = "name=eth0,bridge=vmbr0,tag=5,gw=10.0.0.1,ip=10.0.0.7/24,type=veth";
        assert_eq!(settings(&container)["net0"], expected);
    }

    #[test]
    fn a_mount_point_is_a_new_volume_a_volume_or_a_directory() {
        let point = |volume: &str, size: &str| MountPoint {
            volume: volume.into(),
            size: size.into(),
            path: "/data".into(),
            replicate: true,
            ..MountPoint::default()
        };
        assert_eq!(point("tank", "1536M").allocation(), "tank:2,mp=/data");
        assert_eq!(
            point("tank:subvol-7-disk-1", "").allocation(),
            "tank:subvol-7-disk-1,mp=/data"
        );
        assert_eq!(point("/mnt/media", "").allocation(), "/mnt/media,mp=/data");
        assert!(point("/mnt/media", "").is_of_the_node());
    }
}
