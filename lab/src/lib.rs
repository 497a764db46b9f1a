//! The whole lab in one process: every simulation, the gateway that leads to them, and the environment by which clients find it.

mod control;
mod environment;
mod folder;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use stead_lab_azure::Azure;
use stead_lab_core::machine::GuestKind;
use stead_lab_core::{Lab, Settings, gateway};
use stead_lab_hosts::Hosts;
use stead_lab_kubernetes::Kubernetes;
use stead_lab_proxmox::Proxmox;
use stead_lab_talos::Talos;
use stead_lab_truenas::TrueNas;

pub use crate::control::request;
pub use crate::folder::{Found, find, reset};
pub use {
    stead_lab_azure as azure, stead_lab_core as core, stead_lab_hosts as hosts,
    stead_lab_kubernetes as kubernetes, stead_lab_proxmox as proxmox, stead_lab_truenas as truenas,
};

use crate::environment::{Credentials, environment};
use crate::folder::Claim;

/// What a new lab is made of; a lab that was saved keeps what it is made of.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub settings: Settings,
    pub proxmox: stead_lab_proxmox::Options,
    pub truenas: stead_lab_truenas::Options,
    pub azure: stead_lab_azure::Options,
    pub hosts: stead_lab_hosts::Options,
}

/// A lab that runs in this process.
pub struct RunningLab {
    lab: Lab,
    systems: Arc<Systems>,
    gateway: SocketAddr,
    environment: Vec<(String, String)>,
    claim: Claim,
}

/// Every simulation of a lab.
pub(crate) struct Systems {
    pub(crate) lab: Lab,
    proxmox: Arc<Proxmox>,
    talos: Arc<Talos>,
    kubernetes: Arc<Kubernetes>,
    truenas: Arc<TrueNas>,
    azure: Arc<Azure>,
    hosts: Arc<Hosts>,
}

impl RunningLab {
    /// Starts the lab of a folder: a new one, or the one that was left there. One lab runs in a folder at a time.
    pub async fn start(dir: &Path, options: Options) -> io::Result<RunningLab> {
        let claim = Claim::take(dir)?;
        let lab = Lab::open(dir, options.settings.clone())?;
        match RunningLab::compose(&lab, &options).await {
            Ok((systems, gateway)) => {
                claim.announce(gateway)?;
                let credentials = Credentials::of(&options);
                let environment = environment(&folder::bundle(dir)?, gateway, &credentials);
                folder::remember(dir, &environment)?;
                Ok(RunningLab {
                    lab,
                    systems,
                    gateway,
                    environment,
                    claim,
                })
            }
            Err(error) => {
                lab.stop().await;
                Err(error)
            }
        }
    }

    async fn compose(lab: &Lab, options: &Options) -> io::Result<(Arc<Systems>, SocketAddr)> {
        std::fs::write(lab.store.root().join(folder::BUNDLE), lab.authority.pem())?;
        let azure = stead_lab_azure::start_with(lab, options.azure.clone()).await?;
        let truenas = stead_lab_truenas::start(lab, options.truenas.clone()).await?;
        let kubernetes = stead_lab_kubernetes::start(lab).await?;
        let talos = stead_lab_talos::start(lab, kubernetes.clone()).await?;
        let hosts = stead_lab_hosts::start(lab, kubernetes.clone(), options.hosts.clone()).await?;
        // Last: machines that ran boot again, and find everything that they need.
        let kinds: Vec<Arc<dyn GuestKind>> = vec![talos.clone()];
        let proxmox = stead_lab_proxmox::start(lab, &options.proxmox, kinds).await?;
        let systems = Arc::new(Systems {
            lab: lab.clone(),
            proxmox,
            talos,
            kubernetes,
            truenas,
            azure,
            hosts,
        });
        control::start(&systems).await?;
        Ok((systems, gateway::start(lab).await?))
    }

    /// What clients read to find the lab: proxy, certificates, endpoints, credentials.
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// Where the gateway listens.
    pub fn gateway(&self) -> SocketAddr {
        self.gateway
    }

    /// The simulations' common ground: network, faults, settings.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// What exists in every simulation, by system.
    pub fn inventory(&self) -> io::Result<Value> {
        self.systems.inventory()
    }

    /// The hypervisors' version, which a saved lab keeps.
    pub fn proxmox_version(&self) -> proxmox::Version {
        self.systems.proxmox.version()
    }

    /// The clusters' simulation, for what only a process beside it can say (which folder stands for a Git repository).
    pub fn kubernetes(&self) -> &Arc<Kubernetes> {
        &self.systems.kubernetes
    }

    /// The public SSH key of a host of the lab, as `known_hosts` holds it.
    pub fn host_key(&self, name: &str) -> io::Result<String> {
        self.systems.hosts.host_key(name)
    }

    /// The folder of its state.
    pub fn dir(&self) -> PathBuf {
        self.lab.store.root().to_owned()
    }

    /// Stops everything; returns when all of it is saved.
    pub async fn shutdown(self) -> io::Result<()> {
        self.lab.stop().await;
        self.claim.release()
    }
}

impl Systems {
    pub(crate) fn inventory(&self) -> io::Result<Value> {
        Ok(json!({
            "proxmox": self.proxmox.inventory(),
            "talos": self.talos.inventory(),
            "kubernetes": self.kubernetes.inventory(),
            "truenas": serde_json::to_value(self.truenas.inventory())?,
            "azure": serde_json::to_value(self.azure.inventory())?,
            "hosts": serde_json::to_value(self.hosts.inventory())?,
        }))
    }
}
