//! What concerns the whole cluster: options, pools, what exists, membership.

mod common;

use common::{Cluster, refused};
use serde_json::{Value, json};
use stead_lab_proxmox::Options;

#[tokio::test]
async fn options_are_normalized_and_followed() {
    let cluster = Cluster::new().await;
    let form = "next-id=upper%3D300,lower%3D200&mac_prefix=02:00&migration=network%3D10.0.0.0/24,type%3Dinsecure\
                &registered-tags=web%3Bdb&console=applet&max_workers=4&description=the+lab\
                &user-tag-access=user-allow%3Dlist,user-allow-list%3Dz%3Ba&bwlimit=clone%3D100";
    cluster.root("PUT", "/cluster/options", form).await.data();
    let cluster = cluster.restarted().await;
    let options = cluster.root("GET", "/cluster/options", "").await.data();
    let expected = json!({
        "keyboard": "en-us", "mac_prefix": "02:00", "console": "html5", "max_workers": "4", "description": "the lab",
        "next-id": { "lower": "200", "upper": "300" }, "bwlimit": "clone=100",
        "migration": { "type": "insecure", "network": "10.0.0.0/24" }, "registered-tags": ["db", "web"],
        "user-tag-access": { "user-allow": "list", "user-allow-list": ["a", "z"] },
        "allowed-tags": ["a", "db", "web", "z"],
    });
    assert_eq!(options, expected);
    assert_eq!(
        cluster.root("GET", "/cluster/nextid", "").await.data(),
        "200"
    );
    let form = "vmid=200&net0=virtio,bridge%3Dvmbr0";
    assert_eq!(cluster.task("POST", "/nodes/abel/qemu", form).await, "OK");
    let net = cluster.config(200).await["net0"]
        .as_str()
        .unwrap()
        .to_owned();
    let mac = net.split(['=', ',']).nth(1).unwrap();
    assert!(mac.starts_with("02:00:") && mac.len() == 17, "{net}");
    let wrong = "next-id=lower%3D300,upper%3D200";
    assert_eq!(
        refused(cluster.root("PUT", "/cluster/options", wrong).await).1,
        "lower (300) <= upper (200) boundary rule broken"
    );
    let full = "next-id=lower%3D200,upper%3D201&delete=mac_prefix,registered-tags,bwlimit";
    cluster.root("PUT", "/cluster/options", full).await.data();
    let options = cluster.root("GET", "/cluster/options", "").await.data();
    assert_eq!(options["mac_prefix"], "BC:24:11");
    assert_eq!(options.get("bwlimit"), None);
    assert_eq!(
        refused(cluster.root("GET", "/cluster/nextid", "").await).1,
        "unable to get any free VMID in range [200, 201]"
    );
}

#[tokio::test]
async fn who_may_not_audit_sees_few_options() {
    let cluster = Cluster::new().await;
    cluster
        .root("POST", "/access/users", "userid=alice@pve")
        .await
        .data();
    let path = "/access/users/alice@pve/token/t1";
    let token = cluster.root("POST", path, "privsep=0").await.data();
    let alice = format!(
        "PVEAPIToken=alice@pve!t1={}",
        token["value"].as_str().unwrap()
    );
    let options = cluster.call(&alice, "GET", "/cluster/options", "").await;
    assert_eq!(options.status, 403, "9.2 asks for Sys.Audit");
    let seen = cluster
        .call(&alice, "GET", "/cluster/resources", "")
        .await
        .data();
    let nodes: Vec<&Value> = seen
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["type"])
        .collect();
    assert_eq!(nodes, ["node", "node", "node"]);
    assert_eq!(seen[0].get("maxmem"), None, "figures are for auditors");
    assert_eq!(
        cluster.call(&alice, "GET", "/cluster/log", "").await.data(),
        json!([])
    );
}

#[tokio::test]
async fn pools_are_nested_hold_members_and_go_when_empty() {
    let cluster = Cluster::new().await;
    for form in [
        "poolid=team&comment=Ours",
        "poolid=team/web",
        "poolid=other",
    ] {
        cluster.root("POST", "/pools", form).await.data();
    }
    cluster
        .task("POST", "/nodes/abel/qemu", "vmid=100&name=m&memory=512")
        .await;
    cluster
        .root("PUT", "/pools/team", "vms=100&storage=local")
        .await
        .data();
    let read = cluster.root("GET", "/pools/team", "").await.data();
    assert_eq!(read["comment"], "Ours");
    let ids: Vec<&Value> = read["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| &m["id"])
        .collect();
    assert_eq!(ids, ["qemu/100", "storage/abel/local"]);
    let listed = cluster
        .root("GET", "/pools", "poolid=team&type=qemu")
        .await
        .data();
    assert_eq!(listed[0]["members"].as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["members"][0]["maxmem"], 512 << 20);

    let cases = [
        (
            "POST",
            "/pools",
            "poolid=team",
            "create pool failed: pool 'team' already exists",
        ),
        (
            "POST",
            "/pools",
            "poolid=none/web",
            "create pool failed: parent 'none' of pool 'none/web' does not exist",
        ),
        (
            "POST",
            "/pools",
            "poolid=1st",
            "create pool failed: pool name must start with a letter",
        ),
        (
            "PUT",
            "/pools/team",
            "vms=100",
            "update pools failed: VM 100 is already a pool member",
        ),
        (
            "PUT",
            "/pools/other",
            "vms=100",
            "update pools failed: VM 100 belongs already to pool 'team' and 'allow-move' is not set",
        ),
        (
            "PUT",
            "/pools/other",
            "vms=100&delete=1",
            "update pools failed: VM 100 is not a pool member",
        ),
        (
            "PUT",
            "/pools/none",
            "comment=x",
            "update pools failed: pool 'none' does not exist",
        ),
        (
            "DELETE",
            "/pools/team",
            "",
            "delete pool failed: pool 'team' is not empty (contains pool 'team/web')",
        ),
        (
            "DELETE",
            "/pools/none",
            "",
            "delete pool failed: pool 'none' does not exist",
        ),
    ];
    for (verb, path, form, text) in cases {
        assert_eq!(
            refused(cluster.root(verb, path, form).await).1,
            text,
            "{path} {form}"
        );
    }
    cluster
        .root("PUT", "/pools", "poolid=team/web&vms=100&allow-move=1")
        .await
        .data();
    let nested = cluster
        .root("GET", "/pools", "poolid=team/web")
        .await
        .data();
    assert_eq!(nested[0]["members"][0]["vmid"], 100);
    assert_eq!(
        refused(cluster.root("DELETE", "/pools", "poolid=team/web").await).1,
        "delete pool failed: pool 'team/web' is not empty (contains VM 100)"
    );
    cluster
        .root("PUT", "/pools", "poolid=team/web&vms=100&delete=1")
        .await
        .data();
    cluster
        .root("DELETE", "/pools", "poolid=team/web")
        .await
        .data();
    cluster
        .root("PUT", "/pools/team", "storage=local&delete=1")
        .await
        .data();
    cluster.root("DELETE", "/pools/team", "").await.data();
    let left = cluster.root("GET", "/pools", "").await.data();
    assert_eq!(left, json!([{ "poolid": "other" }]));
}

#[tokio::test]
async fn the_cluster_says_who_is_in_it_and_what_is_not_installed() {
    let cluster = Cluster::new().await;
    let join = cluster.root("GET", "/cluster/config/join", "").await.data();
    assert_eq!(join["preferred_node"], "abel");
    assert_eq!(join["nodelist"].as_array().unwrap().len(), 3);
    assert_eq!(join["totem"]["cluster_name"], "homelab");
    let cases = [
        (
            "GET",
            "/cluster/config/join",
            "node=zeno",
            "unknown node 'zeno'",
        ),
        (
            "GET",
            "/cluster/ceph/status",
            "",
            "binary not installed: /usr/bin/ceph-mon",
        ),
    ];
    for (verb, path, form, text) in cases {
        assert_eq!(
            refused(cluster.root(verb, path, form).await).1,
            text,
            "{path} {form}"
        );
    }
    let versions = cluster
        .root("GET", "/cluster/ceph/metadata", "scope=versions")
        .await;
    assert_eq!(versions.data(), json!({}));
    let upid = cluster
        .root("POST", "/nodes/abel/qemu", "vmid=100")
        .await
        .data();
    assert_eq!(cluster.wait(&upid).await, "OK");
    let log = cluster.root("GET", "/cluster/log", "max=1").await.data();
    let text = log[0]["msg"].as_str().unwrap();
    assert_eq!(text, format!("end task {} OK", upid.as_str().unwrap()));
    assert_eq!(Options::default().name, "homelab");
}

#[tokio::test]
async fn acme_accounts_and_plugins_are_kept() {
    let cluster = Cluster::new().await;
    let accounts = "/cluster/acme/account";
    let ticket = cluster.login("root@pam", Options::ROOT_PASSWORD).await;
    let terms = cluster.root("GET", "/cluster/acme/tos", "").await.data();
    let form = format!(
        "name=home&contact=a@home.arpa,b@home.arpa&tos_url={}",
        terms.as_str().unwrap()
    );
    assert_eq!(ticket.task("POST", accounts, &form).await, "OK");
    let one = "/cluster/acme/account/home";
    let cluster = cluster.restarted().await;
    let ticket = cluster.login("root@pam", Options::ROOT_PASSWORD).await;
    let read = ticket.call("GET", one, "").await.data();
    assert_eq!(
        read["account"]["contact"],
        json!(["mailto:a@home.arpa", "mailto:b@home.arpa"])
    );
    assert!(read["location"].as_str().unwrap().contains("/acme/acct/"));
    assert_eq!(ticket.task("PUT", one, "contact=c@home.arpa").await, "OK");
    let read = ticket.call("GET", one, "").await.data();
    assert_eq!(read["account"]["contact"], json!(["mailto:c@home.arpa"]));
    assert_eq!(
        ticket
            .task("POST", accounts, "name=other&contact=a@b.cd")
            .await,
        "Registration failed: must agree to terms of service"
    );
    assert_eq!(
        refused(ticket.call("POST", accounts, &form).await).1,
        r#"{"name":"ACME account config file 'home' already exists."}"#
    );
    assert_eq!(ticket.task("DELETE", one, "").await, "OK");
    let left = cluster.root("GET", accounts, "").await.data();
    assert_eq!(left, json!([{ "name": "_deactivated_home_0" }]));
    assert_eq!(
        cluster.root("POST", accounts, &form).await.status,
        403,
        "for root in person only"
    );

    let plugins = "/cluster/acme/plugins";
    let form = "id=dns1&type=dns&api=cf&data=Q0ZfVG9rZW49eA%3D%3D&validation-delay=60";
    cluster.root("POST", plugins, form).await.data();
    let read = cluster
        .root("GET", "/cluster/acme/plugins/dns1", "")
        .await
        .data();
    assert_eq!(
        (
            &read["plugin"],
            &read["data"],
            &read["validation-delay"],
            read.get("id")
        ),
        (&json!("dns1"), &json!("CF_Token=x"), &json!(60), None)
    );
    let listed = cluster.root("GET", plugins, "type=standalone").await.data();
    assert_eq!(listed[0]["plugin"], "standalone");
    cluster
        .root(
            "PUT",
            "/cluster/acme/plugins/dns1",
            "api=aws&delete=validation-delay",
        )
        .await
        .data();
    let cases = [
        (
            "POST",
            plugins,
            form,
            "ACME plugin ID 'dns1' already exists",
        ),
        (
            "POST",
            plugins,
            "id=dns2&type=dns",
            "missing value for required option 'api'",
        ),
        (
            "POST",
            plugins,
            "id=alone&type=standalone&data=eA%3D%3D",
            "unexpected property 'data'",
        ),
        (
            "GET",
            "/cluster/acme/plugins/none",
            "",
            "ACME plugin 'none' not defined",
        ),
        (
            "GET",
            "/cluster/acme/meta",
            "directory=https%3A%2F%2Fca.home.arpa",
            "Error: GET to https://ca.home.arpa failed: could not connect",
        ),
    ];
    for (verb, path, form, text) in cases {
        assert_eq!(
            refused(cluster.root(verb, path, form).await).1,
            text,
            "{path} {form}"
        );
    }
    cluster
        .root("DELETE", "/cluster/acme/plugins/dns1", "")
        .await
        .data();
    let schema = cluster
        .root("GET", "/cluster/acme/challenge-schema", "")
        .await
        .data();
    let cloudflare = schema
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["id"] == "cf")
        .unwrap();
    assert_eq!(cloudflare["schema"]["fields"]["CF_Token"]["type"], "string");
}

#[tokio::test]
async fn cpu_models_of_one_s_own_are_named_with_or_without_their_prefix() {
    let cluster = Cluster::new().await;
    let list = "/cluster/qemu/custom-cpu-models";
    let form = "cputype=fast&reported-model=host&flags=%2Baes;-pcid&hidden=1";
    cluster.root("POST", list, form).await.data();
    let read = cluster
        .root("GET", "/cluster/qemu/custom-cpu-models/custom-fast", "")
        .await
        .data();
    assert_eq!(
        (&read["cputype"], &read["flags"], &read["hidden"]),
        (&json!("custom-fast"), &json!("+aes;-pcid"), &json!(1))
    );
    assert_eq!(
        refused(
            cluster
                .root("POST", list, "cputype=custom-fast&reported-model=host")
                .await
        )
        .1,
        "custom CPU model 'fast' already exists"
    );
    let change = "reported-model=EPYC&delete=flags";
    cluster
        .root("PUT", "/cluster/qemu/custom-cpu-models/fast", change)
        .await
        .data();
    cluster
        .root("DELETE", "/cluster/qemu/custom-cpu-models/custom-fast", "")
        .await
        .data();
    assert_eq!(cluster.root("GET", list, "").await.data(), json!([]));
}

#[tokio::test]
async fn many_guests_are_started_and_shut_down_by_one_task() {
    let cluster = Cluster::new().await;
    for id in [100, 101, 102] {
        let form = format!("vmid={id}&memory=512&startup=order%3D{}", 200 - id);
        assert_eq!(cluster.task("POST", "/nodes/abel/qemu", &form).await, "OK");
    }
    let started = |ids: &'static [u32]| {
        let cluster = &cluster;
        async move {
            let rows = cluster
                .root("GET", "/cluster/resources", "type=vm")
                .await
                .data();
            let rows = rows.as_array().unwrap().clone();
            let running = rows.iter().filter(|row| row["status"] == "running");
            let running: Vec<u64> = running.map(|row| row["vmid"].as_u64().unwrap()).collect();
            assert_eq!(
                running,
                ids.iter().map(|id| u64::from(*id)).collect::<Vec<_>>()
            );
        }
    };
    let bulk = "/cluster/bulk-action/guest";
    let form = "vms=100&vms=102";
    assert_eq!(
        cluster.task("POST", &format!("{bulk}/start"), form).await,
        "OK"
    );
    started(&[100, 102]).await;
    let exit = cluster.task("POST", &format!("{bulk}/start"), "").await;
    assert_eq!(exit, "WARNINGS: 2", "two of them run already");
    started(&[100, 101, 102]).await;
    let shutdown = format!("{bulk}/shutdown");
    assert_eq!(
        cluster
            .task("POST", &shutdown, "vms=101&force-stop=1&timeout=1")
            .await,
        "OK"
    );
    started(&[100, 102]).await;
}

#[tokio::test]
async fn what_is_measured_can_be_exported() {
    let cluster = Cluster::new().await;
    cluster
        .task("POST", "/nodes/abel/qemu", "vmid=100&memory=512")
        .await;
    let form = "node-list=abel";
    let all = cluster
        .root("GET", "/cluster/metrics/export", form)
        .await
        .data();
    let rows = all["data"].as_array().unwrap();
    let memory = rows
        .iter()
        .find(|row| row["id"] == "qemu/100" && row["metric"] == "mem_total");
    assert_eq!(memory.unwrap()["value"], 512 << 20);
    assert!(rows.iter().any(|row| row["id"] == "node/abel"));
    assert!(rows.iter().all(|row| row["id"] != "node/cantor"));
}
