//! Provider configurations: evaluated, checked and opened when first needed.

use std::sync::Arc;

use stead_sdk::Context;
use stead_state::ProviderConfigRef;
use stead_value::{Diagnostic, Value};

use super::{Finished, Kind, Planner, locate};
use crate::eval::{Object, ObjectId};
use crate::providers::Opened;

impl Planner<'_, '_> {
    /// Asks for a provider configuration to be opened, once.
    pub(super) fn want_provider(&mut self, address: &ProviderConfigRef) {
        if self.opening.insert(address.clone()) {
            self.push(Object::Provider(address.clone()));
        }
    }

    /// Evaluates a provider configuration and lets the provider check and take it; one with unknown values is late.
    pub(super) fn open(&mut self, id: ObjectId, address: &ProviderConfigRef) {
        let factory = match self.registry.factory_for(address) {
            Ok(factory) => Arc::clone(factory),
            Err(diagnostic) => {
                self.diagnostics.push(diagnostic);
                return self.publish_failed(id);
            }
        };
        if self.evaluator.awaits_caller(address) {
            return self.publish(id, Value::bool(true));
        }
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

    /// What waited for the provider goes on.
    pub(super) fn opened(&mut self, address: &ProviderConfigRef, opened: Opened) {
        self.pool.insert(address.clone(), opened);
        for instance in self.to_refresh.remove(address).unwrap_or_default() {
            self.start_refresh(instance, address);
        }
        let id = self.evaluator.id(Object::Provider(address.clone()));
        self.publish(id, Value::bool(true));
        self.generate_with(address);
    }
}
