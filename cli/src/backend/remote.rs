//! A backend at a remote place.

use std::path::PathBuf;
use std::sync::Arc;

use sha2::Digest as _;
use stead_backends::Kind;
use stead_sdk::Dialer;
use stead_state::{BackendError, StateManager, Store, wait_for};
use stead_value::{Diagnostic, Diagnostics, Value};

use super::{journals, run, tell};
use crate::error::{CommandError, Result};

#[derive(Debug)]
pub(crate) struct RemoteBackend {
    kind: &'static str,
    backend: Arc<dyn stead_state::Backend>,
}

impl RemoteBackend {
    pub(super) fn open(kind: &Kind, config: &Value) -> Result<RemoteBackend, Diagnostics> {
        let dialer = Dialer::from_env()
            .map_err(|e| Diagnostic::error("Backend can't be reached", format!("{e}.")))?;
        Ok(RemoteBackend {
            kind: kind.name,
            backend: (kind.open)(config, &dialer)?,
        })
    }

    pub(super) fn state(&self, workspace: &str) -> Result<StateManager> {
        let store = self
            .backend
            .store(workspace)
            .map_err(|e| self.failure("Error loading state", e))?;
        let journal = self.journal_path(&*store);
        Ok(StateManager::remote(store, journal, tell).remembering(run()))
    }

    /// A name that no two states share, and that says whose it is.
    fn journal_path(&self, store: &dyn Store) -> PathBuf {
        let digest = sha2::Sha256::digest(store.identity());
        let short: String = digest.iter().take(6).map(|b| format!("{b:02x}")).collect();
        journals().join(format!("{}-{short}.tfstate.journal", self.kind))
    }

    /// `None` where there are none but the default one.
    pub(super) fn workspaces(&self) -> Result<Option<Vec<String>>> {
        let backend = Arc::clone(&self.backend);
        match wait_for(async move { backend.workspaces().await })? {
            Ok(names) => Ok(Some(names)),
            Err(BackendError::OneWorkspace) => Ok(None),
            Err(e) => Err(self.failure("Error listing workspaces", e)),
        }
    }

    pub(super) fn delete(&self, workspace: &str, force: bool) -> Result<()> {
        let backend = Arc::clone(&self.backend);
        let workspace = workspace.to_owned();
        wait_for(async move { backend.delete(&workspace, force).await })?
            .map_err(|e| self.failure("Error deleting workspace", e))
    }

    fn failure(&self, summary: &str, error: BackendError) -> CommandError {
        CommandError::new(summary, format!("The backend \"{}\": {error}.", self.kind))
    }
}
