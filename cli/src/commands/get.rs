//! `stead get`: fetch modules, and nothing else.

use std::path::Path;

use clap::Args;
use stead_modules::Installation;

use crate::args::{DisplayArgs, VariableArgs};
use crate::error::Result;
use crate::modules;
use crate::session::{Given, Session};

#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    pub(crate) display: DisplayArgs,
    #[command(flatten)]
    pub(crate) variables: VariableArgs,
    /// Fetch everything anew, in the newest versions that are allowed
    #[arg(long)]
    pub(crate) update: bool,
}

pub(crate) async fn run(args: GetArgs, origin: &Path) -> Result<u8> {
    let given = Given::Gather(&args.variables);
    let Installation {
        tree, diagnostics, ..
    } = modules::install(&given, args.update, &mut modules::show).await?;
    let session = Session::of_tree(tree, origin, args.display.no_color)?;
    if diagnostics.has_errors() {
        return Err(session.failure(diagnostics));
    }
    session.warn(&diagnostics);
    Ok(0)
}
