//! A node's network interfaces: those that run, and those that wait in `interfaces.new` for a reload.

pub(crate) mod api;
mod file;
mod verify;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::options::NodeSpec;

pub(crate) type Interfaces = BTreeMap<String, Interface>;

/// Network ports that a node has beyond those of its bridges.
const SPARE_NICS: usize = 2;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Network {
    /// Ports that are there whatever the file says.
    nics: Vec<String>,
    running: Interfaces,
    pending: Option<Interfaces>,
}

/// One interface: its options as `/etc/network/interfaces` names them, those of IPv6 with a `6` behind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Interface {
    options: BTreeMap<String, String>,
    /// Its place in the file; a port without a section has none.
    priority: Option<u32>,
}

impl Network {
    /// Every bridge on a port of its own, the first with the node's address.
    pub(crate) fn installed(spec: &NodeSpec) -> Network {
        let nics: Vec<String> = (1..=spec.bridges.len() + SPARE_NICS)
            .map(|n| format!("enp{n}s0"))
            .collect();
        let mut running = Interfaces::new();
        for (i, (bridge, port)) in spec.bridges.iter().zip(&nics).enumerate() {
            running.insert(
                port.clone(),
                Interface::new(&[("method", "manual")], 2 * i + 2),
            );
            let mut found = Interface::new(
                &[
                    ("method", "manual"),
                    ("autostart", "1"),
                    ("bridge_ports", port),
                    ("bridge_stp", "off"),
                    ("bridge_fd", "0"),
                ],
                2 * i + 3,
            );
            if i == 0 {
                let gateway = first_of_network(&spec.address);
                for (name, value) in [
                    ("method", "static"),
                    ("address", &spec.address),
                    ("netmask", "24"),
                    ("gateway", &gateway),
                ] {
                    found.set(name, value);
                }
            }
            running.insert(bridge.clone(), found);
        }
        Network {
            nics,
            running,
            pending: None,
        }
    }

    /// What the file says that the next reload takes.
    fn current(&self) -> &Interfaces {
        self.pending.as_ref().unwrap_or(&self.running)
    }

    /// The same with the ports that have no section.
    fn with_nics(&self) -> Interfaces {
        let mut all = self.current().clone();
        for nic in &self.nics {
            all.entry(nic.clone()).or_default();
        }
        all
    }

    /// Bridges that guests can be plugged into now.
    pub(crate) fn bridges(&self) -> impl Iterator<Item = &str> {
        let bridges = self
            .running
            .iter()
            .filter(|(name, interface)| is_bridge(interface.kind(name)));
        bridges.map(|(name, _)| name.as_str())
    }

    pub(crate) fn is_vlan_aware(&self, bridge: &str) -> bool {
        self.running
            .get(bridge)
            .is_some_and(|found| found.get("bridge_vlan_aware").is_some())
    }

    /// Interfaces that are up: those started with the node and what they stand on.
    fn active(&self) -> BTreeSet<&str> {
        let started = self
            .running
            .iter()
            .filter(|(_, interface)| interface.get("autostart").is_some());
        let mut active = BTreeSet::new();
        for (name, interface) in started {
            active.insert(name.as_str());
            active.extend(interface.ports());
            active.extend(interface.parent(name));
        }
        active
    }

    fn exists(&self, name: &str, interface: &Interface) -> Option<bool> {
        if self.nics.iter().any(|nic| nic == name) {
            return Some(true);
        }
        let parent = interface.parent(name)?;
        self.nics.iter().any(|nic| nic == parent).then_some(true)
    }

    /// An interface as the API shows it.
    fn shown(&self, name: &str, interface: &Interface) -> Map<String, Value> {
        let kind = interface.kind(name);
        let mut row = Map::new();
        for (option, value) in &interface.options {
            let value = match option.as_str() {
                "autostart" | "bridge_vlan_aware" => Value::from(1),
                _ => Value::from(value.as_str()),
            };
            row.insert(option.clone(), value);
        }
        row.remove("ovs_type");
        row.insert("type".into(), kind.into());
        row.insert("families".into(), interface.families().into());
        for method in ["method", "method6"] {
            row.entry(method).or_insert_with(|| "manual".into());
        }
        for suffix in ["", "6"] {
            if let Some(cidr) = interface.cidr(suffix) {
                row.insert(format!("cidr{suffix}"), cidr.into());
            }
        }
        if kind == "vlan" {
            row.insert("vlan-raw-device".into(), interface.parent(name).into());
            row.insert("vlan-id".into(), interface.vlan_id(name).into());
        }
        match self.exists(name, interface) {
            Some(true) => drop(row.insert("exists".into(), 1.into())),
            _ if matches!(kind, "vlan" | "alias") => drop(row.insert("exists".into(), Value::Null)),
            _ => {}
        }
        if self.active().contains(name) {
            row.insert("active".into(), 1.into());
        }
        if let Some(priority) = interface.priority {
            row.insert("priority".into(), priority.into());
        }
        row
    }
}

impl Interface {
    fn new(options: &[(&str, &str)], priority: usize) -> Interface {
        let mut found = Interface::default();
        for (name, value) in options {
            found.set(name, value);
        }
        found.priority = u32::try_from(priority).ok();
        found
    }

    fn get(&self, option: &str) -> Option<&str> {
        self.options.get(option).map(String::as_str)
    }

    fn set(&mut self, option: &str, value: &str) {
        self.options.insert(option.to_owned(), value.to_owned());
    }

    /// The type as it is read out of a file: from the name and the options.
    fn kind(&self, name: &str) -> &'static str {
        let ovs = self.get("ovs_type");
        let numbered = |prefix: &str| {
            name.strip_prefix(prefix)
                .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        };
        if self.get("bridge_ports").is_some() {
            "bridge"
        } else if ovs == Some("OVSBridge") {
            "OVSBridge"
        } else if numbered("bond") {
            if ovs == Some("OVSBond") {
                "OVSBond"
            } else {
                "bond"
            }
        } else if name.contains(':') {
            "alias"
        } else if dotted(name).is_some() || self.get("vlan-raw-device").is_some() {
            "vlan"
        } else if is_nic(name) {
            if ovs == Some("OVSPort") {
                "OVSPort"
            } else {
                "eth"
            }
        } else if ovs == Some("OVSIntPort") {
            "OVSIntPort"
        } else {
            "unknown"
        }
    }

    fn families(&self) -> Vec<&'static str> {
        let pairs = [("inet", "method"), ("inet6", "method6")];
        let found: Vec<&str> = pairs
            .into_iter()
            .filter(|(_, method)| self.get(method).is_some())
            .map(|(family, _)| family)
            .collect();
        if found.is_empty() {
            vec!["inet"]
        } else {
            found
        }
    }

    fn cidr(&self, suffix: &str) -> Option<String> {
        let address = self.get(&format!("address{suffix}"))?;
        let whole = if suffix.is_empty() { "32" } else { "128" };
        let length = self.get(&format!("netmask{suffix}")).unwrap_or(whole);
        Some(format!("{address}/{length}"))
    }

    /// The interfaces that this one bundles.
    fn ports(&self) -> impl Iterator<Item = &str> {
        ["bridge_ports", "ovs_ports", "slaves", "ovs_bonds"]
            .into_iter()
            .filter_map(|option| self.get(option))
            .flat_map(crate::schema::format::list)
    }

    /// What a VLAN or an alias stands on.
    fn parent<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        match dotted(name) {
            Some((parent, _)) => Some(parent),
            None => self
                .get("vlan-raw-device")
                .or_else(|| Some(name.split_once(':')?.0)),
        }
    }

    fn vlan_id<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        dotted(name)
            .map(|(_, id)| id)
            .or_else(|| numbered_vlan(name))
            .or_else(|| self.get("vlan-id"))
    }
}

fn is_bridge(kind: &str) -> bool {
    matches!(kind, "bridge" | "OVSBridge")
}

/// `enp1s0.20` as port and VLAN.
fn dotted(name: &str) -> Option<(&str, &str)> {
    let (parent, id) = name.rsplit_once('.')?;
    (!parent.is_empty() && !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()))
        .then_some((parent, id))
}

/// The VLAN in a name such as `vlan20`; `vlan_lab` says none.
fn numbered_vlan(name: &str) -> Option<&str> {
    let id = name.strip_prefix("vlan")?;
    (!id.is_empty() && id.bytes().all(|b| b.is_ascii_digit())).then_some(id)
}

/// Whether a name is a network port's.
fn is_nic(name: &str) -> bool {
    let pattern = r"eth[0-9]+|en[^:.]+|ib[^:.]+|(?:nic|if)[0-9]+";
    crate::schema::format::matches(pattern, name) == Ok(true)
}

/// The first address of an address's /24.
pub(crate) fn first_of_network(address: &str) -> String {
    let network = address.rsplit_once('.').map_or("", |(network, _)| network);
    format!("{network}.1")
}
