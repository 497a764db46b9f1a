//! What has been installed: `.terraform/modules/modules.json`, in Terraform's form.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stead_lang::Files;
use stead_lang::config::{InstalledModule, InstalledModules, ModuleSource};
use stead_value::addr::Module;

use crate::FetchError;

/// Where fetched modules lie, below the root module.
pub const DIRECTORY: &str = ".terraform/modules";

/// The modules that are there, by the calls that lead to them.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    entries: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    key: String,
    source: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    dir: PathBuf,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct File {
    modules: Vec<Entry>,
}

/// The name of a module in the manifest: the calls that lead to it, with dots between.
pub fn key(module: &Module) -> String {
    module.0.iter().map(|n| &**n).collect::<Vec<_>>().join(".")
}

impl Manifest {
    /// Where the manifest of a root module lies.
    pub fn path(root: &Path) -> PathBuf {
        root.join(DIRECTORY).join("modules.json")
    }

    /// Reads the manifest below a root module; nothing when there is none.
    pub fn read(files: &dyn Files, root: &Path) -> Result<Manifest, FetchError> {
        let path = Manifest::path(root);
        let text = match files.read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Manifest::default());
            }
            Err(error) => return Err(FetchError::Disk { path, error }),
        };
        let file: File = serde_json::from_slice(&text).map_err(|error| FetchError::Answer {
            asked: path.display().to_string(),
            why: error.to_string(),
        })?;
        let mut manifest = Manifest::default();
        for mut entry in file.modules {
            // Old releases did not write sources in one form.
            if let Ok(source) = ModuleSource::parse(&entry.source) {
                entry.source = source.to_string();
            }
            manifest.entries.insert(entry.key.clone(), entry);
        }
        Ok(manifest)
    }

    /// Writes the manifest whole: a reader finds the old one or the new one.
    pub fn write(&self, root: &Path) -> Result<(), FetchError> {
        let path = Manifest::path(root);
        let directory = root.join(DIRECTORY);
        std::fs::create_dir_all(&directory).map_err(FetchError::disk(&directory))?;
        let mut modules = vec![Entry {
            key: String::new(),
            source: String::new(),
            version: None,
            dir: ".".into(),
        }];
        modules.extend(self.entries.values().filter(|e| !e.key.is_empty()).cloned());
        let text = serde_json::to_vec(&File { modules }).map_err(|error| FetchError::Answer {
            asked: path.display().to_string(),
            why: error.to_string(),
        })?;
        let mut file =
            tempfile::NamedTempFile::new_in(&directory).map_err(FetchError::disk(&directory))?;
        std::io::Write::write_all(&mut file, &text).map_err(FetchError::disk(&path))?;
        file.persist(&path).map_err(|error| FetchError::Disk {
            path,
            error: error.error,
        })?;
        Ok(())
    }

    pub(crate) fn insert(&mut self, module: &Module, installed: InstalledModule) {
        let key = key(module);
        let entry = Entry {
            key: key.clone(),
            source: installed.source,
            version: installed.version,
            dir: installed.directory,
        };
        self.entries.insert(key, entry);
    }

    /// Forgets a module and all below it.
    pub(crate) fn remove(&mut self, module: &Module) {
        let key = key(module);
        let below = format!("{key}.");
        self.entries
            .retain(|k, _| *k != key && !k.starts_with(&below));
    }
}

impl InstalledModules for Manifest {
    fn record(&self, module: &Module) -> Option<InstalledModule> {
        let entry = self.entries.get(&key(module))?;
        Some(InstalledModule {
            source: entry.source.clone(),
            version: entry.version.clone(),
            directory: entry.dir.clone(),
        })
    }
}
