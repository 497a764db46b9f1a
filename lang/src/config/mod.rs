//! Files to configuration: what each block of a module says.

mod model;
mod types;

pub use model::*;
pub use types::TypeConstraint;
