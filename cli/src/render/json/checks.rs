//! Check results and relevant attributes as the JSON plan shows them.

use serde_json::{Value as Json, json};
use stead_engine::checks::{CheckObject, CheckResults, Checkable};
use stead_engine::plan::RelevantAttribute;
use stead_value::addr::{InstanceKey, ResourceMode};

/// The plan's `checks`.
pub(crate) fn checks(results: &CheckResults) -> Json {
    let entries = results.0.iter();
    let mut list: Vec<(String, Json)> = entries
        .map(|(checkable, objects)| {
            let mut entry = json!({
                "address": checkable_address(checkable),
                "status": CheckResults::status(objects).word(),
            });
            let mut instances: Vec<(String, Json)> = objects
                .iter()
                .flatten()
                .map(|(object, result)| {
                    let mut out = json!({
                        "address": object_address(object),
                        "status": result.status.word(),
                    });
                    if !result.messages.is_empty() {
                        let problems = result.messages.iter();
                        out["problems"] = problems.map(|m| json!({ "message": m })).collect();
                    }
                    (object.to_string(), out)
                })
                .collect();
            if !instances.is_empty() {
                instances.sort_by(|a, b| a.0.cmp(&b.0));
                entry["instances"] = instances.into_iter().map(|(_, out)| out).collect();
            }
            (checkable.to_string(), entry)
        })
        .collect();
    list.sort_by(|a, b| a.0.cmp(&b.0));
    list.into_iter().map(|(_, entry)| entry).collect()
}

fn checkable_address(checkable: &Checkable) -> Json {
    let mut out = json!({ "to_display": checkable.to_string() });
    match checkable {
        Checkable::Resource(resource) => {
            out["kind"] = json!("resource");
            out["mode"] = json!(match resource.resource.mode {
                ResourceMode::Managed => "managed",
                ResourceMode::Data => "data",
                ResourceMode::Ephemeral => "ephemeral",
            });
            out["type"] = json!(&*resource.resource.type_name);
            out["name"] = json!(&*resource.resource.name);
        }
        Checkable::Output(_, name) => {
            out["kind"] = json!("output_value");
            out["name"] = json!(&**name);
        }
        Checkable::Check(_, name) => {
            out["kind"] = json!("check");
            out["name"] = json!(&**name);
        }
        Checkable::Variable(_, name) => {
            out["kind"] = json!("var");
            out["name"] = json!(&**name);
        }
    }
    if !checkable.module().0.is_empty() {
        out["module"] = json!(checkable.module().to_string());
    }
    out
}

fn object_address(object: &CheckObject) -> Json {
    let mut out = json!({ "to_display": object.to_string() });
    if !object.module().is_root() {
        out["module"] = json!(object.module().to_string());
    }
    if let CheckObject::Instance(address) = object {
        match &address.key {
            InstanceKey::None => {}
            InstanceKey::Int(i) => out["instance_key"] = json!(i),
            InstanceKey::String(s) => out["instance_key"] = json!(&**s),
        }
    }
    out
}

/// The plan's `relevant_attributes`.
pub(crate) fn relevant(attributes: &[RelevantAttribute]) -> Json {
    let entry = |relevant: &RelevantAttribute| {
        json!({
            "resource": relevant.resource.to_string(),
            "attribute": super::value::path(&relevant.attribute),
        })
    };
    attributes.iter().map(entry).collect()
}
