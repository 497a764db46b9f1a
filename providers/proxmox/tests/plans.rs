//! New objects are planned as the published provider plans them: `tests/planned/published.json`, written by `tools/record_plans.py`.

use serde_json::{Map, Value as Json};
use stead_sdk::Dialer;
use stead_sdk::testing::Harness;
use stead_sdk::value::Value;

/// A planned value as plans in JSON have it: null where it is unknown, and which parts are.
fn shown(value: &Value) -> (Json, Json) {
    if !value.is_known() {
        return (Json::Null, Json::Bool(true));
    }
    if let Some(entries) = value.as_entries() {
        let (mut after, mut unknown) = (Map::new(), Map::new());
        for (name, value) in entries {
            let (a, u) = shown(value);
            after.insert(name.to_string(), a);
            unknown.insert(name.to_string(), u);
        }
        return (Json::Object(after), Json::Object(unknown));
    }
    if let Some(items) = value.as_sequence() {
        let (after, unknown) = items.iter().map(shown).unzip();
        return (Json::Array(after), Json::Array(unknown));
    }
    let known = match (value.as_str(), value.as_bool(), value.as_number()) {
        (Some(text), ..) => Json::from(text),
        (_, Some(flag), _) => Json::from(flag),
        (.., Some(number)) => Json::from(number.to_f64()),
        _ => Json::Null,
    };
    (known, Json::Bool(false))
}

/// Where two plans differ. `unknown` leaves known parts out.
fn differences(path: &str, ours: &Json, theirs: &Json, found: &mut Vec<String>) {
    let nothing = |v: &Json| match v {
        Json::Null | Json::Bool(false) => true,
        Json::Array(items) => items.is_empty(),
        Json::Object(members) => members.is_empty(),
        _ => false,
    };
    match (ours, theirs) {
        (Json::Object(a), Json::Object(b)) => {
            let names = a.keys().chain(b.keys().filter(|k| !a.contains_key(*k)));
            for name in names {
                let none = Json::Null;
                let (a, b) = (a.get(name).unwrap_or(&none), b.get(name).unwrap_or(&none));
                differences(&format!("{path}.{name}"), a, b, found);
            }
        }
        (Json::Array(a), Json::Array(b)) if a.len() == b.len() => {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                differences(&format!("{path}[{i}]"), a, b, found);
            }
        }
        (Json::Number(a), Json::Number(b)) if a.as_f64() == b.as_f64() => {}
        (a, b) if a == b => {}
        // Known parts are left out of what is unknown.
        (Json::Array(a), b) if nothing(b) && path.contains(" unknown") => {
            for (i, a) in a.iter().enumerate() {
                differences(&format!("{path}[{i}]"), a, &Json::Null, found);
            }
        }
        (Json::Object(a), b) if nothing(b) && path.contains(" unknown") => {
            for (name, a) in a {
                differences(&format!("{path}.{name}"), a, &Json::Null, found);
            }
        }
        (a, b) if nothing(a) && nothing(b) && path.contains(" unknown") => {}
        (a, b) => found.push(format!("{path}: ours {a}, published {b}")),
    }
}

/// Where stead knows more than the published provider before it asks, or writes the same otherwise.
fn is_known_to_differ(difference: &str) -> bool {
    // Without the block there is none, unless the server has another: no need to call it unknown.
    let vga = difference.contains(".vga: ours []");
    // A last newline is dropped from the one and added to the other, which is why neither counts.
    let description = difference.contains(".description: ours \"text");
    // A template is not started.
    let started = difference.contains("template.started: ours true, published null");
    let dns = difference
        .contains("dns: ours [{\"domain\":null,\"server\":null,\"servers\":null}], published []");
    vga || description || started || dns
}

#[tokio::test]
async fn new_objects_are_planned_as_published() {
    let cases: Json = serde_json::from_str(include_str!("planned/cases.json")).unwrap();
    let published: Json = serde_json::from_str(include_str!("planned/published.json")).unwrap();
    let harness = Harness::unconfigured(&stead_proxmox::factory(&Dialer::direct()));
    let mut found = Vec::new();
    for (kind, cases) in cases.as_object().unwrap() {
        for (name, config) in cases.as_object().unwrap() {
            let config = harness.config(kind, config.clone()).unwrap();
            let plan = harness.plan(kind, None, &config).await.unwrap();
            let (after, unknown) = shown(&plan.planned);
            let theirs = &published[kind.as_str()][name.as_str()];
            let place = format!("{kind} {name}");
            // An unknown part is left out of what is planned.
            differences(&place, &after, &theirs["after"], &mut found);
            differences(
                &format!("{place} unknown"),
                &unknown,
                &theirs["unknown"],
                &mut found,
            );
        }
    }
    found.retain(|difference| !is_known_to_differ(difference));
    assert!(
        found.is_empty(),
        "{} differences:\n{}",
        found.len(),
        found.join("\n")
    );
}
