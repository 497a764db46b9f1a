//! Terraform's JSON formats: plan 1.2, state 1.0, diagnostics.

use serde_json::{Map, Value as Json, json};
use stead_engine::{Plan, Registry, ResourceChange, recorded_value};
use stead_state::{Object, ProviderConfigRef, State};
use stead_value::addr::{InstanceKey, ModuleInstance, ResourceInstance, ResourceMode};
use stead_value::{Diagnostic, Diagnostics, Kind, Path, Severity, SourceRange, Step, Type, Value};

use super::diagnostics::Sources;
use crate::session::TERRAFORM_VERSION;

/// A diagnostic as `validate -json` shows it.
pub(crate) fn diagnostic(diagnostic: &Diagnostic, sources: &Sources) -> Json {
    let mut out = json!({
        "severity": match diagnostic.severity { Severity::Error => "error", Severity::Warning => "warning" },
        "summary": diagnostic.summary,
        "detail": diagnostic.detail,
    });
    if let Some(address) = &diagnostic.address {
        out["address"] = json!(address);
    }
    if let Some(range) = &diagnostic.subject {
        let mut range = range.clone();
        // What is empty is shown as the place where something is missing.
        if range.start.byte == range.end.byte {
            range.end.byte += 1;
            range.end.column += 1;
        }
        let pos = |p: &stead_value::diag::SourcePos| json!({"line": p.line, "column": p.column, "byte": p.byte});
        out["range"] =
            json!({"filename": &*range.file, "start": pos(&range.start), "end": pos(&range.end)});
        out["snippet"] = snippet(&range, diagnostic, sources);
    }
    out
}

/// The lines around a place, in whole lines, with the offsets of the place in them.
fn snippet(range: &SourceRange, diagnostic: &Diagnostic, sources: &Sources) -> Json {
    let Some(file) = sources.get(&range.file) else {
        return Json::Null;
    };
    let (mut first, mut last) = (range.start.line, range.end.line);
    if let Some(context) = diagnostic.context.as_ref().filter(|c| c.file == range.file) {
        first = first.min(context.start.line);
        last = last.max(context.end.line);
    }
    let lines: Vec<&str> = (first..=last).map(|line| file.line(line)).collect();
    let code = lines.join("\n");
    let offset = |line: u32, byte: u32| {
        let before: usize = lines
            .iter()
            .take((line - first) as usize)
            .map(|l| l.len() + 1)
            .sum();
        let start = file
            .text()
            .get(..byte as usize)
            .and_then(|t| t.rfind('\n'))
            .map_or(0, |i| i + 1);
        before + (byte as usize).saturating_sub(start)
    };
    let start = offset(range.start.line, range.start.byte).min(code.len());
    let end = if range.end.line == range.start.line {
        start + (range.end.byte - range.start.byte) as usize
    } else {
        offset(range.end.line, range.end.byte)
    };
    let values: Vec<Json> = diagnostic
        .values
        .iter()
        .map(|(traversal, statement)| json!({"traversal": traversal, "statement": statement}))
        .collect();
    json!({
        // The place before counts, so that a block's first byte is not in it when the block opens the file.
        "context": range
            .start
            .byte
            .checked_sub(1)
            .and_then(|byte| stead_lang::syntax::enclosing_block(file, byte)),
        "code": code,
        "start_line": first,
        "highlight_start_offset": start,
        "highlight_end_offset": end.min(code.len().max(start)),
        "values": values,
    })
}

/// A run's plan, as `test -json -verbose` shows it.
pub(crate) fn test_plan(planned: &Plan, registry: &Registry) -> Result<Json, Diagnostics> {
    let whole = plan(planned, registry)?;
    let mut out = json!({ "plan_format_version": "1.2", "provider_format_version": "1.0" });
    for name in ["output_changes", "resource_changes", "resource_drift"] {
        let is_empty = |v: &Json| v.as_array().is_some_and(Vec::is_empty) || v == &json!({});
        if let Some(value) = whole.get(name).filter(|v| !is_empty(v)) {
            out[name] = value.clone();
        }
    }
    Ok(out)
}

/// A run's state, as `test -json -verbose` shows it.
pub(crate) fn test_state(state: &State, registry: &Registry) -> Result<Json, Diagnostics> {
    let values = state_values(state, registry)?;
    let mut out = json!({
        "state_format_version": "1.0",
        "provider_format_version": "1.0",
        "root_module": values.get("root_module"),
    });
    if let Some(outputs) = values.get("outputs") {
        out["outputs"] = outputs.clone();
    }
    Ok(out)
}

/// `show -json` of a state.
pub(crate) fn state(state: &State, registry: &Registry) -> Result<Json, Diagnostics> {
    if state.is_empty() && state.lineage.is_empty() {
        return Ok(json!({"format_version": "1.0"}));
    }
    Ok(json!({
        "format_version": "1.0",
        "terraform_version": state.terraform_version,
        "values": state_values(state, registry)?,
    }))
}

fn state_values(state: &State, registry: &Registry) -> Result<Json, Diagnostics> {
    let mut tree = ModuleTree::default();
    for (address, object, provider) in state.current_objects() {
        let resource = state_resource(&address, object, provider, None, registry)?;
        tree.add(&address.module, resource);
    }
    for (address, key, object, provider) in state.deposed_objects() {
        let resource = state_resource(&address, object, provider, Some(key), registry)?;
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

fn head(address: &ResourceInstance, provider: &ProviderConfigRef) -> Map<String, Json> {
    let mut out = Map::new();
    out.insert("address".into(), json!(address.to_string()));
    out.insert(
        "mode".into(),
        json!(match address.resource.mode {
            ResourceMode::Managed => "managed",
            ResourceMode::Data => "data",
            ResourceMode::Ephemeral => "ephemeral",
        }),
    );
    out.insert("type".into(), json!(&*address.resource.type_name));
    out.insert("name".into(), json!(&*address.resource.name));
    match &address.key {
        InstanceKey::None => {}
        InstanceKey::Int(i) => drop(out.insert("index".into(), json!(i))),
        InstanceKey::String(s) => drop(out.insert("index".into(), json!(&**s))),
    }
    out.insert("provider_name".into(), json!(provider.source.to_string()));
    out
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

/// Resources by module, as the formats nest them.
#[derive(Default)]
struct ModuleTree {
    resources: Vec<Json>,
    children: std::collections::BTreeMap<String, (ModuleInstance, ModuleTree)>,
}

impl ModuleTree {
    fn add(&mut self, module: &ModuleInstance, resource: Json) {
        let mut tree = self;
        let mut path = ModuleInstance::root();
        for (name, key) in module.0.iter() {
            path = path.child(name.clone(), key.clone());
            let entry = tree.children.entry(path.to_string());
            tree = &mut entry
                .or_insert_with(|| (path.clone(), ModuleTree::default()))
                .1;
        }
        tree.resources.push(resource);
    }

    fn json(self, address: Option<String>) -> Json {
        let mut out = Map::new();
        if !self.resources.is_empty() {
            out.insert("resources".into(), self.resources.into());
        }
        if let Some(address) = address {
            out.insert("address".into(), json!(address));
        }
        if !self.children.is_empty() {
            let children: Vec<Json> = self
                .children
                .into_values()
                .map(|(path, tree)| tree.json(Some(path.to_string())))
                .collect();
            out.insert("child_modules".into(), children.into());
        }
        out.into()
    }
}

/// `show -json` of a plan.
pub(crate) fn plan(plan: &Plan, registry: &Registry) -> Result<Json, Diagnostics> {
    let mut variables = Map::new();
    for (name, value) in &plan.variables {
        variables.insert(name.to_string(), json!({"value": known(value)}));
    }
    let changes = plan.changes.iter().map(change).collect::<Vec<_>>();
    let drift = plan.drift.iter().map(change).collect::<Vec<_>>();
    let mut output_changes = Map::new();
    for (name, output) in &plan.outputs {
        output_changes.insert(
            name.to_string(),
            json!({
                "actions": output.action.words(),
                "before": known(&output.before),
                "after": known(&output.after),
                "after_unknown": if output.after.is_wholly_known() { json!(false) } else { unknown(&output.after).unwrap_or(json!(false)) },
                "before_sensitive": output.sensitive,
                "after_sensitive": output.sensitive,
            }),
        );
    }
    let mut out = json!({
        "format_version": "1.2",
        "terraform_version": TERRAFORM_VERSION,
        "planned_values": planned_values(plan, registry),
        "resource_changes": changes,
        "output_changes": output_changes,
        "prior_state": state(&plan.prior_state, registry)?,
        "applyable": plan.has_changes(),
        "complete": !plan.partial,
        "errored": false,
    });
    if !variables.is_empty() {
        out["variables"] = variables.into();
    }
    if !drift.is_empty() {
        out["resource_drift"] = drift.into();
    }
    if !plan.relevant.is_empty() {
        out["relevant_attributes"] = super::json_checks::relevant(&plan.relevant);
    }
    if !plan.checks.is_empty() {
        out["checks"] = super::json_checks::checks(&plan.checks);
    }
    Ok(out)
}

fn planned_values(plan: &Plan, registry: &Registry) -> Json {
    let mut tree = ModuleTree::default();
    for planned in plan
        .changes
        .iter()
        .filter(|c| c.deposed.is_none() && !c.after.is_null())
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
            json!(schema.map(|s| s.version).unwrap_or(0)),
        );
        resource.insert("values".into(), known(&planned.after));
        resource.insert("sensitive_values".into(), sensitive(&planned.after));
        tree.add(&address.module, resource.into());
    }
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
    if let Some(id) = &planned.importing {
        inner["importing"] = json!({ "id": id });
    }
    out.insert("change".into(), inner);
    if let Some(reason) = planned.reason {
        out.insert("action_reason".into(), json!(reason.word()));
    }
    out.into()
}

pub(super) fn path(path: &Path) -> Json {
    let step = |s: &Step| match s {
        Step::Attr(name) => json!(&**name),
        Step::Index(key) => known(key),
    };
    path.steps().iter().map(step).collect::<Vec<_>>().into()
}

/// The known parts of a value; unknown attributes and entries are left out, unknown elements are null.
fn known(value: &Value) -> Json {
    match value.kind() {
        Kind::Null(_) | Kind::Unknown(..) => Json::Null,
        Kind::Bool(b) => json!(b),
        Kind::Number(n) => n
            .to_string()
            .parse::<serde_json::Number>()
            .map_or(Json::Null, Json::Number),
        Kind::String(s) => json!(&**s),
        Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => {
            items.iter().map(known).collect::<Vec<_>>().into()
        }
        Kind::Map(_, entries) | Kind::Object(entries) => entries
            .iter()
            .filter(|(_, v)| v.is_known())
            .map(|(k, v)| (k.to_string(), known(v)))
            .collect::<Map<_, _>>()
            .into(),
    }
}

/// `true` where a value is unknown, in the value's shape; `None` where everything is known.
fn unknown(value: &Value) -> Option<Json> {
    flags(value, &|v| !v.is_known())
}

/// `true` where a value is sensitive, in the value's shape.
fn sensitive(value: &Value) -> Json {
    flags(value, &Value::is_sensitive).unwrap_or_else(|| match value.kind() {
        Kind::Map(..) | Kind::Object(..) => json!({}),
        _ => json!(false),
    })
}

fn flags(value: &Value, is_set: &dyn Fn(&Value) -> bool) -> Option<Json> {
    if is_set(value) {
        return Some(json!(true));
    }
    match value.kind() {
        Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => {
            let inner: Vec<Option<Json>> = items.iter().map(|v| flags(v, is_set)).collect();
            // Containers keep their shape, so that a reader can walk both trees together.
            Some(
                inner
                    .into_iter()
                    .map(|f| f.unwrap_or(json!(false)))
                    .collect::<Vec<_>>()
                    .into(),
            )
        }
        Kind::Map(_, entries) | Kind::Object(entries) => Some(
            entries
                .iter()
                .filter_map(|(k, v)| Some((k.to_string(), flags(v, is_set)?)))
                .collect::<Map<_, _>>()
                .into(),
        ),
        // An unknown container has a shape too, with nothing in it.
        Kind::Unknown(Type::List(_) | Type::Set(_) | Type::Tuple(_), _) => Some(json!([])),
        Kind::Unknown(Type::Map(_) | Type::Object(..), _) => Some(json!({})),
        _ => None,
    }
}
