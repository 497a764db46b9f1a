//! Override files: their blocks change the blocks of the same name in the other files.

use std::collections::HashMap;
use std::sync::Arc;

use stead_value::{Diagnostic, Diagnostics, SourceRange};

use super::content::{place, unsupported_argument};
use super::{encryption, statics};
use crate::syntax::{Block, Body};

/// What override files changed, as far as messages depend on it.
#[derive(Default)]
pub(crate) struct Overridden {
    variables: HashMap<Arc<str>, OverriddenVariable>,
    /// Merged when the others have been read: their parts have names, not only types.
    encryptions: Vec<Block>,
}

/// Which of the two arguments that must agree an override file gave.
pub(crate) struct OverriddenVariable {
    pub(crate) range: SourceRange,
    pub(crate) has_type: bool,
    pub(crate) has_default: bool,
}

impl Overridden {
    pub(crate) fn variable(&self, name: &str) -> Option<&OverriddenVariable> {
        self.variables.get(name)
    }

    pub(crate) fn encryptions(&self) -> &[Block] {
        &self.encryptions
    }
}

/// Merges an override file into the bodies of the primary files.
pub(crate) fn apply(
    bodies: &mut [Body],
    overriding: Body,
    overridden: &mut Overridden,
    diagnostics: &mut Diagnostics,
) {
    for attribute in overriding.attributes.values() {
        diagnostics.push(unsupported_argument(
            attribute,
            std::iter::empty(),
            std::iter::empty(),
        ));
    }
    let mut backends = Vec::new();
    let mut encryptions = Vec::new();
    for mut block in overriding.blocks {
        if let Some(refused) = never_overridden(&block) {
            diagnostics.push(refused);
            continue;
        }
        match &*block.kind {
            "locals" => {
                locals(bodies, block, diagnostics);
                continue;
            }
            "terraform" => {
                encryptions.extend(take_encryption(&mut block));
                terraform(bodies, block, &mut backends);
                continue;
            }
            _ => {}
        }
        refuse_within(&mut block, diagnostics);
        if &*block.kind == "variable"
            && let Some(label) = block.labels.first()
        {
            let change = OverriddenVariable {
                range: block.header_range(),
                has_type: block.body.attribute("type").is_some(),
                has_default: block.body.attribute("default").is_some(),
            };
            overridden.variables.insert(Arc::clone(&label.text), change);
        }
        match find(bodies, &block) {
            Some(base) => merge(&mut base.body, block.body),
            None if is_default_provider(&block) => {
                if let Some(first) = bodies.first_mut() {
                    first.blocks.push(block);
                }
            }
            None => diagnostics.push(missing_base(&block)),
        }
    }
    if let [first, second, ..] = backends.as_slice() {
        diagnostics.push(
            Diagnostic::error(
                "Duplicate backend configuration",
                format!(
                    "Each override file may have only one backend configuration. A backend was previously configured at {}.",
                    place(first)
                ),
            )
            .at(second.clone()),
        );
    }
    if let [first, second, ..] = encryptions.as_slice() {
        diagnostics.push(
            Diagnostic::error(
                encryption::DUPLICATE,
                format!(
                    "Each override file may have only one encryption configuration. Encryption was previously configured at {}.",
                    place(&first.header_range())
                ),
            )
            .at(second.header_range()),
        );
    }
    overridden
        .encryptions
        .extend(encryptions.into_iter().take(1));
}

/// Takes the `encryption` blocks out of a `terraform` block.
fn take_encryption(block: &mut Block) -> Vec<Block> {
    let is_encryption = |b: &mut Block| &*b.kind == "encryption";
    block.body.blocks.extract_if(.., is_encryption).collect()
}

/// Blocks that only stand in primary files.
fn never_overridden(block: &Block) -> Option<Diagnostic> {
    let (summary, detail) = match &*block.kind {
        "moved" => (
            "Cannot override 'moved' blocks",
            "Records of moved objects can appear only in normal files, not in override files.",
        ),
        "removed" => (
            "Cannot override 'removed' blocks",
            "Records of removed objects can appear only in normal files, not in override files.",
        ),
        "import" => (
            "Cannot override 'import' blocks",
            "Import blocks can appear only in normal files, not in override files.",
        ),
        "language" => (
            "Language selections in override file",
            "Language-related settings can appear only in normal files, not in override files.",
        ),
        "check" => (
            "Can't override check blocks",
            "Override files cannot override check blocks.",
        ),
        _ => return None,
    };
    Some(Diagnostic::error(summary, detail).at(block.header_range()))
}

/// Takes out what an override file may not change, and reports it.
fn refuse_within(block: &mut Block, diagnostics: &mut Diagnostics) {
    if let Some(attribute) = block.body.attributes.shift_remove("depends_on") {
        let items = statics::list(&attribute.expr, diagnostics);
        if let Some(first) = items.first() {
            diagnostics.push(
                Diagnostic::error(
                    "Unsupported override",
                    "The depends_on argument may not be overridden.",
                )
                .at(first.range()),
            );
        }
    }
    let mut refuse_rules = |body: &mut Body| {
        body.blocks.retain(|inner| {
            let rule = matches!(
                &*inner.kind,
                "validation" | "precondition" | "postcondition"
            );
            if rule {
                diagnostics.push(
                    Diagnostic::error(
                        format!("Can't override {} blocks", inner.kind),
                        format!("Override files cannot override \"{}\" blocks.", inner.kind),
                    )
                    .at(inner.header_range()),
                );
            }
            !rule
        });
    };
    if matches!(&*block.kind, "variable" | "output") {
        refuse_rules(&mut block.body);
    }
    for inner in &mut block.body.blocks {
        if &*inner.kind == "lifecycle" {
            refuse_rules(&mut inner.body);
        }
    }
}

/// A provider without a block has an empty configuration, which can be overridden too.
fn is_default_provider(block: &Block) -> bool {
    &*block.kind == "provider" && block.body.attribute("alias").is_none()
}

fn missing_base(block: &Block) -> Diagnostic {
    let label = |i: usize| block.labels.get(i).map_or("", |l| &*l.text);
    let name = label(0);
    let (summary, detail) = match &*block.kind {
        "variable" => (
            "Missing base variable declaration to override",
            format!(
                "There is no variable named \"{name}\". An override file can only override a variable that was already declared in a primary configuration file."
            ),
        ),
        "output" => (
            "Missing base output definition to override",
            format!(
                "There is no output named \"{name}\". An override file can only override an output that was already defined in a primary configuration file."
            ),
        ),
        "module" => (
            "Missing module call to override",
            format!(
                "There is no module call named \"{name}\". An override file can only override a module call that was defined in a primary configuration file."
            ),
        ),
        "resource" => (
            "Missing resource to override",
            format!(
                "There is no {name} resource named \"{}\". An override file can only override a resource block defined in a primary configuration file.",
                label(1)
            ),
        ),
        "data" => (
            "Missing data resource to override",
            format!(
                "There is no {name} data resource named \"{}\". An override file can only override a data block defined in a primary configuration file.",
                label(1)
            ),
        ),
        "ephemeral" => (
            "Missing ephemeral resource to override",
            format!(
                "There is no {name} ephemeral resource named \"{}\". An override file can only override an ephemeral block defined in a primary configuration file.",
                label(1)
            ),
        ),
        "provider" => {
            let alias = block.body.attribute("alias").map_or("", |a| a.expr.text());
            (
                "Missing base provider configuration for override",
                format!(
                    "There is no {name} provider configuration with the alias {alias}. An override file can only override an aliased provider configuration that was already defined in a primary configuration file."
                ),
            )
        }
        kind => (
            "Unsupported block type",
            format!("Blocks of type \"{kind}\" are not expected here."),
        ),
    };
    Diagnostic::error(summary, detail).at(block.header_range())
}

fn find<'a>(bodies: &'a mut [Body], block: &Block) -> Option<&'a mut Block> {
    let same_labels = |b: &Block| {
        b.labels.len() == block.labels.len()
            && b.labels
                .iter()
                .zip(&block.labels)
                .all(|(a, b)| a.text == b.text)
    };
    // Configurations of one provider are told apart by their alias.
    let alias = |b: &Block| b.body.attribute("alias").map(|a| a.expr.text().to_owned());
    let is_provider = &*block.kind == "provider";
    let wanted = alias(block);
    bodies
        .iter_mut()
        .flat_map(|body| body.blocks.iter_mut())
        .find(|b| b.kind == block.kind && same_labels(b) && (!is_provider || alias(b) == wanted))
}

/// Arguments replace arguments; nested blocks of a type replace all of that type, except that `lifecycle` is merged.
pub(crate) fn merge(base: &mut Body, overriding: Body) {
    base.attributes.extend(overriding.attributes);
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
fn locals(bodies: &mut [Body], block: Block, diagnostics: &mut Diagnostics) {
    let mut rest = block.body.attributes;
    for base in bodies
        .iter_mut()
        .flat_map(|b| b.blocks.iter_mut())
        .filter(|b| &*b.kind == "locals")
    {
        for (name, attribute) in base.body.attributes.iter_mut() {
            if let Some(new) = rest.shift_remove(name) {
                *attribute = new;
            }
        }
    }
    for (name, attribute) in rest {
        diagnostics.push(
            Diagnostic::error(
                "Missing base local value definition to override",
                format!("There is no local value named \"{name}\". An override file can only override a local value that was already defined in a primary configuration file."),
            )
            .at(attribute.range()),
        );
    }
}

/// The version requirement and the backend replace those before; required providers replace by name.
fn terraform(bodies: &mut [Body], block: Block, backends: &mut Vec<SourceRange>) {
    let mut block = block;
    let is_backend = |b: &Block| matches!(&*b.kind, "backend" | "cloud");
    let given = block.body.blocks.iter().filter(|b| is_backend(b));
    let before = backends.len();
    backends.extend(given.map(Block::header_range));
    let has_backend = backends.len() > before;
    let mut added = Vec::new();
    block.body.blocks.retain(|b| {
        let providers = &*b.kind == "required_providers";
        if providers {
            added.push(b.clone());
        }
        !providers
    });
    let mut merged = false;
    for base in bodies
        .iter_mut()
        .flat_map(|b| b.blocks.iter_mut())
        .filter(|b| &*b.kind == "terraform")
    {
        if block.body.attributes.contains_key("required_version") {
            base.body.attributes.shift_remove("required_version");
        }
        if has_backend {
            base.body.blocks.retain(|b| !is_backend(b));
        }
        let providers = base
            .body
            .blocks
            .iter_mut()
            .find(|b| &*b.kind == "required_providers");
        if let Some(providers) = providers {
            merged = true;
            for new in &added {
                providers
                    .body
                    .attributes
                    .extend(new.body.attributes.clone());
            }
        }
    }
    if !merged {
        block.body.blocks.extend(added);
    }
    if let Some(body) = bodies.first_mut() {
        body.blocks.push(block);
    }
}
