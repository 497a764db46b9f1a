//! SDN: pending until applied, refused where it makes no sense, usable by machines afterwards.

mod common;

use common::Cluster;
use serde_json::{Value, json};

const SDN: &str = "/cluster/sdn";

async fn get(cluster: &Cluster, path: &str, query: &str) -> Value {
    cluster
        .root("GET", &format!("{SDN}{path}"), query)
        .await
        .data()
}

async fn post(cluster: &Cluster, path: &str, form: &str) {
    cluster
        .root("POST", &format!("{SDN}{path}"), form)
        .await
        .data();
}

/// The status line, and what the body says in the end.
async fn refused(cluster: &Cluster, verb: &str, path: &str, form: &str) -> String {
    let answer = cluster.root(verb, &format!("{SDN}{path}"), form).await;
    assert_eq!(answer.status, 500, "{}", answer.reason);
    answer.body["message"]
        .as_str()
        .unwrap()
        .trim_end()
        .to_owned()
}

/// Applies, and waits for the nodes.
async fn apply(cluster: &Cluster) {
    assert_eq!(cluster.task("PUT", SDN, "").await, "OK");
    for node in ["abel", "cantor", "euclid"] {
        let path = format!("/nodes/{node}/tasks");
        loop {
            let active = cluster.root("GET", &path, "source=active").await.data();
            if active == json!([]) {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn what_is_configured_is_pending_until_it_is_applied() {
    let cluster = Cluster::new().await;
    post(
        &cluster,
        "/zones",
        "type=simple&zone=lab&mtu=1450&nodes=abel",
    )
    .await;
    post(&cluster, "/vnets", "vnet=net1&zone=lab&alias=one").await;
    let zone = get(&cluster, "/zones/lab", "pending=1").await;
    let expected = json!({
        "zone": "lab", "type": "simple", "state": "new", "digest": null, "pending": { "mtu": 1450, "nodes": "abel" },
    });
    assert_eq!(zone, expected);
    assert_eq!(get(&cluster, "/zones", "running=1").await, json!([]));
    apply(&cluster).await;
    let zone = get(&cluster, "/zones/lab", "pending=1").await;
    assert_eq!(
        (&zone["mtu"], zone.get("state"), zone.get("pending")),
        (&json!(1450), None, None)
    );
    cluster
        .root("PUT", &format!("{SDN}/zones/lab"), "delete=mtu&ipam=pve")
        .await
        .data();
    let zone = get(&cluster, "/zones/lab", "pending=1").await;
    assert_eq!(
        (&zone["state"], &zone["pending"]),
        (
            &json!("changed"),
            &json!({ "mtu": "deleted", "ipam": "pve" })
        )
    );
    assert_eq!(get(&cluster, "/zones/lab", "running=1").await["mtu"], 1450);
    cluster
        .root("DELETE", &format!("{SDN}/vnets/net1"), "")
        .await
        .data();
    assert_eq!(
        get(&cluster, "/vnets/net1", "pending=1").await["state"],
        "deleted"
    );
    post(&cluster, "/rollback", "").await;
    assert_eq!(get(&cluster, "/vnets/net1", "").await["alias"], "one");
    assert_eq!(get(&cluster, "/zones/lab", "").await["mtu"], 1450);
    let cluster = cluster.restarted().await;
    assert_eq!(
        get(&cluster, "/vnets", "running=1").await[0]["vnet"],
        "net1"
    );
}

#[tokio::test]
async fn objects_that_make_no_sense_are_refused() {
    let cluster = Cluster::new().await;
    post(&cluster, "/zones", "type=vlan&zone=vz&bridge=vmbr0").await;
    post(
        &cluster,
        "/zones",
        "type=simple&zone=sz&ipam=pve&dhcp=dnsmasq",
    )
    .await;
    post(&cluster, "/vnets", "vnet=v10&zone=vz&tag=10").await;
    post(&cluster, "/vnets", "vnet=s1&zone=sz").await;
    let parameter = |what: &str, name: &str, text: &str| {
        format!("{what} failed: 400 Parameter verification failed.\n{name}: {text}")
    };
    let vnet = "create sdn vnet object";
    let cases = [
        (
            "/zones",
            "type=vlan&zone=vz&bridge=vmbr0",
            "create sdn zone object failed: sdn zone object ID 'vz' already defined".to_owned(),
        ),
        (
            "/zones",
            "type=vlan&zone=vv",
            "missing value for required option 'bridge'".into(),
        ),
        (
            "/zones",
            "type=simple&zone=vv&bridge=vmbr0",
            "unexpected property 'bridge'".into(),
        ),
        (
            "/zones",
            "type=simple&zone=vv&ipam=none",
            parameter("create sdn zone object", "ipam", "none not existing"),
        ),
        (
            "/zones",
            "type=vxlan&zone=vv",
            parameter(
                "create sdn zone object",
                "peers",
                "must have exactly one of peers / fabric defined",
            ),
        ),
        (
            "/zones",
            "type=evpn&zone=vv&vrf-vxlan=1&controller=c1",
            "create sdn zone object failed: controller c1 don't exist".into(),
        ),
        (
            "/vnets",
            "vnet=v11&zone=vz",
            parameter(vnet, "tag", "missing vlan tag"),
        ),
        (
            "/vnets",
            "vnet=v11&zone=vz&tag=10",
            parameter(vnet, "tag", "tag 10 already exist in vnet v10"),
        ),
        (
            "/vnets",
            "vnet=s2&zone=sz&tag=5",
            parameter(vnet, "tag", "vlan tag is not allowed on simple zone"),
        ),
        (
            "/vnets/s1/subnets",
            "type=subnet&subnet=10.9.0.0%2F24&gateway=10.8.0.1",
            parameter(
                "create sdn subnet object",
                "gateway",
                "10.8.0.1 is not in subnet 10.9.0.0/24",
            ),
        ),
        (
            "/vnets/s1/subnets",
            "type=subnet&subnet=10.9.0.0%2F24&dhcp-range=start-address%3D10.9.0.9%2Cend-address%3D10.9.0.5",
            parameter(
                "create sdn subnet object",
                "dhcp-range",
                "start-address 10.9.0.9 must be smaller than end-address 10.9.0.5",
            ),
        ),
    ];
    for (path, form, text) in cases {
        assert_eq!(refused(&cluster, "POST", path, form).await, text, "{form}");
    }
    assert_eq!(
        refused(&cluster, "DELETE", "/zones/vz", "").await,
        "delete sdn zone object failed: zone vz is used by vnet v10"
    );
    assert_eq!(
        refused(&cluster, "GET", "/zones/none", "").await,
        "sdn 'none' does not exist"
    );
    assert_eq!(
        refused(&cluster, "GET", "/vnets/none", "").await,
        "sdn vnet 'none' does not exist"
    );
}

#[tokio::test]
async fn subnets_have_their_networks_name_and_keep_their_network_busy() {
    let cluster = Cluster::new().await;
    post(
        &cluster,
        "/zones",
        "type=simple&zone=sz&ipam=pve&dhcp=dnsmasq",
    )
    .await;
    post(&cluster, "/vnets", "vnet=s1&zone=sz").await;
    let form = "type=subnet&subnet=10.9.0.0%2F24&gateway=10.9.0.1&snat=1\
                &dhcp-range=start-address%3D10.9.0.10%2Cend-address%3D10.9.0.20";
    post(&cluster, "/vnets/s1/subnets", form).await;
    let subnet = get(&cluster, "/vnets/s1/subnets/sz-10.9.0.0-24", "").await;
    let expected = json!({
        "subnet": "sz-10.9.0.0-24", "id": "sz-10.9.0.0-24", "type": "subnet", "vnet": "s1", "zone": "sz", "cidr": "10.9.0.0/24",
        "network": "10.9.0.0", "mask": "24", "gateway": "10.9.0.1", "snat": 1, "digest": subnet["digest"],
        "dhcp-range": [{ "start-address": "10.9.0.10", "end-address": "10.9.0.20" }],
    });
    assert_eq!(subnet, expected);
    let twice = refused(&cluster, "POST", "/vnets/s1/subnets", form).await;
    assert_eq!(
        twice,
        "create sdn subnet object failed: sdn subnet object ID 'sz-10.9.0.0-24' already defined"
    );
    let busy = refused(&cluster, "DELETE", "/vnets/s1", "").await;
    assert!(
        busy.ends_with("vnet: Can't delete vnet if subnets exists"),
        "{busy}"
    );
    cluster
        .root(
            "PUT",
            &format!("{SDN}/vnets/s1/subnets/sz-10.9.0.0-24"),
            "delete=snat&gateway=10.9.0.2",
        )
        .await
        .data();
    let leases = get(&cluster, "/ipams/pve/status", "").await;
    assert_eq!(
        (&leases[0]["ip"], &leases[0]["gateway"], &leases[0]["vnet"]),
        (&json!("10.9.0.2"), &json!(1), &json!("s1"))
    );
    let ips = "/vnets/s1/ips";
    post(
        &cluster,
        ips,
        "zone=sz&ip=10.9.0.50&mac=BC%3A24%3A11%3A00%3A00%3A01",
    )
    .await;
    assert_eq!(
        refused(&cluster, "POST", ips, "zone=sz&ip=10.9.0.50").await,
        "IP '10.9.0.50' already exist in IPAM DB"
    );
    cluster
        .root(
            "DELETE",
            &format!("{SDN}/vnets/s1/subnets/sz-10.9.0.0-24"),
            "",
        )
        .await
        .data();
    cluster
        .root("DELETE", &format!("{SDN}/vnets/s1"), "")
        .await
        .data();
    assert_eq!(get(&cluster, "/vnets", "").await, json!([]));
}

#[tokio::test]
async fn a_lock_keeps_others_out() {
    let cluster = Cluster::new().await;
    let token = cluster
        .root("POST", &format!("{SDN}/lock"), "")
        .await
        .data();
    let token = token.as_str().unwrap();
    let form = "type=simple&zone=lab";
    assert_eq!(
        refused(&cluster, "POST", "/zones", form).await,
        "create sdn zone object failed: invalid lock token provided!"
    );
    assert_eq!(
        refused(&cluster, "PUT", "", "").await,
        "could not commit SDN config: invalid lock token provided!"
    );
    post(&cluster, "/zones", &format!("{form}&lock-token={token}")).await;
    let second = refused(&cluster, "POST", "/lock", "").await;
    assert_eq!(
        second,
        "could not acquire lock for SDN config: invalid lock token provided!"
    );
    assert_eq!(
        cluster
            .task("PUT", SDN, &format!("lock-token={token}"))
            .await,
        "OK"
    );
    post(&cluster, "/zones", "type=simple&zone=free").await;
    let pending = refused(&cluster, "POST", "/lock", "").await;
    assert_eq!(
        pending,
        "could not acquire lock for SDN config: configuration has pending changes"
    );
}

#[tokio::test]
async fn machines_use_what_was_applied_with_the_right_of_its_zone() {
    let cluster = Cluster::new().await;
    post(&cluster, "/zones", "type=simple&zone=lab").await;
    post(&cluster, "/vnets", "vnet=net1&zone=lab").await;
    cluster
        .task(
            "POST",
            "/nodes/abel/qemu",
            "vmid=100&net0=virtio%2Cbridge%3Dnet1",
        )
        .await;
    let start = || cluster.task("POST", "/nodes/abel/qemu/100/status/start", "");
    assert_eq!(start().await, "bridge 'net1' does not exist");
    apply(&cluster).await;
    assert_eq!(start().await, "OK");
    let nodes = cluster
        .root("GET", "/nodes/abel/sdn/zones", "")
        .await
        .data();
    assert_eq!(nodes, json!([{ "zone": "lab", "status": "available" }]));
    let content = cluster
        .root("GET", "/nodes/abel/sdn/zones/lab/content", "")
        .await
        .data();
    assert_eq!(content[0]["vnet"], "net1");
    let bridges = cluster
        .root("GET", "/nodes/abel/sdn/zones/lab/bridges", "")
        .await
        .data();
    assert_eq!(bridges[0]["ports"][0]["vmid"], 100);
    let listed = cluster
        .root("GET", "/nodes/abel/network", "type=any_bridge")
        .await
        .data();
    let names: Vec<&Value> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["iface"])
        .collect();
    assert_eq!(names, ["vmbr0", "net1"]);

    cluster
        .root("POST", "/access/users", "userid=alice%40pve")
        .await
        .data();
    cluster
        .root("POST", "/access/users/alice%40pve/token/t1", "privsep=0")
        .await
        .data();
    let token = cluster
        .root("POST", "/access/users/alice%40pve/token/u1", "privsep=0")
        .await
        .data();
    let alice = format!(
        "PVEAPIToken={}={}",
        token["full-tokenid"].as_str().unwrap(),
        token["value"].as_str().unwrap()
    );
    for (path, role) in [
        ("/vms", "PVEVMAdmin"),
        ("/sdn/zones/localnetwork", "PVESDNUser"),
    ] {
        let form = format!("path={path}&roles={role}&users=alice%40pve");
        cluster.root("PUT", "/access/acl", &form).await.data();
    }
    let create = |id: u32| format!("vmid={id}&net0=virtio%2Cbridge%3Dnet1");
    let denied = cluster
        .call(&alice, "POST", "/nodes/abel/qemu", &create(101))
        .await;
    assert_eq!(
        denied.reason,
        "Permission check failed (/sdn/zones/lab/net1, SDN.Use)"
    );
    cluster
        .root(
            "PUT",
            "/access/acl",
            "path=/sdn/zones/lab&roles=PVESDNUser&users=alice%40pve",
        )
        .await
        .data();
    let made = cluster
        .call(&alice, "POST", "/nodes/abel/qemu", &create(101))
        .await
        .data();
    assert_eq!(cluster.wait(&made).await, "OK");
    let seen = cluster
        .call(&alice, "GET", "/cluster/sdn/zones", "")
        .await
        .data();
    assert_eq!(seen.as_array().unwrap().len(), 1, "{seen}");
}

#[tokio::test]
async fn fabrics_join_nodes_of_their_protocol_and_range() {
    let cluster = Cluster::new().await;
    post(
        &cluster,
        "/fabrics/fabric",
        "id=f1&protocol=openfabric&ip_prefix=10.50.0.0%2F24&hello_interval=3",
    )
    .await;
    let node = "/fabrics/node/f1";
    post(
        &cluster,
        node,
        "node_id=abel&protocol=openfabric&ip=10.50.0.1&interfaces=name%3Denp2s0",
    )
    .await;
    let fabric = get(&cluster, "/fabrics/fabric/f1", "").await;
    assert_eq!(
        (
            &fabric["id"],
            &fabric["protocol"],
            &fabric["hello_interval"]
        ),
        (&json!("f1"), &json!("openfabric"), &json!(3))
    );
    let alone = get(&cluster, "/fabrics/fabric/f1", "pending=1").await;
    assert_eq!(alone, fabric, "one by itself knows no views");
    let member = get(&cluster, "/fabrics/node/f1/abel", "").await;
    assert_eq!(
        (
            &member["node_id"],
            &member["fabric_id"],
            &member["interfaces"]
        ),
        (&json!("abel"), &json!("f1"), &json!(["name=enp2s0"]))
    );
    let cases = [
        (
            "/fabrics/fabric",
            "id=f1&protocol=ospf&area=0",
            "adding fabric failed: fabric 'f1' already exists in config",
        ),
        (
            "/fabrics/fabric",
            "id=f2&protocol=openfabric&ip_prefix=10.50.0.128%2F25",
            "adding fabric failed: IP prefix 10.50.0.128/25 in fabric 'f2' overlaps with IPv4 prefix 10.50.0.0/24 in fabric 'f1'",
        ),
        (
            node,
            "node_id=cantor&protocol=ospf&ip=10.50.0.2",
            "adding node failed: node has a different protocol than the referenced fabric",
        ),
        (
            node,
            "node_id=cantor&protocol=openfabric&ip=10.51.0.2",
            "adding node failed: node IP 10.51.0.2 is outside the IP prefix 10.50.0.0/24 of the fabric",
        ),
        (
            node,
            "node_id=cantor&protocol=openfabric&ip=10.50.0.1",
            "adding node failed: fabric f1 contains nodes with duplicated IPs",
        ),
    ];
    for (path, form, text) in cases {
        assert_eq!(refused(&cluster, "POST", path, form).await, text, "{form}");
    }
    post(&cluster, "/zones", "type=vxlan&zone=vx&fabric=f1").await;
    let used = refused(&cluster, "DELETE", "/fabrics/fabric/f1", "").await;
    assert_eq!(
        used,
        "deleting fabric failed: this fabric is still used in the VXLAN zone \"vx\""
    );
    cluster
        .root(
            "PUT",
            &format!("{SDN}/fabrics/fabric/f1"),
            "protocol=openfabric&delete=hello_interval",
        )
        .await
        .data();
    let all = get(&cluster, "/fabrics/all", "pending=1").await;
    assert_eq!(
        (&all["fabrics"][0]["state"], &all["nodes"][0]["state"]),
        (&json!("new"), &json!("new"))
    );
    assert_eq!(all["fabrics"][0]["pending"].get("hello_interval"), None);
    cluster
        .root("DELETE", &format!("{SDN}/zones/vx"), "")
        .await
        .data();
    cluster
        .root("DELETE", &format!("{SDN}/fabrics/fabric/f1"), "")
        .await
        .data();
    assert_eq!(
        get(&cluster, "/fabrics/all", "").await,
        json!({ "fabrics": [], "nodes": [] })
    );
}

#[tokio::test]
async fn route_policies_are_lists_of_entries() {
    let cluster = Cluster::new().await;
    post(
        &cluster,
        "/prefix-lists",
        "id=lan&entries=action%3Dpermit%2Cprefix%3D10.0.0.0%2F8%2Cseq%3D5",
    )
    .await;
    post(
        &cluster,
        "/prefix-lists/lan/entries",
        "action=deny&prefix=192.168.0.0%2F16&le=24",
    )
    .await;
    let entries = get(&cluster, "/prefix-lists/lan/entries", "").await;
    assert_eq!(
        entries[1],
        json!({ "action": "deny", "prefix": "192.168.0.0/16", "seq": 10, "le": 24 })
    );
    cluster
        .root(
            "PUT",
            &format!("{SDN}/prefix-lists/lan/entries/10"),
            "action=permit&delete=le",
        )
        .await
        .data();
    assert_eq!(
        get(&cluster, "/prefix-lists/lan/entries/10", "").await,
        json!({ "action": "permit", "prefix": "192.168.0.0/16", "seq": 10 })
    );
    cluster
        .root("DELETE", &format!("{SDN}/prefix-lists/lan/entries/5"), "")
        .await
        .data();
    assert_eq!(
        get(&cluster, "/prefix-lists/lan/entries", "")
            .await
            .as_array()
            .unwrap()
            .len(),
        1
    );

    for order in [10, 20] {
        post(
            &cluster,
            "/route-maps/entries",
            &format!("route-map-id=out&order={order}&action=permit"),
        )
        .await;
    }
    assert_eq!(
        get(&cluster, "/route-maps", "").await,
        json!([{ "id": "out" }])
    );
    let one = "/route-maps/entries/out/entry/20";
    assert_eq!(get(&cluster, one, "").await["order"], 20);
    cluster
        .root("DELETE", &format!("{SDN}{one}"), "")
        .await
        .data();
    assert_eq!(
        get(&cluster, "/route-maps/entries/out", "")
            .await
            .as_array()
            .unwrap()
            .len(),
        1
    );
}
