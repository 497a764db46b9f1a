//! `talos_cluster_kubeconfig`, the data source: the administrator's access to Kubernetes, anew at every plan.

use std::time::Instant;

use stead_sdk::value::{Diagnostics, Sensitive, Value};
use stead_sdk::{Context, DataSource, Error, async_trait};

use crate::blocks::{
    ClientConfiguration, KubernetesClientConfiguration, ReadTimeout, check_timeouts, timeout_of,
};
use crate::client::Client;
use crate::node::Node;
use crate::resources::access;

/// The kubeconfig of a cluster, from one of its control plane nodes: another certificate at every plan, so that whatever uses it changes
/// every time. The resource of the same name keeps one until it ends.
#[derive(Clone, Debug, DataSource)]
#[data_source(
    name = "talos_cluster_kubeconfig",
    deprecated = "Use the resource talos_cluster_kubeconfig, whose certificate stays until it ends."
)]
pub(crate) struct ClusterKubeconfigData {
    /// The name of the cluster.
    #[attr(computed)]
    id: String,
    /// A control plane node.
    #[attr(required)]
    node: String,
    /// The address that is contacted, with an optional port; the node by default.
    #[attr(optional, computed)]
    endpoint: Option<String>,
    /// How to prove who one is to the node.
    #[attr(required, nested(single))]
    client_configuration: ClientConfiguration,
    /// The kubeconfig as YAML.
    #[attr(computed, sensitive)]
    kubeconfig_raw: Option<Sensitive<String>>,
    /// The parts of the kubeconfig, for the configuration of other providers.
    #[attr(computed, nested(single))]
    kubernetes_client_configuration: Option<KubernetesClientConfiguration>,
    /// Waits for nothing, as in the published provider.
    #[attr(
        optional,
        deprecated = "It waits for nothing. Use talos_cluster_health."
    )]
    wait: Option<bool>,
    /// How long the node may take.
    #[attr(optional, nested(single))]
    timeouts: Option<ReadTimeout>,
}

#[async_trait]
impl DataSource for ClusterKubeconfigData {
    type Client = Client;

    fn validate(config: &Value) -> Diagnostics {
        check_timeouts(config)
    }

    async fn read(client: &Client, config: Self, cx: &Context) -> Result<Self, Error> {
        let timeout = timeout_of(config.timeouts.as_ref().and_then(|t| t.read.as_ref()))?;
        let cx = cx.clone().with_deadline(Instant::now() + timeout);
        let given = config.endpoint.clone().filter(|e| !e.is_empty());
        let endpoint = given.unwrap_or_else(|| config.node.clone());
        let identity = &config.client_configuration;
        let node = Node::new(&client.dialer, &endpoint, &config.node, identity)?;
        let access = access(&node, &cx).await?;
        Ok(ClusterKubeconfigData {
            id: access.cluster,
            endpoint: Some(endpoint),
            kubeconfig_raw: Some(access.kubeconfig),
            kubernetes_client_configuration: Some(access.parts),
            ..config
        })
    }
}
