//! `stead apply` and `stead destroy`.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use stead_engine::apply::Applied;
use stead_engine::eval::Phase;
use stead_engine::plan::Planned;
use stead_engine::{Observer, Plan, PlanMode, ResourceChange};
use stead_state::{State, StateManager};
use stead_value::Diagnostic;
use tokio_util::sync::CancellationToken;

use super::plan::{Prepared, begin, prepare};
use super::planning;
use crate::args::{ApplyArgs, PlanFormat};
use crate::backend;
use crate::error::{CommandError, Result};
use crate::prompt::{self, Question, Unanswered};
use crate::recorder::Recorder;
use crate::render::arrange::is_of_check;
use crate::report::{Headline, Report};
use crate::session::{Session, open_state};
use crate::settled;

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
    let report = Report::new(&args.planning.report, PlanFormat::Text)?;
    if report.is_json() && !args.auto_approve {
        let refused = CommandError::new(
            "Plan file or auto-approve required",
            "stead cannot ask for interactive approval when -json is set. You can either apply a saved plan file, or enable the -auto-approve option.",
        );
        return report.end(Err(refused));
    }
    report.end(plan_and_apply(&args, origin, destroy, &report, cancel).await)
}

async fn plan_and_apply(
    args: &ApplyArgs,
    origin: &Path,
    is_destroy_command: bool,
    report: &Report,
    cancel: CancellationToken,
) -> Result<u8> {
    let destroy = is_destroy_command || args.planning.destroy;
    let session = begin(origin, &args.planning, &cancel).await?;
    let mut state = open_state(
        &args.planning.locking,
        "OperationTypeApply",
        &session.encryptions,
    )
    .await?;
    let progress = report.observer(session.style);
    let Prepared { mut planned, .. } = prepare(
        &session,
        &mut state,
        &args.planning,
        destroy,
        (report, Arc::clone(&progress)),
        cancel.clone(),
    )
    .await?;
    let asks = planned.plan.has_changes() && !args.auto_approve;
    if asks {
        report.plan(&session, &mut planned.plan);
    } else {
        report.plan_alone(&session, &planned.plan);
        // Nobody decides by them, and the apply checks once more.
        planned.plan.warnings.0.retain(|w| !is_of_check(w));
    }
    if asks && !approve(&session, planned.plan.mode, &cancel).await? {
        report.cancelled(if destroy {
            "Destroy cancelled."
        } else {
            "Apply cancelled."
        });
        return Ok(1);
    }
    // `apply -destroy` says "Apply complete!".
    let headline = if is_destroy_command {
        Headline::Destroy
    } else {
        Headline::Apply
    };
    let parallelism = planning::parallelism(&args.planning);
    let imported = report.begin(&planned.plan, session.style);
    let spared = spares(args, &planned.plan);
    let mut applied = execute(&session, planned, &mut state, parallelism, progress, cancel).await;
    tell_of_spared(spared, &mut applied);
    conclude(&session, report, applied, imported, headline)
}

/// Whether a destruction leaves objects alone without having been told that this is as it should be.
pub(crate) fn spares(args: &ApplyArgs, plan: &Plan) -> bool {
    let destroys = plan.mode == PlanMode::Destroy && !args.suppress_forget_errors;
    destroys && plan.changes.iter().any(ResourceChange::is_spared)
}

/// Who destroys may believe that nothing is left; as in OpenTofu, the exit code says otherwise.
pub(crate) fn tell_of_spared(spared: bool, applied: &mut Applied) {
    if spared && !applied.diagnostics.has_errors() {
        applied.diagnostics.push(Diagnostic::error(
            "Destroy was successful but left behind forgotten instances",
            "Objects with destroy = false have been taken out of the state and not destroyed, as the plan says. They still exist, and may cost money. Where this is as it should be, add -suppress-forget-errors.",
        ));
    }
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
    let report = Report::new(&args.planning.report, PlanFormat::Text)?;
    report.end(record_what_changed(&args, origin, &report).await)
}

async fn record_what_changed(args: &ApplyArgs, origin: &Path, report: &Report) -> Result<u8> {
    let cancel = super::interrupt::token();
    let session = begin(origin, &args.planning, &cancel).await?;
    let mut state = open_state(
        &args.planning.locking,
        "OperationTypeRefresh",
        &session.encryptions,
    )
    .await?;
    if settled::read(&mut state)?.is_none_or(|s| s.is_empty()) {
        session.warn(&Diagnostic::warning("Empty or non-existent state", "There are currently no remote objects tracked in the state, so there is nothing to refresh.").into());
        report.warnings(&session);
        state.write(&mut State::new())?;
        return Ok(0);
    }
    let progress = report.observer(session.style);
    let Prepared { planned, .. } = prepare(
        &session,
        &mut state,
        &args.planning,
        false,
        (report, Arc::clone(&progress)),
        cancel.clone(),
    )
    .await?;
    session.warn(&planned.plan.warnings);
    let parallelism = planning::parallelism(&args.planning);
    let applied = execute(&session, planned, &mut state, parallelism, progress, cancel).await;
    conclude(&session, report, applied, 0, Headline::Refresh)
}

/// Asks whether to go on. Whatever is answered but "yes" means no.
pub(crate) async fn approve(
    session: &Session,
    mode: PlanMode,
    cancel: &CancellationToken,
) -> Result<bool> {
    let workspace = crate::workspace::selected()?.name;
    let (within, of) = match workspace.as_str() {
        "default" => (String::new(), String::new()),
        name => (
            format!(" in workspace \"{name}\""),
            format!(" for \"{name}\""),
        ),
    };
    let (query, description) = match mode {
        PlanMode::Destroy => (
            format!("\nDo you really want to destroy all resources{within}?"),
            "stead will destroy all your managed infrastructure, as shown above.\nThere is no undo. Only 'yes' will be accepted to confirm.",
        ),
        PlanMode::RefreshOnly => (
            format!(
                "\nWould you like to update the stead state{of} to reflect these detected changes?"
            ),
            "stead will write these changes to the state without modifying any real infrastructure.\nThere is no undo. Only 'yes' will be accepted to confirm.",
        ),
        PlanMode::Normal => (
            format!("\nDo you want to perform these actions{within}?"),
            "stead will perform the actions described above.\nOnly 'yes' will be accepted to approve.",
        ),
    };
    let question = Question {
        query: &query,
        description,
        secret: false,
    };
    match prompt::ask(&question, session.style, cancel).await {
        Ok(answer) => Ok(answer == "yes"),
        Err(Unanswered::Interrupted) => Err(CommandError::new(
            "error asking for approval: interrupted",
            "Nothing has been changed.",
        )),
        Err(unanswered) => Err(CommandError::new(
            format!("error asking for approval: {unanswered}"),
            "There is no answer to read. Use -auto-approve, or plan with -out and apply the saved plan.",
        )),
    }
}

/// Executes a plan and keeps its state.
pub(crate) async fn execute(
    session: &Session,
    planned: Planned,
    state: &mut StateManager,
    parallelism: usize,
    progress: Arc<dyn Observer>,
    cancel: CancellationToken,
) -> Applied {
    let evaluator = session.evaluator(Phase::Apply);
    let planned_for: HashSet<_> = planned.plan.changes.iter().map(|c| &c.address).collect();
    let mut sink = Recorder::new(state, backend::run(), |intent| {
        planned_for.contains(&intent.address)
            || planned.plan.prior_state.current(&intent.address).is_some()
    });
    drop(planned_for);
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

/// Says how it went.
pub(crate) fn conclude(
    session: &Session,
    report: &Report,
    applied: Applied,
    imported: usize,
    headline: Headline,
) -> Result<u8> {
    if applied.diagnostics.has_errors() {
        return Err(session.failure(applied.diagnostics));
    }
    session.warn(&applied.diagnostics);
    session.warn_of_secrets(&applied.state);
    report.warnings(session);
    report.applied(session, &applied, imported, headline)?;
    Ok(0)
}
