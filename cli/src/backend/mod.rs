//! Where the states of this folder's workspaces lie, and the one way to open them.

mod declared;
mod local;
mod other_stacks;
mod record;
mod remote;
mod setup;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stead_lang::Files;
use stead_lang::config::{Module, load_module};
use stead_state::encryption::Encryption;
use stead_state::journal::Run;
use stead_state::{State, StateManager};
use stead_value::schema::Block;
use stead_value::{Diagnostic, Diagnostics, Value};

pub(crate) use declared::{Declared, declared};
pub(crate) use other_stacks::OtherStacks;
pub(crate) use record::{Compared, Record};
pub(crate) use setup::{Initialise, initialise};

use local::LocalBackend;
use remote::RemoteBackend;

use crate::args::VariableArgs;
use crate::command_line;
use crate::commands::print_error;
use crate::encryption::{self, Encryptions};
use crate::error::{CommandError, Result, colour_wanted};
use crate::render::Style;
use crate::render::arrange::Layout;
use crate::render::diagnostics::{Sources, render};
use crate::session::{Given, lock_info, who};
use crate::workspace;
use crate::world::Disk;

/// A backend that has been opened.
#[derive(Debug)]
pub(crate) struct Backend {
    place: Place,
    /// Seals and opens every state that lies there.
    encryption: Arc<Encryption>,
}

#[derive(Debug)]
enum Place {
    Local(LocalBackend),
    Remote(RemoteBackend),
}

impl Backend {
    /// Opens the backend of that type with the arguments in `config`, an object of its schema's type.
    fn open(kind: &str, config: &Value, encryptions: &Encryptions) -> Result<Backend, Diagnostics> {
        let place = match stead_backends::kind(kind) {
            Some(kind) => Place::Remote(RemoteBackend::open(kind, config)?),
            None => Place::Local(LocalBackend::of(config)),
        };
        Ok(Backend::new(place, encryptions))
    }

    /// The files that are used where no backend was set up.
    fn of_no_block(encryptions: &Encryptions) -> Backend {
        Backend::new(Place::Local(LocalBackend::default()), encryptions)
    }

    fn new(place: Place, encryptions: &Encryptions) -> Backend {
        Backend {
            place,
            encryption: Arc::clone(&encryptions.state),
        }
    }

    /// The state of a workspace.
    pub(crate) fn state(&self, workspace: &str) -> Result<StateManager> {
        let state = match &self.place {
            Place::Local(local) => file(local.state_path(workspace)),
            Place::Remote(remote) => remote.state(workspace)?,
        };
        Ok(state.with_encryption(Arc::clone(&self.encryption)))
    }

    /// The state of the selected workspace. That of a folder's own work is not to become older unnoticed.
    pub(crate) fn selected(&self) -> Result<StateManager> {
        let state = self.state(&workspace::current()?)?;
        Ok(state.noting_serials(PathBuf::from(OURS).join("serials.json")))
    }

    /// The workspaces that are there, the default one first.
    pub(crate) fn workspaces(&self) -> Result<Vec<String>> {
        match &self.place {
            Place::Local(local) => local.workspaces(),
            Place::Remote(remote) => remote
                .workspaces()?
                .ok_or_else(|| CommandError::text("workspaces not supported")),
        }
    }

    /// The workspaces whose states may be there: the default one alone where there are no others. What can't be reached is found so.
    fn holds(&self) -> Result<Vec<String>> {
        match &self.place {
            Place::Local(local) => local.workspaces(),
            Place::Remote(remote) => {
                let names = remote.workspaces()?;
                Ok(names.unwrap_or_else(|| vec![workspace::DEFAULT.to_owned()]))
            }
        }
    }

    /// Makes room for a new workspace's state.
    pub(crate) fn create(&self, workspace: &str) -> Result<()> {
        match &self.place {
            Place::Local(local) => local.create(workspace),
            // An empty state, so that the workspace can be seen by others.
            Place::Remote(_) => {
                let mut state = self.state(workspace)?;
                state.lock(&lock_info("init", &state.location()))?;
                if state.read()?.is_none() {
                    state.write(&mut State::new())?;
                }
                Ok(state.unlock()?)
            }
        }
    }

    /// Removes a workspace's state.
    pub(crate) fn delete(&self, workspace: &str, force: bool) -> Result<()> {
        match &self.place {
            Place::Local(local) => local.delete(workspace),
            Place::Remote(remote) => remote.delete(workspace, force),
        }
    }

    pub(crate) fn is_local(&self) -> bool {
        matches!(self.place, Place::Local(_))
    }
}

/// What may stand in the block of a backend of that type; `None` when there is no such type.
fn schema(kind: &str) -> Option<Block> {
    match kind {
        "local" => Some(local::schema()),
        kind => Some((stead_backends::kind(kind)?.schema)()),
    }
}

/// The state that a command is about: in the file that is named, or the selected workspace's, by the last `init`.
pub(crate) fn state(given: Option<&Path>, encryptions: &Encryptions) -> Result<StateManager> {
    let backend = Record::read()?.open(encryptions)?;
    match given {
        Some(path) if backend.is_local() => Ok(in_file(path, encryptions)),
        Some(path) => Err(elsewhere(path)),
        None => backend.selected(),
    }
}

/// The selected workspace's state, by the last `init`, which must be what the configuration declares.
pub(crate) fn selected(encryptions: &Encryptions) -> Result<StateManager> {
    in_folder(&Disk)?;
    Record::read()?.open(encryptions)?.selected()
}

/// The state in a file that is named.
pub(crate) fn in_file(path: &Path, encryptions: &Encryptions) -> StateManager {
    file(path).with_encryption(Arc::clone(&encryptions.state))
}

/// The state in a file.
fn file(path: impl Into<PathBuf>) -> StateManager {
    StateManager::at(path).remembering(run()).telling(tell)
}

/// This command, for journals and histories.
pub(crate) fn run() -> Run {
    Run {
        command: command_line::typed().into(),
        who: who(),
        started: crate::world::now(),
    }
}

/// Says what went wrong beside something that succeeded.
fn tell(error: &stead_state::Error) {
    use stead_state::Error::{CopyNotRead, HistoryNotKept, HistoryNotSealed};
    let told = match error {
        HistoryNotKept(_) => format!("{error}. `stead state undo` cannot go back beyond this."),
        HistoryNotSealed(_) => format!(
            "{error}. Remove the history, or mend the cause and run `stead state rekey` again."
        ),
        CopyNotRead(_) => format!(
            "{error}. The state is shown as it lies. A command that takes the lock, such as `stead plan`, needs to read and list what lies beside it."
        ),
        // A lock that stays behind when the command has ended.
        error => format!(
            "Error message: {error}\n\nThe lock of the state may still be there, taken by {}. Look at who holds it with `stead plan`, and remove it with `stead force-unlock`.",
            who()
        ),
    };
    let diagnostic = match error {
        HistoryNotKept(_) => Diagnostic::warning("History not written", told),
        HistoryNotSealed(_) => Diagnostic::warning("History not sealed", told),
        CopyNotRead(_) => Diagnostic::warning("Journal beside the state not read", told),
        _ => Diagnostic::error("Error releasing the state lock", told),
    };
    let style = Style {
        colour: colour_wanted(std::io::stderr().is_terminal()),
    };
    print_error(&render(
        &diagnostic.into(),
        &Sources::default(),
        style,
        Layout::default(),
    ));
}

/// A flag that names a file, where the state lies at a remote place.
fn elsewhere(path: &Path) -> CommandError {
    CommandError::new(
        "The state is not in a file",
        format!(
            "This folder keeps its state at a remote place, so that -state={} has no meaning here. Leave the flag out.",
            path.display()
        ),
    )
}

/// The folder of a stack's own for what only stead knows.
const OURS: &str = ".stead";

/// Where the journal of a remote state lies on this machine, below the folder of the stack.
fn journals() -> PathBuf {
    PathBuf::from(OURS).join("journal")
}

/// The backend in use, for commands that need no more of the configuration than its `terraform` blocks.
pub(crate) fn in_folder(files: &dyn Files) -> Result<Backend> {
    let (module, diagnostics) = load_module(files, Path::new(""));
    if diagnostics.has_errors() {
        return Err(diagnostics.into());
    }
    let given = Given::Gather(&VariableArgs::default());
    let record = in_use(files, &module, &given)?;
    record.open(&encryption::of(files, &module, &given)?.0)
}

/// What the last `init` set up, which must be what the configuration declares.
pub(crate) fn in_use(files: &dyn Files, root: &Module, given: &Given<'_>) -> Result<Record> {
    workspace::current()?;
    let declared = declared(files, root, given, &[])?;
    let record = Record::read()?;
    match record.compare(declared.as_ref()) {
        Compared::Same => Ok(record),
        Compared::Different(reason) => Err(CommandError::new(
            reason.summary(),
            format!(
                "Reason: {reason}\n\nThe \"backend\" is where stead keeps the state. The configuration asks for another one than the last `stead init` set up here, so the state may be at another place. Run `stead init -migrate-state` to take the state along, or `stead init -reconfigure` to use what is at the new place. Nothing has been changed."
            ),
        )),
    }
}
