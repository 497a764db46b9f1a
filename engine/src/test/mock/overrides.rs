//! Values for single objects: a provider that asks the one behind it about everything else.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use stead_lang::config::ObjectAddress;
use stead_sdk::{
    ApplyRequest, ApplyResponse, Context, ForeignObject, Found, ImportBy, Lease, PlanRequest,
    PlanResponse, Private, Provider, ProviderFactory, ReadResponse,
};
use stead_value::addr::{InstanceKey, ModuleInstance, Resource, ResourceInstance};
use stead_value::schema::{Block, Nesting, ProviderSchema};
use stead_value::{Diagnostics, Value};

use super::fill::{Open, With, computed};
use super::{Chance, Given, answers};

type Keyed = (Arc<str>, InstanceKey);

/// Overrides by what they are for.
#[derive(Clone, Default)]
pub(crate) struct Overrides {
    /// With a key: that instance; without: every instance that has no override of its own.
    objects: HashMap<(Vec<Keyed>, Resource, InstanceKey), Given>,
    modules: HashMap<Vec<Keyed>, Given>,
}

impl Overrides {
    /// Adds an override, unless its target has one.
    pub(crate) fn add(&mut self, target: &ObjectAddress, given: Given) {
        let key = |key: &Option<InstanceKey>| key.clone().unwrap_or(InstanceKey::None);
        let module = target.module.iter();
        let module: Vec<Keyed> = module.map(|(n, k)| (Arc::clone(n), key(k))).collect();
        match &target.resource {
            Some((resource, k)) => {
                let target = (module, resource.clone(), key(k));
                self.objects.entry(target).or_insert(given);
            }
            None => drop(self.modules.entry(module).or_insert(given)),
        }
    }

    /// These, and those of `other` whose targets have none here.
    pub(crate) fn or(&self, other: &Overrides) -> Overrides {
        let mut all = self.clone();
        for (target, given) in &other.objects {
            all.objects
                .entry(target.clone())
                .or_insert_with(|| given.clone());
        }
        all
    }

    pub(crate) fn has_modules(&self) -> bool {
        !self.modules.is_empty()
    }

    pub(crate) fn has_objects(&self) -> bool {
        !self.objects.is_empty()
    }

    fn object(&self, address: &ResourceInstance) -> Option<&Given> {
        if self.objects.is_empty() {
            return None;
        }
        let mut target = (
            address.module.0.to_vec(),
            address.resource.clone(),
            address.key.clone(),
        );
        self.objects.get(&target).or_else(|| {
            target.2 = InstanceKey::None;
            self.objects.get(&target)
        })
    }

    /// The outputs that stand for a module instance.
    pub(crate) fn module(&self, address: &ModuleInstance) -> Option<&Given> {
        if self.modules.is_empty() {
            return None;
        }
        let mut target = address.0.to_vec();
        self.modules.get(&target).or_else(|| {
            target.last_mut()?.1 = InstanceKey::None;
            self.modules.get(&target)
        })
    }
}

/// A provider's factory with overrides in front of it.
pub(crate) struct Overriding {
    pub(crate) inner: Arc<dyn ProviderFactory>,
    pub(crate) overrides: Arc<Overrides>,
    pub(crate) chance: Chance,
}

impl ProviderFactory for Overriding {
    fn schema(&self) -> &ProviderSchema {
        self.inner.schema()
    }

    fn instantiate(&self) -> Arc<dyn Provider> {
        Arc::new(OverridingProvider {
            inner: self.inner.instantiate(),
            factory: Arc::clone(&self.inner),
            overrides: Arc::clone(&self.overrides),
            chance: Arc::clone(&self.chance),
        })
    }
}

struct OverridingProvider {
    inner: Arc<dyn Provider>,
    factory: Arc<dyn ProviderFactory>,
    overrides: Arc<Overrides>,
    chance: Chance,
}

impl OverridingProvider {
    /// The override of the object that an operation is about, and its schema.
    fn found(&self, type_name: &str, data: bool, cx: &Context) -> Option<(&Given, &Block)> {
        let given = self.overrides.object(cx.object()?)?;
        let schema = self.factory.schema();
        let kinds = match data {
            true => &schema.data_sources,
            false => &schema.resources,
        };
        Some((given, &kinds.get(type_name)?.block))
    }

    fn known<'a>(&'a self, given: &'a Given) -> With<'a> {
        With::Known(Some(given), &*self.chance)
    }
}

#[async_trait]
impl Provider for OverridingProvider {
    fn validate_provider(&self, config: &Value) -> Diagnostics {
        self.inner.validate_provider(config)
    }

    fn validate_resource(&self, type_name: &str, config: &Value) -> Diagnostics {
        self.inner.validate_resource(type_name, config)
    }

    fn validate_data(&self, type_name: &str, config: &Value) -> Diagnostics {
        self.inner.validate_data(type_name, config)
    }

    async fn configure(&self, config: Value, cx: &Context) -> Result<Diagnostics, Diagnostics> {
        self.inner.configure(config, cx).await
    }

    fn upgrade(
        &self,
        type_name: &str,
        version: u64,
        attributes: &serde_json::Value,
    ) -> Result<Value, Diagnostics> {
        self.inner.upgrade(type_name, version, attributes)
    }

    fn upgrade_identity(
        &self,
        type_name: &str,
        version: u64,
        identity: &serde_json::Value,
    ) -> Result<Value, Diagnostics> {
        self.inner.upgrade_identity(type_name, version, identity)
    }

    fn take_over(
        &self,
        type_name: &str,
        object: &ForeignObject<'_>,
    ) -> Result<Option<Found>, Diagnostics> {
        self.inner.take_over(type_name, object)
    }

    async fn plan(
        &self,
        type_name: &str,
        request: PlanRequest,
        cx: &Context,
    ) -> Result<PlanResponse, Diagnostics> {
        let Some((given, block)) = self.found(type_name, false, cx) else {
            return self.inner.plan(type_name, request, cx).await;
        };
        let with = match given.during_plan {
            true => self.known(given),
            false => With::Unknown,
        };
        answers::plan(request, block, with)
    }

    async fn read(
        &self,
        type_name: &str,
        prior: Value,
        private: Vec<u8>,
        cx: &Context,
    ) -> Result<Option<ReadResponse>, Diagnostics> {
        if self.found(type_name, false, cx).is_none() {
            return self.inner.read(type_name, prior, private, cx).await;
        }
        Ok(Some(answers::unchanged(prior, private)))
    }

    async fn apply(&self, type_name: &str, request: ApplyRequest, cx: &Context) -> ApplyResponse {
        let Some((given, block)) = self.found(type_name, false, cx) else {
            return self.inner.apply(type_name, request, cx).await;
        };
        answers::apply(request, block, self.known(given))
    }

    async fn import(
        &self,
        type_name: &str,
        by: &ImportBy,
        cx: &Context,
    ) -> Result<Found, Diagnostics> {
        let Some((given, block)) = self.found(type_name, false, cx) else {
            return self.inner.import(type_name, by, cx).await;
        };
        // What the configuration says of the object is planned as its first update.
        let (value, diagnostics) = computed(&unset(block), block, Open::Null, self.known(given));
        diagnostics.into_result()?;
        Ok(Found {
            value,
            private: Vec::new(),
            identity: None,
        })
    }

    fn validate_ephemeral(&self, type_name: &str, config: &Value) -> Diagnostics {
        self.inner.validate_ephemeral(type_name, config)
    }

    async fn open_ephemeral(
        &self,
        type_name: &str,
        config: Value,
        cx: &Context,
    ) -> Result<(Lease<Value>, Diagnostics), Diagnostics> {
        self.inner.open_ephemeral(type_name, config, cx).await
    }

    async fn renew_ephemeral(
        &self,
        type_name: &str,
        private: Private,
        cx: &Context,
    ) -> Result<(Lease<()>, Diagnostics), Diagnostics> {
        self.inner.renew_ephemeral(type_name, private, cx).await
    }

    async fn close_ephemeral(
        &self,
        type_name: &str,
        private: Private,
        cx: &Context,
    ) -> Result<Diagnostics, Diagnostics> {
        self.inner.close_ephemeral(type_name, private, cx).await
    }

    async fn read_data(
        &self,
        type_name: &str,
        config: Value,
        cx: &Context,
    ) -> Result<(Value, Diagnostics), Diagnostics> {
        let Some((given, block)) = self.found(type_name, true, cx) else {
            return self.inner.read_data(type_name, config, cx).await;
        };
        let (value, diagnostics) = computed(&config, block, Open::Null, self.known(given));
        Ok((value, diagnostics.into_result()?))
    }
}

/// An object of which nothing is set.
fn unset(block: &Block) -> Value {
    let attributes = block.attributes.iter();
    let attributes = attributes.map(|(n, a)| (Arc::clone(n), Value::null(a.value_type())));
    let blocks = block.blocks.iter().map(|(name, nested)| {
        let element = || nested.block.value_type();
        let value = match nested.nesting {
            Nesting::List => Value::list(element(), Vec::new()),
            Nesting::Set => Value::set(element(), Vec::new()),
            Nesting::Map => Value::map(element(), std::collections::BTreeMap::new()),
            Nesting::Single => Value::null(element()),
            Nesting::Group => unset(&nested.block),
        };
        (Arc::clone(name), value)
    });
    Value::object(attributes.chain(blocks).collect())
}
