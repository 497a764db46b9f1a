//! Client configurations of the Talos API and of Kubernetes.

use stead_sdk::value::{Sensitive, Value};
use stead_sdk::{Block, Error, codec};

/// How to prove who one is to the Talos API: base64 of PEM texts.
#[derive(Clone, Debug, PartialEq, Block)]
pub(crate) struct ClientConfiguration {
    /// The certificate authority of the Talos API.
    #[attr(required)]
    pub(crate) ca_certificate: String,
    /// The client's certificate.
    #[attr(required)]
    pub(crate) client_certificate: String,
    /// The client's private key.
    #[attr(required, sensitive)]
    pub(crate) client_key: Sensitive<String>,
}

/// The same, never stored.
#[derive(Clone, Debug, Block)]
pub(crate) struct ClientConfigurationWriteOnly {
    /// The certificate authority of the Talos API.
    #[attr(required, write_only)]
    pub(crate) ca_certificate: Option<String>,
    /// The client's certificate.
    #[attr(required, write_only)]
    pub(crate) client_certificate: Option<String>,
    /// The client's private key.
    #[attr(required, sensitive, write_only)]
    pub(crate) client_key: Option<Sensitive<String>>,
}

/// The client configuration that comes with new machine secrets.
#[derive(Clone, Debug, PartialEq, Block)]
pub(crate) struct GeneratedClientConfiguration {
    /// The certificate authority of the Talos API.
    #[attr(computed)]
    pub(crate) ca_certificate: String,
    /// The client's certificate.
    #[attr(computed)]
    pub(crate) client_certificate: String,
    /// The client's private key.
    #[attr(computed, sensitive)]
    pub(crate) client_key: Sensitive<String>,
}

/// How to reach Kubernetes as its administrator; certificates and key are base64 of PEM texts.
#[derive(Clone, Debug, PartialEq, Block)]
pub(crate) struct KubernetesClientConfiguration {
    /// The URL of the Kubernetes API.
    #[attr(computed)]
    pub(crate) host: String,
    /// The certificate authority of Kubernetes.
    #[attr(computed)]
    pub(crate) ca_certificate: String,
    /// The client's certificate.
    #[attr(computed)]
    pub(crate) client_certificate: String,
    /// The client's private key.
    #[attr(computed, sensitive)]
    pub(crate) client_key: Sensitive<String>,
}

/// The client configuration of an object: the stored one, or the write-only one of its configuration.
pub(crate) fn effective_client_configuration(
    stored: Option<&ClientConfiguration>,
    config: &Value,
) -> Result<ClientConfiguration, Error> {
    if let Some(stored) = stored {
        return Ok(stored.clone());
    }
    let missing = || {
        Error::new(
            "talk to the node",
            "neither `client_configuration` nor `client_configuration_wo` is set",
        )
        .attribute("client_configuration")
    };
    let given: Option<ClientConfigurationWriteOnly> =
        codec::attribute(config, "client_configuration_wo")?;
    let given = given.ok_or_else(missing)?;
    Ok(ClientConfiguration {
        ca_certificate: given.ca_certificate.ok_or_else(missing)?,
        client_certificate: given.client_certificate.ok_or_else(missing)?,
        client_key: given.client_key.ok_or_else(missing)?,
    })
}
