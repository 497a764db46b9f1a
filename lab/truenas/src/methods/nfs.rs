//! NFS shares.

use serde_json::{Map, Value, json};

use super::accounts;
use crate::error::{Failure, Invalid, Problem};
use crate::query::query;
use crate::state::State;
use crate::system::System;

type Outcome = Result<Value, Failure>;

fn entry(id: i64, share: &Map<String, Value>) -> Value {
    let mut out = Map::new();
    out.insert("id".to_owned(), json!(id));
    out.extend(share.clone());
    out.insert("locked".to_owned(), json!(false));
    Value::Object(out)
}

pub(super) fn list(system: &System, filters: &Value, options: &Value) -> Outcome {
    let rows = system
        .state()
        .shares
        .iter()
        .map(|(id, share)| entry(*id, share))
        .collect();
    query(rows, filters, options)
}

pub(super) fn instance(system: &System, id: &Value) -> Outcome {
    let state = system.state();
    let found = id
        .as_i64()
        .and_then(|n| state.shares.get(&n).map(|s| entry(n, s)));
    found.ok_or_else(|| Failure::missing("SharingNFS", id))
}

pub(super) fn create(system: &System, data: &Value) -> Outcome {
    let share = data.as_object().cloned().unwrap_or_default();
    let mut state = system.state();
    check(&state, &share, None, "sharingnfs_create")?;
    state.last_share += 1;
    let id = state.last_share;
    let made = entry(id, &share);
    state.shares.insert(id, share);
    drop(state);
    system.changed();
    system.event("sharing.nfs.query", "added", &json!(id), Some(&made));
    Ok(made)
}

pub(super) fn update(system: &System, id: &Value, data: &Value) -> Outcome {
    let mut state = system.state();
    let number = id.as_i64().unwrap_or(-1);
    let mut share = state
        .shares
        .get(&number)
        .cloned()
        .ok_or_else(|| Failure::missing("SharingNFS", id))?;
    share.extend(data.as_object().cloned().unwrap_or_default());
    check(&state, &share, Some(number), "sharingnfs_update")?;
    let changed = entry(number, &share);
    state.shares.insert(number, share);
    drop(state);
    system.changed();
    system.event("sharing.nfs.query", "changed", id, Some(&changed));
    Ok(changed)
}

pub(super) fn delete(system: &System, id: &Value) -> Outcome {
    let removed = id.as_i64().and_then(|n| system.state().shares.remove(&n));
    removed.ok_or_else(|| Failure::missing("SharingNFS", id))?;
    system.changed();
    system.event("sharing.nfs.query", "removed", id, None);
    Ok(Value::Bool(true))
}

fn check(
    state: &State,
    share: &Map<String, Value>,
    own: Option<i64>,
    schema: &str,
) -> Result<(), Failure> {
    let mut problems = Vec::new();
    let mut add = |field: &str, message: String| {
        problems.push(Problem::new(&format!("{schema}.{field}"), message));
    };
    let text = |name: &str| {
        share
            .get(name)
            .and_then(Value::as_str)
            .filter(|t| !t.is_empty())
    };
    let list = |share: &Map<String, Value>, name: &str| -> Vec<String> {
        share
            .get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|v| v.as_str().map(str::to_owned))
            .collect()
    };
    let path = text("path").unwrap_or_default();
    if !path.starts_with("/mnt/") {
        add(
            "path",
            "The path must reside within a pool mount point".to_owned(),
        );
    } else if !state.nodes.contains_key(path.trim_end_matches('/')) {
        add("path", "This path does not exist.".to_owned());
    }
    if !list(share, "aliases").is_empty() {
        add(
            "aliases",
            "This field should be empty; aliases are no longer supported.".to_owned(),
        );
    }
    if share.get("expose_snapshots") == Some(&Value::Bool(true)) {
        add(
            "expose_snapshots",
            "This is an enterprise feature and may not be enabled without a valid license."
                .to_owned(),
        );
    }
    for kind in ["maproot", "mapall"] {
        let (user, group) = (
            text(&format!("{kind}_user")),
            text(&format!("{kind}_group")),
        );
        match (user, group) {
            (None, Some(_)) => add(
                &format!("{kind}_user"),
                "This field is required when map group is specified".to_owned(),
            ),
            (Some(user), _) if !accounts::is_user(user) => {
                add(&format!("{kind}_user"), format!("User not found: {user}"));
            }
            _ => {}
        }
        if let Some(group) = group.filter(|g| !accounts::is_group(g)) {
            add(
                &format!("{kind}_group"),
                format!("Group not found: {group}"),
            );
        }
    }
    if text("maproot_user").is_some() && text("mapall_user").is_some() {
        add(
            "mapall_user",
            "maproot_user disqualifies mapall_user".to_owned(),
        );
    }
    let networks = list(share, "networks");
    for (at, network) in networks.iter().enumerate() {
        if !is_network(network) {
            add(
                &format!("networks.{at}"),
                format!("{network} does not appear to be an IPv4 or IPv6 network"),
            );
        } else if networks.iter().take(at).any(|n| n == network) {
            add("networks", format!("ERROR - Overlapped subnets: {network}"));
        }
    }
    let hosts = list(share, "hosts");
    for other in state
        .shares
        .iter()
        .filter(|(id, s)| Some(**id) != own && s.get("path") == share.get("path"))
        .map(|(_, s)| s)
    {
        let theirs = (list(other, "networks"), list(other, "hosts"));
        if networks.is_empty() && hosts.is_empty() && theirs.0.is_empty() && theirs.1.is_empty() {
            add(
                "path",
                format!(
                    "ERROR - Export conflict. This or another NFS share exports {path} for everybody"
                ),
            );
        }
        for network in networks.iter().filter(|n| theirs.0.contains(n)) {
            add(
                "networks",
                format!("ERROR - Another NFS share already exports {path} for network {network}"),
            );
        }
        for host in hosts.iter().filter(|h| theirs.1.contains(h)) {
            add(
                "hosts",
                format!("ERROR - Another NFS share already exports {path} for host {host}"),
            );
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Failure::Invalid(Invalid(problems)))
    }
}

/// Whether the text is an address with an optional prefix length, without host bits.
fn is_network(text: &str) -> bool {
    text.parse::<ipnet::IpNet>().is_ok_and(|n| n.trunc() == n)
        || text.parse::<std::net::IpAddr>().is_ok()
}
