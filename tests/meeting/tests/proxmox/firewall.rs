//! Firewalls, at the levels where they are.

use serde_json::{Value as Json, json};
use stead_meeting::Life;

const VM: &str = "proxmox_virtual_environment_vm";

fn machine() -> Json {
    json!({ "node_name": "abel", "vm_id": 100, "name": "web", "started": false })
}

fn rule(port: &str) -> Json {
    json!({ "type": "in", "action": "ACCEPT", "proto": "tcp", "dport": port, "comment": "for all" })
}

pub(crate) fn lives() -> Vec<Life> {
    vec![
        Life::of("proxmox_virtual_environment_cluster_firewall", json!({ "enabled": false, "input_policy": "ACCEPT" }))
            .changes(json!({ "input_policy": "DROP", "log_ratelimit": [{ "burst": 10, "rate": "5/second" }] }))
            .drifts("PUT", "/cluster/firewall/options", "policy_in=REJECT", "input_policy")
            .stays(),
        Life::of("proxmox_virtual_environment_cluster_firewall_security_group", json!({ "name": "web", "comment": "servers", "rule": [rule("443")] }))
            .changes(json!({ "comment": "all servers", "rule": [rule("80"), rule("443")] }))
            .drifts("POST", "/cluster/firewall/groups/web", "type=in&action=DROP&enable=1", "rule")
            .imports("web", &[]),
        Life::of("proxmox_virtual_environment_firewall_alias", json!({ "name": "nas", "cidr": "10.25.150.20", "comment": "files" }))
            .changes(json!({ "cidr": "10.25.150.21" }))
            .drifts("PUT", "/cluster/firewall/aliases/nas", "cidr=10.25.150.22&comment=files", "cidr"),
        Life::of("proxmox_virtual_environment_firewall_ipset", json!({ "name": "local", "comment": "ours", "cidr": [{ "name": "10.25.150.0/24" }] }))
            .drifts("POST", "/cluster/firewall/ipset/local", "cidr=10.25.151.0/24", "cidr")
            .imports("cluster/local", &[]),
        Life::of("proxmox_virtual_environment_firewall_options", json!({ "node_name": "abel", "vm_id": 100, "enabled": true, "dhcp": true }))
            .after(VM, machine())
            .changes(json!({ "input_policy": "ACCEPT", "log_level_in": "info" }))
            .drifts("PUT", "/nodes/abel/qemu/100/firewall/options", "enable=0", "enabled")
            .imports("vm/abel/100", &[])
            .stays(),
        Life::of("proxmox_virtual_environment_firewall_rules", json!({ "node_name": "abel", "vm_id": 100, "rule": [rule("22"), rule("443")] }))
            .after(VM, machine())
            .changes(json!({ "rule": [rule("443"), rule("8080"), rule("22")] }))
            .drifts("POST", "/nodes/abel/qemu/100/firewall/rules", "type=in&action=DROP&enable=1", "rule")
            .imports("vm/abel/100", &[])
        // Without rules there is nothing to tell a guest whose rules nobody manages from one that has none.
        .stays(),
    ]
}
