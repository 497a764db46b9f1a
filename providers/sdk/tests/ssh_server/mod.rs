//! A small SSH server that hands commands to a real shell and passes connections on.

#![allow(
    dead_code,
    reason = "shared by the tests of two crates, neither of which uses all of it"
)]

use std::sync::Arc;
use std::time::Duration;

use russh::keys::{Algorithm, HashAlg, PrivateKey};
use russh::server::{
    Auth, ChannelOpenHandle, Handler, Msg, Server as _, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

pub(crate) const USER: &str = "ubuntu";
pub(crate) const PASSWORD: &str = "correct horse";

/// A host: its port, its key and that key's fingerprint, and the user's key.
pub(crate) struct Host {
    pub port: u16,
    pub host_key: String,
    pub fingerprint: String,
    pub user_key: String,
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

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _origin: &str,
        _origin_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        let port = u16::try_from(port).unwrap();
        let mut there = tokio::net::TcpStream::connect((host, port)).await?;
        reply.accept().await;
        tokio::spawn(async move {
            let mut here = channel.into_stream();
            let _ = tokio::io::copy_bidirectional(&mut here, &mut there).await;
        });
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

/// Starts a host.
pub(crate) async fn host() -> Host {
    let key = || PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap();
    let (host_key, user_key) = (key(), key());
    let fingerprint = host_key
        .public_key()
        .fingerprint(HashAlg::Sha256)
        .to_string();
    let host_public = host_key.public_key().to_openssh().unwrap();
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
        host_key: host_public,
        fingerprint,
        user_key,
    }
}
