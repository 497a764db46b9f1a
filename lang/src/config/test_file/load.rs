//! Finding test files, and reading what they name: modules under test and files of mock data.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stead_value::addr;
use stead_value::{Diagnostic, Diagnostics};

use super::{
    MockData, MockProvider, TEST_DIRECTORY, TestFile, TestModule, TestProvider, TestSuite, blocks,
    join, mock,
};
use crate::Files;
use crate::config::files::{is_ignored, read_file};
use crate::config::layout::{MOCKS, TESTS};
use crate::config::source::ModuleSource;
use crate::config::tree::{ConfigTree, InstalledModule, InstalledModules, normalize};

pub(super) fn suite(
    files: &dyn Files,
    root: &ConfigTree,
    test_directory: &str,
    installed: &dyn InstalledModules,
) -> (TestSuite, Diagnostics) {
    let mut loader = Loader {
        files,
        root: &root.root.module.directory,
        installed,
        suite: TestSuite::default(),
        diagnostics: Diagnostics::new(),
    };
    for name in loader.names(test_directory) {
        loader.file(&name);
    }
    (loader.suite, loader.diagnostics)
}

struct Loader<'a> {
    files: &'a dyn Files,
    root: &'a Path,
    installed: &'a dyn InstalledModules,
    suite: TestSuite,
    diagnostics: Diagnostics,
}

impl Loader<'_> {
    /// The names of the test files in the root module's folder and in the test directory.
    fn names(&mut self, test_directory: &str) -> BTreeSet<String> {
        let mut names: BTreeSet<String> = self
            .files
            .list(self.root)
            .map(test_files)
            .unwrap_or_default();
        if test_directory.is_empty() || test_directory == "." {
            return names;
        }
        let directory = self.root.join(test_directory);
        match self.files.list(&directory) {
            Ok(found) => {
                let found = test_files(found);
                names.extend(
                    found
                        .iter()
                        .map(|name| join(test_directory, name).display().to_string()),
                );
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if test_directory != TEST_DIRECTORY {
                    self.diagnostics.push(Diagnostic::warning(
                        "Test directory does not exist",
                        format!("Requested test directory {test_directory} does not exist."),
                    ));
                }
            }
            Err(error) => self.diagnostics.push(Diagnostic::error(
                "Failed to read test directory",
                format!("Test directory {test_directory} could not be read: {error}."),
            )),
        }
        names
    }

    fn file(&mut self, name: &str) {
        let path = self.root.join(name);
        let Some((source, body)) = read_file(self.files, &path, &TESTS, &mut self.diagnostics)
        else {
            return;
        };
        self.suite.sources.push(source);
        let mut file = blocks::file(name.into(), body, &mut self.diagnostics);
        for provider in file.providers.values_mut() {
            if let TestProvider::Mock(mock) = provider {
                self.mock_data(mock);
            }
        }
        self.load_modules(&mut file);
        self.suite.files.insert(Arc::clone(&file.name), file);
    }

    /// Adds what the mock's directory of mock data says; the mock's own block wins.
    fn mock_data(&mut self, mock: &mut MockProvider) {
        let Some(source) = &mock.source else {
            return;
        };
        let directory = self.root.join(&**source);
        let Ok(names) = self.files.list(&directory) else {
            self.diagnostics.push(
                Diagnostic::error(
                    "Failed to read mock data directory",
                    format!("Mock data directory {source} does not exist or cannot be read."),
                )
                .at(mock.range.clone()),
            );
            return;
        };
        let mut shared = MockData::default();
        for name in names.iter().filter(|name| is_mock_data(name)) {
            let path = directory.join(name);
            let Some((source, body)) = read_file(self.files, &path, &MOCKS, &mut self.diagnostics)
            else {
                continue;
            };
            self.suite.sources.push(source);
            let data = mock::data(body, mock.during_plan, true, &mut self.diagnostics);
            shared.merge(data, Some(&mut self.diagnostics));
        }
        mock.data.merge(shared, None);
    }

    fn load_modules(&mut self, file: &mut TestFile) {
        // A module that several runs test is read once.
        let mut broken = BTreeMap::new();
        for run in &mut file.runs {
            let Some(module) = &mut run.module else {
                continue;
            };
            let path = module_path(&file.name, &run.name);
            let Some(directory) = self.directory(module, &path) else {
                continue;
            };
            if *broken.entry(directory.clone()).or_insert(false) {
                continue;
            }
            let installed = Below {
                path: &path,
                installed: self.installed,
            };
            let (tree, diagnostics) = ConfigTree::load(self.files, &directory, &installed);
            for node in tree.nodes() {
                self.suite.sources.extend(node.module.files.iter().cloned());
            }
            if diagnostics.has_errors() {
                broken.insert(directory, true);
            }
            self.diagnostics.extend(diagnostics);
            module.tree = Some(tree);
        }
    }

    fn directory(&mut self, module: &TestModule, path: &addr::Module) -> Option<PathBuf> {
        let missing = |detail: String| {
            Diagnostic::error("Module not installed", detail).at(module.source_range.clone())
        };
        if let ModuleSource::Local(source) = &module.source {
            let directory = normalize(&self.root.join(source));
            if self.files.list(&directory).is_err() {
                self.diagnostics.push(missing(format!(
                    "The module's directory {} does not exist or cannot be read.",
                    directory.display()
                )));
                return None;
            }
            return Some(directory);
        }
        // It has been refused.
        if let ModuleSource::Remote(_) = module.source {
            return None;
        }
        let record = self.installed.record(path);
        let record = record.filter(|r| r.source == module.source.to_string());
        if record.is_none() {
            self.diagnostics.push(missing("This module is not yet installed. Run `stead init` to install all modules required by this configuration.".into()));
        }
        Some(record?.directory)
    }
}

/// The path under which the module of a run is installed: `test.tests.main.setup`.
fn module_path(file: &str, run: &str) -> addr::Module {
    let stem = [".tftest.hcl", ".tofutest.hcl"]
        .iter()
        .find_map(|end| file.strip_suffix(end))
        .unwrap_or(file);
    let parts = std::iter::once("test")
        .chain(stem.split('/'))
        .chain(std::iter::once(run));
    addr::Module(parts.map(Arc::from).collect())
}

/// Installed modules as seen from a module that is no root where it is installed.
struct Below<'a> {
    path: &'a addr::Module,
    installed: &'a dyn InstalledModules,
}

impl InstalledModules for Below<'_> {
    fn record(&self, module: &addr::Module) -> Option<InstalledModule> {
        let path = self.path.0.iter().chain(&module.0).cloned().collect();
        self.installed.record(&addr::Module(path))
    }
}

fn is_mock_data(name: &str) -> bool {
    !is_ignored(name)
        && [
            ".tfmock.hcl",
            ".tfmock.json",
            ".tofumock.hcl",
            ".tofumock.json",
        ]
        .iter()
        .any(|end| name.ends_with(end))
}

/// Which of these names are test files. A `.tofutest` file hides its namesake for Terraform.
fn test_files(names: Vec<String>) -> BTreeSet<String> {
    const PAIRS: [(&str, &str); 2] = [
        (".tftest.hcl", ".tofutest.hcl"),
        (".tftest.json", ".tofutest.json"),
    ];
    let all: BTreeSet<String> = names
        .into_iter()
        .filter(|name| {
            !is_ignored(name)
                && PAIRS
                    .iter()
                    .any(|(a, b)| name.ends_with(a) || name.ends_with(b))
        })
        .collect();
    let hidden = |name: &str| {
        PAIRS.iter().any(|(plain, tofu)| {
            name.strip_suffix(plain)
                .is_some_and(|stem| all.contains(&format!("{stem}{tofu}")))
        })
    };
    all.iter().filter(|name| !hidden(name)).cloned().collect()
}
