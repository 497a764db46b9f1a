//! Setting up the backend at `init`: noting it, and taking the states along.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::Path;

use stead_state::{LocalState, State};

use super::{Compared, Declared, LocalBackend, Record};
use crate::commands::print;
use crate::error::{CommandError, Result};
use crate::settled;
use crate::workspace;

/// What `init` was asked to do with the backend.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Initialise {
    pub(crate) reconfigure: bool,
    pub(crate) migrate: bool,
    /// Copy states without asking.
    pub(crate) force_copy: bool,
    /// Questions may be asked.
    pub(crate) input: bool,
}

/// Makes the declared backend the one in use; what there is to say of it.
pub(crate) fn initialise(
    declared: Option<Declared>,
    wanted: Initialise,
) -> Result<Vec<&'static str>> {
    let record = Record::read()?;
    if let Compared::Same = record.compare(declared.as_ref()) {
        return Ok(Vec::new());
    }
    let first = record.kind().is_none();
    let before = record.local().filter(|_| !wanted.reconfigure);
    if !first && !wanted.migrate && !wanted.reconfigure {
        return Err(CommandError::new(
            "Backend configuration changed",
            "A change in the backend configuration has been detected, which may require migrating existing state.\n\nIf you wish to attempt automatic migration of the state, use \"stead init -migrate-state\".\nIf you wish to store the current configuration with no changes to the state, use \"stead init -reconfigure\".",
        ));
    }
    if !first && before.is_none() && !wanted.reconfigure {
        return Err(CommandError::new(
            "Backend not supported yet",
            format!(
                "The folder was initialized for the backend \"{}\", which stead does not have yet, so its state cannot be taken along. Use `stead init -reconfigure` to begin without it.",
                record.kind().unwrap_or_default()
            ),
        ));
    }
    let mut said = Vec::new();
    if !wanted.reconfigure && declared.is_none() {
        said.push(
            "stead has detected you're unconfiguring your previously set \"local\" backend.\n",
        );
    } else if !first && !wanted.reconfigure {
        said.push("Backend configuration changed!\n\nstead has detected that the configuration specified for the backend\nhas changed. stead will now check for existing state in the backends.\n\n");
    }
    if let Some(Declared { whole, .. }) = &declared {
        migrate(&before.unwrap_or_default(), whole, wanted)?;
    } else if let Some(before) = before {
        migrate(&before, &LocalBackend::default(), wanted)?;
    }
    said.push(match &declared {
        Some(_) => "\nSuccessfully configured the backend \"local\"! stead will automatically\nuse this backend unless the backend configuration changes.",
        None => "\nSuccessfully unset the backend \"local\". stead will now operate locally.",
    });
    record.write(declared.as_ref())?;
    Ok(said)
}

/// Copies every workspace's state that is not at the same place in both.
fn migrate(from: &LocalBackend, to: &LocalBackend, wanted: Initialise) -> Result<()> {
    let mut moves = Vec::new();
    for workspace in from.workspaces()? {
        let (source, target) = (from.state_path(&workspace), to.state_path(&workspace));
        if source == target {
            continue;
        }
        if let Some(state) = settled::read(&mut LocalState::at(&source))?.filter(|s| !s.is_empty())
        {
            moves.push((workspace, state, source, target));
        }
    }
    for (workspace, mut state, source, target) in moves {
        let mut file = LocalState::at(&target);
        let there = settled::read(&mut file)?.unwrap_or_else(State::new);
        if !there.is_empty() && there.lineage == state.lineage && there.serial == state.serial {
            continue;
        }
        if !wanted.force_copy && !agreed(&workspace, &source, &target, wanted.input)? {
            continue;
        }
        file.import(&mut state, true)?;
    }
    Ok(())
}

/// Asks whether a state is to be copied.
fn agreed(workspace: &str, source: &Path, target: &Path, input: bool) -> Result<bool> {
    let refused = |why: &str, detail: &str| {
        CommandError::new(
            format!("Error asking for state migration action: {why}"),
            detail,
        )
    };
    if !input {
        return Err(refused(
            "input is disabled",
            "Give -force-copy to copy the state, or -reconfigure to begin with what is at the new place.",
        ));
    }
    let of = if workspace == workspace::DEFAULT {
        String::new()
    } else {
        format!(" of the workspace \"{workspace}\"")
    };
    print(&format!(
        "Do you want to copy existing state to the new backend?\n  There is a state{of} at {}, and the configuration now asks for {}.\n\n  Enter \"yes\" to copy and \"no\" to start with what is at the new place.\n\n  Enter a value: ",
        source.display(),
        target.display()
    ));
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line)?;
    if read == 0 && !std::io::stdin().is_terminal() {
        return Err(refused(
            "Error asking for confirmation: EOF",
            "There is nobody to ask: give -force-copy to copy the state.",
        ));
    }
    Ok(line.trim() == "yes")
}
