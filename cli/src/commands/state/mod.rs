//! `stead state`: looks into the state, and changes it without asking providers.

mod address;
mod history;
mod identities;
mod list;
mod machine;
mod mv;
mod pull;
mod push;
mod replace_provider;
mod rm;
mod sealing;
mod show;
mod undo;

use std::path::{Path, PathBuf};

use clap::{ArgAction, Args, Subcommand};
use stead_state::{State, StateManager};

use crate::backend;
use crate::encryption;
use crate::error::{CommandError, Result};
use crate::session::lock_state;
use crate::settled;
use crate::world::Disk;

#[derive(Debug, Subcommand)]
pub(crate) enum StateCommand {
    /// List the addresses in the state
    List(list::ListArgs),
    /// Show one object of the state
    Show(show::ShowArgs),
    /// Move an object to another address, or to another state file
    #[command(alias = "move")]
    Mv(mv::MvArgs),
    /// Forget objects without destroying them
    #[command(alias = "remove")]
    Rm(rm::RmArgs),
    /// Print the state
    Pull(pull::PullArgs),
    /// Replace the state by that in a file
    Push(push::PushArgs),
    /// Let another provider own the resources of one
    ReplaceProvider(replace_provider::ReplaceProviderArgs),
    /// Show who has written the state, when, and what that changed
    History(history::HistoryArgs),
    /// Take the state back to what it was at an earlier serial
    Undo(undo::UndoArgs),
    /// List the identities in the state
    Identities(identities::IdentitiesArgs),
    /// Seal a state that is in the clear, as the encryption block says
    Encrypt(sealing::SealArgs),
    /// Seal the state with the first method, whichever of the methods opens it
    Rekey(sealing::SealArgs),
}

pub(crate) async fn run(command: StateCommand) -> Result<u8> {
    match command {
        StateCommand::List(args) => list::run(&args),
        StateCommand::Show(args) => show::run(&args),
        StateCommand::Mv(args) => mv::run(&args).await,
        StateCommand::Rm(args) => rm::run(&args).await,
        StateCommand::Pull(args) => pull::run(&args),
        StateCommand::Push(args) => push::run(&args).await,
        StateCommand::ReplaceProvider(args) => replace_provider::run(&args).await,
        StateCommand::History(args) => history::run(&args),
        StateCommand::Undo(args) => undo::run(&args).await,
        StateCommand::Identities(args) => identities::run(&args),
        StateCommand::Encrypt(args) => sealing::encrypt(&args).await,
        StateCommand::Rekey(args) => sealing::rekey(&args).await,
    }
}

/// Flags of every command that changes the state.
#[derive(Args, Clone, Debug)]
struct ChangeArgs {
    /// Where the state is kept, instead of the selected workspace's place
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Where the state as it was is kept
    #[arg(long, value_name = "FILE")]
    backup: Option<PathBuf>,
    #[command(flatten)]
    lock: HoldArgs,
    /// No colours
    #[arg(long)]
    no_color: bool,
    /// Accepted for scripts: it concerns remote backends
    #[arg(long, hide = true)]
    ignore_remote_version: bool,
}

#[derive(Args, Clone, Debug)]
struct HoldArgs {
    /// Hold the state's lock while working
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", action = ArgAction::Set)]
    lock: bool,
    /// How long to wait for the lock, such as 30s or 5m
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    lock_timeout: String,
}

const NOT_FOUND: &str = "No state file was found!\n\nState management commands require a state file. Run this command\nin a directory where stead has been run or use the -state flag\nto point the command to a specific state location.";

/// The state: in the file that is given, or where the backend keeps it.
fn place(given: Option<&PathBuf>) -> Result<StateManager> {
    match given {
        Some(path) => Ok(backend::in_file(path, &encryption::in_folder(&Disk)?)),
        None => backend::in_folder(&Disk)?.selected(),
    }
}

/// The state, for looking at it.
fn read(given: Option<&PathBuf>) -> Result<State> {
    let mut file = place(given)?;
    settled::read_for_states(&mut file)?.ok_or_else(|| CommandError::text(NOT_FOUND))
}

/// The state's file, locked, and the state in it.
async fn open(args: &ChangeArgs, operation: &str) -> Result<(StateManager, State)> {
    let mut file = open_file(
        args.state.as_ref(),
        args.backup.as_ref(),
        &args.lock,
        operation,
    )
    .await?;
    let state = settled::read(&mut file)?.ok_or_else(|| CommandError::text(NOT_FOUND))?;
    Ok((file, state))
}

async fn open_file(
    state: Option<&PathBuf>,
    backup: Option<&PathBuf>,
    lock: &HoldArgs,
    operation: &str,
) -> Result<StateManager> {
    let mut file = place(state)?;
    match backup {
        Some(path) if path.as_os_str() != "-" => file = file.with_backup(Some(path.clone())),
        _ if file.is_local() => {
            let seconds = jiff::Timestamp::now().as_second();
            let backup = format!("{}.{seconds}.backup", file.location());
            file = file.with_backup(Some(backup.into()));
        }
        _ => {}
    }
    if lock.lock {
        lock_state(&mut file, &lock.lock_timeout, operation).await?;
    }
    Ok(file)
}

/// Why a file could not be read.
pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            format!("open {}: no such file or directory", path.display())
        }
        _ => format!("open {}: {error}", path.display()),
    }
}

/// Writes what a command has changed.
fn save(file: &mut StateManager, state: &mut State) -> Result<()> {
    file.write(state).map_err(|e| {
        CommandError::text(format!(
            "Error saving the state: {e}\n\nThe state was not saved. No items were removed from the persisted\nstate. No backup was created since no modification occurred. Please\nresolve the issue above and try again."
        ))
    })
}
