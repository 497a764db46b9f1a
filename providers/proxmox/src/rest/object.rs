//! The life of an object of a [`rest!`](crate::rest::rest) table.

use reqwest::Method;
use serde_json::Value as Json;
use stead_sdk::form::Params;
use stead_sdk::value::{Path, Value};
use stead_sdk::{Context, Error, Failure, Field};

use crate::client::{Client, text};
use crate::rest::{Clearing, Hooks, owned, path, unreadable};

/// What an object's requests say that they do: `create the HA group main`.
pub(crate) fn doing<T: Hooks>(verb: &str, object: &T) -> String {
    let spec = T::SPEC;
    let name = path::name(&spec, object);
    format!("{verb} the {} {name}", spec.what)
        .trim_end()
        .to_owned()
}

/// The object with the `id` that its key gives it.
fn identified<T: Hooks>(mut object: T) -> T {
    let id = path::id(&T::SPEC, &object);
    if !id.is_empty() {
        // A text as text: there is nothing to fail.
        let _ = object.assign("id", &id);
    }
    object
}

/// The object with what only its configuration has.
fn revealed<T: Hooks + Field>(mut object: T, config: &Value) -> Result<T, Error> {
    object.reveal(T::decode(config, &Path::root())?);
    Ok(object)
}

// What `Hooks` does unless a type does otherwise.

pub(crate) async fn make<T: Hooks>(
    object: &T,
    client: &Client,
    form: &Params,
    cx: &Context,
) -> Result<Json, Error> {
    let spec = T::SPEC;
    let what = doing(if spec.is_settings { "set" } else { "create" }, object);
    let (method, at) = match spec.item.rsplit_once('/') {
        _ if spec.is_settings => (Method::PUT, spec.item),
        Some((parent, _)) if spec.made_at.is_empty() => (Method::POST, parent),
        _ => (Method::POST, spec.made_at),
    };
    client
        .change_and_wait(cx, method, &what, &path::fill(at, object), form)
        .await
}

pub(crate) async fn alter<T: Hooks>(
    prior: &T,
    client: &Client,
    form: &Params,
    cx: &Context,
) -> Result<(), Error> {
    if form.is_empty() {
        return Ok(());
    }
    let (what, path) = (doing("change", prior), path::fill(T::SPEC.item, prior));
    client
        .change_and_wait(cx, Method::PUT, &what, &path, form)
        .await?;
    Ok(())
}

/// Reads at the object's path.
pub(crate) async fn get<T: Hooks>(
    object: &T,
    client: &Client,
    query: &Params,
    cx: &Context,
) -> Result<Json, Error> {
    let spec = T::SPEC;
    let path = path::fill(spec.item, object);
    let mut answer = client.get(cx, &doing("read", object), &path, query).await?;
    if let Some(rows) = answer.as_array_mut().filter(|_| !spec.sorted_by.is_empty()) {
        rows.sort_by_cached_key(|row| text(row, spec.sorted_by));
    }
    Ok(answer)
}

pub(crate) async fn fetch<T: Hooks>(
    object: &T,
    client: &Client,
    cx: &Context,
) -> Result<Json, Error> {
    get(object, client, &owned(T::SPEC.query), cx).await
}

pub(crate) async fn remove<T: Hooks>(
    object: &T,
    client: &Client,
    cx: &Context,
) -> Result<(), Error> {
    let path = path::fill(T::SPEC.item, object);
    let (method, what, form) = if T::SPEC.is_settings {
        let mut names: Vec<_> = object
            .creation()
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        names.dedup();
        if names.is_empty() {
            return Ok(());
        }
        let form = vec![("delete".to_owned(), names.join(","))];
        (Method::PUT, doing("reset", object), form)
    } else {
        (Method::DELETE, doing("delete", object), object.removal())
    };
    client
        .change_and_wait(cx, method, &what, &path, &form)
        .await?;
    Ok(())
}

// The life.

pub(crate) async fn create<T: Hooks + Field + Clone + Send>(
    client: &Client,
    planned: T,
    config: &Value,
    cx: &Context,
) -> Result<T, Failure<T>> {
    let mut object = revealed(planned, config)?;
    let mut form = owned(T::SPEC.kind);
    form.extend(object.creation());
    object.send(None, &mut form);
    let answer = object.make(client, &form, cx).await?;
    object.made(&answer);
    completed(client, identified(object), None, cx).await
}

pub(crate) async fn update<T: Hooks + Field + Clone + Send>(
    client: &Client,
    prior: T,
    planned: T,
    config: &Value,
    cx: &Context,
) -> Result<T, Failure<T>> {
    let object = revealed(planned, config)?;
    let changes = object.changes(&prior);
    let mut form = changes.set;
    match T::SPEC.clearing {
        _ if changes.cleared.is_empty() => {}
        Clearing::Delete => form.push(("delete".to_owned(), changes.cleared.join(","))),
        Clearing::DeleteEach => {
            let delete = |name: &&str| ("delete".to_owned(), (*name).to_owned());
            form.extend(changes.cleared.iter().map(delete));
        }
        Clearing::Empty => {
            let empty = |name: &&str| ((*name).to_owned(), String::new());
            form.extend(changes.cleared.iter().map(empty));
        }
    }
    if T::SPEC.kind_in_changes && !form.is_empty() {
        form.extend(owned(T::SPEC.kind));
    }
    object.send(Some(&prior), &mut form);
    object.alter(&prior, client, &form, cx).await?;
    completed(client, identified(object), Some(prior), cx).await
}

/// The object with what belongs to it, and what the server fills in.
async fn completed<T: Hooks + Clone + Send>(
    client: &Client,
    mut object: T,
    prior: Option<T>,
    cx: &Context,
) -> Result<T, Failure<T>> {
    object.finish();
    if let Err(error) = object.complement(prior.as_ref(), client, cx).await {
        return Err(Failure::partial(error, object));
    }
    if !T::COMPUTES {
        return Ok(object);
    }
    match read(client, object.clone(), cx).await {
        Ok(Some(found)) => {
            object.complete(found);
            Ok(object)
        }
        Ok(None) => {
            let error = Error::not_found(doing("read", &object), "it is gone again");
            Err(Failure::partial(error, object))
        }
        Err(error) => Err(Failure::partial(error, object)),
    }
}

/// The object that a plan names.
pub(crate) fn named<T: Hooks + Clone>(planned: &T) -> Option<T> {
    path::is_named(&T::SPEC, planned).then(|| identified(planned.clone()))
}

pub(crate) async fn read<T: Hooks + Send>(
    client: &Client,
    prior: T,
    cx: &Context,
) -> Result<Option<T>, Error> {
    let answer = match prior.fetch(client, cx).await {
        Err(e) if e.is_not_found() => return Ok(None),
        other => other?,
    };
    let mut object = prior;
    check_kind(&object, &answer)?;
    let found = object
        .absorb(&answer)
        .and_then(|()| object.found(&answer))
        .map_err(|e| {
            let path = path::fill(T::SPEC.item, &object);
            unreadable(&doing("read", &object), &path, e)
        })?;
    Ok(found.then(|| identified(object)))
}

/// Refuses an object of another kind that has the name.
pub(crate) fn check_kind<T: Hooks>(object: &T, answer: &Json) -> Result<(), Error> {
    for (name, expected) in T::SPEC.kind {
        if let Some(found) = text(answer, name).filter(|found| found != expected) {
            let said = format!("its {name} is {found}, and not {expected}");
            let remedy = "Use the resource type for that, or another name.";
            return Err(Error::new(doing("read", object), said).remedy(remedy));
        }
    }
    Ok(())
}

pub(crate) async fn delete<T: Hooks + Send>(
    client: &Client,
    prior: T,
    cx: &Context,
) -> Result<(), Error> {
    match prior.remove(client, cx).await {
        Err(e) if e.is_not_found() => Ok(()),
        // Not every server says so of what is gone already.
        Err(e) => match read(client, prior, cx).await {
            Ok(None) => Ok(()),
            _ => Err(e),
        },
        Ok(()) => Ok(()),
    }
}

pub(crate) fn import<T: Hooks>(id: &str) -> Result<T, Error> {
    let spec = T::SPEC;
    let asked = || format!("import the {} {id}", spec.what);
    let parts = path::parse(&spec, id).map_err(|form| {
        Error::new(asked(), "the identifier has another form")
            .remedy(format!("Write it as `{form}`."))
    })?;
    let mut object = T::blank();
    for (name, text) in parts {
        object
            .take_part(name, text)
            .map_err(|_| Error::new(asked(), format!("`{text}` is no {name}")))?;
    }
    Ok(identified(object))
}
