//! Why something could not be fetched.

use std::path::PathBuf;

/// Never holds passwords: addresses are shown without them.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The registry knows no such module.
    #[error("the registry has no such module")]
    NoSuchModule,
    #[error("{0}")]
    Request(#[from] stead_sdk::Error),
    #[error("{asked}: the server answered {status}")]
    Status { asked: String, status: String },
    #[error("{asked}: {why}")]
    Answer { asked: String, why: String },
    #[error("{path}: {error}", path = path.display())]
    Disk {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error("the program \"git\" could not be run: {0}")]
    NoGit(std::io::Error),
    #[error("`git {command}` failed: {said}")]
    Git { command: String, said: String },
    #[error("the archive can't be unpacked: {0}")]
    Archive(String),
    #[error("the checksum does not match: {expected} was expected, {found} was found")]
    Checksum { expected: String, found: String },
    #[error("{0}")]
    Address(String),
    #[error("fetching by {0} is not supported yet")]
    NotSupported(String),
}

impl FetchError {
    pub(crate) fn disk(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> FetchError {
        let path = path.into();
        move |error| FetchError::Disk { path, error }
    }

    /// Whether it may work the next time.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            FetchError::Request(_) => true,
            FetchError::Status { status, .. } => {
                status.starts_with('5') || status.starts_with("429")
            }
            _ => false,
        }
    }
}
