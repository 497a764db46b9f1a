//! Tickets: logging in, and proving who one is.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::check::normalized;
use super::{Caller, realms};
use crate::Px;
use crate::error::{Answer, ApiError};
use crate::routes::Call;
use crate::state::State;

/// `GET /access/ticket`: for clients that show a form.
pub(crate) fn dummy(_: &State, _: &Call) -> Value {
    Value::Null
}

/// `POST /access/ticket`
pub(crate) async fn create(px: &Px, call: Call) -> Answer {
    let params = &call.params;
    for name in ["otp", "tfa-challenge"] {
        if params.has(name) {
            let text = format!("parameter '{name}' not implemented");
            return Err(ApiError::new(501, text));
        }
    }
    let outcome = log_in(&px.state(), &call);
    if outcome.is_err() {
        // Guessing is slowed down.
        px.takes(Duration::from_secs(3)).await;
    }
    outcome
}

fn log_in(state: &State, call: &Call) -> Answer {
    let params = &call.params;
    let given = params.text("username");
    let name = match params.get("realm") {
        Some(realm) => format!("{given}@{realm}"),
        None => given.to_owned(),
    };
    let realm = name.rsplit('@').next().unwrap_or_default();
    let case_sensitive = realms::is_case_sensitive(state, realm);
    let user = state.access.same_user(&name, case_sensitive).to_owned();
    let (ticket, csrf) = state.access.log_in(&user, params.text("password"))?;
    let caller = Caller::named(&user);
    let mut answer = json!({ "username": user });
    if let (Some(path), Some(_)) = (params.get("path"), params.get("privs")) {
        let privileges = params.list("privs");
        let privileges: Vec<&str> = privileges.iter().map(String::as_str).collect();
        let allowed = state.need(&caller, &normalized(path), &privileges);
        allowed.map_err(|_| ApiError::unauthorized("authentication failure"))?;
    } else {
        answer["ticket"] = ticket.into();
        answer["CSRFPreventionToken"] = csrf.into();
    }
    answer["cap"] = capabilities(state, &caller);
    if state.may(&caller, "/", "Sys.Audit") {
        answer["clustername"] = state.name.clone().into();
    }
    Ok(answer)
}

/// Which privileges tell a web client what to show of each kind of object.
const KINDS: &[(&str, &[&str])] = &[
    ("access", &["User.", "Group.", "Permissions.Modify"]),
    ("dc", &["Sys.Audit", "Sys.Modify", "SDN."]),
    ("mapping", &["Mapping.", "Permissions.Modify"]),
    ("nodes", &["Sys.", "Permissions.Modify"]),
    ("sdn", &["SDN.", "Permissions.Modify"]),
    ("storage", &["Datastore.", "Permissions.Modify"]),
    ("vms", &["VM.", "Permissions.Modify"]),
];

fn capabilities(state: &State, caller: &Caller) -> Value {
    let tops = [
        "/",
        "/nodes",
        "/access/groups",
        "/vms",
        "/storage",
        "/sdn",
        "/mapping",
    ];
    let listed = state.access.acl.keys().map(String::as_str);
    let mut found: BTreeMap<&str, Map<String, Value>> =
        KINDS.iter().map(|(kind, _)| (*kind, Map::new())).collect();
    for path in tops.into_iter().chain(listed) {
        let held = state.privileges(caller, path).all;
        let kinds: &[&str] = match path.split('/').nth(1).unwrap_or_default() {
            "" => &["dc"],
            "pool" => &["vms", "storage"],
            other => match KINDS.iter().find(|(kind, _)| *kind == other) {
                Some((kind, _)) => &[*kind],
                None => &[],
            },
        };
        for (kind, stems) in KINDS.iter().filter(|(kind, _)| kinds.contains(kind)) {
            let shown = held
                .names()
                .filter(|name| stems.iter().any(|stem| name.starts_with(stem)));
            let row = found.entry(kind).or_default();
            row.extend(shown.map(|name| (name.to_owned(), 1.into())));
        }
    }
    json!(found)
}

/// `POST /access/vncticket`: the simulated consoles give out no tickets, so none is good.
pub(crate) async fn verify_vnc(px: &Px, _: Call) -> Answer {
    px.takes(Duration::from_secs(3)).await;
    Err(ApiError::unauthorized("authentication failure"))
}
