//! Objects of the state, for people.

use std::fmt::Write as _;

use stead_engine::{Registry, outputs, recorded_value};
use stead_state::{Object, ObjectStatus, ProviderConfigRef, State};
use stead_value::addr::ResourceInstance;
use stead_value::{Diagnostics, Value};

use super::Style;
use super::value::render as render_value;

/// Everything in a state.
pub(crate) fn whole(
    state: &State,
    registry: &Registry,
    style: Style,
) -> Result<String, Diagnostics> {
    let mut out = String::new();
    for (address, recorded, provider) in state.current_objects() {
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&object(&address, recorded, provider, registry, style)?);
    }
    if !state.outputs.is_empty() {
        out.push_str("\n\nOutputs:\n\n");
        for (name, output) in &state.outputs {
            let _ = writeln!(
                out,
                "{name} = {}",
                render_value(&outputs::decode(output)?, 0)
            );
        }
    }
    if out.is_empty() {
        out.push_str("The state file is empty. No resources are represented.\n");
    }
    Ok(out)
}

/// One object, as its configuration would be written.
pub(crate) fn object(
    address: &ResourceInstance,
    recorded: &Object,
    provider: &ProviderConfigRef,
    registry: &Registry,
    style: Style,
) -> Result<String, Diagnostics> {
    let value = recorded_value(registry, address, &provider.source, recorded)?;
    let tainted = if recorded.status == ObjectStatus::Tainted {
        " (tainted)"
    } else {
        ""
    };
    let keyword = address.resource.mode.keyword();
    let mut out = format!("{}\n", style.bold(format!("# {address}:{tainted}")));
    let _ = writeln!(
        out,
        "{keyword} \"{}\" \"{}\" {{",
        address.resource.type_name, address.resource.name
    );
    attributes(&mut out, &value);
    out.push_str("}\n");
    Ok(out)
}

fn attributes(out: &mut String, value: &Value) {
    let Some(entries) = value.as_entries() else {
        return;
    };
    let shown: Vec<_> = entries.iter().filter(|(_, v)| !v.is_null()).collect();
    let width = shown
        .iter()
        .map(|(k, _)| k.chars().count())
        .max()
        .unwrap_or(0);
    for (name, inner) in shown {
        let gap = " ".repeat(width - name.chars().count());
        let _ = writeln!(out, "    {name}{gap} = {}", render_value(inner, 4));
    }
}
