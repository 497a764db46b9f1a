//! Ceph: pools, and how the cluster is.

use serde_json::Value as Json;
use stead_sdk::form::{Form as _, Params, Unreadable};
use stead_sdk::{Context, DataSource, Error, Form, Resource};

use crate::client::{Client, params};
use crate::rest::object::doing;
use crate::rest::{Hooks, Rest as _, path};

/// A pool of a Ceph cluster that Proxmox VE manages.
#[derive(Clone, Debug, Resource, Form)]
#[resource(name = "proxmox_ceph_pool")]
pub(crate) struct CephPool {
    /// Also make a storage for machines and one for containers.
    #[attr(optional, replace)]
    #[form(name = "add_storages", create)]
    add_storages: Option<bool>,
    /// What the pool is used for.
    #[attr(optional, computed, one_of("rbd", "cephfs", "rgw"))]
    application: Option<String>,
    /// The rule by which objects are spread.
    #[attr(optional, computed)]
    #[form(name = "crush_rule")]
    crush_rule: Option<String>,
    /// Erasure coding in place of copies: `k=2,m=1`.
    #[attr(optional, replace)]
    #[form(create)]
    erasure_coding: Option<String>,
    /// Delete the pool even if a storage uses it.
    #[attr(optional, computed, default = false)]
    #[form(path)]
    force_destroy: bool,
    /// `NODE/NAME`.
    #[attr(computed)]
    id: String,
    /// How many copies there must be for a write.
    #[attr(optional, computed, range(1..=7))]
    #[form(name = "min_size")]
    min_size: Option<i64>,
    /// The pool's name.
    #[attr(required, replace)]
    #[form(create)]
    name: String,
    /// The node that is asked.
    #[attr(required, replace)]
    #[form(path)]
    node_name: String,
    /// Whether the number of placement groups follows the amount of data.
    #[attr(optional, computed, one_of("on", "off", "warn"))]
    #[form(name = "pg_autoscale_mode")]
    pg_autoscale_mode: Option<String>,
    /// The number of placement groups.
    #[attr(optional, computed, range(1..=32768))]
    #[form(name = "pg_num")]
    pg_num: Option<i64>,
    /// The least number of placement groups.
    #[attr(optional, computed)]
    #[form(name = "pg_num_min")]
    pg_num_min: Option<i64>,
    /// Delete the profile of the erasure coding with the pool.
    #[attr(optional, computed, default = true)]
    #[form(path)]
    remove_ecprofile: bool,
    /// Delete the pool's storages with it.
    #[attr(optional, computed, default = false)]
    #[form(path)]
    remove_storages: bool,
    /// How many copies there are.
    #[attr(optional, computed, range(1..=7))]
    size: Option<i64>,
    /// How much data is expected: `100G`.
    #[attr(optional)]
    #[form(name = "target_size", sent)]
    target_size: Option<String>,
    /// Which part of all data is expected.
    #[attr(optional)]
    #[form(name = "target_size_ratio", sent)]
    target_size_ratio: Option<f64>,
}

#[stead_sdk::async_trait]
impl Hooks for CephPool {
    async fn fetch(&self, client: &Client, cx: &Context) -> Result<Json, Error> {
        let path = format!("{}/status", path::fill(Self::SPEC.item, self));
        // What it is used for is only told at length.
        let query = params([("verbose", "1".to_owned())]);
        client.get(cx, &doing("read", self), &path, &query).await
    }

    fn found(&mut self, answer: &Json) -> Result<bool, Unreadable> {
        let uses = answer.get("application_list").and_then(Json::as_array);
        let mut uses: Vec<_> = uses
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
            .collect();
        uses.sort_unstable();
        if let Some(first) = uses.first() {
            self.application = Some((*first).to_owned());
        }
        Ok(true)
    }

    fn removal(&self) -> Params {
        let option = |name: &str, field: &str| {
            let value = self.text(field).unwrap_or_default();
            (name.to_owned(), value)
        };
        vec![
            option("force", "force_destroy"),
            option("remove_ecprofile", "remove_ecprofile"),
            option("remove_storages", "remove_storages"),
        ]
    }
}

/// How the Ceph cluster is.
#[derive(Clone, Debug, DataSource, Form)]
#[data_source(name = "proxmox_ceph_status")]
pub(crate) struct CephStatus {
    /// The Ceph cluster's identifier.
    #[attr(computed)]
    #[form(read)]
    fsid: String,
    /// `HEALTH_OK`, `HEALTH_WARN` or `HEALTH_ERR`.
    #[attr(computed)]
    #[form(name = "health/status")]
    health_status: String,
    /// The Ceph cluster's identifier.
    #[attr(computed)]
    id: String,
    /// The node that is asked; without it the cluster is.
    #[attr(optional, length(1..))]
    #[form(path)]
    node_name: Option<String>,
    /// The monitors in the quorum.
    #[attr(computed)]
    #[form(name = "quorum_names")]
    quorum_names: Vec<String>,
}

#[stead_sdk::async_trait]
impl Hooks for CephStatus {
    async fn fetch(&self, client: &Client, cx: &Context) -> Result<Json, Error> {
        let path = match self.text("node_name") {
            Some(node) => format!("/nodes/{node}/ceph/status"),
            None => "/cluster/ceph/status".to_owned(),
        };
        let what = "read the status of Ceph";
        client.get(cx, what, &path, &Params::new()).await
    }

    fn found(&mut self, _answer: &Json) -> Result<bool, Unreadable> {
        Ok(!self.fsid.is_empty())
    }
}
