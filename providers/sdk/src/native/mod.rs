//! From typed resources to the [`Provider`](crate::Provider) that the engine sees.

mod adaptor;
mod definition;
mod erased;
mod state_json;

pub use definition::{Definition, Native, NativeFactory, NoConfig, Unconfigured};
pub(crate) use state_json::complete as complete_blocks;
