//! The provider's configuration and what every operation gets.

use stead_sdk::value::Diagnostics;
use stead_sdk::{Context, Dialer, Error, HttpOptions, ProviderConfig};

use crate::machinery::Factory;

/// Talos needs no settings: each resource says itself how to reach its node.
#[derive(Clone, Debug, ProviderConfig)]
pub(crate) struct Config {
    /// The URL of the Image Factory; `https://factory.talos.dev` by default.
    #[attr(optional)]
    image_factory_url: Option<String>,
}

/// How to connect, and to which Image Factory.
pub(crate) struct Client {
    pub(crate) dialer: Dialer,
    pub(crate) factory: Factory,
    pub(crate) http: reqwest::Client,
}

pub(crate) async fn connect(
    config: Config,
    dialer: Dialer,
    _cx: Context,
) -> Result<Client, Diagnostics> {
    let factory = match &config.image_factory_url {
        None => Factory::default(),
        Some(url) => Factory::new(url).map_err(|e| {
            Error::new("use the Image Factory", e.to_string()).attribute("image_factory_url")
        })?,
    };
    let http = dialer.http(&HttpOptions::default())?;
    Ok(Client {
        dialer,
        factory,
        http,
    })
}
