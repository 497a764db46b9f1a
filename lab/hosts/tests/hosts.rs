//! The hosts as libssh2, an SSH client of others' making, sees them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use stead_lab_core::cluster::{Cluster, ClusterHost, ClusterSpec, NodeSpec};
use stead_lab_core::machine::{CloudInit, Disk, Hardware, ImageLabel, IpConfig, Nic};
use stead_lab_core::{Lab, Settings};
use stead_lab_hosts::{HostSpec, Hosts, Options, Secret, Sudo};

/// A Kubernetes that only keeps the books.
#[derive(Default)]
struct Books {
    clusters: Mutex<BTreeMap<String, Arc<Book>>>,
}

#[derive(Default)]
struct Book {
    spec: Mutex<Option<ClusterSpec>>,
    nodes: Mutex<BTreeMap<String, (NodeSpec, bool)>>,
    manifests: Mutex<String>,
}

#[async_trait]
impl ClusterHost for Books {
    async fn start(&self, spec: ClusterSpec) -> std::io::Result<Arc<dyn Cluster>> {
        let book = self
            .clusters
            .lock()
            .unwrap()
            .entry(spec.id.clone())
            .or_default()
            .clone();
        *book.spec.lock().unwrap() = Some(spec);
        Ok(book)
    }
    async fn destroy(&self, id: &str) {
        self.clusters.lock().unwrap().remove(id);
    }
}

#[async_trait]
impl Cluster for Book {
    fn api_address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 6443))
    }
    async fn apply_bootstrap_manifests(&self, _: &str, yaml: &str) -> Result<(), String> {
        self.manifests.lock().unwrap().push_str(yaml);
        Ok(())
    }
    async fn node_joined(&self, node: NodeSpec) {
        self.nodes
            .lock()
            .unwrap()
            .insert(node.name.clone(), (node, true));
    }
    async fn node_stopped(&self, name: &str) {
        if let Some(node) = self.nodes.lock().unwrap().get_mut(name) {
            node.1 = false;
        }
    }
    async fn node_removed(&self, name: &str) {
        self.nodes.lock().unwrap().remove(name);
    }
    async fn healthy(&self) -> Result<(), String> {
        Ok(())
    }
    async fn nodes(&self) -> Vec<(String, bool)> {
        self.nodes
            .lock()
            .unwrap()
            .iter()
            .map(|(n, (_, ready))| (n.clone(), *ready))
            .collect()
    }
}

struct World {
    lab: Lab,
    hosts: Arc<Hosts>,
    books: Arc<Books>,
    folder: tempfile::TempDir,
}

#[derive(Debug)]
struct Done {
    out: String,
    err: String,
    code: i32,
}

impl World {
    async fn at(folder: tempfile::TempDir) -> World {
        let lab = Lab::open(folder.path(), Settings::default()).unwrap();
        let books = Arc::new(Books::default());
        let mut options = Options::default();
        let asked = HostSpec {
            sudo: Sudo::Password,
            ..HostSpec::ubuntu("careful", IpAddr::V4(Ipv4Addr::new(10, 25, 151, 20)))
        };
        options.hosts.push(asked);
        let hosts = stead_lab_hosts::start(&lab, books.clone(), options)
            .await
            .unwrap();
        World {
            lab,
            hosts,
            books,
            folder,
        }
    }

    async fn new() -> World {
        World::at(tempfile::tempdir().unwrap()).await
    }

    async fn restart(self) -> World {
        self.lab.stop().await;
        World::at(self.folder).await
    }

    /// Runs a command with this input over a connection of its own.
    async fn run_with(&self, host: &str, command: &str, input: &str) -> Done {
        let address = self.lab.network.resolve(host, 22).unwrap();
        let (command, input) = (command.to_owned(), input.to_owned());
        tokio::task::spawn_blocking(move || {
            let session = login(address, "ubuntu", "stead-lab").unwrap();
            let mut channel = session.channel_session().unwrap();
            channel.exec(&command).unwrap();
            channel.write_all(input.as_bytes()).unwrap();
            channel.send_eof().unwrap();
            let (mut out, mut err) = (String::new(), String::new());
            channel.read_to_string(&mut out).unwrap();
            channel.stderr().read_to_string(&mut err).unwrap();
            channel.wait_close().unwrap();
            Done {
                out,
                err,
                code: channel.exit_status().unwrap(),
            }
        })
        .await
        .unwrap()
    }

    async fn run(&self, host: &str, command: &str) -> Done {
        self.run_with(host, command, "").await
    }

    async fn ok(&self, host: &str, command: &str) -> String {
        let done = self.run(host, command).await;
        assert_eq!(done.code, 0, "{command}: {done:?}");
        done.out
    }

    fn book(&self, id: &str) -> Arc<Book> {
        self.books.clusters.lock().unwrap()[id].clone()
    }
}

fn login(address: SocketAddr, user: &str, password: &str) -> Result<ssh2::Session, ssh2::Error> {
    let mut session = ssh2::Session::new()?;
    session.set_tcp_stream(std::net::TcpStream::connect(address).unwrap());
    session.handshake()?;
    session.userauth_password(user, password)?;
    Ok(session)
}

const HOST: &str = "10.25.151.11";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_are_checked_and_the_host_key_is_kept() {
    let world = World::new().await;
    let address = world.lab.network.resolve("mk8s-1", 22).unwrap();
    let refused = tokio::task::spawn_blocking(move || login(address, "ubuntu", "wrong").err())
        .await
        .unwrap();
    assert!(refused.is_some());
    let refused = tokio::task::spawn_blocking(move || login(address, "root", "stead-lab").err())
        .await
        .unwrap();
    assert!(refused.is_some());
    let key = world.hosts.host_key("mk8s-1").unwrap();
    assert!(key.starts_with("ssh-ed25519 "), "{key}");
    let world = world.restart().await;
    assert_eq!(world.hosts.host_key("mk8s-1").unwrap(), key);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shell_does_what_tools_send() {
    let world = World::new().await;
    for (command, expected) in [
        ("uname -m", "x86_64\n"),
        ("hostname", "mk8s-1\n"),
        (
            ". /dev/null 2>/dev/null || grep ^ID= /etc/os-release",
            "ID=ubuntu\n",
        ),
        (
            "echo a b  'c  d' \"$HOME\" ~",
            "a b c  d /home/ubuntu /home/ubuntu\n",
        ),
        (
            "x=1; y=$(echo two | tr a b || echo \"$x\"); echo \"[$y]\"",
            "[1]\n",
        ),
        ("false && echo no || echo yes", "yes\n"),
        (
            "if [ -f /etc/hostname ]; then cat /etc/hostname; else echo none; fi",
            "mk8s-1\n",
        ),
        (
            "mkdir -p a/b && printf '%s\\n' one two > a/b/f && cat < a/b/f | head -n1; stat -c '%a %U' a/b/f",
            "one\n644 ubuntu\n",
        ),
        ("set -e; false; echo unreachable", ""),
        (
            "cat <<'EOF' | sudo tee /etc/x >/dev/null; sudo cat /etc/x\na: $b\nEOF\n",
            "a: $b\n",
        ),
        ("v=5; cat <<EOF\nv is $v\nEOF\n", "v is 5\n"),
        (
            "umask 077; touch p; mkdir q; stat -c %a p q; test -x /usr/bin || echo none",
            "600\n700\n",
        ),
        ("(cd /tmp && pwd); pwd", "/tmp\n/home/ubuntu\n"),
        (
            "echo err >&2 2>/dev/null; echo out 2>&1 >/dev/null; ! true || echo neg",
            "neg\n",
        ),
        ("sudo -n sh -c 'id -un; echo $0'", "root\nbash\n"),
        ("command -v snap microk8s; echo $?", "/usr/bin/snap\n1\n"),
    ] {
        let done = world.run(HOST, command).await;
        assert_eq!(done.out, expected, "{command}: {done:?}");
    }
    let unknown = world.run(HOST, "frobnicate --now").await;
    assert_eq!(
        (unknown.code, unknown.err.as_str()),
        (127, "bash: line 1: frobnicate: command not found\n")
    );
    let denied = world.run(HOST, "echo x > /etc/microk8s.yaml").await;
    assert_eq!(
        (denied.code, denied.err.as_str()),
        (1, "bash: /etc/microk8s.yaml: Permission denied\n")
    );
    assert_eq!(world.run(HOST, "for i in 1; do echo; done").await.code, 2);
    assert_eq!(world.run(HOST, "exit 7").await.code, 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_come_by_standard_input_and_stay() {
    let world = World::new().await;
    let text = "version: 0.2.0\n".repeat(5000);
    let done = world
        .run_with(
            HOST,
            "umask 077; touch private; stat -c %a private >/dev/null; sudo -n install -D -m 0600 /dev/stdin /root/conf/f",
            &text,
        )
        .await;
    assert_eq!(done.code, 0, "{done:?}");
    let sum = world.ok(HOST, "sudo sha256sum /root/conf/f").await;
    let world = world.restart().await;
    assert_eq!(
        world
            .ok(
                HOST,
                "sudo sha256sum /root/conf/f; sudo stat -c %a /root/conf/f"
            )
            .await,
        format!("{sum}600\n")
    );
    assert!(
        world
            .run(HOST, "cat /root/conf/f")
            .await
            .err
            .contains("Permission denied")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shell_reads_commands_and_there_is_no_terminal() {
    let world = World::new().await;
    let address = world.lab.network.resolve(HOST, 22).unwrap();
    let read = move || {
        let session = login(address, "ubuntu", "stead-lab").unwrap();
        let mut channel = session.channel_session().unwrap();
        assert!(channel.request_pty("xterm", None, None).is_err());
        channel.shell().unwrap();
        channel.write_all(b"cd /tmp\npwd\nexit 3\n").unwrap();
        channel.send_eof().unwrap();
        let mut out = String::new();
        channel.read_to_string(&mut out).unwrap();
        channel.wait_close().unwrap();
        let mut other = session.channel_session().unwrap();
        assert!(other.subsystem("netconf").is_err());
        (out, channel.exit_status().unwrap())
    };
    let read = tokio::task::spawn_blocking(read).await.unwrap();
    assert_eq!(read, ("/tmp\n".to_owned(), 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_come_and_go_over_sftp() {
    let world = World::new().await;
    let address = world.lab.network.resolve(HOST, 22).unwrap();
    let work = move || {
        let session = login(address, "ubuntu", "stead-lab").unwrap();
        let sftp = session.sftp().unwrap();
        let folder = Path::new("/home/ubuntu/files");
        sftp.mkdir(folder, 0o755).unwrap();
        let (path, large) = (folder.join("a"), vec![7; 100_000]);
        let mut file = sftp.create(&path).unwrap();
        file.write_all(&large).unwrap();
        assert_eq!(file.stat().unwrap().size, Some(100_000));
        let with = |size, uid| ssh2::FileStat {
            size,
            uid,
            gid: uid,
            perm: None,
            atime: None,
            mtime: None,
        };
        file.setstat(with(Some(5), None)).unwrap();
        file.seek(SeekFrom::Start(5)).unwrap();
        file.write_all(b"more").unwrap();
        assert_eq!(file.stat().unwrap().size, Some(9), "cut, then longer");
        file.seek(SeekFrom::Start(0)).unwrap();
        file.write_all(&large).unwrap();
        drop(file);
        assert!(sftp.setstat(&path, with(None, Some(0))).is_err(), "root's");
        sftp.setstat(&path, with(None, Some(1000))).unwrap();
        sftp.rename(&path, &folder.join("b"), None).unwrap();
        let mut read = Vec::new();
        let mut file = sftp.open(folder.join("b")).unwrap();
        file.read_to_end(&mut read).unwrap();
        assert_eq!(read, large);
        let names: Vec<_> = sftp.readdir(folder).unwrap();
        assert_eq!(names.len(), 1);
        assert!(sftp.rmdir(folder).is_err(), "not empty");
        assert!(sftp.create(Path::new("/etc/a")).is_err(), "root's");
        assert!(sftp.stat(Path::new("/nowhere")).is_err());
        sftp.realpath(Path::new(".")).unwrap()
    };
    let home = tokio::task::spawn_blocking(work).await.unwrap();
    assert_eq!(home, Path::new("/home/ubuntu"));
    let count = world.run(HOST, "wc -c < files/b").await;
    assert_eq!(count.out, "100000\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_take_arguments() {
    let world = World::new().await;
    let script = "say() { echo \"$#:$1\"; printf '<%s>' \"$@\"; }; say 'a b' c; say; echo \"$1\"";
    assert_eq!(world.run(HOST, script).await.out, "2:a b\n<a b><c>0:\n<>\n");
    assert_eq!(
        world.run(HOST, "bash -c 'echo $2-$1' x one two").await.out,
        "two-one\n"
    );
    let endless = world.run(HOST, "f() { f; }; f").await;
    assert_eq!(endless.code, 1, "{endless:?}");
    assert_eq!(
        world.run(HOST, "echo a:b:c | cut -d : -f 2").await.out,
        "b\n"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sudo_asks_where_it_is_told_to() {
    let world = World::new().await;
    let careful = "10.25.151.20";
    let refused = world.run(careful, "sudo -n true").await;
    assert_eq!(
        (refused.code, refused.err.as_str()),
        (1, "sudo: a password is required\n")
    );
    assert_eq!(
        world
            .run_with(careful, "sudo -S -p '' cat", "stead-lab\nrest")
            .await
            .out,
        "rest"
    );
    assert_eq!(
        world
            .run_with(careful, "sudo -S -p '' cat", "wrong\nrest")
            .await
            .code,
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn microk8s_is_installed_configured_and_removed() {
    let world = World::new().await;
    assert_eq!(world.run(HOST, "snap list microk8s").await.code, 1);
    assert_eq!(
        world.run(HOST, "snap install microk8s --classic").await.err,
        "error: access denied (try with sudo)\n"
    );
    assert!(
        world
            .run(HOST, "sudo snap install microk8s --channel=1.32/stable")
            .await
            .err
            .contains("classic confinement")
    );
    assert!(
        world
            .run(
                HOST,
                "sudo snap install microk8s --classic --channel=9.99/stable"
            )
            .await
            .err
            .contains("not available on 9.99/stable")
    );
    let config = "version: 0.2.0\naddons:\n- name: dns\n- name: hostpath-storage\nextraSANs:\n- 10.25.151.99\nextraKubeAPIServerArgs:\n  --authorization-mode: RBAC,Node\n";
    assert_eq!(
        world
            .run_with(HOST, "sudo tee /etc/microk8s.yaml > /dev/null", config)
            .await
            .code,
        0
    );
    let out = world
        .ok(HOST, "sudo snap install microk8s --classic --channel=1.32")
        .await;
    assert_eq!(
        out,
        "microk8s (1.32/stable) v1.32.9 from Canonical✓ installed\n"
    );
    assert!(
        world
            .ok(HOST, "snap list microk8s | tail -n 1")
            .await
            .contains("1.32/stable  canonical✓  classic")
    );
    assert!(
        world
            .run(HOST, "microk8s status")
            .await
            .err
            .starts_with("Insufficient permissions")
    );
    let status = world
        .ok(
            HOST,
            "sudo microk8s status --wait-ready --timeout 60 --format yaml",
        )
        .await;
    assert!(status.contains("running: True") && status.contains("- name: dns\n  repository: core\n  description: CoreDNS\n  version: \"1.11.1\"\n  status: enabled"), "{status}");
    assert_eq!(
        world
            .ok(HOST, "sudo ls /var/snap/microk8s/common/etc/launcher")
            .await,
        "install.yaml.applied\n"
    );
    assert_eq!(
        world
            .ok(
                HOST,
                "sudo cat /var/snap/microk8s/current/args/kube-apiserver"
            )
            .await,
        "--authorization-mode=RBAC,Node\n"
    );
    let book = world.book("microk8s/mk8s-1");
    assert!(
        book.spec
            .lock()
            .unwrap()
            .as_ref()
            .unwrap()
            .certificate_names
            .contains(&"10.25.151.99".to_owned())
    );
    assert!(book.manifests.lock().unwrap().contains("microk8s-hostpath"));
    let config = world.ok(HOST, "sudo microk8s config").await;
    assert!(
        config.contains("server: https://10.25.151.11:16443")
            && config.contains("client-key-data: "),
        "{config}"
    );
    assert!(world.lab.network.resolve(HOST, 16443).is_some());

    // A file of the agent's folder is applied; one with an unknown addon stays and is told of in the journal.
    world
        .run_with(
            HOST,
            "sudo tee /var/snap/microk8s/common/etc/launcher/10-extra.yaml",
            "addons: [{name: nonsense}]\n",
        )
        .await;
    assert!(
        world
            .ok(HOST, "sudo ls /var/snap/microk8s/common/etc/launcher")
            .await
            .contains("10-extra.yaml\n")
    );
    assert!(
        world
            .ok(HOST, "sudo cat /var/log/syslog")
            .await
            .contains("Addon nonsense was not found")
    );
    assert_eq!(
        world.run(HOST, "sudo microk8s enable nonsense").await.code,
        1
    );
    assert!(
        world
            .run(HOST, "sudo microk8s enable gpu")
            .await
            .err
            .contains("does not simulate")
    );
    assert_eq!(
        world
            .ok(HOST, "sudo snap refresh microk8s --channel=1.33/stable")
            .await,
        "microk8s (1.33/stable) v1.33.5 from Canonical✓ refreshed\n"
    );

    let world = world.restart().await;
    assert!(
        world
            .ok(HOST, "sudo microk8s kubectl get nodes -o json")
            .await
            .contains("v1.33.5")
    );
    world.ok(HOST, "sudo snap remove microk8s --purge").await;
    assert!(world.books.clusters.lock().unwrap().is_empty());
    assert!(world.lab.network.resolve(HOST, 16443).is_none());
    assert_eq!(
        world.run(HOST, "sudo microk8s status").await.err,
        "sudo: microk8s: command not found\n"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_launch_configuration_fails_the_install() {
    let world = World::new().await;
    world
        .run_with(HOST, "sudo tee /etc/microk8s.yaml", "version: 0.9.0\n")
        .await;
    let failed = world
        .run(
            HOST,
            "sudo snap install microk8s --classic --channel=1.32/stable",
        )
        .await;
    assert!(
        failed.code == 1 && failed.err.contains("unsupported version: 0.9.0"),
        "{failed:?}"
    );
    assert!(world.hosts.inventory().microk8s.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hosts_make_one_highly_available_cluster() {
    let world = World::new().await;
    for host in ["mk8s-1", "mk8s-2", "mk8s-3"] {
        world
            .ok(
                host,
                "sudo snap install microk8s --classic --channel=1.34/stable",
            )
            .await;
    }
    for host in ["mk8s-2", "mk8s-3"] {
        let added = world
            .ok(
                "mk8s-1",
                "sudo microk8s add-node --token-ttl 60 --format json",
            )
            .await;
        let url = added
            .split("\"urls\":[\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
            .to_owned();
        let wrong = world
            .run(
                host,
                &format!("sudo microk8s join {}", &url[..url.len() - 1]),
            )
            .await;
        assert_eq!(wrong.code, 4, "{wrong:?}");
        world.ok(host, &format!("sudo microk8s join {url}")).await;
    }
    let status = world
        .ok("mk8s-3", "sudo microk8s status --wait-ready --format yaml")
        .await;
    assert!(
        status
            .contains("enabled: True\n  nodes:\n  - address: 10.25.151.11:19001\n    role: voter"),
        "{status}"
    );
    let nodes: BTreeSet<String> = world
        .book("microk8s/mk8s-1")
        .nodes
        .lock()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(
        nodes,
        BTreeSet::from([
            "mk8s-1".to_owned(),
            "mk8s-2".to_owned(),
            "mk8s-3".to_owned()
        ])
    );
    assert_eq!(
        world
            .ok(
                "mk8s-1",
                "sudo microk8s config | grep certificate-authority"
            )
            .await,
        world
            .ok(
                "mk8s-2",
                "sudo microk8s config | grep certificate-authority"
            )
            .await
    );
    assert_eq!(
        world
            .run("mk8s-3", "sudo microk8s join 10.25.151.11:25000/x/y")
            .await
            .code,
        1
    );
    assert_eq!(
        world
            .run("mk8s-1", "sudo microk8s remove-node mk8s-3")
            .await
            .code,
        1,
        "it is still a member"
    );
    world.ok("mk8s-3", "sudo microk8s leave").await;
    world.ok("mk8s-1", "sudo microk8s remove-node mk8s-3").await;
    assert!(
        !world
            .book("microk8s/mk8s-1")
            .nodes
            .lock()
            .unwrap()
            .contains_key("mk8s-3")
    );
    assert!(
        world
            .book("microk8s/mk8s-3")
            .nodes
            .lock()
            .unwrap()
            .contains_key("mk8s-3")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ubuntu_machine_becomes_a_host() {
    let world = World::new().await;
    let kind = world.hosts.ubuntu();
    let image = |os: &str| ImageLabel {
        os: os.into(),
        version: "24.04".into(),
        schematic: String::new(),
        guest_agent: false,
    };
    let user_data = "#cloud-config\nhostname: node-a\npassword: secret\nchpasswd: {expire: false}\npackages: [qemu-guest-agent]\n";
    let address = IpAddr::V4(Ipv4Addr::new(10, 25, 151, 50));
    let ip = IpConfig {
        address: Some((address, 24)),
        gateway: None,
    };
    let hardware = Hardware {
        id: "pve/5001".into(),
        name: "vm".into(),
        cores: 2,
        memory_mib: 4096,
        disks: vec![Disk {
            interface: "scsi0".into(),
            size_bytes: 1 << 30,
            image: Some(image("ubuntu")),
        }],
        nics: vec![Nic {
            mac: "bc:24:11:00:00:01".into(),
            bridge: "vmbr0".into(),
            vlan: None,
        }],
        cloud_init: Some(CloudInit {
            ip_config: [(0, ip)].into(),
            user_data: Some(user_data.into()),
            ..CloudInit::default()
        }),
        pci_devices: Vec::new(),
        agent_channel: true,
    };
    assert!(kind.recognises(&hardware));
    let other = Hardware {
        disks: vec![Disk {
            interface: "scsi0".into(),
            size_bytes: 1,
            image: Some(image("talos")),
        }],
        ..hardware.clone()
    };
    assert!(!kind.recognises(&other));
    let guest = kind.boot(hardware.clone()).await;
    assert!(
        guest.agent_interfaces().unwrap()[1]
            .addresses
            .contains(&(address, 24))
    );
    let at = world.lab.network.resolve("10.25.151.50", 22).unwrap();
    let output = move || {
        let session = login(at, "ubuntu", "secret").unwrap();
        let mut channel = session.channel_session().unwrap();
        channel.exec("hostname; touch kept; ls").unwrap();
        let mut out = String::new();
        channel.read_to_string(&mut out).unwrap();
        out
    };
    assert_eq!(
        tokio::task::spawn_blocking(output).await.unwrap(),
        "node-a\nkept\n"
    );
    guest.shutdown().await;
    assert!(guest.agent_interfaces().is_none());
    assert!(world.lab.network.resolve("10.25.151.50", 22).is_none());
    kind.boot(hardware).await;
    assert!(
        world
            .hosts
            .inventory()
            .hosts
            .contains(&"machine/pve/5001".to_owned())
    );
    kind.destroyed("pve/5001").await;
    assert!(
        !world
            .hosts
            .inventory()
            .hosts
            .contains(&"machine/pve/5001".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn public_keys_open_the_door() {
    // An Ed25519 pair made for this test only.
    let key =
        russh::keys::PrivateKey::random(&mut rand::rng(), russh::keys::Algorithm::Ed25519).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::open(folder.path(), Settings::default()).unwrap();
    let mut spec = HostSpec::ubuntu("keyed", IpAddr::V4(Ipv4Addr::new(10, 25, 151, 30)));
    spec.password = None;
    spec.authorized_keys = vec![key.public_key().to_openssh().unwrap()];
    assert!(
        !format!(
            "{:?}",
            HostSpec {
                password: Some(Secret("hidden".into())),
                ..spec.clone()
            }
        )
        .contains("hidden")
    );
    let _hosts = stead_lab_hosts::start(
        &lab,
        Arc::new(Books::default()),
        Options { hosts: vec![spec] },
    )
    .await
    .unwrap();
    let address = lab.network.resolve("keyed", 22).unwrap();
    let pem = key
        .to_openssh(russh::keys::ssh_key::LineEnding::LF)
        .unwrap()
        .to_string();
    let attempt = move |pem: String| {
        let mut session = ssh2::Session::new().unwrap();
        session.set_tcp_stream(std::net::TcpStream::connect(address).unwrap());
        session.handshake().unwrap();
        session
            .userauth_pubkey_memory("ubuntu", None, &pem, None)
            .is_ok()
    };
    let stranger =
        russh::keys::PrivateKey::random(&mut rand::rng(), russh::keys::Algorithm::Ed25519).unwrap();
    let stranger = stranger
        .to_openssh(russh::keys::ssh_key::LineEnding::LF)
        .unwrap()
        .to_string();
    assert!(
        tokio::task::spawn_blocking(move || attempt(pem))
            .await
            .unwrap()
    );
    assert!(
        !tokio::task::spawn_blocking(move || attempt(stranger))
            .await
            .unwrap()
    );
}
