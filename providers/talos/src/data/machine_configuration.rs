//! `talos_machine_configuration`: the machine configuration of a kind of node.

use stead_sdk::value::{Diagnostics, Sensitive, Value};
use stead_sdk::{Context, DataSource, Error, async_trait};

use crate::blocks::secrets::given::MachineSecrets;
use crate::client::Client;
use crate::generate::{self, Generation};

/// Generates the machine configuration of a node: the form follows `talos_version`, the content the secrets and patches.
#[derive(Clone, Debug, DataSource)]
#[data_source(name = "talos_machine_configuration")]
pub(crate) struct MachineConfigurationData {
    /// The name of the cluster.
    #[attr(computed)]
    id: String,
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
    #[attr(optional)]
    kubernetes_version: Option<String>,
    /// The Talos version whose form of configuration is generated, such as `v1.13`. It does not say what is installed: that
    /// is `machine.install.image`.
    #[attr(optional)]
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
impl DataSource for MachineConfigurationData {
    type Client = Client;

    fn validate(config: &Value) -> Diagnostics {
        generate::validate(config)
    }

    async fn read(_client: &Client, config: Self, cx: &Context) -> Result<Self, Error> {
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
        Ok(MachineConfigurationData {
            id: config.cluster_name.clone(),
            kubernetes_version: Some(generated.kubernetes_version),
            talos_version: Some(generated.talos_version),
            machine_configuration: Some(generated.text),
            ..config
        })
    }
}
