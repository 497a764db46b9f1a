//! States that cannot be used and places that take nothing: a clear error, exit code 1, and nothing overwritten.

use std::collections::BTreeMap;
use std::process::Command;

use crate::env::{Output, TestEnv};
use crate::state_server::StateServer;

const DATA: &str = "resource \"terraform_data\" \"a\" {\n  input = \"one\"\n}\n";

/// Every command that reads a state, and those that would write one.
const COMMANDS: [&[&str]; 12] = [
    &["plan"],
    &["plan", "-lock=false"],
    &["apply", "-auto-approve"],
    &["destroy", "-auto-approve"],
    &["refresh"],
    &["output"],
    &["show"],
    &["state", "list"],
    &["state", "rm", "terraform_data.a"],
    &["state", "mv", "terraform_data.a", "terraform_data.b"],
    &["state", "pull"],
    &["state", "history"],
];

/// What a file has become, and what is said of it.
fn damages(good: &str) -> Vec<(String, &'static str)> {
    let replaced = |from, to| {
        let damaged = good.replacen(from, to, 1);
        assert_ne!(damaged, good, "{from}");
        damaged
    };
    vec![
        (good[..good.len() / 2].into(), "could not be parsed as JSON"),
        (
            replaced("\"lineage\":", "\"lineage\" "),
            "could not be parsed as JSON",
        ),
        (
            "\u{1}\u{2}not a state".into(),
            "could not be parsed as JSON",
        ),
        (
            replaced("\"version\": 4", "\"version\": 5"),
            "uses format version 5",
        ),
        (
            replaced("\"version\": 4", "\"version\": \"x\""),
            "The version in the state file is string",
        ),
        (
            replaced("\"resources\": [", "\"resources\": [7,"),
            "does not conform to the expected JSON data structure",
        ),
    ]
}

/// The text as one line, however it was laid out.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_damaged_state_is_refused_by_every_command_and_stays_as_it_is() {
    let env = TestEnv::new(&[("main.tf", DATA)]);
    env.ok(&["apply", "-auto-approve"]);
    let good = env.read("terraform.tfstate");
    for (damaged, why) in damages(&good) {
        env.write("terraform.tfstate", &damaged);
        for command in COMMANDS {
            let said = flat(&env.fails(command));
            assert!(said.contains(why), "{command:?}, {why}\n{said}");
            assert_eq!(env.read("terraform.tfstate"), damaged, "{command:?}");
        }
    }
    assert!(!env.path().join("terraform.tfstate.backup").exists());
    env.write("terraform.tfstate", &good);
    assert_eq!(env.stead(&["plan", "-detailed-exitcode"]).code, 0);
}

#[test]
fn so_is_one_at_a_remote_place() {
    let server = StateServer::start();
    let env = TestEnv::new(&[("main.tf", DATA), ("backend.tf", &server.backend())]);
    env.ok(&["init"]);
    env.ok(&["apply", "-auto-approve"]);
    let good = server.with(|kept| kept.state.clone()).expect("a state");
    for (damaged, why) in damages(&String::from_utf8(good).expect("text")) {
        server.with(|kept| kept.state = Some(damaged.clone().into()));
        for command in COMMANDS {
            let said = flat(&env.fails(command));
            assert!(said.contains(why), "{command:?}, {why}\n{said}");
            server.with(|kept| {
                assert_eq!(
                    kept.state.as_deref(),
                    Some(damaged.as_bytes()),
                    "{command:?}"
                );
                assert!(kept.lock.is_none(), "{command:?}: the lock stays");
            });
        }
    }
}

#[test]
fn the_state_of_something_else_is_not_taken() {
    let env = TestEnv::new(&[("main.tf", DATA)]);
    env.ok(&["apply", "-auto-approve"]);
    env.ok(&["plan", "-out=p", "-destroy"]);
    let ours = env.read("terraform.tfstate");
    let other = TestEnv::new(&[("main.tf", DATA)]);
    other.ok(&["apply", "-auto-approve"]);
    env.write("other", &other.read("terraform.tfstate"));
    let said = flat(&env.fails(&["state", "push", "other"]));
    assert!(said.contains("unrelated state with lineage"), "{said}");
    assert_eq!(env.read("terraform.tfstate"), ours);
    // A plan that was made of the one is not applied to the other.
    let theirs = env.read("other");
    env.write("terraform.tfstate", &theirs);
    let said = flat(&env.fails(&["apply", "p"]));
    assert!(
        said.contains("created from a different state lineage"),
        "{said}"
    );
    assert_eq!(env.read("terraform.tfstate"), theirs);
}

const FILES: &str = r#"
variable "n" {
  default = "one"
}
resource "terraform_data" "a" {
  count = 40
  input = "${var.n} and so much more that the state does not fit into the smallest of files"
}
resource "local_file" "f" {
  count    = 5
  filename = "out/${count.index}"
  content  = var.n
}
"#;

/// Runs stead where no file can grow beyond so many blocks of 512 bytes: what is too much is written in part, and then refused, as on a full disk.
fn on_a_full_disk(env: &TestEnv, blocks: usize, arguments: &[&str]) -> Output {
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let output = Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_stead")])
        .args(arguments)
        .current_dir(env.path())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", env.path())
        .output()
        .expect("sh runs");
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The files that exist, and those that the state knows.
fn files(env: &TestEnv) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let there = std::fs::read_dir(env.path().join("out")).expect("the folder");
    let there = there.map(|entry| {
        let name = entry.expect("an entry").file_name();
        let name = format!("out/{}", name.to_string_lossy());
        (name.clone(), env.read(&name))
    });
    let known = env.state();
    let known = known["resources"].as_array().expect("resources").iter();
    let known = known.filter(|r| r["type"] == "local_file");
    let known = known.flat_map(|r| r["instances"].as_array().expect("instances"));
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    let known = known.map(|i| {
        let attributes = &i["attributes"];
        (text(&attributes["filename"]), text(&attributes["content"]))
    });
    (there.collect(), known.collect())
}

#[test]
fn a_disk_that_is_full_loses_nothing_and_says_so() {
    let env = TestEnv::new(&[("main.tf", FILES)]);
    env.ok(&["apply", "-auto-approve"]);
    let size = env.read("terraform.tfstate").len();
    env.write("errored.tfstate", "of another run");
    let mut refused = 0;
    // From nothing at all to all but the last byte, and a little more than the journal needs.
    for blocks in [0, 1, 4, 8, 16, 32, size / 1024, size / 512] {
        let before = env.read("terraform.tfstate");
        let apply = ["apply", "-auto-approve", &format!("-var=n={blocks}")];
        let output = on_a_full_disk(&env, blocks, &apply);
        assert_eq!(output.code, 1, "{blocks}: {}", output.stderr);
        assert!(
            output.stderr.contains("File too large"),
            "{blocks}: {}",
            output.stderr
        );
        refused += 1;
        assert_eq!(env.read("terraform.tfstate"), before, "{blocks}");
        let copy = env.read("errored.tfstate");
        assert!(
            copy == "of another run" || serde_json::from_str::<serde_json::Value>(&copy).is_ok(),
            "{blocks}: {copy}"
        );
        // With room again, what was done is known and the rest is done.
        env.ok(&apply);
        let (there, known) = files(&env);
        assert_eq!(there, known, "{blocks}");
        assert!(known.values().all(|content| *content == blocks.to_string()));
        assert!(!env.path().join("terraform.tfstate.journal").exists());
    }
    assert_eq!(refused, 8);
    let left = std::fs::read_dir(env.path()).expect("the folder");
    let left = left.map(|e| {
        e.expect("an entry")
            .file_name()
            .to_string_lossy()
            .into_owned()
    });
    let left: Vec<String> = left.filter(|name| name.starts_with('.')).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_disk_that_takes_nothing_is_read_and_not_written() {
    use std::os::unix::fs::PermissionsExt as _;
    let env = TestEnv::new(&[("main.tf", DATA)]);
    env.ok(&["apply", "-auto-approve"]);
    let before = env.read("terraform.tfstate");
    let mode = |name: &str, mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(env.path().join(name), permissions).expect("a mode");
    };
    mode("terraform.tfstate", 0o444);
    mode("", 0o555);
    let run = |arguments: &[&str]| {
        // Root may write everywhere.
        let mut command = match nix::unistd::getuid().is_root() {
            true => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
                command.arg(env!("CARGO_BIN_EXE_stead"));
                command
            }
            false => Command::new(env!("CARGO_BIN_EXE_stead")),
        };
        let output = command
            .args(arguments)
            .current_dir(env.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", "/nonexistent")
            .output()
            .expect("stead runs");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), flat(&String::from_utf8_lossy(&said)))
    };
    for command in [
        &["apply", "-auto-approve"][..],
        &["plan"],
        &["destroy", "-auto-approve"],
        &["state", "rm", "terraform_data.a"],
    ] {
        let (code, said) = run(command);
        assert_eq!(code, Some(1), "{command:?}: {said}");
        assert!(
            said.contains("Error acquiring the state lock") && said.contains("Permission denied"),
            "{command:?}: {said}"
        );
    }
    let (code, said) = run(&["destroy", "-auto-approve", "-lock=false"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("Permission denied"), "{said}");
    for command in [
        &["state", "list"][..],
        &["output"],
        &["show"],
        &["plan", "-lock=false", "-detailed-exitcode"],
    ] {
        let (code, said) = run(command);
        assert_eq!(code, Some(0), "{command:?}: {said}");
    }
    mode("", 0o755);
    assert_eq!(env.read("terraform.tfstate"), before);
}
