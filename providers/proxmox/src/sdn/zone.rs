//! Zones: how virtual networks reach from node to node.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};
use stead_sdk::form::Unreadable;
use stead_sdk::value::schema::Pattern;
use stead_sdk::{Block, Context, Error, Form, Resource, async_trait};

use crate::client::{Client, text};
use crate::rest::patterns::SDN_ID;
use crate::rest::{Hooks, object};

const ROUTE_TARGET: Pattern = Pattern {
    regex: r"\d+:\d+",
    form: "ASN:NUMBER, such as 65000:100",
};

/// What every zone has.
#[derive(Clone, Debug, Block, Form)]
pub(crate) struct Common {
    /// The DNS server's entry, for names of guests.
    #[attr(optional)]
    dns: Option<String>,
    /// The domain of the guests' names.
    #[attr(optional)]
    #[form(name = "dnszone")]
    dns_zone: Option<String>,
    /// The zone's name.
    #[attr(required, replace, pattern(SDN_ID))]
    #[form(name = "zone", create)]
    id: String,
    /// Where addresses of guests are noted.
    #[attr(optional)]
    ipam: Option<String>,
    /// The largest packet.
    #[attr(optional, computed)]
    mtu: Option<i64>,
    /// The nodes that have the zone; all of them, if none is named.
    #[attr(optional, computed)]
    nodes: BTreeSet<String>,
    /// Whether changes wait to be applied.
    #[attr(computed(unknown_on_change))]
    pending: Option<bool>,
    /// The DNS server's entry for names of addresses.
    #[attr(optional)]
    #[form(name = "reversedns")]
    reverse_dns: Option<String>,
    /// What waits to be applied: `new`, `changed`.
    #[attr(computed(unknown_on_change))]
    state: Option<String>,
}

/// A zone whose networks end at each node.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_sdn_zone_simple",
    alias = "proxmox_virtual_environment_sdn_zone_simple"
)]
pub(crate) struct ZoneSimple {
    #[attr(flatten)]
    common: Common,
    /// The DHCP server to run.
    #[attr(optional, one_of("dnsmasq"))]
    dhcp: Option<String>,
}

/// A zone whose networks are VLANs of a bridge.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_sdn_zone_vlan",
    alias = "proxmox_virtual_environment_sdn_zone_vlan"
)]
pub(crate) struct ZoneVlan {
    #[attr(flatten)]
    common: Common,
    /// The bridge that carries the VLANs, on every node.
    #[attr(required)]
    bridge: String,
}

/// A zone whose networks are VLANs within a VLAN of a bridge.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_sdn_zone_qinq",
    alias = "proxmox_virtual_environment_sdn_zone_qinq"
)]
pub(crate) struct ZoneQinq {
    #[attr(flatten)]
    common: Common,
    /// The bridge that carries the outer VLAN, on every node.
    #[attr(required)]
    bridge: String,
    /// The outer VLAN.
    #[attr(required, range(1..=4094))]
    #[form(name = "tag")]
    service_vlan: i64,
    /// How the outer VLAN is marked.
    #[attr(optional, computed, default = "802.1q", one_of("802.1ad", "802.1q"))]
    #[form(name = "vlan-protocol")]
    service_vlan_protocol: String,
}

/// A zone whose networks are tunnels between nodes.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_sdn_zone_vxlan",
    alias = "proxmox_virtual_environment_sdn_zone_vxlan"
)]
pub(crate) struct ZoneVxlan {
    #[attr(flatten)]
    common: Common,
    /// The addresses of the nodes that have the zone.
    #[attr(required, length(1..))]
    peers: BTreeSet<String>,
}

/// A zone whose networks are tunnels, with routes between them that a controller exchanges.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_sdn_zone_evpn",
    alias = "proxmox_virtual_environment_sdn_zone_evpn"
)]
pub(crate) struct ZoneEvpn {
    #[attr(flatten)]
    common: Common,
    /// Announce whole subnets, for guests that are silent.
    #[attr(optional, computed, default = false)]
    advertise_subnets: bool,
    /// The controller.
    #[attr(required)]
    controller: String,
    /// Let guests answer each other's questions for addresses themselves.
    #[attr(optional, computed, default = false)]
    disable_arp_nd_suppression: bool,
    /// The nodes by which packets leave the zone.
    #[attr(optional, computed)]
    #[form(name = "exitnodes")]
    exit_nodes: BTreeSet<String>,
    /// Let the exit nodes themselves reach the guests.
    #[attr(optional, computed, default = false)]
    #[form(name = "exitnodes-local-routing")]
    exit_nodes_local_routing: bool,
    /// The exit node that is used as long as it is there.
    #[attr(optional)]
    #[form(name = "exitnodes-primary")]
    primary_exit_node: Option<String>,
    /// The route target whose routes are taken, `ASN:NUMBER`.
    #[attr(optional, pattern(ROUTE_TARGET))]
    rt_import: Option<String>,
    /// The number of the tunnel between the networks of the zone.
    #[attr(required)]
    vrf_vxlan: i64,
}

macro_rules! changes_wait {
    ($($zone:ident)+) => {$(
        #[async_trait]
        impl Hooks for $zone {
            async fn fetch(&self, client: &Client, cx: &Context) -> Result<Json, Error> {
                Ok(applied(object::fetch(self, client, cx).await?))
            }

            fn found(&mut self, answer: &Json) -> Result<bool, Unreadable> {
                Ok(text(answer, "state").as_deref() != Some("deleted"))
            }
        }
    )+};
}

changes_wait! { ZoneEvpn ZoneQinq ZoneSimple ZoneVlan ZoneVxlan }

/// A zone as it will be. In its answer what it is comes with what will change, where `deleted` stands for values that will be gone.
pub(super) fn applied(mut answer: Json) -> Json {
    let Some(zone) = answer.as_object_mut() else {
        return answer;
    };
    let Some(Json::Object(changes)) = zone.remove("pending") else {
        return answer;
    };
    if !changes.is_empty() {
        zone.insert("pending".to_owned(), json!(true));
    }
    for (name, value) in changes {
        if value == "deleted" {
            zone.remove(&name);
        } else {
            zone.insert(name, value);
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_read_as_it_will_be() {
        let answer = json!({ "zone": "z", "mtu": 1400, "ipam": "pve", "state": "changed",
            "pending": { "mtu": 1450, "ipam": "deleted" } });
        let will_be = json!({ "zone": "z", "mtu": 1450, "state": "changed", "pending": true });
        assert_eq!(applied(answer), will_be);
        let same = json!({ "zone": "z" });
        assert_eq!(applied(same.clone()), same);
    }
}
