//! What a guest used over time: `GET …/rrddata`.

use serde_json::{Value, json};

use crate::error::Answer;
use crate::guest::status;
use crate::now;
use crate::routes::Call;
use crate::state::State;

/// Seconds between two points, and how many there are, by time frame.
fn resolution(timeframe: &str) -> (u64, u64) {
    match timeframe {
        "hour" => (60, 70),
        "day" => (60 * 30, 70),
        "week" => (60 * 180, 70),
        "month" => (60 * 720, 70),
        "decade" => (60 * 10_080, 570),
        _ => (60 * 10_080, 70),
    }
}

/// As it is now, as far back as it has been running; before, only the time.
pub(crate) fn read(state: &State, call: &Call) -> Answer {
    let vm = call.guest(state)?;
    let (step, count) = resolution(call.params.text("timeframe"));
    let figures = status::figures(state, call.vmid(), vm);
    let last = now() / step * step;
    let points = (0..count).rev().map(|n| {
        let time = last.saturating_sub(n * step);
        let mut point = json!({ "time": time });
        let runs = vm.running.is_some_and(|running| running.since <= time);
        if let (true, Value::Object(fields)) = (runs, &mut point) {
            for (name, shown) in [
                ("cpu", "cpu"),
                ("maxcpu", "cpus"),
                ("mem", "mem"),
                ("maxmem", "maxmem"),
                ("disk", "disk"),
                ("maxdisk", "maxdisk"),
                ("netin", "netin"),
                ("netout", "netout"),
                ("diskread", "diskread"),
                ("diskwrite", "diskwrite"),
            ] {
                fields.insert(name.into(), figures.get(shown).cloned().unwrap_or_default());
            }
        }
        point
    });
    Ok(points.collect())
}
