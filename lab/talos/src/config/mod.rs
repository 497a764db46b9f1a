//! Machine configuration: strict decoding per line, validation, and what a node wants to know from it.

mod conflicts;
mod decode;
mod facts;
mod immediate;
mod schema;
mod validate;

#[cfg(test)]
mod tests;

pub(crate) use decode::Document;
pub(crate) use facts::{LinkAddresses, MachineType, Manifest, Pem};
pub(crate) use immediate::{applies_immediately, diff};
pub(crate) use validate::{Mode, validate};

use crate::version::Line;
use crate::yaml::Node;

/// A decoded machine configuration. Holds secrets, therefore it has no `Debug`.
#[derive(Clone)]
pub(crate) struct Config {
    /// As it was submitted, byte for byte.
    pub(crate) text: String,
    pub(crate) documents: Vec<Document>,
}

impl Config {
    /// Decodes as a node of this line does; the error is that node's text.
    pub(crate) fn load(line: Line, data: &[u8]) -> Result<Config, String> {
        let text = std::str::from_utf8(data).map_err(|_| {
            "decode error: go-yaml load error in reader at <unknown position>: incomplete UTF-8 octet sequence".to_owned()
        })?;
        Ok(Config {
            text: text.to_owned(),
            documents: decode::decode(line, text)?,
        })
    }

    /// The main document.
    pub(crate) fn main(&self) -> Option<&Node> {
        self.doc("v1alpha1")
    }

    /// The first document of a kind.
    pub(crate) fn doc(&self, kind: &str) -> Option<&Node> {
        self.docs(kind).next().map(|d| &d.node)
    }

    pub(crate) fn docs<'a>(&'a self, kind: &str) -> impl Iterator<Item = &'a Document> + use<'a> {
        let kind = kind.to_owned();
        self.documents.iter().filter(move |d| d.kind == kind)
    }

    /// A value of the main document.
    pub(crate) fn at(&self, path: &str) -> Option<&Node> {
        self.main().and_then(|m| m.at(path))
    }

    pub(crate) fn text_at(&self, path: &str) -> Option<&str> {
        self.main().and_then(|m| m.text_at(path))
    }

    pub(crate) fn items_at(&self, path: &str) -> &[Node] {
        self.main().map(|m| m.items_at(path)).unwrap_or_default()
    }
}
