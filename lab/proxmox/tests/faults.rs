//! Every fault that a user can set, and how it shows.

mod common;

use common::{Cluster, escaped};
use serde_json::json;
use stead_lab_core::Settings;
use stead_lab_core::faults::{Effect, Fault};
use stead_lab_proxmox::Options;

fn fault(name: &str, skip: u64, times: Option<u64>) -> Fault {
    Fault {
        name: name.into(),
        effect: Effect::On,
        skip,
        times,
        percent: 100,
    }
}

async fn with(faults: &[Fault]) -> Cluster {
    let cluster = Cluster::new().await;
    let form = "vmid=100&name=vm&scsi0=local-lvm%3A1&net0=virtio%2Cbridge%3Dvmbr0";
    cluster.done("POST", "/nodes/abel/qemu", form).await;
    for fault in faults {
        cluster.lab.faults.set(fault.clone()).unwrap();
    }
    cluster
}

#[tokio::test]
async fn the_second_clone_misses_its_lock() {
    let cluster = with(&[fault("proxmox.lock-timeout.clone", 2, Some(1))]).await;
    let path = "/nodes/abel/qemu/100/clone";
    cluster.done("POST", path, "newid=101").await;
    let second = cluster.task("POST", path, "newid=102").await;
    assert_eq!(
        second,
        "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout"
    );
    cluster.done("POST", path, "newid=102").await;
}

#[tokio::test]
async fn nodes_and_uploads_time_out() {
    let cluster = with(&[fault("proxmox.node-timeout.abel", 0, Some(1))]).await;
    let late = cluster.root("GET", "/nodes/abel/qemu/100/config", "").await;
    assert_eq!(
        (late.status, late.reason.as_str()),
        (596, "Connection timed out")
    );
    assert_eq!(cluster.config(100).await["name"], "vm");
}

#[tokio::test]
async fn without_quorum_nothing_changes() {
    let cluster = with(&[fault("proxmox.quorum-lost", 0, None)]).await;
    let refused = cluster
        .root("PUT", "/nodes/abel/qemu/100/config", "name=other")
        .await;
    assert_eq!(
        (refused.status, refused.reason.as_str()),
        (500, "cluster not ready - no quorum?")
    );
    assert_eq!(cluster.config(100).await["name"], "vm");
    cluster.lab.faults.clear(None).unwrap();
    cluster
        .root("PUT", "/nodes/abel/qemu/100/config", "name=other")
        .await
        .data();
}

#[tokio::test]
async fn storages_fill_and_privileges_go() {
    let full = fault("proxmox.storage-full.local-lvm", 0, None);
    let cluster = with(&[full, fault("proxmox.no-privilege.SDN.Use", 0, None)]).await;
    let exit = cluster
        .task("PUT", "/nodes/abel/qemu/100/resize", "disk=scsi0&size=2G")
        .await;
    assert_eq!(exit, "lvcreate error: insufficient free space in thin pool");
    let token = format!("PVEAPIToken={}", Options::PROVIDER_TOKEN);
    let refused = cluster
        .call(
            &token,
            "PUT",
            "/nodes/abel/qemu/100/config",
            "net1=virtio%2Cbridge%3Dvmbr0",
        )
        .await;
    assert_eq!(
        refused.reason,
        "Permission check failed (/sdn/zones/localnetwork/vmbr0, SDN.Use)"
    );
    cluster.lab.faults.clear(None).unwrap();
    cluster
        .done("PUT", "/nodes/abel/qemu/100/resize", "disk=scsi0&size=2G")
        .await;
}

#[tokio::test]
async fn tasks_are_lost_and_tokens_expire() {
    let cluster = with(&[
        fault("proxmox.task-lost", 0, Some(1)),
        fault("proxmox.token-expired", 2, Some(1)),
    ])
    .await;
    let upid = cluster
        .root("POST", "/nodes/abel/qemu/100/status/start", "")
        .await
        .data();
    let upid = escaped(upid.as_str().unwrap());
    let status = cluster
        .root("GET", &format!("/nodes/abel/tasks/{upid}/status"), "")
        .await;
    assert_eq!(
        (status.status, status.reason.as_str()),
        (400, "no such task")
    );
    let expired = cluster
        .root("GET", "/nodes/abel/qemu/100/status/current", "")
        .await;
    assert_eq!(
        (expired.status, expired.reason.as_str()),
        (401, "token expired")
    );
    let status = cluster
        .root("GET", "/nodes/abel/qemu/100/status/current", "")
        .await
        .data();
    assert_eq!(status["status"], "stopped", "what was lost was not done");
}

#[tokio::test]
async fn work_that_comes_to_nothing_leaves_nothing() {
    let cluster = with(&[fault("proxmox.task.qmcreate", 0, Some(1))]).await;
    let form = "vmid=200&name=vm";
    let failed = cluster.task("POST", "/nodes/abel/qemu", form).await;
    assert_eq!(failed, "simulated fault");
    cluster.done("POST", "/nodes/abel/qemu", form).await;

    cluster.container_template().await;
    let form = "vmid=300&rootfs=local-zfs%3A4&ostemplate=local%3Avztmpl%2Fdebian-12-standard_12.7-1_amd64.tar.zst";
    cluster.done("POST", "/nodes/abel/lxc", form).await;
    let once = fault("proxmox.task-lost", 0, Some(1));
    cluster.lab.faults.set(once).unwrap();
    let path = "/nodes/abel/lxc/300/clone";
    cluster.root("POST", path, "newid=301").await.data();
    let source = cluster.container(300).await;
    assert_eq!(source.get("lock"), None, "{source}");
    cluster.done("POST", path, "newid=301").await;
}

#[tokio::test]
async fn an_interrupted_creation_is_undone() {
    let lifelike = Settings {
        pace: 1000.0,
        ..Settings::default()
    };
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::with(dir, Options::default(), lifelike).await;
    let form = "vmid=200&name=vm&scsi0=local-lvm%3A1";
    let upid = cluster.root("POST", "/nodes/abel/qemu", form).await.data();
    let task = format!("/nodes/abel/tasks/{}", escaped(upid.as_str().unwrap()));
    cluster.root("DELETE", &task, "").await.data();
    assert_eq!(cluster.wait(&upid).await, "received interrupt");
    assert_eq!(cluster.proxmox.inventory()["vms"], json!([]));
}

#[tokio::test]
async fn guests_change_and_vanish_behind_ones_back() {
    let cluster = with(&[
        fault("proxmox.vm-edited.100", 1, Some(1)),
        fault("proxmox.vm-vanished.100", 4, Some(1)),
    ])
    .await;
    let digest = cluster.config(100).await["digest"]
        .as_str()
        .unwrap()
        .to_owned();
    let stale = cluster
        .root(
            "PUT",
            "/nodes/abel/qemu/100/config",
            &format!("name=other&digest={digest}"),
        )
        .await;
    assert_eq!(
        stale.reason,
        "checksum mismatch (file change by other user?)"
    );
    let config = cluster.config(100).await;
    assert_eq!(
        (&config["cores"], &config["description"]),
        (&json!(2), &json!("changed by hand"))
    );
    cluster.config(100).await;
    let gone = cluster.root("GET", "/nodes/abel/qemu/100/config", "").await;
    assert_eq!(
        gone.reason,
        "Configuration file 'nodes/abel/qemu-server/100.conf' does not exist"
    );
    assert_eq!(cluster.proxmox.inventory()["volumes"], json!([]));
}
