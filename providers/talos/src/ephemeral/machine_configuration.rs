//! `talos_machine_configuration`, ephemeral: a machine configuration that no state keeps.

use stead_sdk::value::{Diagnostics, Sensitive, Value};
use stead_sdk::{Context, DataSource, Ephemeral, Error, Lease, async_trait};

use crate::blocks::secrets::given::MachineSecrets;
use crate::client::Client;
use crate::generate::{self, Generation};

/// Generates the machine configuration of a node for write-only attributes: the form follows `talos_version`, the content
/// the secrets and patches.
#[derive(Clone, Debug, DataSource)]
#[data_source(name = "talos_machine_configuration")]
pub(crate) struct MachineConfigurationEphemeral {
    /// The name of the cluster.
    #[attr(required)]
    cluster_name: String,
    /// The URL of the Kubernetes API, such as `https://10.0.0.10:6443`.
    #[attr(required)]
    cluster_endpoint: String,
    /// The secrets of the cluster.
    #[attr(required, nested(single))]
    machine_secrets: MachineSecrets,
    /// `controlplane` or `worker`.
    #[attr(required)]
    machine_type: String,
    /// Patches for the generated configuration: strategic merge patches or JSON 6902.
    #[attr(optional)]
    config_patches: Option<Vec<String>>,
    /// The version of Kubernetes.
    #[attr(optional, computed)]
    kubernetes_version: Option<String>,
    /// The Talos version whose form of configuration is generated, such as `v1.13`. It does not say what is installed: that
    /// is `machine.install.image`.
    #[attr(optional, computed)]
    talos_version: Option<String>,
    /// Comments that explain the fields. stead writes none: the configuration means the same without.
    #[attr(optional)]
    docs: Option<bool>,
    /// Examples in comments. stead writes none: the configuration means the same without.
    #[attr(optional)]
    examples: Option<bool>,
    /// The configuration as YAML.
    #[attr(computed, sensitive)]
    machine_configuration: Option<Sensitive<String>>,
}

#[async_trait]
impl Ephemeral for MachineConfigurationEphemeral {
    type Client = Client;

    fn validate(config: &Value) -> Diagnostics {
        generate::validate(config)
    }

    async fn open(_client: &Client, config: Self, cx: &Context) -> Result<Lease<Self>, Error> {
        let generated = Generation {
            cluster_name: &config.cluster_name,
            cluster_endpoint: &config.cluster_endpoint,
            machine_type: &config.machine_type,
            machine_secrets: &config.machine_secrets,
            patches: config.config_patches.as_deref().unwrap_or_default(),
            kubernetes_version: config.kubernetes_version.as_deref(),
            talos_version: config.talos_version.as_deref(),
        }
        .run(cx)?;
        Ok(MachineConfigurationEphemeral {
            kubernetes_version: Some(generated.kubernetes_version),
            talos_version: Some(generated.talos_version),
            machine_configuration: Some(generated.text),
            ..config
        }
        .into())
    }
}
