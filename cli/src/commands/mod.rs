//! One function per command.

mod apply;
#[cfg(feature = "homelab")]
mod bootstrap;
pub(crate) mod console;
pub(crate) mod discover;
mod fmt;
pub(crate) mod force_unlock;
mod generate;
pub(crate) mod get;
mod graph;
pub(crate) mod import;
pub(crate) mod init;
mod interrupt;
#[cfg(feature = "homelab")]
mod lab;
pub(crate) mod metadata;
pub(crate) mod modules;
mod output;
mod plan;
mod planning;
pub(crate) mod providers;
#[cfg(feature = "homelab")]
pub(crate) mod recover;
mod saved;
mod show;
pub(crate) mod state;
pub(crate) mod taint;
pub(crate) mod test;
mod validate;
mod version;
pub(crate) mod workspace;

pub(crate) use fmt::FmtArgs;
pub(crate) use graph::GraphArgs;
pub(crate) use output::{OutputArgs, all as all_outputs};

use clap::CommandFactory as _;

use crate::args::{Cli, Command};
use crate::error::{CommandError, Result};

/// Runs a command; the exit code on success.
pub(crate) async fn run(cli: Cli) -> Result<u8> {
    let origin = std::env::current_dir()?;
    if let Some(dir) = &cli.chdir {
        std::env::set_current_dir(dir).map_err(|e| {
            CommandError::new(
                "Error handling -chdir option",
                format!("{}: {e}.", dir.display()),
            )
        })?;
    }
    match cli.command {
        Command::Fmt(args) => fmt::run(&args),
        Command::Init(args) => init::run(args, &origin).await,
        Command::Get(args) => get::run(args, &origin).await,
        Command::Modules(args) => modules::run(args, &origin),
        Command::Providers(args) => providers::run(args, &origin),
        Command::Console(args) => console::run(args, &origin).await,
        Command::Metadata(command) => metadata::run(&command),
        Command::Validate(args) => validate::run(args, &origin).await,
        Command::Plan(args) => plan::run(args, &origin).await,
        Command::Apply(args) => apply::run(args, &origin, false).await,
        Command::Destroy(args) => apply::run(args, &origin, true).await,
        Command::Import(args) => import::run(args, &origin).await,
        Command::Discover(args) => discover::run(args, &origin).await,
        Command::Refresh(args) => apply::refresh(args, &origin).await,
        Command::Taint(args) => taint::run(&args, true).await,
        Command::Untaint(args) => taint::run(&args, false).await,
        Command::Graph(args) => graph::run(args, &origin),
        Command::Output(args) => output::run(args),
        Command::Show(args) => show::run(args, &origin),
        Command::State(command) => state::run(command).await,
        Command::Test(args) => test::run(args, &origin).await,
        Command::Workspace(command) => workspace::run(command).await,
        Command::Env(command) => workspace::run_as_env(command).await,
        Command::ForceUnlock(args) => force_unlock::run(&args).await,
        #[cfg(feature = "homelab")]
        Command::Bootstrap(args) => bootstrap::run(args, &origin).await,
        #[cfg(feature = "homelab")]
        Command::Recover(args) => recover::run(args, &origin).await,
        #[cfg(feature = "homelab")]
        Command::Lab(command) => lab::run(command).await,
        Command::Version(args) => version::run(&args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "stead", &mut script);
            print(&String::from_utf8_lossy(&script));
            Ok(0)
        }
    }
}

/// Writes a command's result to standard output. Whoever reads there may stop reading (`| head`), which is no mistake.
pub(crate) fn print(text: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes to standard error, which may be gone like standard output: then too a command does its work to the end.
pub(crate) fn print_error(text: &str) {
    use std::io::Write as _;
    let mut out = std::io::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
