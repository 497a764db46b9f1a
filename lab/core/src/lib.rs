//! What every simulated system shares: the lab's network, its certificate authority, its disk, its faults, and the machines
//! and clusters that one simulation hands to another. Shares no code with `providers/`.

pub mod authority;
pub mod cluster;
pub mod machine;
pub mod network;
pub mod store;

pub use authority::Authority;
pub use network::Network;
pub use store::Store;

use std::sync::Arc;

/// Handed to every simulation when it starts. Cheap to clone.
#[derive(Clone)]
pub struct Lab {
    pub network: Network,
    pub authority: Arc<Authority>,
    pub store: Store,
    pub settings: Arc<Settings>,
    /// Cancelled when the lab shuts down; servers stop then.
    pub shutdown: tokio_util::sync::CancellationToken,
}

/// How the lab behaves; the defaults answer at once.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Settings {
    /// Multiplies every simulated duration (boot, install, task, job): 0 means none, 1 lifelike.
    pub pace: f64,
    /// Added to every request, in milliseconds.
    pub latency_ms: u64,
    /// Seeds faults and whatever is random, so that a run can be repeated.
    pub seed: u64,
}

impl Settings {
    /// A simulated duration of `lifelike` length at this pace.
    pub fn duration(&self, lifelike: std::time::Duration) -> std::time::Duration {
        lifelike.mul_f64(self.pace.max(0.0))
    }
}
