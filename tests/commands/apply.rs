//! Plan, apply, destroy: the life of objects.

use crate::env::TestEnv;

const CHAIN: &str = r#"
variable "v" {
  type    = number
  default = 1
}

module "m" {
  source   = "./m"
  for_each = toset(["a", "b"])
  name     = each.key
  size     = var.v
}

resource "terraform_data" "base" {
  input            = "x"
  triggers_replace = var.v
}

resource "terraform_data" "dependent" {
  input            = [terraform_data.base.output, module.m["a"].out]
  triggers_replace = terraform_data.base.id
  lifecycle {
    create_before_destroy = true
  }
}

resource "terraform_data" "counted" {
  count = var.v
  input = count.index
}

output "sizes" {
  value = { for k, m in module.m : k => m.out }
}
"#;

const MODULE: &str = r#"
variable "name" {}
variable "size" { type = string }
resource "terraform_data" "x" { input = "${var.name}-${var.size}" }
output "out" { value = terraform_data.x.output }
"#;

fn chain() -> TestEnv {
    TestEnv::new(&[("main.tf", CHAIN), ("m/main.tf", MODULE)])
}

#[test]
fn an_apply_that_nobody_listens_to_is_done_to_the_end() {
    let env = TestEnv::new(&[(
        "main.tf",
        "resource \"terraform_data\" \"a\" { count = 200 }\nresource \"terraform_data\" \"b\" { input = nonsensitive(terraform_data.a[*].id) }\n",
    )]);
    // Both pipes are closed before anything is written.
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_stead"))
        .args(["apply", "-auto-approve"])
        .current_dir(env.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("stead runs");
    drop((child.stdout.take(), child.stderr.take()));
    let status = child.wait().expect("an end");
    assert!(status.success(), "{status}");
    assert_eq!(env.state()["resources"].as_array().map(Vec::len), Some(2));
    assert!(!env.path().join("terraform.tfstate.journal").exists());
}

#[test]
fn applies_once_and_then_has_nothing_to_do() {
    let env = chain();
    assert_eq!(env.stead(&["plan", "-detailed-exitcode"]).code, 2);
    let out = env.ok(&["apply", "-auto-approve"]);
    assert!(
        out.contains("Resources: 5 added, 0 changed, 0 destroyed."),
        "{out}"
    );
    let again = env.stead(&["plan", "-detailed-exitcode"]);
    assert_eq!(again.code, 0, "{}", again.stdout);
    assert!(
        again
            .stdout
            .contains("No changes. Your infrastructure matches the configuration.")
    );
    let serial = env.state()["serial"].clone();
    env.ok(&["apply", "-auto-approve"]);
    assert_eq!(
        env.state()["serial"],
        serial,
        "an apply without changes must not raise the serial"
    );
}

#[test]
fn create_before_destroy_spreads_to_what_it_depends_on() {
    let env = chain();
    env.ok(&["apply", "-auto-approve"]);
    let out = env.ok(&["apply", "-auto-approve", "-var", "v=3"]);
    let at = |text: &str| {
        out.find(text)
            .unwrap_or_else(|| panic!("no {text:?} in\n{out}"))
    };
    assert!(
        at("terraform_data.base: Creation complete") < at("terraform_data.dependent: Creating...")
    );
    assert!(
        at("terraform_data.dependent: Creation complete")
            < at("terraform_data.dependent (deposed object")
    );
    assert!(
        at("terraform_data.dependent: Destruction complete")
            < at("terraform_data.base (deposed object")
    );
    assert!(
        out.contains("Resources: 4 added, 2 changed, 2 destroyed."),
        "{out}"
    );
    assert_eq!(
        env.ok(&["output", "-json", "sizes"])
            .replace(char::is_whitespace, ""),
        r#"{"a":"a-3","b":"b-3"}"#
    );
}

#[test]
fn destroy_goes_in_reverse_and_leaves_an_empty_state() {
    let env = chain();
    env.ok(&["apply", "-auto-approve"]);
    let out = env.ok(&["destroy", "-auto-approve"]);
    let at = |text: &str| {
        out.find(text)
            .unwrap_or_else(|| panic!("no {text:?} in\n{out}"))
    };
    assert!(
        at("terraform_data.dependent: Destruction complete")
            < at("terraform_data.base: Destroying...")
    );
    let state = env.state();
    assert_eq!(state["resources"], serde_json::json!([]));
    assert_eq!(state["outputs"], serde_json::json!({}));
}

#[test]
fn a_saved_plan_needs_only_itself_and_is_refused_when_stale() {
    let env = chain();
    env.ok(&["plan", "-out", "p", "-var", "v=2"]);
    let json: serde_json::Value =
        serde_json::from_str(&env.ok(&["show", "-json", "p"])).expect("JSON");
    assert_eq!(json["resource_changes"].as_array().map(Vec::len), Some(6));
    assert_eq!(json["format_version"], "1.2");
    // What is on disk by now does not matter, as long as it can be read: it says which plans are taken.
    env.write("main.tf", "resource \"nobody_has\" \"this\" {}");
    let out = env.ok(&["apply", "p"]);
    assert!(out.contains("Resources: 6 added"), "{out}");
    let stale = env.fails(&["apply", "p"]);
    assert!(stale.contains("Saved plan is stale"), "{stale}");
}

#[test]
fn moved_objects_keep_their_life() {
    let env = TestEnv::new(&[("main.tf", "resource \"terraform_data\" \"a\" { input = 1 }")]);
    env.ok(&["apply", "-auto-approve"]);
    let id = env.state()["resources"][0]["instances"][0]["attributes"]["id"].clone();
    env.write(
        "main.tf",
        "module \"m\" { source = \"./m\" }\nmoved {\n  from = terraform_data.a\n  to = module.m.terraform_data.b[\"k\"]\n}",
    );
    env.write(
        "m/main.tf",
        "resource \"terraform_data\" \"b\" {\n  for_each = toset([\"k\"])\n  input = 1\n}",
    );
    let plan = env.ok(&["plan"]);
    assert!(
        plan.contains("terraform_data.a has moved to module.m.terraform_data.b[\"k\"]"),
        "{plan}"
    );
    assert!(
        plan.contains("0 to add, 0 to change, 0 to destroy"),
        "{plan}"
    );
    env.ok(&["apply", "-auto-approve"]);
    let state = env.state();
    assert_eq!(
        state["resources"][0]["instances"][0]["attributes"]["id"],
        id
    );
    assert_eq!(state["resources"][0]["module"], "module.m");
}

#[test]
fn sensitive_values_are_never_printed() {
    let env = TestEnv::new(&[(
        "main.tf",
        r#"
variable "secret" {
  sensitive = true
  default   = "hunter22"
}
resource "null_resource" "a" { triggers = { plain = "seen", hidden = "x-${var.secret}" } }
output "o" {
  value     = null_resource.a.triggers.hidden
  sensitive = true
}
"#,
    )]);
    let mut printed = env.ok(&["plan"]);
    printed += &env.ok(&["apply", "-auto-approve"]);
    printed += &env.ok(&["show"]);
    printed += &env.ok(&["output"]);
    printed += &env.ok(&["state", "show", "null_resource.a"]);
    assert!(!printed.contains("hunter22"), "{printed}");
    assert!(printed.contains("seen"));
    assert!(env.ok(&["output", "-json", "o"]).contains("x-hunter22"));
}

#[test]
fn a_failed_branch_does_not_stop_the_others() {
    let env = TestEnv::new(&[(
        "main.tf",
        r#"
resource "local_file" "bad" {
  filename = "/proc/nothing/here"
  content  = "x"
}
resource "terraform_data" "behind" { input = local_file.bad.id }
resource "terraform_data" "beside" { input = 1 }
"#,
    )]);
    let output = env.stead(&["apply", "-auto-approve"]);
    assert_eq!(output.code, 1);
    assert!(
        output
            .stdout
            .contains("terraform_data.beside: Creation complete"),
        "{}",
        output.stdout
    );
    assert!(
        !output.stdout.contains("terraform_data.behind: Creating"),
        "{}",
        output.stdout
    );
    assert!(
        output.stderr.contains("with local_file.bad"),
        "{}",
        output.stderr
    );
    let state = env.state();
    assert_eq!(
        state["resources"].as_array().map(Vec::len),
        Some(1),
        "{state}"
    );
}

/// The first plan of all is made from no state, and the state of a new workspace is none either: nothing else tells them apart.
#[test]
fn a_plan_is_not_applied_in_another_workspace() {
    let env = TestEnv::new(&[("main.tf", "output \"o\" { value = terraform.workspace }\n")]);
    env.ok(&["plan", "-out=p"]);
    env.ok(&["workspace", "new", "other"]);
    let said = env.fails(&["apply", "p"]);
    assert!(
        said.contains("Saved plan is for another workspace")
            && said.contains("workspace select default"),
        "{said}"
    );
    assert!(
        !env.path()
            .join("terraform.tfstate.d/other/terraform.tfstate")
            .exists()
    );
    env.ok(&["workspace", "select", "default"]);
    assert!(env.ok(&["apply", "p"]).contains("o = \"default\""));
}
