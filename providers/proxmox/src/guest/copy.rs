//! Cloning: as many copies of one template at a time as its lock lets through, to the node where they are wanted.

use std::time::Duration;

use reqwest::Method;
use stead_sdk::{Context, Error};

use crate::client::{Client, Params, params};
use crate::guest::{Guest, Kind, with_identifier};
use crate::property::Properties;

/// So many copies of one source at a time. They share the lock of a source that is off, and take turns at that of a storage, which waits
/// for 10 s (`PVE::Storage::cluster_lock_storage`); what nevertheless comes too late is tried again.
const COPIES: usize = 10;

/// What is to be copied, and to where.
pub(crate) struct Copy<'a> {
    pub(crate) kind: Kind,
    pub(crate) source: i64,
    /// The next free one when it is not named.
    pub(crate) wanted: Option<i64>,
    pub(crate) full: bool,
    pub(crate) node: &'a str,
    /// Where the disks of a full copy go; empty where they are.
    pub(crate) storage: &'a str,
    /// Further parameters; those without a value are left out.
    pub(crate) more: Vec<(&'a str, &'a str)>,
    pub(crate) attempts: i64,
    pub(crate) timeout: Duration,
}

/// Makes the copy, and says its identifier. `announce` is told of it before it is asked for.
pub(crate) async fn copy<F>(
    client: &Client,
    cx: &Context,
    order: &Copy<'_>,
    announce: impl Fn(i64) -> F,
) -> Result<i64, Error>
where
    F: Future<Output = Result<(), Error>>,
{
    let noun = order.kind.noun();
    let what = format!("clone {noun} {}", order.source);
    let source = Guest::find(client, cx, order.kind, order.source).await?;
    let (source, row) = source.ok_or_else(|| {
        let said = format!("there is no such {noun} in the cluster");
        Error::not_found(&what, said).attribute("clone")
    })?;
    let storage = if order.full { order.storage } else { "" };
    let elsewhere = source.node != order.node;
    let direct = elsewhere && is_shared(&source, storage).await?;
    let mut form = params([("full", i32::from(order.full).to_string())]);
    let placed = [
        ("target", if direct { order.node } else { "" }),
        // A storage of the other node alone is where the disks go with the move.
        ("storage", if elsewhere && !direct { "" } else { storage }),
    ];
    let said = placed
        .iter()
        .chain(&order.more)
        .filter(|(_, value)| !value.is_empty());
    form.extend(said.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    // The copy of a guest that runs has its lock to itself, and others wait for it for a second only.
    let (queue, width) = match row.running {
        true => (format!("{what} while it runs"), 1),
        false => (what.clone(), COPIES),
    };
    let mut attempt = 1;
    let id = loop {
        let _turn = client.turn(&queue, width).await;
        let (form, source, announce) = (&form, &source, &announce);
        let copied = with_identifier(client, cx, order.wanted, |id| async move {
            announce(id).await?;
            let mut form: Params = form.clone();
            form.push(("newid".into(), id.to_string()));
            let what = format!("clone {noun} {} to {id}", source.id);
            source
                .task(Method::POST, &what, "clone", &form, order.timeout)
                .await
        })
        .await;
        match copied {
            // A clone whose task failed has left nothing.
            Err(e) if e.is_transient() && attempt < order.attempts && !cx.is_cancelled() => {
                attempt += 1;
            }
            other => break other?,
        }
    };
    if elsewhere && !direct {
        let copied = Guest::new(client, cx, order.kind, &source.node, id);
        copied.migrate(order.node, storage, order.timeout).await?;
    }
    client.guests_changed().await;
    Ok(id)
}

/// Whether another node can take the copy at once: it must see every volume of the source, and where the copies go.
async fn is_shared(source: &Guest<'_>, storage: &str) -> Result<bool, Error> {
    let config = source.present().await?;
    let is_volume = |key: &str| match source.kind {
        Kind::Machine => crate::vm::is_drive(key) || matches!(key, "efidisk0" | "tpmstate0"),
        Kind::Container => {
            key == "rootfs"
                || key
                    .strip_prefix("mp")
                    .is_some_and(|n| n.parse::<u32>().is_ok())
        }
    };
    let volumes = config.iter().filter(|(key, _)| is_volume(key));
    let mut used: Vec<String> = volumes
        .filter_map(|(_, value)| {
            let read = Properties::parse(value, "file");
            Some(read.get("file")?.split_once(':')?.0.to_owned())
        })
        .collect();
    used.push(storage.to_owned());
    let known = source.client.storages(source.cx, &source.node).await?;
    let shared = |name: &String| known.iter().any(|s| s.name == *name && s.shared);
    Ok(used.iter().filter(|name| !name.is_empty()).all(shared))
}
