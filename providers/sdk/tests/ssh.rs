//! SSH against a small server that hands commands to a real shell.

mod ssh_server;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use ssh_server::{Host, PASSWORD, USER, host};
use stead_sdk::{
    Context, Dialer, ErrorKind, HostKeyPolicy, SshAuth, SshOptions, SshStream, shell_quote,
};

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

#[tokio::test]
async fn output_comes_as_it_is_printed_and_an_interrupt_stops_the_command() {
    let host = host().await;
    let ssh = host.connect(&host.options()).await.unwrap();
    let cancel = tokio_util::sync::CancellationToken::new();
    let cx = Context::new(cancel.clone());
    let said: Arc<Mutex<Vec<(SshStream, Vec<u8>)>>> = Arc::default();
    let sink = Arc::clone(&said);
    let result = ssh
        .exec_with(
            "a long sleep",
            "echo on; sleep 1000",
            None,
            &cx,
            move |from, bytes| {
                sink.lock().unwrap().push((from, bytes.to_vec()));
                cancel.cancel();
            },
        )
        .await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(
        *said.lock().unwrap(),
        [(SshStream::Output, b"on\n".to_vec())]
    );
}

#[tokio::test]
async fn ways_to_log_in_are_tried_in_turn() {
    let host = host().await;
    let ways = vec![
        SshAuth::Password("wrong".to_owned().into()),
        SshAuth::Key {
            private: host.user_key.clone().into(),
            passphrase: None,
        },
    ];
    let options = SshOptions {
        auth: SshAuth::Any(ways),
        host_key: HostKeyPolicy::Key(host.host_key.clone()),
        ..host.options()
    };
    host.connect(&options).await.unwrap();
    let none = SshOptions {
        auth: SshAuth::Any(Vec::new()),
        ..options
    };
    assert_eq!(
        host.connect(&none).await.unwrap_err().kind(),
        ErrorKind::Denied
    );
}

#[tokio::test]
async fn a_bastion_passes_the_connection_on() {
    let (bastion, host) = (host().await, host().await);
    let through = bastion.connect(&bastion.options()).await.unwrap();
    let ssh = Dialer::direct()
        .ssh_through(through, "127.0.0.1", host.port, &host.options())
        .await
        .unwrap();
    let much = ssh
        .exec("a flood", "head -c 300000 /dev/zero", None, &cx())
        .await
        .unwrap();
    assert_eq!(much.stdout.len(), 300_000);
    let echo = ssh
        .exec("an echo", "cat", Some(b"back".to_vec()), &cx())
        .await;
    assert_eq!(echo.unwrap().text(), "back");
}

#[test]
fn quoting_keeps_words_whole() {
    assert_eq!(shell_quote("a b"), "'a b'");
    assert_eq!(shell_quote("it's $HOME"), r"'it'\''s $HOME'");
}
