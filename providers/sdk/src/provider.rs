//! The provider as the engine sees it: the plugin protocol's operations over dynamic values.

use std::sync::Arc;

use async_trait::async_trait;
use stead_value::addr::ProviderSource;
use stead_value::schema::ProviderSchema;
use stead_value::{CallError, Diagnostic, Diagnostics, Path, Value};

use crate::{Context, Discovered, ImportBy, Lease, Private, Remains, Resumed};

/// Makes providers of one kind: what stands behind a source address such as `bpg/proxmox`.
pub trait ProviderFactory: Send + Sync {
    /// Schemas of the provider configuration, resources and data sources; computed once.
    fn schema(&self) -> &ProviderSchema;

    /// A provider for one provider configuration, not configured yet.
    fn instantiate(&self) -> Arc<dyn Provider>;

    /// Whether objects of this type exist in the state alone (a random number, a key pair), so that no operation on them leaves
    /// anything that could be lost.
    fn only_in_state(&self, _type_name: &str) -> bool {
        false
    }

    /// The types of which [`Provider::discover`] lists what exists, each by one of its names.
    fn listed_types(&self) -> Vec<Arc<str>> {
        Vec::new()
    }

    /// As [`crate::Resource::REFERRED_AS`].
    fn referred_as(&self, _type_name: &str) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// Calls one of the schema's functions. Functions are pure and need no configuration; arguments are of their parameters'
    /// types, unmarked and, where the parameter wants it, wholly known and not null.
    fn call_function(&self, name: &str, _args: &[Value]) -> Result<Value, CallError> {
        Err(CallError::new(format!(
            "the provider has no function \"{name}\""
        )))
    }
}

/// One provider configuration's provider.
///
/// `validate_*`, `plan` and `upgrade` work before [`Provider::configure`]; everything else comes after it.
/// Values given are unmarked; resource values have exactly the schema's type.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Checks a provider configuration; may hold unknown values.
    fn validate_provider(&self, config: &Value) -> Diagnostics;

    /// Checks a resource's configuration; may hold unknown values. Required and unknown attributes are checked by the caller.
    fn validate_resource(&self, type_name: &str, config: &Value) -> Diagnostics;

    fn validate_data(&self, type_name: &str, config: &Value) -> Diagnostics;

    /// Takes the configuration, wholly known, and environment variables it stands in for. Called at most once.
    async fn configure(&self, config: Value, cx: &Context) -> Result<Diagnostics, Diagnostics>;

    /// Turns a state's attributes of an older (or this) schema version into a value of this schema.
    fn upgrade(
        &self,
        type_name: &str,
        version: u64,
        attributes: &serde_json::Value,
    ) -> Result<Value, Diagnostics>;

    /// Turns a state's identity of an older (or this) version of its schema into a value of this one. Types without an identity are
    /// not asked.
    fn upgrade_identity(
        &self,
        type_name: &str,
        version: u64,
        identity: &serde_json::Value,
    ) -> Result<Value, Diagnostics>;

    /// Makes an object of another type, or of another provider, one of this type: what a `moved` block between types asks for.
    /// `None`: the provider takes over no objects at all.
    fn take_over(
        &self,
        _type_name: &str,
        _object: &ForeignObject<'_>,
    ) -> Result<Option<Found>, Diagnostics> {
        Ok(None)
    }

    /// Decides what would become of the object. Without `configure` (late planning) by the schema alone.
    async fn plan(
        &self,
        type_name: &str,
        request: PlanRequest,
        cx: &Context,
    ) -> Result<PlanResponse, Diagnostics>;

    /// The object as it is now; `None` when it is gone.
    async fn read(
        &self,
        type_name: &str,
        prior: Value,
        private: Vec<u8>,
        cx: &Context,
    ) -> Result<Option<ReadResponse>, Diagnostics>;

    /// Creates (prior null), updates, or deletes (planned null). On an error the response still says what is known of the
    /// object, so that nothing is lost.
    async fn apply(&self, type_name: &str, request: ApplyRequest, cx: &Context) -> ApplyResponse;

    /// What has become of a create that was cut off.
    async fn resume(
        &self,
        _type_name: &str,
        _request: ResumeRequest,
        _cx: &Context,
    ) -> Result<Resumed<ReadResponse>, Diagnostics> {
        Ok(Resumed::Unknown)
    }

    /// What a delete that was cut off has left of an object.
    async fn remains(
        &self,
        type_name: &str,
        prior: Value,
        private: Vec<u8>,
        cx: &Context,
    ) -> Result<Remains<ReadResponse>, Diagnostics> {
        let found = self.read(type_name, prior, private, cx).await?;
        Ok(found.map_or(Remains::Nothing, Remains::Whole))
    }

    /// Finds an existing object. It is read right afterwards.
    async fn import(
        &self,
        type_name: &str,
        by: &ImportBy,
        cx: &Context,
    ) -> Result<Found, Diagnostics>;

    /// What exists of a type, whoever made it: of those that [`ProviderFactory::listed_types`] names.
    async fn discover(
        &self,
        type_name: &str,
        _cx: &Context,
    ) -> Result<(Vec<Discovered>, Diagnostics), Diagnostics> {
        Err(Diagnostic::error(
            "Not listed",
            format!("This provider cannot list what there is of {type_name}."),
        )
        .into())
    }

    /// [`Discovered::key`] of a stored object, where its type tells it. Works before [`Provider::configure`].
    fn key(&self, _type_name: &str, _object: &Value) -> Option<String> {
        None
    }

    async fn read_data(
        &self,
        type_name: &str,
        config: Value,
        cx: &Context,
    ) -> Result<(Value, Diagnostics), Diagnostics>;

    /// Checks an ephemeral resource's configuration; may hold unknown values.
    fn validate_ephemeral(&self, type_name: &str, _config: &Value) -> Diagnostics {
        no_ephemeral(type_name).into()
    }

    /// Opens an ephemeral resource: its object, by the schema, and what keeps it.
    async fn open_ephemeral(
        &self,
        type_name: &str,
        _config: Value,
        _cx: &Context,
    ) -> Result<(Lease<Value>, Diagnostics), Diagnostics> {
        Err(no_ephemeral(type_name).into())
    }

    async fn renew_ephemeral(
        &self,
        type_name: &str,
        _private: Private,
        _cx: &Context,
    ) -> Result<(Lease<()>, Diagnostics), Diagnostics> {
        Err(no_ephemeral(type_name).into())
    }

    async fn close_ephemeral(
        &self,
        type_name: &str,
        _private: Private,
        _cx: &Context,
    ) -> Result<Diagnostics, Diagnostics> {
        Err(no_ephemeral(type_name).into())
    }

    /// How many operations of this kind may run at once for this provider; zero means no limit of its own.
    fn concurrency(&self, _operation: Operation) -> usize {
        0
    }
}

fn no_ephemeral(type_name: &str) -> Diagnostic {
    Diagnostic::error(
        "Unknown ephemeral resource type",
        format!("This provider has no ephemeral resource named {type_name}."),
    )
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    Read,
    Create,
    Update,
    Delete,
}

#[derive(Clone, Debug)]
pub struct PlanRequest {
    /// Null for a create.
    pub prior: Value,
    /// The configuration merged with the prior object by the rules of the schema (see `stead_engine`); null for a delete.
    pub proposed: Value,
    pub config: Value,
    pub prior_private: Vec<u8>,
}

#[derive(Clone, Debug)]
pub struct PlanResponse {
    pub planned: Value,
    /// Attributes whose change forces a replacement.
    pub requires_replace: Vec<Path>,
    pub private: Vec<u8>,
    pub warnings: Diagnostics,
    /// What the change does to a running machine, for people: `memory: at the next restart`.
    pub notes: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct ReadResponse {
    pub value: Value,
    pub private: Vec<u8>,
    /// Of the type's identity schema; `None`: what was recorded stays.
    pub identity: Option<Value>,
    pub warnings: Diagnostics,
}

#[derive(Clone, Debug)]
pub struct ApplyRequest {
    pub prior: Value,
    pub planned: Value,
    pub config: Value,
    pub private: Vec<u8>,
}

#[derive(Clone, Debug)]
pub struct ApplyResponse {
    /// The object now; null when it does not exist. With errors: what is known of it.
    pub value: Value,
    /// With errors of a create: the object is fit all the same (only a wait failed), so that it must not be replaced.
    pub usable: bool,
    pub private: Vec<u8>,
    /// As [`ReadResponse::identity`].
    pub identity: Option<Value>,
    pub diagnostics: Diagnostics,
}

/// A create that was cut off; see [`Cut`](crate::Cut).
#[derive(Clone, Debug)]
pub struct ResumeRequest {
    /// Of the schema's type; what was not known when it was planned is null.
    pub planned: Value,
    /// The object as far as it was identified, and its private bytes.
    pub known: Option<(Value, Vec<u8>)>,
}

/// An object as its own provider recorded it.
#[derive(Clone, Debug)]
pub struct ForeignObject<'a> {
    pub provider: &'a ProviderSource,
    pub type_name: &'a str,
    pub schema_version: u64,
    pub attributes: &'a serde_json::Value,
    pub private: &'a [u8],
}

/// An object as its provider has it, or had it.
#[derive(Clone, Debug)]
pub struct Found {
    /// Null where there is none.
    pub value: Value,
    pub private: Vec<u8>,
    /// Of the type's identity schema; `None` when the provider says nothing of it.
    pub identity: Option<Value>,
}

impl From<ReadResponse> for Found {
    fn from(read: ReadResponse) -> Found {
        Found {
            value: read.value,
            private: read.private,
            identity: read.identity,
        }
    }
}
