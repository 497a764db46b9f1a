//! `stead state push`.

use std::io::Read as _;
use std::path::Path;

use stead_state::{State, from_bytes};

use super::{HoldArgs, place};
use crate::encryption::{self, Encryptions};
use crate::error::{CommandError, Result};
use crate::session::lock_state;
use crate::settled;
use crate::world::Disk;

#[derive(clap::Args, Debug)]
pub(crate) struct PushArgs {
    /// Write the state even if it is older than the one that is there, or of something else
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    lock: HoldArgs,
    /// No colours
    #[arg(long)]
    no_color: bool,
    /// Accepted for scripts: it concerns remote backends
    #[arg(long, hide = true)]
    ignore_remote_version: bool,
    /// A state file, or - for standard input
    #[arg(value_name = "PATH", allow_hyphen_values = true)]
    path: String,
}

pub(super) async fn run(args: &PushArgs) -> Result<u8> {
    let mut state = source(&args.path, &encryption::in_folder(&Disk)?)?;
    let mut file = place(None)?;
    if args.lock.lock {
        lock_state(&mut file, &args.lock.lock_timeout, "state-push").await?;
    }
    let there = settled::read(&mut file)?;
    let failed = |e| CommandError::text(format!("Failed to write state: {e}"));
    file.import(&mut state, args.force).map_err(failed)?;
    // As Terraform does: what replaces other content has been changed once more by that.
    if there.is_some_and(|there| !there.says_the_same(&state)) {
        state.serial += 1;
        file.import(&mut state, true).map_err(failed)?;
    }
    Ok(0)
}

fn source(path: &str, encryptions: &Encryptions) -> Result<State> {
    let bytes = if path == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes)?;
        bytes
    } else {
        std::fs::read(path)
            .map_err(|e| CommandError::text(super::unreadable(Path::new(path), &e)))?
    };
    let bytes = encryptions.open_file(Path::new(path), bytes)?;
    from_bytes(&bytes, Path::new(path))
        .map_err(|e| CommandError::text(format!("Error reading source state {path:?}: {e}")))
}
