//! What can go wrong with a state.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{BackendError, LockInfo, encryption};

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
    #[error("{}", told(problems))]
    Unusable { problems: Vec<Problem> },
    /// It could not be sealed or opened.
    #[error("{}: {source}", path.display())]
    Encryption {
        path: PathBuf,
        source: encryption::Error,
    },
    #[error("writing the journal {}: {source}", path.display())]
    Journal {
        path: PathBuf,
        source: Arc<io::Error>,
    },
    #[error("another command is writing the journal {}", path.display())]
    JournalBusy { path: PathBuf },
    #[error("the journal {} is of a run that was cut off, and this command did not read the state that it belongs to: run `stead plan` on that state first", path.display())]
    JournalUnsettled { path: PathBuf },
    #[error("{location} has serial {serial}, but this folder has seen serial {seen} of the same state: an older copy was put in its place. Restore the newest one. If the older one is what you want, remove {} and run the command again", note.display())]
    OlderThanSeen {
        location: String,
        serial: u64,
        seen: u64,
        note: PathBuf,
    },
    #[error("the state is locked by another command")]
    Locked {
        location: String,
        holder: Option<Box<LockInfo>>,
        /// What the operating system or the service said.
        reason: String,
        /// It ends with the process that holds it, which is therefore alive.
        lives: bool,
    },
    #[error(
        "the lock of the state {location} is not ours any more: somebody has broken it, or it has run out"
    )]
    LockLost { location: String },
    #[error("{action} the state {location}: {source}")]
    Remote {
        action: &'static str,
        location: String,
        source: BackendError,
    },
    #[error("LocalState not locked")]
    OtherProcess,
    #[error(
        "the history does not reach from serial {from} back to {to} without a gap: the state was written in between by something that keeps no history"
    )]
    HistoryGap { from: u64, to: u64 },
    #[error("the state is written, but what this has changed is not in its history: {0}")]
    HistoryNotKept(Box<Error>),
    #[error(
        "the state is sealed, but its history is not, and holds what the state held before: {0}"
    )]
    HistoryNotSealed(Box<Error>),
    #[error("what lies beside the state of a run on another machine cannot be read: {0}")]
    CopyNotRead(Box<Error>),
    #[error("there was no state with serial {wanted}")]
    NoSuchSerial { wanted: u64 },
    #[error("starting threads for the remote state: {0}")]
    Threads(io::Error),
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

/// Why a file is no state, or not one that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub summary: &'static str,
    pub detail: String,
}

const UNSUPPORTED: &str = "Unsupported state file format";
const INVALID: &str = "Invalid state file format";

impl Problem {
    pub(crate) fn unsupported(detail: impl Into<String>) -> Problem {
        Problem {
            summary: UNSUPPORTED,
            detail: detail.into(),
        }
    }

    pub(crate) fn invalid(detail: impl Into<String>) -> Problem {
        Problem {
            summary: INVALID,
            detail: detail.into(),
        }
    }

    /// JSON, but not that of a state.
    pub(crate) fn structure(error: &serde_json::Error) -> Problem {
        Problem::invalid(format!(
            "The state file does not conform to the expected JSON data structure: {error}."
        ))
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Error {
        Error::Unusable {
            problems: vec![problem],
        }
    }
}

fn told(problems: &[Problem]) -> String {
    let each = |p: &Problem| format!("{}: {}", p.summary, p.detail);
    match problems {
        [one] => each(one),
        several => {
            let lines: Vec<String> = several.iter().map(|p| format!("- {}", each(p))).collect();
            format!("{} problems:\n\n{}", several.len(), lines.join("\n"))
        }
    }
}

impl Error {
    /// What a remote place said when it was asked to do something.
    pub(crate) fn remote(action: &'static str, location: String, source: BackendError) -> Error {
        match source {
            BackendError::Locked { holder, reason } => Error::Locked {
                location,
                holder,
                reason,
                lives: false,
            },
            BackendError::LockLost => Error::LockLost { location },
            source => Error::Remote {
                action,
                location,
                source,
            },
        }
    }

    pub(crate) fn sealed(path: &Path) -> impl FnOnce(encryption::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Encryption { path, source }
    }

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
