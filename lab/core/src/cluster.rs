//! Kubernetes clusters: what an operating system (Talos, MicroK8s) asks the Kubernetes simulation to run for it.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// The certificates and identity with which a cluster is born.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClusterSpec {
    /// Stable and unique in the lab, such as Talos' `cluster.id` or `microk8s/HOST`.
    pub id: String,
    pub name: String,
    /// PEM of the CA that signs client certificates and the API server's own.
    pub ca_certificate_pem: String,
    pub ca_key_pem: String,
    /// `v1.34.1`.
    pub kubernetes_version: String,
    /// Names and addresses in the API server's certificate.
    pub certificate_names: Vec<String>,
    /// Whether someone installs a CNI; nodes stay NotReady until one runs. `false`: the cluster brings its own.
    pub needs_cni: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSpec {
    pub name: String,
    pub address: String,
    pub control_plane: bool,
    pub kubelet_version: String,
    pub os_image: String,
    pub labels: std::collections::BTreeMap<String, String>,
    pub cpu: u32,
    pub memory_mib: u64,
}

/// Runs clusters; implemented by the lab's Kubernetes.
#[async_trait]
pub trait ClusterHost: Send + Sync {
    /// Starts the cluster, or finds it as it was when `spec.id` is known.
    async fn start(&self, spec: ClusterSpec) -> std::io::Result<Arc<dyn Cluster>>;

    /// Wipes a cluster's data (its last etcd member is gone).
    async fn destroy(&self, id: &str);
}

/// A running cluster.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// Where its API server's TLS socket listens on loopback; route virtual addresses (VIP, nodes, :6443) there.
    fn api_address(&self) -> SocketAddr;

    /// Applies manifests (many YAML documents in one text) as the distribution's own addons, such as inline manifests.
    async fn apply_bootstrap_manifests(&self, yaml: &str) -> Result<(), String>;

    /// A kubelet reports; idempotent.
    async fn node_joined(&self, node: NodeSpec);

    /// The kubelet stopped reporting: the node becomes NotReady.
    async fn node_stopped(&self, name: &str);

    async fn node_removed(&self, name: &str);

    /// Whether every node is Ready and the system workloads are, for health checks.
    async fn healthy(&self) -> Result<(), String>;

    /// `(name, ready)` of every node object.
    async fn nodes(&self) -> Vec<(String, bool)>;
}
