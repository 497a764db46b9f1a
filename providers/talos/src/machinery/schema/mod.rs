//! The types of the machine configuration: which documents, fields and scalars Talos knows.
//!
//! The facts are in `tables/types.txt`, written by `tools/types_table.py` from the type
//! descriptions of Talos v1.13.9 and v1.14.0-rc.1. The newer release is a superset of the older.

mod decode;
mod document;
mod encode;
mod scalar;
mod table;
mod units;

pub(crate) use decode::{DecodeError, decode_document};
pub(crate) use document::Document;
pub(crate) use encode::free_form;
pub(crate) use scalar::ScalarKind;
pub(crate) use table::{Merge, Schema, Struct, Type};

/// Which Talos release line reads and writes the configuration.
///
/// Releases before 1.13 are decoded with the 1.13 types: what they do not know yet is refused
/// by the node itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// Talos 1.13 and before.
    V1_13,
    /// Talos 1.14.
    V1_14,
}
