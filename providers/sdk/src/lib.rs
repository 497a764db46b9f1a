//! What a provider is, and everything that providers share.
//!
//! [`Provider`] is what the engine sees: schemas and operations over [`stead_value::Value`]s. Authors of native providers
//! do not write it: they write structs with `#[derive(Resource)]` and the typed operations, and the adaptor in this crate
//! turns those into a [`Provider`].

// The derives name this crate from outside and from within.
extern crate self as stead_sdk;

pub mod codec;
mod context;
mod dial;
mod error;
mod field;
mod native;
mod plan;
mod private;
mod provider;
mod resource;
pub mod retry;
pub mod wait;

pub use async_trait::async_trait;
pub use stead_sdk_derive::{Block, DataSource, ProviderConfig, Resource};
pub use stead_value as value;

pub use context::{Context, Progress, ProgressSink};
pub use dial::{
    ClientIdentity, Counters, Dialer, Environment, Fingerprint, HostKeyPolicy, HttpOptions, Roots,
    Ssh, SshAuth, SshOptions, SshOutput, Stream, TlsOptions, WebSocket, http_error, init_crypto,
};
pub use error::{Error, ErrorKind};
pub use field::{Dynamic, Field};
pub use native::{Definition, Native, NativeFactory, NoConfig, Unconfigured};
pub use plan::{PlanDraft, proposed_new};
pub use private::Private;
pub use provider::{
    ApplyRequest, ApplyResponse, Imported, Operation, PlanRequest, PlanResponse, Provider,
    ProviderFactory, ReadResponse,
};
pub use resource::{
    Block, DataSource, DataSourceSchema, Failure, ProviderConfig, Resource, ResourceSchema,
};
