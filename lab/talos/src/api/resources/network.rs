//! Addresses and names as resources.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Item, item, list, text};
use crate::node::Node;
use crate::proto::common::{NetIp, NetIpPrefix};
use crate::proto::resource::{HostnameStatusSpec, NodeAddressSpec};

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
