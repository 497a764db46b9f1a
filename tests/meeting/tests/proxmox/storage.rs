//! Storages of the cluster.

use serde_json::{Value as Json, json};
use stead_meeting::Life;

/// What is the same for all: the content and the nodes change, the name does not, and somebody else switches it off.
fn life(type_name: &'static str, config: Json, not_imported: &'static [&'static str]) -> Life {
    let id = config["id"].as_str().unwrap_or_default().to_owned();
    Life::of(type_name, config)
        .changes(json!({ "nodes": ["abel", "cantor"] }))
        .is_replaced_by(json!({ "id": "other" }))
        .drifts("PUT", format!("/storage/{id}"), "disable=1", "disable")
        .imports(id, not_imported)
}

pub(crate) fn lives() -> Vec<Life> {
    vec![
        life(
            "proxmox_storage_directory",
            json!({ "id": "files", "path": "/srv/files", "content": ["iso", "backup"], "backups": { "keep_daily": 7 } }),
            &[],
        ),
        life(
            "proxmox_storage_nfs",
            json!({ "id": "nas", "server": "10.25.150.20", "export": "/mnt/tank", "content": ["images"], "options": "vers=4.2" }),
            &[],
        ),
        life(
            "proxmox_storage_cifs",
            json!({ "id": "win", "server": "10.25.150.21", "share": "backup", "username": "u", "password": "secret", "content": ["backup"] }),
            &["password"],
        ),
        life(
            "proxmox_storage_lvm",
            json!({ "id": "vg", "volume_group": "data", "content": ["images", "rootdir"] }),
            &[],
        ),
        life(
            "proxmox_storage_lvmthin",
            json!({ "id": "thin", "volume_group": "data", "thin_pool": "pool", "content": ["images"] }),
            &[],
        ),
        life(
            "proxmox_storage_zfspool",
            json!({ "id": "tank", "zfs_pool": "rpool/vms", "content": ["images"], "thin_provision": true }),
            &[],
        ),
        life(
            "proxmox_storage_pbs",
            json!({ "id": "pbs", "server": "10.25.150.22", "datastore": "main", "username": "u@pbs", "password": "secret", "content": ["backup"] }),
            &["password"],
        ),
    ]
}
