//! Provisioners of the objects of an apply.

use std::sync::Arc;

use stead_lang::config::ProvisionerWhen;
use stead_sdk::{Context, Progress};
use stead_state::ObjectStatus;
use stead_state::journal::JournalHandle;
use stead_value::addr::ResourceInstance;
use stead_value::{Diagnostics, Value};

pub(super) use crate::provision::Step;

use super::journal::not_noted;
use super::{Executor, Finished, Flight, StateSink};
use crate::changes::ResourceChange;
use crate::event::{Event, Observer};
use crate::graph::{Op, OpId};
use crate::provision;

/// Runs the provisioners of one object.
pub(super) struct Runner {
    address: ResourceInstance,
    observer: Arc<dyn Observer>,
    context: Context,
    journal: Option<JournalHandle>,
}

impl Runner {
    /// What they act on, and all that was done before, is on disk first: they must not run again because that was forgotten.
    pub(super) async fn run(
        &self,
        steps: Vec<Result<Step, Diagnostics>>,
    ) -> Result<(), Diagnostics> {
        if let (Some(journal), false) = (&self.journal, steps.is_empty()) {
            journal.settled().await.map_err(not_noted)?;
        }
        provision::run(steps, &self.address, &self.observer, &self.context).await
    }
}

impl Executor<'_, '_> {
    /// Unlike providers, provisioners see an interrupt at once: what they run knows how to end.
    pub(super) fn provisioning(&self, address: &ResourceInstance) -> Runner {
        let (observer, subject) = (Arc::clone(&self.observer), address.clone());
        let context =
            Context::new(self.cancel.clone()).with_progress(Arc::new(move |progress: Progress| {
                observer.event(Event::Progress {
                    address: subject.clone(),
                    message: progress.message,
                });
            }));
        Runner {
            address: address.clone(),
            observer: Arc::clone(&self.observer),
            context,
            journal: self.journal.clone(),
        }
    }

    /// What a new object still needs; each with what is wrong with it, if something is.
    pub(super) fn creation_provisioners(
        &self,
        change: &ResourceChange,
        object: &Value,
    ) -> Vec<Result<Step, Diagnostics>> {
        let Some(config) = self.enter(&change.address) else {
            return Vec::new();
        };
        let blocks = config.resource.provisioners.iter();
        let scope =
            self.evaluator
                .condition_scope(config.module, &config.repetition, Some(object.clone()));
        blocks
            .filter(|block| block.when == ProvisionerWhen::Create)
            .map(|block| {
                let base = config.resource.connection.as_ref();
                let step = Step::evaluate(self.registry, base, block, &scope);
                step.map_err(|errors| at_address(errors, &change.address))
            })
            .collect()
    }

    /// Whether provisioners act on an object, at its creation or its end.
    pub(super) fn is_provisioned(&self, address: &ResourceInstance) -> bool {
        let found = self.evaluator.provisioners(address);
        found.is_some_and(|provisioners| !provisioners.blocks.is_empty())
    }

    /// What runs before an object is destroyed: nothing for tainted ones, which may lack what it needs, and for deposed ones.
    pub(super) fn destroy_provisioners(
        &self,
        op: Op,
        change: &ResourceChange,
    ) -> Vec<Result<Step, Diagnostics>> {
        let deposed = change.deposed.is_some() || matches!(op, Op::DeleteDeposed { .. });
        let tainted = |o: &stead_state::Object| o.status == ObjectStatus::Tainted;
        if deposed || self.recorded(change, None).is_some_and(tainted) {
            return Vec::new();
        }
        let Some(found) = self.evaluator.provisioners(&change.address) else {
            return Vec::new();
        };
        let scope = self
            .evaluator
            .destroy_scope(&found, &change.address.key, &change.before);
        let blocks = found.blocks.iter();
        blocks
            .filter(|block| block.when == ProvisionerWhen::Destroy)
            .map(|block| {
                let step = Step::evaluate(self.registry, found.connection, block, &scope);
                step.map_err(|errors| at_address(errors, &change.address))
            })
            .collect()
    }

    pub(super) fn start_provisioning(
        &mut self,
        id: OpId,
        change: &ResourceChange,
        mut flight: Flight,
    ) {
        let steps = std::mem::take(&mut flight.provisioners);
        let runner = self.provisioning(&change.address);
        self.flights.insert(id, flight);
        self.running
            .spawn(async move { (id, Finished::Provisioned(runner.run(steps).await)) });
    }

    /// The provisioners of a new object have run: only now it is what it should be.
    pub(super) fn provisioned(
        &mut self,
        id: OpId,
        result: Result<(), Diagnostics>,
        sink: &mut dyn StateSink,
    ) {
        let Some(flight) = self.flights.remove(&id) else {
            return;
        };
        let Some(change) = self.plan.changes.get(flight.change).cloned() else {
            return;
        };
        let address = change.address.clone();
        if let Err(errors) = result {
            self.diagnostics.extend(errors);
            let object = crate::eval::Object::Instance(address.clone());
            self.evaluator.publish_failed(self.evaluator.id(object));
            return self.conclude(id, &change, &flight, false);
        }
        if let Some((object, provider)) = self.state.current(&address) {
            let (mut object, provider) = (object.clone(), provider.clone());
            object.status = ObjectStatus::Ready;
            self.state.set_current(&address, &provider, Some(object));
            self.record(sink, &address, None, false);
        }
        self.conclude(id, &change, &flight, true);
    }
}

fn at_address(errors: Diagnostics, address: &ResourceInstance) -> Diagnostics {
    errors
        .into_iter()
        .map(|d| match d.address {
            Some(_) => d,
            None => d.address(address.to_string()),
        })
        .collect()
}
