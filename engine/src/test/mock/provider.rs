//! A mock of a provider: its schemas and checks are real, what it creates and reads is made up.

use std::sync::Arc;

use async_trait::async_trait;
use stead_sdk::{
    ApplyRequest, ApplyResponse, Context, ForeignObject, Found, ImportBy, Lease, PlanRequest,
    PlanResponse, Private, Provider, ProviderFactory, ReadResponse,
};
use stead_value::addr::ResourceMode;
use stead_value::schema::{Block, ProviderSchema, Schema};
use stead_value::{Diagnostic, Diagnostics, Value};

use super::fill::{Open, With, computed};
use super::{Chance, Defaults, answers};

/// Makes mocks of one provider. They have nothing to configure.
pub(crate) struct Mock {
    real: Arc<dyn ProviderFactory>,
    schema: ProviderSchema,
    defaults: Arc<Defaults>,
    chance: Chance,
}

impl Mock {
    pub(crate) fn new(real: Arc<dyn ProviderFactory>, defaults: Defaults, chance: Chance) -> Mock {
        let schema = ProviderSchema {
            provider: Schema::default(),
            ..real.schema().clone()
        };
        Mock {
            real,
            schema,
            defaults: Arc::new(defaults),
            chance,
        }
    }
}

impl ProviderFactory for Mock {
    fn schema(&self) -> &ProviderSchema {
        &self.schema
    }

    fn instantiate(&self) -> Arc<dyn Provider> {
        Arc::new(MockProvider {
            real: self.real.instantiate(),
            factory: Arc::clone(&self.real),
            defaults: Arc::clone(&self.defaults),
            chance: Arc::clone(&self.chance),
        })
    }
}

struct MockProvider {
    real: Arc<dyn Provider>,
    factory: Arc<dyn ProviderFactory>,
    defaults: Arc<Defaults>,
    chance: Chance,
}

impl MockProvider {
    fn block(&self, mode: ResourceMode, type_name: &str) -> Result<&Block, Diagnostic> {
        let schema = self.factory.schema();
        let kinds = match mode {
            ResourceMode::Managed => &schema.resources,
            ResourceMode::Data => &schema.data_sources,
            ResourceMode::Ephemeral => &schema.ephemeral_resources,
        };
        match kinds.get(type_name) {
            Some(schema) => Ok(&schema.block),
            None => Err(Diagnostic::error(
                "Invalid resource type",
                format!("The provider has no {} type {type_name}.", mode.keyword()),
            )),
        }
    }

    fn known(&self, mode: ResourceMode, type_name: &str) -> With<'_> {
        let given = self.defaults.get(&(mode, type_name.into()));
        With::Known(given, &*self.chance)
    }

    /// Whether the values of a type are there while planning.
    fn during_plan(&self, type_name: &str) -> bool {
        let key = (ResourceMode::Managed, type_name.into());
        self.defaults.get(&key).is_some_and(|g| g.during_plan)
    }
}

#[async_trait]
impl Provider for MockProvider {
    fn validate_provider(&self, _config: &Value) -> Diagnostics {
        Diagnostics::new()
    }

    fn validate_resource(&self, type_name: &str, config: &Value) -> Diagnostics {
        self.real.validate_resource(type_name, config)
    }

    fn validate_data(&self, type_name: &str, config: &Value) -> Diagnostics {
        self.real.validate_data(type_name, config)
    }

    async fn configure(&self, _config: Value, _cx: &Context) -> Result<Diagnostics, Diagnostics> {
        Ok(Diagnostics::new())
    }

    fn upgrade(
        &self,
        type_name: &str,
        version: u64,
        attributes: &serde_json::Value,
    ) -> Result<Value, Diagnostics> {
        self.real.upgrade(type_name, version, attributes)
    }

    fn upgrade_identity(
        &self,
        type_name: &str,
        version: u64,
        identity: &serde_json::Value,
    ) -> Result<Value, Diagnostics> {
        self.real.upgrade_identity(type_name, version, identity)
    }

    fn take_over(
        &self,
        type_name: &str,
        object: &ForeignObject<'_>,
    ) -> Result<Option<Found>, Diagnostics> {
        self.real.take_over(type_name, object)
    }

    async fn plan(
        &self,
        type_name: &str,
        request: PlanRequest,
        _cx: &Context,
    ) -> Result<PlanResponse, Diagnostics> {
        let block = self.block(ResourceMode::Managed, type_name)?;
        let with = match self.during_plan(type_name) {
            true => self.known(ResourceMode::Managed, type_name),
            false => With::Unknown,
        };
        answers::plan(request, block, with)
    }

    async fn read(
        &self,
        _type_name: &str,
        prior: Value,
        private: Vec<u8>,
        _cx: &Context,
    ) -> Result<Option<ReadResponse>, Diagnostics> {
        Ok(Some(answers::unchanged(prior, private)))
    }

    async fn apply(&self, type_name: &str, request: ApplyRequest, _cx: &Context) -> ApplyResponse {
        match self.block(ResourceMode::Managed, type_name) {
            Ok(block) => {
                let with = self.known(ResourceMode::Managed, type_name);
                answers::apply(request, block, with)
            }
            Err(diagnostic) => ApplyResponse {
                value: request.prior,
                usable: true,
                private: request.private,
                identity: None,
                diagnostics: diagnostic.into(),
            },
        }
    }

    async fn import(
        &self,
        _type_name: &str,
        _by: &ImportBy,
        _cx: &Context,
    ) -> Result<Found, Diagnostics> {
        Err(Diagnostic::error(
            "Invalid import request",
            "Cannot import resources from mock providers. Use an `override_resource` block to targeting the specific resource being imported instead.",
        )
        .into())
    }

    fn validate_ephemeral(&self, type_name: &str, config: &Value) -> Diagnostics {
        self.real.validate_ephemeral(type_name, config)
    }

    async fn open_ephemeral(
        &self,
        type_name: &str,
        config: Value,
        _cx: &Context,
    ) -> Result<(Lease<Value>, Diagnostics), Diagnostics> {
        let block = self.block(ResourceMode::Ephemeral, type_name)?;
        let with = self.known(ResourceMode::Ephemeral, type_name);
        let (value, diagnostics) = computed(&config, block, Open::Null, with);
        Ok((Lease::from(value), diagnostics.into_result()?))
    }

    async fn renew_ephemeral(
        &self,
        _type_name: &str,
        private: Private,
        _cx: &Context,
    ) -> Result<(Lease<()>, Diagnostics), Diagnostics> {
        let lease = Lease {
            object: (),
            private,
            renew_at: None,
        };
        Ok((lease, Diagnostics::new()))
    }

    async fn close_ephemeral(
        &self,
        _type_name: &str,
        _private: Private,
        _cx: &Context,
    ) -> Result<Diagnostics, Diagnostics> {
        Ok(Diagnostics::new())
    }

    async fn read_data(
        &self,
        type_name: &str,
        config: Value,
        _cx: &Context,
    ) -> Result<(Value, Diagnostics), Diagnostics> {
        let block = self.block(ResourceMode::Data, type_name)?;
        let with = self.known(ResourceMode::Data, type_name);
        let (value, diagnostics) = computed(&config, block, Open::Null, with);
        Ok((value, diagnostics.into_result()?))
    }
}
