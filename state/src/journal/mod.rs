//! The journal: what an apply is about to do, on disk before it is done, and what came of it.
//!
//! It lies beside the state while an apply runs and is removed when the state is whole again. Each operation costs a few lines in
//! it, whatever the size of the state. After a crash the next command finds it and settles it: outcomes are folded
//! into the state; operations that were begun and have no outcome are *in doubt*.
//!
//! ```text
//! begin       which state this is about (lineage, serial, digest), which command, who, when
//! intent      operation n is about to be sent: what, to which object, what it should become
//! identified  operation n: how the object that it makes can be found again
//! changed     an instance's objects are now these (and with that, operation n is over)
//! checkpoint  the whole state is about to be written, with this serial and digest
//! ```
//!
//! What became of an object that exists in the state alone can wait: nothing outside knows of it before another operation is noted,
//! and its record is written then, or a second later, or not at all when the whole state is written first.
//!
//! Each record is a line of JSON behind its checksum. A last line that is not whole was being written when the process or the
//! machine stopped: what it would have said was not promised to anyone.
//!
//! Where the state is sealed, so is every line but the first, with the key that the state is sealed with and bound to its place: it opens
//! in this journal and on this line alone. The first line says how, and which state it is about; that is no secret.

pub(crate) mod mirror;
mod record;
mod settle;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};

pub(crate) use mirror::Mirror;
pub(crate) use record::Header;
pub use record::{Doubt, Intent, Run};
pub(crate) use settle::Unfinished;
pub use settle::{Disputed, IN_DOUBT, Settlement};
pub(crate) use writer::GROUP;
pub use writer::{Journal, JournalHandle, Operation};

/// `terraform.tfstate.journal` beside `terraform.tfstate`.
pub fn journal_path(state: &Path) -> PathBuf {
    let mut path = state.as_os_str().to_owned();
    path.push(".journal");
    path.into()
}

/// What identifies the content of a state file.
pub(crate) fn digest(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    use std::fmt::Write as _;
    sha2::Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}
