//! A node's clock.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::error::{Answer, ApiError};
use crate::now;
use crate::routes::Call;
use crate::schema::format::matches;
use crate::state::State;

/// `GET /nodes/{node}/time`
pub(crate) fn read(state: &State, call: &Call) -> Answer {
    let (zone, now) = (&state.host(call.node())?.timezone, now());
    let offset = TimeZone::get(zone).map_or(0, |zone| {
        i64::from(zone.to_offset(Timestamp::now()).seconds())
    });
    Ok(json!({ "timezone": zone, "time": now, "localtime": now.saturating_add_signed(offset) }))
}

/// `PUT /nodes/{node}/time`
pub(crate) fn set(state: &mut State, call: &Call) -> Answer {
    let zone = call.params.text("timezone");
    if !is_known(zone) {
        return Err(ApiError::parameter("timezone", "No such timezone"));
    }
    zone.clone_into(&mut state.host_mut(call.node())?.timezone);
    Ok(Value::Null)
}

/// Where this machine has no time zones, every name of the right form is one.
fn is_known(zone: &str) -> bool {
    if jiff::tz::db().available().next().is_some() {
        TimeZone::get(zone).is_ok()
    } else {
        matches("UTC|[A-Z][A-Za-z]+/[A-Za-z0-9_+-]+(?:/[A-Za-z_]+)?", zone) == Ok(true)
    }
}
