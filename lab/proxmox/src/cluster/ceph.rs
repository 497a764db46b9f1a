//! Ceph, which is not installed.

use serde_json::{Value, json};

use crate::error::{Answer, ApiError};
use crate::routes::{Call, Routes};
use crate::state::State;

pub(super) fn routes(at: &mut Routes<'_>) {
    at.get("/cluster/ceph/metadata", metadata);
    at.get("/cluster/ceph/status", not_installed);
    at.get("/cluster/ceph/flags", not_installed);
    at.put("/cluster/ceph/flags", not_installed);
    at.get("/cluster/ceph/flags/{flag}", not_installed);
    at.put("/cluster/ceph/flags/{flag}", not_installed);
}

/// What everything answers that needs it.
pub(crate) fn not_installed(_: &State, _: &Call) -> Answer {
    Err(ApiError::failure("binary not installed: /usr/bin/ceph-mon"))
}

/// `GET /cluster/ceph/metadata`: only the nodes' versions can be asked for without it.
fn metadata(state: &State, call: &Call) -> Answer {
    match call.params.get("scope") {
        Some("versions") => Ok(json!({})),
        _ => not_installed(state, call).map(|_: Value| Value::Null),
    }
}
