//! What a container's operating system finds when it starts.

use std::net::{IpAddr, Ipv4Addr};

use stead_lab_core::machine::{CloudInit, Hardware, IpConfig};

use crate::Proxmox;
use crate::guest::Kind;
use crate::qemu::hardware::{Assembled, disk, machine_id};
use crate::schema::format::{cidr, list};
use crate::state::{State, Vm};

/// Puts it together, or says why the container can't start.
pub(crate) fn assemble(
    px: &Proxmox,
    state: &State,
    vmid: u32,
    vm: &Vm,
) -> Result<Assembled, String> {
    let mut disks = Vec::new();
    let mut user_data = None;
    for drive in px.disks(Kind::Lxc, &vm.config) {
        let (disk, volume) = disk(state, vm, &drive)?;
        if drive.key == "rootfs" {
            user_data.clone_from(&volume.text);
        }
        disks.push(disk);
    }
    let root = vm.config.get("rootfs").and_then(|v| v.split(',').next());
    let host = state.nodes.get(&vm.node).map_or(1, |n| u64::from(n.cpu));
    let mut ip_config = std::collections::BTreeMap::new();
    for (position, net) in nets(px, vm).into_iter().enumerate() {
        let address = address(vmid, position, &net);
        let gateway = net.gateway;
        ip_config.insert(position, IpConfig { address, gateway });
    }
    let nameservers = vm.config.get("nameserver");
    let nameservers = nameservers.map(|v| list(v).map(str::to_owned).collect());
    let hardware = Hardware {
        id: machine_id(&state.name, vmid),
        name: vm.name(vmid),
        cores: u32::try_from(vm.cpus(host)).unwrap_or(u32::MAX),
        memory_mib: vm.memory() >> 20,
        disks,
        nics: px.nics(vm),
        cloud_init: Some(CloudInit {
            ip_config,
            nameservers: nameservers.unwrap_or_default(),
            user_data,
            hostname: vm.config.get("hostname").cloned(),
        }),
        pci_devices: Vec::new(),
        agent_channel: false,
    };
    Ok(Assembled {
        hardware,
        boot_volume: root.map(str::to_owned),
    })
}

/// A network device of a container.
pub(super) struct Net {
    pub(super) name: String,
    pub(super) mac: String,
    ip: Option<String>,
    ip6: Option<String>,
    gateway: Option<IpAddr>,
    down: bool,
}

pub(super) fn nets(px: &Proxmox, vm: &Vm) -> Vec<Net> {
    let present = (0..32).filter_map(|n| {
        let key = format!("net{n}");
        px.properties(Kind::Lxc, &key, vm.config.get(&key)?).ok()
    });
    present
        .map(|net| {
            let text = |name: &str| net.get(name).map(str::to_owned);
            Net {
                name: text("name").unwrap_or_default(),
                mac: text("hwaddr").unwrap_or_default(),
                ip: text("ip"),
                ip6: text("ip6"),
                gateway: net.get("gw").and_then(|gw| gw.parse().ok()),
                down: net.get("link_down") == Some("1"),
            }
        })
        .collect()
}

/// The IPv4 address of a network device: as configured, or a lease that is always the same. Nothing else in a lab
/// lives in 10.98.0.0/16.
pub(super) fn address(vmid: u32, position: usize, net: &Net) -> Option<(IpAddr, u8)> {
    match net.ip.as_deref() {
        _ if net.down => None,
        Some("dhcp") => {
            let number = vmid
                .wrapping_mul(32)
                .wrapping_add(u32::try_from(position).unwrap_or_default());
            let [_, _, high, low] = number.to_be_bytes();
            Some((IpAddr::V4(Ipv4Addr::new(10, 98, high, low.max(2))), 16))
        }
        Some(address) => cidr(address),
        None => None,
    }
}

/// The IPv6 address that is configured.
pub(super) fn address6(net: &Net) -> Option<(IpAddr, u8)> {
    net.ip6.as_deref().filter(|_| !net.down).and_then(cidr)
}
