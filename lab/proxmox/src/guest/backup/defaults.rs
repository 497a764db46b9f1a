//! What vzdump does when nothing is said.

use serde_json::{Value, json};

use crate::error::Answer;
use crate::routes::Call;
use crate::state::State;

/// `GET /nodes/{node}/vzdump/defaults`: this cluster's nodes have no vzdump.conf.
pub(super) fn read(state: &State, call: &Call) -> Answer {
    if let Some(storage) = call.params.get("storage") {
        state.storage(storage, call.node())?;
    }
    let mut defaults = json!({
        "all": 0, "bwlimit": 0, "compress": "0", "ionice": 7, "lockwait": 180, "mode": "snapshot",
        "notification-mode": "auto", "pigz": 0, "prune-backups": { "keep-all": 1 }, "quiet": 0, "remove": 1,
        "stdexcludes": 1, "stop": 0, "stopwait": 10, "zstd": 1,
    });
    // Mail addresses and hosts' paths are shown to who may change them only.
    let may_see = state.may(&call.caller, "/", "Sys.Modify");
    if let (true, Value::Object(fields)) = (may_see, &mut defaults) {
        fields.insert("tmpdir".into(), "/var/tmp".into());
    }
    Ok(defaults)
}
