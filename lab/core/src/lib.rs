//! What every simulated system shares: the lab's network, its certificate authority, its disk, its faults, and the machines
//! and clusters that one simulation hands to another. Shares no code with `providers/`.

pub mod authority;
pub mod client;
pub mod cluster;
pub mod faults;
pub mod files;
pub mod gateway;
pub mod image;
pub mod machine;
pub mod network;
pub mod saver;
pub mod serve;
pub mod shell;
pub mod ssh;
pub mod store;

pub use authority::Authority;
pub use client::Client;
pub use faults::Faults;
pub use network::Network;
pub use saver::Saver;
pub use serve::serve;
pub use store::Store;

use std::io;
use std::path::Path;
use std::sync::Arc;

/// Handed to every simulation when it starts. Cheap to clone.
#[derive(Clone)]
pub struct Lab {
    pub network: Network,
    pub authority: Arc<Authority>,
    pub store: Store,
    pub settings: Arc<Settings>,
    pub faults: Faults,
    /// Cancelled when the lab shuts down; servers stop then.
    pub shutdown: tokio_util::sync::CancellationToken,
    /// What must end before the process may: servers, and work whose outcome is to be saved. Spawn such tasks here.
    pub tasks: tokio_util::task::TaskTracker,
    /// Cancelled when everything else has ended: the time for the last saving.
    pub(crate) flush: tokio_util::sync::CancellationToken,
    pub(crate) savers: tokio_util::task::TaskTracker,
}

/// How long tasks may go on after the lab was told to stop; what takes longer is left behind.
const STOP_LIMIT: std::time::Duration = std::time::Duration::from_secs(15);

impl Lab {
    /// A lab in this folder: new, or as it was left. No simulation runs yet.
    pub fn open(root: &Path, settings: Settings) -> io::Result<Lab> {
        let store = Store::open(root)?;
        Ok(Lab {
            network: Network::default(),
            authority: Arc::new(Authority::open(&store)?),
            faults: Faults::open(&store, settings.seed)?,
            store,
            settings: Arc::new(settings),
            shutdown: tokio_util::sync::CancellationToken::new(),
            tasks: tokio_util::task::TaskTracker::new(),
            flush: tokio_util::sync::CancellationToken::new(),
            savers: tokio_util::task::TaskTracker::new(),
        })
    }

    /// Stops every simulation and returns when all of them have saved their state.
    pub async fn stop(&self) {
        self.shutdown.cancel();
        self.tasks.close();
        if tokio::time::timeout(STOP_LIMIT, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(left = self.tasks.len(), "tasks of the lab do not end");
        }
        self.flush.cancel();
        self.savers.close();
        self.savers.wait().await;
    }
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
