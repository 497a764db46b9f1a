//! Executing a plan: operations start as soon as what they wait for is done, longest remaining path first.
//!
//! A failed operation stops what depends on it and nothing else. An interrupt starts nothing new and lets what runs finish.
//! The state is handed to the sink after every operation that changed it.

mod checks;
mod ephemeral;
mod journal;
mod limits;
mod operation;
mod outputs;
mod provision;
mod refresh_only;
mod rollout;

use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use stead_lang::decode::SourceMap;
use stead_sdk::{Context, Found, Progress};
use stead_state::journal::{JournalHandle, Operation};
use stead_state::{ObjectStatus, ProviderConfigRef, State};
use stead_value::addr::ResourceInstance;
use stead_value::{Diagnostic, Diagnostics, Marks, Severity, Value};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::changes::{Plan, ResourceChange};
use crate::checks::CheckObject;
use crate::ephemeral::Held;
use crate::eval::{Evaluator, InstanceConfig, Object};
use crate::event::{Event, Observer};
use crate::graph::{Op, OpId, Order};
use crate::object;
use crate::plan::locate;
use crate::providers::{Pool, Registry};
use crate::{Action, PlanMode};

/// Takes each new state; the command line writes it to its place.
pub trait StateSink {
    /// The state as the plan left it, before the first operation, if there is anything to do at all. Gives the journal in which
    /// operations are noted, if one is kept.
    fn begin(
        &mut self,
        state: &mut State,
        works: bool,
    ) -> Result<Option<JournalHandle>, Diagnostic>;

    /// The objects of one instance changed. An error stops new operations: what cannot be recorded must not be done.
    fn changed(&mut self, state: &mut State, change: Changed<'_>) -> Result<(), Diagnostic>;

    /// The last call: the state as it will stay.
    fn finished(&mut self, state: &mut State) -> Result<(), Diagnostic>;
}

/// An instance whose objects changed.
#[derive(Clone, Copy, Debug)]
pub struct Changed<'a> {
    pub address: &'a ResourceInstance,
    /// The operation of the journal that is over with that.
    pub operation: Option<Operation>,
    /// Nothing outside the state knows of it before something else is noted: should it be lost, it is made again.
    pub can_wait: bool,
}

/// What an apply did.
#[derive(Debug)]
pub struct Applied {
    pub state: State,
    pub diagnostics: Diagnostics,
    pub added: usize,
    pub changed: usize,
    pub destroyed: usize,
    /// Operations that were not started.
    pub skipped: usize,
    /// What was done when, in order of completion.
    pub timings: Vec<Timing>,
}

/// How long operations that run at an interrupt may take to finish, before they are asked to return what they know: most do
/// in that time, and what has finished needs no looking up later.
const GRACE: std::time::Duration = std::time::Duration::from_secs(20);

/// When an operation ran, for reports.
#[derive(Clone, Debug)]
pub struct Timing {
    pub address: ResourceInstance,
    pub action: Action,
    /// Since the apply began.
    pub started: std::time::Duration,
    pub elapsed: std::time::Duration,
}

/// Executes a plan.
pub async fn apply(
    evaluator: &Evaluator<'_>,
    registry: &Registry,
    plan: Plan,
    pool: Pool,
    sink: &mut dyn StateSink,
    parallelism: usize,
    observer: Arc<dyn Observer>,
    cancel: CancellationToken,
) -> Applied {
    let interrupted = cancel.clone();
    let mut executor = Executor::new(
        evaluator,
        registry,
        plan,
        pool,
        parallelism,
        observer,
        cancel,
    );
    if executor.plan.mode == PlanMode::RefreshOnly {
        executor.see_only_recorded();
    }
    executor.prime();
    executor.begin(sink);
    let patience = executor.patience.clone();
    let watch = tokio::spawn(async move {
        interrupted.cancelled().await;
        tokio::time::sleep(GRACE).await;
        patience.cancel();
    });
    executor.run(sink).await;
    executor.close_ephemerals().await;
    watch.abort();
    executor.finish(sink)
}

/// An operation that is ready: the longest path first, then the order of the plan.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Ready {
    rank: u32,
    order: std::cmp::Reverse<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    /// Waits for that many operations.
    Waiting(usize),
    Running,
    Done,
    Failed,
    Skipped,
}

/// How a job ended.
enum Finished {
    /// A create, update, delete or read.
    Object(operation::Outcome),
    /// The provisioners of an object that was created.
    Provisioned(Result<(), Diagnostics>),
    Opened(ephemeral::Opening),
    Closed(Diagnostics),
    Passed(rollout::Passing),
}

/// What must be known when a job ends.
struct Flight {
    /// See [`operation::Outcome`]; set when the job has ended.
    usable: bool,
    /// As [`operation::Outcome::operation`].
    operation: Option<Operation>,
    change: usize,
    action: Action,
    /// The key of the object that is deleted, when it is one that was set aside.
    deposed: Option<String>,
    started: Instant,
    /// Of the evaluated configuration: marks to put back and places for diagnostics.
    sensitive: Vec<stead_value::Path>,
    ranges: SourceMap,
    /// Set when the object is there: it, its id for progress lines, and the provisioners that it still needs.
    value: Option<Value>,
    shown_id: Option<String>,
    provisioners: Vec<Result<provision::Step, Diagnostics>>,
}

impl Flight {
    fn new(
        change: usize,
        action: Action,
        sensitive: Vec<stead_value::Path>,
        ranges: SourceMap,
    ) -> Flight {
        Flight {
            usable: false,
            operation: None,
            change,
            action,
            deposed: None,
            started: Instant::now(),
            sensitive,
            ranges,
            value: None,
            shown_id: None,
            provisioners: Vec::new(),
        }
    }
}

struct Executor<'e, 'c> {
    evaluator: &'e Evaluator<'c>,
    registry: &'e Registry,
    plan: Plan,
    pool: Pool,
    /// Providers that are configured during the apply, once each.
    opening: HashMap<ProviderConfigRef, Arc<operation::Opening>>,
    state: State,
    journal: Option<JournalHandle>,
    parallelism: usize,
    observer: Arc<dyn Observer>,
    cancel: CancellationToken,
    /// What operations see of an interrupt: it comes to them only after [`GRACE`].
    patience: CancellationToken,
    status: Vec<Status>,
    /// Operations in all and those that are done, failed or skipped; joins do not count.
    total: usize,
    settled: usize,
    ranks: Vec<u32>,
    ready: BinaryHeap<Ready>,
    running: JoinSet<(OpId, Finished)>,
    flights: HashMap<OpId, Flight>,
    limits: limits::Limits,
    /// Ephemeral resources that are open, by their position in the plan.
    held: HashMap<usize, Held>,
    /// The deposed key that this apply gave to a change's old object.
    deposed: HashMap<usize, String>,
    diagnostics: Diagnostics,
    /// The state could not be recorded: nothing new may start.
    halted: bool,
    counts: (usize, usize, usize),
    began: Instant,
    timings: Vec<Timing>,
}

impl<'e, 'c> Executor<'e, 'c> {
    fn new(
        evaluator: &'e Evaluator<'c>,
        registry: &'e Registry,
        mut plan: Plan,
        pool: Pool,
        parallelism: usize,
        observer: Arc<dyn Observer>,
        cancel: CancellationToken,
    ) -> Self {
        let graph = &plan.graph;
        let status = graph
            .ids()
            .map(|id| Status::Waiting(graph.predecessors(id).count()))
            .collect();
        let total = graph.ids().filter(|id| graph.op(*id) != Op::Join).count();
        let ranks = graph.ranks();
        let state = std::mem::take(&mut plan.prior_state);
        let diagnostics = std::mem::take(&mut plan.warnings);
        Executor {
            evaluator,
            registry,
            plan,
            pool,
            opening: HashMap::new(),
            state,
            journal: None,
            parallelism: parallelism.max(1),
            observer,
            cancel,
            patience: CancellationToken::new(),
            status,
            total,
            settled: 0,
            ranks,
            ready: BinaryHeap::new(),
            running: JoinSet::new(),
            flights: HashMap::new(),
            limits: limits::Limits::default(),
            held: HashMap::new(),
            deposed: HashMap::new(),
            diagnostics,
            halted: false,
            counts: (0, 0, 0),
            began: Instant::now(),
            timings: Vec::new(),
        }
    }

    /// Publishes every value that will not change, and finds the first operations.
    fn prime(&mut self) {
        let changing: HashMap<&ResourceInstance, &ResourceChange> = self
            .plan
            .changes
            .iter()
            .filter(|c| c.deposed.is_none())
            .map(|c| (&c.address, c))
            .collect();
        for (address, recorded, provider) in self.state.current_objects() {
            let value = match changing.get(&address) {
                Some(change) if change.action == Action::NoOp => change.after.clone(),
                Some(change) if change.action == Action::Delete => change.before.clone(),
                Some(_) => continue,
                None => match self.decode(&address, provider, recorded) {
                    Ok(value) => value,
                    Err(errors) => {
                        self.diagnostics.extend(errors);
                        continue;
                    }
                },
            };
            let id = self.evaluator.id(Object::Instance(address));
            self.evaluator.publish(id, value);
        }
        for id in self.plan.graph.ids() {
            if self.status.get(id.index()) == Some(&Status::Waiting(0)) {
                self.make_ready(id);
            }
        }
    }

    fn decode(
        &self,
        address: &ResourceInstance,
        provider: &ProviderConfigRef,
        recorded: &stead_state::Object,
    ) -> Result<Value, Diagnostics> {
        let type_name = &address.resource.type_name;
        let schema =
            self.registry
                .resource_schema(&provider.source, address.resource.mode, type_name)?;
        let factory = self.registry.factory_for(provider)?;
        let opened = self.pool.get(provider).map(|o| Arc::clone(o.provider()));
        let provider = opened.unwrap_or_else(|| factory.instantiate());
        object::decode(&*provider, &address.resource, schema, recorded)
    }

    fn make_ready(&mut self, id: OpId) {
        let rank = self.ranks.get(id.index()).copied().unwrap_or(0);
        self.ready.push(Ready {
            rank,
            order: std::cmp::Reverse(id.index() as u32),
        });
    }

    async fn run(&mut self, sink: &mut dyn StateSink) {
        loop {
            self.start_ready(sink);
            self.tally();
            match self.running.join_next().await {
                None => break,
                Some(Ok((id, finished))) => self.finished(id, finished, sink),
                Some(Err(error)) => {
                    self.halted = true;
                    self.diagnostics.push(Diagnostic::error(
                        "Internal error",
                        format!("A provider's task ended abnormally: {error}. What it did is not recorded; please report this."),
                    ));
                }
            }
        }
    }

    fn start_ready(&mut self, sink: &mut dyn StateSink) {
        while self.running.len() < self.parallelism {
            if self.cancel.is_cancelled() || self.halted {
                return;
            }
            let Some(Ready {
                order: std::cmp::Reverse(index),
                ..
            }) = self.ready.pop()
            else {
                return;
            };
            let id = OpId::new(index as usize);
            if !self.admit(id) {
                continue;
            }
            match self.start(id) {
                operation::Started::Running => self.set(id, Status::Running),
                operation::Started::Done { changed } => {
                    let index = self.plan.graph.op(id).change();
                    let change = index.and_then(|i| self.plan.changes.get(i));
                    if let (true, Some(change)) = (changed, change) {
                        let address = change.address.clone();
                        self.record(sink, &address, None, false);
                    }
                    self.done(id);
                }
                operation::Started::Failed(diagnostics) => {
                    self.diagnostics.extend(diagnostics);
                    self.failed(id);
                }
            }
        }
    }

    fn set(&mut self, id: OpId, status: Status) {
        let settles = matches!(status, Status::Done | Status::Failed | Status::Skipped);
        if settles {
            self.release(id);
        }
        if settles && self.plan.graph.op(id) != Op::Join {
            self.settled += 1;
        }
        if let Some(slot) = self.status.get_mut(id.index()) {
            *slot = status;
        }
    }

    fn done(&mut self, id: OpId) {
        self.set(id, Status::Done);
        let successors: Vec<OpId> = self.plan.graph.successors(id).collect();
        for next in successors {
            self.one_less(next);
        }
    }

    /// One of those that an operation waits for is over.
    fn one_less(&mut self, id: OpId) {
        if let Some(Status::Waiting(count)) = self.status.get_mut(id.index()) {
            *count -= 1;
            if *count == 0 {
                self.make_ready(id);
            }
        }
    }

    /// Everything that needs a failed operation is skipped; what only follows it goes on.
    fn failed(&mut self, id: OpId) {
        self.set(id, Status::Failed);
        let mut queue: Vec<(OpId, Order)> = self.plan.graph.followers(id).collect();
        while let Some((next, order)) = queue.pop() {
            if order == Order::Follows {
                self.one_less(next);
            } else if matches!(self.status.get(next.index()), Some(Status::Waiting(_))) {
                self.set(next, Status::Skipped);
                queue.extend(self.plan.graph.followers(next));
                if let Some(change) = self
                    .plan
                    .graph
                    .op(next)
                    .change()
                    .and_then(|c| self.plan.changes.get(c))
                {
                    self.observer.event(Event::Skipped {
                        address: change.address.clone(),
                        action: change.action,
                    });
                }
            }
        }
    }

    fn tally(&self) {
        let running = self.running.len();
        let waiting = self.total.saturating_sub(self.settled + running);
        self.observer.event(Event::Tally {
            done: self.settled,
            running,
            waiting,
        });
    }

    fn begin(&mut self, sink: &mut dyn StateSink) {
        match sink.begin(&mut self.state, self.total > 0) {
            Ok(journal) => self.journal = journal,
            Err(diagnostic) => {
                self.halted = true;
                self.diagnostics.push(diagnostic);
            }
        }
    }

    fn record(
        &mut self,
        sink: &mut dyn StateSink,
        address: &ResourceInstance,
        operation: Option<Operation>,
        can_wait: bool,
    ) {
        let change = Changed {
            address,
            operation,
            can_wait,
        };
        if let Err(diagnostic) = sink.changed(&mut self.state, change) {
            self.halted = true;
            self.diagnostics.push(diagnostic);
        }
    }

    fn finished(&mut self, id: OpId, finished: Finished, sink: &mut dyn StateSink) {
        match finished {
            Finished::Object(outcome) => self.complete(id, outcome, sink),
            Finished::Provisioned(result) => self.provisioned(id, result, sink),
            Finished::Opened(opening) => self.opened(id, opening),
            Finished::Passed(passing) => self.passed(id, passing),
            Finished::Closed(diagnostics) => {
                self.diagnostics.extend(diagnostics);
                self.done(id);
            }
        }
    }

    fn complete(&mut self, id: OpId, outcome: operation::Outcome, sink: &mut dyn StateSink) {
        let Some(mut flight) = self.flights.remove(&id) else {
            return;
        };
        flight.usable = outcome.usable;
        flight.operation = outcome.operation;
        let Some(change) = self.plan.changes.get(flight.change).cloned() else {
            return;
        };
        let op = self.plan.graph.op(id);
        let address = change.address.clone();
        flight.shown_id = crate::plan::display_id(&outcome.found.value);
        let mut ok = !outcome.diagnostics.has_errors();
        if let Some(check) = self.check_of(&change) {
            let problem = (!ok).then(|| {
                let errors = outcome.diagnostics.iter();
                let texts: Vec<String> = errors
                    .map(|d| format!("{}: {}", d.summary, d.detail))
                    .collect();
                texts.join("\n")
            });
            self.evaluator.record_check_data(&check, problem);
            if !ok {
                // What only a check needs stops nothing.
                let object = self.evaluator.id(Object::Instance(address.clone()));
                self.evaluator.publish(object, change.after.clone());
                let left = Found {
                    value: object::unknown_as_null(&change.after),
                    private: Vec::new(),
                    identity: None,
                };
                if let Err(diagnostic) = self.fold(op, &change, &mut flight, left, true) {
                    self.diagnostics.push(diagnostic);
                }
                // There is nothing that conditions could be about.
                flight.value = None;
                let name = address.to_string();
                let located = locate(outcome.diagnostics, &flight.ranges, &name);
                self.diagnostics
                    .extend(crate::plan::of_check_data(&check, located));
                return self.conclude(id, &change, &flight, true);
            }
        }
        self.diagnostics.extend(locate(
            outcome.diagnostics,
            &flight.ranges,
            &address.to_string(),
        ));
        let folded = self.fold(op, &change, &mut flight, outcome.found, ok);
        if let Err(diagnostic) = folded {
            self.diagnostics
                .push(diagnostic.address(address.to_string()));
            ok = false;
        }
        // What was not noted before it was done exists in the state alone; but provisioners act on more than the state, and must
        // not do so twice.
        let can_wait = flight.operation.is_none() && !self.is_provisioned(&address);
        self.record(sink, &address, flight.operation, can_wait);
        if ok && !flight.provisioners.is_empty() {
            return self.start_provisioning(id, &change, flight);
        }
        self.conclude(id, &change, &flight, ok);
    }

    /// The check block that a data source belongs to.
    fn check_of(&self, change: &ResourceChange) -> Option<CheckObject> {
        if !Self::is_data(change) {
            return None;
        }
        let name = self.enter(&change.address)?.resource.check.clone()?;
        Some(CheckObject::Check(change.address.module.clone(), name))
    }

    /// An operation is over, with all that belongs to it.
    fn conclude(&mut self, id: OpId, change: &ResourceChange, flight: &Flight, ok: bool) {
        let address = change.address.clone();
        let (action, elapsed) = (flight.action, flight.started.elapsed());
        if ok {
            self.count(self.plan.graph.op(id));
            let started = flight.started.duration_since(self.began);
            self.timings.push(Timing {
                address: address.clone(),
                action,
                started,
                elapsed,
            });
            self.observer.event(Event::Done {
                address,
                deposed: flight.deposed.clone(),
                action,
                id: flight.shown_id.clone(),
                elapsed,
            });
            // The object is done; what goes on with it may not.
            if self.check_afterwards(change, flight) {
                self.done(id);
            } else {
                self.failed(id);
            }
        } else {
            self.observer.event(Event::Failed {
                address,
                deposed: flight.deposed.clone(),
                action,
                elapsed,
            });
            self.failed(id);
        }
    }

    fn count(&mut self, op: Op) {
        match op {
            Op::Create { .. } => self.counts.0 += 1,
            Op::Update { .. } => self.counts.1 += 1,
            Op::Delete { .. } | Op::DeleteDeposed { .. } => self.counts.2 += 1,
            Op::Join
            | Op::Read { .. }
            | Op::Depose { .. }
            | Op::Forget { .. }
            | Op::Open { .. }
            | Op::Close { .. }
            | Op::Gate { .. } => {}
        }
    }

    /// Takes an operation's result into the state and publishes the new value.
    fn fold(
        &mut self,
        op: Op,
        change: &ResourceChange,
        flight: &mut Flight,
        found: Found,
        ok: bool,
    ) -> Result<(), Diagnostic> {
        let address = &change.address;
        let type_name = &address.resource.type_name;
        let schema = self
            .registry
            .resource_schema(&change.provider.source, address.resource.mode, type_name)?
            .clone();
        if let Op::Delete { .. } | Op::DeleteDeposed { .. } = op {
            let key = match op {
                Op::DeleteDeposed { change } => self.deposed.get(&change).cloned(),
                _ => change.deposed.clone(),
            };
            // A delete that failed keeps what the provider still knows, or all of it.
            let left = if found.value.is_null() && ok {
                None
            } else {
                let left = if found.value.is_null() {
                    Found {
                        value: change.before.clone(),
                        ..found
                    }
                } else {
                    found
                };
                let recorded = self.recorded(change, key.as_deref());
                let status = recorded.map_or(ObjectStatus::Ready, |o| o.status);
                let identity = recorded.and_then(|o| o.identity.clone());
                let mut left = object::encode(
                    left,
                    &schema,
                    status,
                    change.dependencies.clone(),
                    change.create_before_destroy,
                )?;
                left.identity = left.identity.or(identity);
                Some(left)
            };
            match key {
                Some(key) => self
                    .state
                    .set_deposed(address, &change.provider, &key, left),
                None => self.state.set_current(address, &change.provider, left),
            }
            return Ok(());
        }
        if found.value.is_null() {
            self.restore_deposed(op, change);
            return Ok(());
        }
        let value = found.value.apply_marks(&flight.sensitive, Marks::SENSITIVE);
        let by_schema = object::sensitive_by_schema(&schema.block, &value);
        let value = value.apply_marks(&by_schema, Marks::SENSITIVE);
        let created = matches!(op, Op::Create { .. });
        if created && ok {
            flight.provisioners = self.creation_provisioners(change, &value);
        }
        // Until its provisioners have run, an object is not what it should be: a run that is killed meanwhile must not hide that.
        let unfit = if ok {
            !flight.provisioners.is_empty()
        } else {
            created && !flight.usable
        };
        let status = if unfit {
            ObjectStatus::Tainted
        } else {
            ObjectStatus::Ready
        };
        let dependencies = if Self::is_data(change) {
            Vec::new()
        } else {
            change.dependencies.clone()
        };
        let found = Found {
            value: value.clone(),
            ..found
        };
        let mut object = object::encode(
            found,
            &schema,
            status,
            dependencies,
            change.create_before_destroy,
        )?;
        if !created {
            let recorded = self.recorded(change, None);
            let identity = || recorded.and_then(|o| o.identity.clone());
            object.identity = object.identity.or_else(identity);
        }
        // OpenTofu's record of `destroy = false`, which holds when the block is gone.
        if self
            .enter(address)
            .is_some_and(|config| config.resource.lifecycle.destroy == Some(false))
        {
            object
                .unknown_fields
                .insert(object::SKIP_DESTROY.into(), true.into());
        }
        self.state
            .set_current(address, &change.provider, Some(object));
        let id = self.evaluator.id(Object::Instance(address.clone()));
        if ok {
            self.evaluator.publish(id, value.clone());
            flight.value = Some(value);
        } else {
            self.evaluator.publish_failed(id);
        }
        Ok(())
    }

    /// The postconditions of an object that is there.
    fn check_afterwards(&mut self, change: &ResourceChange, flight: &Flight) -> bool {
        let Some(value) = &flight.value else {
            return true;
        };
        let holds = self.postconditions(&change.address, value.clone());
        if !holds {
            // What refers to it must not go on with it.
            let object = Object::Instance(change.address.clone());
            self.evaluator.publish_failed(self.evaluator.id(object));
        }
        holds
    }

    fn is_data(change: &ResourceChange) -> bool {
        change.address.resource.mode == stead_value::addr::ResourceMode::Data
    }

    fn recorded(
        &self,
        change: &ResourceChange,
        deposed: Option<&str>,
    ) -> Option<&stead_state::Object> {
        let instance = self.state.instance(&change.address)?;
        match deposed {
            Some(key) => instance.deposed.get(key),
            None => instance.current.as_ref(),
        }
    }

    /// A create that left nothing behind gives the deposed object its place back.
    fn restore_deposed(&mut self, op: Op, change: &ResourceChange) {
        let Op::Create { change: index } = op else {
            return;
        };
        let Some(key) = self.deposed.get(&index) else {
            return;
        };
        let Some(object) = self
            .state
            .instance(&change.address)
            .and_then(|i| i.deposed.get(key))
            .cloned()
        else {
            return;
        };
        self.state
            .set_deposed(&change.address, &change.provider, key, None);
        self.state
            .set_current(&change.address, &change.provider, Some(object));
    }

    fn postconditions(&mut self, address: &ResourceInstance, value: Value) -> bool {
        let Some(config) = self.enter(address) else {
            return true;
        };
        let checked = (self.evaluator).postconditions(address, &config, value, Severity::Error);
        let holds = !checked.has_errors();
        self.diagnostics.extend(checked);
        holds
    }

    /// Computes the keys on the way to an instance, so that its configuration can be found.
    fn enter(&self, address: &ResourceInstance) -> Option<InstanceConfig<'c>> {
        self.evaluator.enter_module(&address.module)?;
        let module = self.evaluator.module(&address.module)?;
        self.evaluator.expand_resource(module, &address.resource)?;
        self.evaluator.instance_config(address)
    }

    fn context(&self, address: &ResourceInstance) -> Context {
        let observer = Arc::clone(&self.observer);
        let address = address.clone();
        let context = Context::new(self.patience.clone()).with_object(address.clone());
        context.with_progress(Arc::new(move |progress: Progress| {
            observer.event(Event::Progress {
                address: address.clone(),
                message: progress.message,
            });
        }))
    }

    fn finish(mut self, sink: &mut dyn StateSink) -> Applied {
        let skipped = self
            .plan
            .graph
            .ids()
            .filter(|id| self.plan.graph.op(*id).change().is_some())
            .filter(|id| {
                matches!(
                    self.status.get(id.index()),
                    Some(Status::Waiting(_) | Status::Skipped)
                )
            })
            .count();
        if self.cancel.is_cancelled() && skipped > 0 {
            self.diagnostics.push(Diagnostic::error(
                "Interrupted",
                format!("{skipped} operations were not started. What was running has finished and is recorded: run the command again to go on."),
            ));
        }
        if self.plan.partial {
            self.diagnostics.push(Diagnostic::warning("Applied changes may be incomplete", "The plan was created with the -target option in effect, so some changes requested in the configuration may have been ignored and the output values may not be fully updated. Run the following command to verify that no other changes are pending:\n    stead plan\n\nNote that the -target option is not suitable for routine use, and is provided only for exceptional situations such as recovering from errors or mistakes, or when stead specifically suggests to use it as part of an error message."));
        }
        if self.plan.mode == PlanMode::Destroy {
            if self.state.resources.is_empty() && !self.plan.partial {
                self.state.outputs.clear();
            }
        } else {
            self.record_outputs();
        }
        self.tell_of_stopped_rollouts();
        self.conclude_checks();
        self.diagnostics.extend(self.evaluator.take_diagnostics());
        if let Err(diagnostic) = sink.finished(&mut self.state) {
            self.diagnostics.push(diagnostic);
        }
        let (added, changed, destroyed) = self.counts;
        Applied {
            state: self.state,
            diagnostics: self.diagnostics,
            added,
            changed,
            destroyed,
            skipped,
            timings: self.timings,
        }
    }
}
