//! `talos_cluster_health`, ephemeral: waits until a cluster is healthy whenever a run opens it.

use std::time::Instant;

use stead_sdk::value::{Diagnostics, Value};
use stead_sdk::wait::parse_duration;
use stead_sdk::{Context, DataSource, Ephemeral, Error, Lease, async_trait};

use crate::blocks::{ClientConfiguration, timeout_of};
use crate::client::Client;
use crate::data::{Cluster, check_health, check_nodes};

/// Waits until the nodes and, unless told otherwise, the Kubernetes of a cluster are healthy: in every plan and apply in
/// which its arguments are known.
#[derive(Clone, Debug, DataSource)]
#[data_source(name = "talos_cluster_health")]
pub(crate) struct ClusterHealthEphemeral {
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
    /// How long it may take, such as `30s`; 10 minutes by default.
    #[attr(optional)]
    timeout: Option<String>,
}

#[async_trait]
impl Ephemeral for ClusterHealthEphemeral {
    type Client = Client;

    fn validate(config: &Value) -> Diagnostics {
        let mut found = check_nodes(config);
        let timeout = config.get("timeout");
        if let Some(text) = timeout.as_ref().and_then(Value::as_str)
            && parse_duration(text).is_none()
        {
            let said = format!("{text:?} is not a duration such as \"30s\", \"10m\" or \"1h30m\"");
            let refusal = Error::new("limit the time", said).attribute("timeout");
            found.extend(Diagnostics::from(refusal));
        }
        found
    }

    async fn open(client: &Client, config: Self, cx: &Context) -> Result<Lease<Self>, Error> {
        let timeout = timeout_of(config.timeout.as_ref())?;
        let cx = cx.clone().with_deadline(Instant::now() + timeout);
        let cluster = Cluster::new(
            &client.dialer,
            &config.endpoints,
            &config.control_plane_nodes,
            config.worker_nodes.as_deref().unwrap_or_default(),
            &config.client_configuration,
        )?;
        check_health(&client.dialer, &cluster, config.skip_kubernetes_checks, &cx).await?;
        Ok(config.into())
    }
}
