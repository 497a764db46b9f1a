//! A Talos cluster: its etcd membership, the Kubernetes that runs on it, and its virtual addresses.

mod bolt;
mod etcd;
mod kubeconfig;
mod kubernetes;
mod manifests;

pub(crate) use kubeconfig::admin_archive;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stead_lab_core::cluster::{Cluster, NodeSpec};
use tokio::sync::Notify;

use crate::node::{file_name, remove};
use crate::world::World;

/// How soon what failed (a manifest that cannot be fetched) is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// One etcd member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) id: u64,
    pub(crate) machine: String,
    pub(crate) name: String,
    pub(crate) address: String,
}

/// What etcd itself would keep.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Saved {
    members: Vec<Member>,
    leader: u64,
    term: u64,
    /// The names of the manifests applied so far.
    applied: BTreeSet<String>,
}

#[derive(Default)]
struct State {
    saved: Saved,
    api: Option<Arc<dyn Cluster>>,
    /// By machine.
    joined: HashMap<String, NodeSpec>,
    /// Virtual address to the machine that holds it.
    holders: BTreeMap<String, String>,
    /// Routes that lead to the Kubernetes API now.
    routes: BTreeSet<(String, u16)>,
    /// Manifests from elsewhere, by their addresses.
    fetched: HashMap<String, String>,
    /// What a snapshot brings back as soon as Kubernetes runs.
    restore: Option<Vec<bolt::Entry>>,
    /// Whether etcd is being taken back to an older version.
    downgrading: bool,
    erased: bool,
}

pub(crate) struct TalosCluster {
    pub(crate) id: String,
    state: Mutex<State>,
    /// Membership changes one at a time.
    changing: tokio::sync::Mutex<()>,
    wake: Notify,
}

impl TalosCluster {
    /// Opens what the store knows of a cluster and starts to look after it.
    pub(crate) fn open(world: &Arc<World>, id: &str) -> Arc<TalosCluster> {
        let saved = world.lab.store.load(&document(id)).unwrap_or_else(|error| {
            tracing::error!(%error, cluster = id, "unreadable cluster state; starting without it");
            None
        });
        let cluster = Arc::new(TalosCluster {
            id: id.to_owned(),
            state: Mutex::new(State {
                saved: saved.unwrap_or_default(),
                ..State::default()
            }),
            changing: tokio::sync::Mutex::default(),
            wake: Notify::new(),
        });
        let looking = look_after(Arc::downgrade(&cluster), Arc::downgrade(world));
        world.lab.tasks.spawn(looking);
        cluster
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    fn save(&self, world: &World) {
        let state = self.lock();
        if state.erased {
            return;
        }
        if let Err(error) = world.lab.store.save(&document(&self.id), &state.saved) {
            tracing::error!(%error, cluster = self.id, "cannot save a cluster's state");
        }
    }

    pub(crate) fn api(&self) -> Option<Arc<dyn Cluster>> {
        self.lock().api.clone()
    }

    /// Whether a machine is a member or a node of it.
    pub(crate) fn knows(&self, machine: &str) -> bool {
        let state = self.lock();
        state.joined.contains_key(machine)
            || state.saved.members.iter().any(|m| m.machine == machine)
    }

    pub(crate) fn member_machines(&self) -> Vec<String> {
        let state = self.lock();
        state
            .saved
            .members
            .iter()
            .map(|m| m.machine.clone())
            .collect()
    }

    /// Begins or ends going back to an older etcd, which is one at a time.
    pub(crate) fn set_downgrading(&self, wanted: bool) -> Result<(), tonic::Status> {
        let mut state = self.lock();
        if state.downgrading == wanted {
            return Err(tonic::Status::unknown(match wanted {
                true => {
                    "failed to query etcd status: etcdserver: cluster has a downgrade job in progress"
                }
                false => "failed to query etcd status: etcdserver: no inflight downgrade job",
            }));
        }
        state.downgrading = wanted;
        Ok(())
    }

    /// The machine that holds a virtual address.
    pub(crate) fn holder(&self, address: &str) -> Option<String> {
        self.lock().holders.get(address).cloned()
    }

    /// Nothing of it is left.
    pub(crate) async fn erase(&self, world: &World) {
        let _changing = self.changing.lock().await;
        let routes = {
            let mut state = self.lock();
            state.erased = true;
            state.api = None;
            std::mem::take(&mut state.routes)
        };
        for (host, port) in routes {
            world.lab.network.release(&host, port);
        }
        remove(&world.lab.store, &document(&self.id));
        world.hosts.destroy(&self.id).await;
    }
}

fn document(id: &str) -> String {
    format!("talos-cluster-{}", file_name(id))
}

/// Brings the cluster to what its nodes say, whenever something changed.
async fn look_after(cluster: Weak<TalosCluster>, world: Weak<World>) {
    // Faults are set and taken back without a word to the cluster: while there are any it looks for itself.
    let mut faulty = false;
    loop {
        let (Some(cluster), Some(world)) = (cluster.upgrade(), world.upgrade()) else {
            return;
        };
        let settled = {
            let _changing = cluster.changing.lock().await;
            if cluster.lock().erased {
                return;
            }
            cluster.reconcile(&world).await
        };
        let shutdown = world.lab.shutdown.clone();
        let faults = world.lab.faults.clone();
        let was_faulty = std::mem::replace(&mut faulty, !faults.is_quiet());
        drop(world);
        let again = !settled || faulty || was_faulty;
        loop {
            tokio::select! {
                () = cluster.wake.notified() => break,
                () = tokio::time::sleep(RETRY) => {
                    if again || !faults.is_quiet() {
                        break;
                    }
                }
                () = shutdown.cancelled() => return,
            }
        }
    }
}
