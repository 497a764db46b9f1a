//! Sealed states and plan files: what lies on the disk, what people are told, and what OpenTofu makes of it.

mod opentofu;

use std::fs::OpenOptions;
use std::process::{Command, Stdio};

use crate::env::{Output, TestEnv};
use crate::state_server::StateServer;

const SECRET: &str = "hunter2";

/// A key provider whose key is this byte, repeated.
fn key(name: &str, byte: u8) -> String {
    let digits = format!("{byte:02x}").repeat(32);
    format!("    key_provider \"static\" \"{name}\" {{\n      key = \"{digits}\"\n    }}\n")
}

/// A method that takes the key of the same name.
fn method(name: &str) -> String {
    format!(
        "    method \"aes_gcm\" \"{name}\" {{\n      keys = key_provider.static.{name}\n    }}\n"
    )
}

fn block(content: &str) -> String {
    format!("terraform {{\n  encryption {{\n{content}  }}\n}}\n")
}

/// States and plans sealed by one key.
fn sealed_by(byte: u8) -> String {
    let (key, method) = (key("a", byte), method("a"));
    let targets = "    state {\n      method = method.aes_gcm.a\n    }\n    plan {\n      method = method.aes_gcm.a\n    }\n";
    block(&format!("{key}{method}{targets}"))
}

/// A state sealed by a new key, that may still be of the one that `sealed_by` has. The names of key providers stand in what is sealed, so
/// that the older one keeps its own.
fn turning(new: u8, old: u8) -> String {
    let keys = key("b", new) + &key("a", old) + &method("b") + &method("a");
    let state = "    state {\n      method = method.aes_gcm.b\n      fallback {\n        method = method.aes_gcm.a\n      }\n    }\n";
    block(&format!("{keys}{state}"))
}

/// A stack whose state holds a secret.
fn stack(secret: &str) -> String {
    format!(
        "resource \"terraform_data\" \"a\" {{\n  input = sensitive(\"{secret}\")\n}}\noutput \"o\" {{\n  value     = terraform_data.a.output\n  sensitive = true\n}}\n"
    )
}

fn new(encryption: &str) -> TestEnv {
    TestEnv::new(&[("main.tf", &stack(SECRET)), ("encryption.tf", encryption)])
}

/// Everything that lies in the folder but its configuration.
fn everything(env: &TestEnv) -> String {
    fn walk(folder: &std::path::Path, text: &mut String) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, text);
            } else if path.extension().is_none_or(|e| e != "tf") {
                let bytes = std::fs::read(&path).expect("a file");
                text.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
    }
    let mut text = String::new();
    walk(env.path(), &mut text);
    text
}

fn is_sealed(env: &TestEnv, name: &str) -> bool {
    let text = env.read(name);
    text.contains("\"encrypted_data\"") && !text.contains(SECRET)
}

/// The text as one line, however it was laid out.
fn flat(text: &str) -> String {
    let words: Vec<&str> = text
        .split_whitespace()
        .filter(|word| !matches!(*word, "│" | "╷" | "╵"))
        .collect();
    words.join(" ")
}

fn refused(env: &TestEnv, arguments: &[&str], expected: &[&str]) {
    let before = env.read("terraform.tfstate");
    let error = flat(&env.fails(arguments));
    for text in expected {
        assert!(error.contains(text), "{text}\n{error}");
    }
    assert!(!error.contains(SECRET), "{error}");
    assert_eq!(env.read("terraform.tfstate"), before, "left alone");
}

#[test]
fn nothing_that_an_apply_leaves_can_be_read_without_the_key() {
    let env = new(&sealed_by(1));
    env.ok(&["apply", "-auto-approve"]);
    env.write("main.tf", &stack("hunter3"));
    env.ok(&["plan", "-out=p"]);
    env.ok(&["apply", "p"]);
    let text = everything(&env);
    assert!(!text.contains("hunter"), "{text}");
    for name in ["terraform.tfstate", "terraform.tfstate.backup", "p"] {
        assert!(is_sealed(&env, name), "{name}");
    }
    assert_eq!(env.ok(&["output", "-raw", "o"]), "hunter3");
    assert!(env.ok(&["state", "pull"]).contains("hunter3"));
    assert!(env.ok(&["show", "-json"]).contains("hunter3"));
    assert!(env.ok(&["show", "p"]).contains("terraform_data.a"));
    assert_eq!(env.ok(&["state", "list"]), "terraform_data.a\n");
    env.ok(&["state", "mv", "terraform_data.a", "terraform_data.b"]);
    assert!(!everything(&env).contains("hunter"));
}

#[test]
fn a_state_is_pulled_in_the_clear_and_pushed_sealed() {
    let env = new(&sealed_by(1));
    env.ok(&["apply", "-auto-approve"]);
    let pulled = env.ok(&["state", "pull"]);
    let sealed = env.read("terraform.tfstate");
    std::fs::remove_file(env.path().join("terraform.tfstate")).expect("the state");
    env.write("pulled", &pulled);
    env.ok(&["state", "push", "pulled"]);
    assert!(is_sealed(&env, "terraform.tfstate"));
    // A sealed one may be handed over as well.
    env.write("sealed", &sealed);
    env.ok(&["state", "push", "-force", "sealed"]);
    assert!(is_sealed(&env, "terraform.tfstate"));
    assert_eq!(env.ok(&["output", "-raw", "o"]), SECRET);
}

#[test]
fn without_the_key_nothing_is_read_or_overwritten() {
    let env = new(&sealed_by(1));
    env.ok(&["apply", "-auto-approve"]);
    for command in [
        &["plan", "-no-color"][..],
        &["apply", "-auto-approve", "-no-color"],
        &["state", "list"],
        &["output"],
        &["state", "rm", "terraform_data.a"],
    ] {
        env.write("encryption.tf", &sealed_by(2));
        refused(
            &env,
            command,
            &["decryption failed", "passphrase", "fallback"],
        );
        env.write("encryption.tf", "");
        refused(
            &env,
            command,
            &[
                "can not be read without an encryption configuration",
                "TF_ENCRYPTION",
            ],
        );
    }
    // What was changed since it was sealed does not open either.
    env.write("encryption.tf", &sealed_by(1));
    let text = env.read("terraform.tfstate");
    let at = text.find("\"encrypted_data\":\"").expect("the content") + 40;
    let other = if &text[at..=at] == "A" { "B" } else { "A" };
    env.write(
        "terraform.tfstate",
        &format!("{}{other}{}", &text[..at], &text[at + 1..]),
    );
    refused(
        &env,
        &["plan"],
        &["decryption failed", "restore it from a backup"],
    );
    env.write(
        "terraform.tfstate",
        &text.replacen("\"serial\":2", "\"serial\":7", 1),
    );
    refused(&env, &["plan"], &["serial field mismatch 7 vs 2"]);
}

#[test]
fn a_state_in_the_clear_is_taken_over_when_somebody_says_so() {
    let env = new("");
    env.ok(&["apply", "-auto-approve"]);
    env.write("main.tf", &stack("hunter3"));
    env.ok(&["apply", "-auto-approve"]);
    assert!(everything(&env).contains(SECRET));
    env.write("encryption.tf", &sealed_by(1));
    refused(
        &env,
        &["plan"],
        &[
            "without unencrypted method configured",
            "`stead state encrypt`",
        ],
    );
    let said = env.ok(&["state", "encrypt"]);
    assert_eq!(said, "terraform.tfstate is sealed now.\n");
    assert!(
        !everything(&env).contains("hunter"),
        "not in the backup either"
    );
    let again = env.ok(&["state", "encrypt"]);
    assert_eq!(again, "terraform.tfstate was sealed already.\n");
    assert!(env.ok(&["plan"]).contains("No changes"));
}

#[test]
fn a_fallback_takes_a_state_over_and_leads_back() {
    let plain = "    method \"unencrypted\" \"u\" {}\n";
    let targets = |first: &str, second: &str| {
        let content = format!(
            "{}{}{plain}    state {{\n      method = method.{first}\n      fallback {{\n        method = method.{second}\n      }}\n    }}\n",
            key("a", 1),
            method("a")
        );
        block(&content)
    };
    let env = new("");
    env.ok(&["apply", "-auto-approve"]);
    env.write("encryption.tf", &targets("aes_gcm.a", "unencrypted.u"));
    let shown = flat(&env.ok(&["apply", "-auto-approve", "-no-color"]));
    assert!(
        shown.contains("Warning: Unencrypted method configured"),
        "{shown}"
    );
    assert!(is_sealed(&env, "terraform.tfstate"));
    env.write("encryption.tf", &targets("unencrypted.u", "aes_gcm.a"));
    env.ok(&["apply", "-auto-approve"]);
    assert!(env.read("terraform.tfstate").contains(SECRET));
    let enforced = targets("aes_gcm.a", "unencrypted.u")
        .replace("    state {\n", "    state {\n      enforced = true\n");
    env.write("encryption.tf", &enforced);
    refused(&env, &["plan"], &["Unencrypted method is forbidden"]);
}

#[test]
fn another_key_takes_over() {
    let env = new(&sealed_by(1));
    env.ok(&["apply", "-auto-approve"]);
    env.write("encryption.tf", &turning(2, 1));
    // Looking changes nothing.
    let before = env.read("terraform.tfstate");
    assert!(env.ok(&["plan"]).contains("No changes"));
    assert_eq!(env.read("terraform.tfstate"), before);
    let said = env.ok(&["state", "rekey"]);
    assert!(said.contains("sealed with the first method now"), "{said}");
    let said = env.ok(&["state", "rekey"]);
    assert!(said.contains("already"), "{said}");
    env.write("encryption.tf", &turning(2, 3));
    assert_eq!(env.ok(&["output", "-raw", "o"]), SECRET);
    env.write("encryption.tf", &sealed_by(1));
    refused(&env, &["plan"], &["decryption failed"]);
}

#[test]
fn without_a_block_the_commands_say_what_to_add_and_it_is_what_they_need() {
    let env = new("");
    env.ok(&["apply", "-auto-approve"]);
    for command in ["encrypt", "rekey"] {
        let error = env.fails(&["state", command, "-no-color"]);
        assert!(
            error.contains("key_provider \"pbkdf2\" \"main\""),
            "{error}"
        );
    }
    let error = env.fails(&["state", "encrypt", "-no-color"]);
    let block = error.find("terraform {").expect("the block");
    // As it stands there, but for the rounds, which take long without optimisation.
    let block = error[block..].replace(
        "var.state_passphrase\n",
        "var.state_passphrase\n      iterations = 200000\n",
    );
    env.write("encryption.tf", &block);
    let passphrase = [("TF_VAR_state_passphrase", "correct horse battery")];
    let output = env.stead_with(&["state", "encrypt"], &passphrase);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(is_sealed(&env, "terraform.tfstate"));
    let output = env.stead_with(&["output", "-raw", "o"], &passphrase);
    assert_eq!(output.stdout, SECRET, "{}", output.stderr);
    let output = env.stead_with(
        &["plan", "-no-color"],
        &[("TF_VAR_state_passphrase", "short")],
    );
    let error = flat(&output.stderr);
    assert!(
        error.contains("passphrase is too short (minimum 16 characters)")
            && !error.contains("short\""),
        "{error}"
    );
    let error = flat(&env.fails(&["state", "list"]));
    assert!(error.contains("TF_VAR_state_passphrase"), "{error}");
}

#[test]
fn the_environment_may_hold_the_whole_configuration_or_the_key() {
    let env = new("");
    let content = |byte| {
        let whole = sealed_by(byte);
        let inner = whole
            .strip_prefix("terraform {\n  encryption {\n")
            .and_then(|rest| rest.strip_suffix("  }\n}\n"));
        inner.expect("the content").to_owned()
    };
    let with = |arguments: &[&str], value: &str| -> Output {
        env.stead_with(arguments, &[("TF_ENCRYPTION", value)])
    };
    let applied = with(&["apply", "-auto-approve"], &content(1));
    assert_eq!(applied.code, 0, "{}", applied.stderr);
    assert!(is_sealed(&env, "terraform.tfstate"));
    // The block says what, the environment with which key.
    env.write("encryption.tf", &sealed_by(2));
    let json = format!(
        "{{\"key_provider\":{{\"static\":{{\"a\":{{\"key\":\"{}\"}}}}}}}}",
        "01".repeat(32)
    );
    assert_eq!(with(&["output", "-raw", "o"], &json).stdout, SECRET);
    refused(&env, &["output"], &["decryption failed"]);
    let wrong = with(
        &["plan", "-no-color"],
        "key_provider \"static\" \"a\" {\n  key = \"hunter2 is no key\"\n}",
    );
    let error = flat(&wrong.stderr);
    assert_eq!(wrong.code, 1);
    assert!(
        error.contains("Unable to build encryption key data") && error.contains("hex-decode"),
        "{error}"
    );
    assert!(!error.contains(SECRET), "{error}");
    let wrong = with(&["plan", "-no-color"], "key \"hunter2\" {");
    assert!(
        wrong.code == 1 && wrong.stderr.contains("TF_ENCRYPTION") && !wrong.stderr.contains(SECRET),
        "{}",
        wrong.stderr
    );
}

#[test]
fn what_is_wrong_in_the_block_is_said_where_it_stands() {
    let env = new(&block(
        "    key_provider \"pbkdf2\" \"a\" {\n      chain = key_provider.pbkdf2.b\n    }\n    key_provider \"pbkdf2\" \"b\" {\n      chain = key_provider.pbkdf2.a\n    }\n    key_provider \"aws_kms\" \"k\" {}\n    key_provider \"nobody\" \"n\" {}\n    method \"aes_gcm\" \"a\" {\n      keys = key_provider.pbkdf2.a\n    }\n    method \"aes_gcm\" \"k\" {\n      keys = key_provider.aws_kms.k\n    }\n    method \"aes_gcm\" \"n\" {\n      keys = key_provider.nobody.n\n    }\n    method \"external\" \"x\" {}\n    state {\n      method = method.aes_gcm.a\n      fallback {\n        method = method.aes_gcm.k\n        fallback {\n          method = method.aes_gcm.n\n          fallback {\n            method = method.external.x\n          }\n        }\n      }\n    }\n",
    ));
    for command in [&["plan", "-no-color"][..], &["validate", "-no-color"]] {
        let error = flat(&env.fails(command));
        for text in [
            "Circular reference detected",
            "key_provider.pbkdf2.a -> key_provider.pbkdf2.b -> key_provider.pbkdf2.a",
            "on encryption.tf line 7",
            "Key provider not supported yet",
            "Error fetching key_provider \"nobody\"",
            "on encryption.tf line 10",
            "Encryption method not supported yet",
        ] {
            assert!(error.contains(text), "{text}\n{error}");
        }
    }
    assert!(!env.path().join("terraform.tfstate").exists());
}

#[test]
fn secrets_in_the_clear_are_warned_of_once_unless_that_is_chosen() {
    const WARNING: &str = "The state holds secrets in the clear";
    let count = |text: &str| text.matches(WARNING).count();
    let env = new("");
    let applied = env.ok(&["apply", "-auto-approve", "-no-color"]);
    assert_eq!(count(&applied), 1, "{applied}");
    assert!(
        flat(&applied).contains("`stead state encrypt` seals it"),
        "{applied}"
    );
    assert_eq!(count(&env.ok(&["apply", "-auto-approve", "-no-color"])), 1);
    assert_eq!(count(&env.ok(&["plan", "-no-color"])), 1);
    let stream = env.ok(&["plan", "-json"]);
    let told: Vec<serde_json::Value> = stream
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .filter(|line: &serde_json::Value| line["diagnostic"]["summary"] == WARNING)
        .collect();
    assert_eq!(told.len(), 1, "{stream}");
    let silenced = env.stead_with(&["plan"], &[("STEAD_PLAIN_STATE", "1")]);
    assert_eq!(count(&silenced.stdout), 0);
    env.write(
        "encryption.tf",
        &block("    method \"unencrypted\" \"u\" {}\n    state {\n      method = method.unencrypted.u\n    }\n"),
    );
    assert_eq!(count(&env.ok(&["plan", "-no-color"])), 0, "it was chosen");
    env.write("encryption.tf", "");
    env.ok(&["destroy", "-auto-approve"]);
    env.write(
        "main.tf",
        "resource \"terraform_data\" \"a\" {\n  input = 1\n}\n",
    );
    assert_eq!(count(&env.ok(&["apply", "-auto-approve", "-no-color"])), 0);
}

#[test]
fn an_older_copy_that_is_put_back_is_noticed() {
    let env = new(&sealed_by(1));
    env.ok(&["apply", "-auto-approve"]);
    let old = env.read("terraform.tfstate");
    env.write("main.tf", &stack("hunter3"));
    env.ok(&["apply", "-auto-approve"]);
    env.write("terraform.tfstate", &old);
    refused(
        &env,
        &["plan"],
        &["an older copy was put in its place", ".stead/serials.json"],
    );
    std::fs::remove_file(env.path().join(".stead/serials.json")).expect("the note");
    env.ok(&["plan"]);
}

#[test]
fn the_states_of_other_stacks_open_by_their_own_keys() {
    let env = new(&sealed_by(1));
    env.ok(&["apply", "-auto-approve"]);
    let other = |remotes: &str| {
        let content = format!(
            "{}{}    remote_state_data_sources {{\n{remotes}    }}\n",
            key("other", 1).replace(
                "      key",
                "      encrypted_metadata_alias = \"key_provider.static.a\"\n      key"
            ),
            method("other")
        );
        format!(
            "{}data \"terraform_remote_state\" \"net\" {{\n  backend = \"local\"\n  config  = {{ path = \"{}\" }}\n}}\noutput \"o\" {{\n  value     = data.terraform_remote_state.net.outputs.o\n  sensitive = true\n}}\n",
            block(&content),
            env.path().join("terraform.tfstate").display()
        )
    };
    let target = |header: &str| {
        format!("      {header} {{\n        method = method.aes_gcm.other\n      }}\n")
    };
    for remotes in [
        target("default"),
        target("remote_state_data_source \"net\""),
    ] {
        let reader = TestEnv::new(&[("main.tf", &other(&remotes))]);
        reader.ok(&["apply", "-auto-approve"]);
        assert_eq!(reader.ok(&["output", "-raw", "o"]), SECRET);
    }
    let elsewhere = target("remote_state_data_source \"another\"");
    let reader = TestEnv::new(&[("main.tf", &other(&elsewhere))]);
    let error = flat(&reader.fails(&["plan", "-no-color"]));
    assert!(
        error.contains("can not be read without an encryption configuration"),
        "{error}"
    );
}

#[test]
fn a_sealed_plan_needs_the_key_again_and_nothing_else() {
    let by_variable = sealed_by(1).replace(&format!("\"{}\"", "01".repeat(32)), "var.key");
    let env = new(&format!(
        "variable \"key\" {{\n  type      = string\n  ephemeral = true\n}}\n{by_variable}"
    ));
    let key = format!("key={}", "01".repeat(32));
    let var = ["-var", &key];
    env.ok(&[&["plan", "-out=p"][..], &var].concat());
    assert!(is_sealed(&env, "p"));
    let error = env.fails(&["apply", "-no-color", "p"]);
    assert!(error.contains("TF_VAR_key"), "{error}");
    env.ok(&[&["apply"][..], &var, &["p"]].concat());
    assert!(is_sealed(&env, "terraform.tfstate"));
    let wrong = format!("key={}", "02".repeat(32));
    let error = env.fails(&["apply", "-no-color", "-var", &wrong, "p"]);
    assert!(error.contains("decryption failed"), "{error}");
    // One that somebody has put there in the clear is not taken.
    let other = TestEnv::new(&[("main.tf", &stack("other"))]);
    other.ok(&["plan", "-out=p"]);
    std::fs::copy(other.path().join("p"), env.path().join("p")).expect("the plan");
    let error = flat(&env.fails(&[&["apply", "-no-color"][..], &var, &["p"]].concat()));
    assert!(error.contains("without unencrypted method"), "{error}");
}

/// The folder says what is taken. When it cannot be read, it may say that nothing in the clear is; OpenTofu refuses then too.
#[test]
fn a_plan_in_the_clear_is_not_taken_where_the_folder_cannot_be_read() {
    let other = TestEnv::new(&[("main.tf", &stack("other"))]);
    other.ok(&["plan", "-out=p"]);
    let env = new(&sealed_by(1));
    std::fs::copy(other.path().join("p"), env.path().join("p")).expect("the plan");
    env.write("main.tf", "resource {");
    for command in [&["apply", "p"][..], &["show", "p"]] {
        let error = env.fails(command);
        assert!(error.contains("main.tf line 1"), "{error}");
        assert!(!error.contains("other"), "{error}");
    }
    assert!(!env.path().join("terraform.tfstate").exists());
    // A folder without a configuration says nothing.
    std::fs::remove_file(other.path().join("main.tf")).expect("the configuration");
    other.ok(&["apply", "p"]);
}

/// As OpenTofu's tests: what a run makes is kept in memory, and no key is asked for.
#[test]
fn tests_seal_nothing_and_need_no_key() {
    let env = new(&sealed_by(1).replace(&format!("\"{}\"", "01".repeat(32)), "var.key"));
    env.write(
        "variables.tf",
        "variable \"key\" {\n  default = \"no key at all\"\n}\n",
    );
    env.write(
        "main.tftest.hcl",
        "run \"whole\" {\n  assert {\n    condition     = nonsensitive(output.o) == \"hunter2\"\n    error_message = \"another\"\n  }\n}\n",
    );
    let refused = env.fails(&["plan"]);
    assert!(
        refused.contains("Unable to build encryption key data"),
        "{refused}"
    );
    let told = env.ok(&["test"]);
    assert!(told.contains("1 passed, 0 failed"), "{told}");
    assert!(!env.path().join("terraform.tfstate").exists());
}

#[test]
fn what_a_killed_run_leaves_is_sealed_and_settled_with_the_key() {
    let env = TestEnv::new(&[
        (
            "main.tf",
            "resource \"terraform_data\" \"a\" {\n  input = sensitive(\"hunter2\")\n}\nresource \"local_file\" \"b\" {\n  filename   = \"out\"\n  source     = \"gate\"\n  depends_on = [terraform_data.a]\n}\n",
        ),
        ("encryption.tf", &sealed_by(1)),
    ]);
    let gate = env.path().join("gate");
    let made = Command::new("mkfifo").arg(&gate).status();
    assert!(made.expect("mkfifo").success());
    let mut child = Command::new(env!("CARGO_BIN_EXE_stead"))
        .args(["apply", "-auto-approve"])
        .current_dir(env.path())
        .env_clear()
        .env("HOME", env.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("stead runs");
    // Whoever opens the pipe for writing knows that the file is being made.
    let pipe = OpenOptions::new()
        .write(true)
        .open(&gate)
        .expect("a reader");
    child.kill().expect("killed");
    child.wait().expect("the end of the command");
    drop(pipe);
    std::fs::remove_file(&gate).expect("the pipe");
    let journal = env.read("terraform.tfstate.journal");
    assert!(journal.lines().count() > 2, "{journal}");
    assert!(
        !journal.contains(SECRET) && !journal.contains("terraform_data"),
        "{journal}"
    );
    env.write("encryption.tf", &sealed_by(2));
    let error = flat(&env.fails(&["plan"]));
    assert!(error.contains("decryption failed"), "{error}");
    assert_eq!(env.read("terraform.tfstate.journal"), journal, "left alone");
    env.write("encryption.tf", &sealed_by(1));
    env.write("gate", "x");
    let output = env.stead(&["apply", "-auto-approve"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(output.stderr.contains("was cut off"), "{}", output.stderr);
    assert!(!env.path().join("terraform.tfstate.journal").exists());
    assert!(!everything(&env).contains(SECRET));
    assert!(env.ok(&["state", "pull"]).contains(SECRET));
}

#[test]
fn a_remote_state_is_sealed_before_it_leaves_and_taken_along_sealed() {
    let server = StateServer::start();
    let env = new(&sealed_by(1));
    env.ok(&["apply", "-auto-approve"]);
    // To the server, under its lock.
    env.write("backend.tf", &server.backend());
    env.ok(&["init", "-force-copy"]);
    let kept = server.state().to_string();
    assert!(
        kept.contains("encrypted_data") && !kept.contains(SECRET),
        "{kept}"
    );
    assert!(env.ok(&["plan"]).contains("No changes"));
    env.write("main.tf", &stack("hunter3"));
    env.ok(&["apply", "-auto-approve"]);
    assert_eq!(env.ok(&["output", "-raw", "o"]), "hunter3");
    assert!(!server.state().to_string().contains("hunter"));
    assert!(!everything(&env).contains("hunter"), "the history too");
    // An older copy at the place is noticed here.
    server.with(|kept_now| kept_now.state = Some(kept.into()));
    let error = flat(&env.fails(&["plan", "-no-color"]));
    assert!(
        error.contains("an older copy was put in its place"),
        "{error}"
    );
}
