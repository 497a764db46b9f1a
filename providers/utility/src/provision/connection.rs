//! What a `connection` block says, with its defaults, and the way to the host.

use std::time::Duration;

use stead_sdk::value::{Path, Value};
use stead_sdk::{
    Connection, Dialer, Error, Field as _, HostKeyPolicy, ProvisionOutput, Ssh, SshAuth, SshOptions,
};

const PORT: u16 = 22;
const TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// What runs on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Platform {
    Unix,
    Windows,
}

/// A host to reach, and how to log in.
struct Target {
    host: String,
    port: u16,
    options: SshOptions,
    /// What is said about it before connecting.
    has: Credentials,
}

#[derive(Clone, Copy)]
struct Credentials {
    password: bool,
    private_key: bool,
    certificate: bool,
    agent: bool,
    host_key: bool,
}

/// A `connection` block that makes sense.
pub(super) struct Route {
    target: Target,
    bastion: Option<Target>,
    pub(super) platform: Platform,
    pub(super) script_path: String,
    pub(super) timeout: Duration,
}

impl Route {
    /// # Errors
    /// What is missing or not supported.
    pub(super) fn read(value: &Value, dialer: &Dialer) -> Result<Route, String> {
        if value.is_null() {
            return Err("Missing connection configuration for provisioner.".into());
        }
        let connection = Connection::decode(value, &Path::root()).map_err(|d| d.detail)?;
        match connection.kind.as_deref() {
            None | Some("" | "ssh") => {}
            Some("winrm") => {
                return Err(
                    "connection type 'winrm' is not supported by stead yet: use ssh, which Windows has too"
                        .into(),
                );
            }
            Some(other) => return Err(format!("connection type '{other}' not supported")),
        }
        if connection.proxy_host.is_some() {
            return Err("proxy_host is not supported by stead yet: use bastion_host".into());
        }
        let platform = match connection.target_platform.as_deref() {
            None | Some("" | "unix") => Platform::Unix,
            Some("windows") => Platform::Windows,
            Some(_) => {
                return Err(
                    "target_platform for provisioner has to be either unix or windows".into(),
                );
            }
        };
        let script_path = connection.script_path.clone().filter(|p| !p.is_empty());
        let default_path = match platform {
            Platform::Unix => "/tmp/terraform_%RAND%.sh",
            Platform::Windows => "C:/windows/temp/terraform_%RAND%.cmd",
        };
        let timeout = connection.timeout.as_deref().and_then(go_duration);
        Ok(Route {
            target: Target::host(&connection, dialer)?,
            bastion: Target::bastion(&connection, dialer)?,
            platform,
            script_path: script_path.unwrap_or_else(|| default_path.into()),
            timeout: timeout.unwrap_or(TIMEOUT),
        })
    }

    /// Says what is tried, as people know it.
    pub(super) fn announce(&self, output: &ProvisionOutput) {
        let platform = match self.platform {
            Platform::Unix => "unix",
            Platform::Windows => "windows",
        };
        output.say(&format!(
            "Connecting to remote host via SSH...\n{}  Target Platform: {platform}",
            self.target.describe()
        ));
        if let Some(bastion) = &self.bastion {
            output.say(&format!(
                "Using configured bastion host...\n{}",
                bastion.describe()
            ));
        }
    }

    pub(super) async fn connect(&self, dialer: &Dialer) -> Result<Ssh, Error> {
        let Target {
            host,
            port,
            options,
            ..
        } = &self.target;
        match &self.bastion {
            None => dialer.ssh(host, *port, options).await,
            Some(bastion) => {
                let through = dialer
                    .ssh(&bastion.host, bastion.port, &bastion.options)
                    .await?;
                dialer.ssh_through(through, host, *port, options).await
            }
        }
    }
}

impl Target {
    fn host(connection: &Connection, dialer: &Dialer) -> Result<Target, String> {
        if connection.host.is_empty() {
            return Err("host for provisioner cannot be empty".into());
        }
        Target::new(
            connection.host.clone(),
            connection.port,
            connection.user.clone(),
            connection,
            connection.password.clone(),
            connection.private_key.clone(),
            connection.certificate.clone(),
            connection.host_key.clone(),
            dialer,
        )
    }

    /// Every setting of the bastion defaults to the host's own.
    fn bastion(connection: &Connection, dialer: &Dialer) -> Result<Option<Target>, String> {
        let Some(host) = connection.bastion_host.clone().filter(|h| !h.is_empty()) else {
            return Ok(None);
        };
        let own = |one: &Option<String>, other: &Option<String>| {
            one.clone()
                .filter(|t| !t.is_empty())
                .or_else(|| other.clone())
        };
        let secret = |one: &Option<Secret>, other: &Option<Secret>| {
            one.clone()
                .filter(|s| !s.expose_secret().is_empty())
                .or_else(|| other.clone())
        };
        Target::new(
            host,
            connection.bastion_port.or(connection.port),
            own(&connection.bastion_user, &connection.user),
            connection,
            secret(&connection.bastion_password, &connection.password),
            secret(&connection.bastion_private_key, &connection.private_key),
            own(&connection.bastion_certificate, &connection.certificate),
            connection.bastion_host_key.clone(),
            dialer,
        )
        .map(Some)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the settings of a host, each of which the bastion has too"
    )]
    fn new(
        host: String,
        port: Option<u64>,
        user: Option<String>,
        connection: &Connection,
        password: Option<Secret>,
        private_key: Option<Secret>,
        certificate: Option<String>,
        host_key: Option<String>,
        dialer: &Dialer,
    ) -> Result<Target, String> {
        let port = match port.unwrap_or(0) {
            0 => PORT,
            port => u16::try_from(port).map_err(|_| format!("{port} is not a port"))?,
        };
        let agent = connection
            .agent
            .unwrap_or_else(|| dialer.environment().get("SSH_AUTH_SOCK").is_some());
        let filled = |s: &Secret| !s.expose_secret().is_empty();
        let (password, private_key) = (password.filter(filled), private_key.filter(filled));
        let certificate = certificate.filter(|c| !c.is_empty());
        let host_key = host_key.filter(|k| !k.is_empty());
        let has = Credentials {
            password: password.is_some(),
            private_key: private_key.is_some(),
            certificate: certificate.is_some(),
            agent,
            host_key: host_key.is_some(),
        };
        let mut ways = Vec::new();
        if let Some(private) = private_key {
            ways.push(match certificate {
                Some(certificate) => SshAuth::Certificate {
                    private,
                    certificate,
                },
                None => SshAuth::Key {
                    private,
                    passphrase: None,
                },
            });
        }
        ways.extend(password.map(SshAuth::Password));
        if agent {
            ways.push(SshAuth::Agent);
        }
        let options = SshOptions {
            user: user.filter(|u| !u.is_empty()).unwrap_or("root".into()),
            auth: SshAuth::Any(ways),
            host_key: host_key.map_or(HostKeyPolicy::Unchecked, HostKeyPolicy::Key),
        };
        Ok(Target {
            host,
            port,
            options,
            has,
        })
    }

    fn describe(&self) -> String {
        let Credentials {
            password,
            private_key,
            certificate,
            agent,
            host_key,
        } = self.has;
        format!(
            "  Host: {}\n  User: {}\n  Password: {password}\n  Private key: {private_key}\n  Certificate: {certificate}\n  SSH Agent: {agent}\n  Checking Host Key: {host_key}\n",
            self.host, self.options.user
        )
    }
}

type Secret = stead_sdk::value::Sensitive<String>;

/// `1h30m`, `1.5s`, `300ms`; `None` when it is no such thing.
fn go_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let count: f64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let unit = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        let seconds = match rest.get(..unit)? {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(count * seconds).ok()?)?;
        rest = rest.get(unit..)?;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        assert_eq!(go_duration("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(go_duration("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(go_duration("0"), Some(Duration::ZERO));
        for wrong in ["", "5", "m", "5x", "-5s"] {
            assert_eq!(go_duration(wrong), None, "{wrong}");
        }
    }
}
