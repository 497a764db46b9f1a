//! The whole configuration: a module and the modules that it calls.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;
use stead_value::addr;
use stead_value::{Diagnostic, Diagnostics};

use super::files::load_module;
use super::model::{Module, ModuleCall, ModuleSource};
use crate::Files;

/// How deep modules may call modules: far beyond use, so that a module that calls itself ends in a diagnostic.
const MAX_DEPTH: usize = 50;

/// Where modules lie that are not local paths.
pub trait InstalledModules {
    /// The directory of a module that was fetched before; `None` when it was not.
    fn directory(
        &self,
        module: &addr::Module,
        source: &str,
        version: Option<&str>,
    ) -> Option<PathBuf>;
}

/// No module was fetched.
pub struct NothingInstalled;

impl InstalledModules for NothingInstalled {
    fn directory(&self, _: &addr::Module, _: &str, _: Option<&str>) -> Option<PathBuf> {
        None
    }
}

#[derive(Debug)]
pub struct ConfigTree {
    pub root: ConfigNode,
}

/// A module with the modules that it calls. A directory that is called several times is read once.
#[derive(Debug)]
pub struct ConfigNode {
    pub path: addr::Module,
    pub module: Arc<Module>,
    /// By call name.
    pub children: IndexMap<Arc<str>, ConfigNode>,
}

impl ConfigTree {
    /// Reads a root module and all that it calls. With errors, what could be read is there all the same.
    pub fn load(
        files: &dyn Files,
        directory: &Path,
        installed: &dyn InstalledModules,
    ) -> (ConfigTree, Diagnostics) {
        let mut loader = Loader {
            files,
            installed,
            modules: HashMap::new(),
            diagnostics: Diagnostics::new(),
        };
        let root = loader.module(directory);
        if root.files.is_empty() && !loader.diagnostics.has_errors() {
            loader.diagnostics.push(Diagnostic::error(
                "No configuration files",
                format!("The directory {} holds no configuration: no file named *.tf, *.tofu or *.tf.json.", directory.display()),
            ));
        }
        let mut stack = vec![normalize(directory)];
        let root = loader.node(addr::Module::default(), root, &mut stack);
        let tree = ConfigTree { root };
        // What is missing because it could not be read would be reported once more for every use.
        if !tree.nodes().iter().any(|node| node.module.broken) {
            super::check::check_tree(&tree, &mut loader.diagnostics);
        }
        (tree, loader.diagnostics)
    }

    /// The module at a path of calls.
    pub fn get(&self, path: &addr::Module) -> Option<&ConfigNode> {
        path.0
            .iter()
            .try_fold(&self.root, |node, name| node.children.get(name))
    }

    /// All modules, callers before what they call.
    pub fn nodes(&self) -> Vec<&ConfigNode> {
        let mut nodes = vec![&self.root];
        let mut at = 0;
        while let Some(node) = nodes.get(at).copied() {
            nodes.extend(node.children.values());
            at += 1;
        }
        nodes
    }
}

struct Loader<'a> {
    files: &'a dyn Files,
    installed: &'a dyn InstalledModules,
    modules: HashMap<PathBuf, Arc<Module>>,
    diagnostics: Diagnostics,
}

impl Loader<'_> {
    /// The module in a directory, read at most once.
    fn module(&mut self, directory: &Path) -> Arc<Module> {
        let key = normalize(directory);
        if let Some(module) = self.modules.get(&key) {
            return Arc::clone(module);
        }
        let (module, diagnostics) = load_module(self.files, directory);
        self.diagnostics.extend(diagnostics);
        let module = Arc::new(module);
        self.modules.insert(key, Arc::clone(&module));
        module
    }

    fn node(
        &mut self,
        path: addr::Module,
        module: Arc<Module>,
        stack: &mut Vec<PathBuf>,
    ) -> ConfigNode {
        let mut children = IndexMap::new();
        for call in module.calls.values() {
            let mut child_path = path.clone();
            child_path.0.push(Arc::clone(&call.name));
            let Some(directory) = self.directory(&module, call, &child_path) else {
                continue;
            };
            let place = normalize(&directory);
            if stack.contains(&place) || stack.len() >= MAX_DEPTH {
                self.diagnostics.push(
                    Diagnostic::error(
                        "Module calls itself",
                        format!(
                            "The module in {} is called from within itself, which never ends.",
                            directory.display()
                        ),
                    )
                    .at(call.source_range.clone()),
                );
                continue;
            }
            let unreadable = |why: String| {
                Diagnostic::error(
                    "Unreadable module directory",
                    format!("The directory {} {why}.", directory.display()),
                )
                .at(call.source_range.clone())
            };
            if let Err(error) = self.files.list(&directory) {
                self.diagnostics
                    .push(unreadable(format!("can't be read: {error}")));
                continue;
            }
            let errors_before = self.diagnostics.len();
            let child = self.module(&directory);
            if child.files.is_empty() && self.diagnostics.len() == errors_before {
                self.diagnostics
                    .push(unreadable("holds no configuration files".into()));
                continue;
            }
            stack.push(place);
            let child = self.node(child_path, child, stack);
            stack.pop();
            children.insert(Arc::clone(&call.name), child);
        }
        ConfigNode {
            path,
            module,
            children,
        }
    }

    fn directory(
        &mut self,
        module: &Module,
        call: &ModuleCall,
        path: &addr::Module,
    ) -> Option<PathBuf> {
        match &call.source {
            ModuleSource::Local(source) => Some(normalize(&module.directory.join(source))),
            ModuleSource::Remote(source) => {
                let version = call.version.as_ref().map(|v| v.text.as_str());
                let found = self.installed.directory(path, source, version);
                if found.is_none() {
                    self.diagnostics.push(
                        Diagnostic::error(
                            "Module not installed",
                            "stead does not fetch modules yet. Let `terraform get` (or `tofu get`) fetch it once: stead reads \
                             what lies in .terraform/modules. Or copy the module beside this configuration and call it \
                             by its path.",
                        )
                        .at(call.source_range.clone()),
                    );
                }
                found
            }
        }
    }
}

/// The path without `.` and, where possible, without `..`; nothing on disk is looked at.
fn normalize(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(out.components().next_back(), Some(Component::Normal(_))) =>
            {
                out.pop();
            }
            part => out.push(part),
        }
    }
    if out.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        out
    }
}
