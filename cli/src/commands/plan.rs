//! `stead plan`, and the planning that `apply` begins with.

use std::path::Path;
use std::sync::Arc;

use stead_engine::Observer;
use stead_engine::eval::Phase;
use stead_engine::plan::{Options, Planned};
use stead_state::{State, StateManager};
use tokio_util::sync::CancellationToken;

use super::generate::{self, Writing};
use super::planning;
use crate::args::{PlanArgs, PlanningArgs};
use crate::error::Result;
use crate::report::Report;
use crate::session::{Session, open_state};
use crate::settled;

pub(crate) async fn run(args: PlanArgs, origin: &Path) -> Result<u8> {
    let report = Report::new(&args.planning.report, args.format)?;
    report.end(plan(&args, origin, &report).await)
}

async fn plan(args: &PlanArgs, origin: &Path, report: &Report) -> Result<u8> {
    let cancel = super::interrupt::token();
    let mut options = planning::options(&args.planning, args.planning.destroy)?;
    if let Some(path) = &args.generate_config_out {
        generate::check(path, options.mode)?;
    }
    let mut session = begin(origin, &args.planning, &cancel).await?;
    let mut state = open_state(
        &args.planning.locking,
        "OperationTypePlan",
        &session.encryptions,
    )
    .await?;
    let writing = match &args.generate_config_out {
        None => None,
        Some(path) => {
            let (options, cancel) = (options.clone(), cancel.clone());
            Some(Writing::of(&session, &mut state, path, options, cancel).await?)
        }
    };
    if let Some(writing) = &writing {
        if writing.diagnostics.has_errors() {
            writing.save()?;
            return Err(session.failure(writing.diagnostics.clone()));
        }
        if !writing.objects.is_empty() {
            session = session.of_files(&writing.files())?;
            options.generated.clone_from(&writing.objects);
        }
    }
    let progress = report.observer(session.style);
    let prepared = prepare_with(&session, &mut state, options, (report, progress), cancel).await;
    // What was written is of use although its plan fails.
    let saved = writing.as_ref().map(Writing::save).transpose()?.flatten();
    let Prepared {
        planned,
        serial,
        lineage,
    } = prepared?;
    let mut plan = planned.plan;
    plan.warnings.extend(saved);
    report.plan(&session, &mut plan);
    if let Some(path) = &args.out {
        super::saved::save(&session, &plan, serial, lineage, path)?;
    }
    if plan.has_changes() {
        let written = writing.as_ref().and_then(Writing::written);
        report.next_step(&session, args.out.as_deref(), written);
    }
    let code = if args.detailed_exitcode && plan.has_changes() {
        2
    } else {
        0
    };
    // The process ends: giving thousands of objects back one by one takes longer than all that is printed.
    std::mem::forget(plan);
    Ok(code)
}

/// Reads the stack, and asks for what is missing unless machines listen.
pub(crate) async fn begin(
    origin: &Path,
    args: &PlanningArgs,
    cancel: &CancellationToken,
) -> Result<Session> {
    let asks = !args.report.json;
    Session::begin(origin, &args.variables, &args.display, asks, cancel).await
}

/// A plan with what an apply in the same run needs.
pub(crate) struct Prepared {
    pub(crate) planned: Planned,
    pub(crate) serial: u64,
    pub(crate) lineage: String,
}

/// Reads the state and plans.
pub(crate) async fn prepare(
    session: &Session,
    state: &mut StateManager,
    args: &PlanningArgs,
    destroy: bool,
    (report, progress): (&Report, Arc<dyn Observer>),
    cancel: CancellationToken,
) -> Result<Prepared> {
    let options = planning::options(args, destroy)?;
    prepare_with(session, state, options, (report, progress), cancel).await
}

async fn prepare_with(
    session: &Session,
    state: &mut StateManager,
    mut options: Options,
    (report, progress): (&Report, Arc<dyn Observer>),
    cancel: CancellationToken,
) -> Result<Prepared> {
    let prior = settled::read(state)?.unwrap_or_else(State::new);
    session.warn_of_secrets(&prior);
    options.in_doubt = state.in_doubt().to_vec();
    let (serial, lineage) = (prior.serial, prior.lineage.clone());
    let evaluator = session.evaluator(Phase::Plan);
    let planned = stead_engine::plan::plan(
        &evaluator,
        &session.registry,
        prior,
        options,
        progress,
        cancel,
    )
    .await;
    let planned = match planned {
        Ok(planned) => planned,
        // What is wrong whatever the values are comes first, as if the configuration had been validated before.
        Err(unplanned) => {
            let evaluator = session.evaluator(Phase::Validate);
            let valid = stead_engine::plan::validate(&evaluator, &session.registry).await;
            if let Err(invalid) = valid {
                return Err(session.failure(invalid));
            }
            if let Some(plan) = &unplanned.until_then {
                report.unfinished(session, plan);
            }
            return Err(session.failure(unplanned.diagnostics));
        }
    };
    Ok(Prepared {
        planned,
        serial,
        lineage,
    })
}
