//! Setting up the backend at `init`: noting it, and taking the states along.

use std::io::{BufRead as _, IsTerminal as _};

use stead_state::{State, StateManager};

use super::declared::missing;
use super::{Backend, Compared, Declared, Record};
use crate::commands::print;
use crate::encryption::Encryptions;
use crate::error::{CommandError, Result};
use crate::session::lock_state;
use crate::settled;
use crate::workspace;

/// What `init` was asked to do with the backend.
#[derive(Clone, Debug)]
pub(crate) struct Initialise {
    pub(crate) reconfigure: bool,
    pub(crate) migrate: bool,
    /// Copy states without asking.
    pub(crate) force_copy: bool,
    /// Questions may be asked.
    pub(crate) input: bool,
    /// How long to wait for the locks of the states that are taken along; `None` to take none.
    pub(crate) lock_timeout: Option<String>,
}

/// Makes the declared backend the one in use; what there is to say of it.
pub(crate) async fn initialise(
    declared: Option<Declared>,
    wanted: Initialise,
    encryptions: &Encryptions,
) -> Result<Vec<String>> {
    let record = Record::read()?;
    if let Compared::Same = record.compare(declared.as_ref()) {
        return Ok(Vec::new());
    }
    if let Some(declared) = &declared {
        missing(declared).into_result()?;
    }
    let before = record.kind().map(ToOwned::to_owned);
    if before.is_some() && !wanted.migrate && !wanted.reconfigure {
        return Err(CommandError::new(
            "Backend configuration changed",
            "A change in the backend configuration has been detected, which may require migrating existing state.\n\nIf you wish to attempt automatic migration of the state, use \"stead init -migrate-state\".\nIf you wish to store the current configuration with no changes to the state, use \"stead init -reconfigure\".",
        ));
    }
    let mut said = Vec::new();
    match (&before, &declared) {
        _ if wanted.reconfigure => {}
        (Some(kind), None) => said.push(format!(
            "stead has detected you're unconfiguring your previously set \"{kind}\" backend.\n"
        )),
        (Some(_), Some(_)) => said.push("Backend configuration changed!\n\nstead has detected that the configuration specified for the backend\nhas changed. stead will now check for existing state in the backends.\n\n".into()),
        (None, _) => {}
    }
    let to = match &declared {
        Some(declared) => Backend::open(&declared.kind, &declared.whole, encryptions)?,
        None => Backend::of_no_block(encryptions),
    };
    // `-reconfigure` takes nothing along from the backend that was set up, but from the files of a folder without one.
    if before.is_none() || !wanted.reconfigure {
        migrate(&record.open(encryptions)?, &to, &wanted).await?;
    }
    // What can't be reached is found now, and not at the first plan.
    to.holds()?;
    said.push(match (&declared, &before) {
        (Some(Declared { kind, .. }), _) => format!("\nSuccessfully configured the backend \"{kind}\"! stead will automatically\nuse this backend unless the backend configuration changes."),
        (None, before) => format!("\nSuccessfully unset the backend \"{}\". stead will now operate locally.", before.as_deref().unwrap_or_default()),
    });
    record.write(declared.as_ref())?;
    Ok(said)
}

/// Copies every workspace's state that is not at the same place in both.
async fn migrate(from: &Backend, to: &Backend, wanted: &Initialise) -> Result<()> {
    let mut moves = Vec::new();
    for workspace in from.holds()? {
        let (mut source, target) = (from.state(&workspace)?, to.state(&workspace)?);
        if from.is_local() == to.is_local() && source.location() == target.location() {
            continue;
        }
        if settled::read(&mut source)?.is_some_and(|s| !s.is_empty()) {
            moves.push((workspace, source, target));
        }
    }
    for (workspace, mut source, mut target) in moves {
        lock(&mut source, wanted).await?;
        lock(&mut target, wanted).await?;
        // Read again: until now anybody might have written it.
        let Some(mut state) = settled::read(&mut source)? else {
            continue;
        };
        let there = settled::read(&mut target)?.unwrap_or_else(State::new);
        if !there.is_empty() && there.lineage == state.lineage && there.serial == state.serial {
            continue;
        }
        if !wanted.force_copy
            && !agreed(
                &workspace,
                &source.location(),
                &target.location(),
                wanted.input,
            )?
        {
            continue;
        }
        target.import(&mut state, true)?;
        source.unlock()?;
        target.unlock()?;
    }
    Ok(())
}

async fn lock(state: &mut StateManager, wanted: &Initialise) -> Result<()> {
    match &wanted.lock_timeout {
        Some(timeout) => lock_state(state, timeout, "migration").await,
        None => Ok(()),
    }
}

/// Asks whether a state is to be copied.
fn agreed(workspace: &str, source: &str, target: &str, input: bool) -> Result<bool> {
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
        source, target
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
