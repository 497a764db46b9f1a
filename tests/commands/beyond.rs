//! What plans and graphs say that Terraform's do not: compared with texts that were read and found right. `STEAD_RECORD_GOLDEN=1`
//! writes them anew.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use crate::env::TestEnv;

const ROOT: &str = r#"variable "size" {
  default = 1
}

variable "secret" {
  default   = "hush"
  sensitive = true
}

locals {
  doubled = var.size * 2
}

resource "terraform_data" "disk" {
  input            = { size = local.doubled, note = "`ticks` | and <b>markup</b>" }
  triggers_replace = var.size
}

resource "terraform_data" "user" {
  for_each = toset(["a", "b"])
  input    = "${each.key}: ${terraform_data.disk.id}"
}

resource "terraform_data" "gone" {
  count = var.size == 1 ? 1 : 0
}

module "m" {
  source = "./m"
  word   = var.secret
  size   = var.size
}

check "small" {
  assert {
    condition     = var.size < 2
    error_message = "The size is ${var.size}."
  }
}

output "size" {
  value = local.doubled
}

output "secret" {
  value     = var.secret
  sensitive = true
}
"#;

const MODULE: &str = r#"variable "word" {}
variable "size" {}

resource "terraform_data" "inner" {
  input = [var.size, terraform_data.secret.id]
}

resource "terraform_data" "secret" {
  triggers_replace = var.word
}
"#;

static PASSING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z")
        .expect("a pattern")
});

/// Without what is another in every run: identifiers, times, and the order of progress.
fn settled(text: &str) -> String {
    let (mut progress, rest): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| {
        line.contains(": Refreshing state...") || line.contains(": Refresh complete")
    });
    progress.sort_unstable();
    progress.extend(rest);
    PASSING
        .replace_all(&(progress.join("\n") + "\n"), "…")
        .into_owned()
}

/// What stead prints, without its word on secrets in plain states.
fn ok(env: &TestEnv, arguments: &[&str]) -> String {
    let output = env.stead_with(arguments, &[("STEAD_PLAIN_STATE", "1")]);
    assert_eq!(output.code, 0, "{arguments:?}\n{}", output.stderr);
    output.stdout
}

/// The stack, applied; `size` is 1.
fn applied() -> TestEnv {
    let env = TestEnv::new(&[("main.tf", ROOT), ("m/main.tf", MODULE)]);
    ok(&env, &["apply", "-auto-approve"]);
    env
}

fn compare(name: &str, text: &str) {
    let got = settled(text);
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/commands/golden/beyond")
        .join(name);
    if std::env::var_os("STEAD_RECORD_GOLDEN").is_some() {
        std::fs::write(&path, &got).expect("a golden text");
    }
    let want = std::fs::read_to_string(&path).expect("a golden text");
    let diff = similar::TextDiff::from_lines(&want, &got);
    assert!(want == got, "{name}\n{}", diff.unified_diff());
}

#[test]
fn concise_plans_have_a_line_for_each_object() {
    let env = applied();
    compare(
        "concise.txt",
        &ok(&env, &["plan", "-concise", "-var=size=2"]),
    );
}

#[test]
fn because_names_the_expression_behind_each_change() {
    let env = applied();
    compare(
        "because.txt",
        &ok(&env, &["plan", "-because", "-var=size=2"]),
    );
    compare(
        "because_concise.txt",
        &ok(&env, &["plan", "-because", "-concise", "-var=size=2"]),
    );
}

#[test]
fn markdown_is_for_a_pull_request() {
    let env = applied();
    compare(
        "changes.md",
        &ok(&env, &["plan", "-format=markdown", "-var=size=2"]),
    );
    compare(
        "because.md",
        &ok(
            &env,
            &["plan", "-format=markdown", "-because", "-var=size=2"],
        ),
    );
    compare("nothing.md", &ok(&env, &["plan", "-format=markdown"]));
}

#[test]
fn the_stream_goes_into_a_file_beside_the_text() {
    let env = applied();
    let text = ok(&env, &["plan", "-json-into=stream.json", "-var=size=2"]);
    assert!(
        text.contains("terraform_data.disk must be replaced"),
        "{text}"
    );
    let alone = ok(&env, &["plan", "-json", "-var=size=2"]);
    let stream = settled(&env.read("stream.json"));
    assert_eq!(stream, settled(&alone));
    for line in stream.lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("JSON in each line");
    }
    assert!(stream.contains("\"type\":\"change_summary\""), "{stream}");
    assert!(!stream.contains("hush"), "{stream}");
}

#[test]
fn graphs_are_drawn_by_mermaid_too() {
    let env = applied();
    compare("graph.mmd", &ok(&env, &["graph", "-format=mermaid"]));
    compare(
        "graph_plan.mmd",
        &ok(&env, &["graph", "-type=plan", "-format=mermaid"]),
    );
    compare(
        "graph_destroy.mmd",
        &ok(&env, &["graph", "-type=plan-destroy", "-format=mermaid"]),
    );
    ok(&env, &["plan", "-out=saved", "-var=size=2"]);
    compare(
        "graph_apply.mmd",
        &ok(&env, &["graph", "-plan=saved", "-format=mermaid"]),
    );
    compare("graph_apply.dot", &ok(&env, &["graph", "-plan=saved"]));
}
