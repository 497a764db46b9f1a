//! Fabrics, the routed networks beneath, and the nodes in them.

use std::collections::BTreeSet;

use stead_sdk::{Block, Form, Resource};

use crate::rest::patterns::{ADDRESS, CIDR, SDN_ID};

/// A fabric that routes with OpenFabric.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_sdn_fabric_openfabric",
    alias = "proxmox_virtual_environment_sdn_fabric_openfabric"
)]
pub(crate) struct FabricOpenFabric {
    /// Seconds between announcements of what is known.
    #[attr(optional)]
    #[form(name = "csnp_interval")]
    csnp_interval: Option<i64>,
    /// Seconds between hellos to neighbours.
    #[attr(optional)]
    #[form(name = "hello_interval")]
    hello_interval: Option<i64>,
    /// The fabric's name.
    #[attr(required, replace, pattern(SDN_ID))]
    #[form(create)]
    id: String,
    /// Where the nodes' IPv6 addresses are from.
    #[attr(optional, pattern(CIDR), at_least_one_of("ip_prefix", "ip6_prefix"))]
    #[form(name = "ip6_prefix")]
    ip6_prefix: Option<String>,
    /// Where the nodes' IPv4 addresses are from.
    #[attr(optional, pattern(CIDR))]
    #[form(name = "ip_prefix")]
    ip_prefix: Option<String>,
}

/// A fabric that routes with OSPF.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_sdn_fabric_ospf",
    alias = "proxmox_virtual_environment_sdn_fabric_ospf"
)]
pub(crate) struct FabricOspf {
    /// The area: a number, or one written like an address.
    #[attr(required)]
    area: String,
    /// The fabric's name.
    #[attr(required, replace, pattern(SDN_ID))]
    #[form(create)]
    id: String,
    /// Where the nodes' addresses are from.
    #[attr(required, pattern(CIDR))]
    #[form(name = "ip_prefix")]
    ip_prefix: String,
}

/// What every node of a fabric has.
#[derive(Clone, Debug, Block, Form)]
pub(crate) struct Member {
    /// The fabric.
    #[attr(required, replace, pattern(SDN_ID))]
    #[form(path)]
    fabric_id: String,
    /// `FABRIC/NODE`.
    #[attr(computed)]
    #[form(path)]
    id: String,
    /// The node's interfaces that take part.
    #[attr(required)]
    #[form(name = "interfaces", with = interfaces)]
    interface_names: BTreeSet<String>,
    /// The node.
    #[attr(required, replace)]
    #[form(name = "node_id", create)]
    node_id: String,
}

/// A node of an OpenFabric fabric.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_sdn_fabric_node_openfabric",
    alias = "proxmox_virtual_environment_sdn_fabric_node_openfabric"
)]
pub(crate) struct NodeOpenFabric {
    #[attr(flatten)]
    member: Member,
    /// The node's IPv4 address in the fabric.
    #[attr(optional, pattern(ADDRESS), at_least_one_of("ip", "ip6"))]
    ip: Option<String>,
    /// The node's IPv6 address in the fabric.
    #[attr(optional, pattern(ADDRESS))]
    ip6: Option<String>,
}

/// A node of an OSPF fabric.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_sdn_fabric_node_ospf",
    alias = "proxmox_virtual_environment_sdn_fabric_node_ospf"
)]
pub(crate) struct NodeOspf {
    #[attr(flatten)]
    member: Member,
    /// The node's address in the fabric.
    #[attr(required, pattern(ADDRESS))]
    ip: String,
}

/// Interfaces as property strings, of which only the name counts here.
mod interfaces {
    use std::collections::BTreeSet;

    use serde_json::Value as Json;
    use stead_sdk::form::Unreadable;

    use crate::client::text;
    use crate::property::Properties;

    pub(super) fn write(names: &BTreeSet<String>) -> Vec<String> {
        names.iter().map(|name| format!("name={name}")).collect()
    }

    pub(super) fn read(
        _prior: BTreeSet<String>,
        found: Option<&Json>,
    ) -> Result<BTreeSet<String>, Unreadable> {
        let items = found.and_then(Json::as_array).into_iter().flatten();
        let name = |item: &Json| match item {
            Json::String(written) => Properties::parse(written, "")
                .get("name")
                .map(str::to_owned),
            object => text(object, "name"),
        };
        let names = items.map(|item| name(item).ok_or(Unreadable::new("a list of interfaces")));
        names.collect()
    }
}
