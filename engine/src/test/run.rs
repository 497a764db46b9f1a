//! One run: what it plans or applies, and what comes of it.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stead_lang::config::ConfigTree;
use stead_lang::config::test_file::{PlanOptions, TestCommand, TestRun};
use stead_lang::expr::references;
use stead_state::State;
use stead_state::journal::JournalHandle;
use stead_value::addr::{ProviderSource, ResourceInstance, ResourceMode};
use stead_value::condition::CheckObject;
use stead_value::{Diagnostic, Diagnostics};

use super::assertions::assert;
use super::expectations;
use super::providers::{Prepared, prepare};
use super::report::{Outcome, Progress, Status, Unfinished, Verbose, left};
use super::suite::{FileRunner, MAIN, TestState, declares, globals, no_such_target};
use super::variables::{Surrounding, Variables, collect};
use crate::apply::{Applied, Changed, StateSink, apply};
use crate::eval::{Evaluator, Phase, Settings};
use crate::plan::{Options, Planned, Target, plan, validate};
use crate::{Action, Event, Observer, Plan, PlanMode};

/// How often a run that takes long says that it is still there.
const BEAT: Duration = Duration::from_secs(2);

/// Keeps a state nowhere but in memory.
pub(super) struct InMemory;

impl StateSink for InMemory {
    fn begin(&mut self, _: &mut State, _: bool) -> Result<Option<JournalHandle>, Diagnostic> {
        Ok(None)
    }

    fn changed(&mut self, _: &mut State, _: Changed<'_>) -> Result<(), Diagnostic> {
        Ok(())
    }

    fn finished(&mut self, _: &mut State) -> Result<(), Diagnostic> {
        Ok(())
    }
}

/// What a run begins with, once it is clear that it can.
pub(super) struct Ready {
    pub(super) prepared: Prepared,
    pub(super) variables: Variables,
}

impl FileRunner<'_> {
    pub(super) async fn execute_run(&self, index: usize) {
        let (Some(run), Some(config)) = (self.file.runs.get(index), self.config_of(index)) else {
            return;
        };
        let key = state_key(run);
        let state = self.states.borrow().get(&key).map(|s| s.state.clone());
        let state = state.unwrap_or_default();
        let began = Instant::now();
        let at = self.env.world.now();
        self.tell(index, Progress::Starting);
        let changed = self.steps(index, run, config, state).await;
        if let Some(state) = changed {
            let changed_by = Some(index);
            let state = TestState { state, changed_by };
            self.states.borrow_mut().insert(key, state);
        }
        self.with_report(index, |report| {
            report.executed = Some((at, began.elapsed()));
        });
    }

    /// Goes through a run's steps. Gives the state when it may have changed.
    async fn steps(
        &self,
        index: usize,
        run: &TestRun,
        config: &ConfigTree,
        state: State,
    ) -> Option<State> {
        let ready = match self.get_ready(index, run, config).await {
            Ok(ready) => ready,
            Err(errors) => {
                self.report_errors(index, errors);
                return None;
            }
        };
        let options = match plan_options(&run.options, self.env.parallelism) {
            Ok(options) => options,
            Err(errors) => {
                self.report_errors(index, errors);
                return None;
            }
        };
        let settings = self.settings(Phase::Plan, &ready);
        let evaluator = Evaluator::new(&ready.prepared.config, settings);
        let planning = plan(
            &evaluator,
            &ready.prepared.registry,
            state,
            options,
            silent(),
            self.env.cancel.clone(),
        );
        let (planned, interrupted) = self
            .watch(index, Progress::Running, Vec::new(), planning)
            .await;
        let (planned, mut found) = match planned {
            Ok(mut planned) => {
                let warnings = std::mem::take(&mut planned.plan.warnings);
                (Some(planned), warnings)
            }
            Err(unplanned) => (None, unplanned.diagnostics),
        };
        found.extend(interrupted);
        match run.command {
            TestCommand::Plan => {
                let found = expectations::settle(run, found);
                if found.has_errors() {
                    self.report_errors(index, found);
                    return None;
                }
                self.add(index, found);
                if let Some(planned) = planned.filter(|_| self.env.verbose) {
                    let providers = providers(&ready, &planned.plan.prior_state);
                    let outcome = Outcome::Plan(Box::new(planned.plan));
                    self.with_report(index, |report| {
                        report.verbose = Some(Verbose { outcome, providers });
                    });
                }
                self.conclude(index, run, &evaluator, &ready);
                None
            }
            TestCommand::Apply => {
                let found = expectations::explain(run, found);
                let failed = found.has_errors();
                self.add(index, found);
                let Some(planned) = planned.filter(|_| !failed) else {
                    self.with_report(index, |report| report.status = Status::Error);
                    return None;
                };
                // The apply says them again, if they still hold then.
                self.with_report(index, |report| {
                    report.diagnostics.0.retain(|d| !of_check(d));
                });
                Some(self.apply_run(index, run, &ready, planned).await)
            }
        }
    }

    async fn apply_run(
        &self,
        index: usize,
        run: &TestRun,
        ready: &Ready,
        planned: Planned,
    ) -> State {
        let settings = self.settings(Phase::Apply, ready);
        let evaluator = Evaluator::new(&ready.prepared.config, settings);
        let (applied, interrupted) = self
            .carry_out(index, Progress::Running, &evaluator, ready, planned)
            .await;
        let mut found = applied.diagnostics;
        found.extend(interrupted);
        let found = expectations::settle(run, found);
        if found.has_errors() {
            self.report_errors(index, found);
            return applied.state;
        }
        self.add(index, found);
        if self.env.verbose {
            let providers = providers(ready, &applied.state);
            let outcome = Outcome::State(Box::new(applied.state.clone()));
            self.with_report(index, |report| {
                report.verbose = Some(Verbose { outcome, providers });
            });
        }
        self.conclude(index, run, &evaluator, ready);
        applied.state
    }

    /// Applies a plan, and says what was being created when it is given up.
    pub(super) async fn carry_out(
        &self,
        index: usize,
        progress: Progress,
        evaluator: &Evaluator<'_>,
        ready: &Ready,
        planned: Planned,
    ) -> (Applied, Option<Diagnostic>) {
        let created = created(&planned.plan);
        let mut sink = InMemory;
        let applying = apply(
            evaluator,
            &ready.prepared.registry,
            planned.plan,
            planned.pool,
            &mut sink,
            self.env.parallelism,
            silent(),
            self.env.cancel.clone(),
        );
        self.watch(index, progress, created, applying).await
    }

    /// Checks a run, evaluates its variables and puts its providers in place.
    async fn get_ready(
        &self,
        index: usize,
        run: &TestRun,
        config: &ConfigTree,
    ) -> Result<Ready, Diagnostics> {
        expectations::check(run)?;
        let unmatched = run.overrides.iter().filter(|o| !declares(config, o));
        self.add(index, unmatched.map(no_such_target).collect());
        let surrounding = self.surrounding(config);
        let prepared = self.prepare(run, config, &surrounding)?;
        let mut ready = Ready {
            prepared,
            variables: Variables::default(),
        };
        let found = self.validate(&ready).await?;
        self.add(index, found);
        let malformed: Diagnostics = run
            .asserts
            .iter()
            .flat_map(|rule| [&rule.condition, &rule.error_message])
            .flat_map(|expr| references(expr).1)
            .collect();
        malformed.into_result()?;
        let (variables, found) = collect(&surrounding, run, &self.outputs.borrow(), true);
        self.add(index, found.into_result()?);
        ready.variables = variables;
        Ok(ready)
    }

    pub(super) fn prepare(
        &self,
        run: &TestRun,
        config: &ConfigTree,
        surrounding: &Surrounding<'_>,
    ) -> Result<Prepared, Diagnostics> {
        prepare(
            config,
            self.file,
            run,
            surrounding,
            &self.outputs.borrow(),
            self.env.registry,
            &self.env.world,
        )
    }

    pub(super) fn surrounding<'s>(&'s self, config: &'s ConfigTree) -> Surrounding<'s> {
        Surrounding::new(
            &self.env.settings,
            globals(self.env, self.file),
            &self.declared,
            self.file,
            &config.root.module,
        )
    }

    async fn validate(&self, ready: &Ready) -> Result<Diagnostics, Diagnostics> {
        ready
            .prepared
            .config
            .check(&ready.prepared.registry)
            .into_result()?;
        let settings = Settings {
            stand_ins: None,
            ..self.settings(Phase::Validate, ready)
        };
        let evaluator = Evaluator::new(&ready.prepared.config, settings);
        validate(&evaluator, &ready.prepared.registry).await
    }

    /// What an evaluation of the run's configuration gets.
    pub(super) fn settings(&self, phase: Phase, ready: &Ready) -> Settings {
        Settings {
            phase,
            variables: ready.variables.module.clone(),
            world: (phase == Phase::Apply).then(|| Arc::clone(&self.env.world)),
            plan_timestamp: (phase != Phase::Validate).then(|| self.env.world.now()),
            stand_ins: ready.prepared.stand_ins.clone(),
            ..self.env.settings.clone()
        }
    }

    /// Waits for work. Meanwhile says from time to time that the run goes on, and at an interrupt that means "now" what exists.
    pub(super) async fn watch<T>(
        &self,
        index: usize,
        progress: Progress,
        created: Vec<ResourceInstance>,
        work: impl Future<Output = T>,
    ) -> (T, Option<Diagnostic>) {
        let began = Instant::now();
        let mut interrupted = None;
        let mut work = std::pin::pin!(work);
        let cancelled = self.env.cancel.clone();
        loop {
            tokio::select! {
                biased;
                result = &mut work => return (result, interrupted),
                () = cancelled.cancelled(), if interrupted.is_none() => {
                    self.abandon(index, created.clone());
                    interrupted = Some(Diagnostic::error("Test interrupted", "The test operation could not be completed due to an interrupt signal. Please read the remaining diagnostics carefully for any sign of failed state cleanup or dangling resources."));
                }
                () = tokio::time::sleep(BEAT) => self.tell_after(index, progress, began.elapsed()),
            }
        }
    }

    fn abandon(&self, index: usize, planned: Vec<ResourceInstance>) {
        let mut unfinished = Unfinished {
            planned,
            ..Unfinished::default()
        };
        let report = self.report.borrow();
        for (key, state) in self.states.borrow().iter() {
            let objects = left(&state.state);
            let run = state.changed_by.and_then(|i| report.runs.get(i));
            match run {
                _ if objects.is_empty() => {}
                Some(run) if key != MAIN => {
                    let others = &mut unfinished.others;
                    others.push((run.name.clone(), run.module.clone(), objects));
                }
                _ => unfinished.main = objects,
            }
        }
        if let Some(run) = report.runs.get(index) {
            let mut observer = self.observer.borrow_mut();
            observer.abandoned(&report.name, run, &unfinished);
        }
    }

    fn add(&self, index: usize, diagnostics: Diagnostics) {
        self.with_report(index, |report| report.diagnostics.extend(diagnostics));
    }

    fn report_errors(&self, index: usize, diagnostics: Diagnostics) {
        self.with_report(index, |report| {
            report.diagnostics.extend(diagnostics);
            report.status = Status::Error;
        });
    }

    /// Evaluates a run's assertions in the scope of what it planned or applied.
    fn conclude(&self, index: usize, run: &TestRun, evaluator: &Evaluator<'_>, ready: &Ready) {
        let asserted = assert(
            evaluator,
            &ready.prepared.registry,
            run,
            &ready.variables.extra,
            &self.outputs.borrow(),
        );
        let outputs = Some(asserted.outputs);
        self.outputs
            .borrow_mut()
            .insert(Arc::clone(&run.name), outputs);
        self.with_report(index, |report| {
            report.status.merge(asserted.status);
            report.diagnostics.extend(asserted.diagnostics);
        });
    }
}

/// The runs with this key share a state.
pub(super) fn state_key(run: &TestRun) -> String {
    let module = run.module.as_ref().map(|m| m.source.to_string());
    let key = run.state_key.clone().filter(|key| !key.is_empty());
    key.or(module).unwrap_or_else(|| MAIN.to_owned())
}

/// The providers of a configuration and a state.
fn providers(ready: &Ready, state: &State) -> BTreeSet<ProviderSource> {
    let recorded = (state.resources.values()).map(|resource| resource.provider.source.clone());
    let nodes = ready.prepared.config.nodes();
    let needed = (nodes.iter()).flat_map(|node| node.module.needed_providers().into_keys());
    recorded.chain(needed).collect()
}

pub(super) fn silent() -> Arc<dyn Observer> {
    Arc::new(|_: Event| {})
}

fn created(plan: &Plan) -> Vec<ResourceInstance> {
    let created = plan.changes.iter().filter(|c| c.action == Action::Create);
    created.map(|c| c.address.clone()).collect()
}

/// Whether a warning comes from a `check` block.
fn of_check(diagnostic: &Diagnostic) -> bool {
    let condition = diagnostic.condition.as_ref();
    condition.is_some_and(|c| matches!(c.object, CheckObject::Check(..)))
}

fn plan_options(options: &PlanOptions, parallelism: usize) -> Result<Options, Diagnostics> {
    let mut diagnostics = Diagnostics::new();
    let mut targets = Vec::new();
    for expr in &options.target {
        match Target::parse(expr.text()) {
            Some(target) => targets.push(target),
            None => diagnostics.push(
                Diagnostic::error(
                    "Invalid address",
                    "Resource specification must include a resource type and name.",
                )
                .at(expr.range()),
            ),
        }
    }
    let mut replace = Vec::new();
    for expr in &options.replace {
        match stead_state::parse_resource_instance(expr.text()) {
            Some(address) if address.resource.mode == ResourceMode::Managed => {
                replace.push(address);
            }
            Some(address) => diagnostics.push(
                Diagnostic::error(
                    "Can only target managed resources for forced replacements.",
                    address.to_string(),
                )
                .at(expr.range()),
            ),
            None => diagnostics.push(
                Diagnostic::error(
                    "Invalid address",
                    "Resource specification must include a resource type and name.",
                )
                .at(expr.range()),
            ),
        }
    }
    diagnostics.into_result()?;
    let mode = match options.refresh_only {
        true => PlanMode::RefreshOnly,
        false => PlanMode::Normal,
    };
    Ok(Options {
        mode,
        refresh: options.refresh,
        replace,
        targets,
        parallelism,
        ..Options::default()
    })
}
