//! Access control: a role for somebody on a path.

use reqwest::Method;
use serde_json::Value as Json;
use stead_sdk::form::{Form as _, Params, Unreadable};
use stead_sdk::{Context, Error, Form, Resource};

use crate::access::grants;
use crate::client::{Client, flag, text};
use crate::rest::Hooks;
use crate::rest::object::doing;

const PATH: &str = "/access/acl";

/// A role for a user, a group or a token on a path.
#[derive(Clone, Debug, Resource, Form)]
#[resource(name = "proxmox_acl", alias = "proxmox_virtual_environment_acl")]
pub(crate) struct Acl {
    /// `PATH?WHO?ROLE`.
    #[attr(computed)]
    id: String,
    /// The group that gets the role.
    #[attr(optional, replace, exactly_one_of("group_id", "token_id", "user_id"))]
    #[form(name = "groups", create)]
    group_id: Option<String>,
    /// Where: `/`, `/vms/100`, `/storage/local`.
    #[attr(required, replace)]
    #[form(create)]
    path: String,
    /// Also below the path.
    #[attr(optional, computed, default = true)]
    propagate: bool,
    /// The role.
    #[attr(required, replace)]
    #[form(name = "roles", create)]
    role_id: String,
    /// The token that gets the role: `me@pve!ci`.
    #[attr(optional, replace)]
    #[form(name = "tokens", create)]
    token_id: Option<String>,
    /// The user who gets the role: `me@pve`.
    #[attr(optional, replace)]
    #[form(name = "users", create)]
    user_id: Option<String>,
}

impl Acl {
    /// Who gets the role, as the list of all grants has it.
    fn holder(&self) -> (&'static str, Option<&String>) {
        let of = |kind, id| (kind, id);
        if self.token_id.is_some() {
            of("token", self.token_id.as_ref())
        } else if self.user_id.is_some() {
            of("user", self.user_id.as_ref())
        } else {
            of("group", self.group_id.as_ref())
        }
    }

    async fn put(
        &self,
        verb: &str,
        client: &Client,
        form: &Params,
        cx: &Context,
    ) -> Result<Json, Error> {
        client
            .change(cx, Method::PUT, &doing(verb, self), PATH, form)
            .await
    }
}

#[stead_sdk::async_trait]
impl Hooks for Acl {
    fn part(&self, name: &str) -> Option<String> {
        match name {
            "who" => self.holder().1.cloned(),
            field => self.text(field),
        }
    }

    fn take_part(&mut self, name: &str, text: &str) -> Result<(), Unreadable> {
        let field = match name {
            "who" if text.contains('!') => "token_id",
            "who" if text.contains('@') => "user_id",
            "who" => "group_id",
            field => field,
        };
        self.assign(field, text)
    }

    async fn make(&self, client: &Client, form: &Params, cx: &Context) -> Result<Json, Error> {
        self.put("set", client, form, cx).await
    }

    /// The list has one entry for each: setting it once more changes it.
    async fn alter(
        &self,
        _prior: &Self,
        client: &Client,
        _form: &Params,
        cx: &Context,
    ) -> Result<(), Error> {
        self.put("set", client, &self.creation(), cx).await?;
        Ok(())
    }

    async fn fetch(&self, client: &Client, cx: &Context) -> Result<Json, Error> {
        grants::all(client, cx).await
    }

    fn found(&mut self, answer: &Json) -> Result<bool, Unreadable> {
        let (kind, holder) = self.holder();
        let own = answer.as_array().into_iter().flatten().find(|row| {
            text(row, "type").as_deref() == Some(kind)
                && text(row, "ugid").as_ref() == holder
                && text(row, "path").as_ref() == Some(&self.path)
                && text(row, "roleid").as_ref() == Some(&self.role_id)
        });
        if let Some(row) = own {
            self.propagate = flag(row, "propagate").unwrap_or(true);
        }
        Ok(own.is_some())
    }

    async fn remove(&self, client: &Client, cx: &Context) -> Result<(), Error> {
        let mut form = self.creation();
        form.push(("delete".to_owned(), "1".to_owned()));
        self.put("take away", client, &form, cx).await?;
        Ok(())
    }
}
