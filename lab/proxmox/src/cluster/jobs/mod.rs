//! What the cluster does at set times: backups, realm synchronization, replication. The lab's clock does not start them.

mod backup;
mod included;
mod realm_sync;
pub(crate) mod replicated;
mod replication;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::calendar::Event;
use crate::error::{Answer, ApiError};
use crate::now;
use crate::routes::{Call, Routes};
use crate::sections::Section;
use crate::state::State;

/// The file of jobs, also of different kinds.
const FILE: &str = "jobs.cfg";

pub(super) fn routes(at: &mut Routes<'_>) {
    at.get("/cluster/jobs/schedule-analyze", analyze);
    backup::routes(at);
    included::routes(at);
    realm_sync::routes(at);
    replicated::routes(at);
    replication::routes(at);
}

fn clock() -> i64 {
    i64::try_from(now()).unwrap_or(i64::MAX)
}

/// Adds when a job runs next.
fn show_next_run(section: &Section, row: &mut Map<String, Value>) {
    let schedule = section.get("schedule").unwrap_or_default();
    let next = Event::parse(schedule).ok().and_then(|e| e.after(clock()));
    if let Some(next) = next {
        row.insert("next-run".into(), next.into());
    }
}

/// `GET /cluster/jobs/schedule-analyze`: the next times of a schedule.
fn analyze(_: &State, call: &Call) -> Answer {
    let params = &call.params;
    let event = Event::parse(params.text("schedule")).map_err(ApiError::failure)?;
    let start = params.get("starttime").and_then(|text| text.parse().ok());
    let first = event.after(start.unwrap_or_else(clock));
    let times = std::iter::successors(first, |time| event.after(*time));
    let count = usize::try_from(params.number("iterations").unwrap_or(10)).unwrap_or(10);
    let rows = times.take(count).map(|time| {
        let utc = Timestamp::from_second(time).unwrap_or_default();
        json!({ "timestamp": time, "utc": utc.strftime("%a %b %e %H:%M:%S %Y").to_string() })
    });
    Ok(rows.collect())
}
