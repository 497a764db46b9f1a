//! `talos_cluster_health`: waits until a cluster is healthy.

mod kubernetes;
mod nodes;

use std::time::Instant;

use stead_sdk::value::{Diagnostics, Value};
use stead_sdk::{Context, DataSource, Error, async_trait};

use crate::blocks::{ClientConfiguration, ReadTimeout, check_timeouts, timeout_of};
use crate::client::Client;
use nodes::Cluster;

pub(crate) use nodes::ailment;

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

#[async_trait]
impl DataSource for ClusterHealth {
    type Client = Client;

    fn validate(config: &Value) -> Diagnostics {
        let mut found = check_timeouts(config);
        for name in ["endpoints", "control_plane_nodes"] {
            let list = config.get(name);
            if list
                .as_ref()
                .and_then(Value::as_sequence)
                .is_some_and(<[_]>::is_empty)
            {
                found.extend(Diagnostics::from(
                    Error::new("check the cluster's health", format!("`{name}` is empty"))
                        .remedy("Name at least one control plane node.")
                        .attribute(name),
                ));
            }
        }
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
        nodes::check(&cluster, &cx).await?;
        if config.skip_kubernetes_checks != Some(true) {
            kubernetes::check(&client.dialer, &cluster, &cx).await?;
        }
        Ok(ClusterHealth {
            id: "cluster_health".to_owned(),
            ..config
        })
    }
}
