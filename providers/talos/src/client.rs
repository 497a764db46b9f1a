//! The provider's configuration and what every operation gets.

use std::path::PathBuf;

use stead_sdk::value::Diagnostics;
use stead_sdk::{Context, Dialer, Error, HttpOptions, ProviderConfig};

use crate::machinery::Factory;
use crate::node::Pins;
use crate::upgrade::Rollouts;

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
    /// The etcd snapshot of which a lost control plane is rebuilt.
    pub(crate) recover_from: Option<PathBuf>,
    pub(crate) rollouts: Rollouts,
    /// Machines may have been made anew: each is given its configuration again, and may be met for the first time once more.
    pub(crate) meets_anew: bool,
}

/// Set by `stead recover` alone, for the apply that begins with the snapshot.
const RECOVER: &str = "STEAD_TALOS_RECOVER";
/// Set by `stead recover` alone, for all that it does.
const MEET_ANEW: &str = "STEAD_TALOS_MEET_ANEW";

pub(crate) async fn connect(
    config: Config,
    dialer: Dialer,
    _cx: Context,
) -> Result<Client, Diagnostics> {
    // A mistake in the variable is told before anything else.
    Pins::of(dialer.environment())?;
    let factory = match &config.image_factory_url {
        None => Factory::default(),
        Some(url) => Factory::new(url).map_err(|e| {
            Error::new("use the Image Factory", e.to_string()).attribute("image_factory_url")
        })?,
    };
    let http = dialer.http(&HttpOptions::default())?;
    let recover_from = dialer.environment().get(RECOVER).map(PathBuf::from);
    let meets_anew = dialer.environment().get(MEET_ANEW).is_some();
    Ok(Client {
        dialer,
        factory,
        http,
        recover_from,
        rollouts: Rollouts::default(),
        meets_anew,
    })
}
