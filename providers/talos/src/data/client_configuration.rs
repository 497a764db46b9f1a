//! `talos_client_configuration`: a talosconfig.

use stead_sdk::value::Sensitive;
use stead_sdk::{Context, DataSource, Error, async_trait};

use crate::blocks::{ClientConfiguration, decode_pem};
use crate::client::Client;
use crate::machinery::{CertificateAndKey, Secret, TalosContext, render_talosconfig};

/// The configuration of `talosctl` for a cluster.
#[derive(Clone, Debug, DataSource)]
#[data_source(name = "talos_client_configuration")]
pub(crate) struct ClientConfigurationData {
    /// The name of the cluster.
    #[attr(computed)]
    id: String,
    /// The name of the context.
    #[attr(required)]
    cluster_name: String,
    /// Addresses of the Talos API.
    #[attr(optional)]
    endpoints: Option<Vec<String>>,
    /// Nodes that requests are for.
    #[attr(optional)]
    nodes: Option<Vec<String>>,
    /// How to prove who one is.
    #[attr(required, nested(single))]
    client_configuration: ClientConfiguration,
    /// The talosconfig as YAML.
    #[attr(computed, sensitive)]
    talos_config: Option<Sensitive<String>>,
}

#[async_trait]
impl DataSource for ClientConfigurationData {
    type Client = Client;

    async fn read(_client: &Client, config: Self, _cx: &Context) -> Result<Self, Error> {
        let client = &config.client_configuration;
        let pem = |encoded: &str, name: &str| {
            decode_pem(encoded, &format!("client_configuration.{name}"))
        };
        let context = TalosContext {
            endpoints: config.endpoints.clone().unwrap_or_default(),
            nodes: config.nodes.clone().unwrap_or_default(),
            ca: pem(&client.ca_certificate, "ca_certificate")?,
            client: CertificateAndKey {
                cert: pem(&client.client_certificate, "client_certificate")?,
                key: Secret::new(pem(client.client_key.expose_secret(), "client_key")?),
            },
        };
        let text = render_talosconfig(&config.cluster_name, &context);
        Ok(ClientConfigurationData {
            id: config.cluster_name.clone(),
            talos_config: Some(text.expose().to_owned().into()),
            ..config
        })
    }
}
