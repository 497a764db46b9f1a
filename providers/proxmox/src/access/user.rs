//! Users, in the older form of the published provider.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value as Json;
use stead_sdk::form::Unreadable;
use stead_sdk::value::Sensitive;
use stead_sdk::{Context, DataSource, Error, Form, Resource};

use crate::access::expiry;
use crate::access::grants::{self, Grant, Holder};
use crate::client::{Client, flag, number, params, text};
use crate::rest::patterns::DATE;
use crate::rest::{Hooks, object};

/// A user of the cluster.
#[derive(Clone, Debug, Resource, Form)]
#[resource(name = "proxmox_virtual_environment_user", legacy)]
pub(crate) struct User {
    /// The user's name.
    #[attr(optional, computed)]
    id: String,
    /// What the user may do. Better written as resources of the type `proxmox_acl`.
    #[attr(block(set), deprecated = "Use proxmox_acl.")]
    #[form(read)]
    acl: Vec<Grant>,
    /// What people should know.
    #[attr(optional, default = "")]
    comment: String,
    /// Where mail goes.
    #[attr(optional, default = "")]
    email: String,
    /// Whether the user may log in.
    #[attr(optional, default = true)]
    #[form(name = "enable")]
    enabled: bool,
    /// When the user may not log in any more, in RFC 3339; the beginning of 1970 is never.
    #[attr(optional, default = "1970-01-01T00:00:00Z", pattern(DATE))]
    #[form(name = "expire", with = expiry::always_said)]
    expiration_date: Option<String>,
    /// The first name.
    #[attr(optional, default = "")]
    #[form(name = "firstname")]
    first_name: String,
    /// The groups that the user is in.
    #[attr(optional)]
    groups: BTreeSet<String>,
    /// Keys of a second factor.
    #[attr(optional, default = "")]
    keys: String,
    /// The last name.
    #[attr(optional, default = "")]
    #[form(name = "lastname")]
    last_name: String,
    /// The password, in the realm `pve`. The server does not tell it again.
    #[attr(optional, sensitive)]
    #[form(create)]
    password: Option<Sensitive<String>>,
    /// The name with its realm: `me@pve`.
    #[attr(required, replace)]
    #[form(name = "userid", create)]
    user_id: String,
}

#[stead_sdk::async_trait]
impl Hooks for User {
    fn left_alone(row: &Json) -> Option<&'static str> {
        let is_root = text(row, "userid").as_deref() == Some("root@pam");
        is_root.then_some("the administrator that every cluster has")
    }

    async fn fetch(&self, client: &Client, cx: &Context) -> Result<Json, Error> {
        let user = object::fetch(self, client, cx).await?;
        if self.acl.is_empty() {
            return Ok(user);
        }
        grants::beside(user, Holder::User, &self.user_id, client, cx).await
    }

    async fn complement(
        &self,
        prior: Option<&Self>,
        client: &Client,
        cx: &Context,
    ) -> Result<(), Error> {
        if let (Some(prior), Some(password)) = (prior, &self.password) {
            let before = prior.password.as_ref().map(Sensitive::expose_secret);
            if before != Some(password.expose_secret()) {
                let form = params([
                    ("userid", self.user_id.clone()),
                    ("password", password.expose_secret().clone()),
                ]);
                let what = format!("change the password of {}", self.user_id);
                client
                    .change(cx, Method::PUT, &what, "/access/password", &form)
                    .await?;
            }
        }
        let before = prior.map_or(&[] as &[Grant], |prior| &prior.acl);
        grants::settle(before, &self.acl, Holder::User, &self.user_id, client, cx).await
    }
}

/// A user of the cluster.
#[derive(Clone, Debug, DataSource, Form)]
#[data_source(name = "proxmox_virtual_environment_user")]
pub(crate) struct UserData {
    /// The user's name.
    #[attr(optional, computed)]
    id: String,
    /// What the user may do.
    #[attr(computed, set)]
    acl: Vec<Grant>,
    /// What people should know.
    #[attr(computed)]
    comment: String,
    /// Where mail goes.
    #[attr(computed)]
    email: String,
    /// Whether the user may log in.
    #[attr(computed)]
    #[form(skip)]
    enabled: bool,
    /// When the user may not log in any more, in RFC 3339; the beginning of 1970 is never.
    #[attr(computed)]
    #[form(name = "expire", with = expiry::always_said)]
    expiration_date: Option<String>,
    /// The first name.
    #[attr(computed)]
    #[form(name = "firstname")]
    first_name: String,
    /// The groups that the user is in.
    #[attr(computed)]
    groups: Vec<String>,
    /// Keys of a second factor.
    #[attr(computed)]
    keys: String,
    /// The last name.
    #[attr(computed)]
    #[form(name = "lastname")]
    last_name: String,
    /// The name with its realm: `me@pve`.
    #[attr(required)]
    #[form(path)]
    user_id: String,
}

#[stead_sdk::async_trait]
impl Hooks for UserData {
    async fn fetch(&self, client: &Client, cx: &Context) -> Result<Json, Error> {
        let user = object::fetch(self, client, cx).await?;
        grants::beside(user, Holder::User, &self.user_id, client, cx).await
    }

    fn found(&mut self, answer: &Json) -> Result<bool, Unreadable> {
        self.enabled = flag(answer, "enable").unwrap_or(true);
        self.groups.sort();
        Ok(true)
    }
}

/// The users of the cluster, one list for each of their properties.
#[derive(Clone, Debug, DataSource, Form)]
#[data_source(name = "proxmox_virtual_environment_users")]
pub(crate) struct Users {
    /// Always `users`.
    #[attr(optional, computed)]
    id: String,
    /// What people should know.
    #[attr(computed)]
    #[form(rows = "comment")]
    comments: Vec<String>,
    /// Where mail goes.
    #[attr(computed)]
    #[form(rows = "email")]
    emails: Vec<String>,
    /// Whether they may log in.
    #[attr(computed)]
    #[form(skip)]
    enabled: Vec<bool>,
    /// When they may not log in any more, in RFC 3339; the beginning of 1970 is never.
    #[attr(computed)]
    #[form(skip)]
    expiration_dates: Vec<String>,
    /// The first names.
    #[attr(computed)]
    #[form(rows = "firstname")]
    first_names: Vec<String>,
    /// The groups that each is in.
    #[attr(computed)]
    #[form(rows = "groups")]
    groups: Vec<Vec<String>>,
    /// Keys of second factors.
    #[attr(computed)]
    #[form(rows = "keys")]
    keys: Vec<String>,
    /// The last names.
    #[attr(computed)]
    #[form(rows = "lastname")]
    last_names: Vec<String>,
    /// The names with their realms.
    #[attr(computed)]
    #[form(rows = "userid")]
    user_ids: Vec<String>,
}

impl Hooks for Users {
    fn found(&mut self, answer: &Json) -> Result<bool, Unreadable> {
        let rows = answer.as_array().map(Vec::as_slice).unwrap_or_default();
        self.enabled = rows
            .iter()
            .map(|row| flag(row, "enable").unwrap_or(true))
            .collect();
        let dates = rows.iter().map(|row| number(row, "expire").unwrap_or(0));
        self.expiration_dates = dates.map(expiry::date).collect::<Result<_, _>>()?;
        self.groups.iter_mut().for_each(|groups| groups.sort());
        Ok(true)
    }
}
