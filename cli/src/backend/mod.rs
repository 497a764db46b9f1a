//! Where the local backend keeps the state of each workspace.

mod record;
mod setup;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use stead_lang::Files;
use stead_lang::config::{Backend, EarlyValues, Module, early_arguments, load_module};
use stead_lang::syntax::{Body, SourceFile, parse_file};
use stead_value::{Diagnostic, Diagnostics};

pub(crate) use record::{Compared, Record};
pub(crate) use setup::{Initialise, initialise};

use crate::args::VariableArgs;
use crate::error::{CommandError, Result};
use crate::session::Given;
use crate::workspace;

/// The arguments of `backend "local"`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LocalBackend {
    pub(crate) path: Option<String>,
    pub(crate) workspace_dir: Option<String>,
}

impl LocalBackend {
    fn with(self, other: LocalBackend) -> LocalBackend {
        LocalBackend {
            path: other.path.or(self.path),
            workspace_dir: other.workspace_dir.or(self.workspace_dir),
        }
    }

    /// The state of a workspace.
    pub(crate) fn state_path(&self, workspace: &str) -> PathBuf {
        if workspace == workspace::DEFAULT {
            return self.path.as_deref().unwrap_or("terraform.tfstate").into();
        }
        self.workspaces_folder()
            .join(workspace)
            .join("terraform.tfstate")
    }

    pub(crate) fn workspaces_folder(&self) -> PathBuf {
        self.workspace_dir
            .as_deref()
            .unwrap_or("terraform.tfstate.d")
            .into()
    }

    /// The workspaces that are there, the default one first.
    pub(crate) fn workspaces(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        match std::fs::read_dir(self.workspaces_folder()) {
            Ok(entries) => {
                for entry in entries {
                    let entry = entry?;
                    if entry.path().is_dir() {
                        names.push(entry.file_name().to_string_lossy().into_owned());
                    }
                }
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(e.into()),
        }
        names.sort();
        names.insert(0, workspace::DEFAULT.to_owned());
        Ok(names)
    }
}

/// A backend as the configuration declares it.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    /// What stands in the block.
    block: LocalBackend,
    /// The same with what `-backend-config` adds.
    whole: LocalBackend,
}

impl Declared {
    /// Whether `-backend-config` adds something.
    fn extended(&self) -> bool {
        self.block != self.whole
    }
}

/// Where the selected workspace keeps its state, by the last `init`.
pub(crate) fn state_path() -> Result<PathBuf> {
    let backend = Record::read()?.local().unwrap_or_default();
    Ok(backend.state_path(&workspace::selected()?.name))
}

/// The backend in use, for commands that need no more of the configuration than its backend block.
pub(crate) fn in_folder(files: &dyn Files) -> Result<LocalBackend> {
    let (module, diagnostics) = load_module(files, Path::new(""));
    if diagnostics.has_errors() {
        return Err(diagnostics.into());
    }
    in_use(files, &module, &Given::Gather(&VariableArgs::default()))
}

/// The backend in use: the declared one, which must be that of the last `init`.
pub(crate) fn in_use(files: &dyn Files, root: &Module, given: &Given<'_>) -> Result<LocalBackend> {
    workspace::current()?;
    let declared = declared(files, root, given, &[])?;
    let record = Record::read()?;
    match record.compare(declared.as_ref()) {
        Compared::Same => Ok(record.local().unwrap_or_default()),
        Compared::Different(reason) => Err(CommandError::new(
            reason.summary(),
            format!(
                "Reason: {reason}\n\nThe \"backend\" is where stead keeps the state. The configuration asks for another one than the last `stead init` set up here, so the state may be at another place. Run `stead init -migrate-state` to take the state along, or `stead init -reconfigure` to use what is at the new place. Nothing has been changed."
            ),
        )),
    }
}

/// What the configuration says of the backend.
pub(crate) fn declared(
    files: &dyn Files,
    root: &Module,
    given: &Given<'_>,
    besides: &[String],
) -> Result<Option<Declared>> {
    let Some(block) = &root.terraform.backend else {
        return Ok(None);
    };
    local_only(block)?;
    let mut diagnostics = Diagnostics::new();
    let values = given.early(files, root, &workspace::selected()?.name);
    let in_block = arguments(files, root, &block.body, &values, &mut diagnostics);
    let mut whole = in_block.clone();
    for text in besides {
        whole = whole.with(added(files, root, text, &values, &mut diagnostics));
    }
    diagnostics.into_result()?;
    Ok(Some(Declared {
        block: in_block,
        whole,
    }))
}

/// What one `-backend-config` adds: an argument, or the arguments in a file.
fn added(
    files: &dyn Files,
    root: &Module,
    text: &str,
    values: &EarlyValues,
    diagnostics: &mut Diagnostics,
) -> LocalBackend {
    let unknown = |name: &str| {
        Diagnostic::error(
            "Invalid backend configuration argument",
            format!(
                "The backend configuration argument {name:?} given on the command line is not expected for the selected backend type."
            ),
        )
    };
    let mut backend = LocalBackend::default();
    match text.split_once('=') {
        Some(("path", value)) => backend.path = Some(value.to_owned()),
        Some(("workspace_dir", value)) => backend.workspace_dir = Some(value.to_owned()),
        Some((name, _)) => diagnostics.push(unknown(name)),
        None => match files.read(Path::new(text)) {
            Ok(bytes) => {
                let source = SourceFile::new(text, String::from_utf8_lossy(&bytes));
                let (body, problems) = parse_file(&Arc::new(source));
                diagnostics.extend(problems);
                return arguments(files, root, &body, values, diagnostics);
            }
            Err(e) => diagnostics.push(Diagnostic::error(
                "Failed to read file",
                format!("The file {text:?} could not be read: {e}."),
            )),
        },
    }
    backend
}

/// The arguments of the local backend that a body gives.
fn arguments(
    files: &dyn Files,
    root: &Module,
    body: &Body,
    values: &EarlyValues,
    diagnostics: &mut Diagnostics,
) -> LocalBackend {
    let (arguments, problems) = early_arguments(files, root, body, values);
    diagnostics.extend(problems);
    let mut backend = LocalBackend::default();
    for (name, value) in arguments {
        if value.is_null() {
            continue;
        }
        let place = match &*name {
            "path" => &mut backend.path,
            "workspace_dir" => &mut backend.workspace_dir,
            _ => {
                let range = body.attribute(&name).map(|a| body.file.range(a.name_span));
                let diagnostic = Diagnostic::error(
                    "Unsupported argument",
                    format!("An argument named \"{name}\" is not expected here."),
                );
                diagnostics.push(match range {
                    Some(range) => diagnostic.at(range),
                    None => diagnostic,
                });
                continue;
            }
        };
        match value.as_str() {
            Some("") | None => diagnostics.push(
                Diagnostic::error(
                    "Invalid local state file path",
                    format!("The \"{name}\" attribute value must be a string that is not empty."),
                )
                .at(body.attribute(&name).map_or_else(
                    || body.file.range(body.span),
                    |a| body.file.range(a.expr.span()),
                )),
            ),
            Some(text) => *place = Some(text.to_owned()),
        }
    }
    backend
}

/// Only the local backend is here yet; anything else is refused rather than ignored.
fn local_only(block: &Backend) -> Result<(), Diagnostics> {
    if &*block.kind == "local" {
        return Ok(());
    }
    Err(Diagnostic::error(
        "Backend not supported yet",
        format!("stead keeps state in a local file so far; the backend \"{}\" is not supported yet. Take the block out to keep the state in terraform.tfstate.", block.kind),
    )
    .at(block.range.clone())
    .into())
}
