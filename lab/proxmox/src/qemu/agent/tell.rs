//! What an agent tells of its guest.

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use stead_lab_core::machine::{GuestInterface, ImageLabel};

use super::{Agent, command};
use crate::Proxmox;
use crate::guest::Kind;
use crate::guest::drive::Drive;
use crate::state::{State, Vm};

/// Memory comes and goes in blocks of this size.
const MEMORY_BLOCK: u64 = 128 << 20;

/// `guest-info`: which commands there are. Without hands, none that reach inside.
pub(super) fn info(agent: &Agent) -> Value {
    let hands = agent.guest.hands().is_some();
    let names = command::NAMES.iter().map(|(name, _)| (*name, true));
    let inside = [
        "exec",
        "exec-status",
        "file-open",
        "file-read",
        "file-write",
    ];
    let all = names.chain(inside.map(|name| (name, hands)));
    let rows = all.map(|(name, enabled)| {
        json!({ "name": format!("guest-{name}"), "enabled": enabled, "success-response": true })
    });
    json!({ "version": "10.1.2", "supported_commands": rows.collect::<Vec<_>>() })
}

/// The loopback interface comes first.
pub(super) fn interfaces(found: &[GuestInterface]) -> Value {
    let loopback = (!found.iter().any(|i| i.name == "lo")).then(|| GuestInterface {
        name: "lo".into(),
        mac: "00:00:00:00:00:00".into(),
        addresses: vec![(IpAddr::from([127, 0, 0, 1]), 8)],
    });
    let rows = loopback.iter().chain(found).map(|interface| {
        let addresses = interface.addresses.iter().map(|(address, prefix)| {
            let kind = if address.is_ipv4() { "ipv4" } else { "ipv6" };
            json!({ "ip-address": address.to_string(), "ip-address-type": kind, "prefix": prefix })
        });
        json!({
            "name": interface.name, "hardware-address": interface.mac.to_ascii_lowercase(),
            "ip-addresses": addresses.collect::<Vec<_>>(),
            "statistics": { "rx-bytes": 0, "rx-packets": 0, "rx-errs": 0, "rx-dropped": 0,
                            "tx-bytes": 0, "tx-packets": 0, "tx-errs": 0, "tx-dropped": 0 },
        })
    });
    rows.collect()
}

/// What follows from the machine's hardware and image; `None` for a command that is no such question.
pub(super) fn about(
    px: &Proxmox,
    state: &State,
    vmid: u32,
    vm: &Vm,
    command: &str,
) -> Option<Value> {
    Some(match command {
        "get-host-name" => json!({ "host-name": vm.name(vmid) }),
        "get-osinfo" => os_info(label(state, vm)),
        "get-time" => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let nanoseconds = now.map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX));
            nanoseconds.into()
        }
        "get-timezone" => json!({ "zone": "UTC", "offset": 0 }),
        // Nobody logs in at the console.
        "get-users" => json!([]),
        "get-vcpus" => (0..vm.cpus(1))
            .map(|n| json!({ "logical-id": n, "online": true, "can-offline": n > 0 }))
            .collect(),
        "get-memory-block-info" => json!({ "size": MEMORY_BLOCK }),
        "get-memory-blocks" => (0..vm.memory().div_ceil(MEMORY_BLOCK))
            .map(|n| json!({ "phys-index": n, "online": true, "can-offline": true }))
            .collect(),
        "get-fsinfo" => file_systems(px, state, vm).into(),
        "fsfreeze-status" => {
            let frozen = vm.running.is_some_and(|running| running.frozen);
            if frozen {
                "frozen".into()
            } else {
                "thawed".into()
            }
        }
        "fstrim" => {
            let systems = file_systems(px, state, vm);
            let paths = systems
                .iter()
                .map(|fs| json!({ "path": fs["mountpoint"], "minimum": 0, "trimmed": 0 }));
            json!({ "paths": paths.collect::<Vec<_>>() })
        }
        _ => return None,
    })
}

/// The image from which the machine last booted.
fn label<'a>(state: &'a State, vm: &Vm) -> Option<&'a ImageLabel> {
    let volume = state.volume(&vm.node, vm.booted_from.as_deref()?)?;
    volume.label.as_ref()
}

fn os_info(label: Option<&ImageLabel>) -> Value {
    let (id, version) = label.map_or(("linux", ""), |l| (l.os.as_str(), l.version.as_str()));
    let mut letters = id.chars();
    let name: String = letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .chain(letters)
        .collect();
    let number = version.trim_start_matches('v');
    json!({
        "id": id, "name": name, "pretty-name": format!("{name} {version}").trim_end(), "version": version,
        "version-id": number, "kernel-release": "6.12.57", "kernel-version": "#1 SMP PREEMPT_DYNAMIC",
        "machine": "x86_64",
    })
}

/// One file system a disk; the first is the root.
pub(super) fn file_systems(px: &Proxmox, state: &State, vm: &Vm) -> Vec<Value> {
    let disks = px
        .disks(Kind::Qemu, &vm.config)
        .filter(|d| !d.is_cloudinit() && !["efidisk0", "tpmstate0"].contains(&d.key.as_str()));
    disks
        .enumerate()
        .filter_map(|(position, drive)| file_system(state, vm, position, &drive))
        .collect()
}

fn file_system(state: &State, vm: &Vm, position: usize, drive: &Drive) -> Option<Value> {
    let volume = state.volume(&vm.node, drive.volid()?)?;
    let (bus, unit) = crate::schema::numbered(&drive.key)?;
    let letter = char::from_u32(u32::from(b'a') + u32::try_from(position).ok()?)?;
    let mountpoint = match position {
        0 => "/".to_owned(),
        n => format!("/mnt/disk{n}"),
    };
    Some(json!({
        "name": format!("sd{letter}1"), "mountpoint": mountpoint, "type": "ext4", "total-bytes": volume.size,
        "used-bytes": volume.size / 4,
        "disk": [{
            "dev": format!("/dev/sd{letter}1"), "bus-type": bus, "bus": 0, "target": 0, "unit": unit,
            "serial": format!("drive-{}", drive.key),
            "pci-controller": { "domain": 0, "bus": 0, "slot": 5, "function": 0 },
        }],
    }))
}
