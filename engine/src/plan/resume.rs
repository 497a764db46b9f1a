//! Objects whose operation was cut off: what has become of them, before anything is planned for them.

use std::sync::Arc;
use std::time::Instant;

use stead_sdk::{Found, ReadResponse, ResumeRequest, Resumed};
use stead_state::journal::{Doubt, IN_DOUBT, Intent};
use stead_state::{ObjectStatus, ProviderConfigRef};
use stead_value::addr::ResourceInstance;
use stead_value::{Diagnostic, Diagnostics, Marks, Type, Value};

use super::refresh::Prior;
use super::{Finished, Planner};
use crate::event::Event;
use crate::{identity, object};

/// What the state says of an object's unfinished operation. What cannot be read calls for a look at the object all the same.
pub(super) fn doubt_of(object: &stead_state::Object) -> Option<Doubt> {
    let noted = object.unknown_fields.get(IN_DOUBT)?;
    Some(serde_json::from_value(noted.clone()).unwrap_or(Doubt::Update))
}

impl Planner<'_, '_> {
    /// Whether an object may have been made under this address by a run that was cut off.
    pub(super) fn may_exist(&self, address: &ResourceInstance) -> bool {
        self.in_doubt.contains_key(address)
    }

    /// Asks what has become of a create that was cut off and of which nothing but the address is known.
    pub(super) fn start_unnamed(&mut self, address: &ResourceInstance) {
        let Some(intent) = self.in_doubt.get(address).cloned() else {
            return;
        };
        let Doubt::Create {
            schema_version,
            planned,
        } = intent.doubt
        else {
            return;
        };
        self.start_resume(address, &intent.provider, schema_version, &planned, None);
    }

    /// Asks what has become of a create that was cut off. Without a provider that can be asked, nothing is told.
    pub(super) fn start_resume(
        &mut self,
        address: &ResourceInstance,
        provider: &ProviderConfigRef,
        schema_version: u64,
        planned: &serde_json::Value,
        known: Option<(Value, Vec<u8>)>,
    ) {
        let address = address.clone();
        let opened = self.pool.get(provider).filter(|o| !o.is_late()).cloned();
        let Some(opened) = opened else {
            return self.take_resumed(&address, Ok(Resumed::Unknown));
        };
        let type_name = Arc::clone(&address.resource.type_name);
        let planned = match opened
            .provider()
            .upgrade(&type_name, schema_version, planned)
        {
            Ok(planned) => planned,
            Err(errors) => return self.take_resumed(&address, Err(errors)),
        };
        let known = known.map(|(value, private)| (value.unmark_deep().0, private));
        let observer = Arc::clone(&self.observer);
        let context = self.context(&address);
        self.refreshing.insert(address.clone());
        self.jobs.push_back(Box::pin(async move {
            let started = Instant::now();
            let id = known
                .as_ref()
                .and_then(|(v, _)| super::instance::display_id(v));
            observer.event(Event::RefreshStart {
                address: address.clone(),
                id: id.clone(),
            });
            let request = ResumeRequest { planned, known };
            let result = opened
                .provider()
                .resume(&type_name, request, &context)
                .await;
            observer.event(Event::RefreshDone {
                address: address.clone(),
                id,
                elapsed: started.elapsed(),
            });
            Finished::Resumed { address, result }
        }));
    }

    pub(super) fn take_resumed(
        &mut self,
        address: &ResourceInstance,
        result: Result<Resumed<ReadResponse>, Diagnostics>,
    ) {
        self.refreshing.remove(address);
        let intent = self.in_doubt.remove(address);
        let recorded = self.state.current(address);
        let recorded = recorded.map(|(object, provider)| (object.clone(), provider.clone()));
        let provider = recorded
            .as_ref()
            .map(|(_, provider)| provider.clone())
            .or_else(|| intent.as_ref().map(|i| i.provider.clone()));
        let Some(provider) = provider else {
            return self.continue_parked(address);
        };
        match result {
            Err(errors) => {
                let at = |d: Diagnostic| match d.address {
                    Some(_) => d,
                    None => d.address(address.to_string()),
                };
                self.diagnostics.extend(errors.into_iter().map(at));
                return self.refresh_failed(address);
            }
            Ok(Resumed::Absent) => {
                self.state.set_current(address, &provider, None);
                if let Some(prior) = self.refreshed.get_mut(address) {
                    prior.value = Value::null(Type::Dynamic);
                    prior.private.clear();
                    prior.identity = None;
                }
            }
            Ok(Resumed::Complete(found)) => {
                self.found_again(address, &provider, found, recorded, ObjectStatus::Ready);
            }
            Ok(Resumed::Unfit(found)) => {
                self.found_again(address, &provider, found, recorded, ObjectStatus::Tainted);
            }
            Ok(Resumed::Unknown) => {
                let diagnostic = cannot_tell(address, recorded.as_ref().map(|(o, _)| o));
                self.diagnostics
                    .push(diagnostic.address(address.to_string()));
            }
        }
        self.continue_parked(address);
    }

    fn found_again(
        &mut self,
        address: &ResourceInstance,
        provider: &ProviderConfigRef,
        found: ReadResponse,
        recorded: Option<(stead_state::Object, ProviderConfigRef)>,
        status: ObjectStatus,
    ) {
        let ReadResponse {
            value,
            private,
            identity,
            warnings,
        } = found;
        let at = |d: Diagnostic| d.address(address.to_string());
        self.diagnostics.extend(warnings.into_iter().map(at));
        let schema = match self.registry.resource_schema(
            &provider.source,
            address.resource.mode,
            &address.resource.type_name,
        ) {
            Ok(schema) => schema,
            Err(diagnostic) => return self.diagnostics.push(at(diagnostic)),
        };
        let until_now = self
            .refreshed
            .get(address)
            .and_then(|p| p.identity.as_ref());
        if let Err(diagnostic) = identity::check(address, schema, until_now, identity.as_ref()) {
            return self.diagnostics.push(at(diagnostic));
        }
        let recorded = recorded.map(|(object, _)| object);
        let known_to_be = recorded.iter().flat_map(|o| o.sensitive_attributes.clone());
        let by_schema = object::sensitive_by_schema(&schema.block, &value);
        let sensitive: Vec<_> = known_to_be.chain(by_schema).collect();
        let value = value.apply_marks(&sensitive, Marks::SENSITIVE);
        let (dependencies, create_before_destroy, noted) = recorded
            .map(|o| (o.dependencies, o.create_before_destroy, o.identity))
            .unwrap_or_default();
        let found = Found {
            value: value.clone(),
            private: private.clone(),
            identity: identity.clone(),
        };
        match object::encode(found, schema, status, dependencies, create_before_destroy) {
            Ok(mut object) => {
                object.identity = object.identity.or(noted);
                self.state.set_current(address, provider, Some(object));
                self.refreshed.insert(
                    address.clone(),
                    Prior {
                        value,
                        private,
                        identity,
                        tainted: status == ObjectStatus::Tainted,
                        create_before_destroy,
                    },
                );
            }
            Err(diagnostic) => self.diagnostics.push(at(diagnostic)),
        }
    }

    /// Names what may exist and is not looked into by this plan.
    pub(super) fn report_doubts(&mut self) {
        let mut left: Vec<&Intent> = self.in_doubt.values().collect();
        left.sort_by(|a, b| a.address.cmp(&b.address));
        let found: Vec<Diagnostic> = left
            .into_iter()
            .map(|intent| cannot_tell(&intent.address, None))
            .collect();
        self.diagnostics.extend(found);
    }
}

/// Nobody can say whether a create that was cut off made its object.
fn cannot_tell(address: &ResourceInstance, recorded: Option<&stead_state::Object>) -> Diagnostic {
    let what_to_do = match recorded {
        Some(_) => "It is kept as tainted, so that it is destroyed and made anew. If it is whole, keep it with `stead untaint`; if it is not there, take it out of the state with `stead state rm`.".to_owned(),
        None => format!("Look on the other side whether it is there. If it is, take it in with `stead import '{address}' ID`, or remove it there."),
    };
    Diagnostic::warning(
        "Object in doubt",
        format!(
            "{address} was being created when an earlier run was cut off, and it cannot be told whether it exists. {what_to_do}"
        ),
    )
}
