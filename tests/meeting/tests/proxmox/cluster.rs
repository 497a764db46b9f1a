//! What the whole cluster shares.

use serde_json::{Value as Json, json};
use stead_meeting::Life;

const VM: &str = "proxmox_virtual_environment_vm";

/// A machine that need not run.
fn machine() -> Json {
    json!({ "node_name": "abel", "vm_id": 100, "name": "web", "started": false })
}

pub(crate) fn lives() -> Vec<Life> {
    vec![
        Life::of("proxmox_hagroup", json!({ "group": "main", "nodes": { "abel": 2, "cantor": null }, "comment": "x", "restricted": true }))
            .before_9()
            .changes(json!({ "nodes": { "abel": 2, "cantor": 1 }, "comment": null, "no_failback": true }))
            .is_replaced_by(json!({ "group": "other" }))
            .drifts("PUT", "/cluster/ha/groups/main", "comment=mine", "comment")
            .imports("main", &[]),
        Life::of("proxmox_haresource", json!({ "resource_id": "vm:100", "state": "stopped", "comment": "x" }))
            .after(VM, machine())
            .changes(json!({ "comment": null, "max_restart": 3 }))
            .drifts("PUT", "/cluster/ha/resources/vm:100", "comment=mine", "comment")
            .imports("vm:100", &[]),
        Life::of("proxmox_harule", json!({ "rule": "home", "type": "node-affinity", "resources": ["vm:100"], "nodes": { "abel": 2, "cantor": null } }))
            .after(VM, machine())
            .after("proxmox_haresource", json!({ "resource_id": "vm:100", "state": "stopped" }))
            .changes(json!({ "comment": "near the disks", "strict": true }))
            .is_replaced_by(json!({ "rule": "away" }))
            .drifts("PUT", "/cluster/ha/rules/home", "type=node-affinity&comment=mine", "comment")
            .imports("home", &[]),
        Life::of(
            "proxmox_hardware_mapping_pci",
            json!({ "name": "gpu", "map": [{ "node": "abel", "id": "10de:1eb8", "path": "0000:01:00.0", "subsystem_id": "10de:12a2", "iommu_group": 16 }] }),
        )
        .changes(json!({ "comment": "for models" }))
        .is_replaced_by(json!({ "name": "card" }))
        .drifts(
            "PUT",
            "/cluster/mapping/pci/gpu",
            "description=mine&map=node%3Dabel,id%3D10de:1eb8,path%3D0000:01:00.0,subsystem-id%3D10de:12a2,iommugroup%3D16",
            "comment",
        )
        .imports("gpu", &[]),
        Life::of("proxmox_metrics_server", json!({ "name": "graphs", "type": "influxdb", "server": "10.25.150.40", "port": 8089, "influx_token": "secret", "influx_bucket": "pve", "influx_db_proto": "https", "influx_organization": "lab" }))
            .changes(json!({ "mtu": 1400, "disable": true }))
            .is_replaced_by(json!({ "name": "other" }))
            .drifts("PUT", "/cluster/metrics/server/graphs", "server=10.25.150.40&port=8089&mtu=1200", "mtu")
            .imports("graphs", &["influx_token"]),
        Life::of("proxmox_replication", json!({ "id": "100-0", "target": "cantor", "type": "local" }))
            .after(VM, json!({ "node_name": "abel", "vm_id": 100, "started": false, "disk": [{ "interface": "scsi0", "datastore_id": "local-zfs", "size": 8 }] }))
            .changes(json!({ "schedule": "*/30", "comment": "twice an hour" }))
            .is_replaced_by(json!({ "target": "euclid" }))
            .drifts("PUT", "/cluster/replication/100-0", "rate=5", "rate")
            .imports("100-0", &[]),
        Life::of("proxmox_backup_job", json!({ "id": "nightly", "schedule": "03:00", "storage": "local", "all": true, "compress": "zstd", "mode": "snapshot" }))
            .changes(json!({ "schedule": "04:00", "prune_backups": { "keep-last": "3" } }))
            .is_replaced_by(json!({ "id": "weekly" }))
            .drifts("PUT", "/cluster/backup/nightly", "schedule=05:00&storage=local&all=1", "schedule")
            .imports("nightly", &[]),
        Life::of("proxmox_hardware_mapping_dir", json!({ "name": "media", "map": [{ "node": "abel", "path": "/mnt/media" }], "comment": "films" }))
            .changes(json!({ "comment": "movies" }))
            .is_replaced_by(json!({ "name": "music" }))
            .drifts("PUT", "/cluster/mapping/dir/media", "description=mine&map=node%3Dabel,path%3D/mnt/media", "comment")
            .imports("media", &[]),
        Life::of("proxmox_hardware_mapping_usb", json!({ "name": "stick", "map": [{ "node": "abel", "id": "0951:1666", "comment": "in front" }] }))
            .changes(json!({ "comment": "zigbee" }))
            .is_replaced_by(json!({ "name": "key" }))
            .drifts("PUT", "/cluster/mapping/usb/stick", "description=mine&map=node%3Dabel,id%3D0951:1666", "comment")
            .imports("stick", &[]),
        Life::of(
            "proxmox_cluster_options",
            json!({ "keyboard": "de", "migration_type": "secure", "migration_cidr": "10.25.150.0/24", "bandwidth_limit_clone": 1000,
                "next_id": { "lower": 200, "upper": 300 }, "crs_ha": "static" }),
        )
        .changes(json!({ "keyboard": "en-us", "bandwidth_limit_clone": null, "bandwidth_limit_move": 500, "next_id": null,
            "notify": { "replication": "always" }, "ha_shutdown_policy": "migrate" }))
        .drifts("PUT", "/cluster/options", "keyboard=fr", "keyboard")
        .imports("cluster", &[])
        .stays(),
    ]
}
