//! Nodes: what they are made of and how they are set up.

mod apt;
mod capabilities;
mod ceph;
mod certificates;
mod config;
mod disk_tasks;
mod disks;
mod files;
mod guests;
mod hardware;
mod host;
mod records;
mod services;
mod subscription;
pub(crate) mod templates;
mod time;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::error::{Answer, ApiError};
use crate::network::api as network;
use crate::options::NodeSpec;
use crate::routes::{Call, Routes};
use crate::sections::colons;
use crate::state::State;

pub(crate) use self::host::Host;

/// What a node needs for itself, in bytes.
pub(crate) const OWN_MEMORY: u64 = 2 << 30;

fn spec<'a>(state: &'a State, call: &Call) -> Result<&'a NodeSpec, ApiError> {
    state
        .nodes
        .get(call.node())
        .ok_or_else(|| ApiError::failure(format!("no such node '{}'", call.node())))
}

/// `GET /nodes`
pub(crate) fn list(state: &State, call: &Call) -> Value {
    let rows = state.nodes.values().map(|node| {
        let name = &node.name;
        let mut row = json!({ "id": format!("node/{name}"), "node": name, "type": "node", "status": "online", "level": "" });
        // What it holds is shown to auditors only.
        if let (true, Some(row)) = (state.may(&call.caller, &format!("/nodes/{name}"), "Sys.Audit"), row.as_object_mut()) {
            let used = state.memory_used(name);
            let figures = json!({
                "maxcpu": node.cpu, "cpu": 0.02, "maxmem": node.memory, "mem": used, "maxdisk": 100_u64 << 30,
                "disk": 8_u64 << 30, "uptime": 86400, "ssl_fingerprint": fingerprint(name),
            });
            row.extend(figures.as_object().cloned().unwrap_or_default());
        }
        row
    });
    rows.collect()
}

/// Not the listener's real certificate, which is new after each start: only of its form.
pub(crate) fn fingerprint(name: &str) -> String {
    colons(&Sha256::digest(name.as_bytes()))
}

/// `GET /nodes/{node}/status`
pub(crate) fn status(state: &State, call: &Call) -> Answer {
    let node = spec(state, call)?;
    let (used, release) = (state.memory_used(&node.name), state.release());
    let kernel = format!("Linux {} {}", release.kernel, release.kernel_build);
    Ok(json!({
        "cpu": 0.02, "wait": 0, "idle": 0, "uptime": 86400, "loadavg": ["0.10", "0.08", "0.05"],
        "cpuinfo": {
            "cpus": node.cpu, "cores": node.cpu / 2, "sockets": 1, "mhz": "3200.000", "hvm": "1", "user_hz": 100,
            "model": "AMD Ryzen 7 PRO 5750GE with Radeon Graphics", "flags": "fpu vme de pse sse4_2 aes avx2 svm",
        },
        "memory": { "total": node.memory, "used": used, "free": node.memory.saturating_sub(used),
                    "available": node.memory.saturating_sub(used) },
        "swap": { "total": 0, "used": 0, "free": 0 },
        "rootfs": { "total": 100_u64 << 30, "used": 8_u64 << 30, "free": 92_u64 << 30, "avail": 87_u64 << 30 },
        "ksm": { "shared": 0 },
        "kversion": kernel, "pveversion": format!("pve-manager/{}", release.manager_version()),
        "current-kernel": { "sysname": "Linux", "release": release.kernel, "machine": "x86_64", "version": release.kernel_build },
        "boot-info": { "mode": "efi", "secureboot": 0 },
    }))
}

pub(crate) fn routes(at: &mut Routes<'_>) {
    at.get("/nodes", list);
    at.get("/nodes/{node}/status", status);
    at.get("/nodes/{node}/version", crate::cluster::version);
    at.get("/nodes/{node}/network", network::list_all);
    at.post("/nodes/{node}/network", network::create);
    at.put("/nodes/{node}/network", network::reload);
    at.delete("/nodes/{node}/network", network::revert);
    at.get("/nodes/{node}/network/{iface}", network::read);
    at.put("/nodes/{node}/network/{iface}", network::update);
    at.delete("/nodes/{node}/network/{iface}", network::delete);
    at.get("/nodes/{node}/dns", files::dns);
    at.put("/nodes/{node}/dns", files::set_dns);
    at.get("/nodes/{node}/hosts", files::hosts);
    at.post("/nodes/{node}/hosts", files::set_hosts);
    at.get("/nodes/{node}/time", time::read);
    at.put("/nodes/{node}/time", time::set);
    at.get("/nodes/{node}/config", config::read);
    at.put("/nodes/{node}/config", config::update);
    at.get("/nodes/{node}/hardware/pci", hardware::pci);
    at.get("/nodes/{node}/hardware/usb", hardware::usb);
    apt::routes(at);
    capabilities::routes(at);
    ceph::routes(at);
    certificates::routes(at);
    guests::routes(at);
    records::routes(at);
    subscription::routes(at);
    templates::routes(at);
    disk_tasks::routes(at);
    services::routes(at);
}
