//! `stead state pull`.

use stead_state::to_bytes;

use crate::commands::print;
use crate::error::{CommandError, Result};
use crate::session::TERRAFORM_VERSION;
use crate::settled;

#[derive(clap::Args, Debug)]
pub(crate) struct PullArgs {
    /// No colours
    #[arg(long)]
    no_color: bool,
}

pub(super) fn run(_: &PullArgs) -> Result<u8> {
    let Some(mut state) = settled::read(&mut super::place(None)?)? else {
        return Ok(0);
    };
    state.terraform_version = TERRAFORM_VERSION.into();
    let bytes =
        to_bytes(&state).map_err(|e| CommandError::text(format!("Failed to write state: {e}")))?;
    print(&format!("{}\n", String::from_utf8_lossy(&bytes)));
    Ok(0)
}
