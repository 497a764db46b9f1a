//! Software-defined networking.

use serde_json::{Value as Json, json};
use stead_meeting::Life;

/// Its nodes change, its name does not, and somebody else gives it another maximum of a packet.
fn zone(type_name: &'static str, config: Json) -> Life {
    let id = config["id"].as_str().unwrap_or_default().to_owned();
    Life::of(type_name, config)
        .changes(json!({ "nodes": ["abel", "cantor"], "mtu": 1400 }))
        .is_replaced_by(json!({ "id": "other" }))
        .drifts("PUT", format!("/cluster/sdn/zones/{id}"), "mtu=1300", "mtu")
        .imports(id, &[])
}

pub(crate) fn lives() -> Vec<Life> {
    let simple = json!({ "id": "lan" });
    let vnet = json!({ "id": "dmz", "zone": "lan" });
    vec![
        zone("proxmox_sdn_zone_simple", json!({ "id": "lan", "ipam": "pve" })),
        zone("proxmox_sdn_zone_vlan", json!({ "id": "vl", "bridge": "vmbr0" })),
        zone("proxmox_sdn_zone_qinq", json!({ "id": "qq", "bridge": "vmbr0", "service_vlan": 100 })),
        zone("proxmox_sdn_zone_vxlan", json!({ "id": "vx", "peers": ["10.25.150.101", "10.25.150.102"] })),
        zone("proxmox_sdn_zone_evpn", json!({ "id": "ev", "controller": "main", "vrf_vxlan": 4000 }))
            .after("proxmox_sdn_controller_evpn", json!({ "id": "main", "asn": 65000, "peers": ["10.25.150.101"] })),
        Life::of("proxmox_sdn_controller_evpn", json!({ "id": "main", "asn": 65000, "peers": ["10.25.150.101"] }))
            .changes(json!({ "peers": ["10.25.150.101", "10.25.150.102"] }))
            .is_replaced_by(json!({ "id": "other" }))
            .drifts("PUT", "/cluster/sdn/controllers/main", "asn=65001", "asn")
            .imports("main", &[]),
        Life::of("proxmox_sdn_vnet", vnet.clone())
            .after("proxmox_sdn_zone_simple", simple.clone())
            .changes(json!({ "alias": "guests", "isolate_ports": true }))
            .is_replaced_by(json!({ "id": "other" }))
            .drifts("PUT", "/cluster/sdn/vnets/dmz", "alias=mine", "alias")
            .imports("dmz", &[]),
        Life::of("proxmox_sdn_subnet", json!({ "vnet": "dmz", "cidr": "192.168.7.0/24", "gateway": "192.168.7.1" }))
            .after("proxmox_sdn_zone_simple", simple)
            .after("proxmox_sdn_vnet", vnet)
            .changes(json!({ "snat": true, "dhcp_range": { "start_address": "192.168.7.10", "end_address": "192.168.7.20" } }))
            .is_replaced_by(json!({ "cidr": "192.168.8.0/24", "gateway": "192.168.8.1" }))
            .drifts("PUT", "/cluster/sdn/vnets/dmz/subnets/lan-192.168.7.0-24", "gateway=192.168.7.254", "gateway")
            .imports("dmz/lan-192.168.7.0-24", &[]),
        Life::of("proxmox_sdn_fabric_openfabric", json!({ "id": "of", "ip_prefix": "10.1.0.0/16" }))
            .changes(json!({ "hello_interval": 3 }))
            .is_replaced_by(json!({ "id": "other" }))
            .drifts("PUT", "/cluster/sdn/fabrics/fabric/of", "protocol=openfabric&hello_interval=5", "hello_interval")
            .imports("of", &[]),
        Life::of("proxmox_sdn_fabric_ospf", json!({ "id": "os", "area": "0", "ip_prefix": "10.2.0.0/16" }))
            .changes(json!({ "area": "1" }))
            .is_replaced_by(json!({ "id": "other" }))
            .drifts("PUT", "/cluster/sdn/fabrics/fabric/os", "protocol=ospf&area=7", "area")
            .imports("os", &[]),
        Life::of("proxmox_sdn_fabric_node_openfabric", json!({ "fabric_id": "of", "node_id": "abel", "ip": "10.1.0.1", "interface_names": ["eno1"] }))
            .after("proxmox_sdn_fabric_openfabric", json!({ "id": "of", "ip_prefix": "10.1.0.0/16" }))
            .changes(json!({ "ip": "10.1.0.2" }))
            .is_replaced_by(json!({ "node_id": "cantor" }))
            .imports("of/abel", &[]),
        Life::of("proxmox_sdn_fabric_node_ospf", json!({ "fabric_id": "os", "node_id": "abel", "ip": "10.2.0.1", "interface_names": ["eno1"] }))
            .after("proxmox_sdn_fabric_ospf", json!({ "id": "os", "area": "0", "ip_prefix": "10.2.0.0/16" }))
            .changes(json!({ "ip": "10.2.0.2" }))
            .is_replaced_by(json!({ "node_id": "cantor" }))
            .imports("os/abel", &[]),
        Life::of("proxmox_sdn_applier", json!({})).is_replaced_by(json!({ "on_destroy": false })).stays(),
    ]
}
