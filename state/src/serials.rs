//! The serials that a folder has seen of its sealed states, so that an older copy put in the place of the newest is noticed.
//!
//! Sealing shows that a state was made with the key, not that it is the newest that was. Serial and lineage are sealed with it; which serial was
//! the last one is noted here, on this machine. Whoever can write this note can of course change it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::disk::{self, Disk, folder_of};
use crate::{Error, Result};

/// The highest serial by lineage.
pub(crate) type Seen = BTreeMap<String, u64>;

#[derive(Clone, Debug)]
pub(crate) struct Serials(PathBuf);

impl Serials {
    pub(crate) fn at(path: PathBuf) -> Serials {
        Serials(path)
    }

    /// What has been seen so far.
    pub(crate) fn seen(&self, disk: &dyn Disk) -> Result<Seen> {
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

    /// Compares what was read with what had been seen before that, and notes what is newer. What others write while a state is read is
    /// not held against it.
    ///
    /// # Errors
    /// [`Error::OlderThanSeen`].
    pub(crate) fn check(
        &self,
        disk: &dyn Disk,
        before: &Seen,
        location: &str,
        lineage: &str,
        serial: u64,
    ) -> Result<()> {
        match before.get(lineage) {
            Some(seen) if *seen > serial => Err(Error::OlderThanSeen {
                location: location.to_owned(),
                serial,
                seen: *seen,
                note: self.0.clone(),
            }),
            Some(seen) if *seen == serial => Ok(()),
            _ => {
                self.note(disk, lineage, |seen| serial.max(seen.unwrap_or_default()));
                Ok(())
            }
        }
    }

    /// Notes what was written, which may be older when somebody insisted.
    pub(crate) fn written(&self, disk: &dyn Disk, lineage: &str, serial: u64) {
        self.note(disk, lineage, |_| serial);
    }

    /// A folder that cannot be written to is no reason to fail: then nothing is noticed.
    fn note(&self, disk: &dyn Disk, lineage: &str, serial: impl FnOnce(Option<u64>) -> u64) {
        if let Err(error) = self.replace(disk, lineage, serial) {
            tracing::warn!(%error, "noting the serial of the state");
        }
    }

    /// Under a lock: commands on other workspaces of the folder, and those that take no lock of the state, note theirs in the same file.
    fn replace(
        &self,
        disk: &dyn Disk,
        lineage: &str,
        serial: impl FnOnce(Option<u64>) -> u64,
    ) -> Result<()> {
        let path = &self.0;
        let failed = || Error::io("writing", path);
        disk.make_folder(folder_of(path)).map_err(failed())?;
        let lock = disk.create(&lock_path(path)).map_err(failed())?;
        if let Some(file) = lock.os_file() {
            file.lock().map_err(failed())?;
        }
        let mut seen = self.seen(disk)?;
        let serial = serial(seen.get(lineage).copied());
        if seen.insert(lineage.to_owned(), serial) == Some(serial) {
            return Ok(());
        }
        let bytes = serde_json::to_vec_pretty(&seen).map_err(|e| failed()(e.into()))?;
        disk::replace(disk, path, &bytes, |_| Ok(())).map_err(failed())?;
        Ok(())
    }
}

/// `serials.json.lock` beside `serials.json`: what is renamed cannot be locked itself.
fn lock_path(path: &Path) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(".lock");
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    #[test]
    fn those_who_note_at_once_lose_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ours/serials.json");
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let serials = Serials::at(path.clone());
                scope.spawn(move || {
                    for serial in 1..=25 {
                        serials.written(&RealDisk, &format!("own {writer}"), serial);
                        let shared = serials.check(&RealDisk, &Seen::new(), "x", "shared", serial);
                        shared.expect("nothing had been seen");
                    }
                });
            }
        });
        let seen = Serials::at(path).seen(&RealDisk).expect("the note");
        assert_eq!(seen.len(), 5, "{seen:?}");
        assert!(seen.values().all(|serial| *serial == 25), "{seen:?}");
    }

    #[test]
    fn what_is_written_while_a_state_is_read_does_not_make_it_old() {
        let folder = tempfile::tempdir().expect("a folder");
        let serials = Serials::at(folder.path().join("serials.json"));
        serials.written(&RealDisk, "l", 6);
        let before = serials.seen(&RealDisk).expect("the note");
        serials.written(&RealDisk, "l", 7);
        let check = |seen: &Seen| serials.check(&RealDisk, seen, "x", "l", 6);
        check(&before).expect("it was the newest");
        let after = serials.seen(&RealDisk).expect("the note");
        assert_eq!(after["l"], 7, "not taken back");
        let refused = check(&after);
        assert!(
            matches!(
                refused,
                Err(Error::OlderThanSeen {
                    seen: 7,
                    serial: 6,
                    ..
                })
            ),
            "{refused:?}"
        );
        // Going back on purpose is noted.
        serials.written(&RealDisk, "l", 3);
        assert_eq!(serials.seen(&RealDisk).expect("the note")["l"], 3);
    }
}
