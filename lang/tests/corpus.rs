//! Whole files: `ok/NAME.tf` with the outputs that Terraform 1.11 gives for it in `NAME.json`, and `err/NAME.tf` with the line
//! and summary of each of Terraform's diagnostics in `NAME.txt`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stead_lang::Files;
use stead_lang::config::{ConfigTree, Module, NothingInstalled, Schemas};
use stead_lang::expr::{Environment, Reference, Resolved, Scope, Target, evaluate};
use stead_value::addr::{ProviderSource, ResourceMode};
use stead_value::json::to_json_text;
use stead_value::schema::Block;
use stead_value::{Diagnostics, Value};

/// No provider is known.
struct NoSchemas;

impl Schemas for NoSchemas {
    fn resource(&self, _: &ProviderSource, _: ResourceMode, _: &str) -> Option<&Block> {
        None
    }
}

/// A directory that holds one file.
struct OneFile(PathBuf);

impl Files for OneFile {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path.file_name() == Some("main.tf".as_ref()) {
            return std::fs::read(&self.0);
        }
        Err(io::ErrorKind::NotFound.into())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        if directory == Path::new(".") {
            return Ok(vec!["main.tf".into()]);
        }
        Err(io::ErrorKind::NotFound.into())
    }

    fn exists(&self, path: &Path) -> bool {
        path.file_name() == Some("main.tf".as_ref())
    }

    fn walk(&self, directory: &Path) -> io::Result<Vec<String>> {
        self.list(directory)
    }
}

/// Variables by their defaults, local values by evaluating them.
struct ModuleScope<'a> {
    module: &'a Module,
    files: &'a dyn Files,
    problems: RefCell<Diagnostics>,
}

impl ModuleScope<'_> {
    fn value(&self, expr: &stead_lang::syntax::Expression) -> Value {
        let outcome = evaluate(expr, self);
        self.problems.borrow_mut().extend(outcome.diagnostics);
        outcome.value
    }
}

impl Scope for ModuleScope<'_> {
    fn resolve(&self, reference: &Reference<'_>) -> Resolved {
        match &reference.target {
            Target::Variable(name) => {
                let variable = &self.module.variables[name];
                Resolved::Value(variable.accept(variable.default.as_ref().unwrap()).unwrap())
            }
            Target::Local(name) => Resolved::Value(self.value(&self.module.locals[name].value)),
            other => panic!("{other:?}"),
        }
    }

    fn environment(&self) -> Environment<'_> {
        Environment {
            files: self.files,
            working_directory: None,
            home_directory: None,
            plan_timestamp: None,
            world: None,
        }
    }
}

fn cases(directory: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(directory);
    let mut found: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension() == Some("tf".as_ref()))
        .collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

fn load(path: &Path) -> (ConfigTree, Diagnostics) {
    ConfigTree::load(&OneFile(path.to_owned()), Path::new("."), &NothingInstalled)
}

#[test]
fn good_files_give_terraforms_values() {
    for path in cases("ok") {
        let (tree, diagnostics) = load(&path);
        assert!(
            diagnostics.is_empty(),
            "{}: {diagnostics:?}",
            path.display()
        );
        let files = OneFile(path.clone());
        let module: &Arc<Module> = &tree.root.module;
        let scope = ModuleScope {
            module,
            files: &files,
            problems: RefCell::default(),
        };
        let got: BTreeMap<String, String> = module
            .outputs
            .values()
            .map(|output| {
                let value = scope.value(&output.value);
                (
                    output.name.to_string(),
                    to_json_text(&value, &value.ty()).unwrap(),
                )
            })
            .collect();
        let problems = scope.problems.into_inner();
        assert!(problems.is_empty(), "{}: {problems:?}", path.display());
        let text = std::fs::read_to_string(path.with_extension("json")).unwrap();
        let expected: BTreeMap<String, Box<serde_json::value::RawValue>> =
            serde_json::from_str(&text).unwrap();
        for (name, expected) in expected {
            assert_eq!(
                got[&name],
                expected.get(),
                "output {name} of {}",
                path.display()
            );
        }
    }
}

#[test]
fn bad_files_give_terraforms_diagnostics() {
    for path in cases("err") {
        let (tree, mut diagnostics) = load(&path);
        if !diagnostics.has_errors() {
            diagnostics.extend(tree.check(&NoSchemas));
        }
        let mut got: Vec<String> = diagnostics
            .iter()
            .map(|d| {
                format!(
                    "{} {}",
                    d.subject.as_ref().map_or(0, |s| s.start.line),
                    d.summary
                )
            })
            .collect();
        got.sort();
        let expected = std::fs::read_to_string(path.with_extension("txt")).unwrap();
        let mut expected: Vec<&str> = expected.lines().collect();
        expected.sort_unstable();
        assert_eq!(got, expected, "{}", path.display());
    }
}
