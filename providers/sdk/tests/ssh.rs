//! SSH against a small server that hands commands to a real shell.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use russh::keys::{Algorithm, HashAlg, PrivateKey};
use russh::server::{
    Auth, ChannelOpenHandle, Handler, Msg, Server as _, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId};
use stead_sdk::{Context, Dialer, ErrorKind, HostKeyPolicy, SshAuth, SshOptions, shell_quote};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

const USER: &str = "ubuntu";
const PASSWORD: &str = "correct horse";

/// A host: its port, its key's fingerprint, and the user's key.
struct Host {
    port: u16,
    fingerprint: String,
    user_key: String,
}

#[derive(Clone)]
struct Server {
    user_key: Arc<russh::keys::PublicKey>,
}

impl russh::server::Server for Server {
    type Handler = Login;

    fn new_client(&mut self, _peer: Option<std::net::SocketAddr>) -> Login {
        Login {
            user_key: Arc::clone(&self.user_key),
            channel: None,
        }
    }
}

struct Login {
    user_key: Arc<russh::keys::PublicKey>,
    channel: Option<Channel<Msg>>,
}

impl Handler for Login {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        Ok(if (user, password) == (USER, PASSWORD) {
            Auth::Accept
        } else {
            Auth::reject()
        })
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        let known = user == USER && key.public_key.key_data() == self.user_key.key_data();
        Ok(if known { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channel = Some(channel);
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(id)?;
        let command = String::from_utf8(data.to_vec()).unwrap();
        tokio::spawn(run(command, self.channel.take().unwrap()));
        Ok(())
    }
}

async fn run(command: String, channel: Channel<Msg>) {
    use std::process::Stdio;
    let (mut input, output) = channel.split();
    let mut child = Command::new("sh")
        .args(["-c", &command])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let (mut stdin, mut stdout, mut stderr) = (
        child.stdin.take().unwrap(),
        child.stdout.take().unwrap(),
        child.stderr.take().unwrap(),
    );
    let feeding = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut input.make_reader(), &mut stdin).await;
        let _ = stdin.shutdown().await;
    });
    let (mut out, mut err) = (output.make_writer(), output.make_writer_ext(Some(1)));
    let _ = tokio::join!(
        tokio::io::copy(&mut stdout, &mut out),
        tokio::io::copy(&mut stderr, &mut err)
    );
    let status = child.wait().await.unwrap().code().unwrap_or(255);
    feeding.abort();
    let _ = output.exit_status(u32::try_from(status).unwrap()).await;
    let _ = output.eof().await;
    let _ = output.close().await;
}

async fn host() -> Host {
    let key = || PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap();
    let (host_key, user_key) = (key(), key());
    let fingerprint = host_key
        .public_key()
        .fingerprint(HashAlg::Sha256)
        .to_string();
    let config = Arc::new(russh::server::Config {
        keys: vec![host_key],
        auth_rejection_time: Duration::from_millis(1),
        ..russh::server::Config::default()
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut server = Server {
        user_key: Arc::new(user_key.public_key().clone()),
    };
    tokio::spawn(async move { server.run_on_socket(config, &listener).await });
    let user_key = user_key
        .to_openssh(russh::keys::ssh_key::LineEnding::LF)
        .unwrap()
        .to_string();
    Host {
        port,
        fingerprint,
        user_key,
    }
}

impl Host {
    fn options(&self) -> SshOptions {
        SshOptions {
            user: USER.into(),
            auth: SshAuth::Password(PASSWORD.to_owned().into()),
            host_key: HostKeyPolicy::Pinned(self.fingerprint.clone()),
        }
    }

    async fn connect(&self, options: &SshOptions) -> Result<stead_sdk::Ssh, stead_sdk::Error> {
        Dialer::direct().ssh("127.0.0.1", self.port, options).await
    }
}

fn cx() -> Context {
    Context::detached()
}

#[tokio::test]
async fn commands_run_and_tell_their_status() {
    let host = host().await;
    let dialer = Dialer::direct();
    let ssh = dialer
        .ssh("127.0.0.1", host.port, &host.options())
        .await
        .unwrap();
    let output = ssh
        .exec(
            "a greeting",
            "echo hello; echo trouble >&2; exit 3",
            None,
            &cx(),
        )
        .await
        .unwrap();
    assert_eq!(
        (
            output.status,
            output.text().as_str(),
            output.error_text().as_str()
        ),
        (3, "hello\n", "trouble")
    );
    let output = ssh
        .exec("an echo", "tr a-z A-Z", Some(b"shout".to_vec()), &cx())
        .await
        .unwrap();
    assert!(output.success());
    assert_eq!(output.text(), "SHOUT");
    assert_eq!(dialer.counters().requests, 2);
    assert!(!format!("{output:?}").contains("SHOUT"));
}

#[tokio::test]
async fn much_on_both_outputs_does_not_block() {
    let ssh_host = host().await;
    let ssh = ssh_host.connect(&ssh_host.options()).await.unwrap();
    let command = "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2";
    let output = ssh.exec("a flood", command, None, &cx()).await.unwrap();
    assert_eq!(
        (output.stdout.len(), output.stderr.len()),
        (3_000_000, 3_000_000)
    );
    let echo = ssh
        .exec("an echo", "cat", Some(vec![7; 3_000_000]), &cx())
        .await
        .unwrap();
    assert_eq!(echo.stdout, vec![7; 3_000_000]);
}

#[tokio::test]
async fn keys_log_in_and_wrong_ones_are_named() {
    let host = host().await;
    let with = |auth: SshAuth| SshOptions {
        auth,
        ..host.options()
    };
    let key = SshAuth::Key {
        private: host.user_key.clone().into(),
        passphrase: None,
    };
    let ssh = host.connect(&with(key)).await.unwrap();
    assert_eq!(
        ssh.exec("whoami", "echo me", None, &cx())
            .await
            .unwrap()
            .text(),
        "me\n"
    );
    let wrong = SshAuth::Password("hunter2".to_owned().into());
    let error = host.connect(&with(wrong)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(
        error.to_string().contains("ubuntu@127.0.0.1") && !error.to_string().contains("hunter2"),
        "{error}"
    );
}

#[tokio::test]
async fn a_host_key_must_be_the_pinned_one() {
    let host = host().await;
    let other = HostKeyPolicy::Pinned("SHA256:AAAA".into());
    let error = host
        .connect(&SshOptions {
            host_key: other,
            ..host.options()
        })
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.to_string().contains(&host.fingerprint), "{error}");
}

#[tokio::test]
async fn new_hosts_are_learnt_and_changed_ones_refused() {
    let (first, second) = (host().await, host().await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ssh/known_hosts");
    let with = |host: &Host, host_key: HostKeyPolicy| SshOptions {
        host_key,
        ..host.options()
    };
    let known = || HostKeyPolicy::KnownHosts(file.clone());
    let accept = || HostKeyPolicy::AcceptNew(file.clone());
    let error = first.connect(&with(&first, known())).await.unwrap_err();
    assert!(
        error.to_string().contains("does not know the host"),
        "{error}"
    );
    first.connect(&with(&first, accept())).await.unwrap();
    first.connect(&with(&first, known())).await.unwrap();
    // The same name and port, but another key.
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(
        &file,
        text.replace(&first.port.to_string(), &second.port.to_string()),
    )
    .unwrap();
    for policy in [known(), accept()] {
        let error = second.connect(&with(&second, policy)).await.unwrap_err();
        assert!(error.to_string().contains("not the known one"), "{error}");
    }
}

#[tokio::test]
async fn files_are_replaced_whole_with_their_mode() {
    use std::os::unix::fs::PermissionsExt as _;
    let host = host().await;
    let ssh = host.connect(&host.options()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("it's a file");
    let path = file.to_str().unwrap();
    for content in ["first", "second"] {
        ssh.upload(path, 0o640, content.into(), &cx())
            .await
            .unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), content);
    }
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o640
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let error = ssh
        .upload("/nowhere/x", 0o600, b"x".to_vec(), &cx())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("/nowhere/x"), "{error}");
    assert!(!Path::new("/nowhere").exists());
}

#[tokio::test]
async fn a_command_ends_at_its_deadline() {
    let host = host().await;
    let ssh = host.connect(&host.options()).await.unwrap();
    let late = cx().with_deadline(Instant::now());
    let error = ssh
        .exec("a long sleep", "sleep 1000", None, &late)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    // The connection is still good.
    assert_eq!(
        ssh.exec("an echo", "echo on", None, &cx())
            .await
            .unwrap()
            .text(),
        "on\n"
    );
}

#[test]
fn quoting_keeps_words_whole() {
    assert_eq!(shell_quote("a b"), "'a b'");
    assert_eq!(shell_quote("it's $HOME"), r"'it'\''s $HOME'");
}
