//! Many processes apply to one state: one at a time, and none's work is lost.

use std::process::{Command, Stdio};

use crate::env::TestEnv;
use crate::state_server::StateServer;

const PROCESSES: usize = 50;

/// `terraform_data.each["3"]`, made while nobody else makes one: a folder can be made only by one.
const STACK: &str = r#"
variable "keys" {
  type = set(string)
}
variable "alone" {
  type = string
}
resource "terraform_data" "each" {
  for_each = var.keys
  input    = each.key
  provisioner "local-exec" {
    command = "mkdir '${var.alone}' && rmdir '${var.alone}'"
  }
}
"#;

/// Every process applies its own instance of what one state holds, from a folder of its own.
fn race(backend: &str, variables: &[(String, String)]) {
    let shared = tempfile::tempdir().expect("a folder");
    let alone = shared.path().join("alone");
    let keys: Vec<String> = (0..PROCESSES).map(|n| format!("\"{n}\"")).collect();
    let values = format!(
        "keys  = [{}]\nalone = \"{}\"\n",
        keys.join(", "),
        alone.display()
    );
    let variables: Vec<(&str, &str)> = variables
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let envs: Vec<TestEnv> = (0..PROCESSES)
        .map(|_| {
            let files = [
                ("main.tf", STACK),
                ("backend.tf", backend),
                ("terraform.tfvars", &values),
            ];
            let env = TestEnv::new(&files);
            let output = env.stead_with(&["init"], &variables);
            assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
            env
        })
        .collect();
    let running: Vec<_> = envs
        .iter()
        .enumerate()
        .map(|(n, env)| {
            let target = format!("-target=terraform_data.each[\"{n}\"]");
            Command::new(env!("CARGO_BIN_EXE_stead"))
                .args(["apply", "-auto-approve", "-lock-timeout=9m", &target])
                .current_dir(env.path())
                .env_clear()
                .env("PATH", std::env::var_os("PATH").unwrap_or_default())
                .env("HOME", env.path())
                .envs(variables.iter().copied())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .expect("stead runs")
        })
        .collect();
    for child in running {
        let output = child.wait_with_output().expect("the end of an apply");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
    }
    let listed = envs[0].stead_with(&["state", "list"], &variables);
    assert_eq!(
        listed.stdout.lines().count(),
        PROCESSES,
        "{}",
        listed.stdout
    );
    let pulled = envs[0].stead_with(&["state", "pull"], &variables);
    let state: serde_json::Value = serde_json::from_str(&pulled.stdout).expect("a state");
    assert!(
        state["serial"].as_u64() >= Some(PROCESSES as u64),
        "{}",
        state["serial"]
    );
}

#[test]
fn in_a_local_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("shared.tfstate");
    race(
        &format!(
            "terraform {{\n  backend \"local\" {{\n    path = \"{}\"\n  }}\n}}\n",
            path.display()
        ),
        &[],
    );
}

#[test]
fn behind_an_http_address() {
    let server = StateServer::start();
    race(&server.backend(), &[]);
    assert!(server.with(|kept| kept.lock.is_none()), "the lock stays");
}

/// For `tests/real/run`: the backend block and the variables (`NAME=VALUE` a line) come from the environment.
#[test]
#[ignore = "needs a service: tests/real/run"]
fn at_a_real_service() {
    let backend = std::env::var("STEAD_REAL_BACKEND").expect("STEAD_REAL_BACKEND: a backend block");
    let variables = std::env::var("STEAD_REAL_VARIABLES").unwrap_or_default();
    let variables: Vec<(String, String)> = variables
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    race(&backend, &variables);
}
