//! Terraform itself: it must read what stead writes, and stead what it writes, and agree.

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

fn terraform(env: &TestEnv, arguments: &[&str]) -> Output {
    Command::new("terraform")
        .args(arguments)
        .current_dir(env.path())
        .env("CHECKPOINT_DISABLE", "1")
        .env("TF_IN_AUTOMATION", "1")
        .output()
        .expect("terraform runs")
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
#[ignore = "needs terraform on the PATH: .ci/run asks for it where there is one"]
fn terraform_reads_the_state_and_plans_no_changes() {
    let env = TestEnv::new(&[("main.tf", STACK)]);
    env.ok(&["apply", "-auto-approve"]);
    let init = terraform(&env, &["init", "-no-color"]);
    assert!(init.status.success(), "{}", text(&init));
    let list = terraform(&env, &["state", "list"]);
    assert_eq!(
        String::from_utf8_lossy(&list.stdout),
        env.ok(&["state", "list"])
    );
    let show = terraform(&env, &["show", "-no-color"]);
    assert!(text(&show).contains("w2-4096-1"), "{}", text(&show));
    let plan = terraform(&env, &["plan", "-no-color", "-detailed-exitcode"]);
    assert_eq!(plan.status.code(), Some(0), "{}", text(&plan));
}

/// The state was written by Terraform 1.11.4, from the same stack.
#[test]
fn a_state_of_terraform_goes_on_without_changes() {
    let env = TestEnv::new(&[
        ("main.tf", STACK),
        (
            "terraform.tfstate",
            include_str!("fixtures/terraform-1.11.tfstate"),
        ),
    ]);
    let plan = env.stead(&["plan", "-detailed-exitcode"]);
    assert_eq!(plan.code, 0, "{}{}", plan.stdout, plan.stderr);
    let before = env.state();
    env.ok(&["apply", "-auto-approve"]);
    for part in ["lineage", "serial", "resources", "outputs"] {
        assert_eq!(env.state()[part], before[part]);
    }
    env.ok(&["destroy", "-auto-approve"]);
}
