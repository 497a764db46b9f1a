//! Commands that are killed: the next one knows what they had done, and what they were about to do.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::env::TestEnv;

fn start(env: &TestEnv, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_stead"))
        .args(arguments)
        .current_dir(env.path())
        .env_clear()
        .env("HOME", env.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("stead runs")
}

fn kill(mut child: Child) {
    // It may have ended by itself.
    let _ = child.kill();
    child.wait().expect("the end of the command");
}

fn journal(env: &TestEnv) -> PathBuf {
    env.path().join("terraform.tfstate.journal")
}

/// A file that is made from a pipe, so that its making waits for us.
fn gated() -> TestEnv {
    let env = TestEnv::new(&[(
        "main.tf",
        "resource \"local_file\" \"a\" {\n  filename = \"out/a\"\n  source   = \"gate\"\n}\n",
    )]);
    close_gate(&env);
    env
}

/// A pipe: who reads it waits for us.
fn close_gate(env: &TestEnv) {
    let status = Command::new("mkfifo").arg(env.path().join("gate")).status();
    assert!(status.expect("mkfifo").success());
}

/// Kills a command that waits at the pipe, and takes the pipe away.
fn killed_at_the_gate(env: &TestEnv, arguments: &[&str]) {
    let child = start(env, arguments);
    let gate = env.path().join("gate");
    let pipe = OpenOptions::new().write(true).open(&gate);
    let pipe = pipe.expect("a reader");
    kill(child);
    drop(pipe);
    std::fs::remove_file(&gate).expect("the pipe");
}

#[test]
fn an_operation_that_was_cut_off_is_named_and_looked_into() {
    let env = gated();
    killed_at_the_gate(&env, &["apply", "-auto-approve"]);
    env.write("gate", "x");
    assert!(journal(&env).exists());

    // Whatever command comes next says so; only those that may write settle it.
    let listed = env.stead(&["state", "list"]);
    assert!(
        listed.stderr.contains("was cut off") && listed.stderr.contains("local_file.a (create)"),
        "{}",
        listed.stderr
    );
    assert!(journal(&env).exists());
    // The journal goes on naming what is in doubt until somebody has looked.
    for _ in 0..2 {
        let planned = env.stead(&["plan", "-detailed-exitcode"]);
        assert_eq!(planned.code, 2, "{}", planned.stderr);
        assert!(planned.stderr.contains("local_file.a (create)"));
    }
    // It had not been made: it is made now, and nothing is left to say.
    let applied = env.stead(&["apply", "-auto-approve"]);
    assert!(applied.stdout.contains("1 added"), "{}", applied.stdout);
    assert!(!journal(&env).exists());
    assert_eq!(env.stead(&["plan", "-detailed-exitcode"]).stderr, "");
    assert_eq!(env.read("out/a"), "x");
}

#[test]
fn an_object_that_was_made_before_the_end_is_not_made_again() {
    let env = gated();
    killed_at_the_gate(&env, &["apply", "-auto-approve"]);
    env.write("gate", "x");
    // As if the process had died a moment later.
    env.write("out/a", "x");
    let planned = env.stead(&["plan", "-detailed-exitcode"]);
    assert_eq!(planned.code, 0, "{}{}", planned.stdout, planned.stderr);
    let applied = env.ok(&["apply", "-auto-approve"]);
    assert!(
        applied.contains("0 added, 0 changed, 0 destroyed"),
        "{applied}"
    );
    assert_eq!(env.ok(&["state", "list"]).trim(), "local_file.a");
    assert!(!journal(&env).exists());
}

/// What provisioners act on is recorded, as unfit, before they begin.
#[test]
fn an_object_is_recorded_before_its_provisioners_run() {
    let env = TestEnv::new(&[(
        "main.tf",
        "resource \"terraform_data\" \"a\" {\n  provisioner \"local-exec\" {\n    command = \"cat gate\"\n  }\n}\n",
    )]);
    close_gate(&env);
    killed_at_the_gate(&env, &["apply", "-auto-approve"]);
    let planned = env.stead(&["plan"]);
    assert!(
        planned.stdout.contains("is tainted, so must be replaced"),
        "{}{}",
        planned.stdout,
        planned.stderr
    );
    assert!(planned.stderr.contains("One change"), "{}", planned.stderr);
}

/// What was removed is not there for its provisioners to run again, even if the command ends at once.
#[test]
fn a_removal_is_recorded_before_the_next_provisioners_run() {
    let env = TestEnv::new(&[(
        "main.tf",
        r#"
resource "terraform_data" "a" {
  provisioner "local-exec" {
    when    = destroy
    command = "cat gate"
  }
}
resource "terraform_data" "b" {
  depends_on = [terraform_data.a]
  provisioner "local-exec" {
    when    = destroy
    command = "echo gone >> log"
  }
}
"#,
    )]);
    env.ok(&["apply", "-auto-approve"]);
    close_gate(&env);
    killed_at_the_gate(&env, &["destroy", "-auto-approve"]);
    assert_eq!(env.read("log"), "gone\n");
    let left = env.ok(&["state", "list"]);
    assert_eq!(left.trim(), "terraform_data.a");
    env.write("gate", "");
    env.ok(&["destroy", "-auto-approve"]);
    assert_eq!(env.read("log"), "gone\n", "it was run twice");
}

const MANY: &str = r#"
resource "local_file" "a" {
  for_each = toset([for i in range(24) : tostring(i)])
  filename = "out/${each.key}"
  content  = "${each.key} ${var.round}"
}
variable "round" {}
"#;

/// The files that are there, against those that the state or a journal says may be there.
#[test]
fn killed_at_any_moment_nothing_is_lost() {
    let env = TestEnv::new(&[("main.tf", MANY)]);
    std::fs::create_dir(env.path().join("out")).expect("a folder");
    let mut settled = 0;
    for round in 0..24_u64 {
        let round_argument = format!("-var=round={}", round / 3);
        let child = start(&env, &["apply", "-auto-approve", &round_argument]);
        if round % 2 == 0 {
            // At a record of the journal, one further each time.
            wait_for_record(&child, &journal(&env), 1 + round as usize * 2);
        } else {
            std::thread::sleep(Duration::from_millis(5 + round * 7 % 90));
        }
        kill(child);
        settled += usize::from(journal(&env).exists());
        let listed = env.stead(&["state", "list"]);
        let known: BTreeSet<String> = (0..24)
            .filter(|i| {
                let address = format!("local_file.a[\"{i}\"]");
                listed.stdout.contains(&address) || listed.stderr.contains(&address)
            })
            .map(|i: u32| i.to_string())
            .collect();
        let there: BTreeSet<String> = std::fs::read_dir(env.path().join("out"))
            .expect("the folder")
            .map(|e| {
                e.expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        let lost: Vec<&String> = there.difference(&known).collect();
        assert!(
            lost.is_empty(),
            "round {round}: {lost:?}\n{}",
            listed.stderr
        );
    }
    assert!(
        settled > 3,
        "only {settled} rounds were cut off in their work"
    );
    env.ok(&["apply", "-auto-approve", "-var=round=end"]);
    assert_eq!(env.ok(&["state", "list"]).lines().count(), 24);
    env.ok(&["destroy", "-auto-approve", "-var=round=end"]);
    assert_eq!(
        std::fs::read_dir(env.path().join("out"))
            .expect("the folder")
            .count(),
        0
    );
    assert!(!journal(&env).exists());
}

/// Waits until the journal has so many records; a command that ends before has fewer.
fn wait_for_record(child: &Child, journal: &Path, count: usize) {
    let running = || {
        Path::new(&format!("/proc/{}/exe", child.id()))
            .read_link()
            .is_ok()
    };
    while running() {
        let bytes = std::fs::read(journal).unwrap_or_default();
        if bytes.iter().filter(|b| **b == b'\n').count() >= count {
            return;
        }
        std::thread::yield_now();
    }
}
