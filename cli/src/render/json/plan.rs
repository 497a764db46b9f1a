//! `show -json` of a plan: format 1.2.

use serde_json::{Map, Value as Json, json};
use stead_engine::{Action, Plan, PlanMode, Registry, ResourceChange};
use stead_sdk::ImportBy;
use stead_state::State;
use stead_value::Diagnostics;

use super::value::{ModuleTree, head, known, path, sensitive, unknown};
use crate::render::in_order;
use crate::session::{Session, TERRAFORM_VERSION};

/// A run's plan, as `test -json -verbose` shows it beside the schemas.
pub(crate) fn test_plan(planned: &Plan, registry: &Registry) -> Result<Json, Diagnostics> {
    let whole = changes(planned, registry)?;
    let mut out = json!({ "plan_format_version": "1.2" });
    for name in [
        "output_changes",
        "resource_changes",
        "resource_drift",
        "relevant_attributes",
    ] {
        let is_empty = |v: &Json| v.as_array().is_some_and(Vec::is_empty) || v == &json!({});
        if let Some(value) = whole.get(name).filter(|v| !is_empty(v)) {
            out[name] = value.clone();
        }
    }
    Ok(out)
}

/// `show -json` of a plan with the configuration that it was made from.
pub(crate) fn whole(plan: &Plan, session: &Session, created: &str) -> Result<Json, Diagnostics> {
    let mut out = changes(plan, &session.registry)?;
    out["configuration"] = super::config::configuration(&session.tree, &session.registry);
    out["timestamp"] = created.into();
    Ok(out)
}

/// What a plan itself says.
fn changes(plan: &Plan, registry: &Registry) -> Result<Json, Diagnostics> {
    let mut variables = Map::new();
    for (name, value) in &plan.variables {
        variables.insert(name.to_string(), json!({"value": known(value)}));
    }
    let changes: Vec<Json> = in_order(&plan.changes).into_iter().map(change).collect();
    let drift = in_order(&plan.drift);
    let drift: Vec<Json> = drift
        .into_iter()
        .filter(|c| c.action != Action::NoOp || plan.mode == PlanMode::RefreshOnly)
        .map(change)
        .collect();
    let mut output_changes = Map::new();
    for (name, output) in &plan.outputs {
        let known_flags = || unknown(&output.after).unwrap_or(json!(false));
        let mut entry = json!({
            "actions": output.action.words(),
            "before": known(&output.before),
            "after": known(&output.after),
            "after_unknown": if output.after.is_wholly_known() { json!(false) } else { known_flags() },
            "before_sensitive": output.sensitive,
            "after_sensitive": output.sensitive,
        });
        if !output.after.is_known()
            && let Some(fields) = entry.as_object_mut()
        {
            fields.remove("after");
        }
        output_changes.insert(name.to_string(), entry);
    }
    let mut out = json!({
        "format_version": "1.2",
        "terraform_version": TERRAFORM_VERSION,
        "planned_values": planned_values(plan, registry),
        "applyable": plan.has_changes(),
        "complete": !plan.partial,
        "errored": false,
    });
    if !changes.is_empty() {
        out["resource_changes"] = changes.into();
    }
    if !output_changes.is_empty() {
        out["output_changes"] = output_changes.into();
    }
    let prior = prior_state(plan)?;
    if !prior.is_empty() {
        out["prior_state"] = super::state(&prior, registry)?;
    }
    if !variables.is_empty() {
        out["variables"] = variables.into();
    }
    if !drift.is_empty() {
        out["resource_drift"] = drift.into();
    }
    if !plan.relevant.is_empty() {
        out["relevant_attributes"] = super::checks::relevant(&plan.relevant);
    }
    if !plan.checks.is_empty() {
        out["checks"] = super::checks::checks(&plan.checks);
    }
    if !plan.rollouts.is_empty() {
        let rollouts = plan.rollouts.iter().map(crate::render::rollout::json);
        out["rollouts"] = rollouts.collect();
    }
    Ok(out)
}

/// The state that the plan was made from, with the outputs as far as they are known already.
fn prior_state(plan: &Plan) -> Result<State, Diagnostics> {
    let mut state = plan.prior_state.clone();
    if state.terraform_version.is_empty() {
        state.terraform_version = TERRAFORM_VERSION.into();
    }
    for (name, output) in &plan.outputs {
        if !output.after.is_null() && output.after.is_wholly_known() {
            let value = stead_engine::outputs::encode(&output.after, output.sensitive)?;
            state.outputs.insert(name.to_string(), value);
        }
    }
    Ok(state)
}

fn planned_values(plan: &Plan, registry: &Registry) -> Json {
    let mut tree = ModuleTree::default();
    for planned in plan
        .changes
        .iter()
        .filter(|c| c.deposed.is_none() && c.action != Action::Delete)
    {
        let mut resource = head(&planned.address, &planned.provider);
        let address = &planned.address;
        let schema = registry.resource_schema(
            &planned.provider.source,
            address.resource.mode,
            &address.resource.type_name,
        );
        resource.insert(
            "schema_version".into(),
            json!(schema.as_ref().map(|s| s.version).unwrap_or(0)),
        );
        let identities = schema.ok().and_then(|s| s.identity.as_ref());
        if let (Some(identity), Some(schema)) = (planned.identity_after(), identities) {
            resource.insert("identity_schema_version".into(), schema.version.into());
            resource.insert("identity".into(), known(identity));
        }
        // What is forgotten has no values any more.
        if planned.after.is_null() {
            resource.insert("sensitive_values".into(), false.into());
        } else {
            resource.insert("values".into(), known(&planned.after));
            resource.insert("sensitive_values".into(), sensitive(&planned.after));
        }
        tree.add(&address.module, resource.into());
    }
    tree.sort();
    let mut outputs = Map::new();
    for (name, output) in plan.outputs.iter().filter(|(_, o)| !o.after.is_null()) {
        let mut entry = json!({"sensitive": output.sensitive});
        if output.after.is_wholly_known() {
            entry["value"] = known(&output.after);
            entry["type"] = stead_value::json::type_to_json(&output.after.ty());
        }
        outputs.insert(name.to_string(), entry);
    }
    let mut values = Map::new();
    if !outputs.is_empty() {
        values.insert("outputs".into(), outputs.into());
    }
    values.insert("root_module".into(), tree.json(None));
    values.into()
}

fn change(planned: &ResourceChange) -> Json {
    let mut out = head(&planned.address, &planned.provider);
    if let Some(previous) = &planned.previous_address {
        out.insert("previous_address".into(), json!(previous.to_string()));
    }
    if !planned.address.module.is_root() {
        out.insert(
            "module_address".into(),
            json!(planned.address.module.to_string()),
        );
    }
    if let Some(key) = &planned.deposed {
        out.insert("deposed".into(), json!(key));
    }
    let mut inner = json!({
        "actions": planned.action.words(),
        "before": known(&planned.before),
        "after": known(&planned.after),
        "after_unknown": if planned.after.is_wholly_known() { json!({}) } else { unknown(&planned.after).unwrap_or_else(|| json!({})) },
        "before_sensitive": if planned.before.is_null() { json!(false) } else { sensitive(&planned.before) },
        "after_sensitive": if planned.after.is_null() { json!(false) } else { sensitive(&planned.after) },
    });
    if !planned.replace_paths.is_empty() {
        inner["replace_paths"] = planned
            .replace_paths
            .iter()
            .map(path)
            .collect::<Vec<_>>()
            .into();
    }
    if let Some(importing) = &planned.importing {
        inner["importing"] = match &importing.by {
            ImportBy::Id(id) => json!({ "id": id }),
            ImportBy::Identity(identity) => json!({ "identity": known(identity) }),
        };
        if let Some(text) = &importing.generated_config {
            inner["generated_config"] = json!(text);
        }
    }
    if let Some(identity) = &planned.identity {
        inner["before_identity"] = known(identity);
    }
    if let Some(identity) = planned.identity_after() {
        inner["after_identity"] = known(identity);
    }
    out.insert("change".into(), inner);
    if let Some(reason) = planned.reason {
        out.insert("action_reason".into(), json!(reason.word()));
    }
    out.into()
}
