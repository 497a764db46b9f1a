//! Simulated Talos Linux machines and their Image Factory: what a VM becomes when it boots a Talos image of the lab.
//!
//! `factory/` serves labelled images; `node/` is a machine's life (maintenance, installation, boots) and its sockets;
//! `api/` is what it answers; `config/` reads machine configurations as each release line does; `cluster/` is etcd's
//! membership, the Kubernetes on top and virtual addresses; `world` knows every machine and cluster.

mod api;
mod cluster;
mod config;
mod factory;
mod node;
mod pki;
/// The machine API's messages, servers, and clients (for tests of other crates).
pub mod proto;
mod tar;
mod version;
mod world;
mod yaml;

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use stead_lab_core::Lab;
use stead_lab_core::cluster::ClusterHost;
use stead_lab_core::machine::{Guest, GuestKind, Hardware};

use factory::Factory;
use world::World;

/// Every simulated Talos machine of a lab.
pub struct Talos {
    world: Arc<World>,
}

/// Starts the Image Factory; machines come as a hypervisor boots them.
pub async fn start(lab: &Lab, clusters: Arc<dyn ClusterHost>) -> io::Result<Arc<Talos>> {
    let factory = Factory::start(lab).await?;
    Ok(Arc::new(Talos {
        world: World::new(lab, clusters, factory)?,
    }))
}

impl Talos {
    /// Machines and clusters as they are, without secrets.
    pub fn inventory(&self) -> Value {
        let nodes: Vec<Value> = self.world.nodes().iter().map(|n| describe(n)).collect();
        let clusters = self.world.clusters().into_iter();
        let clusters = clusters.filter_map(|cluster| {
            let members = cluster.member_machines();
            // Before it is bootstrapped there is none.
            (!members.is_empty()).then(|| json!({ "id": cluster.id, "etcd_members": members }))
        });
        json!({ "nodes": nodes, "clusters": clusters.collect::<Vec<_>>() })
    }
}

fn describe(node: &node::Node) -> Value {
    let addresses: Vec<String> = node.addresses().iter().map(ToString::to_string).collect();
    let config = node.config();
    json!({
        "machine": node.id,
        "stage": node.stage().name(),
        "addresses": addresses,
        "hostname": node.hostname(),
        "type": config.as_deref().and_then(config::Config::machine_type).map(config::MachineType::name),
        "version": node.image().map(|i| i.version),
        "schematic": node.image().map(|i| i.schematic),
        "power_cycles": node.power_cycles(),
    })
}

#[async_trait]
impl GuestKind for Talos {
    fn recognises(&self, hardware: &Hardware) -> bool {
        let bootable = node::bootable(hardware).and_then(|d| d.image.as_ref());
        bootable.is_some_and(|image| image.os == "talos")
    }

    async fn boot(&self, hardware: Hardware) -> Arc<dyn Guest> {
        let node = self.world.node(&hardware);
        node.power_on(hardware).await;
        node
    }

    async fn destroyed(&self, machine_id: &str) {
        self.world.destroyed(machine_id).await;
    }
}
