//! What a provider is, and everything that providers share.
//!
//! [`Provider`] is what the engine sees: schemas and operations over [`stead_value::Value`]s. Authors of native providers
//! do not write it: they write structs with `#[derive(Resource)]` and the typed operations, and the adaptor in this crate
//! turns those into a [`Provider`].

mod context;
mod provider;

pub use context::{Context, Progress, ProgressSink};
pub use provider::{
    ApplyRequest, ApplyResponse, Imported, Operation, PlanRequest, PlanResponse, Provider, ProviderFactory, ReadResponse,
};
