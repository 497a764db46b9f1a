//! HA resources: guests that the cluster keeps in a state.

use std::collections::BTreeSet;

use serde_json::Value as Json;
use stead_sdk::value::schema::Pattern;
use stead_sdk::{Context, DataSource, Error, Form, Resource};

use crate::client::{Client, params};
use crate::rest::Hooks;
use crate::rest::object::get;
use crate::rest::patterns::{COMMENT, CONFIG_ID};

/// A guest as the HA stack names it.
pub(super) const GUEST: Pattern = Pattern {
    regex: "(vm|ct):[1-9][0-9]*",
    form: "`vm:` or `ct:` and the guest's identifier, such as `vm:100`",
};

/// A guest that the cluster keeps running, on another node if need be.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_haresource",
    alias = "proxmox_virtual_environment_haresource"
)]
pub(crate) struct HaResource {
    /// The guest.
    #[attr(computed)]
    id: String,
    /// What people should know.
    #[attr(optional, pattern(COMMENT))]
    comment: Option<String>,
    /// Move the guest back when a node that it prefers is there again (Proxmox VE 9).
    #[attr(optional)]
    #[form(implied = "1")]
    failback: Option<bool>,
    /// The HA group it belongs to (before Proxmox VE 9).
    #[attr(optional, pattern(CONFIG_ID))]
    group: Option<String>,
    /// How often it is tried on another node when it does not start.
    #[attr(optional, range(0..=10))]
    #[form(name = "max_relocate", implied = "1")]
    max_relocate: Option<i64>,
    /// How often it is tried again on a node.
    #[attr(optional, range(0..=10))]
    #[form(name = "max_restart", implied = "1")]
    max_restart: Option<i64>,
    /// The guest: `vm:100`, `ct:101`.
    #[attr(required, replace, pattern(GUEST))]
    #[form(name = "sid", create)]
    resource_id: String,
    /// What the cluster keeps the guest at.
    #[attr(
        optional,
        computed,
        default = "started",
        one_of("started", "stopped", "enabled", "disabled", "ignored")
    )]
    state: String,
    /// `vm` or `ct`, as `resource_id` says.
    #[attr(optional, computed, replace, one_of("vm", "ct"))]
    #[form(create)]
    r#type: Option<String>,
}

/// The HA resources of the cluster.
#[derive(Clone, Debug, DataSource, Form)]
#[data_source(
    name = "proxmox_haresources",
    alias = "proxmox_virtual_environment_haresources"
)]
pub(crate) struct HaResources {
    /// Always `haresources`.
    #[attr(computed)]
    id: String,
    /// The guests.
    #[attr(computed)]
    #[form(rows = "sid")]
    resource_ids: BTreeSet<String>,
    /// Only machines (`vm`), or only containers (`ct`).
    #[attr(optional, one_of("ct", "vm"))]
    #[form(path)]
    r#type: Option<String>,
}

#[stead_sdk::async_trait]
impl Hooks for HaResources {
    async fn fetch(&self, client: &Client, cx: &Context) -> Result<Json, Error> {
        let only = self.r#type.clone().map(|kind| params([("type", kind)]));
        get(self, client, &only.unwrap_or_default(), cx).await
    }
}
