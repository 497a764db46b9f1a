//! What exists of the types of the tables.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value as Json;
use stead_sdk::{Context, Discovered, Error};

use crate::client::{AT_ONCE, Client, text};
use crate::rest::{Hooks, object, path};

/// How what exists of a type is found.
#[derive(Clone, Copy)]
pub(crate) enum Listed {
    /// It is not.
    Not,
    /// A list has a row for each. With it: which members are the parts of the identifier, where they are not called like these.
    /// `{node_name}` in the path stands for every node.
    Rows(&'static str, &'static [(&'static str, &'static str)]),
    /// There is one, always; of settings, if any is set.
    One,
    /// Every node has one; of settings, if any is set.
    Nodes,
    /// As the type's [`Hooks::list`] says.
    Otherwise,
}

impl Listed {
    pub(crate) const fn is_listed(self) -> bool {
        !matches!(self, Listed::Not)
    }
}

/// An object that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Existing {
    /// By which it is imported.
    pub(crate) id: String,
    /// As [`Discovered::left_alone`].
    pub(crate) left_alone: Option<&'static str>,
}

impl Existing {
    pub(crate) fn new(id: impl Into<String>) -> Existing {
        Existing {
            id: id.into(),
            left_alone: None,
        }
    }
}

/// What tells the object from all others.
pub(crate) fn key<T: Hooks>(object: &T) -> String {
    path::key(&T::SPEC, object)
}

pub(crate) async fn discover<T: Hooks + Send>(
    client: &Client,
    cx: &Context,
) -> Result<Vec<Discovered>, Error> {
    let existing = T::list(client, cx).await?;
    let discovered = existing.into_iter().map(|existing| {
        let object = object::import::<T>(&existing.id)?;
        Ok(Discovered {
            key: key(&object),
            name: existing.id.clone(),
            id: existing.id,
            left_alone: existing.left_alone,
        })
    });
    discovered.collect()
}

/// Calls on every one of `of` at the same time, within reason; all results, in their order.
pub(crate) async fn each<A, T, F: Future<Output = Result<Vec<T>, Error>>>(
    of: Vec<A>,
    call: impl Fn(A) -> F,
) -> Result<Vec<T>, Error> {
    let all: Vec<Vec<T>> = stream::iter(of.into_iter().map(call))
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(all.into_iter().flatten().collect())
}

/// What [`Hooks::list`] does unless a type does otherwise.
pub(crate) async fn list<T: Hooks>(client: &Client, cx: &Context) -> Result<Vec<Existing>, Error> {
    let spec = T::SPEC;
    match spec.listed {
        Listed::Not | Listed::Otherwise => Ok(Vec::new()),
        Listed::One => {
            let only = T::blank();
            let id = path::imported_by(&spec, |field| only.part(field));
            unless_unset::<T>(client, cx, id.unwrap_or_default()).await
        }
        Listed::Nodes => {
            let nodes = client.nodes(cx).await?;
            each(nodes, async |node| {
                let id = path::imported_by(&spec, |_| Some(node.clone()));
                unless_unset::<T>(client, cx, id.unwrap_or_default()).await
            })
            .await
        }
        Listed::Rows(path, members) if path.contains("{node_name}") => {
            let nodes = client.nodes(cx).await?;
            each(nodes, async |node| {
                let path = path.replace("{node_name}", &node);
                rows::<T>(client, cx, &path, &[("node_name", &node)], members).await
            })
            .await
        }
        Listed::Rows(path, members) => rows::<T>(client, cx, path, &[], members).await,
    }
}

/// The objects of a list, whose `parents` stand in its path.
pub(crate) async fn rows<T: Hooks>(
    client: &Client,
    cx: &Context,
    path: &str,
    parents: &[(&str, &str)],
    members: &[(&str, &str)],
) -> Result<Vec<Existing>, Error> {
    let spec = T::SPEC;
    let of = |pairs: &[(&str, &str)], name: &str| {
        let found = pairs.iter().find(|(part, _)| *part == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let mut kept = Vec::new();
    for row in client.rows(cx, path).await? {
        let is_kind = |(member, kind): &(&str, &str)| text(&row, member).is_none_or(|k| k == *kind);
        if !spec.kind.iter().all(is_kind) {
            continue;
        }
        let part = |name: &str| {
            let member = of(members, name).unwrap_or_else(|| name.to_owned());
            of(parents, name).or_else(|| text(&row, &member))
        };
        if let Some(id) = path::imported_by(&spec, part) {
            let left_alone = T::left_alone(&row);
            kept.push(Existing { id, left_alone });
        }
    }
    kept.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(kept)
}

/// What always exists, unless it is settings of which none is set.
async fn unless_unset<T: Hooks>(
    client: &Client,
    cx: &Context,
    id: String,
) -> Result<Vec<Existing>, Error> {
    if T::SPEC.is_settings {
        let path = path::fill(T::SPEC.item, &object::import::<T>(&id)?);
        let settings = client.listed(cx, &path).await?;
        if !is_set(&settings) {
            return Ok(Vec::new());
        }
    }
    Ok(vec![Existing::new(id)])
}

/// Whether an answer with settings says anything: each has a digest.
pub(crate) fn is_set(settings: &Json) -> bool {
    let members = settings.as_object().into_iter().flatten();
    members.into_iter().any(|(name, _)| name != "digest")
}
