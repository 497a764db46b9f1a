//! One typed configuration document.

use super::encode;
use super::{Release, Schema};
use crate::machinery::value::{Fields, Value};
use crate::machinery::yaml::{Quoting, Style, emit};

/// The kind that stands for the legacy document, which names itself by `version`.
pub(crate) const LEGACY: &str = "v1alpha1";

/// A document whose fields follow its struct type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Document {
    kind: &'static str,
    struct_name: &'static str,
    pub(crate) fields: Fields,
}

impl Document {
    pub(super) fn new(kind: &str, struct_name: &'static str, fields: Fields) -> Self {
        Self {
            kind: intern(kind),
            struct_name,
            fields,
        }
    }

    /// Builds a generated document of a known kind; apiVersion and kind are put in front.
    pub(crate) fn generated<const N: usize>(
        kind: &'static str,
        pairs: [(&str, Value); N],
    ) -> Option<Self> {
        let structure = Schema::get().document(kind, Release::V1_14)?;
        let mut fields = Fields::new();
        if kind != LEGACY {
            fields.insert("apiVersion".to_owned(), LEGACY.into());
            fields.insert("kind".to_owned(), kind.into());
        }
        if let Value::Map(more) = Value::map(pairs) {
            fields.extend(more);
        }
        Some(Self {
            kind,
            struct_name: structure.name,
            fields,
        })
    }

    pub(crate) fn kind(&self) -> &str {
        self.kind
    }

    pub(crate) fn struct_name(&self) -> &'static str {
        self.struct_name
    }

    pub(crate) fn is_legacy(&self) -> bool {
        self.kind == LEGACY
    }

    /// The name of a named document, empty for the others.
    pub(crate) fn name(&self) -> &str {
        if self.is_legacy() {
            ""
        } else {
            self.fields
                .get("name")
                .and_then(Value::as_str)
                .unwrap_or("")
        }
    }

    /// What makes a document one and the same for merging: kind and name.
    pub(crate) fn identity(&self) -> (String, String) {
        (self.kind.to_owned(), self.name().to_owned())
    }

    /// Writes the document as the release's encoder does.
    pub(crate) fn encode(&self, release: Release) -> String {
        let quoting = match release {
            Release::V1_13 => Quoting::Double,
            Release::V1_14 => Quoting::SingleForOldTypes,
        };
        emit(
            &encode::structure(&self.fields, self.struct_name),
            Style::talos(quoting),
        )
    }
}

/// The table's own copy of a kind name, so that documents need not own theirs.
fn intern(kind: &str) -> &'static str {
    Schema::get().kind_name(kind).unwrap_or(LEGACY)
}
