//! `talos_machine_configuration_apply`: the configuration of one node.

mod deliver;
mod drift;
mod plan;
mod preview;
mod reset;

use std::time::SystemTime;

use serde_json::Value as Json;
use stead_sdk::value::{Diagnostics, Sensitive, Value};
use stead_sdk::{Block, Context, Error, Failure, PlanDraft, Resource, async_trait, codec};

use crate::blocks::{
    ApplyTimeouts, ClientConfiguration, ClientConfigurationWriteOnly,
    effective_client_configuration, timeout_of,
};
use crate::client::Client;
use crate::credentials::unexpired;
use crate::machinery::Secret;
use crate::node::Node;
use crate::render;
pub(in crate::resources) use deliver::Delivery;
pub(in crate::resources) use plan::{
    check_client_configuration, check_exactly_one, check_rendered, keep_layout, plan_endpoint,
};
pub(in crate::resources) use preview::{preview, target};

/// The published provider's constant.
const ID: &str = "machine_configuration_apply";

/// The machine configuration of a node, applied to it.
///
/// A node that has no configuration yet is in maintenance mode, where nothing proves its identity. It is configured in this
/// mode once; from then on only a node that proves to be of the cluster is talked to. A configuration that was changed
/// outside of stead shows as a change in the plan.
#[derive(Clone, Debug, Resource)]
#[resource(name = "talos_machine_configuration_apply", version = 1)]
pub(crate) struct MachineConfigurationApply {
    /// A constant.
    #[attr(computed)]
    id: String,
    /// `auto`, `reboot`, `no_reboot`, `staged`, or `staged_if_needing_reboot`, which asks the node first and never reboots it.
    #[attr(optional, computed, default = "auto")]
    apply_mode: String,
    /// The mode that was used in the end.
    #[attr(computed)]
    resolved_apply_mode: Option<String>,
    /// The node to configure.
    #[attr(required)]
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
    machine_configuration_input: Option<Sensitive<String>>,
    /// The same, never stored.
    #[attr(optional, write_only)]
    machine_configuration_input_wo: Option<Sensitive<String>>,
    /// What happens to the node on destroy.
    #[attr(optional, nested(single))]
    on_destroy: Option<OnDestroy>,
    /// The configuration with the patches applied.
    #[attr(computed, sensitive)]
    machine_configuration: Option<Sensitive<String>>,
    /// SHA-256 of the configuration with the patches applied, in hex.
    #[attr(computed)]
    machine_configuration_hash: Option<String>,
    /// Patches for the configuration: strategic merge patches or JSON 6902.
    #[attr(optional)]
    config_patches: Option<Vec<String>>,
    /// How long operations may take.
    #[attr(optional, nested(single))]
    timeouts: Option<ApplyTimeouts>,
    /// The node that is known to be configured: it is not talked to in maintenance mode again.
    #[attr(private)]
    configured: Option<String>,
}

/// What happens to the node on destroy. It has to be applied before it can take effect.
#[derive(Clone, Debug, PartialEq, Block)]
pub(crate) struct OnDestroy {
    /// Wipe the node's configuration and data, so that it comes back in maintenance mode.
    #[attr(optional, computed, default = false)]
    pub(in crate::resources) reset: bool,
    /// Leave etcd and drain the node first.
    #[attr(optional, computed, default = true)]
    pub(in crate::resources) graceful: bool,
    /// Start again afterwards, instead of halting.
    #[attr(optional, computed, default = false)]
    pub(in crate::resources) reboot: bool,
}

impl MachineConfigurationApply {
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

    fn is_known_to_be_configured(&self) -> bool {
        self.configured.as_deref() == Some(self.node.as_str())
    }

    /// The configuration to send; write-only input is in `config` alone.
    fn rendered(&self, config: &Value) -> Result<Sensitive<String>, Error> {
        if let Some(rendered) = &self.machine_configuration {
            return Ok(rendered.clone());
        }
        let given: Option<Sensitive<String>> =
            codec::attribute(config, "machine_configuration_input_wo")?;
        let input = given.as_ref().or(self.machine_configuration_input.as_ref());
        let input = input.ok_or_else(|| {
            Error::new("render the machine configuration", "there is no input")
                .attribute("machine_configuration_input")
        })?;
        let patches = self.config_patches.clone().unwrap_or_default();
        Ok(render::patched(input.expose_secret(), &patches)?.into())
    }

    /// Applies the configuration and says what is known then.
    async fn apply(
        mut self,
        client: &Client,
        config: &Value,
        timeout: std::time::Duration,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let identity = effective_client_configuration(self.client_configuration.as_ref(), config)?;
        let rendered = self.rendered(config)?;
        let cx = cx
            .clone()
            .with_deadline(std::time::Instant::now() + timeout);
        let delivery = Delivery {
            node: self.target(client, &identity, Some(rendered.expose_secret()))?,
            config: Secret::new(rendered.expose_secret()),
            mode: self.apply_mode.clone(),
            known: self.is_known_to_be_configured() && !client.meets_anew,
            attribute: "machine_configuration_input",
        };
        self.id = ID.to_owned();
        self.machine_configuration_hash = Some(render::hash(rendered.expose_secret()));
        if self.machine_configuration_input.is_some() {
            self.machine_configuration = Some(rendered);
        }
        let accepted = delivery.deliver(&cx).await?;
        self.configured = Some(self.node.clone());
        self.resolved_apply_mode = Some(accepted.mode.clone());
        match delivery.settle(&accepted, &cx).await {
            Ok(()) => Ok(self),
            Err(error) => Err(Failure::partial(error, self)),
        }
    }
}

#[async_trait]
impl Resource for MachineConfigurationApply {
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
        let timeout = timeout_of(planned.timeouts.as_ref().and_then(|t| t.create.as_ref()))?;
        planned.apply(client, config, timeout, cx).await
    }

    async fn read(client: &Client, prior: Self, cx: &Context) -> Result<Option<Self>, Error> {
        Ok(Some(drift::read(client, prior, cx).await))
    }

    async fn update(
        client: &Client,
        prior: Self,
        planned: Self,
        config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let timeout = timeout_of(planned.timeouts.as_ref().and_then(|t| t.update.as_ref()))?;
        let same_target = planned.node == prior.node && planned.endpoint == prior.endpoint;
        let same_config = planned.machine_configuration_hash == prior.machine_configuration_hash
            && planned.machine_configuration == prior.machine_configuration;
        if same_target && same_config && planned.apply_mode == prior.apply_mode {
            // Only what concerns stead itself has changed.
            return Ok(MachineConfigurationApply {
                resolved_apply_mode: planned.resolved_apply_mode.or(prior.resolved_apply_mode),
                ..planned
            });
        }
        // Whoever wrote the state, the node has been configured before.
        let configured = if planned.node == prior.node {
            Some(prior.node)
        } else {
            planned.configured
        };
        let planned = MachineConfigurationApply {
            configured,
            ..planned
        };
        planned.apply(client, config, timeout, cx).await
    }

    async fn delete(client: &Client, prior: Self, cx: &Context) -> Result<(), Error> {
        reset::on_destroy(client, &prior, cx).await
    }

    fn upgrade(_version: u64, attributes: Json) -> Result<Json, Error> {
        plan::upgrade(attributes)
    }
}
