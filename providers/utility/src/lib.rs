//! The small providers that every stack uses: random, tls, local, null, http, time, archive, cloudinit, external and the
//! built-in `terraform`; and the provisioners.
//!
//! Each module stands in for one published provider and has a factory of its own. They are also the example of how a
//! native provider is written.

pub mod archive;
pub mod cloudinit;
pub mod external;
mod generated;
pub mod http;
pub mod local;
pub mod null;
pub mod provision;
pub mod random;
pub mod terraform;
pub mod time;
pub mod tls;

use std::sync::Arc;

use stead_sdk::{Dialer, ProviderFactory, lazily};

pub use terraform::RemoteStates;

/// All of them, by the source address that they answer to.
pub fn factories(
    dialer: &Dialer,
    states: Arc<dyn RemoteStates>,
) -> Vec<(&'static str, Arc<dyn ProviderFactory>)> {
    vec![
        (
            terraform::SOURCE,
            lazily(dialer, |dialer| terraform::factory(dialer, states)),
        ),
        (
            "registry.terraform.io/hashicorp/random",
            lazily(dialer, random::factory),
        ),
        (
            "registry.terraform.io/hashicorp/tls",
            lazily(dialer, tls::factory),
        ),
        (
            "registry.terraform.io/hashicorp/local",
            lazily(dialer, local::factory),
        ),
        (
            "registry.terraform.io/hashicorp/null",
            lazily(dialer, null::factory),
        ),
        (
            "registry.terraform.io/hashicorp/http",
            lazily(dialer, http::factory),
        ),
        (
            "registry.terraform.io/hashicorp/archive",
            lazily(dialer, archive::factory),
        ),
        (
            "registry.terraform.io/hashicorp/cloudinit",
            lazily(dialer, cloudinit::factory),
        ),
        (
            "registry.terraform.io/hashicorp/external",
            lazily(dialer, external::factory),
        ),
        (
            "registry.terraform.io/hashicorp/time",
            lazily(dialer, time::factory),
        ),
    ]
}
