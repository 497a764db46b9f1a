//! Groups of users.

use serde_json::{Value, json};

use crate::error::{Answer, ApiError};
use crate::routes::Call;
use crate::state::State;

fn missing(id: &str) -> ApiError {
    ApiError::failure(format!("group '{id}' does not exist"))
}

fn members(state: &State, id: &str) -> Vec<String> {
    let users = state.access.users.iter();
    let inside = users.filter(|(_, user)| user.groups.contains(id));
    inside.map(|(user, _)| user.clone()).collect()
}

/// `GET /access/groups`
pub(crate) fn list(state: &State, call: &Call) -> Value {
    let seen = state.access.groups.iter().filter(|(id, _)| {
        let path = format!("/access/groups/{id}");
        let privileges = ["User.Modify", "Sys.Audit", "Group.Allocate"];
        state.need_any(&call.caller, &path, &privileges).is_ok()
    });
    let rows = seen.map(|(id, comment)| {
        let mut row = json!({ "groupid": id, "users": members(state, id).join(",") });
        if let Some(comment) = comment {
            row["comment"] = comment.clone().into();
        }
        row
    });
    rows.collect()
}

/// `POST /access/groups`
pub(crate) fn create(state: &mut State, call: &Call) -> Answer {
    let id = call.params.text("groupid");
    if state.access.groups.contains_key(id) {
        let error = ApiError::failure(format!("group '{id}' already exists"));
        return Err(error.within("create group failed"));
    }
    let comment = call.params.get("comment").filter(|c| !c.is_empty());
    let groups = &mut state.access.groups;
    groups.insert(id.to_owned(), comment.map(str::to_owned));
    Ok(Value::Null)
}

/// `GET /access/groups/{groupid}`
pub(crate) fn read(state: &State, call: &Call) -> Answer {
    let id = call.params.text("groupid");
    let comment = state.access.groups.get(id).ok_or_else(|| missing(id))?;
    let mut row = json!({ "members": members(state, id) });
    if let Some(comment) = comment {
        row["comment"] = comment.clone().into();
    }
    Ok(row)
}

/// `PUT /access/groups/{groupid}`
pub(crate) fn update(state: &mut State, call: &Call) -> Answer {
    let id = call.params.text("groupid");
    let group = state.access.groups.get_mut(id);
    let group = group.ok_or_else(|| missing(id).within("update group failed"))?;
    if let Some(comment) = call.params.get("comment") {
        *group = Some(comment.to_owned()).filter(|c| !c.is_empty());
    }
    Ok(Value::Null)
}

/// `DELETE /access/groups/{groupid}`
pub(crate) fn delete(state: &mut State, call: &Call) -> Answer {
    let id = call.params.text("groupid");
    if state.access.groups.remove(id).is_none() {
        return Err(missing(id).within("delete group failed"));
    }
    for user in state.access.users.values_mut() {
        user.groups.remove(id);
    }
    let name = format!("@{id}");
    state.access.forget(|subject, _| subject == name);
    Ok(Value::Null)
}
