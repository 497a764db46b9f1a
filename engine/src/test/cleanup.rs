//! The end of a file: what its runs created is destroyed, the latest first.

use stead_state::State;
use stead_value::Diagnostics;
use stead_value::addr::ResourceMode;

use super::report::{Progress, Status, left};
use super::run::{Ready, silent};
use super::suite::FileRunner;
use super::variables::collect;
use crate::PlanMode;
use crate::eval::{Evaluator, Phase};
use crate::plan::{Options, plan};

impl FileRunner<'_> {
    pub(super) async fn clean_up(&self) {
        if self.env.cancel.is_cancelled() {
            return;
        }
        // Only an apply puts objects into a state.
        let mut states: Vec<(usize, String)> = (self.states.borrow().iter())
            .filter(|(_, state)| has_managed(&state.state))
            .filter_map(|(key, state)| Some((state.changed_by?, key.clone())))
            .collect();
        states.sort_by_key(|(changed_by, _)| std::cmp::Reverse(*changed_by));
        for (index, key) in states {
            if self.env.cancel.is_cancelled() {
                return;
            }
            self.destroy_and_tell(index, key).await;
        }
    }

    async fn destroy_and_tell(&self, index: usize, key: String) {
        let state = self.states.borrow().get(&key).map(|s| s.state.clone());
        let (updated, diagnostics) = self.destroy(index, state.unwrap_or_default()).await;
        if !updated.resources.is_empty() {
            self.merge_status(Status::Error);
        }
        let report = self.report.borrow();
        if let Some(run) = report.runs.get(index) {
            let mut observer = self.observer.borrow_mut();
            observer.cleanup(&report.name, run, &diagnostics, &left(&updated));
        }
        if let Some(state) = self.states.borrow_mut().get_mut(&key) {
            state.state = updated;
        }
    }

    /// Destroys what a state holds; gives what is left of it.
    async fn destroy(&self, index: usize, state: State) -> (State, Diagnostics) {
        let (Some(run), Some(config)) = (self.file.runs.get(index), self.config_of(index)) else {
            return (state, Diagnostics::new());
        };
        let surrounding = self.surrounding(config);
        let prepared = match self.prepare(run, config, &surrounding) {
            Ok(prepared) => prepared,
            Err(errors) => return (state, errors),
        };
        let (variables, found) = collect(&surrounding, run, &self.outputs.borrow(), false);
        if found.has_errors() {
            return (state, found);
        }
        let ready = Ready {
            prepared,
            variables,
        };
        self.tell(index, Progress::TearDown);
        let evaluator = Evaluator::new(&ready.prepared.config, self.settings(Phase::Plan, &ready));
        let options = Options {
            mode: PlanMode::Destroy,
            parallelism: self.env.parallelism,
            ..Options::default()
        };
        let planning = plan(
            &evaluator,
            &ready.prepared.registry,
            state.clone(),
            options,
            silent(),
            self.env.cancel.clone(),
        );
        let (planned, interrupted) = self
            .watch(index, Progress::TearDown, Vec::new(), planning)
            .await;
        let mut diagnostics: Diagnostics = interrupted.into_iter().collect();
        let mut planned = match planned {
            Ok(planned) => planned,
            Err(unplanned) => {
                diagnostics.extend(unplanned.diagnostics);
                return (state, diagnostics);
            }
        };
        diagnostics.extend(std::mem::take(&mut planned.plan.warnings));
        let evaluator = Evaluator::new(&ready.prepared.config, self.settings(Phase::Apply, &ready));
        let (applied, interrupted) = self
            .carry_out(index, Progress::TearDown, &evaluator, &ready, planned)
            .await;
        diagnostics.extend(interrupted);
        diagnostics.extend(applied.diagnostics);
        (applied.state, diagnostics)
    }
}

fn has_managed(state: &State) -> bool {
    let mut kinds = state.resources.keys().map(|id| id.resource.mode);
    kinds.any(|mode| mode == ResourceMode::Managed)
}
