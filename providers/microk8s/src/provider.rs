//! The provider block: how to reach hosts over SSH, unless a resource says otherwise.

use std::path::PathBuf;

use stead_sdk::value::{Diagnostics, Sensitive};
use stead_sdk::{
    Context, Dialer, Error, HostKeyPolicy, Native, ProviderConfig, ProviderFactory, SshAuth,
    SshOptions,
};

use crate::kubeconfig::Kubeconfig;
use crate::node::Node;
use crate::shell::Shell;

/// Installs and keeps MicroK8s on hosts that are reached over SSH.
#[derive(Clone, Debug, ProviderConfig)]
pub(crate) struct Config {
    /// The login name; needs root, or `sudo` without a password. Default: `root`.
    #[attr(optional, env = "MICROK8S_SSH_USER")]
    user: Option<String>,
    /// The port of the SSH server. Default: 22.
    #[attr(optional)]
    port: Option<u64>,
    /// A private key in PEM or OpenSSH form.
    #[attr(optional, sensitive, env = "MICROK8S_SSH_PRIVATE_KEY")]
    private_key: Option<Sensitive<String>>,
    /// A file with the private key. Without key and password the SSH agent is asked.
    #[attr(optional, env = "MICROK8S_SSH_PRIVATE_KEY_FILE")]
    private_key_file: Option<String>,
    /// The private key's passphrase.
    #[attr(optional, sensitive)]
    passphrase: Option<Sensitive<String>>,
    #[attr(optional, sensitive, env = "MICROK8S_SSH_PASSWORD")]
    password: Option<Sensitive<String>>,
    /// The one host key that is believed: `SHA256:…`, as `ssh-keygen -l` prints it. For a single host.
    #[attr(optional)]
    host_key: Option<String>,
    /// The hosts' keys, in OpenSSH's form. Default: `~/.ssh/known_hosts`.
    #[attr(optional)]
    known_hosts_file: Option<String>,
    /// Believe a host that is not in `known_hosts_file` yet, and write it there. A key that changed is refused all the same.
    #[attr(optional)]
    accept_new_host_key: Option<bool>,
}

/// What every operation gets.
pub(crate) struct Client {
    dialer: Dialer,
    port: u64,
    options: SshOptions,
}

impl Client {
    /// Logs in to a host.
    pub(crate) async fn shell(
        &self,
        host: &str,
        port: Option<u64>,
        user: Option<&str>,
    ) -> Result<Shell, Error> {
        let port = port.unwrap_or(self.port);
        let port = u16::try_from(port).map_err(|_| {
            Error::new(
                format!("reach {host} over SSH"),
                format!("{port} is not a port"),
            )
            .attribute("port")
        })?;
        let mut options = self.options.clone();
        if let Some(user) = user {
            user.clone_into(&mut options.user);
        }
        let root = options.user == "root";
        let ssh = self.dialer.ssh(host, port, &options).await?;
        Ok(Shell::new(ssh, host, root))
    }
}

async fn configure(config: Config, dialer: Dialer, _cx: Context) -> Result<Client, Diagnostics> {
    let auth = match (
        &config.private_key,
        &config.private_key_file,
        &config.password,
    ) {
        (Some(key), _, _) => SshAuth::Key {
            private: key.clone(),
            passphrase: config.passphrase.clone(),
        },
        (None, Some(path), _) => {
            let text = std::fs::read_to_string(path).map_err(|e| {
                Error::new(format!("read the private key {path}"), e.to_string())
                    .attribute("private_key_file")
            })?;
            SshAuth::Key {
                private: Sensitive::new(text),
                passphrase: config.passphrase.clone(),
            }
        }
        (None, None, Some(password)) => SshAuth::Password(password.clone()),
        (None, None, None) => SshAuth::Agent,
    };
    let known_hosts = || match &config.known_hosts_file {
        Some(path) => Ok(PathBuf::from(path)),
        None => home()
            .map(|home| home.join(".ssh/known_hosts"))
            .ok_or_else(|| Error::missing_setting("known_hosts_file", &["HOME"])),
    };
    let host_key = match (
        &config.host_key,
        config.accept_new_host_key.unwrap_or(false),
    ) {
        (Some(key), _) => HostKeyPolicy::Pinned(key.clone()),
        (None, true) => HostKeyPolicy::AcceptNew(known_hosts()?),
        (None, false) => HostKeyPolicy::KnownHosts(known_hosts()?),
    };
    let user = config.user.unwrap_or_else(|| "root".into());
    Ok(Client {
        dialer,
        port: config.port.unwrap_or(22),
        options: SshOptions {
            user,
            auth,
            host_key,
        },
    })
}

fn home() -> Option<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from)
}

pub(crate) fn factory(dialer: &Dialer) -> impl ProviderFactory + use<> {
    Native::<Client>::provider::<Config>("microk8s")
        .configure(configure)
        .resource::<Node>()
        .resource::<Kubeconfig>()
        .build(dialer)
}
