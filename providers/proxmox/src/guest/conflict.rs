//! What somebody else changes between plan and apply.

use stead_sdk::{Error, ErrorKind};

use crate::guest::Guest;
use crate::table::{Change, Settings};

/// Refuses when a guest is not any more what it was when it was read for the plan, which would not say the truth then. What has
/// become as planned is in nobody's way.
pub(crate) fn refuse_conflict(
    guest: &Guest<'_>,
    prior: &Settings,
    planned: &Settings,
    now: &Settings,
) -> Result<(), Error> {
    let theirs = Change::between(prior, now);
    let Some(key) = theirs.keys().find(|key| now.get(*key) != planned.get(*key)) else {
        return Ok(());
    };
    let error = Error::of_kind(
        ErrorKind::Conflict,
        format!("change {}", guest.name()),
        format!("its `{key}` was changed by somebody else since the plan was made"),
    );
    Err(error.remedy("Plan again to see what it is now, and what would become of it."))
}
