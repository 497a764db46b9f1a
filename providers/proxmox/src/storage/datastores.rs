//! A data source: the storages that a node sees, with their space.

use std::collections::BTreeSet;

use serde_json::Value as Json;
use stead_sdk::form::{self, Params, Unreadable};
use stead_sdk::{Block, Context, DataSource, Error, Form, async_trait};

use crate::client::Client;
use crate::rest::{Hooks, object};

/// The storages that a node sees.
#[derive(Clone, Debug, DataSource, Form)]
#[data_source(
    name = "proxmox_datastores",
    alias = "proxmox_virtual_environment_datastores"
)]
pub(crate) struct Datastores {
    /// The storages, by their names.
    #[attr(optional, nested(list))]
    #[form(rows)]
    datastores: Vec<Datastore>,
    /// Only some of them.
    #[attr(optional, nested(single))]
    #[form(skip)]
    filters: Option<Filters>,
    /// The node.
    #[attr(required)]
    #[form(path)]
    node_name: String,
}

/// A storage.
#[derive(Clone, Debug, Block, Form)]
pub(crate) struct Datastore {
    /// Whether it can be reached.
    #[attr(optional)]
    active: Option<bool>,
    /// What may be kept in it.
    #[attr(computed)]
    #[form(name = "content")]
    content_types: BTreeSet<String>,
    /// Whether it may be used.
    #[attr(optional)]
    enabled: Option<bool>,
    /// Its name.
    #[attr(required)]
    #[form(name = "storage")]
    id: String,
    /// The node that sees it.
    #[attr(required)]
    #[form(skip)]
    node_name: String,
    /// Whether all nodes see the same in it.
    #[attr(optional)]
    shared: Option<bool>,
    /// Free bytes.
    #[attr(optional)]
    #[form(name = "avail")]
    space_available: Option<i64>,
    /// Bytes.
    #[attr(optional)]
    #[form(name = "total")]
    space_total: Option<i64>,
    /// Bytes that are taken.
    #[attr(optional)]
    #[form(name = "used")]
    space_used: Option<i64>,
    /// The part that is taken, 0 to 1.
    #[attr(optional)]
    #[form(name = "used_fraction")]
    space_used_fraction: Option<f64>,
    /// Its kind, such as `lvmthin`.
    #[attr(required)]
    r#type: String,
}

/// Which storages are shown.
#[derive(Clone, Debug, Block, Form)]
pub(crate) struct Filters {
    /// Those that may keep all of these.
    #[attr(optional)]
    #[form(name = "content")]
    content_types: BTreeSet<String>,
    /// The one of this name.
    #[attr(optional)]
    #[form(name = "storage")]
    id: Option<String>,
    /// Those that another node has, too.
    #[attr(optional)]
    target: Option<String>,
}

#[async_trait]
impl Hooks for Datastores {
    async fn fetch(&self, client: &Client, cx: &Context) -> Result<Json, Error> {
        let query = self.filters.as_ref().map(form::Form::creation);
        let query: Params = query.unwrap_or_default();
        object::get(self, client, &query, cx).await
    }

    fn found(&mut self, _answer: &Json) -> Result<bool, Unreadable> {
        for row in &mut self.datastores {
            row.node_name.clone_from(&self.node_name);
        }
        Ok(true)
    }
}
