//! `terraform` blocks.

use std::sync::Arc;

use stead_value::convert::convert;
use stead_value::{Diagnostic, Diagnostics, Type};

use super::content::{Shape, check_labels, check_shape, only_attributes};
use super::encryption;
use super::model::{Backend, ProviderMeta, TerraformSettings, VersionRequirement};
use super::module::{Redeclared, not_supported};
use super::references::check_local_name;
use super::required_providers;
use super::statics::keyword;
use super::version::Constraints;
use crate::expr::evaluate_constant;
use crate::syntax::{Attribute, Block};

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

/// The edition of the language: there is only one.
const EDITION: &str = "TF2021";

pub(crate) fn add(
    settings: &mut TerraformSettings,
    block: Block,
    redeclared: &mut Redeclared,
    diagnostics: &mut Diagnostics,
) {
    if let Some(attribute) = block.body.attribute("required_version") {
        settings
            .required_versions
            .extend(version_constraint(attribute, diagnostics));
    }
    if let Some(attribute) = block.body.attribute("language") {
        check_edition(attribute, diagnostics);
    }
    if let Some(attribute) = block.body.attribute("experiments") {
        diagnostics.push(
            Diagnostic::error(
                "Module uses experimental features",
                "Experimental features are intended only for gathering early feedback on new language designs, and so are \
                 available only in alpha releases of Terraform.",
            )
            .at(attribute.name_range()),
        );
    }
    check_shape(&block.body, &TERRAFORM, diagnostics);
    for inner in block.body.blocks {
        let labels: &[&str] = match &*inner.kind {
            "backend" => &["type"],
            "provider_meta" => &["provider"],
            _ => &[],
        };
        // What does not belong here has been said.
        if !TERRAFORM.blocks.contains(&&*inner.kind) || !check_labels(&inner, labels, diagnostics) {
            continue;
        }
        match &*inner.kind {
            "backend" => backend(settings, inner, redeclared),
            "required_providers" => {
                required_providers::add(settings, &inner, redeclared, diagnostics);
            }
            "cloud" => not_supported(
                &inner,
                "HCP Terraform and Terraform Enterprise",
                diagnostics,
            ),
            "encryption" => encryption(settings, &inner, redeclared, diagnostics),
            _ => provider_meta(settings, inner, redeclared, diagnostics),
        }
    }
}

fn check_edition(attribute: &Attribute, diagnostics: &mut Diagnostics) {
    let version = super::REFERENCE_VERSION;
    let (summary, detail) = match keyword(&attribute.expr) {
        None => (
            "Invalid language edition",
            format!(
                "The language argument expects a bare language edition keyword. Terraform {version} supports only language \
                 edition {EDITION}, which is the default."
            ),
        ),
        Some(word) if &*word != EDITION => (
            "Unsupported language edition",
            format!(
                "Terraform v{version} only supports language edition {EDITION}. This module requires a {} version of Terraform \
                 CLI.",
                if &*word > EDITION {
                    "newer"
                } else {
                    "different"
                }
            ),
        ),
        Some(_) => return,
    };
    diagnostics.push(Diagnostic::error(summary, detail).at(attribute.expr.range()));
}

/// A version constraint, given as a constant string.
pub(crate) fn version_constraint(
    attribute: &Attribute,
    diagnostics: &mut Diagnostics,
) -> Option<VersionRequirement> {
    let outcome = evaluate_constant(&attribute.expr);
    if outcome.diagnostics.has_errors() {
        diagnostics.extend(outcome.diagnostics);
        return None;
    }
    let invalid = |detail: String| {
        Diagnostic::error("Invalid version constraint", detail).at(attribute.expr.range())
    };
    let Ok(value) = convert(&outcome.value, &Type::String) else {
        diagnostics.push(invalid(format!(
            "A string value is required for {}.",
            attribute.name
        )));
        return None;
    };
    let text = value.as_str()?.to_owned();
    if Constraints::parse(&text).is_none() {
        diagnostics.push(invalid(
            "This string does not use correct version constraint syntax.".to_owned(),
        ));
        return None;
    }
    Some(VersionRequirement {
        text,
        range: attribute.range(),
    })
}

fn backend(settings: &mut TerraformSettings, block: Block, redeclared: &mut Redeclared) {
    let range = block.header_range();
    if let Some(first) = &settings.backend {
        redeclared.report(
            "Duplicate backend configuration",
            "A module may have only one backend configuration. The backend was previously configured at {first}.",
            &first.range,
            range,
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

fn encryption(
    settings: &mut TerraformSettings,
    block: &Block,
    redeclared: &mut Redeclared,
    diagnostics: &mut Diagnostics,
) {
    let config = encryption::read(block, diagnostics);
    match &settings.encryption {
        None => settings.encryption = Some(config),
        Some(first) => redeclared.report(
            encryption::DUPLICATE,
            "A module may have only one encryption configuration. Encryption was previously configured at {first}.",
            &first.range,
            config.range,
        ),
    }
}

fn provider_meta(
    settings: &mut TerraformSettings,
    block: Block,
    redeclared: &mut Redeclared,
    diagnostics: &mut Diagnostics,
) {
    only_attributes(&block.body, diagnostics);
    for attribute in block.body.attributes.values() {
        diagnostics.extend(evaluate_constant(&attribute.expr).diagnostics);
    }
    let range = block.header_range();
    let Some(label) = block.labels.into_iter().next() else {
        return;
    };
    if !check_local_name(&label.text, range.clone(), diagnostics) {
        return;
    }
    if let Some(first) = settings
        .provider_metas
        .iter()
        .find(|m| m.provider == label.text)
    {
        redeclared.report(
            "Duplicate provider_meta block",
            &format!("A provider_meta block for provider \"{}\" was already declared at {{first}}. Providers may only have one provider_meta block per module.", label.text),
            &first.range,
            range,
        );
        return;
    }
    settings.provider_metas.push(ProviderMeta {
        provider: label.text,
        body: Arc::new(block.body),
        range,
    });
}
