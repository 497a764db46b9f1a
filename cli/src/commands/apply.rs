//! `stead apply` and `stead destroy`.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stead_engine::Observer;
use stead_engine::apply::{Applied, StateSink};
use stead_engine::eval::Phase;
use stead_engine::plan::Planned;
use stead_state::{LocalState, State};
use stead_value::{Diagnostic, Diagnostics};
use tokio_util::sync::CancellationToken;

use super::plan::{Prepared, prepare, show};
use super::{planning, print};
use crate::args::ApplyArgs;
use crate::error::{CommandError, Result};
use crate::progress::Progress;
use crate::session::{Session, open_state};

pub(crate) async fn run(args: ApplyArgs, origin: &Path, destroy: bool) -> Result<u8> {
    let cancel = super::interrupt::token();
    if let Some(path) = &args.plan_file {
        if destroy {
            return Err(CommandError::new(
                "Destroy can't be called with a plan file",
                format!(
                    "If this plan was created using plan -destroy, apply it using:\n  stead apply \"{}\"",
                    path.display()
                ),
            ));
        }
        return super::saved::apply(&args, path, origin, cancel).await;
    }
    // `apply -destroy` says "Apply complete!".
    let is_destroy_command = destroy;
    let destroy = destroy || args.planning.destroy;
    let session = Session::load(
        origin,
        &args.planning.variables,
        args.planning.display.no_color,
    )?
    .with_compact_warnings(args.planning.display.compact_warnings);
    let mut state = open_state(&args.planning.locking, "OperationTypeApply").await?;
    let progress: Arc<dyn Observer> = Progress::new(session.style);
    let Prepared { planned, .. } = prepare(
        &session,
        &mut state,
        &args.planning,
        destroy,
        Arc::clone(&progress),
        cancel.clone(),
    )
    .await?;
    show(&session, &planned.plan);
    if planned.plan.has_changes() && !args.auto_approve {
        approve(
            &session,
            destroy,
            args.planning.display.input.unwrap_or(true),
        )?;
    }
    let applied = execute(
        &session,
        planned,
        &mut state,
        planning::parallelism(&args.planning),
        progress,
        cancel,
    )
    .await;
    conclude(&session, applied, is_destroy_command)
}

/// `stead refresh`: an apply that only records what has changed outside, without asking.
pub(crate) async fn refresh(mut args: ApplyArgs, origin: &Path) -> Result<u8> {
    if args.plan_file.is_some() {
        return Err(CommandError::new(
            "Too many command line arguments",
            "Expected no positional arguments.",
        ));
    }
    args.planning.refresh_only = true;
    let cancel = super::interrupt::token();
    let session = Session::load(
        origin,
        &args.planning.variables,
        args.planning.display.no_color,
    )?
    .with_compact_warnings(args.planning.display.compact_warnings);
    let mut state = open_state(&args.planning.locking, "OperationTypeRefresh").await?;
    if state.read()?.is_none_or(|s| s.is_empty()) {
        session.warn(&Diagnostic::warning("Empty or non-existent state", "There are currently no remote objects tracked in the state, so there is nothing to refresh.").into());
        return Ok(0);
    }
    let progress: Arc<dyn Observer> = Progress::new(session.style);
    let Prepared { planned, .. } = prepare(
        &session,
        &mut state,
        &args.planning,
        false,
        Arc::clone(&progress),
        cancel.clone(),
    )
    .await?;
    session.warn(&planned.plan.warnings);
    let parallelism = planning::parallelism(&args.planning);
    let applied = execute(&session, planned, &mut state, parallelism, progress, cancel).await;
    if applied.diagnostics.has_errors() {
        return Err(session.failure(applied.diagnostics));
    }
    print(&outputs(&applied.state).map_err(|d| session.failure(Diagnostics::from(d)))?);
    Ok(0)
}

/// Asks on the terminal; without one, only `-auto-approve` approves.
pub(crate) fn approve(session: &Session, destroy: bool, input: bool) -> Result<()> {
    if !input || !std::io::stdin().is_terminal() {
        return Err(CommandError::new(
            "Approval needed",
            "There is no terminal to ask on. Use -auto-approve, or plan with -out and apply the saved plan.",
        ));
    }
    let question = if destroy {
        "Do you really want to destroy all resources?\n  stead will destroy all your managed infrastructure, as shown above.\n  There is no undo. Only 'yes' will be accepted to confirm."
    } else {
        "Do you want to perform these actions?\n  stead will perform the actions described above.\n  Only 'yes' will be accepted to approve."
    };
    print(&format!(
        "\n{}\n\n  {} ",
        session.style.bold(question),
        session.style.bold("Enter a value:")
    ));
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() == "yes" {
        print("\n");
        return Ok(());
    }
    Err(CommandError::new(
        if destroy {
            "Destroy cancelled."
        } else {
            "Apply cancelled."
        },
        "",
    ))
}

/// Executes a plan and keeps its state.
pub(crate) async fn execute(
    session: &Session,
    planned: Planned,
    state: &mut LocalState,
    parallelism: usize,
    progress: Arc<dyn Observer>,
    cancel: CancellationToken,
) -> Applied {
    let evaluator = session.evaluator(Phase::Apply);
    let mut sink = Checkpoints {
        file: state,
        last: None,
        cost: Duration::ZERO,
    };
    stead_engine::apply::apply(
        &evaluator,
        &session.registry,
        planned.plan,
        planned.pool,
        &mut sink,
        parallelism,
        progress,
        cancel,
    )
    .await
}

/// Writes the state after each change, but never spends more than a twentieth of the time on it: a large state is written
/// less often. The last call always writes.
struct Checkpoints<'a> {
    file: &'a mut LocalState,
    last: Option<Instant>,
    cost: Duration,
}

impl Checkpoints<'_> {
    fn write(&mut self, state: &mut State) -> Result<(), Diagnostic> {
        let started = Instant::now();
        let result = self.file.write(state).map_err(|e| Diagnostic::error("Failed to save state", format!("{e}. Nothing new is started; what runs will finish, and is written again at the end.")));
        self.cost = started.elapsed();
        self.last = Some(Instant::now());
        result
    }
}

impl StateSink for Checkpoints<'_> {
    fn changed(&mut self, state: &mut State) -> Result<(), Diagnostic> {
        match self.last {
            Some(last) if last.elapsed() < self.cost * 20 => Ok(()),
            _ => self.write(state),
        }
    }

    fn finished(&mut self, state: &mut State) -> Result<(), Diagnostic> {
        self.write(state)
    }
}

/// Says how it went.
pub(crate) fn conclude(session: &Session, applied: Applied, destroy: bool) -> Result<u8> {
    if applied.diagnostics.has_errors() {
        let done = applied.added + applied.changed + applied.destroyed;
        if done > 0 {
            print(&format!(
                "\nOperations completed and recorded: {done}; not started: {}.\n",
                applied.skipped
            ));
        }
        return Err(session.failure(applied.diagnostics));
    }
    session.warn(&applied.diagnostics);
    let headline = if destroy {
        format!(
            "Destroy complete! Resources: {} destroyed.",
            applied.destroyed
        )
    } else {
        format!(
            "Apply complete! Resources: {} added, {} changed, {} destroyed.",
            applied.added, applied.changed, applied.destroyed
        )
    };
    print(&format!("\n{}\n", session.style.bold_green(headline)));
    print(&outputs(&applied.state).map_err(|d| session.failure(Diagnostics::from(d)))?);
    Ok(0)
}

fn outputs(state: &State) -> Result<String, Diagnostic> {
    if state.outputs.is_empty() {
        return Ok(String::new());
    }
    let outputs = super::output::all(state)?;
    Ok(format!("\nOutputs:\n\n{outputs}"))
}
