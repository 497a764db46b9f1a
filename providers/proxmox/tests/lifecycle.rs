//! Machines and files through their lives, against a small stand-in for the API.

mod fake;

use fake::Fake;
use serde_json::{Value as Json, json};
use stead_sdk::Dialer;
use stead_sdk::testing::Harness;

const VM: &str = "proxmox_virtual_environment_vm";
const FILE: &str = "proxmox_virtual_environment_download_file";

/// What the machines are made of.
const IMAGES: &[&str] = &["local:import/talos.qcow2", "local:iso/talos.img"];

async fn provider(fake: &Fake) -> Harness {
    let factory = stead_proxmox::factory(&Dialer::direct());
    let config = json!({ "endpoint": fake.url, "api_token": "root@pam!t=very-secret" });
    Harness::configured(&factory, config).await.unwrap()
}

fn talos(memory: i64) -> Json {
    json!({
        "node_name": "pve", "name": "cp-1", "tags": ["talos", "k8s"],
        "agent": [{ "enabled": true }],
        "cpu": [{ "cores": 4, "type": "x86-64-v2-AES" }],
        "memory": [{ "dedicated": memory }],
        "disk": [{ "datastore_id": "local-lvm", "interface": "scsi0", "import_from": "local:import/talos.qcow2",
                   "size": 20, "iothread": true, "discard": "on", "ssd": true }],
        "network_device": [{ "bridge": "vmbr0" }],
        "operating_system": [{ "type": "l26" }],
        "serial_device": [{}],
        "initialization": [{ "datastore_id": "local-lvm", "dns": [{ "servers": ["10.0.0.1"] }],
                             "ip_config": [{ "ipv4": [{ "address": "10.0.0.5/24", "gateway": "10.0.0.1" }] }] }],
    })
}

#[tokio::test]
async fn a_talos_machine_is_made_changed_and_destroyed() {
    let fake = Fake::with_files(IMAGES).await;
    let proxmox = provider(&fake).await;
    let vm = proxmox.apply(VM, None, talos(4096)).await.unwrap();
    assert_eq!(vm.text("id"), "100");
    assert_eq!(
        vm.attribute("ipv4_addresses").as_sequence().unwrap().len(),
        2
    );
    let sent = fake.changes("POST", "/nodes/pve/qemu").remove(0);
    assert_eq!(
        sent["scsi0"],
        "local-lvm:0,import-from=local:import/talos.qcow2,aio=io_uring,discard=on,iothread=1,ssd=1"
    );
    assert_eq!(sent["ipconfig0"], "gw=10.0.0.1,ip=10.0.0.5/24");
    assert_eq!(sent["ide2"], "local-lvm:cloudinit,media=cdrom");
    assert_eq!(sent["net0"], "model=virtio,bridge=vmbr0,firewall=0");
    assert_eq!(sent["tags"], "k8s;talos");
    assert_eq!(
        fake.changes("PUT", "/nodes/pve/qemu/100/resize")[0]["size"],
        "20G"
    );

    let again = proxmox.read(VM, &vm).await.unwrap().unwrap();
    let config = proxmox.config(VM, talos(4096)).unwrap();
    let plan = proxmox.plan(VM, Some(&again), &config).await.unwrap();
    assert_eq!(
        plan.planned, again.value,
        "nothing changed, and yet there is a plan"
    );

    let config = proxmox.config(VM, talos(8192)).unwrap();
    let plan = proxmox.plan(VM, Some(&again), &config).await.unwrap();
    assert_eq!(plan.notes, ["memory: restarts now"]);
    let bigger = proxmox
        .apply_planned(VM, Some(&again), plan, config)
        .await
        .unwrap();
    let sent = fake.changes("PUT", "/nodes/pve/qemu/100/config");
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].keys().collect::<Vec<_>>(), ["digest", "memory"]);
    assert_eq!(
        fake.changes("POST", "/nodes/pve/qemu/100/status/reboot")
            .len(),
        1
    );

    proxmox.delete(VM, &bigger).await.unwrap();
    assert!(fake.state.lock().unwrap().vms.is_empty());
    assert_eq!(
        fake.changes("POST", "/nodes/pve/qemu/100/status/shutdown")
            .len(),
        1
    );
    assert!(proxmox.read(VM, &bigger).await.unwrap().is_none());
}

#[tokio::test]
async fn a_refresh_asks_at_most_two_things_of_each_machine() {
    let fake = Fake::with_files(IMAGES).await;
    let proxmox = provider(&fake).await;
    let vm = proxmox.apply(VM, None, talos(4096)).await.unwrap();
    proxmox.read(VM, &vm).await.unwrap().unwrap();
    fake.state.lock().unwrap().requests.clear();
    for _ in 0..2 {
        proxmox.read(VM, &vm).await.unwrap().unwrap();
    }
    let requests = fake.state.lock().unwrap().requests.clone();
    let shared = requests
        .iter()
        .filter(|r| r.ends_with("/cluster/resources"))
        .count();
    assert!(shared <= 1, "{requests:?}");
    assert_eq!(requests.len() - shared, 4, "{requests:?}");
}

#[tokio::test]
async fn a_task_that_a_lock_stopped_is_started_again() {
    let fake = Fake::with_files(IMAGES).await;
    let lock = "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout";
    fake.state.lock().unwrap().failures = vec![lock.to_owned()];
    let proxmox = provider(&fake).await;
    proxmox
        .apply(VM, None, json!({ "node_name": "pve" }))
        .await
        .unwrap();
    assert_eq!(fake.changes("POST", "/nodes/pve/qemu").len(), 2);
}

#[tokio::test]
async fn a_machine_that_does_not_start_is_not_lost() {
    let fake = Fake::with_files(IMAGES).await;
    fake.state.lock().unwrap().failures = vec!["OK".to_owned(), "no KVM here".to_owned()];
    let proxmox = provider(&fake).await;
    let failed = proxmox
        .apply(VM, None, json!({ "node_name": "pve" }))
        .await
        .unwrap_err();
    assert_eq!(failed.kept.unwrap().text("id"), "100");
    let said = format!("{:?}", failed.diagnostics);
    assert!(
        said.contains("no KVM here") && said.contains("start VM 100"),
        "{said}"
    );
    assert!(!said.contains("very-secret"));
}

#[tokio::test]
async fn an_iso_image_needs_root_and_is_refused_before_anything_is_made() {
    let fake = Fake::with_files(IMAGES).await;
    let proxmox = provider(&fake).await;
    let config = json!({ "node_name": "pve", "disk": [{ "interface": "scsi0", "file_id": "local:iso/talos.img" }] });
    let value = proxmox.config(VM, config.clone()).unwrap();
    let refused = format!("{:?}", proxmox.plan(VM, None, &value).await.unwrap_err());
    assert!(refused.contains("import_from"), "{refused}");
    assert!(fake.state.lock().unwrap().changes.is_empty());

    let factory = stead_proxmox::factory(&Dialer::direct());
    let ticket = json!({ "endpoint": fake.url, "auth_ticket": "PVE:root@pam:00::x", "csrf_prevention_token": "y" });
    let root = Harness::configured(&factory, ticket).await.unwrap();
    root.apply(VM, None, config).await.unwrap();
    let sent = fake.changes("POST", "/nodes/pve/qemu").remove(0);
    assert!(
        sent["scsi0"].starts_with("local-lvm:0,import-from=/var/lib/vz/template/iso/talos.img"),
        "{sent:?}"
    );
}

#[tokio::test]
async fn what_cannot_work_is_told_at_plan_time() {
    let fake = Fake::with_files(IMAGES).await;
    let proxmox = provider(&fake).await;
    let vm = proxmox.apply(VM, None, talos(4096)).await.unwrap();
    let taken = proxmox
        .config(VM, json!({ "node_name": "pve", "vm_id": 100 }))
        .unwrap();
    let refused = format!("{:?}", proxmox.plan(VM, None, &taken).await.unwrap_err());
    assert!(refused.contains("taken"), "{refused}");
    // Unless it is the machine itself that would be replaced.
    let own = proxmox.config(VM, talos(4096)).unwrap();
    proxmox.plan(VM, Some(&vm), &own).await.unwrap();
    proxmox.plan(VM, None, &taken).await.unwrap();

    let mut smaller = talos(4096);
    smaller["disk"][0]["size"] = json!(10);
    let smaller = proxmox.config(VM, smaller).unwrap();
    let refused = format!(
        "{:?}",
        proxmox.plan(VM, Some(&vm), &smaller).await.unwrap_err()
    );
    assert!(refused.contains("cannot shrink"), "{refused}");

    let wrong =
        json!({ "node_name": "pve", "disk": [{ "interface": "scsi0", "datastore_id": "local" }] });
    let wrong = proxmox.config(VM, wrong).unwrap();
    let refused = format!("{:?}", proxmox.plan(VM, None, &wrong).await.unwrap_err());
    assert!(
        refused.contains("pvesm set local --content iso,import,vztmpl,images"),
        "{refused}"
    );
}

#[tokio::test]
async fn an_imported_machine_has_nothing_to_change() {
    let fake = Fake::with_files(IMAGES).await;
    let proxmox = provider(&fake).await;
    proxmox.apply(VM, None, talos(4096)).await.unwrap();
    let imported = proxmox.import(VM, "pve/100").await.unwrap();
    let imported = proxmox.read(VM, &imported).await.unwrap().unwrap();
    let config = proxmox.config(VM, talos(4096)).unwrap();
    let plan = proxmox.plan(VM, Some(&imported), &config).await.unwrap();
    for (name, planned) in plan.planned.as_entries().unwrap() {
        assert_eq!(Some(planned), imported.value.get(name).as_ref(), "{name}");
    }
    assert!(plan.requires_replace.is_empty());
    let before = fake.state.lock().unwrap().changes.len();
    proxmox
        .apply_planned(VM, Some(&imported), plan, config)
        .await
        .unwrap();
    assert_eq!(
        fake.state.lock().unwrap().changes.len(),
        before,
        "an import must not change the machine"
    );
}

#[tokio::test]
async fn a_file_is_downloaded_read_and_deleted() {
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    let config = json!({ "node_name": "pve", "datastore_id": "local", "content_type": "import",
                         "url": "https://factory.talos.dev/image/x/v1.9.0/nocloud-amd64.qcow2" });
    let file = proxmox.apply(FILE, None, config.clone()).await.unwrap();
    assert_eq!(file.text("id"), "local:import/nocloud-amd64.qcow2");
    // Another size in the storage than at the source is no reason to replace.
    fake.state
        .lock()
        .unwrap()
        .files
        .values_mut()
        .for_each(|s| *s = 8192);
    let file = proxmox.read(FILE, &file).await.unwrap().unwrap();
    let value = proxmox.config(FILE, config).unwrap();
    let plan = proxmox.plan(FILE, Some(&file), &value).await.unwrap();
    assert_eq!(plan.planned, file.value);
    proxmox.delete(FILE, &file).await.unwrap();
    assert!(fake.state.lock().unwrap().files.is_empty());
}

#[tokio::test]
async fn disks_belong_to_their_slots_wherever_they_are_listed() {
    let fake = Fake::with_files(IMAGES).await;
    let proxmox = provider(&fake).await;
    let vm = proxmox.apply(VM, None, talos(4096)).await.unwrap();
    let mut two = talos(4096);
    let first = two["disk"][0].clone();
    two["disk"] = json!([{ "interface": "scsi1", "size": 50 }, first]);
    let both = proxmox.apply(VM, Some(&vm), two).await.unwrap();
    let sent = fake.changes("PUT", "/nodes/pve/qemu/100/config").remove(0);
    assert_eq!(sent.keys().collect::<Vec<_>>(), ["digest", "scsi1"]);
    assert_eq!(sent["scsi1"], "local-lvm:50,aio=io_uring");
    let mut back = talos(4096);
    back["disk"][0]["ssd"] = json!(false);
    proxmox.apply(VM, Some(&both), back).await.unwrap();
    let sent = fake.changes("PUT", "/nodes/pve/qemu/100/config").remove(1);
    assert_eq!(sent["delete"], "scsi1");
    assert_eq!(
        sent["scsi0"],
        "local-lvm:vm-100-disk-0,aio=io_uring,discard=on,iothread=1"
    );
}

#[tokio::test]
async fn a_state_of_the_published_provider_has_nothing_to_change() {
    let fake = Fake::with_files(IMAGES).await;
    let proxmox = provider(&fake).await;
    proxmox
        .apply(
            VM,
            None,
            json!({ "node_name": "pve", "name": "a", "disk": [{ "interface": "scsi0" }] }),
        )
        .await
        .unwrap();
    let state = json!({
        "acpi": true, "agent": [], "bios": "seabios", "boot_order": ["scsi0"], "cdrom": [], "clone": [], "cpu": [],
        "description": "", "disk": [{ "aio": "io_uring", "backup": true, "cache": "none", "datastore_id": "local-lvm",
            "discard": "ignore", "file_format": "raw", "file_id": "", "import_from": "", "interface": "scsi0",
            "iothread": false, "path_in_datastore": "vm-100-disk-0", "queues": 0, "replicate": true, "serial": "",
            "size": 8, "speed": [], "ssd": false }],
        "hook_script_file_id": null, "id": "100", "initialization": [], "ipv4_addresses": [], "ipv6_addresses": [],
        "keyboard_layout": "en-us", "kvm_arguments": "", "mac_addresses": [], "machine": "", "memory": [],
        "migrate": false, "name": "a", "network_device": [], "network_interface_names": [], "node_name": "pve",
        "on_boot": true, "pool_id": null, "protection": false, "reboot": false, "scsi_hardware": "virtio-scsi-pci",
        "started": true, "stop_on_destroy": false, "tablet_device": true, "tags": [], "template": false, "vm_id": 100,
        "timeout_create": 1800, "vga": [],
    });
    let stored = proxmox.stored(VM, 0, &state).unwrap();
    let read = proxmox.read(VM, &stored).await.unwrap().unwrap();
    let config = json!({ "node_name": "pve", "name": "a", "disk": [{ "interface": "scsi0" }] });
    let config = proxmox.config(VM, config).unwrap();
    let plan = proxmox.plan(VM, Some(&read), &config).await.unwrap();
    assert!(plan.requires_replace.is_empty());
    let before = fake.state.lock().unwrap().changes.len();
    for name in [
        "description",
        "pool_id",
        "boot_order",
        "network_device",
        "disk",
        "tags",
        "machine",
    ] {
        assert_eq!(plan.planned.get(name), read.value.get(name), "{name}");
    }
    proxmox
        .apply_planned(VM, Some(&read), plan, config)
        .await
        .unwrap();
    assert_eq!(fake.state.lock().unwrap().changes.len(), before);
}

#[tokio::test]
async fn a_clone_gets_its_configuration_in_one_request() {
    let fake = Fake::with_files(IMAGES).await;
    let proxmox = provider(&fake).await;
    let template = json!({ "node_name": "pve", "vm_id": 900, "started": false,
                           "disk": [{ "interface": "scsi0" }], "network_device": [{}, {}] });
    proxmox.apply(VM, None, template).await.unwrap();
    let config = json!({ "node_name": "pve", "name": "copy", "clone": [{ "vm_id": 900 }],
                         "memory": [{ "dedicated": 2048 }], "network_device": [{ "bridge": "vmbr1" }] });
    let vm = proxmox.apply(VM, None, config).await.unwrap();
    assert_eq!(
        fake.changes("POST", "/nodes/pve/qemu/900/clone")[0]["full"],
        "1"
    );
    let sent = fake.changes("PUT", "/nodes/pve/qemu/100/config");
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0]["delete"], "net1");
    assert_eq!(sent[0]["memory"], "2048");
    assert!(
        !sent[0].contains_key("cores"),
        "the template's processors were not asked to change"
    );
    assert_eq!(vm.text("id"), "100");
}

#[tokio::test]
async fn machines_made_at_the_same_time_get_identifiers_of_their_own() {
    let fake = Fake::with_files(IMAGES).await;
    let proxmox = provider(&fake).await;
    let one = |name: &str| json!({ "node_name": "pve", "name": name });
    let (a, b) = tokio::join!(
        proxmox.apply(VM, None, one("a")),
        proxmox.apply(VM, None, one("b"))
    );
    let mut ids = [a.unwrap().text("id"), b.unwrap().text("id")];
    ids.sort();
    assert_eq!(ids, ["100", "101"]);
}

#[tokio::test]
async fn a_password_buys_one_ticket_and_is_never_shown() {
    let fake = Fake::with_files(IMAGES).await;
    let factory = stead_proxmox::factory(&Dialer::direct());
    let login = |password: &str| json!({ "endpoint": fake.url, "username": "root@pam", "password": password });
    let root = Harness::configured(&factory, login("very-secret"))
        .await
        .unwrap();
    for name in ["proxmox_virtual_environment_version", "proxmox_version"] {
        let version = root.data(name, json!({})).await.unwrap();
        assert_eq!(version.get("version").unwrap().as_str(), Some("9.0.3"));
    }
    assert_eq!(fake.changes("POST", "/access/ticket").len(), 1);

    let wrong = Harness::configured(&factory, login("secret-too"))
        .await
        .unwrap();
    let refused = format!(
        "{:?}",
        wrong.data("proxmox_version", json!({})).await.unwrap_err()
    );
    assert!(
        refused.contains("log in as root@pam") && refused.contains("authentication failure"),
        "{refused}"
    );
    assert!(!refused.contains("secret-too"));
}
