//! The options of the datacenter: there is one set of them, always.

use stead_sdk::{Block, Form, Resource};

use crate::rest::patterns::{CIDR, COMMENT};

/// The options of the datacenter. Deleting this resets what it had set.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_cluster_options",
    alias = "proxmox_virtual_environment_cluster_options"
)]
pub(crate) struct Options {
    /// How many KiB per second a clone may take.
    #[attr(optional)]
    #[form(name = "bwlimit/clone")]
    bandwidth_limit_clone: Option<i64>,
    /// How many KiB per second anything may take that has no limit of its own.
    #[attr(optional)]
    #[form(name = "bwlimit/default")]
    bandwidth_limit_default: Option<i64>,
    /// How many KiB per second a migration may take.
    #[attr(optional)]
    #[form(name = "bwlimit/migration")]
    bandwidth_limit_migration: Option<i64>,
    /// How many KiB per second the move of a disk may take.
    #[attr(optional)]
    #[form(name = "bwlimit/move")]
    bandwidth_limit_move: Option<i64>,
    /// How many KiB per second a restore may take.
    #[attr(optional)]
    #[form(name = "bwlimit/restore")]
    bandwidth_limit_restore: Option<i64>,
    /// The viewer of consoles.
    #[attr(optional, one_of("applet", "vv", "html5", "xtermjs"))]
    console: Option<String>,
    /// How the HA manager chooses nodes: by the number of guests, by what they may use, or by what they do use.
    #[attr(optional, computed, one_of("static", "basic", "dynamic"))]
    #[form(name = "crs/ha")]
    crs_ha: Option<String>,
    /// Move guests when the load is uneven.
    #[attr(optional)]
    #[form(name = "crs/ha-auto-rebalance")]
    crs_ha_auto_rebalance: Option<bool>,
    /// For how many rounds the load is uneven before guests are moved.
    #[attr(optional, range(0..))]
    #[form(name = "crs/ha-auto-rebalance-hold-duration")]
    crs_ha_auto_rebalance_hold_duration: Option<i64>,
    /// By how many percent a move must better it.
    #[attr(optional, range(0..=100))]
    #[form(name = "crs/ha-auto-rebalance-margin")]
    crs_ha_auto_rebalance_margin: Option<i64>,
    /// How a move is found.
    #[attr(optional, one_of("bruteforce", "topsis"))]
    #[form(name = "crs/ha-auto-rebalance-method")]
    crs_ha_auto_rebalance_method: Option<String>,
    /// From how many percent on the load is uneven.
    #[attr(optional, range(0..=100))]
    #[form(name = "crs/ha-auto-rebalance-threshold")]
    crs_ha_auto_rebalance_threshold: Option<i64>,
    /// Choose the node anew when a guest starts.
    #[attr(optional)]
    #[form(name = "crs/ha-rebalance-on-start")]
    crs_ha_rebalance_on_start: Option<bool>,
    /// What people should know, in Markdown.
    #[attr(optional)]
    description: Option<String>,
    /// Who mail comes from.
    #[attr(optional)]
    #[form(name = "email_from")]
    email_from: Option<String>,
    /// What becomes of a node's HA guests when it shuts down.
    #[attr(optional, one_of("freeze", "failover", "migrate", "conditional"))]
    #[form(name = "ha/shutdown_policy")]
    ha_shutdown_policy: Option<String>,
    /// The proxy for what the nodes fetch: `http://HOST:PORT`.
    #[attr(optional)]
    #[form(name = "http_proxy")]
    http_proxy: Option<String>,
    /// Always `cluster`.
    #[attr(computed)]
    id: String,
    /// The keyboard of VNC consoles.
    #[attr(
        optional,
        one_of(
            "de", "de-ch", "da", "en-gb", "en-us", "es", "fi", "fr", "fr-be", "fr-ca", "fr-ch",
            "hu", "is", "it", "ja", "lt", "mk", "nl", "no", "pl", "pt", "pt-br", "sv", "sl", "tr"
        )
    )]
    keyboard: Option<String>,
    /// The language of the web interface.
    #[attr(
        optional,
        one_of(
            "ca", "da", "de", "en", "es", "eu", "fa", "fr", "he", "it", "ja", "nb", "nn", "pl",
            "pt_BR", "ru", "sl", "sv", "tr", "zh_CN", "zh_TW"
        )
    )]
    language: Option<String>,
    /// What MAC addresses of new machines begin with.
    #[attr(optional, computed)]
    #[form(name = "mac_prefix", implied = "BC:24:11")]
    mac_prefix: Option<String>,
    /// How many workers one action on many guests may have on a node.
    #[attr(optional)]
    #[form(name = "max_workers")]
    max_workers: Option<i64>,
    /// The network that migrations take.
    #[attr(optional, pattern(CIDR))]
    #[form(name = "migration/network")]
    migration_cidr: Option<String>,
    /// Whether migrations are encrypted.
    #[attr(optional, one_of("secure", "insecure"))]
    #[form(name = "migration/type")]
    migration_type: Option<String>,
    /// Between which identifiers the next free one is looked for.
    #[attr(optional, nested(single))]
    next_id: Option<NextId>,
    /// What is told to whom.
    #[attr(optional, nested(single))]
    notify: Option<Notify>,
}

/// A range of identifiers.
#[derive(Clone, Debug, Block, Form)]
pub(crate) struct NextId {
    /// The first one.
    #[attr(optional, range(100..))]
    lower: Option<i64>,
    /// One more than the last one.
    #[attr(optional, range(..=999_999_999))]
    upper: Option<i64>,
}

/// What is told to whom.
#[derive(Clone, Debug, Block, Form)]
pub(crate) struct Notify {
    /// Whether fencing is told.
    #[attr(optional, one_of("always", "never"))]
    #[form(name = "fencing")]
    ha_fencing_mode: Option<String>,
    /// Whom fencing is told to.
    #[attr(optional, pattern(COMMENT))]
    #[form(name = "target-fencing")]
    ha_fencing_target: Option<String>,
    /// Whether new packages are told.
    #[attr(optional, one_of("auto", "always", "never"))]
    package_updates: Option<String>,
    /// Whom new packages are told to.
    #[attr(optional, pattern(COMMENT))]
    #[form(name = "target-package-updates")]
    package_updates_target: Option<String>,
    /// Whether failed replications are told.
    #[attr(optional, one_of("always", "never"))]
    replication: Option<String>,
    /// Whom failed replications are told to.
    #[attr(optional, pattern(COMMENT))]
    #[form(name = "target-replication")]
    replication_target: Option<String>,
}
