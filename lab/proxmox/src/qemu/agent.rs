//! The guest agent, as far as the guest has one.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use stead_lab_core::machine::GuestInterface;

use super::hardware::agent_enabled;
use crate::error::{Answer, ApiError};
use crate::routes::Call;
use crate::{Proxmox, lock};

/// What the agent of a running guest knows of its network; PVE's refusals otherwise.
async fn ask(px: &Arc<Proxmox>, call: &Call) -> Result<Vec<GuestInterface>, ApiError> {
    let vmid = call.vmid();
    {
        let state = px.state();
        let vm = state.vm(call.node(), vmid).map_err(ApiError::failure)?;
        if !vm.config.get("agent").is_some_and(|a| agent_enabled(a)) {
            return Err(ApiError::failure("No QEMU guest agent configured"));
        }
        if vm.running.is_none() {
            return Err(ApiError::failure(format!("VM {vmid} is not running")));
        }
    }
    let silent = px.lab.faults.is_on("proxmox.agent-silent").await;
    let guest = lock(&px.guests).get(&vmid).cloned();
    match guest
        .filter(|_| !silent)
        .and_then(|guest| guest.agent_interfaces())
    {
        Some(interfaces) => Ok(interfaces),
        None => {
            px.takes(Duration::from_secs(3)).await;
            Err(ApiError::failure("QEMU guest agent is not running"))
        }
    }
}

/// `GET …/agent/network-get-interfaces`: the loopback interface comes first.
pub(crate) async fn interfaces(px: &Arc<Proxmox>, call: &Call) -> Answer {
    let found = ask(px, call).await?;
    let loopback = (!found.iter().any(|i| i.name == "lo")).then(|| GuestInterface {
        name: "lo".into(),
        mac: "00:00:00:00:00:00".into(),
        addresses: vec![(IpAddr::from([127, 0, 0, 1]), 8)],
    });
    let rows = loopback.iter().chain(&found).map(|interface| {
        let addresses = interface.addresses.iter().map(|(address, prefix)| {
            let kind = if address.is_ipv4() { "ipv4" } else { "ipv6" };
            json!({ "ip-address": address.to_string(), "ip-address-type": kind, "prefix": prefix })
        });
        json!({
            "name": interface.name, "hardware-address": interface.mac.to_ascii_lowercase(),
            "ip-addresses": addresses.collect::<Vec<_>>(),
            "statistics": { "rx-bytes": 0, "rx-packets": 0, "rx-errs": 0, "rx-dropped": 0,
                            "tx-bytes": 0, "tx-packets": 0, "tx-errs": 0, "tx-dropped": 0 },
        })
    });
    Ok(json!({ "result": rows.collect::<Vec<Value>>() }))
}

/// `GET …/agent/info`
pub(crate) async fn info(px: &Arc<Proxmox>, call: &Call) -> Answer {
    ask(px, call).await?;
    let commands = ["guest-ping", "guest-info", "guest-network-get-interfaces"];
    let commands =
        commands.map(|name| json!({ "name": name, "enabled": true, "success-response": true }));
    Ok(json!({ "result": { "version": "10.1.2", "supported_commands": commands } }))
}

/// `POST …/agent/ping`
pub(crate) async fn ping(px: &Arc<Proxmox>, call: &Call) -> Answer {
    ask(px, call).await?;
    Ok(json!({ "result": {} }))
}
