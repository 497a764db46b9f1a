//! SSH against OpenSSH's own server, where it is installed (Debian: `openssh-server`).

use std::io::Cursor;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use stead_sdk::value::Sensitive;
use stead_sdk::{Context, Dialer, Error, ErrorKind, HostKeyPolicy, Ssh, SshAuth, SshOptions};

const SSHD: &str = "/usr/sbin/sshd";

/// A server with keys of several kinds, and a user's key that it takes.
struct Server {
    folder: tempfile::TempDir,
    port: u16,
    process: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// `None`, with a word, where there is no such server.
    #[expect(clippy::print_stderr, reason = "a test says why it does nothing")]
    async fn start(more: &str) -> Option<Server> {
        if !Path::new(SSHD).exists() {
            eprintln!("skipped: there is no {SSHD} (Debian: openssh-server)");
            return None;
        }
        // As root it wants the folder of its unprivileged half.
        let _ = std::fs::create_dir_all("/run/sshd");
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for kind in ["ed25519", "ecdsa", "rsa"] {
            make_key(&at(kind), kind);
        }
        make_key(&at("user"), "ed25519");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let folder_path = folder.path().display();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nPidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\n\
             AuthorizedKeysFile {folder_path}/user.pub\nHostKey {folder_path}/ed25519\nHostKey {folder_path}/ecdsa\n\
             HostKey {folder_path}/rsa\n{more}\n"
        );
        std::fs::write(at("config"), config).unwrap();
        let process = Command::new(SSHD)
            .args(["-D", "-e", "-f"])
            .arg(at("config"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Server {
            folder,
            port,
            process,
        };
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .is_ok()
            {
                return Some(server);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("sshd does not listen");
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file of known hosts with the server's key of this kind and no other.
    fn known(&self, kind: &str) -> PathBuf {
        let key = std::fs::read_to_string(self.at(&format!("{kind}.pub"))).unwrap();
        let file = self.at("known_hosts");
        std::fs::write(&file, format!("[127.0.0.1]:{} {key}", self.port)).unwrap();
        file
    }

    async fn log_in(&self, known_hosts: PathBuf, auth: SshAuth) -> Result<Ssh, Error> {
        let options = SshOptions {
            user: user(),
            auth,
            host_key: HostKeyPolicy::KnownHosts(known_hosts),
        };
        Dialer::direct().ssh("127.0.0.1", self.port, &options).await
    }

    fn key(&self) -> SshAuth {
        let private = std::fs::read_to_string(self.at("user")).unwrap();
        SshAuth::Key {
            private: Sensitive::new(private),
            passphrase: None,
        }
    }
}

fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn make_key(path: &Path, kind: &str) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-N", "", "-t", kind, "-f"])
        .arg(path)
        .status()
        .unwrap();
    assert!(made.success());
}

#[tokio::test]
async fn whichever_of_its_keys_is_known_is_the_one_that_the_host_shows() {
    let Some(server) = Server::start("").await else {
        return;
    };
    for kind in ["rsa", "ecdsa", "ed25519"] {
        let ssh = server.log_in(server.known(kind), server.key()).await;
        ssh.unwrap_or_else(|e| panic!("{kind}: {e}"));
    }
    // Another host's key under this one's name.
    make_key(&server.at("other"), "ed25519");
    let changed = server.log_in(server.known("other"), server.key()).await;
    let error = changed.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.to_string().contains("ssh-keygen -R"), "{error}");
}

#[tokio::test]
async fn files_come_over_sftp_whole_or_not_at_all() {
    let Some(server) = Server::start("Subsystem sftp internal-sftp").await else {
        return;
    };
    let known = server.known("ed25519");
    let ssh = server.log_in(known, server.key()).await.unwrap();
    let cx = Context::detached();
    let target = server.at("new/folder/user.yaml");
    let path = target.display().to_string();
    // Twice: the second takes the first one's place.
    for content in [vec![1; 3], vec![7; 300_000]] {
        let source = Cursor::new(content.clone());
        ssh.put(&path, 0o640, source, &cx).await.unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), content);
    }
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(&target).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o640);

    cx.cancelled().cancel();
    let cut = ssh.put(&path, 0o644, Cursor::new(vec![2; 10]), &cx).await;
    assert_eq!(cut.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(std::fs::read(&target).unwrap().len(), 300_000);
    let names = std::fs::read_dir(target.parent().unwrap()).unwrap();
    assert_eq!(names.count(), 1, "a draft is left");

    let fed = Cursor::new(vec![b'x'; 1_000_000]);
    let cx = Context::detached();
    let counted = ssh.feed("a count", "wc -c", fed, &cx);
    assert_eq!(counted.await.unwrap().text().trim(), "1000000");
}

#[tokio::test]
async fn a_server_without_sftp_is_told_as_such() {
    let Some(server) = Server::start("").await else {
        return;
    };
    let known = server.known("ed25519");
    let ssh = server.log_in(known, server.key()).await.unwrap();
    let path = server.at("file").display().to_string();
    let refused = ssh
        .put(&path, 0o644, Cursor::new(vec![1]), &Context::detached())
        .await;
    let said = refused.unwrap_err().to_string();
    assert!(
        said.contains("no SFTP") && said.contains("Subsystem sftp"),
        "{said}"
    );
}

#[tokio::test]
async fn an_agent_at_a_socket_of_its_own_logs_in() {
    let Some(server) = Server::start("").await else {
        return;
    };
    let socket = server.at("agent");
    let mut agent = Command::new("ssh-agent")
        .args(["-D", "-a"])
        .arg(&socket)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while !socket.exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let log_in = || server.log_in(server.known("ed25519"), SshAuth::AgentAt(socket.clone()));
    let empty = log_in().await.unwrap_err();
    assert!(empty.to_string().contains("has no keys"), "{empty}");
    let added = Command::new("ssh-add")
        .arg("-q")
        .arg(server.at("user"))
        .env("SSH_AUTH_SOCK", &socket)
        .status()
        .unwrap();
    assert!(added.success());
    log_in().await.unwrap();
    agent.kill().unwrap();
    agent.wait().unwrap();
}
