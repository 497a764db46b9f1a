//! The state in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::value::RawValue;
use stead_value::Path;
use stead_value::addr::{InstanceKey, ModuleInstance, Resource, ResourceInstance};

use crate::ProviderConfigRef;

/// Everything recorded about the managed objects.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The version of Terraform whose rules wrote it; kept from the file, set by the first writer.
    pub terraform_version: String,
    /// Raised by one with every change of content.
    pub serial: u64,
    /// Which history this state belongs to; random at birth, empty until then.
    pub lineage: String,
    pub outputs: BTreeMap<String, OutputValue>,
    pub resources: BTreeMap<ResourceId, ResourceObjects>,
    /// Kept as it was read.
    pub check_results: Option<Arc<RawValue>>,
    /// Top-level fields that this version does not know.
    pub unknown_fields: serde_json::Map<String, serde_json::Value>,
}

#[derive(Clone, Debug)]
pub struct OutputValue {
    pub value: Arc<RawValue>,
    /// The type, in the JSON form of types.
    pub ty: serde_json::Value,
    pub sensitive: bool,
}

/// A resource in a module instance; the order is that of the file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId {
    pub module: ModuleInstance,
    pub resource: Resource,
}

#[derive(Clone, Debug)]
pub struct ResourceObjects {
    /// Of the instances that name none of their own.
    pub provider: ProviderConfigRef,
    /// Boxed: a tree keeps room for eleven, and most resources have one.
    pub instances: BTreeMap<InstanceKey, Box<InstanceObjects>>,
    pub unknown_fields: serde_json::Map<String, serde_json::Value>,
}

/// The objects of one instance: the current one, and those set aside by create-before-destroy.
#[derive(Clone, Debug, Default)]
pub struct InstanceObjects {
    /// The instance of a provider configuration with `for_each` that the objects belong to.
    pub provider: Option<Arc<ProviderConfigRef>>,
    pub current: Option<Object>,
    /// By deposed key: eight hex digits.
    pub deposed: BTreeMap<String, Object>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ObjectStatus {
    #[default]
    Ready,
    /// Known to be unfit: replaced by the next apply.
    Tainted,
}

/// One remote object as last seen.
#[derive(Clone, Debug)]
pub struct Object {
    pub status: ObjectStatus,
    pub schema_version: u64,
    /// A JSON object, verbatim.
    pub attributes: Arc<RawValue>,
    /// The attributes are texts with dotted names, as before Terraform 0.12: the schema says what they mean.
    pub is_flat: bool,
    pub sensitive_attributes: Vec<Path>,
    /// What the provider remembers; opaque.
    pub private: Vec<u8>,
    /// Configuration addresses of what this object was made from, sorted.
    pub dependencies: Vec<String>,
    pub create_before_destroy: bool,
    /// What identifies the object beside its attributes, where its provider says so. Boxed: most objects have none.
    pub identity: Option<Box<Identity>>,
    /// Fields that this version does not interpret.
    pub unknown_fields: serde_json::Map<String, serde_json::Value>,
}

/// A resource identity, in the form of its type's identity schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    pub schema_version: u64,
    pub attributes: serde_json::Map<String, serde_json::Value>,
}

impl ResourceObjects {
    /// The provider configuration, or instance of one, that an instance's objects belong to.
    pub fn provider_of<'s>(&'s self, instance: &'s InstanceObjects) -> &'s ProviderConfigRef {
        instance.provider.as_deref().unwrap_or(&self.provider)
    }
}

impl OutputValue {
    /// Whether two records say the same, however they are laid out.
    pub fn says_the_same(&self, other: &OutputValue) -> bool {
        self.sensitive == other.sensitive
            && self.ty == other.ty
            && is_same_json(&self.value, &other.value)
    }
}

impl ResourceObjects {
    fn says_the_same(&self, other: &ResourceObjects) -> bool {
        self.provider == other.provider
            && self.unknown_fields == other.unknown_fields
            && is_same_map(&self.instances, &other.instances, |a, b| {
                self.provider_of(a) == other.provider_of(b) && a.says_the_same(b)
            })
    }
}

/// Whether two maps have the same keys, and values that are the same in a way.
fn is_same_map<K: Ord, V>(
    a: &BTreeMap<K, V>,
    b: &BTreeMap<K, V>,
    is_same: impl Fn(&V, &V) -> bool,
) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|((one, x), (other, y))| one == other && is_same(x, y))
}

impl InstanceObjects {
    /// Whether two records say the same, however they are laid out.
    pub fn says_the_same(&self, other: &InstanceObjects) -> bool {
        let same = |a: Option<&Object>, b: Option<&Object>| match (a, b) {
            (Some(a), Some(b)) => a.says_the_same(b),
            (None, None) => true,
            _ => false,
        };
        same(self.current.as_ref(), other.current.as_ref())
            && is_same_map(&self.deposed, &other.deposed, Object::says_the_same)
    }
}

impl Object {
    fn says_the_same(&self, other: &Object) -> bool {
        let Object {
            status,
            schema_version,
            attributes,
            is_flat,
            sensitive_attributes,
            private,
            dependencies,
            create_before_destroy,
            identity,
            unknown_fields,
        } = self;
        *status == other.status
            && *schema_version == other.schema_version
            && *is_flat == other.is_flat
            && *create_before_destroy == other.create_before_destroy
            && *sensitive_attributes == other.sensitive_attributes
            && *private == other.private
            && *dependencies == other.dependencies
            && *identity == other.identity
            && *unknown_fields == other.unknown_fields
            && is_same_json(attributes, &other.attributes)
    }
}

/// Whether two texts are the same JSON.
pub(crate) fn is_same_json(a: &RawValue, b: &RawValue) -> bool {
    let json = |raw: &RawValue| serde_json::from_str::<serde_json::Value>(raw.get()).ok();
    a.get() == b.get() || json(a).is_some_and(|a| Some(a) == json(b))
}

impl State {
    /// An empty state without a lineage.
    pub fn new() -> State {
        State::default()
    }

    /// Whether two states say the same of everything but when and by what they were written, however they are laid out.
    pub fn says_the_same(&self, other: &State) -> bool {
        let checks = match (&self.check_results, &other.check_results) {
            (Some(a), Some(b)) => is_same_json(a, b),
            (a, b) => a.is_none() && b.is_none(),
        };
        checks
            && self.unknown_fields == other.unknown_fields
            && is_same_map(&self.outputs, &other.outputs, OutputValue::says_the_same)
            && is_same_map(
                &self.resources,
                &other.resources,
                ResourceObjects::says_the_same,
            )
    }

    pub fn is_empty(&self) -> bool {
        self.outputs.is_empty() && self.resources.is_empty()
    }

    pub fn instance(&self, address: &ResourceInstance) -> Option<&InstanceObjects> {
        self.resources
            .get(&ResourceId::of(address))?
            .instances
            .get(&address.key)
            .map(|objects| &**objects)
    }

    /// The provider configuration that an instance's objects belong to.
    pub fn provider_of(&self, address: &ResourceInstance) -> Option<&ProviderConfigRef> {
        let resource = self.resources.get(&ResourceId::of(address))?;
        Some(resource.provider_of(resource.instances.get(&address.key)?))
    }

    /// The current object and the provider configuration it belongs to.
    pub fn current(&self, address: &ResourceInstance) -> Option<(&Object, &ProviderConfigRef)> {
        let resource = self.resources.get(&ResourceId::of(address))?;
        let instance = resource.instances.get(&address.key)?;
        Some((instance.current.as_ref()?, resource.provider_of(instance)))
    }

    /// Records the current object of an instance; `None` removes it.
    pub fn set_current(
        &mut self,
        address: &ResourceInstance,
        provider: &ProviderConfigRef,
        object: Option<Object>,
    ) {
        self.edit(address, provider, |instance| instance.current = object);
    }

    /// Records a deposed object; `None` removes it.
    pub fn set_deposed(
        &mut self,
        address: &ResourceInstance,
        provider: &ProviderConfigRef,
        key: &str,
        object: Option<Object>,
    ) {
        self.edit(address, provider, |instance| {
            match object {
                Some(object) => instance.deposed.insert(key.to_owned(), object),
                None => instance.deposed.remove(key),
            };
        });
    }

    /// Records every object of an instance; `None` removes them.
    pub fn set_instance(
        &mut self,
        address: &ResourceInstance,
        objects: Option<(ProviderConfigRef, InstanceObjects)>,
    ) {
        let id = ResourceId::of(address);
        match objects {
            Some((provider, objects)) => {
                let own = objects.provider.clone();
                let provider = own.as_deref().unwrap_or(&provider).clone();
                self.edit(address, &provider, |instance| *instance = objects);
            }
            None => {
                if let Some(resource) = self.resources.get_mut(&id) {
                    resource.instances.remove(&address.key);
                    if resource.instances.is_empty() {
                        self.resources.remove(&id);
                    }
                }
            }
        }
    }

    /// Changes what is recorded of an object: the current one, or the one that was set aside under a key. Says whether there
    /// is one.
    pub fn edit_object(
        &mut self,
        address: &ResourceInstance,
        deposed: Option<&str>,
        change: impl FnOnce(&mut Object),
    ) -> bool {
        let instance = self
            .resources
            .get_mut(&ResourceId::of(address))
            .and_then(|r| r.instances.get_mut(&address.key));
        let object = instance.and_then(|instance| match deposed {
            Some(key) => instance.deposed.get_mut(key),
            None => instance.current.as_mut(),
        });
        object.map(change).is_some()
    }

    fn edit(
        &mut self,
        address: &ResourceInstance,
        provider: &ProviderConfigRef,
        change: impl FnOnce(&mut InstanceObjects),
    ) {
        let id = ResourceId::of(address);
        let resource = self
            .resources
            .entry(id.clone())
            .or_insert_with(|| ResourceObjects {
                provider: provider.config(),
                instances: BTreeMap::new(),
                unknown_fields: serde_json::Map::new(),
            });
        let instance = resource.instances.entry(address.key.clone()).or_default();
        let is_new = instance.current.is_none() && instance.deposed.is_empty();
        change(instance);
        if is_new || instance.current.is_some() {
            resource.provider = provider.config();
            instance.provider =
                (provider.key != InstanceKey::None).then(|| Arc::new(provider.clone()));
        }
        if instance.current.is_none() && instance.deposed.is_empty() {
            resource.instances.remove(&address.key);
        }
        if resource.instances.is_empty() {
            self.resources.remove(&id);
        }
    }

    /// Every current object with its address, in the order of the file.
    pub fn current_objects(
        &self,
    ) -> impl Iterator<Item = (ResourceInstance, &Object, &ProviderConfigRef)> {
        self.resources.iter().flat_map(|(id, resource)| {
            resource
                .instances
                .iter()
                .filter_map(move |(key, instance)| {
                    Some((
                        id.instance(key.clone()),
                        instance.current.as_ref()?,
                        resource.provider_of(instance),
                    ))
                })
        })
    }

    /// Every deposed object: address, deposed key, object, provider configuration.
    pub fn deposed_objects(
        &self,
    ) -> impl Iterator<Item = (ResourceInstance, &str, &Object, &ProviderConfigRef)> {
        self.resources.iter().flat_map(|(id, resource)| {
            resource.instances.iter().flat_map(move |(key, instance)| {
                let provider = resource.provider_of(instance);
                instance
                    .deposed
                    .iter()
                    .map(move |(k, o)| (id.instance(key.clone()), k.as_str(), o, provider))
            })
        })
    }
}

impl ResourceId {
    pub fn of(address: &ResourceInstance) -> ResourceId {
        ResourceId {
            module: address.module.clone(),
            resource: address.resource.clone(),
        }
    }

    pub fn instance(&self, key: InstanceKey) -> ResourceInstance {
        ResourceInstance {
            module: self.module.clone(),
            resource: self.resource.clone(),
            key,
        }
    }
}
