//! What belongs to one node, through its life.

mod fake;
mod life;

use std::collections::BTreeMap;

use fake::Fake;
use life::{Life, provider};
use serde_json::{Value as Json, json};
use stead_sdk::testing::{Harness, Stored};

fn set(fake: &Fake, at: &str, name: &str, value: &str) {
    let mut state = fake.state.lock().unwrap();
    let object = state.objects.0.entry(at.into()).or_default();
    object.insert(name.into(), vec![value.into()]);
}

async fn is_unchanged(proxmox: &Harness, name: &str, object: &Stored, config: &Json) {
    let read = proxmox.read(name, object).await.unwrap().unwrap();
    let config = proxmox.config(name, config.clone()).unwrap();
    let plan = proxmox.plan(name, Some(&read), &config).await.unwrap();
    assert_eq!(plan.planned, read.value, "{name}");
}

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    owned.collect()
}

#[tokio::test]
async fn interfaces() {
    let bridge = Life {
        type_name: "proxmox_network_linux_bridge",
        at: "/nodes/pve/network/vmbr9",
        id: "pve:vmbr9",
        made: json!({ "node_name": "pve", "name": "vmbr9", "address": "10.0.0.1/24", "ports": ["eno2", "eno1"], "comment": "lab" }),
        sent: "autostart=1&bridge_ports=eno2 eno1&cidr=10.0.0.1/24&comments=lab&iface=vmbr9&type=bridge",
        changed: json!({ "node_name": "pve", "name": "vmbr9", "ports": ["eno2", "eno1"], "vlan_aware": true, "vids": "2-100" }),
        sent_then: "bridge_vids=2-100&bridge_vlan_aware=1&delete=cidr,comments&type=bridge",
        drift: ("comments", "somebody\n", "comment"),
        unknown_to_import: &[],
    };
    bridge.run().await;
    let bond = Life {
        type_name: "proxmox_network_linux_bond",
        at: "/nodes/pve/network/bond0",
        id: "pve:bond0",
        made: json!({ "node_name": "pve", "name": "bond0", "slaves": ["eno1", "eno2"], "bond_mode": "802.3ad", "autostart": false }),
        sent: "autostart=0&bond_mode=802.3ad&iface=bond0&slaves=eno1 eno2&type=bond",
        changed: json!({ "node_name": "pve", "name": "bond0", "slaves": ["eno1", "eno2"], "bond_mode": "802.3ad",
            "bond_xmit_hash_policy": "layer3+4" }),
        sent_then: "autostart=1&bond_xmit_hash_policy=layer3+4&type=bond",
        drift: ("mtu", "9000", "mtu"),
        unknown_to_import: &[],
    };
    bond.run().await;
    let vlan = Life {
        type_name: "proxmox_virtual_environment_network_linux_vlan",
        at: "/nodes/pve/network/vlan5",
        id: "pve:vlan5",
        made: json!({ "node_name": "pve", "name": "vlan5", "interface": "eno1", "vlan": 5 }),
        sent: "autostart=1&iface=vlan5&type=vlan&vlan-id=5&vlan-raw-device=eno1",
        changed: json!({ "node_name": "pve", "name": "vlan5", "interface": "eno1", "vlan": 6, "mtu": 1400 }),
        sent_then: "mtu=1400&type=vlan&vlan-id=6",
        drift: ("vlan-id", "7", "vlan"),
        unknown_to_import: &[],
    };
    vlan.run().await;
}

#[tokio::test]
async fn every_change_of_an_interface_loads_the_network_and_nothing_else_does() {
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    let name = "proxmox_network_linux_bridge";
    let loads = || fake.changes("PUT", "/nodes/pve/network").len();
    let config = |more: Json| {
        let mut config = json!({ "node_name": "pve", "name": "vmbr9" });
        config
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        config
    };
    let made = proxmox.apply(name, None, config(json!({}))).await.unwrap();
    assert_eq!(loads(), 1);
    let slower = config(json!({ "timeout_reload": 200 }));
    let same = proxmox.apply(name, Some(&made), slower).await.unwrap();
    assert_eq!(loads(), 1);
    let changed = proxmox
        .apply(name, Some(&same), config(json!({ "mtu": 9000 })))
        .await
        .unwrap();
    assert_eq!(loads(), 2);
    proxmox.delete(name, &changed).await.unwrap();
    assert_eq!(loads(), 3);
    assert!(proxmox.read(name, &changed).await.unwrap().is_none());
    proxmox.delete(name, &changed).await.unwrap();
    assert_eq!(loads(), 3);
}

#[tokio::test]
async fn a_network_that_does_not_load_leaves_the_interface_in_the_state() {
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    let name = "proxmox_network_linux_bridge";
    fake.state
        .lock()
        .unwrap()
        .failures
        .push("command 'ifreload -a' failed: exit code 1".into());
    let config = json!({ "node_name": "pve", "name": "vmbr9" });
    let failed = proxmox.apply(name, None, config).await.unwrap_err();
    assert!(format!("{failed:?}").contains("exit code 1"), "{failed:?}");
    assert!(failed.kept.is_some());
}

#[tokio::test]
async fn vlans_of_a_bridge_need_one_that_knows_of_them_and_go_with_it() {
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    let name = "proxmox_network_linux_bridge";
    let config = |aware: bool, vids: Option<&str>| json!({ "node_name": "pve", "name": "vmbr9", "vlan_aware": aware, "vids": vids });
    let refused = proxmox
        .apply(name, None, config(false, Some("2")))
        .await
        .unwrap_err();
    assert!(
        format!("{refused:?}").contains("vlan_aware = true"),
        "{refused:?}"
    );
    let made = proxmox
        .apply(name, None, config(true, Some("2-9")))
        .await
        .unwrap();
    let without = proxmox.config(name, config(true, None)).unwrap();
    let plan = proxmox.plan(name, Some(&made), &without).await.unwrap();
    assert_eq!(plan.planned.get("vids").unwrap().as_str(), Some("2-9"));
    let plain = proxmox.config(name, config(false, None)).unwrap();
    let plan = proxmox.plan(name, Some(&made), &plain).await.unwrap();
    assert!(plan.planned.get("vids").unwrap().is_null());
}

#[tokio::test]
async fn notes() {
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    let name = "proxmox_node_config";
    let config = json!({ "node_name": "pve", "description": "# Rack 1" });
    let made = proxmox.apply(name, None, config.clone()).await.unwrap();
    assert_eq!(made.text("id"), "pve");
    // The server ends it with a line break.
    set(&fake, "/nodes/pve/config", "description", "# Rack 1\n");
    is_unchanged(&proxmox, name, &made, &config).await;
    let found = proxmox
        .data(name, json!({ "node_name": "pve" }))
        .await
        .unwrap();
    assert_eq!(found.get("description").unwrap().as_str(), Some("# Rack 1"));
    proxmox.delete(name, &made).await.unwrap();
    assert_eq!(
        fake.changes("PUT", "/nodes/pve/config")[1],
        pairs(&[("delete", "description")])
    );
}

#[tokio::test]
async fn name_servers() {
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    let name = "proxmox_virtual_environment_dns";
    let config =
        json!({ "node_name": "pve", "domain": "lab", "servers": ["10.0.0.1", "10.0.0.2"] });
    let made = proxmox.apply(name, None, config.clone()).await.unwrap();
    assert_eq!(made.text("id"), "pve_dns");
    is_unchanged(&proxmox, name, &made, &config).await;
    let fewer = json!({ "node_name": "pve", "domain": "lab", "servers": ["10.0.0.2"] });
    let changed = proxmox
        .apply(name, Some(&made), fewer.clone())
        .await
        .unwrap();
    let sent = fake.changes("PUT", "/nodes/pve/dns");
    assert_eq!(
        sent[0],
        pairs(&[
            ("search", "lab"),
            ("dns1", "10.0.0.1"),
            ("dns2", "10.0.0.2")
        ])
    );
    assert_eq!(sent[1], pairs(&[("search", "lab"), ("dns1", "10.0.0.2")]));
    is_unchanged(&proxmox, name, &changed, &fewer).await;
    let imported = proxmox.import(name, "pve").await.unwrap();
    let imported = proxmox.read(name, &imported).await.unwrap().unwrap();
    assert_eq!(imported.value, changed.value);
    let found = proxmox
        .data(name, json!({ "node_name": "pve" }))
        .await
        .unwrap();
    assert_eq!(found.get("domain").unwrap().as_str(), Some("lab"));
    proxmox.delete(name, &changed).await.unwrap();
    assert_eq!(fake.changes("PUT", "/nodes/pve/dns").len(), 2);
}

#[tokio::test]
async fn hosts() {
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    let name = "proxmox_virtual_environment_hosts";
    let config = json!({ "node_name": "pve", "entry": [
        { "address": "127.0.0.1", "hostnames": ["localhost"] },
        { "address": "10.0.0.9", "hostnames": ["pve.lab", "pve"] }] });
    let made = proxmox.apply(name, None, config.clone()).await.unwrap();
    assert_eq!(made.text("id"), "pve_hosts");
    let sent = fake.changes("POST", "/nodes/pve/hosts");
    assert_eq!(
        sent[0],
        pairs(&[("data", "127.0.0.1 localhost\n10.0.0.9 pve.lab pve\n")])
    );
    assert_eq!(made.attribute("addresses").as_sequence().unwrap().len(), 2);
    is_unchanged(&proxmox, name, &made, &config).await;

    set(&fake, "/nodes/pve/hosts", "digest", "00ff");
    set(
        &fake,
        "/nodes/pve/hosts",
        "data",
        "# by hand\n\n127.0.0.1\tlocalhost # me\n",
    );
    let read = proxmox.read(name, &made).await.unwrap().unwrap();
    assert_eq!(read.attribute("entry").as_sequence().unwrap().len(), 1);
    proxmox.apply(name, Some(&read), config).await.unwrap();
    assert_eq!(
        fake.changes("POST", "/nodes/pve/hosts")[1]["digest"],
        "00ff"
    );
    let found = proxmox
        .data(name, json!({ "node_name": "pve" }))
        .await
        .unwrap();
    assert_eq!(
        found.get("entries").unwrap().as_sequence().unwrap().len(),
        2
    );
}

#[tokio::test]
async fn time_zones() {
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    let name = "proxmox_virtual_environment_time";
    set(&fake, "/nodes/pve/time", "time", "1700000000");
    set(&fake, "/nodes/pve/time", "localtime", "1700003600");
    let config = json!({ "node_name": "pve", "time_zone": "Europe/Berlin" });
    let made = proxmox.apply(name, None, config.clone()).await.unwrap();
    assert_eq!(made.text("id"), "pve_time");
    assert_eq!(made.text("utc_time"), "2023-11-14T22:13:20Z");
    assert_eq!(made.text("local_time"), "2023-11-14T23:13:20+01:00");
    assert_eq!(
        fake.changes("PUT", "/nodes/pve/time"),
        [pairs(&[("timezone", "Europe/Berlin")])]
    );
    is_unchanged(&proxmox, name, &made, &config).await;
    let found = proxmox
        .data(name, json!({ "node_name": "pve" }))
        .await
        .unwrap();
    assert_eq!(found.get("id").unwrap().as_str(), Some("pve_time"));
}

#[tokio::test]
async fn package_repositories() {
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    let name = "proxmox_apt_repository";
    let config = |enabled: bool| json!({ "node": "pve", "file_path": "/etc/apt/sources.list", "index": 0, "enabled": enabled });
    let made = proxmox.apply(name, None, config(false)).await.unwrap();
    assert_eq!(made.text("id"), "apt_repository_pve_etc_apt_sources_list_0");
    assert_eq!(made.text("comment"), " one");
    is_unchanged(&proxmox, name, &made, &config(false)).await;
    let made = proxmox
        .apply(name, Some(&made), config(true))
        .await
        .unwrap();
    let sent = &fake.changes("POST", "/nodes/pve/apt/repositories")[1];
    assert_eq!(
        *sent,
        pairs(&[
            ("path", "/etc/apt/sources.list"),
            ("index", "0"),
            ("enabled", "1")
        ])
    );
    let imported = proxmox
        .import(name, "pve,/etc/apt/sources.list,0")
        .await
        .unwrap();
    let imported = proxmox.read(name, &imported).await.unwrap().unwrap();
    assert_eq!(imported.value, made.value);
    let missing = proxmox
        .import(name, "pve,/etc/apt/sources.list,7")
        .await
        .unwrap();
    assert!(proxmox.read(name, &missing).await.unwrap().is_none());
    let key = json!({ "node": "pve", "file_path": "/etc/apt/sources.list", "index": 0 });
    let found = proxmox.data(name, key).await.unwrap();
    assert_eq!(found.get("enabled").unwrap().as_bool(), Some(true));
    proxmox.delete(name, &made).await.unwrap();
}

#[tokio::test]
async fn standard_package_repositories() {
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    let name = "proxmox_virtual_environment_apt_standard_repository";
    let config = json!({ "node": "pve", "handle": "no-subscription" });
    let before = proxmox.data(name, config.clone()).await.unwrap();
    assert!(before.get("status").unwrap().is_null());
    let made = proxmox.apply(name, None, config.clone()).await.unwrap();
    assert_eq!(
        made.text("id"),
        "apt_standard_repository_pve_no_subscription"
    );
    assert_eq!(made.text("file_path"), "/etc/apt/sources.list");
    assert_eq!(made.attribute("index").as_i64(), Some(1));
    assert_eq!(made.attribute("status").as_i64(), Some(1));
    is_unchanged(&proxmox, name, &made, &config).await;
    let imported = proxmox.import(name, "pve,no-subscription").await.unwrap();
    let imported = proxmox.read(name, &imported).await.unwrap().unwrap();
    assert_eq!(imported.value, made.value);
}

#[tokio::test]
async fn pools() {
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    let name = "proxmox_node_disk_zfs";
    let config = json!({ "node_name": "pve", "name": "tank", "raidlevel": "draid", "devices": ["/dev/sda", "/dev/sdb"],
        "draid_config": { "data": 1, "spares": 0 }, "cleanup_disks": true });
    let made = proxmox.apply(name, None, config.clone()).await.unwrap();
    assert_eq!(made.text("id"), "pve/tank");
    let sent = &fake.changes("POST", "/nodes/pve/disks/zfs")[0];
    assert_eq!(
        *sent,
        pairs(&[
            ("devices", "/dev/sda,/dev/sdb"),
            ("draid-config", "data=1,spares=0"),
            ("name", "tank"),
            ("raidlevel", "draid")
        ])
    );
    // The server does not tell how it was made.
    {
        let mut state = fake.state.lock().unwrap();
        let pool = state
            .objects
            .0
            .get_mut("/nodes/pve/disks/zfs/tank")
            .unwrap();
        pool.retain(|name, _| name == "name");
        pool.insert("state".into(), vec!["ONLINE".into()]);
    }
    is_unchanged(&proxmox, name, &made, &config).await;
    let imported = proxmox.import(name, "pve/tank").await.unwrap();
    let imported = proxmox.read(name, &imported).await.unwrap().unwrap();
    let configured = proxmox.config(name, config.clone()).unwrap();
    let plan = proxmox
        .plan(name, Some(&imported), &configured)
        .await
        .unwrap();
    assert_eq!(plan.requires_replace, []);
    let other = json!({ "node_name": "pve", "name": "tank", "raidlevel": "mirror", "devices": ["/dev/sda", "/dev/sdb"] });
    let other = proxmox.config(name, other).unwrap();
    let plan = proxmox.plan(name, Some(&made), &other).await.unwrap();
    assert!(!plan.requires_replace.is_empty());
    proxmox.delete(name, &made).await.unwrap();
    let state = fake.state.lock().unwrap();
    let removed = state.changes.iter().find(|c| c.0 == "DELETE").unwrap();
    assert_eq!(
        removed.2,
        pairs(&[("cleanup-config", "0"), ("cleanup-disks", "1")])
    );
}

#[tokio::test]
async fn certificates() {
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    let name = "proxmox_virtual_environment_certificate";
    let config = |certificate: &str| json!({ "node_name": "pve", "certificate": certificate, "certificate_chain": "ca\n", "private_key": "very-secret" });
    let made = proxmox.apply(name, None, config("one\n")).await.unwrap();
    assert_eq!(made.text("id"), "pve_certificate");
    assert_eq!(made.text("expiration_date"), "2023-11-14T22:13:20Z");
    assert_eq!(made.text("public_key_type"), "rsa");
    let sent = fake.changes("POST", "/nodes/pve/certificates/custom");
    assert_eq!(
        sent[0],
        pairs(&[
            ("certificates", "one\nca\n"),
            ("key", "very-secret"),
            ("force", "0"),
            ("restart", "1")
        ])
    );
    is_unchanged(&proxmox, name, &made, &config("one\n")).await;
    let read = proxmox.read(name, &made).await.unwrap().unwrap();
    let changed = proxmox
        .apply(name, Some(&read), config("two\n"))
        .await
        .unwrap();
    assert_eq!(
        fake.changes("POST", "/nodes/pve/certificates/custom")[1]["force"],
        "1"
    );
    proxmox.delete(name, &changed).await.unwrap();
    assert!(proxmox.read(name, &changed).await.unwrap().is_none());
}
