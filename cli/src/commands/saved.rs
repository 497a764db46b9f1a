//! Saved plans: loaded with the configuration and the values that they were made from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use stead_engine::Plan;
use stead_engine::eval::{GivenVariable, Origin};
use stead_engine::planfile::{self, PlanFile};
use stead_engine::providers::Pool;
use stead_state::State;
use stead_value::{Diagnostic, Diagnostics, Value};
use tokio_util::sync::CancellationToken;

use super::apply::{conclude, execute, spares, tell_of_spared};
use super::planning;
use crate::args::{ApplyArgs, PlanFormat, VariableArgs};
use crate::encryption;
use crate::error::{CommandError, Result};
use crate::report::{Headline, Report};
use crate::session::{Given, Session, open_state};
use crate::settled;
use crate::workspace;
use crate::world::{Disk, PlannedFiles};
use stead_engine::plan::Planned;

/// Opens a plan file: the session is that of the configuration inside, with the values inside. `given` are values besides, which a key may need.
pub(crate) fn open(
    path: &Path,
    origin: &Path,
    no_color: bool,
    given: &VariableArgs,
) -> Result<(Session, PlanFile)> {
    // Not the plan but the folder says how plans are sealed: one that cannot be read may say that those in the clear are not taken.
    let around = encryption::in_folder_given(&Disk, given)?;
    let mut file = planfile::read(path, |bytes| around.open_plan(path, bytes))?;
    let variables: BTreeMap<Arc<str>, GivenVariable> = file
        .plan
        .variables
        .iter()
        .map(|(name, value)| {
            let given = GivenVariable {
                value: value.clone(),
                origin: Origin::Elsewhere,
                range: None,
            };
            (Arc::clone(name), given)
        })
        .collect();
    let files = PlannedFiles::new(std::mem::take(&mut file.files));
    let mut session = Session::load_from(&files, origin, Given::Saved(variables), no_color)?
        .with_started(file.created.clone());
    session.seal_as_planned(&files, given)?;
    Ok((session, file))
}

/// Writes a plan and what it was made from.
pub(crate) fn save(
    session: &Session,
    plan: &Plan,
    serial: u64,
    lineage: String,
    path: &Path,
) -> Result<()> {
    let file = PlanFile {
        plan: plan.clone(),
        serial,
        lineage,
        files: session.files()?,
        workspace: workspace::selected()?.name,
        created: session.started().to_owned(),
        apply_time_variables: session.ephemeral_variables(),
    };
    let seal = |bytes| session.encryptions.seal_plan(path, bytes);
    Ok(planfile::write(path, &file, seal)?)
}

/// `apply FILE`.
pub(crate) async fn apply(
    args: &ApplyArgs,
    path: &Path,
    origin: &Path,
    cancel: CancellationToken,
) -> Result<u8> {
    let report = Report::new(&args.planning.report, PlanFormat::Text)?;
    report.end(apply_open(args, path, origin, &report, cancel).await)
}

async fn apply_open(
    args: &ApplyArgs,
    path: &Path,
    origin: &Path,
    report: &Report,
    cancel: CancellationToken,
) -> Result<u8> {
    let (mut session, file) = open(
        path,
        origin,
        args.planning.display.no_color,
        &args.planning.variables,
    )?;
    let selected = workspace::selected()?.name;
    if file.workspace != selected {
        let planned = &file.workspace;
        return Err(CommandError::new(
            "Saved plan is for another workspace",
            format!(
                "The plan describes changes to the workspace \"{planned}\", and \"{selected}\" is selected. Select the plan's own with `stead workspace select {planned}`, or make a new plan here."
            ),
        ));
    }
    let mut state = open_state(
        &args.planning.locking,
        "OperationTypeApply",
        &session.encryptions,
    )
    .await?;
    let current = settled::read(&mut state)?.unwrap_or_else(State::new);
    // The first plan of all was made from a state that had no lineage yet.
    let first = file.lineage.is_empty() && file.serial == 0;
    if !first && current.lineage != file.lineage {
        return Err(CommandError::new(
            "Saved plan does not match the given state",
            "The given plan file can not be applied because it was created from a different state lineage.",
        ));
    }
    if current.serial != file.serial {
        return Err(CommandError::new(
            "Saved plan is stale",
            format!(
                "The given plan file can no longer be applied because the state was changed by another operation after the plan was created: it was made from serial {} and the state is at serial {}. Plan again.",
                file.serial, current.serial
            ),
        ));
    }
    give_again(&mut session, &args.planning.variables, &file)?;
    report.saved(&file.plan);
    let imported = report.begin(&file.plan, session.style);
    let spared = spares(args, &file.plan);
    let progress = report.observer(session.style);
    let planned = Planned {
        plan: file.plan,
        pool: Pool::default(),
    };
    let mut applied = execute(
        &session,
        planned,
        &mut state,
        planning::parallelism(&args.planning),
        progress,
        cancel,
    )
    .await;
    tell_of_spared(spared, &mut applied);
    conclude(&session, report, applied, imported, Headline::Apply)
}

/// Takes the ephemeral variables, which no plan holds, and refuses other values for what the plan holds.
fn give_again(session: &mut Session, arguments: &VariableArgs, file: &PlanFile) -> Result<()> {
    let found = session.gather_again(arguments)?;
    let mut given: BTreeMap<Arc<str>, GivenVariable> = BTreeMap::new();
    let mut diagnostics = Diagnostics::new();
    for (name, value) in found {
        let Some(variable) = session.tree.root.module.variables.get(&name) else {
            continue;
        };
        let at = value.range.clone();
        let diagnostic = if variable.ephemeral {
            if !file.apply_time_variables.contains(&*name) {
                Diagnostic::error(
                    "Ephemeral variable was not set during planning",
                    format!(
                        "The ephemeral input variable \"{name}\" was not set during the planning phase, and so must remain unset during the apply phase."
                    ),
                )
            } else if value.value.is_null() {
                Diagnostic::error(
                    "Ephemeral variable must be set for apply",
                    format!(
                        "The ephemeral input variable \"{name}\" was set during the planning phase, and so must be set again during the apply phase."
                    ),
                )
            } else {
                given.insert(name, value);
                continue;
            }
        } else {
            let planned = file.plan.variables.get(&name);
            let same = |planned: &Value| {
                let (planned, _) = planned.clone().unmark_deep();
                let accepted = variable.accept(&value.value);
                accepted.is_ok_and(|v| v.unmark_deep().0.raw_equals(&planned))
            };
            if planned.is_none_or(same) {
                continue;
            }
            match value.origin {
                Origin::AutomaticFile | Origin::Prompt | Origin::Elsewhere => continue,
                Origin::Environment => Diagnostic::warning(
                    "Ignoring variable when applying a saved plan",
                    format!(
                        "The variable {name} cannot be overriden when applying a saved plan file, because a saved plan includes the variable values that were set when it was created. To declare an ephemeral variable which is not saved in the plan file, use ephemeral = true."
                    ),
                ),
                Origin::Flag | Origin::NamedFile => Diagnostic::error(
                    "Can't change variable when applying a saved plan",
                    format!(
                        "The variable {name} cannot be set using the -var and -var-file options when applying a saved plan file, because a saved plan includes the variable values that were set when it was created. To declare an ephemeral variable which is not saved in the plan file, use ephemeral = true."
                    ),
                ),
            }
        };
        diagnostics.push(match at {
            Some(range) => diagnostic.at(range),
            None => diagnostic,
        });
    }
    if !diagnostics.has_errors() {
        let missing: BTreeSet<&String> = file
            .apply_time_variables
            .iter()
            .filter(|name| !given.contains_key(name.as_str()))
            .collect();
        for name in missing {
            diagnostics.push(Diagnostic::error(
                "No value for required variable",
                format!("The ephemeral input variable \"{name}\" was set during the plan phase, and so must also be set during the apply phase."),
            ));
        }
    }
    if diagnostics.has_errors() {
        return Err(session.failure(diagnostics));
    }
    session.warn(&diagnostics);
    session.give(given);
    Ok(())
}
