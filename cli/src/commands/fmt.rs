//! `stead fmt`.

use std::io::Read as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use clap::{ArgAction, Args};
use stead_lang::syntax::SourceFile;
use stead_value::{Diagnostic, Diagnostics};

use super::print;
use crate::error::{CommandError, Result, report};
use crate::render::diagnostics::Sources;

#[derive(Args, Debug)]
pub(crate) struct FmtArgs {
    /// Print the names of the files that were, or would be, changed
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", action = ArgAction::Set)]
    list: bool,
    /// Write the result back to the files
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", action = ArgAction::Set)]
    write: bool,
    /// Show what would change, as a unified diff
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = ArgAction::Set)]
    diff: bool,
    /// Change nothing; exit with 3 when a file is not in the canonical layout
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = ArgAction::Set)]
    check: bool,
    /// Look into folders within folders too
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = ArgAction::Set)]
    recursive: bool,
    /// No colours
    #[arg(long)]
    no_color: bool,
    /// Files and folders, or `-` for standard input; without any, the current folder
    #[arg(value_name = "TARGET")]
    targets: Vec<PathBuf>,
}

const ENDINGS: [&str; 7] = [
    ".tf",
    ".tofu",
    ".tfvars",
    ".tftest.hcl",
    ".tofutest.hcl",
    ".tfmock.hcl",
    ".tfquery.hcl",
];

pub(crate) fn run(args: &FmtArgs) -> Result<u8> {
    let standard_input = args.targets.first().is_some_and(|t| t.as_os_str() == "-");
    let mut run = Run {
        list: args.check || args.list && !standard_input,
        write: args.write && !args.check && !standard_input,
        diff: args.diff,
        recursive: args.recursive,
        held: args.check.then(String::new),
        problems: Diagnostics::new(),
        sources: Sources::default(),
    };
    if standard_input {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes)?;
        run.text("<stdin>", bytes, None);
    } else {
        let here = [PathBuf::from(".")];
        let targets = if args.targets.is_empty() {
            &here
        } else {
            args.targets.as_slice()
        };
        for target in targets {
            if !run.target(target) {
                break;
            }
        }
    }
    let Run {
        held,
        problems,
        sources,
        ..
    } = run;
    let failed = problems.has_errors();
    if !problems.is_empty() {
        report(&CommandError {
            diagnostics: problems,
            sources,
            no_color: args.no_color,
            ..CommandError::default()
        });
    }
    Ok(match held {
        _ if failed => 2,
        None => 0,
        Some(held) => {
            if args.list && !standard_input && !held.is_empty() {
                say(&held);
            }
            if held.is_empty() { 0 } else { 3 }
        }
    })
}

/// What a run of the command does, and what it has found.
struct Run {
    list: bool,
    write: bool,
    diff: bool,
    recursive: bool,
    /// With `-check`, what is to be said at the end.
    held: Option<String>,
    problems: Diagnostics,
    sources: Sources,
}

impl Run {
    fn error(&mut self, summary: impl Into<String>) {
        self.problems.push(Diagnostic::error(summary, ""));
    }

    fn say(&mut self, text: &str) {
        match &mut self.held {
            Some(held) => held.push_str(text),
            None => say(text),
        }
    }

    /// A file or folder that was named; whether to go on.
    fn target(&mut self, target: &Path) -> bool {
        let path = shortened(target);
        match std::fs::metadata(&path) {
            Err(_) => {
                self.error(format!("No file or directory at {}", path.display()));
                return false;
            }
            Ok(metadata) if metadata.is_dir() => self.folder(&path),
            Ok(_) if is_formatted(&path.to_string_lossy()) => self.file(&path),
            Ok(_) => self.error(
                "Only .tf, .tofu, .tfvars, .tftest.hcl, .tofutest.hcl, .tfmock.hcl and .tfquery.hcl files can be processed with stead fmt",
            ),
        }
        true
    }

    fn folder(&mut self, path: &Path) {
        let Ok(mut entries) = entries(path) else {
            return self.error(format!("Cannot read directory {}", path.display()));
        };
        entries.sort();
        for (name, is_folder) in entries {
            let ignored = name.starts_with('.')
                || name.ends_with('~')
                || (name.starts_with('#') && name.ends_with('#'));
            if ignored {
                continue;
            }
            let path = shortened(&path.join(&name));
            if is_folder {
                if self.recursive {
                    self.folder(&path);
                }
            } else if is_formatted(&name) {
                self.file(&path);
            }
        }
    }

    fn file(&mut self, path: &Path) {
        match std::fs::read(path) {
            Ok(bytes) => self.text(&path.to_string_lossy(), bytes, Some(path)),
            Err(_) => self.error(format!("Failed to read file {}", path.display())),
        }
    }

    /// `path` is where the result goes, if anywhere.
    fn text(&mut self, name: &str, bytes: Vec<u8>, path: Option<&Path>) {
        let (source, unreadable) = SourceFile::decode(name, bytes);
        let result = match unreadable {
            Some(problem) => Err(problem.into()),
            None => stead_lang::fmt::format(&source),
        };
        let result = match result {
            Ok(result) => result,
            Err(problems) => {
                self.sources.add(&source);
                return self.problems.extend(problems);
            }
        };
        if result != source.text() {
            self.changed(&source, &result, path);
        }
        if !self.list && !self.write && !self.diff {
            self.say(&result);
        }
    }

    fn changed(&mut self, source: &Arc<SourceFile>, result: &str, path: Option<&Path>) {
        let name = source.name();
        if self.list {
            self.say(&format!("{name}\n"));
        }
        if let Some(path) = path.filter(|_| self.write)
            && std::fs::write(path, result).is_err()
        {
            return self.error(format!("Failed to write {name}"));
        }
        if self.diff {
            let diff = similar::TextDiff::from_lines(source.text(), result)
                .unified_diff()
                .context_radius(3)
                .header(&format!("old/{name}"), &format!("new/{name}"))
                .to_string();
            self.say(&diff);
        }
    }
}

/// Prints a text that ends its line.
fn say(text: &str) {
    print(&format!("{}\n", text.strip_suffix('\n').unwrap_or(text)));
}

fn is_formatted(name: &str) -> bool {
    ENDINGS.iter().any(|end| name.ends_with(end))
}

/// What lies in a folder, and whether it is a folder itself. Names that are no text are nothing that is formatted.
fn entries(folder: &Path) -> std::io::Result<Vec<(String, bool)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string() {
            found.push((name, entry.file_type()?.is_dir()));
        }
    }
    Ok(found)
}

/// The path as seen from the current folder, without detours.
fn shortened(path: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    let path = path.strip_prefix(&here).unwrap_or(path);
    let mut short = PathBuf::new();
    for part in path.components() {
        let last = short.components().next_back();
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(last, Some(Component::Normal(_))) => {
                short.pop();
            }
            Component::ParentDir if matches!(last, Some(Component::RootDir)) => {}
            part => short.push(part),
        }
    }
    if short.as_os_str().is_empty() {
        short.push(".");
    }
    short
}
