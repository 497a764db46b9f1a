//! The backend `kubernetes`: a workspace's state lies gzipped in Secrets, its lock is a Lease.
//!
//! | object | name | what is in it |
//! |---|---|---|
//! | Secret | `tfstate-WORKSPACE-SUFFIX` | up to 1 MiB of the gzipped state, in `data.tfstate` |
//! | Secret | `tfstate-WORKSPACE-SUFFIX-part-N` | what follows, as Terraform 1.11 splits it; OpenTofu knows the first only |
//! | Lease | `lock-tfstate-WORKSPACE-SUFFIX` | `spec.holderIdentity` is the lock's id; the annotation `app.terraform.io/lock-info` says who has it |
//! | Secret | `stead-HASH`, `stead-HASH-N` | files beside the state; no label of theirs is one that the other tools look for |

mod lease;
mod names;
mod secrets;
mod settings;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use stead_sdk::kube::{Cluster, ObjectRef};
use stead_sdk::value::{Diagnostics, Value};
use stead_sdk::{Block as _, Context, Dialer};
use stead_state::{Backend, BackendError, LockInfo, Store};

use crate::Kind;
use crate::sending::failed;
use names::Names;

pub(crate) const KIND: Kind = Kind {
    name: "kubernetes",
    schema: settings::Settings::block,
    open,
};

/// How long a cluster that is away is waited for by what only looks, and by what must not be lost.
const LOOK: Duration = Duration::from_secs(15);
const CHANGE: Duration = Duration::from_secs(60);
/// For a whole operation, however many requests it takes.
const DEADLINE: Duration = Duration::from_secs(300);

fn open(config: &Value, dialer: &Dialer) -> Result<Arc<dyn Backend>, Diagnostics> {
    let place = settings::place(config, dialer)?;
    Ok(Arc::new(Kubernetes(Arc::new(place))))
}

/// A namespace of a cluster, and what the objects there are called.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) cluster: Cluster,
    pub(crate) namespace: String,
    pub(crate) suffix: String,
    /// The user's labels for Secrets and Lease; they win over the tool's own.
    pub(crate) labels: Vec<(String, String)>,
}

impl Place {
    fn secret(&self, name: &str) -> ObjectRef {
        ObjectRef::new("v1", "Secret", Some(&self.namespace), name)
    }

    fn lease(&self, name: &str) -> ObjectRef {
        ObjectRef::new(
            "coordination.k8s.io/v1",
            "Lease",
            Some(&self.namespace),
            name,
        )
    }

    fn looking(&self) -> (Cluster, Context) {
        (self.cluster.patience(LOOK), within())
    }

    fn changing(&self) -> (Cluster, Context) {
        (self.cluster.patience(CHANGE), within())
    }
}

fn within() -> Context {
    Context::detached().with_deadline(Instant::now() + DEADLINE)
}

#[derive(Debug)]
struct Kubernetes(Arc<Place>);

impl Kubernetes {
    fn workspace(&self, workspace: &str) -> Result<Workspace, BackendError> {
        Ok(Workspace {
            names: Names::new(workspace, &self.0)?,
            place: Arc::clone(&self.0),
        })
    }
}

#[async_trait]
impl Backend for Kubernetes {
    async fn workspaces(&self) -> Result<Vec<String>, BackendError> {
        let (cluster, cx) = self.0.looking();
        let namespace = Some(self.0.namespace.as_str());
        let found = cluster
            .list_labelled("v1", "Secret", namespace, "tfstate=true", &cx)
            .await
            .map_err(failed)?;
        Ok(names::workspaces(&found, &self.0.suffix))
    }

    async fn delete(&self, workspace: &str, _force: bool) -> Result<(), BackendError> {
        if matches!(workspace, "" | "default") {
            return Err(BackendError::failed(
                "delete a workspace",
                "the workspace \"default\" cannot be deleted",
            ));
        }
        let workspace = self.workspace(workspace)?;
        workspace.remove_all_beside().await?;
        workspace.remove_state().await?;
        workspace.remove_lease().await
    }

    fn store(&self, workspace: &str) -> Result<Arc<dyn Store>, BackendError> {
        Ok(Arc::new(self.workspace(workspace)?))
    }
}

/// One workspace's objects.
#[derive(Debug)]
struct Workspace {
    place: Arc<Place>,
    names: Names,
}

#[async_trait]
impl Store for Workspace {
    fn location(&self) -> String {
        format!("{}/{}", self.place.namespace, self.names.secret)
    }

    fn identity(&self) -> String {
        format!("{}/{}", self.place.cluster.named(), self.location())
    }

    async fn read(&self) -> Result<Option<Vec<u8>>, BackendError> {
        self.read_state().await
    }

    async fn write(&self, state: &[u8]) -> Result<(), BackendError> {
        self.write_state(state).await
    }

    async fn lock(&self, info: &LockInfo) -> Result<String, BackendError> {
        self.take(info).await
    }

    async fn unlock(&self, id: &str) -> Result<(), BackendError> {
        self.release(id).await
    }

    async fn holds(&self, id: &str) -> Result<(), BackendError> {
        self.is_holder(id).await
    }

    async fn read_beside(&self, name: &str) -> Result<Option<Vec<u8>>, BackendError> {
        self.read_file(name).await
    }

    async fn write_beside(&self, name: &str, content: &[u8]) -> Result<(), BackendError> {
        self.write_file(name, content).await
    }

    async fn remove_beside(&self, name: &str) -> Result<(), BackendError> {
        self.remove_file(name).await
    }

    async fn list_beside(&self) -> Result<Vec<String>, BackendError> {
        self.list_files().await
    }
}
