//! What can be done with a guest's disks: `GET …/feature`.

use serde_json::json;

use super::Kind;
use super::drive::Drive;
use crate::error::Answer;
use crate::routes::Call;

pub(crate) fn read(px: &crate::Proxmox, call: &Call) -> Answer {
    let state = px.state();
    let vm = call.guest(&state)?;
    let (node, snapshot) = (call.node(), call.params.get("snapname"));
    let config = match snapshot {
        Some(name) => vm.snapshot(name)?,
        None => &vm.config,
    };
    let disks: Vec<Drive> = px.disks(vm.kind, config).collect();
    let has = |drive: &Drive| {
        let volid = drive.volid().unwrap_or_default();
        match call.params.text("feature") {
            "snapshot" => snapshot.is_none() && state.can_snapshot(node, volid),
            "clone" => snapshot.is_none() && state.is_base(node, volid),
            "copy" => state.volume(node, volid).is_some(),
            _ => false,
        }
    };
    let all = disks.iter().all(has);
    if vm.kind == Kind::Lxc {
        return Ok(json!({ "hasFeature": u8::from(all) }));
    }
    let nodes = state.nodes.keys().filter(|other| {
        *other == node
            || disks.iter().all(|drive| {
                let storage = drive.storage().and_then(|id| state.storages.get(id));
                storage.is_some_and(|s| s.shared && s.is_on(other))
            })
    });
    Ok(json!({ "hasFeature": u8::from(all), "nodes": nodes.collect::<Vec<_>>() }))
}
