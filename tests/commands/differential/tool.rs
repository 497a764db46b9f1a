//! A tool in its own folder.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::case::{Case, Step};

pub(super) struct Tool {
    program: PathBuf,
    dir: tempfile::TempDir,
    /// Where it differs from stead in what it needs: Terraform is initialised before it is asked, and gets its own settings.
    pub(super) reference: bool,
}

/// How a command ended, and what it printed.
pub(super) struct Printed {
    pub(super) code: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Tool {
    pub(super) fn stead() -> Tool {
        Tool {
            program: env!("CARGO_BIN_EXE_stead").into(),
            dir: tempfile::tempdir().expect("a temporary folder"),
            reference: false,
        }
    }

    /// The tool that a case names, where it is installed with all that the case needs.
    pub(super) fn reference(case: &Case) -> Option<Tool> {
        if case.plugins && std::env::var_os("STEAD_ORACLE_RC").is_none() {
            return None;
        }
        let mut folders: Vec<PathBuf> = Vec::new();
        folders.extend(std::env::var_os("STEAD_ORACLE_DIR").map(PathBuf::from));
        folders.extend(
            std::env::var_os("PATH")
                .iter()
                .flat_map(std::env::split_paths),
        );
        let program = folders
            .iter()
            .map(|p| p.join(&case.tool))
            .find(|p| p.is_file())?;
        Some(Tool {
            program,
            dir: tempfile::tempdir().expect("a temporary folder"),
            reference: true,
        })
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn lay_out(&self, step: &Step) {
        for (name, text) in &step.files {
            let path = self.dir().join(name);
            std::fs::create_dir_all(path.parent().expect("below the folder")).expect("folders");
            std::fs::write(path, text).expect("a file");
        }
        for name in &step.gone {
            let path = self.dir().join(name);
            if path.is_dir() {
                std::fs::remove_dir_all(path).expect("a folder to take away");
            } else {
                std::fs::remove_file(path).expect("a file to take away");
            }
        }
    }

    /// Runs the tool with nothing of the outside's settings.
    pub(super) fn run<S: AsRef<str>>(&self, arguments: &[S], step: &Step) -> Printed {
        let input =
            step.settings.stdin.as_ref().map(|name| {
                std::fs::read(self.dir().join(name)).expect("the file for standard input")
            });
        self.run_with(arguments, step, input)
    }

    pub(super) fn run_with<S: AsRef<str>>(
        &self,
        arguments: &[S],
        step: &Step,
        input: Option<Vec<u8>>,
    ) -> Printed {
        let mut command = Command::new(&self.program);
        command
            .args(arguments.iter().map(AsRef::as_ref))
            .current_dir(self.dir())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir())
            .env("CHECKPOINT_DISABLE", "1")
            // Terraform does not warn of secrets in the state; `encryption.rs` looks at that.
            .env("STEAD_PLAIN_STATE", "1")
            .envs(step.settings.environment.iter().cloned())
            .stdin(if input.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if self.reference
            && let Some(settings) = std::env::var_os("STEAD_ORACLE_RC")
        {
            command.env("TF_CLI_CONFIG_FILE", settings);
        }
        let mut child = command.spawn().expect("the tool runs");
        if let (Some(bytes), Some(mut pipe)) = (input, child.stdin.take()) {
            // A tool that ends without reading all of it closes the pipe.
            let _ = pipe.write_all(&bytes);
        }
        let output = child.wait_with_output().expect("the tool ends");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let printed = Printed {
            code: output.status.code().unwrap_or(-1),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        };
        let line: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
        eprintln!(
            "$ {} {}  → {}\n{}{}",
            self.program.display(),
            line.join(" "),
            printed.code,
            printed.stdout,
            printed.stderr
        );
        printed
    }
}
