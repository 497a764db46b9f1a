//! Evaluating expressions: pure, synchronous, and repeatable.

mod access;
mod builtin;
mod call;
mod comprehension;
mod conditional;
mod deprecation;
mod eval;
mod explain;
mod operators;
mod provided;
mod reference;
mod scope;
mod start;
mod template;
#[cfg(test)]
mod tests;

pub use deprecation::{Deprecation, warn_of_parts};
pub(crate) use eval::evaluate_with;
pub use eval::{evaluate, evaluate_constant};
pub use explain::{About, reference_values};
pub(crate) use reference::first_names;
pub(crate) use reference::{
    instance_key, literal_key, literal_text, references_except, static_path, static_reference,
};
pub use reference::{references, root_names};
pub use scope::{
    Environment, Evaluation, NoFunction, PathKind, ProviderFunction, Reference, Resolved, Scope,
    Source, StaticReference, Target,
};
