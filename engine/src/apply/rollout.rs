//! The gates of rollouts: between two steps an apply pauses, and sees whether all is well.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stead_sdk::Context;
use stead_value::{Diagnostic, Diagnostics};

use super::operation::Started;
use super::{Executor, Finished, Status};
use crate::changes::{OnFailure, Rollout};
use crate::eval::Repetition;
use crate::event::{Event, GateState, Observer};
use crate::graph::{Op, OpId};
use crate::provision::Step;

/// How often people are told that a health check does not succeed yet.
const TELL: Duration = Duration::from_secs(10);

/// What is known when a gate has been passed, or has not.
pub(super) struct Passing {
    rollout: usize,
    result: Result<(), Unhealthy>,
}

/// Why the next step does not begin.
enum Unhealthy {
    /// The health check's last answer.
    Failed(Diagnostics),
    Interrupted,
}

/// One gate at work.
struct Gate {
    rollout: Rollout,
    step: usize,
    check: Option<Step>,
    observer: Arc<dyn Observer>,
    context: Context,
}

impl Gate {
    fn tell(&self, state: GateState) {
        self.observer.event(Event::Gate {
            resource: self.rollout.to_string(),
            step: self.step + 1,
            steps: self.rollout.steps,
            state,
        });
    }

    async fn sleep(&self, duration: Duration) -> Result<(), Unhealthy> {
        tokio::select! {
            () = tokio::time::sleep(duration) => Ok(()),
            () = self.context.cancelled().cancelled() => Err(Unhealthy::Interrupted),
        }
    }

    async fn pass(&self) -> Result<(), Unhealthy> {
        let is_last = self.step + 1 == self.rollout.steps;
        if !is_last && !self.rollout.pause.is_zero() {
            self.tell(GateState::Pausing(self.rollout.pause));
            self.sleep(self.rollout.pause).await?;
        }
        match &self.check {
            Some(check) => self.wait_until_healthy(check).await,
            None => Ok(()),
        }
    }

    async fn wait_until_healthy(&self, check: &Step) -> Result<(), Unhealthy> {
        self.tell(GateState::Checking);
        let (began, mut told) = (Instant::now(), Instant::now());
        loop {
            let left = self.rollout.timeout.saturating_sub(began.elapsed());
            let tried = tokio::time::timeout(left, check.probe(&self.context)).await;
            let errors = match tried {
                Ok(Ok(())) => {
                    self.tell(GateState::Healthy(began.elapsed()));
                    return Ok(());
                }
                Ok(Err(errors)) => errors,
                Err(_) => Diagnostic::error("Health check", "it did not end in time").into(),
            };
            if self.context.cancelled().is_cancelled() {
                return Err(Unhealthy::Interrupted);
            }
            if began.elapsed() + self.rollout.interval >= self.rollout.timeout {
                self.tell(GateState::Unhealthy(began.elapsed()));
                return Err(Unhealthy::Failed(errors));
            }
            if told.elapsed() >= TELL {
                told = Instant::now();
                self.tell(GateState::Waiting(began.elapsed()));
            }
            self.sleep(self.rollout.interval).await?;
        }
    }
}

impl Executor<'_, '_> {
    pub(super) fn start_gate(&mut self, id: OpId, index: usize, step: usize) -> Started {
        let Some(rollout) = self.plan.rollouts.get(index).cloned() else {
            return Started::Done { changed: false };
        };
        let check = match self.health_check(&rollout) {
            Ok(check) => check,
            Err(errors) => return Started::Failed(errors),
        };
        let gate = Gate {
            rollout,
            step,
            check,
            observer: Arc::clone(&self.observer),
            // As provisioners: an interrupt is seen at once, for nothing is half done here.
            context: Context::new(self.cancel.clone()),
        };
        self.running.spawn(async move {
            let result = gate.pass().await;
            let passing = Passing {
                rollout: index,
                result,
            };
            (id, Finished::Passed(passing))
        });
        Started::Running
    }

    fn health_check(&self, rollout: &Rollout) -> Result<Option<Step>, Diagnostics> {
        if !rollout.has_health_check {
            return Ok(None);
        }
        let module = self.evaluator.enter_module(&rollout.module);
        let node = self.evaluator.tree().get(&rollout.module.module());
        let resource = node.and_then(|node| node.module.resources.get(&rollout.resource));
        let said = resource.and_then(|resource| resource.lifecycle.rollout.as_ref());
        let (Some(module), Some(health)) = (module, said.and_then(|s| s.health_check.as_ref()))
        else {
            return Ok(None);
        };
        let scope = self.evaluator.scope(module, Repetition::default());
        Step::evaluate(self.registry, None, &health.check, &scope).map(Some)
    }

    pub(super) fn passed(&mut self, id: OpId, passing: Passing) {
        let Some(rollout) = self.plan.rollouts.get(passing.rollout).cloned() else {
            return;
        };
        let step = match self.plan.graph.op(id) {
            Op::Gate { step, .. } => step + 1,
            _ => 0,
        };
        let errors = match passing.result {
            Ok(()) => return self.done(id),
            Err(Unhealthy::Interrupted) => return self.failed(id),
            Err(Unhealthy::Failed(errors)) => errors,
        };
        let answers: Vec<String> = errors.iter().map(|d| d.detail.clone()).collect();
        let (steps, timeout) = (rollout.steps, rollout.timeout);
        let summary = format!("{rollout} is not healthy after step {step} of {steps}");
        let said = format!(
            "The health check did not succeed within {timeout:?}. Its last answer: {}",
            answers.join("\n")
        );
        let continues = rollout.on_failure == OnFailure::Continue;
        if continues || step == steps {
            let severity = match continues {
                true => Diagnostic::warning(summary, said),
                false => Diagnostic::error(summary, said),
            };
            self.diagnostics.push(severity.address(rollout.to_string()));
            if continues {
                self.done(id);
            } else {
                self.failed(id);
            }
            return;
        }
        let detail = format!(
            "{said}\n\nThe steps that are left were not begun: their instances stay as they are. When the cause is removed, the next apply goes on with them."
        );
        let error = Diagnostic::error(summary, detail).address(rollout.to_string());
        self.diagnostics.push(error);
        self.failed(id);
    }

    /// Says of each rollout that an instance has stopped what was not begun.
    pub(super) fn tell_of_stopped_rollouts(&mut self) {
        let graph = &self.plan.graph;
        let is = |id: OpId, status| self.status.get(id.index()) == Some(&status);
        // Gates that do not open for another reason are that reason's news.
        let failed = |id: OpId| graph.predecessors(id).any(|of| is(of, Status::Failed));
        let gates = graph
            .ids()
            .filter(|id| is(*id, Status::Skipped) && failed(*id));
        let mut stopped: Vec<(usize, usize)> = gates
            .filter_map(|id| match graph.op(id) {
                Op::Gate { rollout, step } => Some((rollout, step)),
                _ => None,
            })
            .collect();
        // Of several gates of one rollout the first is where it stopped.
        stopped.sort_unstable();
        stopped.dedup_by_key(|(rollout, _)| *rollout);
        for (rollout, step) in stopped {
            let Some(rollout) = self.plan.rollouts.get(rollout) else {
                continue;
            };
            // A gate behind one that did not open is no news.
            let (step, steps) = (step + 1, rollout.steps);
            if step == steps
                || self
                    .diagnostics
                    .iter()
                    .any(|d| d.address == Some(rollout.to_string()))
            {
                continue;
            }
            let detail = format!(
                "An instance failed in step {step} of {steps}, so that the steps behind it were not begun: their instances stay as they are. When the cause is removed, the next apply goes on with them."
            );
            let warning =
                Diagnostic::warning(format!("The rollout of {rollout} has stopped"), detail);
            self.diagnostics.push(warning.address(rollout.to_string()));
        }
    }
}
