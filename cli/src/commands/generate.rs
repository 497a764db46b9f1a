//! `plan -generate-config-out=FILE`: configuration for what import blocks bring in and nothing declares.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stead_engine::eval::Phase;
use stead_engine::plan::{Generated, Options};
use stead_engine::{Event, PlanMode};
use stead_lang::Files;
use stead_lang::generate::Detail;
use stead_sdk::ImportBy;
use stead_state::{State, StateManager};
use stead_value::{Diagnostic, Diagnostics};
use tokio_util::sync::CancellationToken;

use crate::error::{CommandError, Result};
use crate::session::Session;
use crate::settled;
use crate::world::Disk;

const HEADER: &str = "# __generated__ by Terraform\n# Please review these resources and move them into your main configuration files.\n";

/// What was written, and the file that it goes to.
pub(crate) struct Writing {
    path: PathBuf,
    text: Option<String>,
    pub(crate) objects: Vec<Generated>,
    /// What could not be written, and why.
    pub(crate) diagnostics: Diagnostics,
}

/// Refuses what no plan could do.
pub(crate) fn check(path: &Path, mode: PlanMode) -> Result<()> {
    if mode != PlanMode::Normal {
        return Err(CommandError::new(
            "Invalid generate-config-out flag",
            "Config can only be generated during a normal plan operation, and not during a refresh-only or destroy plan.",
        ));
    }
    if path.symlink_metadata().is_ok() {
        return Err(CommandError::new(
            "Target generated file already exists",
            "stead can only write generated config into a new file. Either choose a different target location or move all existing configuration out of the target file, delete it and try again.",
        ));
    }
    Ok(())
}

impl Writing {
    /// Reads the objects and writes their configuration; nothing is on the disk yet.
    pub(crate) async fn of(
        session: &Session,
        state: &mut StateManager,
        path: &Path,
        options: Options,
        cancel: CancellationToken,
    ) -> Result<Writing> {
        let prior = settled::read(state)?.unwrap_or_else(State::new);
        let evaluator = session.evaluator(Phase::Plan);
        let (objects, diagnostics) = stead_engine::plan::generate(
            &evaluator,
            &session.registry,
            prior,
            options,
            Detail::Everything,
            // The plan that follows tells of the same imports.
            Arc::new(|_: Event| {}),
            cancel,
        )
        .await;
        Ok(Writing {
            path: path.to_owned(),
            text: (!objects.is_empty()).then(|| text(&objects)),
            objects,
            diagnostics,
        })
    }

    /// The stack's files with the new one among those of the root module.
    pub(crate) fn files(&self) -> WithGenerated {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        WithGenerated::beside(&name, self.text.clone().unwrap_or_default())
    }

    /// Writes the file, if there is anything for it; says so.
    pub(crate) fn save(&self) -> Result<Option<Diagnostic>> {
        let Some(text) = &self.text else {
            return Ok(None);
        };
        let path = self.path.display();
        std::fs::write(&self.path, text).map_err(|error| {
            let detail = match error.kind() {
                io::ErrorKind::PermissionDenied => format!("stead did not have permission to create the generated file ({path}) in the target directory. Please modify permissions over the target directory, and try again."),
                _ => format!("stead could not create the generated file ({path}) in the target directory: {error}."),
            };
            CommandError::new("Failed to create target generated file", detail)
        })?;
        Ok(Some(Diagnostic::warning(
            "Config generation is experimental",
            "Generating configuration during import is currently experimental, and the generated configuration format may change in future versions.",
        )))
    }

    /// Where the configuration was written, if any was.
    pub(crate) fn written(&self) -> Option<&Path> {
        self.text.as_ref().map(|_| self.path.as_path())
    }
}

fn text(objects: &[Generated]) -> String {
    let mut text = HEADER.to_owned();
    for object in objects {
        let from = match &object.by {
            ImportBy::Id(id) => format!(" from {}", serde_json::Value::from(id.as_str())),
            ImportBy::Identity(_) => String::new(),
        };
        text.push_str(&format!(
            "\n# __generated__ by Terraform{from}\n{}\n",
            object.text
        ));
    }
    text
}

/// The disk, and one file more in the root module's folder, in place of one that has its name.
pub(crate) struct WithGenerated {
    name: String,
    text: String,
}

impl WithGenerated {
    pub(super) fn new(name: String, text: String) -> WithGenerated {
        WithGenerated { name, text }
    }

    /// Under a name that no file has, like this one.
    pub(super) fn beside(name: &str, text: String) -> WithGenerated {
        let mut name = PathBuf::from(name);
        if name.extension().is_none_or(|e| e != "tf") {
            name.as_mut_os_string().push(".tf");
        }
        while name.exists() {
            name = PathBuf::from(format!("generated-{}", name.display()));
        }
        WithGenerated::new(name.display().to_string(), text)
    }
}

impl Files for WithGenerated {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path == Path::new(&self.name) {
            return Ok(self.text.clone().into_bytes());
        }
        Disk.read(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let mut names = Disk.list(directory)?;
        if directory.as_os_str().is_empty() {
            names.push(self.name.clone());
            names.sort();
            names.dedup();
        }
        Ok(names)
    }

    fn exists(&self, path: &Path) -> bool {
        path == Path::new(&self.name) || Disk.exists(path)
    }

    fn walk(&self, directory: &Path) -> io::Result<Vec<String>> {
        Disk.walk(directory)
    }
}
