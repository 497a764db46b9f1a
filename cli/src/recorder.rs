//! Keeping the state of an apply: in the journal at every step, whole from time to time and at the end.

use std::time::{Duration, Instant};

use stead_engine::apply::{Changed, StateSink};
use stead_state::journal::{Intent, Journal, JournalHandle};
use stead_state::{ResourceId, State, StateManager};
use stead_value::Diagnostic;

use crate::backend;

/// The whole state is written at most this often while the journal is there, and never for more than a twentieth of the time.
const CHECKPOINT: Duration = Duration::from_secs(10);

/// Where an apply's state goes.
pub(crate) struct Recorder<'a> {
    file: &'a mut StateManager,
    /// What an earlier run left in doubt and this plan has not looked into.
    in_doubt: Vec<Intent>,
    journal: Option<Journal>,
    written: Instant,
    cost: Duration,
}

impl<'a> Recorder<'a> {
    /// `looked_into` says which objects the plan has asked about.
    pub(crate) fn new(
        file: &'a mut StateManager,
        looked_into: impl Fn(&Intent) -> bool,
    ) -> Recorder<'a> {
        let in_doubt = file.in_doubt().iter();
        let in_doubt = in_doubt.filter(|i| !looked_into(i)).cloned().collect();
        Recorder {
            file,
            in_doubt,
            journal: None,
            written: Instant::now(),
            cost: Duration::ZERO,
        }
    }

    fn checkpoint(&mut self, state: &mut State) -> Result<(), Diagnostic> {
        let started = Instant::now();
        let written = match &self.journal {
            Some(journal) => self.file.checkpoint(state, journal),
            None => self.file.write(state),
        };
        self.cost = started.elapsed();
        self.written = Instant::now();
        written.map_err(|e| not_saved(&format!("{e}. Nothing new is started; what runs will finish, and is written again at the end.")))
    }
}

impl StateSink for Recorder<'_> {
    fn begin(
        &mut self,
        state: &mut State,
        works: bool,
    ) -> Result<Option<JournalHandle>, Diagnostic> {
        self.checkpoint(state)?;
        if !works && self.file.in_doubt().is_empty() {
            return Ok(None);
        }
        let journal = self
            .file
            .begin_journal(backend::run(), std::mem::take(&mut self.in_doubt))
            .map_err(|e| not_saved(&format!("{e}. Nothing was changed.")))?;
        Ok(Some(self.journal.insert(journal).handle()))
    }

    fn changed(&mut self, state: &mut State, change: Changed<'_>) -> Result<(), Diagnostic> {
        let due = self.written.elapsed() > CHECKPOINT.max(self.cost * 20);
        if let Some(journal) = &self.journal {
            let resource = state.resources.get(&ResourceId::of(change.address));
            let objects = resource.and_then(|resource| {
                let objects = resource.instances.get(&change.address.key)?;
                Some((&resource.provider, &**objects))
            });
            journal
                .handle()
                .changed(change.operation, change.address, objects)
                .map_err(|e| not_saved(&format!("{e}. Nothing new is started; what runs will finish, and the state is written at the end.")))?;
        }
        self.file
            .check_lock()
            .map_err(|e| not_saved(&format!("{e}. Nothing new is started; what runs will finish. What is done stays in the journal on this machine, and the next command that gets the lock takes it from there.")))?;
        match due {
            true => self.checkpoint(state),
            false => Ok(()),
        }
    }

    fn finished(&mut self, state: &mut State) -> Result<(), Diagnostic> {
        let (written, elsewhere) = match self.journal.take() {
            Some(journal) => (
                self.file.write_last(state, journal),
                " What was done is in the journal: the next command takes it from there, when the cause is removed.",
            ),
            None => (self.file.write(state), ""),
        };
        written.map_err(|e| {
            let copy = match write_copy(self.file, state) {
                Ok(()) => "The state has been written to the file \"errored.tfstate\" in this folder as well.".to_owned(),
                Err(e) => format!("It could not be written to \"errored.tfstate\" in this folder either: {e}."),
            };
            not_saved(&format!("{e}.{elsewhere} {copy}"))
        })
    }
}

fn not_saved(detail: &str) -> Diagnostic {
    Diagnostic::error("Failed to save state", detail)
}

/// The state where people can find it, when it cannot be written to its place.
fn write_copy(file: &StateManager, state: &State) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let bytes = file.bytes_of(state).map_err(std::io::Error::other)?;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open("errored.tfstate")?;
    file.write_all(&bytes)?;
    file.sync_all()
}
