//! The volumes of a storage: list, look at, make, delete.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{NewDisk, parse_size, parse_volid};
use crate::Px;
use crate::access::Caller;
use crate::error::{Answer, ApiError};
use crate::guest::Kind;
use crate::routes::Call;
use crate::state::{State, Storage, Volume};

impl State {
    /// Whether a caller may make volumes in a storage.
    pub(crate) fn need_space(&self, caller: &Caller, storage: &str) -> Result<(), ApiError> {
        let path = format!("/storage/{storage}");
        self.need(caller, &path, &["Datastore.AllocateSpace"])
    }

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
            Some(("backup", Some(owner))) => {
                self.need(caller, &path, &["Datastore.AllocateSpace"])?;
                self.need(caller, &format!("/vms/{owner}"), &["VM.Backup"])
            }
            Some((_, Some(owner))) if Some(owner) == vmid => Ok(()),
            Some(("images" | "rootdir", Some(owner))) => {
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
        annotations(volume, row);
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
    let path = placed(storage, id, name, &volume.content);
    let mut row =
        json!({ "path": path, "size": volume.size, "used": volume.size, "format": volume.format });
    if let Some(row) = row.as_object_mut() {
        annotations(volume, row);
    }
    Ok(row)
}

pub(super) fn placed(storage: &Storage, id: &str, name: &str, content: &str) -> String {
    if storage.has_path() {
        format!("{}/{}", storage.path(), folder(content, name))
    } else {
        format!("/dev/{id}/{name}")
    }
}

/// Where a volume lies, or would lie; `None` if its name is none.
pub(crate) fn path_of(state: &State, node: &str, storage: &Storage, volid: &str) -> Option<String> {
    let (id, name) = parse_volid(volid)?;
    let content = match state.volume(node, volid) {
        Some(volume) => volume.content.as_str(),
        None => match name.split_once('/') {
            Some((kind @ ("iso" | "vztmpl" | "import" | "snippets" | "backup"), _)) => kind,
            _ if name.starts_with("vm-") || name.contains("/vm-") => "images",
            _ => return None,
        },
    };
    Some(placed(storage, id, name, content))
}

/// What someone wrote of a volume.
fn annotations(volume: &Volume, row: &mut Map<String, Value>) {
    if let Some(notes) = &volume.notes {
        row.insert("notes".into(), notes.clone().into());
    }
    if volume.protected {
        row.insert("protected".into(), 1.into());
    }
}

/// `PUT /nodes/{node}/storage/{storage}/content/{volume}`: notes and protection, of backups only.
pub(crate) fn annotate(state: &mut State, call: &Call) -> Answer {
    let (params, volid, node) = (&call.params, volid(call)?, call.node());
    let storage = state.storage(params.text("storage"), node)?;
    state.may_use_volume(&call.caller, node, &volid, None)?;
    let volume = state.volume(node, &volid);
    let volume = volume.ok_or_else(|| ApiError::failure(format!("no such volume '{volid}'")))?;
    for attribute in ["notes", "protected"] {
        if params.has(attribute) && volume.content != "backup" {
            let text = format!(
                "attribute '{attribute}' is not supported for storage type '{}'",
                storage.kind
            );
            return Err(ApiError::failure(text));
        }
    }
    if params.is_on("protected") && !volume.protected {
        admit_protected(state, call, &volid)?;
    }
    if let Some(volume) = state.volume_mut(node, &volid) {
        if let Some(notes) = params.get("notes") {
            volume.notes = Some(notes.to_owned()).filter(|text| !text.is_empty());
        }
        if params.has("protected") {
            volume.protected = params.is_on("protected");
        }
    }
    Ok(Value::Null)
}

/// Refuses one protected backup more than the storage allows a guest.
fn admit_protected(state: &State, call: &Call, volid: &str) -> Result<(), ApiError> {
    let (id, node) = (call.params.text("storage"), call.node());
    let free = state
        .need(
            &call.caller,
            &format!("/storage/{id}"),
            &["Datastore.Allocate"],
        )
        .is_ok();
    let configured = state
        .section(super::definitions::FILE, id)
        .and_then(|s| s.get("max-protected-backups"));
    let most: i64 = match configured.and_then(|text| text.parse().ok()) {
        Some(most) => most,
        None if free => return Ok(()),
        None => 5,
    };
    let owner = state.volume(node, volid).and_then(|volume| volume.vmid);
    let all = state.storage(id, node)?.volumes_of(node);
    let count = all
        .filter(|(_, volume)| volume.protected && volume.vmid == owner)
        .count();
    if most >= 0 && i64::try_from(count).is_ok_and(|count| count >= most) {
        return Err(ApiError::failure(format!(
            "The number of protected backups per guest is limited to {most} on storage '{id}'"
        )));
    }
    Ok(())
}

impl State {
    /// The path that a file of this content gets in a storage, when it can be put there.
    pub(crate) fn file_path(
        &self,
        node: &str,
        id: &str,
        content: &str,
        name: &str,
    ) -> Result<String, ApiError> {
        let storage = self.storage(id, node)?;
        if !storage.has_path() {
            return Err(ApiError::failure(format!(
                "can't upload to storage type '{}', not a file based storage!",
                storage.kind
            )));
        }
        if !storage.takes(content) {
            return Err(ApiError::failure(format!(
                "storage '{id}' is not configured for content-type '{content}'"
            )));
        }
        Ok(placed(storage, id, &format!("{content}/{name}"), content))
    }
}

/// Where a file lies below its storage's folder.
pub(crate) fn folder(content: &str, name: &str) -> String {
    match content {
        "iso" => format!("template/{name}"),
        "vztmpl" => name.replacen("vztmpl/", "template/cache/", 1),
        "images" | "rootdir" => format!("images/{name}"),
        "backup" => name.replacen("backup/", "dump/", 1),
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
        kind: state.vms.get(&vmid).map_or(Kind::Qemu, |vm| vm.kind),
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
pub(crate) async fn delete(px: &Px, call: Call) -> Answer {
    let (volid, node) = (volid(&call)?, call.node().to_owned());
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
            "images" | "rootdir" => {
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
            "backup" if owner.is_some() => {
                let guest = format!("/vms/{}", owner.unwrap_or_default());
                state.need(&call.caller, &path, &["Datastore.AllocateSpace"])?;
                state.need(&call.caller, &guest, &["VM.Backup"])?;
            }
            _ => state.need_any(
                &call.caller,
                &path,
                &["Datastore.Allocate", "Datastore.AllocateTemplate"],
            )?,
        }
        if state
            .volume(&node, &volid)
            .is_some_and(|volume| volume.protected)
        {
            return Err(ApiError::failure(format!(
                "can't remove volume '{volid}' - protected"
            )));
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
