//! From text to configuration documents or to a patch.

use std::collections::HashSet;

use super::delete::extract_deletes;
use super::json6902;
use super::{Part, Patch, PatchError};
use crate::machinery::schema::{Document, Release, decode_document};
use crate::machinery::yaml::{Node, parse_documents};

/// Reads a configuration: strict, every document once.
pub(crate) fn load_config(text: &str, release: Release) -> Result<Vec<Document>, PatchError> {
    let mut seen = Seen::default();
    let mut documents = Vec::new();
    for node in parse_documents(text)? {
        documents.extend(decode(&node, &mut seen, release)?);
    }
    if documents.is_empty() {
        Err(PatchError::NoConfig)
    } else {
        Ok(documents)
    }
}

/// Reads one patch: as configuration first, else as JSON6902 in JSON, else as JSON6902 in YAML.
pub(super) fn load_patch(text: &str, release: Release) -> Result<Patch, PatchError> {
    let refused = match load_strategic(text, release) {
        Ok(parts) => return Ok(Patch::Strategic(parts)),
        Err(e) => e,
    };
    match (json6902::parse_json(text), json6902::parse_yaml(text)) {
        (Ok(operations), _) | (Err(_), Some(operations)) => Ok(Patch::Json(operations)),
        (Err(e), None) if text.trim_start().starts_with('[') => Err(PatchError::Json(e)),
        _ => Err(refused),
    }
}

fn load_strategic(text: &str, release: Release) -> Result<Vec<Part>, PatchError> {
    let mut seen = Seen {
        repeats: release >= Release::V1_14,
        ..Seen::default()
    };
    let (mut first, mut rest) = (Vec::new(), Vec::new());
    for node in parse_documents(text)? {
        let line = node.line;
        let (selectors, left) =
            extract_deletes(node).map_err(|reason| PatchError::DeleteStatement { line, reason })?;
        for selector in selectors {
            // What is deleted from the legacy document goes before everything else.
            let legacy = selector.is_legacy();
            if legacy {
                first.push(Part::Delete(selector));
            } else {
                rest.push(Part::Delete(selector));
            }
        }
        if let Some(node) = left
            && let Some(document) = decode(&node, &mut seen, release)?
        {
            rest.push(Part::Merge(document));
        }
    }
    // The legacy document goes before the others, wherever it was written.
    let (legacy, others): (Vec<_>, Vec<_>) = rest
        .into_iter()
        .partition(|p| matches!(p, Part::Merge(d) if d.is_legacy()));
    first.extend(legacy);
    first.extend(others);
    if first.is_empty() {
        Err(PatchError::NoConfig)
    } else {
        Ok(first)
    }
}

/// The documents met in one text.
#[derive(Default)]
struct Seen {
    ids: HashSet<String>,
    /// Talos 1.14 lets one patch name a document twice.
    repeats: bool,
}

fn decode(node: &Node, seen: &mut Seen, release: Release) -> Result<Option<Document>, PatchError> {
    if node.is_null() {
        return Ok(None);
    }
    if node.as_map().is_none() {
        return Err(PatchError::NotADocument(node.line));
    }
    let kind = match node.text_of("kind") {
        "" => "v1alpha1",
        kind => kind,
    };
    let id = format!(
        "{}/{kind}/{}",
        node.text_of("apiVersion"),
        node.text_of("name")
    );
    if !seen.ids.insert(id.clone()) && !seen.repeats {
        return Err(PatchError::Duplicate(id, node.line));
    }
    match decode_document(node, release) {
        Ok(document) => Ok(Some(document)),
        Err(reason) => Err(PatchError::document(id, node.line, &reason)),
    }
}
