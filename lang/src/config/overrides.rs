//! Override files: their blocks change the blocks of the same name in the other files.

use std::sync::Arc;

use stead_value::{Diagnostic, Diagnostics};

use super::content::unsupported_argument;
use crate::syntax::{Block, Body};

/// Merges an override file into the bodies of the primary files.
pub(crate) fn apply(bodies: &mut [Body], overriding: Body, diagnostics: &mut Diagnostics) {
    for attribute in overriding.attributes.values() {
        diagnostics.push(unsupported_argument(
            attribute,
            std::iter::empty(),
            std::iter::empty(),
        ));
    }
    for block in overriding.blocks {
        match &*block.kind {
            "locals" => locals(bodies, block),
            "terraform" => terraform(bodies, block),
            "moved" | "removed" | "import" | "check" => diagnostics.push(
                Diagnostic::error(
                    format!("Cannot override '{}' blocks", block.kind),
                    "Blocks of this type can appear only in normal files, not in override files.",
                )
                .at(block.header_range()),
            ),
            _ => match find(bodies, &block) {
                Some(base) => merge(&mut base.body, block.body),
                None => diagnostics.push(
                    Diagnostic::error(
                        format!("Missing base {} declaration to override", block.kind),
                        "There is no block of this type and name in the other files. An override file can only change what is \
                         declared in a primary configuration file.",
                    )
                    .at(block.header_range()),
                ),
            },
        }
    }
}

fn find<'a>(bodies: &'a mut [Body], block: &Block) -> Option<&'a mut Block> {
    let labels = |b: &Block| {
        b.labels
            .iter()
            .map(|l| Arc::clone(&l.text))
            .collect::<Vec<_>>()
    };
    // Configurations of one provider are told apart by their alias.
    let alias = |b: &Block| b.body.attribute("alias").map(|a| a.expr.text().to_owned());
    bodies
        .iter_mut()
        .flat_map(|body| body.blocks.iter_mut())
        .find(|b| b.kind == block.kind && labels(b) == labels(block) && alias(b) == alias(block))
}

/// Arguments replace arguments; nested blocks of a type replace all of that type, except that `lifecycle` is merged.
fn merge(base: &mut Body, overriding: Body) {
    for (name, attribute) in overriding.attributes {
        base.attributes.insert(name, attribute);
    }
    let type_of = |b: &Block| match (&*b.kind, b.labels.first()) {
        ("dynamic", Some(label)) => Arc::clone(&label.text),
        _ => Arc::clone(&b.kind),
    };
    let replaced: Vec<Arc<str>> = overriding
        .blocks
        .iter()
        .map(type_of)
        .filter(|t| &**t != "lifecycle")
        .collect();
    base.blocks.retain(|b| !replaced.contains(&type_of(b)));
    for block in overriding.blocks {
        let existing = base
            .blocks
            .iter_mut()
            .find(|b| &*b.kind == "lifecycle" && block.kind == b.kind);
        match existing {
            Some(existing) => merge(&mut existing.body, block.body),
            None => base.blocks.push(block),
        }
    }
}

/// Each local value replaces the one of the same name.
fn locals(bodies: &mut [Body], block: Block) {
    let mut rest = block;
    for base in bodies
        .iter_mut()
        .flat_map(|b| b.blocks.iter_mut())
        .filter(|b| &*b.kind == "locals")
    {
        for (name, attribute) in base.body.attributes.iter_mut() {
            if let Some(new) = rest.body.attributes.shift_remove(name) {
                *attribute = new;
            }
        }
    }
    if !rest.body.attributes.is_empty()
        && let Some(body) = bodies.first_mut()
    {
        body.blocks.push(rest);
    }
}

/// The version requirement and the backend replace those before; required providers replace by name.
fn terraform(bodies: &mut [Body], block: Block) {
    let mut block = block;
    let has_backend = block
        .body
        .blocks
        .iter()
        .any(|b| matches!(&*b.kind, "backend" | "cloud"));
    for base in bodies
        .iter_mut()
        .flat_map(|b| b.blocks.iter_mut())
        .filter(|b| &*b.kind == "terraform")
    {
        if block.body.attributes.contains_key("required_version") {
            base.body.attributes.shift_remove("required_version");
        }
        if has_backend {
            base.body
                .blocks
                .retain(|b| !matches!(&*b.kind, "backend" | "cloud"));
        }
        for providers in base
            .body
            .blocks
            .iter_mut()
            .filter(|b| &*b.kind == "required_providers")
        {
            for new in block
                .body
                .blocks
                .iter_mut()
                .filter(|b| &*b.kind == "required_providers")
            {
                for (name, attribute) in providers.body.attributes.iter_mut() {
                    if let Some(replacement) = new.body.attributes.shift_remove(name) {
                        *attribute = replacement;
                    }
                }
            }
        }
    }
    if let Some(body) = bodies.first_mut() {
        body.blocks.push(block);
    }
}
