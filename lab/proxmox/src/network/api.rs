//! The methods under `/nodes/{node}/network`.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::{Interface, Interfaces, Network, is_bridge, verify};
use crate::Proxmox;
use crate::error::{Answer, ApiError};
use crate::routes::{Call, Reply};
use crate::schema::check::{Errors, Params};
use crate::schema::format::list;
use crate::state::State;

impl State {
    fn network(&self, node: &str) -> Result<&Network, ApiError> {
        self.host(node).map(|host| &host.network)
    }
}

/// `GET /nodes/{node}/network`: interfaces, also those that wait; virtual networks only when asked for.
pub(crate) fn list_all(state: &State, call: &Call) -> Result<Reply, ApiError> {
    let network = state.network(call.node())?;
    let filter = call.params.get("type");
    let wanted = |kind: &str| match filter {
        None => true,
        Some("include_sdn") => true,
        Some("any_bridge" | "any_local_bridge") => is_bridge(kind),
        Some(other) => kind == other,
    };
    let mut rows = Vec::new();
    for (name, interface) in network.with_nics() {
        let kind = interface.kind(&name);
        if wanted(kind) && (!is_bridge(kind) || may_see(state, call, "localnetwork", &name)) {
            let mut row = network.shown(&name, &interface);
            row.insert("iface".into(), name.into());
            rows.push(Value::Object(row));
        }
    }
    if let Some("any_bridge" | "include_sdn" | "vnet") = filter {
        rows.extend(
            state
                .sdn
                .local_vnets(call.node(), |zone, vnet| may_see(state, call, zone, vnet)),
        );
    }
    let mut reply = Reply::from(Value::Array(rows));
    if let Some(changes) = network.changes() {
        reply.attributes.insert("changes".into(), changes.into());
    }
    Ok(reply)
}

fn may_see(state: &State, call: &Call, zone: &str, bridge: &str) -> bool {
    let path = format!("/sdn/zones/{zone}/{bridge}");
    state
        .need_any(&call.caller, &path, &["SDN.Audit", "SDN.Use"])
        .is_ok()
}

/// `GET /nodes/{node}/network/{iface}`
pub(crate) fn read(state: &State, call: &Call) -> Answer {
    let network = state.network(call.node())?;
    let name = call.params.text("iface");
    let all = network.with_nics();
    let interface = all.get(name).ok_or_else(missing)?;
    Ok(Value::Object(network.shown(name, interface)))
}

fn missing() -> ApiError {
    ApiError::parameter("iface", "interface does not exist")
}

/// `POST /nodes/{node}/network`
pub(crate) fn create(state: &mut State, call: &Call) -> Answer {
    let (params, name) = (&call.params, call.params.text("iface"));
    change(state, call, |all| {
        if all.contains_key(name) {
            return Err(ApiError::parameter("iface", "interface already exists"));
        }
        let mut made = Interface::default();
        take(&mut made, params, name, all)?;
        if matches!(params.text("type"), "OVSIntPort" | "OVSBond") {
            plug(all, name, params)?;
        }
        all.insert(name.to_owned(), made);
        Ok(Some(params.text("type").to_owned()))
    })
}

/// `PUT /nodes/{node}/network/{iface}`
pub(crate) fn update(state: &mut State, call: &Call) -> Answer {
    let (params, name) = (&call.params, call.params.text("iface"));
    change(state, call, |all| {
        let mut changed = all.get(name).cloned().ok_or_else(missing)?;
        for option in params.list("delete") {
            changed.options.remove(&option);
            if let Some(suffix) = option.strip_prefix("cidr") {
                changed.options.remove(&format!("address{suffix}"));
                changed.options.remove(&format!("netmask{suffix}"));
            }
        }
        take(&mut changed, params, name, all)?;
        all.insert(name.to_owned(), changed);
        Ok(Some(params.text("type").to_owned()))
    })
}

/// `DELETE /nodes/{node}/network/{iface}`
pub(crate) fn delete(state: &mut State, call: &Call) -> Answer {
    let name = call.params.text("iface");
    change(state, call, |all| {
        let gone = all.remove(name).ok_or_else(missing)?;
        if let Some(bridge) = gone
            .get("ovs_bridge")
            .and_then(|bridge| all.get_mut(bridge))
        {
            let rest: Vec<&str> = list(bridge.get("ovs_ports").unwrap_or_default())
                .filter(|port| *port != name)
                .collect();
            let rest = rest.join(" ");
            bridge.set("ovs_ports", &rest);
        }
        if super::is_nic(name) {
            // The port itself stays.
            all.insert(name.to_owned(), Interface::default());
        }
        Ok(None)
    })
}

/// Changes what waits for a reload; the change tells the type that the named interface has got.
fn change(
    state: &mut State,
    call: &Call,
    work: impl FnOnce(&mut Interfaces) -> Result<Option<String>, ApiError>,
) -> Answer {
    let network = &mut state.host_mut(call.node())?.network;
    let mut all = network.with_nics();
    let kind = work(&mut all)?;
    let changed = kind
        .as_deref()
        .map(|kind| (call.params.text("iface"), kind));
    network.pending = Some(verify::written(all, changed).map_err(ApiError::failure)?);
    Ok(Value::Null)
}

/// Takes a request's options into an interface.
fn take(
    interface: &mut Interface,
    params: &Params,
    name: &str,
    all: &Interfaces,
) -> Result<(), ApiError> {
    check_unique(params, name, all)?;
    for (option, value) in params.iter() {
        if !NOT_OPTIONS.contains(&option) {
            interface.set(option, value);
        }
    }
    for (suffix, whole) in [("", "32"), ("6", "128")] {
        take_address(interface, params, suffix, whole)?;
    }
    // An interface always has a block of one family; that of IPv4 unless it has only an IPv6 address.
    let (four, six) = (given_address(params, ""), given_address(params, "6"));
    match (four, six) {
        (_, true) => interface.set("method6", "static"),
        (_, false) => drop(interface.options.remove("method6")),
    }
    match (four, six) {
        (true, _) => interface.set("method", "static"),
        (false, false) => interface.set("method", "manual"),
        (false, true) => drop(interface.options.remove("method")),
    }
    if let Some(vids) = params.get("bridge_vids") {
        let vids: Vec<&str> = list(vids).collect();
        if vids.is_empty() {
            return Err(ApiError::parameter(
                "bridge_vids",
                "VLAN list items are empty",
            ));
        }
        interface.set("bridge_vids", &vids.join(" "));
    }
    Ok(())
}

const NOT_OPTIONS: &[&str] = &["node", "iface", "type", "delete", "cidr", "cidr6"];

fn given_address(params: &Params, suffix: &str) -> bool {
    params.has(&format!("cidr{suffix}")) || params.has(&format!("address{suffix}"))
}

fn take_address(
    interface: &mut Interface,
    params: &Params,
    suffix: &str,
    whole: &str,
) -> Result<(), ApiError> {
    let name = |option: &str| format!("{option}{suffix}");
    if let Some(cidr) = params.get(&name("cidr")) {
        for option in ["address", "netmask"] {
            if params.has(&name(option)) {
                let text = format!("{} conflicts with {}", name(option), name("cidr"));
                return Err(ApiError::parameter(&name(option), text));
            }
        }
        let (address, length) = cidr.rsplit_once('/').unwrap_or((cidr, whole));
        interface.set(&name("address"), address);
        interface.set(&name("netmask"), length);
    }
    if let Some(bits) = params.get(&name("netmask")).and_then(netmask_bits) {
        interface.set(&name("netmask"), &bits.to_string());
    }
    let unusable = |address: &str| {
        let parsed: std::net::Ipv6Addr = address.parse().ok()?;
        let kind = if parsed.is_multicast() {
            "MULTICAST"
        } else if parsed.is_loopback() {
            "LOOPBACK"
        } else if parsed.is_unspecified() {
            "UNSPECIFIED"
        } else {
            return None;
        };
        Some(format!(
            "{address} with type '{kind}', cannot be used as host IPv6 address."
        ))
    };
    match interface.get("address6").and_then(unusable) {
        Some(text) if suffix == "6" && given_address(params, "6") => {
            Err(ApiError::parameter("address6", text))
        }
        _ => Ok(()),
    }
}

/// `255.255.255.0` as 24.
fn netmask_bits(text: &str) -> Option<u32> {
    match text.parse::<std::net::Ipv4Addr>() {
        Ok(mask) => Some(u32::from(mask).count_ones()),
        Err(_) => text.parse().ok(),
    }
}

fn check_unique(params: &Params, name: &str, all: &Interfaces) -> Result<(), ApiError> {
    let others = || all.iter().filter(|(other, _)| *other != name);
    for (option, called) in [
        ("gateway", "Default gateway"),
        ("gateway6", "Default ipv6 gateway"),
    ] {
        if let Some((other, _)) =
            others().find(|(_, i)| params.has(option) && i.get(option).is_some())
        {
            return Err(ApiError::parameter(
                option,
                format!("{called} already exists on interface '{other}'."),
            ));
        }
    }
    let mut errors = Errors::new();
    for option in ["bridge_ports", "ovs_ports", "slaves", "ovs_bonds"] {
        for port in params.list(option) {
            if let Some((other, _)) = others().find(|(_, i)| i.ports().any(|p| p == port)) {
                errors.insert(
                    option.to_owned(),
                    format!("{port} is already used on interface '{other}'."),
                );
            }
        }
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(ApiError::parameters(errors))
    }
}

/// Adds a new port to the Open vSwitch bridge that it names.
fn plug(all: &mut Interfaces, name: &str, params: &Params) -> Result<(), ApiError> {
    let refused = |text: String| ApiError::parameter("ovs_bridge", text);
    let bridge = params
        .get("ovs_bridge")
        .ok_or_else(|| refused("parameter is required".into()))?;
    let found = all
        .get_mut(bridge)
        .ok_or_else(|| refused(format!("bridge '{bridge}' does not exist")))?;
    if found.kind(bridge) != "OVSBridge" {
        return Err(refused(format!("interface '{bridge}' is no OVS bridge")));
    }
    let mut ports: Vec<&str> = list(found.get("ovs_ports").unwrap_or_default()).collect();
    if !ports.contains(&name) {
        ports.push(name);
        let ports = ports.join(" ");
        found.set("ovs_ports", &ports);
    }
    Ok(())
}

/// `DELETE /nodes/{node}/network`: forgets what waits.
pub(crate) fn revert(state: &mut State, call: &Call) -> Answer {
    state.host_mut(call.node())?.network.pending = None;
    Ok(Value::Null)
}

/// `PUT /nodes/{node}/network`: makes what waits run.
pub(crate) async fn reload(px: &Arc<Proxmox>, call: Call) -> Answer {
    let node = call.node().to_owned();
    px.worker(
        &node.clone(),
        "srvreload",
        "networking",
        &call.caller,
        move |task| async move {
            task.takes(Duration::from_secs(3)).await;
            let mut state = task.proxmox.state();
            state.host_mut(&node)?.network.reload();
            Ok(())
        },
    )
    .await
}

impl Network {
    pub(crate) fn reload(&mut self) {
        if let Some(pending) = self.pending.take() {
            self.running = pending;
        }
    }
}
