//! All guests of a node at once, and the node itself: start, stop, wake.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::Px;
use crate::error::{Answer, ApiError};
use crate::guest::power::power_on;
use crate::routes::{Call, Routes};
use crate::schema::property::plain;
use crate::state::State;

/// The guests of a call in their order of starting: all, or those that are named.
fn chosen(state: &State, call: &Call, only_on_boot: bool) -> Vec<u32> {
    let named = call.params.list("vms");
    let mut ordered: BTreeMap<(u64, u32), u32> = BTreeMap::new();
    for (id, vm) in state
        .vms
        .iter()
        .filter(|(_, vm)| vm.node == call.node() && !vm.is_template())
    {
        let on_boot = vm.config.get("onboot").is_some_and(|value| value == "1");
        let wanted = if named.is_empty() {
            !only_on_boot || on_boot
        } else {
            named.contains(&id.to_string())
        };
        let order = vm
            .config
            .get("startup")
            .and_then(|text| plain(text, "order")?.parse().ok());
        if wanted {
            ordered.insert((order.unwrap_or(u64::MAX), *id), *id);
        }
    }
    ordered.into_values().collect()
}

/// The privilege on all guests, or on each that is named.
fn may(state: &State, call: &Call, privilege: &str) -> Result<(), ApiError> {
    let named = call.params.list("vms");
    if state.may(&call.caller, "/", privilege) {
        return Ok(());
    }
    if named.is_empty() {
        return Err(ApiError::permission(&format!("/, {privilege}")));
    }
    named
        .iter()
        .try_for_each(|id| state.need(&call.caller, &format!("/vms/{id}"), &[privilege]))
}

/// `POST /nodes/{node}/startall`
async fn start_all(px: &Px, call: Call) -> Answer {
    may(&px.state(), &call, "VM.PowerMgmt")?;
    let (node, caller) = (call.node().to_owned(), call.caller.clone());
    px.worker(&node, "startall", "", &caller, move |task| async move {
        let guests = chosen(&task.proxmox.state(), &call, !call.params.is_on("force"));
        for vmid in guests
            .into_iter()
            .filter(|id| !task.proxmox.is_running(*id))
        {
            task.line(format!("Starting VM {vmid}"));
            task.takes(Duration::from_secs(3)).await;
            if let Err(text) = power_on(&task.proxmox, vmid).await {
                task.line(format!("Starting VM {vmid} failed: {text}"));
            }
        }
        Ok(())
    })
    .await
}

/// `POST /nodes/{node}/stopall`: the last that was started is stopped first.
async fn stop_all(px: &Px, call: Call) -> Answer {
    may(&px.state(), &call, "VM.PowerMgmt")?;
    let (node, caller) = (call.node().to_owned(), call.caller.clone());
    px.worker(&node, "stopall", "", &caller, move |task| async move {
        let guests = chosen(&task.proxmox.state(), &call, false);
        let timeout = call.params.number("timeout").unwrap_or(180);
        for vmid in guests
            .into_iter()
            .rev()
            .filter(|id| task.proxmox.is_running(*id))
        {
            task.line(format!("Stopping VM {vmid} (timeout = {timeout} seconds)"));
            task.takes(Duration::from_secs(2)).await;
            task.proxmox.power_off(vmid).await;
        }
        Ok(())
    })
    .await
}

/// `POST /nodes/{node}/status`: the lab's nodes cannot be switched off; a fault takes one down.
fn command(_: &State, call: &Call) -> Answer {
    let command = call.params.text("command");
    let text = format!(
        "a node of the lab does not {command}; `stead lab fault` takes one down (proxmox.node-down.{})",
        call.node()
    );
    Err(ApiError::new(501, text))
}

/// `POST /nodes/{node}/wakeonlan`
fn wake(state: &State, call: &Call) -> Answer {
    let setting = state.host(call.node())?.config.get("wakeonlan");
    let mac = setting.map(|text| {
        plain(text, "mac").unwrap_or_else(|| text.split(',').next().unwrap_or_default())
    });
    let text = format!("No wake on LAN MAC address defined for '{}'!", call.node());
    mac.map(Value::from).ok_or_else(|| ApiError::failure(text))
}

pub(super) fn routes(at: &mut Routes<'_>) {
    at.post("/nodes/{node}/startall", start_all);
    at.post("/nodes/{node}/stopall", stop_all);
    at.post("/nodes/{node}/status", command);
    at.post("/nodes/{node}/wakeonlan", wake);
}
