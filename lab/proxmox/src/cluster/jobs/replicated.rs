//! What became of replication jobs on the node of their guest.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::clock;
use super::replication::{FILE, missing, need, parts};
use crate::Px;
use crate::calendar::Event;
use crate::error::{Answer, ApiError};
use crate::now;
use crate::routes::{Call, Reply, Routes};
use crate::sections::Section;
use crate::state::State;

/// The last run of a job.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Run {
    last_try: u64,
    last_sync: u64,
    duration: u64,
    log: Vec<String>,
}

pub(super) fn routes(at: &mut Routes<'_>) {
    at.get("/nodes/{node}/replication", list);
    at.get("/nodes/{node}/replication/{id}/status", status);
    at.get("/nodes/{node}/replication/{id}/log", log);
    at.post("/nodes/{node}/replication/{id}/schedule_now", run_now);
}

fn row(state: &State, id: &str, job: &Section) -> Option<Value> {
    let (guest, number) = parts(id);
    let vm = state.vms.get(&guest)?;
    let run = state.replicated.get(id).cloned().unwrap_or_default();
    let schedule = job.get("schedule").unwrap_or("*/15");
    let last = i64::try_from(run.last_try).unwrap_or_default();
    let from = if last == 0 { clock() } else { last };
    let next = Event::parse(schedule)
        .ok()
        .and_then(|event| event.after(from));
    let mut row = json!({
        "id": id, "type": "local", "guest": guest, "jobnum": number, "vmtype": vm.kind.id(), "source": vm.node,
        "target": job.get("target"), "schedule": schedule, "fail_count": 0, "last_try": run.last_try,
        "last_sync": run.last_sync, "duration": run.duration, "next_sync": next.unwrap_or(0),
    });
    for option in ["comment", "remove_job", "rate"] {
        if let Some(value) = job.get(option) {
            row[option] = value.into();
        }
    }
    if job.is_on("disable") {
        row["disable"] = 1.into();
    }
    Some(row)
}

fn is_on(state: &State, id: &str, node: &str) -> bool {
    let vm = state.vms.get(&parts(id).0);
    vm.is_some_and(|vm| vm.node == node)
}

/// `GET /nodes/{node}/replication`
fn list(state: &State, call: &Call) -> Value {
    let guest = call.params.number("guest");
    let jobs = state.sections(FILE).filter(|(id, _)| {
        let (of, _) = parts(id);
        is_on(state, id, call.node())
            && guest.is_none_or(|guest| guest == u64::from(of))
            && state.may(&call.caller, &format!("/vms/{of}"), "VM.Audit")
    });
    jobs.filter_map(|(id, job)| row(state, id, job)).collect()
}

/// `GET /nodes/{node}/replication/{id}/status`
fn status(state: &State, call: &Call) -> Answer {
    let id = call.params.text("id");
    let job = state
        .section(FILE, id)
        .filter(|_| is_on(state, id, call.node()));
    let row = job.and_then(|job| row(state, id, job));
    need(state, call, "VM.Audit")?;
    row.ok_or_else(|| missing(id))
}

/// `GET /nodes/{node}/replication/{id}/log`
fn log(state: &State, call: &Call) -> Result<Reply, ApiError> {
    let id = call.params.text("id");
    state.section(FILE, id).ok_or_else(|| missing(id))?;
    let (guest, _) = parts(id);
    let may = |path: String, privilege| state.may(&call.caller, &path, privilege);
    if !may(format!("/vms/{guest}"), "VM.Audit")
        && !may(format!("/nodes/{}", call.node()), "Sys.Audit")
    {
        return Err(ApiError::permission(""));
    }
    let lines = state.replicated.get(id).map(|run| run.log.as_slice());
    let lines = lines.unwrap_or_default();
    let number = |name: &str, default: usize| {
        let given = call.params.number(name);
        given.map_or(default, |n| usize::try_from(n).unwrap_or(usize::MAX))
    };
    let shown = lines
        .iter()
        .enumerate()
        .skip(number("start", 0))
        .take(number("limit", 50));
    let rows: Value = shown
        .map(|(i, text)| json!({ "n": i + 1, "t": text }))
        .collect();
    Ok(Reply {
        total: Some(lines.len()),
        ..Reply::from(rows)
    })
}

/// `POST /nodes/{node}/replication/{id}/schedule_now`: the scheduler runs it as soon as it looks.
async fn run_now(px: &Px, call: Call) -> Answer {
    let id = call.params.text("id").to_owned();
    {
        let state = px.state();
        need(&state, &call, "VM.Replicate")?;
        state.section(FILE, &id).ok_or_else(|| missing(&id))?;
    }
    let px = px.clone();
    px.lab.tasks.clone().spawn(async move {
        let begun = now();
        tokio::select! {
            () = px.takes(Duration::from_secs(5)) => {}
            () = px.lab.shutdown.cancelled() => return,
        }
        let mut state = px.state();
        let (guest, _) = parts(&id);
        let vm = state.vms.get(&guest);
        let (Some(_), Some(vm)) = (state.section(FILE, &id), vm) else {
            return;
        };
        let running = u8::from(vm.running.is_some());
        let noun = vm.kind.noun();
        let run = Run {
            last_try: begun,
            last_sync: begun,
            duration: now().saturating_sub(begun),
            log: vec![
                format!("{id}: start replication job"),
                format!("{id}: guest => {noun} {guest}, running => {running}"),
                format!("{id}: end replication job"),
            ],
        };
        state.replicated.insert(id, run);
        drop(state);
        px.changed();
    });
    Ok(Value::Null)
}
