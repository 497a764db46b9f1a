//! The SSH server of a host: who comes in, and commands run for them.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::{PrivateKey, PublicKey};
use russh::server::{
    Auth, ChannelOpenHandle, Config, Handle, Handler, Msg, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId};
use tokio::sync::{Mutex, mpsc};

use crate::host::Host;
use crate::microk8s;
use crate::shell::{Input, Shell};

/// Listens at the host's address and name, port 22, until the host is off.
pub(crate) async fn serve(host: &Arc<Host>) -> io::Result<()> {
    let key = host.with(|s| s.host_key.clone());
    let key = PrivateKey::from_openssh(key).map_err(io::Error::other)?;
    let config = Arc::new(Config {
        keys: vec![key],
        // Guessing passwords costs time in life; at pace 0 nothing does.
        auth_rejection_time: host.shared.lab.settings.duration(Duration::from_secs(2)),
        auth_rejection_time_initial: Some(Duration::ZERO),
        nodelay: true,
        ..Config::default()
    });
    let network = &host.shared.lab.network;
    let listener = network.listen(&host.address(), 22).await?;
    network.route(&host.spec.hostname, 22, listener.local_addr()?);
    let host = host.clone();
    host.shared.lab.tasks.clone().spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = host.off.cancelled() => return,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, host = host.spec.name, "cannot accept a connection");
                    continue;
                }
            };
            let (config, off) = (config.clone(), host.off.clone());
            let visitor = Visitor {
                host: host.clone(),
                user: String::new(),
                inputs: HashMap::new(),
                environment: HashMap::new(),
            };
            host.shared.lab.tasks.spawn(async move {
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
struct Visitor {
    host: Arc<Host>,
    user: String,
    /// What the client sends to each channel's command.
    inputs: HashMap<ChannelId, Incoming>,
    environment: HashMap<ChannelId, Vec<(String, String)>>,
}

/// Both ends of a channel's input; the command takes the receiver.
struct Incoming {
    sender: Option<mpsc::UnboundedSender<Vec<u8>>>,
    receiver: Option<mpsc::UnboundedReceiver<Vec<u8>>>,
}

impl Visitor {
    fn authorized(&self, user: &str, key: &PublicKey) -> bool {
        let line = |text: &String| {
            PublicKey::from_openssh(text).is_ok_and(|known| known.key_data() == key.key_data())
        };
        user == self.host.spec.user && self.host.spec.authorized_keys.iter().any(line)
    }
}

impl Handler for Visitor {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        let right = user == self.host.spec.user
            && self
                .host
                .spec
                .password
                .as_ref()
                .is_some_and(|p| p.0 == password);
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
        Ok(())
    }

    async fn channel_close(
        &mut self,
        channel: ChannelId,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.inputs.remove(&channel);
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
        session.channel_success(channel)?;
        let text = String::from_utf8_lossy(data).into_owned();
        let mut shell = Shell::new(self.host.clone(), &self.user);
        shell
            .variables
            .extend(self.environment.remove(&channel).unwrap_or_default());
        let (handle, host) = (session.handle(), self.host.clone());
        self.host.shared.lab.tasks.spawn(async move {
            let off = host.off.clone();
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
        _: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }
}

/// Runs one command and sends what it wrote and its exit code.
async fn execute(
    mut shell: Shell,
    text: String,
    receiver: mpsc::UnboundedReceiver<Vec<u8>>,
    handle: Handle,
    channel: ChannelId,
) {
    let host = shell.host.clone();
    let output = shell
        .script(&text, Input::Channel(Arc::new(Mutex::new(receiver))))
        .await;
    microk8s::agent_looks(&host).await;
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
            host = host.spec.name,
            "a client left before its command ended"
        );
    }
}
