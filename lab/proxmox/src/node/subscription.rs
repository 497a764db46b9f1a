//! A node's subscription: the lab's shop knows every key of the right form.

use serde_json::{Value, json};

use crate::error::{Answer, ApiError};
use crate::now;
use crate::routes::{Call, Routes};
use crate::schema::format::matches;
use crate::state::State;

/// `GET /nodes/{node}/subscription`
fn read(state: &State, call: &Call) -> Answer {
    let url = "https://www.proxmox.com/en/proxmox-virtual-environment/pricing";
    let auditor = state.may(
        &call.caller,
        &format!("/nodes/{}", call.node()),
        "Sys.Audit",
    );
    let key = &state.host(call.node())?.subscription;
    let server = format!(
        "{:0>32}",
        call.node()
            .bytes()
            .map(|b| format!("{b:02X}"))
            .collect::<String>()
    );
    let mut row = match key {
        None => {
            json!({ "status": "notfound", "message": "There is no subscription key", "url": url })
        }
        Some(key) if auditor => json!({
            "status": "active", "key": key, "level": level(key), "sockets": 1, "checktime": now(), "url": url,
            "productname": "Proxmox VE", "nextduedate": "2099-12-31", "regdate": "2026-01-01 00:00:00",
        }),
        Some(_) => json!({ "status": "active", "url": url }),
    };
    if let (true, Some(row)) = (auditor, row.as_object_mut()) {
        row.insert("serverid".into(), server.into());
    }
    Ok(row)
}

fn level(key: &str) -> &str {
    key.get(4..5).unwrap_or_default()
}

/// `PUT /nodes/{node}/subscription`
fn set(state: &mut State, call: &Call) -> Answer {
    let key = call.params.text("key").trim();
    if matches("pve[1248][cbsp]-[0-9a-f]{10}", key) != Ok(true) {
        return Err(ApiError::failure("Wrong subscription key format"));
    }
    state.host_mut(call.node())?.subscription = Some(key.to_owned());
    Ok(Value::Null)
}

/// `DELETE /nodes/{node}/subscription`
fn remove(state: &mut State, call: &Call) -> Answer {
    state.host_mut(call.node())?.subscription = None;
    Ok(Value::Null)
}

/// `POST /nodes/{node}/subscription`: asks the shop again.
fn check(_: &State, _: &Call) -> Value {
    Value::Null
}

pub(super) fn routes(at: &mut Routes<'_>) {
    at.get("/nodes/{node}/subscription", read);
    at.put("/nodes/{node}/subscription", set);
    at.post("/nodes/{node}/subscription", check);
    at.delete("/nodes/{node}/subscription", remove);
}
