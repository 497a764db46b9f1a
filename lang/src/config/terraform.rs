//! `terraform` blocks.

use std::sync::Arc;

use indexmap::map::Entry;
use stead_value::addr::ProviderSource;
use stead_value::{Diagnostic, Diagnostics, Type};

use super::content::{Shape, check_labels, check_shape, constant, place};
use super::model::{Backend, RequiredProvider, TerraformSettings, VersionRequirement};
use super::module::not_supported;
use super::references;
use super::version::Constraints;
use crate::syntax::{Attribute, Block, ExprKind, Expression, ObjectKey};

const TERRAFORM: Shape = Shape {
    attributes: &["required_version", "experiments", "language"],
    required: &[],
    blocks: &[
        "backend",
        "cloud",
        "required_providers",
        "provider_meta",
        "encryption",
    ],
};

pub(crate) fn add(settings: &mut TerraformSettings, block: Block, diagnostics: &mut Diagnostics) {
    check_shape(&block.body, &TERRAFORM, diagnostics);
    if let Some(attribute) = block.body.attribute("required_version") {
        settings
            .required_versions
            .extend(required_version(attribute, diagnostics));
    }
    if let Some(attribute) = block.body.attribute("experiments") {
        diagnostics.push(
            Diagnostic::error(
                "Experiments are not supported",
                "No language experiment is available here.",
            )
            .at(attribute.name_range()),
        );
    }
    for inner in block.body.blocks {
        match &*inner.kind {
            "backend" => backend(settings, inner, diagnostics),
            "required_providers" => required_providers(settings, &inner, diagnostics),
            "cloud" => not_supported(
                &inner,
                "HCP Terraform and Terraform Enterprise",
                diagnostics,
            ),
            "encryption" => not_supported(&inner, "Encrypted states and plans", diagnostics),
            "provider_meta" => not_supported(&inner, "Provider metadata blocks", diagnostics),
            _ => {}
        }
    }
}

fn required_version(
    attribute: &Attribute,
    diagnostics: &mut Diagnostics,
) -> Option<VersionRequirement> {
    let text = constant(&attribute.expr, &Type::String, diagnostics)?
        .as_str()?
        .to_owned();
    let range = attribute.expr.range();
    match Constraints::parse(&text) {
        None => diagnostics.push(invalid_constraint(&text).at(range.clone())),
        Some(constraints) if !constraints.allow_language() => diagnostics.push(
            Diagnostic::error(
                "Unsupported Terraform Core version",
                format!(
                    "This configuration requires Terraform {text}, and stead understands the language of the releases up to \
                     1.15. Relax the constraint if the configuration works with an earlier release."
                ),
            )
            .at(range.clone()),
        ),
        Some(_) => {}
    }
    Some(VersionRequirement { text, range })
}

fn invalid_constraint(text: &str) -> Diagnostic {
    Diagnostic::error(
        "Invalid version constraint",
        format!(
            "\"{text}\" is no version constraint: write, for example, \">= 1.5, < 2.0\" or \"~> 1.3\"."
        ),
    )
}

/// A version constraint given as a constant string.
pub(crate) fn version_constraint(
    expr: &Expression,
    diagnostics: &mut Diagnostics,
) -> Option<VersionRequirement> {
    let text = constant(expr, &Type::String, diagnostics)?
        .as_str()?
        .to_owned();
    if Constraints::parse(&text).is_none() {
        diagnostics.push(invalid_constraint(&text).at(expr.range()));
        return None;
    }
    Some(VersionRequirement {
        text,
        range: expr.range(),
    })
}

fn backend(settings: &mut TerraformSettings, block: Block, diagnostics: &mut Diagnostics) {
    if !check_labels(&block, &["type"], diagnostics) {
        return;
    }
    let range = block.header_range();
    if let Some(first) = &settings.backend {
        diagnostics.push(
            Diagnostic::error(
                "Duplicate 'backend' configuration block",
                format!("A module may have only one backend configuration. The backend was previously configured at {}.", place(&first.range)),
            )
            .at(range),
        );
        return;
    }
    if let Some(label) = block.labels.into_iter().next() {
        settings.backend = Some(Backend {
            kind: label.text,
            body: Arc::new(block.body),
            range,
        });
    }
}

fn required_providers(
    settings: &mut TerraformSettings,
    block: &Block,
    diagnostics: &mut Diagnostics,
) {
    check_labels(block, &[], diagnostics);
    for inner in &block.body.blocks {
        diagnostics.push(super::content::unsupported_block(
            inner,
            std::iter::empty(),
            std::iter::empty(),
        ));
    }
    for (name, attribute) in &block.body.attributes {
        let range = attribute.name_range();
        if !references::check_local_name(name, attribute.expr.range(), diagnostics) {
            continue;
        }
        let Some(provider) = required_provider(name, attribute, diagnostics) else {
            continue;
        };
        match settings.required_providers.entry(Arc::clone(name)) {
            Entry::Vacant(entry) => {
                entry.insert(provider);
            }
            Entry::Occupied(entry) => diagnostics.push(
                Diagnostic::error(
                    "Duplicate required provider",
                    format!(
                        "The provider \"{name}\" was already required at {}.",
                        place(&entry.get().range)
                    ),
                )
                .at(range),
            ),
        }
    }
}

fn required_provider(
    name: &str,
    attribute: &Attribute,
    diagnostics: &mut Diagnostics,
) -> Option<RequiredProvider> {
    let range = attribute.name_range();
    let file = attribute.expr.file();
    let mut provider = RequiredProvider {
        source: implied_source(name),
        version: None,
        aliases: Vec::new(),
        range,
    };
    let ExprKind::Object(items) = &attribute.expr.node().kind else {
        // The form of old: only a version.
        provider.version = version_constraint(&attribute.expr, diagnostics);
        return Some(provider);
    };
    for item in items {
        let key = match &item.key {
            ObjectKey::Name(name) => name.text.to_string(),
            ObjectKey::Expr(key) => file.slice(key.span).trim_matches('"').to_owned(),
        };
        let value = Expression::new(Arc::clone(file), item.value.clone());
        match key.as_str() {
            "version" => provider.version = version_constraint(&value, diagnostics),
            "source" => {
                let text = constant(&value, &Type::String, diagnostics)?;
                match text.as_str().and_then(ProviderSource::parse) {
                    Some(source) => provider.source = source,
                    None => diagnostics.push(
                        Diagnostic::error(
                            "Invalid provider source string",
                            "The \"source\" attribute must be in the format \"[hostname/][namespace/]name\".",
                        )
                        .at(value.range()),
                    ),
                }
            }
            "configuration_aliases" => {
                let ExprKind::Tuple(items) = &item.value.kind else {
                    diagnostics.push(
                        Diagnostic::error("Invalid configuration_aliases value", "A list of provider configurations is required.")
                            .at(value.range()),
                    );
                    continue;
                };
                for alias in items {
                    let alias = Expression::new(Arc::clone(file), alias.clone());
                    provider.aliases.extend(references::provider(&alias, "configuration_aliases", diagnostics).map(|p| p.name));
                }
            }
            _ => diagnostics.push(
                Diagnostic::error(
                    "Invalid required_providers object",
                    "required_providers objects can only contain \"version\", \"source\" and \"configuration_aliases\" \
                     attributes.",
                )
                .at(file.range(item.key.span())),
            ),
        }
    }
    Some(provider)
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
