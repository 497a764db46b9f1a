//! The volumes of a storage: list, look at, make, delete.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{NewDisk, parse_size, parse_volid};
use crate::Proxmox;
use crate::access::Caller;
use crate::error::{Answer, ApiError};
use crate::routes::Call;
use crate::state::{State, Volume};

impl State {
    /// Whether a caller may use a volume (for a VM of his, when given).
    pub(crate) fn may_use_volume(
        &self,
        caller: &Caller,
        node: &str,
        volid: &str,
        vmid: Option<u32>,
    ) -> Result<(), ApiError> {
        let Some((storage, _)) = parse_volid(volid) else {
            let root = caller.is_root();
            return if root {
                Ok(())
            } else {
                Err(ApiError::failure(
                    "Only root can pass arbitrary filesystem paths.",
                ))
            };
        };
        let path = format!("/storage/{storage}");
        let volume = self.volume(node, volid);
        match volume.map(|v| (v.content.as_str(), v.vmid)) {
            Some(("iso" | "vztmpl" | "import", _)) => self.need_any(
                caller,
                &path,
                &["Datastore.AllocateSpace", "Datastore.Audit"],
            ),
            Some((_, Some(owner))) if Some(owner) == vmid => Ok(()),
            Some(("images", Some(owner))) => {
                self.need(caller, &path, &["Datastore.Audit"])?;
                self.need(caller, &format!("/vms/{owner}"), &["VM.Config.Disk"])
            }
            _ => self.need(caller, &path, &["Datastore.Allocate"]),
        }
    }
}

fn row(storage: &str, name: &str, volume: &Volume) -> Value {
    let mut row = json!({
        "volid": format!("{storage}:{name}"), "content": volume.content, "format": volume.format, "size": volume.size,
        "ctime": volume.ctime,
    });
    if let Some(row) = row.as_object_mut() {
        if let Some(vmid) = volume.vmid {
            row.insert("vmid".into(), vmid.into());
        }
        if let Some(parent) = &volume.parent {
            row.insert("parent".into(), parent.clone().into());
        }
    }
    row
}

/// `GET /nodes/{node}/storage/{storage}/content`
pub(crate) fn list(state: &State, call: &Call) -> Answer {
    let (params, id, node) = (&call.params, call.params.text("storage"), call.node());
    let storage = state.storage(id, node)?;
    let vmid = params.number("vmid");
    let seen = storage.volumes_of(node).filter(|(name, volume)| {
        params.get("content").is_none_or(|c| c == volume.content)
            && vmid.is_none_or(|wanted| volume.vmid.is_some_and(|v| u64::from(v) == wanted))
            && state
                .may_use_volume(&call.caller, node, &format!("{id}:{name}"), None)
                .is_ok()
    });
    Ok(seen.map(|(name, volume)| row(id, name, volume)).collect())
}

/// A volume in a path, with or without its storage in front.
fn volid(call: &Call) -> Result<String, ApiError> {
    let (storage, given) = (call.params.text("storage"), call.params.text("volume"));
    match parse_volid(given) {
        Some((named, _)) if named != storage => Err(ApiError::parameter(
            "storage",
            format!("storage ID missmatch ({named} != {storage})"),
        )),
        Some(_) => Ok(given.to_owned()),
        None => Ok(format!("{storage}:{given}")),
    }
}

/// `GET /nodes/{node}/storage/{storage}/content/{volume}`
pub(crate) fn read(state: &State, call: &Call) -> Answer {
    let (volid, node) = (volid(call)?, call.node());
    let storage = state.storage(call.params.text("storage"), node)?;
    let (id, name) = parse_volid(&volid).unwrap_or_default();
    let volume = state.volume(node, &volid).ok_or_else(|| {
        ApiError::failure(format!(
            "volume_size_info on '{volid}' failed - no such volume"
        ))
    })?;
    state.may_use_volume(&call.caller, node, &volid, None)?;
    let path = if storage.has_path() {
        format!("{}/{}", storage.path(id), folder(&volume.content, name))
    } else {
        format!("/dev/{id}/{name}")
    };
    Ok(json!({ "path": path, "size": volume.size, "used": volume.size, "format": volume.format }))
}

/// Where a file lies below its storage's folder.
pub(crate) fn folder(content: &str, name: &str) -> String {
    match content {
        "iso" => format!("template/{name}"),
        "vztmpl" => name.replacen("vztmpl/", "template/cache/", 1),
        "images" => format!("images/{name}"),
        _ => name.to_owned(),
    }
}

/// `POST /nodes/{node}/storage/{storage}/content`: an empty disk.
pub(crate) fn allocate(state: &mut State, call: &Call) -> Answer {
    let params = &call.params;
    let (storage, name, vmid) = (params.text("storage"), params.text("filename"), call.vmid());
    let size = params.text("size");
    // Without a unit it counts kibibytes.
    let bytes = if size.ends_with(['M', 'G']) {
        parse_size(size)
    } else {
        parse_size(&format!("{size}K"))
    };
    let size = bytes
        .ok_or_else(|| ApiError::parameter("size", "value does not look like a valid disk size"))?;
    let stem = name.split('.').next().unwrap_or_default();
    let Some(own) = stem.strip_prefix(&format!("vm-{vmid}-")) else {
        return Err(ApiError::failure(format!(
            "illegal name '{name}' - should be 'vm-{vmid}-*'"
        )));
    };
    let own = own.to_owned();
    let disk = NewDisk {
        storage,
        vmid,
        name: Some(&own),
        format: params.get("format"),
        size,
        label: None,
        parent: None,
    };
    let exists = state
        .storage(storage, call.node())?
        .volumes_of(call.node())
        .any(|(v, _)| v.split('.').next().is_some_and(|v| v.ends_with(stem)));
    if exists {
        return Err(ApiError::failure(format!(
            "disk image '{name}' already exists"
        )));
    }
    state
        .allocate(call.node(), &disk)
        .map(Value::String)
        .map_err(ApiError::failure)
}

/// `DELETE /nodes/{node}/storage/{storage}/content/{volume}`
pub(crate) async fn delete(px: &Arc<Proxmox>, call: &Call) -> Answer {
    let (volid, node) = (volid(call)?, call.node().to_owned());
    let (storage, name) = parse_volid(&volid)
        .map(|(s, n)| (s.to_owned(), n.to_owned()))
        .unwrap_or_default();
    {
        let state = px.state();
        state.storage(&storage, &node)?;
        let (content, owner) = state
            .volume(&node, &volid)
            .map_or(("", None), |v| (v.content.as_str(), v.vmid));
        let path = format!("/storage/{storage}");
        match content {
            "images" => {
                state.need(&call.caller, &path, &["Datastore.Allocate"])?;
                if let Some(user) = owner
                    .and_then(|id| Some((id, state.vms.get(&id)?)))
                    .filter(|(_, vm)| vm.config.values().any(|v| v.contains(&volid)))
                {
                    return Err(ApiError::failure(format!(
                        "Cannot remove image, a guest with VMID '{}' exists!\n",
                        user.0
                    )));
                }
            }
            _ => state.need_any(
                &call.caller,
                &path,
                &["Datastore.Allocate", "Datastore.AllocateTemplate"],
            )?,
        }
    }
    let id = name.rsplit('/').next().unwrap_or_default().to_owned();
    let caller = call.caller.clone();
    px.worker(
        &node.clone(),
        "imgdel",
        &format!("{id}@{storage}"),
        &caller,
        move |task| async move {
            task.takes(Duration::from_millis(300)).await;
            if !task.proxmox.state().free(&node, &volid) {
                return Err(format!("volume '{volid}' does not exist"));
            }
            task.line(format!("Removed volume '{volid}'"));
            Ok(())
        },
    )
    .await
}
