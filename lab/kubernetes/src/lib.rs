//! Simulated Kubernetes clusters: a REST API that others' clients work against, the controllers that make objects come
//! true, and a stand-in for Argo CD that syncs from local Git repositories.

mod access;
mod admission;
mod api;
mod argocd;
mod bootstrap;
mod cluster;
mod controllers;
mod error;
mod object;
mod ops;
mod ownership;
mod patch;
mod resources;
mod schema;
mod selector;
mod state;
mod strategic;
mod yaml;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::{Value, json};
use stead_lab_core::Lab;
use stead_lab_core::cluster::{Cluster, ClusterHost, ClusterSpec};

use argocd::Repositories;
pub use argocd::RepositoryMapping;
use cluster::SimulatedCluster;

/// Runs the lab's clusters.
pub struct Kubernetes {
    lab: Lab,
    clusters: Mutex<HashMap<String, Arc<SimulatedCluster>>>,
    repositories: Repositories,
}

/// Opens the Kubernetes simulation. Clusters start when an operating system asks for them.
pub async fn start(lab: &Lab) -> io::Result<Arc<Kubernetes>> {
    Ok(Arc::new(Kubernetes {
        lab: lab.clone(),
        clusters: Mutex::new(HashMap::new()),
        repositories: Repositories::open(&lab.store)?,
    }))
}

impl Kubernetes {
    /// What runs: per cluster its namespaces and the number of objects by kind.
    pub fn inventory(&self) -> Value {
        let clusters = self.lock();
        let mut all: Vec<Value> = clusters.values().map(|c| c.core.inventory()).collect();
        all.sort_by(|a, b| object::text(a, &["id"]).cmp(object::text(b, &["id"])));
        json!({"clusters": all})
    }

    /// Lets a local folder stand for repositories, in every cluster; kept in the lab's store (document `git`).
    pub fn map_repository(&self, mapping: RepositoryMapping) -> io::Result<()> {
        self.repositories.map(mapping)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<SimulatedCluster>>> {
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ClusterHost for Kubernetes {
    async fn start(&self, spec: ClusterSpec) -> io::Result<Arc<dyn Cluster>> {
        if let Some(running) = self.lock().get(&spec.id) {
            return Ok(running.clone());
        }
        let cluster = SimulatedCluster::start(&self.lab, &spec, self.repositories.clone()).await?;
        self.lock().insert(spec.id, cluster.clone());
        Ok(cluster)
    }

    async fn destroy(&self, id: &str) {
        if let Some(cluster) = self.lock().remove(id) {
            cluster.stop();
        }
        let document = self
            .lab
            .store
            .root()
            .join(format!("{}.json", cluster::document_name(id)));
        match std::fs::remove_file(document) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::error!(%error, id, "cannot remove the cluster's data"),
        }
    }
}
