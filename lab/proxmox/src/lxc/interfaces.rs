//! What the host sees in a container's network namespace.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value, json};
use stead_lab_core::machine::GuestInterface;

use super::hardware::{address, address6, nets};
use crate::error::Answer;
use crate::routes::Call;
use crate::{Proxmox, lock};

/// `GET …/interfaces`: nothing of a container that is off.
pub(crate) fn list(px: &Proxmox, call: &Call) -> Answer {
    let vmid = call.vmid();
    let state = px.state();
    let vm = call.guest(&state)?;
    if vm.running.is_none() {
        return Ok(Value::Null);
    }
    let mut all = vec![GuestInterface {
        name: "lo".into(),
        mac: "00:00:00:00:00:00".into(),
        addresses: vec![
            (IpAddr::V4(Ipv4Addr::LOCALHOST), 8),
            (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
        ],
    }];
    let inside = lock(&px.guests)
        .get(&vmid)
        .and_then(|guest| guest.agent_interfaces());
    match inside {
        Some(found) => all.extend(found.into_iter().filter(|i| i.name != "lo")),
        None => all.extend(nets(px, vm).iter().enumerate().map(|(position, net)| {
            let addresses = address(vmid, position, net)
                .into_iter()
                .chain(address6(net));
            GuestInterface {
                name: net.name.clone(),
                mac: net.mac.clone(),
                addresses: addresses.collect(),
            }
        })),
    }
    Ok(all.iter().map(row).collect())
}

fn row(interface: &GuestInterface) -> Value {
    let family = |address: &IpAddr| if address.is_ipv4() { "inet" } else { "inet6" };
    let mac = interface.mac.to_ascii_lowercase();
    let mut row = Map::from_iter([
        ("name".to_owned(), json!(interface.name)),
        ("hwaddr".to_owned(), json!(mac)),
        ("hardware-address".to_owned(), json!(mac)),
    ]);
    let mut addresses = Vec::new();
    for (address, prefix) in &interface.addresses {
        row.insert(family(address).into(), format!("{address}/{prefix}").into());
        addresses.push(json!({
            "ip-address-type": family(address), "ip-address": address.to_string(), "prefix": prefix,
        }));
    }
    row.insert("ip-addresses".into(), addresses.into());
    Value::Object(row)
}
