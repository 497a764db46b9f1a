//! The whole configuration: a module and the modules that it calls.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;
use stead_value::{Diagnostic, Diagnostics};
use stead_value::{SourceRange, addr};

use super::early::{EarlyModule, EarlyValues};
use super::files::load_module;
use super::model::{Early, Module, ModuleCall, ProviderConfig, ProviderName};
use super::modules::parse_source;
use super::source::ModuleSource;
use super::version::{Constraints, Version};
use crate::Files;

/// How deep modules may call modules: far beyond use, so that a module that calls itself ends in a diagnostic.
const MAX_DEPTH: usize = 50;

/// Where modules lie that are not local paths.
pub trait InstalledModules {
    /// What was installed for a module call; `None` when nothing was.
    fn record(&self, module: &addr::Module) -> Option<InstalledModule>;
}

/// A module that lies on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledModule {
    /// As [`ModuleSource`] shows it.
    pub source: String,
    pub version: Option<String>,
    pub directory: PathBuf,
}

/// No module was fetched.
pub struct NothingInstalled;

impl InstalledModules for NothingInstalled {
    fn record(&self, _: &addr::Module) -> Option<InstalledModule> {
        None
    }
}

/// A call whose module is not there, or not as it is called.
#[derive(Clone, Debug)]
pub struct MissingModule {
    pub path: addr::Module,
    pub source: ModuleSource,
    /// The version constraint, as written.
    pub version: Option<String>,
    /// The header of the call.
    pub range: SourceRange,
    pub why: Diagnostic,
}

#[derive(Clone, Debug)]
pub struct ConfigTree {
    pub root: ConfigNode,
    /// What must be installed before the configuration is whole.
    pub missing: Vec<MissingModule>,
}

/// A module with the modules that it calls. A directory that is called several times is read once.
#[derive(Clone, Debug)]
pub struct ConfigNode {
    pub path: addr::Module,
    pub module: Arc<Module>,
    /// Where it comes from; `None` for the root.
    pub source: Option<ModuleSource>,
    /// The version that is installed, of a module from a registry.
    pub version: Option<String>,
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
        ConfigTree::load_with(files, directory, installed, &|_| EarlyValues::default())
    }

    /// Like [`ConfigTree::load`], for configurations that may need variables to find their modules: `early` is asked for
    /// the values of the root module's variables when they are needed.
    pub fn load_with(
        files: &dyn Files,
        directory: &Path,
        installed: &dyn InstalledModules,
        early: &dyn Fn(&Module) -> EarlyValues,
    ) -> (ConfigTree, Diagnostics) {
        let (tree, mut diagnostics) = ConfigTree::load_partly(files, directory, installed, early);
        diagnostics.extend(tree.missing.iter().map(|m| m.why.clone()));
        (tree, diagnostics)
    }

    /// Like [`ConfigTree::load_with`], without a word on modules that are missing: for who is about to install them.
    pub fn load_partly(
        files: &dyn Files,
        directory: &Path,
        installed: &dyn InstalledModules,
        early: &dyn Fn(&Module) -> EarlyValues,
    ) -> (ConfigTree, Diagnostics) {
        let mut loader = Loader {
            files,
            installed,
            modules: HashMap::new(),
            missing: Vec::new(),
            diagnostics: Diagnostics::new(),
        };
        let root = loader.module(directory, &addr::Module::default(), None);
        let (path, children) = (addr::Module::default(), IndexMap::new());
        let root = if loader.diagnostics.has_errors() {
            // What is missing because it could not be read would be reported once more for every use.
            ConfigNode {
                path,
                module: root,
                source: None,
                version: None,
                children,
            }
        } else {
            let values = if needs_values(&root) {
                early(&root)
            } else {
                EarlyValues::default()
            };
            let early = loader.early(&root, None, &values);
            let mut stack = vec![normalize(directory)];
            let children = loader.children(&path, &early, &mut stack);
            let node = ConfigNode {
                path,
                module: Arc::clone(&root),
                source: None,
                version: None,
                children,
            };
            super::passed::check_providers(&node, &mut loader.diagnostics);
            node
        };
        let tree = ConfigTree {
            root,
            missing: loader.missing,
        };
        (tree, loader.diagnostics)
    }

    /// The same configuration with other provider configurations in its root module.
    #[must_use]
    pub fn with_providers(&self, providers: IndexMap<ProviderName, ProviderConfig>) -> ConfigTree {
        let mut tree = self.clone();
        Arc::make_mut(&mut tree.root.module).providers = providers;
        tree
    }

    /// A configuration of a root module alone.
    pub fn of_root(root: Module) -> ConfigTree {
        ConfigTree {
            root: ConfigNode {
                path: addr::Module::default(),
                module: Arc::new(root),
                source: None,
                version: None,
                children: IndexMap::new(),
            },
            missing: Vec::new(),
        }
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

/// Whether a call anywhere below may look at the module's variables.
fn needs_values(module: &Module) -> bool {
    // A child's source may depend on what it is given, so any argument may matter once there are calls at all.
    module.calls.values().any(|call| {
        matches!(call.source, Some(Early::Later(_)))
            || matches!(call.version, Some(Early::Later(_)))
            || !call.arguments.attributes.is_empty()
    })
}

struct Loader<'a> {
    files: &'a dyn Files,
    installed: &'a dyn InstalledModules,
    modules: HashMap<PathBuf, Arc<Module>>,
    missing: Vec<MissingModule>,
    diagnostics: Diagnostics,
}

impl<'a> Loader<'a> {
    /// The module in a directory, read at most once.
    fn module(
        &mut self,
        directory: &Path,
        path: &addr::Module,
        source: Option<&ModuleSource>,
    ) -> Arc<Module> {
        let key = normalize(directory);
        if let Some(module) = self.modules.get(&key) {
            return Arc::clone(module);
        }
        let (module, diagnostics) = load_module(self.files, directory);
        let unsupported = super::version::check_language(&module, path, source);
        // A configuration for another release may be wrong for this one in many ways: that alone is said.
        self.diagnostics.extend(if unsupported.has_errors() {
            unsupported
        } else {
            diagnostics
        });
        let module = Arc::new(module);
        self.modules.insert(key, Arc::clone(&module));
        module
    }

    fn early<'m>(
        &self,
        module: &'m Module,
        caller: Option<(&'m EarlyModule<'m>, &'m ModuleCall)>,
        values: &'m EarlyValues,
    ) -> EarlyModule<'m>
    where
        'a: 'm,
    {
        EarlyModule {
            module,
            caller,
            values,
            files: self.files,
            running: RefCell::default(),
        }
    }

    fn children(
        &mut self,
        path: &addr::Module,
        early: &EarlyModule<'_>,
        stack: &mut Vec<PathBuf>,
    ) -> IndexMap<Arc<str>, ConfigNode> {
        let mut children = IndexMap::new();
        for call in early.module.calls.values() {
            let mut child_path = path.clone();
            child_path.0.push(Arc::clone(&call.name));
            let Some(node) = self.child(child_path, call, early, stack) else {
                continue;
            };
            children.insert(Arc::clone(&call.name), node);
        }
        children
    }

    fn child(
        &mut self,
        path: addr::Module,
        call: &ModuleCall,
        early: &EarlyModule<'_>,
        stack: &mut Vec<PathBuf>,
    ) -> Option<ConfigNode> {
        let source = self.source(call, early)?;
        let version = self.version(call, early);
        let found = self.locate(&path, call, &source, version, &early.module.directory)?;
        let place = normalize(&found.directory);
        if stack.contains(&place) || stack.len() >= MAX_DEPTH {
            self.diagnostics.push(
                Diagnostic::error(
                    "Module calls itself",
                    format!(
                        "The module in {} is called from within itself, which never ends.",
                        found.directory.display()
                    ),
                )
                .at(call.source_range.clone()),
            );
            return None;
        }
        let module = self.module(&found.directory, &path, Some(&source));
        if let Some(backend) = &module.terraform.backend {
            self.diagnostics.push(ignored_backend(&backend.range));
        }
        if let Some(encryption) = &module.terraform.encryption {
            self.diagnostics.push(ignored_encryption(&encryption.range));
        }
        if let Some(import) = module.imports.first() {
            self.diagnostics
                .push(misplaced_import(&path, &import.range));
        }
        stack.push(place);
        let children = {
            let inner = self.early(&module, Some((early, call)), early.values);
            self.children(&path, &inner, stack)
        };
        stack.pop();
        Some(ConfigNode {
            path,
            module,
            source: Some(source),
            version: found.version,
            children,
        })
    }

    fn source(&mut self, call: &ModuleCall, early: &EarlyModule<'_>) -> Option<ModuleSource> {
        let expr = match call.source.as_ref()? {
            Early::Known(source) => return Some(source.clone()),
            Early::Later(expr) => expr,
        };
        let outcome = early.evaluate(expr);
        let failed = outcome.diagnostics.has_errors();
        self.diagnostics.extend(outcome.diagnostics);
        if failed {
            return None;
        }
        if outcome.value.is_sensitive() {
            self.diagnostics.push(
                Diagnostic::error(
                    "Invalid module source address",
                    "The source of a module can't be a sensitive value: it is shown and recorded.",
                )
                .at(expr.range()),
            );
            return None;
        }
        match parse_source(&outcome.value, call.version.is_some()) {
            Ok(source) => Some(source),
            Err(diagnostic) => {
                self.diagnostics.push(diagnostic.at(expr.range()));
                None
            }
        }
    }

    fn version(&mut self, call: &ModuleCall, early: &EarlyModule<'_>) -> Option<String> {
        let expr = match call.version.as_ref()? {
            Early::Known(version) => return Some(version.text.clone()),
            Early::Later(expr) => expr,
        };
        let outcome = early.evaluate(expr);
        let failed = outcome.diagnostics.has_errors();
        self.diagnostics.extend(outcome.diagnostics);
        if failed {
            return None;
        }
        let text = outcome.value.as_str().map(ToOwned::to_owned);
        if text.as_deref().and_then(Constraints::parse).is_none() {
            self.diagnostics.push(
                Diagnostic::error(
                    "Invalid version constraint",
                    "This string does not use correct version constraint syntax.",
                )
                .at(expr.range()),
            );
            return None;
        }
        text
    }

    /// Where the module of a call lies. What is not installed, or not as called, is noted as missing.
    fn locate(
        &mut self,
        path: &addr::Module,
        call: &ModuleCall,
        source: &ModuleSource,
        version: Option<String>,
        caller: &Path,
    ) -> Option<InstalledModule> {
        let record = match source {
            // A local path needs no installation.
            ModuleSource::Local(local) => Some(InstalledModule {
                source: source.to_string(),
                version: None,
                directory: normalize(&caller.join(local)),
            }),
            _ => self.installed.record(path),
        };
        let problem = match &record {
            None => Some(not_installed(
                "This module is not yet installed.",
                &call.range,
            )),
            Some(record) => outdated(record, call, source, version.as_deref()),
        };
        let problem = problem.or_else(|| {
            let directory = &record.as_ref()?.directory;
            let error = self.files.list(directory).err()?;
            Some(unreadable(source, call, directory, &error))
        });
        match problem {
            None => record,
            Some(why) if matches!(source, ModuleSource::Local(_)) => {
                self.diagnostics.push(why);
                None
            }
            Some(why) => {
                self.missing.push(MissingModule {
                    path: path.clone(),
                    source: source.clone(),
                    version,
                    range: call.range.clone(),
                    why,
                });
                None
            }
        }
    }
}

const RUN_INIT: &str = "Run \"stead init\" to install all modules required by this configuration.";

fn not_installed(what: &str, range: &SourceRange) -> Diagnostic {
    Diagnostic::error("Module not installed", format!("{what} {RUN_INIT}")).at(range.clone())
}

/// Whether what is installed is what is called now.
fn outdated(
    record: &InstalledModule,
    call: &ModuleCall,
    source: &ModuleSource,
    version: Option<&str>,
) -> Option<Diagnostic> {
    let changed = |summary: &str, detail: String| {
        Diagnostic::error(summary, format!("{detail} {RUN_INIT}")).at(call.source_range.clone())
    };
    if record.source != source.to_string() {
        return Some(changed(
            "Module source has changed",
            "The source address was changed since this module was installed.".into(),
        ));
    }
    let summary = "Module version requirements have changed";
    let constraints = version.and_then(Constraints::parse)?;
    match record.version.as_deref() {
        None => Some(changed(
            summary,
            "The version requirements have changed since this module was installed and the installed version is no longer acceptable.".into(),
        )),
        Some(installed) if !Version::parse(installed).is_some_and(|v| constraints.allow(&v)) => Some(changed(
            summary,
            format!("The version requirements have changed since this module was installed and the installed version ({installed}) is no longer acceptable."),
        )),
        Some(_) => None,
    }
}

fn unreadable(
    source: &ModuleSource,
    call: &ModuleCall,
    directory: &Path,
    error: &std::io::Error,
) -> Diagnostic {
    if let ModuleSource::Local(_) = source {
        return Diagnostic::error(
            "Module not installed",
            format!(
                "The directory {} could not be read for module \"{}\": {error}. The path in \"source\" is relative to the calling module.",
                directory.display(),
                call.name
            ),
        )
        .at(call.range.clone());
    }
    not_installed(
        &format!(
            "This module's local cache directory {} could not be read.",
            directory.display()
        ),
        &call.range,
    )
}

fn ignored_backend(range: &SourceRange) -> Diagnostic {
    Diagnostic::warning(
        "Backend configuration ignored",
        "Any selected backend applies to the entire configuration, so Terraform expects provider configurations only in the root module.\n\nThis is a warning rather than an error because it's sometimes convenient to temporarily call a root module as a child module for testing purposes, but this backend configuration block will have no effect.",
    )
    .at(range.clone())
}

fn ignored_encryption(range: &SourceRange) -> Diagnostic {
    Diagnostic::warning(
        "Encryption configuration ignored",
        "States and plan files are sealed as the root module says: an encryption block in a module that is called has no effect.",
    )
    .at(range.clone())
}

fn misplaced_import(path: &addr::Module, range: &SourceRange) -> Diagnostic {
    Diagnostic::error(
        "Invalid import configuration",
        format!("An import block was detected in \"{path}\". Import blocks are only allowed in the root module."),
    )
    .at(range.clone())
}

/// The path without `.` and, where possible, without `..`; nothing on disk is looked at.
pub(super) fn normalize(path: &Path) -> PathBuf {
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
