//! Where the states of this folder's workspaces lie, and the one way to open them.

mod declared;
mod local;
mod other_stacks;
mod record;
mod remote;
mod setup;

use std::path::{Path, PathBuf};

use stead_lang::Files;
use stead_lang::config::{Module, load_module};
use stead_state::StateManager;
use stead_state::journal::Run;
use stead_value::schema::Block;
use stead_value::{Diagnostics, Value};

pub(crate) use declared::{Declared, declared};
pub(crate) use other_stacks::OtherStacks;
pub(crate) use record::{Compared, Record};
pub(crate) use setup::{Initialise, initialise};

use local::LocalBackend;
use remote::RemoteBackend;

use crate::args::VariableArgs;
use crate::command_line;
use crate::error::{CommandError, Result};
use crate::session::{Given, who};
use crate::workspace;

/// A backend that has been opened.
#[derive(Debug)]
pub(crate) enum Backend {
    Local(LocalBackend),
    Remote(RemoteBackend),
}

impl Backend {
    /// Opens the backend of that type with the arguments in `config`, an object of its schema's type.
    fn open(kind: &str, config: &Value) -> Result<Backend, Diagnostics> {
        Ok(match stead_backends::kind(kind) {
            Some(kind) => Backend::Remote(RemoteBackend::open(kind, config)?),
            None => Backend::Local(LocalBackend::of(config)),
        })
    }

    /// The state of a workspace.
    pub(crate) fn state(&self, workspace: &str) -> Result<StateManager> {
        match self {
            Backend::Local(local) => Ok(file(local.state_path(workspace))),
            Backend::Remote(remote) => remote.state(workspace),
        }
    }

    /// The workspaces that are there, the default one first.
    pub(crate) fn workspaces(&self) -> Result<Vec<String>> {
        match self {
            Backend::Local(local) => local.workspaces(),
            Backend::Remote(remote) => remote
                .workspaces()?
                .ok_or_else(|| CommandError::text("workspaces not supported")),
        }
    }

    /// The workspaces whose states may be there: the default one alone where there are no others. What can't be reached is found so.
    fn holds(&self) -> Result<Vec<String>> {
        match self {
            Backend::Local(local) => local.workspaces(),
            Backend::Remote(remote) => {
                let names = remote.workspaces()?;
                Ok(names.unwrap_or_else(|| vec![workspace::DEFAULT.to_owned()]))
            }
        }
    }

    /// Makes room for a new workspace's state.
    pub(crate) fn create(&self, workspace: &str) -> Result<()> {
        match self {
            Backend::Local(local) => local.create(workspace),
            Backend::Remote(remote) => remote.create(workspace),
        }
    }

    /// Removes a workspace's state.
    pub(crate) fn delete(&self, workspace: &str, force: bool) -> Result<()> {
        match self {
            Backend::Local(local) => local.delete(workspace),
            Backend::Remote(remote) => remote.delete(workspace, force),
        }
    }

    pub(crate) fn is_local(&self) -> bool {
        matches!(self, Backend::Local(_))
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
pub(crate) fn state(given: Option<&Path>) -> Result<StateManager> {
    let backend = Record::read()?.open()?;
    match given {
        Some(path) if backend.is_local() => Ok(file(path)),
        Some(path) => Err(elsewhere(path)),
        None => backend.state(&workspace::selected()?.name),
    }
}

/// The state in a file.
pub(crate) fn file(path: impl Into<PathBuf>) -> StateManager {
    StateManager::at(path).remembering(run())
}

/// This command, for journals and histories.
pub(crate) fn run() -> Run {
    Run {
        command: command_line::typed().into(),
        who: who(),
        started: crate::world::now(),
    }
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

/// Where the journal of a remote state lies on this machine, below the folder of the stack.
fn journals() -> PathBuf {
    PathBuf::from(".stead").join("journal")
}

/// The backend in use, for commands that need no more of the configuration than its backend block.
pub(crate) fn in_folder(files: &dyn Files) -> Result<Backend> {
    let (module, diagnostics) = load_module(files, Path::new(""));
    if diagnostics.has_errors() {
        return Err(diagnostics.into());
    }
    in_use(files, &module, &Given::Gather(&VariableArgs::default()))?.open()
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
