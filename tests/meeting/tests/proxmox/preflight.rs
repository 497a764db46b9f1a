//! What is found before the first change, by a token that has not all privileges and with names that are not there.

use serde_json::{Value as Json, json};
use stead_lab_proxmox::Options;
use stead_meeting::Homelab;

const VM: &str = "proxmox_virtual_environment_vm";

/// A provider with the token of the lab that has the rights of a provider, and no more.
async fn with_token() -> Homelab {
    let config =
        |endpoint: &str| json!({ "endpoint": endpoint, "api_token": Options::PROVIDER_TOKEN });
    Homelab::configured(&Options::default(), config).await
}

fn machine(members: Json) -> Json {
    let mut config = json!({ "node_name": "abel", "name": "web", "started": false });
    if let (Some(config), Json::Object(members)) = (config.as_object_mut(), members) {
        config.extend(members);
    }
    config
}

/// The errors of a plan to create, or else its warnings, as text.
async fn told(homelab: &Homelab, type_name: &str, config: Json) -> String {
    let config = homelab.proxmox.config(type_name, config).unwrap();
    match homelab.proxmox.plan(type_name, None, &config).await {
        Ok(plan) if plan.warnings.is_empty() => String::new(),
        Ok(plan) => format!("{:?}", plan.warnings),
        Err(errors) => format!("{errors:?}"),
    }
}

async fn expect(homelab: &Homelab, type_name: &str, config: Json, parts: &[&str]) {
    let said = told(homelab, type_name, config).await;
    for part in parts {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
}

#[tokio::test]
async fn privileges_that_are_missing_are_told_with_the_commands_that_grant_them() {
    for (privilege, type_name, config, path) in [
        (
            "VM.Allocate",
            VM,
            machine(json!({ "vm_id": 501 })),
            "/vms/501",
        ),
        ("VM.Config.CPU", VM, machine(json!({})), "/vms"),
        (
            "VM.PowerMgmt",
            VM,
            machine(json!({ "started": true })),
            "/vms",
        ),
        (
            "Datastore.AllocateSpace",
            VM,
            machine(
                json!({ "disk": [{ "interface": "scsi0", "datastore_id": "local-lvm", "size": 8 }] }),
            ),
            "/storage/local-lvm",
        ),
        (
            "SDN.Use",
            VM,
            machine(json!({ "network_device": [{ "bridge": "vmbr0" }] })),
            "/sdn/zones/localnetwork/vmbr0",
        ),
        (
            "VM.Allocate",
            "proxmox_virtual_environment_container",
            json!({
                "node_name": "abel", "started": false,
                "operating_system": [{ "template_file_id": "local:vztmpl/none.tar.zst" }],
            }),
            "/vms",
        ),
        (
            "Pool.Allocate",
            "proxmox_virtual_environment_pool",
            json!({ "pool_id": "web" }),
            "/pool/web",
        ),
        (
            "Sys.Modify",
            "proxmox_network_linux_bridge",
            json!({ "node_name": "abel", "name": "vmbr9" }),
            "/nodes/abel",
        ),
        (
            "Datastore.AllocateTemplate",
            "proxmox_download_file",
            json!({ "node_name": "abel", "datastore_id": "local", "content_type": "iso", "url": "https://example.lab/a.iso" }),
            "/storage/local",
        ),
    ] {
        let homelab = with_token().await;
        homelab.fault(&format!("proxmox.no-privilege.{privilege}"), None);
        let command = format!("pveum acl modify {path} --roles");
        let parts = [privilege, &command, "--tokens 'terraform@pve!provider'"];
        expect(&homelab, type_name, config, &parts).await;
        homelab.stop().await;
    }
}

#[tokio::test]
async fn names_that_are_not_there_are_told_with_those_that_are() {
    let homelab = with_token().await;
    homelab
        .call(
            "POST",
            "/nodes/abel/qemu",
            "vmid=900&name=template&template=1",
        )
        .await;
    let disk = |more: Json| {
        let mut disk = json!({ "interface": "scsi0", "datastore_id": "local-lvm", "size": 8 });
        if let (Some(disk), Json::Object(more)) = (disk.as_object_mut(), more) {
            disk.extend(more);
        }
        machine(json!({ "disk": [disk] }))
    };
    for (config, parts) in [
        (
            disk(json!({ "datastore_id": "fast" })),
            ["No storage fast on abel", "local-lvm"],
        ),
        (
            machine(json!({ "network_device": [{ "bridge": "vmbr7" }] })),
            ["No bridge vmbr7 on abel", "The node has: vmbr0"],
        ),
        (
            machine(json!({ "hostpci": [{ "device": "hostpci0", "mapping": "gpu" }] })),
            ["No pci mapping gpu", "There are: none"],
        ),
        (
            machine(json!({ "clone": [{ "vm_id": 901 }] })),
            ["No VM 901 to clone", "900 (template)"],
        ),
        (
            machine(json!({ "cdrom": [{ "file_id": "local:iso/none.iso" }] })),
            ["local:iso/none.iso", "download it first"],
        ),
        (
            disk(json!({ "import_from": "local:import/none.qcow2" })),
            [
                "No file local:import/none.qcow2",
                "Unless something that comes earlier",
            ],
        ),
    ] {
        let config = homelab.proxmox.config(VM, config).unwrap();
        let plan = homelab.proxmox.plan(VM, None, &config).await;
        // Not refused: a script may bring it in the same apply.
        let said = format!("{:?}", plan.expect("a plan").warnings);
        for part in parts {
            assert!(said.contains(part), "no {part:?} in {said}");
        }
    }
    homelab.stop().await;
}

#[tokio::test]
async fn what_the_same_plan_brings_counts_as_there() {
    let homelab = with_token().await;
    for (type_name, config) in [
        (
            "proxmox_storage_directory",
            json!({ "id": "fast", "path": "/srv/fast", "content": ["images"] }),
        ),
        (
            "proxmox_network_linux_bridge",
            json!({ "node_name": "abel", "name": "vmbr7" }),
        ),
        (
            "proxmox_hardware_mapping_pci",
            json!({ "name": "gpu", "map": [{ "node": "abel", "path": "0000:01:00.0", "id": "10de:1eb8" }] }),
        ),
        (VM, machine(json!({ "vm_id": 900, "template": true }))),
        (
            "proxmox_download_file",
            json!({ "node_name": "abel", "datastore_id": "local", "content_type": "iso", "url": "https://example.lab/a.iso" }),
        ),
    ] {
        assert_eq!(told(&homelab, type_name, config).await, "", "{type_name}");
    }
    let config = machine(json!({
        "disk": [{ "interface": "scsi0", "datastore_id": "fast", "size": 8 }],
        "network_device": [{ "bridge": "vmbr7" }],
        "hostpci": [{ "device": "hostpci0", "mapping": "gpu" }],
        "cdrom": [{ "file_id": "local:iso/a.iso" }],
    }));
    assert_eq!(told(&homelab, VM, config).await, "");
    let clone = machine(json!({ "clone": [{ "vm_id": 900 }] }));
    assert_eq!(told(&homelab, VM, clone).await, "");
    homelab.stop().await;
}

/// However many machines a plan has, what they look up is asked for once.
#[tokio::test]
async fn many_new_machines_are_planned_with_few_requests() {
    let homelab = with_token().await;
    let before = homelab.requests();
    for n in 0..50 {
        let config = machine(json!({
            "vm_id": 500 + n, "disk": [{ "interface": "scsi0", "datastore_id": "local-lvm", "size": 8 }],
            "network_device": [{ "bridge": "vmbr0" }],
        }));
        assert_eq!(told(&homelab, VM, config).await, "");
    }
    let asked = homelab.requests() - before;
    // Permissions and bridges once; guests and storages again when what is known of them is two seconds old.
    assert!(asked < 25, "{asked}");
    homelab.stop().await;
}

#[tokio::test]
async fn disks_that_find_no_room_together_are_told_before() {
    let homelab = with_token().await;
    let many = |size: i64| {
        machine(
            json!({ "disk": [{ "interface": "scsi0", "datastore_id": "local-lvm", "size": size }] }),
        )
    };
    let config = homelab.proxmox.config(VM, many(5000)).unwrap();
    let plan = homelab.proxmox.plan(VM, None, &config).await.unwrap();
    let said = format!("{:?}", plan.warnings);
    assert!(
        said.contains("local-lvm of abel is short of space"),
        "{said}"
    );
    homelab.stop().await;
}
