//! Services of a node, and what else runs as a task without leaving much behind.

use std::time::Duration;

use serde_json::{Value, json};

use crate::Px;
use crate::error::{Answer, ApiError};
use crate::routes::{Call, Routes};
use crate::state::State;

/// Name, description, whether it runs as installed.
const SERVICES: &[(&str, &str, bool)] = &[
    ("chrony", "chrony, an NTP client/server", true),
    ("corosync", "Corosync Cluster Engine", true),
    ("cron", "Regular background program processing daemon", true),
    (
        "ksmtuned",
        "Kernel Samepage Merging (KSM) Tuning Daemon",
        true,
    ),
    ("lxcfs", "FUSE filesystem for LXC", true),
    ("postfix", "Postfix Mail Transport Agent", true),
    ("proxmox-firewall", "Proxmox nftables firewall", true),
    ("pve-cluster", "The Proxmox VE cluster filesystem", true),
    ("pve-firewall", "Proxmox VE firewall", true),
    ("pve-ha-crm", "PVE Cluster HA Resource Manager Daemon", true),
    ("pve-ha-lrm", "PVE Local HA Resource Manager Daemon", true),
    ("pve-lxc-syscalld", "Proxmox VE LXC Syscall Daemon", true),
    ("pvedaemon", "PVE API Daemon", true),
    ("pvefw-logger", "Proxmox VE firewall logger", true),
    ("pveproxy", "PVE API Proxy Server", true),
    ("pvescheduler", "Proxmox VE scheduler", true),
    ("pvestatd", "PVE Status Daemon", true),
    ("qmeventd", "PVE Qemu Event Daemon", true),
    ("spiceproxy", "PVE SPICE Proxy Server", true),
    ("sshd", "OpenBSD Secure Shell server", true),
    ("syslog", "System Logging Service", false),
    ("systemd-journald", "Journal Service", true),
    ("systemd-timesyncd", "Network Time Synchronization", false),
];

/// Without these there would be no API to start them again.
const ESSENTIAL: &[&str] = &["pveproxy", "pvedaemon", "pve-cluster"];

fn row(state: &State, node: &str, name: &str) -> Result<Value, ApiError> {
    let (_, description, installed) = SERVICES
        .iter()
        .find(|(known, _, _)| *known == name)
        .copied()
        .unwrap_or_default();
    let runs = installed && !state.host(node)?.stopped.contains(name);
    Ok(json!({
        "service": name, "name": name, "desc": description, "state": if runs { "running" } else { "dead" },
        "active-state": if runs { "active" } else { "inactive" },
        "unit-state": if installed { "enabled" } else { "not-found" },
    }))
}

/// `GET /nodes/{node}/services`
fn list(state: &State, call: &Call) -> Answer {
    SERVICES
        .iter()
        .map(|(name, _, _)| row(state, call.node(), name))
        .collect()
}

/// `GET /nodes/{node}/services/{service}/state`
fn read(state: &State, call: &Call) -> Answer {
    row(state, call.node(), call.params.text("service"))
}

/// `POST /nodes/{node}/services/{service}/start` and its like; the last word of the path says which.
async fn command(px: &Px, call: Call) -> Answer {
    let (node, service) = (
        call.node().to_owned(),
        call.params.text("service").to_owned(),
    );
    let verb = call.path.rsplit('/').next().unwrap_or_default().to_owned();
    let id = service.clone();
    px.worker(
        &node.clone(),
        &format!("srv{verb}"),
        &id,
        &call.caller,
        move |task| async move {
            if verb == "stop" && ESSENTIAL.contains(&service.as_str()) {
                let text = format!(
                    "invalid service cmd '{service} {verb}': refusing to stop essential service!"
                );
                return Err(text);
            }
            task.takes(Duration::from_secs(1)).await;
            let mut state = task.proxmox.state();
            let stopped = &mut state.host_mut(&node)?.stopped;
            match verb.as_str() {
                "stop" => drop(stopped.insert(service)),
                _ => drop(stopped.remove(&service)),
            }
            Ok(())
        },
    )
    .await
}

pub(super) fn routes(at: &mut Routes<'_>) {
    at.get("/nodes/{node}/services", list);
    at.get("/nodes/{node}/services/{service}/state", read);
    for verb in ["start", "stop", "restart", "reload"] {
        at.post(
            &format!("/nodes/{{node}}/services/{{service}}/{verb}"),
            command,
        );
    }
}
