//! What a configuration would do: checks, the rendered configuration, older states.

use serde_json::{Value as Json, json};
use stead_sdk::value::{Diagnostics, Path, Type, Value};
use stead_sdk::{Context, Error, PlanDraft};

use super::preview::preview;
use crate::blocks::check_timeouts;
use crate::client::Client;
use crate::generate::QUIRK;
use crate::machinery::{Quirk, installed_version, review};
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

/// One of the stored and the write-only form of an attribute must be given.
pub(in crate::resources) fn check_exactly_one(
    config: &Value,
    stored: &str,
    write_only: &str,
) -> Diagnostics {
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

pub(super) async fn plan(
    client: Option<&Client>,
    draft: &mut PlanDraft,
    cx: &Context,
) -> Result<(), Diagnostics> {
    plan_endpoint(draft)?;
    let rendered = plan_configuration(draft)?;
    plan_mode(draft)?;
    if !draft.is_create() && client.is_some_and(|client| client.meets_anew) {
        // Whether its machine still has it is not known before it is there again.
        draft.set_unknown(&Path::root().attr("machine_configuration_hash"))?;
        draft.note(
            "the cluster is recovered: the machine gets its configuration again, if it has none",
        );
    }
    let Some(rendered) = rendered.filter(|_| draft.changes("machine_configuration_hash")) else {
        return Ok(());
    };
    for quirk in rendered.quirks {
        draft.warn(QUIRK, quirk.to_string());
    }
    let places = ["config_patches", "machine_configuration_input_wo"];
    check_rendered(
        &rendered.text,
        &places,
        "machine_configuration_input",
        draft,
    )?;
    match client {
        // A node without a configuration does not say what it would do with one.
        Some(client) if !draft.is_create() => {
            preview(client, draft, &rendered.text, cx).await;
        }
        _ => {}
    }
    Ok(())
}

/// Refuses a configuration that every node refuses. To blame is the first of the attributes that is set, or the last one named.
pub(in crate::resources) fn check_rendered(
    text: &str,
    places: &[&str],
    otherwise: &str,
    draft: &mut PlanDraft,
) -> Result<(), Diagnostics> {
    let mut refusals = Diagnostics::new();
    let is_set = |name: &str| draft.config().get(name).is_some_and(|v| !v.is_null());
    let place = places.iter().copied().find(|name| is_set(name));
    let place = place.unwrap_or(otherwise);
    for finding in review(text, installed_version(text)).unwrap_or_default() {
        if finding.is_certain() {
            refusals.extend(Diagnostics::from(
                Error::new("use the machine configuration", finding.to_string())
                    .remedy(finding.remedy())
                    .attribute(place),
            ));
        } else if draft.is_create() {
            // A node that has a configuration already says it itself.
            draft.warn(
                "The node may refuse the machine configuration",
                format!("{finding}. {}", finding.remedy()),
            );
        }
    }
    refusals.into_result().map(drop)
}

/// Leaves a configuration as the state has it where the wanted one says the same in another layout; whether it does.
pub(in crate::resources) fn keep_layout(
    draft: &mut PlanDraft,
    name: &str,
    wanted: &str,
) -> Result<bool, Diagnostics> {
    let prior = draft.prior().get(name).filter(|_| !draft.is_create());
    let Some(prior) = prior else {
        return Ok(false);
    };
    let same = prior.as_str().is_some_and(|p| render::same(p, wanted));
    if same {
        draft.set(&Path::root().attr(name), prior)?;
    }
    Ok(same)
}

/// A configuration with the patches applied.
struct Rendered {
    text: String,
    quirks: Vec<Quirk>,
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

/// Plans the configuration, and gives it where it is known.
fn plan_configuration(draft: &mut PlanDraft) -> Result<Option<Rendered>, Diagnostics> {
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
        draft.set_unknown(&hash)?;
        return Ok(None);
    }
    let Some(input) = input.as_ref().and_then(Value::as_str) else {
        return Ok(None);
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
    let mut quirks = Vec::new();
    let text = render::patched_watched(input, &patches, &mut quirks)?;
    // Releases of the published provider write the same configuration with other quotes.
    let known_hash = draft.prior().get("machine_configuration_hash");
    if let Some(known_hash) = known_hash.filter(|h| h.as_str().is_some())
        && keep_layout(draft, "machine_configuration", &text)?
    {
        keep_layout(draft, "machine_configuration_input", input)?;
        draft.set(&hash, known_hash)?;
        return Ok(Some(Rendered { text, quirks }));
    }
    draft.set(&hash, Value::string(render::hash(&text)))?;
    let stored = if write_only.is_some() {
        Value::null(Type::String)
    } else {
        Value::string(text.as_str())
    };
    draft.set(&rendered, stored)?;
    Ok(Some(Rendered { text, quirks }))
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
