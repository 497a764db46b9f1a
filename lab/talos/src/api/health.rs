//! The server-side health check: the published checks in their order, each repeated until it holds or time is up.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tonic::{Request, Response, Status};

use super::resources::ephemeral_size;
use super::{Api, Streamed};
use crate::cluster::TalosCluster;
use crate::config::Config;
use crate::node::{Node, Stage};
use crate::proto::cluster::cluster_service_server::ClusterService;
use crate::proto::cluster::{HealthCheckProgress, HealthCheckRequest};
use crate::world::World;

/// Least memory of a control plane and of a worker, in MiB, less what the kernel keeps.
const MEMORY: (u64, u64) = (1848 - 150, 1024 - 150);
/// Least size of the partition EPHEMERAL: 6 GiB of disk, less 2101 MiB to boot, STATE, META, and 10 MiB for the partition table.
const EPHEMERAL: u64 = (6144 - 2101 - 100 - 1 - 10) << 20;
/// How often a check is repeated.
const INTERVAL: Duration = Duration::from_secs(5);

/// What a check found.
enum Outcome {
    Ok,
    Skip,
    Not(String),
}

type Sender = mpsc::Sender<Result<HealthCheckProgress, Status>>;

/// The nodes that are to be healthy, by address.
struct Expected {
    planes: Vec<String>,
    workers: Vec<String>,
}

struct Check {
    world: Arc<World>,
    cluster: Arc<TalosCluster>,
    config: Arc<Config>,
    expected: Expected,
}

const CHECKS: [&str; 16] = [
    "etcd to be healthy",
    "etcd members to be consistent across nodes",
    "etcd members to be control plane nodes",
    "apid to be ready",
    "all nodes memory sizes",
    "all nodes disk sizes",
    "no diagnostics",
    "kubelet to be healthy",
    "all nodes to finish boot sequence",
    "all k8s nodes to report",
    "all control plane static pods to be running",
    "all control plane components to be ready",
    "all k8s nodes to report ready",
    "kube-proxy to report ready",
    "coredns to report ready",
    "all k8s nodes to report schedulable",
];

#[tonic::async_trait]
impl ClusterService for Api {
    type HealthCheckStream = Streamed<HealthCheckProgress>;

    async fn health_check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::HealthCheckStream>, Status> {
        let config = self.control_plane("cluster health check")?;
        let request = request.into_inner();
        let timeout = request
            .wait_timeout
            .and_then(|d| Duration::try_from(d).ok())
            .unwrap_or_default();
        let cluster = self.cluster(&config)?;
        let world = self.world()?;
        let info = request.cluster_info.unwrap_or_default();
        let expected = expected(&world, &cluster, info)?;
        let check = Check {
            world,
            cluster,
            config,
            expected,
        };
        let (sender, receiver) = mpsc::channel(16);
        tokio::spawn(async move {
            let verdict = tokio::select! {
                ended = tokio::time::timeout(timeout, check.run(&sender)) => ended,
                () = sender.closed() => return,
            };
            if verdict.is_err() {
                // Nobody may listen any more, which is no failure of the check.
                let _ = sender
                    .send(Err(Status::deadline_exceeded("context deadline exceeded")))
                    .await;
            }
        });
        let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
        Ok(Response::new(Box::pin(stream)))
    }
}

/// The nodes that the request names, else those of the cluster.
fn expected(
    world: &World,
    cluster: &TalosCluster,
    info: crate::proto::cluster::ClusterInfo,
) -> Result<Expected, Status> {
    let given = info.control_plane_nodes.iter().chain(&info.worker_nodes);
    for address in given {
        address
            .parse::<IpAddr>()
            .map_err(|_| Status::unknown(format!("ParseAddr({address:?}): unable to parse IP")))?;
    }
    if !info.control_plane_nodes.is_empty() || !info.worker_nodes.is_empty() {
        return Ok(Expected {
            planes: info.control_plane_nodes,
            workers: info.worker_nodes,
        });
    }
    let of_kind = |plane: bool| {
        let nodes = world.members_of(&cluster.id).into_iter();
        nodes
            .filter(|n| n.config().is_some_and(|c| c.is_control_plane()) == plane)
            .filter_map(|n| n.address().map(|a| a.to_string()))
            .collect()
    };
    Ok(Expected {
        planes: of_kind(true),
        workers: of_kind(false),
    })
}

impl Check {
    async fn run(&self, sender: &Sender) {
        let all: Vec<&String> = self
            .expected
            .planes
            .iter()
            .chain(&self.expected.workers)
            .collect();
        let quoted: Vec<String> = all.iter().map(|a| format!("{a:?}")).collect();
        tell(sender, format!("discovered nodes: [{}]", quoted.join(" "))).await;
        let pause = self
            .world
            .lab
            .settings
            .duration(INTERVAL)
            .max(Duration::from_millis(20));
        for name in CHECKS {
            tell(sender, format!("waiting for {name}: ...")).await;
            let mut last = String::new();
            loop {
                match self.one(name).await {
                    Outcome::Ok => break tell(sender, format!("waiting for {name}: OK")).await,
                    Outcome::Skip => break tell(sender, format!("waiting for {name}: SKIP")).await,
                    Outcome::Not(reason) => {
                        if reason != last {
                            tell(sender, format!("waiting for {name}: {reason}")).await;
                            last = reason;
                        }
                    }
                }
                tokio::time::sleep(pause).await;
            }
        }
    }

    async fn one(&self, name: &str) -> Outcome {
        let found = match name {
            "etcd to be healthy" => self.services("etcd"),
            "etcd members to be consistent across nodes" => self.consistent(),
            "etcd members to be control plane nodes" => self.members_are_planes(),
            "apid to be ready" => self.every(|_| Ok(())),
            "all nodes memory sizes" => self.every(memory),
            "all nodes disk sizes" => self.every(disk_size),
            "no diagnostics" => Ok(()),
            "kubelet to be healthy" => self.services("kubelet"),
            "all nodes to finish boot sequence" => self.every(|n| match n.stage() {
                Stage::Running => Ok(()),
                stage => Err(format!(
                    "expected machine stage running, got {}",
                    stage.name()
                )),
            }),
            "all k8s nodes to report" => self.reported().await,
            "all k8s nodes to report ready" | "coredns to report ready"
                if self.config.needs_cni() =>
            {
                return Outcome::Skip;
            }
            "all k8s nodes to report ready" => self.ready().await,
            "kube-proxy to report ready" if !self.config.has_proxy() => return Outcome::Skip,
            "kube-proxy to report ready" | "coredns to report ready" => self.workloads().await,
            _ => self.api().map(|_| ()),
        };
        match found {
            Ok(()) => Outcome::Ok,
            Err(reason) => Outcome::Not(reason),
        }
    }

    fn node(&self, address: &str) -> Result<Arc<Node>, String> {
        let ip = address.parse::<IpAddr>().map_err(|e| e.to_string())?;
        let node = self.world.node_at(ip);
        let up = node.filter(|n| n.with_boot(|b| b.api_up) == Some(true));
        up.ok_or_else(|| format!("{address}: rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing: dial tcp {address}:50000: connect: connection refused\""))
    }

    fn every(&self, test: impl Fn(&Node) -> Result<(), String>) -> Result<(), String> {
        for address in self.expected.planes.iter().chain(&self.expected.workers) {
            let node = self.node(address)?;
            test(&node).map_err(|e| format!("node {address:?}: {e}"))?;
        }
        Ok(())
    }

    fn services(&self, id: &str) -> Result<(), String> {
        for address in &self.expected.planes {
            let node = self.node(address)?;
            let services = node.services();
            let service = services.iter().find(|s| s.id == id);
            let service = service.ok_or_else(|| format!("{address}: no service {id:?}"))?;
            if service.state != "Running" {
                return Err(format!(
                    "{address}: service {id:?} not in expected state \"Running\": current state [{}] {}",
                    service.state, service.message
                ));
            }
            if service.healthy != Some(true) {
                return Err(format!("{address}: service is not healthy: {id}"));
            }
        }
        Ok(())
    }

    fn consistent(&self) -> Result<(), String> {
        let members = self
            .cluster
            .members(&self.world)
            .map_err(|e| e.message().to_owned())?;
        for address in &self.expected.planes {
            let node = self.node(address)?;
            if self.cluster.member_of(&node).is_none() {
                let names: Vec<&str> = members.iter().map(|m| m.name.as_str()).collect();
                return Err(format!("{address}: not among the etcd members {names:?}"));
            }
        }
        Ok(())
    }

    fn members_are_planes(&self) -> Result<(), String> {
        let members = self
            .cluster
            .members(&self.world)
            .map_err(|e| e.message().to_owned())?;
        let addresses: Vec<String> = members.into_iter().map(|m| m.address).collect();
        match addresses.iter().all(|a| self.expected.planes.contains(a)) {
            true => Ok(()),
            false => Err(format!(
                "etcd member ips {addresses:?} are not subset of control plane node ips {:?}",
                self.expected.planes
            )),
        }
    }

    fn api(&self) -> Result<Arc<dyn stead_lab_core::cluster::Cluster>, String> {
        self.cluster
            .api()
            .ok_or_else(|| "the Kubernetes API does not answer".to_owned())
    }

    async fn reported(&self) -> Result<(), String> {
        let known: BTreeSet<String> = self
            .api()?
            .nodes()
            .await
            .into_iter()
            .map(|(n, _)| n)
            .collect();
        self.every(|node| {
            let name = node.node_name();
            match known.contains(&name) {
                true => Ok(()),
                false => Err(format!("no Kubernetes node {name:?}")),
            }
        })?;
        let expected = self.expected.planes.len() + self.expected.workers.len();
        match known.len() == expected {
            true => Ok(()),
            false => Err(format!(
                "expected {expected} Kubernetes nodes, got {}",
                known.len()
            )),
        }
    }

    async fn ready(&self) -> Result<(), String> {
        let nodes = self.api()?.nodes().await;
        let not_ready: Vec<String> = nodes
            .into_iter()
            .filter(|(_, ready)| !ready)
            .map(|(n, _)| n)
            .collect();
        match not_ready.is_empty() {
            true => Ok(()),
            false => Err(format!(
                "some nodes are not ready: [{}]",
                not_ready.join(" ")
            )),
        }
    }

    async fn workloads(&self) -> Result<(), String> {
        match self.config.needs_cni() {
            true => Ok(()),
            false => self.api()?.healthy().await,
        }
    }
}

fn disk_size(node: &Node) -> Result<(), String> {
    if node.disk().installed.is_none() {
        return Err("no system disk".to_owned());
    }
    let actual = ephemeral_size(node);
    match actual >= EPHEMERAL {
        true => Ok(()),
        false => Err(format!(
            "ephemeral partition is too small, expected at least {} MiB, actual {} MiB",
            EPHEMERAL >> 20,
            actual >> 20
        )),
    }
}

fn memory(node: &Node) -> Result<(), String> {
    let plane = node.config().is_some_and(|c| c.is_control_plane());
    let least = if plane { MEMORY.0 } else { MEMORY.1 };
    let actual = node.hardware().memory_mib;
    match actual >= least {
        true => Ok(()),
        false => Err(format!(
            "does not meet memory requirements: expected at least {least} MiB, actual {actual} MiB"
        )),
    }
}

async fn tell(sender: &Sender, message: String) {
    // A client that has gone ends the check by itself.
    let _ = sender
        .send(Ok(HealthCheckProgress {
            metadata: None,
            message,
        }))
        .await;
}
