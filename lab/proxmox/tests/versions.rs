//! An older cluster has what its version's contract has, and no more.

mod common;

use common::Cluster;
use stead_lab_proxmox::{Options, Version};

#[tokio::test]
async fn version_8_4_refuses_what_came_later() {
    let options = Options {
        version: Version::V8_4,
        ..Options::default()
    };
    let cluster = Cluster::in_dir(tempfile::tempdir().unwrap(), options).await;
    let version = cluster.root("GET", "/version", "").await.data();
    assert_eq!(version["release"], "8.4");
    let status = cluster
        .root("GET", "/nodes/abel/status", "")
        .await
        .data()
        .to_string();
    assert!(
        status.contains("pve-manager/8.4") && status.contains("6.8.12"),
        "{status}"
    );
    let form = "vmid=100&ostype=win11";
    cluster.done("POST", "/nodes/abel/qemu", form).await;
    assert_eq!(cluster.config(100).await["machine"], "pc-i440fx-9.2");
    let refused = cluster.root("GET", "/cluster/ha/rules", "").await;
    assert_eq!(
        (refused.status, refused.reason.as_str()),
        (501, "Method 'GET /cluster/ha/rules' not implemented")
    );
    let path = "/cluster/metrics/server/later";
    let form = "type=opentelemetry&server=10.25.150.9&port=4318";
    let refused = cluster.root("POST", path, form).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    let form = "type=graphite&server=10.25.150.9&port=2003&otel-path=%2F";
    let refused = cluster.root("POST", path, form).await;
    assert_eq!(
        refused.body["errors"]["otel-path"],
        "property is not defined in schema and the schema does not allow additional properties"
    );
    let names = cluster.root("GET", "/cluster/ha", "").await.data();
    assert!(!names.to_string().contains("rules"), "{names}");
    let restarted = cluster.restarted().await;
    assert_eq!(
        restarted.root("GET", "/version", "").await.data()["release"],
        "8.4",
        "what is installed stays"
    );
}
