//! The planner: evaluates configuration on demand, compares what is wanted with what is, and executes the difference.
//!
//! Three artifacts in the order in which they arise: the [`eval::Evaluator`], the [`changes::Plan`]'s changes, and the
//! [`graph::ExecutionGraph`]. The world is reached only through the providers' trait and the sink that takes each new state.

pub mod apply;
pub mod changes;
pub mod checks;
mod consequences;
pub mod console;
mod ephemeral;
pub mod eval;
pub mod event;
mod flatmap;
pub mod graph;
mod identity;
mod object;
pub mod outputs;
pub mod plan;
pub mod planfile;
pub mod providers;
mod provision;
mod references;
pub mod relations;
pub mod test;

mod wire;

pub use changes::{
    Action, ActionReason, Importing, OnFailure, OutputChange, Plan, PlanMode, ResourceChange,
    Rollout,
};
pub use consequences::without_consequences;
pub use event::{EphemeralStep, Event, GateState, Observer};
pub use object::recorded_value;
pub use providers::Registry;
