//! A disk in memory that fails, tears and forgets as told.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use stead_state::{Disk, DiskFile};

/// What happens at one operation of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The operation fails and does nothing; the next ones work.
    Fails,
    /// So does every later one: the disk is full, or gone read-only.
    FailsFromNowOn,
    /// A write stops half-way and fails.
    CutShort,
    /// The power goes before the operation.
    PowerLost,
    /// The power goes when the operation has been done, before anyone is told.
    PowerLostAfter,
}

pub(crate) const FAULTS: [Fault; 5] = [
    Fault::Fails,
    Fault::FailsFromNowOn,
    Fault::CutShort,
    Fault::PowerLost,
    Fault::PowerLostAfter,
];

#[derive(Clone, Debug, Default)]
struct Content {
    written: Vec<u8>,
    /// So many bytes of it are safe.
    synced: usize,
}

#[derive(Debug, Default)]
struct Inner {
    files: HashMap<u64, Content>,
    names: BTreeMap<PathBuf, u64>,
    /// The names as the folder's last sync left them.
    safe_names: BTreeMap<PathBuf, u64>,
    operations: usize,
    fault: Option<(usize, Fault)>,
    /// Only what happens to paths with this in them is counted, and fails.
    about: Option<&'static str>,
    /// Nothing works any more.
    off: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct TestDisk(Arc<Mutex<Inner>>);

enum Told {
    Go,
    GoAndStop,
    Half,
}

impl Inner {
    /// Counts an operation on a path and says what is to become of it.
    fn step(&mut self, path: &Path) -> io::Result<Told> {
        if self
            .about
            .is_some_and(|about| !path.to_string_lossy().contains(about))
        {
            return Ok(Told::Go);
        }
        let failed = || io::Error::from(io::ErrorKind::StorageFull);
        let number = self.operations;
        self.operations += 1;
        if self.off {
            return Err(failed());
        }
        match self.fault.filter(|(at, _)| *at == number) {
            None => Ok(Told::Go),
            Some((_, Fault::Fails)) => Err(failed()),
            Some((_, Fault::FailsFromNowOn | Fault::PowerLost)) => {
                self.off = true;
                Err(failed())
            }
            Some((_, Fault::CutShort)) => Ok(Told::Half),
            Some((_, Fault::PowerLostAfter)) => {
                self.off = true;
                Ok(Told::GoAndStop)
            }
        }
    }

    fn act(&mut self, path: &Path, act: impl FnOnce(&mut Inner)) -> io::Result<()> {
        match self.step(path)? {
            Told::Go => {
                act(self);
                Ok(())
            }
            // Only a write can be cut short.
            Told::Half => Err(io::Error::from(io::ErrorKind::StorageFull)),
            Told::GoAndStop => {
                act(self);
                Err(io::Error::from(io::ErrorKind::StorageFull))
            }
        }
    }
}

impl TestDisk {
    pub(crate) fn failing(self, at: usize, fault: Fault) -> TestDisk {
        self.0.lock().expect("the disk").fault = Some((at, fault));
        self
    }

    /// Nothing fails, and nothing is counted, but what happens to paths with this in them.
    pub(crate) fn about(self, part: &'static str) -> TestDisk {
        self.0.lock().expect("the disk").about = Some(part);
        self
    }

    /// As for a process that has ended.
    pub(crate) fn switch_off(&self) {
        self.0.lock().expect("the disk").off = true;
    }

    pub(crate) fn operations(&self) -> usize {
        self.0.lock().expect("the disk").operations
    }

    /// The disk after the process has ended: everything that was written is there.
    pub(crate) fn after_exit(&self) -> TestDisk {
        let inner = self.0.lock().expect("the disk");
        TestDisk(Arc::new(Mutex::new(Inner {
            files: inner.files.clone(),
            names: inner.names.clone(),
            safe_names: inner.safe_names.clone(),
            ..Inner::default()
        })))
    }

    /// The disk after the machine has stopped: what was synced is there; of the rest some, as the seed has it.
    pub(crate) fn after_power_loss(&self, seed: u64) -> TestDisk {
        let mut chance = StdRng::seed_from_u64(seed);
        let inner = self.0.lock().expect("the disk");
        let mut names = inner.safe_names.clone();
        let every: Vec<&PathBuf> = inner.names.keys().chain(inner.safe_names.keys()).collect();
        for path in every {
            if chance.random_bool(0.5) {
                match inner.names.get(path) {
                    Some(file) => names.insert(path.clone(), *file),
                    None => names.remove(path),
                };
            }
        }
        let files = inner.files.iter().map(|(id, content)| {
            let mut written = content.written[..content.synced].to_vec();
            let rest = &content.written[content.synced..];
            let kept = chance.random_range(0..=rest.len());
            written.extend_from_slice(&rest[..kept]);
            if chance.random_bool(0.3) {
                // The length came through, the data did not.
                written.resize(content.written.len(), 0);
            }
            let synced = written.len();
            (*id, Content { written, synced })
        });
        let files = files.collect();
        TestDisk(Arc::new(Mutex::new(Inner {
            files,
            safe_names: names.clone(),
            names,
            ..Inner::default()
        })))
    }
}

impl Disk for TestDisk {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let inner = self.0.lock().expect("the disk");
        Ok(inner
            .names
            .get(path)
            .map(|id| inner.files[id].written.clone()))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut inner = self.0.lock().expect("the disk");
        let id = inner.files.len() as u64;
        inner.act(path, |inner| {
            inner.files.insert(id, Content::default());
            inner.names.insert(path.to_owned(), id);
        })?;
        Ok(Box::new(TestFile {
            disk: self.clone(),
            path: path.to_owned(),
            id,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.lock().expect("the disk").act(to, |inner| {
            if let Some(id) = inner.names.remove(from) {
                inner.names.insert(to.to_owned(), id);
            }
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.lock().expect("the disk").act(path, |inner| {
            inner.names.remove(path);
        })
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let inner = self.0.lock().expect("the disk");
        let inside = inner.names.keys().filter(|n| n.parent() == Some(path));
        let names = inside.filter_map(|n| Some(n.file_name()?.to_string_lossy().into_owned()));
        Ok(names.collect())
    }

    /// Folders are not kept, but the making of one may fail.
    fn make_folder(&self, path: &Path) -> io::Result<()> {
        self.0.lock().expect("the disk").act(path, |_| {})
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.0
            .lock()
            .expect("the disk")
            .act(path, |inner| inner.safe_names = inner.names.clone())
    }
}

#[derive(Debug)]
struct TestFile {
    disk: TestDisk,
    path: PathBuf,
    id: u64,
}

impl DiskFile for TestFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.disk.0.lock().expect("the disk");
        let told = inner.step(&self.path)?;
        let bytes = match told {
            Told::Half => &bytes[..bytes.len() / 2],
            Told::Go | Told::GoAndStop => bytes,
        };
        let content = inner.files.get_mut(&self.id).expect("an open file");
        content.written.extend_from_slice(bytes);
        match told {
            Told::Go => Ok(()),
            Told::Half | Told::GoAndStop => Err(io::Error::from(io::ErrorKind::StorageFull)),
        }
    }

    fn sync(&self) -> io::Result<()> {
        let id = self.id;
        self.disk
            .0
            .lock()
            .expect("the disk")
            .act(&self.path, |inner| {
                let content = inner.files.get_mut(&id).expect("an open file");
                content.synced = content.written.len();
            })
    }

    fn os_file(&self) -> Option<&File> {
        None
    }
}
