//! `talos_machine_secrets`: the secrets that the machines of a cluster share.

use std::time::{Duration, SystemTime};

use serde_json::Value as Json;
use stead_sdk::value::{Diagnostics, Path, Value};
use stead_sdk::{Context, Error, Failure, PlanDraft, Resource, async_trait};

use crate::blocks::secrets::generated::MachineSecrets;
use crate::blocks::{GeneratedClientConfiguration, decode_pem, encode_pem};
use crate::client::Client;
use crate::defaults::CONTRACT;
use crate::machinery::{Contract, Role, SecretsBundle, certificate_validity};

/// The published provider's constant.
const ID: &str = "machine_secrets";
/// How long a client certificate is good for: a year.
const CLIENT_TTL: Duration = Duration::from_secs(365 * 24 * 3600);
/// How long before its end it is replaced.
const RENEWAL: Duration = Duration::from_secs(30 * 24 * 3600);

/// The secrets of a Talos cluster, and an administrator's client certificate, which is renewed in its last 30 days.
#[derive(Clone, Debug, Resource)]
#[resource(name = "talos_machine_secrets", version = 1)]
pub(crate) struct MachineSecretsResource {
    /// A constant.
    #[attr(computed)]
    id: String,
    /// The Talos version whose form of secrets is generated, such as `v1.13`. A lower one makes new secrets.
    #[attr(optional, computed)]
    talos_version: Option<String>,
    /// The secrets.
    #[attr(computed, nested(single))]
    machine_secrets: Option<MachineSecrets>,
    /// How to reach the Talos API as its administrator.
    #[attr(computed, nested(single))]
    client_configuration: Option<GeneratedClientConfiguration>,
}

pub(crate) fn contract(version: &str) -> Result<Contract, Error> {
    Contract::parse(version)
        .map_err(|e| Error::new("read the Talos version", e.to_string()).attribute("talos_version"))
}

/// The secrets of a new cluster.
pub(crate) async fn generate(contract: Contract, cx: &Context) -> Result<SecretsBundle, Error> {
    cx.progress("generating keys");
    let failed = |said: String| Error::new("generate the machine secrets", said);
    // An RSA key of 4096 bits takes seconds of computing.
    let generated = tokio::task::spawn_blocking(move || {
        SecretsBundle::generate(contract, &mut rand::rng(), SystemTime::now())
    });
    generated
        .await
        .map_err(|e| failed(e.to_string()))?
        .map_err(|e| failed(e.to_string()))
}

/// A new client certificate of the cluster's administrator.
pub(crate) fn administrator(bundle: &SecretsBundle) -> Result<GeneratedClientConfiguration, Error> {
    let client = bundle
        .client_certificate(
            &[Role::Admin],
            CLIENT_TTL,
            &mut rand::rng(),
            SystemTime::now(),
        )
        .map_err(|e| Error::new("sign a client certificate", e.to_string()))?;
    Ok(GeneratedClientConfiguration {
        ca_certificate: encode_pem(&bundle.certs.os.cert),
        client_certificate: encode_pem(&client.cert),
        client_key: encode_pem(client.key.expose()).into(),
    })
}

/// Whether a certificate (base64 of PEM) ends within the time.
pub(super) fn ends_within(certificate: &str, what: &str, time: Duration) -> Result<bool, Error> {
    let validity = certificate_validity(&decode_pem(certificate, what)?)
        .map_err(|e| Error::new(format!("read `{what}`"), e.to_string()))?;
    Ok(validity.not_after < SystemTime::now() + time)
}

/// The object for an existing bundle.
fn adopt(bundle: &SecretsBundle) -> Result<MachineSecretsResource, Error> {
    // The published provider's rule: the bundle alone does not say for which version it was made.
    let old = bundle.secrets.aescbc_encryption_secret.is_some();
    Ok(MachineSecretsResource {
        id: ID.to_owned(),
        talos_version: Some(if old { "v1.2" } else { "v1.3" }.to_owned()),
        machine_secrets: Some(MachineSecrets::of(bundle)),
        client_configuration: Some(administrator(bundle)?),
    })
}

#[async_trait]
impl Resource for MachineSecretsResource {
    type Client = Client;

    const REPEATABLE: bool = true;

    fn validate(config: &Value) -> Diagnostics {
        let version = config.get("talos_version");
        let checked = version.as_ref().and_then(Value::as_str).map(contract);
        checked
            .and_then(Result::err)
            .map(Diagnostics::from)
            .unwrap_or_default()
    }

    async fn plan(
        _client: Option<&Client>,
        plan: &mut PlanDraft,
        _cx: &Context,
    ) -> Result<(), Diagnostics> {
        let version = Path::root().attr("talos_version");
        let configured = plan.config().get("talos_version");
        if plan.is_create() {
            if configured.is_none_or(|v| v.is_null()) {
                plan.set(&version, Value::string(CONTRACT))?;
            }
            return Ok(());
        }
        let text = |v: Option<Value>| v.as_ref().and_then(Value::as_str).map(str::to_owned);
        if let (Some(new), Some(old)) = (
            text(plan.attribute("talos_version")),
            text(plan.prior().get("talos_version")),
        ) && contract(&new)? < contract(&old)?
        {
            plan.replace(version);
        }
        let client = Path::root().attr("client_configuration");
        let certificate = plan.get(&client.attr("client_certificate"));
        if let Some(certificate) = certificate.as_ref().and_then(Value::as_str)
            && ends_within(
                certificate,
                "client_configuration.client_certificate",
                RENEWAL,
            )?
        {
            // The authority stays.
            for part in ["client_certificate", "client_key"] {
                plan.set_unknown(&client.attr(part))?;
            }
            plan.note("client_configuration: the certificate ends within 30 days and is renewed");
        }
        Ok(())
    }

    async fn create(
        _client: &Client,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let version = planned.talos_version.as_deref().unwrap_or(CONTRACT);
        let bundle = generate(contract(version)?, cx).await?;
        Ok(MachineSecretsResource {
            talos_version: Some(version.to_owned()),
            ..adopt(&bundle)?
        })
    }

    /// The secrets are nowhere but in the state.
    async fn read(_client: &Client, prior: Self, _cx: &Context) -> Result<Option<Self>, Error> {
        Ok(Some(prior))
    }

    async fn update(
        _client: &Client,
        prior: Self,
        planned: Self,
        _config: &Value,
        _cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let lost = || {
            Error::new(
                "renew the client certificate",
                "the state holds no machine secrets",
            )
        };
        let secrets = prior.machine_secrets.ok_or_else(lost)?;
        let renew = planned
            .client_configuration
            .as_ref()
            .is_none_or(|c| c.client_certificate.is_empty());
        let client_configuration = if renew {
            Some(administrator(&secrets.bundle()?)?)
        } else {
            planned.client_configuration
        };
        Ok(MachineSecretsResource {
            id: prior.id,
            talos_version: planned.talos_version,
            machine_secrets: Some(secrets),
            client_configuration,
        })
    }

    async fn delete(_client: &Client, _prior: Self, _cx: &Context) -> Result<(), Error> {
        Ok(())
    }

    /// The identifier is the path of a `secrets.yaml` of `talosctl gen secrets`.
    async fn import(_client: &Client, id: &str, _cx: &Context) -> Result<Self, Error> {
        let asked = || format!("import machine secrets from the file {id}");
        let text = tokio::fs::read_to_string(id).await.map_err(|e| {
            Error::new(asked(), e.to_string())
                .remedy("Give the path of a file that `talosctl gen secrets` wrote.")
        })?;
        let bundle =
            SecretsBundle::from_yaml(&text).map_err(|e| Error::new(asked(), e.to_string()))?;
        adopt(&bundle)
    }

    /// Version 0 kept the bundle as YAML.
    fn upgrade(_version: u64, attributes: Json) -> Result<Json, Error> {
        let asked = "upgrade the state of the machine secrets";
        let text = attributes.get("machine_secrets").and_then(Json::as_str);
        let text = text.ok_or_else(|| Error::new(asked, "it holds no secrets"))?;
        let bundle =
            SecretsBundle::from_yaml(text).map_err(|e| Error::new(asked, e.to_string()))?;
        let adopted = stead_sdk::Field::encode(&adopt(&bundle)?);
        let attributes = stead_sdk::value::json::to_json(&adopted, &adopted.ty())
            .map_err(|e| Error::new(asked, e.to_string()))?;
        Ok(attributes)
    }
}
