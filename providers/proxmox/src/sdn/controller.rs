//! Controllers, which exchange routes.

use std::collections::BTreeSet;

use stead_sdk::{Form, Resource};

use crate::rest::patterns::SDN_ID;

/// A controller that exchanges routes by BGP EVPN.
#[derive(Clone, Debug, Resource, Form)]
#[resource(name = "proxmox_sdn_controller_evpn")]
pub(crate) struct ControllerEvpn {
    /// The number of the autonomous system.
    #[attr(required)]
    asn: i64,
    /// Changes with the configuration.
    #[attr(computed(unknown_on_change))]
    digest: Option<String>,
    /// The fabric whose nodes are the peers.
    #[attr(optional, at_least_one_of("fabric", "peers"))]
    fabric: Option<String>,
    /// The controller's name.
    #[attr(required, replace, pattern(SDN_ID))]
    #[form(name = "controller", create)]
    id: String,
    /// The addresses of the peers.
    #[attr(optional)]
    peers: Option<BTreeSet<String>>,
}
