//! Refresh: what has become of the recorded objects.

use std::sync::Arc;
use std::time::Instant;

use stead_sdk::ReadResponse;
use stead_state::journal::Doubt;
use stead_state::{ObjectStatus, ProviderConfigRef};
use stead_value::addr::ResourceInstance;
use stead_value::{Diagnostic, Diagnostics, Marks, Type, Value};

use super::resume::doubt_of;
use super::{Finished, Planner};
use crate::event::Event;
use crate::object::Found;
use crate::{Action, ResourceChange, identity, object};

/// A recorded object as planning sees it.
#[derive(Clone, Debug)]
pub(super) struct Prior {
    /// As found by the refresh; null when it is gone.
    pub(super) value: Value,
    pub(super) private: Vec<u8>,
    /// `None` also when the type has none.
    pub(super) identity: Option<Value>,
    pub(super) tainted: bool,
    pub(super) create_before_destroy: bool,
}

/// The outcome of a refresh job; `None`: the object is gone.
pub(super) type Refreshed = Result<Option<ReadResponse>, Diagnostics>;

impl Planner<'_, '_> {
    /// Asks for the refresh of a recorded object, now or when its provider is open. Nothing happens for one that is not
    /// recorded.
    pub(super) fn want_refresh(
        &mut self,
        address: &ResourceInstance,
        provider: &ProviderConfigRef,
    ) {
        let recorded = self.state.current(address).is_some() || self.may_exist(address);
        if self.refreshed.contains_key(address) || !recorded {
            return;
        }
        if self.is_open(provider) {
            self.start_refresh(address.clone(), provider);
        } else {
            let waiting = self.to_refresh.entry(provider.clone()).or_default();
            waiting.insert(address.clone());
        }
    }

    fn is_open(&self, provider: &ProviderConfigRef) -> bool {
        let id = self
            .evaluator
            .id(crate::eval::Object::Provider(provider.clone()));
        self.evaluator.known(id).is_some() && self.pool.contains_key(provider)
    }

    pub(super) fn start_refresh(
        &mut self,
        address: ResourceInstance,
        provider: &ProviderConfigRef,
    ) {
        let Some((recorded, _)) = self.state.current(&address) else {
            return self.start_unnamed(&address);
        };
        let recorded = recorded.clone();
        let doubt = doubt_of(&recorded);
        let Some(opened) = self.pool.get(provider).cloned() else {
            return;
        };
        let schema = match self.registry.resource_schema(
            &provider.source,
            address.resource.mode,
            &address.resource.type_name,
        ) {
            Ok(schema) => schema,
            Err(diagnostic) => {
                self.diagnostics
                    .push(diagnostic.address(address.to_string()));
                return self.refresh_failed(&address);
            }
        };
        let provider_of = &**opened.provider();
        let decoded =
            object::decode(provider_of, &address.resource, schema, &recorded).and_then(|value| {
                let type_name = &address.resource.type_name;
                let identity = identity::decode(provider_of, type_name, schema, &recorded)?;
                Ok((value, identity))
            });
        let (value, identity) = match decoded {
            Ok(decoded) => decoded,
            Err(errors) => {
                self.diagnostics
                    .extend(errors.into_iter().map(|d| d.address(address.to_string())));
                return self.refresh_failed(&address);
            }
        };
        let prior = Prior {
            value: value.clone(),
            private: recorded.private.clone(),
            identity,
            tainted: recorded.status == ObjectStatus::Tainted,
            create_before_destroy: recorded.create_before_destroy,
        };
        self.refreshed.insert(address.clone(), prior);
        if let Some(Doubt::Create {
            schema_version,
            planned,
        }) = &doubt
        {
            let known = Some((value, recorded.private));
            return self.start_resume(&address, provider, *schema_version, planned, known);
        }
        let asked = self.options.refresh || doubt.is_some();
        let later =
            doubt.is_none() && self.options.minimal_refresh && self.desired.contains(&address);
        if !asked || later || opened.is_late() || !Self::is_managed(&address) {
            return self.continue_parked(&address);
        }
        match doubt {
            Some(Doubt::Delete) => {
                return self.ask_what_remains(address, opened, value, recorded.private);
            }
            // What has become of an operation that was cut off is about to be known.
            Some(_) => self.no_longer_in_doubt(&address),
            None => {}
        }
        self.read_object(address, opened, value, recorded.private);
    }

    /// With `-minimal-refresh`: asks about an object that the plan would change, once. Says whether its instance, which then
    /// waits, is to be planned anew.
    pub(super) fn refresh_before_change(&mut self, address: &ResourceInstance) -> bool {
        if !self.options.minimal_refresh || !self.asked.insert(address.clone()) {
            return false;
        }
        let Some(prior) = self.refreshed.get(address).cloned() else {
            return false;
        };
        let provider = self.state.current(address).map(|(_, p)| p.clone());
        match provider.and_then(|p| self.pool.get(&p).cloned()) {
            Some(opened) if !opened.is_late() => {
                self.read_object(address.clone(), opened, prior.value, prior.private);
                true
            }
            _ => false,
        }
    }

    fn read_object(
        &mut self,
        address: ResourceInstance,
        opened: crate::providers::Opened,
        value: Value,
        private: Vec<u8>,
    ) {
        let observer = Arc::clone(&self.observer);
        let context = self.context(&address);
        let id = super::instance::display_id(&value);
        let (plain, _) = value.unmark_deep();
        self.refreshing.insert(address.clone());
        self.jobs.push_back(Box::pin(async move {
            let started = Instant::now();
            observer.event(Event::RefreshStart {
                address: address.clone(),
                id,
            });
            let type_name = &address.resource.type_name;
            let read = opened
                .provider()
                .read(type_name, plain, private, &context)
                .await;
            let found = read.as_ref().ok().and_then(Option::as_ref);
            observer.event(Event::RefreshDone {
                address: address.clone(),
                id: found.and_then(|r| super::instance::display_id(&r.value)),
                elapsed: started.elapsed(),
            });
            Finished::Refreshed {
                address,
                result: read,
            }
        }));
    }

    pub(super) fn refresh_failed(&mut self, address: &ResourceInstance) {
        self.refresh_errors.insert(address.clone());
        self.continue_parked(address);
    }

    pub(super) fn take_refreshed(&mut self, address: ResourceInstance, result: Refreshed) {
        self.refreshing.remove(&address);
        let checked = result.and_then(|found| {
            self.check_refreshed(&address, found.as_ref())?;
            Ok(found)
        });
        match checked {
            Err(errors) => {
                self.diagnostics.extend(errors.into_iter().map(|d| {
                    if d.address.is_none() {
                        d.address(address.to_string())
                    } else {
                        d
                    }
                }));
                self.refresh_failed(&address);
            }
            Ok(found) => {
                self.fold_refreshed(&address, found);
                self.continue_parked(&address);
            }
        }
    }

    /// An object that was refreshed is still the one that was recorded.
    fn check_refreshed(
        &self,
        address: &ResourceInstance,
        found: Option<&ReadResponse>,
    ) -> Result<(), Diagnostic> {
        let (Some(found), Some((_, provider))) = (found, self.state.current(address)) else {
            return Ok(());
        };
        let schema = self.registry.resource_schema(
            &provider.source,
            address.resource.mode,
            &address.resource.type_name,
        )?;
        let recorded = self.refreshed.get(address);
        let recorded = recorded.and_then(|prior| prior.identity.as_ref());
        identity::check(address, schema, recorded, found.identity.as_ref())
    }

    /// Takes what was found into the prior values, the state, and the drift.
    fn fold_refreshed(&mut self, address: &ResourceInstance, found: Option<ReadResponse>) {
        let Some(prior) = self.refreshed.get_mut(address) else {
            return;
        };
        let recorded = prior.value.clone();
        let (value, private, identity) = match found {
            Some(found) => {
                let warnings = found.warnings.into_iter();
                self.diagnostics
                    .extend(warnings.map(|d| d.address(address.to_string())));
                let sensitive = recorded.marked_paths(Marks::SENSITIVE);
                let value = found.value.apply_marks(&sensitive, Marks::SENSITIVE);
                (
                    value,
                    found.private,
                    found.identity.or(prior.identity.take()),
                )
            }
            None => (Value::null(Type::Dynamic), Vec::new(), None),
        };
        let unchanged = recorded.raw_equals(&value) && prior.private == private;
        prior.value = value.clone();
        prior.private.clone_from(&private);
        prior.identity.clone_from(&identity);
        let Some((object, provider)) = self.state.current(address) else {
            return;
        };
        // What is older than its identity, or than today's form of it or of its attributes, is written anew.
        let schema = self.registry.resource_schema(
            &provider.source,
            address.resource.mode,
            &address.resource.type_name,
        );
        let identified = schema
            .as_ref()
            .ok()
            .and_then(|schema| identity::encode(identity.as_ref(), schema).ok()?);
        let is_old = object.is_flat || (identified.is_some() && identified != object.identity);
        if unchanged && !is_old {
            return;
        }
        let (object, provider) = (object.clone(), provider.clone());
        if !recorded.raw_equals(&value) {
            self.drift.push(ResourceChange {
                address: address.clone(),
                previous_address: None,
                deposed: None,
                importing: None,
                provider: provider.clone(),
                action: if value.is_null() {
                    Action::Delete
                } else {
                    Action::Update
                },
                reason: None,
                before: recorded,
                after: value.clone(),
                identity: None,
                replace_paths: Vec::new(),
                because: Vec::new(),
                notes: Vec::new(),
                late: false,
                private: Vec::new(),
                prior_private: Vec::new(),
                create_before_destroy: false,
                dependencies: Vec::new(),
            });
        }
        if value.is_null() {
            self.state.set_current(address, &provider, None);
            return;
        }
        let found = Found {
            value,
            private,
            identity,
        };
        let encoded = schema.and_then(|schema| {
            object::encode(
                found,
                schema,
                object.status,
                object.dependencies.clone(),
                object.create_before_destroy,
            )
        });
        match encoded {
            Ok(mut fresh) => {
                fresh.identity = fresh.identity.or(object.identity);
                fresh.unknown_fields = object.unknown_fields;
                self.state.set_current(address, &provider, Some(fresh));
            }
            Err(diagnostic) => self
                .diagnostics
                .push(diagnostic.address(address.to_string())),
        }
    }

    /// Goes on with an instance that had only waited for its refresh.
    pub(super) fn continue_parked(&mut self, address: &ResourceInstance) {
        if let Some(prepared) = self.parked.remove(address) {
            self.plan_prepared(prepared);
        }
    }
}
