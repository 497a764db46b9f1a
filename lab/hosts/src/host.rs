//! One running host and what all hosts share.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use serde::Serialize;
use stead_lab_core::cluster::ClusterHost;
use stead_lab_core::files::Files;
use stead_lab_core::{Lab, Saver, ssh};
use tokio_util::sync::CancellationToken;

use crate::HostSpec;
use crate::files::installed;
use crate::state::{HostState, State};

/// What all hosts share.
pub(crate) struct Shared {
    pub lab: Lab,
    pub clusters: Arc<dyn ClusterHost>,
    state: Arc<Mutex<State>>,
    saver: Saver,
    /// Running hosts by name.
    running: RwLock<BTreeMap<String, Arc<Host>>>,
    /// One command that changes a cluster at a time, as snapd and the cluster agent have it.
    pub changing: tokio::sync::Mutex<()>,
}

/// A host that is on.
pub(crate) struct Host {
    pub shared: Arc<Shared>,
    pub spec: HostSpec,
    /// Cancelled when the host goes off.
    pub off: CancellationToken,
}

impl Shared {
    pub(crate) fn open(lab: &Lab, clusters: Arc<dyn ClusterHost>) -> io::Result<Arc<Shared>> {
        let state: State = lab.store.load("hosts")?.unwrap_or_default();
        let state = Arc::new(Mutex::new(state));
        let saved = state.clone();
        let saver = Saver::start(lab, "hosts", move || Saved(saved.clone()));
        let (lab, running) = (lab.clone(), RwLock::default());
        Ok(Arc::new(Shared {
            lab,
            clusters,
            state,
            saver,
            running,
            changing: tokio::sync::Mutex::new(()),
        }))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the state saved soon.
    pub(crate) fn changed(&self) {
        self.saver.changed();
    }

    /// Works on one host's state and has it saved.
    pub(crate) fn with<T>(&self, host: &str, work: impl FnOnce(&mut HostState) -> T) -> T {
        let result = work(self.state().hosts.entry(host.to_owned()).or_default());
        self.changed();
        result
    }

    /// Powers a host on: its disk as it was left, or freshly installed.
    pub(crate) fn power_on(self: &Arc<Self>, spec: HostSpec) -> io::Result<Arc<Host>> {
        let made = {
            let mut state = self.state();
            let host = state.hosts.entry(spec.name.clone()).or_default();
            if host.host_key.is_empty() {
                host.host_key = ssh::new_key()?;
            }
            if host.files.is_empty() {
                host.files = installed(&spec.hostname, &spec.user);
            }
            Arc::new(Host {
                shared: self.clone(),
                spec: spec.clone(),
                off: self.lab.shutdown.child_token(),
            })
        };
        self.changed();
        self.running
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(spec.name, made.clone());
        Ok(made)
    }

    /// The running hosts.
    pub(crate) fn hosts(&self) -> Vec<Arc<Host>> {
        self.running
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<Arc<Host>> {
        self.running
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    pub(crate) fn by_address(&self, address: &str) -> Option<Arc<Host>> {
        self.hosts()
            .into_iter()
            .find(|h| h.spec.address.to_string() == address || h.spec.hostname == address)
    }

    pub(crate) fn gone(&self, name: &str) {
        self.running
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
    }
}

impl Host {
    /// This host's state; saved afterwards.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut HostState) -> T) -> T {
        self.shared.with(&self.spec.name, work)
    }

    /// Works on the files as this user.
    pub(crate) fn files<T>(&self, user: &str, work: impl FnOnce(&mut Files<'_>) -> T) -> T {
        self.files_masked(user, 0o022, work)
    }

    /// The same with this umask.
    pub(crate) fn files_masked<T>(
        &self,
        user: &str,
        umask: u32,
        work: impl FnOnce(&mut Files<'_>) -> T,
    ) -> T {
        self.with(|state| {
            work(&mut Files {
                files: &mut state.files,
                user,
                umask,
            })
        })
    }

    pub(crate) fn address(&self) -> String {
        self.spec.address.to_string()
    }

    /// Lets simulated time pass: so many lifelike seconds at the lab's pace.
    pub(crate) async fn pass(&self, seconds: u64) {
        let lasting = self
            .shared
            .lab
            .settings
            .duration(std::time::Duration::from_secs(seconds));
        if !lasting.is_zero() {
            tokio::time::sleep(lasting).await;
        }
    }
}

/// The state as it is saved: locked only while it is written down.
struct Saved(Arc<Mutex<State>>);

impl Serialize for Saved {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .serialize(serializer)
    }
}
