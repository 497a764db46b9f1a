//! A state in a local file: read, and written so that a reader finds the old one or the new one, never a part.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::disk::{self, Disk, folder_of};
use crate::journal::{
    GROUP, Header, Intent, Journal, Run, Settlement, Unfinished, digest, journal_path,
};
use crate::lock::is_locked;
use crate::{Error, LockInfo, Result, State, StateLock, v4};

/// The version of Terraform whose state rules stead follows; written to states that stead begins.
const TERRAFORM_VERSION: &str = "1.11.4";

/// One local state file.
#[derive(Debug)]
pub struct LocalState {
    disk: Arc<dyn Disk>,
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
    /// How long a journal's records gather before they are synced.
    group: Duration,
    /// The state and the journal beside it have been read together.
    settled: bool,
    /// What the last reading found of a run that was cut off.
    settlement: Option<Settlement>,
    /// Objects that may exist and that neither the state nor the journal can name.
    in_doubt: Vec<Intent>,
}

impl LocalState {
    /// The state at `path`, with `PATH.backup` beside it.
    pub fn at(path: impl Into<PathBuf>) -> LocalState {
        let path = path.into();
        let mut backup = path.clone().into_os_string();
        backup.push(".backup");
        LocalState {
            disk: disk::real(),
            path,
            source: None,
            backup: Some(backup.into()),
            lock: None,
            content: None,
            seen: None,
            backed_up: false,
            group: GROUP,
            settled: false,
            settlement: None,
            in_doubt: Vec::new(),
        }
    }

    /// On another disk than this machine's.
    #[must_use]
    pub fn on(mut self, disk: Arc<dyn Disk>) -> LocalState {
        self.disk = disk;
        self
    }

    /// How long a journal's records may gather before they are synced together; five milliseconds unless said otherwise.
    #[must_use]
    pub fn gathering(mut self, group: Duration) -> LocalState {
        self.group = group;
        self
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

    pub fn holds_lock(&self) -> bool {
        self.lock.is_some()
    }

    pub fn unlock(&mut self) {
        self.lock = None;
    }

    /// The state, or `None` when there is none yet (an empty file is what a lock leaves before the first write). What a run
    /// that was cut off has left in its journal is in it; while we hold the lock, that is also written.
    pub fn read(&mut self) -> Result<Option<State>> {
        let path = self.source.as_ref().unwrap_or(&self.path);
        let bytes = self.disk.read(path).map_err(Error::io("reading", path))?;
        let state = match bytes.filter(|bytes| !bytes.is_empty()) {
            Some(bytes) => {
                let state = v4::parse(&bytes, path)?;
                self.seen = Some((state.serial, state.lineage.clone()));
                self.content = Some(bytes);
                Some(state)
            }
            None => None,
        };
        match self.source {
            None => self.settle(state),
            Some(_) => Ok(state),
        }
    }

    /// Settles the journal of a run that was cut off. One that is being written is left alone.
    fn settle(&mut self, state: Option<State>) -> Result<Option<State>> {
        self.in_doubt.clear();
        let path = journal_path(&self.path);
        if is_locked(&path).map_err(Error::io("looking at", &path))? {
            return Ok(state);
        }
        self.settled = true;
        let found = self.disk.read(&path).map_err(Error::io("reading", &path))?;
        let Some(bytes) = found else {
            return Ok(state);
        };
        let Some(unfinished) = Unfinished::parse(&bytes, &path)? else {
            if self.lock.is_some() {
                self.remove_journal(&path)?;
            }
            return Ok(state);
        };
        let mut settled = state.unwrap_or_default();
        let serial = settled.serial;
        let digest = self.content.as_deref().map(digest).unwrap_or_default();
        let mut settlement = unfinished.fold(&mut settled, serial, &digest);
        if self.lock.is_some() {
            if settlement.damaged.is_some() || !settlement.disputed.is_empty() {
                let kept =
                    path.with_extension(format!("journal.{}", uuid::Uuid::new_v4().simple()));
                disk::replace(&*self.disk, &kept, &bytes, |_| Ok(()))
                    .map_err(Error::io("keeping the journal as", &kept))?;
                settlement.kept = Some(kept);
            }
            self.write(&mut settled)?;
            self.keep_doubts(&settlement.unknown, settlement.run.clone())?;
        }
        self.in_doubt.clone_from(&settlement.unknown);
        self.settlement = Some(settlement);
        Ok(Some(settled))
    }

    /// Leaves a journal with nothing but what is in doubt, or none.
    fn keep_doubts(&self, in_doubt: &[Intent], run: Run) -> Result<()> {
        let path = journal_path(&self.path);
        if in_doubt.is_empty() {
            return self.remove_journal(&path);
        }
        // Dropping it leaves it to the next command.
        let header = self.header(run);
        Journal::begin(&*self.disk, path, header, in_doubt, self.group)?;
        Ok(())
    }

    fn remove_journal(&self, path: &Path) -> Result<()> {
        self.disk
            .remove(path)
            .and_then(|()| self.disk.sync_folder(folder_of(path)))
            .map_err(Error::io("removing", path))
    }

    fn header(&self, run: Run) -> Header {
        let serial = self.seen.as_ref().map_or(0, |(serial, _)| *serial);
        let digest = self.content.as_deref().map(digest).unwrap_or_default();
        Header::new(serial, digest, run)
    }

    /// What the last reading found of a run that was cut off, once.
    pub fn take_settlement(&mut self) -> Option<Settlement> {
        self.settlement.take()
    }

    /// Objects that may have been made by a run that was cut off, and of which nothing is known but their address.
    pub fn in_doubt(&self) -> &[Intent] {
        &self.in_doubt
    }

    /// Where the journal lies, unless another process is writing it.
    fn free_journal_path(&self) -> Result<PathBuf> {
        let path = journal_path(&self.path);
        match is_locked(&path).map_err(Error::io("looking at", &path))? {
            true => Err(Error::JournalBusy { path }),
            false => Ok(path),
        }
    }

    /// What lies beside the state that is about to be written may be all that is known of some objects.
    fn refuse_unsettled(&mut self) -> Result<()> {
        if !self.settled {
            let path = self.free_journal_path()?;
            let found = self.disk.read(&path).map_err(Error::io("reading", &path))?;
            if found.is_some() {
                return Err(Error::JournalUnsettled { path });
            }
            self.settled = true;
        }
        Ok(())
    }

    /// Begins the journal of a run. `in_doubt` is what it has not looked into either.
    ///
    /// # Errors
    /// When it cannot be written, or another process is writing one.
    pub fn begin_journal(&mut self, run: Run, in_doubt: Vec<Intent>) -> Result<Journal> {
        let path = self.free_journal_path()?;
        self.refuse_unsettled()?;
        self.in_doubt = in_doubt;
        let header = self.header(run);
        Journal::begin(&*self.disk, path, header, &self.in_doubt, self.group)
    }

    /// The last write of a run with a journal: the journal is gone when the state is safe.
    ///
    /// # Errors
    /// When the state cannot be written; then the journal stays, and the next command takes what it says.
    pub fn write_last(&mut self, state: &mut State, journal: Journal) -> Result<()> {
        match self.checkpoint(state, &journal) {
            // Where the journal cannot be written any more, the state may be.
            Err(Error::Journal { .. }) => self.write(state)?,
            written => written?,
        }
        let run = journal.run().clone();
        drop(journal);
        self.keep_doubts(&self.in_doubt, run)
    }

    /// Writes the state during a run with a journal.
    pub fn checkpoint(&mut self, state: &mut State, journal: &Journal) -> Result<()> {
        self.write_noting(state, |serial, bytes| {
            journal.checkpoint(serial, digest(bytes))
        })
    }

    /// Writes the state if it differs from what is there, raising its serial; makes the backup once, before the first write.
    ///
    /// # Errors
    /// When the file on disk has another lineage, or a serial that this state was not made from; when any step of the write
    /// fails. The old file is whole in every case.
    pub fn write(&mut self, state: &mut State) -> Result<()> {
        self.write_noting(state, |_, _| Ok(()))
    }

    /// Writes after `note` has been told the serial and the digest of what is about to be written.
    fn write_noting(
        &mut self,
        state: &mut State,
        note: impl FnOnce(u64, &[u8]) -> Result<()>,
    ) -> Result<()> {
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
        self.put(state, note)
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
        self.put(state, |_, _| Ok(()))
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

    fn put(
        &mut self,
        state: &mut State,
        note: impl FnOnce(u64, &[u8]) -> Result<()>,
    ) -> Result<()> {
        self.refuse_unsettled()?;
        state.terraform_version = TERRAFORM_VERSION.into();
        let bytes = self.render(state)?;
        if self.source.take().is_some() {
            // What is about to be replaced is not what was read.
            let old = self.disk.read(&self.path);
            let old = old.map_err(Error::io("reading", &self.path))?;
            self.content = old.filter(|old| !old.is_empty());
        }
        self.back_up()?;
        note(state.serial, &bytes)?;
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
            disk::replace(&*self.disk, backup, content, |_| Ok(()))
                .map_err(Error::io("writing the backup", backup))?;
        }
        self.backed_up = true;
        Ok(())
    }

    fn replace(&mut self, bytes: &[u8]) -> Result<()> {
        let folder = folder_of(&self.path);
        self.disk
            .make_folder(folder)
            .map_err(Error::io("making the folder", folder))?;
        let lock = &mut self.lock;
        let replaced = disk::replace(&*self.disk, &self.path, bytes, |file| {
            match (lock, file.os_file()) {
                (Some(lock), Some(file)) => lock.extend(file.try_clone()?),
                _ => Ok(()),
            }
        });
        replaced.map_err(Error::io("replacing", &self.path))?;
        Ok(())
    }
}
