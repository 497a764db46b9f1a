//! The machines of the rack.

use stead_lab_core::machine::{CloudInit, Disk, Hardware, ImageLabel, IpConfig, Nic};

use super::{address, machine};

/// A machine that boots from a disk image. It has `10.5.0.NUMBER`, or what a DHCP server leases it.
pub(super) fn hardware(number: u8, version: &str, schematic: &str, leased: bool) -> Hardware {
    let ip = IpConfig {
        address: Some((address(number).parse().expect("an address"), 24)),
        gateway: Some("10.5.0.1".parse().expect("an address")),
    };
    let given = if leased { None } else { Some((0, ip)) };
    Hardware {
        id: machine(number),
        name: format!("node-{number}"),
        cores: 4,
        memory_mib: 2480,
        disks: vec![Disk {
            interface: "scsi0".to_owned(),
            size_bytes: 20 << 30,
            image: Some(ImageLabel {
                os: "talos".to_owned(),
                version: version.to_owned(),
                schematic: schematic.to_owned(),
                guest_agent: false,
            }),
        }],
        nics: vec![Nic {
            mac: format!("BC:24:11:00:00:{number:02X}"),
            bridge: "vmbr0".to_owned(),
            vlan: None,
        }],
        cloud_init: Some(CloudInit {
            ip_config: given.into_iter().collect(),
            ..CloudInit::default()
        }),
        pci_devices: Vec::new(),
        agent_channel: true,
    }
}
