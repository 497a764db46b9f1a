//! `stead force-unlock`: for locks that outlive the command that took them, which those of local files do not.

use std::io::IsTerminal as _;

use super::{interrupt, print};
use crate::backend;
use crate::error::{CommandError, Result, colour_wanted};
use crate::prompt::{self, Question};
use crate::render::Style;
use crate::world::Disk;

#[derive(clap::Args, Debug)]
pub(crate) struct ForceUnlockArgs {
    /// Do not ask for approval
    #[arg(long)]
    force: bool,
    /// No colours
    #[arg(long)]
    no_color: bool,
    /// The lock's ID, as the message about the lock shows it
    lock_id: String,
}

pub(super) async fn run(args: &ForceUnlockArgs) -> Result<u8> {
    let backend = backend::in_folder(&Disk)?;
    let mut state = backend.state(&crate::workspace::current()?)?;
    let style = Style {
        colour: !args.no_color && colour_wanted(std::io::stdout().is_terminal()),
    };
    if !args.force {
        // The lock belongs to the process that holds it, and ends with it.
        if state.is_local() {
            return Err(CommandError::text(
                "Local state cannot be unlocked by another process",
            ));
        }
        let question = Question {
            query: "Do you really want to force-unlock?",
            description: "stead will remove the lock on the remote state.\nThis will allow local stead commands to modify this state, even though it\nmay still be in use. Only 'yes' will be accepted to confirm.",
            secret: false,
        };
        let answer = prompt::ask(&question, style, &interrupt::token()).await;
        let answer = answer
            .map_err(|e| CommandError::text(format!("Error asking for confirmation: {e}")))?;
        if answer != "yes" {
            print("force-unlock cancelled.\n");
            return Ok(1);
        }
    }
    state
        .force_unlock(&args.lock_id)
        .map_err(|e| CommandError::text(format!("Failed to unlock state: {e}")))?;
    print(&format!(
        "{}\n\nThe state has been unlocked, and stead commands should now be able to\nobtain a new lock on the remote state.\n",
        style.bold_green("stead state has been successfully unlocked!")
    ));
    Ok(0)
}
