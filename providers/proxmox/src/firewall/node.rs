//! The firewall of a node.

use stead_sdk::{Form, Resource};

/// The firewall of a node.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_node_firewall",
    alias = "proxmox_virtual_environment_node_firewall"
)]
pub(crate) struct NodeFirewall {
    /// Whether the node has a firewall, if the cluster has.
    #[attr(optional, computed, default = true)]
    #[form(name = "enable")]
    enabled: bool,
    /// The node's name.
    #[attr(computed)]
    id: String,
    /// What is logged of forwarded packets.
    #[attr(
        optional,
        computed,
        default = "nolog",
        one_of(
            "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", "nolog"
        )
    )]
    #[form(name = "log_level_forward")]
    log_level_forward: String,
    /// What is logged of incoming packets.
    #[attr(
        optional,
        computed,
        default = "nolog",
        one_of(
            "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", "nolog"
        )
    )]
    #[form(name = "log_level_in")]
    log_level_in: String,
    /// What is logged of outgoing packets.
    #[attr(
        optional,
        computed,
        default = "nolog",
        one_of(
            "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", "nolog"
        )
    )]
    #[form(name = "log_level_out")]
    log_level_out: String,
    /// Let the neighbour discovery of IPv6 pass.
    #[attr(optional, computed, default = true)]
    ndp: bool,
    /// How many connections are tracked at once.
    #[attr(optional, computed, default = 262_144, range(32_768..))]
    #[form(name = "nf_conntrack_max")]
    nf_conntrack_max: i64,
    /// After how many silent seconds a connection is forgotten.
    #[attr(optional, computed, default = 432_000, range(7_875..))]
    #[form(name = "nf_conntrack_tcp_timeout_established")]
    nf_conntrack_tcp_timeout_established: i64,
    /// Use nftables in place of iptables.
    #[attr(optional, computed, default = false)]
    nftables: bool,
    /// The node.
    #[attr(required, replace, length(1..))]
    #[form(path)]
    node_name: String,
    /// Drop packets that pretend to come from a broadcast address.
    #[attr(optional, computed, default = true)]
    nosmurfs: bool,
    /// What is logged of those.
    #[attr(
        optional,
        computed,
        default = "nolog",
        one_of(
            "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", "nolog"
        )
    )]
    #[form(name = "smurf_log_level")]
    smurf_log_level: String,
    /// What is logged of packets whose TCP flags make no sense.
    #[attr(
        optional,
        computed,
        default = "nolog",
        one_of(
            "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", "nolog"
        )
    )]
    #[form(name = "tcp_flags_log_level")]
    tcp_flags_log_level: String,
}
