//! Planning: a worklist of objects, evaluated as soon as what they need is there; provider calls run beside it.
//!
//! One thread evaluates. Refreshes, plans and data source reads are asynchronous jobs, at most `parallelism` at a time; each
//! finished job publishes a value, which makes waiting objects ready. Nothing is looked at twice unless it had to wait.

mod because;
mod data;
mod decide;
mod discovery;
pub(crate) mod ephemeral;
mod finish;
mod generation;
mod imports;
mod instance;
mod moves;
mod opening;
mod ordering;
mod orphans;
mod outputs;
mod refresh;
mod refresh_only;
mod relevant;
mod removed;
mod replace_triggers;
mod resume;
mod rollouts;
mod takeover;
mod targeting;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use indexmap::IndexSet;
use rustc_hash::{FxHashMap, FxHashSet};
use stead_sdk::{Context, Progress, ReadResponse, Resumed};
use stead_state::journal::Intent;
use stead_state::{ProviderConfigRef, ResourceId, State};
use stead_value::addr::{
    ConfigResource, InstanceKey, ModuleInstance, ResourceInstance, ResourceMode,
};
use stead_value::{Diagnostic, Diagnostics, Value};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::changes::EphemeralInstance;
use crate::ephemeral::Held;
use crate::eval::{Evaluator, ModuleId, Object, ObjectId, Outcome, ROOT, Repetition};
use crate::event::{Event, Observer};
use crate::providers::{Opened, Pool, Registry};
use crate::{Action, Plan, PlanMode, ResourceChange};

pub(crate) use data::of_check_data;
pub(crate) use decide::ignore_changes;
pub use discovery::{Discovery, Existing, Question, discover};
pub use generation::{Generated, generate};
pub use imports::import_object;
pub(crate) use instance::display_id;
pub(crate) use refresh_only::recorded_keys;
pub use relevant::RelevantAttribute;
pub use targeting::{RESERVED, Target};

/// What a plan is asked to do.
#[derive(Clone, Debug)]
pub struct Options {
    pub mode: PlanMode,
    /// Ask providers for the present state of objects; otherwise the recorded state is believed.
    pub refresh: bool,
    /// Ask only about objects whose recorded state calls for a change.
    pub minimal_refresh: bool,
    /// Instances to replace in any case.
    pub replace: Vec<ResourceInstance>,
    /// Plan only these and what they need.
    pub targets: Vec<Target>,
    /// Plan everything but these and what needs them.
    pub excludes: Vec<Target>,
    /// Creates of a run that was cut off, of which nothing but the address is known.
    pub in_doubt: Vec<Intent>,
    /// Whether the health checks of rollouts are run.
    pub health_checks: bool,
    /// How many provider calls may run at once.
    pub parallelism: usize,
    /// What was written for imported objects before the plan; it stands in the configuration that is planned.
    pub generated: Vec<Generated>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            mode: PlanMode::Normal,
            refresh: true,
            minimal_refresh: false,
            replace: Vec::new(),
            targets: Vec::new(),
            excludes: Vec::new(),
            in_doubt: Vec::new(),
            health_checks: true,
            parallelism: 10,
            generated: Vec::new(),
        }
    }
}

/// A plan and the providers that were opened for it, for an apply in the same run.
pub struct Planned {
    pub plan: Plan,
    pub pool: Pool,
}

/// Makes a plan.
///
/// # Errors
/// Every problem found, warnings included; nothing has been changed anywhere.
pub async fn plan(
    evaluator: &Evaluator<'_>,
    registry: &Registry,
    prior: State,
    options: Options,
    observer: Arc<dyn Observer>,
    cancel: CancellationToken,
) -> Result<Planned, Unplanned> {
    let kind = if options.mode == PlanMode::Destroy {
        Kind::Destroy
    } else {
        Kind::Plan
    };
    let mut planner = Planner::new(evaluator, registry, prior, options, observer, cancel, kind);
    planner.select();
    planner.move_objects();
    planner.check_targeted_moves();
    if planner.diagnostics.has_errors() {
        return Err(planner.diagnostics.into());
    }
    if planner.is_refresh_only() {
        planner.see_only_recorded();
    }
    planner.check_removed();
    if kind == Kind::Plan && !planner.is_refresh_only() {
        planner.want_imports();
    }
    planner.walk().await;
    planner.check_moves();
    if !planner.diagnostics.has_errors() {
        planner.warn_of_blocked_moves();
    }
    planner.check_imports();
    planner.retire_orphans().await;
    planner.report_doubts();
    planner.close_ephemerals().await;
    planner.finish()
}

/// Why there is no plan.
#[derive(Debug)]
pub struct Unplanned {
    pub diagnostics: Diagnostics,
    /// What was planned until then: for people to look at, not to be applied.
    pub until_then: Option<Box<Plan>>,
}

impl From<Diagnostics> for Unplanned {
    fn from(diagnostics: Diagnostics) -> Unplanned {
        Unplanned {
            diagnostics,
            until_then: None,
        }
    }
}

/// Checks a configuration without state, inputs or network.
///
/// # Errors
/// Every problem found.
pub async fn validate(
    evaluator: &Evaluator<'_>,
    registry: &Registry,
) -> Result<Diagnostics, Diagnostics> {
    let observer: Arc<dyn Observer> = Arc::new(|_: Event| {});
    let mut planner = Planner::new(
        evaluator,
        registry,
        State::new(),
        Options::default(),
        observer,
        CancellationToken::new(),
        Kind::Validate,
    );
    planner.want_imports();
    planner.walk().await;
    planner.diagnostics.extend(evaluator.take_diagnostics());
    std::mem::take(&mut planner.diagnostics).into_result()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Validate,
    Plan,
    Destroy,
}

type Job = Pin<Box<dyn Future<Output = Finished> + Send>>;

/// A job's end, with what it was for.
enum Finished {
    Opened {
        address: ProviderConfigRef,
        result: Result<Diagnostics, Diagnostics>,
    },
    Refreshed {
        address: ResourceInstance,
        result: refresh::Refreshed,
    },
    Resumed {
        address: ResourceInstance,
        result: Result<Resumed<ReadResponse>, Diagnostics>,
    },
    DeposedRefreshed {
        address: ResourceInstance,
        key: String,
        result: refresh::Refreshed,
    },
    Imported {
        prepared: Box<instance::Prepared>,
        target: crate::eval::ImportTarget,
        result: Result<ReadResponse, Diagnostics>,
    },
    Generated {
        provider: ProviderConfigRef,
        target: crate::eval::ImportTarget,
        result: Result<Value, Diagnostics>,
    },
    Planned {
        prepared: Box<instance::Prepared>,
        result: Result<decide::Decision, Diagnostics>,
    },
    EphemeralOpened {
        prepared: Box<instance::Prepared>,
        result: Result<(Value, Held, Diagnostics), Diagnostics>,
    },
    DataRead {
        prepared: Box<instance::Prepared>,
        result: Result<(Value, Diagnostics), Diagnostics>,
    },
}

/// What a future gives without waiting, if anything.
async fn poll_once<T>(mut future: Pin<&mut (dyn Future<Output = T> + Send)>) -> Option<T> {
    std::future::poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

struct Planner<'e, 'c> {
    evaluator: &'e Evaluator<'c>,
    registry: &'e Registry,
    options: Options,
    observer: Arc<dyn Observer>,
    cancel: CancellationToken,
    kind: Kind,
    /// Whether a destroy plan reads data sources: not where nothing is recorded, which nothing is then destroyed of.
    reads_before_destroy: bool,
    /// After moves; refreshed objects and data sources are written back to it.
    state: State,
    pool: Pool,
    ready: VecDeque<ObjectId>,
    jobs: VecDeque<Job>,
    running: JoinSet<Finished>,
    /// Provider configurations that have been asked for.
    opening: FxHashSet<ProviderConfigRef>,
    /// Refreshes that wait for their provider.
    to_refresh: FxHashMap<ProviderConfigRef, IndexSet<ResourceInstance>>,
    refreshed: FxHashMap<ResourceInstance, refresh::Prior>,
    refreshing: FxHashSet<ResourceInstance>,
    /// Creates that were cut off and that have not been looked into.
    in_doubt: FxHashMap<ResourceInstance, Intent>,
    refresh_errors: FxHashSet<ResourceInstance>,
    /// Objects that `-minimal-refresh` had to ask about.
    asked: FxHashSet<ResourceInstance>,
    /// Instances whose configuration is evaluated and whose refresh is not done.
    parked: FxHashMap<ResourceInstance, Box<instance::Prepared>>,
    desired: BTreeSet<ResourceInstance>,
    /// Boxed: a tree has room for more than it holds.
    changes: BTreeMap<(ResourceInstance, Option<String>), Box<ResourceChange>>,
    drift: Vec<ResourceChange>,
    moved_from: FxHashMap<ResourceInstance, ResourceInstance>,
    /// Moves to addresses that are taken.
    blocked_moves: Vec<(ResourceInstance, ResourceInstance)>,
    /// Orphans that are dropped from the state and left alone.
    forgotten: FxHashSet<ResourceInstance>,
    imports: imports::Imports,
    /// Set when configuration is written for what is imported, and nothing is planned.
    generation: Option<generation::Generation>,
    selection: targeting::Selection,
    /// The module instances in which a resource has changes, for data sources that wait for it.
    pending: FxHashMap<ConfigResource, Vec<ModuleInstance>>,
    /// Where the recorded instances of each resource are, after moves.
    by_config: std::cell::OnceCell<FxHashMap<ConfigResource, Vec<ResourceId>>>,
    ephemerals: Vec<EphemeralInstance>,
    /// What is open until the plan is made.
    held: Vec<Held>,
    diagnostics: Diagnostics,
}

impl<'e, 'c> Planner<'e, 'c> {
    fn new(
        evaluator: &'e Evaluator<'c>,
        registry: &'e Registry,
        state: State,
        options: Options,
        observer: Arc<dyn Observer>,
        cancel: CancellationToken,
        kind: Kind,
    ) -> Self {
        let in_doubt = options.in_doubt.iter();
        let in_doubt = in_doubt.map(|i| (i.address.clone(), i.clone())).collect();
        let reads_before_destroy = options.refresh && !options.minimal_refresh && !state.is_empty();
        Planner {
            reads_before_destroy,
            imports: imports::Imports::of_generated(&options.generated),
            evaluator,
            registry,
            options,
            observer,
            cancel,
            kind,
            state,
            pool: Pool::default(),
            ready: VecDeque::new(),
            jobs: VecDeque::new(),
            running: JoinSet::new(),
            opening: FxHashSet::default(),
            to_refresh: FxHashMap::default(),
            refreshed: FxHashMap::default(),
            refreshing: FxHashSet::default(),
            in_doubt,
            refresh_errors: FxHashSet::default(),
            asked: FxHashSet::default(),
            parked: FxHashMap::default(),
            desired: BTreeSet::new(),
            changes: BTreeMap::new(),
            drift: Vec::new(),
            moved_from: FxHashMap::default(),
            blocked_moves: Vec::new(),
            forgotten: FxHashSet::default(),
            generation: None,
            selection: targeting::Selection::default(),
            pending: FxHashMap::default(),
            by_config: std::cell::OnceCell::new(),
            ephemerals: Vec::new(),
            held: Vec::new(),
            diagnostics: Diagnostics::new(),
        }
    }

    /// Works until nothing is left to do.
    async fn walk(&mut self) {
        self.enter(ROOT);
        self.drain().await;
        self.report_deadlock();
    }

    /// Runs ready objects and jobs until both have run out.
    async fn drain(&mut self) {
        loop {
            if let Some(id) = self.ready.pop_front() {
                self.step(id);
            }
            while self.running.len() < self.options.parallelism.max(1)
                && !self.cancel.is_cancelled()
            {
                let Some(mut job) = self.jobs.pop_front() else {
                    break;
                };
                // Most jobs of built-in providers wait for nothing: they are done at once, without a task of their own.
                match poll_once(job.as_mut()).await {
                    Some(finished) => self.finished(finished),
                    None => drop(self.running.spawn(job)),
                }
            }
            if !self.ready.is_empty() {
                continue;
            }
            match self.running.join_next().await {
                None => break,
                Some(Ok(finished)) => self.finished(finished),
                Some(Err(error)) => self.diagnostics.push(Diagnostic::error(
                    "Internal error",
                    format!("A provider's task ended abnormally: {error}. Please report this."),
                )),
            }
        }
        if self.cancel.is_cancelled() && !self.diagnostics.has_errors() {
            self.diagnostics.push(Diagnostic::error(
                "Interrupted",
                "The plan was interrupted before it was complete.",
            ));
        }
    }

    fn push(&mut self, object: Object) {
        let id = self.evaluator.id(object);
        self.ready.push_back(id);
    }

    fn publish(&mut self, id: ObjectId, value: Value) {
        self.ready.extend(self.evaluator.publish(id, value));
    }

    fn publish_failed(&mut self, id: ObjectId) {
        self.ready.extend(self.evaluator.publish_failed(id));
    }

    fn enter(&mut self, module: ModuleId) {
        if self.evaluator.is_replaced(module) {
            return;
        }
        let config = self.evaluator.config(module);
        let path = || self.evaluator.module_address(module).module();
        if self.kind != Kind::Destroy {
            self.push(Object::Checks(module));
            // Named values count although nobody uses them: what is wrong with them is told.
            let all = self.selection.is_all();
            let variables = config.variables.keys();
            let named = (config.locals.keys())
                .map(|name| Object::Local(module, Arc::clone(name)))
                .chain(variables.map(|name| Object::Variable(module, Arc::clone(name))))
                .chain(
                    config
                        .outputs
                        .keys()
                        .map(|name| Object::Output(module, Arc::clone(name))),
                );
            for object in named {
                if all || self.selection.keeps_named(&object, path) {
                    self.ready.push_back(self.evaluator.id(object));
                }
            }
        }
        let repeated = config.providers.values().filter(|p| p.for_each.is_some());
        for provider in repeated {
            self.push(Object::ProviderKeys(module, provider.name.clone()));
        }
        for resource in config.resources.keys() {
            if self.selection.is_all() || self.selection.keeps_resource(path(), resource) {
                self.ready
                    .push_back(self.evaluator.id(Object::Declare(module, resource.clone())));
            }
        }
        for call in config.calls.keys() {
            if self.selection.is_all() || self.selection.keeps_call(path(), call) {
                self.ready
                    .push_back(self.evaluator.id(Object::Enter(module, Arc::clone(call))));
            }
        }
    }

    fn step(&mut self, id: ObjectId) {
        match self.evaluator.object(id) {
            Some(Object::Enter(module, call)) => {
                let keys = Object::CallKeys(module, Arc::clone(&call));
                if let Some(attempt) = self.evaluator.run(id, || self.evaluator.demand(keys)) {
                    for child in self.evaluator.children(module, &call).iter() {
                        self.enter(*child);
                    }
                    self.settle(id, &attempt.value);
                }
            }
            Some(Object::Declare(module, resource)) => {
                let keys = Object::ResourceKeys(module, resource.clone());
                if let Some(attempt) = self.evaluator.run(id, || self.evaluator.demand(keys)) {
                    self.declare(module, &resource);
                    self.settle(id, &attempt.value);
                }
            }
            Some(Object::Checks(module)) => {
                let severity = self.condition_severity();
                if let Some(attempt) = self.evaluator.run(id, || {
                    let wanted = |c: &crate::checks::Checkable| self.selection.keeps_checkable(c);
                    self.evaluator.module_checks(module, severity, &wanted)
                }) {
                    self.diagnostics.extend(attempt.value);
                    self.publish(id, Value::bool(true));
                }
            }
            Some(
                named @ (Object::Output(..)
                | Object::Local(..)
                | Object::Variable(..)
                | Object::ProviderKeys(..)),
            ) => {
                self.evaluator.demand(named);
            }
            Some(Object::Import(index)) => self.evaluate_import(id, index),
            Some(Object::Instance(address)) => self.instance(id, address),
            Some(Object::Provider(address)) => self.open(id, &address),
            Some(Object::CallKeys(..) | Object::ResourceKeys(..)) | None => {}
        }
    }

    fn settle(&mut self, id: ObjectId, outcome: &Outcome) {
        match outcome {
            Outcome::Failed => self.publish_failed(id),
            _ => self.publish(id, Value::bool(true)),
        }
    }

    /// The instances of a resource are known: each is wanted.
    fn declare(&mut self, module: ModuleId, resource: &stead_value::addr::Resource) {
        let keys = self
            .evaluator
            .id(Object::ResourceKeys(module, resource.clone()));
        let Some(expansion) = self.evaluator.expansion(keys) else {
            return;
        };
        let module = self.evaluator.module_address(module);
        self.warn_of_keyless_replacements(&module, resource, &expansion);
        for (key, _) in expansion.instances() {
            let address = ResourceInstance {
                module: module.clone(),
                resource: resource.clone(),
                key,
            };
            if !self.selection.is_all() && !self.selection.keeps_instance(&address) {
                self.leave_alone(&address);
                continue;
            }
            self.desired.insert(address.clone());
            self.push(Object::Instance(address));
        }
    }

    /// `-replace=a` means nothing when `a` has instances with keys.
    fn warn_of_keyless_replacements(
        &mut self,
        module: &ModuleInstance,
        resource: &stead_value::addr::Resource,
        expansion: &crate::eval::Expansion,
    ) {
        if self.options.replace.is_empty() || expansion.is_single() || self.kind != Kind::Plan {
            return;
        }
        for named in &self.options.replace {
            if named.resource != *resource || named.key != InstanceKey::None {
                continue;
            }
            let options: Vec<String> = expansion
                .instances()
                .into_iter()
                .map(|(key, _)| ResourceInstance {
                    module: module.clone(),
                    resource: resource.clone(),
                    key,
                })
                .map(|address| format!("\n  -replace={:?}", address.to_string()))
                .collect();
            let because = match options.as_slice() {
                [] => "this resource doesn't have any instances.".to_owned(),
                [one] => format!(
                    "it lacks an instance key.\n\nTo force replacement of the single declared instance, use the following option instead:{one}"
                ),
                several => format!(
                    "it lacks an instance key.\n\nTo force replacement of particular instances, use one or more of the following options instead:{}",
                    several.concat()
                ),
            };
            self.diagnostics.push(Diagnostic::warning(
                "Incompletely-matched force-replace resource instance",
                format!("Your force-replace request for {named} doesn't match any resource instances because {because}"),
            ));
        }
    }

    fn finished(&mut self, finished: Finished) {
        match finished {
            Finished::Opened { address, result } => match result {
                Ok(warnings) => {
                    self.diagnostics.extend(warnings);
                    if let Some(opened) = self.pool.get(&address) {
                        let provider = Arc::clone(opened.provider());
                        self.opened(&address, Opened::Ready(provider));
                    }
                }
                Err(errors) => {
                    self.diagnostics.extend(errors.into_iter().map(|d| {
                        if d.address.is_none() {
                            d.address(address.to_string())
                        } else {
                            d
                        }
                    }));
                    let id = self.evaluator.id(Object::Provider(address));
                    self.publish_failed(id);
                }
            },
            Finished::Refreshed { address, result } => self.take_refreshed(address, result),
            Finished::Resumed { address, result } => self.take_resumed(&address, result),
            Finished::DeposedRefreshed {
                address,
                key,
                result,
            } => self.take_deposed(address, key, result),
            Finished::Imported {
                prepared,
                target,
                result,
            } => self.take_imported(prepared, target, result),
            Finished::Generated {
                provider,
                target,
                result,
            } => self.take_generated(provider, target, result),
            Finished::Planned { prepared, result } => self.take_planned(*prepared, result),
            Finished::EphemeralOpened { prepared, result } => self.take_opened(&prepared, result),
            Finished::DataRead { prepared, result } => self.take_data(*prepared, result),
        }
    }

    /// A context whose progress becomes events for `address`.
    fn context(&self, address: &ResourceInstance) -> Context {
        let observer = Arc::clone(&self.observer);
        let address = address.clone();
        let context = Context::new(self.cancel.clone()).with_object(address.clone());
        context.with_progress(Arc::new(move |progress: Progress| {
            observer.event(Event::Progress {
                address: address.clone(),
                message: progress.message,
            });
        }))
    }

    /// Objects that still wait although nothing runs any more wait for each other, or for what failed to be declared.
    fn report_deadlock(&mut self) {
        let evaluator_errors = self.evaluator.take_diagnostics();
        self.diagnostics.extend(evaluator_errors);
        if self.diagnostics.has_errors() {
            return;
        }
        let waits = self.evaluator.waiting();
        let mut graph = petgraph::graphmap::DiGraphMap::<u32, ()>::new();
        for (waiter, missing) in waits {
            graph.add_edge(waiter.0, missing.0, ());
        }
        for component in petgraph::algo::tarjan_scc(&graph) {
            if component.len() > 1 {
                let members: Vec<ObjectId> = component.into_iter().rev().map(ObjectId).collect();
                self.diagnostics
                    .push(self.evaluator.cycle_diagnostic(&members));
            }
        }
        if graph.node_count() > 0 && !self.diagnostics.has_errors() {
            let names: Vec<String> = graph
                .nodes()
                .filter_map(|n| self.evaluator.object(ObjectId(n)))
                .map(|o| self.evaluator.describe(&o))
                .take(10)
                .collect();
            self.diagnostics.push(Diagnostic::error(
                "Internal error",
                format!("These objects could not be computed, and no reason is known: {}. Please report this.", names.join(", ")),
            ));
        }
    }

    /// Finds out which part of the configuration the plan is about, and says what that means.
    fn select(&mut self) {
        let (targets, excludes) = (&self.options.targets, &self.options.excludes);
        self.selection = targeting::Selection::new(self.evaluator.references(), targets, excludes);
        if !targets.is_empty() {
            self.diagnostics.push(Diagnostic::warning("Resource targeting is in effect", "You are creating a plan with the -target option, which means that the result of this plan may not represent all of the changes requested by the current configuration.\n\nThe -target option is not for routine use, and is provided only for exceptional situations such as recovering from errors or mistakes, or when stead specifically suggests to use it as part of an error message."));
        } else if !excludes.is_empty() {
            self.diagnostics.push(Diagnostic::warning("Resource targeting is in effect", "You are creating a plan with either the -target option or the -exclude option, which means that the result of this plan may not represent all of the changes requested by the current configuration.\n\nThe -target and -exclude options are not for routine use, and are provided only for exceptional situations such as recovering from errors or mistakes, or when stead specifically suggests to use it as part of an error message."));
        }
    }

    fn add_change(&mut self, change: ResourceChange) {
        if change.action != Action::NoOp {
            self.pending
                .entry(change.address.config())
                .or_default()
                .push(change.address.module.clone());
        }
        let key = (change.address.clone(), change.deposed.clone());
        self.changes.insert(key, Box::new(change));
    }

    /// The recorded instances of a resource, in all instances of its module.
    fn recorded_instances(&self, resource: &ConfigResource) -> Vec<ResourceInstance> {
        let ids = self.by_config.get_or_init(|| {
            let mut ids: FxHashMap<ConfigResource, Vec<ResourceId>> = FxHashMap::default();
            for id in self.state.resources.keys() {
                let config = ConfigResource {
                    module: id.module.module(),
                    resource: id.resource.clone(),
                };
                ids.entry(config).or_default().push(id.clone());
            }
            ids
        });
        let ids = ids.get(resource).into_iter().flatten();
        ids.filter_map(|id| Some((id, self.state.resources.get(id)?)))
            .flat_map(|(id, r)| {
                r.instances
                    .iter()
                    .map(|(key, i)| (id.instance(key.clone()), i))
            })
            .filter(|(_, instance)| instance.current.is_some())
            .map(|(address, _)| address)
            .collect()
    }

    /// A declared instance that the plan is not about keeps its recorded value.
    fn leave_alone(&mut self, address: &ResourceInstance) {
        let recorded = self.state.current(address).and_then(|(object, provider)| {
            crate::recorded_value(self.registry, address, &provider.source, object).ok()
        });
        let id = self.evaluator.id(Object::Instance(address.clone()));
        self.publish(id, recorded.unwrap_or_else(Value::dynamic));
    }

    /// What an evaluation needs to speak of an instance that the configuration declares.
    fn repetition(&self, address: &ResourceInstance) -> Option<(ModuleId, Repetition)> {
        let config = self.evaluator.instance_config(address)?;
        Some((config.module, config.repetition))
    }

    fn is_managed(address: &ResourceInstance) -> bool {
        address.resource.mode == ResourceMode::Managed
    }

    fn module_is_entered(&self, module: &ModuleInstance) -> bool {
        self.evaluator.module(module).is_some()
    }
}

/// Turns attribute paths of a provider's diagnostics into places in the source.
pub(crate) fn locate(
    diagnostics: Diagnostics,
    ranges: &stead_lang::decode::SourceMap,
    address: &str,
) -> impl Iterator<Item = Diagnostic> {
    let found: Vec<Diagnostic> = diagnostics
        .into_iter()
        .map(|mut diagnostic| {
            if diagnostic.subject.is_none() {
                let path = diagnostic.attribute.clone().unwrap_or_default();
                diagnostic.subject = ranges.find(&path).or_else(|| ranges.header());
            }
            diagnostic.address.get_or_insert_with(|| address.to_owned());
            diagnostic
        })
        .collect();
    found.into_iter()
}
