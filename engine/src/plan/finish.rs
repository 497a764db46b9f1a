//! The end of planning: from what the walk found to the plan, with its operations in order.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use stead_value::{Diagnostic, Diagnostics, Type, Value};

use super::ordering::Ordered;
use super::{Kind, Planned, Planner, Unplanned, ordering, relevant};
use crate::checks::{CheckResults, Checkable};
use crate::eval::{Object, Outcome, ROOT};
use crate::graph::{ExecutionGraph, Op};
use crate::{Action, OutputChange, Plan, PlanMode, ResourceChange, Rollout};

impl Planner<'_, '_> {
    pub(super) fn finish(mut self) -> Result<Planned, Unplanned> {
        let outputs = self.output_changes();
        self.diagnostics.extend(self.evaluator.take_diagnostics());
        if self.diagnostics.has_errors() {
            return Err(self.unplanned(outputs));
        }
        let checks = self.check_results();
        let variables = self.root_variables();
        let mut changes = self.take_changes();
        let ephemerals = self.needed_ephemerals(&changes);
        let Ordered {
            graph,
            mut rollouts,
        } = ordering::build(
            self.evaluator,
            self.registry,
            &self.state,
            &mut changes,
            &ephemerals,
            &self.selection,
            self.kind == Kind::Destroy,
            &mut self.diagnostics,
        );
        self.diagnostics.extend(self.evaluator.take_diagnostics());
        if self.diagnostics.has_errors() {
            return Err(self.diagnostics.into());
        }
        if self.kind == Kind::Plan {
            self.settle_dependencies(&changes);
        }
        if let Some(cycle) = graph.cycle() {
            let named = |op: &Op| match op.rollout() {
                Some(rollout) => Some(format!("the rollout of {}", rollouts.get(rollout)?)),
                None => Some(changes.get(op.change()?)?.address.to_string()),
            };
            let names: Vec<String> = cycle.iter().filter_map(named).collect();
            self.diagnostics.push(Diagnostic::error(
                format!("Cycle: {}", names.join(", ")),
                "The order in which these objects would have to be destroyed and created is circular.",
            ));
            return Err(self.diagnostics.into());
        }
        if !self.options.health_checks {
            self.leave_out_health_checks(&mut rollouts);
        }
        self.warn_of_forgotten(&changes);
        let computed = self.computed_outputs();
        let relevant = relevant::find(self.evaluator.tree(), &changes, &outputs, &computed);
        let output_types: BTreeMap<Arc<str>, Type> = outputs
            .iter()
            .map(|(name, o)| (Arc::clone(name), o.after.ty()))
            .collect();
        let plan = Plan {
            mode: self.options.mode,
            changes,
            // What is destroyed is destroyed whatever has changed.
            drift: match self.options.mode {
                PlanMode::Destroy => Vec::new(),
                PlanMode::Normal | PlanMode::RefreshOnly => self.drift,
            },
            outputs,
            variables,
            prior_state: self.state,
            output_types,
            ephemerals,
            graph,
            rollouts,
            checks,
            relevant,
            partial: !self.selection.is_all(),
            warnings: self.diagnostics,
        };
        Ok(Planned {
            plan,
            pool: self.pool,
        })
    }

    /// The gates stay, and open by themselves.
    fn leave_out_health_checks(&mut self, rollouts: &mut [Rollout]) {
        let checked = rollouts.iter_mut().filter(|r| r.has_health_check);
        let names: Vec<String> = checked
            .map(|rollout| {
                rollout.has_health_check = false;
                rollout.to_string()
            })
            .collect();
        if names.is_empty() {
            return;
        }
        let detail = format!(
            "The next step of a rollout begins as soon as the instances of the one before are done. This concerns: {}.",
            names.join(", ")
        );
        let warning = Diagnostic::warning("Health checks are left out", detail);
        self.diagnostics.push(warning);
    }

    fn take_changes(&mut self) -> Vec<ResourceChange> {
        let changes = std::mem::take(&mut self.changes);
        changes.into_values().map(|change| *change).collect()
    }

    /// What was planned until a problem came up, as far as people may look at it.
    fn unplanned(mut self, outputs: BTreeMap<Arc<str>, OutputChange>) -> Unplanned {
        let changes = self.take_changes();
        let computed = self.computed_outputs();
        let relevant = relevant::find(self.evaluator.tree(), &changes, &outputs, &computed);
        let plan = Plan {
            mode: self.options.mode,
            changes,
            drift: self.drift,
            outputs,
            variables: BTreeMap::new(),
            prior_state: self.state,
            output_types: BTreeMap::new(),
            ephemerals: Vec::new(),
            graph: ExecutionGraph::default(),
            rollouts: Vec::new(),
            checks: CheckResults::default(),
            relevant,
            partial: !self.selection.is_all(),
            warnings: Diagnostics::new(),
        };
        Unplanned {
            diagnostics: self.diagnostics,
            until_then: Some(Box::new(plan)),
        }
    }

    fn warn_of_forgotten(&mut self, changes: &[ResourceChange]) {
        let forgotten = || changes.iter().filter(|c| c.action == Action::Forget);
        // Said as OpenTofu says it, whose option that is.
        for change in forgotten().filter(|c| c.is_spared()) {
            self.diagnostics.push(Diagnostic::warning(
                "Resource will be removed from the state",
                format!("After this plan is applied, the resource {} will not be managed anymore by stead.\n\nIn case you want to manage the resource again, you will have to import it.", change.address),
            ));
        }
        let removed = forgotten().filter(|c| !c.is_spared());
        let names: String = removed.map(|c| format!("\n - {}", c.address)).collect();
        if !names.is_empty() {
            self.diagnostics.push(Diagnostic::warning(
                "Some objects will no longer be managed by stead",
                format!("If you apply this plan, stead will discard its tracking information for the following objects, but it will not delete them:{names}\n\nAfter applying this plan, stead will no longer manage these objects. You will need to import them into stead to manage them again."),
            ));
        }
    }

    fn root_variables(&self) -> BTreeMap<Arc<str>, Value> {
        let names = self.evaluator.config(ROOT).variables.keys();
        names
            .filter_map(|name| {
                match self
                    .evaluator
                    .demand(Object::Variable(ROOT, Arc::clone(name)))
                {
                    Outcome::Value(value) => Some((Arc::clone(name), value)),
                    Outcome::Pending | Outcome::Failed => None,
                }
            })
            .collect()
    }

    fn check_results(&self) -> CheckResults {
        let destroy = self.kind == Kind::Destroy;
        self.evaluator.check_results(&|checkable| match checkable {
            // A destruction evaluates nothing, but it knows the root's outputs.
            Checkable::Output(module, _) if destroy => module.0.is_empty(),
            _ => !destroy && self.selection.keeps_checkable(checkable),
        })
    }

    /// The state's objects get the dependencies and the order of replacement that the configuration gives them now. What is
    /// still to be changed keeps what it depended on before, too, until it is.
    fn settle_dependencies(&mut self, changes: &[ResourceChange]) {
        for change in changes {
            if change.deposed.is_some()
                || !Self::is_managed(&change.address)
                || matches!(change.action, Action::Delete | Action::Forget)
            {
                continue;
            }
            let Some((object, recorded)) = self.state.current(&change.address) else {
                continue;
            };
            let mut dependencies = change.dependencies.clone();
            if change.action != Action::NoOp && self.options.refresh {
                let known: HashSet<&String> = change.dependencies.iter().collect();
                let more = object.dependencies.iter().filter(|d| !known.contains(d));
                dependencies.extend(more.cloned());
            } else if change.action != Action::NoOp {
                dependencies.clone_from(&object.dependencies);
            }
            let before_destroy = change.create_before_destroy;
            // What stays as it is may belong to another configuration of its provider now.
            let provider = match change.action {
                Action::NoOp => &change.provider,
                _ => recorded,
            };
            if dependencies == object.dependencies
                && before_destroy == object.create_before_destroy
                && recorded == provider
            {
                continue;
            }
            let (mut object, provider) = (object.clone(), provider.clone());
            object.dependencies = dependencies;
            object.create_before_destroy = before_destroy;
            self.state
                .set_current(&change.address, &provider, Some(object));
        }
    }
}
