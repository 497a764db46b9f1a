//! What a user or group may do, written as blocks of the user or group itself: the older way, beside the type `proxmox_acl`.

use reqwest::Method;
use serde_json::Value as Json;
use stead_sdk::{Block, Context, Error, Form};

use crate::client::{Client, Params, params, text};

/// A role on a path.
#[derive(Clone, Debug, PartialEq, Eq, Block, Form)]
pub(crate) struct Grant {
    /// Where: `/vms/100`, `/storage`.
    #[attr(required)]
    path: String,
    /// Also below the path.
    #[attr(optional, default = false)]
    propagate: bool,
    /// The role.
    #[attr(required)]
    #[form(name = "roleid")]
    role_id: String,
}

/// Who may do it.
#[derive(Clone, Copy)]
pub(crate) enum Holder {
    User,
    Group,
}

impl Holder {
    /// As the list of all grants calls it, and as the parameter of a change.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Holder::User => ("user", "users"),
            Holder::Group => ("group", "groups"),
        }
    }
}

/// All grants of the cluster.
pub(crate) async fn all(client: &Client, cx: &Context) -> Result<Json, Error> {
    client
        .get(cx, "read the access list", "/access/acl", &Params::new())
        .await
}

/// The answer that describes a holder, with its grants as the member `acl`.
pub(crate) async fn beside(
    mut answer: Json,
    holder: Holder,
    id: &str,
    client: &Client,
    cx: &Context,
) -> Result<Json, Error> {
    let all = all(client, cx).await?;
    let (kind, _) = holder.words();
    let own = all.as_array().into_iter().flatten().filter(|row| {
        text(row, "type").as_deref() == Some(kind) && text(row, "ugid").as_deref() == Some(id)
    });
    let own: Vec<Json> = own.cloned().collect();
    if let Some(members) = answer.as_object_mut() {
        members.insert("acl".to_owned(), own.into());
    }
    Ok(answer)
}

/// Takes away what is no longer granted, and grants what is new.
pub(crate) async fn settle(
    before: &[Grant],
    after: &[Grant],
    holder: Holder,
    id: &str,
    client: &Client,
    cx: &Context,
) -> Result<(), Error> {
    let has = |grants: &[Grant], path: &str, role: &str| {
        grants.iter().any(|g| g.path == path && g.role_id == role)
    };
    let gone = before.iter().filter(|g| !has(after, &g.path, &g.role_id));
    let new = after.iter().filter(|g| !before.contains(g));
    let steps = gone.map(|g| (g, true)).chain(new.map(|g| (g, false)));
    for (grant, take) in steps {
        let (_, parameter) = holder.words();
        let form = params([
            ("path", grant.path.clone()),
            ("roles", grant.role_id.clone()),
            ("propagate", i32::from(grant.propagate).to_string()),
            (parameter, id.to_owned()),
            ("delete", i32::from(take).to_string()),
        ]);
        let verb = if take { "take from" } else { "give to" };
        let what = format!("{verb} {id} the role {} on {}", grant.role_id, grant.path);
        client
            .change(cx, Method::PUT, &what, "/access/acl", &form)
            .await?;
    }
    Ok(())
}
