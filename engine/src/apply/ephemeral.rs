//! Ephemeral resources of an apply: opened before the first operation that uses them, closed behind the last.

use std::sync::Arc;

use stead_lang::decode::SourceMap;
use stead_value::addr::ResourceInstance;
use stead_value::{Diagnostics, Marks, Path, Value};
use tokio::task::JoinSet;

use super::operation::Started;
use super::{Executor, Finished};
use crate::ephemeral::{Held, Subject};
use crate::eval::Object;
use crate::graph::OpId;
use crate::plan::ephemeral::of_mode;
use crate::plan::locate;

/// How opening one went.
pub(super) struct Opening {
    index: usize,
    /// Of the evaluated configuration: marks to put back and places for diagnostics.
    sensitive: Vec<Path>,
    ranges: SourceMap,
    result: Result<(Value, Held, Diagnostics), Diagnostics>,
}

impl Executor<'_, '_> {
    pub(super) fn start_open(&mut self, id: OpId, index: usize) -> Started {
        let Some(instance) = self.plan.ephemerals.get(index).cloned() else {
            return Started::Done { changed: false };
        };
        let ready = self.access(&instance.provider).and_then(|access| {
            let (config, ranges) = self.evaluate(&instance.address, &instance.provider)?;
            Ok((access, config, ranges))
        });
        let (access, config, ranges) = match ready {
            Ok(ready) => ready,
            Err(errors) => {
                self.not_open(&instance.address);
                let shown = instance.address.to_string();
                return Started::Failed(locate(errors, &SourceMap::default(), &shown).collect());
            }
        };
        let sensitive = config.marked_paths(Marks::SENSITIVE);
        let (config, _) = config.unmark_deep();
        let context = self.context(&instance.address);
        let observer = Arc::clone(&self.observer);
        self.running.spawn(async move {
            let result = match access.open(&context).await {
                Ok(provider) => {
                    let subject = Subject {
                        address: instance.address,
                        provider: Arc::clone(provider),
                        observer,
                        context,
                    };
                    subject.open(config).await
                }
                Err(errors) => Err(errors),
            };
            let opening = Opening {
                index,
                sensitive,
                ranges,
                result,
            };
            (id, Finished::Opened(opening))
        });
        Started::Running
    }

    pub(super) fn opened(&mut self, id: OpId, opening: Opening) {
        let Opening {
            index,
            sensitive,
            ranges,
            result,
        } = opening;
        let Some(instance) = self.plan.ephemerals.get(index).cloned() else {
            return;
        };
        let address = instance.address;
        let shown = address.to_string();
        let (value, held, warnings) = match result {
            Ok(opened) => opened,
            Err(errors) => {
                self.diagnostics.extend(locate(errors, &ranges, &shown));
                self.not_open(&address);
                return self.failed(id);
            }
        };
        self.held.insert(index, held);
        self.diagnostics.extend(locate(warnings, &ranges, &shown));
        // All of it is ephemeral; what the schema calls sensitive needs no second mark.
        let value = value.apply_marks(&sensitive, Marks::SENSITIVE);
        let value = of_mode(&address, value);
        if !self.postconditions(&address, value.clone()) {
            self.not_open(&address);
            return self.failed(id);
        }
        let object = self.evaluator.id(Object::Instance(address));
        self.evaluator.publish(object, value);
        self.done(id);
    }

    fn not_open(&self, address: &ResourceInstance) {
        let object = self.evaluator.id(Object::Instance(address.clone()));
        self.evaluator.publish_failed(object);
    }

    pub(super) fn start_close(&mut self, id: OpId, index: usize) -> Started {
        let Some(held) = self.held.remove(&index) else {
            return Started::Done { changed: false };
        };
        self.running
            .spawn(async move { (id, Finished::Closed(held.close().await)) });
        Started::Running
    }

    /// Closes what is still open because what used it failed or was not started.
    pub(super) async fn close_ephemerals(&mut self) {
        let mut closing: JoinSet<Diagnostics> =
            self.held.drain().map(|(_, held)| held.close()).collect();
        while let Some(closed) = closing.join_next().await {
            self.diagnostics.extend(closed.unwrap_or_default());
        }
    }
}
