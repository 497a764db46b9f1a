//! Wiping a node when its configuration is destroyed.

use stead_sdk::{Context, Error};

use super::MachineConfigurationApply;
use crate::blocks::timeout_of;
use crate::client::Client;
use crate::upgrade::Retirement;

pub(super) async fn on_destroy(
    client: &Client,
    prior: &MachineConfigurationApply,
    cx: &Context,
) -> Result<(), Error> {
    let Some(wish) = prior.on_destroy.as_ref().filter(|w| w.reset) else {
        return Ok(());
    };
    let identity = prior.client_configuration.as_ref().ok_or_else(|| {
        Error::new(format!("reset node {}", prior.node), "the state has no client configuration for it")
            .remedy("Use `client_configuration` instead of `client_configuration_wo`, or set `on_destroy.reset = false`.")
    })?;
    let retirement = Retirement {
        node: &prior.target(client, identity, prior.stored_configuration())?,
        dialer: &client.dialer,
        kubernetes: None,
        rollouts: &client.rollouts,
        graceful: wish.graceful,
        reboot: wish.reboot,
        timeout: timeout_of(prior.timeouts.as_ref().and_then(|t| t.delete.as_ref()))?,
    };
    retirement.run(cx).await
}
