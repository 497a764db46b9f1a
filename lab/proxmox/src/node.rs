//! Nodes: what they are made of and how they are set up.

use serde_json::{Value, json};

use crate::error::{Answer, ApiError};
use crate::now;
use crate::options::NodeSpec;
use crate::routes::Call;
use crate::state::State;

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
fn fingerprint(name: &str) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(name.as_bytes());
    digest
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect::<Vec<_>>()
        .join(":")
}

/// `GET /nodes/{node}/status`
pub(crate) fn status(state: &State, call: &Call) -> Answer {
    let node = spec(state, call)?;
    let used = state.memory_used(&node.name);
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
        "kversion": "Linux 6.17.2-1-pve #1 SMP PREEMPT_DYNAMIC PMX 6.17.2-1", "pveversion": "pve-manager/9.2.3/0f6f1dd0d2f27c6d",
        "current-kernel": { "sysname": "Linux", "release": "6.17.2-1-pve", "machine": "x86_64",
                            "version": "#1 SMP PREEMPT_DYNAMIC PMX 6.17.2-1" },
        "boot-info": { "mode": "efi", "secureboot": 0 },
    }))
}

fn interfaces(node: &NodeSpec) -> Vec<Value> {
    let mut all = Vec::new();
    for (i, bridge) in node.bridges.iter().enumerate() {
        let port = format!("enp{}s0", i + 1);
        all.push(json!({
            "iface": port, "type": "eth", "exists": 1, "active": 1, "method": "manual", "method6": "manual",
            "families": ["inet"], "priority": 2 * i + 2,
        }));
        let mut row = json!({
            "iface": bridge, "type": "bridge", "active": 1, "autostart": 1, "bridge_ports": port, "bridge_fd": "0",
            "bridge_stp": "off", "families": ["inet"], "method": "manual", "method6": "manual", "priority": 2 * i + 3,
        });
        if let (0, Some(row)) = (i, row.as_object_mut()) {
            row.insert("method".into(), "static".into());
            row.insert("address".into(), node.address.clone().into());
            row.insert("netmask".into(), "24".into());
            row.insert("cidr".into(), format!("{}/24", node.address).into());
            row.insert("gateway".into(), gateway(node).into());
        }
        all.push(row);
    }
    all
}

/// The first address of the node's /24.
fn gateway(node: &NodeSpec) -> String {
    let network = node
        .address
        .rsplit_once('.')
        .map_or("", |(network, _)| network);
    format!("{network}.1")
}

/// `GET /nodes/{node}/network`
pub(crate) fn network(state: &State, call: &Call) -> Answer {
    let all = interfaces(spec(state, call)?);
    let kind = call.params.get("type");
    let wanted = |row: &Value| match kind {
        None => true,
        Some("any_bridge" | "any_local_bridge" | "include_sdn") => row["type"] == "bridge",
        Some(kind) => row["type"] == kind,
    };
    Ok(all.into_iter().filter(wanted).collect())
}

/// `GET /nodes/{node}/network/{iface}`
pub(crate) fn interface(state: &State, call: &Call) -> Answer {
    let name = call.params.text("iface");
    let found = interfaces(spec(state, call)?)
        .into_iter()
        .find(|row| row["iface"] == name);
    let mut row = found.ok_or_else(|| ApiError::parameter("iface", "interface does not exist"))?;
    if let Some(row) = row.as_object_mut() {
        row.remove("iface");
    }
    Ok(row)
}

/// `GET /nodes/{node}/dns`
pub(crate) fn dns(state: &State, call: &Call) -> Answer {
    Ok(json!({ "search": "home.arpa", "dns1": gateway(spec(state, call)?) }))
}

/// `GET /nodes/{node}/time`
pub(crate) fn time() -> Value {
    json!({ "timezone": "Etc/UTC", "time": now(), "localtime": now() })
}

/// `GET /nodes/{node}/hardware/pci`
pub(crate) fn pci(state: &State, call: &Call) -> Answer {
    let devices = spec(state, call)?.pci.iter().map(|device| {
        let half = |id: &str, second: bool| {
            let (vendor, device) = id.split_once(':').unwrap_or((id, ""));
            format!("0x{}", if second { device } else { vendor })
        };
        json!({
            "id": device.address, "class": device.class, "iommugroup": device.iommu_group,
            "vendor": half(&device.id, false), "device": half(&device.id, true),
            "subsystem_vendor": half(&device.subsystem_id, false), "subsystem_device": half(&device.subsystem_id, true),
            "vendor_name": device.vendor_name, "device_name": device.device_name,
        })
    });
    Ok(devices.collect())
}
