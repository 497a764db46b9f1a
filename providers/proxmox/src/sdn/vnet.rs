//! Virtual networks of zones.

use stead_sdk::value::schema::Pattern;
use stead_sdk::{Block, DataSource, Form, Resource};

use crate::rest::patterns::SDN_ID;

const ALIAS: Pattern = Pattern {
    regex: r"[A-Za-z0-9 ()_.-]{0,256}",
    form: "at most 256 letters, digits, spaces and `()_.-`",
};

/// A virtual network: a bridge of that name on every node of its zone.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_sdn_vnet",
    alias = "proxmox_virtual_environment_sdn_vnet"
)]
pub(crate) struct Vnet {
    /// What the network is for.
    #[attr(optional, pattern(ALIAS))]
    alias: Option<String>,
    /// The network's name.
    #[attr(required, replace, pattern(SDN_ID))]
    #[form(name = "vnet", create)]
    id: String,
    /// Guests reach only what is not a guest of this network.
    #[attr(optional)]
    #[form(implied = "0")]
    isolate_ports: Option<bool>,
    /// The VLAN or VXLAN that carries it.
    #[attr(optional)]
    tag: Option<i64>,
    /// Guests may use VLANs of their own in it.
    #[attr(optional)]
    #[form(name = "vlanaware", implied = "0")]
    vlan_aware: Option<bool>,
    /// The zone that it belongs to.
    #[attr(required, pattern(SDN_ID))]
    zone: String,
}

/// The virtual networks of the cluster.
#[derive(Clone, Debug, DataSource, Form)]
#[data_source(
    name = "proxmox_sdn_vnets",
    alias = "proxmox_virtual_environment_sdn_vnets"
)]
pub(crate) struct Vnets {
    /// The networks, by name.
    #[attr(computed, object)]
    #[form(rows)]
    vnets: Vec<VnetRow>,
}

/// A virtual network.
#[derive(Clone, Debug, Block, Form)]
pub(crate) struct VnetRow {
    /// What it is for.
    #[attr(computed)]
    alias: Option<String>,
    /// Its name.
    #[attr(computed)]
    #[form(name = "vnet")]
    id: String,
    /// Whether guests are kept apart.
    #[attr(computed)]
    isolate_ports: Option<bool>,
    /// The VLAN or VXLAN that carries it.
    #[attr(computed)]
    tag: Option<i64>,
    /// Whether guests may use VLANs.
    #[attr(computed)]
    #[form(name = "vlanaware")]
    vlan_aware: Option<bool>,
    /// Its zone.
    #[attr(computed)]
    zone: Option<String>,
}
