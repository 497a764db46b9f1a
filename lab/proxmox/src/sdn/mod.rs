//! Software-defined networks: zones, virtual networks, subnets and what serves them. What is configured runs only after
//! it was applied; until then the difference is pending.

mod apply;
mod checks;
mod fabrics;
mod families;
mod ipam;
mod lists;
mod pending;
mod policies;
mod status;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::families::{VNETS, ZONES};
use self::ipam::Leases;
use crate::error::ApiError;
use crate::routes::{Call, Routes};
use crate::sections::{Section, Sections};
use crate::state::State;

/// What of SDN is not in its configuration files.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Sdn {
    /// The files as they were applied last.
    running: BTreeMap<String, Sections>,
    /// How often they were applied.
    version: u32,
    /// The version that each node has loaded.
    loaded: BTreeMap<String, u32>,
    /// Who holds it may change the configuration, no one else.
    lock: Option<String>,
    leases: Leases,
}

impl Sdn {
    fn running(&self, file: &str) -> impl Iterator<Item = (&String, &Section)> {
        self.running.get(file).into_iter().flatten()
    }

    fn running_section(&self, file: &str, id: &str) -> Option<&Section> {
        self.running.get(file)?.get(id)
    }

    /// The zone of a virtual network that was applied.
    pub(crate) fn running_zone_of(&self, vnet: &str) -> Option<&str> {
        self.running_section(VNETS.file, vnet)?.get("zone")
    }

    /// Virtual networks on a node that the caller may see, as the node's network shows them.
    pub(crate) fn local_vnets(
        &self,
        node: &str,
        may_see: impl Fn(&str, &str) -> bool,
    ) -> Vec<Value> {
        let here = self
            .vnets_on(node)
            .filter(|(zone, id, _)| may_see(zone, id));
        here.map(|(zone, id, vnet)| {
            let on = |given: bool| u8::from(given);
            let ipam = self.running_section(ZONES.file, zone).is_some_and(|zone| zone.get("ipam").is_some());
            json!({
                "iface": id, "type": "vnet", "active": "1", "ipam": on(ipam), "vlanaware": on(vnet.is_on("vlanaware")),
                "comments": vnet.get("alias"),
            })
        })
        .collect()
    }

    /// Zone, id and definition of the virtual networks that run on a node.
    pub(crate) fn vnets_on(&self, node: &str) -> impl Iterator<Item = (&str, &str, &Section)> {
        self.running(VNETS.file).filter_map(move |(id, vnet)| {
            let zone = vnet.get("zone")?;
            let found = self.running_section(ZONES.file, zone)?;
            on_node(found, node).then_some((zone, id.as_str(), vnet))
        })
    }

    /// Whether the firewall has an IP set of this name for a virtual network.
    pub(crate) fn has_ipset(&self, name: &str) -> bool {
        let vnet = ["-all", "-gateway", "-no-gateway", "-dhcp"]
            .iter()
            .find_map(|end| name.strip_suffix(end));
        vnet.is_some_and(|vnet| self.running_section(VNETS.file, vnet).is_some())
    }
}

/// Whether a zone is on a node.
fn on_node(zone: &Section, node: &str) -> bool {
    zone.get("nodes")
        .is_none_or(|nodes| crate::schema::format::list(nodes).any(|name| name == node))
}

impl State {
    /// The path of the privileges on a bridge or virtual network: a node's own bridges are in `localnetwork`.
    pub(crate) fn bridge_path(&self, bridge: &str) -> String {
        let zone = self.sdn.running_zone_of(bridge).unwrap_or("localnetwork");
        format!("/sdn/zones/{zone}/{bridge}")
    }

    /// A bridge that a machine is to be plugged into, and that its node does not have.
    pub(crate) fn missing_bridge(&self, node: &str, vmid: u32) -> Option<String> {
        let nets = self.vms.get(&vmid)?.nets();
        let mut bridges = nets.filter_map(|(_, net)| crate::schema::property::plain(net, "bridge"));
        bridges
            .find(|bridge| !self.has_bridge(node, bridge))
            .map(str::to_owned)
    }

    /// Whether a guest on a node can be plugged into a bridge or virtual network.
    fn has_bridge(&self, node: &str, bridge: &str) -> bool {
        self.host(node)
            .is_ok_and(|host| host.network.bridges().any(|name| name == bridge))
            || self.sdn.vnets_on(node).any(|(_, id, _)| id == bridge)
    }

    /// Zones of a node that the caller may see, with their status.
    pub(crate) fn zones_of(&self, node: &str) -> Vec<(&str, &'static str)> {
        let here = self
            .sdn
            .running(ZONES.file)
            .filter(|(_, zone)| on_node(zone, node));
        let loaded = self.sdn.loaded.get(node).copied().unwrap_or_default();
        let status = if loaded < self.sdn.version {
            "pending"
        } else {
            "available"
        };
        here.map(|(id, _)| (id.as_str(), status)).collect()
    }

    /// Refuses a change while someone else holds the configuration.
    fn sdn_unlocked(&self, call: &Call) -> Result<(), ApiError> {
        match &self.sdn.lock {
            Some(token) if call.params.get("lock-token") != Some(token) => {
                Err(ApiError::failure("invalid lock token provided!"))
            }
            _ => Ok(()),
        }
    }
}

pub(crate) fn routes(at: &mut Routes<'_>) {
    families::routes(at);
    fabrics::routes(at);
    policies::routes(at);
    ipam::routes(at);
    apply::routes(at);
    status::routes(at);
}
