//! The state: Terraform's v4 JSON, kept in a file that is never half-written, under a lock that Terraform sees too.
//!
//! Knows nothing of HCL or providers: attributes are raw JSON here, and unknown fields survive a round trip.

mod address;
mod backend;
mod disk;
pub mod encryption;
mod error;
pub mod history;
pub mod journal;
mod manager;
mod model;
mod place;
mod secrets;
mod serials;
mod upgrade;
mod v4;

pub use address::{
    ProviderConfigRef, parse_module_instance, parse_provider, parse_resource_instance,
};
pub use backend::{Backend, BackendError, Store};
pub use disk::{Disk, DiskFile, RealDisk};
pub use error::{Error, Problem, Result};
pub use manager::StateManager;
pub use model::{
    Identity, InstanceObjects, Object, ObjectStatus, OutputValue, ResourceId, ResourceObjects,
    State,
};
pub use place::lock::LockInfo;
pub use place::wait_for;
pub use v4::{from_bytes, to_bytes};
