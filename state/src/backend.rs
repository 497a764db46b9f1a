//! Where states lie when not in a local file: what a backend does for the rest of this crate.
//!
//! The backends themselves are in `stead-backends` (`state/backends`), so that this crate stays free of network code.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::LockInfo;

/// A place for the states of a configuration's workspaces.
#[async_trait]
pub trait Backend: fmt::Debug + Send + Sync {
    /// The names of the workspaces that have a state there, `default` first whether it has one or not, the others sorted.
    ///
    /// # Errors
    /// When the place cannot be asked, or has room for one state only ([`BackendError::OneWorkspace`]).
    async fn workspaces(&self) -> Result<Vec<String>, BackendError>;

    /// Removes the state of a workspace and what lies beside it. `force` as in `workspace delete -force`.
    ///
    /// # Errors
    /// When it is not removed; `default` never is.
    async fn delete(&self, workspace: &str, force: bool) -> Result<(), BackendError>;

    /// The state of a workspace, which need not exist yet.
    ///
    /// # Errors
    /// [`BackendError::OneWorkspace`] for another workspace than `default` where there is room for one only.
    fn store(&self, workspace: &str) -> Result<Arc<dyn Store>, BackendError>;
}

/// One workspace's state at a remote place. Every request is retried by the implementation where that is safe, and has a deadline.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync {
    /// Where it lies, for people and for the `Path` of lock notes, in the reference's words (`bucket/key`, `container/blob`, …).
    fn location(&self) -> String;

    /// What no two states share, wherever they lie: the location with the service that it is at. Tells nothing secret, and stays the same when
    /// credentials change.
    fn identity(&self) -> String {
        self.location()
    }

    /// The whole state, or `None` when there is none yet (or nothing in it).
    async fn read(&self) -> Result<Option<Vec<u8>>, BackendError>;

    /// Replaces the whole state.
    async fn write(&self, state: &[u8]) -> Result<(), BackendError>;

    /// Takes the lock in the reference's format, or says who has it; gives what [`Store::unlock`] wants to see. Does not wait.
    ///
    /// # Errors
    /// [`BackendError::Locked`] when somebody has it.
    async fn lock(&self, info: &LockInfo) -> Result<String, BackendError>;

    /// Gives the lock back. Also what `force-unlock ID` does, so `id` may be any text.
    ///
    /// # Errors
    /// When the lock is not `id`'s ([`BackendError::Locked`] with who has it, or [`BackendError::LockLost`] when nobody has).
    async fn unlock(&self, id: &str) -> Result<(), BackendError>;

    /// Asks whether the lock `id` is still held, renewing it where it would run out.
    ///
    /// # Errors
    /// [`BackendError::LockLost`] when nobody, [`BackendError::Locked`] when somebody else has it.
    async fn holds(&self, id: &str) -> Result<(), BackendError>;

    /// Whether small files of ours can lie beside the state, where the reference's tools do not see them.
    fn has_room_beside(&self) -> bool {
        true
    }

    /// A file beside the state. `name` is of `[a-z0-9.-]`.
    async fn read_beside(&self, name: &str) -> Result<Option<Vec<u8>>, BackendError>;

    /// Puts a file beside the state, or replaces it.
    async fn write_beside(&self, name: &str, content: &[u8]) -> Result<(), BackendError>;

    /// Removes a file beside the state; one that is not there is removed already.
    async fn remove_beside(&self, name: &str) -> Result<(), BackendError>;

    /// The names of the files beside the state, sorted.
    async fn list_beside(&self) -> Result<Vec<String>, BackendError>;
}

/// What a backend says. No text holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// `reason` is what the service said (`ConditionalRequestConflict`, HTTP 423, …).
    #[error("{reason}")]
    Locked {
        holder: Option<Box<LockInfo>>,
        reason: String,
    },
    #[error("the lock is not held any more")]
    LockLost,
    #[error("this backend has one workspace only")]
    OneWorkspace,
    /// What was asked (method and place), what the service said, and what to do where that is known.
    #[error("{}", told(asked, said, hint.as_deref()))]
    Failed {
        asked: String,
        said: String,
        hint: Option<String>,
    },
}

/// In sentences, without the last full stop: whoever shows it ends it.
fn told(asked: &str, said: &str, hint: Option<&str>) -> String {
    let said = said.trim().trim_end_matches('.');
    match hint {
        Some(hint) => format!("{asked}: {said}. {}", hint.trim_end_matches('.')),
        None => format!("{asked}: {said}"),
    }
}

impl BackendError {
    pub fn failed(asked: impl Into<String>, said: impl Into<String>) -> BackendError {
        BackendError::Failed {
            asked: asked.into(),
            said: said.into(),
            hint: None,
        }
    }

    #[must_use]
    pub fn hint(self, text: impl Into<String>) -> BackendError {
        match self {
            BackendError::Failed { asked, said, .. } => BackendError::Failed {
                asked,
                said,
                hint: Some(text.into()),
            },
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_reads_as_sentences() {
        let error = BackendError::failed("read x (GET /x)", "403 Denied.");
        assert_eq!(error.to_string(), "read x (GET /x): 403 Denied");
        assert_eq!(
            error.hint("Check the key.").to_string(),
            "read x (GET /x): 403 Denied. Check the key"
        );
    }
}
