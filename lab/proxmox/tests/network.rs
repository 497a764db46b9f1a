//! A node's interfaces: what waits, what it takes to be written, and what a reload makes of it.

mod common;

use common::Cluster;
use serde_json::{Value, json};

const NETWORK: &str = "/nodes/abel/network";

async fn read(cluster: &Cluster, name: &str) -> Value {
    cluster
        .root("GET", &format!("{NETWORK}/{name}"), "")
        .await
        .data()
}

#[tokio::test]
async fn a_new_bridge_waits_for_the_reload() {
    let cluster = Cluster::new().await;
    let before = cluster.root("GET", NETWORK, "").await;
    assert!(before.body.get("changes").is_none(), "{}", before.body);
    let form = "iface=vmbr7&type=bridge&cidr=10.7.0.1%2F24&bridge_ports=enp2s0&bridge_vlan_aware=1&autostart=1\
                &comments=lab%0Aonly&mtu=1500";
    cluster.root("POST", NETWORK, form).await.data();
    let bridge = read(&cluster, "vmbr7").await;
    let expected = json!({
        "type": "bridge", "method": "static", "method6": "manual", "families": ["inet"], "address": "10.7.0.1",
        "netmask": "24", "cidr": "10.7.0.1/24", "bridge_ports": "enp2s0", "bridge_stp": "off", "bridge_fd": "0",
        "bridge_vlan_aware": 1, "bridge_vids": "2-4094", "autostart": 1, "comments": "lab\nonly\n", "mtu": "1500",
        "priority": bridge["priority"],
    });
    assert_eq!(bridge, expected, "not active before the reload");
    let waiting = cluster.root("GET", NETWORK, "").await;
    let changes = waiting.body["changes"].as_str().unwrap();
    assert!(changes.contains("+iface vmbr7 inet static\n"), "{changes}");
    assert!(changes.contains("+\taddress 10.7.0.1/24\n"), "{changes}");

    assert_eq!(cluster.task("PUT", NETWORK, "").await, "OK");
    assert_eq!(read(&cluster, "vmbr7").await["active"], 1);
    let after = cluster.root("GET", NETWORK, "").await;
    assert!(after.body.get("changes").is_none());

    cluster
        .root("DELETE", &format!("{NETWORK}/vmbr7"), "")
        .await
        .data();
    cluster.root("DELETE", NETWORK, "").await.data();
    assert_eq!(read(&cluster, "vmbr7").await["active"], 1, "reverted");
    let again = cluster.restarted().await;
    assert_eq!(
        read(&again, "vmbr7").await["address"],
        "10.7.0.1",
        "kept on the disk"
    );
}

#[tokio::test]
async fn what_cannot_be_written_is_refused() {
    let cluster = Cluster::new().await;
    let parameters = [
        (
            "iface=vmbr0&type=bridge",
            "iface",
            "interface already exists",
        ),
        (
            "iface=vmbr1&type=bridge&cidr=10.1.0.1%2F24&gateway=10.1.0.2",
            "gateway",
            "Default gateway already exists on interface 'vmbr0'.",
        ),
        (
            "iface=vmbr1&type=bridge&bridge_ports=enp1s0",
            "bridge_ports",
            "enp1s0 is already used on interface 'vmbr0'.",
        ),
        (
            "iface=vmbr1&type=bridge&cidr=10.1.0.1%2F24&address=10.1.0.1&netmask=255.255.255.0",
            "address",
            "address conflicts with cidr",
        ),
        (
            "iface=port0&type=OVSIntPort",
            "ovs_bridge",
            "parameter is required",
        ),
        (
            "iface=port0&type=OVSIntPort&ovs_bridge=vmbr0",
            "ovs_bridge",
            "interface 'vmbr0' is no OVS bridge",
        ),
    ];
    for (form, name, text) in parameters {
        let answer = cluster.root("POST", NETWORK, form).await;
        assert_eq!(
            (answer.status, &answer.body["errors"][name]),
            (400, &json!(text)),
            "{form}"
        );
    }
    let failures = [
        (
            "iface=vmbr1&type=bridge&bridge_ports=enp9s0",
            "bridge 'vmbr1' - unable to find bridge port 'enp9s0'",
        ),
        (
            "iface=bond0&type=bond&slaves=enp2s0 vmbr0",
            "bond 'bond0' - wrong interface type on slave 'vmbr0' ('bridge' != 'eth or bond')",
        ),
        (
            "iface=bond0&type=bond&slaves=enp9s0",
            "bond 'bond0' - unable to find slave 'enp9s0'",
        ),
        (
            "iface=enp9s0.20&type=vlan",
            "vlan 'enp9s0.20' - unable to find parent 'enp9s0'",
        ),
        (
            "iface=enp2s0.4095&type=vlan",
            "vlan 'enp2s0.4095' - vlan-id 4095 should be <= 4094",
        ),
        (
            "iface=vmbr0.20&type=vlan&mtu=9000",
            "interface 'vmbr0' - mtu 1500 is lower than 'vmbr0.20' - mtu 9000",
        ),
    ];
    for (form, text) in failures {
        let answer = cluster.root("POST", NETWORK, form).await;
        assert_eq!(
            (answer.status, answer.reason.as_str()),
            (500, text),
            "{form}"
        );
    }
    assert!(
        cluster
            .root("GET", NETWORK, "")
            .await
            .body
            .get("changes")
            .is_none()
    );
    let missing = cluster
        .root("PUT", &format!("{NETWORK}/vmbr5"), "type=bridge")
        .await;
    assert_eq!(missing.body["errors"]["iface"], "interface does not exist");
}

#[tokio::test]
async fn bonds_vlans_and_open_vswitch_are_normalised() {
    let cluster = Cluster::new().await;
    for form in [
        "iface=bond0&type=bond&slaves=enp3s0%20enp2s0&bond_mode=active-backup&bond-primary=enp2s0&bond_xmit_hash_policy=layer2",
        "iface=bond0.30&type=vlan&cidr6=fd00%3A%3A1%2F64&autostart=1",
        "iface=vlan40&type=vlan&vlan-raw-device=bond0&cidr=10.4.0.1%2F16",
        "iface=vlan_lab&type=vlan&vlan-raw-device=bond0&vlan-id=50",
    ] {
        cluster.root("POST", NETWORK, form).await.data();
    }
    let bond = read(&cluster, "bond0").await;
    assert_eq!(
        (&bond["type"], &bond["slaves"], &bond["bond-primary"]),
        (&json!("bond"), &json!("enp2s0 enp3s0"), &json!("enp2s0"))
    );
    assert_eq!(
        (&bond["bond_miimon"], bond.get("bond_xmit_hash_policy")),
        (&json!("100"), None)
    );
    assert_eq!(
        read(&cluster, "enp2s0").await["autostart"],
        1,
        "started with its bond"
    );
    let dotted = read(&cluster, "bond0.30").await;
    assert_eq!(
        (&dotted["vlan-raw-device"], &dotted["vlan-id"]),
        (&json!("bond0"), &json!("30"))
    );
    assert_eq!(
        (&dotted["families"], &dotted["method6"], &dotted["method"]),
        (&json!(["inet6"]), &json!("static"), &json!("manual"))
    );
    let named = read(&cluster, "vlan40").await;
    assert_eq!(
        (&named["vlan-id"], &named["cidr"]),
        (&json!("40"), &json!("10.4.0.1/16"))
    );
    assert_eq!(read(&cluster, "vlan_lab").await["vlan-id"], "50");
    // A change without an address leaves the block without its method.
    let path = format!("{NETWORK}/vlan40");
    cluster
        .root("PUT", &path, "type=vlan&vlan-raw-device=bond0&delete=cidr")
        .await
        .data();
    let bare = read(&cluster, "vlan40").await;
    assert_eq!(
        (&bare["method"], bare.get("cidr"), bare.get("address")),
        (&json!("manual"), None, None)
    );

    cluster.root("DELETE", NETWORK, "").await.data();
    cluster
        .root(
            "POST",
            NETWORK,
            "iface=vmbr9&type=OVSBridge&ovs_ports=enp2s0&autostart=1",
        )
        .await
        .data();
    cluster
        .root(
            "POST",
            NETWORK,
            "iface=mgmt0&type=OVSIntPort&ovs_bridge=vmbr9&ovs_tag=5",
        )
        .await
        .data();
    assert_eq!(read(&cluster, "vmbr9").await["ovs_ports"], "enp2s0 mgmt0");
    assert_eq!(read(&cluster, "enp2s0").await["type"], "OVSPort");
    let port = read(&cluster, "mgmt0").await;
    assert_eq!(
        (&port["type"], &port["ovs_tag"], &port["ovs_bridge"]),
        (&json!("OVSIntPort"), &json!("5"), &json!("vmbr9"))
    );
    cluster
        .root("DELETE", &format!("{NETWORK}/mgmt0"), "")
        .await
        .data();
    assert_eq!(read(&cluster, "vmbr9").await["ovs_ports"], "enp2s0");
}

#[tokio::test]
async fn a_machine_needs_a_bridge_that_runs() {
    let cluster = Cluster::new().await;
    let form = "vmid=100&net0=virtio%2Cbridge%3Dvmbr5";
    assert_eq!(cluster.task("POST", "/nodes/abel/qemu", form).await, "OK");
    let start = || cluster.task("POST", "/nodes/abel/qemu/100/status/start", "");
    assert_eq!(start().await, "bridge 'vmbr5' does not exist");
    cluster
        .root("POST", NETWORK, "iface=vmbr5&type=bridge&autostart=1")
        .await
        .data();
    assert_eq!(start().await, "bridge 'vmbr5' does not exist", "it waits");
    cluster.task("PUT", NETWORK, "").await;
    assert_eq!(start().await, "OK");
}
