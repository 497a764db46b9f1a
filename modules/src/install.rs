//! Installing what a configuration calls and does not have yet.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use stead_lang::Files;
use stead_lang::config::{
    ConfigTree, Constraints, EarlyValues, InstalledModule, InstalledModules as _, MissingModule,
    Module, ModuleSource, RegistryModule, RemoteModule, Version,
};
use stead_value::{Diagnostic, Diagnostics, addr};

use crate::manifest::{DIRECTORY, Manifest, key};
use crate::{FetchError, Remote};

/// What happens, for the command line to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A package is about to be fetched.
    Downloading {
        key: String,
        address: String,
        version: Option<String>,
    },
    /// A module is there now.
    Installed { key: String, directory: PathBuf },
}

/// What an installation ends with.
pub struct Installation {
    pub tree: ConfigTree,
    pub manifest: Manifest,
    pub diagnostics: Diagnostics,
}

/// See the module.
pub struct Installer<'a> {
    pub files: &'a dyn Files,
    pub remote: &'a dyn Remote,
    /// The directory of the root module; empty for the current one.
    pub root: PathBuf,
    /// Fetch everything anew, in the newest version that is allowed.
    pub upgrade: bool,
    pub early: &'a dyn Fn(&Module) -> EarlyValues,
}

/// What was learnt in one run, so that no one is asked twice.
#[derive(Default)]
struct Memory {
    versions: HashMap<String, Vec<String>>,
    /// Packages by address: where they lie.
    packages: HashMap<String, PathBuf>,
}

impl Installer<'_> {
    /// Reads the configuration and fetches what it lacks, until it is whole or nothing more can be had.
    pub async fn install(
        &self,
        manifest: Manifest,
        observe: &mut (dyn FnMut(Event) + Send),
    ) -> Installation {
        let before = manifest.clone();
        // An upgrade forgets what there was; what is fetched again takes its place.
        let mut manifest = if self.upgrade {
            Manifest::default()
        } else {
            manifest
        };
        let mut memory = Memory::default();
        let mut failed: BTreeMap<addr::Module, Diagnostics> = BTreeMap::new();
        let mut shown = BTreeSet::new();
        loop {
            let (tree, diagnostics) =
                ConfigTree::load_partly(self.files, &self.root, &manifest, self.early);
            self.note_local(&tree, &before, &mut manifest, &mut shown, observe);
            let mut todo: Vec<MissingModule> = tree
                .missing
                .iter()
                .filter(|m| !failed.contains_key(&m.path))
                .cloned()
                .collect();
            if todo.is_empty() {
                let mut diagnostics = diagnostics;
                diagnostics.extend(failed.into_values().flatten());
                return Installation {
                    tree,
                    manifest,
                    diagnostics,
                };
            }
            todo.sort_by(|a, b| a.path.cmp(&b.path));
            for missing in todo {
                manifest.remove(&missing.path);
                match self.fetch(&missing, &mut memory, observe).await {
                    Ok(installed) => {
                        observe(Event::Installed {
                            key: key(&missing.path),
                            directory: installed.directory.clone(),
                        });
                        manifest.insert(&missing.path, installed);
                    }
                    Err(diagnostic) => {
                        failed.insert(missing.path, (*diagnostic).into());
                    }
                }
            }
        }
    }

    /// Local modules need no fetching; they are recorded all the same, as Terraform does.
    fn note_local(
        &self,
        tree: &ConfigTree,
        before: &Manifest,
        manifest: &mut Manifest,
        shown: &mut BTreeSet<String>,
        observe: &mut (dyn FnMut(Event) + Send),
    ) {
        let mut nodes = tree.nodes();
        nodes.sort_by(|a, b| a.path.cmp(&b.path));
        for node in nodes {
            let Some(source @ ModuleSource::Local(_)) = &node.source else {
                continue;
            };
            let installed = InstalledModule {
                source: source.to_string(),
                version: None,
                directory: node.module.directory.clone(),
            };
            let known = before.record(&node.path).as_ref() == Some(&installed);
            let key = key(&node.path);
            if (!known || self.upgrade) && shown.insert(key.clone()) {
                observe(Event::Installed {
                    key,
                    directory: installed.directory.clone(),
                });
            }
            manifest.insert(&node.path, installed);
        }
    }

    async fn fetch(
        &self,
        missing: &MissingModule,
        memory: &mut Memory,
        observe: &mut (dyn FnMut(Event) + Send),
    ) -> Result<InstalledModule, Box<Diagnostic>> {
        let call = Call(missing);
        match &missing.source {
            ModuleSource::Local(_) => Err(Box::new(missing.why.clone())),
            ModuleSource::Registry(module) => {
                self.registry_module(&call, module, memory, observe).await
            }
            ModuleSource::Remote(module) => {
                if missing.version.is_some() {
                    return Err(call.error(
                        "Invalid version constraint",
                        format!("Cannot apply a version constraint to module {} because it doesn't come from a module registry.", call.place()),
                    ));
                }
                observe(Event::Downloading {
                    key: key(&missing.path),
                    address: module.package.clone(),
                    version: None,
                });
                let directory = self.place(&call, module, &module.subdir, memory).await?;
                Ok(InstalledModule {
                    source: missing.source.to_string(),
                    version: None,
                    directory,
                })
            }
        }
    }

    async fn registry_module(
        &self,
        call: &Call<'_>,
        module: &RegistryModule,
        memory: &mut Memory,
        observe: &mut (dyn FnMut(Event) + Send),
    ) -> Result<InstalledModule, Box<Diagnostic>> {
        let package = module.package();
        let versions = match memory.versions.get(&package) {
            Some(versions) => versions.clone(),
            None => {
                let versions = self
                    .remote
                    .versions(module)
                    .await
                    .map_err(|error| call.no_versions(module, &error))?;
                memory.versions.insert(package, versions.clone());
                versions
            }
        };
        let version = call.choose(module, &versions)?;
        observe(Event::Downloading {
            key: key(&call.0.path),
            address: format!(
                "{}/{}/{}/{}",
                module.host, module.namespace, module.name, module.target
            ),
            version: Some(version.clone()),
        });
        let location = self
            .remote
            .location(module, &version)
            .await
            .map_err(|error| {
                call.error(
                    "Error accessing remote module registry",
                    format!(
                        "Failed to retrieve a download URL for {} {version} from {}: {error}",
                        module.display(),
                        module.host
                    ),
                )
            })?;
        let remote = match ModuleSource::parse(&location) {
            Ok(ModuleSource::Remote(remote)) => remote,
            _ => {
                return Err(call.error(
                    "Invalid package location from module registry",
                    format!("Module registry {} returned invalid source location \"{location}\" for {} {version}: must be a direct remote package address.", module.host, module.display()),
                ));
            }
        };
        let subdir = match (remote.subdir.is_empty(), module.subdir.is_empty()) {
            (_, true) => remote.subdir.clone(),
            (true, false) => module.subdir.clone(),
            (false, false) => format!("{}/{}", remote.subdir, module.subdir),
        };
        let directory = self.place(call, &remote, &subdir, memory).await?;
        Ok(InstalledModule {
            source: call.0.source.to_string(),
            version: Some(version),
            directory,
        })
    }

    /// Fetches a package, or copies it when it has been fetched for another call, and finds the wanted directory in it.
    async fn place(
        &self,
        call: &Call<'_>,
        module: &RemoteModule,
        subdir: &str,
        memory: &mut Memory,
    ) -> Result<PathBuf, Box<Diagnostic>> {
        let target = self.root.join(DIRECTORY).join(key(&call.0.path));
        let failed = |error: FetchError| call.not_downloaded(module, &error);
        clear(&target).map_err(failed)?;
        match memory.packages.get(&module.package) {
            Some(there) if there.is_dir() => copy_directory(there, &target).map_err(failed)?,
            _ => self
                .remote
                .package(&module.package, &target)
                .await
                .map_err(failed)?,
        }
        memory
            .packages
            .insert(module.package.clone(), target.clone());
        let directory = find(&target, subdir).ok_or_else(|| {
            call.error(
                "Unreadable module subdirectory",
                format!(
                    "The directory {} does not exist. The target submodule {subdir} does not exist within the target module.",
                    target.join(subdir).display()
                ),
            )
        })?;
        Ok(directory)
    }
}

/// A call whose module is being fetched, for messages.
struct Call<'a>(&'a MissingModule);

impl Call<'_> {
    fn error(&self, summary: &str, detail: String) -> Box<Diagnostic> {
        Box::new(Diagnostic::error(summary, detail).at(self.0.range.clone()))
    }

    /// `"name" (main.tf:3)`
    fn place(&self) -> String {
        let name = self.0.path.0.last().map_or("", |n| &**n);
        format!(
            "\"{name}\" ({}:{})",
            self.0.range.file, self.0.range.start.line
        )
    }

    fn no_versions(&self, module: &RegistryModule, error: &FetchError) -> Box<Diagnostic> {
        let place = self.place();
        if let FetchError::NoSuchModule = error {
            let place = place.replace('(', "(from ");
            return self.error(
                "Module not found",
                format!(
                    "Module {place} cannot be found in the module registry at {}.",
                    module.host
                ),
            );
        }
        self.error(
            "Error accessing remote module registry",
            format!(
                "Failed to retrieve available versions for module {place} from {}: {error}.",
                module.host
            ),
        )
    }

    fn not_downloaded(&self, module: &RemoteModule, error: &FetchError) -> Box<Diagnostic> {
        self.error(
            "Failed to download module",
            format!(
                "Could not download module {} source code from \"{module}\": {error}.",
                self.place()
            ),
        )
    }

    /// The newest version that the call allows. A pre-release must be asked for by name.
    fn choose(
        &self,
        module: &RegistryModule,
        versions: &[String],
    ) -> Result<String, Box<Diagnostic>> {
        let constraints = self.0.version.as_deref().and_then(Constraints::parse);
        let asked_for = |version: &Version| match &constraints {
            Some(constraints) => constraints.allow(version),
            None => version.pre.is_empty(),
        };
        let mut known: Vec<(Version, &String)> = versions
            .iter()
            .filter_map(|text| Some((Version::parse(text)?, text)))
            .filter(|(version, _)| version.pre.is_empty() || asked_for(version))
            .collect();
        known.sort_by(|(a, _), (b, _)| a.cmp(b));
        let Some((_, newest)) = known.last() else {
            return Err(self.error(
                "Module has no versions",
                format!(
                    "Module \"{}\" ({}:{}) has no versions available on {}.",
                    module.display(),
                    self.0.range.file,
                    self.0.range.start.line,
                    module.host
                ),
            ));
        };
        let chosen = known.iter().rev().find(|(version, _)| asked_for(version));
        match chosen {
            Some((_, text)) => Ok((*text).clone()),
            None => Err(self.error(
                "Unresolvable module version constraint",
                format!(
                    "There is no available version of module \"{}\" ({}:{}) which matches the given version constraint. The newest available version is {newest}.",
                    module.display(),
                    self.0.range.file,
                    self.0.range.start.line
                ),
            )),
        }
    }
}

/// A directory within a package; a part of the path may be `*` when only one directory fits.
fn find(package: &Path, subdir: &str) -> Option<PathBuf> {
    let mut here = package.to_owned();
    for part in subdir.split('/').filter(|p| !p.is_empty()) {
        if part == "*" {
            let entries = std::fs::read_dir(&here).ok()?;
            let mut directories = entries
                .filter_map(|e| Some(e.ok()?.path()))
                .filter(|p| p.is_dir());
            let only = directories.next()?;
            if directories.next().is_some() {
                return None;
            }
            here = only;
        } else {
            here.push(part);
        }
    }
    here.is_dir().then_some(here)
}

fn clear(directory: &Path) -> Result<(), FetchError> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(FetchError::Disk {
            path: directory.to_owned(),
            error,
        }),
        _ => match directory.parent() {
            Some(parent) => std::fs::create_dir_all(parent).map_err(FetchError::disk(parent)),
            None => Ok(()),
        },
    }
}

/// Copies a directory and all in it. Links are copied as what they lead to.
pub fn copy_directory(from: &Path, to: &Path) -> Result<(), FetchError> {
    std::fs::create_dir_all(to).map_err(FetchError::disk(to))?;
    let mut pending = vec![(from.to_owned(), to.to_owned(), 0)];
    while let Some((from, to, depth)) = pending.pop() {
        // A link may lead to a directory around it.
        if depth > 64 {
            return Err(FetchError::Address(format!(
                "{} is nested too deeply",
                from.display()
            )));
        }
        for entry in std::fs::read_dir(&from).map_err(FetchError::disk(&from))? {
            let path = entry.map_err(FetchError::disk(&from))?.path();
            let Some(name) = path.file_name() else {
                continue;
            };
            let target = to.join(name);
            if path.is_dir() {
                std::fs::create_dir_all(&target).map_err(FetchError::disk(&target))?;
                pending.push((path, target, depth + 1));
            } else if path.is_file() {
                std::fs::copy(&path, &target).map_err(FetchError::disk(&path))?;
            }
        }
    }
    Ok(())
}
