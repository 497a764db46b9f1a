//! The state for machines: `-json` and `-json-into` of the commands that look into it, as OpenTofu 1.12 has them.

use serde_json::{Value as Json, json};

use crate::env::TestEnv;

const STACK: &str = r#"
resource "terraform_data" "many" {
  count = 2
  input = sensitive("s")
}
output "o" { value = 1 }
"#;

/// The lines behind the first, which says whose stream it is, without their times.
fn lines(text: &str) -> Vec<Json> {
    let mut lines = text.lines().map(|line| {
        let mut line: Json = serde_json::from_str(line).expect("JSON");
        if let Some(line) = line.as_object_mut() {
            line.remove("@timestamp");
        }
        line
    });
    let first = lines.next().expect("a first line");
    assert_eq!(first["type"], "version", "{first}");
    lines.collect()
}

fn address(address: &str) -> Json {
    json!({"@level": "info", "@message": address, "@module": "terraform.ui", "type": "resource_address"})
}

#[test]
fn addresses_are_listed_for_machines() {
    let env = TestEnv::new(&[("main.tf", STACK)]);
    env.ok(&["apply", "-auto-approve"]);
    let both = [
        address("terraform_data.many[0]"),
        address("terraform_data.many[1]"),
    ];
    assert_eq!(lines(&env.ok(&["state", "list", "-json"])), both);
    let second = env.ok(&["state", "list", "-json", "terraform_data.many[1]"]);
    assert_eq!(lines(&second), both[1..]);

    let text = env.ok(&["state", "list", "-json-into=list.json"]);
    assert_eq!(text, "terraform_data.many[0]\nterraform_data.many[1]\n");
    assert_eq!(lines(&env.read("list.json")), both);
    env.fails(&["state", "list", "-json", "-json-into=list.json"]);
}

#[test]
fn one_object_is_shown_for_machines_and_nothing_else() {
    let env = TestEnv::new(&[("main.tf", STACK)]);
    env.ok(&["apply", "-auto-approve"]);
    let shown = lines(&env.ok(&["state", "show", "-json", "terraform_data.many[1]"]));
    let [shown] = shown.as_slice() else {
        panic!("{shown:?}");
    };
    let whole: Json = serde_json::from_str(&env.ok(&["show", "-json"])).expect("JSON");
    let wanted = &whole["values"]["root_module"]["resources"][1];
    assert_eq!(wanted["values"]["input"], "s");
    assert_eq!(
        shown["values"],
        json!({"root_module": {"resources": [wanted]}})
    );
    assert_eq!(shown["format_version"], "1.0");
}

#[test]
fn failures_are_told_to_machines_too() {
    let env = TestEnv::new(&[("main.tf", STACK)]);
    let told = |arguments: &[&str]| {
        let ended = env.stead(arguments);
        assert_eq!((ended.code, ended.stderr.as_str()), (1, ""));
        let lines = lines(&ended.stdout);
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines[0]["diagnostic"]["summary"].clone()
    };
    let list = ["state", "list", "-json"];
    assert_eq!(told(&list), "No state file was found");
    env.ok(&["apply", "-auto-approve"]);
    let none = ["state", "show", "-json", "terraform_data.none"];
    assert_eq!(told(&none), "No instance found for the given address");
    let wrong = ["state", "show", "-json", "nonsense"];
    assert_eq!(told(&wrong), "Error parsing instance address: nonsense");
}
