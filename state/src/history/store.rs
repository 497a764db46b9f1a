//! Where the entries lie: a folder beside a local state, small files beside a remote one.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Entry, History, VERSION};
use crate::disk::{self, Disk};
use crate::journal::digest;
use crate::place::wait_for;
use crate::{Error, Result, Store};

/// So many writes are remembered.
const KEPT: usize = 200;
/// Old entries are looked for at every write whose serial this divides.
const TIDY: u64 = 20;
/// What the names of entries beside a remote state begin with.
const PREFIX: &str = "history.";

#[derive(Clone, Debug)]
pub(crate) enum HistoryStore {
    Folder {
        disk: Arc<dyn Disk>,
        folder: PathBuf,
    },
    Beside(Arc<dyn Store>),
}

/// What the names of a lineage's entries begin with: serials of another one must not be taken for its own.
fn family(lineage: &str) -> String {
    let mut digest = digest(lineage.as_bytes());
    digest.truncate(8);
    digest.push('.');
    digest
}

/// Twelve digits, so that the order of a lineage's names is that of its serials.
fn name(lineage: &str, serial: u64) -> String {
    format!("{}{serial:012}", family(lineage))
}

impl HistoryStore {
    pub(crate) fn add(&self, lineage: &str, serial: u64, entry: &[u8]) -> Result<()> {
        let name = name(lineage, serial);
        match self {
            HistoryStore::Folder { disk, folder } => {
                disk.make_folder(folder)
                    .map_err(Error::io("making the folder", folder))?;
                let path = folder.join(name);
                disk::replace(&**disk, &path, entry, |_| Ok(()))
                    .map_err(Error::io("writing the history", &path))?;
            }
            HistoryStore::Beside(store) => {
                let (to, entry) = (Arc::clone(store), entry.to_vec());
                let name = format!("{PREFIX}{name}");
                wait_for(async move { to.write_beside(&name, &entry).await })?
                    .map_err(|e| Error::remote("writing the history of", store.location(), e))?;
            }
        }
        if serial.is_multiple_of(TIDY)
            && let Err(error) = self.tidy(lineage)
        {
            // What is too much stays until the next time.
            tracing::warn!(%error, "tidying the history");
        }
        Ok(())
    }

    /// Removes the oldest entries of a lineage.
    fn tidy(&self, lineage: &str) -> Result<()> {
        let names = self.names(Some(lineage))?;
        let old = &names[..names.len().saturating_sub(KEPT)];
        old.iter().try_for_each(|name| self.remove(name))
    }

    /// The entries of a lineage, or of all, opened with `open`.
    pub(crate) fn read(
        &self,
        lineage: Option<&str>,
        open: impl Fn(Vec<u8>) -> Result<Vec<u8>>,
    ) -> Result<History> {
        let mut entries = Vec::new();
        for name in self.names(lineage)?.iter().rev() {
            let Some(bytes) = self.get(name)? else {
                continue; // Another command has just tidied up.
            };
            let entry: Entry =
                serde_json::from_slice(&open(bytes)?).map_err(|e| self.malformed(name, &e))?;
            if entry.version != VERSION {
                return Err(self.malformed(
                    name,
                    &format!("it is of version {}, made by a newer stead", entry.version),
                ));
            }
            entries.push(entry);
        }
        Ok(History { entries })
    }

    fn malformed(&self, name: &str, reason: &dyn std::fmt::Display) -> Error {
        let path = match self {
            HistoryStore::Folder { folder, .. } => folder.join(name),
            HistoryStore::Beside(store) => format!("{} ({name})", store.location()).into(),
        };
        Error::Malformed {
            path,
            reason: reason.to_string(),
        }
    }

    /// The oldest of a lineage first.
    fn names(&self, lineage: Option<&str>) -> Result<Vec<String>> {
        let mut names = match self {
            HistoryStore::Folder { disk, folder } => {
                disk.list(folder).map_err(Error::io("looking at", folder))?
            }
            HistoryStore::Beside(store) => {
                let from = Arc::clone(store);
                wait_for(async move { from.list_beside().await })?
                    .map_err(|e| Error::remote("reading the history of", store.location(), e))?
            }
        };
        let wanted = lineage.map(family);
        names.retain(|name| {
            let name = name.strip_prefix(PREFIX).unwrap_or(name);
            let serial = match (&wanted, name.split_once('.')) {
                (Some(family), _) => name.strip_prefix(family.as_str()),
                (None, Some((_, serial))) => Some(serial),
                (None, None) => None,
            };
            serial.is_some_and(|s| s.len() == 12 && s.bytes().all(|b| b.is_ascii_digit()))
        });
        names.sort();
        Ok(names)
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        match self {
            HistoryStore::Folder { disk, folder } => {
                let path = folder.join(name);
                disk.read(&path)
                    .map_err(Error::io("reading the history", &path))
            }
            HistoryStore::Beside(store) => {
                let (from, name) = (Arc::clone(store), name.to_owned());
                wait_for(async move { from.read_beside(&name).await })?
                    .map_err(|e| Error::remote("reading the history of", store.location(), e))
            }
        }
    }

    fn remove(&self, name: &str) -> Result<()> {
        match self {
            HistoryStore::Folder { disk, folder } => {
                let path = folder.join(name);
                disk.remove(&path)
                    .map_err(Error::io("removing from the history", &path))
            }
            HistoryStore::Beside(store) => {
                let (from, name) = (Arc::clone(store), name.to_owned());
                wait_for(async move { from.remove_beside(&name).await })?
                    .map_err(|e| Error::remote("tidying the history of", store.location(), e))
            }
        }
    }
}
