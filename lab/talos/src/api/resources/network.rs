//! Addresses and names as resources.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Item, item, list, raw, text};
use crate::node::Node;
use crate::proto::common::{NetIp, NetIpPrefix};
use crate::proto::resource::{HostnameStatusSpec, LinkStatusSpec, NodeAddressSpec};

pub(super) fn node_addresses(node: &Node) -> Vec<Item> {
    let all = node.addresses();
    let of = |id: &str, nets: &[IpNet]| {
        let spec = NodeAddressSpec {
            addresses: nets.iter().map(net_prefix).collect(),
        };
        item(id, &spec, vec![("addresses", list(nets))])
    };
    let first = all.first().map(std::slice::from_ref).unwrap_or_default();
    vec![
        of("accumulative", &all),
        of("current", &all),
        of("default", first),
        of("routed", &all),
    ]
}

pub(super) fn links(node: &Node) -> Vec<Item> {
    let links = node.with_boot(|b| b.links.clone()).unwrap_or_default();
    let device = |index: u32, name: &str, mac: &str| {
        let loopback = name == "lo";
        let address: Vec<u8> = mac
            .split(':')
            .filter_map(|part| u8::from_str_radix(part, 16).ok())
            .collect();
        let (mtu, kind) = if loopback { (65536, 772) } else { (1500, 1) };
        let driver = if loopback { "" } else { "virtio_net" };
        let spec = LinkStatusSpec {
            index,
            r#type: kind,
            hardware_addr: address.clone(),
            mtu,
            // A loopback device is never said to be up.
            operational_state: if loopback { 0 } else { 6 },
            kind: String::new(),
            driver: driver.to_owned(),
            link_state: true,
            permanent_addr: address,
        };
        let yaml = vec![
            ("index", raw(index)),
            ("type", text(if loopback { "loopback" } else { "ether" })),
            ("hardwareAddr", text(mac)),
            ("mtu", raw(mtu)),
            (
                "operationalState",
                text(if loopback { "unknown" } else { "up" }),
            ),
            ("linkState", raw(true)),
            ("driver", text(driver)),
        ];
        item(name, &spec, yaml)
    };
    let mut found = vec![device(1, "lo", "00:00:00:00:00:00")];
    let numbered = (2..).zip(&links);
    found.extend(numbered.map(|(index, link)| device(index, &link.name, &link.mac)));
    found
}

pub(super) fn hostname(node: &Node) -> Vec<Item> {
    let name = node.hostname();
    let spec = HostnameStatusSpec {
        hostname: name.clone(),
        domainname: String::new(),
    };
    let yaml = vec![("hostname", text(name)), ("domainname", text(""))];
    vec![item("hostname", &spec, yaml)]
}

pub(super) fn net_ip(address: IpAddr) -> NetIp {
    NetIp {
        ip: match address {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        },
    }
}

fn net_prefix(net: &IpNet) -> NetIpPrefix {
    NetIpPrefix {
        ip: net_ip(net.addr()).ip,
        prefix_length: i32::from(net.prefix_len()),
    }
}
