//! API tokens of users.

use serde_json::Value as Json;
use stead_sdk::value::Sensitive;
use stead_sdk::value::schema::Pattern;
use stead_sdk::{Context, Error, Form, Resource};

use crate::access::expiry;
use crate::client::{Client, text};
use crate::property::percent_encode;
use crate::rest::discovery::{each, rows};
use crate::rest::patterns::DATE;
use crate::rest::{Existing, Hooks};

const NAME: Pattern = Pattern {
    regex: "[A-Za-z][A-Za-z0-9._-]+",
    form: "a token's name: a letter, then letters, digits, `.`, `-` and `_`",
};

/// An API token of a user.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_user_token",
    alias = "proxmox_virtual_environment_user_token"
)]
pub(crate) struct UserToken {
    /// `USER@REALM!NAME`.
    #[attr(computed)]
    id: String,
    /// What the token is for.
    #[attr(optional)]
    comment: Option<String>,
    /// When it stops working, in RFC 3339; never, if not said.
    #[attr(optional, pattern(DATE))]
    #[form(name = "expire", with = expiry)]
    expiration_date: Option<String>,
    /// Give the token privileges of its own, within those of its user; otherwise it has all of them.
    #[attr(optional, computed, default = true)]
    #[form(name = "privsep")]
    privileges_separation: bool,
    /// The token's name among those of its user.
    #[attr(required, replace, pattern(NAME))]
    #[form(path)]
    token_name: String,
    /// The user, with the realm.
    #[attr(required, replace)]
    #[form(path)]
    user_id: String,
    /// `USER@REALM!NAME=SECRET`, as requests carry it. The server tells the secret once, when it makes the token.
    #[attr(computed, sensitive)]
    #[form(skip)]
    value: Option<Sensitive<String>>,
}

#[stead_sdk::async_trait]
impl Hooks for UserToken {
    /// Every user has a list of tokens. Their secrets are told to nobody.
    async fn list(client: &Client, cx: &Context) -> Result<Vec<Existing>, Error> {
        let users = client.rows(cx, "/access/users").await?;
        let users = users.iter().filter_map(|user| text(user, "userid"));
        each(users.collect(), async |user| {
            let path = format!("/access/users/{}/token", percent_encode(&user));
            let members = [("token_name", "tokenid")];
            rows::<UserToken>(client, cx, &path, &[("user_id", &user)], &members).await
        })
        .await
    }

    fn made(&mut self, answer: &Json) {
        let whole = text(answer, "full-tokenid").zip(text(answer, "value"));
        self.value = whole.map(|(id, secret)| Sensitive::new(format!("{id}={secret}")));
    }
}
