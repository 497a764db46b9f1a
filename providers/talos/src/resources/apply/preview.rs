//! What a node says it would do with a changed configuration: its own dry run, for the plan.
//!
//! Only a node that proves to be of the cluster is asked: a configuration is full of secrets.

use std::time::SystemTime;

use stead_sdk::value::Value;
use stead_sdk::{Context, Error, PlanDraft, codec};

use super::deliver::plain_mode;
use crate::api::machine::ApplyMode;
use crate::blocks::effective_client_configuration;
use crate::client::Client;
use crate::credentials::unexpired;
use crate::machinery::{Secret, differences};
use crate::node::{Api, Contact, Node};

/// More differences than this are counted, not listed.
const LISTED: usize = 20;

/// Notes in the plan what the node would do, and what changes. It never fails the plan: what stands in the way now may be
/// gone when its turn comes.
pub(in crate::resources) async fn preview(
    client: &Client,
    draft: &mut PlanDraft,
    wanted: &str,
    cx: &Context,
) {
    let Ok(Some(node)) = target(client, draft, wanted) else {
        return;
    };
    let label = node.label();
    let api = match node.contact(cx).await {
        Ok(Contact::Configured(api)) => api,
        Ok(Contact::Maintenance(..)) => {
            return draft.note(format!("{label} is in maintenance mode"));
        }
        Ok(Contact::Away(why)) => {
            return draft.note(format!("what {label} would do is not known: {why}"));
        }
        Ok(Contact::Stranger(error)) | Err(error) => {
            return draft.note(format!(
                "what {label} would do is not known: {}",
                error.said()
            ));
        }
    };
    let mode = draft.attribute("apply_mode");
    let mode = mode.as_ref().and_then(Value::as_str).unwrap_or_default();
    ask(&api, &label, mode, wanted, draft).await;
    compare(&api, wanted, draft).await;
}

/// The node that is planned, when all that is needed to talk to it is known.
pub(in crate::resources) fn target(
    client: &Client,
    draft: &PlanDraft,
    wanted: &str,
) -> Result<Option<Node>, Error> {
    let text = |name: &str| {
        let value = draft.attribute(name);
        value.as_ref().and_then(Value::as_str).map(str::to_owned)
    };
    let (Some(node), Some(endpoint)) = (text("node"), text("endpoint")) else {
        return Ok(None);
    };
    let known = |name: &str| draft.config().get(name).is_none_or(|v| v.is_wholly_known());
    if !known("client_configuration") || !known("client_configuration_wo") {
        return Ok(None);
    }
    let stored = codec::attribute::<Option<_>>(draft.config(), "client_configuration")?;
    let identity = effective_client_configuration(stored.as_ref(), draft.config())?;
    let identity = unexpired(&identity, Some(wanted), SystemTime::now())?;
    Node::new(&client.dialer, &endpoint, &node, &identity).map(Some)
}

async fn ask(api: &Api, label: &str, mode: &str, wanted: &str, draft: &mut PlanDraft) {
    match api.apply(wanted, plain_mode(mode), true).await {
        Ok(reply) => {
            draft.note(match reply.mode() {
                ApplyMode::Reboot if mode == "staged_if_needing_reboot" => {
                    format!("staged: {label} needs a restart for it, and gets none")
                }
                ApplyMode::Reboot => format!("reboot: {label} restarts for it"),
                ApplyMode::Staged => format!("staged: {label} lives by it from its next start on"),
                _ => format!("live: {label} takes it without a restart"),
            });
            for warning in reply.warnings {
                draft.warn(format!("{label} warns about the configuration"), warning);
            }
        }
        Err(call) if call.is_final() => draft.warn(
            format!("{label} refuses the configuration as it is now"),
            format!(
                "{} Unless something earlier in this plan changes that, such as an upgrade, the apply fails at this node.",
                sentence(call.error.said())
            ),
        ),
        Err(call) => draft.note(format!("what {label} would do is not known: {}", call.reason())),
    }
}

/// Lists what differs from what the node has on its disk; nothing when it does not tell.
async fn compare(api: &Api, wanted: &str, draft: &mut PlanDraft) {
    let Some(found) = on_disk(api).await else {
        return;
    };
    let Ok(changes) = differences(found.expose(), wanted) else {
        return;
    };
    for change in changes.iter().take(LISTED) {
        draft.note(change.to_string());
    }
    if let Some(more) = changes.len().checked_sub(LISTED).filter(|n| *n > 0) {
        draft.note(format!("and {more} more differences"));
    }
}

async fn on_disk(api: &Api) -> Option<Secret> {
    for id in ["persistent", "v1alpha1"] {
        if let Ok(Some(found)) = api.machine_config(id).await {
            return Some(found);
        }
    }
    None
}

fn sentence(said: &str) -> String {
    let said = said.trim();
    if said.ends_with('.') {
        said.to_owned()
    } else {
        format!("{said}.")
    }
}
