//! Files: what nodes fetch, what is brought to them, and what of it goes over SSH.

use serde_json::{Value as Json, json};
use stead_lab_proxmox::{Options, UserSpec};
use stead_meeting::{Homelab, Life};
use stead_sdk::testing::Harness;

const FILE: &str = "proxmox_virtual_environment_file";
const DOWNLOAD: &str = "proxmox_download_file";
const ALL: &str = "content=iso,vztmpl,import,backup,snippets";

pub(crate) fn lives() -> Vec<Life> {
    vec![
        Life::of(FILE, snippet("#cloud-config\n"))
            .prepared("PUT", "/storage/local", ALL)
            .changes(json!({ "timeout_upload": 60 }))
            .is_replaced_by(json!({ "source_raw": [{ "data": "#other\n", "file_name": "user.yaml" }] }))
            .imports("abel/local:snippets/user.yaml", &["source_raw", "timeout_upload"]),
        Life::of(
            DOWNLOAD,
            json!({ "node_name": "abel", "datastore_id": "local", "content_type": "import", "url": "https://images.lab/disk.qcow2" }),
        )
        .changes(json!({ "upload_timeout": 60 }))
        .is_replaced_by(json!({ "file_name": "other.qcow2" }))
        .imports("abel/local:import/disk.qcow2", &["url", "upload_timeout"]),
        Life::of(
            "proxmox_oci_image",
            json!({ "node_name": "abel", "datastore_id": "local", "reference": "docker.io/library/debian:13" }),
        )
        .changes(json!({ "upload_timeout": 60 }))
        .is_replaced_by(json!({ "reference": "docker.io/library/debian:12" })),
    ]
}

fn snippet(data: &str) -> Json {
    json!({
        "node_name": "abel", "datastore_id": "local", "content_type": "snippets",
        "source_raw": [{ "data": data, "file_name": "user.yaml" }],
    })
}

async fn homelab() -> Homelab {
    let mut options = Options::default();
    options.users.push(UserSpec {
        id: "terraform@pam".into(),
        password: Some("terraform-password".into()),
        tokens: Vec::new(),
    });
    let homelab = Homelab::start(&options).await;
    homelab.call("PUT", "/storage/local", ALL).await;
    homelab
}

/// With root's token, which has no password; SSH as its block says.
async fn with_token(homelab: &Homelab, ssh: Json) -> Harness {
    let config = json!({ "api_token": Options::ROOT_TOKEN, "ssh": [ssh] });
    homelab.provider(config).await
}

fn as_root() -> Json {
    json!({ "username": "root", "password": Options::ROOT_PASSWORD })
}

/// What the plan of a new object says, or why there is none.
async fn planned(proxmox: &Harness, name: &str, config: &Json) -> Result<Vec<String>, String> {
    let config = proxmox.config(name, config.clone()).unwrap();
    let plan = proxmox.plan(name, None, &config).await;
    plan.map(|plan| plan.notes).map_err(|e| format!("{e:?}"))
}

async fn refused(proxmox: &Harness, name: &str, config: Json) -> String {
    let made = proxmox.apply(name, None, config).await;
    format!("{:?}", made.unwrap_err().diagnostics)
}

async fn volumes(homelab: &Homelab, content: &str) -> Json {
    let query = format!("content={content}");
    homelab
        .call("GET", "/nodes/abel/storage/local/content", &query)
        .await
}

#[tokio::test]
async fn snippets_go_over_ssh_as_the_plan_says_and_in_every_way() {
    let homelab = homelab().await;
    let proxmox = &homelab.proxmox;
    let notes = planned(proxmox, FILE, &snippet("a")).await.unwrap();
    assert!(notes[0].contains("over SSH to abel as root"), "{notes:?}");
    let sudo = json!({ "username": "terraform", "password": "terraform-password" });
    for ssh in [as_root(), sudo] {
        let proxmox = with_token(&homelab, ssh).await;
        let mut config = snippet("#cloud-config\n");
        config["file_mode"] = json!("0700");
        let made = proxmox.apply(FILE, None, config).await.unwrap();
        assert_eq!(made.text("id"), "local:snippets/user.yaml");
        assert_eq!(volumes(&homelab, "snippets").await[0]["size"], 14);
        proxmox.delete(FILE, &made).await.unwrap();
        assert_eq!(volumes(&homelab, "snippets").await, json!([]));
    }
    // A backup over SFTP.
    let mut backup = snippet("not much of a backup");
    backup["content_type"] = json!("backup");
    backup["upload_mode"] = json!("sftp");
    let name = "vzdump-lxc-100-2026_01_02-03_04_05.tar.zst";
    backup["source_raw"][0]["file_name"] = json!(name);
    let proxmox = with_token(&homelab, as_root()).await;
    proxmox.apply(FILE, None, backup).await.unwrap();
    assert_eq!(volumes(&homelab, "backup").await[0]["size"], 20);
    homelab.stop().await;
}

#[tokio::test]
async fn without_a_login_ssh_is_refused_before_anything_is_done() {
    let homelab = homelab().await;
    let proxmox = with_token(&homelab, json!({})).await;
    let said = planned(&proxmox, FILE, &snippet("a")).await.unwrap_err();
    assert!(said.contains("PROXMOX_VE_SSH_USERNAME"), "{said}");
    let forwarding = json!({ "username": "root", "password": "x", "agent_forwarding": true });
    let proxmox = with_token(&homelab, forwarding).await;
    let said = planned(&proxmox, FILE, &snippet("a")).await.unwrap_err();
    assert!(said.contains("agent_forwarding"), "{said}");
    homelab.stop().await;
}

#[tokio::test]
async fn what_goes_wrong_on_the_way_is_told_with_what_to_do() {
    let homelab = homelab().await;
    let wrong = json!({ "username": "root", "password": "wrong" });
    let proxmox = with_token(&homelab, wrong).await;
    let said = refused(&proxmox, FILE, snippet("a")).await;
    assert!(said.contains("Check the user name"), "{said}");

    let mut elsewhere = as_root();
    elsewhere["node"] = json!([{ "name": "abel", "address": "10.25.150.250" }]);
    let proxmox = with_token(&homelab, elsewhere).await;
    let said = refused(&proxmox, FILE, snippet("a")).await;
    assert!(
        said.contains("10.25.150.250") && said.contains("can be reached from here"),
        "{said}"
    );

    // Another key under the node's name.
    let folder = homelab.home().join(".ssh");
    std::fs::create_dir_all(&folder).unwrap();
    let other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPp3sAXgQEJTgTGDcTTNLMgcPpNQFxSMwUePxXzVzVz";
    let file = folder.join("known_hosts");
    std::fs::write(&file, format!("10.25.150.101 {other}\n")).unwrap();
    let proxmox = with_token(&homelab, as_root()).await;
    let said = refused(&proxmox, FILE, snippet("a")).await;
    assert!(said.contains("ssh-keygen -R"), "{said}");
    assert_eq!(volumes(&homelab, "snippets").await, json!([]));
    std::fs::remove_file(&file).unwrap();

    let made = proxmox.apply(FILE, None, snippet("a")).await.unwrap();
    let mut again = snippet("b");
    again["overwrite"] = json!(false);
    let said = refused(&proxmox, FILE, again).await;
    assert!(
        said.contains("Import it as abel/local:snippets/user.yaml"),
        "{said}"
    );
    proxmox.delete(FILE, &made).await.unwrap();

    homelab
        .call("PUT", "/storage/local", "content=iso,vztmpl")
        .await;
    // One that remembers nothing of the storage.
    let proxmox = with_token(&homelab, as_root()).await;
    let said = refused(&proxmox, FILE, snippet("a")).await;
    assert!(said.contains("pvesm set local --content"), "{said}");
    homelab.stop().await;
}

#[tokio::test]
async fn a_file_of_this_machine_is_uploaded_and_again_when_it_changes() {
    let homelab = homelab().await;
    let proxmox = &homelab.proxmox;
    let path = homelab.home().join("tools.iso");
    std::fs::write(&path, vec![1; 300_000]).unwrap();
    let config = |checksum: &str| {
        json!({ "node_name": "abel", "datastore_id": "local",
                "source_file": [{ "path": path.display().to_string(), "checksum": checksum }] })
    };
    let said = refused(proxmox, FILE, config("00")).await;
    assert!(said.contains("Nothing was uploaded"), "{said}");
    assert_eq!(volumes(&homelab, "iso").await, json!([]));
    let made = proxmox.apply(FILE, None, config("")).await.unwrap();
    assert_eq!(made.text("id"), "local:iso/tools.iso");
    assert_eq!(volumes(&homelab, "iso").await[0]["size"], 300_000);

    let same = proxmox.read(FILE, &made).await.unwrap().unwrap();
    let value = proxmox.config(FILE, config("")).unwrap();
    let plan = proxmox.plan(FILE, Some(&same), &value).await.unwrap();
    assert_eq!(plan.planned, same.value);

    std::fs::write(&path, vec![2; 400_000]).unwrap();
    let other = proxmox.read(FILE, &same).await.unwrap().unwrap();
    let plan = proxmox.plan(FILE, Some(&other), &value).await.unwrap();
    let replaced: Vec<_> = plan
        .requires_replace
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(replaced, ["source_file"]);

    let path = "/nodes/abel/storage/local/content/local:iso%2Ftools.iso";
    homelab.call("DELETE", path, "").await;
    assert!(proxmox.read(FILE, &made).await.unwrap().is_none());
    homelab.stop().await;
}

#[tokio::test]
async fn a_url_is_fetched_here_and_uploaded() {
    let homelab = homelab().await;
    let url = homelab.publish("tools.img", vec![5; 5000]);
    let config = json!({ "node_name": "abel", "datastore_id": "local",
        "source_file": [{ "path": url, "file_name": "renamed.img" }] });
    let made = homelab
        .proxmox
        .apply(FILE, None, config.clone())
        .await
        .unwrap();
    assert_eq!(made.text("id"), "local:iso/renamed.img");
    assert_eq!(volumes(&homelab, "iso").await[0]["size"], 5000);
    homelab.publish("tools.img", vec![6; 5000]);
    let found = homelab.proxmox.read(FILE, &made).await.unwrap().unwrap();
    let value = homelab.proxmox.config(FILE, config).unwrap();
    let plan = homelab
        .proxmox
        .plan(FILE, Some(&found), &value)
        .await
        .unwrap();
    assert_eq!(plan.requires_replace.len(), 1);
    let mut missing = json!({ "node_name": "abel", "datastore_id": "local" });
    missing["source_file"] = json!([{ "path": "https://images.lab/nothing.iso" }]);
    let said = refused(&homelab.proxmox, FILE, missing).await;
    assert!(said.contains("404"), "{said}");
    homelab.stop().await;
}

#[tokio::test]
async fn a_download_is_repeated_in_place_when_its_source_has_another_file() {
    let homelab = homelab().await;
    let proxmox = &homelab.proxmox;
    let url = homelab.publish("disk.img", vec![1; 1000]);
    let config =
        json!({ "node_name": "abel", "datastore_id": "local", "content_type": "iso", "url": url });
    let made = proxmox.apply(DOWNLOAD, None, config.clone()).await.unwrap();
    let value = proxmox.config(DOWNLOAD, config.clone()).unwrap();
    // Of the same size: its tag is another one.
    homelab.publish("disk.img", vec![2; 1000]);
    let found = proxmox.read(DOWNLOAD, &made).await.unwrap().unwrap();
    let plan = proxmox.plan(DOWNLOAD, Some(&found), &value).await.unwrap();
    assert_eq!(plan.requires_replace, []);
    assert!(
        plan.notes[0].contains("its source has changed"),
        "{:?}",
        plan.notes
    );
    let again = proxmox
        .apply(DOWNLOAD, Some(&found), config.clone())
        .await
        .unwrap();
    let found = proxmox.read(DOWNLOAD, &again).await.unwrap().unwrap();
    let plan = proxmox.plan(DOWNLOAD, Some(&found), &value).await.unwrap();
    assert_eq!(plan.planned, found.value);
    // Who wants none of it keeps the file.
    let mut kept = config;
    kept["overwrite"] = json!(false);
    let kept_one = proxmox
        .apply(DOWNLOAD, Some(&found), kept.clone())
        .await
        .unwrap();
    homelab.publish("disk.img", vec![3; 3000]);
    let found = proxmox.read(DOWNLOAD, &kept_one).await.unwrap().unwrap();
    let value = proxmox.config(DOWNLOAD, kept).unwrap();
    let plan = proxmox.plan(DOWNLOAD, Some(&found), &value).await.unwrap();
    assert_eq!(plan.planned, found.value);
    homelab.stop().await;
}

#[tokio::test]
async fn what_the_node_cannot_unpack_is_unpacked_here() {
    let homelab = homelab().await;
    let proxmox = &homelab.proxmox;
    let packed = xz(&vec![b'A'; 65_536]);
    let url = homelab.publish("disk.raw.xz", packed);
    let config = json!({ "node_name": "abel", "datastore_id": "local", "content_type": "import",
        "decompression_algorithm": "xz", "url": url });
    let notes = planned(proxmox, DOWNLOAD, &config).await.unwrap();
    assert!(
        notes[0].contains("unpacked (xz) by this machine"),
        "{notes:?}"
    );
    let made = proxmox.apply(DOWNLOAD, None, config.clone()).await.unwrap();
    assert_eq!(made.text("id"), "local:import/disk.raw");
    assert_eq!(made.attribute("size").as_i64(), Some(65_536));
    let found = proxmox.read(DOWNLOAD, &made).await.unwrap().unwrap();
    let value = proxmox.config(DOWNLOAD, config.clone()).unwrap();
    let plan = proxmox.plan(DOWNLOAD, Some(&found), &value).await.unwrap();
    assert_eq!(plan.planned, found.value);
    let said = refused(proxmox, DOWNLOAD, config).await;
    assert!(said.contains("overwrite_unmanaged"), "{said}");
    homelab.stop().await;
}

#[tokio::test]
async fn a_disk_of_an_iso_image_and_a_map_of_users_go_over_ssh() {
    let homelab = homelab().await;
    let proxmox = with_token(&homelab, as_root()).await;
    let url = homelab.publish("disk.img", vec![1; 4096]);
    let image =
        json!({ "node_name": "abel", "datastore_id": "local", "content_type": "iso", "url": url });
    proxmox.apply(DOWNLOAD, None, image).await.unwrap();
    let vm = "proxmox_virtual_environment_vm";
    let config = json!({
        "node_name": "abel", "vm_id": 100, "name": "web", "started": false,
        "disk": [{ "interface": "scsi0", "datastore_id": "local-lvm", "file_id": "local:iso/disk.img", "size": 8 }],
    });
    let notes = planned(&proxmox, vm, &config).await.unwrap();
    let told = "disk scsi0: made by `qm disk import` over SSH to abel as root";
    assert!(notes.iter().any(|note| note == told), "{notes:?}");
    // Nothing is begun that could not be ended.
    let stranger = json!({ "username": "root", "password": "wrong" });
    let stranger = with_token(&homelab, stranger).await;
    let said = refused(&stranger, vm, config.clone()).await;
    assert!(said.contains("over SSH"), "{said}");
    let guests = homelab.call("GET", "/cluster/resources", "type=vm").await;
    assert_eq!(guests, json!([]));
    let made = proxmox.apply(vm, None, config.clone()).await.unwrap();
    let found = homelab.call("GET", "/nodes/abel/qemu/100/config", "").await;
    let disk = found["scsi0"].as_str().unwrap();
    assert!(disk.contains("size=8G"), "{found}");
    assert!(found.get("unused0").is_none(), "{found}");
    assert!(found["boot"].as_str().unwrap().contains("scsi0"), "{found}");
    let read = proxmox.read(vm, &made).await.unwrap().unwrap();
    let value = proxmox.config(vm, config).unwrap();
    let plan = proxmox.plan(vm, Some(&read), &value).await.unwrap();
    assert_eq!(plan.planned, read.value);

    let template = "storage=local&template=debian-12-standard_12.12-1_amd64.tar.zst";
    homelab.call("POST", "/nodes/abel/aplinfo", template).await;
    let container = "proxmox_virtual_environment_container";
    let config = |host: i64| {
        json!({
            "node_name": "abel", "vm_id": 200, "started": false, "unprivileged": true,
            "disk": [{ "datastore_id": "local-lvm", "size": 4 }],
            "idmap": [{ "type": "uid", "container_id": 0, "host_id": host, "size": 65_536 }],
            "operating_system": [{ "template_file_id": "local:vztmpl/debian-12-standard_12.12-1_amd64.tar.zst", "type": "debian" }],
        })
    };
    let notes = planned(&proxmox, container, &config(100_000))
        .await
        .unwrap();
    assert_eq!(notes, ["idmap: written over SSH to abel as root"]);
    let made = proxmox
        .apply(container, None, config(100_000))
        .await
        .unwrap();
    let lines = || homelab.call("GET", "/nodes/abel/lxc/200/config", "");
    assert_eq!(
        lines().await["lxc"],
        json!([["lxc.idmap", "u 0 100000 65536"]])
    );
    let read = proxmox.read(container, &made).await.unwrap().unwrap();
    let value = proxmox.config(container, config(100_000)).unwrap();
    let plan = proxmox.plan(container, Some(&read), &value).await.unwrap();
    assert_eq!(plan.planned, read.value);
    proxmox
        .apply(container, Some(&read), config(200_000))
        .await
        .unwrap();
    assert_eq!(
        lines().await["lxc"],
        json!([["lxc.idmap", "u 0 200000 65536"]])
    );
    homelab.stop().await;
}

fn xz(content: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    lzma_rs::xz_compress(&mut &content[..], &mut packed).unwrap();
    packed
}
