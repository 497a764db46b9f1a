//! What a plan in JSON, a state file and a folder come to.

use std::path::Path;

use serde_json::{Map, Value as Json, json};

/// `{address: what is planned}`.
pub(super) fn changes(plan: &Json) -> Json {
    let mut changes = Map::new();
    for change in list_of(plan, "resource_changes") {
        let inner = &change["change"];
        let mut out = Map::new();
        out.insert("actions".into(), inner["actions"].clone());
        for name in ["action_reason", "previous_address"] {
            if let Some(value) = change.get(name) {
                out.insert(name.into(), value.clone());
            }
        }
        if let Some(paths) = inner.get("replace_paths") {
            out.insert("replace_paths".into(), sorted(paths));
        }
        for name in [
            "before",
            "after",
            "after_unknown",
            "before_sensitive",
            "after_sensitive",
        ] {
            out.insert(name.into(), inner[name].clone());
        }
        let mut key = change["address"].as_str().unwrap_or_default().to_owned();
        if change.get("deposed").is_some() {
            key.push_str(" (deposed)");
        }
        changes.insert(key, out.into());
    }
    changes.into()
}

fn list_of<'a>(value: &'a Json, name: &str) -> &'a [Json] {
    value
        .get(name)
        .and_then(Json::as_array)
        .map_or(&[], Vec::as_slice)
}

fn sorted(list: &Json) -> Json {
    let mut items = list.as_array().cloned().unwrap_or_default();
    items.sort_by_key(Json::to_string);
    items.into()
}

pub(super) fn output_changes(plan: &Json) -> Json {
    let mut changes = Map::new();
    for (name, change) in plan
        .get("output_changes")
        .and_then(Json::as_object)
        .into_iter()
        .flatten()
    {
        changes.insert(
            name.clone(),
            json!({ "actions": change["actions"], "after": change["after"] }),
        );
    }
    changes.into()
}

/// The outputs and resources of a state file; null where there is none.
pub(super) fn state(path: &Path) -> Json {
    let Ok(bytes) = std::fs::read(path) else {
        return Json::Null;
    };
    if bytes.is_empty() {
        return json!("empty");
    }
    let state: Json = serde_json::from_slice(&bytes).expect("a state in JSON");
    let state = without_details(state);
    let mut out = json!({ "outputs": state["outputs"], "resources": state["resources"] });
    if state["check_results"].is_array() {
        out["check_results"] = in_order(&state["check_results"]);
    }
    out
}

/// Check results in an order: Terraform writes them in any.
fn in_order(results: &Json) -> Json {
    let sorted = |list: &Json, name: &str| {
        let mut list = list.as_array().cloned().unwrap_or_default();
        list.sort_by_key(|entry| entry[name].to_string());
        list
    };
    let mut results = sorted(results, "config_addr");
    for result in &mut results {
        if result["objects"].is_array() {
            result["objects"] = sorted(&result["objects"], "object_addr").into();
        }
    }
    results.into()
}

/// A state without what is allowed to differ; other values as they are.
pub(super) fn without_details(mut state: Json) -> Json {
    for resource in items(&mut state, "resources") {
        for instance in items(resource, "instances") {
            if let Some(fields) = instance.as_object_mut() {
                // Written by Terraform 1.12 and some 1.11 builds for every object, whether or not it has an identity.
                fields.remove("identity_schema_version");
                // Terraform writes them in any order.
                if let Some(paths) = fields.get_mut("sensitive_attributes") {
                    sort(paths);
                }
            }
        }
    }
    state
}

fn sort(list: &mut Json) {
    if let Some(list) = list.as_array_mut() {
        list.sort_by_key(Json::to_string);
    }
}

fn items<'a>(value: &'a mut Json, name: &str) -> impl Iterator<Item = &'a mut Json> {
    value
        .get_mut(name)
        .and_then(Json::as_array_mut)
        .into_iter()
        .flatten()
}

/// The files below a folder, without what only one tool needs: modules, provider plugins, the dependency lock, saved plans, the
/// history of states.
pub(super) fn list(root: &Path, folder: &Path, out: &mut Vec<String>) {
    let entries = std::fs::read_dir(folder).expect("a folder");
    for entry in entries {
        let path = entry.expect("an entry").path();
        let name = path
            .strip_prefix(root)
            .expect("below the folder")
            .display()
            .to_string();
        match name.as_str() {
            ".terraform/modules"
            | ".terraform/providers"
            | ".terraform.d"
            | ".terraform.lock.hcl"
            | "tfplan" => {}
            _ if name.ends_with(".tfstate.history") => {}
            _ if path.is_dir() => list(root, &path, out),
            _ => out.push(name),
        }
    }
}

/// A document whose lists that come by chance are sorted.
pub(super) fn in_fixed_order(mut document: Json) -> Json {
    for name in ["relevant_attributes", "checks"] {
        if let Some(list) = document.get_mut(name).and_then(Json::as_array_mut) {
            list.sort_by_key(Json::to_string);
        }
    }
    document
}
