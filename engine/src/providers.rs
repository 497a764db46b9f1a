//! Which provider stands behind which source address, and those that are open.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use stead_lang::config::AbsProvider;
use stead_sdk::{Provider, ProviderFactory, Provisioner, connection_schema};
use stead_state::ProviderConfigRef;
use stead_value::Diagnostic;
use stead_value::addr::{InstanceKey, ProviderSource, ResourceMode};
use stead_value::schema::{Block, ProviderSchema, Schema};

/// The address of a provider configuration as states write it, without the key of an instance.
pub(crate) fn config_ref(provider: AbsProvider) -> ProviderConfigRef {
    ProviderConfigRef {
        module: provider.module,
        source: provider.source,
        alias: provider.alias,
        key: InstanceKey::None,
    }
}

/// The providers that this program has, by source address, and the provisioners, by name.
#[derive(Clone)]
pub struct Registry {
    factories: FxHashMap<ProviderSource, Arc<dyn ProviderFactory>>,
    provisioners: FxHashMap<Arc<str>, Arc<dyn Provisioner>>,
    connection: Arc<Block>,
    /// What stands behind single provider configurations in place of their sources' factories.
    substitutes: FxHashMap<ProviderConfigRef, Arc<dyn ProviderFactory>>,
}

impl Default for Registry {
    fn default() -> Self {
        Registry {
            factories: FxHashMap::default(),
            substitutes: FxHashMap::default(),
            provisioners: FxHashMap::default(),
            connection: Arc::new(connection_schema()),
        }
    }
}

impl Registry {
    /// Makes `factory` answer for a source such as `bpg/proxmox`. Several sources may share one factory.
    pub fn register(&mut self, source: ProviderSource, factory: Arc<dyn ProviderFactory>) {
        self.factories.insert(source, factory);
    }

    /// Makes `provisioner` answer for `provisioner "NAME"` blocks.
    pub fn register_provisioner(&mut self, name: &str, provisioner: Arc<dyn Provisioner>) {
        self.provisioners.insert(name.into(), provisioner);
    }

    pub fn provisioner(&self, name: &str) -> Result<&Arc<dyn Provisioner>, Diagnostic> {
        self.provisioners.get(name).ok_or_else(|| {
            let known = self.provisioners.keys().map(|k| &**k);
            let suggestion = stead_lang::nearest(name, known)
                .map(|s| format!(" Did you mean \"{s}\"?"))
                .unwrap_or_default();
            Diagnostic::error(
                "Missing required provisioner plugin",
                format!("There is no provisioner \"{name}\".{suggestion}"),
            )
        })
    }

    /// What `connection` blocks take.
    pub fn connection(&self) -> &Block {
        &self.connection
    }

    /// Makes `factory` answer for one provider configuration.
    pub fn substitute(&mut self, config: ProviderConfigRef, factory: Arc<dyn ProviderFactory>) {
        self.substitutes.insert(config, factory);
    }

    /// The same providers, each with something in front of it.
    #[must_use]
    pub fn wrapped(
        &self,
        wrap: impl Fn(&Arc<dyn ProviderFactory>) -> Arc<dyn ProviderFactory>,
    ) -> Registry {
        let factories = self.factories.iter();
        Registry {
            factories: factories.map(|(s, f)| (s.clone(), wrap(f))).collect(),
            ..self.clone()
        }
    }

    /// What makes the provider of a configuration.
    pub fn factory_for(
        &self,
        config: &ProviderConfigRef,
    ) -> Result<&Arc<dyn ProviderFactory>, Diagnostic> {
        let substitute = self.substitutes.get(config);
        match substitute.or_else(|| self.substitutes.get(&config.config())) {
            Some(factory) => Ok(factory),
            None => self.factory(&config.source),
        }
    }

    pub fn sources(&self) -> impl Iterator<Item = &ProviderSource> {
        self.factories.keys()
    }

    pub fn factory(
        &self,
        source: &ProviderSource,
    ) -> Result<&Arc<dyn ProviderFactory>, Diagnostic> {
        // OpenTofu's registry names the same providers.
        let tofu = |s: &ProviderSource| ProviderSource {
            host: ProviderSource::DEFAULT_HOST.into(),
            ..s.clone()
        };
        let found = self.factories.get(source).or_else(|| {
            (&*source.host == "registry.opentofu.org")
                .then(|| self.factories.get(&tofu(source)))
                .flatten()
        });
        found.ok_or_else(|| {
            if &*source.namespace == "-" {
                return Diagnostic::error(
                    "Invalid legacy provider address",
                    format!(
                        "This configuration or its associated state refers to the unqualified provider \"{0}\".\n\nYou must complete the Terraform 0.13 upgrade process before upgrading to later versions: say whose provider it is, such as with `stead state replace-provider -- -/{0} hashicorp/{0}`.",
                        source.name
                    ),
                );
            }
            Diagnostic::error(
                "Provider not available",
                format!(
                    "stead has no provider \"{source}\" built in, and does not run plugins yet. `stead version` lists the providers that it has."
                ),
            )
        })
    }

    pub fn schema(&self, source: &ProviderSource) -> Result<&ProviderSchema, Diagnostic> {
        Ok(self.factory(source)?.schema())
    }

    /// The schema of a resource or data source.
    pub fn resource_schema(
        &self,
        source: &ProviderSource,
        mode: ResourceMode,
        type_name: &str,
    ) -> Result<&Arc<Schema>, Diagnostic> {
        let schema = self.schema(source)?;
        let (kinds, word, summary) = match mode {
            ResourceMode::Managed => (&schema.resources, "resource type", "Invalid resource type"),
            ResourceMode::Data => (&schema.data_sources, "data source", "Invalid data source"),
            ResourceMode::Ephemeral => (
                &schema.ephemeral_resources,
                "ephemeral resource",
                "Invalid ephemeral resource",
            ),
        };
        kinds.get(type_name).ok_or_else(|| {
            let hint = match mode {
                ResourceMode::Managed if schema.data_sources.contains_key(type_name) => format!("\n\nDid you intend to use the data source \"{type_name}\"? If so, declare this using a \"data\" block instead of a \"resource\" block."),
                ResourceMode::Data if schema.resources.contains_key(type_name) => format!("\n\nDid you intend to use the managed resource type \"{type_name}\"? If so, declare this using a \"resource\" block instead of a \"data\" block."),
                _ => stead_lang::nearest(type_name, kinds.keys().map(|k| &**k))
                    .map(|s| format!(" Did you mean \"{s}\"?"))
                    .unwrap_or_default(),
            };
            Diagnostic::error(
                summary,
                format!("The provider {} does not support {word} \"{type_name}\".{hint}", source.display()),
            )
        })
    }
}

impl stead_lang::config::Schemas for Registry {
    fn resource(
        &self,
        provider: &ProviderSource,
        mode: ResourceMode,
        type_name: &str,
    ) -> Option<&Block> {
        self.resource_schema(provider, mode, type_name)
            .ok()
            .map(|schema| &schema.block)
    }
}

/// A provider configuration during a run.
#[derive(Clone)]
pub enum Opened {
    Ready(Arc<dyn Provider>),
    /// Its configuration holds values that are decided during the apply: only schema-bound operations work.
    Late(Arc<dyn Provider>),
}

impl Opened {
    pub fn provider(&self) -> &Arc<dyn Provider> {
        match self {
            Opened::Ready(provider) | Opened::Late(provider) => provider,
        }
    }

    pub fn is_late(&self) -> bool {
        matches!(self, Opened::Late(_))
    }
}

/// The provider configurations opened so far.
pub type Pool = FxHashMap<ProviderConfigRef, Opened>;
