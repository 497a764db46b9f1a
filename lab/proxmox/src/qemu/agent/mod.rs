//! The guest agent, as far as the guest has one.

mod command;
mod exec;
mod file;
mod tell;

use std::sync::Arc;
use std::time::Duration;

use stead_lab_core::machine::{Guest, GuestInterface, Hands};

pub(crate) use self::exec::Executions;
use super::hardware::agent_enabled;
use crate::error::ApiError;
use crate::routes::{Call, Routes};
use crate::{Px, lock};

pub(crate) fn routes(at: &mut Routes<'_>) {
    let agent = |rest: &str| format!("/nodes/{{node}}/qemu/{{vmid}}/agent{rest}");
    at.post(&agent(""), command::run);
    for (name, looks) in command::NAMES {
        match looks {
            true => at.get(&agent(&format!("/{name}")), command::run),
            false => at.post(&agent(&format!("/{name}")), command::run),
        }
    }
    at.post(&agent("/exec"), exec::start);
    at.get(&agent("/exec-status"), exec::status);
    at.get(&agent("/file-read"), file::read);
    at.post(&agent("/file-write"), file::write);
    at.post(&agent("/set-user-password"), exec::set_password);
}

/// A guest whose agent answers.
struct Agent {
    guest: Arc<dyn Guest>,
    interfaces: Vec<GuestInterface>,
}

/// The agent of the VM in the path; PVE's refusals otherwise.
async fn available(px: &Px, call: &Call) -> Result<Agent, ApiError> {
    let vmid = call.vmid();
    {
        let state = px.state();
        let vm = call.guest(&state)?;
        if !agent_enabled(vm) {
            return Err(ApiError::failure("No QEMU guest agent configured"));
        }
        if vm.running.is_none() {
            return Err(ApiError::failure(format!("VM {vmid} is not running")));
        }
    }
    let silent = px.is_paused(vmid) || px.lab.faults.is_on("proxmox.agent-silent").await;
    let guest = lock(&px.guests).get(&vmid).cloned();
    let answers = guest.filter(|_| !silent).and_then(|guest| {
        let interfaces = guest.agent_interfaces()?;
        Some(Agent { guest, interfaces })
    });
    match answers {
        Some(agent) => Ok(agent),
        None => {
            px.takes(Duration::from_secs(3)).await;
            Err(ApiError::failure("QEMU guest agent is not running"))
        }
    }
}

impl Agent {
    /// The hands of a guest; many an agent has none, and says so.
    fn hands(&self, command: &str) -> Result<Arc<dyn Hands>, ApiError> {
        self.guest
            .hands()
            .ok_or_else(|| agent_error(&format!("The command guest-{command} has not been found")))
    }
}

fn agent_error(text: &str) -> ApiError {
    ApiError::failure(format!("Agent error: {text}"))
}
