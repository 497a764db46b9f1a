//! Identities in a state, as another tool recorded them: the types of this build have none of their own.
//!
//! Terraform 1.11 knows no identities: the forms are those of Terraform 1.15's sources (`jsonstate`, `state identities`, `eval_import`).

use serde_json::{Value as Json, json};

use crate::env::TestEnv;

const STACK: &str = r#"
resource "terraform_data" "a" {
  input = 1
}
resource "terraform_data" "b" {}
"#;

/// Two objects, of which the first has an identity.
fn identified() -> TestEnv {
    let env = TestEnv::new(&[("main.tf", STACK)]);
    env.ok(&["apply", "-auto-approve"]);
    let mut state = env.state();
    for resource in state["resources"].as_array_mut().expect("resources") {
        let name = resource["name"].clone();
        let instance = &mut resource["instances"][0];
        // As Terraform writes it, also for what has none.
        instance["identity_schema_version"] = json!(if name == "a" { 3 } else { 0 });
        if name == "a" {
            instance["identity"] = json!({ "name": "x", "zone": null });
        }
    }
    env.write("terraform.tfstate", &state.to_string());
    env
}

/// What the state holds of an object's identity.
fn recorded(env: &TestEnv, name: &str) -> Json {
    let state = env.state();
    let mut resources = state["resources"].as_array().into_iter().flatten();
    let resource = resources.find(|r| r["name"] == name).expect("the resource");
    let instance = &resource["instances"][0];
    json!([
        instance.get("identity_schema_version"),
        instance.get("identity")
    ])
}

fn json_of(text: &str) -> Json {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn identities_are_listed_and_shown() {
    let env = identified();
    let listed = json!({ "terraform_data.a": { "name": "x", "zone": null } });
    assert_eq!(json_of(&env.ok(&["state", "identities", "-json"])), listed);
    let only = |arguments: &[&str]| {
        json_of(&env.ok(&[&["state", "identities", "-json"], arguments].concat()))
    };
    assert_eq!(only(&["terraform_data.b"]), json!({}));
    assert_eq!(only(&["-id=nope"]), json!({}));
    assert!(
        env.fails(&["state", "identities"])
            .contains("requires the `-json` flag")
    );

    let shown = json_of(&env.ok(&["show", "-json"]));
    let resources = &shown["values"]["root_module"]["resources"];
    assert_eq!(resources[0]["identity_schema_version"], 3);
    assert_eq!(
        resources[0]["identity"],
        json!({ "name": "x", "zone": null })
    );
    assert_eq!(resources[1].get("identity"), None);
    assert_eq!(resources[1].get("identity_schema_version"), None);
}

#[test]
fn whatever_happens_to_an_object_its_identity_stays() {
    let env = identified();
    let kept = json!([3, { "name": "x", "zone": null }]);
    let changed = STACK.replace("input = 1", "input = 2");
    for arguments in [
        &["plan", "-out=plan"][..],
        &["apply", "plan"],
        &["refresh"],
        &["taint", "terraform_data.a"],
        &["untaint", "terraform_data.a"],
        &["apply", "-auto-approve"],
        &["state", "mv", "terraform_data.a", "terraform_data.c"],
        &["state", "mv", "terraform_data.c", "terraform_data.a"],
        &[
            "state",
            "replace-provider",
            "-auto-approve",
            "terraform.io/builtin/terraform",
            "example.com/a/b",
        ],
        &[
            "state",
            "replace-provider",
            "-auto-approve",
            "example.com/a/b",
            "terraform.io/builtin/terraform",
        ],
    ] {
        if arguments == ["apply", "-auto-approve"] {
            env.write("main.tf", &changed);
        }
        env.ok(arguments);
        let name = match arguments {
            [.., "terraform_data.c"] => "c",
            _ => "a",
        };
        assert_eq!(recorded(&env, name), kept, "{arguments:?}");
    }
    env.write(
        "main.tf",
        &format!(
            "{}\nmoved {{\n  from = terraform_data.a\n  to   = terraform_data.d\n}}\n",
            changed.replace("\"a\"", "\"d\"")
        ),
    );
    env.ok(&["apply", "-auto-approve"]);
    assert_eq!(recorded(&env, "d"), kept);
    // Its own, and not of what takes its place.
    env.ok(&["apply", "-auto-approve", "-replace=terraform_data.d"]);
    assert_eq!(recorded(&env, "d"), json!([null, null]));
}

#[test]
fn a_type_without_identities_is_not_imported_by_one() {
    let env = TestEnv::new(&[(
        "main.tf",
        "resource \"terraform_data\" \"a\" {}\nimport {\n  to       = terraform_data.a\n  identity = { id = \"x\" }\n}\n",
    )]);
    for command in ["validate", "plan"] {
        let error = env.fails(&[command, "-no-color"]);
        for text in ["Unable to determine identity schema", "on main.tf line 4"] {
            assert!(error.contains(text), "no {text:?} in\n{error}");
        }
    }
    let schemas = json_of(&env.ok(&["providers", "schema", "-json"]));
    let of = &schemas["provider_schemas"]["terraform.io/builtin/terraform"];
    assert!(of.get("resource_schemas").is_some() && of.get("resource_identity_schemas").is_none());
}
