//! The execution graph of a plan: creates follow what they refer to, deletes come in the reverse of what state recorded.

use std::collections::BTreeMap;
use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHashSet};
use stead_state::{ProviderConfigRef, State};
use stead_value::Diagnostics;
use stead_value::addr::{ConfigResource, ResourceInstance, ResourceMode};

use super::ephemeral::{self, Lifetime};
use super::rollouts;
use super::targeting::Selection;
use crate::changes::{EphemeralInstance, Rollout};
use crate::eval::{Evaluator, Object, ObjectId};
use crate::graph::{ExecutionGraph, Op, OpId};
use crate::providers::Registry;
use crate::references::{Id, Node, References, Resources};
use crate::{Action, ResourceChange};

/// The operations of one change: the first to run and the one after which the object stands.
#[derive(Clone, Copy, Default)]
pub(super) struct Ops {
    /// The first to run.
    pub(super) first: Option<OpId>,
    /// Create, update or read: what dependants wait for.
    ready: Option<OpId>,
    /// The deletion of the old object.
    gone: Option<OpId>,
}

impl Ops {
    /// After which the object is what it should be. What was set aside goes when nobody uses it any more, which others may wait for.
    pub(super) fn last(&self) -> Option<OpId> {
        self.ready.or(self.gone)
    }
}

/// What [`build`] gives.
pub(super) struct Ordered {
    pub(super) graph: ExecutionGraph,
    pub(super) rollouts: Vec<Rollout>,
}

/// Builds the graph, and fills in the dependencies that state will record and the order of replacements.
pub(super) fn build(
    evaluator: &Evaluator<'_>,
    registry: &Registry,
    state: &State,
    changes: &mut [ResourceChange],
    ephemerals: &[EphemeralInstance],
    selection: &Selection,
    destroy: bool,
    diagnostics: &mut Diagnostics,
) -> Ordered {
    let references = evaluator.references();
    let mut depends: Vec<Resources> = Vec::with_capacity(changes.len());
    for change in changes.iter_mut() {
        let own = references.id(Node::Resource(change.address.config()));
        let needs = dependencies(references, state, change, destroy, own);
        change.dependencies = references.names(&needs, own);
        change.dependencies.sort();
        depends.push(needs);
    }
    spread_create_before_destroy(evaluator, changes, selection);

    let mut graph = ExecutionGraph::default();
    let ops: Vec<Ops> = changes
        .iter()
        .enumerate()
        .map(|(i, change)| add_operations(&mut graph, i, change))
        .collect();
    let lifetimes = ephemeral::add(evaluator, &mut graph, ephemerals);
    order_check_data(evaluator, &mut graph, changes, &ops);
    order_by_references(evaluator, &mut graph, changes, &ops, &lifetimes);
    let deletions = changes.iter().zip(&ops);
    let deletions = deletions.filter_map(|(c, op)| Some((c.provider.clone(), op.gone?)));
    ephemeral::order_deletions(evaluator, &mut graph, &lifetimes, deletions);
    order_deletions(evaluator, &mut graph, changes, &ops, &depends);
    // What is destroyed as a whole need not stay in use meanwhile.
    let rollouts = match destroy {
        true => Vec::new(),
        false => rollouts::order(evaluator, registry, &mut graph, changes, &ops, diagnostics),
    };
    Ordered { graph, rollouts }
}

/// What the change's object depends on: by configuration, or by what state recorded when it has none any more.
fn dependencies(
    references: &References<'_>,
    state: &State,
    change: &ResourceChange,
    destroy: bool,
    own: Id,
) -> Resources {
    if !matches!(change.action, Action::Delete | Action::Forget) && !destroy {
        return references.resources_of(own);
    }
    let object = match &change.deposed {
        Some(key) => state
            .instance(&change.address)
            .and_then(|i| i.deposed.get(key)),
        None => state.current(&change.address).map(|(object, _)| object),
    };
    let recorded = object
        .map(|o| o.dependencies.as_slice())
        .unwrap_or_default();
    let recorded = recorded.iter().filter_map(|text| parse(text));
    Rc::new(
        recorded
            .map(|resource| references.id(Node::Resource(resource)))
            .collect(),
    )
}

fn parse(text: &str) -> Option<ConfigResource> {
    stead_state::parse_resource_instance(text).map(|address| address.config())
}

/// What a create-before-destroy resource depends on is create-before-destroy too, or the orders would contradict each other.
/// What is only deleted keeps what state recorded of it.
fn spread_create_before_destroy(
    evaluator: &Evaluator<'_>,
    changes: &mut [ResourceChange],
    selection: &Selection,
) {
    let references = evaluator.references();
    let spread = references.created_before_destroyed(&|_| true);
    // What is left out of a plan does not change the order of what is in it; what is recorded follows the whole configuration.
    let within = (!selection.is_all()).then(|| {
        references
            .created_before_destroyed(&|r| selection.keeps_resource(r.module.clone(), &r.resource))
    });
    if spread.is_empty() {
        for change in changes {
            change.create_before_destroy &=
                matches!(change.action, Action::Delete | Action::Forget);
        }
        return;
    }
    // What stays as it is counts where its conditions are looked at anew.
    let has_conditions = |address: &ResourceInstance| {
        let node = evaluator.tree().get(&address.module.module());
        let resource = node.and_then(|n| n.module.resources.get(&address.resource));
        resource.is_some_and(|r| {
            !(r.lifecycle.preconditions.is_empty() && r.lifecycle.postconditions.is_empty())
        })
    };
    let changed = changes
        .iter()
        .filter(|c| c.deposed.is_none())
        .filter(|c| c.action != Action::NoOp || has_conditions(&c.address))
        .map(|c| (c.address.config(), c.address.key.clone()))
        .collect();
    let by_instance = evaluator.references().changed_before_destroyed(&changed);
    for change in changes {
        let config = change.address.config();
        let first = within.as_ref().unwrap_or(&spread).contains(&config);
        // Recorded is what holds for the instance itself, where the plan does something with it.
        change.create_before_destroy = match change.action {
            Action::Delete | Action::Forget => continue,
            Action::NoOp | Action::Read => spread.contains(&config),
            _ => {
                spread.contains(&config)
                    && (by_instance.contains(&(config.clone(), None))
                        || by_instance.contains(&(config, Some(change.address.key.clone()))))
            }
        };
        if first && change.action == Action::DeleteThenCreate {
            change.action = Action::CreateThenDelete;
        }
    }
}

fn add_operations(graph: &mut ExecutionGraph, change: usize, planned: &ResourceChange) -> Ops {
    let one = |ready: Option<OpId>, gone: Option<OpId>| Ops {
        first: ready.or(gone),
        ready,
        gone,
    };
    match planned.action {
        Action::NoOp => Ops::default(),
        Action::Read => one(Some(graph.add(Op::Read { change })), None),
        Action::Create => one(Some(graph.add(Op::Create { change })), None),
        Action::Update => one(Some(graph.add(Op::Update { change })), None),
        Action::Delete => one(None, Some(graph.add(Op::Delete { change }))),
        Action::Forget => one(None, Some(graph.add(Op::Forget { change }))),
        Action::DeleteThenCreate | Action::ForgetThenCreate => {
            let gone = graph.add(match planned.action {
                Action::DeleteThenCreate => Op::Delete { change },
                _ => Op::Forget { change },
            });
            let create = graph.add(Op::Create { change });
            graph.order(gone, create);
            Ops {
                first: Some(gone),
                ready: Some(create),
                gone: Some(gone),
            }
        }
        Action::CreateThenDelete => {
            let depose = graph.add(Op::Depose { change });
            let create = graph.add(Op::Create { change });
            let delete = graph.add(Op::DeleteDeposed { change });
            graph.order(depose, create);
            graph.order(create, delete);
            Ops {
                first: Some(depose),
                ready: Some(create),
                gone: Some(delete),
            }
        }
    }
}

/// What check blocks read is read when everything else is done.
fn order_check_data(
    evaluator: &Evaluator<'_>,
    graph: &mut ExecutionGraph,
    changes: &[ResourceChange],
    ops: &[Ops],
) {
    let nested = |change: &ResourceChange| {
        change.action == Action::Read
            && evaluator
                .instance_config(&change.address)
                .is_some_and(|config| config.resource.check.is_some())
    };
    if !changes.iter().any(nested) {
        return;
    }
    let done = graph.add(Op::Join);
    for (change, op) in changes.iter().zip(ops) {
        match op.ready {
            Some(read) if nested(change) => graph.order(done, read),
            Some(ready) if change.address.resource.mode == ResourceMode::Managed => {
                graph.order(ready, done);
            }
            _ => {}
        }
    }
}

/// Every object of the evaluator that lies between operations becomes a join, so that the graph is as large as the references.
fn order_by_references(
    evaluator: &Evaluator<'_>,
    graph: &mut ExecutionGraph,
    changes: &[ResourceChange],
    ops: &[Ops],
    lifetimes: &BTreeMap<ObjectId, Lifetime>,
) {
    let mut nodes: FxHashMap<ObjectId, OpId> =
        lifetimes.iter().map(|(id, l)| (*id, l.open)).collect();
    let mut queue: Vec<ObjectId> = lifetimes.keys().copied().collect();
    let mut users: Vec<(ObjectId, OpId)> = Vec::new();
    for (change, op) in changes.iter().zip(ops) {
        if let (Some(ready), None) = (op.ready, &change.deposed) {
            let id = evaluator.id(Object::Instance(change.address.clone()));
            nodes.insert(id, ready);
            users.push((id, ready));
            queue.push(id);
        }
    }
    let mut walked: FxHashSet<ObjectId> = FxHashSet::default();
    while let Some(id) = queue.pop() {
        if !walked.insert(id) {
            continue;
        }
        for dependency in evaluator.dependencies(id).iter() {
            if *dependency == id {
                continue;
            }
            let from = *nodes
                .entry(*dependency)
                .or_insert_with(|| graph.add(Op::Join));
            if let Some(to) = nodes.get(&id) {
                graph.order(from, *to);
            }
            queue.push(*dependency);
        }
    }
    ephemeral::order_closing(evaluator, graph, lifetimes, &users);
    // The old object of a replacement goes after what its replacement needs is there only when it is created first;
    // otherwise the deletion waits for nothing here.
}

/// What stands between the changes of those that depend on a resource and the deletes of its objects.
#[derive(Default)]
struct Gate {
    /// Opens when the old objects of dependants are gone.
    early: Option<OpId>,
    /// Opens when dependants stand; only deposed objects wait for this.
    late: Option<OpId>,
}

/// Deletes wait for the deletes of what depended on them; a deposed object's delete also for the updates of its dependants.
fn order_deletions(
    evaluator: &Evaluator<'_>,
    graph: &mut ExecutionGraph,
    changes: &[ResourceChange],
    ops: &[Ops],
    depends: &[Resources],
) {
    let references = evaluator.references();
    let mut gates: FxHashMap<Id, Gate> = FxHashMap::default();
    let mut provider_needs: FxHashMap<&ProviderConfigRef, Resources> = FxHashMap::default();
    for ((change, op), needs) in changes.iter().zip(ops).zip(depends) {
        let first = match change.action {
            // What is created or updated against the new object must be done before the old one goes.
            Action::Create | Action::Update | Action::Read | Action::CreateThenDelete => op.ready,
            _ => None,
        };
        if op.gone.is_none() && first.is_none() {
            continue;
        }
        let provider = provider_needs.entry(&change.provider).or_insert_with(|| {
            let provider = Node::Provider(change.provider.config());
            references.resources_of(references.id(provider))
        });
        let own = references.id(Node::Resource(change.address.config()));
        for dependency in needs.iter().chain(provider.iter()) {
            if *dependency == own {
                continue;
            }
            let gate = gates.entry(*dependency).or_default();
            if let Some(gone) = op.gone {
                let early = *gate.early.get_or_insert_with(|| graph.add(Op::Join));
                graph.order(gone, early);
            }
            if let Some(ready) = first {
                let late = *gate.late.get_or_insert_with(|| graph.add(Op::Join));
                graph.order(ready, late);
            }
        }
    }
    for (change, op) in changes.iter().zip(ops) {
        let Some(gone) = op.gone else { continue };
        let own = references.id(Node::Resource(change.address.config()));
        let Some(gate) = gates.get(&own) else {
            continue;
        };
        let late = gate
            .late
            .filter(|_| change.action == Action::CreateThenDelete);
        for gate in gate.early.into_iter().chain(late) {
            graph.order(gate, gone);
        }
    }
}
