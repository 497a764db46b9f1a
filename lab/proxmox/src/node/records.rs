//! What a node has to tell of itself: figures over time, logs, a report.

use serde_json::{Value, json};

use crate::error::{Answer, ApiError};
use crate::now;
use crate::routes::{Call, Reply, Routes};
use crate::state::State;

/// Seconds between two rows of each time frame.
const STEPS: &[(&str, u64)] = &[
    ("hour", 60),
    ("day", 1800),
    ("week", 10_800),
    ("month", 43_200),
    ("year", 604_800),
    ("decade", 6_048_000),
];

/// Rows of a time frame.
const ROWS: u64 = 70;

/// The times of the rows that a call asks for.
pub(crate) fn times(call: &Call) -> impl Iterator<Item = u64> {
    let frame = call.params.text("timeframe");
    let step = STEPS
        .iter()
        .find(|(name, _)| *name == frame)
        .map_or(60, |(_, step)| *step);
    let last = now() / step * step;
    (0..ROWS).map(move |row| last.saturating_sub((ROWS - 1 - row) * step))
}

/// `GET /nodes/{node}/rrddata`: a node that has been as it is now.
fn figures(state: &State, call: &Call) -> Answer {
    let node = super::spec(state, call)?;
    let used = state.memory_used(&node.name);
    let row = |time: u64| {
        // Load that goes up and down a little, the same for the same time.
        let load = 0.02 + (time / 60 % 7) as f64 * 0.004;
        json!({
            "time": time, "cpu": load, "iowait": 0.0005, "loadavg": load * f64::from(node.cpu), "maxcpu": node.cpu,
            "memtotal": node.memory, "memused": used, "memavailable": node.memory.saturating_sub(used), "swaptotal": 0,
            "swapused": 0, "roottotal": 100_u64 << 30, "rootused": 8_u64 << 30, "netin": 12_000.0, "netout": 9_000.0,
            "arcsize": 0, "pressurecpusome": 0.0, "pressurememorysome": 0.0, "pressureiosome": 0.0,
        })
    };
    Ok(times(call).map(row).collect())
}

/// `GET /nodes/{node}/storage/{storage}/rrddata`
fn storage_figures(state: &State, call: &Call) -> Answer {
    let storage = state.storage(call.params.text("storage"), call.node())?;
    let used = storage.used(call.node());
    Ok(times(call)
        .map(|time| json!({ "time": time, "total": storage.capacity, "used": used }))
        .collect())
}

/// The picture of the figures, as a file on the node; the lab draws none.
fn picture(_: &State, call: &Call) -> Answer {
    Err(ApiError::failure(format!(
        "the lab draws no picture of '{}'",
        call.params.text("ds")
    )))
}

/// Lines of a log, as many as a call asks for.
fn lines(call: &Call, all: Vec<String>) -> Reply {
    let number = |name: &str| {
        call.params
            .number(name)
            .and_then(|n| usize::try_from(n).ok())
    };
    let (start, limit) = (number("start").unwrap_or(0), number("limit").unwrap_or(50));
    let total = all.len();
    let shown = all.into_iter().enumerate().skip(start).take(limit);
    let mut reply = Reply::from(
        shown
            .map(|(n, text)| json!({ "n": n + 1, "t": text }))
            .collect::<Value>(),
    );
    reply.total = Some(total);
    reply
}

/// What the node's daemons wrote: of tasks when they began and ended.
fn journal(state: &State, node: &str) -> Vec<String> {
    let mut entries: Vec<(u64, String)> = Vec::new();
    for (upid, task) in state.tasks.iter().filter(|(_, task)| task.node == node) {
        entries.push((task.start, format!("pvedaemon: starting task {upid}")));
        if let Some(end) = task.end {
            entries.push((end, format!("pvedaemon: end task {upid}")));
        }
    }
    entries.sort();
    let text = |(time, text): (u64, String)| {
        let at = i64::try_from(time)
            .ok()
            .and_then(|time| jiff::Timestamp::from_second(time).ok());
        let at = at.map_or_else(String::new, |at| at.strftime("%b %d %H:%M:%S").to_string());
        format!("{at} {node} {text}")
    };
    entries.into_iter().map(text).collect()
}

/// `GET /nodes/{node}/syslog`
fn syslog(state: &State, call: &Call) -> Reply {
    let service = call.params.get("service");
    let all = journal(state, call.node()).into_iter();
    lines(
        call,
        all.filter(|line| service.is_none_or(|name| line.contains(&format!(" {name}: "))))
            .collect(),
    )
}

/// `GET /nodes/{node}/journal`
fn entries(state: &State, call: &Call) -> Value {
    let all = journal(state, call.node());
    let last = call
        .params
        .number("lastentries")
        .and_then(|n| usize::try_from(n).ok())
        .unwrap_or(all.len());
    let skip = all.len().saturating_sub(last);
    std::iter::once("s=0;i=0".to_owned())
        .chain(all.into_iter().skip(skip))
        .chain(["s=0;i=1".to_owned()])
        .collect()
}

/// `GET /nodes/{node}/netstat`
fn netstat(state: &State, call: &Call) -> Value {
    let running = state
        .vms
        .iter()
        .filter(|(_, vm)| vm.node == call.node() && vm.running.is_some());
    running
        .flat_map(|(id, vm)| {
            vm.nets()
                .map(move |(dev, _)| json!({ "vmid": id.to_string(), "dev": dev, "in": "0", "out": "0" }))
        })
        .collect()
}

/// `GET /nodes/{node}/report`
fn report(state: &State, call: &Call) -> Answer {
    let (node, host) = (super::spec(state, call)?, state.host(call.node())?);
    let guests = state.vms.values().filter(|vm| vm.node == node.name).count();
    Ok(format!(
        "==== general system info ====\n\n# hostname\n{}\n\n# pveversion\npve-manager/{}\n\n# cat /etc/hosts\n{}\n\
         # nproc\n{}\n\n==== info about storage ====\n\n{}\n==== info about virtual guests ====\n\n{guests}\n",
        node.name,
        state.release().manager_version(),
        host.hosts,
        node.cpu,
        state.storages.iter().map(|(id, s)| format!("{}: {id}\n", s.kind)).collect::<String>(),
    )
    .into())
}

pub(super) fn routes(at: &mut Routes<'_>) {
    at.get("/nodes/{node}/rrddata", figures);
    at.get("/nodes/{node}/rrd", picture);
    at.get("/nodes/{node}/storage/{storage}/rrddata", storage_figures);
    at.get("/nodes/{node}/storage/{storage}/rrd", picture);
    at.get("/nodes/{node}/syslog", syslog);
    at.get("/nodes/{node}/journal", entries);
    at.get("/nodes/{node}/netstat", netstat);
    at.get("/nodes/{node}/report", report);
}
