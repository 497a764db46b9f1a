//! The whole life of containers: from a template to their end.

mod common;

use common::Cluster;
use serde_json::json;
use stead_lab_proxmox::Options;

const TEMPLATE: &str = "local%3Avztmpl%2Fdebian-12-standard_12.7-1_amd64.tar.zst";

fn create(more: &str) -> String {
    format!(
        "vmid=200&ostemplate={TEMPLATE}&hostname=web&storage=local-zfs&rootfs=local-zfs%3A8&unprivileged=1\
         &features=nesting%3D1&net0=name%3Deth0%2Cbridge%3Dvmbr0%2Cip%3D10.25.150.40%2F24%2Cgw%3D10.25.150.1{more}"
    )
}

async fn made() -> Cluster {
    let cluster = Cluster::new().await;
    cluster.container_template().await;
    let form = create(
        "&tags=b;A&nameserver=10.25.150.1,1.1.1.1&password=geheim-wort&cores=2&description=one",
    );
    cluster.done("POST", "/nodes/abel/lxc", &form).await;
    cluster
}

#[tokio::test]
async fn a_new_container_is_normalised_as_the_real_one() {
    let cluster = made().await;
    let config = cluster.container(200).await;
    assert_eq!(config["rootfs"], "local-zfs:subvol-200-disk-0,size=8G");
    assert_eq!(config["description"], "one\n");
    assert_eq!(
        (&config["ostype"], &config["arch"], &config["hostname"]),
        (&json!("debian"), &json!("amd64"), &json!("web"))
    );
    assert_eq!(
        (
            &config["memory"],
            &config["swap"],
            &config["cores"],
            &config["unprivileged"]
        ),
        (&json!(512), &json!(512), &json!(2), &json!(1))
    );
    assert_eq!(
        (&config["tags"], &config["nameserver"]),
        (&json!("a;b"), &json!("10.25.150.1 1.1.1.1"))
    );
    let net = config["net0"].as_str().unwrap();
    assert!(
        net.starts_with("name=eth0,bridge=vmbr0,gw=10.25.150.1,hwaddr=BC:24:11:"),
        "{net}"
    );
    assert!(net.ends_with(",ip=10.25.150.40/24,type=veth"), "{net}");
    assert!(config.get("lock").is_none() && config.get("password").is_none());
    let saved =
        std::fs::read_to_string(cluster.dir.path().join("proxmox.json")).unwrap_or_default();
    assert!(!saved.contains("geheim-wort"));
    let listed = cluster
        .root("GET", "/nodes/abel/storage/local-zfs/content", "")
        .await
        .data();
    assert_eq!(
        (&listed[0]["content"], &listed[0]["format"]),
        (&json!("rootdir"), &json!("subvol"))
    );
    let resources = cluster
        .root("GET", "/cluster/resources", "type=vm")
        .await
        .data();
    assert_eq!(
        (&resources[0]["id"], &resources[0]["type"]),
        (&json!("lxc/200"), &json!("lxc"))
    );
    let taken = cluster.root("POST", "/nodes/abel/qemu", "vmid=200").await;
    assert_eq!(
        taken.reason,
        "unable to create VM 200 - CT 200 already exists on node 'abel'"
    );
    let other = cluster.root("GET", "/nodes/abel/qemu/200/config", "").await;
    assert_eq!(
        other.reason,
        "Configuration file 'nodes/abel/qemu-server/200.conf' does not exist"
    );
}

#[tokio::test]
async fn what_can_not_be_made_is_refused() {
    let cluster = Cluster::new().await;
    cluster.container_template().await;
    let path = "/nodes/abel/lxc";
    let form = format!("vmid=200&ostemplate={TEMPLATE}&mp0=local-zfs%3A4%2Cmp%3D%2Fdata");
    assert_eq!(
        cluster.root("POST", path, &form).await.reason,
        "mount points configured, but 'rootfs' not set - aborting"
    );
    let form = format!("vmid=200&ostemplate={TEMPLATE}");
    assert_eq!(
        cluster.root("POST", path, &form).await.body["errors"]["storage"],
        "storage 'local' does not support container directories"
    );
    let form = "vmid=200&storage=local-zfs&ostemplate=local%3Avztmpl%2Falpine-3.tar.gz";
    assert_eq!(
        cluster.task("POST", path, form).await,
        "unable to create CT 200 - volume 'local:vztmpl/alpine-3.tar.gz' does not exist"
    );
    let form = create("&ssh-public-keys=nonsense");
    assert_eq!(
        cluster.root("POST", path, &form).await.reason,
        "SSH public key validation error"
    );
    assert_eq!(cluster.proxmox.inventory()["vms"], json!([]));
    let token = format!("PVEAPIToken={}", Options::PROVIDER_TOKEN);
    let form = create("").replace("nesting", "keyctl");
    let refused = cluster.call(&token, "POST", path, &form).await;
    assert_eq!(
        refused.reason,
        "Permission check failed (changing feature flags (except nesting) is only allowed for root@pam)"
    );
    let form = create("&mp0=%2Fmnt%2Fhost%2Cmp%3D%2Fdata");
    assert_eq!(
        cluster.call(&token, "POST", path, &form).await.reason,
        "Permission check failed (mount point type bind is only allowed for root@pam)"
    );
}

#[tokio::test]
async fn it_runs_and_shows_its_interfaces() {
    let cluster = made().await;
    let ct = "/nodes/abel/lxc/200";
    assert_eq!(
        cluster
            .root("GET", &format!("{ct}/interfaces"), "")
            .await
            .data(),
        json!(null)
    );
    let off = cluster
        .root("POST", &format!("{ct}/status/shutdown"), "")
        .await;
    assert_eq!(off.reason, "CT 200 not running");
    cluster
        .done("POST", &format!("{ct}/status/start"), "")
        .await;
    let found = cluster
        .root("GET", &format!("{ct}/interfaces"), "")
        .await
        .data();
    assert_eq!(
        (&found[0]["name"], &found[1]["name"]),
        (&json!("lo"), &json!("eth0"))
    );
    assert_eq!(found[1]["inet"], "10.25.150.40/24");
    assert_eq!(found[1]["ip-addresses"][0]["ip-address"], "10.25.150.40");
    let status = cluster
        .root("GET", &format!("{ct}/status/current"), "")
        .await
        .data();
    assert_eq!(
        (
            &status["status"],
            &status["type"],
            &status["cpus"],
            &status["maxdisk"]
        ),
        (
            &json!("running"),
            &json!("lxc"),
            &json!(2),
            &json!(8_u64 << 30)
        )
    );
    let again = cluster
        .root("POST", &format!("{ct}/status/start"), "")
        .await;
    assert_eq!(again.reason, "CT 200 already running");
    let refused = cluster.root("DELETE", ct, "").await;
    assert_eq!(
        refused.reason,
        "unable to destroy CT 200 - container is running"
    );
    cluster
        .done("POST", &format!("{ct}/status/reboot"), "")
        .await;
    cluster.done("DELETE", ct, "force=1&purge=1").await;
    let left = cluster.proxmox.inventory();
    assert_eq!(left["vms"], json!([]));
    assert!(!left["volumes"].to_string().contains("subvol"), "{left}");
}

#[tokio::test]
async fn changes_apply_at_once_or_wait_for_the_start() {
    let cluster = made().await;
    let (ct, path) = ("/nodes/abel/lxc/200", "/nodes/abel/lxc/200/config");
    cluster
        .done("POST", &format!("{ct}/status/start"), "")
        .await;
    let form =
        "memory=1024&hostname=api&nameserver=9.9.9.9&mp0=local-zfs%3A2%2Cmp%3D%2Fdata%2Cbackup%3D1";
    cluster.root("PUT", path, form).await.data();
    let now = cluster.root("GET", path, "current=1").await.data();
    assert_eq!(
        (&now["memory"], &now["hostname"]),
        (&json!(1024), &json!("api"))
    );
    assert_eq!(now["nameserver"], "10.25.150.1 1.1.1.1");
    assert_eq!(
        now["mp0"],
        "local-zfs:subvol-200-disk-1,mp=/data,backup=1,size=2G"
    );
    assert_eq!(cluster.container(200).await["nameserver"], "9.9.9.9");
    let pending = cluster
        .root("GET", &format!("{ct}/pending"), "")
        .await
        .data();
    let row = pending
        .as_array()
        .unwrap()
        .iter()
        .find(|r| r["key"] == "nameserver")
        .unwrap();
    assert_eq!(
        (&row["value"], &row["pending"]),
        (&json!("10.25.150.1 1.1.1.1"), &json!("9.9.9.9"))
    );
    cluster.root("PUT", path, "delete=mp0").await.data();
    assert!(
        cluster
            .root("GET", path, "current=1")
            .await
            .data()
            .get("mp0")
            .is_some(),
        "mounted stays mounted"
    );
    cluster
        .done("POST", &format!("{ct}/status/reboot"), "")
        .await;
    let now = cluster.root("GET", path, "current=1").await.data();
    assert!(now.get("mp0").is_none());
    assert_eq!(
        (&now["unused0"], &now["nameserver"]),
        (&json!("local-zfs:subvol-200-disk-1"), &json!("9.9.9.9"))
    );
    cluster.root("PUT", path, "delete=unused0").await.data();
    assert!(
        !cluster.proxmox.inventory()["volumes"]
            .to_string()
            .contains("disk-1")
    );
    let stale = cluster.root("PUT", path, "digest=0000&memory=64").await;
    assert_eq!(
        stale.reason,
        "checksum mismatch (file change by other user?)"
    );
    let fixed = cluster.root("PUT", path, "delete=rootfs").await;
    assert_eq!(fixed.reason, "unable to delete required option 'rootfs'");
    let fixed = cluster.root("PUT", path, "unprivileged=0").await;
    assert_eq!(
        fixed.reason,
        "unable to modify read-only option: 'unprivileged'"
    );
    let unknown = cluster.root("PUT", path, "delete=nothing").await;
    assert_eq!(unknown.body["errors"]["delete"], "unknown option 'nothing'");
    assert_eq!(
        cluster.root("PUT", path, "").await.reason,
        "no options specified"
    );
}

#[tokio::test]
async fn volumes_grow_move_and_change_their_container() {
    let cluster = made().await;
    let ct = "/nodes/abel/lxc/200";
    cluster
        .done("PUT", &format!("{ct}/resize"), "disk=rootfs&size=%2B2G")
        .await;
    assert_eq!(
        cluster.container(200).await["rootfs"],
        "local-zfs:subvol-200-disk-0,size=10G"
    );
    let smaller = cluster
        .root("PUT", &format!("{ct}/resize"), "disk=rootfs&size=1G")
        .await;
    assert_eq!(smaller.reason, "unable to shrink disk size");
    let same = cluster
        .root("PUT", &format!("{ct}/resize"), "disk=rootfs&size=10G")
        .await;
    assert_eq!(same.reason, "disk is already at specified size");
    let form = "volume=rootfs&storage=local-lvm&delete=1";
    cluster
        .done("POST", &format!("{ct}/move_volume"), form)
        .await;
    assert_eq!(
        cluster.container(200).await["rootfs"],
        "local-lvm:vm-200-disk-0,size=10G"
    );
    let form = create("").replace("vmid=200", "vmid=201");
    cluster.done("POST", "/nodes/abel/lxc", &form).await;
    cluster
        .root(
            "PUT",
            &format!("{ct}/config"),
            "mp3=local-zfs%3A1%2Cmp%3D%2Fx",
        )
        .await
        .data();
    let both = cluster
        .root(
            "POST",
            &format!("{ct}/move_volume"),
            "volume=mp3&target-vmid=201&storage=local-lvm",
        )
        .await;
    assert_eq!(
        both.reason,
        "either set storage or target-vmid, but not both"
    );
    let root = cluster
        .root(
            "POST",
            &format!("{ct}/move_volume"),
            "volume=rootfs&target-vmid=201",
        )
        .await;
    assert_eq!(root.reason, "Cannot move to/from 'rootfs'");
    let form = "volume=mp3&target-vmid=201&target-volume=mp0";
    cluster
        .done("POST", &format!("{ct}/move_volume"), form)
        .await;
    assert!(cluster.container(200).await.get("mp3").is_none());
    assert_eq!(
        cluster.container(201).await["mp0"],
        "local-zfs:subvol-201-disk-1,mp=/x,size=1G"
    );
}

#[tokio::test]
async fn templates_are_cloned_linked_and_whole() {
    let cluster = made().await;
    let ct = "/nodes/abel/lxc/200";
    cluster
        .done(
            "POST",
            &format!("{ct}/clone"),
            "newid=300&hostname=copy&storage=local-lvm",
        )
        .await;
    let copy = cluster.container(300).await;
    assert_eq!(
        (&copy["hostname"], &copy["rootfs"]),
        (&json!("copy"), &json!("local-lvm:vm-300-disk-0,size=8G"))
    );
    assert_ne!(
        copy["net0"],
        cluster.container(200).await["net0"],
        "a MAC address of its own"
    );
    let linked = cluster
        .root("POST", &format!("{ct}/clone"), "newid=301&full=0")
        .await;
    assert_eq!(
        linked.reason,
        "Linked clone feature for 'local-zfs:subvol-200-disk-0' is not available"
    );
    cluster.done("POST", &format!("{ct}/template"), "").await;
    assert_eq!(
        cluster.container(200).await["rootfs"],
        "local-zfs:basevol-200-disk-0,size=8G"
    );
    assert_eq!(
        cluster
            .task("POST", &format!("{ct}/status/start"), "")
            .await,
        "you can't start a CT if it's a template"
    );
    cluster
        .done("POST", &format!("{ct}/clone"), "newid=301")
        .await;
    assert_eq!(
        cluster.container(301).await["rootfs"],
        "local-zfs:basevol-200-disk-0/subvol-301-disk-0,size=8G"
    );
    let base = cluster.root("DELETE", ct, "").await;
    assert!(
        base.reason.contains("is still in use by linked cloned"),
        "{}",
        base.reason
    );
    assert!(cluster.container(200).await.get("lock").is_none());
}
