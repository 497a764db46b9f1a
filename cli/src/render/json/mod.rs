//! Terraform's JSON formats: plan 1.2, state 1.0, diagnostics.

mod checks;
pub(crate) mod config;
mod diagnostic;
pub(crate) mod plan;
mod state;
mod value;

pub(crate) use diagnostic::diagnostic;
pub(crate) use plan::test_plan;
pub(crate) use state::{state, test_state};
