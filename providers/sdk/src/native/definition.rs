//! The definition of a native provider: its configuration, how it connects, and its types.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use stead_value::schema::{ProviderSchema, Schema};
use stead_value::{CallError, Diagnostics, FunctionSignature, Path, Type, Value};

use crate::native::adaptor::NativeProvider;
use crate::native::erased::{ErasedData, ErasedEphemeral, ErasedResource, Typed};
use crate::plan::has_write_only;
use crate::{
    Context, DataSource, Dialer, Ephemeral, Operation, Provider, ProviderConfig, ProviderFactory,
    Resource,
};

/// Where a definition starts: `Native::<Client>::provider::<Config>("name")`.
pub struct Native<C>(PhantomData<fn() -> C>);

impl<C: Send + Sync + 'static> Native<C> {
    /// `name` is the provider's own, such as `proxmox`; it appears in messages.
    #[must_use]
    pub fn provider<P: ProviderConfig + Send + 'static>(name: &'static str) -> Unconfigured<C, P> {
        Unconfigured {
            name,
            marker: PhantomData,
        }
    }
}

impl Native<()> {
    /// A provider that connects to nothing and takes no configuration.
    #[must_use]
    pub fn local(name: &'static str) -> Definition<()> {
        Native::<()>::provider::<NoConfig>(name).configure(|_, _, _| async { Ok(()) })
    }
}

/// An empty provider configuration.
#[derive(Clone, Debug, stead_sdk_derive::ProviderConfig)]
pub struct NoConfig;

/// A definition that does not know yet how to connect.
pub struct Unconfigured<C, P> {
    name: &'static str,
    marker: PhantomData<fn(P) -> C>,
}

type Connecting<C> = Pin<Box<dyn Future<Output = Result<C, Diagnostics>> + Send>>;

impl<C: Send + Sync + 'static, P: ProviderConfig + Send + 'static> Unconfigured<C, P> {
    /// How a configuration, with its environment variables filled in, becomes a client. Connect lazily where possible:
    /// this runs on every plan.
    #[must_use]
    pub fn configure<F, Fut>(self, connect: F) -> Definition<C>
    where
        F: Fn(P, Dialer, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<C, Diagnostics>> + Send + 'static,
    {
        let connect = move |config: &Value, dialer: Dialer, cx: Context| -> Connecting<C> {
            match P::decode(config, &Path::root()) {
                Ok(config) => Box::pin(connect(config, dialer, cx)),
                Err(diagnostic) => Box::pin(async move { Err(diagnostic.into()) }),
            }
        };
        Definition {
            name: self.name,
            config: P::schema(),
            environment: P::ENVIRONMENT,
            connect: Box::new(connect),
            resources: BTreeMap::new(),
            data_sources: BTreeMap::new(),
            ephemerals: BTreeMap::new(),
            functions: BTreeMap::new(),
            limits: BTreeMap::new(),
            only_in_state: false,
        }
    }
}

/// One resource type: its schema, and what follows from it, computed once.
pub(crate) struct ResourceEntry<C> {
    /// The struct: entries of the same one are names of one type.
    pub(crate) of: TypeId,
    pub(crate) schema: Arc<Schema>,
    pub(crate) ty: Type,
    pub(crate) legacy: bool,
    pub(crate) volatile: Vec<&'static str>,
    pub(crate) write_only: bool,
    /// It can be listed, and this is its own name rather than an alias.
    pub(crate) listed: bool,
    pub(crate) referred_as: &'static [(&'static str, &'static str)],
    pub(crate) operations: Box<dyn ErasedResource<C>>,
}

pub(crate) struct DataEntry<C> {
    pub(crate) schema: Arc<Schema>,
    pub(crate) operations: Box<dyn ErasedData<C>>,
}

pub(crate) struct EphemeralEntry<C> {
    pub(crate) schema: Arc<Schema>,
    pub(crate) operations: Box<dyn ErasedEphemeral<C>>,
}

/// A provider's types and how it connects. Built up with its methods, finished by [`Definition::build`].
pub struct Definition<C> {
    pub(crate) name: &'static str,
    pub(crate) config: Schema,
    pub(crate) environment: &'static [(&'static str, &'static [&'static str])],
    pub(crate) connect: Box<dyn Fn(&Value, Dialer, Context) -> Connecting<C> + Send + Sync>,
    pub(crate) resources: BTreeMap<Arc<str>, ResourceEntry<C>>,
    pub(crate) data_sources: BTreeMap<Arc<str>, DataEntry<C>>,
    pub(crate) ephemerals: BTreeMap<Arc<str>, EphemeralEntry<C>>,
    functions: BTreeMap<Arc<str>, (FunctionSignature, FunctionBody)>,
    pub(crate) limits: BTreeMap<u8, usize>,
    pub(crate) only_in_state: bool,
}

/// What a function of a provider does.
type FunctionBody = fn(&[Value]) -> Result<Value, CallError>;

impl<C: Send + Sync + 'static> Definition<C> {
    /// The resource, under its name and its aliases.
    #[must_use]
    pub fn resource<R: Resource<Client = C>>(self) -> Self {
        let names = std::iter::once(&R::NAME).chain(R::ALIASES);
        names.fold(self, |definition, name| definition.resource_as::<R>(name))
    }

    /// The same resource under another name.
    #[must_use]
    pub fn resource_as<R: Resource<Client = C>>(mut self, name: &str) -> Self {
        let schema = Arc::new(R::schema());
        let entry = ResourceEntry {
            of: TypeId::of::<R>(),
            legacy: R::LEGACY,
            volatile: R::unknown_on_change(),
            write_only: has_write_only(&schema.block),
            listed: R::IS_LISTED && R::NAME == name,
            referred_as: R::REFERRED_AS,
            ty: schema.block.value_type(),
            schema,
            operations: Box::new(Typed::<R>::new()),
        };
        self.resources.insert(name.into(), entry);
        self
    }

    /// The data source, under its name and its aliases.
    #[must_use]
    pub fn data_source<D: DataSource<Client = C>>(self) -> Self {
        let names = std::iter::once(&D::NAME).chain(D::ALIASES);
        names.fold(self, |definition, name| {
            definition.data_source_as::<D>(name)
        })
    }

    /// The same data source under another name.
    #[must_use]
    pub fn data_source_as<D: DataSource<Client = C>>(mut self, name: &str) -> Self {
        let entry = DataEntry {
            schema: Arc::new(D::schema()),
            operations: Box::new(Typed::<D>::new()),
        };
        self.data_sources.insert(name.into(), entry);
        self
    }

    #[must_use]
    pub fn ephemeral<E: Ephemeral<Client = C>>(mut self) -> Self {
        let entry = EphemeralEntry {
            schema: Arc::new(E::schema()),
            operations: Box::new(Typed::<E>::new()),
        };
        self.ephemerals.insert(E::NAME.into(), entry);
        self
    }

    /// A function of the language, called as `provider::NAME::FUNCTION(…)`.
    #[must_use]
    pub fn function(mut self, name: &str, signature: FunctionSignature, run: FunctionBody) -> Self {
        self.functions.insert(name.into(), (signature, run));
        self
    }

    /// Says that every resource exists in the state alone (a random number, a key pair): nothing of it can be lost elsewhere.
    #[must_use]
    pub fn only_in_state(mut self) -> Self {
        self.only_in_state = true;
        self
    }

    /// How many operations of a kind may run at once; without it there is no limit but the engine's.
    #[must_use]
    pub fn limit(mut self, operation: Operation, at_once: usize) -> Self {
        self.limits.insert(operation as u8, at_once);
        self
    }

    /// The factory; every connection will go through `dialer`.
    #[must_use]
    pub fn build(self, dialer: &Dialer) -> NativeFactory<C> {
        let schema = ProviderSchema {
            provider: self.config.clone(),
            resources: self
                .resources
                .iter()
                .map(|(k, e)| (Arc::clone(k), Arc::clone(&e.schema)))
                .collect(),
            data_sources: self
                .data_sources
                .iter()
                .map(|(k, e)| (Arc::clone(k), Arc::clone(&e.schema)))
                .collect(),
            ephemeral_resources: self
                .ephemerals
                .iter()
                .map(|(k, e)| (Arc::clone(k), Arc::clone(&e.schema)))
                .collect(),
            functions: self
                .functions
                .iter()
                .map(|(k, (signature, _))| (Arc::clone(k), signature.clone()))
                .collect(),
        };
        NativeFactory {
            schema,
            definition: Arc::new(self),
            dialer: dialer.clone(),
        }
    }
}

/// A native provider, ready to be instantiated once per provider configuration.
pub struct NativeFactory<C> {
    schema: ProviderSchema,
    definition: Arc<Definition<C>>,
    dialer: Dialer,
}

impl<C: Send + Sync + 'static> ProviderFactory for NativeFactory<C> {
    fn schema(&self) -> &ProviderSchema {
        &self.schema
    }

    fn instantiate(&self) -> Arc<dyn Provider> {
        Arc::new(NativeProvider::new(
            Arc::clone(&self.definition),
            self.dialer.clone(),
        ))
    }

    fn only_in_state(&self, _type_name: &str) -> bool {
        self.definition.only_in_state
    }

    fn listed_types(&self) -> Vec<Arc<str>> {
        let resources = self.definition.resources.iter();
        let listed = resources.filter(|(_, entry)| entry.listed);
        listed.map(|(name, _)| Arc::clone(name)).collect()
    }

    fn referred_as(&self, type_name: &str) -> &'static [(&'static str, &'static str)] {
        let entry = self.definition.resources.get(type_name);
        entry.map_or(&[], |entry| entry.referred_as)
    }

    fn call_function(&self, name: &str, args: &[Value]) -> Result<Value, CallError> {
        match self.definition.functions.get(name) {
            Some((_, run)) => run(args),
            None => Err(CallError::new(format!(
                "the provider has no function \"{name}\""
            ))),
        }
    }
}
