//! Storage definitions of the cluster, and their state on a node.

use serde_json::{Value, json};

use super::Storage;
use crate::error::{Answer, ApiError};
use crate::routes::Call;
use crate::schema::check::{Errors, Params};
use crate::state::State;

const SEEN_BY: &[&str] = &["Datastore.Audit", "Datastore.AllocateSpace"];

fn definition_row(id: &str, storage: &Storage) -> Value {
    let mut row = json!({ "storage": id, "type": storage.kind, "content": storage.content.join(","), "digest": digest(id, storage) });
    if let Some(row) = row.as_object_mut() {
        match storage.kind.as_str() {
            "lvmthin" => {
                row.insert("vgname".into(), "pve".into());
                row.insert("thinpool".into(), "data".into());
            }
            "zfspool" => drop(row.insert("pool".into(), "rpool/data".into())),
            _ => drop(row.insert("path".into(), storage.path(id).into())),
        }
        if storage.shared {
            row.insert("shared".into(), 1.into());
        }
        if storage.disabled {
            row.insert("disable".into(), 1.into());
        }
        if !storage.nodes.is_empty() {
            row.insert("nodes".into(), storage.nodes.join(",").into());
        }
    }
    row
}

fn digest(id: &str, storage: &Storage) -> String {
    use sha1::{Digest, Sha1};
    let text = format!(
        "{id}{}{:?}{:?}{}",
        storage.kind, storage.content, storage.nodes, storage.disabled
    );
    Sha1::digest(text.as_bytes())
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

/// `GET /storage`
pub(crate) fn definitions(state: &State, call: &Call) -> Value {
    let seen = state.storages.iter().filter(|(id, storage)| {
        call.params
            .get("type")
            .is_none_or(|kind| kind == storage.kind)
            && state
                .need_any(&call.caller, &format!("/storage/{id}"), SEEN_BY)
                .is_ok()
    });
    seen.map(|(id, storage)| definition_row(id, storage))
        .collect()
}

/// `GET /storage/{storage}`
pub(crate) fn definition(state: &State, call: &Call) -> Answer {
    let id = call.params.text("storage");
    let storage = state.storages.get(id).ok_or_else(|| missing(id))?;
    Ok(definition_row(id, storage))
}

fn missing(id: &str) -> ApiError {
    ApiError::failure(format!("storage '{id}' does not exist"))
}

/// `PUT /storage/{storage}`: content types, nodes, disabling.
pub(crate) fn redefine(state: &mut State, call: &Call) -> Answer {
    let (params, id) = (&call.params, call.params.text("storage"));
    let known_nodes: Vec<String> = state.nodes.keys().cloned().collect();
    let storage = state.storages.get_mut(id).ok_or_else(|| missing(id))?;
    let mut changed = storage.clone();
    for (name, _) in params.iter() {
        match name {
            "storage" => {}
            "digest" if params.text("digest") == digest(id, storage) => {}
            "digest" => {
                return Err(ApiError::failure(
                    "detected modified configuration - file changed by other user? Try again.",
                ));
            }
            "content" => changed.content = content_types(params, &storage.kind)?,
            "disable" => changed.disabled = params.is_on("disable"),
            "nodes" => {
                changed.nodes = params.list("nodes");
                if let Some(unknown) = changed.nodes.iter().find(|n| !known_nodes.contains(n)) {
                    return Err(ApiError::failure(format!(
                        "no such cluster node '{unknown}'"
                    )));
                }
            }
            "delete" => {
                for option in params.list("delete") {
                    match option.as_str() {
                        "nodes" => changed.nodes.clear(),
                        "disable" => changed.disabled = false,
                        other => {
                            return Err(ApiError::failure(format!(
                                "unable to delete required option '{other}'"
                            )));
                        }
                    }
                }
            }
            other => {
                return Err(ApiError::new(
                    501,
                    format!("parameter '{other}' not implemented"),
                ));
            }
        }
    }
    *storage = changed;
    Ok(json!({ "storage": id, "type": storage.kind }))
}

/// The content types that a kind of storage can take.
fn content_types(params: &Params, kind: &str) -> Result<Vec<String>, ApiError> {
    let wanted = params.list("content");
    let possible: &[&str] = match kind {
        "lvmthin" | "zfspool" => &["images", "rootdir", "none"],
        _ => &[
            "images", "rootdir", "vztmpl", "iso", "backup", "snippets", "import", "none",
        ],
    };
    match wanted.iter().find(|c| !possible.contains(&c.as_str())) {
        None => Ok(wanted),
        Some(wrong) => {
            let text = format!("storage does not support content type '{wrong}'");
            Err(ApiError::parameters(Errors::from([(
                "content".to_owned(),
                text,
            )])))
        }
    }
}

fn status_row(id: &str, storage: &Storage, node: &str) -> Value {
    let used = storage.used(node);
    json!({
        "storage": id, "type": storage.kind, "content": storage.content.join(","), "shared": u8::from(storage.shared),
        "active": u8::from(!storage.disabled), "enabled": u8::from(!storage.disabled), "total": storage.capacity,
        "used": used, "avail": storage.capacity.saturating_sub(used),
        "used_fraction": used as f64 / storage.capacity.max(1) as f64,
    })
}

/// `GET /nodes/{node}/storage`
pub(crate) fn list(state: &State, call: &Call) -> Answer {
    let (params, node) = (&call.params, call.node());
    let wanted = params.list("content");
    let seen = state.storages.iter().filter(|(id, storage)| {
        storage.is_on(node)
            && params
                .get("target")
                .is_none_or(|target| storage.is_on(target))
            && params.get("storage").is_none_or(|one| one == *id)
            && (wanted.is_empty() || wanted.iter().any(|c| storage.takes(c)))
            && !(params.is_on("enabled") && storage.disabled)
            && state
                .need_any(&call.caller, &format!("/storage/{id}"), SEEN_BY)
                .is_ok()
    });
    Ok(seen
        .map(|(id, storage)| status_row(id, storage, node))
        .collect())
}

/// `GET /nodes/{node}/storage/{storage}/status`
pub(crate) fn status(state: &State, call: &Call) -> Answer {
    let id = call.params.text("storage");
    let mut row = status_row(id, state.storage(id, call.node())?, call.node());
    if let Some(row) = row.as_object_mut() {
        row.remove("storage");
        row.remove("used_fraction");
    }
    Ok(row)
}
