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

use stead_sdk::{Dialer, ProviderFactory};

pub use terraform::RemoteStates;

/// All of them, by the source address that they answer to.
pub fn factories(
    dialer: &Dialer,
    states: Arc<dyn RemoteStates>,
) -> Vec<(&'static str, Arc<dyn ProviderFactory>)> {
    vec![
        (
            terraform::SOURCE,
            Arc::new(terraform::factory(dialer, states)),
        ),
        (
            "registry.terraform.io/hashicorp/random",
            Arc::new(random::factory(dialer)),
        ),
        (
            "registry.terraform.io/hashicorp/tls",
            Arc::new(tls::factory(dialer)),
        ),
        (
            "registry.terraform.io/hashicorp/local",
            Arc::new(local::factory(dialer)),
        ),
        (
            "registry.terraform.io/hashicorp/null",
            Arc::new(null::factory(dialer)),
        ),
        (
            "registry.terraform.io/hashicorp/http",
            Arc::new(http::factory(dialer)),
        ),
        (
            "registry.terraform.io/hashicorp/archive",
            Arc::new(archive::factory(dialer)),
        ),
        (
            "registry.terraform.io/hashicorp/cloudinit",
            Arc::new(cloudinit::factory(dialer)),
        ),
        (
            "registry.terraform.io/hashicorp/external",
            Arc::new(external::factory(dialer)),
        ),
        (
            "registry.terraform.io/hashicorp/time",
            Arc::new(time::factory(dialer)),
        ),
    ]
}
