//! `stead lab`: the simulated homelab.

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::Path;

use stead_lab::core::Settings;
use stead_lab::{Found, Options, RunningLab};

use super::interrupt::{Interrupt, Interrupts};
use super::print;
use crate::args::{LabArgs, LabCommand};
use crate::error::{CommandError, Result};

pub(crate) async fn run(command: LabCommand) -> Result<u8> {
    match command {
        LabCommand::Up(args) => up(&args).await,
        LabCommand::Exec { lab, command } => {
            let (program, arguments) = command.split_first().ok_or_else(|| {
                CommandError::new(
                    "No command",
                    "Write what to run behind two dashes: stead lab exec -- CMD.",
                )
            })?;
            exec(&lab, program, arguments).await
        }
        LabCommand::Reset(args) => {
            stead_lab::reset(&args.lab_dir).map_err(|e| failure(&args.lab_dir, &e))?;
            print(&format!(
                "The lab in {} is empty again.\n",
                args.lab_dir.display()
            ));
            Ok(0)
        }
        LabCommand::Inventory(args) => {
            let lab = Attached::to(&args).await?;
            let inventory = lab.request("GET", "/inventory", None).await;
            lab.leave().await?;
            print(&format!("{:#}\n", inventory?));
            Ok(0)
        }
        LabCommand::Fault { lab, faults, clear } => fault(&lab, &faults, clear).await,
    }
}

fn failure(dir: &Path, error: &std::io::Error) -> CommandError {
    CommandError::new(
        "The lab could not be started",
        format!("{}: {error}.", dir.display()),
    )
}

/// The lab of a folder: the one that runs there already, or one started here for as long as it is needed.
enum Attached {
    Elsewhere(Found),
    Here(Box<RunningLab>),
}

impl Attached {
    async fn to(args: &LabArgs) -> Result<Attached> {
        if let Some(found) =
            stead_lab::find(&args.lab_dir).map_err(|e| failure(&args.lab_dir, &e))?
        {
            return Ok(Attached::Elsewhere(found));
        }
        let settings = Settings {
            pace: args.pace,
            latency_ms: args.latency,
            seed: args.seed,
        };
        let mut options = Options {
            settings,
            ..Options::default()
        };
        options.proxmox.version = args.proxmox.unwrap_or_default();
        let running = RunningLab::start(&args.lab_dir, options)
            .await
            .map_err(|e| failure(&args.lab_dir, &e))?;
        let installed = running.proxmox_version();
        if let Some(wanted) = args.proxmox.filter(|wanted| *wanted != installed) {
            running.shutdown().await?;
            return Err(CommandError::new(
                "The lab has another version of Proxmox VE",
                format!(
                    "The one in {} was made with {installed}, which it keeps. `stead lab reset` empties it; another --lab-dir makes \
                     one with {wanted} beside it.",
                    args.lab_dir.display()
                ),
            ));
        }
        Ok(Attached::Here(Box::new(running)))
    }

    fn environment(&self) -> &[(String, String)] {
        match self {
            Attached::Elsewhere(found) => found.environment(),
            Attached::Here(running) => running.environment(),
        }
    }

    fn gateway(&self) -> SocketAddr {
        match self {
            Attached::Elsewhere(found) => found.gateway,
            Attached::Here(running) => running.gateway(),
        }
    }

    async fn request(
        &self,
        verb: &str,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<serde_json::Value> {
        stead_lab::request(self.gateway(), verb, path, body)
            .await
            .map_err(|e| CommandError::new("The lab refused", format!("{verb} {path}: {e}.")))
    }

    /// Stops a lab that was started here.
    async fn leave(self) -> Result<()> {
        match self {
            Attached::Elsewhere(_) => Ok(()),
            Attached::Here(running) => Ok(running.shutdown().await?),
        }
    }
}

async fn up(args: &LabArgs) -> Result<u8> {
    let interrupted = super::interrupt::token();
    let lab = Attached::to(args).await?;
    if let Attached::Elsewhere(found) = &lab {
        return Err(CommandError::new(
            "The lab is up already",
            format!(
                "Process {} runs the lab in {}. `stead lab exec -- CMD` uses it.",
                found.pid,
                args.lab_dir.display()
            ),
        ));
    }
    let mut text = format!(
        "# The lab in {} is up. Set this in another shell:\n",
        args.lab_dir.display()
    );
    for (name, value) in lab.environment() {
        text.push_str(&format!(
            "export {name}='{}'\n",
            value.replace('\'', "'\\''")
        ));
    }
    text.push_str("# Ctrl-C stops it; what it holds stays until `stead lab reset`.\n");
    print(&text);
    interrupted.cancelled().await;
    lab.leave().await?;
    Ok(0)
}

/// Runs a command with the lab beside it; its exit code is ours.
pub(crate) async fn exec(args: &LabArgs, program: &OsStr, arguments: &[OsString]) -> Result<u8> {
    exec_with(args, None, program, arguments).await
}

/// A Git repository's URL, and the folder that stands for it in the lab.
pub(crate) struct Repository<'a> {
    pub(crate) url: String,
    pub(crate) folder: &'a Path,
}

/// As [`exec`], with a folder standing for a repository from now on. The lab reads the files as they lie there, committed or
/// not, so that a clone without its history will do.
pub(crate) async fn exec_with(
    args: &LabArgs,
    repository: Option<Repository<'_>>,
    program: &OsStr,
    arguments: &[OsString],
) -> Result<u8> {
    let mut interrupts = Interrupts::listen();
    let lab = Attached::to(args).await?;
    if let Some(Repository { url, folder }) = repository {
        let mapping = serde_json::json!({
            "url_prefix": url, "folder": std::path::absolute(folder)?, "worktree": true, "private": false,
        });
        lab.request("POST", "/repositories", Some(&mapping)).await?;
    }
    let mut command = tokio::process::Command::new(program);
    command
        .args(arguments)
        .envs(lab.environment().iter().map(|(k, v)| (k, v)));
    // A Ctrl-C while the lab started: there is nothing to finish yet.
    if interrupts.came() {
        lab.leave().await?;
        return Ok(1);
    }
    let outcome = match command.spawn() {
        Ok(mut child) => wait(&mut child, &mut interrupts).await,
        Err(error) => Err(error),
    };
    lab.leave().await?;
    let status = outcome.map_err(|e| {
        CommandError::new(
            "The command could not be run",
            format!("{}: {e}.", program.to_string_lossy()),
        )
    })?;
    Ok(status
        .code()
        .and_then(|c| u8::try_from(c).ok())
        .unwrap_or(1))
}

/// Waits for the command. A terminal sends Ctrl-C to both of us: the command decides, the lab stays until it has ended.
/// A SIGTERM meant for us is passed on.
async fn wait(
    child: &mut tokio::process::Child,
    interrupts: &mut Interrupts,
) -> std::io::Result<std::process::ExitStatus> {
    loop {
        tokio::select! {
            status = child.wait() => return status,
            signal = interrupts.next() => {
                if signal == Interrupt::Terminate && let Some(id) = child.id().and_then(|id| i32::try_from(id).ok()) {
                    // The child ends by itself; should it be gone already, so much the better.
                    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), nix::sys::signal::SIGTERM);
                }
            }
        }
    }
}

/// Sets faults: `NAME` alone switches it on, `NAME=CODE` answers with that HTTP status, `NAME=250ms` delays.
async fn fault(args: &LabArgs, faults: &[String], clear: bool) -> Result<u8> {
    let lab = Attached::to(args).await?;
    if clear {
        lab.request("DELETE", "/faults", None).await?;
    }
    for text in faults {
        lab.request("POST", "/faults", Some(&parse_fault(text)?))
            .await?;
    }
    let listed = lab.request("GET", "/faults", None).await?;
    lab.leave().await?;
    print(&format!("{listed:#}\n"));
    Ok(0)
}

/// `NAME[*TIMES][=EFFECT]`.
fn parse_fault(text: &str) -> Result<serde_json::Value> {
    let wrong = |why: &str| {
        CommandError::new(
            "Invalid fault",
            format!(
                "{text}: {why}. Write NAME, NAME=503, NAME=250ms or NAME=drop, and *N behind the name for at most N times."
            ),
        )
    };
    let (name, effect) = text
        .split_once('=')
        .map_or((text, None), |(n, e)| (n, Some(e)));
    let (name, times) = match name.split_once('*') {
        Some((name, times)) => (
            name,
            Some(
                times
                    .parse::<u64>()
                    .map_err(|_| wrong("the count is not a number"))?,
            ),
        ),
        None => (name, None),
    };
    let effect = match effect {
        None | Some("on") => serde_json::json!("on"),
        Some("drop") => serde_json::json!("drop"),
        Some(delay) if delay.ends_with("ms") => {
            let milliseconds: u64 = delay
                .trim_end_matches("ms")
                .parse()
                .map_err(|_| wrong("the delay is not a number"))?;
            serde_json::json!({ "delay": milliseconds })
        }
        Some(code) => {
            let code: u16 = code.parse().map_err(|_| wrong("the effect is not known"))?;
            serde_json::json!({"status": {"code": code, "message": "fault injected by the lab"}})
        }
    };
    Ok(serde_json::json!({ "name": name, "effect": effect, "times": times }))
}
