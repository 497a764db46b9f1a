//! Addresses that PVE's own IPAM has given out.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::checks::{contains, subnet_network, subnet_zone};
use super::families::{AUDIT, SUBNETS, VNETS, ZONES};
use crate::error::{Answer, ApiError};
use crate::routes::{Call, Routes};
use crate::sections::Section;
use crate::state::State;

/// By subnet, then by address.
pub(super) type Leases = BTreeMap<String, BTreeMap<IpAddr, Lease>>;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Lease {
    gateway: bool,
    mac: Option<String>,
    vmid: Option<u32>,
}

/// Whether a zone's addresses are PVE's own to give.
fn is_own(state: &State, zone: &str) -> bool {
    state
        .section(ZONES.file, zone)
        .is_some_and(|zone| zone.get("ipam") == Some("pve"))
}

/// A subnet's gateway takes an address; with the subnet all of them go.
pub(super) fn subnet_changed(state: &mut State, id: &str, subnet: Option<&Section>) {
    let Some(subnet) = subnet else {
        state.sdn.leases.remove(id);
        return;
    };
    if !is_own(state, subnet_zone(id)) {
        return;
    }
    let leases = state.sdn.leases.entry(id.to_owned()).or_default();
    leases.retain(|_, lease| !lease.gateway);
    if let Some(gateway) = subnet
        .get("gateway")
        .and_then(|gateway| gateway.parse().ok())
    {
        leases.insert(
            gateway,
            Lease {
                gateway: true,
                ..Lease::default()
            },
        );
    }
}

/// `GET /cluster/sdn/ipams/{ipam}/status`
fn status(state: &State, call: &Call) -> Answer {
    if call.params.text("ipam") != "pve" {
        return Err(ApiError::failure("Currently only PVE IPAM is supported!"));
    }
    let mut rows = Vec::new();
    for (id, leases) in &state.sdn.leases {
        let Some(vnet) = state
            .section(SUBNETS.file, id)
            .and_then(|subnet| subnet.get("vnet"))
        else {
            continue;
        };
        let zone = subnet_zone(id);
        let served = state
            .section(ZONES.file, zone)
            .is_some_and(|zone| zone.get("dhcp").is_some());
        let path = format!("/sdn/zones/{zone}/{vnet}");
        if !served || state.need_any(&call.caller, &path, AUDIT).is_err() {
            continue;
        }
        let subnet = id
            .split_once('-')
            .map_or("", |(_, network)| network)
            .replacen('-', "/", 1);
        for (ip, lease) in leases {
            let mut row: Map<String, Value> = Map::new();
            let known = json!({ "zone": zone, "subnet": subnet, "vnet": vnet, "ip": ip });
            row.extend(known.as_object().cloned().unwrap_or_default());
            if lease.gateway {
                row.insert("gateway".into(), 1.into());
            }
            if let Some(mac) = &lease.mac {
                row.insert("mac".into(), mac.clone().into());
            }
            if let Some(vmid) = lease.vmid {
                row.insert("vmid".into(), vmid.into());
                let name = state.vms.get(&vmid).map(|vm| vm.name(vmid));
                row.insert("hostname".into(), name.into());
            }
            rows.push(Value::Object(row));
        }
    }
    Ok(Value::Array(rows))
}

/// The subnet of a call's virtual network that its address is in.
fn subnet_of(state: &State, call: &Call) -> Result<(String, IpAddr), ApiError> {
    let vnet = call.params.text("vnet");
    if state.section(VNETS.file, vnet).is_none() {
        return Err(ApiError::failure(format!(
            "sdn vnet '{vnet}' does not exist"
        )));
    }
    let text = call.params.text("ip");
    let ip: IpAddr = text
        .parse()
        .map_err(|_| ApiError::parameter("ip", "value does not look like a valid IP address"))?;
    let mut subnets = state
        .sections(SUBNETS.file)
        .filter(|(_, subnet)| subnet.get("vnet") == Some(vnet));
    let found =
        subnets.find(|(id, _)| subnet_network(id).is_some_and(|network| contains(network, ip)));
    let (id, _) =
        found.ok_or_else(|| ApiError::failure(format!("can't find any subnet for ip {ip}")))?;
    if !is_own(state, subnet_zone(id)) {
        return Err(ApiError::failure(format!(
            "subnet '{id}' is not managed by the ipam of PVE"
        )));
    }
    Ok((id.clone(), ip))
}

/// `POST /cluster/sdn/vnets/{vnet}/ips`
fn add(state: &mut State, call: &Call) -> Answer {
    let (subnet, ip) = subnet_of(state, call)?;
    let leases = state.sdn.leases.entry(subnet).or_default();
    if leases.contains_key(&ip) {
        return Err(ApiError::failure(format!(
            "IP '{ip}' already exist in IPAM DB"
        )));
    }
    let lease = Lease {
        mac: call.params.get("mac").map(str::to_owned),
        vmid: call.params.get("vmid").and_then(|id| id.parse().ok()),
        gateway: false,
    };
    leases.insert(ip, lease);
    Ok(Value::Null)
}

/// `PUT /cluster/sdn/vnets/{vnet}/ips`: gives a MAC address another one.
fn change(state: &mut State, call: &Call) -> Answer {
    let (subnet, ip) = subnet_of(state, call)?;
    let taken = |lease: &Lease| lease.mac.as_deref() != call.params.get("mac");
    let leases = state.sdn.leases.entry(subnet).or_default();
    if leases.get(&ip).is_some_and(taken) {
        return Err(ApiError::failure(format!(
            "IP '{ip}' already exist in IPAM DB"
        )));
    }
    if call.params.has("mac") {
        leases.retain(|_, lease| taken(lease));
    }
    leases.remove(&ip);
    add(state, call)
}

/// `DELETE /cluster/sdn/vnets/{vnet}/ips`
fn remove(state: &mut State, call: &Call) -> Answer {
    let (subnet, ip) = subnet_of(state, call)?;
    let leases = state.sdn.leases.entry(subnet).or_default();
    match leases.remove(&ip) {
        Some(_) => Ok(Value::Null),
        None => Err(ApiError::failure(format!(
            "IP '{ip}' does not exist in IPAM DB"
        ))),
    }
}

pub(super) fn routes(at: &mut Routes<'_>) {
    at.get("/cluster/sdn/ipams/{ipam}/status", status);
    at.post("/cluster/sdn/vnets/{vnet}/ips", add);
    at.put("/cluster/sdn/vnets/{vnet}/ips", change);
    at.delete("/cluster/sdn/vnets/{vnet}/ips", remove);
}
