//! `hashicorp/tls` 4.x: keys, and certificates that sign themselves.

mod key;
mod openssh;
mod private_key;
mod self_signed;

use stead_sdk::value::Sensitive;
use stead_sdk::{Block, Dialer, Native, ProviderConfig, ProviderFactory};

/// The provider's settings serve its data source `tls_certificate`, which stead does not have yet.
#[derive(Debug, ProviderConfig)]
struct Config {
    /// The proxy for fetching certificates.
    #[attr(block(list), unsupported)]
    proxy: Vec<Proxy>,
}

#[derive(Debug, Block)]
struct Proxy {
    /// The proxy's address.
    #[attr(optional)]
    url: Option<String>,
    /// For a proxy that wants a login.
    #[attr(optional)]
    username: Option<String>,
    /// For a proxy that wants a login.
    #[attr(optional, sensitive)]
    password: Option<Sensitive<String>>,
    /// Whether to take the proxy from the environment.
    #[attr(optional)]
    from_env: Option<bool>,
}

pub fn factory(dialer: &Dialer) -> impl ProviderFactory + use<> {
    Native::<()>::provider::<Config>("tls")
        .configure(|_, _, _| async { Ok(()) })
        .only_in_state()
        .resource::<private_key::PrivateKey>()
        .resource::<self_signed::SelfSignedCert>()
        .data_source::<private_key::PublicKey>()
        .build(dialer)
}
