//! The YAML node tree: scalars keep their text, so that each field decides what it means.

use super::resolve::{Resolved, resolve};

/// A node with the line (from 1) it starts on.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) kind: NodeKind,
}

#[derive(Clone)]
pub(crate) enum NodeKind {
    Scalar(Scalar),
    Seq(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

/// A scalar with its text after escape processing.
#[derive(Clone)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    /// Written plain, thus open to resolution as a number, boolean or null.
    pub(crate) plain: bool,
    /// Short core tag written in the source (`str`, `int`, ...).
    pub(crate) tag: Option<String>,
}

impl Scalar {
    pub(crate) fn resolve(&self) -> Resolved {
        match self.tag.as_deref() {
            Some("str") => Resolved::Str,
            None if !self.plain => Resolved::Str,
            _ => resolve(&self.text),
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self.resolve(), Resolved::Null)
    }
}

impl Node {
    pub(crate) fn as_map(&self) -> Option<&[(Node, Node)]> {
        match &self.kind {
            NodeKind::Map(pairs) => Some(pairs),
            _ => None,
        }
    }

    pub(crate) fn as_scalar(&self) -> Option<&Scalar> {
        match &self.kind {
            NodeKind::Scalar(s) => Some(s),
            _ => None,
        }
    }

    /// The text of a scalar value at `key`, empty when absent or not a scalar.
    pub(crate) fn text_of(&self, key: &str) -> &str {
        self.get(key)
            .and_then(Node::as_scalar)
            .map_or("", |s| s.text.as_str())
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?
            .iter()
            .find(|(k, _)| k.as_scalar().is_some_and(|s| s.text == key))
            .map(|(_, v)| v)
    }

    pub(crate) fn is_null(&self) -> bool {
        self.as_scalar().is_some_and(Scalar::is_null)
    }
}
