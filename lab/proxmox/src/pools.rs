//! Resource pools.

use serde_json::{Value, json};

use crate::error::{Answer, ApiError};
use crate::routes::Call;
use crate::state::{Pool, State};

fn missing(id: &str) -> ApiError {
    ApiError::failure(format!("pool '{id}' does not exist"))
}

/// `GET /pools`; with `poolid`, that one with its members.
pub(crate) fn list(state: &State, call: &Call) -> Answer {
    if call.params.has("poolid") {
        let mut pool = read(state, call)?;
        if let Some(pool) = pool.as_object_mut() {
            pool.insert("poolid".into(), call.params.text("poolid").into());
        }
        return Ok(json!([pool]));
    }
    let seen = state
        .pools
        .iter()
        .filter(|(id, _)| state.may(&call.caller, &format!("/pool/{id}"), "Pool.Audit"));
    let rows = seen.map(|(id, pool)| match &pool.comment {
        Some(comment) => json!({ "poolid": id, "comment": comment }),
        None => json!({ "poolid": id }),
    });
    Ok(rows.collect())
}

/// `POST /pools`
pub(crate) fn create(state: &mut State, call: &Call) -> Answer {
    let id = call.params.text("poolid");
    if state.pools.contains_key(id) {
        return Err(ApiError::failure(format!(
            "create pool failed: pool '{id}' already exists"
        )));
    }
    if let Some((parent, _)) = id.rsplit_once('/')
        && !state.pools.contains_key(parent)
    {
        return Err(ApiError::failure(format!(
            "create pool failed: parent '{parent}' of pool '{id}' does not exist"
        )));
    }
    let comment = call.params.get("comment").map(str::to_owned);
    state.pools.insert(
        id.to_owned(),
        Pool {
            comment,
            ..Pool::default()
        },
    );
    Ok(Value::Null)
}

/// `GET /pools/{poolid}`
pub(crate) fn read(state: &State, call: &Call) -> Answer {
    let id = call.params.text("poolid");
    let pool = state.pools.get(id).ok_or_else(|| missing(id))?;
    let kind = call.params.get("type");
    let mut members = Vec::new();
    if kind.is_none_or(|k| k == "qemu") {
        members.extend(pool.vms.iter().filter_map(|vmid| {
            let vm = state.vms.get(vmid)?;
            let status = if vm.running.is_some() { "running" } else { "stopped" };
            Some(json!({
                "id": format!("qemu/{vmid}"), "type": "qemu", "vmid": vmid, "node": vm.node, "name": vm.name(*vmid),
                "status": status, "template": u8::from(vm.is_template()),
            }))
        }));
    }
    if kind.is_none_or(|k| k == "storage") {
        for storage in &pool.storages {
            let nodes = state
                .nodes
                .keys()
                .filter(|node| state.storages.get(storage).is_some_and(|s| s.is_on(node)));
            members.extend(nodes.map(|node| {
                json!({ "id": format!("storage/{node}/{storage}"), "type": "storage", "storage": storage, "node": node })
            }));
        }
    }
    let mut shown = json!({ "members": members });
    if let (Some(comment), Some(shown)) = (&pool.comment, shown.as_object_mut()) {
        shown.insert("comment".into(), comment.clone().into());
    }
    Ok(shown)
}

/// `PUT /pools`
pub(crate) fn update(state: &mut State, call: &Call) -> Answer {
    let (params, id) = (&call.params, call.params.text("poolid"));
    if !state.pools.contains_key(id) {
        return Err(missing(id));
    }
    let (delete, may_move) = (params.is_on("delete"), params.is_on("allow-move"));
    let mut vms = Vec::new();
    for text in params.list("vms") {
        let vmid: u32 = text
            .parse()
            .map_err(|_| ApiError::parameter("vms", "value does not look like a valid VM ID"))?;
        state.need(&call.caller, &format!("/vms/{vmid}"), &["VM.Allocate"])?;
        check_vm(state, id, vmid, delete, may_move)?;
        vms.push(vmid);
    }
    let storages = params.list("storage");
    for storage in &storages {
        state.need(
            &call.caller,
            &format!("/storage/{storage}"),
            &["Datastore.Allocate"],
        )?;
        let member = state
            .pools
            .get(id)
            .is_some_and(|p| p.storages.contains(storage));
        if delete != member {
            let text = if delete {
                "is not a pool member"
            } else {
                "is already a pool member"
            };
            return Err(ApiError::failure(format!(
                "update pools failed: Storage '{storage}' {text}"
            )));
        }
    }
    for pool in state.pools.values_mut() {
        pool.vms.retain(|vmid| !vms.contains(vmid));
    }
    if let Some(pool) = state.pools.get_mut(id) {
        pool.storages.retain(|s| !storages.contains(s));
        if !delete {
            pool.vms.extend(vms);
            pool.storages.extend(storages);
        }
        if let Some(comment) = params.get("comment") {
            pool.comment = Some(comment.to_owned());
        }
    }
    Ok(Value::Null)
}

fn check_vm(
    state: &State,
    pool: &str,
    vmid: u32,
    delete: bool,
    may_move: bool,
) -> Result<(), ApiError> {
    let refused = |text: String| Err(ApiError::failure(format!("update pools failed: {text}")));
    match (state.pool_of(vmid), delete) {
        (Some(current), true) if current == pool => Ok(()),
        (_, true) => refused(format!("VM {vmid} is not a pool member")),
        (Some(current), false) if current == pool => {
            refused(format!("VM {vmid} is already a pool member"))
        }
        (Some(current), false) if !may_move => refused(format!(
            "VM {vmid} belongs already to pool '{current}' and cannot be moved"
        )),
        _ if !state.vms.contains_key(&vmid) => refused(format!("VM {vmid} does not exist")),
        _ => Ok(()),
    }
}

/// `DELETE /pools`
pub(crate) fn delete(state: &mut State, call: &Call) -> Answer {
    let id = call.params.text("poolid");
    let pool = state.pools.get(id).ok_or_else(|| missing(id))?;
    let nested = format!("{id}/");
    if !pool.vms.is_empty()
        || !pool.storages.is_empty()
        || state.pools.keys().any(|p| p.starts_with(&nested))
    {
        return Err(ApiError::failure(format!(
            "delete pool failed: pool '{id}' is not empty"
        )));
    }
    state.pools.remove(id);
    Ok(Value::Null)
}
