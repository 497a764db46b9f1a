//! Snapshots, suspension, migration and backups of guests of both kinds.

mod common;

use common::Cluster;
use serde_json::{Value, json};

async fn machine(cluster: &Cluster, vmid: u32, more: &str) {
    let form = format!("vmid={vmid}&name=vm{vmid}&memory=1024&net0=virtio%2Cbridge%3Dvmbr0{more}");
    cluster.done("POST", "/nodes/abel/qemu", &form).await;
}

async fn snapshots(cluster: &Cluster, guest: &str) -> Vec<Value> {
    let list = cluster.root("GET", &format!("{guest}/snapshot"), "").await;
    list.data().as_array().unwrap().clone()
}

#[tokio::test]
async fn a_snapshot_keeps_configuration_and_disks() {
    let cluster = Cluster::new().await;
    machine(&cluster, 100, "&scsi0=local-lvm%3A8").await;
    let vm = "/nodes/abel/qemu/100";
    let form = "snapname=before&description=clean";
    cluster.done("POST", &format!("{vm}/snapshot"), form).await;
    let form = "disk=scsi0&size=20G";
    cluster.done("PUT", &format!("{vm}/resize"), form).await;
    cluster
        .root(
            "PUT",
            &format!("{vm}/config"),
            "memory=2048&scsi1=local-lvm%3A3",
        )
        .await
        .data();
    cluster
        .done("POST", &format!("{vm}/snapshot"), "snapname=after")
        .await;
    let list = snapshots(&cluster, vm).await;
    let by_name = |name: &str| list.iter().find(|row| row["name"] == name).unwrap();
    assert_eq!(
        (&by_name("after")["parent"], &by_name("current")["parent"]),
        (&json!("before"), &json!("after"))
    );
    assert_eq!(
        (
            &by_name("before")["description"],
            &by_name("before")["vmstate"]
        ),
        (&json!("clean"), &json!(0))
    );
    let old = cluster
        .root("GET", &format!("{vm}/config"), "snapshot=before")
        .await
        .data();
    assert_eq!(
        (&old["memory"], &old["scsi0"]),
        (&json!("1024"), &json!("local-lvm:vm-100-disk-0,size=8G"))
    );
    let again = cluster
        .task("POST", &format!("{vm}/snapshot"), "snapname=before")
        .await;
    assert_eq!(again, "snapshot name 'before' already used");

    cluster
        .done("POST", &format!("{vm}/snapshot/before/rollback"), "")
        .await;
    let config = cluster.config(100).await;
    assert_eq!(
        (&config["memory"], &config["parent"]),
        (&json!("1024"), &json!("before"))
    );
    assert_eq!(config["scsi0"], "local-lvm:vm-100-disk-0,size=8G");
    assert!(config.get("scsi1").is_none() && config.get("lock").is_none());
    let content = cluster
        .root("GET", "/nodes/abel/storage/local-lvm/content", "")
        .await
        .data();
    let disk = content
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["volid"] == "local-lvm:vm-100-disk-0")
        .unwrap();
    assert_eq!(disk["size"], 8_u64 << 30);

    cluster
        .done("DELETE", &format!("{vm}/snapshot/after"), "")
        .await;
    assert_eq!(
        cluster.config(100).await["unused0"],
        "local-lvm:vm-100-disk-1",
        "only the snapshot had it"
    );
    cluster
        .done("DELETE", &format!("{vm}/snapshot/before"), "")
        .await;
    assert_eq!(snapshots(&cluster, vm).await.len(), 1);
    assert!(cluster.config(100).await.get("parent").is_none());
    let gone = cluster
        .task("DELETE", &format!("{vm}/snapshot/before"), "")
        .await;
    assert_eq!(gone, "snapshot 'before' does not exist");
}

#[tokio::test]
async fn memory_is_saved_with_a_running_machine() {
    let cluster = Cluster::new().await;
    machine(&cluster, 100, "&scsi0=local-lvm%3A8").await;
    let vm = "/nodes/abel/qemu/100";
    cluster
        .done("POST", &format!("{vm}/status/start"), "")
        .await;
    cluster
        .done("POST", &format!("{vm}/snapshot"), "snapname=hot&vmstate=1")
        .await;
    let section = cluster
        .root("GET", &format!("{vm}/snapshot/hot/config"), "")
        .await
        .data();
    assert_eq!(section["vmstate"], "local-lvm:vm-100-state-hot");
    cluster.done("POST", &format!("{vm}/status/stop"), "").await;
    cluster
        .done("POST", &format!("{vm}/snapshot/hot/rollback"), "")
        .await;
    let status = cluster
        .root("GET", &format!("{vm}/status/current"), "")
        .await
        .data();
    assert_eq!(status["status"], "running", "it goes on where it was");
    cluster.done("POST", &format!("{vm}/status/stop"), "").await;
    cluster
        .done("DELETE", &format!("{vm}/snapshot/hot"), "")
        .await;
    assert!(
        !cluster
            .proxmox
            .inventory()
            .to_string()
            .contains("state-hot")
    );
}

#[tokio::test]
async fn what_can_not_be_snapshotted_or_rolled_back_is_refused() {
    let cluster = Cluster::new().await;
    machine(&cluster, 100, "&scsi0=local-zfs%3A8").await;
    let vm = "/nodes/abel/qemu/100";
    let reserved = cluster
        .root("POST", &format!("{vm}/snapshot"), "snapname=current")
        .await;
    assert_eq!(
        reserved.reason,
        "unable to use snapshot name 'current' (reserved name)"
    );
    for name in ["one", "two"] {
        let form = format!("snapname={name}");
        cluster.done("POST", &format!("{vm}/snapshot"), &form).await;
    }
    assert_eq!(
        cluster
            .task("POST", &format!("{vm}/snapshot/one/rollback"), "")
            .await,
        "can't rollback, 'one' is not most recent snapshot on 'local-zfs:vm-100-disk-0'"
    );
    let template = cluster.root("POST", &format!("{vm}/template"), "").await;
    assert_eq!(
        template.reason,
        "unable to create template, because VM contains snapshots"
    );
    let taken = cluster
        .root(
            "POST",
            &format!("{vm}/move_disk"),
            "disk=scsi0&storage=local-lvm&delete=1",
        )
        .await;
    assert_eq!(
        taken.reason,
        "you can't move a disk with snapshots and delete the source"
    );
    let form = "content=images,iso,vztmpl,import,backup,rootdir,snippets";
    cluster.root("PUT", "/storage/local", form).await.data();
    machine(&cluster, 101, "&scsi0=local%3A1%2Cformat%3Draw").await;
    assert_eq!(
        cluster
            .task("POST", "/nodes/abel/qemu/101/snapshot", "snapname=one")
            .await,
        "snapshot feature is not available"
    );
}

#[tokio::test]
async fn a_suspended_machine_wakes_at_its_start() {
    let cluster = Cluster::new().await;
    machine(&cluster, 100, "&scsi0=local-lvm%3A8").await;
    let vm = "/nodes/abel/qemu/100";
    let off = cluster
        .root("POST", &format!("{vm}/status/suspend"), "")
        .await;
    assert_eq!(off.reason, "VM 100 not running");
    cluster
        .done("POST", &format!("{vm}/status/start"), "")
        .await;
    cluster
        .done("POST", &format!("{vm}/status/suspend"), "")
        .await;
    let status = || async {
        cluster
            .root("GET", "/nodes/abel/qemu/100/status/current", "")
            .await
            .data()
    };
    assert_eq!(
        (&status().await["status"], &status().await["qmpstatus"]),
        (&json!("running"), &json!("paused"))
    );
    let paused = cluster
        .root("POST", &format!("{vm}/status/shutdown"), "")
        .await;
    assert_eq!(paused.reason, "VM is paused - cannot shutdown");
    cluster
        .done("POST", &format!("{vm}/status/resume"), "")
        .await;
    cluster
        .done("POST", &format!("{vm}/status/suspend"), "todisk=1")
        .await;
    assert_eq!(
        (&status().await["status"], &status().await["lock"]),
        (&json!("stopped"), &json!("suspended"))
    );
    let locked = cluster
        .root("PUT", &format!("{vm}/config"), "memory=64")
        .await;
    assert_eq!(locked.reason, "VM is locked (suspended)");
    cluster
        .done("POST", &format!("{vm}/status/start"), "")
        .await;
    assert_eq!(status().await.get("lock"), None);
    assert!(!cluster.proxmox.inventory().to_string().contains("-state-"));
}

#[tokio::test]
async fn a_machine_moves_with_its_disks() {
    let cluster = Cluster::new().await;
    cluster.import_image().await;
    let more = "&scsi0=local-lvm%3A0%2Cimport-from%3Dlocal%3Aimport%2Ftalos.qcow2";
    machine(&cluster, 100, more).await;
    let vm = "/nodes/abel/qemu/100";
    let here = cluster
        .root("POST", &format!("{vm}/migrate"), "target=abel")
        .await;
    assert_eq!(here.body["errors"]["target"], "target is local node.");
    let nowhere = cluster
        .root("POST", &format!("{vm}/migrate"), "target=nowhere")
        .await;
    assert_eq!(nowhere.reason, "no such cluster node 'nowhere'");
    cluster
        .done("POST", &format!("{vm}/status/start"), "")
        .await;
    cluster.guests.events();
    let found = cluster
        .root("GET", &format!("{vm}/migrate"), "")
        .await
        .data();
    assert_eq!(
        (&found["running"], &found["allowed_nodes"]),
        (&json!(1), &json!(["cantor", "euclid"]))
    );
    assert_eq!(found["local_disks"][0]["volid"], "local-lvm:vm-100-disk-0");
    let offline = cluster
        .root("POST", &format!("{vm}/migrate"), "target=cantor")
        .await;
    assert_eq!(offline.reason, "can't migrate running VM without --online");
    let form = "target=cantor&online=1";
    assert_eq!(
        cluster.task("POST", &format!("{vm}/migrate"), form).await,
        "can't migrate VM - check log"
    );
    let form = "target=cantor&online=1&with-local-disks=1&targetstorage=local-zfs";
    cluster.done("POST", &format!("{vm}/migrate"), form).await;
    assert!(
        cluster.guests.events().is_empty(),
        "what lives in it does not notice"
    );
    let gone = cluster.root("GET", &format!("{vm}/config"), "").await;
    assert_eq!(
        gone.reason,
        "Configuration file 'nodes/abel/qemu-server/100.conf' does not exist"
    );
    let moved = cluster
        .root("GET", "/nodes/cantor/qemu/100/config", "")
        .await
        .data();
    assert_eq!(moved["scsi0"], "local-zfs:vm-100-disk-0,size=2G");
    let volumes = cluster.proxmox.inventory()["volumes"].to_string();
    assert!(
        volumes.contains("cantor/local-zfs:vm-100-disk-0") && !volumes.contains("local-lvm"),
        "{volumes}"
    );
    cluster
        .done("POST", "/nodes/cantor/qemu/100/status/stop", "")
        .await;
    let form = "ide2=local%3Aiso%2Fx.iso%2Cmedia%3Dcdrom";
    let missing = cluster
        .root("PUT", "/nodes/cantor/qemu/100/config", form)
        .await;
    assert_eq!(missing.reason, "volume 'local:iso/x.iso' does not exist");
    cluster
        .root(
            "PUT",
            "/nodes/cantor/qemu/100/config",
            "serial0=%2Fdev%2FttyS0",
        )
        .await;
    cluster
        .done("POST", "/nodes/cantor/qemu/100/migrate", "target=euclid")
        .await;
}

#[tokio::test]
async fn a_container_moves_by_a_restart() {
    let cluster = Cluster::new().await;
    cluster.container_template().await;
    let form = "vmid=200&rootfs=local-zfs%3A4&start=1\
        &ostemplate=local%3Avztmpl%2Fdebian-12-standard_12.7-1_amd64.tar.zst";
    cluster.done("POST", "/nodes/abel/lxc", form).await;
    let ct = "/nodes/abel/lxc/200";
    let found = cluster
        .root("GET", &format!("{ct}/migrate"), "")
        .await
        .data();
    assert_eq!(
        found,
        json!({ "running": 1, "allowed-nodes": ["cantor", "euclid"], "not-allowed-nodes": {} })
    );
    let plain = cluster
        .root("POST", &format!("{ct}/migrate"), "target=euclid")
        .await;
    assert_eq!(
        plain.reason,
        "can't migrate running container without --online or --restart"
    );
    let online = cluster
        .task("POST", &format!("{ct}/migrate"), "target=euclid&online=1")
        .await;
    assert_eq!(online, "lxc live migration is currently not implemented");
    cluster
        .done("POST", &format!("{ct}/migrate"), "target=euclid&restart=1")
        .await;
    let status = cluster
        .root("GET", "/nodes/euclid/lxc/200/status/current", "")
        .await
        .data();
    assert_eq!(status["status"], "running");
}

#[tokio::test]
async fn a_backup_makes_room_as_its_storage_says() {
    let cluster = Cluster::new().await;
    machine(&cluster, 100, "").await;
    let keep = "prune-backups=keep-last%3D2";
    cluster.root("PUT", "/storage/local", keep).await.data();
    for _ in 0..4 {
        let form = "vmid=100&storage=local";
        cluster.done("POST", "/nodes/abel/vzdump", form).await;
    }
    let backups = async || {
        let path = "/nodes/abel/storage/local/content";
        let list = cluster.root("GET", path, "content=backup").await.data();
        list.as_array().unwrap().len()
    };
    assert_eq!(backups().await, 2);
    let stays = "vmid=100&storage=local&remove=0";
    let full = cluster.task("POST", "/nodes/abel/vzdump", stays).await;
    assert_eq!((full.as_str(), backups().await), ("job errors", 2));
    let all = "vmid=100&storage=local&prune-backups=keep-all%3D1";
    cluster.done("POST", "/nodes/abel/vzdump", all).await;
    assert_eq!(backups().await, 3);
}

#[tokio::test]
async fn a_guest_comes_back_from_its_backup() {
    let cluster = Cluster::new().await;
    cluster.import_image().await;
    let more = "&scsi0=local-lvm%3A0%2Cimport-from%3Dlocal%3Aimport%2Ftalos.qcow2&scsi1=local-lvm%3A1%2Cbackup%3D0\
        &ide2=local-lvm%3Acloudinit&description=mine";
    machine(&cluster, 100, more).await;
    let wrong = cluster
        .root("POST", "/nodes/abel/vzdump", "vmid=100&storage=local-lvm")
        .await;
    assert!(
        wrong
            .reason
            .ends_with("can't use storage 'local-lvm' for backups - wrong content type"),
        "{}",
        wrong.reason
    );
    let none = cluster.root("POST", "/nodes/abel/vzdump", "").await;
    assert_eq!(none.body["errors"]["vmid"], "property is missing");
    let form = "vmid=100&storage=local&compress=zstd&protected=1&notes-template=%7B%7Bguestname%7D%7D%20on%20%7B%7Bnode%7D%7D";
    cluster.done("POST", "/nodes/abel/vzdump", form).await;
    let list = cluster
        .root("GET", "/nodes/abel/storage/local/content", "content=backup")
        .await
        .data();
    let volid = list[0]["volid"].as_str().unwrap().to_owned();
    assert!(
        volid.starts_with("local:backup/vzdump-qemu-100-") && volid.ends_with(".vma.zst"),
        "{volid}"
    );
    let archive = volid.replace(':', "%3A").replace('/', "%2F");
    let text = cluster
        .root(
            "GET",
            "/nodes/abel/vzdump/extractconfig",
            &format!("volume={archive}"),
        )
        .await
        .data();
    assert!(
        text.as_str().unwrap().starts_with("#mine\n")
            && text.as_str().unwrap().contains("\nname: vm100\n"),
        "{text}"
    );
    let old = cluster.config(100).await;

    let form = format!("vmid=100&archive={archive}");
    let taken = cluster.root("POST", "/nodes/abel/qemu", &form).await;
    assert_eq!(
        taken.reason,
        "unable to restore VM 100 - VM 100 already exists on node 'abel'"
    );
    let form = format!("vmid=101&archive={archive}&storage=local-zfs&unique=1&memory=4096");
    cluster.done("POST", "/nodes/abel/qemu", &form).await;
    let new = cluster.config(101).await;
    assert_eq!(
        (&new["name"], &new["memory"]),
        (&json!("vm100"), &json!("4096"))
    );
    assert_eq!(new["scsi0"], "local-zfs:vm-101-disk-0,size=2G");
    assert!(new.get("scsi1").is_none(), "it was left out of the backup");
    assert_ne!(old["net0"], new["net0"]);
    cluster
        .done("POST", "/nodes/abel/qemu/101/status/start", "")
        .await;
    assert_eq!(cluster.guests.events(), ["boot homelab/101"]);

    let form = format!("vmid=100&archive={archive}&force=1");
    cluster.done("POST", "/nodes/abel/qemu", &form).await;
    let back = cluster.config(100).await;
    assert_eq!(
        (&back["net0"], &back["scsi0"]),
        (&old["net0"], &old["scsi0"])
    );
    assert!(
        !cluster.proxmox.inventory()["volumes"]
            .to_string()
            .contains("local-lvm:vm-100-disk-1")
    );
    let running = cluster
        .root(
            "POST",
            "/nodes/abel/qemu",
            &form.replace("vmid=100", "vmid=101"),
        )
        .await;
    assert_eq!(running.reason, "unable to restore VM 101 - vm is running");
    assert_eq!(
        cluster.task("POST", "/nodes/abel/vzdump", "vmid=999").await,
        "job errors"
    );
}

#[tokio::test]
async fn a_container_comes_back_from_its_backup() {
    let cluster = Cluster::new().await;
    cluster.container_template().await;
    let form = "vmid=200&rootfs=local-zfs%3A4&hostname=web&mp0=local-zfs%3A1%2Cmp%3D%2Fdata\
        &ostemplate=local%3Avztmpl%2Fdebian-12-standard_12.7-1_amd64.tar.zst";
    cluster.done("POST", "/nodes/abel/lxc", form).await;
    cluster
        .done(
            "POST",
            "/nodes/abel/vzdump",
            "all=1&storage=local&mode=stop",
        )
        .await;
    let list = cluster
        .root("GET", "/nodes/abel/storage/local/content", "content=backup")
        .await
        .data();
    let archive = list[0]["volid"]
        .as_str()
        .unwrap()
        .replace(':', "%3A")
        .replace('/', "%2F");
    assert!(archive.ends_with(".tar"), "{archive}");
    let form = format!("vmid=201&ostemplate={archive}&restore=1&storage=local-lvm&hostname=other");
    cluster.done("POST", "/nodes/abel/lxc", &form).await;
    let config = cluster.container(201).await;
    assert_eq!(
        (&config["hostname"], &config["unprivileged"]),
        (&json!("other"), &json!(1))
    );
    assert_eq!(config["rootfs"], "local-lvm:vm-201-disk-0,size=4G");
    assert_eq!(config["mp0"], "local-lvm:vm-201-disk-1,mp=/data,size=1G");
}
