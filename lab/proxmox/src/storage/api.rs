//! Storages as a node sees them.

use serde_json::{Map, Value, json};

use super::Storage;
use super::kinds::Kind;
use crate::error::{Answer, ApiError};
use crate::routes::Call;
use crate::sections::hex_digest;
use crate::state::State;

pub(crate) const SEEN_BY: &[&str] = &["Datastore.Audit", "Datastore.AllocateSpace"];

fn status_row(storage: &Storage, node: &str) -> Map<String, Value> {
    let on = !storage.disabled && storage.is_on(node);
    let (total, used) = if on {
        (storage.capacity, storage.used(node))
    } else {
        (0, 0)
    };
    let row = json!({
        "type": storage.kind, "content": storage.content.join(","), "shared": u8::from(storage.shared),
        "active": u8::from(on), "enabled": u8::from(on), "total": total, "used": used,
        "avail": total.saturating_sub(used),
    });
    row.as_object().cloned().unwrap_or_default()
}

/// `GET /nodes/{node}/storage`: also those that this node does not have, as not enabled.
pub(crate) fn list(state: &State, call: &Call) -> Answer {
    let (params, node) = (&call.params, call.node());
    let content = params.list("content");
    let target = params.get("target").filter(|target| *target != node);
    let seen = state.storages.iter().filter(|(id, storage)| {
        let here = storage.is_on(node) && !storage.disabled;
        (content.is_empty() || here && content.iter().any(|c| storage.takes(c)))
            && params.get("storage").is_none_or(|one| one == *id)
            && !(params.is_on("enabled") && storage.disabled)
            && target
                .is_none_or(|target| storage.shared && storage.is_on(node) && storage.is_on(target))
            && state
                .need_any(&call.caller, &format!("/storage/{id}"), SEEN_BY)
                .is_ok()
    });
    let rows = seen.map(|(id, storage)| {
        let mut row = status_row(storage, node);
        row.insert("storage".into(), id.clone().into());
        if let Some(total) = row["total"].as_f64().filter(|total| *total > 0.0) {
            let used = row["used"].as_f64().unwrap_or_default();
            row.insert("used_fraction".into(), (used / total).into());
        }
        if params.is_on("format") {
            let kind = Kind::of(&storage.kind);
            let formats = json!({ "supported": kind.formats, "default": kind.formats.first() });
            row.insert("formats".into(), formats);
            if kind.select_existing {
                row.insert("select_existing".into(), 1.into());
            }
        }
        Value::Object(row)
    });
    Ok(rows.collect())
}

/// `GET /nodes/{node}/storage/{storage}/status`
pub(crate) fn status(state: &State, call: &Call) -> Answer {
    let storage = state.storages.get(call.params.text("storage"));
    let storage = storage.ok_or_else(|| ApiError::parameter("storage", "No such storage."))?;
    Ok(Value::Object(status_row(storage, call.node())))
}

/// `GET /nodes/{node}/storage/{storage}/identity`: the same on every node that shares what is behind it.
pub(crate) fn identity(state: &State, call: &Call) -> Answer {
    let storage = state.storage(call.params.text("storage"), call.node())?;
    let place = if storage.shared { "" } else { call.node() };
    let digest = hex_digest(&format!("{place}/{}", storage.source));
    Ok(json!({ "type": storage.kind, "id": digest.get(..32) }))
}

/// `GET /nodes/{node}/storage/{storage}/import-metadata`: no storage of the lab holds guests of others.
pub(crate) fn import_metadata(state: &State, call: &Call) -> Answer {
    let (id, volume) = (call.params.text("storage"), call.params.text("volume"));
    let storage = state.storage(id, call.node())?;
    state.may_use_volume(&call.caller, call.node(), &format!("{id}:{volume}"), None)?;
    let text = format!(
        "storage type '{}' does not provide import metadata for '{id}:{volume}'",
        storage.kind
    );
    Err(ApiError::failure(text))
}
