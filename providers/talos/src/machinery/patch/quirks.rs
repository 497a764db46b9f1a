//! What Talos does with patches and nobody expects: done all the same, and told.

use std::fmt;

use crate::machinery::schema::{Document, Merge, Schema, Struct, Type};
use crate::machinery::value::{Fields, Value};

/// An effect of a patch beyond what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quirk {
    /// A patch of a document resets a field that it does not mention.
    Reset {
        /// The document's kind, with its name if it has one.
        document: String,
        /// The field that is lost.
        field: String,
    },
    /// A document is to be deleted that is not there.
    NothingToDelete {
        /// The document's kind, with its name if it has one.
        document: String,
    },
}

impl fmt::Display for Quirk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Quirk::Reset { document, field } => write!(
                f,
                "A later patch of {document} does not mention `{field}`, and Talos loses it: repeat it in that patch."
            ),
            Quirk::NothingToDelete { document } => write!(
                f,
                "A patch deletes {document}, which is not there: Talos before 1.14 crashes on that. Remove the patch."
            ),
        }
    }
}

/// The fields that `merged` has lost, although `right`, which was merged into `left`, does not mention them.
pub(super) fn resets(left: &Document, right: &Document, merged: &Document) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(structure) = Schema::get().structure(left.struct_name()) {
        let sides = Sides {
            left: &left.fields,
            right: Some(&right.fields),
            merged: Some(&merged.fields),
        };
        sides.walk(structure, "", &mut found);
    }
    found
}

/// The same struct before, in the patch and after.
struct Sides<'a> {
    left: &'a Fields,
    right: Option<&'a Fields>,
    merged: Option<&'a Fields>,
}

impl Sides<'_> {
    fn walk(&self, structure: &Struct, prefix: &str, found: &mut Vec<String>) {
        for field in &structure.fields {
            let (Merge::ByType, Some(left)) = (field.merge, self.left.get(field.name)) else {
                continue;
            };
            let right = self.right.and_then(|r| r.get(field.name));
            let merged = self.merged.and_then(|m| m.get(field.name));
            let path = format!("{prefix}{}", field.name);
            match &field.ty {
                Type::Scalar(kind) => {
                    let lost = right.is_none() && merged.is_none_or(|m| *m == Value::Null);
                    if kind.overwrites_always() && lost && *left != kind.zero() {
                        found.push(path);
                    }
                }
                Type::Struct(name) => self.below(left, right, merged, name, &path, found),
                Type::Pointer(inner) => {
                    if let Type::Struct(name) = &**inner {
                        self.below(left, right, merged, name, &path, found);
                    }
                }
                _ => {}
            }
        }
    }

    fn below(
        &self,
        left: &Value,
        right: Option<&Value>,
        merged: Option<&Value>,
        name: &str,
        path: &str,
        found: &mut Vec<String>,
    ) {
        if let (Some(left), Some(structure)) = (left.as_map(), Schema::get().structure(name)) {
            let sides = Sides {
                left,
                right: right.and_then(Value::as_map),
                merged: merged.and_then(Value::as_map),
            };
            sides.walk(structure, &format!("{path}."), found);
        }
    }
}
