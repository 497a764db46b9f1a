//! What becomes of a machine's disks and devices: hot-plugging, pending changes, other machines, other nodes.

mod common;

use common::Cluster;
use serde_json::{Value, json};

async fn machine(vmid: u32, more: &str) -> Cluster {
    let cluster = Cluster::new().await;
    make(&cluster, vmid, more).await;
    cluster
}

async fn make(cluster: &Cluster, vmid: u32, more: &str) {
    let form = format!("vmid={vmid}&name=vm{vmid}&net0=virtio%2Cbridge%3Dvmbr0{more}");
    cluster.done("POST", "/nodes/abel/qemu", &form).await;
}

async fn current(cluster: &Cluster) -> Value {
    let path = "/nodes/abel/qemu/100/config";
    cluster.root("GET", path, "current=1").await.data()
}

#[tokio::test]
async fn a_running_machine_takes_what_can_be_plugged() {
    let cluster = machine(
        100,
        "&scsi0=local-lvm%3A8&ide0=local-lvm%3A1&ide2=none%2Cmedia%3Dcdrom",
    )
    .await;
    let path = "/nodes/abel/qemu/100/config";
    let start = "/nodes/abel/qemu/100/status/start";
    cluster.done("POST", start, "").await;
    let form = "scsi1=local-lvm%3A2&net1=virtio%2Cbridge%3Dvmbr0&cpulimit=2&boot=order%3Dnet0&agent=1&bios=ovmf";
    cluster.root("PUT", path, form).await.data();
    let now = current(&cluster).await;
    assert_eq!(now["scsi1"], "local-lvm:vm-100-disk-2,size=2G");
    assert!(now["net1"].as_str().unwrap().contains("bridge=vmbr0") && now["cpulimit"] == "2");
    for waits in ["agent", "bios"] {
        assert!(now.get(waits).is_none(), "{waits} waits for the next start");
    }
    assert_eq!(now["boot"], "order=ide0;ide2;net0");
    assert_eq!(cluster.config(100).await["boot"], "order=net0");
    // An option that QEMU can't change makes the whole change wait, one of the host does not.
    cluster
        .root(
            "PUT",
            path,
            "scsi1=local-lvm%3Avm-100-disk-2%2Csize%3D2G%2Ciothread%3D1",
        )
        .await
        .data();
    assert_eq!(
        current(&cluster).await["scsi1"],
        "local-lvm:vm-100-disk-2,size=2G"
    );
    cluster.root("PUT", path, "revert=scsi1").await.data();
    cluster
        .root(
            "PUT",
            path,
            "scsi1=local-lvm%3Avm-100-disk-2%2Csize%3D2G%2Cbackup%3D0",
        )
        .await
        .data();
    assert_eq!(
        current(&cluster).await["scsi1"],
        "local-lvm:vm-100-disk-2,backup=0,size=2G"
    );
    // IDE does not plug.
    cluster.root("PUT", path, "delete=ide0").await.data();
    assert!(current(&cluster).await.get("ide0").is_some());
    cluster
        .done("POST", "/nodes/abel/qemu/100/status/stop", "")
        .await;
    let off = current(&cluster).await;
    assert_eq!(
        (&off["unused0"], &off["bios"]),
        (&json!("local-lvm:vm-100-disk-0"), &json!("ovmf"))
    );
    assert!(off.get("ide0").is_none());
}

#[tokio::test]
async fn without_hot_plugging_everything_waits() {
    let cluster = machine(100, "&scsi0=local-lvm%3A8&hotplug=0").await;
    cluster
        .done("POST", "/nodes/abel/qemu/100/status/start", "")
        .await;
    cluster
        .root("PUT", "/nodes/abel/qemu/100/config", "scsi1=local-lvm%3A2")
        .await
        .data();
    assert!(current(&cluster).await.get("scsi1").is_none());
    assert_eq!(
        cluster.config(100).await["scsi1"],
        "local-lvm:vm-100-disk-1,size=2G"
    );
}

#[tokio::test]
async fn disks_are_unlinked_and_become_another_machines() {
    let cluster = machine(
        100,
        "&scsi0=local-lvm%3A8&scsi1=local-lvm%3A2&scsi2=local-lvm%3A3",
    )
    .await;
    make(&cluster, 101, "&scsi0=local-lvm%3A1").await;
    let vm = "/nodes/abel/qemu/100";
    cluster
        .root("PUT", &format!("{vm}/unlink"), "idlist=scsi2&force=1")
        .await
        .data();
    let config = cluster.config(100).await;
    assert!(config.get("scsi2").is_none() && config.get("unused0").is_none());
    cluster
        .root("PUT", &format!("{vm}/unlink"), "idlist=scsi1")
        .await
        .data();
    assert_eq!(
        cluster.config(100).await["unused0"],
        "local-lvm:vm-100-disk-1"
    );
    let path = format!("{vm}/move_disk");
    let both = cluster.root("POST", &path, "disk=unused0").await;
    assert_eq!(both.status, 400, "{}", both.body);
    let used = cluster
        .root(
            "POST",
            &path,
            "disk=unused0&target-vmid=101&target-disk=scsi1",
        )
        .await;
    assert_eq!(
        used.reason,
        "Moving an unused disk to a used one is not possible"
    );
    let taken = cluster
        .root("POST", &path, "disk=scsi0&target-vmid=101")
        .await;
    assert_eq!(
        taken.reason,
        "Target disk key 'scsi0' is already in use for VM '101'"
    );
    cluster
        .done(
            "POST",
            &path,
            "disk=scsi0&target-vmid=101&target-disk=sata3",
        )
        .await;
    assert_eq!(
        cluster.config(101).await["sata3"],
        "local-lvm:vm-101-disk-1,size=8G"
    );
    let left = cluster.config(100).await;
    assert!(left.get("scsi0").is_none());
    assert_eq!(left["boot"], "order=net0");
}

#[tokio::test]
async fn clones_come_from_snapshots_and_go_to_other_nodes_with_shared_disks_only() {
    let cluster = machine(100, "&scsi0=local-lvm%3A8").await;
    let vm = "/nodes/abel/qemu/100";
    cluster
        .done("POST", &format!("{vm}/snapshot"), "snapname=early")
        .await;
    cluster
        .done("PUT", &format!("{vm}/resize"), "disk=scsi0&size=16G")
        .await;
    cluster
        .done("POST", &format!("{vm}/clone"), "newid=101&snapname=early")
        .await;
    assert_eq!(
        cluster.config(101).await["scsi0"],
        "local-lvm:vm-101-disk-0,size=8G"
    );
    let unknown = cluster
        .root("POST", &format!("{vm}/clone"), "newid=102&snapname=never")
        .await;
    assert_eq!(unknown.reason, "snapshot 'never' does not exist");
    let away = cluster
        .root("POST", &format!("{vm}/clone"), "newid=102&target=cantor")
        .await;
    assert_eq!(
        away.reason,
        "can't clone VM to node 'cantor' (VM uses local storage)"
    );
    let linked = cluster
        .root("POST", &format!("{vm}/clone"), "newid=102&full=0")
        .await;
    assert_eq!(
        linked.reason,
        "Linked clone feature is not supported for 'local-lvm:vm-100-disk-0' (scsi0)"
    );
    make(&cluster, 103, "").await;
    cluster
        .done(
            "POST",
            "/nodes/abel/qemu/103/clone",
            "newid=104&target=cantor",
        )
        .await;
    let there = cluster
        .root("GET", "/nodes/cantor/qemu/104/config", "")
        .await
        .data();
    assert_eq!(there["name"], "Copy-of-VM-vm103");
}

#[tokio::test]
async fn windows_is_bound_to_its_machine_and_cloud_init_can_be_read() {
    let more = "&ostype=win11&machine=q35&ide2=local-lvm%3Acloudinit&ipconfig0=ip%3D10.25.150.11%2F24%2Cgw%3D10.25.150.1";
    let cluster = machine(100, more).await;
    assert_eq!(cluster.config(100).await["machine"], "pc-q35-10.1");
    let path = "/nodes/abel/qemu/100/cloudinit/dump";
    let network = cluster.root("GET", path, "type=network").await.data();
    let network = network.as_str().unwrap();
    assert!(network.contains("address: '10.25.150.11'\n        netmask: '255.255.255.0'\n        gateway: '10.25.150.1'"), "{network}");
    let meta = cluster.root("GET", path, "type=meta").await.data();
    assert_eq!(meta.as_str().unwrap().len(), "instance-id: \n".len() + 40);
    let device = cluster
        .root("PUT", "/nodes/abel/qemu/100/config", "hostpci0=pcie%3D1")
        .await;
    assert_ne!(device.status, 200, "{}", device.body);
}
