//! `talos_client_configuration`, ephemeral: an administrator's talosconfig from the machine secrets.

use std::time::SystemTime;

use stead_sdk::value::{Diagnostics, Sensitive, Value};
use stead_sdk::{Context, DataSource, Ephemeral, Error, Lease, async_trait};

use super::validity;
use crate::blocks::secrets::given::MachineSecrets;
use crate::blocks::{GeneratedClientConfiguration, encode_pem};
use crate::client::Client;
use crate::machinery::{TalosContext, render_talosconfig};

/// An administrator's client certificate and the configuration of `talosctl`, made of the machine secrets when they are
/// needed and kept nowhere.
///
/// Certificate and key follow from the secrets, the name and the dates: equal input gives equal bytes.
#[derive(Clone, Debug, DataSource)]
#[data_source(name = "talos_client_configuration")]
pub(crate) struct ClientConfigurationEphemeral {
    /// The name of the context.
    #[attr(required)]
    cluster_name: String,
    /// The secrets of the cluster.
    #[attr(required, nested(single))]
    machine_secrets: MachineSecrets,
    /// When the certificate begins to be valid, such as `2026-01-31T12:00:00Z`; with the authority by default. Keep it in the
    /// state, in a `terraform_data`, and the certificate stays the same.
    #[attr(optional)]
    not_before: Option<String>,
    /// How long the certificate is valid from `not_before` on, such as `8760h`; 10 years by default.
    #[attr(optional)]
    crt_ttl: Option<String>,
    /// Addresses of the Talos API.
    #[attr(optional)]
    endpoints: Option<Vec<String>>,
    /// Nodes that requests are for.
    #[attr(optional)]
    nodes: Option<Vec<String>>,
    /// How to reach the Talos API as its administrator.
    #[attr(computed, sensitive, nested(single))]
    client_configuration: Option<GeneratedClientConfiguration>,
    /// The talosconfig as YAML.
    #[attr(computed, sensitive)]
    talos_config: Option<Sensitive<String>>,
}

#[async_trait]
impl Ephemeral for ClientConfigurationEphemeral {
    type Client = Client;

    fn validate(config: &Value) -> Diagnostics {
        validity::check(config)
    }

    async fn open(_client: &Client, config: Self, cx: &Context) -> Result<Lease<Self>, Error> {
        let bundle = config.machine_secrets.bundle()?;
        let authority = &bundle.certs.os.cert;
        let dates = validity::resolve(
            config.not_before.as_ref(),
            config.crt_ttl.as_ref(),
            authority,
        )?;
        validity::warn_unless_valid(dates, SystemTime::now(), cx);
        let client = bundle
            .deterministic_client_certificate(&config.cluster_name, dates)
            .map_err(|e| Error::new("sign a client certificate", e.to_string()))?;
        let generated = GeneratedClientConfiguration {
            ca_certificate: encode_pem(authority),
            client_certificate: encode_pem(&client.cert),
            client_key: encode_pem(client.key.expose()).into(),
        };
        let context = TalosContext {
            endpoints: config.endpoints.clone().unwrap_or_default(),
            nodes: config.nodes.clone().unwrap_or_default(),
            ca: authority.clone(),
            client,
        };
        let text = render_talosconfig(&config.cluster_name, &context);
        Ok(ClientConfigurationEphemeral {
            client_configuration: Some(generated),
            talos_config: Some(text.expose().to_owned().into()),
            ..config
        }
        .into())
    }
}
