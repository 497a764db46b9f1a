//! Evaluating expressions: pure, synchronous, and repeatable.

mod scope;

pub use scope::{
    Evaluation, PathKind, Reference, Resolved, Scope, Source, StaticReference, Target,
};
