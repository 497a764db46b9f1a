//! `backend "local"`, which is also what is used without a backend block.

use std::collections::BTreeMap;
use std::path::PathBuf;

use stead_value::schema::{Attribute, Block};
use stead_value::{Type, Value};

use crate::error::{CommandError, Result};
use crate::workspace;

/// The arguments of `backend "local"`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LocalBackend {
    path: Option<String>,
    workspace_dir: Option<String>,
}

pub(super) fn schema() -> Block {
    let text = || Attribute {
        optional: true,
        ..Attribute::new(Type::String)
    };
    Block {
        attributes: BTreeMap::from([("path".into(), text()), ("workspace_dir".into(), text())]),
        ..Block::default()
    }
}

impl LocalBackend {
    pub(super) fn of(config: &Value) -> LocalBackend {
        let argument = |name: &str| Some(config.get(name)?.as_str()?.to_owned());
        LocalBackend {
            path: argument("path"),
            workspace_dir: argument("workspace_dir"),
        }
    }

    /// The state of a workspace.
    pub(super) fn state_path(&self, workspace: &str) -> PathBuf {
        if workspace == workspace::DEFAULT {
            return self.path.as_deref().unwrap_or("terraform.tfstate").into();
        }
        self.workspaces_folder()
            .join(workspace)
            .join("terraform.tfstate")
    }

    fn workspaces_folder(&self) -> PathBuf {
        self.workspace_dir
            .as_deref()
            .unwrap_or("terraform.tfstate.d")
            .into()
    }

    pub(super) fn workspaces(&self) -> Result<Vec<String>> {
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

    pub(super) fn create(&self, workspace: &str) -> Result<()> {
        if workspace != workspace::DEFAULT {
            std::fs::create_dir_all(self.workspaces_folder().join(workspace))?;
        }
        Ok(())
    }

    pub(super) fn delete(&self, workspace: &str) -> Result<()> {
        if workspace == workspace::DEFAULT {
            return Err(CommandError::text("cannot delete default state"));
        }
        match std::fs::remove_dir_all(self.workspaces_folder().join(workspace)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e.into()),
            _ => Ok(()),
        }
    }
}
