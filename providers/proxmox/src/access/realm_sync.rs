//! Synchronizations of realms: users and groups fetched from a directory.

use stead_sdk::form::{Form as _, Params};
use stead_sdk::{Context, Error, Form, Resource};

use crate::client::Client;
use crate::rest::{Hooks, object};

/// A synchronization of a realm: done when this is made, and again whenever it changes. Deleting it undoes nothing.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_realm_sync",
    alias = "proxmox_virtual_environment_realm_sync"
)]
pub(crate) struct RealmSync {
    /// The realm's name.
    #[attr(computed)]
    id: String,
    /// Write nothing: the task's log tells what would be done.
    #[attr(optional)]
    #[form(sent)]
    dry_run: Option<bool>,
    /// Let new users log in at once.
    #[attr(optional)]
    #[form(sent)]
    enable_new: Option<bool>,
    /// The older way to write `remove_vanished`.
    #[attr(optional, deprecated = "Use remove_vanished.")]
    #[form(sent)]
    full: Option<bool>,
    /// The older way to write `remove_vanished`.
    #[attr(optional, deprecated = "Use remove_vanished.")]
    #[form(sent)]
    purge: Option<bool>,
    /// The realm.
    #[attr(required, replace)]
    #[form(path)]
    realm: String,
    /// What becomes of those that the directory has no more: `acl;properties;entry`, any of them, or `none`.
    #[attr(optional)]
    #[form(sent)]
    remove_vanished: Option<String>,
    /// What is fetched.
    #[attr(optional, one_of("users", "groups", "both"))]
    #[form(sent)]
    scope: Option<String>,
}

#[stead_sdk::async_trait]
impl Hooks for RealmSync {
    async fn alter(
        &self,
        _prior: &Self,
        client: &Client,
        _form: &Params,
        cx: &Context,
    ) -> Result<(), Error> {
        object::make(self, client, &self.creation(), cx).await?;
        Ok(())
    }

    /// What was fetched stays.
    async fn remove(&self, _client: &Client, _cx: &Context) -> Result<(), Error> {
        Ok(())
    }
}
