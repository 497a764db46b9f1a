//! The access-control list, and what follows from it.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value, json};

use super::check::normalized;
use super::{Caller, Held};
use crate::error::{Answer, ApiError};
use crate::routes::Call;
use crate::schema::check::Errors;
use crate::state::State;

/// Below each of these, which names may follow.
static PATHS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    const NAME: &str = r"[[:alnum:]._-]+";
    const PLAIN: &str = "[[:alnum:]]+";
    let parts = [
        "/".to_owned(),
        format!("/access(?:/groups(?:/{NAME})?|/realm(?:/{NAME})?)?"),
        format!("/nodes(?:/{NAME})?"),
        format!("/pool(?:(?:/{NAME}){{1,3}})?"),
        "/sdn".to_owned(),
        "/sdn/controllers(?:/[[:alnum:]_-]+)?".to_owned(),
        format!("/sdn/(?:dns|fabrics|ipams|prefix-lists|route-maps)(?:/{PLAIN})?"),
        format!("/sdn/zones(?:/{NAME}(?:/{NAME}(?:/[1-9][0-9]{{0,3}})?)?)?"),
        format!("/storage(?:/{NAME})?"),
        "/vms(?:/[1-9][0-9]{2,})?".to_owned(),
        format!("/mapping(?:/{NAME}(?:/{NAME})?)?"),
    ];
    Regex::new(&format!("^(?:{})$", parts.join("|"))).ok()
});

fn is_path(path: &str) -> bool {
    PATHS.as_ref().is_some_and(|paths| paths.is_match(path))
}

/// `GET /access/acl`: the entries that the caller could change, or all for auditors.
pub(crate) fn list(state: &State, call: &Call) -> Value {
    let audit = state.may(&call.caller, "/access", "Sys.Audit");
    let mut rows = Vec::new();
    for (path, subjects) in &state.access.acl {
        if !audit && state.need_modify(&call.caller, path).is_err() {
            continue;
        }
        for (subject, roles) in subjects {
            let (kind, id) = match subject.strip_prefix('@') {
                Some(group) => ("group", group),
                None if subject.contains('!') => ("token", subject.as_str()),
                None => ("user", subject.as_str()),
            };
            rows.extend(roles.iter().map(|(role, propagate)| {
                json!({ "path": path, "type": kind, "ugid": id, "roleid": role, "propagate": u8::from(*propagate) })
            }));
        }
    }
    Value::Array(rows)
}

/// `PUT /access/acl`
pub(crate) fn update(state: &mut State, call: &Call) -> Answer {
    let params = &call.params;
    let kinds = ["users", "groups", "tokens"];
    if kinds.iter().all(|kind| params.list(kind).is_empty()) {
        let text = "either 'users', 'groups' or 'tokens' is required.";
        let errors = kinds.map(|kind| (kind.to_owned(), text.to_owned()));
        return Err(ApiError::parameters(Errors::from(errors)));
    }
    let path = normalized(params.text("path"));
    let delete = params.is_on("delete");
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    if !path.chars().all(plain) || (!delete && !is_path(&path)) {
        let text = format!("invalid ACL path '{}'", params.text("path"));
        return Err(ApiError::parameter("path", text));
    }
    let propagate = !params.has("propagate") || params.is_on("propagate");
    let own = state.privileges(&call.caller, &path);
    let changes = checked(state, call, own, propagate, delete)
        .map_err(|error| error.within("ACL update failed"))?;
    let at = state.access.acl.entry(path).or_default();
    for (role, subject) in changes {
        let roles = at.entry(subject).or_default();
        if delete {
            roles.remove(&role);
        } else {
            roles.insert(role, propagate);
        }
    }
    state.access.forget(|_, _| false);
    Ok(Value::Null)
}

/// The roles and subjects of a change, when all of them exist and may be handed out.
fn checked(
    state: &State,
    call: &Call,
    own: Held,
    propagate: bool,
    delete: bool,
) -> Result<Vec<(String, String)>, ApiError> {
    let (params, access) = (&call.params, &state.access);
    let mut changes = Vec::new();
    for role in params.list("roles") {
        may_hand_out(state, &role, own, propagate, delete)?;
        for group in params.list("groups") {
            if !access.groups.contains_key(&group) {
                return Err(ApiError::failure(format!("group '{group}' does not exist")));
            }
            changes.push((role.clone(), format!("@{group}")));
        }
        for user in params.list("users") {
            if !access.users.contains_key(&user) {
                return Err(ApiError::failure(format!("user '{user}' does not exist")));
            }
            changes.push((role.clone(), user));
        }
        for token in params.list("tokens") {
            let (user, id) = token.split_once('!').unwrap_or((&token, ""));
            state.token(user, id)?;
            changes.push((role.clone(), token));
        }
    }
    Ok(changes)
}

/// Who may change rights of one kind of object only can't hand out more than they have.
fn may_hand_out(
    state: &State,
    role: &str,
    own: Held,
    propagate: bool,
    delete: bool,
) -> Result<(), ApiError> {
    let missing = || ApiError::failure(format!("role '{role}' does not exist"));
    let set = state.access.role(role).ok_or_else(missing)?;
    if own.all.has("Permissions.Modify") {
        return Ok(());
    }
    let verb = if delete { "remove" } else { "add" };
    let what = if set.common(own.all) != set {
        format!(
            "Cannot {verb} role '{role}' - requires 'Permissions.Modify' or superset of privileges."
        )
    } else if propagate && !delete && set.common(own.propagated) != set {
        format!(
            "Cannot {verb} role '{role}' with propagation - requires 'Permissions.Modify' or propagated superset of privileges."
        )
    } else if role == "NoAccess" {
        format!("Cannot {verb} role '{role}' - requires 'Permissions.Modify'")
    } else {
        return Ok(());
    };
    Err(ApiError::parameter("role", what))
}

/// `GET /access/permissions`: effective privileges by path, and whether each propagates.
pub(crate) fn permissions(state: &State, call: &Call) -> Answer {
    let asked = match call.params.get("userid") {
        None => call.caller.clone(),
        Some(id) => Caller::named(id),
    };
    let own_token = call.caller.token.is_none() && asked.user == call.caller.user;
    if asked != call.caller && !own_token {
        state.need(&call.caller, "/access", &["Sys.Audit"])?;
    }
    let paths: BTreeSet<String> = match call.params.get("path") {
        Some(path) => BTreeSet::from([path.to_owned()]),
        None => known_paths(state),
    };
    let one = call.params.has("path");
    let rows = paths.into_iter().map(|path| {
        let held = state.privileges(&asked, &normalized(&path));
        let row: Map<String, Value> = held
            .all
            .names()
            .filter(|name| asked.is_root() || !state.withheld.contains(*name))
            .map(|name| (name.to_owned(), u8::from(held.propagated.has(name)).into()))
            .collect();
        (path, row)
    });
    let rows = rows.filter(|(_, row)| one || !row.is_empty());
    Ok(Value::Object(
        rows.map(|(path, row)| (path, Value::Object(row))).collect(),
    ))
}

/// The top of each kind of object, what the list names, and what is in pools.
fn known_paths(state: &State) -> BTreeSet<String> {
    const TOPS: &[&str] = &[
        "/",
        "/access",
        "/access/groups",
        "/nodes",
        "/pool",
        "/sdn",
        "/storage",
        "/vms",
    ];
    let in_pools = state.pools.values().flat_map(|pool| {
        let vms = pool.vms.iter().map(|id| format!("/vms/{id}"));
        let storages = pool.storages.iter().map(|id| format!("/storage/{id}"));
        vms.chain(storages)
    });
    let tops = TOPS.iter().map(|path| (*path).to_owned());
    tops.chain(state.access.acl.keys().cloned())
        .chain(in_pools)
        .collect()
}
