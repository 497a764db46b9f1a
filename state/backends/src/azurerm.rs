//! The backend `azurerm`: a workspace's state is a block blob, its lock is an infinite lease on that blob.
//!
//! | blob | what it is |
//! |---|---|
//! | `KEY` | the state of the workspace `default` |
//! | `KEYenv:WORKSPACE` | the state of another one |
//! | `KEY.stead/WORKSPACE/NAME` | a file beside the state; no tool looks for workspaces there |
//!
//! The lease's id is the lock's id; who has it stands in the blob's metadata `terraformlockid`, as base64 of the note's JSON.

mod account;
mod lease;
mod settings;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use stead_sdk::value::{Diagnostics, Value};
use stead_sdk::{Block as _, Dialer};
use stead_state::{Backend, BackendError, LockInfo, Store};

use crate::Kind;
use crate::sending::OrFailed as _;
use account::Account;

pub(crate) const KIND: Kind = Kind {
    name: "azurerm",
    schema: settings::Settings::block,
    open,
};

const STATE_TYPE: &str = "application/json";
const FILE_TYPE: &str = "application/octet-stream";

fn open(config: &Value, dialer: &Dialer) -> Result<Arc<dyn Backend>, Diagnostics> {
    let plan = settings::plan(config, dialer)?;
    Ok(Arc::new(Azurerm(Arc::new(Account::new(
        plan,
        dialer.clone(),
    )))))
}

#[derive(Debug)]
struct Azurerm(Arc<Account>);

impl Azurerm {
    fn workspace(&self, workspace: &str) -> Workspace {
        let key = &self.0.plan.key;
        Workspace {
            blob: match workspace {
                "default" => key.clone(),
                other => format!("{key}env:{other}"),
            },
            beside: format!("{key}.stead/{workspace}/"),
            account: Arc::clone(&self.0),
        }
    }
}

#[async_trait]
impl Backend for Azurerm {
    async fn workspaces(&self) -> Result<Vec<String>, BackendError> {
        let prefix = format!("{}env:", self.0.plan.key);
        let blobs = self.0.blobs().await.or_failed()?;
        let found = blobs.list(&prefix).await.or_failed()?;
        let names: BTreeSet<&str> = found
            .iter()
            .filter_map(|name| name.strip_prefix(&prefix))
            // As for the reference, states are not in folders.
            .filter(|name| !name.contains('/') && !matches!(*name, "" | "default"))
            .collect();
        let names = std::iter::once("default").chain(names);
        Ok(names.map(str::to_owned).collect())
    }

    async fn delete(&self, workspace: &str, _force: bool) -> Result<(), BackendError> {
        if matches!(workspace, "" | "default") {
            return Err(BackendError::failed(
                "delete a workspace",
                "the workspace \"default\" cannot be deleted",
            ));
        }
        let workspace = self.workspace(workspace);
        let blobs = self.0.blobs().await.or_failed()?;
        for name in workspace.list_beside().await? {
            blobs
                .delete(&workspace.file(&name), None)
                .await
                .or_failed()?;
        }
        let lease = self.0.lease_of(&workspace.blob);
        match blobs.delete(&workspace.blob, lease.as_deref()).await {
            Err(error) => Err(workspace.explain(error).await),
            Ok(()) => {
                self.0.forget_lease(&workspace.blob);
                Ok(())
            }
        }
    }

    fn store(&self, workspace: &str) -> Result<Arc<dyn Store>, BackendError> {
        Ok(Arc::new(self.workspace(workspace)))
    }
}

/// One workspace's blobs.
#[derive(Debug)]
struct Workspace {
    account: Arc<Account>,
    blob: String,
    /// What the names of the files beside the state begin with.
    beside: String,
}

impl Workspace {
    fn file(&self, name: &str) -> String {
        format!("{}{name}", self.beside)
    }
}

#[async_trait]
impl Store for Workspace {
    fn location(&self) -> String {
        format!("{}/{}", self.account.plan.container.container, self.blob)
    }

    /// Names of accounts are given once in the world.
    fn identity(&self) -> String {
        format!(
            "{}/{}",
            self.account.plan.container.account,
            self.location()
        )
    }

    async fn read(&self) -> Result<Option<Vec<u8>>, BackendError> {
        let blobs = self.account.blobs().await.or_failed()?;
        let found = blobs.read(&self.blob).await.or_failed()?;
        // The blob that a lock is taken on before there is a state is empty.
        Ok(found.filter(|state| !state.is_empty()))
    }

    async fn write(&self, state: &[u8]) -> Result<(), BackendError> {
        let blobs = self.account.blobs().await.or_failed()?;
        let lease = self.account.lease_of(&self.blob);
        let lease = lease.as_deref();
        let written = async {
            if self.account.plan.snapshot {
                blobs.snapshot(&self.blob, lease).await?;
            }
            // Putting a blob takes its metadata away, and the note of the lock is there.
            let found = blobs.properties(&self.blob, lease).await?;
            let metadata = found.map(|f| f.metadata).unwrap_or_default();
            blobs
                .write(&self.blob, state, STATE_TYPE, metadata, lease)
                .await
        };
        match written.await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.explain(error).await),
        }
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
        let blobs = self.account.blobs().await.or_failed()?;
        blobs.read(&self.file(name)).await.or_failed()
    }

    async fn write_beside(&self, name: &str, content: &[u8]) -> Result<(), BackendError> {
        let (blobs, file) = (self.account.blobs().await.or_failed()?, self.file(name));
        let none = Default::default();
        blobs
            .write(&file, content, FILE_TYPE, none, None)
            .await
            .or_failed()
    }

    async fn remove_beside(&self, name: &str) -> Result<(), BackendError> {
        let blobs = self.account.blobs().await.or_failed()?;
        blobs.delete(&self.file(name), None).await.or_failed()
    }

    async fn list_beside(&self) -> Result<Vec<String>, BackendError> {
        let blobs = self.account.blobs().await.or_failed()?;
        let found = blobs.list(&self.beside).await.or_failed()?;
        let names = found.iter().filter_map(|n| n.strip_prefix(&self.beside));
        let mut names: Vec<String> = names
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        names.sort();
        Ok(names)
    }
}
