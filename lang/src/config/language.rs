//! `language` blocks, of OpenTofu 1.12: which releases and which edition of its language a module is written for.

use stead_value::{Diagnostic, Diagnostics};

use super::content::{Shape, check_labels, check_shape};
use super::model::VersionRequirement;
use super::statics::keyword;
use super::terraform::version_constraint;
use super::version::{Constraints, Version};
use crate::syntax::{Attribute, Block};

const LANGUAGE: Shape = Shape {
    attributes: &["edition", "experiments"],
    required: &[],
    blocks: &["compatible_with"],
};

/// The edition of the language: there is only one.
const EDITION: &str = "tofu2024";
/// The release of OpenTofu whose additions to the language are understood.
const OPENTOFU: &str = "1.12.6";
/// The last one that does not know the block.
const BEFORE: &str = "1.11.0";

/// Checks a block; nothing of it is needed later.
pub(crate) fn check(block: &Block, diagnostics: &mut Diagnostics) {
    if !check_labels(block, &[], diagnostics) {
        return;
    }
    check_shape(&block.body, &LANGUAGE, diagnostics);
    if let Some(attribute) = block.body.attribute("edition") {
        diagnostics.extend(wrong_edition(attribute));
    }
    if let Some(attribute) = block.body.attribute("experiments") {
        diagnostics.push(
            Diagnostic::error(
                "Unknown experiment keyword",
                "There are no experiments in the language. Take the argument out.",
            )
            .at(attribute.expr.range()),
        );
    }
    let mut first: Option<VersionRequirement> = None;
    for inner in block.body.blocks_of("compatible_with") {
        if let Some(first) = &first {
            diagnostics.push(
                Diagnostic::error(
                    "Duplicate compatible_with block",
                    format!(
                        "Each language block may have at most one compatible_with block referring to OpenTofu. The OpenTofu version constraint was already declared at {}.",
                        super::content::place(&first.range)
                    ),
                )
                .at(block.header_range()),
            );
            continue;
        }
        // What else stands here is for other software.
        let Some(attribute) = inner.body.attribute("opentofu") else {
            continue;
        };
        let Some(requirement) = version_constraint(attribute, diagnostics) else {
            continue;
        };
        diagnostics.extend(unsuitable(&requirement));
        first = Some(requirement);
    }
}

fn wrong_edition(attribute: &Attribute) -> Option<Diagnostic> {
    let (summary, detail) = match keyword(&attribute.expr).as_deref() {
        Some(EDITION) => return None,
        None => (
            "Invalid language edition",
            format!(
                "The \"edition\" argument expects a bare language edition keyword. Only {EDITION} is supported, which is the default."
            ),
        ),
        Some(word) => (
            "Unsupported language edition",
            format!(
                "Only the language edition {EDITION} is supported, and this module is written for {word}."
            ),
        ),
    };
    Some(Diagnostic::error(summary, detail).at(attribute.expr.range()))
}

fn unsuitable(requirement: &VersionRequirement) -> Option<Diagnostic> {
    let constraints = Constraints::parse(&requirement.text)?;
    let allows = |text| Version::parse(text).is_some_and(|version| constraints.allow(&version));
    let found = if !allows(OPENTOFU) {
        Diagnostic::error(
            "Incompatible module",
            format!(
                "This module does not support OpenTofu version {OPENTOFU}, whose language stead understands. Take another release of the module, or change the constraint: it is there for a reason, so that this may lead to other errors."
            ),
        )
    } else if allows(BEFORE) {
        Diagnostic::warning(
            "Ineffective version constraint",
            "Releases before OpenTofu 1.12 do not understand the compatible_with block, so that a constraint in it should exclude them, such as by \">= 1.12.0\". Modules for older releases say what they need with required_version in a terraform block.",
        )
    } else {
        return None;
    };
    Some(found.at(requirement.range.clone()))
}
