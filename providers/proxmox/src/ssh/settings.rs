//! The provider's `ssh` block: who logs in to nodes, how, and which way.

use std::collections::BTreeMap;
use std::path::PathBuf;

use stead_sdk::value::{Path, Sensitive};
use stead_sdk::{Block, Environment, Error, HostKeyPolicy, Socks5, SshAuth, SshOptions};

/// Where an agent is, when the configuration does not say.
const AGENT_SOCKETS: [&str; 2] = ["PROXMOX_VE_SSH_AUTH_SOCK", "SSH_AUTH_SOCK"];
const PORT: u16 = 22;

/// Set to `true`, it lets nodes in whose host key is not known yet, and writes the key down.
pub(super) const ACCEPT_NEW: &str = "PROXMOX_VE_SSH_ACCEPT_NEW_HOST_KEYS";

/// How to log in to nodes, for what the API cannot do. What is not set is taken from the login of the API.
#[derive(Clone, Debug, Default, Block)]
pub(crate) struct Ssh {
    /// Ask the SSH agent for keys. Or `PROXMOX_VE_SSH_AGENT`.
    #[attr(optional)]
    agent: Option<bool>,
    /// Refused when SSH is used: no agent is handed on to a node.
    #[attr(optional)]
    agent_forwarding: Option<bool>,
    /// The agent's socket: `SSH_AUTH_SOCK` when it is not set. Or `PROXMOX_VE_SSH_AUTH_SOCK`.
    #[attr(optional)]
    agent_socket: Option<String>,
    /// Where a node's address comes from: `api` (its network configuration) when it is not set, or `dns` (its name).
    #[attr(optional, one_of("api", "dns"))]
    node_address_source: Option<String>,
    /// That of the API when it is not set. Or `PROXMOX_VE_SSH_PASSWORD`.
    #[attr(optional, sensitive)]
    password: Option<Sensitive<String>>,
    /// A private key in PEM or OpenSSH form, without a passphrase. Or `PROXMOX_VE_SSH_PRIVATE_KEY`.
    #[attr(optional, sensitive)]
    private_key: Option<Sensitive<String>>,
    /// Or `PROXMOX_VE_SSH_SOCKS5_PASSWORD`.
    #[attr(optional, sensitive)]
    socks5_password: Option<Sensitive<String>>,
    /// A SOCKS5 proxy, `HOST:PORT`. Or `PROXMOX_VE_SSH_SOCKS5_SERVER`.
    #[attr(optional)]
    socks5_server: Option<String>,
    /// Or `PROXMOX_VE_SSH_SOCKS5_USERNAME`.
    #[attr(optional)]
    socks5_username: Option<String>,
    /// The user of the realm `pam` who uses the API when it is not set. Or `PROXMOX_VE_SSH_USERNAME`. Any but root need `sudo` without a
    /// password.
    #[attr(optional)]
    username: Option<String>,
    /// Addresses of nodes, where the cluster's own are not the ones to use.
    #[attr(block(list))]
    node: Vec<SshNode>,
}

/// A node's address.
#[derive(Clone, Debug, Default, Block)]
pub(crate) struct SshNode {
    /// A host name or an IP address.
    #[attr(required)]
    address: String,
    /// The node.
    #[attr(required)]
    name: String,
    /// 22 when it is not set.
    #[attr(optional, range(1..=65_535))]
    port: Option<i64>,
}

/// What the API's login lends to SSH.
pub(crate) struct ApiLogin<'a> {
    pub(crate) username: Option<&'a str>,
    pub(crate) password: Option<&'a Sensitive<String>>,
}

/// An `ssh` block with its defaults.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// `None` when nobody said who logs in.
    user: Option<String>,
    ways: Vec<SshAuth>,
    /// Keys are to come from an agent, and nothing says where it is: no matter until somebody logs in.
    lacks_agent: bool,
    forwards_agent: bool,
    nodes: BTreeMap<String, (String, u16)>,
    pub(super) by_name: bool,
    pub(super) proxy: Option<Socks5>,
    known_hosts: Option<PathBuf>,
    accept_new: bool,
}

impl Settings {
    /// # Errors
    /// When the block makes no sense.
    pub(crate) fn read(
        block: Option<Ssh>,
        api: &ApiLogin<'_>,
        environment: &Environment,
    ) -> Result<Settings, Error> {
        let block = block.unwrap_or_default();
        let filled = |text: Option<String>| text.filter(|t| !t.is_empty());
        let or = |text: Option<String>, names: &[&str]| {
            filled(text).or_else(|| environment.first(names).map(str::to_owned))
        };
        let secret = |secret: Option<Sensitive<String>>, name: &str| {
            let secret = secret.filter(|s| !s.expose_secret().is_empty());
            secret.or_else(|| environment.get(name).map(|s| Sensitive::new(s.to_owned())))
        };
        let switch = |flag: Option<bool>, name: &str| {
            let from_environment = || matches!(environment.get(name), Some("true" | "1"));
            flag.unwrap_or_else(from_environment)
        };
        let pam = api.username.and_then(|name| name.strip_suffix("@pam"));
        let user = or(block.username, &["PROXMOX_VE_SSH_USERNAME"]);
        let password = secret(block.password, "PROXMOX_VE_SSH_PASSWORD").or(api.password.cloned());
        let mut ways = Vec::new();
        let socket = or(block.agent_socket, &AGENT_SOCKETS);
        let asks_agent = switch(block.agent, "PROXMOX_VE_SSH_AGENT");
        let lacks_agent = asks_agent && socket.is_none();
        let socket = socket.filter(|_| asks_agent);
        ways.extend(socket.map(|socket| SshAuth::AgentAt(PathBuf::from(socket))));
        let key = secret(block.private_key, "PROXMOX_VE_SSH_PRIVATE_KEY");
        ways.extend(key.map(|private| SshAuth::Key {
            private,
            passphrase: None,
        }));
        ways.extend(password.map(SshAuth::Password));
        let nodes = block.node.into_iter().map(|node| {
            let port = node.port.and_then(|p| u16::try_from(p).ok());
            (node.name, (node.address, port.unwrap_or(PORT)))
        });
        let proxy_user = or(block.socks5_username, &["PROXMOX_VE_SSH_SOCKS5_USERNAME"]);
        let proxy_password = secret(block.socks5_password, "PROXMOX_VE_SSH_SOCKS5_PASSWORD");
        let server = or(block.socks5_server, &["PROXMOX_VE_SSH_SOCKS5_SERVER"]);
        Ok(Settings {
            user: user.or(pam.map(str::to_owned)),
            ways,
            lacks_agent,
            forwards_agent: switch(block.agent_forwarding, "PROXMOX_VE_SSH_AGENT_FORWARDING"),
            nodes: nodes.collect(),
            by_name: block.node_address_source.as_deref() == Some("dns"),
            proxy: proxy(server, proxy_user, proxy_password)?,
            known_hosts: environment
                .get("HOME")
                .map(|home| PathBuf::from(home).join(".ssh/known_hosts")),
            accept_new: switch(None, ACCEPT_NEW),
        })
    }

    /// Who logs in to do that, for the plan to say; or why nobody can.
    ///
    /// # Errors
    /// What is missing, or not supported.
    pub(crate) fn user_for(&self, asked: &str) -> Result<&str, Error> {
        let user = self.user.as_deref().ok_or_else(|| {
            let error = Error::new(asked, "it is not known as whom: an API token has no password");
            inside(
                error.remedy(
                    "Write `ssh { username = \"root\", agent = true }` into the provider block, or set \
                     PROXMOX_VE_SSH_USERNAME and PROXMOX_VE_SSH_AGENT=true.",
                ),
                "username",
            )
        })?;
        if self.ways.is_empty() && self.lacks_agent {
            let error = Error::missing_setting("agent_socket", &AGENT_SOCKETS);
            return Err(inside(error, "agent_socket"));
        }
        if self.ways.is_empty() {
            let error = Error::new(asked, format!("there is no key or password for {user}"));
            return Err(error.remedy(
                "Set `agent`, `private_key` or `password` in the provider's `ssh` block, or the variables \
                 PROXMOX_VE_SSH_AGENT=true, PROXMOX_VE_SSH_PRIVATE_KEY or PROXMOX_VE_SSH_PASSWORD.",
            ));
        }
        if self.forwards_agent {
            let error = Error::unsupported(asked, "agents are not handed on to nodes");
            return Err(error.remedy(
                "Leave `agent_forwarding` out. If `sudo` on the node asks the agent, allow the user sudo without a password \
                 (NOPASSWD) instead.",
            ));
        }
        Ok(user)
    }

    /// Address and port that the configuration gives a node.
    pub(super) fn address(&self, node: &str) -> Option<&(String, u16)> {
        self.nodes.get(node)
    }

    pub(super) fn options(&self) -> Result<SshOptions, Error> {
        let user = self.user_for("log in to a node over SSH")?.to_owned();
        let file = self
            .known_hosts
            .clone()
            .ok_or_else(|| Error::new("find ~/.ssh/known_hosts", "HOME is not set"))?;
        Ok(SshOptions {
            user,
            auth: SshAuth::Any(self.ways.clone()),
            host_key: match self.accept_new {
                true => HostKeyPolicy::AcceptNew(file),
                false => HostKeyPolicy::KnownHosts(file),
            },
        })
    }
}

/// Says where in the provider block the setting is.
fn inside(error: Error, name: &str) -> Error {
    error.at(Path::root().attr("ssh").index_number(0).attr(name))
}

fn proxy(
    server: Option<String>,
    user: Option<String>,
    password: Option<Sensitive<String>>,
) -> Result<Option<Socks5>, Error> {
    let asked = "use a SOCKS5 proxy for SSH";
    let Some(server) = server else {
        return match user.is_some() || password.is_some() {
            true => Err(inside(
                Error::new(asked, "there is a login for the proxy, and no proxy").remedy(
                    "Set `socks5_server` to HOST:PORT, or leave its user name and password out.",
                ),
                "socks5_server",
            )),
            false => Ok(None),
        };
    };
    let parts = server.rsplit_once(':');
    let (host, port) = parts
        .and_then(|(host, port)| Some((host, port.parse().ok()?)))
        .ok_or_else(|| {
            let error = Error::new(asked, format!("{server:?} is not of the form HOST:PORT"));
            inside(error, "socks5_server")
        })?;
    let login = user.map(|user| (user, password.unwrap_or(Sensitive::new(String::new()))));
    Ok(Some(Socks5 {
        host: host.trim_matches(['[', ']']).to_owned(),
        port,
        login,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(block: Ssh, username: Option<&str>, variables: &[(&str, &str)]) -> Settings {
        let password = Sensitive::new("pw".to_owned());
        let api = ApiLogin {
            username,
            password: username.map(|_| &password),
        };
        let environment = variables.iter().copied().collect();
        Settings::read(Some(block), &api, &environment).unwrap()
    }

    #[test]
    fn the_login_of_the_api_is_lent_to_ssh_when_it_is_a_users_of_the_node() {
        let settings = read(Ssh::default(), Some("root@pam"), &[]);
        assert_eq!(settings.user_for("x").unwrap(), "root");
        let other = read(Ssh::default(), Some("me@pve"), &[]);
        let said = other.user_for("x").unwrap_err().to_string();
        assert!(
            said.contains("as whom") && said.contains("PROXMOX_VE_SSH_USERNAME"),
            "{said}"
        );
        let block = Ssh {
            username: Some("terraform".into()),
            ..Ssh::default()
        };
        assert_eq!(
            read(block, Some("me@pve"), &[]).user_for("x").unwrap(),
            "terraform"
        );
    }

    #[test]
    fn variables_stand_in_for_what_is_not_set() {
        let variables = [
            ("PROXMOX_VE_SSH_USERNAME", "ops"),
            ("PROXMOX_VE_SSH_AGENT", "true"),
            ("SSH_AUTH_SOCK", "/run/agent"),
            ("PROXMOX_VE_SSH_SOCKS5_SERVER", "[::1]:1080"),
            ("HOME", "/home/me"),
        ];
        let settings = read(Ssh::default(), None, &variables);
        assert_eq!(settings.user_for("x").unwrap(), "ops");
        assert_eq!(settings.proxy.as_ref().unwrap().host, "::1");
        let options = settings.options().unwrap();
        let file = PathBuf::from("/home/me/.ssh/known_hosts");
        assert_eq!(options.host_key, HostKeyPolicy::KnownHosts(file.clone()));
        let more = [&variables[..], &[(ACCEPT_NEW, "true")]].concat();
        let options = read(Ssh::default(), None, &more).options().unwrap();
        assert_eq!(options.host_key, HostKeyPolicy::AcceptNew(file));
    }

    #[test]
    fn what_cannot_be_done_is_refused_and_not_ignored() {
        let block = Ssh {
            agent_forwarding: Some(true),
            ..Ssh::default()
        };
        let said = read(block, Some("root@pam"), &[])
            .user_for("x")
            .unwrap_err();
        assert!(said.to_string().contains("NOPASSWD"), "{said}");
        let settings = read(Ssh::default(), None, &[("PROXMOX_VE_SSH_USERNAME", "root")]);
        let said = settings.user_for("x").unwrap_err().to_string();
        assert!(said.contains("no key or password for root"), "{said}");
        // A plan that needs no SSH runs where there is no agent.
        let block = Ssh {
            agent: Some(true),
            ..Ssh::default()
        };
        let settings = read(block, None, &[("PROXMOX_VE_SSH_USERNAME", "root")]);
        let said = settings.user_for("x").unwrap_err().to_string();
        assert!(said.contains("agent_socket"), "{said}");
        let api = ApiLogin {
            username: None,
            password: None,
        };
        for (block, word) in [
            (
                Ssh {
                    socks5_username: Some("me".into()),
                    ..Ssh::default()
                },
                "no proxy",
            ),
            (
                Ssh {
                    socks5_server: Some("proxy".into()),
                    ..Ssh::default()
                },
                "HOST:PORT",
            ),
        ] {
            let refused = Settings::read(Some(block), &api, &Environment::default());
            let said = refused.unwrap_err().to_string();
            assert!(said.contains(word), "{said}");
        }
    }
}
