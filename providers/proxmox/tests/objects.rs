//! Small objects through their lives, and how they are looked up and imported.

mod fake;
mod life;

use fake::Fake;
use life::{Life, provider};
use serde_json::json;

#[tokio::test]
async fn ha_groups() {
    let life = Life {
        type_name: "proxmox_hagroup",
        at: "/cluster/ha/groups/main",
        id: "main",
        made: json!({ "group": "main", "nodes": { "a": 2, "b": null }, "comment": "x", "restricted": true }),
        sent: "comment=x&group=main&nodes=a:2,b&nofailback=0&restricted=1",
        changed: json!({ "group": "main", "nodes": { "a": 2, "b": 1 }, "restricted": true }),
        sent_then: "delete=comment&nodes=a:2,b:1",
        drift: ("nofailback", "1", "no_failback"),
        unknown_to_import: &[],
    };
    life.run().await;
}

#[tokio::test]
async fn pci_mappings() {
    let device = json!({ "id": "8086:5916", "node": "a", "path": "0000:00:02.0" });
    let other = json!({ "id": "8086:5917", "node": "b", "path": "0000:00:03.0", "iommu_group": 4, "comment": "gpu" });
    let life = Life {
        type_name: "proxmox_virtual_environment_hardware_mapping_pci",
        at: "/cluster/mapping/pci/gpu",
        id: "gpu",
        made: json!({ "name": "gpu", "map": [device] }),
        sent: "id=gpu&map=id=8086:5916,node=a,path=0000:00:02.0&mdev=0",
        changed: json!({ "name": "gpu", "map": [other], "mediated_devices": true }),
        sent_then: "map=description=gpu,id=8086:5917,iommugroup=4,node=b,path=0000:00:03.0&mdev=1",
        drift: ("mdev", "0", "mediated_devices"),
        unknown_to_import: &[],
    };
    life.run().await;
}

#[tokio::test]
async fn an_ha_group_is_looked_up_and_all_are_listed() {
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    for group in ["main", "spare"] {
        let config = json!({ "group": group, "nodes": { "n": 1 } });
        proxmox
            .apply("proxmox_hagroup", None, config)
            .await
            .unwrap();
    }
    let one = proxmox
        .data("proxmox_hagroup", json!({ "group": "main" }))
        .await
        .unwrap();
    assert_eq!(one.get("id").unwrap().as_str(), Some("main"));
    assert_eq!(
        one.get("nodes").unwrap().get("n").unwrap().as_i64(),
        Some(1)
    );
    let all = proxmox
        .data("proxmox_virtual_environment_hagroups", json!({}))
        .await
        .unwrap();
    assert_eq!(all.get("id").unwrap().as_str(), Some("hagroups"));
    assert_eq!(
        all.get("group_ids").unwrap().as_sequence().unwrap().len(),
        2
    );
    let missing = proxmox
        .data("proxmox_hagroup", json!({ "group": "none" }))
        .await
        .unwrap_err();
    assert!(
        format!("{missing:?}").contains("read the HA group none"),
        "{missing:?}"
    );
}

#[tokio::test]
async fn an_import_by_an_identifier_of_another_form_says_which_it_should_be() {
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    let refused = proxmox
        .import("proxmox_user_token", "me@pve")
        .await
        .unwrap_err();
    assert!(
        format!("{refused:?}").contains("USER_ID!TOKEN_NAME"),
        "{refused:?}"
    );
}
