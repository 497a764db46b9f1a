//! Refresh: what has become of the recorded objects.

use std::sync::Arc;
use std::time::Instant;

use stead_sdk::{Found, ReadResponse, Remains};
use stead_state::journal::{Doubt, IN_DOUBT};
use stead_state::{ObjectStatus, ProviderConfigRef};
use stead_value::addr::ResourceInstance;
use stead_value::schema::Schema;
use stead_value::{Diagnostic, Diagnostics, Marks, Type, Value};

use super::instance::display_id;
use super::resume::doubt_of;
use super::{Finished, Planner};
use crate::event::Event;
use crate::providers::Opened;
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

/// What a look at a recorded object has shown.
pub(super) type Refreshed = Result<Remains<ReadResponse>, Diagnostics>;

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
        let schema = Arc::clone(schema);
        let known =
            match object::recorded(&**opened.provider(), &address.resource, &schema, &recorded) {
                Ok(known) => known,
                Err(errors) => {
                    self.diagnostics
                        .extend(errors.into_iter().map(|d| d.address(address.to_string())));
                    return self.refresh_failed(&address);
                }
            };
        let prior = Prior {
            value: known.value.clone(),
            private: known.private.clone(),
            identity: known.identity.clone(),
            tainted: recorded.status == ObjectStatus::Tainted,
            create_before_destroy: recorded.create_before_destroy,
        };
        self.refreshed.insert(address.clone(), prior);
        if let Some(Doubt::Create {
            schema_version,
            planned,
        }) = &doubt
        {
            let known = Some((known.value, known.private));
            return self.start_resume(&address, provider, *schema_version, planned, known);
        }
        let asked = self.options.refresh || doubt.is_some();
        let later =
            doubt.is_none() && self.options.minimal_refresh && self.desired.contains(&address);
        if !asked || later || opened.is_late() || !Self::is_managed(&address) {
            return self.continue_parked(&address);
        }
        self.refresh(address, opened, schema, known, doubt);
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
        let Some((_, provider)) = self.state.current(address) else {
            return false;
        };
        let schema = self.registry.resource_schema(
            &provider.source,
            address.resource.mode,
            &address.resource.type_name,
        );
        match (self.pool.get(provider).cloned(), schema) {
            (Some(opened), Ok(schema)) if !opened.is_late() => {
                let known = Found {
                    value: prior.value,
                    private: prior.private,
                    identity: prior.identity,
                };
                self.refresh(address.clone(), opened, Arc::clone(schema), known, None);
                true
            }
            _ => false,
        }
    }

    fn refresh(
        &mut self,
        address: ResourceInstance,
        opened: Opened,
        schema: Arc<Schema>,
        known: Found,
        doubt: Option<Doubt>,
    ) {
        let look = self.look(address.clone(), opened, schema, known, doubt);
        self.refreshing.insert(address.clone());
        self.jobs.push_back(Box::pin(async move {
            let result = look.await;
            Finished::Refreshed { address, result }
        }));
    }

    /// Looks what there is of a recorded object, or of what a delete that was cut off has left of it.
    pub(super) fn look(
        &self,
        address: ResourceInstance,
        opened: Opened,
        schema: Arc<Schema>,
        known: Found,
        doubt: Option<Doubt>,
    ) -> impl Future<Output = Refreshed> + Send + use<> {
        let observer = Arc::clone(&self.observer);
        let context = self.context(&address);
        async move {
            let started = Instant::now();
            observer.event(Event::RefreshStart {
                address: address.clone(),
                id: display_id(&known.value),
            });
            let (plain, _) = known.value.unmark_deep();
            let type_name = &address.resource.type_name;
            let provider = opened.provider();
            let seen = match doubt {
                Some(Doubt::Delete) => {
                    provider
                        .remains(type_name, plain, known.private, &context)
                        .await
                }
                _ => {
                    let found = provider.read(type_name, plain, known.private, &context);
                    let found = found.await;
                    found.map(|found| found.map_or(Remains::Nothing, Remains::Whole))
                }
            };
            let found = seen.as_ref().ok().and_then(Remains::object);
            observer.event(Event::RefreshDone {
                address: address.clone(),
                id: found.and_then(|r| display_id(&r.value)),
                elapsed: started.elapsed(),
            });
            // It is still the object that was recorded.
            let until_now = known.identity;
            let seen = seen?.try_map(|found| {
                identity::check(
                    &address,
                    &schema,
                    until_now.as_ref(),
                    found.identity.as_ref(),
                )?;
                Ok::<_, Diagnostic>(ReadResponse {
                    identity: found.identity.or(until_now),
                    ..found
                })
            })?;
            Ok(seen)
        }
    }

    pub(super) fn refresh_failed(&mut self, address: &ResourceInstance) {
        self.refresh_errors.insert(address.clone());
        self.continue_parked(address);
    }

    pub(super) fn take_refreshed(&mut self, address: ResourceInstance, result: Refreshed) {
        self.refreshing.remove(&address);
        match result {
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

    /// Takes what was found into the prior values, the state, and the drift. What a delete has left stays in doubt until it is deleted; where
    /// the configuration still wants the object, it is replaced.
    fn fold_refreshed(&mut self, address: &ResourceInstance, found: Remains<ReadResponse>) {
        let Some(prior) = self.refreshed.get_mut(address) else {
            return;
        };
        let recorded = prior.value.clone();
        let is_part = matches!(found, Remains::Part(_));
        let (value, private, identity) = match found.into_object() {
            Some(found) => {
                let warnings = found.warnings.into_iter();
                self.diagnostics
                    .extend(warnings.map(|d| d.address(address.to_string())));
                let sensitive = recorded.marked_paths(Marks::SENSITIVE);
                let value = found.value.apply_marks(&sensitive, Marks::SENSITIVE);
                (value, found.private, found.identity)
            }
            None => (Value::null(Type::Dynamic), Vec::new(), None),
        };
        let unchanged = recorded.raw_equals(&value) && prior.private == private;
        prior.value = value.clone();
        prior.private.clone_from(&private);
        prior.identity.clone_from(&identity);
        prior.tainted |= is_part;
        let Some((object, provider)) = self.state.current(address) else {
            return;
        };
        let in_doubt = object.unknown_fields.contains_key(IN_DOUBT);
        if unchanged && identity.is_none() && !object.is_flat && !in_doubt {
            return;
        }
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
        if unchanged && !is_old && !in_doubt {
            return;
        }
        let (mut object, provider) = (object.clone(), provider.clone());
        if is_part {
            object.status = ObjectStatus::Tainted;
        } else {
            object.unknown_fields.remove(IN_DOUBT);
        }
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
