//! Jobs that fetch a realm's users.

use super::FILE;
use crate::access::realms;
use crate::error::ApiError;
use crate::routes::Routes;
use crate::sections::{Act, Change, Family, Section, Type};

static JOBS: Family = Family {
    file: FILE,
    path: "/cluster/jobs/realm-sync",
    types: &[Type {
        required: &["schedule", "scope", "realm"],
        optional: &["enabled", "comment", "remove-vanished", "enable-new"],
        fixed: &["realm"],
        ..Type::new("realm-sync")
    }],
    exists: |id| ApiError::failure(format!("Job '{id}' already exists")),
    missing: |act, id| {
        Some(match act {
            Act::Update => ApiError::failure("no such realm-sync job"),
            _ => ApiError::parameter("id", format!("No such job '{id}'")),
        })
    },
    check,
    show: |shown, row| {
        row.remove("digest");
        if shown.listed {
            super::show_next_run(shown.section, row);
        }
    },
    ..Family::PLAIN
};

pub(super) fn routes(at: &mut Routes<'_>) {
    JOBS.routes(at);
}

fn check(change: &Change<'_>, job: &mut Section) -> Result<(), ApiError> {
    let realm = job.get("realm").unwrap_or_default();
    let kind = realms::find(change.state, realm).map(|realm| realm.kind.as_str());
    match kind {
        None => Err(ApiError::parameter(
            "realm",
            format!("No such realm '{realm}'"),
        )),
        Some("ldap" | "ad") => Ok(()),
        Some(_) => Err(ApiError::parameter(
            "realm",
            "Only LDAP/AD realms can be synced.",
        )),
    }
}
