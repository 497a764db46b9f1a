//! Machines of which only what is configured is managed, against a small stand-in for the API.

mod fake;

use fake::Fake;
use serde_json::{Value as Json, json};
use stead_sdk::Dialer;
use stead_sdk::testing::{Harness, Stored};

async fn provider(fake: &Fake) -> Harness {
    let factory = stead_proxmox::factory(&Dialer::direct());
    let config = json!({ "endpoint": fake.url, "api_token": "root@pam!t=very-secret" });
    Harness::configured(&factory, config).await.unwrap()
}

/// Plans and demands that nothing changes.
async fn nothing_to_change(proxmox: &Harness, kind: &str, object: &Stored, config: Json) {
    let config = proxmox.config(kind, config).unwrap();
    let plan = proxmox.plan(kind, Some(object), &config).await.unwrap();
    for (name, planned) in plan.planned.as_entries().unwrap() {
        assert_eq!(Some(planned), object.value.get(name).as_ref(), "{name}");
    }
    assert_eq!(plan.requires_replace, []);
}

#[tokio::test]
async fn a_machine_is_what_its_configuration_says_and_nothing_more() {
    const VM: &str = "proxmox_vm";
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    let full = json!({ "node_name": "pve", "name": "a", "description": "text", "tags": ["b", "a"],
        "cpu": { "cores": 2, "numa": false, "type": "host", "flags": ["+aes"] }, "rng": { "source": "/dev/urandom" },
        "vga": { "type": "std", "memory": 32 }, "cdrom": { "ide2": { "file_id": "none" } }, "timeouts": { "create": "5m" } });
    let vm = proxmox.apply(VM, None, full.clone()).await.unwrap();
    let sent = fake.changes("POST", "/nodes/pve/qemu").remove(0);
    let expected = json!({ "vmid": "100", "name": "a", "description": "text", "tags": "a;b", "cores": "2", "numa": "0",
        "cpu": "cputype=host,flags=+aes", "rng0": "source=/dev/urandom", "vga": "memory=32,type=std", "ide2": "none,media=cdrom" });
    assert_eq!(json!(sent), expected);
    let read = proxmox.read(VM, &vm).await.unwrap().unwrap();
    nothing_to_change(&proxmox, VM, &read, full.clone()).await;
    let mut less = full.clone();
    for name in ["rng", "cdrom", "description"] {
        less.as_object_mut().unwrap().remove(name);
    }
    less["cpu"] = json!({ "cores": 4 });
    let vm = proxmox.apply(VM, Some(&read), less.clone()).await.unwrap();
    let sent = fake.changes("PUT", "/nodes/pve/qemu/100/config").remove(0);
    assert_eq!(
        (sent["cores"].as_str(), sent["delete"].as_str()),
        ("4", "cpu,description,ide2,numa,rng0")
    );
    nothing_to_change(&proxmox, VM, &vm, less.clone()).await;
    // Under its other name it is found by an import.
    let other = "proxmox_virtual_environment_vm2";
    let imported = proxmox.import(other, "pve/100").await.unwrap();
    let imported = proxmox.read(other, &imported).await.unwrap().unwrap();
    less.as_object_mut().unwrap().remove("timeouts");
    nothing_to_change(&proxmox, other, &imported, less).await;
    let data = proxmox
        .data(VM, json!({ "id": 100, "node_name": "pve" }))
        .await
        .unwrap();
    assert_eq!(
        data.get("cpu").unwrap().get("cores").unwrap().as_i64(),
        Some(4)
    );
    assert_eq!(data.get("status").unwrap().as_str(), Some("stopped"));
    proxmox.delete(VM, &vm).await.unwrap();
    assert!(fake.state.lock().unwrap().vms.is_empty());
}

#[tokio::test]
async fn a_machine_that_somebody_else_changed_after_the_plan_is_left_alone() {
    const VM: &str = "proxmox_vm";
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    let with_cores =
        |cores: i64| json!({ "node_name": "pve", "name": "a", "cpu": { "cores": cores } });
    let vm = proxmox.apply(VM, None, with_cores(1)).await.unwrap();
    let config = proxmox.config(VM, with_cores(2)).unwrap();
    let plan = proxmox.plan(VM, Some(&vm), &config).await.unwrap();
    let set = |cores: &str| {
        let mut state = fake.state.lock().unwrap();
        let machine = state.vms.get_mut(&100).unwrap();
        machine.0.insert("cores".to_owned(), cores.to_owned());
    };
    set("8");
    let apply = || proxmox.apply_planned(VM, Some(&vm), plan.clone(), config.clone());
    let said = format!("{:?}", apply().await.unwrap_err().diagnostics);
    assert!(
        said.contains("`cores` was changed by somebody else"),
        "{said}"
    );
    assert!(fake.changes("PUT", "/nodes/pve/qemu/100/config").is_empty());
    set("1");
    apply().await.unwrap();
}

#[tokio::test]
async fn a_machine_is_read_in_the_time_that_is_given() {
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    let config = json!({ "node_name": "pve", "name": "a", "timeouts": { "read": "1ns" } });
    let vm = proxmox.apply("proxmox_vm", None, config).await.unwrap();
    let read = proxmox.read("proxmox_vm", &vm).await.unwrap_err();
    assert!(format!("{read:?}").contains("longer than 1ns"), "{read:?}");
    for (time, said) in [("1ns", "longer than 1ns"), ("soon", "not a duration")] {
        let asked = json!({ "id": 100, "node_name": "pve", "timeouts": { "read": time } });
        let read = proxmox.data("proxmox_vm", asked).await.unwrap_err();
        assert!(format!("{read:?}").contains(said), "{read:?}");
    }
}

#[tokio::test]
async fn a_clone_keeps_what_is_not_mentioned() {
    const VM: &str = "proxmox_cloned_vm";
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    let template = json!({ "node_name": "pve", "vm_id": 900, "started": false, "cpu": [{ "cores": 4 }],
        "disk": [{ "interface": "scsi0", "size": 10, "ssd": true }],
        "network_device": [{ "bridge": "vmbr0", "mac_address": "BC:24:11:00:00:09", "vlan_id": 7 }, {}] });
    proxmox
        .apply("proxmox_virtual_environment_vm", None, template)
        .await
        .unwrap();
    let config = json!({ "node_name": "pve", "name": "copy", "clone": { "source_vm_id": 900 }, "memory": { "size": 2048 },
        "network": { "net0": { "bridge": "vmbr1" } }, "disk": { "scsi0": { "size_gb": 20, "discard": "on" } },
        "delete": { "network": ["net1", "net7"] } });
    let vm = proxmox.apply(VM, None, config.clone()).await.unwrap();
    let asked = fake.changes("POST", "/nodes/pve/qemu/900/clone").remove(0);
    assert_eq!(
        (asked["full"].as_str(), asked["name"].as_str()),
        ("1", "copy")
    );
    let sent = fake.changes("PUT", "/nodes/pve/qemu/100/config").remove(0);
    assert_eq!(sent["delete"], "net1");
    assert_eq!(
        sent["net0"],
        "model=virtio,macaddr=BC:24:11:00:00:09,firewall=0,tag=7,bridge=vmbr1"
    );
    assert_eq!(
        sent["scsi0"],
        "local-lvm:vm-100-disk-0,aio=io_uring,ssd=1,discard=on"
    );
    assert!(!sent.contains_key("cores"), "{sent:?}");
    assert_eq!(
        fake.changes("PUT", "/nodes/pve/qemu/100/resize")[0]["size"],
        "20G"
    );
    assert_eq!(
        fake.changes("POST", "/nodes/pve/qemu/100/status/start")
            .len(),
        1
    );
    let read = proxmox.read(VM, &vm).await.unwrap().unwrap();
    nothing_to_change(&proxmox, VM, &read, config.clone()).await;
    // What nobody manages may change; what is managed shows.
    let hand = |key: &str, value: &str| {
        let mut state = fake.state.lock().unwrap();
        state
            .vms
            .get_mut(&100)
            .unwrap()
            .0
            .insert(key.to_owned(), value.to_owned());
    };
    hand("cores", "16");
    let same = proxmox.read(VM, &read).await.unwrap().unwrap();
    nothing_to_change(&proxmox, VM, &same, config.clone()).await;
    hand("memory", "4096");
    let drifted = proxmox.read(VM, &read).await.unwrap().unwrap();
    assert_eq!(
        drifted.attribute("memory").get("size").unwrap().as_i64(),
        Some(4096)
    );
    let back = proxmox
        .apply(VM, Some(&drifted), config.clone())
        .await
        .unwrap();
    let sent = fake.changes("PUT", "/nodes/pve/qemu/100/config").remove(1);
    assert_eq!(sent.keys().collect::<Vec<_>>(), ["digest", "memory"]);
    let mut smaller = config.clone();
    smaller["disk"]["scsi0"]["size_gb"] = json!(10);
    let smaller = proxmox.config(VM, smaller).unwrap();
    let refused = format!(
        "{:?}",
        proxmox.plan(VM, Some(&back), &smaller).await.unwrap_err()
    );
    assert!(refused.contains("cannot shrink"), "{refused}");
    let wrong =
        json!({ "node_name": "pve", "clone": { "source_vm_id": 900 }, "network": { "eth0": {} } });
    let wrong = proxmox.config(VM, wrong).unwrap();
    let refused = format!("{:?}", proxmox.plan(VM, None, &wrong).await.unwrap_err());
    assert!(refused.contains("no slot"), "{refused}");
    proxmox.delete(VM, &back).await.unwrap();
}
