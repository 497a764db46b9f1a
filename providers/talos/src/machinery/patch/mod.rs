//! Configuration patches: strategic merge patches with `$patch: delete`, and JSON6902.
//!
//! Facts: Talos `pkg/machinery/config/configpatcher` and `configloader`; texts are the same.

mod delete;
mod json6902;
mod load;
mod quirks;

use super::merge::{MergeError, merge_documents};
use super::review::label;
use super::schema::{DecodeError, Document, Release};
use super::yaml::YamlError;
use delete::{Applied, Selector};

pub(crate) use load::load_config;
pub use quirks::Quirk;

/// Why a configuration or a patch was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatchError {
    /// The text is not YAML.
    #[error("decode error: {0}")]
    Yaml(String),
    /// A document of the stream is neither a mapping nor null.
    #[error("expected a YAML document at line {0}")]
    NotADocument(usize),
    /// The same document was given twice in one text.
    #[error("duplicate document {0} is not allowed (line {1})")]
    Duplicate(String, usize),
    /// A document did not fit its type.
    #[error("error decoding document {id} (line {line}): {reason}")]
    Document {
        /// apiVersion/kind/name as written.
        id: String,
        /// Line the document starts on.
        line: usize,
        /// What the decoder said.
        reason: String,
    },
    /// `$patch: delete` is used in a way Talos does not support.
    #[error("error processing patch delete statements at line {line}: {reason}")]
    DeleteStatement {
        /// Line the document starts on.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A `$patch: delete` points at nothing, or where nothing can be deleted.
    #[error("{0}")]
    Delete(String),
    /// Free-form values of two types met.
    #[error("{0}")]
    Merge(String),
    /// JSON6902 works on exactly one document.
    #[error("JSON6902 patches are not supported for multi-document machine configuration")]
    MultiDocument,
    /// A JSON6902 operation failed.
    #[error("failure applying rfc6902 patches to talos machine config: {0}")]
    Json(String),
    /// The text holds no configuration at all.
    #[error("config not found")]
    NoConfig,
    /// Talos reads such a text as a file name; files are read by the caller.
    #[error("the patch {0:?} names a file: pass the contents of the file instead")]
    FileName(String),
}

impl From<YamlError> for PatchError {
    fn from(e: YamlError) -> Self {
        Self::Yaml(e.to_string())
    }
}

impl From<MergeError> for PatchError {
    fn from(e: MergeError) -> Self {
        Self::Merge(e.to_string())
    }
}

impl PatchError {
    fn document(id: String, line: usize, reason: &DecodeError) -> Self {
        Self::Document {
            id,
            line,
            reason: reason.to_string(),
        }
    }
}

/// A loaded patch.
#[derive(Clone, Debug)]
pub(crate) enum Patch {
    Strategic(Vec<Part>),
    Json(Vec<json6902::Operation>),
}

/// One part of a strategic patch, in the order of application.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    Merge(Document),
    Delete(Selector),
}

/// Parses patches as written by users; consecutive JSON patches become one.
pub(crate) fn load_patches(texts: &[String], release: Release) -> Result<Vec<Patch>, PatchError> {
    let mut patches: Vec<Patch> = Vec::new();
    for text in texts {
        let inline = text.contains(['\n', ' ']) || text.starts_with(['[', '{']);
        if text.starts_with('@') || !inline {
            return Err(PatchError::FileName(text.clone()));
        }
        let patch = load::load_patch(text, release)?;
        match (patches.last_mut(), patch) {
            (Some(Patch::Json(have)), Patch::Json(more)) => have.extend(more),
            (_, patch) => patches.push(patch),
        }
    }
    Ok(patches)
}

/// A configuration on its way through patches: parsed, or bytes when a JSON patch wrote it last.
enum State {
    Parsed(Vec<Document>),
    Bytes(String),
}

/// Applies patches to a configuration text and returns the text.
///
/// Without patches the text comes back unchanged, as `talosctl machineconfig patch` does.
pub fn apply_patches(
    config: &str,
    patches: &[String],
    release: Release,
) -> Result<String, PatchError> {
    apply_patches_watched(config, patches, release, &mut Vec::new())
}

/// The same, and what the patches do beyond what they say.
pub fn apply_patches_watched(
    config: &str,
    patches: &[String],
    release: Release,
    quirks: &mut Vec<Quirk>,
) -> Result<String, PatchError> {
    let patches = load_patches(patches, release)?;
    if patches.is_empty() {
        return Ok(config.to_owned());
    }
    match apply(State::Bytes(config.to_owned()), &patches, release, quirks)? {
        State::Bytes(text) => Ok(text),
        State::Parsed(documents) => Ok(encode(&documents, release)),
    }
}

/// Applies patches to generated documents and parses the result again where a JSON patch was last.
pub(crate) fn patch_documents(
    documents: Vec<Document>,
    patches: &[Patch],
    release: Release,
    quirks: &mut Vec<Quirk>,
) -> Result<Vec<Document>, PatchError> {
    match apply(State::Parsed(documents), patches, release, quirks)? {
        State::Parsed(documents) => Ok(documents),
        State::Bytes(text) => load_config(&text, release),
    }
}

/// Writes documents as one stream, the legacy document first.
pub(crate) fn encode(documents: &[Document], release: Release) -> String {
    let (legacy, others): (Vec<_>, Vec<_>) = documents.iter().partition(|d| d.is_legacy());
    let texts: Vec<String> = legacy
        .into_iter()
        .chain(others)
        .map(|d| d.encode(release))
        .collect();
    texts.join("---\n")
}

/// Whether a text can be read as a patch of the release.
pub(crate) fn is_patch(text: &str, release: Release) -> bool {
    load::load_patch(text, release).is_ok()
}

fn apply(
    mut state: State,
    patches: &[Patch],
    release: Release,
    quirks: &mut Vec<Quirk>,
) -> Result<State, PatchError> {
    for patch in patches {
        state = match patch {
            Patch::Json(operations) => {
                let text = match state {
                    State::Bytes(text) => text,
                    State::Parsed(documents) => encode(&documents, release),
                };
                State::Bytes(json6902::apply(&text, operations)?)
            }
            Patch::Strategic(parts) => {
                let documents = match state {
                    State::Parsed(documents) => documents,
                    State::Bytes(text) => load_config(&text, release)?,
                };
                State::Parsed(strategic(documents, parts, quirks)?)
            }
        };
    }
    Ok(state)
}

fn strategic(
    mut documents: Vec<Document>,
    parts: &[Part],
    quirks: &mut Vec<Quirk>,
) -> Result<Vec<Document>, PatchError> {
    for part in parts {
        match part {
            Part::Merge(right) => match documents
                .iter_mut()
                .find(|d| d.identity() == right.identity())
            {
                Some(left) => {
                    let before = left.clone();
                    merge_documents(left, right)?;
                    let lost = quirks::resets(&before, right, left).into_iter();
                    quirks.extend(lost.map(|field| Quirk::Reset {
                        document: label(right),
                        field,
                    }));
                }
                None => documents.push(right.clone()),
            },
            Part::Delete(selector) => {
                // Talos 1.13 crashes on a document that is not there; 1.14 ignores the request.
                let found = documents
                    .iter()
                    .position(|d| d.identity() == selector.identity());
                let Some(at) = found else {
                    quirks.push(Quirk::NothingToDelete {
                        document: selector.label(),
                    });
                    continue;
                };
                if selector.apply(&mut documents[at])? == Applied::DocumentGone {
                    documents.remove(at);
                }
            }
        }
    }
    Ok(documents)
}

#[cfg(test)]
mod tests;
