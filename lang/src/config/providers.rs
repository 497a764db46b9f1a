//! `provider` blocks, and which configuration a resource's provider is.

use std::collections::BTreeMap;
use std::sync::Arc;

use stead_value::addr::{self, ProviderSource};
use stead_value::{Diagnostic, Diagnostics, Type};

use super::content::{BAD_NAME, check_labels, constant, is_identifier};
use super::model::{Module, ProviderConfig, ProviderName, VersionRequirement};
use super::references::check_local_name;
use super::required_providers::implied_source;
use super::resource::{merge_escape, take_escape};
use super::terraform::version_constraint;
use super::tree::ConfigTree;
use crate::syntax::{Block, Expression};

/// Names that mean nothing yet in a provider block.
const RESERVED: [&str; 3] = ["count", "depends_on", "source"];

pub(crate) fn config(block: Block, diagnostics: &mut Diagnostics) -> Option<ProviderConfig> {
    check_labels(&block, &["name"], diagnostics).then_some(())?;
    let range = block.header_range();
    let label = block.labels.first()?.clone();
    check_local_name(&label.text, range.clone(), diagnostics).then_some(())?;
    let mut body = block.body;
    let alias = body
        .attributes
        .shift_remove("alias")
        .map(|a| read_alias(&a.expr, diagnostics));
    let version = body.attributes.shift_remove("version").and_then(|a| {
        diagnostics.push(
            Diagnostic::warning(
                "Version constraints inside provider configuration blocks are deprecated",
                "Terraform 0.13 and earlier allowed provider version constraints inside the provider configuration block, but \
                 that is now deprecated and will be removed in a future version of Terraform. To silence this warning, move the \
                 provider version constraint into the required_providers block.",
            )
            .at(a.expr.range()),
        );
        version_constraint(&a, diagnostics)
    });
    let for_each = body.attributes.shift_remove("for_each").map(|a| a.expr);
    if let (Some(expr), None) = (&for_each, &alias) {
        diagnostics.push(alias_required(expr));
    }
    for name in RESERVED {
        if let Some(attribute) = body.attributes.shift_remove(name) {
            diagnostics.push(
                Diagnostic::error(
                    "Reserved argument name in provider block",
                    format!("The provider argument name \"{name}\" is reserved for use by Terraform in a future version."),
                )
                .at(attribute.name_range()),
            );
        }
    }
    let mut escape = None;
    for inner in std::mem::take(&mut body.blocks) {
        match &*inner.kind {
            "_" => take_escape(&mut escape, inner, "provider", diagnostics),
            "lifecycle" | "locals" => diagnostics.push(
                Diagnostic::error(
                    "Reserved block type name in provider block",
                    format!("The block type name \"{}\" is reserved for use by Terraform in a future version.", inner.kind),
                )
                .at(inner.body.range(inner.kind_span)),
            ),
            _ => body.blocks.push(inner),
        }
    }
    if let Some(escape) = escape {
        merge_escape(&mut body, escape);
    }
    Some(ProviderConfig {
        name: ProviderName {
            local: label.text,
            alias: alias.flatten(),
        },
        body: Arc::new(body),
        version,
        for_each,
        range,
    })
}

fn read_alias(expr: &Expression, diagnostics: &mut Diagnostics) -> Option<Arc<str>> {
    let alias = constant(expr, &Type::String, diagnostics);
    let alias = alias.as_ref().and_then(|v| v.as_str()).unwrap_or_default();
    if !is_identifier(alias) {
        diagnostics.push(Diagnostic::error(
            "Invalid provider configuration alias",
            format!("An alias must be a valid name. {BAD_NAME}"),
        ));
    }
    Some(alias.into())
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

    /// The providers that the module itself needs, with the versions that it asks for.
    pub fn needed_providers(&self) -> BTreeMap<ProviderSource, Vec<&VersionRequirement>> {
        let mut all: BTreeMap<ProviderSource, Vec<&VersionRequirement>> = BTreeMap::new();
        for required in self.terraform.required_providers.values() {
            let versions = all.entry(required.source.clone()).or_default();
            versions.extend(&required.version);
        }
        for config in self.providers.values() {
            let versions = all
                .entry(self.provider_source(&config.name.local))
                .or_default();
            versions.extend(&config.version);
        }
        let of_resources = (self.resources.values()).map(|r| r.provider_name().local);
        let of_imports = self.imports.iter().filter_map(|i| i.provider.as_ref());
        for local in of_resources.chain(of_imports.map(|p| Arc::clone(&p.name.local))) {
            all.entry(self.provider_source(&local)).or_default();
        }
        all
    }

    /// The local name of a provider in this module, if it has one other than the implied.
    pub fn local_name(&self, source: &ProviderSource) -> Arc<str> {
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

/// A provider configuration with the key that callers choose one of its instances with.
pub struct PassedInstance<'c> {
    pub provider: AbsProvider,
    /// The expression, and the module whose call it stands in: it is evaluated for each instance of that call.
    pub key: Option<(addr::Module, &'c Expression)>,
}

impl ConfigTree {
    /// The configuration that a provider name means in a module: declared there, passed by the caller, or inherited.
    /// `None` when the module, or an alias that is named, does not exist.
    pub fn resolve_provider(
        &self,
        module: &addr::Module,
        name: &ProviderName,
    ) -> Option<AbsProvider> {
        Some(self.passed_instance(module, name)?.provider)
    }

    /// Like [`ConfigTree::resolve_provider`], with the key of an instance if a caller on the way gives one.
    pub fn passed_instance(
        &self,
        module: &addr::Module,
        name: &ProviderName,
    ) -> Option<PassedInstance<'_>> {
        let node = self.get(module)?;
        let source = node.module.provider_source(&name.local);
        let here = || PassedInstance {
            provider: AbsProvider {
                module: module.clone(),
                source: source.clone(),
                alias: name.alias.clone(),
            },
            key: None,
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
            let mut found = self.passed_instance(&parent_path, &passed.in_parent.name)?;
            if let Some(key) = &passed.in_parent.key {
                found.key = Some((module.clone(), key));
            }
            return Some(found);
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
        self.passed_instance(&parent_path, &ProviderName { local, alias: None })
    }
}

/// A provider configuration with `for_each` needs a name to be told from the default one by.
pub(super) fn alias_required(keys: &Expression) -> Diagnostic {
    Diagnostic::error(
        "Alias required when using \"for_each\"",
        "The for_each argument is allowed only for provider configurations with an alias.",
    )
    .at(keys.range())
}
