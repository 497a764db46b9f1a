//! `talos_cluster_health`: waits until a cluster is healthy.

mod kubernetes;
mod nodes;

use std::time::Instant;

use stead_sdk::value::{Diagnostics, Value};
use stead_sdk::{Context, DataSource, Dialer, Error, async_trait};

use crate::blocks::{ClientConfiguration, ReadTimeout, check_timeouts, timeout_of};
use crate::client::Client;
pub(crate) use nodes::{Cluster, ailment};

/// Waits until the nodes and, unless told otherwise, the Kubernetes of a cluster are healthy.
#[derive(Clone, Debug, DataSource)]
#[data_source(name = "talos_cluster_health")]
pub(crate) struct ClusterHealth {
    /// A constant.
    #[attr(computed)]
    id: String,
    /// Addresses of control plane nodes, which pass requests on to the others; tried in turn.
    #[attr(required)]
    endpoints: Vec<String>,
    /// The addresses of the control plane nodes.
    #[attr(required)]
    control_plane_nodes: Vec<String>,
    /// The addresses of the workers.
    #[attr(optional)]
    worker_nodes: Option<Vec<String>>,
    /// Look at Talos alone.
    #[attr(optional)]
    skip_kubernetes_checks: Option<bool>,
    /// How to prove who one is to the nodes.
    #[attr(required, nested(single))]
    client_configuration: ClientConfiguration,
    /// How long it may take.
    #[attr(optional, nested(single))]
    timeouts: Option<ReadTimeout>,
}

/// Refuses a configuration that names nobody to ask.
pub(crate) fn check_nodes(config: &Value) -> Diagnostics {
    let empty = |name: &&str| {
        let list = config.get(name);
        list.as_ref()
            .and_then(Value::as_sequence)
            .is_some_and(<[_]>::is_empty)
    };
    let lists = ["endpoints", "control_plane_nodes"].into_iter();
    let refusals = lists.filter(empty).map(|name| {
        let refusal = Error::new("check the cluster's health", format!("`{name}` is empty"))
            .remedy("Name at least one control plane node.")
            .attribute(name);
        refusal.into()
    });
    refusals.collect()
}

/// Waits until the cluster is healthy; without Kubernetes when that is to be skipped.
pub(crate) async fn check(
    dialer: &Dialer,
    cluster: &Cluster,
    skip_kubernetes: Option<bool>,
    cx: &Context,
) -> Result<(), Error> {
    nodes::check(cluster, cx).await?;
    if skip_kubernetes != Some(true) {
        kubernetes::check(dialer, cluster, cx).await?;
    }
    Ok(())
}

#[async_trait]
impl DataSource for ClusterHealth {
    type Client = Client;

    fn validate(config: &Value) -> Diagnostics {
        let mut found = check_timeouts(config);
        found.extend(check_nodes(config));
        found
    }

    async fn read(client: &Client, config: Self, cx: &Context) -> Result<Self, Error> {
        let timeout = timeout_of(config.timeouts.as_ref().and_then(|t| t.read.as_ref()))?;
        let cx = cx.clone().with_deadline(Instant::now() + timeout);
        let cluster = Cluster::new(
            &client.dialer,
            &config.endpoints,
            &config.control_plane_nodes,
            config.worker_nodes.as_deref().unwrap_or_default(),
            &config.client_configuration,
        )?;
        check(&client.dialer, &cluster, config.skip_kubernetes_checks, &cx).await?;
        Ok(ClusterHealth {
            id: "cluster_health".to_owned(),
            ..config
        })
    }
}
