//! Users and their passwords.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Access, Caller, User, hash, realms, tokens};
use crate::error::{Answer, ApiError};
use crate::routes::Call;
use crate::schema::check::Params;
use crate::state::State;

/// What is kept of a user as it comes.
const DETAILS: &[&str] = &["firstname", "lastname", "email", "comment", "keys"];

const SEEN_BY: &[&str] = &["User.Modify", "Sys.Audit"];

impl Access {
    pub(crate) fn user(&self, id: &str) -> Result<&User, ApiError> {
        let missing = || ApiError::failure(format!("no such user ('{id}')"));
        self.users.get(id).ok_or_else(missing)
    }

    /// The id of a user as it is known, where the realm does not care for case.
    pub(crate) fn same_user<'a>(&'a self, id: &'a str, case_sensitive: bool) -> &'a str {
        let mut alike = self.users.keys().filter(|u| u.eq_ignore_ascii_case(id));
        match (case_sensitive, alike.next(), alike.next()) {
            (false, Some(one), None) => one,
            _ => id,
        }
    }
}

impl User {
    fn shown(&self) -> Map<String, Value> {
        let mut row = Map::new();
        row.insert("enable".into(), u8::from(!self.disabled).into());
        row.insert("expire".into(), self.expire.into());
        for (name, text) in &self.details {
            row.insert(name.clone(), text.clone().into());
        }
        row
    }

    fn set_details(&mut self, params: &Params) {
        for name in DETAILS {
            match params.get(name) {
                Some("") => drop(self.details.remove(*name)),
                Some(text) => drop(self.details.insert((*name).to_owned(), text.to_owned())),
                None => {}
            }
        }
    }
}

fn realm_of(id: &str) -> &str {
    id.rsplit('@').next().unwrap_or_default()
}

/// `GET /access/users`: whom the caller may see, and oneself.
pub(crate) fn list(state: &State, call: &Call) -> Value {
    let may_see = |path: &str| state.need_any(&call.caller, path, SEEN_BY).is_ok();
    let all = may_see("/access/groups");
    let groups: BTreeSet<&String> = state
        .access
        .groups
        .keys()
        .filter(|group| may_see(&format!("/access/groups/{group}")))
        .collect();
    let enabled = call
        .params
        .get("enabled")
        .map(|_| call.params.is_on("enabled"));
    let name = call.caller.name();
    let seen = state.access.users.iter().filter(|(id, user)| {
        (all || **id == name || user.groups.iter().any(|g| groups.contains(g)))
            && enabled.is_none_or(|wanted| wanted != user.disabled)
    });
    let rows = seen.map(|(id, user)| {
        let mut row = user.shown();
        row.insert("userid".into(), id.clone().into());
        if let Some(realm) = realms::find(state, realm_of(id)) {
            row.insert("realm-type".into(), realm.kind.clone().into());
        }
        if call.params.is_on("full") {
            let groups: Vec<&str> = user.groups.iter().map(String::as_str).collect();
            row.insert("groups".into(), groups.join(",").into());
            if !user.tokens.is_empty() {
                row.insert("tokens".into(), tokens::rows(user));
            }
        }
        Value::Object(row)
    });
    rows.collect()
}

/// `POST /access/users`
pub(crate) fn create(state: &mut State, call: &Call) -> Answer {
    let failed = |error: ApiError| error.within("create user failed");
    let (params, id) = (&call.params, call.params.text("userid"));
    let case_sensitive = realms::is_case_sensitive(state, realm_of(id));
    let id = state.access.same_user(id, case_sensitive).to_owned();
    if state.access.users.contains_key(&id) {
        return Err(failed(ApiError::failure(format!(
            "user '{id}' already exists"
        ))));
    }
    let mut user = User {
        disabled: params.has("enable") && !params.is_on("enable"),
        expire: params.number("expire").unwrap_or(0),
        ..User::default()
    };
    if let Some(password) = params.get("password") {
        user.password = Some(new_password(state, &id, password).map_err(failed)?);
    }
    user.groups = existing_groups(state, params).map_err(failed)?;
    user.set_details(params);
    state.access.users.insert(id, user);
    Ok(Value::Null)
}

/// The hash of a password, where the user's realm lets one be set.
fn new_password(state: &State, id: &str, password: &str) -> Result<String, ApiError> {
    let (name, realm) = id.rsplit_once('@').unwrap_or((id, ""));
    let kind = realms::find(state, realm).map(|realm| realm.kind.as_str());
    let refused = match kind {
        None => format!("auth domain '{realm}' does not exist"),
        // The nodes' operating system knows only the users that it was installed with.
        Some("pam") if !state.access.has_account(name) => {
            format!("change password failed: user '{name}' does not exist")
        }
        Some("pam" | "pve") => return Ok(hash(&state.access.key, password)),
        Some(kind) => format!("can't set password on auth type '{kind}'"),
    };
    Err(ApiError::failure(refused))
}

fn existing_groups(state: &State, params: &Params) -> Result<BTreeSet<String>, ApiError> {
    let groups: BTreeSet<String> = params.list("groups").into_iter().collect();
    match groups
        .iter()
        .find(|g| !state.access.groups.contains_key(*g))
    {
        None => Ok(groups),
        Some(group) => Err(ApiError::failure(format!("no such group '{group}'"))),
    }
}

/// `GET /access/users/{userid}`
pub(crate) fn read(state: &State, call: &Call) -> Answer {
    let user = state.access.user(call.params.text("userid"))?;
    let mut row = user.shown();
    row.insert("groups".into(), user.groups.iter().cloned().collect());
    if !user.tokens.is_empty() {
        let shown = user.tokens.iter().map(|(id, t)| (id.clone(), t.shown()));
        row.insert("tokens".into(), Value::Object(shown.collect()));
    }
    Ok(Value::Object(row))
}

/// `PUT /access/users/{userid}`
pub(crate) fn update(state: &mut State, call: &Call) -> Answer {
    let failed = |error: ApiError| error.within("update user failed");
    let (params, id) = (&call.params, call.params.text("userid"));
    let mut user = state.access.user(id).map_err(failed)?.clone();
    if params.has("enable") {
        user.disabled = !params.is_on("enable");
    }
    user.expire = params.number("expire").unwrap_or(user.expire);
    let named = existing_groups(state, params).map_err(failed)?;
    if !params.is_on("append") && params.has("groups") {
        user.groups.clear();
    }
    user.groups.extend(named);
    user.set_details(params);
    state.access.users.insert(id.to_owned(), user);
    Ok(Value::Null)
}

/// `DELETE /access/users/{userid}`
pub(crate) fn delete(state: &mut State, call: &Call) -> Answer {
    let id = call.params.text("userid");
    if id == "root@pam" {
        // PVE writes it anew whenever it reads the file.
        return Ok(Value::Null);
    }
    state.access.users.remove(id);
    let tokens = format!("{id}!");
    state
        .access
        .forget(|subject, _| subject == id || subject.starts_with(&tokens));
    Ok(Value::Null)
}

/// `PUT /access/password`
pub(crate) fn change_password(state: &mut State, call: &Call) -> Answer {
    let (params, id) = (&call.params, call.params.text("userid"));
    let caller: &Caller = &call.caller;
    state.access.user(id)?;
    if !caller.is_root() {
        if id == "root@pam" {
            return Err(ApiError::permission(""));
        }
        let confirmation = params.get("confirmation-password").ok_or_else(|| {
            ApiError::parameter(
                "confirmation-password",
                "password is required to modify user",
            )
        })?;
        if !state.access.is_password(&caller.user, confirmation) {
            return Err(ApiError::failure("authentication failure"));
        }
        if caller.user != id && realm_of(id) == "pam" {
            return Err(ApiError::permission(""));
        }
    }
    let password = new_password(state, id, params.text("password"))?;
    if let Some(user) = state.access.users.get_mut(id) {
        user.password = Some(password);
    }
    Ok(json!(null))
}

impl Access {
    /// Whether someone of this name can log in to the nodes themselves: root, and who had a password from the start.
    pub(crate) fn has_account(&self, name: &str) -> bool {
        let known = self.users.get(&format!("{name}@pam"));
        known.is_some_and(|user| user.password.is_some())
    }

    pub(crate) fn is_password(&self, id: &str, given: &str) -> bool {
        let known = self.users.get(id).and_then(|u| u.password.as_deref());
        known.is_some_and(|known| known == hash(&self.key, given))
    }
}
