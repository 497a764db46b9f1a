//! Provisioners: what runs once an object has been created, or before it is destroyed.

use std::sync::Arc;

use async_trait::async_trait;
use stead_value::schema::Block;
use stead_value::{Diagnostics, Value};

use crate::Context;

/// One kind of `provisioner` block, such as `local-exec`.
#[async_trait]
pub trait Provisioner: Send + Sync {
    /// What its block takes, besides `when`, `on_failure` and `connection`.
    fn schema(&self) -> &Block;

    /// Checks a configuration beyond the schema; it may hold unknown values.
    fn validate(&self, _config: &Value) -> Diagnostics {
        Diagnostics::new()
    }

    /// Does the work. When `cx` is cancelled, it stops as soon as it can.
    ///
    /// # Errors
    /// Why the object is not provisioned.
    async fn provision(&self, request: Provisioning, cx: &Context) -> Result<(), Diagnostics>;
}

/// What a provisioner is given. Values are wholly known and unmarked.
pub struct Provisioning {
    pub config: Value,
    /// By [`connection_schema`]; null when neither the resource nor the provisioner has a `connection` block.
    pub connection: Value,
    pub output: ProvisionOutput,
}

/// Where a provisioner's lines go while it runs.
#[derive(Clone)]
pub struct ProvisionOutput(Arc<dyn Fn(&str) + Send + Sync>);

impl ProvisionOutput {
    pub fn new(sink: impl Fn(&str) + Send + Sync + 'static) -> ProvisionOutput {
        ProvisionOutput(Arc::new(sink))
    }

    /// Takes a text of one or several lines.
    pub fn say(&self, text: &str) {
        (self.0)(text);
    }
}

/// What `connection` blocks take.
pub fn connection_schema() -> Block {
    <Connection as crate::Block>::block()
}

/// A `connection` block.
#[derive(Clone, Debug, stead_sdk_derive::Block)]
pub struct Connection {
    /// The host's name or address.
    #[attr(required)]
    pub host: String,
    /// `ssh`, which is the default; `winrm` is not supported.
    #[attr(optional, name = "type")]
    pub kind: Option<String>,
    #[attr(optional)]
    pub user: Option<String>,
    #[attr(optional)]
    pub password: Option<Secret>,
    #[attr(optional)]
    pub port: Option<u64>,
    /// How long to wait until the host can be reached, such as `30s` or `5m`.
    #[attr(optional)]
    pub timeout: Option<String>,
    /// Where scripts are put on the host.
    #[attr(optional)]
    pub script_path: Option<String>,
    /// `unix` or `windows`.
    #[attr(optional)]
    pub target_platform: Option<String>,
    #[attr(optional)]
    pub private_key: Option<Secret>,
    /// A certificate for the private key, signed by an authority that the host trusts.
    #[attr(optional)]
    pub certificate: Option<String>,
    /// The host's public key; without it any host is believed.
    #[attr(optional)]
    pub host_key: Option<String>,
    /// Ask the agent at `SSH_AUTH_SOCK`; the default where there is one.
    #[attr(optional)]
    pub agent: Option<bool>,
    #[attr(optional)]
    pub agent_identity: Option<String>,
    #[attr(optional)]
    pub proxy_scheme: Option<String>,
    #[attr(optional)]
    pub proxy_host: Option<String>,
    #[attr(optional)]
    pub proxy_port: Option<u64>,
    #[attr(optional)]
    pub proxy_user_name: Option<String>,
    #[attr(optional)]
    pub proxy_user_password: Option<Secret>,
    /// The host to go through; its other settings default to those of the host itself.
    #[attr(optional)]
    pub bastion_host: Option<String>,
    #[attr(optional)]
    pub bastion_host_key: Option<String>,
    #[attr(optional)]
    pub bastion_port: Option<u64>,
    #[attr(optional)]
    pub bastion_user: Option<String>,
    #[attr(optional)]
    pub bastion_password: Option<Secret>,
    #[attr(optional)]
    pub bastion_private_key: Option<Secret>,
    #[attr(optional)]
    pub bastion_certificate: Option<String>,
    #[attr(optional)]
    pub https: Option<bool>,
    #[attr(optional)]
    pub insecure: Option<bool>,
    #[attr(optional)]
    pub cacert: Option<String>,
    #[attr(optional)]
    pub use_ntlm: Option<bool>,
}

type Secret = stead_value::Sensitive<String>;
