//! What a network configuration must hold before it is written.

use std::collections::BTreeMap;

use super::{Interface, Interfaces, dotted};
use crate::schema::format::list;

/// The types that interfaces are written with.
type Kinds = BTreeMap<String, String>;

/// Checks a configuration as a whole and gives it back as it will be read; one interface has just got its type.
pub(super) fn written(
    mut interfaces: Interfaces,
    changed: Option<(&str, &str)>,
) -> Result<Interfaces, String> {
    let mut kinds: Kinds = interfaces
        .iter()
        .map(|(name, interface)| (name.clone(), interface.kind(name).to_owned()))
        .collect();
    if let Some((name, kind)) = changed {
        kinds.insert(name.to_owned(), kind.to_owned());
    }
    shared_ports(&interfaces)?;
    plug_ovs(&mut interfaces, &mut kinds)?;
    for (name, interface) in &interfaces {
        match kind_of(&kinds, name) {
            "bond" => bond(name, interface, &interfaces, &kinds)?,
            "OVSBond" => ovs_bond(name, interface, &interfaces, &kinds)?,
            "vlan" => vlan(name, interface, &interfaces, &kinds)?,
            "bridge" => bridge(name, interface, &interfaces)?,
            _ => {}
        }
    }
    start_slaves(&mut interfaces);
    let mut priority = interfaces
        .values()
        .filter_map(|i| i.priority)
        .max()
        .unwrap_or(1);
    for (name, interface) in &mut interfaces {
        interface.settle(name, kind_of(&kinds, name));
        if interface.priority.is_none() && !interface.options.is_empty() {
            priority += 1;
            interface.priority = Some(priority);
        }
    }
    // A port without a section is there again whenever the file is read.
    interfaces.retain(|_, interface| interface.priority.is_some());
    Ok(interfaces)
}

fn kind_of<'a>(kinds: &'a Kinds, name: &str) -> &'a str {
    kinds.get(name).map_or("unknown", String::as_str)
}

fn shared_ports(interfaces: &Interfaces) -> Result<(), String> {
    let mut used: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, interface) in interfaces {
        for port in interface.ports() {
            match used.insert(port, name) {
                Some(other) if other != name => {
                    return Err(format!(
                        "port '{port}' is already used on interface '{other}'"
                    ));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Makes the ports of Open vSwitch bridges such ports, and frees those that no bridge names any more.
fn plug_ovs(interfaces: &mut Interfaces, kinds: &mut Kinds) -> Result<(), String> {
    let bridges: Vec<(String, Vec<String>)> = interfaces
        .iter()
        .filter(|(name, _)| kind_of(kinds, name) == "OVSBridge")
        .map(|(name, bridge)| {
            let ports = list(bridge.get("ovs_ports").unwrap_or_default()).map(str::to_owned);
            (name.clone(), ports.collect())
        })
        .collect();
    for (name, interface) in interfaces.iter_mut() {
        let is_port = matches!(kind_of(kinds, name), "OVSPort" | "OVSIntPort" | "OVSBond");
        if is_port && !bridges.iter().any(|(_, ports)| ports.contains(name)) {
            let priority = interface.priority;
            *interface = Interface {
                priority,
                ..Interface::new(&[("method", "manual")], 0)
            };
            interface.priority = priority;
            kinds.insert(name.clone(), "eth".into());
        }
    }
    for (bridge, ports) in &bridges {
        for port in ports {
            let found = interfaces
                .get_mut(port)
                .ok_or_else(|| format!("OVS bridge '{bridge}' - unable to find port '{port}'"))?;
            match kind_of(kinds, port) {
                "eth" => drop(kinds.insert(port.clone(), "OVSPort".into())),
                "OVSBond" | "OVSPort" | "OVSIntPort" => {}
                _ => {
                    return Err(format!(
                        "interface '{port}' is not defined as OVS port/bond"
                    ));
                }
            }
            found.set("ovs_bridge", bridge);
            found
                .options
                .entry("method".into())
                .or_insert_with(|| "manual".into());
            check_mtu(interfaces, kinds, bridge, port)?;
        }
    }
    Ok(())
}

/// What a bond bundles is started with it.
fn start_slaves(interfaces: &mut Interfaces) {
    let slaves: Vec<String> = interfaces
        .values()
        .flat_map(|interface| {
            ["slaves", "ovs_bonds"]
                .into_iter()
                .filter_map(|option| interface.get(option))
        })
        .flat_map(|text| list(text).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    for slave in slaves {
        if let Some(interface) = interfaces.get_mut(&slave) {
            interface.set("autostart", "1");
            interface
                .options
                .entry("method".into())
                .or_insert_with(|| "manual".into());
        }
    }
}

fn check_mtu(
    interfaces: &Interfaces,
    kinds: &Kinds,
    parent: &str,
    child: &str,
) -> Result<(), String> {
    let mtu = |name: &str| interfaces.get(name)?.get("mtu")?.parse::<u32>().ok();
    let Some(own) = mtu(child) else {
        return Ok(());
    };
    let default = if kind_of(kinds, parent) == "bond" {
        own
    } else {
        1500
    };
    let above = mtu(parent).unwrap_or(default);
    if above < own {
        return Err(format!(
            "interface '{parent}' - mtu {above} is lower than '{child}' - mtu {own}"
        ));
    }
    Ok(())
}

fn bond(name: &str, bond: &Interface, all: &Interfaces, kinds: &Kinds) -> Result<(), String> {
    let slaves: Vec<&str> = list(bond.get("slaves").unwrap_or_default()).collect();
    for slave in &slaves {
        if !all.contains_key(*slave) {
            return Err(format!("bond '{name}' - unable to find slave '{slave}'"));
        }
        let kind = kind_of(kinds, slave);
        if !matches!(kind, "eth" | "bond") {
            return Err(format!(
                "bond '{name}' - wrong interface type on slave '{slave}' ('{kind}' != 'eth or bond')"
            ));
        }
        check_mtu(all, kinds, name, slave)?;
    }
    match bond.get("bond-primary") {
        Some(primary) if !slaves.is_empty() && !slaves.contains(&primary) => Err(format!(
            "bond '{name}' - bond-primary interface is not a slave"
        )),
        _ => Ok(()),
    }
}

fn ovs_bond(name: &str, bond: &Interface, all: &Interfaces, kinds: &Kinds) -> Result<(), String> {
    let mode = bond.get("bond_mode").unwrap_or("active-backup");
    if !matches!(
        mode,
        "active-backup" | "balance-slb" | "lacp-balance-slb" | "lacp-balance-tcp"
    ) {
        return Err(format!("OVS does not support bond mode '{mode}"));
    }
    for slave in list(bond.get("ovs_bonds").unwrap_or_default()) {
        if !all.contains_key(slave) {
            return Err(format!(
                "OVS bond '{name}' - unable to find slave '{slave}'"
            ));
        }
        let kind = kind_of(kinds, slave);
        if kind != "eth" {
            return Err(format!(
                "OVS bond '{name}' - wrong interface type on slave '{slave}' ('{kind}' != 'eth')"
            ));
        }
        check_mtu(all, kinds, name, slave)?;
    }
    Ok(())
}

fn vlan(name: &str, vlan: &Interface, all: &Interfaces, kinds: &Kinds) -> Result<(), String> {
    let parent = vlan.parent(name).ok_or("missing vlan-raw-device option")?;
    let id = vlan.vlan_id(name).ok_or("missing vlan-id option")?;
    if id.parse::<u32>().is_ok_and(|id| id > 4094) {
        return Err(format!("vlan '{name}' - vlan-id {id} should be <= 4094"));
    }
    if !all.contains_key(parent) {
        return Err(format!("vlan '{name}' - unable to find parent '{parent}'"));
    }
    let kind = kind_of(kinds, parent);
    if !matches!(kind, "eth" | "bridge" | "bond" | "vlan") {
        return Err(format!(
            "vlan '{name}' - wrong interface type on parent '{parent}' ('{kind}' != 'eth|bond|bridge|vlan' )"
        ));
    }
    check_mtu(all, kinds, parent, name)
}

fn bridge(name: &str, bridge: &Interface, all: &Interfaces) -> Result<(), String> {
    for port in list(bridge.get("bridge_ports").unwrap_or_default()) {
        let Some(found) = all.get(port) else {
            // `enp1s0.20` makes itself.
            if dotted(port).is_some() {
                continue;
            }
            return Err(format!(
                "bridge '{name}' - unable to find bridge port '{port}'"
            ));
        };
        let addressed = |suffix: &str| {
            found.get(&format!("method{suffix}")) == Some("static")
                && found.get(&format!("address{suffix}")).is_some()
        };
        if addressed("") || addressed("6") {
            return Err(format!(
                "iface {port} - ip address can't be set on interface if bridged in {name}"
            ));
        }
    }
    Ok(())
}
