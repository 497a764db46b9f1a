//! The common vocabulary: types, values with their marks, paths, addresses, schemas and diagnostics.
//!
//! Everything above this crate speaks in these terms; this crate knows nothing of HCL, providers or state files.

mod access;
pub mod addr;
mod compare;
pub mod condition;
pub mod convert;
pub mod diag;
mod function;
pub mod json;
mod number;
mod path;
pub mod schema;
mod sensitive;
mod text;
mod types;
mod value;

pub use diag::{
    CalledFunction, Declared, Diagnostic, Diagnostics, Severity, SourcePos, SourceRange,
};
pub use function::{CallError, FunctionParameter, FunctionSignature};
pub use number::{Decimal, Number};
pub use path::{Path, Step};
pub use sensitive::Sensitive;
pub use text::{is_printable, quoted};
pub use types::{ObjectType, Type};
pub use value::{Kind, Marks, Refinement, Value};
