//! Values for root variables, from every place where people put them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;
use stead_engine::eval::{GivenVariable, Origin, no_value};
use stead_lang::Files;
use stead_lang::config::Variable;
use stead_lang::config::vars::{read_tfvars, value_from_text};
use stead_lang::syntax::SourceFile;
use stead_value::{Diagnostic, Diagnostics};

use crate::args::VariableFlag;

/// The secrets of a stack's lab: read when stead runs in the lab, so that the same commands work there and outside.
const LAB_FILE: &str = "lab.tfvars";

/// The values found, with the files they stand in and what was wrong.
#[derive(Default)]
pub(crate) struct Gathered {
    pub(crate) values: BTreeMap<Arc<str>, GivenVariable>,
    pub(crate) sources: Vec<Arc<SourceFile>>,
    pub(crate) diagnostics: Diagnostics,
    /// Names that files give values to and nothing declares, with the file of each.
    undeclared: BTreeMap<Arc<str>, String>,
}

/// Values in the order of precedence, later ones winning: `TF_VAR_…`, `terraform.tfvars`, `terraform.tfvars.json`,
/// `*.auto.tfvars` and `*.auto.tfvars.json` by name, in the lab `lab.tfvars`, then `-var-file` and `-var` as they stand.
pub(crate) fn gather(
    files: &dyn Files,
    declared: &IndexMap<Arc<str>, Variable>,
    environment: &[(String, String)],
    flags: &[VariableFlag],
    in_lab: bool,
) -> Gathered {
    let mut gathered = Gathered::default();
    for (name, text) in environment {
        // The environment is shared with other stacks: what is not declared here is not meant for us.
        if let Some(variable) = declared.get(name.as_str()) {
            gathered.text(variable, text, Origin::Environment);
        }
    }
    match automatic(files, Path::new("")) {
        Ok(found) => {
            for path in found {
                gathered.file(files, declared, &path, Origin::AutomaticFile);
            }
        }
        Err(problem) => gathered.diagnostics.push(problem),
    }
    if in_lab && files.exists(Path::new(LAB_FILE)) {
        gathered.file(files, declared, Path::new(LAB_FILE), Origin::AutomaticFile);
    }
    for flag in flags {
        match flag {
            VariableFlag::File(path) => gathered.file(files, declared, path, Origin::NamedFile),
            VariableFlag::Value(text) => gathered.flag(declared, text),
        }
    }
    gathered.undeclared_in_files();
    gathered
}

/// The files of a folder that give variables their values unasked, in the order in which they count. None where there is no folder.
pub(crate) fn automatic(files: &dyn Files, directory: &Path) -> Result<Vec<PathBuf>, Diagnostic> {
    let names = match files.list(directory) {
        Ok(names) => names,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            return Err(Diagnostic::error(
                "Failed to read directory",
                format!(
                    "The folder {} may hold variables files, and it could not be read: {error}.",
                    match directory.as_os_str().is_empty() {
                        true => Path::new("."),
                        false => directory,
                    }
                    .display()
                ),
            ));
        }
    };
    let first =
        |name: &&String| matches!(name.as_str(), "terraform.tfvars" | "terraform.tfvars.json");
    let auto =
        |name: &&String| name.ends_with(".auto.tfvars") || name.ends_with(".auto.tfvars.json");
    let found = names.iter().filter(first).chain(names.iter().filter(auto));
    Ok(found.map(|name| directory.join(name)).collect())
}

impl Gathered {
    /// What the text means depends on the variable's type.
    pub(crate) fn text(&mut self, variable: &Variable, text: &str, origin: Origin) {
        let (value, diagnostics) = value_from_text(variable, text);
        self.diagnostics.extend(diagnostics);
        if let Some(given) = value {
            let given = GivenVariable {
                value: given.value,
                origin,
                range: None,
            };
            self.values.insert(Arc::clone(&variable.name), given);
        }
    }

    fn flag(&mut self, declared: &IndexMap<Arc<str>, Variable>, flag: &str) {
        let Some((name, text)) = flag.split_once('=') else {
            self.diagnostics.push(Diagnostic::error(
                "Invalid -var option",
                format!("The given -var option \"{flag}\" is not correctly specified. Must be a variable name and value separated by an equals sign, like -var=\"key=value\"."),
            ));
            return;
        };
        if let Some(bare) = name.strip_suffix(' ') {
            self.diagnostics.push(Diagnostic::error(
                "Invalid -var option",
                format!("Variable name \"{name}\" is invalid due to trailing space. Did you mean -var=\"{bare}={}\"?", text.strip_prefix(' ').unwrap_or(text)),
            ));
            return;
        }
        match declared.get(name) {
            Some(variable) => self.text(variable, text, Origin::Flag),
            None => self.diagnostics.push(Diagnostic::error(
                "Value for undeclared variable",
                format!("A variable named \"{name}\" was assigned on the command line, but the root module does not declare a variable of that name. To use this value, add a \"variable\" block to the configuration."),
            )),
        }
    }

    fn file(
        &mut self,
        files: &dyn Files,
        declared: &IndexMap<Arc<str>, Variable>,
        path: &Path,
        origin: Origin,
    ) {
        if !files.exists(path) {
            self.diagnostics.push(Diagnostic::error(
                "Failed to read variables file",
                format!("Given variables file {} does not exist.", path.display()),
            ));
            return;
        }
        let (values, source, diagnostics) = read_tfvars(files, path);
        self.diagnostics.extend(diagnostics);
        self.sources.extend(source);
        for (name, given) in values {
            if declared.contains_key(&name) {
                let given = GivenVariable {
                    value: given.value,
                    origin,
                    range: given.range,
                };
                self.values.insert(name, given);
            } else {
                self.undeclared.insert(name, path.display().to_string());
            }
        }
    }

    /// The required variables without a value, by name.
    pub(crate) fn missing<'a>(
        &self,
        declared: &'a IndexMap<Arc<str>, Variable>,
    ) -> Vec<&'a Variable> {
        let required = declared.values().filter(|v| v.default.is_none());
        let mut missing: Vec<_> = required
            .filter(|v| !self.values.contains_key(&v.name))
            .collect();
        missing.sort_by(|a, b| a.name.cmp(&b.name));
        missing
    }

    /// Refuses what is still missing.
    pub(crate) fn require(&mut self, declared: &IndexMap<Arc<str>, Variable>) {
        let missing = self.missing(declared).into_iter();
        self.diagnostics.extend(missing.map(no_value));
    }

    /// Files are shared between stacks: what they hold too much is told, but not at length.
    fn undeclared_in_files(&mut self) {
        const SHOWN: usize = 2;
        for (name, file) in self.undeclared.iter().take(SHOWN) {
            self.diagnostics.push(Diagnostic::warning(
                "Value for undeclared variable",
                format!("The root module does not declare a variable named \"{name}\" but a value was found in file \"{file}\". If you meant to use this value, add a \"variable\" block to the configuration.\n\nTo silence these warnings, use TF_VAR_... environment variables to provide certain \"global\" settings to all configurations in your organization. To reduce the verbosity of these warnings, use the -compact-warnings option."),
            ));
        }
        let more = self.undeclared.len().saturating_sub(SHOWN);
        if more > 0 {
            self.diagnostics.push(Diagnostic::warning(
                "Values for undeclared variables",
                format!("In addition to the other similar warnings shown, {more} other variable(s) defined without being declared."),
            ));
        }
    }
}
