//! `stead console` from a pipe, and `stead metadata functions`.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::env::TestEnv;

const STACK: &str = r#"
terraform {
  required_providers {
    time = { source = "hashicorp/time" }
  }
}
variable "unset" { type = list(string) }
resource "terraform_data" "one" { input = "x" }
resource "terraform_data" "many" {
  count = 2
  input = count.index
}
locals { first = terraform_data.many[0].output }
"#;

/// Exit code, standard output and standard error.
fn console(env: &TestEnv, arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_stead"))
        .arg("console")
        .args(arguments)
        .current_dir(env.path())
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("stead starts");
    let mut pipe = child.stdin.take().expect("a pipe");
    pipe.write_all(input.as_bytes()).expect("stead reads");
    drop(pipe);
    let output = child.wait_with_output().expect("stead ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (
        output.status.code().unwrap_or(-1),
        text(output.stdout),
        text(output.stderr),
    )
}

/// As Terraform 1.11 prints them.
#[test]
fn values_are_printed_so_that_they_can_be_typed_again() {
    let env = TestEnv::new(&[("main.tf", STACK)]);
    for (typed, printed) in [
        ("1 + 2", "3"),
        ("\"a\\nb\"", "<<EOT\na\nb\nEOT"),
        (
            "{ a = \"x\\ny\" }",
            "{\n  \"a\" = <<-EOT\n  x\n  y\n  EOT\n}",
        ),
        ("tolist([\"a\"])", "tolist([\n  \"a\",\n])"),
        ("toset([])", "toset([])"),
        ("tostring(null)", "tostring(null)"),
        ("tolist(null)", "tolist(null) /* of dynamic */"),
        ("sensitive(1)", "(sensitive value)"),
        ("terraform.applying", "(ephemeral value)"),
        ("var.unset", "(known after apply)"),
        ("type(var.unset)", "list(string)"),
        (
            "type([{ a = 1 }])",
            "tuple([\n    object({\n        a: number,\n    }),\n])",
        ),
        ("terraform_data.many", "(known after apply)"),
        ("local.first", "(known after apply)"),
        ("provider::time::duration_parse(\"90m\").hours", "1.5"),
        ("1\n2", "2"),
        ("1\nexit\n", ""),
    ] {
        let (code, out, err) = console(&env, &[], typed);
        let wanted = if typed.contains("exit") {
            String::new()
        } else {
            format!("{printed}\n")
        };
        assert_eq!((code, out), (0, wanted), "{typed}: {err}");
    }
}

#[test]
fn mistakes_end_it() {
    let env = TestEnv::new(&[("main.tf", STACK)]);
    for (typed, summary) in [
        ("1 +", "Missing expression"),
        ("var.nope", "Reference to undeclared input variable"),
        ("terraform_data.one.nope", "Unsupported attribute"),
        ("[type(1)]", "Invalid use of type function"),
        ("provider::nope::f()", "Unknown provider function"),
        ("upper([])\n1", "Invalid function argument"),
    ] {
        let (code, out, err) = console(&env, &[], typed);
        assert_eq!((code, &*out), (1, ""), "{typed}");
        assert!(
            err.contains(&format!("Error: {summary}\n")),
            "{typed}: {err}"
        );
    }
}

#[test]
fn resources_are_those_of_the_state_or_of_a_plan() {
    let env = TestEnv::new(&[("main.tf", STACK)]);
    let planned = console(
        &env,
        &["-plan", "-var", "unset=[]"],
        "terraform_data.many[1].input",
    );
    assert_eq!((planned.0, &*planned.1), (0, "1\n"), "{}", planned.2);
    let applied = env.stead(&["apply", "-auto-approve", "-var", "unset=[]"]);
    assert_eq!(applied.code, 0, "{}", applied.stderr);
    let (code, out, err) = console(&env, &[], "\"${terraform_data.one.output}${local.first}\"");
    assert_eq!((code, &*out), (0, "\"x0\"\n"), "{err}");
}

#[test]
fn functions_are_described_for_tools() {
    let env = TestEnv::new(&[]);
    let shown = env.stead(&["metadata", "functions", "-json"]);
    let json: serde_json::Value = serde_json::from_str(&shown.stdout).expect("JSON");
    let functions = &json["function_signatures"];
    assert_eq!(functions["core::abs"], functions["abs"]);
    assert_eq!(
        functions["lookup"]["variadic_parameter"]["is_nullable"],
        true
    );
    assert_eq!(
        functions["tolist"]["return_type"],
        serde_json::json!(["list", "dynamic"])
    );
    assert_eq!(env.stead(&["metadata", "functions"]).code, 1);
}
