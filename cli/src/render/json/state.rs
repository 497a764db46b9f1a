//! `show -json` of a state: format 1.0.

use serde_json::{Map, Value as Json, json};
use stead_engine::checks::CheckResults;
use stead_engine::{Registry, recorded_value};
use stead_state::{Object, ProviderConfigRef, State};
use stead_value::addr::ResourceInstance;
use stead_value::{Diagnostic, Diagnostics};

use super::value::{ModuleTree, head, known, sensitive};
use crate::render::in_module_order;

/// A run's state, as `test -json -verbose` shows it beside the schemas.
pub(crate) fn test_state(state: &State, registry: &Registry) -> Result<Json, Diagnostics> {
    let values = state_values(state, registry)?;
    let mut out = json!({
        "state_format_version": "1.0",
        "root_module": values.get("root_module"),
    });
    if let Some(outputs) = values.get("outputs") {
        out["outputs"] = outputs.clone();
    }
    Ok(out)
}

/// `show -json` of a state.
pub(crate) fn state(state: &State, registry: &Registry) -> Result<Json, Diagnostics> {
    if state.is_empty() {
        return Ok(json!({"format_version": "1.0"}));
    }
    let mut out = json!({
        "format_version": "1.0",
        "terraform_version": state.terraform_version,
        "values": state_values(state, registry)?,
    });
    let recorded = state.check_results.as_ref();
    let recorded = recorded.and_then(|raw| serde_json::from_str(raw.get()).ok());
    let results = recorded.and_then(|json: Json| CheckResults::from_state(&json));
    if let Some(results) = results.filter(|r| !r.is_empty()) {
        out["checks"] = super::checks::checks(&results);
    }
    Ok(out)
}

fn state_values(state: &State, registry: &Registry) -> Result<Json, Diagnostics> {
    let mut tree = ModuleTree::default();
    for (address, deposed, object, provider) in in_module_order(state) {
        let resource = state_resource(&address, object, provider, deposed, registry)?;
        tree.add(&address.module, resource);
    }
    let mut values = Map::new();
    if !state.outputs.is_empty() {
        let mut outputs = Map::new();
        for (name, output) in &state.outputs {
            let value: Json = serde_json::from_str(output.value.get()).map_err(malformed)?;
            outputs.insert(
                name.clone(),
                json!({"sensitive": output.sensitive, "value": value, "type": output.ty}),
            );
        }
        values.insert("outputs".into(), outputs.into());
    }
    values.insert("root_module".into(), tree.json(None));
    Ok(values.into())
}

fn malformed(error: serde_json::Error) -> Diagnostic {
    Diagnostic::error("Malformed state", format!("{error}."))
}

fn state_resource(
    address: &ResourceInstance,
    object: &Object,
    provider: &ProviderConfigRef,
    deposed: Option<&str>,
    registry: &Registry,
) -> Result<Json, Diagnostics> {
    let mut out = head(address, provider);
    out.insert("schema_version".into(), json!(object.schema_version));
    let value = recorded_value(registry, address, &provider.source, object)?;
    out.insert("values".into(), known(&value));
    out.insert("sensitive_values".into(), sensitive(&value));
    if let Some(identity) = &object.identity {
        // Of what create-before-destroy set aside Terraform does not write the version.
        if deposed.is_none() {
            out.insert(
                "identity_schema_version".into(),
                identity.schema_version.into(),
            );
        }
        out.insert("identity".into(), identity.attributes.clone().into());
    }
    if !object.dependencies.is_empty() {
        out.insert("depends_on".into(), json!(object.dependencies));
    }
    if object.status == stead_state::ObjectStatus::Tainted {
        out.insert("tainted".into(), json!(true));
    }
    if let Some(key) = deposed {
        out.insert("deposed_key".into(), json!(key));
    }
    Ok(out.into())
}
