//! The lab's SSH hosts: Ubuntu machines with a small shell, `snap` and MicroK8s, whose clusters the lab's Kubernetes runs.

mod commands;
mod files;
mod guest;
mod host;
mod microk8s;
mod shell;
mod state;
mod yaml;

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use serde::Serialize;
use stead_lab_core::cluster::ClusterHost;
use stead_lab_core::machine::GuestKind;
use stead_lab_core::{Lab, ssh};

use crate::host::{Host, Shared};

/// A password: never printed.
#[derive(Clone)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

pub use stead_lab_core::shell::Sudo;

/// A machine that is reached over SSH.
#[derive(Clone, Debug)]
pub struct HostSpec {
    /// Unique in the lab, and the key of its disk.
    pub name: String,
    pub hostname: String,
    pub address: IpAddr,
    pub user: String,
    /// `None`: no login by password.
    pub password: Option<Secret>,
    /// Lines of `authorized_keys`.
    pub authorized_keys: Vec<String>,
    pub sudo: Sudo,
    pub cores: u32,
    pub memory_mib: u64,
}

impl HostSpec {
    /// A host with 4 cores, 8 GiB, user `ubuntu` and sudo without a password.
    pub fn ubuntu(name: &str, address: IpAddr) -> HostSpec {
        HostSpec {
            name: name.to_owned(),
            hostname: name.to_owned(),
            address,
            user: "ubuntu".to_owned(),
            password: Some(Secret("stead-lab".to_owned())),
            authorized_keys: Vec::new(),
            sudo: Sudo::NoPassword,
            cores: 4,
            memory_mib: 8192,
        }
    }
}

/// The hosts that are there from the start.
#[derive(Clone, Debug)]
pub struct Options {
    pub hosts: Vec<HostSpec>,
}

impl Default for Options {
    /// `mk8s-1`, `mk8s-2` and `mk8s-3` at 10.25.151.11 to 10.25.151.13, user `ubuntu`, password `stead-lab`.
    fn default() -> Options {
        let host = |n: u8| {
            HostSpec::ubuntu(
                &format!("mk8s-{n}"),
                IpAddr::V4(Ipv4Addr::new(10, 25, 151, 10 + n)),
            )
        };
        Options {
            hosts: (1..=3).map(host).collect(),
        }
    }
}

/// What the hosts hold, for the lab's own report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Inventory {
    /// Hosts that are on.
    pub hosts: Vec<String>,
    /// Hosts with MicroK8s, and its channel.
    pub microk8s: Vec<(String, String)>,
}

/// The running simulation.
pub struct Hosts {
    shared: Arc<Shared>,
}

/// Starts the hosts.
pub async fn start(
    lab: &Lab,
    clusters: Arc<dyn ClusterHost>,
    options: Options,
) -> io::Result<Arc<Hosts>> {
    let shared = Shared::open(lab, clusters)?;
    for spec in options.hosts {
        let host = shared.power_on(spec)?;
        boot(&host).await?;
    }
    Ok(Arc::new(Hosts { shared }))
}

/// A host that is on comes up: SSH answers, MicroK8s starts when it ran before.
pub(crate) async fn boot(host: &Arc<Host>) -> io::Result<()> {
    let key = host.with(|s| s.host_key.clone());
    ssh::serve(host, &host.address(), &key).await?;
    let ran = host.with(|s| s.microk8s.as_ref().is_some_and(|m| m.running));
    if ran && let Err(problem) = microk8s::start(host).await {
        return Err(io::Error::other(format!(
            "MicroK8s of {}: {problem}",
            host.spec.name
        )));
    }
    Ok(())
}

/// A host goes off; its disk stays.
pub(crate) async fn halt(host: &Arc<Host>) {
    if host.with(|s| s.microk8s.as_ref().is_some_and(|m| m.running)) {
        microk8s::silence(host).await;
    }
    host.off.cancel();
    for name in [host.address(), host.spec.hostname.clone()] {
        host.shared.lab.network.release(&name, 22);
    }
    host.shared.gone(&host.spec.name);
}

impl Hosts {
    /// Ubuntu machines, for the hypervisor.
    pub fn ubuntu(&self) -> Arc<dyn GuestKind> {
        Arc::new(guest::Ubuntu {
            shared: self.shared.clone(),
        })
    }

    /// What exists now.
    pub fn inventory(&self) -> Inventory {
        let hosts = self
            .shared
            .hosts()
            .iter()
            .map(|h| h.spec.name.clone())
            .collect();
        let state = self.shared.state();
        let microk8s = state
            .hosts
            .iter()
            .filter_map(|(name, h)| {
                h.snaps
                    .get("microk8s")
                    .map(|s| (name.clone(), s.channel.clone()))
            })
            .collect();
        Inventory { hosts, microk8s }
    }

    /// The public SSH key of a host, as `known_hosts` holds it (`ssh-ed25519 AAAA…`).
    pub fn host_key(&self, name: &str) -> io::Result<String> {
        let key = self
            .shared
            .state()
            .hosts
            .get(name)
            .map(|h| h.host_key.clone());
        let key = key.ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("no host is called {name}"))
        })?;
        ssh::public_key(&key)
    }
}
