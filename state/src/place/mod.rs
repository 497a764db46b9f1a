//! Where a state's bytes lie, and who may write them: a local file, or a remote place. Knows nothing of what the bytes mean.

mod local;
pub(crate) mod lock;
mod remote;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::{LockInfo, Result, Store};

pub(crate) use local::LocalPlace;
pub use remote::wait_for;
pub(crate) use remote::{LockWatch, RemotePlace, runtime};

/// One state's place. Dropping it gives back a lock that it holds.
pub(crate) trait Place: fmt::Debug + Send {
    /// For messages, and for the `Path` of a lock's note.
    fn location(&self) -> String;

    /// The whole content; `None` when there is none, or nothing in it.
    fn read(&mut self) -> Result<Option<Vec<u8>>>;

    /// Replaces the content: whoever reads finds the old one or the new one.
    fn write(&mut self, content: &[u8]) -> Result<()>;

    /// Takes the lock, or says who has it.
    fn lock(&mut self, info: &LockInfo) -> Result<()>;

    fn holds_lock(&self) -> bool;

    /// Asks whether the lock that we hold is still ours, where it can be lost.
    fn make_sure_of_lock(&self) -> Result<()> {
        Ok(())
    }

    /// Gives the lock back; nothing happens when it is not held.
    fn unlock(&mut self) -> Result<()>;

    /// Gives back a lock that another process took.
    fn force_unlock(&mut self, id: &str) -> Result<()>;

    /// The file of this machine that it is.
    fn file(&self) -> Option<&Path> {
        None
    }

    /// What says whether a lock that was taken is still ours, where it can be lost.
    fn lock_watch(&self) -> Option<LockWatch> {
        None
    }

    /// The remote place itself, when it is one with room for files of ours beside the state.
    fn beside(&self) -> Option<Arc<dyn Store>> {
        None
    }
}
