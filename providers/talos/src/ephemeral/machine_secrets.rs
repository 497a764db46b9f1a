//! `talos_machine_secrets`, ephemeral: new secrets with every run.

use stead_sdk::value::{Diagnostics, Value};
use stead_sdk::{Context, DataSource, Ephemeral, Error, Lease, async_trait};

use crate::blocks::GeneratedClientConfiguration;
use crate::blocks::secrets::generated::MachineSecrets;
use crate::client::Client;
use crate::defaults::CONTRACT;
use crate::resources::{administrator, generate_secrets, secrets_contract};

/// The secrets of a Talos cluster, drawn anew whenever a run opens them: for handing them to a store that keeps them.
#[derive(Clone, Debug, DataSource)]
#[data_source(name = "talos_machine_secrets")]
pub(crate) struct MachineSecretsEphemeral {
    /// The Talos version whose form of secrets is generated, such as `v1.13`.
    #[attr(optional, computed)]
    talos_version: Option<String>,
    /// The secrets.
    #[attr(computed, nested(single))]
    machine_secrets: Option<MachineSecrets>,
    /// How to reach the Talos API as its administrator.
    #[attr(computed, nested(single))]
    client_configuration: Option<GeneratedClientConfiguration>,
}

#[async_trait]
impl Ephemeral for MachineSecretsEphemeral {
    type Client = Client;

    fn validate(config: &Value) -> Diagnostics {
        let version = config.get("talos_version");
        let checked = version
            .as_ref()
            .and_then(Value::as_str)
            .map(secrets_contract);
        checked
            .and_then(Result::err)
            .map(Diagnostics::from)
            .unwrap_or_default()
    }

    async fn open(_client: &Client, config: Self, cx: &Context) -> Result<Lease<Self>, Error> {
        let version = config.talos_version.unwrap_or_else(|| CONTRACT.to_owned());
        let bundle = generate_secrets(secrets_contract(&version)?, cx).await?;
        Ok(MachineSecretsEphemeral {
            talos_version: Some(version),
            machine_secrets: Some(MachineSecrets::of(&bundle)),
            client_configuration: Some(administrator(&bundle)?),
        }
        .into())
    }
}
