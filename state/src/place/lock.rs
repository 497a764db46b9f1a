//! The lock of a local state: an OS lock on the file itself, as Terraform takes it, and a note beside it that says who holds it.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Who holds a lock; the fields are Terraform's. Of a lock that somebody else took any may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct LockInfo {
    #[serde(rename = "ID")]
    pub id: String,
    /// `OperationTypeApply`, …
    pub operation: String,
    pub info: String,
    /// `user@host`.
    pub who: String,
    pub version: String,
    /// RFC 3339.
    pub created: String,
    pub path: String,
}

/// A held lock; dropping it releases it.
#[derive(Debug)]
pub(crate) struct StateLock {
    /// Every file that carries our lock: the state as we found it, and each one renamed over it since. The locks belong to
    /// the open files (OFD locks), so reading the state elsewhere in this process does not lose them.
    files: Vec<File>,
    note: PathBuf,
    /// The state file did not exist before we locked it, and nothing has been written to it.
    placeholder: Option<PathBuf>,
}

const F_WRLCK: i16 = nix::libc::F_WRLCK as i16;
const F_UNLCK: i16 = nix::libc::F_UNLCK as i16;

fn write_lock() -> nix::libc::flock {
    nix::libc::flock {
        l_type: F_WRLCK,
        l_whence: 0,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

/// Locks a whole file for this open file alone.
pub(crate) fn lock_file(file: &File) -> std::io::Result<()> {
    fcntl(file.as_fd(), FcntlArg::F_OFD_SETLK(&write_lock()))?;
    Ok(())
}

/// Whether somebody holds a lock on the file at `path`.
pub(crate) fn is_locked(path: &Path) -> std::io::Result<bool> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(e),
    };
    let mut found = write_lock();
    fcntl(file.as_fd(), FcntlArg::F_OFD_GETLK(&mut found))?;
    Ok(found.l_type != F_UNLCK)
}

impl StateLock {
    /// Locks the state at `path`, or says who has it.
    pub(crate) fn acquire(path: &Path, info: &LockInfo) -> Result<StateLock> {
        let note = note_path(path);
        let existed = path.exists();
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(Error::io("making the folder", folder))?;
        }
        let file = loop {
            let file = open_private(path).map_err(Error::io("opening for the lock", path))?;
            match fcntl(file.as_fd(), FcntlArg::F_OFD_SETLK(&write_lock())) {
                Ok(_) => {}
                Err(Errno::EAGAIN | Errno::EACCES) => {
                    let holder = std::fs::read(&note)
                        .ok()
                        .and_then(|b| serde_json::from_slice(&b).ok());
                    return Err(Error::Locked {
                        location: path.display().to_string(),
                        holder,
                        reason: "resource temporarily unavailable".into(),
                        lives: true,
                    });
                }
                Err(errno) => return Err(Error::io("locking", path)(errno.into())),
            }
            // The one who held the lock may have renamed a new file over this one between our opening and locking it:
            // then our lock is on a file that nobody will see again.
            if is_at(&file, path).map_err(Error::io("looking at", path))? {
                break file;
            }
        };
        let text = serde_json::to_vec(info).map_err(|e| Error::Malformed {
            path: note.clone(),
            reason: e.to_string(),
        })?;
        std::fs::write(&note, text).map_err(Error::io("writing", &note))?;
        Ok(StateLock {
            files: vec![file],
            note,
            placeholder: (!existed).then(|| path.to_owned()),
        })
    }

    /// Puts the lock on a file that is about to be renamed over the state, so that there is no moment without it.
    pub(crate) fn extend(&mut self, file: File) -> std::io::Result<()> {
        fcntl(file.as_fd(), FcntlArg::F_OFD_SETLK(&write_lock())).map_err(std::io::Error::from)?;
        self.files.push(file);
        // Only the newest file still has the state's name; older ones are unreachable, bar the first, which somebody may
        // have opened just before the rename and be waiting for.
        if self.files.len() > 2 {
            self.files.remove(1);
        }
        self.placeholder = None;
        Ok(())
    }
}

impl Drop for StateLock {
    fn drop(&mut self) {
        if let Some(path) = &self.placeholder {
            let _ = std::fs::remove_file(path);
        }
        // Nothing better can be done about a note that cannot be removed: the lock itself goes with the files.
        let _ = std::fs::remove_file(&self.note);
    }
}

/// `.terraform.tfstate.lock.info` beside `terraform.tfstate`.
fn note_path(state: &Path) -> PathBuf {
    let name = state.file_name().unwrap_or_default().to_string_lossy();
    state.with_file_name(format!(".{name}.lock.info"))
}

/// Whether a path still leads to this open file.
fn is_at(file: &File, path: &Path) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let ours = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(there) => Ok((ours.dev(), ours.ino()) == (there.dev(), there.ino())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

fn open_private(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}
