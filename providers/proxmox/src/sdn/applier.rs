//! The applier: changes of software-defined networking take effect on the nodes.

use jiff::Timestamp;
use reqwest::Method;
use stead_sdk::value::Value;
use stead_sdk::{Context, Error, Failure, Resource, async_trait};

use crate::client::{Client, Params};

/// Applies what waits in the cluster's software-defined networking when it is made, and when it is destroyed. Let it depend on the
/// objects, and name them in its `replace_triggered_by`.
#[derive(Clone, Debug, Resource)]
#[resource(
    name = "proxmox_sdn_applier",
    alias = "proxmox_virtual_environment_sdn_applier"
)]
pub(crate) struct SdnApplier {
    /// When it was applied, in milliseconds since 1970.
    #[attr(computed)]
    id: String,
    /// Apply when this is made.
    #[attr(optional, computed, default = true, replace)]
    on_create: bool,
    /// Apply when this is destroyed.
    #[attr(optional, computed, default = true, replace)]
    on_destroy: bool,
}

async fn apply(client: &Client, cx: &Context) -> Result<(), Error> {
    let what = "apply the changes of software-defined networking";
    client
        .change_and_wait(cx, Method::PUT, what, "/cluster/sdn", &Params::new())
        .await?;
    Ok(())
}

#[async_trait]
impl Resource for SdnApplier {
    type Client = Client;

    /// What is applied already stays so.
    const REPEATABLE: bool = true;

    async fn create(
        client: &Client,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        if planned.on_create {
            apply(client, cx).await?;
        }
        Ok(SdnApplier {
            id: Timestamp::now().as_millisecond().to_string(),
            ..planned
        })
    }

    async fn read(_client: &Client, prior: Self, _cx: &Context) -> Result<Option<Self>, Error> {
        Ok(Some(prior))
    }

    async fn delete(client: &Client, prior: Self, cx: &Context) -> Result<(), Error> {
        if prior.on_destroy {
            apply(client, cx).await?;
        }
        Ok(())
    }
}
