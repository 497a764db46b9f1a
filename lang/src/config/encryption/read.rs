//! Blocks to what they say.

use std::sync::Arc;

use indexmap::IndexMap;
use indexmap::map::Entry;
use stead_value::{Diagnostic, Diagnostics};

use super::super::content::{
    Shape, bool_argument, check_labels, check_shape, only_attributes, place, string_argument,
};
use super::super::layout::ENCRYPTION;
use super::{EncryptionConfig, EncryptionTarget, KeyProviderConfig, MethodConfig, TypedName};
use crate::syntax::{Block, Body, SourceFile, parse_file, parse_json_file};

const BLOCK: Shape = Shape {
    attributes: &[],
    required: &[],
    blocks: &[
        "key_provider",
        "method",
        "state",
        "plan",
        "remote_state_data_sources",
    ],
};

const ENFORCEABLE: Shape = Shape {
    attributes: &["enforced", "method"],
    required: &[],
    blocks: &["fallback"],
};

const TARGET: Shape = Shape {
    attributes: &["method"],
    required: &[],
    blocks: &["fallback"],
};

const REMOTES: Shape = Shape {
    attributes: &[],
    required: &[],
    blocks: &["default", "remote_state_data_source"],
};

const ALIAS: &str = "encrypted_metadata_alias";

/// The summary for a second `encryption` block.
pub(crate) const DUPLICATE: &str = "Duplicate encryption configuration";

/// Reads an `encryption` block.
pub(crate) fn read(block: &Block, diagnostics: &mut Diagnostics) -> EncryptionConfig {
    let mut config = read_body(&block.body, diagnostics);
    config.range = block.header_range();
    config
}

/// Reads the content of an `encryption` block that stands alone, in HCL or JSON, as `TF_ENCRYPTION` has it. `name` is what
/// messages call it.
pub fn encryption_from_text(name: &str, text: &str) -> (EncryptionConfig, Diagnostics) {
    let json = text.trim_start().starts_with('{');
    // JSON is known by its name.
    let name = if json {
        format!("{name}.json")
    } else {
        name.to_owned()
    };
    let source = Arc::new(SourceFile::new(name, text));
    let (body, mut diagnostics) = match json {
        true => parse_json_file(&source, &ENCRYPTION),
        false => parse_file(&source),
    };
    let config = match diagnostics.has_errors() {
        // What is missing would be said as well.
        true => read_body(&body, &mut Diagnostics::new()),
        false => read_body(&body, &mut diagnostics),
    };
    (config, diagnostics)
}

fn read_body(body: &Body, diagnostics: &mut Diagnostics) -> EncryptionConfig {
    check_shape(body, &BLOCK, diagnostics);
    let mut config = EncryptionConfig {
        key_providers: IndexMap::new(),
        methods: IndexMap::new(),
        state: None,
        plan: None,
        remote_default: None,
        remotes: IndexMap::new(),
        range: body.missing_item_range(),
    };
    for block in body.blocks_of("key_provider") {
        if let Some(name) = typed_name(block, "key provider", diagnostics) {
            let provider = key_provider(block, name.clone(), diagnostics);
            let found = format!("Found multiple instances of key_provider.{name}");
            add(
                &mut config.key_providers,
                (name, provider),
                block,
                ("Duplicate key_provider", found),
                diagnostics,
            );
        }
    }
    for block in body.blocks_of("method") {
        if let Some(name) = typed_name(block, "encryption method", diagnostics) {
            let method = MethodConfig {
                name: name.clone(),
                body: Arc::new(block.body.clone()),
                range: block.header_range(),
            };
            let found = format!("Found multiple instances of method.{name}");
            add(
                &mut config.methods,
                (name, method),
                block,
                ("Duplicate method", found),
                diagnostics,
            );
        }
    }
    config.state = sole_target(body, "state", &ENFORCEABLE, diagnostics);
    config.plan = sole_target(body, "plan", &ENFORCEABLE, diagnostics);
    if let Some(remotes) = sole(body, "remote_state_data_sources", diagnostics) {
        let body = &remotes.body;
        check_shape(body, &REMOTES, diagnostics);
        config.remote_default = sole_target(body, "default", &TARGET, diagnostics);
        for block in body.blocks_of("remote_state_data_source") {
            if !check_labels(block, &["name"], diagnostics) {
                continue;
            }
            if let Some(label) = block.labels.first() {
                let target = target(block, &TARGET, diagnostics);
                let name = Arc::clone(&label.text);
                let found = format!("Found multiple instances of remote_data_source.{name}");
                add(
                    &mut config.remotes,
                    (name, target),
                    block,
                    ("Duplicate remote_data_source", found),
                    diagnostics,
                );
            }
        }
    }
    config
}

fn add<K: std::hash::Hash + Eq, V>(
    map: &mut IndexMap<K, V>,
    (key, value): (K, V),
    block: &Block,
    (summary, detail): (&str, String),
    diagnostics: &mut Diagnostics,
) {
    match map.entry(key) {
        Entry::Vacant(free) => drop(free.insert(value)),
        Entry::Occupied(_) => {
            diagnostics.push(Diagnostic::error(summary, detail).at(block.header_range()));
        }
    }
}

fn typed_name(block: &Block, what: &str, diagnostics: &mut Diagnostics) -> Option<TypedName> {
    check_labels(block, &["type", "name"], diagnostics).then_some(())?;
    let [kind, name] = block.labels.as_slice() else {
        return None;
    };
    let mut fine = true;
    for (part, label) in [("type", kind), ("name", name)] {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if label.text.is_empty() || !label.text.chars().all(allowed) {
            fine = false;
            let detail = format!(
                "The supplied {what} {part} ({}) does not match the required form of ^([a-zA-Z_0-9-]+)$.",
                label.text
            );
            let summary = format!("The provided {what} {part} is invalid");
            diagnostics.push(Diagnostic::error(summary, detail).at(block.body.range(label.span)));
        }
    }
    fine.then(|| TypedName {
        kind: Arc::clone(&kind.text),
        name: Arc::clone(&name.text),
    })
}

fn key_provider(
    block: &Block,
    name: TypedName,
    diagnostics: &mut Diagnostics,
) -> KeyProviderConfig {
    only_attributes(&block.body, diagnostics);
    let mut body = block.body.clone();
    let alias = string_argument(&body, ALIAS, diagnostics).filter(|alias| !alias.is_empty());
    body.attributes.shift_remove(ALIAS);
    KeyProviderConfig {
        name,
        alias,
        body: Arc::new(body),
        range: block.header_range(),
    }
}

/// The one block of a kind that there may be.
fn sole<'a>(body: &'a Body, kind: &'a str, diagnostics: &mut Diagnostics) -> Option<&'a Block> {
    let mut blocks = body.blocks_of(kind);
    let first = blocks.next()?;
    for again in blocks {
        let detail = format!(
            "Only one {kind} block is allowed. Another was defined at {}.",
            place(&first.header_range())
        );
        let summary = format!("Duplicate {kind} block");
        diagnostics.push(Diagnostic::error(summary, detail).at(again.header_range()));
    }
    check_labels(first, &[], diagnostics).then_some(first)
}

fn sole_target(
    body: &Body,
    kind: &str,
    shape: &Shape,
    diagnostics: &mut Diagnostics,
) -> Option<EncryptionTarget> {
    let block = sole(body, kind, diagnostics)?;
    Some(target(block, shape, diagnostics))
}

fn target(block: &Block, shape: &Shape, diagnostics: &mut Diagnostics) -> EncryptionTarget {
    let body = &block.body;
    check_shape(body, shape, diagnostics);
    EncryptionTarget {
        enforced: shape.attributes.contains(&"enforced")
            && bool_argument(body, "enforced", diagnostics).unwrap_or_default(),
        method: body.attribute("method").map(|a| a.expr.clone()),
        fallback: sole_target(body, "fallback", &TARGET, diagnostics).map(Box::new),
        range: block.header_range(),
    }
}
