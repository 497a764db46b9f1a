//! The SSH server of a machine: who comes in, commands run for them, files they bring.

mod sftp;

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::{Algorithm, PrivateKey, PublicKey};
use russh::server::{
    Auth, ChannelOpenHandle, Config, Handle, Handler, Msg, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use crate::Lab;
use crate::shell::{Input, Shell, System};

/// A machine that is reached over SSH.
pub trait Reachable: System {
    fn lab(&self) -> &Lab;
    /// Cancelled when the machine goes off.
    fn off(&self) -> CancellationToken;
    /// Lines of the user's `authorized_keys`.
    fn authorized_keys(&self, user: &str) -> Vec<String>;
    /// What the machine does by itself after a command.
    fn after_command(_: &Arc<Self>) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// A new host key in OpenSSH's form.
pub fn new_key() -> io::Result<String> {
    let key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).map_err(io::Error::other)?;
    let text = key
        .to_openssh(russh::keys::ssh_key::LineEnding::LF)
        .map_err(io::Error::other)?;
    Ok(text.to_string())
}

/// The public part of a host key, as `known_hosts` holds it (`ssh-ed25519 AAAA…`).
pub fn public_key(key: &str) -> io::Result<String> {
    let key = PrivateKey::from_openssh(key).map_err(io::Error::other)?;
    key.public_key().to_openssh().map_err(io::Error::other)
}

/// Listens at the machine's address and name, port 22, until it is off.
pub async fn serve<M: Reachable>(host: &Arc<M>, address: &str, key: &str) -> io::Result<()> {
    let key = PrivateKey::from_openssh(key).map_err(io::Error::other)?;
    let config = Arc::new(Config {
        keys: vec![key],
        // Guessing passwords costs time in life; at pace 0 nothing does.
        auth_rejection_time: host.lab().settings.duration(Duration::from_secs(2)),
        auth_rejection_time_initial: Some(Duration::ZERO),
        nodelay: true,
        ..Config::default()
    });
    let network = &host.lab().network;
    let listener = network.listen(address, 22).await?;
    network.route(&host.hostname(), 22, listener.local_addr()?);
    let (host, off) = (host.clone(), host.off());
    host.lab().tasks.clone().spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = off.cancelled() => return,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, host = host.hostname(), "cannot accept a connection");
                    continue;
                }
            };
            let (config, off) = (config.clone(), off.clone());
            let visitor = Visitor {
                host: host.clone(),
                user: String::new(),
                channels: HashMap::new(),
                inputs: HashMap::new(),
                environment: HashMap::new(),
            };
            host.lab().tasks.spawn(async move {
                let session = async {
                    match russh::server::run_stream(config, stream, visitor).await {
                        Ok(session) => session.await,
                        Err(error) => Err(error),
                    }
                };
                tokio::select! {
                    ended = session => if let Err(error) = ended {
                        tracing::debug!(%error, "an SSH session ended");
                    },
                    () = off.cancelled() => {}
                }
            });
        }
    });
    Ok(())
}

/// One connection.
struct Visitor<M> {
    host: Arc<M>,
    user: String,
    /// Channels whose use is not known yet.
    channels: HashMap<ChannelId, Channel<Msg>>,
    /// What the client sends to each channel's command.
    inputs: HashMap<ChannelId, Incoming>,
    environment: HashMap<ChannelId, Vec<(String, String)>>,
}

/// Both ends of a channel's input; the command takes the receiver.
struct Incoming {
    sender: Option<mpsc::UnboundedSender<Vec<u8>>>,
    receiver: Option<mpsc::UnboundedReceiver<Vec<u8>>>,
}

impl<M: Reachable> Visitor<M> {
    fn authorized(&self, user: &str, key: &PublicKey) -> bool {
        let line = |text: &String| {
            PublicKey::from_openssh(text).is_ok_and(|known| known.key_data() == key.key_data())
        };
        self.host.authorized_keys(user).iter().any(line)
    }
}

impl<M: Reachable> Handler for Visitor<M> {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        let right = self.host.is_password(user, password);
        user.clone_into(&mut self.user);
        Ok(if right { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: russh::server::PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(if self.authorized(user, offer.public_key) {
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
        let right = self.authorized(user, key.public_key);
        user.clone_into(&mut self.user);
        Ok(if right { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.inputs.insert(
            channel.id(),
            Incoming {
                sender: Some(sender),
                receiver: Some(receiver),
            },
        );
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        // As sshd's AcceptEnv: the locale only.
        if name == "LANG" || name.starts_with("LC_") {
            self.environment
                .entry(channel)
                .or_default()
                .push((name.to_owned(), value.to_owned()));
            return session.channel_success(channel);
        }
        session.channel_failure(channel)
    }

    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        // What a command reads comes through here; a channel kept unread would fill up.
        if let Some(sender) = self.inputs.get(&channel).and_then(|i| i.sender.as_ref()) {
            // A command that ended takes no more.
            let _ = sender.send(data.to_vec());
        }
        Ok(())
    }

    async fn channel_eof(
        &mut self,
        channel: ChannelId,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        if let Some(incoming) = self.inputs.get_mut(&channel) {
            incoming.sender = None;
        }
        self.channels.remove(&channel);
        Ok(())
    }

    async fn channel_close(
        &mut self,
        channel: ChannelId,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.inputs.remove(&channel);
        self.channels.remove(&channel);
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(receiver) = self
            .inputs
            .get_mut(&channel)
            .and_then(|i| i.receiver.take())
        else {
            return session.channel_failure(channel);
        };
        self.channels.remove(&channel);
        session.channel_success(channel)?;
        let text = String::from_utf8_lossy(data).into_owned();
        let mut shell = Shell::new(self.host.clone(), &self.user);
        shell
            .variables
            .extend(self.environment.remove(&channel).unwrap_or_default());
        let (handle, host) = (session.handle(), self.host.clone());
        self.host.lab().tasks.spawn(async move {
            let off = host.off();
            tokio::select! {
                () = execute(shell, text, receiver, handle, channel) => {}
                () = off.cancelled() => {}
            }
        });
        Ok(())
    }

    async fn shell_request(
        &mut self,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        // Without a terminal, a shell reads its commands from the client.
        self.exec_request(channel, b"bash -s", session).await
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: &[(russh::Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        // The lab's hosts have no terminals.
        session.channel_failure(channel)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(open) = self.channels.remove(&channel).filter(|_| name == "sftp") else {
            return session.channel_failure(channel);
        };
        // The subsystem reads the channel by itself.
        self.inputs.remove(&channel);
        session.channel_success(channel)?;
        let files = sftp::Session::new(self.host.clone(), &self.user);
        russh_sftp::server::run(open.into_stream(), files).await;
        Ok(())
    }
}

/// Runs one command and sends what it wrote and its exit code.
async fn execute<M: Reachable>(
    mut shell: Shell<M>,
    text: String,
    receiver: mpsc::UnboundedReceiver<Vec<u8>>,
    handle: Handle,
    channel: ChannelId,
) {
    let host = shell.host.clone();
    let output = shell
        .script(&text, Input::Channel(Arc::new(Mutex::new(receiver))))
        .await;
    M::after_command(&host).await;
    let send = async {
        if !output.stdout.is_empty() {
            handle.data(channel, output.stdout).await.map_err(drop)?;
        }
        if !output.stderr.is_empty() {
            handle
                .extended_data(channel, 1, output.stderr)
                .await
                .map_err(drop)?;
        }
        handle.exit_status_request(channel, output.code).await?;
        handle.eof(channel).await?;
        handle.close(channel).await
    };
    if send.await.is_err() {
        tracing::debug!(
            host = host.hostname(),
            "a client left before its command ended"
        );
    }
}
