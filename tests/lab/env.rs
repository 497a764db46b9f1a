//! A stack copied to a folder of its own, with a lab of its own.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

pub(crate) struct Stack {
    dir: tempfile::TempDir,
    name: &'static str,
}

impl Stack {
    pub(crate) fn copy(name: &'static str) -> Stack {
        let stacks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../stacks");
        Stack::copy_of(&stacks, name)
    }

    /// As [`Stack::copy`], from another folder of stacks.
    pub(crate) fn copy_of(stacks: &Path, name: &'static str) -> Stack {
        let stack = Stack {
            dir: tempfile::tempdir().expect("a temporary folder"),
            name,
        };
        copy(&stacks.join(name), &stack.folder());
        stack
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.dir.path().join(self.name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stead"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .stdin(Stdio::null());
        command
    }

    /// The README's command; in a process group of its own, as a terminal would run it.
    pub(crate) fn start_bootstrap(&self) -> Child {
        self.command(&["bootstrap", self.name, "--lab"])
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("stead starts")
    }

    pub(crate) fn bootstrap(&self) -> String {
        let output = self
            .start_bootstrap()
            .wait_with_output()
            .expect("stead ends");
        assert!(output.status.success(), "bootstrap\n{}", text(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs stead on the stack, outside of any lab.
    pub(crate) fn alone(&self, arguments: &[&str]) -> Output {
        let chdir = format!("-chdir={}", self.name);
        let mut all = vec![chdir.as_str()];
        all.extend(arguments);
        self.command(&all).output().expect("stead runs")
    }

    /// Runs stead on the stack, in its lab.
    pub(crate) fn in_lab(&self, arguments: &[&str]) -> Output {
        self.in_lab_at(self.name, arguments)
    }

    /// Runs stead on another stack, which lies beside this one, in the same lab.
    pub(crate) fn in_lab_at(&self, folder: &str, arguments: &[&str]) -> Output {
        let chdir = format!("-chdir={folder}");
        let mut all = vec!["lab", "exec", "--", env!("CARGO_BIN_EXE_stead"), &chdir];
        all.extend(arguments);
        self.command(&all).output().expect("stead runs")
    }

    /// Runs stead on the stack, in its lab, under another program.
    pub(crate) fn under(&self, program: &[&str], arguments: &[&str]) -> Output {
        self.paced("0", program, arguments)
    }

    /// As [`Stack::under`], where things take so much of the time that they take in life.
    pub(crate) fn paced(&self, pace: &str, program: &[&str], arguments: &[&str]) -> Output {
        let chdir = format!("-chdir={}", self.name);
        let mut all = vec!["lab", "exec", "--pace", pace, "--"];
        all.extend(program);
        all.extend([env!("CARGO_BIN_EXE_stead"), &chdir]);
        all.extend(arguments);
        self.command(&all).output().expect("stead runs")
    }

    /// Starts the README's command. What it says goes to [`Stack::said`]: nobody reads it meanwhile.
    pub(crate) fn start_unread(&self) -> Child {
        let output = std::fs::File::create(self.dir.path().join("said")).expect("a file");
        let errors = output.try_clone().expect("a second handle");
        self.command(&["bootstrap", self.name, "--lab"])
            .stdout(output)
            .stderr(errors)
            .spawn()
            .expect("stead starts")
    }

    pub(crate) fn said(&self) -> String {
        let bytes = std::fs::read(self.dir.path().join("said")).expect("the file");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Runs a command of the lab itself.
    pub(crate) fn lab(&self, arguments: &[&str]) -> Output {
        let mut all = vec!["lab"];
        all.extend(arguments);
        self.command(&all).output().expect("stead runs")
    }

    /// What exists in the lab.
    pub(crate) fn inventory(&self) -> Value {
        let output = self
            .command(&["lab", "inventory"])
            .output()
            .expect("stead runs");
        assert!(output.status.success(), "{}", text(&output));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }
}

pub(crate) fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// What exists in a lab in which nothing has happened.
pub(crate) fn empty_inventory() -> Value {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let output = Command::new(env!("CARGO_BIN_EXE_stead"))
        .args(["lab", "inventory"])
        .current_dir(dir.path())
        .output()
        .expect("stead runs");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// How much of each kind there is; identities and times differ between two labs.
pub(crate) fn counts(inventory: &Value) -> Vec<(String, usize)> {
    let mut all = Vec::new();
    for (system, parts) in inventory.as_object().into_iter().flatten() {
        for (part, content) in parts.as_object().into_iter().flatten() {
            let count = content
                .as_array()
                .map_or_else(|| content.as_u64().unwrap_or_default() as usize, Vec::len);
            all.push((format!("{system}.{part}"), count));
        }
    }
    all
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("the stack") {
        let entry = entry.expect("an entry");
        let name = entry.file_name();
        let kept =
            !name.to_string_lossy().contains("tfstate") && name != ".stead" && name != "kubeconfig";
        let target = to.join(&name);
        if entry.file_type().expect("a type").is_dir() {
            if kept {
                copy(&entry.path(), &target);
            }
        } else if kept {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// The text's words: messages break at the width of the terminal, and plans line up what is side by side.
pub(crate) fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
