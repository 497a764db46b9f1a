//! Groups of users, in the older form of the published provider.

use std::collections::BTreeSet;

use serde_json::Value as Json;
use stead_sdk::{Context, DataSource, Error, Form, Resource};

use crate::access::grants::{self, Grant, Holder};
use crate::client::Client;
use crate::rest::{Hooks, object};

/// A group of users.
#[derive(Clone, Debug, Resource, Form)]
#[resource(name = "proxmox_virtual_environment_group", legacy)]
pub(crate) struct Group {
    /// The group's name.
    #[attr(optional, computed)]
    id: String,
    /// What the members may do. Better written as resources of the type `proxmox_acl`.
    #[attr(block(set), deprecated = "Use proxmox_acl.")]
    #[form(read)]
    acl: Vec<Grant>,
    /// What the group is for.
    #[attr(optional, default = "")]
    comment: String,
    /// The group's name.
    #[attr(required, replace)]
    #[form(name = "groupid", create)]
    group_id: String,
    /// The users in it.
    #[attr(computed)]
    members: BTreeSet<String>,
}

#[stead_sdk::async_trait]
impl Hooks for Group {
    async fn fetch(&self, client: &Client, cx: &Context) -> Result<Json, Error> {
        let group = object::fetch(self, client, cx).await?;
        if self.acl.is_empty() {
            return Ok(group);
        }
        grants::beside(group, Holder::Group, &self.group_id, client, cx).await
    }

    async fn complement(
        &self,
        prior: Option<&Self>,
        client: &Client,
        cx: &Context,
    ) -> Result<(), Error> {
        let before = prior.map_or(&[] as &[Grant], |prior| &prior.acl);
        grants::settle(before, &self.acl, Holder::Group, &self.group_id, client, cx).await
    }
}

/// A group of users.
#[derive(Clone, Debug, DataSource, Form)]
#[data_source(name = "proxmox_virtual_environment_group")]
pub(crate) struct GroupData {
    /// The group's name.
    #[attr(optional, computed)]
    id: String,
    /// What the members may do.
    #[attr(computed, set)]
    acl: Vec<Grant>,
    /// What the group is for.
    #[attr(computed)]
    comment: String,
    /// The group's name.
    #[attr(required)]
    #[form(path)]
    group_id: String,
    /// The users in it.
    #[attr(computed)]
    members: BTreeSet<String>,
}

#[stead_sdk::async_trait]
impl Hooks for GroupData {
    async fn fetch(&self, client: &Client, cx: &Context) -> Result<Json, Error> {
        let group = object::fetch(self, client, cx).await?;
        grants::beside(group, Holder::Group, &self.group_id, client, cx).await
    }
}

/// The groups of the cluster, one list for each of their properties.
#[derive(Clone, Debug, DataSource, Form)]
#[data_source(name = "proxmox_virtual_environment_groups")]
pub(crate) struct Groups {
    /// Always `groups`.
    #[attr(optional, computed)]
    id: String,
    /// What the groups are for.
    #[attr(computed)]
    #[form(rows = "comment")]
    comments: Vec<String>,
    /// The groups' names.
    #[attr(computed)]
    #[form(rows = "groupid")]
    group_ids: Vec<String>,
}
