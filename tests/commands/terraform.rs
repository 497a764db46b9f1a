//! Terraform itself, where it is installed: it must read what stead writes, and agree.

use std::process::{Command, Output};

use crate::env::TestEnv;

const STACK: &str = r#"
locals {
  machines = { w1 = { ram = 2048 }, w2 = { ram = 4096, tags = ["gpu"] } }
}
resource "terraform_data" "machine" {
  for_each = local.machines
  input    = merge({ tags = [] }, each.value)
}
resource "terraform_data" "list" {
  count = 2
  input = [for k, m in terraform_data.machine : "${k}-${m.output.ram}-${count.index}"]
}
output "machines" {
  value = [for m in terraform_data.list : m.output]
}
"#;

fn terraform(env: &TestEnv, arguments: &[&str]) -> Option<Output> {
    let output = Command::new("terraform")
        .args(arguments)
        .current_dir(env.path())
        .env("CHECKPOINT_DISABLE", "1")
        .env("TF_IN_AUTOMATION", "1")
        .output();
    match output {
        Ok(output) => Some(output),
        // Not installed here: the comparison is made where it is.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(e) => panic!("terraform: {e}"),
    }
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn terraform_reads_the_state_and_plans_no_changes() {
    let env = TestEnv::new(&[("main.tf", STACK)]);
    env.ok(&["apply", "-auto-approve"]);
    let Some(init) = terraform(&env, &["init", "-no-color"]) else {
        return;
    };
    assert!(init.status.success(), "{}", text(&init));
    let list = terraform(&env, &["state", "list"]).expect("terraform is there");
    assert_eq!(
        String::from_utf8_lossy(&list.stdout),
        env.ok(&["state", "list"])
    );
    let show = terraform(&env, &["show", "-no-color"]).expect("terraform is there");
    assert!(text(&show).contains("w2-4096-1"), "{}", text(&show));
    let plan =
        terraform(&env, &["plan", "-no-color", "-detailed-exitcode"]).expect("terraform is there");
    assert_eq!(plan.status.code(), Some(0), "{}", text(&plan));
}

#[test]
fn a_state_of_terraform_goes_on_without_changes() {
    let env = TestEnv::new(&[("main.tf", STACK)]);
    let Some(init) = terraform(&env, &["init", "-no-color"]) else {
        return;
    };
    assert!(init.status.success(), "{}", text(&init));
    let apply =
        terraform(&env, &["apply", "-no-color", "-auto-approve"]).expect("terraform is there");
    assert!(apply.status.success(), "{}", text(&apply));
    let plan = env.stead(&["plan", "-detailed-exitcode"]);
    assert_eq!(plan.code, 0, "{}{}", plan.stdout, plan.stderr);
    env.ok(&["destroy", "-auto-approve"]);
}
