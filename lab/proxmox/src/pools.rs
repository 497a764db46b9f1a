//! Resource pools: guests and storages that rights are granted on together. Pools may lie in pools, three deep.

use serde_json::{Value, json};

use crate::cluster::resources::{storage_row, vm_row};
use crate::error::{Answer, ApiError};
use crate::routes::{Call, Routes};
use crate::state::{Pool, State};

pub(crate) fn routes(at: &mut Routes<'_>) {
    at.get("/pools", list);
    at.post("/pools", create);
    at.get("/pools/{poolid}", read);
    for path in ["/pools", "/pools/{poolid}"] {
        at.put(path, update);
        at.delete(path, delete);
    }
}

fn missing(id: &str) -> ApiError {
    ApiError::failure(format!("pool '{id}' does not exist"))
}

/// `GET /pools`; with `poolid`, that one with its members.
fn list(state: &State, call: &Call) -> Answer {
    if call.params.has("poolid") {
        return Ok(json!([read(state, call)?]));
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

/// `GET /pools/{poolid}`
fn read(state: &State, call: &Call) -> Answer {
    let id = call.params.text("poolid");
    let pool = state.pools.get(id).ok_or_else(|| missing(id))?;
    let kind = call.params.get("type");
    let vms = pool
        .vms
        .iter()
        .filter_map(|vmid| Some(vm_row(state, *vmid, state.vms.get(vmid)?)))
        .filter(|row| kind.is_none_or(|kind| row["type"] == kind));
    let storages = pool.storages.iter().filter_map(|name| {
        let storage = state.storages.get(name)?;
        let elsewhere = || state.nodes.keys().find(|node| storage.is_on(node));
        let here = Some(&call.at).filter(|node| storage.is_on(node));
        Some(storage_row(name, storage, here.or_else(elsewhere)?))
    });
    let storages = storages.filter(|_| kind.is_none_or(|kind| kind == "storage"));
    let members: Vec<Value> = vms.chain(storages).collect();
    let mut row = json!({ "poolid": id, "members": members });
    if let Some(comment) = &pool.comment {
        row["comment"] = comment.clone().into();
    }
    Ok(row)
}

/// `POST /pools`
fn create(state: &mut State, call: &Call) -> Answer {
    let failed = |text: String| Err(ApiError::failure(text).within("create pool failed"));
    let id = call.params.text("poolid");
    if state.pools.contains_key(id) {
        return failed(format!("pool '{id}' already exists"));
    }
    let name = match id.rsplit_once('/') {
        Some((parent, _)) if !state.pools.contains_key(parent) => {
            return failed(format!("parent '{parent}' of pool '{id}' does not exist"));
        }
        Some((_, name)) => name,
        None => id,
    };
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return failed("pool name must start with a letter".into());
    }
    let comment = call.params.get("comment").filter(|c| !c.is_empty());
    let pool = Pool {
        comment: comment.map(str::to_owned),
        ..Pool::default()
    };
    state.pools.insert(id.to_owned(), pool);
    Ok(Value::Null)
}

/// `PUT /pools`: all of it, or nothing.
fn update(state: &mut State, call: &Call) -> Answer {
    let id = call.params.text("poolid");
    let mut pools = state.pools.clone();
    let changed = (|| {
        let pool = pools.get_mut(id).ok_or_else(|| missing(id))?;
        if let Some(comment) = call.params.get("comment") {
            pool.comment = Some(comment.to_owned());
        }
        for text in call.params.list("vms") {
            state.need_modify(&call.caller, &format!("/vms/{text}"))?;
            let vmid = text.parse().unwrap_or_default();
            change_vm(state, call, &mut pools, vmid)?;
        }
        for storage in call.params.list("storage") {
            state.need_modify(&call.caller, &format!("/storage/{storage}"))?;
            let pool = pools.get_mut(id).ok_or_else(|| missing(id))?;
            change_storage(pool, storage, call.params.is_on("delete"))?;
        }
        Ok(())
    })();
    changed.map_err(|error: ApiError| error.within("update pools failed"))?;
    state.pools = pools;
    Ok(Value::Null)
}

fn change_storage(pool: &mut Pool, storage: String, delete: bool) -> Result<(), ApiError> {
    match (pool.storages.contains(&storage), delete) {
        (true, true) => pool.storages.retain(|s| *s != storage),
        (false, false) => pool.storages.push(storage),
        (_, delete) => {
            let text = if delete { "is not" } else { "is already" };
            let text = format!("Storage '{storage}' {text} a pool member");
            return Err(ApiError::failure(text));
        }
    }
    Ok(())
}

type Pools = std::collections::BTreeMap<String, Pool>;

/// Guests are in one pool at most.
fn change_vm(state: &State, call: &Call, pools: &mut Pools, vmid: u32) -> Result<(), ApiError> {
    let (params, id) = (&call.params, call.params.text("poolid"));
    let current = pools.iter().find(|(_, pool)| pool.vms.contains(&vmid));
    let current = current.map(|(name, _)| name.clone());
    let refused = |text: String| Err(ApiError::failure(text));
    match (current.as_deref() == Some(id), params.is_on("delete")) {
        (false, true) => return refused(format!("VM {vmid} is not a pool member")),
        (true, false) => return refused(format!("VM {vmid} is already a pool member")),
        _ => {}
    }
    if let Some(current) = &current
        && current != id
    {
        if !params.is_on("allow-move") {
            return refused(format!(
                "VM {vmid} belongs already to pool '{current}' and 'allow-move' is not set"
            ));
        }
        let path = format!("/pool/{current}");
        state.need(&call.caller, &path, &["Pool.Allocate"])?;
    }
    if let Some(pool) = current.and_then(|current| pools.get_mut(&current)) {
        pool.vms.retain(|member| *member != vmid);
    }
    if let (false, Some(pool)) = (params.is_on("delete"), pools.get_mut(id)) {
        pool.vms.insert(vmid);
    }
    Ok(())
}

/// `DELETE /pools`
fn delete(state: &mut State, call: &Call) -> Answer {
    let failed = |error: ApiError| error.within("delete pool failed");
    let id = call.params.text("poolid");
    let pool = state.pools.get(id).ok_or_else(|| failed(missing(id)))?;
    let inside = format!("{id}/");
    let mut nested = state.pools.keys().filter(|p| p.starts_with(&inside));
    let mut vms = pool.vms.iter().filter(|vmid| state.vms.contains_key(vmid));
    let mut storages = pool
        .storages
        .iter()
        .filter(|s| state.storages.contains_key(*s));
    let contains = match (nested.next(), vms.next(), storages.next()) {
        (Some(pool), _, _) => format!("pool '{pool}'"),
        (_, Some(vmid), _) => format!("VM {vmid}"),
        (_, _, Some(storage)) => format!("storage '{storage}'"),
        _ => {
            state.pools.remove(id);
            state.access.acl.remove(&format!("/pool/{id}"));
            return Ok(Value::Null);
        }
    };
    let text = format!("pool '{id}' is not empty (contains {contains})");
    Err(failed(ApiError::failure(text)))
}
