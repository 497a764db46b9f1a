//! A simulated Proxmox VE cluster, 9.2 or 8.4: its REST API on port 8006 of each node, checked against the published contract,
//! and its SSH [`door`] on port 22.
//!
//! A request passes [`http`] (transport, login), the [`schema`] (which method, privileges, parameters) and then
//! [`routes`], the table of what is simulated; everything else is answered 501 by name. Machines started here come to
//! life through the [`GuestKind`]s that the other simulations register.

mod access;
mod calendar;
mod cluster;
mod door;
mod error;
mod faults;
mod firewall;
mod guest;
mod http;
mod images;
mod inventory;
mod lxc;
mod network;
mod node;
mod options;
mod pools;
mod qemu;
mod release;
mod routes;
mod schema;
mod sdn;
mod sections;
mod state;
mod storage;
mod task;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stead_lab_core::machine::{Guest, GuestKind};
use stead_lab_core::{Client, Lab, Saver};

pub use crate::options::{
    AclSpec, NodeSpec, Options, PciDevice, StorageSpec, TokenSpec, UserSpec, Version,
};

use crate::schema::Api;
use crate::state::State;

/// The simulation, shared.
pub(crate) type Px = Arc<Proxmox>;

/// The running simulation.
pub struct Proxmox {
    lab: Lab,
    api: Api,
    /// What each of the contract's methods does, by its number.
    actions: Vec<Option<routes::Action>>,
    state: Arc<Mutex<State>>,
    saver: Saver,
    client: Client,
    kinds: Vec<Arc<dyn GuestKind>>,
    /// What lives in the running machines; nothing for a machine without a known operating system.
    guests: Mutex<HashMap<u32, Arc<dyn Guest>>>,
    /// What guest agents run or have run.
    executions: Mutex<qemu::agent::Executions>,
    /// To interrupt running tasks, by UPID.
    aborts: Mutex<HashMap<String, tokio_util::sync::CancellationToken>>,
    locks: Mutex<HashMap<u32, Arc<tokio::sync::RwLock<()>>>>,
}

/// Starts the cluster of these options, or the one that this lab already has; machines that ran boot again.
///
/// The first of `kinds` that recognises a machine's disks boots it.
pub async fn start(
    lab: &Lab,
    options: &Options,
    kinds: Vec<Arc<dyn GuestKind>>,
) -> io::Result<Arc<Proxmox>> {
    let mut state: State = match lab.store.load("proxmox")? {
        Some(saved) => saved,
        None => State::new(options, lab.settings.seed),
    };
    state.abandon_tasks();
    state.install_nodes();
    let nodes: Vec<(String, String)> = state
        .nodes
        .values()
        .map(|n| (n.name.clone(), n.address.clone()))
        .collect();
    let state = Arc::new(Mutex::new(state));
    let snapshot = state.clone();
    let saver = Saver::start(lab, "proxmox", move || lock(&snapshot).clone());
    let api = Api::load(lock(&state).version())?;
    let proxmox = Arc::new(Proxmox {
        lab: lab.clone(),
        actions: routes::all(&api),
        api,
        state,
        saver,
        client: Client::new(lab)?,
        kinds,
        guests: Mutex::default(),
        executions: Mutex::default(),
        aborts: Mutex::default(),
        locks: Mutex::default(),
    });
    for (name, address) in nodes {
        http::listen(&proxmox, &name, &address).await?;
        door::open(&proxmox, &name, &address).await?;
    }
    images::serve_all(lab).await?;
    proxmox.boot_again().await;
    proxmox.changed();
    Ok(proxmox)
}

impl Proxmox {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// What is installed on the nodes.
    pub fn version(&self) -> Version {
        self.state().version()
    }

    /// Something in the state is new and wants to be saved.
    pub(crate) fn changed(&self) {
        self.saver.changed();
    }

    /// Waits as long as the real thing takes, at the lab's pace.
    pub(crate) async fn takes(&self, lifelike: Duration) {
        tokio::time::sleep(self.lab.settings.duration(lifelike)).await;
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_secs())
}
