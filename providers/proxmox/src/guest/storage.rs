//! Whether a node's storages can hold what is to be put there: found before anything is made.

use std::collections::BTreeMap;

use stead_sdk::value::{Diagnostic, Diagnostics};
use stead_sdk::{Context, Error};

use crate::client::{Client, PlannedKind, Short};
use crate::guest::Missing;

/// Something that is to be placed on a storage.
pub(crate) struct Place<'a> {
    pub(crate) storage: &'a str,
    /// `images` for disks of machines, `rootdir` for those of containers.
    pub(crate) content: &'static str,
    pub(crate) gibibytes: i64,
}

/// Problems with these places, as errors and warnings.
pub(crate) async fn check_storages(
    client: &Client,
    cx: &Context,
    node: &str,
    places: impl IntoIterator<Item = Place<'_>>,
    found: &mut Diagnostics,
) -> Result<(), Error> {
    let mut wanted = BTreeMap::<(&str, &'static str), i64>::new();
    for place in places {
        if !place.storage.is_empty() {
            let sum = wanted.entry((place.storage, place.content)).or_default();
            *sum = sum.saturating_add(place.gibibytes.saturating_mul(1 << 30));
        }
    }
    if wanted.is_empty() || node.is_empty() {
        return Ok(());
    }
    let known = client.storages(cx, node).await?;
    let object = cx.object().map(ToString::to_string).unwrap_or_default();
    for ((name, content), bytes) in wanted {
        let Some(storage) = known.iter().find(|s| s.name == name) else {
            if client.planned.has(PlannedKind::Storage, name) {
                continue;
            }
            let names: Vec<_> = known.iter().map(|s| s.name.as_str()).collect();
            let missing = Missing {
                summary: format!("No storage {name} on {node}"),
                known: format!(
                    "This node shows: {}. A storage without Datastore.Audit on it is not shown.",
                    names.join(", ")
                ),
                place: None,
            };
            found.push(missing.into());
            continue;
        };
        if !storage.active {
            let missing = Missing {
                summary: format!("The storage {name} of {node} is not active"),
                known: "Look at `pvesm status`.".to_owned(),
                place: None,
            };
            found.push(missing.into());
        }
        if !storage.content.iter().any(|c| c == content) {
            let all = storage.content.join(",");
            let remedy = format!("Enable it: `pvesm set {name} --content {all},{content}`.");
            let said = format!(
                "it does not take content of the type {content} ({})",
                kind(content)
            );
            let asked = format!("place disks on the storage {name} of {node}");
            found.push(Error::new(asked, said).remedy(remedy).into());
        }
        if let Some(free) = storage.available {
            let at = match storage.shared {
                true => name.to_owned(),
                false => format!("{name} of {node}"),
            };
            let short = client
                .planned
                .place(&at, &format!("{object} {content}"), bytes, free);
            found.extend(short.map(|short| lacks_space(&at, short, storage.thick)));
        }
    }
    Ok(())
}

/// Where volumes take their whole size at once it cannot work; elsewhere it does until they are full.
fn lacks_space(at: &str, short: Short, thick: bool) -> Diagnostic {
    let (wanted, free) = (short.wanted >> 30, short.free >> 30);
    let said = format!("{wanted} GiB are planned there in all, and {free} GiB are free");
    if thick {
        let error = Error::new(format!("place all disks on the storage {at}"), said);
        return error
            .remedy("Make room, plan smaller disks, or place some on another storage.")
            .into();
    }
    let summary = format!("Storage {at} is short of space");
    let detail = format!("{said}. It works until what is written there needs more.");
    Diagnostic::warning(summary, detail)
}

fn kind(content: &str) -> &'static str {
    match content {
        "rootdir" => "disks of containers",
        _ => "disk images",
    }
}
