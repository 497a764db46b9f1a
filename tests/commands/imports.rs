//! `import` blocks, as a user sees them.

use crate::env::TestEnv;

const STACK: &str = r#"
resource "terraform_data" "changed" { input = 1 }
resource "terraform_data" "plain" {}
resource "terraform_data" "fresh" {}
resource "terraform_data" "replaced" { triggers_replace = 3 }
import {
  to = terraform_data.changed
  id = "changed-id"
}
import {
  to = terraform_data.plain
  id = "plain-id"
}
import {
  to = terraform_data.replaced
  id = "replaced-id"
}
"#;

/// The lines are those of Terraform 1.11.4 for the same folder.
#[test]
fn the_plan_names_what_is_imported_and_counts_it() {
    let env = TestEnv::new(&[("main.tf", STACK)]);
    let plan = env.ok(&["plan", "-no-color"]);
    for text in [
        "  # terraform_data.changed will be updated in-place\n  # (imported from \"changed-id\")\n",
        "  # terraform_data.plain will be imported\n    resource \"terraform_data\" \"plain\" {\n        id = \"plain-id\"\n    }\n",
        "  # terraform_data.replaced must be replaced\n  # (imported from \"replaced-id\")\n  # Warning: this will destroy the imported resource\n",
        "Plan: 3 to import, 2 to add, 1 to change, 1 to destroy.\n",
    ] {
        assert!(plan.contains(text), "no {text:?} in\n{plan}");
    }
    env.ok(&["apply", "-auto-approve"]);
    let again = env.ok(&["plan", "-no-color"]);
    assert!(again.contains("No changes."), "{again}");
}

#[test]
fn an_import_alone_is_a_plan() {
    let env = TestEnv::new(&[(
        "main.tf",
        "resource \"terraform_data\" \"a\" {}\nimport {\n  to = terraform_data.a\n  id = \"x\"\n}\n",
    )]);
    let plan = env.ok(&["plan", "-no-color"]);
    assert!(
        plan.contains("Plan: 1 to import, 0 to add, 0 to change, 0 to destroy."),
        "{plan}"
    );
}

#[test]
fn validation_reads_import_blocks() {
    let block = |to: &str, id: &str| {
        format!("resource \"terraform_data\" \"a\" {{}}\nimport {{\n  to = {to}\n  id = {id}\n}}\n")
    };
    for (to, id, expected) in [
        ("terraform_data.a", "\"\"", "evaluates to an empty string"),
        ("terraform_data.a", "null", "The import ID cannot be null"),
        (
            "terraform_data.a",
            "local.nope",
            "Reference to undeclared local value",
        ),
    ] {
        let env = TestEnv::new(&[("main.tf", &block(to, id))]);
        let error = env.fails(&["validate", "-no-color"]);
        assert!(error.contains(expected), "no {expected:?} in\n{error}");
    }
    // A plan may write the configuration of what is not declared: that is no mistake by itself.
    let env = TestEnv::new(&[("main.tf", &block("terraform_data.nope", "\"x\""))]);
    assert!(env.ok(&["validate", "-no-color"]).contains("valid"));
}

/// Inputs have no values yet while validating: neither has what is made of them.
#[test]
fn validation_lets_unknown_imports_pass() {
    let env = TestEnv::new(&[(
        "main.tf",
        r#"
variable "id" { type = string }
variable "ids" { type = map(string) }
resource "terraform_data" "a" {}
resource "terraform_data" "b" { for_each = var.ids }
import {
  to = terraform_data.a
  id = var.id
}
import {
  for_each = var.ids
  to       = terraform_data.b[each.key]
  id       = each.value
}
"#,
    )]);
    env.ok(&["validate"]);
}
