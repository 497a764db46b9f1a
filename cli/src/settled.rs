//! Reading a state, and saying what a run that was cut off had left.

use stead_state::journal::{Intent, Settlement};
use stead_state::{LocalState, State};

use crate::error::Result;

/// The state; what its journal says that it did not hold is told on stderr, where it disturbs no output.
pub(crate) fn read(file: &mut LocalState) -> Result<Option<State>> {
    let state = file.read()?;
    if let Some(settlement) = file.take_settlement().filter(|s| !s.is_silent()) {
        eprintln!("{}", tell(&settlement));
    }
    Ok(state)
}

fn tell(settlement: &Settlement) -> String {
    let run = &settlement.run;
    let mut text = format!(
        "An earlier `stead {}` (by {}, begun {}) was cut off.",
        run.command, run.who, run.started
    );
    match settlement.recorded {
        0 => {}
        1 => text.push_str(" One change that it had made is recorded now."),
        n => text.push_str(&format!(" {n} changes that it had made are recorded now.")),
    }
    if !settlement.noted.is_empty() {
        text.push_str(&format!(
            "\n  Under way, and looked into by the next plan: {}.",
            list(&settlement.noted)
        ));
    }
    if !settlement.unknown.is_empty() {
        text.push_str(&format!(
            "\n  Under way, and perhaps made without being recorded (the next plan asks, where its provider can): {}.",
            list(&settlement.unknown)
        ));
    }
    for disputed in &settlement.disputed {
        let id = disputed.id.as_deref().unwrap_or("without an id");
        text.push_str(&format!(
            "\n  {} has another object in the state, which somebody else has written since. The object that only the journal knows ({id}) is not managed: import it under another address, or remove it.",
            disputed.address
        ));
    }
    if let Some(line) = settlement.damaged {
        text.push_str(&format!(
            "\n  The journal is damaged from line {line} on: what stands before that is recorded."
        ));
    }
    if let Some(kept) = &settlement.kept {
        text.push_str(&format!("\n  The journal is kept as {}.", kept.display()));
    }
    text
}

fn list(intents: &[Intent]) -> String {
    let each: Vec<String> = intents
        .iter()
        .map(|intent| format!("{} ({})", intent.address, intent.doubt.verb()))
        .collect();
    each.join(", ")
}
