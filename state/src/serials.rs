//! The serials that a folder has seen of its sealed states, so that an older copy put in the place of the newest is noticed.
//!
//! Sealing shows that a state was made with the key, not that it is the newest that was. Serial and lineage are sealed with it; which serial was
//! the last one is noted here, on this machine. Whoever can write this note can of course change it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::disk::{self, Disk, folder_of};
use crate::{Error, Result};

/// The highest serial by lineage.
type Seen = BTreeMap<String, u64>;

#[derive(Clone, Debug)]
pub(crate) struct Serials(PathBuf);

impl Serials {
    pub(crate) fn at(path: PathBuf) -> Serials {
        Serials(path)
    }

    fn read(&self, disk: &dyn Disk) -> Result<Seen> {
        let path = &self.0;
        let bytes = disk.read(path).map_err(Error::io("reading", path))?;
        match bytes {
            None => Ok(Seen::new()),
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|e| Error::Malformed {
                path: path.clone(),
                reason: e.to_string(),
            }),
        }
    }

    /// Compares what was read with what was seen before, and notes what is newer.
    ///
    /// # Errors
    /// [`Error::OlderThanSeen`].
    pub(crate) fn check(
        &self,
        disk: &dyn Disk,
        location: &str,
        lineage: &str,
        serial: u64,
    ) -> Result<()> {
        let seen = self.read(disk)?;
        match seen.get(lineage) {
            Some(seen) if *seen > serial => Err(Error::OlderThanSeen {
                location: location.to_owned(),
                serial,
                seen: *seen,
                note: self.0.clone(),
            }),
            Some(seen) if *seen == serial => Ok(()),
            _ => {
                self.put(disk, seen, lineage, serial);
                Ok(())
            }
        }
    }

    /// Notes what was written, which may be older when somebody insisted.
    pub(crate) fn written(&self, disk: &dyn Disk, lineage: &str, serial: u64) {
        match self.read(disk) {
            Ok(seen) if seen.get(lineage) == Some(&serial) => {}
            Ok(seen) => self.put(disk, seen, lineage, serial),
            Err(error) => tracing::warn!(%error, "noting the serial of the state"),
        }
    }

    /// A folder that cannot be written to is no reason to fail: then nothing is noticed.
    fn put(&self, disk: &dyn Disk, mut seen: Seen, lineage: &str, serial: u64) {
        seen.insert(lineage.to_owned(), serial);
        if let Err(error) = replace(disk, &self.0, &seen) {
            tracing::warn!(%error, "noting the serial of the state");
        }
    }
}

fn replace(disk: &dyn Disk, path: &Path, seen: &Seen) -> std::io::Result<()> {
    disk.make_folder(folder_of(path))?;
    disk::replace(disk, path, &serde_json::to_vec_pretty(seen)?, |_| Ok(()))?;
    Ok(())
}
