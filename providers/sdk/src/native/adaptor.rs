//! The provider over typed resources: everything that is the same for all of them.

use std::sync::Arc;

use async_trait::async_trait;
use stead_value::schema::Block;
use stead_value::{Diagnostic, Diagnostics, Value};
use tokio::sync::OnceCell;

use crate::native::definition::{DataEntry, Definition, EphemeralEntry, ResourceEntry};
use crate::native::erased::Outcome;
use crate::native::state_json;
use crate::plan::{
    Leniency, align, check_config, draft_of, known_only, null_write_only, replacements, volatile,
};
use crate::settings::with_environment;
use crate::{
    ApplyRequest, ApplyResponse, Context, Dialer, Discovered, ForeignObject, Found, ImportBy,
    Lease, Operation, PlanRequest, PlanResponse, Private, Provider, ReadResponse, Remains,
    ResumeRequest, Resumed,
};

/// One configured (or not yet configured) native provider.
pub(crate) struct NativeProvider<C> {
    definition: Arc<Definition<C>>,
    dialer: Dialer,
    client: OnceCell<C>,
}

impl<C: Send + Sync + 'static> NativeProvider<C> {
    pub(crate) fn new(definition: Arc<Definition<C>>, dialer: Dialer) -> NativeProvider<C> {
        NativeProvider {
            definition,
            dialer,
            client: OnceCell::new(),
        }
    }

    fn resource(&self, type_name: &str) -> Result<&ResourceEntry<C>, Diagnostic> {
        self.definition
            .resources
            .get(type_name)
            .ok_or_else(|| self.no_type("resource", type_name))
    }

    fn data_source(&self, type_name: &str) -> Result<&DataEntry<C>, Diagnostic> {
        self.definition
            .data_sources
            .get(type_name)
            .ok_or_else(|| self.no_type("data source", type_name))
    }

    fn ephemeral(&self, type_name: &str) -> Result<&EphemeralEntry<C>, Diagnostic> {
        self.definition
            .ephemerals
            .get(type_name)
            .ok_or_else(|| self.no_type("ephemeral resource", type_name))
    }

    fn no_type(&self, what: &str, type_name: &str) -> Diagnostic {
        let detail = format!(
            "The provider {} of stead has no {what} named {type_name}.",
            self.definition.name
        );
        Diagnostic::error(format!("Unknown {what} type"), detail)
    }

    fn client(&self) -> Result<&C, Diagnostic> {
        self.client.get().ok_or_else(|| {
            let detail = format!(
                "The provider {} was used before it was configured.",
                self.definition.name
            );
            Diagnostic::error("Provider not configured", detail)
        })
    }

    /// What an operation left, as the engine wants it: no secrets to store, written as `reference` writes it.
    fn settle(&self, entry: &ResourceEntry<C>, value: &Value, reference: &Value) -> Value {
        let value = if entry.write_only {
            null_write_only(&entry.schema.block, value)
        } else {
            value.clone()
        };
        align(value, reference, Leniency::of(entry.legacy))
    }

    /// An object that was found again, written as `reference` writes it.
    fn found(
        &self,
        entry: &ResourceEntry<C>,
        object: Found,
        reference: &Value,
        cx: &Context,
    ) -> ReadResponse {
        ReadResponse {
            value: self.settle(entry, &object.value, reference),
            private: object.private,
            identity: object.identity,
            warnings: cx.take_warnings(),
        }
    }

    async fn plan_change(
        &self,
        entry: &ResourceEntry<C>,
        request: PlanRequest,
        cx: &Context,
    ) -> Result<PlanResponse, Diagnostics> {
        let PlanRequest {
            prior,
            proposed,
            config,
            prior_private,
        } = request;
        let block = &entry.schema.block;
        let mut draft = draft_of(
            block,
            entry.ty.clone(),
            prior,
            &proposed,
            config,
            entry.legacy,
        );
        volatile(&mut draft, &entry.volatile);
        for path in replacements(block, &draft.prior, &draft.planned) {
            draft.replace(path);
        }
        let before_hook = draft.planned.clone();
        entry
            .operations
            .plan(self.client.get(), &mut draft, cx)
            .await?;
        if draft.planned != before_hook {
            // What the hook changed may have further consequences by the schema.
            volatile(&mut draft, &entry.volatile);
            let known = replacements(block, &draft.prior, &before_hook);
            for path in replacements(block, &draft.prior, &draft.planned) {
                if !known.contains(&path) {
                    draft.replace(path);
                }
            }
        }
        Ok(PlanResponse {
            planned: draft.planned,
            requires_replace: draft.requires_replace,
            private: prior_private,
            warnings: draft.warnings,
            notes: draft.notes,
        })
    }

    async fn change(
        &self,
        entry: &ResourceEntry<C>,
        request: ApplyRequest,
        cx: &Context,
    ) -> ApplyResponse {
        let ApplyRequest {
            prior,
            planned,
            config,
            private,
        } = request;
        let client = match self.client() {
            Ok(client) => client,
            Err(diagnostic) => return unchanged(prior, private, diagnostic),
        };
        let operations = &entry.operations;
        if planned.is_null() {
            return match operations.delete(client, &prior, private.clone(), cx).await {
                Ok(()) => ApplyResponse {
                    usable: false,
                    value: planned,
                    private: Vec::new(),
                    identity: None,
                    diagnostics: Diagnostics::new(),
                },
                Err(diagnostic) => unchanged(prior, private, diagnostic),
            };
        }
        let wanted = known_only(&planned);
        let Outcome {
            usable,
            value,
            private,
            identity,
            error,
        } = if prior.is_null() {
            operations
                .create(client, &wanted, &config, private, cx)
                .await
        } else {
            operations
                .update(client, &prior, &wanted, &config, private, cx)
                .await
        };
        let value = value.map_or(prior, |value| self.settle(entry, &value, &planned));
        ApplyResponse {
            value,
            usable,
            private,
            identity,
            diagnostics: error.into_iter().collect(),
        }
    }
}

/// Nothing happened.
fn unchanged(prior: Value, private: Vec<u8>, diagnostic: Diagnostic) -> ApplyResponse {
    ApplyResponse {
        usable: false,
        value: prior,
        private,
        identity: None,
        diagnostics: diagnostic.into(),
    }
}

/// A data source's configuration, with what was computed in the place of what it leaves out: an empty list that was found
/// is not null.
fn configured_or_computed(block: &Block, config: &Value, found: &Value) -> Value {
    let Some(entries) = config.as_entries() else {
        return config.clone();
    };
    let computed = |name: &str| block.attributes.get(name).is_some_and(|a| a.computed);
    let entries = entries.iter().map(|(name, value)| {
        let found = found
            .get(name)
            .filter(|_| value.is_null() && computed(name));
        (Arc::clone(name), found.unwrap_or_else(|| value.clone()))
    });
    Value::object(entries.collect())
}

#[async_trait]
impl<C: Send + Sync + 'static> Provider for NativeProvider<C> {
    fn validate_provider(&self, config: &Value) -> Diagnostics {
        check_config(
            &format!("the provider {}", self.definition.name),
            &self.definition.config.block,
            config,
        )
    }

    fn validate_resource(&self, type_name: &str, config: &Value) -> Diagnostics {
        match self.resource(type_name) {
            Ok(entry) => {
                let mut found = check_config(type_name, &entry.schema.block, config);
                found.extend(entry.operations.validate(config));
                found
            }
            Err(diagnostic) => diagnostic.into(),
        }
    }

    fn validate_data(&self, type_name: &str, config: &Value) -> Diagnostics {
        match self.data_source(type_name) {
            Ok(entry) => {
                let mut found = check_config(type_name, &entry.schema.block, config);
                found.extend(entry.operations.validate(config));
                found
            }
            Err(diagnostic) => diagnostic.into(),
        }
    }

    async fn configure(&self, config: Value, cx: &Context) -> Result<Diagnostics, Diagnostics> {
        let (names, environment) = (self.definition.environment, self.dialer.environment());
        let config = with_environment(&config, names, environment)?;
        let client = (self.definition.connect)(&config, self.dialer.clone(), cx.clone()).await?;
        self.client.set(client).map_err(|_| {
            let detail = format!(
                "The provider {} was configured twice.",
                self.definition.name
            );
            Diagnostics::from(Diagnostic::error("Provider configured twice", detail))
        })?;
        Ok(Diagnostics::new())
    }

    fn upgrade(
        &self,
        type_name: &str,
        version: u64,
        attributes: &serde_json::Value,
    ) -> Result<Value, Diagnostics> {
        let entry = self.resource(type_name)?;
        if version > entry.schema.version {
            let detail = format!(
                "The state holds {type_name} in version {version} of its form, written by a newer provider; stead knows \
                 it up to version {}.",
                entry.schema.version
            );
            return Err(Diagnostic::error("State from a newer provider", detail).into());
        }
        if version == entry.schema.version {
            return Ok(state_json::decode(&entry.schema.block, attributes)?);
        }
        let upgraded = entry.operations.upgrade(version, attributes.clone())?;
        Ok(state_json::decode(&entry.schema.block, &upgraded)?)
    }

    fn upgrade_identity(
        &self,
        type_name: &str,
        version: u64,
        identity: &serde_json::Value,
    ) -> Result<Value, Diagnostics> {
        let entry = self.resource(type_name)?;
        let Some(schema) = &entry.schema.identity else {
            let detail = format!("Objects of the type {type_name} have no identity.");
            return Err(Diagnostic::error("No resource identity", detail).into());
        };
        let upgraded = if version == schema.version {
            identity.clone()
        } else {
            entry
                .operations
                .upgrade_identity(version, identity.clone())?
        };
        Ok(state_json::decode_identity(schema, &upgraded)?)
    }

    fn take_over(
        &self,
        type_name: &str,
        object: &ForeignObject<'_>,
    ) -> Result<Option<Found>, Diagnostics> {
        let entry = self.resource(type_name)?;
        let other = self.definition.resources.get(object.type_name);
        let is_ours = *object.provider.name == *self.definition.name;
        if is_ours && other.is_some_and(|other| other.of == entry.of) {
            // Another name of the same type: the object as it stands.
            let value = self.upgrade(type_name, object.schema_version, object.attributes)?;
            return Ok(Some(Found {
                identity: entry.operations.identity(&value, object.private)?,
                private: object.private.to_vec(),
                value,
            }));
        }
        entry.operations.take_over(object).map(Some)
    }

    async fn plan(
        &self,
        type_name: &str,
        request: PlanRequest,
        cx: &Context,
    ) -> Result<PlanResponse, Diagnostics> {
        let entry = self.resource(type_name)?;
        if request.proposed.is_null() {
            return Ok(PlanResponse {
                planned: request.proposed,
                requires_replace: Vec::new(),
                private: request.prior_private,
                warnings: Diagnostics::new(),
                notes: Vec::new(),
            });
        }
        self.plan_change(entry, request, cx).await
    }

    async fn read(
        &self,
        type_name: &str,
        prior: Value,
        private: Vec<u8>,
        cx: &Context,
    ) -> Result<Option<ReadResponse>, Diagnostics> {
        let entry = self.resource(type_name)?;
        let cx = cx.for_operation();
        let found = entry
            .operations
            .read(self.client()?, &prior, private, &cx)
            .await?;
        Ok(found.map(|object| self.found(entry, object, &prior, &cx)))
    }

    async fn apply(&self, type_name: &str, request: ApplyRequest, cx: &Context) -> ApplyResponse {
        match self.resource(type_name) {
            Ok(entry) => {
                let cx = cx.for_operation();
                let mut response = self.change(entry, request, &cx).await;
                response.diagnostics.extend(cx.take_warnings());
                response
            }
            Err(diagnostic) => unchanged(request.prior, request.private, diagnostic),
        }
    }

    async fn resume(
        &self,
        type_name: &str,
        request: ResumeRequest,
        cx: &Context,
    ) -> Result<Resumed<ReadResponse>, Diagnostics> {
        let entry = self.resource(type_name)?;
        let cx = cx.for_operation();
        let ResumeRequest { planned, known } = request;
        let resumed = entry
            .operations
            .resume(self.client()?, &planned, known, &cx)
            .await?;
        Ok(resumed.map(|object| self.found(entry, object, &planned, &cx)))
    }

    async fn remains(
        &self,
        type_name: &str,
        prior: Value,
        private: Vec<u8>,
        cx: &Context,
    ) -> Result<Remains<ReadResponse>, Diagnostics> {
        let entry = self.resource(type_name)?;
        let cx = cx.for_operation();
        let remains = entry
            .operations
            .remains(self.client()?, &prior, private, &cx)
            .await?;
        Ok(remains.map(|object| self.found(entry, object, &prior, &cx)))
    }

    async fn import(
        &self,
        type_name: &str,
        by: &ImportBy,
        cx: &Context,
    ) -> Result<Found, Diagnostics> {
        let entry = self.resource(type_name)?;
        let mut found = entry.operations.import(self.client()?, by, cx).await?;
        if entry.write_only {
            found.value = null_write_only(&entry.schema.block, &found.value);
        }
        Ok(found)
    }

    async fn discover(
        &self,
        type_name: &str,
        cx: &Context,
    ) -> Result<(Vec<Discovered>, Diagnostics), Diagnostics> {
        let entry = self.resource(type_name)?;
        let cx = cx.for_operation();
        let found = entry.operations.discover(self.client()?, &cx).await?;
        Ok((found, cx.take_warnings()))
    }

    fn key(&self, type_name: &str, object: &Value) -> Option<String> {
        self.resource(type_name).ok()?.operations.key(object)
    }

    async fn read_data(
        &self,
        type_name: &str,
        config: Value,
        cx: &Context,
    ) -> Result<(Value, Diagnostics), Diagnostics> {
        let entry = self.data_source(type_name)?;
        let cx = cx.for_operation();
        let value = entry.operations.read(self.client()?, &config, &cx).await?;
        let reference = configured_or_computed(&entry.schema.block, &config, &value);
        Ok((
            align(value, &reference, Leniency::Empty),
            cx.take_warnings(),
        ))
    }

    fn validate_ephemeral(&self, type_name: &str, config: &Value) -> Diagnostics {
        match self.ephemeral(type_name) {
            Ok(entry) => {
                let mut found = check_config(type_name, &entry.schema.block, config);
                found.extend(entry.operations.validate(config));
                found
            }
            Err(diagnostic) => diagnostic.into(),
        }
    }

    async fn open_ephemeral(
        &self,
        type_name: &str,
        config: Value,
        cx: &Context,
    ) -> Result<(Lease<Value>, Diagnostics), Diagnostics> {
        let entry = self.ephemeral(type_name)?;
        let cx = cx.for_operation();
        let lease = entry.operations.open(self.client()?, &config, &cx).await?;
        let reference = configured_or_computed(&entry.schema.block, &config, &lease.object);
        let value = align(lease.object.clone(), &reference, Leniency::Empty);
        Ok((lease.with(value), cx.take_warnings()))
    }

    async fn renew_ephemeral(
        &self,
        type_name: &str,
        private: Private,
        cx: &Context,
    ) -> Result<(Lease<()>, Diagnostics), Diagnostics> {
        let entry = self.ephemeral(type_name)?;
        let cx = cx.for_operation();
        let lease = entry.operations.renew(self.client()?, private, &cx).await?;
        Ok((lease, cx.take_warnings()))
    }

    async fn close_ephemeral(
        &self,
        type_name: &str,
        private: Private,
        cx: &Context,
    ) -> Result<Diagnostics, Diagnostics> {
        let entry = self.ephemeral(type_name)?;
        let cx = cx.for_operation();
        entry.operations.close(self.client()?, private, &cx).await?;
        Ok(cx.take_warnings())
    }

    fn concurrency(&self, operation: Operation) -> usize {
        self.definition
            .limits
            .get(&(operation as u8))
            .copied()
            .unwrap_or(0)
    }
}
