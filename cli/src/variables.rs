//! Values for root variables, from every place where people put them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;
use stead_engine::eval::GivenVariable;
use stead_lang::Files;
use stead_lang::config::Variable;
use stead_lang::config::vars::{read_tfvars, value_from_text};
use stead_lang::syntax::SourceFile;
use stead_value::{Diagnostic, Diagnostics};

/// The secrets of a stack's lab: read when stead runs in the lab, so that the same commands work there and outside.
const LAB_FILE: &str = "lab.tfvars";

/// The values found, with the files they stand in and what was wrong.
#[derive(Default)]
pub(crate) struct Gathered {
    pub(crate) values: BTreeMap<Arc<str>, GivenVariable>,
    pub(crate) sources: Vec<Arc<SourceFile>>,
    pub(crate) diagnostics: Diagnostics,
}

/// Which kind of place a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Environment,
    /// A file that is read without being named.
    AutomaticFile,
    CommandLine,
}

impl Source {
    pub(crate) fn of(given: &GivenVariable, named_files: &[PathBuf]) -> Source {
        let named = |file: &PathBuf| file.display().to_string() == given.origin;
        if given.origin == FLAG || named_files.iter().any(named) {
            Source::CommandLine
        } else if given.origin.starts_with(ENVIRONMENT) {
            Source::Environment
        } else {
            Source::AutomaticFile
        }
    }
}

/// How messages name where a value comes from.
const FLAG: &str = "the -var option";
const ENVIRONMENT: &str = "the environment variable TF_VAR_";

/// Values in the order of precedence, later ones winning: `TF_VAR_…`, `terraform.tfvars`, `terraform.tfvars.json`,
/// `*.auto.tfvars` and `*.auto.tfvars.json` by name, in the lab `lab.tfvars`, then `-var-file` and `-var`.
pub(crate) fn gather(
    files: &dyn Files,
    declared: &IndexMap<Arc<str>, Variable>,
    environment: &[(String, String)],
    var_files: &[PathBuf],
    vars: &[String],
    in_lab: bool,
) -> Gathered {
    let mut gathered = Gathered::default();
    for (name, text) in environment {
        // The environment is shared with other stacks: what is not declared here is not meant for us.
        if let Some(variable) = declared.get(name.as_str()) {
            gathered.text(variable, text, &format!("{ENVIRONMENT}{name}"));
        }
    }
    for name in ["terraform.tfvars", "terraform.tfvars.json"] {
        if files.exists(Path::new(name)) {
            gathered.file(files, declared, Path::new(name));
        }
    }
    let automatic = files.list(Path::new("")).unwrap_or_default();
    for name in automatic
        .iter()
        .filter(|n| n.ends_with(".auto.tfvars") || n.ends_with(".auto.tfvars.json"))
    {
        gathered.file(files, declared, Path::new(name));
    }
    if in_lab && files.exists(Path::new(LAB_FILE)) {
        gathered.file(files, declared, Path::new(LAB_FILE));
    }
    for path in var_files {
        gathered.file(files, declared, path);
    }
    for var in vars {
        gathered.flag(declared, var);
    }
    gathered
}

impl Gathered {
    fn text(&mut self, variable: &Variable, text: &str, origin: &str) {
        let (value, diagnostics) = value_from_text(variable, text, origin);
        self.diagnostics.extend(diagnostics);
        if let Some(given) = value {
            let given = GivenVariable {
                value: given.value,
                origin: origin.to_owned(),
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
        match declared.get(name.trim()) {
            Some(variable) => self.text(variable, text, FLAG),
            None => self.diagnostics.push(undeclared(name, "The -var option")),
        }
    }

    fn file(&mut self, files: &dyn Files, declared: &IndexMap<Arc<str>, Variable>, path: &Path) {
        let (values, source, diagnostics) = read_tfvars(files, path);
        self.diagnostics.extend(diagnostics);
        self.sources.extend(source);
        for (name, given) in values {
            if declared.contains_key(&name) {
                let origin = path.display().to_string();
                self.values.insert(
                    name,
                    GivenVariable {
                        value: given.value,
                        origin,
                        range: given.range,
                    },
                );
            } else {
                let mut warning = undeclared(&name, &format!("The file {}", path.display()));
                warning.severity = stead_value::Severity::Warning;
                warning.subject = given.range;
                self.diagnostics.push(warning);
            }
        }
    }
}

fn undeclared(name: &str, origin: &str) -> Diagnostic {
    Diagnostic::error(
        "Value for undeclared variable",
        format!(
            "{origin} gives a value to \"{name}\", but the root module does not declare a variable of that name. Declare it with a variable \"{name}\" {{}} block, or take the value out."
        ),
    )
}
