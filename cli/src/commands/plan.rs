//! `stead plan`, and the planning that `apply` begins with.

use std::path::Path;
use std::sync::Arc;

use stead_engine::eval::Phase;
use stead_engine::plan::Planned;
use stead_engine::{Observer, Plan};
use stead_state::{LocalState, State};
use tokio_util::sync::CancellationToken;

use super::{planning, print};
use crate::args::{PlanArgs, PlanningArgs};
use crate::error::Result;
use crate::progress::Progress;
use crate::render;
use crate::session::{Session, open_state};

pub(crate) async fn run(args: PlanArgs, origin: &Path) -> Result<u8> {
    let cancel = super::interrupt::token();
    let session = Session::load(
        origin,
        &args.planning.variables,
        args.planning.display.no_color,
    )?
    .with_compact_warnings(args.planning.display.compact_warnings);
    let mut state = open_state(&args.planning.locking, "OperationTypePlan").await?;
    let progress: Arc<dyn Observer> = Progress::new(session.style);
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
        progress,
        cancel,
    )
    .await?;
    let plan = planned.plan;
    show(&session, &plan);
    if let Some(path) = &args.out {
        super::saved::save(&session, &plan, serial, lineage, path)?;
        print(&format!(
            "\nSaved the plan to: {0}\n\nTo perform exactly these actions, run the following command to apply:\n    stead apply \"{0}\"\n",
            path.display()
        ));
    } else if plan.has_changes() {
        print(
            "\nNote: You didn't use the -out option to save this plan, so stead can't guarantee to take exactly these actions if you run `stead apply` now.\n",
        );
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
    let options = planning::options(args, destroy)?;
    let prior = state.read()?.unwrap_or_else(State::new);
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
    .await
    .map_err(|diagnostics| session.failure(diagnostics))?;
    Ok(Prepared {
        planned,
        serial,
        lineage,
    })
}

/// Prints a plan and its warnings.
pub(crate) fn show(session: &Session, plan: &Plan) {
    print(&render::plan::render(
        plan,
        &session.registry,
        session.view(),
    ));
    session.warn(&plan.warnings);
}
