//! Whether what a guest refers to is there: bridges, mappings, files, the template. Told before anything is made, as warnings: a script
//! or another provider may bring it in the same apply.

use serde_json::Value as Json;
use stead_sdk::value::{Diagnostic, Diagnostics, Path};
use stead_sdk::{Context, Error};

use crate::client::{Client, Params, PlannedKind, params, text};
use crate::guest::Kind;
use crate::privilege::Need;
use crate::property::percent_encode;

const USE: &[&str] = &["SDN.Use"];

/// What is referred to and is not there.
pub(crate) struct Missing {
    /// `No bridge vmbr7 on abel`
    pub(crate) summary: String,
    /// A sentence or two: what there is in its place.
    pub(crate) known: String,
    pub(crate) place: Option<Path>,
}

impl From<Missing> for Diagnostic {
    fn from(missing: Missing) -> Diagnostic {
        let detail = format!(
            "{} Unless something that comes earlier in the apply brings it, what needs it will fail.",
            missing.known
        );
        let warning = Diagnostic::warning(missing.summary, detail);
        match missing.place {
            Some(place) => warning.attribute(place),
            None => warning,
        }
    }
}

/// A network card: its bridge, its VLAN, and where it is configured.
pub(crate) struct Card<'a> {
    pub(crate) bridge: &'a str,
    pub(crate) vlan: i64,
    pub(crate) place: Path,
}

/// Bridges that the node does not have. What the bridges that it has take is added to `needs`.
pub(crate) async fn check_bridges(
    client: &Client,
    cx: &Context,
    node: &str,
    cards: Vec<Card<'_>>,
    needs: &mut Vec<Need>,
    found: &mut Diagnostics,
) {
    if node.is_empty() || cards.iter().all(|card| card.bridge.is_empty()) {
        return;
    }
    let path = format!("/nodes/{}/network", percent_encode(node));
    let query = params([("type", "any_bridge".to_owned())]);
    let what = format!("list the bridges of {node}");
    let Some(rows) = client.look_up(cx, &what, &path, &query).await else {
        return;
    };
    let permissions = client.permissions(cx).await;
    for card in cards {
        let bridge = card.bridge;
        if bridge.is_empty() {
            continue;
        }
        let path = format!("/sdn/zones/localnetwork/{bridge}");
        match row(&rows, "iface", bridge) {
            // Virtual networks belong to zones that this list does not name.
            Some(row)
                if text(row, "type").is_some_and(|t| t.to_lowercase().ends_with("bridge")) =>
            {
                let vlan = (card.vlan > 0).then(|| format!("{path}/{}", card.vlan));
                needs.push(Need::on(path, USE).or_on(vlan));
            }
            Some(_) => {}
            None if client.planned.has(PlannedKind::Bridge, bridge) => {}
            // Nobody is shown what he may not use.
            None if permissions
                .as_ref()
                .is_some_and(|p| !p.holds(&path, "SDN.Use") && !p.holds(&path, "SDN.Audit")) =>
            {
                needs.push(Need::on(path, USE));
            }
            None => {
                let missing = Missing {
                    summary: format!("No bridge {bridge} on {node}"),
                    known: format!(
                        "The node has: {}. A virtual network is there when it has been applied.",
                        names(&rows, "iface")
                    ),
                    place: Some(card.place),
                };
                found.push(missing.into());
            }
        }
    }
}

/// Mappings of devices that the cluster does not have, or that have no device of the node. A mapping: its type, and its name.
pub(crate) async fn check_mappings(
    client: &Client,
    cx: &Context,
    node: &str,
    mappings: Vec<(&'static str, &str)>,
    found: &mut Diagnostics,
) {
    for (kind, name) in mappings {
        if client.planned.has(PlannedKind::Mapping, name) {
            continue;
        }
        let path = format!("/cluster/mapping/{kind}");
        let what = format!("list the mappings of type {kind}");
        let Some(rows) = client.look_up(cx, &what, &path, &Params::new()).await else {
            continue;
        };
        let Some(row) = row(&rows, "id", name) else {
            let missing = Missing {
                summary: format!("No {kind} mapping {name}"),
                known: format!(
                    "There are: {}. A mapping is shown to who has Mapping.Use on /mapping/{kind}/{name}.",
                    names(&rows, "id")
                ),
                place: None,
            };
            found.push(missing.into());
            continue;
        };
        let entries = row.get("map").and_then(Json::as_array);
        let of_node = |entry: &Json| {
            let entry = entry.as_str().unwrap_or_default();
            entry
                .split(',')
                .any(|part| part.strip_prefix("node=") == Some(node))
        };
        if !node.is_empty() && entries.is_some_and(|entries| !entries.iter().any(of_node)) {
            let missing = Missing {
                summary: format!("The {kind} mapping {name} has no device of {node}"),
                known: "Add one to the mapping, or place the machine on another node.".to_owned(),
                place: None,
            };
            found.push(missing.into());
        }
    }
}

/// A file in a storage that a guest is made of or has in a drive.
pub(crate) struct File<'a> {
    /// `STORAGE:iso/NAME`
    pub(crate) volume: &'a str,
    pub(crate) place: Path,
}

/// Files that are not in their storages.
pub(crate) async fn check_files(
    client: &Client,
    cx: &Context,
    node: &str,
    files: Vec<File<'_>>,
    found: &mut Diagnostics,
) {
    for File { volume, place } in files {
        let Some((storage, name)) = volume.split_once(':') else {
            continue;
        };
        let content = name.split_once('/').map_or("", |(content, _)| content);
        let is_file = ["import", "iso", "vztmpl"].contains(&content);
        let to_come = client.planned.has(PlannedKind::FilesIn, storage)
            || client.planned.has(PlannedKind::Storage, storage);
        if node.is_empty() || !is_file || to_come {
            continue;
        }
        let path = format!(
            "/nodes/{}/storage/{}/content",
            percent_encode(node),
            percent_encode(storage)
        );
        let query = params([("content", content.to_owned())]);
        let what = format!("list the files of {storage}");
        let Some(rows) = client.look_up(cx, &what, &path, &query).await else {
            continue;
        };
        if row(&rows, "volid", volume).is_none() {
            let known = match rows.as_array().is_none_or(Vec::is_empty) {
                true => format!(
                    "The storage has no file of the type {content}: download it first, with proxmox_download_file."
                ),
                false => format!("The storage has: {}.", names(&rows, "volid")),
            };
            let missing = Missing {
                summary: format!("No file {volume} on {node}"),
                known,
                place: Some(place),
            };
            found.push(missing.into());
        }
    }
}

/// The source of a clone that the cluster does not have and that no plan makes.
pub(crate) async fn check_source(
    client: &Client,
    cx: &Context,
    kind: Kind,
    id: i64,
    found: &mut Diagnostics,
) -> Result<(), Error> {
    let known = client.is_managed(id) || client.planned.has(PlannedKind::Guest, &id.to_string());
    if id <= 0 || known {
        return Ok(());
    }
    let rows = client.guests(cx).await?;
    let of_kind = |container: bool| container == (kind == Kind::Container);
    if rows
        .iter()
        .any(|row| row.id == id && of_kind(row.is_container))
    {
        return Ok(());
    }
    let noun = kind.noun();
    let templates = rows
        .iter()
        .filter(|row| row.template && of_kind(row.is_container));
    let templates: Vec<_> = templates
        .map(|row| format!("{} ({})", row.id, row.name))
        .collect();
    let known = match templates.is_empty() {
        true => format!(
            "The user sees no template there. A {noun} is shown to who has VM.Audit on /vms/{id}."
        ),
        false => format!("Templates there: {}.", templates.join(", ")),
    };
    let missing = Missing {
        summary: format!("No {noun} {id} to clone"),
        known,
        place: Some(Path::root().attr("clone").index_number(0).attr("vm_id")),
    };
    found.push(missing.into());
    Ok(())
}

fn row<'a>(rows: &'a Json, key: &str, name: &str) -> Option<&'a Json> {
    let mut rows = rows.as_array()?.iter();
    rows.find(|row| text(row, key).as_deref() == Some(name))
}

/// The first names, for messages.
fn names(rows: &Json, key: &str) -> String {
    const SHOWN: usize = 12;
    let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut names: Vec<_> = rows
        .iter()
        .filter_map(|row| text(row, key))
        .take(SHOWN)
        .collect();
    if rows.len() > SHOWN {
        names.push("…".to_owned());
    }
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    }
}
