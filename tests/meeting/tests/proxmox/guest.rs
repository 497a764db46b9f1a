//! Machines and containers.

use serde_json::json;
use stead_lab_proxmox::Options;
use stead_meeting::{Homelab, Life};

pub(crate) fn lives() -> Vec<Life> {
    vec![
        Life::of(
            "proxmox_virtual_environment_vm",
            json!({
                "node_name": "abel", "vm_id": 100, "name": "web", "tags": ["lab"], "started": false,
                "cpu": [{ "cores": 2, "type": "host" }], "memory": [{ "dedicated": 2048 }],
                "disk": [{ "interface": "scsi0", "datastore_id": "local-lvm", "size": 8 }],
                "network_device": [{ "bridge": "vmbr0" }], "operating_system": [{ "type": "l26" }],
            }),
        )
        .changes(json!({ "description": "for trials", "memory": [{ "dedicated": 4096 }], "disk": [{ "interface": "scsi0", "datastore_id": "local-lvm", "size": 16 }] }))
        .drifts("PUT", "/nodes/abel/qemu/100/config", "name=mine", "name")
        .imports("abel/100", &[]),
        Life::of("proxmox_vm", json!({ "node_name": "abel", "id": 101, "name": "small", "stop_on_destroy": true }))
            .changes(json!({ "description": "for trials" }))
            .drifts("PUT", "/nodes/abel/qemu/101/config", "name=mine", "name"),
        Life::of("proxmox_cloned_vm", json!({ "node_name": "abel", "name": "copy", "clone": { "source_vm_id": 900 } }))
            .after("proxmox_virtual_environment_vm", json!({ "node_name": "abel", "vm_id": 900, "name": "template", "template": true, "started": false }))
            .changes(json!({ "description": "a copy" })),
        Life::of(
            "proxmox_virtual_environment_container",
            json!({
                "node_name": "abel", "vm_id": 200, "started": false, "unprivileged": true, "tags": ["lab"],
                "disk": [{ "datastore_id": "local-lvm", "size": 4 }], "memory": [{ "dedicated": 512 }],
                "initialization": [{ "hostname": "web", "ip_config": [{ "ipv4": [{ "address": "dhcp" }] }] }],
                "network_interface": [{ "name": "eth0" }],
                "operating_system": [{ "template_file_id": "local:vztmpl/debian-12-standard_12.12-1_amd64.tar.zst", "type": "debian" }],
            }),
        )
        .prepared("POST", "/nodes/abel/aplinfo", "storage=local&template=debian-12-standard_12.12-1_amd64.tar.zst")
        .changes(json!({ "description": "for trials", "memory": [{ "dedicated": 1024 }], "disk": [{ "datastore_id": "local-lvm", "size": 6 }] }))
        .is_replaced_by(json!({ "node_name": "cantor" }))
        .drifts("PUT", "/nodes/abel/lxc/200/config", "hostname=mine", "initialization"),
    ]
}

/// The task may go on without anybody to see its end: the state must say where to look, though the identifier was drawn and not given.
#[tokio::test]
async fn the_identifier_of_a_guest_whose_task_was_lost_is_kept() {
    let homelab = Homelab::start(&Options::default()).await;
    let template = "storage=local&template=debian-12-standard_12.12-1_amd64.tar.zst";
    homelab.call("POST", "/nodes/abel/aplinfo", template).await;
    for (name, config) in [
        (
            "proxmox_virtual_environment_vm",
            json!({ "node_name": "abel", "name": "web", "started": false }),
        ),
        (
            "proxmox_virtual_environment_container",
            json!({
                "node_name": "abel", "started": false, "disk": [{ "datastore_id": "local-lvm", "size": 4 }],
                "operating_system": [{ "template_file_id": "local:vztmpl/debian-12-standard_12.12-1_amd64.tar.zst" }],
            }),
        ),
    ] {
        homelab.fault("proxmox.task-lost", Some(1));
        let failed = homelab.proxmox.apply(name, None, config).await;
        let kept = failed.unwrap_err().kept.expect("an object");
        assert!(kept.attribute("vm_id").as_i64() >= Some(100), "{name}");
    }
    homelab.stop().await;
}
