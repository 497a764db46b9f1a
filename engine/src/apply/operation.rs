//! One operation: what is decided before it starts, and what runs.

use std::sync::Arc;

use stead_lang::decode::SourceMap;
use stead_sdk::{ApplyRequest, Context, Found, PlanRequest, Provider, proposed_new};
use stead_state::ProviderConfigRef;
use stead_state::journal::Operation;
use stead_value::addr::ResourceInstance;
use stead_value::schema::Schema;
use stead_value::{Diagnostic, Diagnostics, Marks, Severity, Value};
use tokio::sync::OnceCell;

use super::journal::Note;
use super::{Executor, Finished, Flight};
use crate::Action;
use crate::changes::ResourceChange;
use crate::checks::{CheckObject, RuleKind};
use crate::eval::{Object, Rules};
use crate::event::Event;
use crate::graph::{Op, OpId};
use crate::identity;
use crate::plan::{ignore_changes, locate};
use crate::providers::Opened;

/// How an operation's start went.
pub(super) enum Started {
    Running,
    /// Nothing had to run.
    Done {
        changed: bool,
    },
    Failed(Diagnostics),
}

/// What a job found.
pub(super) struct Outcome {
    /// The object now.
    pub(super) found: Found,
    /// A create failed after the object was whole: it is not to be replaced.
    pub(super) usable: bool,
    pub(super) diagnostics: Diagnostics,
    /// What the journal calls it, if it was noted there.
    pub(super) operation: Option<Operation>,
}

impl Outcome {
    /// Nothing was sent: the object is as it was.
    fn unsent(value: Value, private: Vec<u8>, diagnostics: Diagnostics) -> Outcome {
        Outcome {
            found: Found {
                value,
                private,
                identity: None,
            },
            usable: false,
            diagnostics,
            operation: None,
        }
    }
}

/// A provider that is configured by the first operation that needs it.
pub(super) struct Opening {
    provider: Arc<dyn Provider>,
    config: Value,
    configured: OnceCell<Result<(), Diagnostics>>,
}

/// A provider that a job may use once it is configured.
#[derive(Clone)]
pub(super) enum Access {
    Ready(Arc<dyn Provider>),
    Opening(Arc<Opening>),
}

impl Access {
    pub(super) async fn open(&self, context: &Context) -> Result<&Arc<dyn Provider>, Diagnostics> {
        match self {
            Access::Ready(provider) => Ok(provider),
            Access::Opening(opening) => {
                let configured = opening.configured.get_or_init(|| async {
                    context.progress("opening the provider");
                    opening
                        .provider
                        .configure(opening.config.clone(), context)
                        .await
                        .map(|_| ())
                });
                configured.await.clone()?;
                Ok(&opening.provider)
            }
        }
    }
}

/// What a create or update needs to know.
struct Write {
    access: Access,
    address: ResourceInstance,
    schema: Arc<Schema>,
    prior: Value,
    planned: Value,
    config: Value,
    private: Vec<u8>,
    prior_private: Vec<u8>,
    /// Of the object that is changed.
    identity: Option<Value>,
    late: bool,
    note: Option<Note>,
}

impl Executor<'_, '_> {
    pub(super) fn start(&mut self, id: OpId) -> Started {
        let op = self.plan.graph.op(id);
        match op {
            Op::Open { ephemeral } => return self.start_open(id, ephemeral),
            Op::Close { ephemeral } => return self.start_close(id, ephemeral),
            Op::Gate { rollout, step } => return self.start_gate(id, rollout, step),
            _ => {}
        }
        let Some(index) = op.change() else {
            return Started::Done { changed: false };
        };
        let Some(change) = self.plan.changes.get(index).cloned() else {
            return Started::Done { changed: false };
        };
        let result = match op {
            Op::Join | Op::Open { .. } | Op::Close { .. } | Op::Gate { .. } => {
                Ok(Started::Done { changed: false })
            }
            Op::Depose { .. } => Ok(self.depose(index, &change)),
            Op::Forget { .. } => {
                match &change.deposed {
                    Some(key) => {
                        self.state
                            .set_deposed(&change.address, &change.provider, key, None);
                    }
                    None => self
                        .state
                        .set_current(&change.address, &change.provider, None),
                }
                Ok(Started::Done { changed: true })
            }
            Op::Delete { .. } | Op::DeleteDeposed { .. } => {
                self.start_delete(id, op, index, &change)
            }
            Op::Create { .. } | Op::Update { .. } => self.start_write(id, op, index, &change),
            Op::Read { .. } => self.start_read(id, index, &change),
        };
        result.unwrap_or_else(|diagnostics| {
            let address = change.address.to_string();
            Started::Failed(
                diagnostics
                    .into_iter()
                    .map(|d| {
                        if d.address.is_none() {
                            d.address(address.clone())
                        } else {
                            d
                        }
                    })
                    .collect(),
            )
        })
    }

    fn depose(&mut self, index: usize, change: &ResourceChange) -> Started {
        let Some((object, provider)) = self.state.current(&change.address) else {
            return Started::Done { changed: false };
        };
        let (object, provider) = (object.clone(), provider.clone());
        let taken = |key: &str| {
            self.state
                .instance(&change.address)
                .is_some_and(|i| i.deposed.contains_key(key))
        };
        let key = (0_u32..)
            .map(|n| {
                format!(
                    "{:08x}",
                    (index as u32).wrapping_mul(0x9e37_79b9).wrapping_add(n)
                )
            })
            .find(|key| !taken(key))
            .unwrap_or_default();
        self.state.set_current(&change.address, &provider, None);
        self.state
            .set_deposed(&change.address, &provider, &key, Some(object));
        self.deposed.insert(index, key);
        Started::Done { changed: true }
    }

    fn launch(
        &mut self,
        id: OpId,
        mut flight: Flight,
        address: &ResourceInstance,
        job: impl Future<Output = Outcome> + Send + 'static,
    ) -> Started {
        // What is created has no identity yet, even when it replaces something that had.
        let change = self.plan.changes.get(flight.change);
        let shown = match flight.action {
            Action::Update | Action::Delete => {
                change.and_then(|c| crate::plan::display_id(&c.before))
            }
            _ => None,
        };
        if flight.action == Action::Delete {
            let planned = change.and_then(|c| c.deposed.as_ref());
            flight.deposed = planned.or(self.deposed.get(&flight.change)).cloned();
        }
        self.observer.event(Event::Start {
            address: address.clone(),
            deposed: flight.deposed.clone(),
            action: flight.action,
            id: shown,
        });
        self.flights.insert(id, flight);
        self.running
            .spawn(async move { (id, Finished::Object(job.await)) });
        Started::Running
    }

    fn start_delete(
        &mut self,
        id: OpId,
        op: Op,
        index: usize,
        change: &ResourceChange,
    ) -> Result<Started, Diagnostics> {
        let access = self.access(&change.provider)?;
        let context = self.context(&change.address);
        let steps = self.destroy_provisioners(op, change);
        let provisioning = self.provisioning(&change.address);
        let (prior, _) = change.before.clone().unmark_deep();
        let request = ApplyRequest {
            planned: Value::null(prior.ty()),
            config: Value::null(prior.ty()),
            private: change.prior_private.clone(),
            prior,
        };
        let type_name = Arc::clone(&change.address.resource.type_name);
        let schema = self.registry.resource_schema(
            &change.provider.source,
            change.address.resource.mode,
            &type_name,
        )?;
        let deposed = match op {
            Op::DeleteDeposed { change } => self.deposed.get(&change).cloned(),
            _ => change.deposed.clone(),
        };
        let note = self.note(change, schema, &[], deposed);
        let flight = Flight::new(
            index,
            Action::Delete,
            change.before.marked_paths(Marks::SENSITIVE),
            SourceMap::default(),
        );
        Ok(self.launch(id, flight, &change.address, async move {
            let opened = match provisioning.run(steps).await {
                Ok(()) => access.open(&context).await,
                Err(diagnostics) => Err(diagnostics),
            };
            let provider = match opened {
                Ok(provider) => provider,
                // It is as it was.
                Err(diagnostics) => {
                    return Outcome::unsent(request.prior, request.private, diagnostics);
                }
            };
            let operation = match &note {
                Some(note) => match note.begin(&request.prior, &request.planned, &context).await {
                    Ok((operation, _)) => Some(operation),
                    Err(diagnostic) => {
                        return Outcome::unsent(request.prior, request.private, diagnostic.into());
                    }
                },
                None => None,
            };
            let response = provider.apply(&type_name, request, &context).await;
            Outcome {
                found: Found {
                    value: response.value,
                    private: response.private,
                    identity: response.identity,
                },
                usable: false,
                diagnostics: response.diagnostics,
                operation,
            }
        }))
    }

    fn start_write(
        &mut self,
        id: OpId,
        op: Op,
        index: usize,
        change: &ResourceChange,
    ) -> Result<Started, Diagnostics> {
        let access = self.access(&change.provider)?;
        let (config, ranges) = self.evaluate(&change.address, &change.provider)?;
        let type_name = &change.address.resource.type_name;
        let schema = self
            .registry
            .resource_schema(
                &change.provider.source,
                change.address.resource.mode,
                type_name,
            )?
            .clone();
        let update = matches!(op, Op::Update { .. });
        let null = Value::null(schema.block.value_type());
        let prior = if update { change.before.clone() } else { null };
        let config = match self.enter(&change.address) {
            Some(found) => ignore_changes(
                &found.resource.lifecycle.ignore_changes,
                &schema,
                &prior,
                &config,
            ),
            None => config,
        };
        // What the plan shows as sensitive is, and what has turned out to be now that it is known.
        let mut sensitive = config.marked_paths(Marks::SENSITIVE);
        if !change.late {
            sensitive.extend(change.after.marked_paths(Marks::SENSITIVE));
        }
        let ((config, _), (prior, _)) = (config.unmark_deep(), prior.unmark_deep());
        let (planned, _) = change.after.clone().unmark_deep();
        let note = self.note(change, &schema, &sensitive, None);
        let write = Write {
            access,
            note,
            address: change.address.clone(),
            schema,
            prior,
            planned,
            config,
            private: change.private.clone(),
            prior_private: if update {
                change.prior_private.clone()
            } else {
                Vec::new()
            },
            identity: change.identity_after().cloned(),
            late: change.late,
        };
        let context = self.context(&change.address);
        let action = if update {
            Action::Update
        } else {
            Action::Create
        };
        let flight = Flight::new(index, action, sensitive, ranges);
        Ok(self.launch(id, flight, &change.address, write.run(context)))
    }

    fn start_read(
        &mut self,
        id: OpId,
        index: usize,
        change: &ResourceChange,
    ) -> Result<Started, Diagnostics> {
        let access = self.access(&change.provider)?;
        let (config, ranges) = self.evaluate(&change.address, &change.provider)?;
        let sensitive = config.marked_paths(Marks::SENSITIVE);
        let (config, _) = config.unmark_deep();
        let context = self.context(&change.address);
        let type_name = Arc::clone(&change.address.resource.type_name);
        let null = Value::null(change.after.ty());
        let flight = Flight::new(index, Action::Read, sensitive, ranges);
        Ok(self.launch(id, flight, &change.address, async move {
            let read = match access.open(&context).await {
                Ok(provider) => provider.read_data(&type_name, config, &context).await,
                Err(diagnostics) => Err(diagnostics),
            };
            let (value, diagnostics) = read.unwrap_or_else(|errors| (null, errors));
            Outcome::unsent(value, Vec::new(), diagnostics)
        }))
    }

    /// The instance's configuration with the values that are known now, after its preconditions.
    pub(super) fn evaluate(
        &self,
        address: &ResourceInstance,
        provider: &ProviderConfigRef,
    ) -> Result<(Value, SourceMap), Diagnostics> {
        let schema = self.registry.resource_schema(
            &provider.source,
            address.resource.mode,
            &address.resource.type_name,
        )?;
        let Some(config) = self.enter(address) else {
            return Err(self.cannot_evaluate(&address.to_string()));
        };
        let id = self.evaluator.id(Object::Instance(address.clone()));
        let attempt = self.evaluator.run(id, || {
            let scope = self
                .evaluator
                .scope(config.module, config.repetition.clone());
            let object = CheckObject::Instance(address.clone());
            let rules = Rules::new(
                &object,
                RuleKind::Precondition,
                &config.resource.lifecycle.preconditions,
                Severity::Error,
            );
            (
                self.evaluator.decode_instance(&config, &schema.block),
                self.evaluator.check(&rules, &scope),
            )
        });
        let Some(attempt) = attempt else {
            return Err(self.cannot_evaluate(&address.to_string()));
        };
        let (decoded, conditions) = attempt.value;
        if attempt.failed || decoded.failed {
            return Err(self.failed_before(&address.to_string()));
        }
        let mut diagnostics = decoded.diagnostics;
        diagnostics.extend(conditions);
        diagnostics.into_result()?;
        if !decoded.value.is_wholly_known() {
            return Err(Diagnostic::error(
                "Configuration contains unknown value",
                format!("The configuration for {address} still contains unknown values during apply. This is a bug in stead: please report it."),
            )
            .into());
        }
        Ok((decoded.value, decoded.ranges))
    }

    /// The evaluator has said why, or an ordering is missing from the plan.
    fn cannot_evaluate(&self, what: &str) -> Diagnostics {
        let found = self.evaluator.take_diagnostics();
        if found.has_errors() {
            return found;
        }
        Diagnostic::error(
            "Configuration cannot be evaluated",
            format!("{what} needs a value that this apply has not produced. Run plan and apply again; if it stays, please report it."),
        )
        .into()
    }

    /// What this needs has failed; why is said once, whoever asks first.
    fn failed_before(&self, what: &str) -> Diagnostics {
        let found = self.evaluator.take_diagnostics();
        if found.has_errors() || self.diagnostics.has_errors() {
            return found;
        }
        self.cannot_evaluate(what)
    }

    pub(super) fn access(&mut self, address: &ProviderConfigRef) -> Result<Access, Diagnostics> {
        if let Some(Opened::Ready(provider)) = self.pool.get(address) {
            return Ok(Access::Ready(Arc::clone(provider)));
        }
        if let Some(opening) = self.opening.get(address) {
            return Ok(Access::Opening(Arc::clone(opening)));
        }
        let factory = self.registry.factory_for(address)?;
        let block = &factory.schema().provider.block;
        let mut path = stead_value::addr::ModuleInstance::root();
        for name in &address.module.0 {
            path = path.child(Arc::clone(name), stead_value::addr::InstanceKey::None);
        }
        self.evaluator.enter_module(&path);
        let Some(found) = self.evaluator.find_provider(address) else {
            return Err(Diagnostic::error(
                "Provider configuration not present",
                format!("The configuration has no {address}."),
            )
            .into());
        };
        let id = self.evaluator.id(Object::Provider(address.clone()));
        let Some(attempt) = self
            .evaluator
            .run(id, || self.evaluator.decode_provider(&found, block))
        else {
            return Err(self.cannot_evaluate(&address.to_string()));
        };
        if attempt.failed || attempt.value.failed {
            return Err(self.failed_before(&address.to_string()));
        }
        let decoded = attempt.value;
        decoded.diagnostics.into_result()?;
        let (config, _) = decoded.value.unmark_deep();
        if !config.is_wholly_known() {
            return Err(Diagnostic::error(
                "Provider configuration not known",
                format!("The configuration of {address} holds values that are still unknown."),
            )
            .into());
        }
        let provider = match self.pool.get(address) {
            Some(opened) => Arc::clone(opened.provider()),
            None => factory.instantiate(),
        };
        let found = provider.validate_provider(&config);
        let located: Diagnostics = locate(found, &decoded.ranges, &address.to_string()).collect();
        located.into_result()?;
        let opening = Arc::new(Opening {
            provider,
            config,
            configured: OnceCell::new(),
        });
        self.opening.insert(address.clone(), Arc::clone(&opening));
        Ok(Access::Opening(opening))
    }
}

impl Write {
    async fn run(self, context: Context) -> Outcome {
        let prior = self.prior.clone();
        let private = self.prior_private.clone();
        match self.write(&context).await {
            Ok(outcome) => outcome,
            Err(diagnostics) => Outcome::unsent(prior, private, diagnostics),
        }
    }

    /// Plans finally, holds the result against the promise, and applies it.
    async fn write(self, context: &Context) -> Result<Outcome, Diagnostics> {
        let provider = self.access.open(context).await?;
        let type_name = &self.address.resource.type_name;
        let request = PlanRequest {
            prior: self.prior.clone(),
            proposed: proposed_new(&self.schema, &self.prior, &self.config),
            config: self.config.clone(),
            prior_private: self.prior_private.clone(),
        };
        let fresh = provider.plan(type_name, request, context).await?;
        if self.late && !self.prior.is_null() && !fresh.planned.raw_equals(&self.prior) {
            return Err(self.plan_again());
        }
        if !self.late
            && let Some(path) =
                first_contradiction(&self.planned, &fresh.planned, &stead_value::Path::root())
        {
            return Err(self.inconsistent(&path));
        }
        let private = if fresh.private.is_empty() {
            self.private
        } else {
            fresh.private
        };
        let promised = fresh.planned.clone();
        let request = ApplyRequest {
            prior: self.prior,
            planned: fresh.planned,
            config: self.config,
            private,
        };
        let (operation, context) = match &self.note {
            Some(note) => {
                let begun = note.begin(&request.prior, &request.planned, context).await;
                begun.map(|(operation, context)| (Some(operation), context))?
            }
            None => (None, context.clone()),
        };
        let response = provider.apply(type_name, request, &context).await;
        let mut diagnostics = response.diagnostics;
        let (until_now, mut identity) = (self.identity.as_ref(), response.identity);
        if let Err(diagnostic) =
            identity::check(&self.address, &self.schema, until_now, identity.as_ref())
        {
            diagnostics.push(diagnostic);
            // What was recorded stays.
            identity = None;
        }
        if !diagnostics.has_errors() {
            diagnostics.extend(broken_promise(&self.address, &promised, &response.value));
        }
        let value = if response.value.is_wholly_known() {
            response.value
        } else {
            if !diagnostics.has_errors() {
                diagnostics.push(Diagnostic::error(
                    "Provider returned invalid result object after apply",
                    format!("After the apply operation, the provider still indicated an unknown value for {}. This is a bug in the provider; the values that are known have been saved.", self.address),
                ));
            }
            crate::object::unknown_as_null(&response.value)
        };
        Ok(Outcome {
            found: Found {
                value,
                private: response.private,
                identity,
            },
            usable: response.usable,
            diagnostics,
            operation,
        })
    }

    fn plan_again(&self) -> Diagnostics {
        Diagnostic::error(
            "Plan again",
            format!("{} exists, and what should become of it could only be decided now that its provider is configured. Nothing was changed: run plan again to see the change before it is made.", self.address),
        )
        .into()
    }

    fn inconsistent(&self, path: &stead_value::Path) -> Diagnostics {
        Diagnostic::error(
            "Provider produced inconsistent final plan",
            format!("When its configuration was complete, the provider planned another value for {}.{path} than the plan shows. Nothing was changed: run plan again.", self.address),
        )
        .into()
    }
}

/// What an apply gave although the plan, which was known there, said something else.
fn broken_promise(
    address: &ResourceInstance,
    promised: &Value,
    result: &Value,
) -> Option<Diagnostic> {
    let why = if result.is_null() {
        "Root object was present, but now absent".to_owned()
    } else {
        let path = first_contradiction(promised, result, &stead_value::Path::root())?;
        format!(".{path}: the value is not the one that was planned")
    };
    Some(Diagnostic::error(
        "Provider produced inconsistent result after apply",
        format!(
            "When applying changes to {address}, the provider produced an unexpected new value: {why}. What it produced is recorded. This is a bug in the provider: please report it."
        ),
    ))
}

/// The first place where a final plan says something else than the plan that was shown; unknowns may become anything.
fn first_contradiction(
    shown: &Value,
    last: &Value,
    at: &stead_value::Path,
) -> Option<stead_value::Path> {
    use stead_value::Kind as V;
    match (shown.kind(), last.kind()) {
        (V::Unknown(..), _) => None,
        (V::Object(a) | V::Map(_, a), V::Object(b) | V::Map(_, b)) => {
            for (name, shown) in a.iter() {
                let step = match last.kind() {
                    V::Object(_) => at.attr(Arc::clone(name)),
                    _ => at.index(Value::string(name)),
                };
                match b.get(name) {
                    Some(last) => {
                        if let Some(path) = first_contradiction(shown, last, &step) {
                            return Some(path);
                        }
                    }
                    None => return Some(step),
                }
            }
            (a.len() != b.len()).then(|| at.clone())
        }
        (V::List(_, a) | V::Tuple(a), V::List(_, b) | V::Tuple(b)) => {
            if a.len() != b.len() {
                return Some(at.clone());
            }
            a.iter()
                .zip(b.iter())
                .enumerate()
                .find_map(|(i, (a, b))| first_contradiction(a, b, &at.index_number(i)))
        }
        // Elements of sets have no place of their own: unknown ones may merge.
        (V::Set(_, a), V::Set(_, b)) if a.iter().any(|v| !v.is_wholly_known()) => {
            (b.len() > a.len()).then(|| at.clone())
        }
        _ => (!shown.raw_equals(last)).then(|| at.clone()),
    }
}
