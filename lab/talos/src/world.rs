//! Every machine and cluster of the lab that runs Talos, and how they find one another.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stead_lab_core::cluster::ClusterHost;
use stead_lab_core::machine::Hardware;
use stead_lab_core::{Client, Lab};
use tokio::sync::watch;

use crate::cluster::TalosCluster;
use crate::config::{Config, Pem};
use crate::factory::Factory;
use crate::node::{Disk, Node};

pub(crate) struct World {
    pub(crate) lab: Lab,
    pub(crate) client: Client,
    pub(crate) hosts: Arc<dyn ClusterHost>,
    pub(crate) factory: Arc<Factory>,
    nodes: Mutex<BTreeMap<String, Arc<Node>>>,
    clusters: Mutex<BTreeMap<String, Arc<TalosCluster>>>,
    changes: watch::Sender<u64>,
}

impl World {
    pub(crate) fn new(
        lab: &Lab,
        hosts: Arc<dyn ClusterHost>,
        factory: Arc<Factory>,
    ) -> io::Result<Arc<World>> {
        Ok(Arc::new(World {
            lab: lab.clone(),
            client: Client::new(lab)?,
            hosts,
            factory,
            nodes: Mutex::default(),
            clusters: Mutex::default(),
            changes: watch::Sender::new(0),
        }))
    }

    fn lock_nodes(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Node>>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_clusters(&self) -> MutexGuard<'_, BTreeMap<String, Arc<TalosCluster>>> {
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn nodes(&self) -> Vec<Arc<Node>> {
        self.lock_nodes().values().cloned().collect()
    }

    /// The machine with this hardware, with its disks as it left them.
    pub(crate) fn node(self: &Arc<World>, hardware: &Hardware) -> Arc<Node> {
        let node = self.node_of(hardware);
        // Its cluster is there as soon as its disks are, and not only when it has started.
        if let Some(etcd) = node.disk().etcd {
            self.cluster(&etcd.cluster);
        }
        node
    }

    fn node_of(self: &Arc<World>, hardware: &Hardware) -> Arc<Node> {
        let mut nodes = self.lock_nodes();
        if let Some(node) = nodes.get(&hardware.id) {
            return node.clone();
        }
        let disk = Disk::load(&self.lab.store, &hardware.id).unwrap_or_else(|error| {
            tracing::error!(%error, machine = hardware.id, "unreadable disk; starting with an empty one");
            Disk::default()
        });
        let node = Node::new(self, hardware.clone(), disk);
        nodes.insert(hardware.id.clone(), node.clone());
        node
    }

    /// The machine's disks are gone.
    pub(crate) async fn destroyed(self: &Arc<World>, machine: &str) {
        let node = self.lock_nodes().remove(machine);
        let mut etcd = Disk::load(&self.lab.store, machine)
            .ok()
            .and_then(|d| d.etcd);
        if let Some(node) = node {
            node.cut_power().await;
            etcd = node.disk().etcd;
        }
        Disk::delete(&self.lab.store, machine);
        if let Some(etcd) = etcd {
            self.forget_if_gone(&etcd.cluster).await;
        }
        self.changes.send_modify(|c| *c += 1);
    }

    /// Follows changes of any node.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// A node came up, went down, or got another configuration.
    pub(crate) fn node_changed(self: &Arc<World>, node: &Node) {
        self.changes.send_modify(|c| *c += 1);
        if let Some(id) = node.config().and_then(|c| c.cluster_id()) {
            self.cluster(&id).wake();
        }
        // A node that is gone has no configuration any more: its cluster must notice too.
        let clusters: Vec<_> = self.lock_clusters().values().cloned().collect();
        for cluster in clusters.iter().filter(|c| c.knows(&node.id)) {
            cluster.wake();
        }
    }

    pub(crate) fn cluster(self: &Arc<World>, id: &str) -> Arc<TalosCluster> {
        let mut clusters = self.lock_clusters();
        if let Some(cluster) = clusters.get(id) {
            return cluster.clone();
        }
        let cluster = TalosCluster::open(self, id);
        clusters.insert(id.to_owned(), cluster.clone());
        cluster
    }

    pub(crate) fn clusters(&self) -> Vec<Arc<TalosCluster>> {
        self.lock_clusters().values().cloned().collect()
    }

    /// Wipes a cluster when no disk in the lab holds its etcd data any more.
    pub(crate) async fn forget_if_gone(self: &Arc<World>, id: &str) {
        let cluster = self.cluster(id);
        let members = cluster.member_machines();
        let holds = |machine: &String| {
            let node = self.lock_nodes().get(machine).cloned();
            let disk = match node {
                Some(node) => Some(node.disk()),
                // Not started since the lab was: only its disk tells.
                None => Disk::load(&self.lab.store, machine).ok(),
            };
            disk.and_then(|d| d.etcd).is_some_and(|e| e.cluster == id)
        };
        if members.iter().any(holds) {
            cluster.wake();
            return;
        }
        self.lock_clusters().remove(id);
        cluster.erase(self).await;
    }

    /// Nodes configured for a cluster whose machine API is up.
    pub(crate) fn members_of(&self, cluster: &str) -> Vec<Arc<Node>> {
        let mut found = self.nodes();
        found.retain(|node| {
            node.with_boot(|b| b.api_up) == Some(true)
                && node.config().and_then(|c| c.cluster_id()).as_deref() == Some(cluster)
        });
        found
    }

    /// The running node at an address, be it virtual.
    pub(crate) fn node_at(&self, address: IpAddr) -> Option<Arc<Node>> {
        let holder = self.holder(address);
        let mut nodes = self.nodes().into_iter();
        nodes.find(|n| {
            holder.as_ref() == Some(&n.id) || n.addresses().iter().any(|a| a.addr() == address)
        })
    }

    /// The machine that holds a virtual address now.
    pub(crate) fn holder(&self, address: IpAddr) -> Option<String> {
        let address = address.to_string();
        self.clusters().iter().find_map(|c| c.holder(&address))
    }

    /// Whether another machine has an address or a lease of it.
    pub(crate) fn is_taken(&self, address: IpAddr, except: &str) -> bool {
        let others = self.nodes().into_iter().filter(|n| n.id != except);
        others.into_iter().any(|n| {
            n.disk().lease == Some(address) || n.addresses().iter().any(|a| a.addr() == address)
        })
    }

    /// The machine CA with its key from a control plane that would sign a worker's request: same CA, right token, running.
    pub(crate) fn trusted_signer(&self, config: &Config) -> Option<Pem> {
        let wanted = config.machine_ca()?.certificate;
        self.nodes().into_iter().find_map(|node| {
            let other = node.config()?;
            let up = node.with_boot(|b| b.api_up) == Some(true);
            let ca = other.machine_ca()?;
            let signs = up && other.is_control_plane() && other.token() == config.token();
            (signs && ca.certificate.trim() == wanted.trim()).then_some(ca)
        })
    }
}
