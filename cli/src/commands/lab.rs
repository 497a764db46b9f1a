//! `stead lab`: the simulated homelab.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::Duration;

use super::lab_stub::{Options, RunningLab};

use super::print;
use crate::args::{LabArgs, LabCommand};
use crate::error::{CommandError, Result};

pub(crate) async fn run(command: LabCommand) -> Result<u8> {
    match command {
        LabCommand::Up(args) => up(&args).await,
        LabCommand::Exec { lab, command } => {
            let (program, arguments) = command
                .split_first()
                .ok_or_else(|| CommandError::new("No command", "Write what to run behind two dashes: stead lab exec -- CMD."))?;
            exec(&lab, program, arguments).await
        }
        LabCommand::Reset(args) => {
            RunningLab::reset(&args.lab_dir).map_err(|e| failure(&args.lab_dir, &e))?;
            print(&format!("The lab in {} is empty again.\n", args.lab_dir.display()));
            Ok(0)
        }
        LabCommand::Inventory(args) => {
            let running = start(&args).await?;
            let inventory = running.inventory().await;
            running.shutdown().await;
            print(&format!("{inventory:#}\n"));
            Ok(0)
        }
        LabCommand::Fault { lab, faults } => fault(&lab, &faults).await,
    }
}

fn failure(dir: &Path, error: &std::io::Error) -> CommandError {
    CommandError::new("The lab could not be started", format!("{}: {error}.", dir.display()))
}

async fn start(args: &LabArgs) -> Result<RunningLab> {
    let options = Options { pace: args.pace, ..Options::default() };
    RunningLab::start(&args.lab_dir, options).await.map_err(|e| failure(&args.lab_dir, &e))
}

async fn up(args: &LabArgs) -> Result<u8> {
    let running = start(args).await?;
    let mut text = format!("# The lab in {} is up. Set this in another shell:\n", args.lab_dir.display());
    for (name, value) in running.environment() {
        text.push_str(&format!("export {name}='{}'\n", value.replace('\'', "'\\''")));
    }
    text.push_str("# Ctrl-C stops it; what it holds stays until `stead lab reset`.\n");
    print(&text);
    super::interrupt::token().cancelled().await;
    running.shutdown().await;
    Ok(0)
}

/// Runs a command with the lab beside it; its exit code is ours.
pub(crate) async fn exec(args: &LabArgs, program: &OsStr, arguments: &[OsString]) -> Result<u8> {
    let running = start(args).await?;
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).envs(running.environment());
    let spawned = command.spawn();
    let outcome = match spawned {
        Ok(mut child) => wait(&mut child).await,
        Err(error) => Err(error),
    };
    running.shutdown().await;
    let status = outcome.map_err(|e| {
        CommandError::new("The command could not be run", format!("{}: {e}.", program.to_string_lossy()))
    })?;
    Ok(status.code().and_then(|c| u8::try_from(c).ok()).unwrap_or(1))
}

/// Waits for the command. A terminal sends Ctrl-C to both of us: the command decides, the lab stays until it has ended.
/// A SIGTERM meant for us is passed on.
async fn wait(child: &mut tokio::process::Child) -> std::io::Result<std::process::ExitStatus> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    loop {
        tokio::select! {
            status = child.wait() => return status,
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {
                if let Some(id) = child.id() {
                    // The child ends by itself; should it be gone already, so much the better.
                    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(id as i32), nix::sys::signal::SIGTERM);
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

async fn fault(args: &LabArgs, faults: &[String]) -> Result<u8> {
    let running = start(args).await?;
    for fault in faults {
        let (name, value) = fault.split_once('=').ok_or_else(|| {
            CommandError::new("Invalid fault", format!("{fault} is not of the form NAME=VALUE."))
        })?;
        running
            .set_fault(name, value)
            .map_err(|e| CommandError::new("Invalid fault", format!("{fault}: {e}.")))?;
    }
    let listed = running.faults();
    running.shutdown().await;
    print(&format!("{listed:#}\n"));
    Ok(0)
}
