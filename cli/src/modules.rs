//! Modules that Terraform or OpenTofu fetched: `.terraform/modules/modules.json`.

use std::collections::HashMap;
use std::path::PathBuf;

use serde::Deserialize;
use stead_lang::config::InstalledModules;
use stead_value::addr::Module;

/// What `terraform get` wrote; nothing when it never ran here.
#[derive(Default)]
pub(crate) struct FetchedModules {
    by_key: HashMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    /// The calls that lead to the module, with dots between.
    key: String,
    source: String,
    dir: PathBuf,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Manifest {
    modules: Vec<Entry>,
}

impl FetchedModules {
    /// A manifest that cannot be read counts as none: the module is then named as not installed.
    pub(crate) fn read() -> FetchedModules {
        let text = std::fs::read(".terraform/modules/modules.json").unwrap_or_default();
        let manifest: Option<Manifest> = serde_json::from_slice(&text).ok();
        let entries = manifest.map(|m| m.modules).unwrap_or_default();
        FetchedModules {
            by_key: entries.into_iter().map(|e| (e.key.clone(), e)).collect(),
        }
    }
}

impl InstalledModules for FetchedModules {
    fn directory(&self, module: &Module, source: &str, _version: Option<&str>) -> Option<PathBuf> {
        let key = module.0.iter().map(|n| &**n).collect::<Vec<_>>().join(".");
        let entry = self.by_key.get(&key)?;
        // Terraform writes registry sources with their host.
        let same = entry.source == source || entry.source.ends_with(&format!("/{source}"));
        same.then(|| entry.dir.clone())
    }
}
