//! Another configuration on a node that has to start again to live by it.

use stead_sdk::wait::Poll;
use stead_sdk::{Context, Error, async_trait};

use super::rolling::Restart;
use crate::api::machine::ApplyMode;
use crate::machinery::Secret;
use crate::node::{Api, CallError};
use crate::render;

/// A configuration that is to be in use on a node.
pub(crate) struct Reconfiguration {
    /// Of the node, for messages.
    pub(crate) label: String,
    pub(crate) config: Secret,
}

impl Reconfiguration {
    /// Whether the node would start again. Talos from 1.14 on never does by itself.
    ///
    /// # Errors
    /// What the node has against the configuration.
    pub(crate) async fn restarts(api: &Api, config: &Secret) -> Result<bool, CallError> {
        let preview = api.apply(config.expose(), ApplyMode::Auto, true).await?;
        Ok(preview.mode() == ApplyMode::Reboot)
    }

    /// Whether the node lives by a configuration and has it on its disk.
    ///
    /// # Errors
    /// When the node does not say.
    pub(crate) async fn is_in_use(api: &Api, config: &Secret) -> Result<bool, CallError> {
        for id in ["v1alpha1", "persistent"] {
            let found = api.machine_config(id).await?;
            // Not every release has both.
            if found.is_some_and(|f| !render::same(f.expose(), config.expose())) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[async_trait]
impl Restart for Reconfiguration {
    fn asked(&self) -> String {
        format!("restart {} with another configuration", self.label)
    }

    async fn prepare(&self, _api: &Api, _cx: &Context) -> Result<(), Error> {
        Ok(())
    }

    async fn begin(&self, api: &Api, _in_etcd: bool, cx: &Context) -> Result<bool, Error> {
        match api
            .apply(self.config.expose(), ApplyMode::Auto, false)
            .await
        {
            Ok(reply) => {
                for warning in &reply.warnings {
                    cx.warn("Talos warns about the configuration", warning.clone());
                }
                Ok(reply.mode() == ApplyMode::Reboot)
            }
            Err(call) if call.lost && !call.is_final() => Ok(true),
            Err(call) => Err(call.into()),
        }
    }

    async fn is_done(&self, api: &Api) -> Result<Poll<()>, Error> {
        match Reconfiguration::is_in_use(api, &self.config).await {
            Ok(true) => Ok(Poll::Ready(())),
            Ok(false) => Err(Error::new(
                self.asked(),
                "it came back with another configuration: something else changes it, too",
            )),
            Err(call) if call.is_final() => Err(call.into()),
            Err(call) => Ok(Poll::PendingBecause(call.reason())),
        }
    }
}
