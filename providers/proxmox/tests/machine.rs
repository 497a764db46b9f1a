//! Everything that a machine can have, and machines that others touch, against a small stand-in for the API.

#![recursion_limit = "256"]

mod fake;

use fake::Fake;
use serde_json::{Value as Json, json};
use stead_sdk::Dialer;
use stead_sdk::testing::{Harness, Stored};

const VM: &str = "proxmox_virtual_environment_vm";

async fn root(fake: &Fake) -> Harness {
    let factory = stead_proxmox::factory(&Dialer::direct());
    let ticket = json!({ "endpoint": fake.url, "auth_ticket": "PVE:root@pam:00::x", "csrf_prevention_token": "y" });
    Harness::configured(&factory, ticket).await.unwrap()
}

fn everything() -> Json {
    json!({
        "node_name": "pve", "vm_id": 700, "name": "all", "description": "two\nlines", "acpi": false, "bios": "ovmf",
        "boot_order": ["scsi0", "net0"], "hook_script_file_id": "local:snippets/hook.sh", "hotplug": "network,disk",
        "keyboard_layout": "de", "kvm_arguments": "-cpu host", "machine": "q35", "on_boot": false, "protection": true,
        "scsi_hardware": "virtio-scsi-single", "tablet_device": false, "pool_id": "lab",
        "agent": [{ "enabled": true, "trim": true, "type": "isa", "timeout": "1s" }],
        "amd_sev": [{ "type": "es", "no_debug": true }],
        "audio_device": [{ "device": "AC97" }],
        "cdrom": [{ "file_id": "none", "interface": "ide3" }],
        "cpu": [{ "cores": 4, "sockets": 2, "hotplugged": 2, "limit": 1.5, "units": 200, "numa": true, "type": "host",
                  "flags": ["+aes"], "affinity": "0-3", "architecture": "x86_64" }],
        "disk": [{ "interface": "scsi0", "datastore_id": "local-lvm", "size": 10, "cache": "writeback", "queues": 4,
                   "serial": "a1", "replicate": false, "backup": false, "speed": [{ "read": 100, "iops_write": 50 }] }],
        "efi_disk": [{ "datastore_id": "local-lvm", "type": "4m", "pre_enrolled_keys": true }],
        "hostpci": [{ "device": "hostpci1", "mapping": "gpu", "pcie": true }, { "device": "hostpci0", "id": "0000:01:00" }],
        "initialization": [{ "datastore_id": "local-lvm", "interface": "ide0", "type": "nocloud", "upgrade": false,
            "user_account": [{ "username": "admin", "password": "very-secret", "keys": ["ssh-ed25519 AAAA me"] }],
            "vendor_data_file_id": "local:snippets/vendor.yaml", "ip_config": [{ "ipv6": [{ "address": "auto" }] }] }],
        "memory": [{ "dedicated": 2048, "floating": 1024, "shared": 16, "hugepages": "2", "keep_hugepages": true }],
        "network_device": [{ "bridge": "vmbr1", "vlan_id": 5, "trunks": "6;7", "disconnected": true, "mtu": 9000 }],
        "numa": [{ "device": "numa0", "cpus": "0-1", "memory": 1024, "hostnodes": "0" }],
        "operating_system": [{ "type": "l26" }],
        "rng": [{ "source": "/dev/urandom", "max_bytes": 2048 }],
        "serial_device": [{ "device": "socket" }, { "device": "/dev/ttyS0" }],
        "smbios": [{ "manufacturer": "ACME, Inc.", "sku": "7" }],
        "startup": [{ "order": 3, "up_delay": 10 }],
        "tpm_state": [{ "datastore_id": "local-lvm" }],
        "usb": [{ "mapping": "stick", "usb3": true }],
        "vga": [{ "type": "virtio", "memory": 32, "clipboard": "vnc" }],
        "virtiofs": [{ "mapping": "media", "cache": "always", "direct_io": true }],
        "watchdog": [{ "enabled": true, "action": "reset" }],
    })
}

/// Plans and demands that nothing changes.
async fn nothing_to_change(proxmox: &Harness, object: &Stored, config: Json) {
    let config = proxmox.config(VM, config).unwrap();
    let plan = proxmox.plan(VM, Some(object), &config).await.unwrap();
    for (name, planned) in plan.planned.as_entries().unwrap() {
        assert_eq!(Some(planned), object.value.get(name).as_ref(), "{name}");
    }
    assert_eq!(plan.requires_replace, []);
}

#[tokio::test]
async fn everything_is_sent_read_back_and_found_by_an_import() {
    let fake = Fake::start().await;
    let proxmox = root(&fake).await;
    let vm = proxmox.apply(VM, None, everything()).await.unwrap();
    let sent = fake.changes("POST", "/nodes/pve/qemu").remove(0);
    let expected = [
        ("agent", "enabled=1,fstrim_cloned_disks=1,type=isa"),
        ("amd-sev", "type=es,allow-smt=1,no-debug=1"),
        ("args", "-cpu host"),
        ("audio0", "device=AC97,driver=spice"),
        ("boot", "order=scsi0;net0"),
        ("cpu", "cputype=host,flags=+aes"),
        ("efidisk0", "local-lvm:1,efitype=4m,pre-enrolled-keys=1"),
        ("hostpci0", "host=0000:01:00,pcie=0,rombar=0,x-vga=0"),
        ("hostpci1", "mapping=gpu,pcie=1,rombar=0,x-vga=0"),
        ("ide0", "local-lvm:cloudinit,media=cdrom"),
        ("ide3", "none,media=cdrom"),
        ("cicustom", "vendor=local:snippets/vendor.yaml"),
        ("ipconfig0", "ip6=auto"),
        ("ivshmem", "name=vm-700-ivshmem,size=16"),
        (
            "net0",
            "model=virtio,bridge=vmbr1,firewall=0,link_down=1,tag=5,mtu=9000,trunks=6;7",
        ),
        ("numa0", "cpus=0-1,hostnodes=0,memory=1024,policy=preferred"),
        ("rng0", "source=/dev/urandom,max_bytes=2048"),
        (
            "scsi0",
            "local-lvm:10,aio=io_uring,backup=0,cache=writeback,queues=4,replicate=0,serial=a1,iops_wr=50,mbps_rd=100",
        ),
        ("serial1", "/dev/ttyS0"),
        ("smbios1", "base64=1,manufacturer=QUNNRSwgSW5jLg==,sku=Nw=="),
        ("startup", "order=3,up=10"),
        ("tpmstate0", "local-lvm:1,version=v2.0"),
        ("usb0", "mapping=stick,usb3=1"),
        ("vga", "clipboard=vnc,memory=32,type=virtio"),
        ("virtiofs0", "dirid=media,cache=always,direct-io=1"),
        ("watchdog", "model=i6300esb,action=reset"),
    ];
    for (key, value) in expected {
        assert_eq!(sent.get(key).map(String::as_str), Some(value), "{key}");
    }
    let read = proxmox.read(VM, &vm).await.unwrap().unwrap();
    nothing_to_change(&proxmox, &read, everything()).await;
    let imported = proxmox.import(VM, "pve/700").await.unwrap();
    let imported = proxmox.read(VM, &imported).await.unwrap().unwrap();
    let mut config = everything();
    // What only steers stead is not on the server.
    config["agent"][0]
        .as_object_mut()
        .unwrap()
        .remove("timeout");
    nothing_to_change(&proxmox, &imported, config).await;
    let refused = format!("{:?}", proxmox.delete(VM, &read).await.unwrap_err());
    assert!(refused.contains("protection = false"), "{refused}");
}

#[tokio::test]
async fn a_token_is_refused_what_only_root_may_set_before_anything_is_made() {
    let fake = Fake::start().await;
    let factory = stead_proxmox::factory(&Dialer::direct());
    let token = json!({ "endpoint": fake.url, "api_token": "root@pam!t=very-secret" });
    let proxmox = Harness::configured(&factory, token).await.unwrap();
    for (block, said) in [
        (
            json!([{ "device": "hostpci0", "id": "0000:01:00" }]),
            "hardware mapping",
        ),
        (json!([{ "device": "hostpci0", "mapping": "gpu" }]), ""),
    ] {
        let config = json!({ "node_name": "pve", "hostpci": block });
        let config = proxmox.config(VM, config).unwrap();
        match proxmox.plan(VM, None, &config).await {
            Ok(_) => assert_eq!(said, ""),
            Err(refused) => assert!(format!("{refused:?}").contains(said) && !said.is_empty()),
        }
    }
    assert_eq!(fake.state.lock().unwrap().changes.len(), 0);
}

#[tokio::test]
async fn a_machine_that_somebody_else_changed_after_the_plan_is_left_alone() {
    let fake = Fake::start().await;
    let proxmox = root(&fake).await;
    let memory =
        |mib: i64| json!({ "node_name": "pve", "name": "a", "memory": [{ "dedicated": mib }] });
    let vm = proxmox.apply(VM, None, memory(1024)).await.unwrap();
    let config = proxmox.config(VM, memory(2048)).unwrap();
    let plan = proxmox.plan(VM, Some(&vm), &config).await.unwrap();
    let set = |key: &str, value: &str| {
        let mut state = fake.state.lock().unwrap();
        let machine = state.vms.get_mut(&100).unwrap();
        machine.0.insert(key.to_owned(), value.to_owned());
    };
    set("memory", "4096");
    let failed = proxmox
        .apply_planned(VM, Some(&vm), plan.clone(), config.clone())
        .await
        .unwrap_err();
    let said = format!("{:?}", failed.diagnostics);
    assert!(
        said.contains("`memory` was changed by somebody else"),
        "{said}"
    );
    assert!(fake.changes("PUT", "/nodes/pve/qemu/100/config").is_empty());
    // What is none of the configuration's may change.
    set("memory", "1024");
    set("unused0", "local-lvm:vm-100-disk-9");
    proxmox
        .apply_planned(VM, Some(&vm), plan, config)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_machine_that_the_cluster_moved_is_found_and_not_replaced() {
    let fake = Fake::start().await;
    let proxmox = root(&fake).await;
    let config = json!({ "node_name": "pve", "name": "a" });
    let vm = proxmox.apply(VM, None, config.clone()).await.unwrap();
    fake.state.lock().unwrap().node = "pve2".to_owned();
    let moved = proxmox.read(VM, &vm).await.unwrap().unwrap();
    nothing_to_change(&proxmox, &moved, config.clone()).await;
    let mut migrates = config;
    migrates["migrate"] = json!(true);
    let vm = proxmox
        .apply(VM, Some(&moved), migrates.clone())
        .await
        .unwrap();
    assert_eq!(
        fake.changes("POST", "/nodes/pve2/qemu/100/migrate")[0]["target"],
        "pve"
    );
    nothing_to_change(&proxmox, &vm, migrates).await;
}

#[tokio::test]
async fn the_plan_says_what_each_change_does_to_the_running_machine() {
    let fake = Fake::start().await;
    let proxmox = root(&fake).await;
    let mut config = everything();
    config["protection"] = json!(false);
    let vm = proxmox.apply(VM, None, config.clone()).await.unwrap();
    config["name"] = json!("other");
    config["boot_order"] = json!(["net0"]);
    config["cpu"][0]["cores"] = json!(8);
    config["cpu"][0]["limit"] = json!(2);
    config["disk"][0]["size"] = json!(20);
    config["usb"] = json!([]);
    config["watchdog"] = json!([]);
    let wanted = proxmox.config(VM, config.clone()).unwrap();
    let mut notes = proxmox.plan(VM, Some(&vm), &wanted).await.unwrap().notes;
    notes.sort();
    let expected = [
        "boot: at the next restart",
        "cores: restarts now",
        "cpulimit: live",
        "disk scsi0: grows from 10 to 20 GiB, live",
        "name: live",
        "usb0: restarts now",
        "watchdog: restarts now",
    ];
    assert_eq!(notes, expected);
    config["reboot_after_update"] = json!(false);
    let wanted = proxmox.config(VM, config).unwrap();
    let notes = proxmox.plan(VM, Some(&vm), &wanted).await.unwrap().notes;
    assert!(
        notes.contains(&"cores: at the next restart".to_owned()),
        "{notes:?}"
    );
}

#[tokio::test]
async fn random_identifiers_are_drawn_from_their_range_until_one_is_free() {
    let fake = Fake::start().await;
    let factory = stead_proxmox::factory(&Dialer::direct());
    let config = json!({ "endpoint": fake.url, "api_token": "root@pam!t=very-secret", "random_vm_ids": true,
                         "random_vm_id_start": 500, "random_vm_id_end": 502 });
    let proxmox = Harness::configured(&factory, config).await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let vm = proxmox
            .apply(VM, None, json!({ "node_name": "pve" }))
            .await
            .unwrap();
        ids.push(vm.text("id"));
    }
    ids.sort();
    assert_eq!(ids, ["500", "501", "502"]);
    let failed = proxmox
        .apply(VM, None, json!({ "node_name": "pve" }))
        .await
        .unwrap_err();
    assert!(
        format!("{failed:?}").contains("500 to 502 are all taken"),
        "{failed:?}"
    );
}
