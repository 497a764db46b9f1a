//! Resource identities of Azure's objects, through whole commands: recorded, shown, and imported by.
//!
//! Terraform 1.11 knows no identities: the forms are those of Terraform 1.15's sources (`internal/command/jsonplan`, `jsonstate`,
//! `jsonprovider`, `views`), the schema that of azurerm 4.81 and 5.2.

use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use serde_json::{Value as Json, json};

use crate::bad_input::{Case, GROUP_ONLY};
use crate::env::{text, words};
use crate::killed::{child_of, wait_for_records};

/// The lab's subscription.
fn subscription(case: &Case) -> String {
    let state = state(case);
    let id = state["resources"][0]["instances"][0]["attributes"]["id"].clone();
    let id = id.as_str().expect("an id").to_owned();
    id.split('/').nth(2).expect("a subscription").to_owned()
}

fn state(case: &Case) -> Json {
    let text = std::fs::read(case.path("terraform.tfstate")).expect("a state");
    serde_json::from_slice(&text).expect("JSON")
}

fn ok(case: &Case, arguments: &[&str]) -> String {
    let output = case.stead(arguments);
    assert!(output.status.success(), "{arguments:?}\n{}", text(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn json_of(text: &str) -> Json {
    serde_json::from_str(text).expect("JSON")
}

/// A group that exists and that no state knows, and its identity.
fn lost_group() -> (Case, Json) {
    let case = Case::new(GROUP_ONLY);
    case.succeeds();
    let identity = json!({ "name": "rg-a", "subscription_id": subscription(&case) });
    let listed = json_of(&ok(&case, &["state", "identities", "-json"]));
    assert_eq!(listed, json!({ "azurerm_resource_group.a": identity }));
    assert_eq!(
        state(&case)["resources"][0]["instances"][0]["identity_schema_version"],
        0
    );
    std::fs::remove_file(case.path("terraform.tfstate")).expect("the state goes");
    (case, identity)
}

fn import(identity: &Json) -> String {
    format!(
        "import {{\n  to = azurerm_resource_group.a\n  identity = {{\n    name            = {}\n    subscription_id = {}\n  }}\n}}\n",
        identity["name"], identity["subscription_id"]
    )
}

#[test]
fn a_group_is_imported_by_its_identity() {
    let (case, identity) = lost_group();
    let line = format!(
        "name=rg-a,subscription_id={}",
        identity["subscription_id"].as_str().expect("text")
    );
    let tagged = GROUP_ONLY.replace("  location", "  tags     = { a = \"b\" }\n  location");
    case.write(&format!("{tagged}{}", import(&identity)));

    let plan = words(&ok(&case, &["plan", "-no-color", "-out=plan"]));
    for part in [
        &format!("azurerm_resource_group.a: Preparing import... [identity={line}]"),
        "azurerm_resource_group.a will be updated in-place # (will be imported first)",
        "Plan: 1 to import, 0 to add, 1 to change, 0 to destroy.",
    ] {
        assert!(plan.contains(part), "no {part:?} in\n{plan}");
    }
    let shown = json_of(&ok(&case, &["show", "-json", "plan"]));
    let change = &shown["resource_changes"][0]["change"];
    assert_eq!(change["importing"], json!({ "identity": identity }));
    assert_eq!(change["before_identity"], identity);
    assert_eq!(change["after_identity"], identity);
    for values in ["planned_values", "prior_state"] {
        let values = match values {
            "prior_state" => &shown[values]["values"],
            _ => &shown[values],
        };
        let resource = &values["root_module"]["resources"][0];
        assert_eq!(resource["identity_schema_version"], 0);
        assert_eq!(resource["identity"], identity);
    }
    let events = ok(&case, &["plan", "-json"]);
    let planned: Vec<Json> = events
        .lines()
        .map(json_of)
        .filter(|e| e["type"] == "planned_change")
        .collect();
    assert_eq!(planned[0]["change"]["importing"], json!({}), "{events}");

    let applied = ok(&case, &["apply", "-no-color", "plan"]);
    for part in [
        format!("azurerm_resource_group.a: Importing... [identity={line}]\n"),
        format!("azurerm_resource_group.a: Import complete [identity={line}]\n"),
        "1 imported, 0 added, 1 changed, 0 destroyed".to_owned(),
    ] {
        assert!(applied.contains(&part), "no {part:?} in\n{applied}");
    }
    let shown = json_of(&ok(&case, &["show", "-json"]));
    let resource = &shown["values"]["root_module"]["resources"][0];
    assert_eq!(resource["identity"], identity);
    // The block may stay.
    case.succeeds();

    let destroy = json_of(&{
        ok(&case, &["plan", "-destroy", "-out=plan"]);
        ok(&case, &["show", "-json", "plan"])
    });
    let change = &destroy["resource_changes"][0]["change"];
    assert_eq!(change["before_identity"], identity);
    assert_eq!(change.get("after_identity"), None);
}

#[test]
fn configuration_is_written_for_what_is_imported_by_its_identity() {
    let (case, identity) = lost_group();
    let provider = GROUP_ONLY
        .split("resource \"")
        .next()
        .expect("the provider");
    case.write(&format!("{provider}{}", import(&identity)));
    let plan = ok(
        &case,
        &["plan", "-no-color", "-generate-config-out=generated.tf"],
    );
    assert!(
        plan.contains("Plan: 1 to import, 0 to add, 0 to change, 0 to destroy."),
        "{plan}"
    );
    let generated = std::fs::read_to_string(case.path("generated.tf")).expect("the file");
    let block = "\n# __generated__ by Terraform\nresource \"azurerm_resource_group\" \"a\" {\n";
    assert!(generated.contains(block), "{generated}");
    case.succeeds();
}

#[test]
fn identities_that_fit_nothing_are_refused() {
    let (case, identity) = lost_group();
    for (from, to, expected) in [
        ("rg-a", "rg-b", "Cannot import non-existent remote object"),
        (
            "rg-a\"",
            "rg-b\"\n    group = \"rg-a\"",
            "The identity has no attribute \"group\"",
        ),
        (
            "    name            = \"rg-a\"\n",
            "",
            "attribute \"name\" is required",
        ),
    ] {
        case.write(&format!(
            "{GROUP_ONLY}{}",
            import(&identity).replacen(from, to, 1)
        ));
        let output = case.stead(&["plan", "-no-color"]);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        let shown = words(&text(&output));
        assert!(shown.contains(expected), "no {expected:?} in\n{shown}");
    }
    let schemas = json_of(&ok(&case, &["providers", "schema", "-json"]));
    let azurerm = &schemas["provider_schemas"]["registry.terraform.io/hashicorp/azurerm"];
    let text = json!({ "type": "string", "required_for_import": true });
    assert_eq!(
        azurerm["resource_identity_schemas"]["azurerm_resource_group"],
        json!({ "version": 0, "attributes": { "name": text, "subscription_id": text } })
    );
}

/// The journal knows what the object is called before it is asked for.
#[test]
fn a_create_that_was_cut_off_has_its_identity() {
    let case = Case::new(GROUP_ONLY);
    // The lab keeps it from one command to the next.
    case.fault("azure=700ms");
    let mut lab = case
        .command(&["apply", "-auto-approve", "-no-color"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("stead starts");
    let apply = child_of(&lab);
    // The beginning, what is intended, and what it is called.
    wait_for_records(apply, &case.path("terraform.tfstate.journal"), 3);
    std::thread::sleep(Duration::from_millis(200));
    kill(apply, Signal::SIGKILL).expect("the command runs");
    lab.wait().expect("the lab ends");

    let listed = json_of(&ok(&case, &["state", "identities", "-json"]));
    let identity = &listed["azurerm_resource_group.a"];
    assert_eq!(identity["name"], "rg-a", "{listed}");
    case.succeeds();
    let instance = &state(&case)["resources"][0]["instances"][0];
    assert_eq!(instance["identity"], *identity);
    assert_eq!(instance.get("status"), None);
}
