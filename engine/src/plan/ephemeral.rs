//! Ephemeral resources: opened while planning when their configuration is known, closed when the plan is made, and opened
//! again by the apply for as long as something uses them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use stead_value::addr::{ResourceInstance, ResourceMode};
use stead_value::{Diagnostics, Marks, Value};
use tokio::task::JoinSet;

use super::instance::{Prepared, unknown_where_computed};
use super::{Finished, Kind, Planner, locate};
use crate::ResourceChange;
use crate::changes::EphemeralInstance;
use crate::ephemeral::{Held, Subject};
use crate::eval::{Evaluator, InstanceConfig, Object, ObjectId, ROOT};
use crate::event::Event;
use crate::graph::{ExecutionGraph, Op, OpId};
use crate::provision;

/// A value as references to an instance see it: all of an ephemeral one is ephemeral.
pub(crate) fn of_mode(address: &ResourceInstance, value: Value) -> Value {
    match address.resource.mode {
        ResourceMode::Ephemeral => value.with_marks(Marks::EPHEMERAL),
        ResourceMode::Managed | ResourceMode::Data => value,
    }
}

/// The value with the marks of its configuration. All of it is ephemeral; what the schema calls sensitive needs no second mark.
fn as_configured(prepared: &Prepared, value: Value) -> Value {
    let sensitive = prepared.config.marked_paths(Marks::SENSITIVE);
    of_mode(
        &prepared.address,
        value.apply_marks(&sensitive, Marks::SENSITIVE),
    )
}

impl Planner<'_, '_> {
    /// Checks an instance's provisioners; what they refer to is a dependency of the instance.
    pub(super) fn check_provisioners(
        &self,
        address: &ResourceInstance,
        config: &InstanceConfig<'_>,
        schema: &stead_value::schema::Block,
    ) -> Diagnostics {
        if config.resource.provisioners.is_empty() {
            return Diagnostics::new();
        }
        let object = Value::unknown(schema.value_type());
        let scope = self
            .evaluator
            .condition_scope(config.module, &config.repetition, Some(object));
        provision::check(
            self.registry,
            config.resource.connection.as_ref(),
            &config.resource.provisioners,
            &scope,
            &address.to_string(),
        )
    }

    pub(super) fn plan_ephemeral(&mut self, prepared: Box<Prepared>) {
        let Some(opened) = self.pool.get(&prepared.provider).cloned() else {
            return self.publish_failed(prepared.id);
        };
        self.ephemerals.push(EphemeralInstance {
            address: prepared.address.clone(),
            provider: prepared.provider.clone(),
        });
        let (config, _) = prepared.config.clone().unmark_deep();
        if !config.is_wholly_known() || opened.is_late() {
            return self.open_later(&prepared);
        }
        let subject = Subject {
            address: prepared.address.clone(),
            provider: Arc::clone(opened.provider()),
            observer: Arc::clone(&self.observer),
            context: self.context(&prepared.address),
        };
        self.jobs.push_back(Box::pin(async move {
            let result = subject.open(config).await;
            Finished::EphemeralOpened { prepared, result }
        }));
    }

    fn open_later(&mut self, prepared: &Prepared) {
        let Ok(schema) = self.schema_of(prepared) else {
            return self.publish_failed(prepared.id);
        };
        let value = unknown_where_computed(&schema.block, &prepared.config);
        let value = as_configured(prepared, value);
        self.observer.event(Event::EphemeralDeferred {
            address: prepared.address.clone(),
        });
        self.publish(prepared.id, value);
    }

    pub(super) fn take_opened(
        &mut self,
        prepared: &Prepared,
        result: Result<(Value, Held, Diagnostics), Diagnostics>,
    ) {
        let address = prepared.address.to_string();
        let (value, held, warnings) = match result {
            Ok(opened) => opened,
            Err(errors) => {
                self.diagnostics
                    .extend(locate(errors, &prepared.ranges, &address));
                return self.publish_failed(prepared.id);
            }
        };
        self.held.push(held);
        self.diagnostics
            .extend(locate(warnings, &prepared.ranges, &address));
        let value = as_configured(prepared, value);
        let holds = self.postconditions(&prepared.address, &value);
        if holds {
            self.publish(prepared.id, value);
        } else {
            self.publish_failed(prepared.id);
        }
    }

    /// Gives back everything that was opened for the plan.
    pub(super) async fn close_ephemerals(&mut self) {
        let mut closing: JoinSet<Diagnostics> = self.held.drain(..).map(Held::close).collect();
        while let Some(closed) = closing.join_next().await {
            self.diagnostics.extend(closed.unwrap_or_default());
        }
    }

    /// Those that the apply opens again: all, and of a destruction those that its operations, the root outputs and the checks
    /// are made from. Terraform opens what nothing uses, too: its conditions count.
    pub(super) fn needed_ephemerals(&self, changes: &[ResourceChange]) -> Vec<EphemeralInstance> {
        if self.kind == Kind::Plan {
            let mut all = self.ephemerals.clone();
            all.sort_by(|a, b| a.address.cmp(&b.address));
            return all;
        }
        if self.ephemerals.is_empty() || self.kind == Kind::Validate {
            return Vec::new();
        }
        let mut queue: Vec<ObjectId> = Vec::new();
        for change in changes {
            if change.action != crate::Action::NoOp {
                queue.push(self.evaluator.id(Object::Instance(change.address.clone())));
                queue.push(self.evaluator.id(Object::Provider(change.provider.clone())));
            }
        }
        let outputs = self.evaluator.config(ROOT).outputs.keys();
        queue.extend(outputs.map(|name| self.evaluator.id(Object::Output(ROOT, Arc::clone(name)))));
        queue.extend(self.evaluator.checks());
        let mut seen: HashSet<ObjectId> = HashSet::new();
        while let Some(id) = queue.pop() {
            if seen.insert(id) {
                queue.extend(self.evaluator.dependencies(id).iter());
            }
        }
        let mut needed: Vec<EphemeralInstance> = self
            .ephemerals
            .iter()
            .filter(|e| {
                let object = Object::Instance(e.address.clone());
                seen.contains(&self.evaluator.id(object))
            })
            .cloned()
            .collect();
        needed.sort_by(|a, b| a.address.cmp(&b.address));
        needed
    }
}

/// The operations of one ephemeral resource.
#[derive(Clone, Copy)]
pub(super) struct Lifetime {
    pub(super) open: OpId,
    close: OpId,
}

/// Adds opening and closing of each.
pub(super) fn add(
    evaluator: &Evaluator<'_>,
    graph: &mut ExecutionGraph,
    ephemerals: &[EphemeralInstance],
) -> BTreeMap<ObjectId, Lifetime> {
    let mut lifetimes = BTreeMap::new();
    for (ephemeral, instance) in ephemerals.iter().enumerate() {
        let open = graph.add(Op::Open { ephemeral });
        let close = graph.add(Op::Close { ephemeral });
        graph.order(open, close);
        let id = evaluator.id(Object::Instance(instance.address.clone()));
        lifetimes.insert(id, Lifetime { open, close });
    }
    lifetimes
}

/// Orders every close behind the operations that use what is open, seen through everything that lies between: for each
/// object between, a join says that its users are done. `users` are the operations with the objects they are evaluated from.
pub(super) fn order_closing(
    evaluator: &Evaluator<'_>,
    graph: &mut ExecutionGraph,
    lifetimes: &BTreeMap<ObjectId, Lifetime>,
    users: &[(ObjectId, OpId)],
) {
    if lifetimes.is_empty() {
        return;
    }
    let mut closing = Closing {
        evaluator,
        lifetimes,
        operations: users.iter().map(|(id, _)| *id).collect(),
        reaches: HashMap::new(),
        done: HashMap::new(),
    };
    for (id, lifetime) in lifetimes {
        closing.order(graph, *id, lifetime.close);
    }
    for (id, op) in users {
        closing.order(graph, *id, *op);
    }
}

struct Closing<'a, 'c> {
    evaluator: &'a Evaluator<'c>,
    lifetimes: &'a BTreeMap<ObjectId, Lifetime>,
    /// Objects with operations of their own: what they use is over when these are done.
    operations: HashSet<ObjectId>,
    reaches: HashMap<ObjectId, bool>,
    /// The join behind the users of an object between.
    done: HashMap<ObjectId, OpId>,
}

impl Closing<'_, '_> {
    /// Puts `op`, which stands for the object, before the end of everything ephemeral that the object is made from.
    fn order(&mut self, graph: &mut ExecutionGraph, object: ObjectId, op: OpId) {
        for dependency in self.evaluator.dependencies(object).iter() {
            if *dependency == object {
                continue;
            }
            if let Some(lifetime) = self.lifetimes.get(dependency) {
                graph.order(op, lifetime.close);
            } else if self.reaches(*dependency) {
                let end = match self.done.get(dependency) {
                    Some(end) => *end,
                    None => {
                        let end = graph.add(Op::Join);
                        self.done.insert(*dependency, end);
                        self.order(graph, *dependency, end);
                        end
                    }
                };
                graph.order(op, end);
            }
        }
    }

    /// Whether the object is made from something ephemeral without an operation between.
    fn reaches(&mut self, object: ObjectId) -> bool {
        if self.operations.contains(&object) {
            return false;
        }
        if let Some(known) = self.reaches.get(&object) {
            return *known;
        }
        self.reaches.insert(object, false);
        let found = self
            .evaluator
            .dependencies(object)
            .iter()
            .any(|dependency| self.lifetimes.contains_key(dependency) || self.reaches(*dependency));
        self.reaches.insert(object, found);
        found
    }
}

/// The ephemeral resources that a provider's configuration is made from, without a managed object between.
pub(super) fn of_provider(
    evaluator: &Evaluator<'_>,
    lifetimes: &BTreeMap<ObjectId, Lifetime>,
    provider: ObjectId,
) -> Vec<Lifetime> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut queue = vec![provider];
    while let Some(id) = queue.pop() {
        for dependency in evaluator.dependencies(id).iter() {
            if !seen.insert(*dependency) {
                continue;
            }
            if let Some(lifetime) = lifetimes.get(dependency) {
                found.push(*lifetime);
            } else if !matches!(evaluator.object(*dependency), Some(Object::Instance(_))) {
                queue.push(*dependency);
            }
        }
    }
    found
}

/// Lets the deletes of a provider's objects wait for what its configuration needs open, and closing for the deletes.
pub(super) fn order_deletions(
    evaluator: &Evaluator<'_>,
    graph: &mut ExecutionGraph,
    lifetimes: &BTreeMap<ObjectId, Lifetime>,
    deletions: impl Iterator<Item = (stead_state::ProviderConfigRef, OpId)>,
) {
    if lifetimes.is_empty() {
        return;
    }
    let mut gates: HashMap<stead_state::ProviderConfigRef, (OpId, OpId)> = HashMap::new();
    for (provider, gone) in deletions {
        let (before, after) = *gates.entry(provider.clone()).or_insert_with(|| {
            let (before, after) = (graph.add(Op::Join), graph.add(Op::Join));
            let id = evaluator.id(Object::Provider(provider));
            for lifetime in of_provider(evaluator, lifetimes, id) {
                graph.order(lifetime.open, before);
                graph.order(after, lifetime.close);
            }
            (before, after)
        });
        graph.order(before, gone);
        graph.order(gone, after);
    }
}
