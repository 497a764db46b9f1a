//! The API's part on access: login, users, tokens, roles, access-control list.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::check::normalized;
use super::{Caller, User, roles as builtin};
use crate::Proxmox;
use crate::error::{Answer, ApiError};
use crate::routes::Call;
use crate::state::State;

/// `POST /access/ticket`
pub(crate) async fn ticket(px: &Arc<Proxmox>, call: &Call) -> Answer {
    let params = &call.params;
    for name in ["otp", "tfa-challenge", "path", "privs"] {
        if params.has(name) {
            return Err(ApiError::new(
                501,
                format!("parameter '{name}' not implemented"),
            ));
        }
    }
    let given = params.text("username");
    let user = match params.get("realm") {
        Some(realm) if !given.contains('@') => format!("{given}@{realm}"),
        _ if !given.contains('@') => format!("{given}@pam"),
        _ => given.to_owned(),
    };
    let outcome = px.state().access.log_in(&user, params.text("password"));
    let (ticket, csrf) = match outcome {
        Ok(found) => found,
        Err(refusal) => {
            // Guessing is slowed down.
            px.takes(Duration::from_secs(3)).await;
            return Err(refusal);
        }
    };
    let state = px.state();
    Ok(json!({
        "username": user, "ticket": ticket, "CSRFPreventionToken": csrf, "clustername": state.name,
        "cap": capabilities(&state, &Caller { user: user.clone(), token: None }),
    }))
}

/// What a web client shows or hides: privileges by kind of object.
fn capabilities(state: &State, caller: &Caller) -> Value {
    let kinds = [
        ("dc", "/", &["SDN", "Sys"][..]),
        ("vms", "/vms", &["VM"]),
        ("storage", "/storage", &["Datastore"]),
        ("nodes", "/nodes", &["Sys"]),
        ("access", "/access", &["User", "Group", "Permissions"]),
        ("mapping", "/mapping", &["Mapping"]),
        ("sdn", "/sdn", &["SDN"]),
    ];
    let of_kind = |(name, path, stems): &(&str, &str, &[&str])| {
        let held = state.privileges(caller, path).into_iter();
        let held = held.filter(|p| stems.iter().any(|s| p.split('.').next() == Some(s)));
        (
            (*name).to_owned(),
            held.map(|p| (p, Value::from(1)))
                .collect::<Map<_, _>>()
                .into(),
        )
    };
    Value::Object(kinds.iter().map(of_kind).collect())
}

/// `GET /access/users`: all, or oneself for who may not audit.
pub(crate) fn users(state: &State, call: &Call) -> Value {
    let all = state
        .need_any(
            &call.caller,
            "/access/groups",
            &["User.Modify", "Sys.Audit"],
        )
        .is_ok();
    let enabled = call
        .params
        .get("enabled")
        .map(|_| call.params.is_on("enabled"));
    let seen = state.access.users.iter().filter(|(id, user)| {
        (all || **id == call.caller.user) && enabled.is_none_or(|wanted| wanted != user.disabled)
    });
    let rows = seen.map(|(id, user)| {
        let mut row = json!({
            "userid": id, "enable": u8::from(!user.disabled), "expire": 0,
            "realm-type": if id.ends_with("@pam") { "pam" } else { "pve" },
        });
        if let Some(row) = row.as_object_mut() {
            if let Some(comment) = &user.comment {
                row.insert("comment".into(), comment.clone().into());
            }
            if call.params.is_on("full") {
                let tokens = user.tokens.keys().map(|token| token_row(user, token));
                row.insert("tokens".into(), tokens.collect());
                row.insert("groups".into(), "".into());
            }
        }
        row
    });
    rows.collect()
}

/// `POST /access/users`
pub(crate) fn add_user(state: &mut State, call: &Call) -> Answer {
    let (params, id) = (&call.params, call.params.text("userid"));
    refuse(call, &["userid", "enable", "comment", "password"])?;
    if state.access.users.contains_key(id) {
        return Err(ApiError::failure(format!(
            "create user failed: user '{id}' already exists"
        )));
    }
    if !id.ends_with("@pam") && !id.ends_with("@pve") {
        let realm = id.rsplit('@').next().unwrap_or_default();
        return Err(ApiError::failure(format!(
            "create user failed: domain '{realm}' does not exist"
        )));
    }
    let comment = params.get("comment").map(str::to_owned);
    let disabled = params.has("enable") && !params.is_on("enable");
    let key = state.access.key;
    let password = params.get("password").map(|p| super::hash(&key, p));
    state.access.users.insert(
        id.to_owned(),
        User {
            disabled,
            comment,
            password,
            tokens: BTreeMap::new(),
        },
    );
    Ok(Value::Null)
}

/// Parameters that the contract knows and the simulation does not act on are refused, not ignored.
fn refuse(call: &Call, known: &[&str]) -> Result<(), ApiError> {
    match call.params.iter().find(|(name, _)| !known.contains(name)) {
        None => Ok(()),
        Some((name, _)) => Err(ApiError::new(
            501,
            format!("parameter '{name}' not implemented"),
        )),
    }
}

/// `DELETE /access/users/{userid}`
pub(crate) fn remove_user(state: &mut State, call: &Call) -> Answer {
    let id = call.params.text("userid");
    user(state, id)?;
    if id == "root@pam" {
        return Err(ApiError::failure("delete user failed: can't delete root"));
    }
    state.access.users.remove(id);
    let token_prefix = format!("{id}!");
    for subjects in state.access.acl.values_mut() {
        subjects.retain(|subject, _| subject != id && !subject.starts_with(&token_prefix));
    }
    Ok(Value::Null)
}

fn user<'a>(state: &'a State, id: &str) -> Result<&'a User, ApiError> {
    state
        .access
        .users
        .get(id)
        .ok_or_else(|| ApiError::failure(format!("no such user ('{id}')")))
}

fn token_row(user: &User, id: &str) -> Value {
    let mut row = json!({ "tokenid": id });
    if let (Some(token), Some(row)) = (user.tokens.get(id), row.as_object_mut()) {
        row.insert("privsep".into(), u8::from(token.privsep).into());
        row.insert("expire".into(), token.expire.into());
        if let Some(comment) = &token.comment {
            row.insert("comment".into(), comment.clone().into());
        }
    }
    row
}

/// `GET /access/users/{userid}/token`
pub(crate) fn tokens(state: &State, call: &Call) -> Answer {
    let user = user(state, call.params.text("userid"))?;
    Ok(user.tokens.keys().map(|id| token_row(user, id)).collect())
}

/// `GET /access/users/{userid}/token/{tokenid}`
pub(crate) fn token(state: &State, call: &Call) -> Answer {
    let (user_id, id) = (call.params.text("userid"), call.params.text("tokenid"));
    let user = user(state, user_id)?;
    if !user.tokens.contains_key(id) {
        return Err(ApiError::failure(format!(
            "no such token '{id}' for user '{user_id}'"
        )));
    }
    let mut row = token_row(user, id);
    if let Some(row) = row.as_object_mut() {
        row.remove("tokenid");
    }
    Ok(row)
}

/// `POST /access/users/{userid}/token/{tokenid}`: the secret is told only now.
pub(crate) fn add_token(state: &mut State, call: &Call) -> Answer {
    let (params, user_id, id) = (
        &call.params,
        call.params.text("userid"),
        call.params.text("tokenid"),
    );
    if user(state, user_id)?.tokens.contains_key(id) {
        return Err(ApiError::parameter("tokenid", "Token already exists."));
    }
    let secret = state.uuid();
    let privsep = !params.has("privsep") || params.is_on("privsep");
    let Some(token) = state.access.add_token(user_id, id, &secret, privsep) else {
        return Err(ApiError::failure(format!("no such user ('{user_id}')")));
    };
    token.expire = params.number("expire").unwrap_or(0);
    token.comment = params.get("comment").map(str::to_owned);
    let info = json!({ "privsep": u8::from(privsep), "expire": token.expire });
    Ok(json!({ "full-tokenid": format!("{user_id}!{id}"), "value": secret, "info": info }))
}

/// `DELETE /access/users/{userid}/token/{tokenid}`
pub(crate) fn remove_token(state: &mut State, call: &Call) -> Answer {
    let (user_id, id) = (call.params.text("userid"), call.params.text("tokenid"));
    token(state, call)?;
    if let Some(user) = state.access.users.get_mut(user_id) {
        user.tokens.remove(id);
    }
    let subject = format!("{user_id}!{id}");
    for subjects in state.access.acl.values_mut() {
        subjects.remove(&subject);
    }
    Ok(Value::Null)
}

/// `GET /access/roles`
pub(crate) fn roles(state: &State) -> Value {
    let row = |(name, special): (&str, u8)| {
        let privileges: Vec<String> = state.access.role(name).into_iter().collect();
        json!({ "roleid": name, "special": special, "privs": privileges.join(",") })
    };
    let own = state.access.roles.keys().map(|name| (name.as_str(), 0));
    builtin::BUILT_IN
        .iter()
        .map(|name| (*name, 1))
        .chain(own)
        .map(row)
        .collect()
}

/// `GET /access/roles/{roleid}`
pub(crate) fn role(state: &State, call: &Call) -> Answer {
    let id = call.params.text("roleid");
    if !state.access.roles.contains_key(id) && builtin::built_in(id).is_none() {
        return Err(ApiError::failure(format!("role '{id}' does not exist")));
    }
    Ok(Value::Object(
        state
            .access
            .role(id)
            .into_iter()
            .map(|p| (p, 1.into()))
            .collect(),
    ))
}

/// `POST /access/roles`
pub(crate) fn add_role(state: &mut State, call: &Call) -> Answer {
    let id = call.params.text("roleid");
    if state.access.roles.contains_key(id) || builtin::built_in(id).is_some() {
        return Err(ApiError::failure(format!(
            "create role failed: role '{id}' already exists"
        )));
    }
    let privileges: BTreeSet<String> = call.params.list("privs").into_iter().collect();
    let all = builtin::all();
    if let Some(unknown) = privileges.iter().find(|p| !all.contains(*p)) {
        return Err(ApiError::failure(format!(
            "create role failed: invalid privilege '{unknown}'"
        )));
    }
    state.access.roles.insert(id.to_owned(), privileges);
    Ok(Value::Null)
}

/// `DELETE /access/roles/{roleid}`
pub(crate) fn remove_role(state: &mut State, call: &Call) -> Answer {
    let id = call.params.text("roleid");
    match state.access.roles.remove(id) {
        Some(_) => Ok(Value::Null),
        None if builtin::built_in(id).is_some() => Err(ApiError::failure(format!(
            "auto-generated role '{id}' cannot be deleted"
        ))),
        None => Err(ApiError::failure(format!("role '{id}' does not exist"))),
    }
}

/// `GET /access/acl`: the entries that the caller could change, or all for auditors.
pub(crate) fn acl(state: &State, call: &Call) -> Value {
    let audit = state
        .need_any(
            &call.caller,
            "/access",
            &["Sys.Audit", "Permissions.Modify"],
        )
        .is_ok();
    let mut rows = Vec::new();
    for (path, subjects) in &state.access.acl {
        if !audit && !state.may(&call.caller, path, "Permissions.Modify") {
            continue;
        }
        for (subject, roles) in subjects {
            let kind = if subject.contains('!') {
                "token"
            } else {
                "user"
            };
            rows.extend(roles.iter().map(|(role, propagate)| {
                json!({ "path": path, "type": kind, "ugid": subject, "roleid": role, "propagate": u8::from(*propagate) })
            }));
        }
    }
    Value::Array(rows)
}

/// `PUT /access/acl`
pub(crate) fn change_acl(state: &mut State, call: &Call) -> Answer {
    let params = &call.params;
    refuse(
        call,
        &["path", "roles", "users", "tokens", "propagate", "delete"],
    )?;
    let subjects: Vec<String> = params
        .list("users")
        .into_iter()
        .chain(params.list("tokens"))
        .collect();
    if subjects.is_empty() {
        return Err(ApiError::parameter(
            "users",
            "either 'users', 'groups' or 'tokens' is required.",
        ));
    }
    let path = normalized(params.text("path"));
    for role in params.list("roles") {
        if !state.access.roles.contains_key(&role) && builtin::built_in(&role).is_none() {
            return Err(ApiError::failure(format!("role '{role}' does not exist")));
        }
        for subject in &subjects {
            let (user_id, token) = subject
                .split_once('!')
                .map_or((subject.as_str(), None), |(u, t)| (u, Some(t)));
            let known = user(state, user_id)
                .map_err(|_| ApiError::failure(format!("user '{user_id}' does not exist")))?;
            if token.is_some_and(|t| !known.tokens.contains_key(t)) {
                return Err(ApiError::failure(format!(
                    "token '{subject}' does not exist"
                )));
            }
            let at = state.access.acl.entry(path.clone()).or_default();
            if params.is_on("delete") {
                if let Some(roles) = at.get_mut(subject) {
                    roles.remove(&role);
                }
                at.retain(|_, roles| !roles.is_empty());
            } else {
                let propagate = !params.has("propagate") || params.is_on("propagate");
                at.entry(subject.clone())
                    .or_default()
                    .insert(role.clone(), propagate);
            }
        }
    }
    state.access.acl.retain(|_, subjects| !subjects.is_empty());
    Ok(Value::Null)
}

/// `GET /access/permissions`: effective privileges, by path.
pub(crate) fn permissions(state: &State, call: &Call) -> Answer {
    let caller = match call.params.get("userid") {
        None => call.caller.clone(),
        Some(id) => {
            let (user, token) = id
                .split_once('!')
                .map_or((id, None), |(u, t)| (u, Some(t.to_owned())));
            let asked = Caller {
                user: user.to_owned(),
                token,
            };
            if asked != call.caller {
                state.need(&call.caller, "/access", &["Sys.Audit"])?;
            }
            asked
        }
    };
    let fixed = [
        "/",
        "/access",
        "/access/groups",
        "/nodes",
        "/pool",
        "/sdn",
        "/storage",
        "/vms",
        "/mapping",
    ];
    let paths: BTreeSet<String> = match call.params.get("path") {
        Some(path) => BTreeSet::from([normalized(path)]),
        None => fixed
            .iter()
            .map(|p| (*p).to_owned())
            .chain(state.access.acl.keys().cloned())
            .collect(),
    };
    let rows = paths.into_iter().map(|path| {
        let held = state
            .privileges(&caller, &path)
            .into_iter()
            .map(|p| (p, Value::from(1)));
        (path, Value::Object(held.collect()))
    });
    Ok(Value::Object(
        rows.filter(|(_, held)| held.as_object().is_some_and(|h| !h.is_empty()))
            .collect(),
    ))
}
