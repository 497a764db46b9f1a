//! What runs of SDN on a node.

use serde_json::{Value, json};

use super::families::{AUDIT, VNETS, ZONES};
use super::on_node;
use crate::error::{Answer, ApiError};
use crate::routes::{Call, Routes, nothing};
use crate::schema::property::plain;
use crate::sections::Section;
use crate::state::State;

/// `GET /nodes/{node}/sdn/zones`
fn zones(state: &State, call: &Call) -> Value {
    let seen = state.zones_of(call.node()).into_iter().filter(|(id, _)| {
        state
            .need_any(&call.caller, &format!("/sdn/zones/{id}"), AUDIT)
            .is_ok()
    });
    seen.map(|(id, status)| json!({ "zone": id, "status": status }))
        .collect()
}

/// `GET /nodes/{node}/sdn/zones/{zone}/content`
fn content(state: &State, call: &Call) -> Value {
    let (node, wanted) = (call.node(), call.params.text("zone"));
    let pending = state
        .zones_of(node)
        .into_iter()
        .any(|(_, status)| status == "pending");
    let here = state
        .sdn
        .vnets_on(node)
        .filter(|(zone, _, _)| *zone == wanted);
    here.map(|(_, id, _)| match pending {
        false => json!({ "vnet": id, "status": "available", "statusmsg": null }),
        true => json!({
            "vnet": id, "status": "pending",
            "statusmsg": "local sdn network configuration is too old, please reload",
        }),
    })
    .collect()
}

fn zone<'a>(state: &'a State, id: &str) -> Result<&'a Section, ApiError> {
    let found = state.sdn.running_section(ZONES.file, id);
    found.ok_or_else(|| ApiError::parameter("zone", "zone does not exist"))
}

/// `GET /nodes/{node}/sdn/zones/{zone}/bridges`: with the guests' interfaces that are plugged in.
fn bridges(state: &State, call: &Call) -> Answer {
    let (node, wanted) = (call.node(), call.params.text("zone"));
    let names: Vec<(String, bool)> = if wanted == "localnetwork" {
        let network = &state.host(node)?.network;
        network
            .bridges()
            .map(|name| (name.to_owned(), network.is_vlan_aware(name)))
            .collect()
    } else {
        zone(state, wanted)?;
        let here = state
            .sdn
            .vnets_on(node)
            .filter(|(zone, _, _)| *zone == wanted);
        here.map(|(_, id, vnet)| (id.to_owned(), vnet.is_on("vlanaware")))
            .collect()
    };
    let seen = names.into_iter().filter(|(name, _)| {
        state
            .need_any(&call.caller, &format!("/sdn/zones/{wanted}/{name}"), AUDIT)
            .is_ok()
    });
    Ok(seen
        .map(|(name, vlan_aware)| {
            json!({ "name": name, "vlan_filtering": u8::from(vlan_aware).to_string(), "ports": ports(state, node, &name) })
        })
        .collect())
}

fn ports(state: &State, node: &str, bridge: &str) -> Value {
    let running = state
        .vms
        .iter()
        .filter(|(_, vm)| vm.node == node && vm.running.is_some());
    running
        .flat_map(|(id, vm)| {
            let plugged = vm
                .nets()
                .filter(move |(_, net)| plain(net, "bridge") == Some(bridge));
            plugged.map(move |(key, _)| {
                let number = key.trim_start_matches("net");
                json!({ "name": format!("tap{id}i{number}"), "vmid": id, "index": key })
            })
        })
        .collect()
}

/// `GET /nodes/{node}/sdn/zones/{zone}/ip-vrf`: no routes are exchanged in the lab.
fn ip_vrf(state: &State, call: &Call) -> Answer {
    let found = zone(state, call.params.text("zone"))?;
    evpn(found, call.node(), "zone is not an EVPN zone")
}

/// `GET /nodes/{node}/sdn/vnets/{vnet}/mac-vrf`
fn mac_vrf(state: &State, call: &Call) -> Answer {
    let id = call.params.text("vnet");
    let vnet = state.sdn.running_section(VNETS.file, id);
    let vnet = vnet.ok_or_else(|| ApiError::parameter("vnet", "vnet does not exist"))?;
    let name = vnet.get("zone").unwrap_or_default();
    state.need(
        &call.caller,
        &format!("/sdn/zones/{name}/{id}"),
        &["SDN.Audit"],
    )?;
    let text = format!("zone {name} is not an EVPN zone.");
    evpn(zone(state, name)?, call.node(), &text)
}

fn evpn(zone: &Section, node: &str, otherwise: &str) -> Answer {
    if zone.kind != "evpn" {
        return Err(ApiError::parameter("zone", otherwise));
    }
    if !on_node(zone, node) {
        return Err(ApiError::parameter(
            "zone",
            format!("zone does not exist on node {node}"),
        ));
    }
    Ok(json!([]))
}

/// `GET /nodes/{node}/sdn/fabrics/{fabric}/interfaces`
fn fabric_interfaces(state: &State, call: &Call) -> Value {
    let id = format!("{}_{}", call.params.text("fabric"), call.node());
    let node = state.sdn.running_section(super::fabrics::NODES.file, &id);
    let names = node
        .into_iter()
        .flat_map(|node| node.all("interfaces"))
        .filter_map(|text| plain(text, "name").or_else(|| text.split(',').next()));
    names
        .map(|name| json!({ "name": name, "type": "Point-To-Point", "state": "Up" }))
        .collect()
}

pub(super) fn routes(at: &mut Routes<'_>) {
    at.get("/nodes/{node}/sdn/zones", zones);
    at.get("/nodes/{node}/sdn/zones/{zone}/content", content);
    at.get("/nodes/{node}/sdn/zones/{zone}/bridges", bridges);
    at.get("/nodes/{node}/sdn/zones/{zone}/ip-vrf", ip_vrf);
    at.get("/nodes/{node}/sdn/vnets/{vnet}/mac-vrf", mac_vrf);
    at.get(
        "/nodes/{node}/sdn/fabrics/{fabric}/interfaces",
        fabric_interfaces,
    );
    at.get("/nodes/{node}/sdn/fabrics/{fabric}/neighbors", nothing);
    at.get("/nodes/{node}/sdn/fabrics/{fabric}/routes", nothing);
}
