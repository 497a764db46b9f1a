//! `talos_cluster`: a cluster that is bootstrapped once, and its version of Kubernetes.

use std::time::{Duration, Instant};

use stead_sdk::value::{Diagnostics, Path, Value};
use stead_sdk::{Context, Error, Failure, PlanDraft, Resource, async_trait};

use super::apply::{check_client_configuration, plan_endpoint};
use super::bootstrap::{bootstrap, plan_recovery};
use crate::blocks::{
    ClientConfiguration, ClientConfigurationWriteOnly, CreateUpdateTimeouts, check_timeouts,
    effective_client_configuration, timeout_or,
};
use crate::client::Client;
use crate::data::{Cluster, check_health};
use crate::node::{Contact, Node};
use crate::upgrade::{KubernetesUpgrade, Version, configured, kubernetes_version, step};

const CREATE: Duration = Duration::from_secs(20 * 60);
const UPDATE: Duration = Duration::from_secs(30 * 60);

/// A Talos cluster: etcd is bootstrapped on one control plane node, and Kubernetes is brought to a version: the control plane's
/// pods one component after the other and node by node, kube-proxy, what Talos itself brought (CoreDNS, flannel, the manifests of the
/// configuration) as the nodes' release and configuration have it now, then the kubelets. An object that somebody else has changed
/// is left as it is, with a warning. It waits until Talos is healthy on all control plane nodes; for Kubernetes use
/// `talos_cluster_health`. Destroying it leaves the cluster as it is.
#[derive(Clone, Debug, Resource)]
#[resource(name = "talos_cluster", version = 0)]
pub(crate) struct TalosCluster {
    /// The node that was bootstrapped.
    #[attr(computed)]
    id: String,
    /// The control plane node to bootstrap.
    #[attr(required)]
    node: String,
    /// The addresses of all control plane nodes, whose health is waited for; the node alone by default.
    #[attr(optional, computed)]
    control_plane_nodes: Option<Vec<String>>,
    /// The address that is contacted, with an optional port; the node by default.
    #[attr(optional, computed)]
    endpoint: Option<String>,
    /// How to prove who one is to the nodes.
    #[attr(optional, nested(single))]
    client_configuration: Option<ClientConfiguration>,
    /// The same, never stored. The detection of changes needs `client_configuration`.
    #[attr(optional, write_only, nested(single))]
    client_configuration_wo: Option<ClientConfigurationWriteOnly>,
    /// The version of Kubernetes, as `v1.36.3`.
    #[attr(required)]
    kubernetes_version: String,
    /// How long operations may take; by default 20 minutes for the creation and 30 for an update.
    #[attr(optional, nested(single))]
    timeouts: Option<CreateUpdateTimeouts>,
}

fn version(text: &str) -> Result<Version, Error> {
    Version::parse(text).ok_or_else(|| {
        Error::new(
            "read `kubernetes_version`",
            format!("{text:?} is not a version"),
        )
        .remedy("Write it as \"v1.36.3\".")
        .attribute("kubernetes_version")
    })
}

impl TalosCluster {
    fn target(&self, client: &Client, identity: &ClientConfiguration) -> Result<Node, Error> {
        let endpoint = self.endpoint.as_deref().filter(|e| !e.is_empty());
        Node::new(
            &client.dialer,
            endpoint.unwrap_or(&self.node),
            &self.node,
            identity,
        )
    }

    fn control_plane(&self) -> Vec<String> {
        let listed = self.control_plane_nodes.clone().unwrap_or_default();
        if listed.is_empty() {
            vec![self.node.clone()]
        } else {
            listed
        }
    }

    async fn healthy(
        &self,
        client: &Client,
        identity: &ClientConfiguration,
        cx: &Context,
    ) -> Result<(), Error> {
        let endpoint = self.endpoint.clone().filter(|e| !e.is_empty());
        let endpoint = endpoint.unwrap_or_else(|| self.node.clone());
        let planes = self.control_plane();
        let cluster = Cluster::new(&client.dialer, &[endpoint], &planes, &[], identity)?;
        check_health(&client.dialer, &cluster, Some(true), cx).await
    }

    async fn upgrade(
        &self,
        client: &Client,
        node: &Node,
        timeout: Duration,
        cx: &Context,
    ) -> Result<(), Error> {
        let upgrade = KubernetesUpgrade {
            node,
            dialer: &client.dialer,
            rollouts: &client.rollouts,
            to: version(&self.kubernetes_version)?,
            timeout,
        };
        upgrade.run(cx).await
    }

    /// The version that the cluster has, as far as it can be told; the warning says why not.
    async fn look(&self, client: &Client, cx: &Context) -> Result<Option<Version>, Error> {
        let Some(identity) = &self.client_configuration else {
            return Ok(None);
        };
        let node = self.target(client, identity)?;
        let asked = || format!("look at {}", node.label());
        match node.contact(cx).await? {
            Contact::Configured(api) => {
                kubernetes_version(&api, &self.control_plane(), &client.dialer, cx).await
            }
            Contact::Maintenance(..) => Err(Error::new(
                asked(),
                "it is in maintenance mode: it has lost its configuration",
            )),
            Contact::Stranger(error) => Err(error),
            Contact::Away(why) => Err(Error::transient(asked(), why)),
        }
    }
}

#[async_trait]
impl Resource for TalosCluster {
    type Client = Client;

    const REPEATABLE: bool = true;

    fn validate(config: &Value) -> Diagnostics {
        let mut found = check_timeouts(config);
        found.extend(check_client_configuration(config));
        let given = config.get("kubernetes_version");
        if let Some(text) = given.as_ref().and_then(Value::as_str)
            && let Err(error) = version(text)
        {
            found.extend(Diagnostics::from(error));
        }
        let listed = config.get("control_plane_nodes");
        let listed = listed.as_ref().and_then(Value::as_sequence);
        let node = config.get("node");
        if let (Some(listed), Some(node)) = (listed, node.as_ref().and_then(Value::as_str))
            && listed.iter().all(Value::is_known)
            && !listed.iter().any(|n| n.as_str() == Some(node))
        {
            let said = format!("{node:?} is not among them");
            found.extend(Diagnostics::from(
                Error::new("use `control_plane_nodes`", said)
                    .remedy("List all control plane nodes, the one to bootstrap included.")
                    .attribute("control_plane_nodes"),
            ));
        }
        found
    }

    async fn plan(
        client: Option<&Client>,
        draft: &mut PlanDraft,
        _cx: &Context,
    ) -> Result<(), Diagnostics> {
        plan_endpoint(draft)?;
        plan_recovery(client, draft)?;
        let listed = draft.config().get("control_plane_nodes");
        if listed.is_none_or(|v| v.is_null())
            && let Some(node) = draft.attribute("node")
        {
            let path = Path::root().attr("control_plane_nodes");
            if node.is_known() {
                let alone = Value::list(stead_sdk::value::Type::String, vec![node]);
                draft.set(&path, alone)?;
            } else {
                draft.set_unknown(&path)?;
            }
        }
        let read = |value: Option<Value>| Version::parse(value?.as_str()?);
        let (from, to) = (
            read(draft.prior().get("kubernetes_version")),
            read(draft.attribute("kubernetes_version")),
        );
        if let (Some(from), Some(to)) = (from, to)
            && from != to
        {
            step("Kubernetes", &from, &to).map_err(|e| e.attribute("kubernetes_version"))?;
            draft.note(
                "kubernetes_version: component by component and node by node, the kubelets last",
            );
        }
        Ok(())
    }

    async fn create(
        client: &Client,
        planned: Self,
        config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let identity =
            effective_client_configuration(planned.client_configuration.as_ref(), config)?;
        let timeout = planned.timeouts.as_ref().and_then(|t| t.create.as_ref());
        let timeout = timeout_or(timeout, CREATE)?;
        let within = cx.clone().with_deadline(Instant::now() + timeout);
        let node = planned.target(client, &identity)?;
        bootstrap(client, &node, &within).await?;
        let made = TalosCluster {
            id: planned.node.clone(),
            endpoint: planned.endpoint.or_else(|| Some(planned.node.clone())),
            control_plane_nodes: planned
                .control_plane_nodes
                .or_else(|| Some(vec![planned.node.clone()])),
            ..planned
        };
        // Bootstrapped it is, whatever follows.
        let rest = async {
            made.healthy(client, &identity, &within).await?;
            let api = configured(&node, &within).await?;
            let planes = made.control_plane();
            let has = kubernetes_version(&api, &planes, &client.dialer, &within).await?;
            let wanted = version(&made.kubernetes_version)?;
            if has.is_none_or(|has| has == wanted) {
                return Ok(());
            }
            made.upgrade(client, &node, timeout, cx).await
        };
        match rest.await {
            Ok(()) => Ok(made),
            Err(error) => Err(Failure::usable(error, made)),
        }
    }

    async fn read(client: &Client, prior: Self, cx: &Context) -> Result<Option<Self>, Error> {
        match prior.look(client, cx).await {
            Ok(Some(found))
                if Version::parse(&prior.kubernetes_version).as_ref() != Some(&found) =>
            {
                Ok(Some(TalosCluster {
                    kubernetes_version: found.to_string(),
                    ..prior
                }))
            }
            Ok(_) => Ok(Some(prior)),
            Err(error) => {
                let detail = format!("{error} It is taken to be as the state has it.");
                cx.warn("Could not look at the cluster", detail);
                Ok(Some(prior))
            }
        }
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
        let now = TalosCluster {
            id: prior.id,
            ..planned
        };
        if client.recover_from.is_some() {
            let identity =
                effective_client_configuration(now.client_configuration.as_ref(), config)?;
            let within = cx.clone().with_deadline(Instant::now() + timeout);
            bootstrap(client, &now.target(client, &identity)?, &within).await?;
        }
        if Version::parse(&now.kubernetes_version) == Version::parse(&prior.kubernetes_version) {
            return Ok(now);
        }
        let identity = effective_client_configuration(now.client_configuration.as_ref(), config)?;
        let node = now.target(client, &identity)?;
        match now.upgrade(client, &node, timeout, cx).await {
            Ok(()) => Ok(now),
            Err(error) => Err(Failure::partial(
                error,
                TalosCluster {
                    kubernetes_version: prior.kubernetes_version,
                    ..now
                },
            )),
        }
    }

    /// A cluster ends with its nodes.
    async fn delete(_client: &Client, _prior: Self, _cx: &Context) -> Result<(), Error> {
        Ok(())
    }
}
