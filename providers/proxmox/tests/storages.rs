//! Storages through their lives.

mod fake;
mod life;

use fake::Fake;
use life::{Life, provider};
use serde_json::json;
use stead_sdk::value::Value;

#[tokio::test]
async fn directories() {
    let life = Life {
        type_name: "proxmox_storage_directory",
        at: "/storage/files",
        id: "files",
        made: json!({ "id": "files", "path": "/mnt/files", "content": ["iso", "backup"],
            "backups": { "keep_daily": 7, "keep_last": 2, "max_protected_backups": 3 } }),
        sent: "content=backup,iso&create-base-path=1&create-subdirs=1&disable=0&max-protected-backups=3&path=/mnt/files\
               &prune-backups=keep-daily=7,keep-last=2&shared=1&storage=files&type=dir",
        changed: json!({ "id": "files", "path": "/mnt/files", "content": ["iso"], "disable": true,
            "backups": { "keep_all": true } }),
        sent_then: "content=iso&delete=max-protected-backups&disable=1&prune-backups=keep-all=1",
        drift: ("content", "images", "content"),
        unknown_to_import: &["backups"],
    };
    life.run().await;
}

#[tokio::test]
async fn shares() {
    let life = Life {
        type_name: "proxmox_virtual_environment_storage_cifs",
        at: "/storage/share",
        id: "share",
        made: json!({ "id": "share", "server": "nas", "share": "pve", "username": "me", "password": "very-secret",
            "subdirectory": "/a", "options": "vers=3.0" }),
        sent: "create-base-path=1&create-subdirs=1&disable=0&options=vers=3.0&password=very-secret&server=nas&share=pve\
               &storage=share&subdir=/a&type=cifs&username=me",
        changed: json!({ "id": "share", "server": "nas", "share": "pve", "username": "me", "password": "very-secret",
            "subdirectory": "/a", "nodes": ["a"] }),
        sent_then: "delete=options&nodes=a",
        drift: ("nodes", "b", "nodes"),
        unknown_to_import: &["password"],
    };
    life.run().await;
}

#[tokio::test]
async fn exports() {
    let life = Life {
        type_name: "proxmox_storage_nfs",
        at: "/storage/nas",
        id: "nas",
        made: json!({ "id": "nas", "server": "nas", "export": "/pve" }),
        sent: "create-base-path=1&create-subdirs=1&disable=0&export=/pve&server=nas&storage=nas&type=nfs",
        changed: json!({ "id": "nas", "server": "nas", "export": "/pve", "options": "vers=4.2" }),
        sent_then: "options=vers=4.2",
        drift: ("disable", "1", "disable"),
        unknown_to_import: &[],
    };
    life.run().await;
}

#[tokio::test]
async fn volume_groups_thin_pools_and_zfs_pools() {
    let lvm = Life {
        type_name: "proxmox_storage_lvm",
        at: "/storage/vg",
        id: "vg",
        made: json!({ "id": "vg", "volume_group": "pve", "content": ["images"] }),
        sent: "content=images&disable=0&saferemove=0&shared=0&storage=vg&type=lvm&vgname=pve",
        changed: json!({ "id": "vg", "volume_group": "pve", "content": ["images"], "wipe_removed_volumes": true }),
        sent_then: "saferemove=1",
        drift: ("shared", "1", "shared"),
        unknown_to_import: &[],
    };
    lvm.run().await;
    let thin = Life {
        type_name: "proxmox_storage_lvmthin",
        at: "/storage/thin",
        id: "thin",
        made: json!({ "id": "thin", "volume_group": "pve", "thin_pool": "data" }),
        sent: "disable=0&storage=thin&thinpool=data&type=lvmthin&vgname=pve",
        changed: json!({ "id": "thin", "volume_group": "pve", "thin_pool": "data", "content": ["images", "rootdir"] }),
        sent_then: "content=images,rootdir",
        drift: ("disable", "1", "disable"),
        unknown_to_import: &[],
    };
    thin.run().await;
    let zfs = Life {
        type_name: "proxmox_storage_zfspool",
        at: "/storage/tank",
        id: "tank",
        made: json!({ "id": "tank", "zfs_pool": "tank/vm", "thin_provision": true, "blocksize": "16k" }),
        sent: "blocksize=16k&disable=0&pool=tank/vm&sparse=1&storage=tank&type=zfspool",
        changed: json!({ "id": "tank", "zfs_pool": "tank/vm", "thin_provision": true }),
        sent_then: "delete=blocksize",
        drift: ("blocksize", "8k", "blocksize"),
        unknown_to_import: &[],
    };
    zfs.run().await;
}

#[tokio::test]
async fn backup_servers() {
    let life = Life {
        type_name: "proxmox_storage_pbs",
        at: "/storage/pbs",
        id: "pbs",
        made: json!({ "id": "pbs", "server": "pbs", "datastore": "main", "username": "me@pbs", "password": "very-secret",
            "generate_encryption_key": true }),
        sent: "datastore=main&disable=0&encryption-key=autogen&password=very-secret&server=pbs&storage=pbs&type=pbs&username=me@pbs",
        changed: json!({ "id": "pbs", "server": "pbs", "datastore": "main", "username": "me@pbs", "password": "very-secret",
            "generate_encryption_key": true, "fingerprint": "aa:bb" }),
        sent_then: "fingerprint=aa:bb",
        drift: ("fingerprint", "cc:dd", "fingerprint"),
        unknown_to_import: &[
            "password",
            "generate_encryption_key",
            "generated_encryption_key",
        ],
    };
    life.run().await;
}

#[tokio::test]
async fn a_storage_of_another_type_is_not_taken_for_one() {
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    let lvm = json!({ "id": "vg", "volume_group": "pve" });
    proxmox
        .apply("proxmox_storage_lvm", None, lvm)
        .await
        .unwrap();
    let imported = proxmox.import("proxmox_storage_nfs", "vg").await.unwrap();
    let refused = proxmox
        .read("proxmox_storage_nfs", &imported)
        .await
        .unwrap_err();
    assert!(
        format!("{refused:?}").contains("its type is lvm, and not nfs"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn keeping_all_backups_excludes_a_number_of_them() {
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    let with = |backups| json!({ "id": "a", "path": "/a", "backups": backups });
    let check = |config| {
        let config: Value = proxmox.config("proxmox_storage_directory", config).unwrap();
        proxmox
            .provider()
            .validate_resource("proxmox_storage_directory", &config)
    };
    let refused = check(with(json!({ "keep_all": true, "keep_last": 1 })));
    assert!(format!("{refused:?}").contains("keep_last"), "{refused:?}");
    let fine = check(with(json!({ "keep_all": false, "keep_last": 1 })));
    assert!(!fine.has_errors(), "{fine:?}");
}

#[tokio::test]
async fn images_of_containers_are_pulled_and_found() {
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    let name = "proxmox_oci_image";
    let config = json!({ "node_name": "pve", "datastore_id": "local", "reference": "docker.io/library/debian:13" });
    let made = proxmox.apply(name, None, config.clone()).await.unwrap();
    assert_eq!(made.text("id"), "local:vztmpl/debian_13.tar");
    assert_eq!(made.attribute("size").as_i64(), Some(8192));
    let sent = &fake.changes("POST", "/nodes/pve/storage/local/oci-registry-pull")[0];
    assert_eq!(
        (sent["reference"].as_str(), sent["filename"].as_str()),
        ("docker.io/library/debian:13", "debian_13")
    );
    let read = proxmox.read(name, &made).await.unwrap().unwrap();
    assert_eq!(read.value, made.value);

    let key = json!({ "node_name": "pve", "datastore_id": "local", "content_type": "vztmpl", "file_name": "debian_13.tar" });
    let found = proxmox.data("proxmox_file", key).await.unwrap();
    assert_eq!(
        found.get("id").unwrap().as_str(),
        Some("local:vztmpl/debian_13.tar")
    );
    assert_eq!(found.get("file_size").unwrap().as_i64(), Some(8192));
    let list = |regex: &str| json!({ "node_name": "pve", "datastore_id": "local", "file_name_regex": regex });
    for (regex, count) in [("^deb", 1), ("alpine", 0)] {
        let found = proxmox.data("proxmox_files", list(regex)).await.unwrap();
        assert_eq!(
            found.get("files").unwrap().as_sequence().unwrap().len(),
            count
        );
    }
    let refused = proxmox.data("proxmox_files", list("(")).await.unwrap_err();
    assert!(
        format!("{refused:?}").contains("file_name_regex"),
        "{refused:?}"
    );

    proxmox.delete(name, &made).await.unwrap();
    assert!(proxmox.read(name, &made).await.unwrap().is_none());
}

#[tokio::test]
async fn a_storage_that_does_not_take_templates_is_found_by_the_plan() {
    let fake = Fake::start().await;
    let proxmox = provider(&fake).await;
    fake.state.lock().unwrap().takes = Some("iso".into());
    let config = json!({ "node_name": "pve", "datastore_id": "local", "reference": "docker.io/library/debian:13" });
    let config = proxmox.config("proxmox_oci_image", config).unwrap();
    let refused = proxmox
        .plan("proxmox_oci_image", None, &config)
        .await
        .unwrap_err();
    assert!(
        format!("{refused:?}").contains("pvesm set local --content iso,vztmpl"),
        "{refused:?}"
    );
    assert!(fake.state.lock().unwrap().changes.is_empty());
}
