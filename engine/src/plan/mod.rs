//! Planning: a worklist of objects, evaluated as soon as what they need is there; provider calls run beside it.
//!
//! One thread evaluates. Refreshes, plans and data source reads are asynchronous jobs, at most `parallelism` at a time; each
//! finished job publishes a value, which makes waiting objects ready. Nothing is looked at twice unless it had to wait.

mod because;
mod data;
mod decide;
mod imports;
mod instance;
mod moves;
mod ordering;
mod orphans;
mod refresh;
mod removed;
mod replace_triggers;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use indexmap::IndexSet;
use stead_sdk::{Context, Progress};
use stead_state::{ProviderConfigRef, State};
use stead_value::addr::{ModuleInstance, ResourceInstance, ResourceMode};
use stead_value::{Diagnostic, Diagnostics, Type, Value};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::eval::{Evaluator, ModuleId, Object, ObjectId, Outcome, ROOT, Repetition};
use crate::event::{Event, Observer};
use crate::providers::{Opened, Pool, Registry};
use crate::{Action, OutputChange, Plan, PlanMode, ResourceChange};

pub(crate) use decide::ignore_changes;
pub(crate) use instance::display_id;

/// What a plan is asked to do.
#[derive(Clone, Debug)]
pub struct Options {
    pub mode: PlanMode,
    /// Ask providers for the present state of objects; otherwise the recorded state is believed.
    pub refresh: bool,
    /// Instances to replace in any case.
    pub replace: Vec<ResourceInstance>,
    /// How many provider calls may run at once.
    pub parallelism: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            mode: PlanMode::Normal,
            refresh: true,
            replace: Vec::new(),
            parallelism: 10,
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
) -> Result<Planned, Diagnostics> {
    let kind = if options.mode == PlanMode::Destroy {
        Kind::Destroy
    } else {
        Kind::Plan
    };
    let mut planner = Planner::new(evaluator, registry, prior, options, observer, cancel, kind);
    planner.move_objects();
    planner.check_removed();
    if kind == Kind::Plan {
        planner.want_imports();
    }
    planner.walk().await;
    planner.check_moves();
    planner.check_imports();
    planner.retire_orphans().await;
    planner.finish()
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
    DeposedRefreshed {
        address: ResourceInstance,
        key: String,
        result: refresh::Refreshed,
    },
    Imported {
        prepared: Box<instance::Prepared>,
        target: crate::eval::ImportTarget,
        result: Result<(Value, Vec<u8>, Diagnostics), Diagnostics>,
    },
    Planned {
        prepared: Box<instance::Prepared>,
        result: Result<decide::Decision, Diagnostics>,
    },
    DataRead {
        prepared: Box<instance::Prepared>,
        result: Result<(Value, Diagnostics), Diagnostics>,
    },
}

struct Planner<'e, 'c> {
    evaluator: &'e Evaluator<'c>,
    registry: &'e Registry,
    options: Options,
    observer: Arc<dyn Observer>,
    cancel: CancellationToken,
    kind: Kind,
    /// After moves; refreshed objects and data sources are written back to it.
    state: State,
    pool: Pool,
    ready: VecDeque<ObjectId>,
    jobs: VecDeque<Job>,
    running: JoinSet<Finished>,
    /// Provider configurations that have been asked for.
    opening: HashSet<ProviderConfigRef>,
    /// Refreshes that wait for their provider.
    to_refresh: HashMap<ProviderConfigRef, IndexSet<ResourceInstance>>,
    refreshed: HashMap<ResourceInstance, refresh::Prior>,
    refreshing: HashSet<ResourceInstance>,
    refresh_errors: HashSet<ResourceInstance>,
    /// Instances whose configuration is evaluated and whose refresh is not done.
    parked: HashMap<ResourceInstance, Box<instance::Prepared>>,
    desired: BTreeSet<ResourceInstance>,
    changes: BTreeMap<(ResourceInstance, Option<String>), ResourceChange>,
    drift: Vec<ResourceChange>,
    moved_from: HashMap<ResourceInstance, ResourceInstance>,
    /// Orphans that are dropped from the state and left alone.
    forgotten: HashSet<ResourceInstance>,
    imports: imports::Imports,
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
        Planner {
            evaluator,
            registry,
            options,
            observer,
            cancel,
            kind,
            state,
            pool: Pool::new(),
            ready: VecDeque::new(),
            jobs: VecDeque::new(),
            running: JoinSet::new(),
            opening: HashSet::new(),
            to_refresh: HashMap::new(),
            refreshed: HashMap::new(),
            refreshing: HashSet::new(),
            refresh_errors: HashSet::new(),
            parked: HashMap::new(),
            desired: BTreeSet::new(),
            changes: BTreeMap::new(),
            drift: Vec::new(),
            moved_from: HashMap::new(),
            forgotten: HashSet::new(),
            imports: imports::Imports::default(),
            diagnostics: Diagnostics::new(),
        }
    }

    /// Works until nothing is left to do.
    async fn walk(&mut self) {
        self.enter(ROOT);
        for name in self.evaluator.config(ROOT).outputs.keys() {
            self.push(Object::Output(ROOT, Arc::clone(name)));
        }
        self.drain().await;
        self.report_deadlock();
    }

    /// Runs ready objects and jobs until both have run out.
    async fn drain(&mut self) {
        loop {
            while let Some(id) = self.ready.pop_front() {
                self.step(id);
            }
            while self.running.len() < self.options.parallelism.max(1)
                && !self.cancel.is_cancelled()
            {
                let Some(job) = self.jobs.pop_front() else {
                    break;
                };
                self.running.spawn(job);
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
        let config = self.evaluator.config(module);
        if self.kind != Kind::Destroy {
            self.push(Object::Checks(module));
        }
        for resource in config.resources.keys() {
            self.push(Object::Declare(module, resource.clone()));
        }
        for call in config.calls.keys() {
            self.push(Object::Enter(module, Arc::clone(call)));
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
                if let Some(attempt) = self
                    .evaluator
                    .run(id, || self.evaluator.module_checks(module))
                {
                    self.diagnostics.extend(attempt.value.diagnostics);
                    self.publish(id, Value::bool(true));
                }
            }
            Some(output @ Object::Output(..)) => {
                self.evaluator.demand(output);
            }
            Some(Object::Import(index)) => self.evaluate_import(id, index),
            Some(Object::Instance(address)) => self.instance(id, address),
            Some(Object::Provider(address)) => self.open(id, &address),
            Some(
                Object::Variable(..)
                | Object::Local(..)
                | Object::CallKeys(..)
                | Object::ResourceKeys(..),
            )
            | None => {}
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
        self.imply_moves(module, resource, &expansion);
        let module = self.evaluator.module_address(module);
        for (key, _) in expansion.instances() {
            let address = ResourceInstance {
                module: module.clone(),
                resource: resource.clone(),
                key,
            };
            self.desired.insert(address.clone());
            self.push(Object::Instance(address));
        }
    }

    /// Asks for a provider configuration to be opened, once.
    fn want_provider(&mut self, address: &ProviderConfigRef) {
        if self.opening.insert(address.clone()) {
            self.push(Object::Provider(address.clone()));
        }
    }

    fn open(&mut self, id: ObjectId, address: &ProviderConfigRef) {
        let factory = match self.registry.factory(&address.source) {
            Ok(factory) => Arc::clone(factory),
            Err(diagnostic) => {
                self.diagnostics.push(diagnostic);
                return self.publish_failed(id);
            }
        };
        let Some(found) = self.evaluator.find_provider(address) else {
            self.diagnostics.push(Diagnostic::error(
                "Provider configuration not present",
                format!("The state holds objects of {address}, but the configuration no longer has that provider configuration. Put it back until its objects are destroyed, or remove them from the state."),
            ));
            return self.publish_failed(id);
        };
        let schema = factory.schema().provider.clone();
        let Some(attempt) = self
            .evaluator
            .run(id, || self.evaluator.decode_provider(&found, &schema.block))
        else {
            return;
        };
        let decoded = attempt.value;
        let provider = factory.instantiate();
        let (value, _) = decoded.value.unmark_deep();
        let mut diagnostics = decoded.diagnostics;
        if !diagnostics.has_errors() && !attempt.failed {
            diagnostics.extend(locate(
                provider.validate_provider(&value),
                &decoded.ranges,
                &address.to_string(),
            ));
        }
        let failed = diagnostics.has_errors() || attempt.failed || decoded.failed;
        self.diagnostics.extend(diagnostics);
        if failed {
            return self.publish_failed(id);
        }
        if self.kind == Kind::Validate {
            return self.publish(id, Value::bool(true));
        }
        if !value.is_wholly_known() {
            self.opened(address, Opened::Late(provider));
            return;
        }
        let context = Context::new(self.cancel.clone());
        let address = address.clone();
        self.pool
            .insert(address.clone(), Opened::Late(Arc::clone(&provider)));
        self.jobs.push_back(Box::pin(async move {
            let result = provider.configure(value, &context).await;
            Finished::Opened { address, result }
        }));
    }

    fn opened(&mut self, address: &ProviderConfigRef, opened: Opened) {
        self.pool.insert(address.clone(), opened);
        for instance in self.to_refresh.remove(address).unwrap_or_default() {
            self.start_refresh(instance, address);
        }
        let id = self.evaluator.id(Object::Provider(address.clone()));
        self.publish(id, Value::bool(true));
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
            Finished::DeposedRefreshed {
                address,
                key,
                result,
            } => self.retire_deposed(address, key, result),
            Finished::Imported {
                prepared,
                target,
                result,
            } => self.take_imported(prepared, target, result),
            Finished::Planned { prepared, result } => self.take_planned(*prepared, result),
            Finished::DataRead { prepared, result } => self.take_data(*prepared, result),
        }
    }

    /// A context whose progress becomes events for `address`.
    fn context(&self, address: &ResourceInstance) -> Context {
        let observer = Arc::clone(&self.observer);
        let address = address.clone();
        Context::new(self.cancel.clone()).with_progress(Arc::new(move |progress: Progress| {
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

    fn finish(mut self) -> Result<Planned, Diagnostics> {
        let outputs = self.output_changes();
        self.diagnostics.extend(self.evaluator.take_diagnostics());
        if self.diagnostics.has_errors() {
            return Err(self.diagnostics);
        }
        let variables = self.root_variables();
        let mut changes: Vec<ResourceChange> =
            std::mem::take(&mut self.changes).into_values().collect();
        let graph = ordering::build(
            self.evaluator,
            &self.state,
            &mut changes,
            self.kind == Kind::Destroy,
        );
        if let Some(cycle) = graph.cycle() {
            let names: Vec<String> = cycle
                .iter()
                .filter_map(|op| changes.get(op.change()?).map(|c| c.address.to_string()))
                .collect();
            self.diagnostics.push(Diagnostic::error(
                format!("Cycle: {}", names.join(", ")),
                "The order in which these objects would have to be destroyed and created is circular.",
            ));
            return Err(self.diagnostics);
        }
        let output_types: BTreeMap<Arc<str>, Type> = outputs
            .iter()
            .map(|(name, o)| (Arc::clone(name), o.after.ty()))
            .collect();
        let plan = Plan {
            mode: self.options.mode,
            changes,
            drift: self.drift,
            outputs,
            variables,
            prior_state: self.state,
            output_types,
            graph,
            warnings: self.diagnostics,
        };
        Ok(Planned {
            plan,
            pool: self.pool,
        })
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

    fn output_changes(&mut self) -> BTreeMap<Arc<str>, OutputChange> {
        let mut changes = BTreeMap::new();
        let config = self.evaluator.config(ROOT);
        if self.kind == Kind::Plan {
            for (name, output) in &config.outputs {
                let Outcome::Value(after) = self
                    .evaluator
                    .demand(Object::Output(ROOT, Arc::clone(name)))
                else {
                    continue;
                };
                if output.ephemeral {
                    continue;
                }
                let before = self.recorded_output(name);
                let recorded_sensitive =
                    self.state.outputs.get(&**name).is_some_and(|o| o.sensitive);
                let action = if before.is_null() && !self.state.outputs.contains_key(&**name) {
                    if after.is_null() {
                        Action::NoOp
                    } else {
                        Action::Create
                    }
                } else if before.raw_equals(&after) && recorded_sensitive == output.sensitive {
                    Action::NoOp
                } else {
                    Action::Update
                };
                changes.insert(
                    Arc::clone(name),
                    OutputChange {
                        action,
                        before,
                        after,
                        sensitive: output.sensitive,
                    },
                );
            }
        }
        let removed: Vec<String> = self
            .state
            .outputs
            .keys()
            .filter(|n| self.kind == Kind::Destroy || !config.outputs.contains_key(n.as_str()))
            .cloned()
            .collect();
        for name in removed {
            let before = self.recorded_output(&name);
            let sensitive = self.state.outputs.get(&name).is_some_and(|o| o.sensitive);
            let after = Value::null(Type::Dynamic);
            changes.insert(
                Arc::from(name),
                OutputChange {
                    action: Action::Delete,
                    before,
                    after,
                    sensitive,
                },
            );
        }
        changes
    }

    fn recorded_output(&mut self, name: &str) -> Value {
        let Some(output) = self.state.outputs.get(name) else {
            return Value::null(Type::Dynamic);
        };
        match crate::outputs::decode(output) {
            Ok(value) => value,
            Err(diagnostic) => {
                self.diagnostics.push(diagnostic);
                Value::null(Type::Dynamic)
            }
        }
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
