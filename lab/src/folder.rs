//! A lab's folder: who runs it, how a second process finds the one that runs, and how it is emptied.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The lab's root certificate.
pub(crate) const BUNDLE: &str = "ca.pem";
/// Locked while a lab runs; the operating system releases it even when the process is killed.
const LOCK: &str = "lock";
const RUNNING: &str = "running.json";
const ENVIRONMENT: &str = "environment.json";
/// What tells a lab's folder from anything else that must not be emptied.
const MARK: &str = "authority.json";

#[derive(Serialize, Deserialize)]
struct Running {
    pid: u32,
    gateway: SocketAddr,
}

/// This process runs the lab of a folder.
pub(crate) struct Claim {
    dir: PathBuf,
    /// Holds the lock as long as it is open.
    lock: File,
}

impl Claim {
    pub(crate) fn take(dir: &Path) -> io::Result<Claim> {
        std::fs::create_dir_all(dir)?;
        match lock(dir)? {
            Some(lock) => Ok(Claim {
                dir: dir.to_owned(),
                lock,
            }),
            None => Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                format!("a lab already runs in {}{}", dir.display(), runner(dir)),
            )),
        }
    }

    /// Tells other processes where the gateway is.
    pub(crate) fn announce(&self, gateway: SocketAddr) -> io::Result<()> {
        write(
            &self.dir.join(RUNNING),
            &serde_json::to_vec(&Running {
                pid: std::process::id(),
                gateway,
            })?,
        )
    }

    pub(crate) fn release(self) -> io::Result<()> {
        remove(&self.dir.join(RUNNING))?;
        remove(&self.dir.join(ENVIRONMENT))?;
        self.lock.unlock()
    }
}

fn runner(dir: &Path) -> String {
    match running(dir) {
        Ok(Some(running)) => format!(" (process {})", running.pid),
        _ => String::new(),
    }
}

/// The lock of a folder, or `None` when another process has it.
fn lock(dir: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(dir.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Where the certificates for clients lie, as an absolute path.
pub(crate) fn bundle(dir: &Path) -> io::Result<PathBuf> {
    Ok(std::path::absolute(dir)?.join(BUNDLE))
}

/// Keeps the environment for processes that find this lab. It holds the lab's own credentials only.
pub(crate) fn remember(dir: &Path, environment: &[(String, String)]) -> io::Result<()> {
    write(&dir.join(ENVIRONMENT), &serde_json::to_vec(environment)?)
}

/// Temporary file, then rename, so that a reader never sees half of it.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&temporary)?.write_all(bytes)?;
    std::fs::rename(temporary, path)
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn running(dir: &Path) -> io::Result<Option<Running>> {
    read(&dir.join(RUNNING))
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A lab that another process runs.
#[derive(Clone)]
pub struct Found {
    pub pid: u32,
    pub gateway: SocketAddr,
    environment: Vec<(String, String)>,
}

impl Found {
    /// As [`crate::RunningLab::environment`].
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }
}

impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Found")
            .field("pid", &self.pid)
            .field("gateway", &self.gateway)
            .finish_non_exhaustive()
    }
}

/// The lab that runs in a folder; `None` when none does (also when one was killed).
pub fn find(dir: &Path) -> io::Result<Option<Found>> {
    if !dir.join(LOCK).exists() || lock(dir)?.is_some() {
        return Ok(None);
    }
    let (running, environment) = (running(dir)?, read(&dir.join(ENVIRONMENT))?);
    Ok(running
        .zip(environment)
        .map(|(running, environment)| Found {
            pid: running.pid,
            gateway: running.gateway,
            environment,
        }))
}

/// Forgets everything that a lab holds. Refuses while it runs, and for a folder that is no lab's.
pub fn reset(dir: &Path) -> io::Result<()> {
    if !dir.exists() {
        return Ok(());
    }
    let entries = std::fs::read_dir(dir)?.collect::<io::Result<Vec<_>>>()?;
    if !dir.join(MARK).exists() {
        let empty = entries.iter().all(|entry| entry.file_name() == LOCK);
        let text = format!("{} is not the folder of a lab", dir.display());
        return if empty {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, text))
        };
    }
    let claim = Claim::take(dir)?;
    // The mark goes last: a reset that is interrupted can be repeated.
    let (marks, rest): (Vec<_>, Vec<_>) = entries
        .into_iter()
        .partition(|entry| entry.file_name() == MARK);
    for entry in rest.into_iter().chain(marks) {
        match (entry.file_name() == LOCK, entry.file_type()?.is_dir()) {
            (true, _) => {}
            (_, true) => std::fs::remove_dir_all(entry.path())?,
            (_, false) => std::fs::remove_file(entry.path())?,
        }
    }
    claim.release()
}
