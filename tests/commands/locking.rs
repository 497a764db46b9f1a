//! One state, two commands: the second is refused, or waits as long as it was told.
//!
//! Pipes stand where a command reads a file: whoever opens one for writing knows that the command has come that far.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::env::TestEnv;

const STACK: &str = "resource \"terraform_data\" \"a\" { input = file(\"gate\") }\n";

/// A pipe in the place of a file.
struct Gate(PathBuf);

impl Gate {
    fn new(path: PathBuf) -> Gate {
        let status = Command::new("mkfifo").arg(&path).status().expect("mkfifo");
        assert!(status.success());
        Gate(path)
    }

    /// Waits until somebody reads, and takes the pipe's name away: whoever comes later finds what is put there.
    fn reached(self) -> File {
        let pipe = OpenOptions::new()
            .write(true)
            .open(&self.0)
            .expect("a reader");
        std::fs::remove_file(&self.0).expect("the pipe");
        pipe
    }
}

fn start(env: &TestEnv, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_stead"))
        .args(arguments)
        .current_dir(env.path())
        .env_clear()
        .env("HOME", env.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("stead runs")
}

/// Waits for the end of a command, which must not leave anybody waiting at a pipe that it never read.
fn end(child: Child, gate: &Path) -> std::thread::JoinHandle<Output> {
    let gate = gate.to_owned();
    std::thread::spawn(move || {
        let output = child.wait_with_output().expect("the command ends");
        if gate.exists() {
            let _ = OpenOptions::new().read(true).write(true).open(&gate);
        }
        output
    })
}

fn succeeded(output: std::thread::JoinHandle<Output>) -> String {
    let output = output.join().expect("the thread");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn the_second_apply_is_refused_or_waits_for_the_first() {
    let env = TestEnv::new(&[("main.tf", STACK)]);
    let path = env.path().join("gate");
    let gate = Gate::new(path.clone());
    let first = end(start(&env, &["apply", "-auto-approve"]), &path);
    // The first one plans, so it has the lock.
    let mut reading = gate.reached();

    for more in [&[][..], &["-lock-timeout=1s"]] {
        let arguments = [&["apply", "-auto-approve", "-no-color"], more].concat();
        let error = env.fails(&arguments);
        let error: Vec<&str> = error.split_whitespace().collect();
        let error = error.join(" ");
        for text in [
            "Error acquiring the state lock",
            "Lock Info:",
            "Operation: OperationTypeApply",
            "fuser -v terraform.tfstate",
        ] {
            assert!(error.contains(text), "no {text:?} in\n{error}");
        }
    }

    // One that may wait looks who has the lock, and goes on waiting.
    let note = env.path().join(".terraform.tfstate.lock.info");
    let holder = std::fs::read(&note).expect("the note");
    std::fs::remove_file(&note).expect("the note");
    let refused = Gate::new(note.clone());
    let second = end(
        start(&env, &["apply", "-auto-approve", "-lock-timeout=10m"]),
        &note,
    );
    refused.reached().write_all(&holder).expect("the note");

    env.write("gate", "open");
    reading.write_all(b"open").expect("the first one reads");
    drop(reading);
    let first = succeeded(first);
    assert!(first.contains("1 added, 0 changed, 0 destroyed"), "{first}");
    let second = succeeded(second);
    assert!(
        second.contains("0 added, 0 changed, 0 destroyed"),
        "it sees what the first one made: {second}"
    );
    assert!(!note.exists(), "nobody holds the lock");
}
