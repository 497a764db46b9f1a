//! The provider block, and what it refuses before the first byte is sent.

use stead_sdk::value::{Diagnostics, Sensitive};
use stead_sdk::{Context, Dialer, Error, Native, ProviderConfig, ProviderFactory};

use crate::client::{Client, Credentials, Endpoint};
use crate::dataset::Dataset;
use crate::nfs_share::NfsShare;

/// Manages a TrueNAS appliance (25.10 or newer) through its WebSocket API.
#[derive(Clone, Debug, ProviderConfig)]
pub(crate) struct Config {
    /// The appliance: a host name, or a URL such as `wss://nas.lan/api/current`.
    #[attr(optional, env = "TRUENAS_ENDPOINT")]
    endpoint: Option<String>,
    /// An API key, made under Credentials > Users > API Keys.
    #[attr(optional, sensitive, env = "TRUENAS_API_KEY")]
    api_key: Option<Sensitive<String>>,
    /// The user of the API key or password.
    #[attr(optional, env = "TRUENAS_USERNAME")]
    username: Option<String>,
    #[attr(optional, sensitive, env = "TRUENAS_PASSWORD")]
    password: Option<Sensitive<String>>,
    /// Trust any certificate. Better: give the appliance's own in `ca_cert`.
    #[attr(optional)]
    insecure: Option<bool>,
    /// PEM of the certificate authority, or of the appliance's self-signed certificate.
    #[attr(optional)]
    ca_cert: Option<String>,
}

async fn configure(config: Config, dialer: Dialer, _cx: Context) -> Result<Client, Diagnostics> {
    let endpoint = config
        .endpoint
        .ok_or_else(|| Error::missing_setting("endpoint", &["TRUENAS_ENDPOINT"]))?;
    let endpoint = Endpoint::parse(&endpoint)?;
    let credentials = match (config.api_key, config.username, config.password) {
        (Some(key), username, _) => {
            if !endpoint.is_secure() && !endpoint.is_loopback() {
                return Err(Error::new(
                    format!("log in to {endpoint} with an API key"),
                    "the connection is not encrypted, and TrueNAS revokes a key that is sent in the clear",
                )
                .remedy("Write wss:// in the endpoint.")
                .attribute("endpoint")
                .into());
            }
            Credentials::ApiKey {
                username: username.unwrap_or_else(|| "root".into()),
                key,
            }
        }
        (None, Some(username), Some(password)) => Credentials::Password { username, password },
        _ => return Err(Error::missing_setting("api_key", &["TRUENAS_API_KEY"]).into()),
    };
    Ok(Client::new(
        dialer,
        endpoint,
        credentials,
        config.insecure.unwrap_or(false),
        config.ca_cert,
    ))
}

pub(crate) fn factory(dialer: &Dialer) -> impl ProviderFactory + use<> {
    Native::<Client>::provider::<Config>("truenas")
        .configure(configure)
        .resource::<Dataset>()
        .resource::<NfsShare>()
        .build(dialer)
}
