//! Objects of the state, for people.

use std::fmt::Write as _;

use stead_engine::{Registry, outputs, recorded_value};
use stead_state::{Object, ObjectStatus, OutputValue, ProviderConfigRef, State};
use stead_value::addr::{ResourceInstance, ResourceMode};
use stead_value::{Diagnostic, Diagnostics, Type};

use super::Style;
use super::diff::{self, Drawing};
use super::text::attribute_name;

/// How what does not change is shown.
fn drawing(style: Style) -> Drawing {
    Drawing {
        show_all: true,
        no_signs: true,
        ..Drawing::new(style)
    }
}

/// Everything in a state.
pub(crate) fn whole(
    state: &State,
    registry: &Registry,
    style: Style,
    reveal: bool,
) -> Result<String, Diagnostics> {
    if state.is_empty() {
        return Ok("The state file is empty. No resources are represented.\n".into());
    }
    let mut out = String::new();
    let mut module = None;
    for (address, deposed, recorded, provider) in super::in_module_order(state) {
        // An empty line between objects, and two between modules.
        if module.as_ref().is_some_and(|m| *m != address.module) {
            out.push('\n');
        }
        if module.is_some() {
            out.push('\n');
        }
        module = Some(address.module.clone());
        out.push_str(&object(
            &address, deposed, recorded, provider, registry, style, reveal,
        )?);
    }
    if !state.outputs.is_empty() {
        out.push_str("\n\nOutputs:\n\n");
        for (name, output) in &state.outputs {
            let _ = writeln!(out, "{name} = {}", output_value(output, style, reveal)?);
        }
    }
    Ok(out)
}

fn output_value(output: &OutputValue, style: Style, reveal: bool) -> Result<String, Diagnostic> {
    let mut value = outputs::decode(output)?;
    if reveal {
        value = value.unmark_deep().0;
    }
    let ty = stead_value::json::type_from_json(&output.ty).unwrap_or(Type::Dynamic);
    Ok(drawing(style).node(&diff::value(&value, &ty), 0))
}

/// One object, as its configuration would be written.
pub(crate) fn object(
    address: &ResourceInstance,
    deposed: Option<&str>,
    recorded: &Object,
    provider: &ProviderConfigRef,
    registry: &Registry,
    style: Style,
    reveal: bool,
) -> Result<String, Diagnostics> {
    let mut value = recorded_value(registry, address, &provider.source, recorded)?;
    if reveal {
        value = value.unmark_deep().0;
    }
    let status = match deposed {
        Some(key) => format!(" (deposed object {key})"),
        None if recorded.status == ObjectStatus::Tainted => " (tainted)".to_owned(),
        None => String::new(),
    };
    let resource = &address.resource;
    let keyword = match resource.mode {
        ResourceMode::Managed => "resource",
        _ => "data",
    };
    let head = format!(
        "# {address}:{status}\n{keyword} \"{}\" \"{}\"",
        resource.type_name, resource.name
    );
    let schema = registry.resource_schema(&provider.source, resource.mode, &resource.type_name);
    let body = match schema {
        Ok(schema) => {
            let node = diff::objects(&schema.block, &value, &value, &[], None);
            drawing(style).node(&node, 0)
        }
        // What no provider here knows is shown as it was recorded.
        Err(_) => {
            let mut body = String::from("{\n");
            for (name, value) in value.as_entries().into_iter().flatten() {
                let node = diff::value(value, &Type::Dynamic);
                let text = drawing(style).node(&node, 1);
                let _ = writeln!(body, "    {} = {text}", attribute_name(name));
            }
            body.push('}');
            body
        }
    };
    Ok(format!("{head} {body}\n"))
}
