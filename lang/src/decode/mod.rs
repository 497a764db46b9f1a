//! Bodies and schemas to values.

use stead_value::{Diagnostics, Path, SourceRange, Value};

/// The outcome of decoding a body by a schema.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// An object with exactly the schema's type; attributes that are not written are null, defaults are not applied.
    pub value: Value,
    /// Where each part of the value is written: attributes and blocks, deepest known.
    pub ranges: SourceMap,
    pub diagnostics: Diagnostics,
    /// As [`crate::expr::Evaluation::pending`].
    pub pending: bool,
    /// As [`crate::expr::Evaluation::failed`].
    pub failed: bool,
}

/// From a path in a decoded value to the place in the configuration that gave it.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    entries: Vec<(Path, SourceRange)>,
}

impl SourceMap {
    pub(crate) fn insert(&mut self, path: Path, range: SourceRange) {
        self.entries.push((path, range));
    }

    /// The range of the path, or of the nearest part around it.
    pub fn find(&self, path: &Path) -> Option<&SourceRange> {
        self.entries
            .iter()
            .filter(|(p, _)| path.starts_with(p))
            .max_by_key(|(p, _)| p.steps().len())
            .map(|(_, range)| range)
    }
}
