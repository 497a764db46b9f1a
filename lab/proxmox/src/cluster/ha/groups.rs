//! Groups of nodes, before version 9.

use crate::error::ApiError;
use crate::options::Version;
use crate::routes::Routes;
use crate::sections::{Act, Family, Type};
use crate::state::State;

use super::resources;

pub(super) const FILE: &str = "ha/groups.cfg";

static GROUPS: Family = Family {
    file: FILE,
    path: "/cluster/ha/groups",
    key: "group",
    types: &[Type {
        required: &["nodes"],
        optional: &["comment", "nofailback", "restricted"],
        ..Type::new("group")
    }],
    guard: migrated,
    digest_in_list: true,
    id_in_read: true,
    exists: |id| ApiError::failure(format!("ha group ID '{id}' already defined")),
    missing: |act, id| match act {
        Act::Delete => None,
        _ => Some(ApiError::failure(format!("no such ha group '{id}'"))),
    },
    failed: |act| match act {
        Act::Create => "create ha group failed",
        Act::Update => "update ha group failed",
        Act::Delete => "delete ha group failed",
        Act::Read | Act::List => "",
    },
    removable: |state, _, id| {
        let mut users = state.sections(resources::FILE);
        match users.find(|(_, section)| section.get("group") == Some(id)) {
            None => Ok(()),
            Some((sid, _)) => Err(ApiError::failure(format!(
                "ha group is used by service '{sid}'"
            ))),
        }
    },
    ..Family::PLAIN
};

pub(super) fn routes(at: &mut Routes<'_>) {
    GROUPS.routes(at);
}

fn migrated(state: &State, act: Act) -> Result<(), ApiError> {
    let what = match act {
        _ if state.version() < Version::V9_2 => return Ok(()),
        Act::List => "index groups",
        Act::Read => "read group",
        Act::Create => "create group",
        Act::Update => "update group",
        Act::Delete => "delete group",
    };
    let text = format!("cannot {what}: ha groups have been migrated to rules");
    Err(ApiError::failure(text))
}
