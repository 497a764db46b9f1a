//! What an SDN object must hold when it is made, changed or deleted.

use std::net::IpAddr;

use sha1::{Digest as _, Sha1};

use super::families::{CONTROLLERS, IPAMS, NAMESERVER_FILE, SUBNETS, VNETS, ZONES};
use crate::error::ApiError;
use crate::routes::Call;
use crate::schema::format::cidr;
use crate::schema::property::plain;
use crate::sections::{Change, Section, colons};
use crate::state::State;

pub(super) type Verdict = Result<(), ApiError>;

/// A refused parameter; PVE puts the text into that of the failed lock.
fn refuse(parameter: &str, text: impl Into<String>) -> Verdict {
    Err(ApiError::parameter(parameter, text).flattened())
}

fn fail(text: impl Into<String>) -> Verdict {
    Err(ApiError::failure(text))
}

pub(super) fn zone(change: &Change<'_>, zone: &mut Section) -> Verdict {
    let (state, params) = (change.state, &change.call.params);
    state.sdn_unlocked(change.call)?;
    let new_ipam = change
        .old
        .is_some_and(|old| old.get("ipam") != zone.get("ipam"));
    let mut subnets = state.sections(SUBNETS.file);
    if new_ipam && subnets.any(|(id, _)| subnet_zone(id) == change.id) {
        return refuse(
            "ipam",
            "can't change ipam if a subnet is already defined in this zone",
        );
    }
    for name in ["dns", "reversedns"] {
        if let Some(server) = params
            .get(name)
            .filter(|s| state.section(NAMESERVER_FILE, s).is_none())
        {
            return refuse(name, format!("{server} don't exist"));
        }
    }
    if params.has("dnszone") && !params.has("dns") {
        return refuse("dnszone", "missing dns server");
    }
    if let Some(ipam) = params
        .get("ipam")
        .filter(|ipam| state.section(IPAMS.file, ipam).is_none())
    {
        return refuse("ipam", format!("{ipam} not existing"));
    }
    match zone.kind.as_str() {
        "vxlan" if zone.get("peers").is_some() == zone.get("fabric").is_some() => {
            refuse("peers", "must have exactly one of peers / fabric defined")
        }
        "evpn" => evpn_zone(change, zone),
        _ => Ok(()),
    }
}

fn evpn_zone(change: &Change<'_>, zone: &mut Section) -> Verdict {
    let controller = zone.get("controller").unwrap_or_default();
    match change.state.section(CONTROLLERS.file, controller) {
        None => return fail(format!("controller {controller} don't exist")),
        Some(found) if found.kind != "evpn" => {
            return fail(format!("{controller} is not a evpn controller type"));
        }
        Some(_) => {}
    }
    let network = zone.get("vrf-vxlan");
    let mut others = change
        .state
        .sections(ZONES.file)
        .filter(|(id, _)| *id != change.id);
    if let Some((id, _)) = others.find(|(_, other)| other.get("vrf-vxlan") == network) {
        return fail(format!(
            "vrf-vxlan {} is already declared in {id}",
            network.unwrap_or_default()
        ));
    }
    if zone.get("mac").is_none() {
        zone.set("mac", mac_of(change.id));
    }
    Ok(())
}

/// A MAC address that is always the same for a name.
fn mac_of(name: &str) -> String {
    let digest = Sha1::digest(name.as_bytes());
    format!("BC:24:11:{}", colons(digest.get(..3).unwrap_or_default()))
}

pub(super) fn zone_unused(state: &State, call: &Call, id: &str) -> Verdict {
    state.sdn_unlocked(call)?;
    match state
        .sections(VNETS.file)
        .find(|(_, vnet)| vnet.get("zone") == Some(id))
    {
        Some((vnet, _)) => fail(format!("zone {id} is used by vnet {vnet}")),
        None => Ok(()),
    }
}

/// Whether the caller has any of these privileges on the virtual network of a call.
pub(super) fn vnet_access(state: &State, call: &Call, privileges: &[&str]) -> Verdict {
    let id = call.params.text("vnet");
    let vnet = state.section(VNETS.file, id);
    let vnet = vnet.ok_or_else(|| ApiError::failure(format!("sdn vnet '{id}' does not exist")))?;
    let zone = vnet.get("zone").unwrap_or_default();
    state.need_any(&call.caller, &format!("/sdn/zones/{zone}/{id}"), privileges)
}

/// The same for a change; what is wrong stands alone, before anything is locked.
fn may_allocate(state: &State, call: &Call) -> Verdict {
    vnet_access(state, call, &["SDN.Allocate"])
}

fn has_subnets(state: &State, vnet: &str) -> bool {
    state
        .sections(SUBNETS.file)
        .any(|(_, subnet)| subnet.get("vnet") == Some(vnet))
}

pub(super) fn vnet(change: &Change<'_>, vnet: &mut Section) -> Verdict {
    let state = change.state;
    if let Some(old) = change.old {
        may_allocate(state, change.call)?;
        if old.get("zone") != vnet.get("zone") && has_subnets(state, change.id) {
            return refuse("zone", "can't change zone if subnets exist");
        }
    }
    state.sdn_unlocked(change.call)?;
    let zone = vnet
        .get("zone")
        .and_then(|zone| state.section(ZONES.file, zone));
    let Some(zone) = zone else {
        return fail("cannot lookup undefined type!");
    };
    tag(change, vnet, &zone.kind)?;
    if vnet.is_on("vlanaware") && has_subnets(state, change.id) {
        return refuse("vlanaware", "vlanaware vnet is not compatible with subnets");
    }
    Ok(())
}

/// Whether a virtual network's tag is one that its zone can have.
fn tag(change: &Change<'_>, vnet: &Section, kind: &str) -> Verdict {
    let tag = vnet.get("tag");
    let number = tag.and_then(|tag| tag.parse::<u32>().ok());
    let others = || {
        change
            .state
            .sections(VNETS.file)
            .filter(|(id, _)| *id != change.id)
    };
    let neighbours = || others().filter(|(_, other)| other.get("zone") == vnet.get("zone"));
    let kind_of = |other: &Section| {
        let zone = other
            .get("zone")
            .and_then(|zone| change.state.section(ZONES.file, zone));
        zone.map_or("", |zone| zone.kind.as_str())
    };
    let shown = tag.unwrap_or_default();
    match (kind, number) {
        ("simple", Some(_)) => refuse("tag", "vlan tag is not allowed on simple zone"),
        ("vlan", None) => refuse("tag", "missing vlan tag"),
        ("vlan", Some(4097..)) => refuse("tag", "vlan tag max value is 4096"),
        ("qinq", Some(4097..)) => refuse("tag", "VLAN tag maximal value is 4096"),
        ("vlan" | "qinq", number) => {
            match neighbours().find(|(_, other)| other.get("tag") == tag) {
                Some((id, _)) if kind == "vlan" => {
                    refuse("tag", format!("tag {shown} already exist in vnet {id}"))
                }
                Some((id, _)) => {
                    let zone = vnet.get("zone").unwrap_or_default();
                    let what = number.map_or_else(
                        || "tag-less vnet already exists".to_owned(),
                        |number| format!("tag {number} already exist"),
                    );
                    refuse("tag", format!("{what} in zone {zone} vnet {id}"))
                }
                None => Ok(()),
            }
        }
        ("vxlan" | "evpn", None) => refuse("tag", "missing vxlan tag"),
        ("evpn", _) if vnet.is_on("vlanaware") => {
            refuse("vlan-aware", "vlan-aware option can't be enabled with evpn")
        }
        ("vxlan" | "evpn", Some(_)) => {
            let mut networks =
                others().filter(|(_, other)| matches!(kind_of(other), "vxlan" | "evpn"));
            match networks.find(|(_, other)| other.get("tag") == tag) {
                Some((id, other)) => {
                    let zone = other.get("zone").unwrap_or_default();
                    refuse(
                        "tag",
                        format!("vxlan tag {shown} already exist in vnet {id} in zone {zone} "),
                    )
                }
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

pub(super) fn vnet_unused(state: &State, call: &Call, id: &str) -> Verdict {
    may_allocate(state, call)?;
    state.sdn_unlocked(call)?;
    match has_subnets(state, id) {
        true => refuse("vnet", "Can't delete vnet if subnets exists"),
        false => Ok(()),
    }
}

/// `ZONE-NETWORK-MASK`, also when only the network is given.
pub(super) fn subnet_id(state: &State, call: &Call, given: &str) -> Result<String, ApiError> {
    if !given.contains('/') {
        return Ok(given.to_owned());
    }
    let vnet = state.section(VNETS.file, call.params.text("vnet"));
    let zone = vnet.and_then(|vnet| vnet.get("zone")).unwrap_or_default();
    Ok(format!("{zone}-{}", given.replace('/', "-")))
}

/// The zone that a subnet's id names.
pub(super) fn subnet_zone(id: &str) -> &str {
    id.split('-').next().unwrap_or_default()
}

/// The network that a subnet's id names.
pub(super) fn subnet_network(id: &str) -> Option<(IpAddr, u8)> {
    cidr(&id.split_once('-')?.1.replacen('-', "/", 1))
}

/// Whether an address is in a network.
pub(super) fn contains((network, length): (IpAddr, u8), address: IpAddr) -> bool {
    let bits = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => (u128::from(u32::from(ip)) << 96, 32),
        IpAddr::V6(ip) => (u128::from(ip), 128),
    };
    let ((a, width), (b, other)) = (bits(network), bits(address));
    width == other && (length == 0 || (a ^ b) >> (128 - u32::from(length)) == 0)
}

pub(super) fn subnet(change: &Change<'_>, subnet: &mut Section) -> Verdict {
    let state = change.state;
    may_allocate(state, change.call)?;
    state.sdn_unlocked(change.call)?;
    let vnet = subnet
        .get("vnet")
        .and_then(|vnet| state.section(VNETS.file, vnet));
    if vnet.is_some_and(|vnet| vnet.is_on("vlanaware")) {
        return refuse("vnet", "you can't add a subnet on a vlanaware vnet");
    }
    let Some(network) = subnet_network(change.id) else {
        return fail("value does not look like a valid CIDR network");
    };
    let cidr = format!("{}/{}", network.0, network.1);
    if let Some(gateway) = subnet.get("gateway") {
        let inside = gateway
            .parse()
            .is_ok_and(|gateway| contains(network, gateway));
        let point_to_point = network.0.is_ipv4() && network.1 == 32;
        if !inside && !point_to_point {
            return refuse("gateway", format!("{gateway} is not in subnet {cidr}"));
        }
    }
    ranges(subnet, network, &cidr)
}

fn ranges(subnet: &Section, network: (IpAddr, u8), cidr: &str) -> Verdict {
    let mut known: Vec<(IpAddr, IpAddr)> = Vec::new();
    for text in subnet.all("dhcp-range") {
        let mut bounds = Vec::new();
        for key in ["start-address", "end-address"] {
            let given = plain(text, key).unwrap_or_default();
            match given.parse::<IpAddr>() {
                Ok(address) => bounds.push((key, address)),
                Err(_) => return refuse("dhcp-range", format!("{key} is not a valid IP {given}")),
            }
        }
        let [(_, first), (_, last)] = bounds.as_slice() else {
            continue;
        };
        if first > last {
            let text = format!("start-address {first} must be smaller than end-address {last}");
            return refuse("dhcp-range", text);
        }
        for (key, address) in &bounds {
            if !contains(network, *address) {
                return refuse(
                    "dhcp-range",
                    format!("{key} {address} is not in subnet {cidr}"),
                );
            }
        }
        if known.iter().any(|(a, b)| first <= b && a <= last) {
            return refuse("dhcp-range", "dhcp ranges must not overlap");
        }
        known.push((*first, *last));
    }
    Ok(())
}

pub(super) fn subnet_removable(state: &State, call: &Call, _: &str) -> Verdict {
    may_allocate(state, call)?;
    state.sdn_unlocked(call)
}

pub(super) fn controller(change: &Change<'_>, controller: &mut Section) -> Verdict {
    change.state.sdn_unlocked(change.call)?;
    let both = controller.get("peers").is_some() == controller.get("fabric").is_some();
    if controller.kind == "evpn" && both {
        return fail("must have exactly one of peers / fabric defined");
    }
    Ok(())
}

pub(super) fn controller_unused(state: &State, call: &Call, id: &str) -> Verdict {
    state.sdn_unlocked(call)?;
    match state
        .sections(ZONES.file)
        .find(|(_, zone)| zone.get("controller") == Some(id))
    {
        Some((zone, _)) => fail(format!("controller {id} is used by {zone}")),
        None => Ok(()),
    }
}
