//! One state, wherever it lies: read together with its journal, and written by the rules of serial and lineage.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::disk::{self, Disk, folder_of};
use crate::encryption::Encryption;
use crate::history::{Entry, History, HistoryStore};
use crate::journal::{
    GROUP, Header, Intent, Journal, Run, Settlement, Unfinished, digest, journal_path, mirror,
};
use crate::place::lock::is_locked;
use crate::place::{LocalPlace, Place, RemotePlace};
use crate::serials::{Seen, Serials};
use crate::{Error, LockInfo, Result, State, Store, v4};

/// The version of Terraform whose state rules stead follows; written to states that stead begins.
const TERRAFORM_VERSION: &str = "1.11.4";

/// What was last read or written, in the clear.
#[derive(Debug)]
enum Content {
    None,
    Held(Vec<u8>),
    /// A plain file of this machine holds it, so that nobody else must: it is read again by the few who need it.
    InFile(PathBuf),
}

/// One state.
#[derive(Debug)]
pub struct StateManager {
    disk: Arc<dyn Disk>,
    place: Box<dyn Place>,
    /// Where it is read from until the first write, when that is elsewhere.
    source: Option<Box<dyn Place>>,
    /// `None`: no backup is wanted.
    backup: Option<PathBuf>,
    /// On this machine, wherever the state lies.
    journal: PathBuf,
    history: HistoryStore,
    /// The command that writes, for the history; `None` keeps none.
    run: Option<Run>,
    /// The content as last read or written; a write of equal content is no write.
    content: Content,
    /// The same as it lies at its place, where it is sealed.
    sealed: Option<Vec<u8>>,
    /// It lies there otherwise than it would be written now: in the clear, or sealed with another key.
    outdated: bool,
    /// The serial and lineage that the state had when it was read.
    seen: Option<(u64, String)>,
    backed_up: bool,
    /// How long a journal's records gather before they are synced.
    group: Duration,
    /// Nothing but the state itself is looked at.
    alone: bool,
    /// The state and the journal beside it have been read together.
    settled: bool,
    /// What the last reading found of runs that were cut off.
    settlements: Vec<Settlement>,
    /// Objects that may exist and that neither the state nor the journal can name.
    in_doubt: Vec<Intent>,
    encryption: Arc<Encryption>,
    /// Where the serials that were seen are noted, when they are to be.
    serials: Option<Serials>,
    /// Hears of what went wrong beside a write that succeeded.
    tell: fn(&Error),
}

/// Until somebody wants to hear of it.
fn log(error: &Error) {
    tracing::warn!(%error, "beside the state");
}

/// How a state stands to the one that was read.
enum Compared {
    Same,
    /// With the state that was read, where there was one.
    Different(Option<State>),
}

impl StateManager {
    /// The state in a local file, with `PATH.backup` beside it.
    pub fn at(path: impl Into<PathBuf>) -> StateManager {
        StateManager::at_on(disk::real(), path)
    }

    /// The same on another disk than this machine's.
    pub fn at_on(disk: Arc<dyn Disk>, path: impl Into<PathBuf>) -> StateManager {
        let path = path.into();
        let mut backup = path.clone().into_os_string();
        backup.push(".backup");
        let place = LocalPlace::new(Arc::clone(&disk), path.clone());
        StateManager {
            backup: Some(backup.into()),
            ..StateManager::of(disk, Box::new(place), journal_path(&path))
        }
    }

    /// A state at a remote place. `journal` is where its journal lies on this machine; `tell` also hears of a lock that cannot be given
    /// back at the end.
    pub fn remote(store: Arc<dyn Store>, journal: PathBuf, tell: fn(&Error)) -> StateManager {
        StateManager::remote_on(disk::real(), store, journal, tell)
    }

    /// The same with the journal on another disk than this machine's.
    pub fn remote_on(
        disk: Arc<dyn Disk>,
        store: Arc<dyn Store>,
        journal: PathBuf,
        tell: fn(&Error),
    ) -> StateManager {
        let place = RemotePlace::new(store, tell);
        StateManager::of(disk, Box::new(place), journal).telling(tell)
    }

    fn of(disk: Arc<dyn Disk>, place: Box<dyn Place>, journal: PathBuf) -> StateManager {
        let history = match place.beside() {
            Some(store) => HistoryStore::Beside(store),
            // `terraform.tfstate.history` beside `terraform.tfstate`.
            None => HistoryStore::Folder {
                disk: Arc::clone(&disk),
                folder: journal.with_extension("history"),
            },
        };
        StateManager {
            disk,
            history,
            run: None,
            place,
            source: None,
            backup: None,
            journal,
            content: Content::None,
            sealed: None,
            outdated: false,
            seen: None,
            backed_up: false,
            group: GROUP,
            alone: false,
            settled: false,
            settlements: Vec::new(),
            in_doubt: Vec::new(),
            encryption: Arc::default(),
            serials: None,
            tell: log,
        }
    }

    /// Who hears of what went wrong beside a write that succeeded, such as the history that could not be written.
    #[must_use]
    pub fn telling(mut self, tell: fn(&Error)) -> StateManager {
        self.tell = tell;
        self
    }

    /// How long a journal's records may gather before they are synced together; five milliseconds unless said otherwise. Two hundred times
    /// as long lies between two uploads of its copy beside a remote state.
    #[must_use]
    pub fn gathering(mut self, group: Duration) -> StateManager {
        self.group = group;
        self
    }

    /// Another place for the backup; `None` for no backup.
    #[must_use]
    pub fn with_backup(mut self, backup: Option<PathBuf>) -> StateManager {
        self.backup = backup;
        self
    }

    /// Remembers in the history what this command writes.
    #[must_use]
    pub fn remembering(mut self, run: Run) -> StateManager {
        self.run = Some(run);
        self
    }

    /// What is known of the past of the state that was read; where there is none, of those that lay there before.
    ///
    /// # Errors
    /// When a part of it cannot be read.
    pub fn history(&self) -> Result<History> {
        let lineage = self.seen.as_ref().map(|(_, lineage)| lineage.as_str());
        self.history_of(lineage, &self.encryption)
    }

    fn history_of(&self, lineage: Option<&str>, encryption: &Encryption) -> Result<History> {
        self.history.read(lineage, |bytes| {
            let opened = encryption.open_other(bytes);
            opened.map_err(Error::sealed(Path::new("history")))
        })
    }

    /// What `state`, which was read from here, was at an earlier serial.
    ///
    /// # Errors
    /// When the history does not reach back to it.
    pub fn back_to(&self, serial: u64, state: &State) -> Result<State> {
        self.history()?.back_to(serial, state, &self.digest()?)
    }

    /// Reads the state as it lies, whatever journals say: for who wants the outputs, which no journal holds.
    #[must_use]
    pub fn alone(mut self) -> StateManager {
        self.alone = true;
        self
    }

    /// Reads the state from a file that is not the one it is written to, until it has been written.
    #[must_use]
    pub fn with_source(mut self, source: PathBuf) -> StateManager {
        let place = LocalPlace::new(Arc::clone(&self.disk), source);
        self.source =
            (place.location() != self.place.location()).then(|| Box::new(place) as Box<dyn Place>);
        self
    }

    /// Seals what is written, and opens what is read.
    #[must_use]
    pub fn with_encryption(mut self, encryption: Arc<Encryption>) -> StateManager {
        self.encryption = encryption;
        self
    }

    /// Notes the serials of sealed states in this file, and refuses to read an older one than was seen.
    #[must_use]
    pub fn noting_serials(mut self, path: PathBuf) -> StateManager {
        self.serials = Some(Serials::at(path));
        self
    }

    /// Whether the state that was read lies there otherwise than it would be written now: in the clear, or sealed with another key.
    pub fn is_outdated(&self) -> bool {
        self.outdated
    }

    /// Where it lies, for messages and lock notes.
    pub fn location(&self) -> String {
        self.place.location()
    }

    /// Whether it lies in a file on this machine.
    pub fn is_local(&self) -> bool {
        self.place.file().is_some()
    }

    /// Takes the lock for as long as this value lives, or until [`StateManager::unlock`].
    ///
    /// # Errors
    /// [`Error::Locked`] when somebody has it.
    pub fn lock(&mut self, info: &LockInfo) -> Result<()> {
        self.place.lock(info)
    }

    pub fn holds_lock(&self) -> bool {
        self.place.holds_lock()
    }

    /// Gives the lock back.
    ///
    /// # Errors
    /// When the place does not take it back.
    pub fn unlock(&mut self) -> Result<()> {
        self.place.unlock()
    }

    /// Removes a lock that another process has left behind.
    ///
    /// # Errors
    /// When the lock is not `id`'s, or the place's locks end with the process that holds them.
    pub fn force_unlock(&mut self, id: &str) -> Result<()> {
        self.place.force_unlock(id)
    }

    /// Whether the lock is still ours, where it can be lost.
    ///
    /// # Errors
    /// [`Error::LockLost`].
    pub fn check_lock(&self) -> Result<()> {
        self.place
            .lock_watch()
            .map_or(Ok(()), |watch| watch.check())
    }

    /// The state, or `None` when there is none yet. What a run that was cut off has left in its journal is in it; while we hold
    /// the lock, that is also written.
    pub fn read(&mut self) -> Result<Option<State>> {
        // Both before the state, so that they are not of a later time than it, unless we hold the lock.
        let seen = self.serials.as_ref().map(|s| s.seen(&*self.disk));
        let copies = self.copies()?;
        let place = self.source.as_mut().unwrap_or(&mut self.place);
        let state = match place.read()? {
            Some(bytes) => {
                let location = PathBuf::from(place.location());
                let file = place.file().map(Path::to_owned);
                self.open(bytes, &location)?;
                let content = self.content()?.unwrap_or_default();
                let state = v4::parse(&content, &location)?;
                self.check_serial(&state, seen)?;
                self.seen = Some((state.serial, state.lineage.clone()));
                if let (Some(file), false) = (file, self.encryption.is_chosen()) {
                    self.content = Content::InFile(file);
                }
                Some(state)
            }
            None => None,
        };
        match self.source {
            None if !self.alone => self.settle(state, copies),
            _ => Ok(state),
        }
    }

    /// The content as last read or written, in the clear; `None` when there is none.
    fn content(&self) -> Result<Option<Cow<'_, [u8]>>> {
        Ok(match &self.content {
            Content::None => None,
            Content::Held(bytes) => Some(Cow::Borrowed(bytes)),
            Content::InFile(path) => {
                let bytes = self.disk.read(path).map_err(Error::io("reading", path))?;
                bytes.filter(|bytes| !bytes.is_empty()).map(Cow::Owned)
            }
        })
    }

    /// Takes the bytes of a state as what was read.
    fn open(&mut self, bytes: Vec<u8>, location: &Path) -> Result<()> {
        // Only what may be sealed is kept beside what it opens to.
        let kept = self.encryption.is_chosen().then(|| bytes.clone());
        let opened = self.encryption.open_state(bytes);
        let opened = opened.map_err(Error::sealed(location))?;
        self.outdated = opened.outdated;
        self.sealed = kept.filter(|_| !opened.plain);
        self.content = Content::Held(opened.content);
        Ok(())
    }

    /// An older copy of a sealed state opens as well as the newest.
    fn check_serial(&self, state: &State, before: Option<Result<Seen>>) -> Result<()> {
        match (&self.serials, before) {
            (Some(serials), Some(before)) if self.sealed.is_some() && self.source.is_none() => {
                let (lineage, serial) = (&state.lineage, state.serial);
                serials.check(&*self.disk, &before?, &self.location(), lineage, serial)
            }
            _ => Ok(()),
        }
    }

    /// What identifies the state as it lies at its place.
    fn digest(&self) -> Result<String> {
        Ok(match &self.sealed {
            Some(sealed) => digest(sealed),
            None => self
                .content()?
                .map(|bytes| digest(&bytes))
                .unwrap_or_default(),
        })
    }

    /// Settles the journals of runs that were cut off: that on this machine, and `copies` of those that other machines have left beside a remote
    /// state. One that is being written is left alone.
    fn settle(&mut self, state: Option<State>, copies: Vec<Vec<u8>>) -> Result<Option<State>> {
        self.in_doubt.clear();
        self.settlements.clear();
        let path = match self.free_journal_path() {
            Err(Error::JournalBusy { .. }) => return Ok(state),
            path => path?,
        };
        self.settled = true;
        let ours = self.disk.read(&path).map_err(Error::io("reading", &path))?;
        // The copy of our own is behind it, never ahead.
        let is_ours = |copy: &Vec<u8>| ours.as_ref().is_some_and(|ours| ours.starts_with(copy));
        let theirs: Vec<_> = copies.iter().filter(|copy| !is_ours(copy)).collect();
        if ours.is_none() && theirs.is_empty() {
            return Ok(state);
        }
        let mut found = Vec::new();
        for bytes in ours.iter().chain(theirs.iter().copied()) {
            let theirs = theirs.iter().any(|theirs| std::ptr::eq(*theirs, bytes));
            match Unfinished::parse(bytes, &path, &self.encryption) {
                Ok(None) => {}
                Ok(Some(unfinished)) => found.push((bytes, unfinished, theirs)),
                // Who only looks can do without it.
                Err(error) if theirs && !self.holds_lock() => {
                    (self.tell)(&Error::CopyNotRead(Box::new(error)));
                }
                Err(error) => return Err(error),
            }
        }
        if found.is_empty() {
            if self.holds_lock() {
                self.remove_journal(&path)?;
            }
            return Ok(state);
        }
        let mut settled = state.unwrap_or_default();
        let serial = settled.serial;
        let digest = self.digest()?;
        let mut run = Run::default();
        for (bytes, unfinished, theirs) in found {
            let mut settlement = match theirs && !self.holds_lock() {
                true => unfinished.look(&mut settled, serial, &digest),
                false => unfinished.fold(&mut settled, serial, &digest),
            };
            if self.holds_lock()
                && (settlement.damaged.is_some() || !settlement.disputed.is_empty())
            {
                let kept =
                    path.with_extension(format!("journal.{}", uuid::Uuid::new_v4().simple()));
                self.make_journal_folder(&kept)?;
                disk::replace(&*self.disk, &kept, bytes, |_| Ok(()))
                    .map_err(Error::io("keeping the journal as", &kept))?;
                settlement.kept = Some(kept);
            }
            self.in_doubt.extend_from_slice(&settlement.unknown);
            run.clone_from(&settlement.run);
            self.settlements.push(settlement);
        }
        if self.holds_lock() {
            self.write(&mut settled)?;
            self.keep_doubts(&self.in_doubt, run)?;
        }
        Ok(Some(settled))
    }

    /// The journals that lie beside a remote state. Who holds the lock must know them; who only looks can do without.
    fn copies(&self) -> Result<Vec<Vec<u8>>> {
        let Some(store) = self.place.beside().filter(|_| !self.alone) else {
            return Ok(Vec::new());
        };
        match mirror::read(&store) {
            Err(error) if !self.holds_lock() => {
                (self.tell)(&Error::CopyNotRead(Box::new(error)));
                Ok(Vec::new())
            }
            copies => copies,
        }
    }

    /// Where the copy of the journal lies, which is ours to write or remove while we hold the lock: without it, whoever wrote what is
    /// there may be at work.
    fn beside(&self) -> Option<Arc<dyn Store>> {
        self.place.beside().filter(|_| self.holds_lock())
    }

    /// Leaves a journal with nothing but what is in doubt, or none.
    fn keep_doubts(&self, in_doubt: &[Intent], run: Run) -> Result<()> {
        if in_doubt.is_empty() {
            return self.remove_journal(&self.journal);
        }
        // Dropping it leaves it to the next command.
        self.journal_with(self.journal.clone(), run, in_doubt)?;
        Ok(())
    }

    /// Whoever begins a journal is about to change something: a lock that is lost by then stops it while nothing is done yet.
    fn journal_with(&self, path: PathBuf, run: Run, in_doubt: &[Intent]) -> Result<Journal> {
        self.place.make_sure_of_lock()?;
        self.make_journal_folder(&path)?;
        Journal::begin(
            &*self.disk,
            path,
            self.header(run)?,
            in_doubt,
            self.group,
            &self.encryption,
            self.beside(),
            self.place.lock_watch(),
        )
    }

    fn make_journal_folder(&self, path: &Path) -> Result<()> {
        let folder = folder_of(path);
        self.disk
            .make_folder(folder)
            .map_err(Error::io("making the folder", folder))
    }

    fn remove_journal(&self, path: &Path) -> Result<()> {
        if let Some(store) = self.beside() {
            mirror::remove(&store)?;
        }
        let removed = self.disk.remove(path);
        match removed.and_then(|()| self.disk.sync_folder(folder_of(path))) {
            // That of a remote state may never have lain on this machine.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            outcome => outcome.map_err(Error::io("removing", path)),
        }
    }

    fn header(&self, run: Run) -> Result<Header> {
        let serial = self.seen_serial().unwrap_or_default();
        Ok(Header::new(serial, self.digest()?, run))
    }

    /// What the last reading found of runs that were cut off, once.
    pub fn take_settlements(&mut self) -> Vec<Settlement> {
        std::mem::take(&mut self.settlements)
    }

    /// Objects that may have been made by a run that was cut off, and of which nothing is known but their address.
    pub fn in_doubt(&self) -> &[Intent] {
        &self.in_doubt
    }

    /// Where the journal lies, unless another process is writing it.
    fn free_journal_path(&self) -> Result<PathBuf> {
        let path = self.journal.clone();
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
        self.journal_with(path, run, &self.in_doubt)
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
        self.write_noting(state, |serial, digest| journal.checkpoint(serial, digest))?;
        journal.caught_up();
        Ok(())
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
        note: impl FnOnce(u64, String) -> Result<()>,
    ) -> Result<()> {
        if state.lineage.is_empty() {
            state.lineage = uuid::Uuid::new_v4().to_string();
        }
        let mut before = None;
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
                match self.compare(state)? {
                    Compared::Same if self.source.is_none() && !self.outdated => return Ok(()),
                    Compared::Same => {}
                    Compared::Different(was) => {
                        state.serial = serial + 1;
                        before = was;
                    }
                }
            }
            None => state.serial = state.serial.max(1),
        }
        self.put(state, before, note)
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
            if *serial == state.serial && !matches!(self.compare(state)?, Compared::Same) {
                return Err(Error::ImportSameSerial(*serial));
            }
        }
        self.put(state, None, |_, _| Ok(()))
    }

    /// Whether the state that was read holds nothing.
    fn is_empty(&self) -> Result<bool> {
        Ok(self.as_read()?.is_none_or(|state| state.is_empty()))
    }

    /// The state that was last read or written.
    fn as_read(&self) -> Result<Option<State>> {
        let parse = |content: Cow<'_, [u8]>| v4::parse(&content, Path::new(&self.location()));
        self.content()?.map(parse).transpose()
    }

    /// Whether what was read last means this state, however it is laid out and whoever wrote it.
    fn compare(&self, state: &State) -> Result<Compared> {
        Ok(match self.as_read()? {
            Some(before) if before.says_the_same(state) => Compared::Same,
            before => Compared::Different(before),
        })
    }

    /// `before` is the state that is about to be replaced, where that has been looked at already.
    fn put(
        &mut self,
        state: &mut State,
        mut before: Option<State>,
        note: impl FnOnce(u64, String) -> Result<()>,
    ) -> Result<()> {
        self.refuse_unsettled()?;
        state.terraform_version = TERRAFORM_VERSION.into();
        let content = self.render(state)?;
        let location = PathBuf::from(self.location());
        if self.source.take().is_some() {
            // What is about to be replaced is not what was read.
            match self.place.read()? {
                Some(bytes) => self.open(bytes, &location)?,
                None => self.content = Content::None,
            }
            before = None;
        }
        if self.run.is_some() && before.is_none() {
            before = self.as_read()?;
        }
        self.back_up()?;
        let sealed = self.seal(&content, &location)?;
        let bytes = sealed.as_ref().unwrap_or(&content);
        let digest = digest(bytes);
        note(state.serial, digest.clone())?;
        self.place.write(bytes)?;
        if self.outdated {
            self.seal_history(&state.lineage, state.serial, &digest);
        }
        let only_sealed = self.outdated && self.seen_serial() == Some(state.serial);
        if !only_sealed {
            self.remember(&before.unwrap_or_default(), state, digest);
        }
        if let (Some(serials), Some(_)) = (&self.serials, &sealed) {
            serials.written(&*self.disk, &state.lineage, state.serial);
        }
        self.seen = Some((state.serial, state.lineage.clone()));
        self.content = match (self.place.file(), &sealed) {
            (Some(file), None) => Content::InFile(file.to_owned()),
            _ => Content::Held(content),
        };
        self.sealed = sealed;
        self.outdated = false;
        Ok(())
    }

    /// Adds a write to the history. The state is safe by now: that its past cannot be told is no reason to fail.
    fn remember(&self, before: &State, after: &State, digest: String) {
        let Some(run) = &self.run else {
            return;
        };
        let from = self.seen_serial().unwrap_or_default();
        let entry = Entry::of(before, after, from, digest, run.clone());
        if let Err(error) = self.add_to_history(&entry) {
            (self.tell)(&Error::HistoryNotKept(Box::new(error)));
        }
    }

    fn add_to_history(&self, entry: &Entry) -> Result<()> {
        let path = Path::new("history");
        let bytes = serde_json::to_vec(entry).map_err(|e| Error::Malformed {
            path: path.to_owned(),
            reason: e.to_string(),
        })?;
        let bytes = self.encryption.seal_other(&bytes);
        let bytes = bytes.map_err(Error::sealed(path))?;
        self.history.add(&entry.lineage, entry.serial, &bytes)
    }

    /// Lets the history follow a state that is sealed otherwise from now on: it holds what the state held, and what lay there before.
    /// `digest` is that of the state.
    fn seal_history(&self, lineage: &str, serial: u64, digest: &str) {
        let sealed = self
            .history_of(None, &self.encryption.taking_plain())
            .and_then(|history| {
                let mut entries = history.entries.into_iter();
                entries.try_for_each(|mut entry| {
                    if entry.serial == serial && entry.lineage == lineage {
                        digest.clone_into(&mut entry.digest);
                    }
                    self.add_to_history(&entry)
                })
            });
        if let Err(error) = sealed {
            (self.tell)(&Error::HistoryNotSealed(Box::new(error)));
        }
    }

    fn seen_serial(&self) -> Option<u64> {
        self.seen.as_ref().map(|(serial, _)| *serial)
    }

    /// The bytes that a state would be written as.
    ///
    /// # Errors
    /// When it cannot be sealed.
    pub fn bytes_of(&self, state: &State) -> Result<Vec<u8>> {
        let content = self.render(state)?;
        let sealed = self.seal(&content, Path::new(&self.location()))?;
        Ok(sealed.unwrap_or(content))
    }

    /// A state as it is written; `None` when that is in the clear.
    fn seal(&self, content: &[u8], path: &Path) -> Result<Option<Vec<u8>>> {
        if self.encryption.is_plain() {
            return Ok(None);
        }
        let sealed = self.encryption.seal_state(content);
        sealed.map(Some).map_err(Error::sealed(path))
    }

    fn render(&self, state: &State) -> Result<Vec<u8>> {
        v4::render(state).map_err(|e| Error::Malformed {
            path: self.location().into(),
            reason: e.to_string(),
        })
    }

    fn back_up(&mut self) -> Result<()> {
        if let (false, Some(backup)) = (self.backed_up, &self.backup)
            && let Some(content) = self.content()?
        {
            // Sealed anew: it may have been in the clear.
            let sealed = self.seal(&content, backup)?;
            let bytes = sealed.as_deref().unwrap_or(&content);
            disk::replace(&*self.disk, backup, bytes, |_| Ok(()))
                .map_err(Error::io("writing the backup", backup))?;
        }
        self.backed_up = true;
        Ok(())
    }
}
