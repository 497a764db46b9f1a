//! What can go wrong with a state.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::LockInfo;

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{action} {}: {source}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{} is not a state file that stead can read: {reason}", path.display())]
    Malformed { path: PathBuf, reason: String },
    #[error("{} has state format version {version}; stead reads version 4 (write it once with Terraform 0.14 or later to upgrade it)", path.display())]
    Version { path: PathBuf, version: u64 },
    #[error("writing the journal {}: {source}", path.display())]
    Journal {
        path: PathBuf,
        source: Arc<io::Error>,
    },
    #[error("another command is writing the journal {}", path.display())]
    JournalBusy { path: PathBuf },
    #[error("the state is locked by another command")]
    Locked {
        path: PathBuf,
        holder: Option<Box<LockInfo>>,
    },
    #[error(
        "the state has lineage {theirs}, but this change was made for lineage {ours}: it is the state of something else"
    )]
    Lineage { ours: String, theirs: String },
    #[error(
        "the state on disk has serial {theirs}, newer than the {ours} that this change was made from"
    )]
    Stale { ours: u64, theirs: u64 },
    #[error(
        "cannot import state with lineage {ours:?} over unrelated state with lineage {theirs:?}"
    )]
    ImportUnrelated { ours: String, theirs: String },
    #[error("cannot import state with serial {ours} over newer state with serial {theirs}")]
    ImportOlder { ours: u64, theirs: u64 },
    #[error(
        "cannot overwrite existing state with serial {0} with a different state that has the same serial"
    )]
    ImportSameSerial(u64),
}

impl Error {
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Error {
        let path = path.into();
        move |source| Error::Io {
            action,
            path,
            source,
        }
    }
}
