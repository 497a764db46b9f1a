//! How many operations of a kind a provider takes at once, beside the limit on all of them.

use std::collections::HashMap;

use stead_sdk::Operation;
use stead_state::ProviderConfigRef;

use super::Executor;
use crate::graph::{Op, OpId};

/// The operations of each kind that run, and those that wait for their turn.
#[derive(Default)]
pub(super) struct Limits {
    lanes: HashMap<(ProviderConfigRef, Operation), Lane>,
}

struct Lane {
    /// Zero means no limit.
    width: usize,
    running: usize,
    waiting: Vec<OpId>,
}

impl Executor<'_, '_> {
    fn lane(&self, id: OpId) -> Option<(ProviderConfigRef, Operation)> {
        let op = self.plan.graph.op(id);
        let operation = match op {
            Op::Read { .. } => Operation::Read,
            Op::Create { .. } => Operation::Create,
            Op::Update { .. } => Operation::Update,
            Op::Delete { .. } | Op::DeleteDeposed { .. } => Operation::Delete,
            _ => return None,
        };
        let change = self.plan.changes.get(op.change()?)?;
        Some((change.provider.clone(), operation))
    }

    /// Whether the operation may run now. Otherwise it is made ready when another of its kind has ended.
    pub(super) fn admit(&mut self, id: OpId) -> bool {
        let Some(key) = self.lane(id) else {
            return true;
        };
        if !self.limits.lanes.contains_key(&key) {
            let width = self.width(&key);
            let lane = Lane {
                width,
                running: 0,
                waiting: Vec::new(),
            };
            self.limits.lanes.insert(key.clone(), lane);
        }
        let Some(lane) = self.limits.lanes.get_mut(&key) else {
            return true;
        };
        if lane.width > 0 && lane.running >= lane.width {
            lane.waiting.push(id);
            return false;
        }
        lane.running += 1;
        true
    }

    fn width(&self, (provider, operation): &(ProviderConfigRef, Operation)) -> usize {
        match self.pool.get(provider) {
            Some(opened) => opened.provider().concurrency(*operation),
            None => self
                .registry
                .factory(&provider.source)
                .map_or(0, |factory| factory.instantiate().concurrency(*operation)),
        }
    }

    /// An admitted operation is over: what waited for it may try again.
    pub(super) fn release(&mut self, id: OpId) {
        let Some(key) = self.lane(id) else {
            return;
        };
        let Some(lane) = self.limits.lanes.get_mut(&key) else {
            return;
        };
        if lane.width == 0 {
            return;
        }
        lane.running = lane.running.saturating_sub(1);
        for waiting in std::mem::take(&mut lane.waiting) {
            self.make_ready(waiting);
        }
    }
}
