//! `required_providers` blocks, and the addresses of providers in them.

use std::sync::Arc;

use stead_value::addr::ProviderSource;
use stead_value::{Diagnostic, Diagnostics, Type};

use super::content::only_attributes;
use super::model::{ProviderName, RequiredProvider, TerraformSettings, VersionRequirement};
use super::module::Redeclared;
use super::references::{check_local_name, provider_part};
use super::source::is_host;
use super::statics;
use super::terraform::version_constraint;
use super::version::Constraints;
use crate::expr::evaluate_constant;
use crate::syntax::{Attribute, Block, ExprKind, Expression, ObjectItem, ObjectKey, StepKind};

pub(crate) fn add(
    settings: &mut TerraformSettings,
    block: &Block,
    redeclared: &mut Redeclared,
    diagnostics: &mut Diagnostics,
) {
    only_attributes(&block.body, diagnostics);
    if !block.body.blocks.is_empty() {
        return;
    }
    if let Some(first) = &settings.required_providers_range {
        redeclared.report(
            "Duplicate required providers configuration",
            "A module may have only one required providers configuration. The required providers were previously configured at {first}.",
            first,
            block.header_range(),
        );
        return;
    }
    settings.required_providers_range = Some(block.header_range());
    for (name, attribute) in &block.body.attributes {
        if let Some(provider) = required_provider(name, attribute, diagnostics) {
            settings
                .required_providers
                .insert(Arc::clone(name), provider);
        }
    }
}

/// One entry: an object, or in the form of old only a version.
pub(crate) fn required_provider(
    name: &Arc<str>,
    attribute: &Attribute,
    diagnostics: &mut Diagnostics,
) -> Option<RequiredProvider> {
    let range = attribute.expr.range();
    let mut provider = RequiredProvider {
        source: implied_source(name),
        version: None,
        aliases: Vec::new(),
        range: range.clone(),
    };
    let value = evaluate_constant(&attribute.expr);
    if !value.diagnostics.has_errors()
        && matches!(
            value.value.ty(),
            Type::String | Type::Number | Type::Bool | Type::Dynamic
        )
    {
        provider.version = version_constraint(attribute, diagnostics);
        return Some(provider);
    }
    if !check_local_name(name, range.clone(), diagnostics) {
        return None;
    }
    let ExprKind::Object(items) = &attribute.expr.node().kind else {
        diagnostics.push(
            Diagnostic::error(
                "Invalid required_providers object",
                "required_providers entries must be strings or objects.",
            )
            .at(range),
        );
        return None;
    };
    let errors_before = diagnostics.len();
    for item in items {
        if !entry(name, attribute, item, &mut provider, diagnostics) {
            break;
        }
    }
    (diagnostics.len() == errors_before).then_some(provider)
}

/// Reads one item of the object; false ends the reading.
fn entry(
    name: &str,
    attribute: &Attribute,
    item: &ObjectItem,
    provider: &mut RequiredProvider,
    diagnostics: &mut Diagnostics,
) -> bool {
    let file = attribute.expr.file();
    let expression = |node| Expression::new(Arc::clone(file), node);
    let key = match &item.key {
        ObjectKey::Name(name) => Arc::clone(&name.text),
        ObjectKey::Expr(key) => {
            let outcome = evaluate_constant(&expression(key.clone()));
            let failed = outcome.diagnostics.has_errors();
            diagnostics.extend(outcome.diagnostics);
            match outcome.value.as_str() {
                Some(text) => text.into(),
                None if failed => return true,
                None => {
                    diagnostics.push(
                        Diagnostic::error(
                            "Invalid Attribute",
                            "Invalid attribute value for provider requirement: a string is required.",
                        )
                        .at(file.range(key.span)),
                    );
                    return true;
                }
            }
        }
    };
    let value = expression(item.value.clone());
    let text = || {
        let outcome = evaluate_constant(&value);
        let failed = outcome.diagnostics.has_errors();
        (!failed)
            .then(|| outcome.value.as_str().map(ToOwned::to_owned))
            .flatten()
    };
    match &*key {
        "version" => match text() {
            None => diagnostics.push(
                Diagnostic::error(
                    "Invalid version constraint",
                    "Version must be specified as a string.",
                )
                .at(value.range()),
            ),
            Some(text) if Constraints::parse(&text).is_none() => diagnostics.push(
                Diagnostic::error(
                    "Invalid version constraint",
                    "This string does not use correct version constraint syntax.",
                )
                .at(value.range()),
            ),
            Some(text) => {
                provider.version = Some(VersionRequirement {
                    text,
                    range: attribute.range(),
                });
            }
        },
        "source" => match text() {
            None => diagnostics.push(
                Diagnostic::error("Invalid source", "Source must be specified as a string.")
                    .at(value.range()),
            ),
            Some(text) => match provider_source(&text) {
                Ok(source) => provider.source = source,
                Err(diagnostic) => diagnostics.push(diagnostic.at(value.range())),
            },
        },
        "configuration_aliases" => {
            for alias in statics::list(&value, diagnostics) {
                provider
                    .aliases
                    .extend(configuration_alias(name, &alias, &value, diagnostics));
            }
        }
        _ => {
            diagnostics.push(
                Diagnostic::error(
                    "Invalid required_providers object",
                    "required_providers objects can only contain \"version\", \"source\" and \"configuration_aliases\" attributes. \
                     To configure a provider, use a \"provider\" block.",
                )
                .at(file.range(item.key.span())),
            );
            return false;
        }
    }
    true
}

fn configuration_alias(
    name: &str,
    alias: &Expression,
    list: &Expression,
    diagnostics: &mut Diagnostics,
) -> Option<ProviderName> {
    let Some((local, steps)) = statics::traversal(alias.node(), alias.file()) else {
        diagnostics.push(statics::not_static(alias.range()));
        return None;
    };
    let mut wrong = |detail: String| {
        diagnostics.push(
            Diagnostic::error("Invalid configuration_aliases value", detail).at(list.range()),
        );
        None
    };
    let alias = match steps.as_slice() {
        [] => None,
        [step] => match &step.kind {
            StepKind::Attr(alias) => Some(Arc::clone(alias)),
            _ => return wrong(ONLY_REFERENCES.into()),
        },
        _ => return wrong(ONLY_REFERENCES.into()),
    };
    if *local != *name {
        return wrong(format!(
            "Configuration aliases must be prefixed with the provider name. Expected \"{name}\", but found \"{local}\"."
        ));
    }
    Some(ProviderName { local, alias })
}

const ONLY_REFERENCES: &str = "Configuration aliases can only contain references to local provider configuration names in the format of provider.alias";

/// Reads a provider's address as people write it.
pub(crate) fn provider_source(text: &str) -> Result<ProviderSource, Diagnostic> {
    let parts: Vec<&str> = text.split('/').collect();
    let (host, namespace, name) = match parts[..] {
        [name] if !name.is_empty() => (None, None, name),
        [namespace, name] if !namespace.is_empty() && !name.is_empty() => {
            (None, Some(namespace), name)
        }
        [host, namespace, name]
            if !host.is_empty() && !namespace.is_empty() && !name.is_empty() =>
        {
            (Some(host), Some(namespace), name)
        }
        _ => {
            return Err(Diagnostic::error(
                "Invalid provider source string",
                "The \"source\" attribute must be in the format \"[hostname/][namespace/]name\"",
            ));
        }
    };
    let name = provider_part(name).map_err(|why| {
        Diagnostic::error(
            "Invalid provider type",
            format!("Invalid provider type \"{name}\" in source \"{text}\": {why}\""),
        )
    })?;
    let namespace = match namespace {
        None => "hashicorp".to_owned(),
        Some(namespace) => provider_part(namespace).map_err(|why| {
            Diagnostic::error(
                "Invalid provider namespace",
                format!("Invalid provider namespace \"\" in source \"{text}\": {why}\""),
            )
        })?,
    };
    if let Some(host) = host
        && !(host.contains('.') && is_host(host))
    {
        return Err(Diagnostic::error(
            "Invalid provider source hostname",
            format!(
                "Invalid provider source hostname namespace \"\" in source \"{text}\": not a valid host name\""
            ),
        ));
    }
    let source = ProviderSource {
        host: host
            .map_or(ProviderSource::DEFAULT_HOST.to_owned(), str::to_lowercase)
            .into(),
        namespace: namespace.into(),
        name: name.as_str().into(),
    };
    if let Some(rest) = name.strip_prefix("terraform-") {
        let detail = match rest.strip_prefix("provider-") {
            Some(bare) if provider_part(bare).is_ok() => {
                let better = ProviderSource {
                    name: bare.into(),
                    ..source.clone()
                };
                format!(
                    "Provider source \"{}\" has a type with the prefix \"terraform-provider-\", which isn't valid. Although that prefix is often used in the names of version control repositories for Terraform providers, provider source strings should not include it.\n\nDid you mean \"{}\"?",
                    source.display(),
                    better.display()
                )
            }
            _ => format!(
                "Provider source \"{source}\" has a type with the prefix \"terraform-\", which isn't allowed because it would be redundant to name a Terraform provider with that prefix. If you are the author of this provider, rename it to not include the prefix."
            ),
        };
        return Err(Diagnostic::error("Invalid provider type", detail));
    }
    Ok(source)
}

/// The provider that a local name means when nothing else is said.
pub(crate) fn implied_source(local: &str) -> ProviderSource {
    if local == "terraform" {
        return ProviderSource {
            host: "terraform.io".into(),
            namespace: "builtin".into(),
            name: "terraform".into(),
        };
    }
    ProviderSource::implied(local)
}
