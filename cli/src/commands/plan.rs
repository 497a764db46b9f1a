//! `stead plan`, and the planning that `apply` begins with.

use std::path::Path;
use std::sync::Arc;

use stead_engine::Observer;
use stead_engine::eval::Phase;
use stead_engine::plan::Planned;
use stead_state::{LocalState, State};
use tokio_util::sync::CancellationToken;

use super::planning;
use crate::args::{PlanArgs, PlanningArgs};
use crate::error::{CommandError, Result};
use crate::report::Report;
use crate::session::{Session, open_state};
use crate::settled;

pub(crate) async fn run(args: PlanArgs, origin: &Path) -> Result<u8> {
    if args.generate_config_out.is_some() {
        return Err(CommandError::new(
            "Option not supported yet",
            "stead does not write configuration for imported objects yet: write the resource blocks yourself, plan, and adjust them until nothing is left to change.",
        ));
    }
    let report = Report::new(&args.planning.report, args.format)?;
    report.end(plan(&args, origin, &report).await)
}

async fn plan(args: &PlanArgs, origin: &Path, report: &Report) -> Result<u8> {
    let cancel = super::interrupt::token();
    let session = Session::load(
        origin,
        &args.planning.variables,
        args.planning.display.no_color,
    )?
    .with_compact_warnings(args.planning.display.compact_warnings);
    let mut state = open_state(&args.planning.locking, "OperationTypePlan").await?;
    let Prepared {
        planned,
        serial,
        lineage,
        ..
    } = prepare(
        &session,
        &mut state,
        &args.planning,
        args.planning.destroy,
        report.observer(session.style),
        cancel,
    )
    .await?;
    let mut plan = planned.plan;
    report.plan(&session, &mut plan);
    if let Some(path) = &args.out {
        super::saved::save(&session, &plan, serial, lineage, path)?;
    }
    if plan.has_changes() {
        report.next_step(&session, args.out.as_deref());
    }
    Ok(if args.detailed_exitcode && plan.has_changes() {
        2
    } else {
        0
    })
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
    state: &mut LocalState,
    args: &PlanningArgs,
    destroy: bool,
    progress: Arc<dyn Observer>,
    cancel: CancellationToken,
) -> Result<Prepared> {
    let mut options = planning::options(args, destroy)?;
    let prior = settled::read(state)?.unwrap_or_else(State::new);
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
        Err(found) => {
            let evaluator = session.evaluator(Phase::Validate);
            let valid = stead_engine::plan::validate(&evaluator, &session.registry).await;
            return Err(session.failure(valid.err().unwrap_or(found)));
        }
    };
    Ok(Prepared {
        planned,
        serial,
        lineage,
    })
}
