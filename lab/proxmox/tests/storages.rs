//! Storage definitions, what lies in storages, and disks of which storages are made.

mod common;

use common::Cluster;
use serde_json::{Value, json};
use stead_lab_proxmox::Options;

async fn definition(cluster: &Cluster, id: &str) -> Value {
    cluster
        .root("GET", &format!("/storage/{id}"), "")
        .await
        .data()
}

#[tokio::test]
async fn every_type_has_its_options_and_defaults() {
    let cluster = Cluster::new().await;
    let cases = [
        (
            "type=dir&path=%2Fsrv%2Fdata%2F%2F&shared=1",
            json!({ "path": "/srv/data", "content": "images,rootdir", "shared": 1 }),
        ),
        (
            "type=nfs&server=nas&export=%2Fpool%2Fpve&options=vers%3D4.2&content=iso,backup",
            json!({ "path": "/mnt/pve/s1", "server": "nas", "export": "/pool/pve", "options": "vers=4.2", "content": "iso,backup", "shared": 1 }),
        ),
        (
            "type=cifs&server=nas&share=pve&username=u&password=secret&content=images",
            json!({
            "path": "/mnt/pve/s1", "server": "nas", "share": "pve", "username": "u", "content": "images", "shared": 1 }),
        ),
        (
            "type=cephfs&monhost=10.0.0.1&fs-name=cephfs&keyring=secret&content=images,backup",
            json!({
            "path": "/mnt/pve/s1", "monhost": "10.0.0.1", "fs-name": "cephfs", "content": "backup", "shared": 1 }),
        ),
        (
            "type=lvm&vgname=pve&saferemove=1",
            json!({ "vgname": "pve", "content": "images", "saferemove": 1 }),
        ),
        (
            "type=lvmthin&vgname=pve&thinpool=data&nodes=abel",
            json!({
            "vgname": "pve", "thinpool": "data", "content": "images,rootdir", "nodes": "abel" }),
        ),
        (
            "type=zfspool&pool=rpool%2Fother&sparse=1",
            json!({
            "pool": "rpool/other", "mountpoint": "/rpool/other", "content": "images,rootdir", "sparse": 1 }),
        ),
        (
            "type=rbd&pool=rbd&krbd=1",
            json!({ "pool": "rbd", "krbd": 1, "content": "images", "shared": 1 }),
        ),
        (
            "type=iscsi&portal=10.0.0.9&target=iqn.2003-01.org.linux-iscsi.a",
            json!({
            "portal": "10.0.0.9", "target": "iqn.2003-01.org.linux-iscsi.a", "content": "images", "shared": 1 }),
        ),
        (
            "type=esxi&server=vc&username=root&password=secret&skip-cert-verification=1",
            json!({
            "server": "vc", "username": "root", "skip-cert-verification": 1, "content": "import" }),
        ),
        (
            "type=btrfs&path=%2Fmnt%2Fbtrfs&is_mountpoint=no",
            json!({ "path": "/mnt/btrfs", "is_mountpoint": "no", "content": "images,rootdir" }),
        ),
        (
            "type=pbs&server=pbs&datastore=d1&username=u@pbs&password=secret&port=8008&prune-backups=keep-last%3D3",
            json!({
            "server": "pbs", "datastore": "d1", "username": "u@pbs", "port": 8008, "prune-backups": "keep-last=3", "content": "backup", "shared": 1 }),
        ),
    ];
    for (form, mut expected) in cases {
        let kind = form
            .strip_prefix("type=")
            .unwrap()
            .split('&')
            .next()
            .unwrap();
        let made = cluster
            .root("POST", "/storage", &format!("storage=s1&{form}"))
            .await
            .data();
        assert_eq!(
            (&made["storage"], &made["type"]),
            (&json!("s1"), &json!(kind))
        );
        let mut found = definition(&cluster, "s1").await;
        assert_eq!(found["digest"].as_str().unwrap().len(), 40);
        found.as_object_mut().unwrap().remove("digest");
        expected["storage"] = "s1".into();
        expected["type"] = kind.into();
        assert_eq!(found, expected, "{form}");
        cluster.root("DELETE", "/storage/s1", "").await.data();
    }
    assert_eq!(
        cluster.root("GET", "/storage/s1", "").await.reason,
        "storage 's1' does not exist"
    );
}

#[tokio::test]
async fn definitions_that_make_no_sense_are_refused() {
    let cluster = Cluster::new().await;
    let cases = [
        (
            "storage=local&type=dir&path=%2Fsrv",
            "create storage failed: storage ID 'local' already defined",
        ),
        (
            "storage=s1&type=dir",
            "missing value for required option 'path'",
        ),
        (
            "storage=s1&type=dir&path=%2Fsrv&vgname=pve",
            "unexpected property 'vgname'",
        ),
        (
            "storage=s1&type=dir&path=%2Fsrv%2Fa%20b",
            "create storage failed: illegal path for directory storage: /srv/a b",
        ),
        (
            "storage=s1&type=dir&path=%2Fsrv%2Fx&create-base-path=0",
            "create storage failed: unable to activate storage 's1' - directory '/srv/x' does not exist or is unreachable",
        ),
        (
            "storage=s1&type=dir&path=%2Fsrv%2Fx&is_mountpoint=1",
            "create storage failed: unable to activate storage 's1' - directory is expected to be a mount point but is not mounted: '/srv/x'",
        ),
        (
            "storage=s1&type=zfspool&pool=tank",
            "create storage failed: could not activate storage 's1', zfs error: cannot import 'tank': no such pool available",
        ),
        (
            "storage=s1&type=lvm&vgname=pve&content=iso",
            "create storage failed: storage does not support content type 'none'",
        ),
        (
            "storage=s1&type=esxi&server=vc&username=root",
            "create storage failed: missing password",
        ),
        (
            "storage=s1&type=pbs&server=p&datastore=d&encryption-key=nonsense",
            "create storage failed: Value does not seems like a valid, JSON formatted encryption key!",
        ),
    ];
    for (form, text) in cases {
        let answer = cluster.root("POST", "/storage", form).await;
        assert_eq!(
            (answer.status, answer.reason.as_str()),
            (500, text),
            "{form}"
        );
    }
    let keep = cluster
        .root(
            "POST",
            "/storage",
            "storage=s1&type=dir&path=%2Fsrv&prune-backups=keep-all%3D1,keep-last%3D2",
        )
        .await;
    assert!(
        keep.body["errors"]["prune-backups"]
            .as_str()
            .unwrap()
            .contains("keep-all cannot be set together"),
        "{}",
        keep.body
    );
    let updates = [
        (
            "delete=path",
            "update storage failed: unable to delete required option 'path'",
        ),
        (
            "delete=vgname",
            "update storage failed: no such option 'vgname'",
        ),
        (
            "shared=1&delete=shared",
            "update storage failed: cannot set and delete property 'shared' at the same time!",
        ),
        (
            "shared=1&digest=0000",
            "update storage failed: detected modified configuration - file changed by other user? Try again.",
        ),
    ];
    for (form, text) in updates {
        let answer = cluster.root("PUT", "/storage/local", form).await;
        assert_eq!(
            (answer.status, answer.reason.as_str()),
            (500, text),
            "{form}"
        );
    }
    let missing = cluster.root("DELETE", "/storage/none", "").await;
    assert_eq!(
        missing.reason,
        "delete storage failed: storage 'none' does not exist"
    );
}

#[tokio::test]
async fn a_backup_servers_key_is_told_once() {
    let cluster = Cluster::new().await;
    let form = "storage=pbs&type=pbs&server=p&datastore=d&encryption-key=autogen&password=secret";
    let made = cluster.root("POST", "/storage", form).await.data();
    let key: Value =
        serde_json::from_str(made["config"]["encryption-key"].as_str().unwrap()).unwrap();
    let found = definition(&cluster, "pbs").await;
    assert_eq!(found["encryption-key"], key["fingerprint"]);
    assert!(
        !found.to_string().contains(key["data"].as_str().unwrap())
            && !found.to_string().contains("secret")
    );
    let changed = cluster
        .root("PUT", "/storage/pbs", "password=other")
        .await
        .data();
    assert_eq!(changed["config"], json!({}));
}

#[tokio::test]
async fn nodes_see_what_they_have_and_contents_outlive_definitions() {
    let cluster = Cluster::new().await;
    cluster
        .root(
            "POST",
            "/storage",
            "storage=fast&type=lvmthin&vgname=pve&thinpool=data&nodes=abel",
        )
        .await
        .data();
    let row = |rows: &Value| {
        rows.as_array()
            .unwrap()
            .iter()
            .find(|r| r["storage"] == "fast")
            .cloned()
    };
    let here = row(&cluster
        .root("GET", "/nodes/abel/storage", "format=1")
        .await
        .data())
    .unwrap();
    assert_eq!(
        (
            &here["enabled"],
            &here["formats"]["default"],
            &here["total"]
        ),
        (&json!(1), &json!("raw"), &json!(800_u64 << 30))
    );
    let there = row(&cluster
        .root("GET", "/nodes/cantor/storage", "")
        .await
        .data())
    .unwrap();
    assert_eq!(
        (&there["enabled"], &there["active"], &there["total"]),
        (&json!(0), &json!(0), &json!(0))
    );
    assert_eq!(
        row(&cluster
            .root("GET", "/nodes/cantor/storage", "content=images")
            .await
            .data()),
        None
    );

    let create = |node: &str, id: u32| {
        format!("/nodes/{node}/qemu?vmid={id}")
            .split('?')
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        cluster
            .task("POST", &create("abel", 100), "vmid=100&scsi0=fast%3A4")
            .await,
        "OK"
    );
    cluster.root("DELETE", "/storage/fast", "").await.data();
    let lost = cluster
        .root("GET", "/nodes/abel/storage/fast/content", "")
        .await;
    assert_eq!(lost.reason, "storage 'fast' does not exist");
    cluster
        .root(
            "POST",
            "/storage",
            "storage=fast&type=lvmthin&vgname=pve&thinpool=data&disable=1",
        )
        .await
        .data();
    let disabled = cluster
        .root("GET", "/nodes/abel/storage/fast/content", "")
        .await;
    assert_eq!(disabled.reason, "storage 'fast' is disabled");
    cluster
        .root("PUT", "/storage/fast", "delete=disable")
        .await
        .data();
    let content = cluster
        .root("GET", "/nodes/abel/storage/fast/content", "")
        .await
        .data();
    assert_eq!(
        content[0]["volid"], "fast:vm-100-disk-0",
        "the volume group still has it"
    );
    let cluster = cluster.restarted().await;
    assert_eq!(definition(&cluster, "fast").await["thinpool"], "data");

    let provider = format!("PVEAPIToken={}", Options::PROVIDER_TOKEN);
    cluster.root("PUT", "/access/acl", "path=%2Fstorage&roles=PVEDatastoreUser&users=terraform%40pve&tokens=terraform%40pve!provider").await.data();
    let denied = cluster
        .call(
            &provider,
            "POST",
            "/storage",
            "storage=x1&type=dir&path=%2Fsrv",
        )
        .await;
    assert_eq!(
        denied.reason,
        "Permission check failed (/storage, Datastore.Allocate)"
    );
}

#[tokio::test]
async fn pools_groups_and_folders_are_made_of_free_disks() {
    let cluster = Cluster::new().await;
    let disks = |query: &'static str| cluster.root("GET", "/nodes/abel/disks/list", query);
    assert_eq!(
        disks("type=unused").await.data().as_array().unwrap().len(),
        4
    );
    let zfs = "/nodes/abel/disks/zfs";
    let cases = [
        (
            "name=tank&raidlevel=mirror&devices=%2Fdev%2Fsda,%2Fdev%2Fsdb",
            "device '/dev/sda' is already in use",
        ),
        (
            "name=tank&raidlevel=mirror&devices=%2Fdev%2Fsdz,%2Fdev%2Fsdb",
            "not a valid block device",
        ),
        (
            "name=tank&raidlevel=raidz&devices=%2Fdev%2Fsdb",
            "raidz needs at least 3 disks",
        ),
        (
            "name=tank&raidlevel=single&devices=%2Fdev%2Fsdb,%2Fdev%2Fsdc",
            "please give only one disk for single disk mode",
        ),
        (
            "name=rpool&raidlevel=single&devices=%2Fdev%2Fsdb",
            "pool 'rpool' already exists on node 'abel'",
        ),
        (
            "name=local&raidlevel=single&devices=%2Fdev%2Fsdb&add_storage=1",
            "Storage ID 'local' already exists on node abel",
        ),
    ];
    for (form, text) in cases {
        assert_eq!(cluster.root("POST", zfs, form).await.reason, text, "{form}");
    }
    let form = "name=tank&raidlevel=mirror&devices=%2Fdev%2Fsdb,%2Fdev%2Fsdc&add_storage=1";
    assert_eq!(cluster.task("POST", zfs, form).await, "OK");
    assert_eq!(
        cluster.task("POST", "/nodes/cantor/disks/zfs", form).await,
        "OK"
    );
    let storage = definition(&cluster, "tank").await;
    assert_eq!(
        (&storage["type"], &storage["pool"], &storage["nodes"]),
        (&json!("zfspool"), &json!("tank"), &json!("abel,cantor"))
    );
    let pool = cluster.root("GET", &format!("{zfs}/tank"), "").await.data();
    assert_eq!(pool["children"][0]["children"][0]["name"], "mirror-0");
    assert_eq!(
        cluster
            .task("POST", "/nodes/abel/qemu", "vmid=100&scsi0=tank%3A4")
            .await,
        "OK"
    );
    assert_eq!(
        cluster
            .task(
                "DELETE",
                &format!("{zfs}/tank"),
                "cleanup-config=1&cleanup-disks=1"
            )
            .await,
        "OK"
    );
    assert_eq!(definition(&cluster, "tank").await["nodes"], "cantor");
    assert_eq!(
        disks("type=unused").await.data().as_array().unwrap().len(),
        4
    );

    let path = |rest: &str| format!("/nodes/abel/disks/{rest}");
    assert_eq!(
        cluster
            .task(
                "POST",
                &path("lvmthin"),
                "name=thin&device=%2Fdev%2Fsdb&add_storage=1"
            )
            .await,
        "OK"
    );
    assert_eq!(
        cluster
            .task(
                "POST",
                &path("directory"),
                "name=bulk&device=%2Fdev%2Fsdd&filesystem=xfs&add_storage=1"
            )
            .await,
        "OK"
    );
    let bulk = definition(&cluster, "bulk").await;
    assert_eq!(
        (&bulk["path"], &bulk["is_mountpoint"]),
        (&json!("/mnt/pve/bulk"), &json!("1"))
    );
    let held = cluster
        .call(
            &format!("PVEAPIToken={}", Options::ROOT_TOKEN),
            "PUT",
            &path("wipedisk"),
            "disk=%2Fdev%2Fsdd",
        )
        .await;
    assert_eq!(
        held.status, 403,
        "tokens of root are not root: {}",
        held.reason
    );
    assert_eq!(
        cluster
            .task(
                "DELETE",
                &path("lvmthin/thin"),
                "volume-group=thin&cleanup-disks=1&cleanup-config=1"
            )
            .await,
        "OK"
    );
    assert_eq!(
        cluster.root("GET", "/storage/thin", "").await.reason,
        "storage 'thin' does not exist"
    );
    let failed = cluster.task("DELETE", &path("lvm/none"), "").await;
    assert_eq!(failed, "no such volume group 'none'");
    let scanned = cluster.root("GET", "/nodes/abel/scan/zfs", "").await.data();
    assert_eq!(scanned[0]["pool"], "rpool");
}

#[tokio::test]
async fn images_from_registries_become_templates() {
    let cluster = Cluster::new().await;
    let pull = "/nodes/abel/storage/local/oci-registry-pull";
    assert_eq!(
        cluster
            .task(
                "POST",
                pull,
                "reference=docker.io%2Flibrary%2Fnginx%3Alatest"
            )
            .await,
        "OK"
    );
    let content = cluster
        .root("GET", "/nodes/abel/storage/local/content", "content=vztmpl")
        .await
        .data();
    assert_eq!(content[0]["volid"], "local:vztmpl/nginx_latest.tar");
    let twice = cluster
        .root(
            "POST",
            pull,
            "reference=docker.io%2Flibrary%2Fnginx%3Alatest",
        )
        .await;
    assert_eq!(
        twice.reason,
        "refusing to override existing file 'nginx_latest.tar'"
    );
    let wrong = cluster
        .root(
            "POST",
            "/nodes/abel/storage/local-lvm/oci-registry-pull",
            "reference=docker.io%2Flibrary%2Fa%3Ab",
        )
        .await;
    assert_eq!(
        wrong.reason,
        "can't upload to storage type 'lvmthin', not a file based storage!"
    );
    let notes = cluster
        .root(
            "PUT",
            "/nodes/abel/storage/local/content/local:vztmpl/nginx_latest.tar",
            "notes=x",
        )
        .await;
    assert_eq!(
        notes.reason,
        "attribute 'notes' is not supported for storage type 'dir'"
    );
}
