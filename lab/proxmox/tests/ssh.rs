//! The nodes' SSH door: what the published provider runs there, files over SFTP, who comes in.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use common::Cluster;
use serde_json::{Value, json};
use stead_lab_proxmox::{Options, UserSpec};

const ABEL: &str = "10.25.150.101";

/// The functions that the provider sends before its commands.
const TRY_SUDO: &str = r#"_try_sudo_check(){ if [ -z "${_try_sudo_cached:-}" ]; then _try_sudo_use_sudo="${TRY_SUDO_USE_SUDO:-0}"; _try_sudo_cached=1; fi; }; try_sudo(){ _try_sudo_check; if [ "$_try_sudo_use_sudo" = "1" ]; then sudo "$@"; else "$@"; fi; }"#;
const PROBE: &str = r#"if [ "$(id -u)" = "0" ]; then echo "0"; elif [ $(sudo -n /usr/sbin/pvesm apiinfo 2>&1 | grep "APIVER" | wc -l) -gt 0 ] || sudo -n /usr/sbin/qm --help >/dev/null 2>&1; then echo "1"; else echo "0"; fi"#;

fn login(address: SocketAddr, user: &str, password: &str) -> Result<ssh2::Session, ssh2::Error> {
    let mut session = ssh2::Session::new()?;
    session.set_tcp_stream(TcpStream::connect(address).unwrap());
    session.handshake()?;
    session.userauth_password(user, password)?;
    Ok(session)
}

/// What a command wrote, both streams, and its code.
fn run(session: &ssh2::Session, commands: &[&str], input: &str) -> (String, i32) {
    let script = commands.join("; ").replace('\'', r#"'"'"'"#);
    let mut channel = session.channel_session().unwrap();
    channel.exec(&format!("/bin/bash -c '{script}'")).unwrap();
    channel.write_all(input.as_bytes()).unwrap();
    channel.send_eof().unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    channel.read_to_string(&mut out).unwrap();
    channel.stderr().read_to_string(&mut err).unwrap();
    channel.wait_close().unwrap();
    (out + &err, channel.exit_status().unwrap())
}

/// Works over a connection of this user.
async fn at<T: Send + 'static>(
    cluster: &Cluster,
    user: &'static str,
    password: &'static str,
    work: impl FnOnce(ssh2::Session) -> T + Send + 'static,
) -> T {
    let address = cluster.lab.network.resolve(ABEL, 22).unwrap();
    tokio::task::spawn_blocking(move || work(login(address, user, password).unwrap()))
        .await
        .unwrap()
}

/// A cluster whose nodes have a user besides root.
async fn with_terraform() -> Cluster {
    let mut options = Options::default();
    options.users.push(UserSpec {
        id: "terraform@pam".into(),
        password: Some("terraform-password".into()),
        tokens: Vec::new(),
    });
    Cluster::in_dir(tempfile::tempdir().unwrap(), options).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_is_imported_as_the_published_provider_does_it() {
    let cluster = Cluster::new().await;
    cluster
        .root("POST", "/nodes/abel/qemu", "vmid=100&name=imported")
        .await
        .data();
    let imported = |session: ssh2::Session| {
        let sftp = session.sftp().unwrap();
        let path = Path::new("/var/lib/vz/template/iso/jammy.img");
        sftp.create(path).unwrap().write_all(&[0; 4096]).unwrap();
        assert_eq!(run(&session, &[PROBE], ""), ("0\n".into(), 0));
        run(
            &session,
            &[
                "export TRY_SUDO_USE_SUDO=0",
                "set -e",
                TRY_SUDO,
                "file_id=\"local:iso/jammy.img\"",
                "file_format=\"raw\"",
                "datastore_id_target=\"local-lvm\"",
                "vm_id=\"100\"",
                "disk_options=\",iothread=0\"",
                "disk_interface=\"virtio0\"",
                "source_image=$(try_sudo /usr/sbin/pvesm path $file_id)",
                r"imported_disk=$(try_sudo /usr/sbin/qm disk import $vm_id $source_image $datastore_id_target -format $file_format | grep unused0 | cut -d : -f 3 | cut -d \' -f 1)",
                "disk_id=\"${datastore_id_target}:$imported_disk$disk_options\"",
                "try_sudo /usr/sbin/qm set $vm_id -${disk_interface} $disk_id",
            ],
            "",
        )
    };
    let (out, code) = at(&cluster, "root", Options::ROOT_PASSWORD, imported).await;
    assert_eq!(code, 0, "{out}");
    assert!(
        out.contains("update VM 100: -virtio0 local-lvm:vm-100-disk-0,iothread=0"),
        "{out}"
    );
    let config = cluster
        .root("GET", "/nodes/abel/qemu/100/config", "")
        .await
        .data();
    assert_eq!(
        config["virtio0"],
        "local-lvm:vm-100-disk-0,iothread=0,size=2G"
    );
    assert_eq!(config.get("unused0"), None);

    let refusals = |session: ssh2::Session| {
        [
            "pvesm path nowhere:iso/x.img",
            "qm disk import 999 /var/lib/vz/template/iso/jammy.img local-lvm",
            "qm disk import 100 /nowhere local-lvm",
            "qm set 100 -cores many",
            "qm nonsense",
        ]
        .map(|command| run(&session, &[command], ""))
    };
    let refused = at(&cluster, "root", Options::ROOT_PASSWORD, refusals).await;
    let texts: Vec<&str> = refused.iter().map(|(text, _)| text.as_str()).collect();
    assert!(refused.iter().all(|(_, code)| *code == 255), "{refused:?}");
    assert!(texts[0].contains("storage 'nowhere' does not exist"));
    assert!(
        texts[1].contains("Configuration file 'nodes/abel/qemu-server/999.conf' does not exist")
    );
    assert!(texts[2].contains("No such file or directory"));
    assert!(texts[3].starts_with("400 Parameter verification failed.\ncores: type check"));
    assert!(texts[4].contains("unknown command 'qm nonsense'"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snippets_come_with_sudo_and_are_checked_over_sftp() {
    let cluster = with_terraform().await;
    let path = "/var/lib/vz/snippets/user.yaml";
    let upload = move |session: ssh2::Session| {
        assert_eq!(run(&session, &[PROBE], ""), ("1\n".into(), 0));
        let plain = run(&session, &[&format!("tee {path}")], "x");
        assert_eq!(plain.1, 1, "{plain:?}");
        let tee = format!("try_sudo /usr/bin/tee {path}");
        let (_, code) = run(
            &session,
            &["export TRY_SUDO_USE_SUDO=1", TRY_SUDO, &tee],
            "#cloud-config\n",
        );
        assert_eq!(code, 0);
        let sftp = session.sftp().unwrap();
        let size = sftp.open(Path::new(path)).unwrap().stat().unwrap().size;
        let names = sftp.readdir(Path::new("/var/lib/vz/snippets")).unwrap();
        (size, names.len())
    };
    let found = at(&cluster, "terraform", "terraform-password", upload).await;
    assert_eq!(found, (Some(14), 1));
    let list = "/nodes/abel/storage/local/content";
    let snippets = cluster.root("GET", list, "content=snippets").await.data();
    assert_eq!(snippets[0]["volid"], "local:snippets/user.yaml");
    assert_eq!(snippets[0]["size"], 14);

    // As root, over SFTP alone: folders, an archive of a container, its removal.
    let archive = |session: ssh2::Session| {
        let sftp = session.sftp().unwrap();
        assert!(
            sftp.mkdir(Path::new("/var/lib/vz/dump"), 0o755).is_err(),
            "there"
        );
        sftp.mkdir(Path::new("/var/lib/vz/own"), 0o755).unwrap();
        let dump = Path::new("/var/lib/vz/dump/vzdump-lxc-100-2026_01_02-03_04_05.tar.zst");
        let mut file = sftp.create(dump).unwrap();
        file.write_all(&[1; 70_000]).unwrap();
        drop(file);
        let size = sftp.stat(dump).unwrap().size;
        sftp.unlink(Path::new("/var/lib/vz/snippets/user.yaml"))
            .unwrap();
        size
    };
    let size = at(&cluster, "root", Options::ROOT_PASSWORD, archive).await;
    assert_eq!(size, Some(70_000));
    let backups = cluster.root("GET", list, "content=backup").await.data();
    assert_eq!(backups[0]["size"], 70_000);
    let snippets = cluster.root("GET", list, "content=snippets").await.data();
    assert_eq!(snippets, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_containers_file_takes_what_the_api_does_not() {
    let cluster = Cluster::new().await;
    let template = |session: ssh2::Session| {
        let path = Path::new("/var/lib/vz/template/cache/debian-12.tar.zst");
        let sftp = session.sftp().unwrap();
        sftp.create(path).unwrap().write_all(&[0; 1024]).unwrap();
    };
    at(&cluster, "root", Options::ROOT_PASSWORD, template).await;
    let form = "vmid=200&ostemplate=local%3Avztmpl%2Fdebian-12.tar.zst&rootfs=local-lvm%3A4&hostname=mapped";
    let upid = cluster.root("POST", "/nodes/abel/lxc", form).await.data();
    assert_eq!(cluster.wait(&upid).await, "OK");
    let map = |session: ssh2::Session| {
        let file = "/etc/pve/lxc/200.conf";
        let (delete, add) = (
            format!(r"try_sudo sed -i '/^lxc\.idmap:/d' {file}"),
            format!("echo 'lxc.idmap: u 0 100000 65536' | try_sudo tee -a {file} > /dev/null"),
        );
        for _ in 0..2 {
            let all = ["set -e", TRY_SUDO, &delete, &add];
            assert_eq!(run(&session, &all, ""), (String::new(), 0));
        }
        run(
            &session,
            &["grep idmap /etc/pve/lxc/200.conf", "pct status 200"],
            "",
        )
    };
    let (out, _) = at(&cluster, "root", Options::ROOT_PASSWORD, map).await;
    assert_eq!(out, "lxc.idmap: u 0 100000 65536\nstatus: stopped\n");
    let config = cluster
        .root("GET", "/nodes/abel/lxc/200/config", "")
        .await
        .data();
    assert_eq!(config["lxc"], json!([["lxc.idmap", "u 0 100000 65536"]]));
    assert_eq!(config["hostname"], "mapped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_in_and_what_stays() {
    let cluster = with_terraform().await;
    let address = cluster.lab.network.resolve(ABEL, 22).unwrap();
    let refused = tokio::task::spawn_blocking(move || {
        [
            ("root", "wrong"),
            ("nobody", "x"),
            ("terraform@pam", "terraform-password"),
        ]
        .map(|(user, password)| login(address, user, password).is_err())
    });
    assert_eq!(refused.await.unwrap(), [true; 3]);
    let first = |session: ssh2::Session| {
        let (out, _) = run(
            &session,
            &["echo kept > note", "id -un", "hostname", "qm list"],
            "",
        );
        let by_api = run(
            &session,
            &["sudo pvesh get /version --output-format json"],
            "",
        );
        let version: Value = serde_json::from_str(&by_api.0).unwrap();
        assert_eq!(version["release"], "9.2");
        (out, session.host_key().map(|(key, _)| key.to_vec()))
    };
    let (out, key) = at(&cluster, "terraform", "terraform-password", first).await;
    assert_eq!(out, "terraform\nabel\nplease run as root\n");
    let cluster = cluster.restarted().await;
    let again = |session: ssh2::Session| {
        let kept = run(&session, &["cat note"], "");
        (kept, session.host_key().map(|(key, _)| key.to_vec()))
    };
    let again = at(&cluster, "terraform", "terraform-password", again).await;
    assert_eq!(again, (("kept\n".to_owned(), 0), key));
}
