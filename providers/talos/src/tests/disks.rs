//! `talos_machine_disks`.

use serde_json::{Value as Json, json};
use stead_sdk::value::Value;

use super::node::FakeNode;
use super::{Talos, administrator, first, secrets};
use crate::api::specs::Disk;
use crate::machinery::SecretsBundle;

const DISKS: &str = "talos_machine_disks";

fn config(node: &FakeNode, secrets: &SecretsBundle, selector: Option<&str>) -> Json {
    json!({
        "node": "127.0.0.1",
        "endpoint": node.address.to_string(),
        "client_configuration": administrator(secrets),
        "selector": selector,
        "timeouts": { "read": "5s" },
    })
}

fn disk(path: &str, size: u64, transport: &str) -> Disk {
    Disk {
        dev_path: path.to_owned(),
        size,
        transport: transport.to_owned(),
        symlinks: vec![format!("/dev/disk/by-path/{transport}")],
        rotational: transport == "sata",
        firmware_version: "1.0".to_owned(),
        ..Disk::default()
    }
}

fn three() -> Vec<Disk> {
    vec![
        disk("/dev/nvme0n1", 500_000_000_000, "nvme"),
        disk("/dev/sda", 4_000_000_000_000, "sata"),
        disk("/dev/sdb", 16_000_000_000, "usb"),
    ]
}

fn paths(found: &Value) -> Vec<String> {
    let disks = found.get("disks").unwrap();
    let disks = disks.as_sequence().unwrap().iter();
    disks
        .map(|d| d.get("dev_path").unwrap().as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn the_disks_that_are_selected_are_told() {
    let secrets = secrets();
    let (talos, node) = (
        Talos::new().await,
        FakeNode::configured(&secrets, "version: v1alpha1\n").await,
    );
    node.inside().disks = three();
    for (selector, wanted) in [
        (None, vec!["/dev/nvme0n1", "/dev/sda", "/dev/sdb"]),
        (Some(""), vec!["/dev/nvme0n1", "/dev/sda", "/dev/sdb"]),
        (Some("!system_disk"), vec!["/dev/sda", "/dev/sdb"]),
        (
            Some("disk.size > 100u * GB && !disk.rotational"),
            vec!["/dev/nvme0n1"],
        ),
        (
            Some("glob('/dev/sd*', disk.dev_path)"),
            vec!["/dev/sda", "/dev/sdb"],
        ),
        (Some("disk.size > 1u * PB"), vec![]),
    ] {
        let found = talos.harness.data(DISKS, config(&node, &secrets, selector));
        let found = found.await.unwrap();
        assert_eq!(paths(&found), wanted, "{selector:?}");
    }
    let found = talos
        .harness
        .data(
            DISKS,
            config(&node, &secrets, Some("disk.transport == 'sata'")),
        )
        .await
        .unwrap();
    let disks = found.get("disks").unwrap();
    let disk = &disks.as_sequence().unwrap()[0];
    assert_eq!(disk.get("size").unwrap().as_i64(), Some(4_000_000_000_000));
    assert_eq!(disk.get("rotational").unwrap().as_bool(), Some(true));
    let firmware = disk.get("firmware_version").unwrap();
    assert_eq!(firmware.as_str(), Some("1.0"));
}

#[tokio::test]
async fn a_machine_without_a_configuration_tells_its_disks() {
    let secrets = secrets();
    let (talos, node) = (Talos::new().await, FakeNode::start(&secrets).await);
    node.inside().disks = three();
    let wanted = config(
        &node,
        &secrets,
        Some("disk.transport == 'nvme' && !system_disk"),
    );
    let found = talos.harness.data(DISKS, wanted).await.unwrap();
    assert_eq!(paths(&found), ["/dev/nvme0n1"]);
}

#[tokio::test]
async fn a_selector_that_makes_no_sense_is_refused_before_a_node_is_asked() {
    let secrets = secrets();
    let (talos, node) = (
        Talos::new().await,
        FakeNode::configured(&secrets, "version: v1alpha1\n").await,
    );
    let wanted = config(&node, &secrets, Some("disk.size > 100 * GB"));
    let refused = talos.harness.data(DISKS, wanted).await.unwrap_err();
    let mistake = first(&refused);
    assert_eq!(mistake.summary, "Invalid disk selector");
    assert!(
        mistake.detail.contains("line 1, column 17") && mistake.detail.contains("write 100u"),
        "{}",
        mistake.detail
    );
    // What can only be told of a disk is told of it.
    node.inside().disks = three();
    let wanted = config(&node, &secrets, Some("1u / disk.io_size > 1u"));
    let refused = talos.harness.data(DISKS, wanted).await.unwrap_err();
    let detail = &first(&refused).detail;
    assert!(detail.contains("/dev/nvme0n1"), "{detail}");
}
