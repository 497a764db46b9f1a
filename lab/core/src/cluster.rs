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

/// A static pod of a node, as its kubelet mirrors it to the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticPod {
    /// `kube-apiserver`.
    pub name: String,
    pub image: String,
    pub annotations: std::collections::BTreeMap<String, String>,
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

    /// Applies manifests (many YAML documents in one text) as the distribution's own addons, such as inline manifests. The manager
    /// owns their fields.
    async fn apply_bootstrap_manifests(&self, manager: &str, yaml: &str) -> Result<(), String>;

    /// A kubelet reports; idempotent.
    async fn node_joined(&self, node: NodeSpec);

    /// The kubelet stopped reporting: the node becomes NotReady.
    async fn node_stopped(&self, name: &str);

    async fn node_removed(&self, name: &str);

    /// Whether every node is Ready and the system workloads are, for health checks.
    async fn healthy(&self) -> Result<(), String>;

    /// `(name, ready)` of every node object.
    async fn nodes(&self) -> Vec<(String, bool)>;

    /// The version that the API server says it is; control planes that are upgraded bring it.
    async fn set_version(&self, _version: &str) {}

    /// Exactly these static pods run on a node, in `kube-system`; idempotent.
    async fn static_pods(&self, _node: &str, _pods: &[StaticPod]) {}

    /// Whether the store takes writes. Without etcd's quorum it takes none.
    fn set_writable(&self, _writable: bool) {}

    /// Everything in the store: etcd's keys with their values.
    async fn entries(&self) -> Vec<(String, Vec<u8>)> {
        Vec::new()
    }

    /// Puts these entries in the place of all that is in the store; an error says why they are none of a cluster's.
    async fn replace_entries(&self, _entries: Vec<(String, Vec<u8>)>) -> Result<(), String> {
        Err("this cluster's store cannot be replaced".to_owned())
    }
}
