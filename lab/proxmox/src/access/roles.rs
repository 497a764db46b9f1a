//! Roles: the built-in ones and others.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::privileges::{BUILT_IN, Set};
use crate::error::{Answer, ApiError};
use crate::routes::Call;
use crate::state::State;

fn missing(id: &str) -> ApiError {
    ApiError::failure(format!("role '{id}' does not exist"))
}

/// `GET /access/roles`
pub(crate) fn list(state: &State, _: &Call) -> Value {
    let row = |(name, special): (&str, u8)| {
        let privileges: Vec<&str> = state
            .access
            .role(name)
            .unwrap_or_default()
            .names()
            .collect();
        json!({ "roleid": name, "special": special, "privs": privileges.join(",") })
    };
    let own = state.access.roles.keys().map(|name| (name.as_str(), 0));
    let built_in = BUILT_IN.iter().map(|name| (*name, 1));
    built_in.chain(own).map(row).collect()
}

/// `GET /access/roles/{roleid}`
pub(crate) fn read(state: &State, call: &Call) -> Answer {
    let id = call.params.text("roleid");
    let set = state.access.role(id).ok_or_else(|| missing(id))?;
    let held = set.names().map(|name| (name.to_owned(), 1.into()));
    Ok(Value::Object(held.collect()))
}

fn given(state: &State, call: &Call) -> Result<BTreeSet<String>, ApiError> {
    let all = Set::all(state.version());
    let privileges: BTreeSet<String> = call.params.list("privs").into_iter().collect();
    match privileges.iter().find(|p| !all.has(p)) {
        None => Ok(privileges),
        Some(unknown) => Err(ApiError::failure(format!("invalid privilege '{unknown}'"))),
    }
}

/// `POST /access/roles`
pub(crate) fn create(state: &mut State, call: &Call) -> Answer {
    let failed = |error: ApiError| error.within("create role failed");
    let id = call.params.text("roleid");
    if id.to_ascii_lowercase().starts_with("pve") {
        return Err(ApiError::parameter(
            "roleid",
            "cannot use role ID starting with the (case-insensitive) 'PVE' namespace",
        ));
    }
    if state.access.role(id).is_some() {
        let error = ApiError::failure(format!("role '{id}' already exists"));
        return Err(failed(error));
    }
    let privileges = given(state, call).map_err(failed)?;
    state.access.roles.insert(id.to_owned(), privileges);
    Ok(Value::Null)
}

/// `PUT /access/roles/{roleid}`
pub(crate) fn update(state: &mut State, call: &Call) -> Answer {
    let failed = |error: ApiError| error.within("update role failed");
    let id = call.params.text("roleid");
    refuse_built_in(id, "modified")?;
    let mut privileges = given(state, call).map_err(failed)?;
    let role = state.access.roles.get_mut(id);
    let role = role.ok_or_else(|| failed(missing(id)))?;
    if call.params.is_on("append") {
        privileges.extend(role.iter().cloned());
    }
    *role = privileges;
    Ok(Value::Null)
}

fn refuse_built_in(id: &str, what: &str) -> Result<(), ApiError> {
    if BUILT_IN.contains(&id) {
        let text = format!("auto-generated role '{id}' cannot be {what}");
        return Err(ApiError::failure(text));
    }
    Ok(())
}

/// `DELETE /access/roles/{roleid}`
pub(crate) fn delete(state: &mut State, call: &Call) -> Answer {
    let id = call.params.text("roleid");
    refuse_built_in(id, "deleted")?;
    if state.access.roles.remove(id).is_none() {
        return Err(missing(id).within("delete role failed"));
    }
    // PVE ignores entries with an unknown role when it reads the list.
    state.access.forget(|_, role| role == id);
    Ok(Value::Null)
}
