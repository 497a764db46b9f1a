//! The agent's commands without parameters.

use serde_json::{Value, json};

use super::{Agent, available, tell};
use crate::Px;
use crate::error::{Answer, ApiError};
use crate::routes::Call;

/// Their names, and whether they only look (`GET`).
pub(super) const NAMES: &[(&str, bool)] = &[
    ("fsfreeze-freeze", false),
    ("fsfreeze-status", false),
    ("fsfreeze-thaw", false),
    ("fstrim", false),
    ("get-fsinfo", true),
    ("get-host-name", true),
    ("get-memory-block-info", true),
    ("get-memory-blocks", true),
    ("get-osinfo", true),
    ("get-time", true),
    ("get-timezone", true),
    ("get-users", true),
    ("get-vcpus", true),
    ("info", true),
    ("network-get-interfaces", true),
    ("ping", false),
    ("shutdown", false),
    ("suspend-disk", false),
    ("suspend-hybrid", false),
    ("suspend-ram", false),
];

/// `…/agent/NAME`, and `POST …/agent` with `command`.
pub(super) async fn run(px: &Px, call: Call) -> Answer {
    let name = match call.params.get("command") {
        Some(name) => name,
        None => call.path.rsplit('/').next().unwrap_or_default(),
    };
    let agent = available(px, &call).await?;
    let result = result(px, &call, &agent, name).await?;
    Ok(json!({ "result": result }))
}

async fn result(px: &Px, call: &Call, agent: &Agent, name: &str) -> Answer {
    let vmid = call.vmid();
    match name {
        "ping" => Ok(json!({})),
        "info" => Ok(tell::info(agent)),
        "network-get-interfaces" => Ok(tell::interfaces(&agent.interfaces)),
        "shutdown" => {
            px.ask_to_stop(vmid).await;
            Ok(json!({}))
        }
        "suspend-ram" | "suspend-hybrid" => {
            px.set_paused(vmid, true);
            Ok(json!({}))
        }
        "suspend-disk" => {
            px.power_off(vmid).await;
            Ok(json!({}))
        }
        "fsfreeze-freeze" => Ok(freeze(px, call, true)?),
        "fsfreeze-thaw" => Ok(freeze(px, call, false)?),
        _ => {
            let state = px.state();
            let vm = call.guest(&state)?;
            tell::about(px, &state, vmid, vm, name).ok_or_else(|| {
                ApiError::new(501, format!("agent command '{name}' not implemented"))
            })
        }
    }
}

/// Freezes or thaws; answers how many file systems that concerned.
fn freeze(px: &Px, call: &Call, frozen: bool) -> Answer {
    let mut state = px.state();
    let systems = tell::file_systems(px, &state, call.guest(&state)?).len();
    let vm = state.vm_mut(call.node(), call.vmid())?;
    let was = vm.running.as_ref().is_some_and(|running| running.frozen);
    if let Some(running) = &mut vm.running {
        running.frozen = frozen;
    }
    Ok(Value::from(if was == frozen { 0 } else { systems }))
}
