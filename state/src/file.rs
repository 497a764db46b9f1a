//! A state in a local file: read, and written so that a reader finds the old one or the new one, never a part.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::{Error, LockInfo, Result, State, StateLock, v4};

/// The version of Terraform whose state rules stead follows; written to states that stead begins.
const TERRAFORM_VERSION: &str = "1.11.4";

/// One local state file.
#[derive(Debug)]
pub struct LocalState {
    path: PathBuf,
    /// Where it is read from until the first write, when that is elsewhere.
    source: Option<PathBuf>,
    /// `None`: no backup is wanted.
    backup: Option<PathBuf>,
    lock: Option<StateLock>,
    /// The bytes as last read or written; a write of equal content is no write.
    content: Option<Vec<u8>>,
    /// The serial and lineage that the file had when it was read.
    seen: Option<(u64, String)>,
    backed_up: bool,
}

impl LocalState {
    /// The state at `path`, with `PATH.backup` beside it.
    pub fn at(path: impl Into<PathBuf>) -> LocalState {
        let path = path.into();
        let mut backup = path.clone().into_os_string();
        backup.push(".backup");
        LocalState {
            path,
            source: None,
            backup: Some(backup.into()),
            lock: None,
            content: None,
            seen: None,
            backed_up: false,
        }
    }

    /// Another place for the backup; `None` for no backup.
    #[must_use]
    pub fn with_backup(mut self, backup: Option<PathBuf>) -> LocalState {
        self.backup = backup;
        self
    }

    /// Reads the state from another file than the one it is written to.
    #[must_use]
    pub fn with_source(mut self, source: PathBuf) -> LocalState {
        self.source = Some(source).filter(|source| *source != self.path);
        self
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the lock for as long as this value lives, or until [`LocalState::unlock`].
    pub fn lock(&mut self, info: &LockInfo) -> Result<()> {
        self.lock = Some(StateLock::acquire(&self.path, info)?);
        Ok(())
    }

    pub fn unlock(&mut self) {
        self.lock = None;
    }

    /// The state, or `None` when there is none yet (an empty file is what a lock leaves before the first write).
    pub fn read(&mut self) -> Result<Option<State>> {
        let path = self.source.as_ref().unwrap_or(&self.path);
        let bytes = match std::fs::read(path) {
            Ok(bytes) if bytes.is_empty() => return Ok(None),
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("reading", path)(e)),
        };
        let state = v4::parse(&bytes, path)?;
        self.seen = Some((state.serial, state.lineage.clone()));
        self.content = Some(bytes);
        Ok(Some(state))
    }

    /// Writes the state if it differs from what is there, raising its serial; makes the backup once, before the first write.
    ///
    /// # Errors
    /// When the file on disk has another lineage, or a serial that this state was not made from; when any step of the write
    /// fails. The old file is whole in every case.
    pub fn write(&mut self, state: &mut State) -> Result<()> {
        if state.lineage.is_empty() {
            state.lineage = uuid::Uuid::new_v4().to_string();
        }
        match &self.seen {
            Some((serial, lineage)) => {
                if *lineage != state.lineage {
                    return Err(Error::Lineage {
                        ours: state.lineage.clone(),
                        theirs: lineage.clone(),
                    });
                }
                if *serial > state.serial {
                    return Err(Error::Stale {
                        ours: state.serial,
                        theirs: *serial,
                    });
                }
                if self.is_as_read(state)? {
                    if self.source.is_none() {
                        return Ok(());
                    }
                } else {
                    state.serial = serial + 1;
                }
            }
            None => state.serial = state.serial.max(1),
        }
        self.put(state)
    }

    /// Writes a state that comes from elsewhere, with its own serial and lineage.
    ///
    /// # Errors
    /// Unless forced: when the state that is here has another lineage, a higher serial, or the same serial and other content.
    pub fn import(&mut self, state: &mut State, force: bool) -> Result<()> {
        if let (false, Some((serial, lineage))) = (force, &self.seen)
            && !self.is_empty()?
        {
            if *lineage != state.lineage && !lineage.is_empty() && !state.lineage.is_empty() {
                return Err(Error::ImportUnrelated {
                    ours: state.lineage.clone(),
                    theirs: lineage.clone(),
                });
            }
            if *serial > state.serial {
                return Err(Error::ImportOlder {
                    ours: state.serial,
                    theirs: *serial,
                });
            }
            if *serial == state.serial && !self.is_as_read(state)? {
                return Err(Error::ImportSameSerial(*serial));
            }
        }
        self.put(state)
    }

    /// Whether the state that was read holds nothing.
    fn is_empty(&self) -> Result<bool> {
        Ok(match &self.content {
            Some(content) => v4::parse(content, &self.path)?.is_empty(),
            None => true,
        })
    }

    /// Whether what was read last means this state, however it is laid out and whoever wrote it.
    fn is_as_read(&self, state: &State) -> Result<bool> {
        let Some(content) = &self.content else {
            return Ok(false);
        };
        let ours = self.render(state)?;
        if ours == *content {
            return Ok(true);
        }
        let before = v4::parse(content, &self.path)?;
        let before = State {
            terraform_version: state.terraform_version.clone(),
            serial: state.serial,
            lineage: state.lineage.clone(),
            ..before
        };
        Ok(self.render(&before)? == ours)
    }

    fn put(&mut self, state: &mut State) -> Result<()> {
        state.terraform_version = TERRAFORM_VERSION.into();
        let bytes = self.render(state)?;
        if self.source.take().is_some() {
            // What is about to be replaced is not what was read.
            let old = match std::fs::read(&self.path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
                old => old.map_err(Error::io("reading", &self.path))?,
            };
            self.content = Some(old).filter(|old| !old.is_empty());
        }
        self.back_up()?;
        self.replace(&bytes)?;
        self.seen = Some((state.serial, state.lineage.clone()));
        self.content = Some(bytes);
        Ok(())
    }

    fn render(&self, state: &State) -> Result<Vec<u8>> {
        v4::render(state).map_err(|e| Error::Malformed {
            path: self.path.clone(),
            reason: e.to_string(),
        })
    }

    fn back_up(&mut self) -> Result<()> {
        if let (false, Some(backup), Some(content)) = (self.backed_up, &self.backup, &self.content)
        {
            write_whole(backup, content).map_err(Error::io("writing the backup", backup))?;
        }
        self.backed_up = true;
        Ok(())
    }

    /// Temporary file, fsync, lock, rename, fsync of the folder.
    fn replace(&mut self, bytes: &[u8]) -> Result<()> {
        let folder = folder_of(&self.path);
        std::fs::create_dir_all(folder).map_err(Error::io("making the folder", folder))?;
        let mut temporary = tempfile::Builder::new()
            .prefix(".terraform.tfstate.")
            .tempfile_in(folder)
            .map_err(Error::io("making a temporary file in", folder))?;
        temporary
            .write_all(bytes)
            .map_err(Error::io("writing", temporary.path()))?;
        temporary
            .as_file()
            .sync_all()
            .map_err(Error::io("syncing", temporary.path()))?;
        if let Some(lock) = &mut self.lock {
            let file = temporary
                .as_file()
                .try_clone()
                .map_err(Error::io("locking", temporary.path()))?;
            lock.extend(file)
                .map_err(Error::io("locking", temporary.path()))?;
        }
        temporary
            .persist(&self.path)
            .map_err(|e| Error::io("replacing", &self.path)(e.error))?;
        File::open(folder)
            .and_then(|f| f.sync_all())
            .map_err(Error::io("syncing", folder))
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut temporary = tempfile::NamedTempFile::new_in(folder_of(path))?;
    temporary.write_all(bytes)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|e| e.error)?;
    Ok(())
}
