//! `talos_cluster_kubeconfig`, ephemeral: the administrator's access to Kubernetes from the machine secrets.

use std::time::SystemTime;

use stead_sdk::value::{Diagnostics, Sensitive, Value};
use stead_sdk::{Context, DataSource, Ephemeral, Error, Lease, async_trait};

use super::validity;
use crate::blocks::secrets::given::MachineSecrets;
use crate::blocks::{KubernetesClientConfiguration, encode_pem};
use crate::client::Client;

/// An administrator's kubeconfig, made of the machine secrets when it is needed and kept nowhere. No node is asked.
///
/// Certificate and key follow from the secrets, the names and the dates: equal input gives equal bytes.
#[derive(Clone, Debug, DataSource)]
#[data_source(name = "talos_cluster_kubeconfig")]
pub(crate) struct ClusterKubeconfigEphemeral {
    /// The name of the cluster, and part of the names of user and context.
    #[attr(required)]
    cluster_name: String,
    /// The URL of the Kubernetes API, such as `https://10.0.0.10:6443`.
    #[attr(required)]
    endpoint: String,
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
    /// The kubeconfig as YAML.
    #[attr(computed, sensitive)]
    kubeconfig_raw: Option<Sensitive<String>>,
    /// The parts of the kubeconfig, for the configuration of other providers.
    #[attr(computed, nested(single))]
    kubernetes_client_configuration: Option<KubernetesClientConfiguration>,
}

#[async_trait]
impl Ephemeral for ClusterKubeconfigEphemeral {
    type Client = Client;

    fn validate(config: &Value) -> Diagnostics {
        validity::check(config)
    }

    async fn open(_client: &Client, config: Self, cx: &Context) -> Result<Lease<Self>, Error> {
        let bundle = config.machine_secrets.bundle()?;
        let dates = validity::resolve(
            config.not_before.as_ref(),
            config.crt_ttl.as_ref(),
            &bundle.certs.k8s.cert,
        )?;
        validity::warn_unless_valid(dates, SystemTime::now(), cx);
        let kubeconfig = bundle
            .deterministic_kubeconfig(&config.cluster_name, &config.endpoint, dates)
            .map_err(|e| Error::new("make a kubeconfig", e.to_string()))?;
        let text = kubeconfig.to_yaml();
        Ok(ClusterKubeconfigEphemeral {
            kubeconfig_raw: Some(text.expose().to_owned().into()),
            kubernetes_client_configuration: Some(KubernetesClientConfiguration {
                host: kubeconfig.server,
                ca_certificate: encode_pem(&kubeconfig.ca_certificate),
                client_certificate: encode_pem(&kubeconfig.user.certificate),
                client_key: encode_pem(kubeconfig.user.key.expose()).into(),
            }),
            ..config
        }
        .into())
    }
}
