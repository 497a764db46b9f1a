//! Machines that boot an Ubuntu cloud image: SSH hosts made by cloud-init.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use stead_lab_core::machine::{Guest, GuestInterface, GuestKind, Hands, Hardware, Ran};
use tokio_util::sync::CancellationToken;

use crate::host::{Host, Shared};
use crate::shell::{Input, Shell};
use crate::{HostSpec, Secret, Sudo, boot, halt, yaml};
use stead_lab_core::files::absolute;

/// The image label's name for the operating system.
const OS: &str = "ubuntu";

/// Ubuntu, for the hypervisor.
pub(crate) struct Ubuntu {
    pub shared: Arc<Shared>,
}

/// A running Ubuntu.
struct Machine {
    host: Option<Arc<Host>>,
    interfaces: Option<Vec<GuestInterface>>,
    off: CancellationToken,
}

#[async_trait]
impl GuestKind for Ubuntu {
    fn recognises(&self, hardware: &Hardware) -> bool {
        hardware
            .disks
            .iter()
            .filter_map(|d| d.image.as_ref())
            .any(|image| image.os == OS)
    }

    async fn boot(&self, hardware: Hardware) -> Arc<dyn Guest> {
        let (spec, agent) = self.provisioned(&hardware);
        let address = spec.address;
        let prefix = hardware
            .cloud_init
            .as_ref()
            .and_then(|c| c.ip_config.get(&0))
            .and_then(|i| i.address)
            .map_or(24, |a| a.1);
        let booted = match self.shared.power_on(spec) {
            Ok(host) => boot(&host).await.map(|()| host),
            Err(error) => Err(error),
        };
        let host = booted.inspect_err(|error| tracing::error!(%error, machine = hardware.id, "an Ubuntu machine does not boot")).ok();
        let mac = hardware
            .nics
            .first()
            .map(|n| n.mac.clone())
            .unwrap_or_default();
        let interfaces = (agent && hardware.agent_channel && host.is_some()).then(|| {
            vec![
                GuestInterface {
                    name: "lo".to_owned(),
                    mac: "00:00:00:00:00:00".to_owned(),
                    addresses: vec![(IpAddr::V4(Ipv4Addr::LOCALHOST), 8)],
                },
                GuestInterface {
                    name: "eth0".to_owned(),
                    mac,
                    addresses: vec![(address, prefix)],
                },
            ]
        });
        Arc::new(Machine {
            host,
            interfaces,
            off: CancellationToken::new(),
        })
    }

    async fn destroyed(&self, machine_id: &str) {
        let name = machine_name(machine_id);
        if let Some(host) = self.shared.by_name(&name) {
            if let Err(problem) = crate::microk8s::removed(&host).await {
                tracing::warn!(
                    problem,
                    machine = machine_id,
                    "a destroyed machine leaves its cluster behind"
                );
            }
            halt(&host).await;
        }
        self.shared.state().hosts.remove(&name);
        self.shared.changed();
    }
}

fn machine_name(machine_id: &str) -> String {
    format!("machine/{machine_id}")
}

impl Ubuntu {
    /// The host that hardware and cloud-init data describe, and whether it brings a guest agent.
    fn provisioned(&self, hardware: &Hardware) -> (HostSpec, bool) {
        let data = hardware.cloud_init.clone().unwrap_or_default();
        let text = data.user_data.unwrap_or_default();
        let config = match yaml::documents(&text) {
            Ok(mut all) if !all.is_empty() => all.remove(0),
            Ok(_) => Value::Null,
            Err(problem) => {
                // cloud-init logs and boots without it.
                tracing::warn!(
                    problem,
                    machine = hardware.id,
                    "cloud-init cannot read the user data"
                );
                Value::Null
            }
        };
        let text =
            |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let texts = |value: &Value, name: &str| -> Vec<String> {
            value
                .get(name)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(|v| v.as_str().map(str::to_owned))
                .collect()
        };
        let users = config
            .get("users")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let user = users
            .into_iter()
            .find(Value::is_object)
            .unwrap_or(Value::Null);
        let mut keys = texts(&config, "ssh_authorized_keys");
        keys.extend(texts(&user, "ssh_authorized_keys"));
        let password = text(&config, "password").or_else(|| text(&user, "plain_text_passwd"));
        let static_address = data.ip_config.get(&0).and_then(|i| i.address).map(|a| a.0);
        let image_agent = hardware
            .disks
            .iter()
            .filter_map(|d| d.image.as_ref())
            .any(|i| i.os == OS && i.guest_agent);
        let agent = image_agent
            || texts(&config, "packages")
                .iter()
                .any(|p| p == "qemu-guest-agent");
        let hostname = text(&config, "hostname")
            .or(data.hostname)
            .unwrap_or_else(|| hardware.name.clone());
        let spec = HostSpec {
            name: machine_name(&hardware.id),
            hostname,
            address: static_address.unwrap_or_else(|| self.lease(&hardware.id)),
            user: text(&config, "user")
                .or_else(|| text(&user, "name"))
                .unwrap_or_else(|| "ubuntu".to_owned()),
            password: password.map(Secret),
            authorized_keys: keys,
            sudo: Sudo::NoPassword,
            cores: hardware.cores,
            memory_mib: hardware.memory_mib,
        };
        (spec, agent)
    }

    /// An address by DHCP: the same one for the same machine as long as nobody else has it.
    fn lease(&self, machine: &str) -> IpAddr {
        let start = machine.bytes().fold(7_u32, |sum, b| {
            sum.wrapping_mul(31).wrapping_add(u32::from(b))
        });
        let taken: Vec<IpAddr> = self
            .shared
            .hosts()
            .iter()
            .filter(|h| h.spec.name != machine_name(machine))
            .map(|h| h.spec.address)
            .collect();
        let address = |n: u32| {
            IpAddr::V4(Ipv4Addr::new(
                10,
                25,
                151,
                u8::try_from(100 + (start.wrapping_add(n)) % 100).unwrap_or(100),
            ))
        };
        (0..100)
            .map(address)
            .find(|a| !taken.contains(a))
            .unwrap_or_else(|| address(0))
    }
}

impl Machine {
    async fn end(&self) {
        if let Some(host) = &self.host {
            halt(host).await;
        }
        self.off.cancel();
    }
}

#[async_trait]
impl Guest for Machine {
    fn agent_interfaces(&self) -> Option<Vec<GuestInterface>> {
        self.interfaces.clone().filter(|_| !self.off.is_cancelled())
    }

    fn hands(&self) -> Option<Arc<dyn Hands>> {
        let host = self.host.clone().filter(|_| !self.off.is_cancelled())?;
        Some(Arc::new(Root { host }))
    }

    async fn shutdown(&self) {
        self.end().await;
    }

    async fn power_off(&self) {
        self.end().await;
    }

    async fn stopped(&self) {
        self.off.cancelled().await;
    }
}

/// The guest agent's commands run as root.
struct Root {
    host: Arc<Host>,
}

#[async_trait]
impl Hands for Root {
    async fn run(&self, command: &[String], input: &[u8]) -> Result<Ran, String> {
        let mut shell = Shell::new(self.host.clone(), "root");
        let input = Input::Bytes(Arc::new(input.to_vec()));
        let output = shell.call(command, input).await;
        Ok(Ran {
            code: output.code,
            stdout: output.stdout,
            stderr: output.stderr,
        })
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let path = absolute("/", path);
        let read = self.host.files("root", |files| files.read(&path));
        read.map_err(|problem| problem.text().to_owned())
    }

    fn write(&self, path: &str, content: &[u8]) -> Result<(), String> {
        let path = absolute("/", path);
        let written = self
            .host
            .files("root", |files| files.write(&path, content, false));
        written.map_err(|problem| problem.text().to_owned())
    }
}
