//! Rollouts: what is changed, replaced or removed among the instances of a resource is put into steps, with a gate behind each.
//!
//! Steps and gates are operations and orderings of the execution graph like any other, so that a plan shows them and a plan file
//! keeps them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use stead_lang::config::{self, RolloutFailure};
use stead_lang::expr::evaluate;
use stead_lang::syntax::Expression;
use stead_sdk::wait::parse_duration;
use stead_value::addr::{ConfigResource, ModuleInstance, Resource, ResourceMode};
use stead_value::convert::convert;
use stead_value::{Diagnostic, Diagnostics, Type, Value};

use super::ordering::Ops;
use crate::changes::{OnFailure, Rollout};
use crate::eval::{Evaluator, ModuleId, Repetition};
use crate::graph::{ExecutionGraph, Op, OpId, Order};
use crate::providers::Registry;
use crate::provision;
use crate::references::Node;
use crate::{Action, ResourceChange};

const INTERVAL: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// The instances of one resource.
#[derive(Default)]
struct Group {
    /// Positions of the changes that come in steps: the removals last.
    changes: Vec<usize>,
    /// How many instances there will be.
    instances: usize,
}

/// Orders what changes in steps; gives the rollouts that the graph's gates name.
pub(super) fn order(
    evaluator: &Evaluator<'_>,
    registry: &Registry,
    graph: &mut ExecutionGraph,
    changes: &[ResourceChange],
    ops: &[Ops],
    diagnostics: &mut Diagnostics,
) -> Vec<Rollout> {
    let mut rollouts = Vec::new();
    // The gates whose health check needs a resource.
    let mut waiting: BTreeMap<ConfigResource, Vec<OpId>> = BTreeMap::new();
    for ((module, resource), group) in groups(evaluator, changes) {
        if group.changes.is_empty() {
            continue;
        }
        let Some((id, said)) = declared(evaluator, &module, &resource) else {
            continue;
        };
        let settings = Settings {
            evaluator,
            module: id,
        };
        let rollout = match settings.read(said, &group, &module, &resource) {
            Ok(rollout) => rollout,
            Err(errors) => {
                diagnostics.extend(errors);
                continue;
            }
        };
        diagnostics.extend(settings.check_health(registry, said, &rollout));
        let index = rollouts.len();
        let gates = add_steps(graph, index, &rollout, &group, ops);
        for resource in awaited(evaluator, said, &module, &resource, diagnostics) {
            waiting.entry(resource).or_default().extend(&gates);
        }
        rollouts.push(rollout);
    }
    if waiting.is_empty() {
        return rollouts;
    }
    for (change, op) in changes.iter().zip(ops) {
        let gates = waiting.get(&change.address.config());
        if let (Some(gates), Some(last)) = (gates, op.last()) {
            for gate in gates {
                graph.order(last, *gate);
            }
        }
    }
    rollouts
}

fn declared<'c>(
    evaluator: &Evaluator<'c>,
    module: &ModuleInstance,
    resource: &Resource,
) -> Option<(ModuleId, &'c config::Rollout)> {
    let id = evaluator.enter_module(module)?;
    let node = evaluator.tree().get(&module.module())?;
    let resource = node.module.resources.get(resource)?;
    Some((id, resource.lifecycle.rollout.as_ref()?))
}

fn groups(
    evaluator: &Evaluator<'_>,
    changes: &[ResourceChange],
) -> BTreeMap<(ModuleInstance, Resource), Group> {
    let mut with_rollout: BTreeMap<ConfigResource, bool> = BTreeMap::new();
    for node in evaluator.tree().nodes() {
        for (address, resource) in &node.module.resources {
            if let Some(rollout) = &resource.lifecycle.rollout {
                let address = ConfigResource {
                    module: node.path.clone(),
                    resource: address.clone(),
                };
                with_rollout.insert(address, rollout.new_instances);
            }
        }
    }
    let mut groups = BTreeMap::<_, Group>::new();
    if with_rollout.is_empty() {
        return groups;
    }
    for (index, change) in changes.iter().enumerate() {
        if change.deposed.is_some() || change.address.resource.mode != ResourceMode::Managed {
            continue;
        }
        let Some(new_instances) = with_rollout.get(&change.address.config()) else {
            continue;
        };
        let key = (
            change.address.module.clone(),
            change.address.resource.clone(),
        );
        let group = groups.entry(key).or_default();
        let goes = matches!(change.action, Action::Delete | Action::Forget);
        group.instances += usize::from(!goes);
        let counts = match change.action {
            Action::NoOp | Action::Read => false,
            Action::Create => *new_instances,
            _ => true,
        };
        if counts {
            group.changes.push(index);
        }
    }
    for group in groups.values_mut() {
        let order = |i: &usize| {
            let change = changes.get(*i);
            let goes = change.is_some_and(|c| matches!(c.action, Action::Delete | Action::Forget));
            (goes, change.map(|c| c.address.key.clone()))
        };
        group.changes.sort_by_cached_key(order);
    }
    groups
}

/// Gives the gates.
fn add_steps(
    graph: &mut ExecutionGraph,
    index: usize,
    rollout: &Rollout,
    group: &Group,
    ops: &[Ops],
) -> Vec<OpId> {
    let order = match rollout.on_failure {
        OnFailure::Stop => Order::Needs,
        OnFailure::Continue => Order::Follows,
    };
    let mut gates: Vec<OpId> = Vec::new();
    for (step, members) in group
        .changes
        .chunks(rollout.max_in_flight.max(1))
        .enumerate()
    {
        let members: Vec<&Ops> = members.iter().filter_map(|i| ops.get(*i)).collect();
        if let Some(before) = gates.last().copied() {
            for first in members.iter().filter_map(|op| op.first) {
                graph.order_by(before, first, order);
            }
        }
        let is_last = step + 1 == rollout.steps;
        if is_last && !rollout.has_health_check {
            break;
        }
        // What needs the resource waits until all is well behind the last step, too.
        let users: BTreeSet<OpId> = members
            .iter()
            .filter(|_| is_last)
            .filter_map(|op| op.last())
            .flat_map(|last| graph.successors(last).collect::<Vec<_>>())
            .collect();
        let gate = graph.add(Op::Gate {
            rollout: index,
            step,
        });
        for user in users {
            graph.order(gate, user);
        }
        for last in members.iter().filter_map(|op| op.last()) {
            graph.order_by(last, gate, order);
        }
        gates.push(gate);
    }
    gates
}

/// The resources whose values the health check needs.
fn awaited(
    evaluator: &Evaluator<'_>,
    said: &config::Rollout,
    module: &ModuleInstance,
    own: &Resource,
    diagnostics: &mut Diagnostics,
) -> BTreeSet<ConfigResource> {
    let references = evaluator.references();
    let own = ConfigResource {
        module: module.module(),
        resource: own.clone(),
    };
    let mut found = BTreeSet::new();
    let mut seen = std::collections::HashSet::new();
    let mut queue: Vec<Node> = said
        .health_bodies()
        .flat_map(|body| references.of_body(&module.module(), body))
        .collect();
    while let Some(node) = queue.pop() {
        if !seen.insert(node.clone()) {
            continue;
        }
        match node {
            Node::Resource(resource) | Node::Instance(resource, _) => {
                found.insert(resource);
            }
            node => queue.extend(references.direct(&node)),
        }
    }
    if found.remove(&own) {
        let detail = format!(
            "The health check of a rollout stands between the steps of {own}, whose instances are not all there then: it cannot refer to them."
        );
        let range = said.health_check.as_ref().map(|h| h.check.range.clone());
        diagnostics
            .push(Diagnostic::error("Invalid reference in health check", detail).at_place(range));
    }
    found
}

/// Evaluates what a rollout says.
struct Settings<'e, 'c> {
    evaluator: &'e Evaluator<'c>,
    module: ModuleId,
}

impl Settings<'_, '_> {
    fn read(
        &self,
        said: &config::Rollout,
        group: &Group,
        module: &ModuleInstance,
        resource: &Resource,
    ) -> Result<Rollout, Diagnostics> {
        let mut problems = Diagnostics::new();
        let mut keep = |result: Result<Duration, Diagnostic>, otherwise| match result {
            Ok(value) => value,
            Err(problem) => {
                problems.push(problem);
                otherwise
            }
        };
        let health = said.health_check.as_ref();
        let interval = health.and_then(|h| h.interval.as_ref());
        let timeout = health.and_then(|h| h.timeout.as_ref());
        let pause = keep(
            self.duration(said.pause.as_ref(), Duration::ZERO),
            Duration::ZERO,
        );
        let interval = keep(self.duration(interval, INTERVAL), INTERVAL);
        let timeout = keep(self.duration(timeout, TIMEOUT), TIMEOUT);
        let max_in_flight = match self.in_flight(said.max_in_flight.as_ref(), group.instances) {
            Ok(count) => count,
            Err(problem) => {
                problems.push(problem);
                1
            }
        };
        problems.into_result()?;
        Ok(Rollout {
            module: module.clone(),
            resource: resource.clone(),
            instances: group.changes.len(),
            steps: group.changes.len().div_ceil(max_in_flight),
            max_in_flight,
            pause,
            on_failure: match said.on_failure {
                RolloutFailure::Stop => OnFailure::Stop,
                RolloutFailure::Continue => OnFailure::Continue,
            },
            has_health_check: health.is_some(),
            interval,
            timeout,
        })
    }

    fn value(&self, expr: &Expression, name: &str) -> Result<Value, Diagnostic> {
        let scope = self.evaluator.scope(self.module, Repetition::default());
        let outcome = evaluate(expr, &scope);
        let failed = outcome.diagnostics.has_errors();
        self.evaluator.report(outcome.diagnostics);
        let (value, _) = outcome.value.unmark();
        if !value.is_known() && !failed {
            let detail = format!(
                "The {name} of a rollout must be known while planning: the plan shows the steps. It depends on what is known only after the apply."
            );
            return Err(Diagnostic::error("Invalid rollout", detail).at(expr.range()));
        }
        Ok(value)
    }

    fn duration(
        &self,
        expr: Option<&Expression>,
        otherwise: Duration,
    ) -> Result<Duration, Diagnostic> {
        let Some(expr) = expr else {
            return Ok(otherwise);
        };
        let value = self.value(expr, "durations")?;
        if value.is_null() || !value.is_known() {
            return Ok(otherwise);
        }
        let read = convert(&value, &Type::String).ok();
        let read = read
            .as_ref()
            .and_then(Value::as_str)
            .and_then(parse_duration);
        read.ok_or_else(|| {
            let detail = "A duration is needed here: a number with a unit, such as \"30s\", \"5m\" or \"1h30m\".";
            Diagnostic::error("Invalid rollout", detail).at(expr.range())
        })
    }

    fn in_flight(&self, expr: Option<&Expression>, instances: usize) -> Result<usize, Diagnostic> {
        let Some(expr) = expr else {
            return Ok(1);
        };
        let value = self.value(expr, "max_in_flight")?;
        if value.is_null() || !value.is_known() {
            return Ok(1);
        }
        count(&value, instances).ok_or_else(|| {
            let detail = "The max_in_flight of a rollout is a whole number of instances, at least 1, or a share of them such as \"25%\".";
            Diagnostic::error("Invalid rollout", detail).at(expr.range())
        })
    }

    /// What is wrong with the health check, as far as it is known.
    fn check_health(
        &self,
        registry: &Registry,
        said: &config::Rollout,
        rollout: &Rollout,
    ) -> Diagnostics {
        let Some(health) = &said.health_check else {
            return Diagnostics::new();
        };
        let scope = self.evaluator.scope(self.module, Repetition::default());
        let blocks = std::slice::from_ref(&*health.check);
        provision::check(registry, None, blocks, &scope, &rollout.to_string())
    }
}

/// So many at a time; a share is rounded down, but never to none.
fn count(value: &Value, instances: usize) -> Option<usize> {
    if let Some(share) = value
        .as_str()
        .and_then(|text| text.trim().strip_suffix('%'))
    {
        let share: usize = share
            .trim()
            .parse()
            .ok()
            .filter(|n| (1..=100).contains(n))?;
        return Some((instances.saturating_mul(share) / 100).max(1));
    }
    let number = convert(value, &Type::Number).ok()?;
    let number = usize::try_from(number.as_i64()?).ok()?;
    (number > 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_all_instances_and_never_none() {
        let of = |text: &str, instances| count(&Value::string(text), instances);
        assert_eq!(of("25%", 8), Some(2));
        assert_eq!(of("25%", 3), Some(1));
        assert_eq!(of("100%", 5), Some(5));
        assert_eq!(of("3", 5), Some(3));
        for wrong in ["0%", "101%", "-1", "0", "1.5", "x", "%"] {
            assert_eq!(of(wrong, 8), None, "{wrong}");
        }
    }
}
