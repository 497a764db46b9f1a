//! Containers through their lives, against a small stand-in for the API.

mod fake;

use fake::Fake;
use serde_json::{Value as Json, json};
use stead_sdk::Dialer;
use stead_sdk::testing::{Harness, Stored};

const CONTAINER: &str = "proxmox_virtual_environment_container";

async fn root(fake: &Fake) -> Harness {
    let factory = stead_proxmox::factory(&Dialer::direct());
    let ticket = json!({ "endpoint": fake.url, "auth_ticket": "PVE:root@pam:00::x", "csrf_prevention_token": "y" });
    Harness::configured(&factory, ticket).await.unwrap()
}

fn everything() -> Json {
    json!({
        "node_name": "pve", "vm_id": 300, "description": "two\nlines", "hook_script_file_id": "local:snippets/hook.sh",
        "pool_id": "lab", "protection": true, "start_on_boot": false, "tags": ["b", "a"], "unprivileged": true,
        "environment_variables": { "B": "2", "A": "1" },
        "console": [{ "type": "shell", "tty_count": 1 }],
        "cpu": [{ "cores": 2, "limit": 1.5, "units": 200 }],
        "device_passthrough": [{ "path": "/dev/dri/card0", "gid": 44 }],
        "disk": [{ "datastore_id": "local-lvm", "size": 8, "mount_options": ["noatime"] }],
        "features": [{ "nesting": true, "mount": ["nfs"] }],
        "initialization": [{ "hostname": "web", "entrypoint": "/sbin/init", "dns": [{ "domain": "lan", "servers": ["10.0.0.1"] }],
            "ip_config": [{ "ipv4": [{ "address": "10.0.0.7/24", "gateway": "10.0.0.1" }] }],
            "user_account": [{ "password": "very-secret", "keys": ["ssh-ed25519 AAAA me"] }] }],
        "memory": [{ "dedicated": 1024, "swap": 256 }],
        "mount_point": [{ "volume": "local-lvm", "size": "10G", "path": "/data", "backup": true },
                        { "volume": "/mnt/media", "path": "media", "read_only": true, "shared": true }],
        "network_interface": [{ "name": "eth0", "vlan_id": 5, "firewall": true, "mtu": 1400, "rate_limit": 2.5 }],
        "operating_system": [{ "template_file_id": "local:vztmpl/debian-13.tar.zst", "type": "debian" }],
        "startup": [{ "order": 2 }],
    })
}

/// Plans and demands that nothing changes.
async fn nothing_to_change(proxmox: &Harness, object: &Stored, config: Json) {
    let config = proxmox.config(CONTAINER, config).unwrap();
    let plan = proxmox
        .plan(CONTAINER, Some(object), &config)
        .await
        .unwrap();
    for (name, planned) in plan.planned.as_entries().unwrap() {
        assert_eq!(Some(planned), object.value.get(name).as_ref(), "{name}");
    }
    assert_eq!(plan.requires_replace, []);
}

#[tokio::test]
async fn everything_is_sent_read_back_and_found_by_an_import() {
    let fake = Fake::with_files(&["local:vztmpl/debian-13.tar.zst"]).await;
    let proxmox = root(&fake).await;
    let made = proxmox.apply(CONTAINER, None, everything()).await.unwrap();
    let sent = fake.changes("POST", "/nodes/pve/lxc").remove(0);
    let expected = [
        ("cmode", "shell"),
        ("cpulimit", "1.5"),
        ("dev0", "path=/dev/dri/card0,gid=44,mode=0660,uid=0"),
        ("env", "A=1\0B=2"),
        ("features", "mount=nfs,nesting=1"),
        ("hostname", "web"),
        ("memory", "1024"),
        ("mp0", "local-lvm:10,mp=/data,backup=1"),
        ("mp1", "/mnt/media,mp=media,ro=1,shared=1"),
        ("nameserver", "10.0.0.1"),
        (
            "net0",
            "name=eth0,bridge=vmbr0,firewall=1,mtu=1400,rate=2.5,tag=5,gw=10.0.0.1,ip=10.0.0.7/24,type=veth",
        ),
        ("ostemplate", "local:vztmpl/debian-13.tar.zst"),
        ("ostype", "debian"),
        ("password", "very-secret"),
        ("rootfs", "local-lvm:8,mountoptions=noatime"),
        ("ssh-public-keys", "ssh-ed25519 AAAA me"),
        ("swap", "256"),
        ("tags", "a;b"),
        ("tty", "1"),
        ("unprivileged", "1"),
    ];
    for (key, value) in expected {
        assert_eq!(sent.get(key).map(String::as_str), Some(value), "{key}");
    }
    let ipv4 = made.attribute("ipv4").get("eth0").unwrap();
    assert_eq!(ipv4.as_str(), Some("10.0.0.7"));
    let read = proxmox.read(CONTAINER, &made).await.unwrap().unwrap();
    nothing_to_change(&proxmox, &read, everything()).await;
    let imported = proxmox.import(CONTAINER, "pve/300").await.unwrap();
    let imported = proxmox.read(CONTAINER, &imported).await.unwrap().unwrap();
    nothing_to_change(&proxmox, &imported, everything()).await;
    // A configuration that is silent on what a container has by itself is fine, too.
    let refused = format!("{:?}", proxmox.delete(CONTAINER, &read).await.unwrap_err());
    assert!(refused.contains("protection = false"), "{refused}");
}

#[tokio::test]
async fn changes_are_made_in_place_and_only_some_restart() {
    let fake = Fake::with_files(&["local:vztmpl/debian-13.tar.zst"]).await;
    let proxmox = root(&fake).await;
    let mut config = everything();
    config["protection"] = json!(false);
    let made = proxmox
        .apply(CONTAINER, None, config.clone())
        .await
        .unwrap();
    config["memory"][0]["dedicated"] = json!(2048);
    config["disk"][0]["size"] = json!(12);
    config["mount_point"] =
        json!([{ "volume": "local-lvm", "size": "20G", "path": "/data", "backup": true }]);
    let wanted = proxmox.config(CONTAINER, config.clone()).unwrap();
    let mut notes = proxmox
        .plan(CONTAINER, Some(&made), &wanted)
        .await
        .unwrap()
        .notes;
    notes.sort();
    let expected = [
        "disk: grows from 8 to 12 GiB, live",
        "memory: live",
        "mount points that are not configured any more are detached; their volumes stay as unused",
        "mp1: restarts now",
    ];
    assert_eq!(notes, expected);
    let made = proxmox
        .apply(CONTAINER, Some(&made), config.clone())
        .await
        .unwrap();
    let sent = fake.changes("PUT", "/nodes/pve/lxc/300/config").remove(0);
    assert_eq!(
        sent.keys().collect::<Vec<_>>(),
        ["delete", "digest", "memory"]
    );
    assert_eq!(sent["delete"], "mp1");
    let grown = fake.changes("PUT", "/nodes/pve/lxc/300/resize");
    let grown: Vec<_> = grown
        .iter()
        .map(|g| (g["disk"].as_str(), g["size"].as_str()))
        .collect();
    assert_eq!(grown, [("rootfs", "12G"), ("mp0", "20G")]);
    assert_eq!(
        fake.changes("POST", "/nodes/pve/lxc/300/status/reboot")
            .len(),
        1
    );
    let read = proxmox.read(CONTAINER, &made).await.unwrap().unwrap();
    nothing_to_change(&proxmox, &read, config.clone()).await;
    // A volume that is to shrink takes a new container, and the plan says so.
    config["disk"][0]["size"] = json!(4);
    let smaller = proxmox.config(CONTAINER, config).unwrap();
    let plan = proxmox
        .plan(CONTAINER, Some(&read), &smaller)
        .await
        .unwrap();
    assert_eq!(plan.requires_replace.len(), 1);
    assert!(
        plan.notes.iter().any(|note| note.contains("cannot shrink")),
        "{:?}",
        plan.notes
    );
    proxmox.delete(CONTAINER, &read).await.unwrap();
    assert_eq!(
        fake.changes("POST", "/nodes/pve/lxc/300/status/shutdown")[0]["timeout"],
        "55"
    );
    assert!(proxmox.read(CONTAINER, &read).await.unwrap().is_none());
}

#[tokio::test]
async fn a_clone_keeps_what_is_not_configured() {
    let fake = Fake::with_files(&["local:vztmpl/debian-13.tar.zst"]).await;
    let proxmox = root(&fake).await;
    let mut template = everything();
    template["protection"] = json!(false);
    template["started"] = json!(false);
    proxmox.apply(CONTAINER, None, template).await.unwrap();
    let config = json!({ "node_name": "pve", "clone": [{ "vm_id": 300 }], "memory": [{ "dedicated": 512 }],
                         "initialization": [{ "hostname": "copy" }], "start_on_boot": false });
    let made = proxmox
        .apply(CONTAINER, None, config.clone())
        .await
        .unwrap();
    let asked = fake.changes("POST", "/nodes/pve/lxc/300/clone").remove(0);
    assert_eq!(
        (asked["full"].as_str(), asked["hostname"].as_str()),
        ("1", "copy")
    );
    let sent = fake.changes("PUT", "/nodes/pve/lxc/100/config").remove(0);
    assert_eq!(sent["delete"], "description,hookscript,tags");
    assert_eq!(
        (sent["hostname"].as_str(), sent["swap"].as_str()),
        ("copy", "0")
    );
    assert!(
        !sent.contains_key("cores") && !sent.contains_key("features"),
        "{sent:?}"
    );
    let read = proxmox.read(CONTAINER, &made).await.unwrap().unwrap();
    nothing_to_change(&proxmox, &read, config).await;
}

#[tokio::test]
async fn what_cannot_work_is_told_at_plan_time() {
    let fake = Fake::with_files(&["local:vztmpl/debian-13.tar.zst"]).await;
    let factory = stead_proxmox::factory(&Dialer::direct());
    let token = json!({ "endpoint": fake.url, "api_token": "root@pam!t=very-secret" });
    let proxmox = Harness::configured(&factory, token).await.unwrap();
    let os = json!([{ "template_file_id": "local:vztmpl/debian-13.tar.zst" }]);
    let nesting = json!([{ "nesting": true }]);
    let cases = [
        (json!({ "features": nesting, "unprivileged": true }), ""),
        (json!({ "features": nesting }), "unprivileged = true"),
        (
            json!({ "features": [{ "fuse": true }], "unprivileged": true }),
            "root@pam",
        ),
        (
            json!({ "disk": [{ "datastore_id": "local" }] }),
            "pvesm set local --content iso,import,vztmpl,rootdir",
        ),
        (
            json!({ "mount_point": [{ "volume": "/srv", "path": "/srv" }] }),
            "root@pam",
        ),
        (
            json!({ "idmap": [{ "type": "uid", "container_id": 0, "host_id": 1, "size": 1 }] }),
            "/etc/pve/lxc/ID.conf",
        ),
        (
            json!({ "mount_point": [{ "volume": "local-lvm", "path": "/srv", "size": "x" }] }),
            "is not a size",
        ),
    ];
    for (case, said) in cases {
        let mut config = json!({ "node_name": "pve", "operating_system": os });
        config
            .as_object_mut()
            .unwrap()
            .extend(case.as_object().unwrap().clone());
        let value = proxmox.config(CONTAINER, config).unwrap();
        match proxmox.plan(CONTAINER, None, &value).await {
            Ok(_) => assert_eq!(said, "", "{case}"),
            Err(refused) => assert!(
                format!("{refused:?}").contains(said) && !said.is_empty(),
                "{case} {refused:?}"
            ),
        }
    }
    let bare = proxmox
        .config(CONTAINER, json!({ "node_name": "pve" }))
        .unwrap();
    let refused = format!(
        "{:?}",
        proxmox.plan(CONTAINER, None, &bare).await.unwrap_err()
    );
    assert!(refused.contains("operating_system"), "{refused}");
    assert_eq!(fake.state.lock().unwrap().changes.len(), 0);
}

#[tokio::test]
async fn guests_are_listed_by_kind_and_filtered() {
    let fake = Fake::with_files(&["local:vztmpl/debian-13.tar.zst"]).await;
    let proxmox = root(&fake).await;
    proxmox.apply(CONTAINER, None, everything()).await.unwrap();
    let vm = |name: &str, id: i64| json!({ "node_name": "pve", "vm_id": id, "name": name, "tags": ["k8s"], "started": name != "db" });
    for (name, id) in [("db", 402), ("web-1", 400), ("web-2", 401)] {
        proxmox
            .apply("proxmox_virtual_environment_vm", None, vm(name, id))
            .await
            .unwrap();
    }
    let filters = json!([{ "name": "name", "regex": true, "values": ["^web", "^db"] }, { "name": "status", "values": ["running"] }]);
    let query = json!({ "tags": ["k8s"], "filter": filters });
    let found = proxmox
        .data("proxmox_virtual_environment_vms", query)
        .await
        .unwrap();
    let ids: Vec<_> = found
        .get("vms")
        .unwrap()
        .as_sequence()
        .unwrap()
        .iter()
        .map(|vm| vm.get("vm_id").unwrap().as_i64())
        .collect();
    assert_eq!(ids, [Some(400), Some(401)]);
    let found = proxmox
        .data("proxmox_virtual_environment_containers", json!({}))
        .await
        .unwrap();
    assert_eq!(
        found
            .get("containers")
            .unwrap()
            .as_sequence()
            .unwrap()
            .len(),
        1
    );
    let one = json!({ "node_name": "elsewhere", "vm_id": 402 });
    let found = proxmox
        .data("proxmox_virtual_environment_vm", one.clone())
        .await
        .unwrap();
    assert_eq!(
        (
            found.get("name").unwrap().as_str(),
            found.get("status").unwrap().as_str()
        ),
        (Some("db"), Some("stopped"))
    );
    let refused = format!(
        "{:?}",
        proxmox
            .data("proxmox_virtual_environment_container", one)
            .await
            .unwrap_err()
    );
    assert!(refused.contains("no such container"), "{refused}");
    let wrong = json!({ "filter": [{ "name": "colour", "values": ["red"] }] });
    let refused = format!(
        "{:?}",
        proxmox
            .data("proxmox_virtual_environment_vms", wrong)
            .await
            .unwrap_err()
    );
    assert!(refused.contains("no property"), "{refused}");
}
