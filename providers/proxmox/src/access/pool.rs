//! Pools: guests and storages under one name, and what belongs to them.

use reqwest::Method;
use serde_json::Value as Json;
use stead_sdk::form::{Form as _, Params, Unreadable};
use stead_sdk::{Block, Context, DataSource, Error, Form, Resource};

use crate::client::{Client, number, params, text};
use crate::property::percent_encode;
use crate::rest::discovery::each;
use crate::rest::object::{self, doing, get};
use crate::rest::{Existing, Hooks};

/// Names of pools may hold slashes: they go as a parameter, not in the path.
fn query(pool: &str) -> Params {
    params([("poolid", pool.to_owned())])
}

/// The one row of the answer.
async fn fetch<T: Hooks>(of: &T, pool: &str, client: &Client, cx: &Context) -> Result<Json, Error> {
    let mut answer = get(of, client, &query(pool), cx).await?;
    let row = answer.get_mut(0).map(Json::take);
    let mut row = row.ok_or_else(|| Error::not_found(doing("read", of), "there is none"))?;
    if let Some(members) = row.get_mut("members").and_then(Json::as_array_mut) {
        members.sort_by_cached_key(|member| text(member, "id"));
    }
    Ok(row)
}

/// A pool of guests and storages.
#[derive(Clone, Debug, Resource, Form)]
#[resource(name = "proxmox_virtual_environment_pool", legacy)]
pub(crate) struct Pool {
    /// The pool's name.
    #[attr(optional, computed)]
    id: String,
    /// What the pool is for.
    #[attr(optional, default = "")]
    comment: String,
    /// What is in it.
    #[attr(computed)]
    members: Vec<Member>,
    /// The pool's name.
    #[attr(required, replace)]
    #[form(name = "poolid", create)]
    pool_id: String,
}

/// A guest or storage in a pool.
#[derive(Clone, Debug, Block, Form)]
pub(crate) struct Member {
    /// The storage, if it is one.
    #[attr(computed)]
    #[form(name = "storage")]
    datastore_id: String,
    /// Such as `qemu/100`.
    #[attr(computed)]
    id: String,
    /// The node that has it.
    #[attr(computed)]
    #[form(name = "node")]
    node_name: String,
    /// `qemu`, `lxc` or `storage`.
    #[attr(computed)]
    r#type: String,
    /// The guest's identifier, if it is one.
    #[attr(computed)]
    #[form(name = "vmid")]
    vm_id: i64,
}

#[stead_sdk::async_trait]
impl Hooks for Pool {
    async fn make(&self, client: &Client, form: &Params, cx: &Context) -> Result<Json, Error> {
        let what = doing("create", self);
        client.change(cx, Method::POST, &what, "/pools", form).await
    }

    async fn fetch(&self, client: &Client, cx: &Context) -> Result<Json, Error> {
        fetch(self, &self.pool_id, client, cx).await
    }

    async fn alter(
        &self,
        prior: &Self,
        client: &Client,
        form: &Params,
        cx: &Context,
    ) -> Result<(), Error> {
        let mut form = form.clone();
        form.extend(query(&prior.pool_id));
        object::alter(prior, client, &form, cx).await
    }

    fn removal(&self) -> Params {
        query(&self.pool_id)
    }
}

/// The pools of the cluster.
#[derive(Clone, Debug, DataSource, Form)]
#[data_source(name = "proxmox_virtual_environment_pools")]
pub(crate) struct Pools {
    /// Always `pools`.
    #[attr(optional, computed)]
    id: String,
    /// The pools' names.
    #[attr(computed)]
    #[form(rows = "poolid")]
    pool_ids: Vec<String>,
}

/// A guest or a storage in a pool.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_pool_membership",
    alias = "proxmox_virtual_environment_pool_membership"
)]
pub(crate) struct Membership {
    /// `POOL/vm/100` or `POOL/storage/local`.
    #[attr(computed)]
    id: String,
    /// The pool.
    #[attr(required, replace)]
    #[form(name = "poolid", create)]
    pool_id: String,
    /// The storage, if it is one.
    #[attr(optional, replace, exactly_one_of("storage_id", "vm_id"))]
    #[form(name = "storage", create)]
    storage_id: Option<String>,
    /// `vm` for machines and containers, `storage` for storages.
    #[attr(computed)]
    #[form(skip)]
    r#type: Option<String>,
    /// The machine or container, if it is one.
    #[attr(optional, replace)]
    #[form(name = "vms", create)]
    vm_id: Option<i64>,
}

impl Membership {
    fn kind(&self) -> &'static str {
        match self.storage_id {
            Some(_) => "storage",
            None => "vm",
        }
    }

    async fn put(
        &self,
        verb: &str,
        option: &str,
        client: &Client,
        cx: &Context,
    ) -> Result<Json, Error> {
        let mut form = self.creation();
        form.push((option.to_owned(), "1".to_owned()));
        client
            .change(cx, Method::PUT, &doing(verb, self), "/pools", &form)
            .await
    }
}

#[stead_sdk::async_trait]
impl Hooks for Membership {
    /// Those of storages: a guest says itself which pool it is in.
    async fn list(client: &Client, cx: &Context) -> Result<Vec<Existing>, Error> {
        let pools = client.rows(cx, "/pools").await?;
        let pools = pools.iter().filter_map(|pool| text(pool, "poolid"));
        each(pools.collect(), async |pool| {
            let path = format!("/pools?poolid={}", percent_encode(&pool));
            let found = client.rows(cx, &path).await?;
            let members = found
                .iter()
                .filter_map(|row| row.get("members")?.as_array());
            let storages = members.flatten().filter_map(|row| text(row, "storage"));
            let ids = storages.map(|storage| format!("{pool}/storage/{storage}"));
            let mut ids: Vec<_> = ids.collect();
            // A storage that is not shared is there once for each node.
            ids.sort();
            ids.dedup();
            Ok(ids.into_iter().map(Existing::new).collect())
        })
        .await
    }

    fn part(&self, name: &str) -> Option<String> {
        match name {
            "type" => Some(self.kind().to_owned()),
            "member" => self.text("vm_id").or_else(|| self.text("storage_id")),
            field => self.text(field),
        }
    }

    fn take_part(&mut self, name: &str, text: &str) -> Result<(), Unreadable> {
        match (name, text) {
            ("type", "vm" | "storage") => {
                self.r#type = Some(text.to_owned());
                Ok(())
            }
            ("type", _) => Err(Unreadable::new("`vm` or `storage`")),
            ("member", _) if self.r#type.as_deref() == Some("vm") => self.assign("vm_id", text),
            ("member", _) => self.assign("storage_id", text),
            (field, _) => self.assign(field, text),
        }
    }

    /// A guest that is in another pool moves.
    async fn make(&self, client: &Client, _form: &Params, cx: &Context) -> Result<Json, Error> {
        self.put("add", "allow-move", client, cx).await
    }

    fn made(&mut self, _answer: &Json) {
        self.r#type = Some(self.kind().to_owned());
    }

    async fn fetch(&self, client: &Client, cx: &Context) -> Result<Json, Error> {
        fetch(self, &self.pool_id, client, cx).await
    }

    fn found(&mut self, answer: &Json) -> Result<bool, Unreadable> {
        self.r#type = Some(self.kind().to_owned());
        let members = answer.get("members").and_then(Json::as_array);
        let is_this = |member: &Json| match &self.storage_id {
            Some(storage) => text(member, "storage").as_ref() == Some(storage),
            None => self.vm_id.is_some() && number(member, "vmid") == self.vm_id,
        };
        Ok(members.is_some_and(|members| members.iter().any(is_this)))
    }

    async fn remove(&self, client: &Client, cx: &Context) -> Result<(), Error> {
        self.put("remove", "delete", client, cx).await?;
        Ok(())
    }
}
