//! What a configuration would do: checks, the rendered configuration, older states.

use serde_json::{Value as Json, json};
use stead_sdk::value::{Diagnostics, Path, Type, Value};
use stead_sdk::{Error, PlanDraft};

use crate::blocks::check_timeouts;
use crate::render;

const MODES: [&str; 5] = [
    "auto",
    "reboot",
    "no_reboot",
    "staged",
    "staged_if_needing_reboot",
];

pub(super) fn validate(config: &Value) -> Diagnostics {
    let mut found = check_timeouts(config);
    found.extend(check_exactly_one(
        config,
        "machine_configuration_input",
        "machine_configuration_input_wo",
    ));
    found.extend(check_client_configuration(config));
    let mode = config.get("apply_mode");
    if let Some(mode) = mode.as_ref().and_then(Value::as_str)
        && !MODES.contains(&mode)
    {
        let said = format!("{mode:?} is none of {}", MODES.join(", "));
        found.extend(Diagnostics::from(
            Error::new("use the apply mode", said).attribute("apply_mode"),
        ));
    }
    found
}

/// One of the stored and the write-only client configuration must be given.
pub(in crate::resources) fn check_client_configuration(config: &Value) -> Diagnostics {
    check_exactly_one(config, "client_configuration", "client_configuration_wo")
}

fn check_exactly_one(config: &Value, stored: &str, write_only: &str) -> Diagnostics {
    // What is not known yet counts as given.
    let given = |name: &str| config.get(name).is_some_and(|v| !v.is_null());
    let said = match (given(stored), given(write_only)) {
        (true, false) | (false, true) => return Diagnostics::new(),
        (true, true) => "both are set",
        (false, false) => "neither is set",
    };
    Error::new(
        format!("choose between `{stored}` and `{write_only}`"),
        said,
    )
    .remedy("Set exactly one of the two.")
    .attribute(stored)
    .into()
}

pub(super) fn plan(draft: &mut PlanDraft) -> Result<(), Diagnostics> {
    plan_endpoint(draft)?;
    plan_configuration(draft)?;
    plan_mode(draft)
}

/// The endpoint follows the node where it is not configured.
pub(in crate::resources) fn plan_endpoint(draft: &mut PlanDraft) -> Result<(), Diagnostics> {
    if draft.config().get("endpoint").is_none_or(|v| v.is_null())
        && let Some(node) = draft.attribute("node")
    {
        draft.set(&Path::root().attr("endpoint"), node)?;
    }
    Ok(())
}

fn plan_configuration(draft: &mut PlanDraft) -> Result<(), Diagnostics> {
    let rendered = Path::root().attr("machine_configuration");
    let hash = Path::root().attr("machine_configuration_hash");
    let config = |name: &str| draft.config().get(name).filter(|v| !v.is_null());
    let write_only = config("machine_configuration_input_wo");
    let input = write_only
        .clone()
        .or_else(|| config("machine_configuration_input"));
    let patches = config("config_patches");
    let known = |v: &Option<Value>| v.as_ref().is_none_or(Value::is_wholly_known);
    if !known(&input) || !known(&patches) {
        if write_only.is_some() {
            draft.set(&rendered, Value::null(Type::String))?;
        } else {
            draft.set_unknown(&rendered)?;
        }
        return Ok(draft.set_unknown(&hash)?);
    }
    let Some(input) = input.as_ref().and_then(Value::as_str) else {
        return Ok(());
    };
    // A null element is skipped, as the published provider does.
    let patches = patches
        .as_ref()
        .and_then(Value::as_sequence)
        .unwrap_or_default();
    let patches: Vec<String> = patches
        .iter()
        .filter_map(|p| p.as_str().map(str::to_owned))
        .collect();
    let text = render::patched(input, &patches)?;
    draft.set(&hash, Value::string(render::hash(&text)))?;
    let stored = if write_only.is_some() {
        Value::null(Type::String)
    } else {
        Value::string(text)
    };
    Ok(draft.set(&rendered, stored)?)
}

fn plan_mode(draft: &mut PlanDraft) -> Result<(), Diagnostics> {
    let resolved = Path::root().attr("resolved_apply_mode");
    let Some(mode) = draft.attribute("apply_mode") else {
        return Ok(());
    };
    if mode.as_str() != Some("staged_if_needing_reboot") {
        return Ok(draft.set(&resolved, mode)?);
    }
    // The node is asked right before the configuration is sent.
    if draft.has_changes() {
        draft.set_unknown(&resolved)?;
    }
    Ok(())
}

/// Version 0 had other names, and the client configuration as a talosconfig.
pub(super) fn upgrade(mut attributes: Json) -> Result<Json, Error> {
    let asked = "upgrade the state of the applied configuration";
    let Some(object) = attributes.as_object_mut() else {
        return Err(Error::new(asked, "it is not an object"));
    };
    for (old, new) in [
        ("mode", "apply_mode"),
        ("machine_configuration", "machine_configuration_input"),
    ] {
        if let Some(value) = object.remove(old) {
            object.insert(new.to_owned(), value);
        }
    }
    object.insert("id".to_owned(), json!(super::ID));
    Ok(attributes)
}
