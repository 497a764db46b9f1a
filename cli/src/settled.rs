//! Reading a state, and saying what a run that was cut off had left.

use stead_state::journal::{Intent, Settlement};
use stead_state::{Error, State, StateManager};

use crate::commands::print_error;
use crate::error::{CommandError, LOCKS, Result};

/// The state; what its journal says that it did not hold is told on stderr, where it disturbs no output.
pub(crate) fn read(file: &mut StateManager) -> Result<Option<State>> {
    let state = file.read().map_err(|error| match error {
        // Terraform reads the state as it locks it.
        unusable @ Error::Unusable { .. } if file.holds_lock() => CommandError::new(
            "Error acquiring the state lock",
            format!("Error message: {unusable}\n\n{LOCKS}"),
        ),
        other => other.into(),
    })?;
    for settlement in file.take_settlements().iter().filter(|s| !s.is_silent()) {
        print_error(&format!("{}\n", tell(settlement)));
    }
    Ok(state)
}

/// The same for the commands about states, which Terraform lets say it in one line.
pub(crate) fn read_for_states(file: &mut StateManager) -> Result<Option<State>> {
    match read(file) {
        Err(error) if error.text.is_none() => {
            let told = error.diagnostics.iter();
            let told: Vec<String> = told
                .map(|d| format!("{}: {}", d.summary, d.detail))
                .collect();
            let told = match told.as_slice() {
                [one] => one.clone(),
                several => format!("{} problems:\n\n- {}", several.len(), several.join("\n- ")),
            };
            Err(CommandError::text(format!("Failed to load state: {told}")))
        }
        other => other,
    }
}

fn tell(settlement: &Settlement) -> String {
    let run = &settlement.run;
    let mut text = match settlement.may_be_at_work {
        false => format!(
            "An earlier `stead {}` (by {}, begun {}) was cut off.",
            run.command, run.who, run.started
        ),
        true => format!(
            "A `stead {}` (by {}, begun {}) has not come to its end: it is at work, or was cut off. Whoever gets the lock next settles it, as `stead plan` does.",
            run.command, run.who, run.started
        ),
    };
    if settlement.left_out {
        text.push_str(" What it has done since the state was written is not shown here.");
    }
    match settlement.recorded {
        0 => {}
        1 if settlement.may_be_at_work => {
            text.push_str(" One change that it has made is shown as if it were recorded.");
        }
        n if settlement.may_be_at_work => {
            text.push_str(&format!(
                " {n} changes that it has made are shown as if they were recorded."
            ));
        }
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
