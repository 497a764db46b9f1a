//! What a node's own disk remembers: its network, names, clock and packages.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use stead_lab_core::files::File;

use super::apt::Repositories;
use super::certificates::Custom;
use super::disks::Disks;
use crate::error::ApiError;
use crate::network::{Network, first_of_network};
use crate::options::NodeSpec;
use crate::sections::Section;
use crate::state::State;

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Host {
    pub(crate) network: Network,
    #[serde(default)]
    pub(crate) disks: Disks,
    /// `search`, `dns1` to `dns3`.
    pub(super) resolver: BTreeMap<String, String>,
    /// `/etc/hosts`.
    pub(crate) hosts: String,
    pub(super) timezone: String,
    /// `/etc/pve/nodes/NAME/config`.
    pub(super) config: BTreeMap<String, String>,
    pub(super) repositories: Repositories,
    /// Services that someone stopped.
    pub(super) stopped: BTreeSet<String>,
    /// Instead of the cluster's own.
    #[serde(default)]
    pub(super) certificate: Option<Custom>,
    /// Its key.
    #[serde(default)]
    pub(super) subscription: Option<String>,
    /// The SSH host key in OpenSSH's form, kept for life.
    #[serde(default)]
    pub(crate) ssh_key: String,
    /// Files that someone put on its disk, by path.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, File>,
}

impl Host {
    /// A node as the installer leaves it.
    fn installed(spec: &NodeSpec, suite: &str) -> Host {
        let (name, address) = (&spec.name, &spec.address);
        let resolver = [
            ("search", "home.arpa".to_owned()),
            ("dns1", first_of_network(address)),
        ];
        Host {
            network: Network::installed(spec),
            disks: Disks::installed(),
            resolver: resolver.map(|(key, value)| (key.to_owned(), value)).into(),
            hosts: format!(
                "127.0.0.1 localhost.localdomain localhost\n{address} {name}.home.arpa {name}\n\n\
                 ::1 ip6-localhost ip6-loopback\nff02::1 ip6-allnodes\nff02::2 ip6-allrouters\n"
            ),
            timezone: "Etc/UTC".into(),
            config: BTreeMap::new(),
            repositories: Repositories::installed(suite),
            stopped: BTreeSet::new(),
            certificate: None,
            subscription: None,
            ssh_key: String::new(),
            files: BTreeMap::new(),
        }
    }
}

impl State {
    /// Installs the nodes that are new.
    pub(crate) fn install_nodes(&mut self) {
        let suite = self.release().suite;
        for (name, spec) in &self.nodes {
            self.hosts
                .entry(name.clone())
                .or_insert_with(|| Host::installed(spec, suite));
        }
        self.define_storages();
        // PVE's own IPAM is always there.
        let ipams = self.configs.entry("sdn/ipams.cfg".into()).or_default();
        ipams.entry("pve".into()).or_insert_with(|| Section {
            kind: "pve".into(),
            ..Section::default()
        });
    }

    pub(crate) fn host(&self, node: &str) -> Result<&Host, ApiError> {
        self.hosts.get(node).ok_or_else(|| no_node(node))
    }

    pub(crate) fn host_mut(&mut self, node: &str) -> Result<&mut Host, ApiError> {
        self.hosts.get_mut(node).ok_or_else(|| no_node(node))
    }
}

fn no_node(node: &str) -> ApiError {
    ApiError::failure(format!("no such node '{node}'"))
}
