//! `talos_machine`: a node with its configuration and its release of Talos.

mod change;
mod look;
mod plan;

use std::time::{Duration, SystemTime};

use stead_sdk::value::{Diagnostics, Sensitive, Value};
use stead_sdk::{Context, Error, Failure, PlanDraft, Resource, async_trait, codec};

use super::apply::OnDestroy;
use crate::blocks::{
    ApplyTimeouts, ClientConfiguration, ClientConfigurationWriteOnly, timeout_of, timeout_or,
};
use crate::client::Client;
use crate::credentials::unexpired;
use crate::machinery::Secret;
use crate::node::Node;
use crate::upgrade::{Installer, Retirement, kubernetes};
use change::Change;

const CREATE: Duration = Duration::from_secs(25 * 60);
const UPDATE: Duration = Duration::from_secs(90 * 60);

/// A Talos node: its machine configuration, and the release of Talos that runs on it.
///
/// A node that has no configuration yet is in maintenance mode, where nothing proves its identity. It is configured in this
/// mode once; from then on only a node that proves to be of the cluster is talked to. What others change on the node shows as a
/// change in the plan. Another `image` is installed in a rolling way: control plane nodes one at a time, each only when all
/// members of etcd are well, and none after one that failed.
#[derive(Clone, Debug, Resource)]
#[resource(name = "talos_machine", version = 0)]
pub(crate) struct Machine {
    /// The node.
    #[attr(computed)]
    id: String,
    /// The address or name of the node.
    #[attr(required, replace)]
    node: String,
    /// The address that is contacted, with an optional port; the node by default.
    #[attr(optional, computed)]
    endpoint: Option<String>,
    /// How to prove who one is to the node.
    #[attr(optional, nested(single))]
    client_configuration: Option<ClientConfiguration>,
    /// The same, never stored. A reset on destroy and the detection of changes need `client_configuration`.
    #[attr(optional, write_only, nested(single))]
    client_configuration_wo: Option<ClientConfigurationWriteOnly>,
    /// The machine configuration.
    #[attr(optional, sensitive)]
    machine_configuration: Option<Sensitive<String>>,
    /// The same, never stored.
    #[attr(optional, write_only)]
    machine_configuration_wo: Option<Sensitive<String>>,
    /// SHA-256 of the machine configuration, in hex, whatever its layout.
    #[attr(computed)]
    machine_configuration_hash: Option<String>,
    /// The installer image whose release of Talos is to run, with its tag. Without it the release is left alone.
    #[attr(optional, computed)]
    image: Option<String>,
    /// How the node starts with another image: `DEFAULT`, or `POWERCYCLE` through the firmware.
    #[attr(optional, computed, default = "DEFAULT")]
    reboot_mode: String,
    /// Move the node's pods away before it restarts.
    #[attr(optional, computed, default = true)]
    drain_on_upgrade: bool,
    /// Leave the versions of Kubernetes' components alone, as `talos_cluster` upgrades them.
    #[attr(optional, computed, default = false)]
    ignore_kubernetes_upgrade_drift: bool,
    /// The kubeconfig by which pods are moved away, and the node is taken from Kubernetes' books on destroy.
    #[attr(optional, sensitive)]
    kubeconfig: Option<Sensitive<String>>,
    /// The same, never stored.
    #[attr(optional, sensitive, write_only)]
    kubeconfig_wo: Option<Sensitive<String>>,
    /// How long operations may take; by default 25 minutes for the creation, 90 for an update and 10 for a reset. Waiting for other
    /// nodes does not count.
    #[attr(optional, nested(single))]
    timeouts: Option<ApplyTimeouts>,
    /// What happens to the node on destroy.
    #[attr(optional, nested(single))]
    on_destroy: Option<OnDestroy>,
    /// The node that is known to be configured: it is not talked to in maintenance mode again.
    #[attr(private)]
    configured: Option<String>,
}

impl Machine {
    /// `machine_configuration` is the node's, as far as it is known.
    fn target(
        &self,
        client: &Client,
        identity: &ClientConfiguration,
        machine_configuration: Option<&str>,
    ) -> Result<Node, Error> {
        let endpoint = self.endpoint.as_deref().filter(|e| !e.is_empty());
        let identity = unexpired(identity, machine_configuration, SystemTime::now())?;
        Node::new(
            &client.dialer,
            endpoint.unwrap_or(&self.node),
            &self.node,
            &identity,
        )
    }

    /// The configuration in the state.
    fn stored_configuration(&self) -> Option<&str> {
        let stored = self.machine_configuration.as_ref();
        stored.map(|text| text.expose_secret().as_str())
    }

    /// The configuration that is wanted; the write-only one is in `config` alone.
    fn wanted(&self, config: &Value) -> Result<Secret, Error> {
        let given: Option<Sensitive<String>> =
            codec::attribute(config, "machine_configuration_wo")?;
        let text = given.as_ref().or(self.machine_configuration.as_ref());
        let text = text.ok_or_else(|| {
            Error::new("configure the node", "there is no configuration")
                .attribute("machine_configuration")
        })?;
        Ok(Secret::new(text.expose_secret()))
    }

    /// The kubeconfig, unless there is none or it is empty.
    fn kubeconfig(&self, config: &Value) -> Result<Option<Sensitive<String>>, Error> {
        let given: Option<Sensitive<String>> = codec::attribute(config, "kubeconfig_wo")?;
        let text = given.or_else(|| self.kubeconfig.clone());
        Ok(text.filter(|t| !t.expose_secret().trim().is_empty()))
    }

    /// The image that the configuration asks for. What is only in the state is what was found.
    fn installer(&self, config: &Value) -> Result<Option<Installer>, Error> {
        let given: Option<String> = codec::attribute(config, "image")?;
        given.as_deref().map(Installer::parse).transpose()
    }
}

#[async_trait]
impl Resource for Machine {
    type Client = Client;

    const REPEATABLE: bool = true;

    fn validate(config: &Value) -> Diagnostics {
        plan::validate(config)
    }

    async fn plan(
        client: Option<&Client>,
        draft: &mut PlanDraft,
        cx: &Context,
    ) -> Result<(), Diagnostics> {
        plan::plan(client, draft, cx).await
    }

    async fn create(
        client: &Client,
        planned: Self,
        config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let timeout = planned.timeouts.as_ref().and_then(|t| t.create.as_ref());
        let timeout = timeout_or(timeout, CREATE)?;
        let change = Change::new(client, &planned, config, timeout)?;
        change.configure(planned.configured.as_deref(), cx).await?;
        let mut made = Machine {
            id: planned.node.clone(),
            endpoint: planned.endpoint.or_else(|| Some(planned.node.clone())),
            image: change.image().or(planned.image),
            machine_configuration_hash: planned
                .machine_configuration_hash
                .or_else(|| Some(change.hash())),
            configured: Some(planned.node.clone()),
            ..planned
        };
        // The node is configured: what is still to come must not have it wiped and made anew.
        match change.install(cx).await {
            Ok(()) => Ok(made),
            Err(error) => {
                made.image = change.found(cx).await.or(made.image);
                Err(Failure::usable(error, made))
            }
        }
    }

    async fn read(client: &Client, prior: Self, cx: &Context) -> Result<Option<Self>, Error> {
        Ok(Some(look::read(client, prior, cx).await))
    }

    async fn update(
        client: &Client,
        prior: Self,
        planned: Self,
        config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let timeout = planned.timeouts.as_ref().and_then(|t| t.update.as_ref());
        let timeout = timeout_or(timeout, UPDATE)?;
        let change = Change::new(client, &planned, config, timeout)?;
        let known = prior.configured.clone().or(Some(prior.node.clone()));
        let now = Machine {
            id: planned.node.clone(),
            endpoint: planned.endpoint.or_else(|| Some(planned.node.clone())),
            image: change.image().or(planned.image),
            machine_configuration_hash: planned
                .machine_configuration_hash
                .or_else(|| Some(change.hash())),
            configured: Some(planned.node.clone()),
            ..planned
        };
        if client.meets_anew {
            // A node that is rebuilt is met for the first time once more: from a disk image, which may be of another release.
            let rebuilt = async {
                change.configure(None, cx).await?;
                change.install(cx).await
            };
            return match rebuilt.await {
                Ok(()) => Ok(now),
                Err(error) => {
                    let image = change.found(cx).await.or(prior.image);
                    let machine_configuration = prior.machine_configuration;
                    let machine_configuration_hash = prior.machine_configuration_hash;
                    Err(Failure::partial(
                        error,
                        Machine {
                            image,
                            machine_configuration,
                            machine_configuration_hash,
                            ..now
                        },
                    ))
                }
            };
        }
        // The new release first: the configuration may be written for it.
        if now.image != prior.image
            && let Err(error) = change.install(cx).await
        {
            let image = change.found(cx).await.or(prior.image);
            let machine_configuration = prior.machine_configuration;
            let machine_configuration_hash = prior.machine_configuration_hash;
            return Err(Failure::partial(
                error,
                Machine {
                    image,
                    machine_configuration,
                    machine_configuration_hash,
                    ..now
                },
            ));
        }
        let same = now.machine_configuration_hash == prior.machine_configuration_hash
            && now.machine_configuration == prior.machine_configuration
            && now.endpoint == prior.endpoint;
        if same {
            return Ok(now);
        }
        match change.configure(known.as_deref(), cx).await {
            Ok(()) => Ok(now),
            Err(error) => Err(Failure::partial(
                error,
                Machine {
                    machine_configuration: prior.machine_configuration,
                    machine_configuration_hash: prior.machine_configuration_hash,
                    ..now
                },
            )),
        }
    }

    async fn delete(client: &Client, prior: Self, cx: &Context) -> Result<(), Error> {
        let Some(wish) = prior.on_destroy.as_ref().filter(|w| w.reset) else {
            return Ok(());
        };
        let identity = prior.client_configuration.as_ref().ok_or_else(|| {
            Error::new(format!("reset node {}", prior.node), "the state has no client configuration for it").remedy(
                "Use `client_configuration` instead of `client_configuration_wo`, or set `on_destroy.reset = false`.",
            )
        })?;
        let timeout = timeout_of(prior.timeouts.as_ref().and_then(|t| t.delete.as_ref()))?;
        let kubeconfig = prior.kubeconfig.as_ref();
        let kubeconfig = kubeconfig.filter(|t| !t.expose_secret().trim().is_empty());
        let retirement = Retirement {
            node: &prior.target(client, identity, prior.stored_configuration())?,
            dialer: &client.dialer,
            kubernetes: kubeconfig.map(|text| kubernetes(&client.dialer, text)),
            rollouts: &client.rollouts,
            graceful: wish.graceful,
            reboot: wish.reboot,
            timeout,
        };
        retirement.run(cx).await
    }
}
