//! Backup jobs.

use serde_json::{Map, Value};

use super::FILE;
use crate::Px;
use crate::error::{Answer, ApiError};
use crate::routes::{Call, Routes};
use crate::schema::check::Params;
use crate::schema::property::boolean;
use crate::sections::{Act, Change, Family, Section, Type};
use crate::state::State;

static JOBS: Family = Family {
    file: FILE,
    path: "/cluster/backup",
    types: &[Type {
        required: &["schedule"],
        optional: OPTIONS,
        ..Type::new("vzdump")
    }],
    id_in_read: true,
    exists: |id| ApiError::failure(format!("Job '{id}' already exists")),
    missing: |act, id| {
        Some(match act {
            Act::Update => ApiError::failure("no such vzdump job"),
            _ => ApiError::parameter("id", format!("No such job '{id}'")),
        })
    },
    check,
    show: |shown, row| {
        row.remove("digest");
        for name in STRUCTURED {
            if let Some(text) = shown.section.get(name) {
                row.insert((*name).to_owned(), pairs(text));
            }
        }
        if shown.listed {
            super::show_next_run(shown.section, row);
        }
    },
    ..Family::PLAIN
};

const OPTIONS: &[&str] = &[
    "all",
    "bwlimit",
    "comment",
    "compress",
    "dumpdir",
    "enabled",
    "exclude",
    "exclude-path",
    "fleecing",
    "ionice",
    "lockwait",
    "mailnotification",
    "mailto",
    "mode",
    "node",
    "notes-template",
    "notification-mode",
    "pbs-change-detection-mode",
    "performance",
    "pigz",
    "pool",
    "protected",
    "prune-backups",
    "quiet",
    "remove",
    "repeat-missed",
    "script",
    "stdexcludes",
    "stop",
    "stopwait",
    "storage",
    "tmpdir",
    "vmid",
    "zstd",
];

/// Options that are shown with their parts.
const STRUCTURED: &[&str] = &["fleecing", "performance", "prune-backups"];

pub(super) fn routes(at: &mut Routes<'_>) {
    JOBS.routes(at);
    at.post("/cluster/backup", create);
    at.put("/cluster/backup/{id}", update);
}

/// `keep-last=3,keep-daily=7` with its parts; what has no name is `enabled`. Truth values are numbers, numbers stay texts.
fn pairs(text: &str) -> Value {
    let parts = text
        .split(',')
        .map(|part| part.split_once('=').unwrap_or(("enabled", part)));
    let parts: Map<String, Value> = parts
        .map(|(name, value)| {
            let switch = boolean(value).filter(|_| matches!(name, "enabled" | "keep-all"));
            let value = switch.map_or_else(|| value.into(), |on| i32::from(on).into());
            (name.to_owned(), value)
        })
        .collect();
    Value::Object(parts)
}

async fn create(px: &Px, mut call: Call) -> Answer {
    {
        let mut state = px.state();
        check_privileges(&state, &call, None)?;
        schedule(&mut call.params, true)?;
        if !call.params.has("id") {
            let id = state.uuid();
            call.params.set("id", id);
        }
    }
    if !call.params.has("enabled") {
        call.params.set("enabled", "1");
    }
    JOBS.create(px, &call)
}

async fn update(px: &Px, mut call: Call) -> Answer {
    let delete = call.params.list("delete");
    {
        let state = px.state();
        let current = state.section(FILE, call.params.text("id"));
        check_privileges(&state, &call, current)?;
    }
    schedule(&mut call.params, false)?;
    if call.params.iter().all(|(name, _)| name == "id") {
        return Err(ApiError::failure("no options specified"));
    }
    if let Some(option) = delete.iter().find(|o| !OPTIONS.contains(&o.as_str())) {
        let text = format!("unknown option '{option}'");
        return Err(ApiError::parameter("delete", text));
    }
    JOBS.update(px, &call)
}

/// What jobs may do beyond what the contract asks for.
fn check_privileges(state: &State, call: &Call, current: Option<&Section>) -> Result<(), ApiError> {
    let (params, caller) = (&call.params, &call.caller);
    if !caller.is_root() {
        let reserved = ["tmpdir", "dumpdir", "script"];
        if let Some(name) = reserved.iter().find(|name| params.has(name)) {
            return Err(ApiError::parameter(name, "Only root may set this option."));
        }
        let given = params.get("storage");
        let current = current.map(|job| job.get("storage").unwrap_or("local"));
        let of_new = (current.is_none() && given.is_none()).then_some("local");
        for storage in given.into_iter().chain(current).chain(of_new) {
            let path = format!("/storage/{storage}");
            state.need(caller, &path, &["Datastore.Allocate"])?;
        }
    }
    if let Some(pool) = params.get("pool") {
        if !state.pools.contains_key(pool) {
            return Err(ApiError::permission(&format!(
                "pool '{pool}' does not exist"
            )));
        }
        state.need(caller, &format!("/pool/{pool}"), &["VM.Backup"])?;
    }
    Ok(())
}

/// The older way to say when, by weekdays and a time, becomes a schedule.
fn schedule(params: &mut Params, required: bool) -> Result<(), ApiError> {
    let (time, days) = (params.remove("starttime"), params.list("dow").join(","));
    params.remove("dow");
    let refused = |name: &str, text: &str| Err(ApiError::parameter(name, text));
    match (time, params.has("schedule")) {
        (Some(_), true) => refused("starttime", "'starttime' and 'schedule' cannot both be set"),
        (None, false) if required => {
            refused("schedule", "neither 'starttime' nor 'schedule' were set")
        }
        (Some(time), false) => {
            let every_day = days.is_empty() || days == "mon,tue,wed,thu,fri,sat,sun";
            let schedule = if every_day {
                time
            } else {
                format!("{days} {time}")
            };
            params.set("schedule", schedule);
            Ok(())
        }
        (None, _) => Ok(()),
    }
}

/// A job is for some guests, for a pool, or for all but some.
fn check(change: &Change<'_>, job: &mut Section) -> Result<(), ApiError> {
    let params = &change.call.params;
    for other in ["all", "exclude", "pool"] {
        let given = if other == "all" {
            params.is_on(other)
        } else {
            params.has(other)
        };
        if given && params.has("vmid") {
            return Err(ApiError::parameter(
                other,
                "option conflicts with option 'vmid'",
            ));
        }
    }
    if job.get("exclude").is_some() && job.get("pool").is_none() {
        job.set("all", "1");
    }
    let replaced: &[&str] = if params.has("vmid") {
        &["all", "exclude", "pool"]
    } else if params.is_on("all") {
        &["vmid", "pool"]
    } else if job.get("pool").is_some() {
        &["vmid", "all", "exclude"]
    } else {
        &[]
    };
    for option in replaced {
        job.remove(option);
    }
    let says = ["vmid", "pool"].iter().any(|name| job.get(name).is_some());
    if !says && !job.is_on("all") && !job.is_on("stop") {
        return Err(ApiError::parameter("vmid", "property is missing"));
    }
    Ok(())
}
