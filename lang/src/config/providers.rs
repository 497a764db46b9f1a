//! `provider` blocks, and which configuration a resource's provider is.

use std::sync::Arc;

use stead_value::addr::{self, ProviderSource};
use stead_value::{Diagnostic, Diagnostics};

use super::content::{check_labels, check_name, string_argument};
use super::model::{Module, ProviderConfig, ProviderName};
use super::module::not_supported;
use super::references::check_local_name;
use super::terraform::{implied_source, version_constraint};
use super::tree::ConfigTree;
use crate::syntax::Block;

pub(crate) fn config(block: Block, diagnostics: &mut Diagnostics) -> Option<ProviderConfig> {
    check_labels(&block, &["name"], diagnostics).then_some(())?;
    let range = block.header_range();
    let label = block.labels.first()?.clone();
    check_local_name(&label.text, range.clone(), diagnostics).then_some(())?;
    let mut body = block.body;
    let alias = string_argument(&body, "alias", diagnostics);
    if let Some(attribute) = body.attributes.shift_remove("alias")
        && let Some(alias) = &alias
    {
        check_name(
            alias,
            attribute.expr.range(),
            "provider configuration alias",
            diagnostics,
        );
    }
    let version = body
        .attributes
        .shift_remove("version")
        .and_then(|a| version_constraint(&a.expr, diagnostics));
    for (name, what) in [
        ("for_each", "Provider configurations with for_each"),
        ("count", "Provider configurations with count"),
        ("depends_on", "Provider configurations with depends_on"),
    ] {
        if let Some(attribute) = body.attributes.shift_remove(name) {
            diagnostics.push(
                Diagnostic::error(
                    format!("{what} are not supported yet"),
                    format!("The argument \"{name}\" can't be used in a provider block."),
                )
                .at(attribute.name_range()),
            );
        }
    }
    for inner in body.blocks_of("lifecycle") {
        not_supported(
            inner,
            "Lifecycle settings of provider configurations",
            diagnostics,
        );
    }
    Some(ProviderConfig {
        name: ProviderName {
            local: label.text,
            alias,
        },
        body: Arc::new(body),
        version,
        range,
    })
}

/// A provider configuration, absolutely named: where it is declared (or would be, when it has no block), of which
/// provider, under which alias.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AbsProvider {
    pub module: addr::Module,
    pub source: ProviderSource,
    pub alias: Option<Arc<str>>,
}

/// As states write it: `module.a.provider["registry.terraform.io/hashicorp/null"].alias`.
impl std::fmt::Display for AbsProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.module.0.is_empty() {
            write!(f, "{}.", self.module)?;
        }
        write!(f, "provider[\"{}\"]", self.source)?;
        match &self.alias {
            Some(alias) => write!(f, ".{alias}"),
            None => Ok(()),
        }
    }
}

impl Module {
    /// The provider that a local name stands for in this module.
    pub fn provider_source(&self, local: &str) -> ProviderSource {
        self.terraform
            .required_providers
            .get(local)
            .map_or_else(|| implied_source(local), |p| p.source.clone())
    }

    /// The local name of a provider in this module, if it has one other than the implied.
    fn local_name(&self, source: &ProviderSource) -> Arc<str> {
        self.terraform
            .required_providers
            .iter()
            .find(|(_, p)| p.source == *source)
            .map_or_else(|| Arc::clone(&source.name), |(name, _)| Arc::clone(name))
    }

    /// The block that configures a provider under this alias.
    pub fn provider_config(
        &self,
        source: &ProviderSource,
        alias: Option<&str>,
    ) -> Option<&ProviderConfig> {
        self.providers.values().find(|p| {
            p.name.alias.as_deref() == alias && self.provider_source(&p.name.local) == *source
        })
    }
}

impl ConfigTree {
    /// The configuration that a provider name means in a module: declared there, passed by the caller, or inherited.
    /// `None` when the module, or an alias that is named, does not exist.
    pub fn resolve_provider(
        &self,
        module: &addr::Module,
        name: &ProviderName,
    ) -> Option<AbsProvider> {
        let node = self.get(module)?;
        let source = node.module.provider_source(&name.local);
        let here = || AbsProvider {
            module: module.clone(),
            source: source.clone(),
            alias: name.alias.clone(),
        };
        let Some((call_name, parent_path)) = module.0.split_last() else {
            let declared = name.alias.is_none()
                || node
                    .module
                    .provider_config(&source, name.alias.as_deref())
                    .is_some();
            return declared.then(here);
        };
        let parent_path = addr::Module(parent_path.to_vec());
        let parent = self.get(&parent_path)?;
        let call = parent.module.calls.get(call_name)?;
        let passed = call.providers.iter().find(|p| {
            p.in_child.name.alias == name.alias
                && node.module.provider_source(&p.in_child.name.local) == source
        });
        if let Some(passed) = passed {
            return self.resolve_provider(&parent_path, &passed.in_parent.name);
        }
        if node
            .module
            .provider_config(&source, name.alias.as_deref())
            .is_some()
        {
            return Some(here());
        }
        if name.alias.is_some() {
            return None;
        }
        let local = parent.module.local_name(&source);
        self.resolve_provider(&parent_path, &ProviderName { local, alias: None })
    }
}
