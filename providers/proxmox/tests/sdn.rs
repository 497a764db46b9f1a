//! Software-defined networking: its objects through their lives.

mod fake;
mod life;

use fake::Fake;
use life::{Life, provider};
use serde_json::json;

#[tokio::test]
async fn zones() {
    let zones = [
        (
            "simple",
            json!({ "id": "z1", "dhcp": "dnsmasq", "ipam": "pve" }),
            "dhcp=dnsmasq&ipam=pve&type=simple&zone=z1",
            json!({ "id": "z1", "ipam": "pve", "nodes": ["a"] }),
            "delete=dhcp&nodes=a",
        ),
        (
            "vlan",
            json!({ "id": "z1", "bridge": "vmbr0", "mtu": 1450 }),
            "bridge=vmbr0&mtu=1450&type=vlan&zone=z1",
            json!({ "id": "z1", "bridge": "vmbr1", "dns": "d", "dns_zone": "x.y", "reverse_dns": "d" }),
            "bridge=vmbr1&dns=d&dnszone=x.y&reversedns=d",
        ),
        (
            "qinq",
            json!({ "id": "z1", "bridge": "vmbr0", "service_vlan": 7 }),
            "bridge=vmbr0&tag=7&type=qinq&vlan-protocol=802.1q&zone=z1",
            json!({ "id": "z1", "bridge": "vmbr0", "service_vlan": 7, "service_vlan_protocol": "802.1ad" }),
            "vlan-protocol=802.1ad",
        ),
        (
            "vxlan",
            json!({ "id": "z1", "peers": ["10.0.0.2", "10.0.0.1"] }),
            "peers=10.0.0.1,10.0.0.2&type=vxlan&zone=z1",
            json!({ "id": "z1", "peers": ["10.0.0.1"] }),
            "peers=10.0.0.1",
        ),
        (
            "evpn",
            json!({ "id": "z1", "controller": "c", "vrf_vxlan": 100, "exit_nodes": ["a"], "rt_import": "65000:1" }),
            "advertise-subnets=0&controller=c&disable-arp-nd-suppression=0&exitnodes=a&exitnodes-local-routing=0\
             &rt-import=65000:1&type=evpn&vrf-vxlan=100&zone=z1",
            json!({ "id": "z1", "controller": "c", "vrf_vxlan": 100, "exit_nodes": ["a"], "primary_exit_node": "a" }),
            "delete=rt-import&exitnodes-primary=a",
        ),
    ];
    for (kind, made, sent, changed, sent_then) in zones {
        for prefix in ["proxmox_sdn_zone", "proxmox_virtual_environment_sdn_zone"] {
            let life = Life {
                type_name: &format!("{prefix}_{kind}"),
                at: "/cluster/sdn/zones/z1",
                id: "z1",
                made: made.clone(),
                sent,
                changed: changed.clone(),
                sent_then,
                drift: ("mtu", "9000", "mtu"),
                unknown_to_import: &[],
            };
            life.run().await;
        }
    }
}

#[tokio::test]
async fn networks() {
    let life = Life {
        type_name: "proxmox_sdn_vnet",
        at: "/cluster/sdn/vnets/net",
        id: "net",
        made: json!({ "id": "net", "zone": "z1", "tag": 5, "vlan_aware": false, "alias": "main" }),
        sent: "alias=main&tag=5&vlanaware=0&vnet=net&zone=z1",
        changed: json!({ "id": "net", "zone": "z2", "vlan_aware": true }),
        sent_then: "delete=alias,tag&vlanaware=1&zone=z2",
        drift: ("isolate-ports", "1", "isolate_ports"),
        unknown_to_import: &[],
    };
    life.run().await;
}

#[tokio::test]
async fn controllers() {
    let life = Life {
        type_name: "proxmox_sdn_controller_evpn",
        at: "/cluster/sdn/controllers/evpn1",
        id: "evpn1",
        made: json!({ "id": "evpn1", "asn": 65000, "peers": ["10.0.0.1", "10.0.0.2"] }),
        sent: "asn=65000&controller=evpn1&peers=10.0.0.1,10.0.0.2&type=evpn",
        changed: json!({ "id": "evpn1", "asn": 65000, "fabric": "fab" }),
        sent_then: "delete=peers&fabric=fab",
        drift: ("asn", "65001", "asn"),
        unknown_to_import: &[],
    };
    life.run().await;
}

#[tokio::test]
async fn fabrics_and_their_nodes() {
    let open = Life {
        type_name: "proxmox_sdn_fabric_openfabric",
        at: "/cluster/sdn/fabrics/fabric/fab",
        id: "fab",
        made: json!({ "id": "fab", "ip_prefix": "10.0.0.0/24", "hello_interval": 3 }),
        sent: "hello_interval=3&id=fab&ip_prefix=10.0.0.0/24&protocol=openfabric",
        changed: json!({ "id": "fab", "ip6_prefix": "fd00::/64", "hello_interval": 3 }),
        sent_then: "delete=ip_prefix&ip6_prefix=fd00::/64&protocol=openfabric",
        drift: ("csnp_interval", "9", "csnp_interval"),
        unknown_to_import: &[],
    };
    open.run().await;
    let ospf = Life {
        type_name: "proxmox_virtual_environment_sdn_fabric_ospf",
        at: "/cluster/sdn/fabrics/fabric/fab",
        id: "fab",
        made: json!({ "id": "fab", "ip_prefix": "10.0.0.0/24", "area": "0" }),
        sent: "area=0&id=fab&ip_prefix=10.0.0.0/24&protocol=ospf",
        changed: json!({ "id": "fab", "ip_prefix": "10.0.0.0/24", "area": "1" }),
        sent_then: "area=1&protocol=ospf",
        drift: ("area", "2", "area"),
        unknown_to_import: &[],
    };
    ospf.run().await;
    let node = Life {
        type_name: "proxmox_sdn_fabric_node_openfabric",
        at: "/cluster/sdn/fabrics/node/fab/a",
        id: "fab/a",
        made: json!({ "fabric_id": "fab", "node_id": "a", "interface_names": ["eth1"], "ip": "10.0.0.1" }),
        sent: "interfaces=name=eth1&ip=10.0.0.1&node_id=a&protocol=openfabric",
        changed: json!({ "fabric_id": "fab", "node_id": "a", "interface_names": ["eth2"], "ip6": "fd00::1" }),
        sent_then: "delete=ip&interfaces=name=eth2&ip6=fd00::1&protocol=openfabric",
        drift: ("ip6", "fd00::2", "ip6"),
        unknown_to_import: &[],
    };
    node.run().await;
    let node = Life {
        type_name: "proxmox_sdn_fabric_node_ospf",
        at: "/cluster/sdn/fabrics/node/fab/a",
        id: "fab/a",
        made: json!({ "fabric_id": "fab", "node_id": "a", "interface_names": ["eth1"], "ip": "10.0.0.1" }),
        sent: "interfaces=name=eth1&ip=10.0.0.1&node_id=a&protocol=ospf",
        changed: json!({ "fabric_id": "fab", "node_id": "a", "interface_names": ["eth1"], "ip": "10.0.0.2" }),
        sent_then: "ip=10.0.0.2&protocol=ospf",
        drift: ("ip", "10.0.0.3", "ip"),
        unknown_to_import: &[],
    };
    node.run().await;
}

#[tokio::test]
async fn a_subnet_is_found_by_its_address_and_has_the_name_that_the_server_gave_it() {
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    let name = "proxmox_sdn_subnet";
    let config = json!({ "vnet": "net", "cidr": "10.0.0.0/24", "gateway": "10.0.0.1",
        "dhcp_range": { "start_address": "10.0.0.10", "end_address": "10.0.0.20" } });
    let made = proxmox.apply(name, None, config.clone()).await.unwrap();
    assert_eq!(made.text("id"), "zone-10.0.0.0-24");
    let sent = &fake.changes("POST", "/cluster/sdn/vnets/net/subnets")[0];
    assert_eq!(sent["subnet"], "10.0.0.0/24");
    assert_eq!(sent["type"], "subnet");
    assert_eq!(
        sent["dhcp-range"],
        "end-address=10.0.0.20,start-address=10.0.0.10"
    );

    let read = proxmox.read(name, &made).await.unwrap().unwrap();
    let same = proxmox.config(name, config.clone()).unwrap();
    let plan = proxmox.plan(name, Some(&read), &same).await.unwrap();
    assert_eq!(plan.planned, read.value);

    let imported = proxmox.import(name, "net/zone-10.0.0.0-24").await.unwrap();
    let imported = proxmox.read(name, &imported).await.unwrap().unwrap();
    assert_eq!(imported.value, read.value);

    let found = proxmox
        .data(name, json!({ "vnet": "net", "cidr": "10.0.0.0/24" }))
        .await
        .unwrap();
    assert_eq!(found.get("gateway").unwrap().as_str(), Some("10.0.0.1"));
    assert_eq!(found.get("id").unwrap().as_str(), Some("zone-10.0.0.0-24"));

    let without = json!({ "vnet": "net", "cidr": "10.0.0.0/24", "snat": true });
    let changed = proxmox.apply(name, Some(&read), without).await.unwrap();
    let sent = &fake.changes("PUT", "/cluster/sdn/vnets/net/subnets/zone-10.0.0.0-24")[0];
    assert_eq!(
        (sent["delete"].as_str(), sent["snat"].as_str()),
        ("dhcp-range,gateway", "1")
    );
    proxmox.delete(name, &changed).await.unwrap();
    assert!(proxmox.read(name, &changed).await.unwrap().is_none());
}

#[tokio::test]
async fn addresses_outside_a_subnet_are_refused_before_anything_is_made() {
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    let config = json!({ "vnet": "net", "cidr": "10.0.0.0/24", "gateway": "10.0.1.1",
        "dhcp_range": { "start_address": "10.0.0.20", "end_address": "10.0.0.10" } });
    let refused = proxmox
        .apply("proxmox_sdn_subnet", None, config)
        .await
        .unwrap_err();
    let refused = format!("{refused:?}");
    assert!(
        refused.contains("10.0.1.1, which is not an address of 10.0.0.0/24"),
        "{refused}"
    );
    assert!(refused.contains("begins at 10.0.0.20"), "{refused}");
    assert!(fake.state.lock().unwrap().changes.is_empty());
}

#[tokio::test]
async fn zones_and_networks_are_listed() {
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    for (kind, config) in [
        ("vlan", json!({ "id": "zb", "bridge": "vmbr0" })),
        ("simple", json!({ "id": "za" })),
    ] {
        let name = format!("proxmox_sdn_zone_{kind}");
        proxmox.apply(&name, None, config).await.unwrap();
    }
    let names = |list: &stead_sdk::value::Value, of: &str| -> Vec<String> {
        let rows = list.get(of).unwrap();
        let rows = rows.as_sequence().unwrap().iter();
        rows.map(|row| row.get("id").unwrap().as_str().unwrap().to_owned())
            .collect()
    };
    let all = proxmox.data("proxmox_sdn_zones", json!({})).await.unwrap();
    assert_eq!(names(&all, "zones"), ["za", "zb"]);
    let some = proxmox
        .data("proxmox_sdn_zones", json!({ "type": "vlan" }))
        .await
        .unwrap();
    assert_eq!(names(&some, "zones"), ["zb"]);
    let network = json!({ "id": "net", "zone": "za" });
    proxmox
        .apply("proxmox_sdn_vnet", None, network)
        .await
        .unwrap();
    let networks = proxmox.data("proxmox_sdn_vnets", json!({})).await.unwrap();
    assert_eq!(names(&networks, "vnets"), ["net"]);
    let one = proxmox
        .data("proxmox_sdn_zone_vlan", json!({ "id": "zb" }))
        .await
        .unwrap();
    assert_eq!(one.get("bridge").unwrap().as_str(), Some("vmbr0"));
}

#[tokio::test]
async fn the_applier_applies_when_it_is_made_and_when_it_is_destroyed() {
    for (on_create, on_destroy) in [(true, true), (false, true), (true, false)] {
        let fake = Fake::start().await;
        let proxmox = provider(&fake).await;
        let applied = || fake.changes("PUT", "/cluster/sdn").len();
        let config = json!({ "on_create": on_create, "on_destroy": on_destroy });
        let made = proxmox
            .apply("proxmox_sdn_applier", None, config)
            .await
            .unwrap();
        assert_eq!(applied(), usize::from(on_create));
        proxmox.delete("proxmox_sdn_applier", &made).await.unwrap();
        assert_eq!(applied(), usize::from(on_create) + usize::from(on_destroy));
    }
}
