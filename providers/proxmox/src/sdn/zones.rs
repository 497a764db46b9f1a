//! The list of all zones.

use std::collections::BTreeSet;

use serde_json::Value as Json;
use stead_sdk::{Block, Context, DataSource, Error, Form, async_trait};

use crate::client::{Client, text};
use crate::rest::{Hooks, object};

/// The zones of the cluster.
#[derive(Clone, Debug, DataSource, Form)]
#[data_source(
    name = "proxmox_sdn_zones",
    alias = "proxmox_virtual_environment_sdn_zones"
)]
pub(crate) struct Zones {
    /// Only zones of this type.
    #[attr(optional, one_of("simple", "vlan", "qinq", "vxlan", "evpn"))]
    #[form(name = "type", path)]
    r#type: Option<String>,
    /// The zones, by name. What a zone's type does not have is null.
    #[attr(computed, object)]
    #[form(rows)]
    zones: Vec<Zone>,
}

#[async_trait]
impl Hooks for Zones {
    async fn fetch(&self, client: &Client, cx: &Context) -> Result<Json, Error> {
        let mut rows = object::fetch(self, client, cx).await?;
        if let Some(rows) = rows.as_array_mut() {
            rows.retain(|row| self.r#type.is_none() || text(row, "type") == self.r#type);
        }
        Ok(rows)
    }
}

/// A zone, whatever its type.
#[derive(Clone, Debug, Block, Form)]
pub(crate) struct Zone {
    /// Whether whole subnets are announced.
    #[attr(computed)]
    advertise_subnets: Option<bool>,
    /// The bridge that carries the networks.
    #[attr(computed)]
    bridge: Option<String>,
    /// The controller.
    #[attr(computed)]
    controller: Option<String>,
    /// The DHCP server.
    #[attr(computed)]
    dhcp: Option<String>,
    /// Whether guests answer questions for addresses themselves.
    #[attr(computed)]
    disable_arp_nd_suppression: Option<bool>,
    /// The DNS server's entry.
    #[attr(computed)]
    dns: Option<String>,
    /// The domain of the guests' names.
    #[attr(computed)]
    #[form(name = "dnszone")]
    dns_zone: Option<String>,
    /// The nodes by which packets leave.
    #[attr(computed)]
    #[form(name = "exitnodes")]
    exit_nodes: Option<BTreeSet<String>>,
    /// Whether exit nodes reach the guests.
    #[attr(computed)]
    #[form(name = "exitnodes-local-routing")]
    exit_nodes_local_routing: Option<bool>,
    /// The zone's name.
    #[attr(computed)]
    #[form(name = "zone")]
    id: String,
    /// Where addresses are noted.
    #[attr(computed)]
    ipam: Option<String>,
    /// The largest packet.
    #[attr(computed)]
    mtu: Option<i64>,
    /// The nodes that have the zone.
    #[attr(computed)]
    nodes: BTreeSet<String>,
    /// The addresses of the nodes.
    #[attr(computed)]
    peers: Option<BTreeSet<String>>,
    /// Whether changes wait to be applied.
    #[attr(computed)]
    #[form(skip)]
    pending: Option<bool>,
    /// The exit node that is preferred.
    #[attr(computed)]
    #[form(name = "exitnodes-primary")]
    primary_exit_node: Option<String>,
    /// The DNS server's entry for names of addresses.
    #[attr(computed)]
    #[form(name = "reversedns")]
    reverse_dns: Option<String>,
    /// The route target whose routes are taken.
    #[attr(computed)]
    rt_import: Option<String>,
    /// The outer VLAN.
    #[attr(computed)]
    #[form(name = "tag")]
    service_vlan: Option<i64>,
    /// How the outer VLAN is marked.
    #[attr(computed)]
    #[form(name = "vlan-protocol")]
    service_vlan_protocol: Option<String>,
    /// What waits to be applied.
    #[attr(computed)]
    state: Option<String>,
    /// The zone's type.
    #[attr(computed)]
    r#type: Option<String>,
    /// The number of the tunnel between networks.
    #[attr(computed)]
    vrf_vxlan: Option<i64>,
}
