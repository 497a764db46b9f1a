//! Keeping the state of an apply: in the journal at every step, whole from time to time and at the end.

use std::time::{Duration, Instant};

use stead_engine::apply::{Changed, StateSink};
use stead_state::journal::{Intent, Journal, JournalHandle, Run};
use stead_state::{ResourceId, State, StateManager};
use stead_value::Diagnostic;

/// The whole state is written at most this often while the journal is there, and never for more than a twentieth of the time.
const CHECKPOINT: Duration = Duration::from_secs(10);

/// Where an apply's state goes.
pub(crate) struct Recorder<'a> {
    file: &'a mut StateManager,
    /// The command that this is.
    run: Run,
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
        run: Run,
        looked_into: impl Fn(&Intent) -> bool,
    ) -> Recorder<'a> {
        let in_doubt = file.in_doubt().iter();
        let in_doubt = in_doubt.filter(|i| !looked_into(i)).cloned().collect();
        Recorder {
            file,
            run,
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
            .begin_journal(self.run.clone(), std::mem::take(&mut self.in_doubt))
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
                .changed(change.operation, change.address, objects, change.can_wait)
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

/// The state where people can find it, when it cannot be written to its place. An older copy, which may be all that is left of another run, stays unless this
/// one is whole.
fn write_copy(file: &StateManager, state: &State) -> std::io::Result<()> {
    use std::io::Write as _;
    let bytes = file.bytes_of(state).map_err(std::io::Error::other)?;
    // Readable by its owner only, as all of its kind.
    let mut file = tempfile::NamedTempFile::new_in(".")?;
    file.write_all(&bytes)?;
    file.as_file().sync_all()?;
    file.persist("errored.tfstate")?;
    std::fs::File::open(".")?.sync_all()
}
