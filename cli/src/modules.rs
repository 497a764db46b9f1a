//! Modules that were fetched: `.terraform/modules/modules.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stead_lang::Files;
use stead_lang::config::{InstalledModule, InstalledModules, ModuleSource};
use stead_value::addr::Module;

/// Where fetched modules lie.
pub(crate) const MODULES: &str = ".terraform/modules";

/// What `init` or `get`, or another tool's, wrote; nothing when they never ran here.
#[derive(Default)]
pub(crate) struct Manifest {
    entries: BTreeMap<String, Entry>,
}

/// One line of the manifest, in Terraform's form.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    /// The calls that lead to the module, with dots between.
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

/// The name of a module in the manifest.
pub(crate) fn key(module: &Module) -> String {
    module.0.iter().map(|n| &**n).collect::<Vec<_>>().join(".")
}

impl Manifest {
    pub(crate) fn path() -> PathBuf {
        Path::new(MODULES).join("modules.json")
    }

    /// A manifest that cannot be read counts as none: the modules are then named as not installed.
    pub(crate) fn read(files: &dyn Files) -> Manifest {
        let text = files.read(&Manifest::path()).unwrap_or_default();
        let file: Option<File> = serde_json::from_slice(&text).ok();
        let mut entries = file.map(|f| f.modules).unwrap_or_default();
        for entry in &mut entries {
            // Old releases did not write sources in one form.
            if let Ok(source) = ModuleSource::parse(&entry.source) {
                entry.source = source.to_string();
            }
        }
        Manifest {
            entries: entries.into_iter().map(|e| (e.key.clone(), e)).collect(),
        }
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
