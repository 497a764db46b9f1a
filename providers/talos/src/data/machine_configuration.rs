//! `talos_machine_configuration`: the machine configuration of a kind of node.

use stead_sdk::value::{Diagnostic, Diagnostics, Path, Sensitive, Value};
use stead_sdk::{Context, DataSource, Error, async_trait};

use crate::blocks::secrets::given::MachineSecrets;
use crate::client::Client;
use crate::defaults::{CONTRACT, KUBERNETES, TALOS};
use crate::machinery::{
    ConfigError, Contract, Input, MachineType, default_installer, machine_config,
};
use crate::render::{culprit, patch_diagnostic};

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

/// The attribute that is to blame for a configuration that cannot be generated.
fn blame(error: &ConfigError) -> Option<&'static str> {
    match error {
        ConfigError::MachineType(_) => Some("machine_type"),
        ConfigError::Contract(_) => Some("talos_version"),
        ConfigError::Endpoint(_) | ConfigError::Missing("cluster endpoint") => {
            Some("cluster_endpoint")
        }
        ConfigError::Missing("cluster name") => Some("cluster_name"),
        ConfigError::Missing("kubernetes version") => Some("kubernetes_version"),
        ConfigError::Secret(..) => Some("machine_secrets"),
        _ => None,
    }
}

fn failed(error: &ConfigError) -> Error {
    let failed = Error::new("generate the machine configuration", error.to_string());
    match blame(error) {
        Some(attribute) => failed.attribute(attribute),
        None => failed,
    }
}

fn comments_warning(config: &Value, name: &str) -> Option<Diagnostic> {
    let wanted = config.get(name).and_then(|v| v.as_bool()) == Some(true);
    wanted.then(|| {
        let detail = format!(
            "stead writes configurations without comments: `{name} = true` changes nothing. The configuration means the same."
        );
        Diagnostic::warning("No comments in the machine configuration", detail)
            .attribute(Path::root().attr(name))
    })
}

#[async_trait]
impl DataSource for MachineConfigurationData {
    type Client = Client;

    fn validate(config: &Value) -> Diagnostics {
        let mut found: Diagnostics = ["docs", "examples"]
            .into_iter()
            .filter_map(|name| comments_warning(config, name))
            .collect();
        let text = |name: &str| {
            let value = config.get(name)?;
            value.as_str().map(str::to_owned)
        };
        let checks = [
            text("machine_type").map(|t| t.parse::<MachineType>().map(drop)),
            text("talos_version").map(|t| Contract::parse(&t).map(drop).map_err(ConfigError::from)),
        ];
        for error in checks.into_iter().flatten().filter_map(Result::err) {
            found.extend(Diagnostics::from(failed(&error)));
        }
        found
    }

    async fn read(_client: &Client, config: Self, _cx: &Context) -> Result<Self, Error> {
        let secrets = config.machine_secrets.bundle()?;
        let version = config.talos_version.as_deref().unwrap_or(CONTRACT);
        let contract = Contract::parse(version).map_err(|e| failed(&e.into()))?;
        let machine_type = config.machine_type.parse().map_err(|e| failed(&e))?;
        let kubernetes = config.kubernetes_version.as_deref().unwrap_or(KUBERNETES);
        let image = default_installer(TALOS);
        let input = Input::new(
            &config.cluster_name,
            &config.cluster_endpoint,
            machine_type,
            kubernetes,
            contract,
            &secrets,
            &image,
        );
        let patches = config.config_patches.clone().unwrap_or_default();
        let text = machine_config(&input, &patches).map_err(|error| match &error {
            ConfigError::Patch(patch) => {
                let works =
                    |n: usize| machine_config(&input, patches.get(..n).unwrap_or(&patches)).is_ok();
                patch_diagnostic(&patch.to_string(), culprit(patches.len(), works)).into()
            }
            _ => failed(&error),
        })?;
        Ok(MachineConfigurationData {
            id: config.cluster_name.clone(),
            kubernetes_version: Some(kubernetes.to_owned()),
            talos_version: Some(version.to_owned()),
            machine_configuration: Some(text.into()),
            ..config
        })
    }
}
