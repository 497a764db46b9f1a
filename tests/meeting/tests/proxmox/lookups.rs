//! Data sources that show what the lab has from the beginning.

use serde_json::json;
use stead_lab_proxmox::Options;
use stead_meeting::Homelab;

#[tokio::test]
async fn what_a_new_cluster_has_is_found() {
    let homelab = Homelab::start(&Options::default()).await;
    let proxmox = &homelab.proxmox;
    let filters = json!({ "node_name": "abel", "filters": { "content_types": ["images"] } });
    let found = proxmox.data("proxmox_datastores", filters).await.unwrap();
    let rows = found.get("datastores").unwrap();
    let name = |row: &stead_sdk::value::Value| row.get("id").unwrap().as_str().unwrap().to_owned();
    let names: Vec<_> = rows.as_sequence().unwrap().iter().map(name).collect();
    assert_eq!(names, ["local-lvm", "local-zfs"]);
    for (class, count) in [("03", 1), ("02", 0)] {
        let filters = json!({ "node_name": "abel", "filters": { "class": class } });
        let found = proxmox.data("proxmox_hardware_pci", filters).await.unwrap();
        let devices = found.get("devices").unwrap();
        assert_eq!(devices.as_sequence().unwrap().len(), count, "{class}");
    }
    homelab.stop().await;
}
