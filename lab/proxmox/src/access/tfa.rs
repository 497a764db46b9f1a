//! Second factors: nobody has one here, and adding one is not simulated.

use serde_json::{Value, json};

use super::realms;
use crate::error::{Answer, ApiError};
use crate::routes::{Call, Routes, nothing};
use crate::schema::property::plain;
use crate::state::State;

pub(crate) fn routes(at: &mut Routes<'_>) {
    at.get("/access/tfa", nothing);
    at.get("/access/tfa/{userid}", nothing);
    at.get("/access/tfa/{userid}/{id}", no_entry);
    at.put("/access/tfa/{userid}/{id}", no_entry);
    at.delete("/access/tfa/{userid}/{id}", no_entry);
    at.get("/access/users/{userid}/tfa", types);
    at.put("/access/users/{userid}/unlock-tfa", unlock);
}

fn no_entry(_: &State, call: &Call) -> Answer {
    let id = call.params.text("id");
    Err(ApiError::new(404, format!("No such tfa entry '{id}'")))
}

/// `GET /access/users/{userid}/tfa`
fn types(state: &State, call: &Call) -> Answer {
    let realm = call.params.text("userid").rsplit('@').next();
    let realm = realm.unwrap_or_default();
    let missing = || ApiError::failure(format!("auth domain '{realm}' does not exist"));
    let section = realms::find(state, realm).ok_or_else(missing)?;
    let mut answer = json!({});
    if let Some(kind) = section.get("tfa").and_then(|tfa| plain(tfa, "type")) {
        answer["realm"] = kind.into();
    }
    if call.params.is_on("multiple") {
        answer["user"] = json!([]);
    }
    Ok(answer)
}

/// `PUT /access/users/{userid}/unlock-tfa`: whether the user was locked.
fn unlock(_: &State, _: &Call) -> Value {
    0.into()
}
