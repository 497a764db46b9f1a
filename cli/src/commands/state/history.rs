//! `stead state history`: who has written the state, when, with which command, and what that changed.

use serde_json::json;
use stead_state::history::{ChangeKind, Entry};

use super::place;
use crate::commands::print;
use crate::error::Result;
use crate::settled;

#[derive(clap::Args, Debug)]
pub(crate) struct HistoryArgs {
    /// Only so many writes, the newest ones
    #[arg(long, short = 'n', value_name = "N")]
    last: Option<usize>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
    #[arg(long)]
    no_color: bool,
}

pub(super) fn run(args: &HistoryArgs) -> Result<u8> {
    let mut file = place(None)?;
    settled::read_for_states(&mut file)?;
    let history = file.history()?;
    let shown = history.entries.iter().take(args.last.unwrap_or(usize::MAX));
    if args.json {
        let entries: Vec<_> = shown.map(entry_json).collect();
        print(&format!("{:#}\n", json!(entries)));
        return Ok(0);
    }
    if history.entries.is_empty() {
        print("Nothing is known of the past of this state: stead has not written it yet.\n");
        return Ok(0);
    }
    print(&shown.map(entry_text).collect::<String>());
    Ok(0)
}

fn entry_text(entry: &Entry) -> String {
    let run = &entry.run;
    let mut text = format!(
        "serial {}  {}  stead {}  by {}\n",
        entry.serial, run.started, run.command, run.who
    );
    for (address, kind) in entry.instances() {
        let sign = match kind {
            ChangeKind::Recorded => '+',
            ChangeKind::Changed => '~',
            ChangeKind::Forgotten => '-',
        };
        text.push_str(&format!("  {sign} {address}\n"));
    }
    for name in entry.outputs() {
        text.push_str(&format!("  ~ output.{name}\n"));
    }
    text
}

fn entry_json(entry: &Entry) -> serde_json::Value {
    let instances: Vec<_> = entry
        .instances()
        .map(|(address, kind)| json!({ "address": address, "change": kind }))
        .collect();
    json!({
        "serial": entry.serial,
        "from": entry.from,
        "lineage": entry.lineage,
        "command": entry.run.command,
        "who": entry.run.who,
        "started": entry.run.started,
        "instances": instances,
        "outputs": entry.outputs().collect::<Vec<_>>(),
    })
}
