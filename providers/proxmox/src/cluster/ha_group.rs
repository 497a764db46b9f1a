//! HA groups: which nodes a highly available guest prefers (servers before 9.0; later ones have rules).

use std::collections::{BTreeMap, BTreeSet};

use stead_sdk::{DataSource, Form, Resource};

use crate::rest::patterns::{COMMENT, CONFIG_ID, NODE};

/// Nodes that highly available guests prefer. Proxmox VE 9 has HA rules in its place.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_hagroup",
    alias = "proxmox_virtual_environment_hagroup"
)]
pub(crate) struct HaGroup {
    /// The group's name.
    #[attr(computed)]
    id: String,
    /// What the group is for.
    #[attr(optional, pattern(COMMENT))]
    comment: Option<String>,
    /// The group's name.
    #[attr(required, replace, pattern(CONFIG_ID))]
    #[form(create)]
    group: String,
    /// Leave a guest where it is when a node of higher priority comes back.
    #[attr(optional, computed, default = false)]
    #[form(name = "nofailback")]
    no_failback: bool,
    /// The member nodes with their priorities; higher ones are preferred, and null is the lowest.
    #[attr(required, length(1..), keys(NODE), range(0..=1000))]
    nodes: BTreeMap<String, Option<i64>>,
    /// Run the guests on members only, and stop them when no member is online.
    #[attr(optional, computed, default = false)]
    restricted: bool,
}

/// The HA groups of the cluster.
#[derive(Clone, Debug, DataSource, Form)]
#[data_source(
    name = "proxmox_hagroups",
    alias = "proxmox_virtual_environment_hagroups"
)]
pub(crate) struct HaGroups {
    /// Always `hagroups`.
    #[attr(computed)]
    id: String,
    /// The groups' names.
    #[attr(computed)]
    #[form(rows = "group")]
    group_ids: BTreeSet<String>,
}
