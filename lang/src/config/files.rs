//! A directory's files to one module: which files count, in which order, and what overrides what.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use stead_value::{Diagnostic, Diagnostics};

use super::CONFIGURATION;
use super::encryption;
use super::model::Module;
use super::module::{self, Redeclared};
use super::overrides::{self, Overridden};
use crate::Files;
use crate::syntax::{Body, Layout, SourceFile, parse_file, parse_json_file};

/// Reads the module in a directory. With errors, what could be read is there all the same.
pub fn load_module(files: &dyn Files, directory: &Path) -> (Module, Diagnostics) {
    let mut diagnostics = Diagnostics::new();
    let mut loaded = Module {
        directory: directory.to_owned(),
        ..Module::default()
    };
    let names = match files.list(directory) {
        Ok(names) => names,
        Err(error) => {
            diagnostics.push(Diagnostic::error(
                "Failed to read module directory",
                format!(
                    "Module directory {} does not exist or cannot be read: {error}.",
                    directory.display()
                ),
            ));
            return (loaded, diagnostics);
        }
    };
    for name in names.iter().filter(|n| n.ends_with(".tfquery.hcl")) {
        diagnostics.push(Diagnostic::error(
            "Query files are not supported yet",
            format!("The file {} holds queries, which are valid Terraform, but stead can't run them yet. Move it out of the folder for now.", directory.join(name).display()),
        ));
    }
    let (primary, overriding): (Vec<String>, Vec<String>) = configuration_files(names)
        .into_iter()
        .partition(|name| !is_override(name));
    let mut read = |names: Vec<String>, diagnostics: &mut Diagnostics| -> Vec<Body> {
        names
            .iter()
            .filter_map(|name| {
                let errors_before = diagnostics.len();
                let read = read_file(files, &directory.join(name), &CONFIGURATION, diagnostics);
                loaded.broken |= diagnostics.len() > errors_before;
                let (source, body) = read?;
                loaded.files.push(source);
                Some(body)
            })
            .collect()
    };
    let mut bodies = read(primary, &mut diagnostics);
    let overriding = read(overriding, &mut diagnostics);
    let mut overridden = Overridden::default();
    for body in overriding {
        overrides::apply(&mut bodies, body, &mut overridden, &mut diagnostics);
    }
    let mut redeclared = Redeclared::default();
    for body in bodies {
        module::add_file(
            &mut loaded,
            body,
            &overridden,
            &mut redeclared,
            &mut diagnostics,
        );
    }
    for block in overridden.encryptions() {
        let over = encryption::read(block, &mut diagnostics);
        loaded.terraform.encryption = Some(match loaded.terraform.encryption.take() {
            Some(base) => base.merge(over),
            None => over,
        });
    }
    diagnostics.extend(redeclared.into_diagnostics());
    (loaded, diagnostics)
}

/// The names that are configuration, in order. A `.tofu` file hides its namesake for Terraform.
fn configuration_files(names: Vec<String>) -> Vec<String> {
    let all: BTreeSet<String> = names
        .into_iter()
        .filter(|n| {
            !is_ignored(n)
                && [".tf", ".tofu", ".tf.json", ".tofu.json"]
                    .iter()
                    .any(|end| n.ends_with(end))
        })
        .collect();
    let hidden = |name: &str| {
        let tofu = match name.strip_suffix(".tf.json") {
            Some(stem) => format!("{stem}.tofu.json"),
            None => match name.strip_suffix(".tf") {
                Some(stem) => format!("{stem}.tofu"),
                None => return false,
            },
        };
        all.contains(&tofu)
    };
    all.iter().filter(|name| !hidden(name)).cloned().collect()
}

/// What editors leave behind, and hidden files.
pub(super) fn is_ignored(name: &str) -> bool {
    name.starts_with('.') || name.ends_with('~') || (name.starts_with('#') && name.ends_with('#'))
}

fn is_override(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name);
    stem == "override" || stem.ends_with("_override")
}

pub(super) fn read_file(
    files: &dyn Files,
    path: &Path,
    layout: &'static Layout,
    diagnostics: &mut Diagnostics,
) -> Option<(Arc<SourceFile>, Body)> {
    let shown = path.strip_prefix(".").unwrap_or(path).display().to_string();
    let source = read_source(files, path, &shown, diagnostics)?;
    let (body, problems) = if source.is_json() {
        parse_json_file(&source, layout)
    } else {
        parse_file(&source)
    };
    diagnostics.extend(problems);
    Some((source, body))
}

/// Reads a text file as a source that messages can point into.
pub(crate) fn read_source(
    files: &dyn Files,
    path: &Path,
    shown: &str,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<SourceFile>> {
    let bytes = match files.read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            diagnostics.push(Diagnostic::error(
                "Failed to read file",
                format!("The file {shown} could not be read: {error}."),
            ));
            return None;
        }
    };
    let (source, problem) = SourceFile::decode(shown, bytes);
    match problem {
        None => Some(source),
        Some(problem) => {
            diagnostics.push(problem);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_count_by_their_names() {
        let names = [
            "b.tf",
            "a.tf",
            "a.tofu",
            ".hidden.tf",
            "x.tf~",
            "c.tf.json",
            "c.tofu.json",
            "readme.md",
            "vars.tfvars",
        ];
        let found = configuration_files(names.iter().map(|n| (*n).to_owned()).collect());
        assert_eq!(found, ["a.tofu", "b.tf", "c.tofu.json"]);
        assert!(
            is_override("override.tf")
                && is_override("x_override.tofu")
                && !is_override("overrides.tf")
        );
    }
}
