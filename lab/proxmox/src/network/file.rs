//! `/etc/network/interfaces`: what becomes of an interface when it is written and read again, and the file's text.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use similar::TextDiff;

use super::{Interface, Interfaces, Network, dotted, numbered_vlan};
use crate::schema::format::list;

const HEAD: &str =
    "# network interface settings; managed by Proxmox VE\n\nauto lo\niface lo inet loopback\n\n";

impl Network {
    /// The difference between what runs and what waits, or nothing.
    pub(super) fn changes(&self) -> Option<String> {
        let (old, new) = (text(&self.running), text(self.pending.as_ref()?));
        let diff = TextDiff::from_lines(&old, &new);
        let mut unified = diff.unified_diff();
        unified.header("/etc/network/interfaces", "/etc/network/interfaces.new");
        Some(unified.to_string()).filter(|text| !text.is_empty())
    }
}

impl Interface {
    /// Puts the options into the form that they have after being written to the file and read again.
    pub(super) fn settle(&mut self, name: &str, kind: &str) {
        for (method, owned) in [
            ("method", &["address", "netmask", "gateway", "comments"][..]),
            (
                "method6",
                &["address6", "netmask6", "gateway6", "comments6"],
            ),
        ] {
            // An address family without a block loses what stood in it.
            if self.get(method).is_none() {
                owned
                    .iter()
                    .for_each(|option| drop(self.options.remove(*option)));
            }
        }
        let comments: String = ["comments", "comments6"]
            .into_iter()
            .filter_map(|option| self.options.remove(option))
            .flat_map(|text| {
                text.lines()
                    .map(|line| format!("{line}\n"))
                    .collect::<Vec<_>>()
            })
            .collect();
        match kind {
            "bridge" => self.settle_bridge(),
            "bond" => self.settle_bond(),
            "vlan" if dotted(name).is_some() => self.drop_all(&["vlan-raw-device", "vlan-id"]),
            "vlan" if numbered_vlan(name).is_some() => self.drop_all(&["vlan-id"]),
            "OVSBridge" | "OVSPort" | "OVSIntPort" | "OVSBond" => self.settle_ovs(kind),
            _ => {}
        }
        self.options.retain(|name, value| {
            !matches!(value.as_str(), "" | "0") || KEPT_EMPTY.contains(&name.as_str())
        });
        if !comments.is_empty() {
            self.set("comments", &comments);
        }
    }

    fn drop_all(&mut self, options: &[&str]) {
        options
            .iter()
            .for_each(|option| drop(self.options.remove(*option)));
    }

    fn default(&mut self, option: &str, value: &str) {
        self.options
            .entry(option.to_owned())
            .or_insert_with(|| value.to_owned());
    }

    /// A list of interfaces, sorted, separated by blanks.
    fn sort_list(&mut self, option: &str) {
        let names: BTreeSet<&str> = list(self.get(option).unwrap_or_default()).collect();
        let joined = names.into_iter().collect::<Vec<_>>().join(" ");
        self.set(option, &joined);
    }

    fn settle_bridge(&mut self) {
        self.sort_list("bridge_ports");
        self.default("bridge_stp", "off");
        self.default("bridge_fd", "0");
        // Whatever its value was: the file only knows `bridge-vlan-aware yes`.
        if self.get("bridge_vlan_aware").is_some() {
            self.set("bridge_vlan_aware", "1");
            self.default("bridge_vids", "2-4094");
        } else {
            self.options.remove("bridge_vids");
        }
    }

    fn settle_bond(&mut self) {
        self.sort_list("slaves");
        self.default("bond_miimon", "100");
        self.default("bond_mode", "balance-rr");
        let mode = self.get("bond_mode").unwrap_or_default().to_owned();
        if !matches!(mode.as_str(), "balance-xor" | "802.3ad") {
            self.options.remove("bond_xmit_hash_policy");
        }
        if mode != "active-backup" {
            self.options.remove("bond-primary");
        }
    }

    fn settle_ovs(&mut self, kind: &str) {
        self.set("ovs_type", kind);
        if kind == "OVSBond" {
            self.default("bond_mode", "active-backup");
        }
        if kind != "OVSBridge" {
            // Ports are started with their bridge.
            self.options.remove("autostart");
            if self.get("ovs_bridge").is_some() {
                self.set("autostart", "1");
            }
        }
    }
}

/// Options that mean something when they are empty or zero.
const KEPT_EMPTY: &[&str] = &["bridge_ports", "bridge_fd", "slaves", "netmask6"];

/// Options with another name in the file.
const IN_FILE: &[(&str, &str)] = &[
    ("bridge_ports", "bridge-ports"),
    ("bridge_stp", "bridge-stp"),
    ("bridge_fd", "bridge-fd"),
    ("bridge_vids", "bridge-vids"),
    ("slaves", "bond-slaves"),
    ("bond_miimon", "bond-miimon"),
    ("bond_mode", "bond-mode"),
    ("bond_xmit_hash_policy", "bond-xmit-hash-policy"),
];

/// The whole file: ports, bonds, bridges, VLANs, in this order.
fn text(interfaces: &Interfaces) -> String {
    let place = |name: &str, interface: &Interface| match interface.kind(name) {
        "eth" | "OVSPort" => 2,
        "OVSIntPort" => 3,
        "bond" | "OVSBond" => 4,
        "bridge" | "OVSBridge" => 5,
        "vlan" => 6,
        _ => 7,
    };
    let mut sorted: Vec<(&String, &Interface)> = interfaces
        .iter()
        .filter(|(_, interface)| interface.priority.is_some())
        .collect();
    sorted.sort_by_key(|(name, interface)| (place(name, interface), interface.priority));
    let mut text = HEAD.to_owned();
    for (name, interface) in sorted {
        section(&mut text, name, interface);
    }
    text + "source /etc/network/interfaces.d/*\n"
}

fn section(text: &mut String, name: &str, interface: &Interface) {
    let mut line = |parts: std::fmt::Arguments<'_>| {
        // Writing into a string never fails.
        let _ = text.write_fmt(parts);
    };
    if interface.get("autostart").is_some() {
        line(format_args!("auto {name}\n"));
    }
    for (i, family) in interface.families().into_iter().enumerate() {
        let suffix = family.trim_start_matches("inet");
        let method = interface
            .get(&format!("method{suffix}"))
            .unwrap_or("manual");
        line(format_args!("iface {name} {family} {method}\n"));
        if let Some(cidr) = interface.cidr(suffix) {
            line(format_args!("\taddress {cidr}\n"));
        }
        if let Some(gateway) = interface.get(&format!("gateway{suffix}")) {
            line(format_args!("\tgateway {gateway}\n"));
        }
        if i > 0 {
            continue;
        }
        for (option, value) in interface
            .options
            .iter()
            .filter(|(name, _)| !is_address(name))
        {
            let renamed = IN_FILE
                .iter()
                .find(|(known, _)| known == option)
                .map_or(option.as_str(), |(_, named)| named);
            match option.as_str() {
                "bridge_vlan_aware" => line(format_args!("\tbridge-vlan-aware yes\n")),
                _ if value.is_empty() => line(format_args!("\t{renamed} none\n")),
                _ => line(format_args!("\t{renamed} {value}\n")),
            }
        }
        for comment in interface.get("comments").unwrap_or_default().lines() {
            line(format_args!("#{comment}\n"));
        }
    }
    line(format_args!("\n"));
}

fn is_address(option: &str) -> bool {
    let plain = option.trim_end_matches('6');
    matches!(
        plain,
        "method" | "address" | "netmask" | "gateway" | "comments" | "autostart"
    )
}
