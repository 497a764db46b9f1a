//! Evaluating expressions: pure, synchronous, and repeatable.

mod access;
mod call;
mod comprehension;
mod conditional;
mod eval;
mod operators;
mod reference;
mod scope;
mod template;
#[cfg(test)]
mod tests;

pub use eval::evaluate;
pub use reference::{references, root_names};
pub use scope::{
    Evaluation, PathKind, Reference, Resolved, Scope, Source, StaticReference, Target,
};
