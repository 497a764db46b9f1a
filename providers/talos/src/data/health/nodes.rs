//! The checks of Talos itself, node by node.
//!
//! Facts: siderolabs/talos `pkg/cluster/check`, `PreBootSequenceChecks`. The checks of memory and disk sizes are left out:
//! they compare with recommendations and do not change by waiting.

use std::sync::atomic::{AtomicUsize, Ordering};

use stead_sdk::wait::{Poll, until};
use stead_sdk::{Context, Dialer, Error};

use crate::api::machine::{EtcdMember, ServiceInfo};
use crate::api::specs::MachineStage;
use crate::blocks::ClientConfiguration;
use crate::node::{Api, CallError, Node, polling};
use crate::resources::is_member;

/// The nodes to check, behind endpoints of which one must answer.
pub(crate) struct Cluster {
    endpoints: Vec<Endpoint>,
    current: AtomicUsize,
    pub(super) control_plane: Vec<String>,
    pub(super) workers: Vec<String>,
}

struct Endpoint {
    node: Node,
    api: Api,
}

impl Cluster {
    pub(crate) fn new(
        dialer: &Dialer,
        endpoints: &[String],
        control_plane: &[String],
        workers: &[String],
        identity: &ClientConfiguration,
    ) -> Result<Cluster, Error> {
        let endpoints = endpoints.iter().map(|endpoint| {
            let node = Node::new(dialer, endpoint, endpoint, identity)?;
            let api = node.api()?;
            Ok(Endpoint { node, api })
        });
        Ok(Cluster {
            endpoints: endpoints.collect::<Result<_, Error>>()?,
            current: AtomicUsize::new(0),
            control_plane: control_plane.to_vec(),
            workers: workers.to_vec(),
        })
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        self.control_plane
            .iter()
            .chain(&self.workers)
            .map(String::as_str)
    }

    fn endpoint(&self) -> Result<&Endpoint, Error> {
        let index = self.current.load(Ordering::Relaxed) % self.endpoints.len().max(1);
        self.endpoints
            .get(index)
            .ok_or_else(|| Error::new("check the cluster's health", "`endpoints` is empty"))
    }

    /// The endpoint that answers at present.
    pub(super) fn entry(&self) -> Result<&Node, Error> {
        Ok(&self.endpoint()?.node)
    }

    pub(super) fn api(&self, node: &str) -> Result<Api, Error> {
        self.endpoint()?.api.for_node(node)
    }

    /// What a failed call means for the check that made it: another endpoint may be up.
    pub(super) fn setback<T>(&self, node: &str, call: CallError) -> Result<Poll<T>, Error> {
        if call.is_final() {
            return Err(call.into());
        }
        if call.lost {
            self.current.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Poll::PendingBecause(format!("{node}: {}", call.reason())))
    }
}

/// Takes the value of a call, or ends the poll with what went wrong.
macro_rules! attempt {
    ($cluster:expr, $node:expr, $call:expr) => {
        match $call.await {
            Ok(value) => value,
            Err(call) => return $cluster.setback($node, call),
        }
    };
}
pub(super) use attempt;

fn not_yet<T>(why: String) -> Result<Poll<T>, Error> {
    Ok(Poll::PendingBecause(why))
}

/// What keeps a service from being healthy; `None` when it is.
pub(crate) fn ailment(id: &str, service: Option<&ServiceInfo>) -> Option<String> {
    let Some(service) = service else {
        return Some(format!("{id} is not there"));
    };
    if service.state != "Running" {
        return Some(format!("{id} is {}", service.state.to_lowercase()));
    }
    match &service.health {
        Some(health) if health.healthy && !health.unknown => None,
        Some(health) if !health.last_message.is_empty() => {
            Some(format!("{id} is not healthy: {}", health.last_message))
        }
        _ => Some(format!("{id} is not healthy")),
    }
}

pub(super) async fn check(cluster: &Cluster, cx: &Context) -> Result<(), Error> {
    until(cx, "etcd to be healthy", polling(), || {
        service_is_healthy(cluster, "etcd")
    })
    .await?;
    until(
        cx,
        "the etcd members to be the control plane nodes",
        polling(),
        || etcd_is_consistent(cluster),
    )
    .await?;
    until(cx, "all nodes to answer", polling(), || {
        nodes_answer(cluster)
    })
    .await?;
    until(cx, "Talos to find nothing wrong", polling(), || {
        nothing_is_wrong(cluster)
    })
    .await?;
    until(cx, "the kubelets to be healthy", polling(), || {
        service_is_healthy(cluster, "kubelet")
    })
    .await?;
    until(cx, "all nodes to finish booting", polling(), || {
        nodes_are_running(cluster)
    })
    .await
}

async fn service_is_healthy(cluster: &Cluster, id: &str) -> Result<Poll<()>, Error> {
    for node in &cluster.control_plane {
        let service = attempt!(cluster, node, cluster.api(node)?.service(id));
        if let Some(why) = ailment(id, service.as_ref()) {
            return not_yet(format!("{node}: {why}"));
        }
    }
    Ok(Poll::Ready(()))
}

/// Every control plane node sees the same members, and they are the control plane nodes.
async fn etcd_is_consistent(cluster: &Cluster) -> Result<Poll<()>, Error> {
    let sorted = |members: &[EtcdMember]| {
        let mut list: Vec<_> = members
            .iter()
            .map(|m| (m.id, m.hostname.clone(), m.is_learner))
            .collect();
        list.sort();
        list
    };
    let mut first: Option<Vec<EtcdMember>> = None;
    for node in &cluster.control_plane {
        let api = cluster.api(node)?;
        let members = attempt!(cluster, node, api.etcd_members());
        if let Some(first) = &first
            && sorted(first) != sorted(&members)
        {
            return not_yet(format!("{node} sees other members than the first node"));
        }
        let hostname = attempt!(cluster, node, api.hostname());
        if !members.iter().any(|m| is_member(m, &hostname, node)) {
            return not_yet(format!("{node} is no member"));
        }
        first = Some(members);
    }
    let (found, wanted) = (first.map_or(0, |m| m.len()), cluster.control_plane.len());
    if found != wanted {
        return not_yet(format!(
            "etcd has {found} members for {wanted} control plane nodes"
        ));
    }
    Ok(Poll::Ready(()))
}

async fn nodes_answer(cluster: &Cluster) -> Result<Poll<()>, Error> {
    for node in cluster.all() {
        attempt!(cluster, node, cluster.api(node)?.version());
    }
    Ok(Poll::Ready(()))
}

async fn nothing_is_wrong(cluster: &Cluster) -> Result<Poll<()>, Error> {
    for node in cluster.all() {
        let found = match cluster.api(node)?.diagnostics().await {
            Ok(found) => found,
            // Talos before 1.9 has no diagnostics.
            Err(call) if call.code == tonic::Code::PermissionDenied && !call.lost => continue,
            Err(call) => return cluster.setback(node, call),
        };
        if let Some(diagnostic) = found.first() {
            let details = diagnostic.details.join("; ");
            return not_yet(
                format!("{node}: {} {details}", diagnostic.message)
                    .trim()
                    .to_owned(),
            );
        }
    }
    Ok(Poll::Ready(()))
}

async fn nodes_are_running(cluster: &Cluster) -> Result<Poll<()>, Error> {
    for node in cluster.all() {
        let status = attempt!(cluster, node, cluster.api(node)?.machine_status());
        let stage = status.as_ref().map(|s| s.stage()).unwrap_or_default();
        if stage != MachineStage::Running {
            let name = stage.as_str_name().trim_start_matches("MACHINE_STAGE_");
            return not_yet(format!(
                "{node} is {}",
                name.to_lowercase().replace('_', " ")
            ));
        }
    }
    Ok(Poll::Ready(()))
}
