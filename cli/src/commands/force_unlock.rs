//! `stead force-unlock`: for locks that outlive the command that took them, which those of local files do not.

use crate::backend;
use crate::error::{CommandError, Result};
use crate::world::Disk;

#[derive(clap::Args, Debug)]
pub(crate) struct ForceUnlockArgs {
    /// Do not ask for approval
    #[arg(long)]
    force: bool,
    #[arg(long)]
    no_color: bool,
    /// The lock's ID, as the message about the lock shows it
    lock_id: String,
}

pub(super) fn run(args: &ForceUnlockArgs) -> Result<u8> {
    backend::in_folder(&Disk)?;
    // The lock belongs to the process that holds it, and ends with it.
    Err(CommandError::text(if args.force {
        "Failed to unlock state: LocalState not locked"
    } else {
        "Local state cannot be unlocked by another process"
    }))
}
