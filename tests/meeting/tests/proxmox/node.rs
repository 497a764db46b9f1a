//! What belongs to a node.

use serde_json::json;
use stead_meeting::Life;

/// A certificate for a name, and its key.
fn certificate(name: &str) -> (String, String) {
    let signed = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
    (signed.cert.pem(), signed.signing_key.serialize_pem())
}

/// As a value of a form.
fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b if b.is_ascii_alphanumeric() || b == b'-' => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    };
    text.bytes().map(encode).collect()
}

fn own_certificate() -> Life {
    let (first, second, theirs) = (
        certificate("abel.lab.lan"),
        certificate("abel.home.lan"),
        certificate("mine.lan"),
    );
    let form = format!(
        "certificates={}&key={}&force=1",
        encoded(&theirs.0),
        encoded(&theirs.1)
    );
    Life::of(
        "proxmox_virtual_environment_certificate",
        json!({ "node_name": "abel", "certificate": first.0, "private_key": first.1 }),
    )
    .changes(json!({ "certificate": second.0, "private_key": second.1 }))
    .is_replaced_by(json!({ "node_name": "cantor" }))
    .drifts(
        "POST",
        "/nodes/abel/certificates/custom",
        form,
        "ssl_fingerprint",
    )
}

pub(crate) fn lives() -> Vec<Life> {
    vec![
        own_certificate(),
        Life::of("proxmox_apt_repository", json!({ "node": "abel", "file_path": "/etc/apt/sources.list.d/debian.sources", "index": 0, "enabled": true }))
            .changes(json!({ "enabled": false }))
            .is_replaced_by(json!({ "index": 1 }))
            .drifts("POST", "/nodes/abel/apt/repositories", "path=%2Fetc%2Fapt%2Fsources.list.d%2Fdebian.sources&index=0&enabled=1", "enabled")
            .imports("abel,/etc/apt/sources.list.d/debian.sources,0", &[])
            .stays(),
        Life::of("proxmox_network_linux_bridge", json!({ "node_name": "abel", "name": "vmbr9", "address": "10.9.0.1/24", "comment": "lab" }))
            .changes(json!({ "comment": "trials", "mtu": 1400 }))
            .is_replaced_by(json!({ "name": "vmbr8" }))
            .drifts("PUT", "/nodes/abel/network/vmbr9", "type=bridge&autostart=1&comments=mine", "comment")
            .imports("abel:vmbr9", &["timeout_reload"]),
        Life::of("proxmox_network_linux_vlan", json!({ "node_name": "abel", "name": "vmbr0.9" }))
            .changes(json!({ "comment": "trials" }))
            .is_replaced_by(json!({ "name": "vmbr0.8" }))
            .imports("abel:vmbr0.9", &["timeout_reload"]),
        Life::of("proxmox_network_linux_bond", json!({ "node_name": "abel", "name": "bond0", "slaves": ["enp2s0"], "bond_mode": "active-backup" }))
            .changes(json!({ "comment": "both ports" }))
            .is_replaced_by(json!({ "name": "bond1" }))
            .imports("abel:bond0", &["timeout_reload"]),
        Life::of("proxmox_node_config", json!({ "node_name": "abel", "description": "in the cellar" }))
            .changes(json!({ "description": "in the attic" }))
            .is_replaced_by(json!({ "node_name": "cantor" }))
            .drifts("PUT", "/nodes/abel/config", "description=mine", "description")
            .imports("abel", &[])
            .stays(),
        Life::of("proxmox_node_disk_zfs", json!({ "node_name": "abel", "name": "tank", "raidlevel": "single", "devices": ["/dev/sdb"], "cleanup_disks": true }))
            .is_replaced_by(json!({ "name": "pond" }))
            .imports("abel/tank", &["devices", "raidlevel", "cleanup_disks"]),
        Life::of("proxmox_apt_standard_repository", json!({ "node": "abel", "handle": "no-subscription" }))
            .is_replaced_by(json!({ "handle": "test" }))
            .imports("abel,no-subscription", &[])
            .stays(),
        Life::of("proxmox_virtual_environment_dns", json!({ "node_name": "abel", "domain": "lab.lan", "servers": ["10.25.150.1"] }))
            .changes(json!({ "servers": ["10.25.150.1", "10.25.150.2"] }))
            .is_replaced_by(json!({ "node_name": "cantor" }))
            .drifts("PUT", "/nodes/abel/dns", "search=mine.lan&dns1=10.25.150.1", "domain")
            .imports("abel", &[])
            .stays(),
        Life::of("proxmox_virtual_environment_time", json!({ "node_name": "abel", "time_zone": "Europe/Berlin" }))
            .changes(json!({ "time_zone": "Europe/Rome" }))
            .is_replaced_by(json!({ "node_name": "cantor" }))
            .drifts("PUT", "/nodes/abel/time", "timezone=UTC", "time_zone")
            .imports("abel", &["local_time", "utc_time"])
            .stays(),
        Life::of("proxmox_virtual_environment_hosts", json!({ "node_name": "abel", "entry": [{ "address": "127.0.0.1", "hostnames": ["localhost"] }, { "address": "10.25.150.101", "hostnames": ["abel.lab.lan", "abel"] }] }))
            .changes(json!({ "entry": [{ "address": "127.0.0.1", "hostnames": ["localhost"] }, { "address": "10.25.150.101", "hostnames": ["abel"] }] }))
            .imports("abel", &[])
            .stays(),
        Life::of("proxmox_node_firewall", json!({ "node_name": "abel", "enabled": false }))
            .changes(json!({ "enabled": true, "ndp": false }))
            .is_replaced_by(json!({ "node_name": "cantor" }))
            .drifts("PUT", "/nodes/abel/firewall/options", "enable=0", "enabled")
            .imports("abel", &[])
            .stays(),
    ]
}
