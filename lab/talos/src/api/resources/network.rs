//! Addresses and names as resources.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Item, item, list, raw, text};
use crate::node::{Link, Node};
use crate::proto::common::{NetIp, NetIpPrefix};
use crate::proto::resource::{
    AddressStatusSpec, HostnameStatusSpec, LinkStatusSpec, NodeAddressSpec, ResolverStatusSpec,
    RouteStatusSpec, TimeServerStatusSpec,
};

pub(super) fn node_addresses(node: &Node) -> Vec<Item> {
    let all = node.addresses();
    let of = |id: &str, nets: &[IpNet]| {
        let spec = NodeAddressSpec {
            addresses: nets.iter().map(net_prefix).collect(),
        };
        let yaml = vec![("addresses", list(nets)), ("sortAlgorithm", text("v1"))];
        item(id, &spec, yaml)
    };
    let first = all.first().map(std::slice::from_ref).unwrap_or_default();
    vec![
        of("accumulative", &all),
        of("current", &all),
        of("default", first),
        of("routed", &all),
    ]
}

/// The kernel's numbers of an address family, and its name.
fn family(address: IpAddr) -> (i32, &'static str) {
    match address {
        IpAddr::V4(_) => (2, "inet4"),
        IpAddr::V6(_) => (10, "inet6"),
    }
}

/// Every link with its number; the loopback device is the first.
fn numbered(node: &Node) -> Vec<(u32, Link)> {
    let links = node.with_boot(|b| b.links.clone()).unwrap_or_default();
    (2..).zip(links).collect()
}

/// What the kernel has on each link, virtual addresses that this node holds now among them.
pub(super) fn addresses(node: &Node) -> Vec<Item> {
    /// Permanent.
    const FLAGS: u32 = 0x80;
    let of = |index: u32, link: &str, net: IpNet| {
        let (number, name) = family(net.addr());
        let (scope, scope_name) = match net.addr().is_loopback() {
            true => (254, "host"),
            false => (0, "global"),
        };
        let spec = AddressStatusSpec {
            address: Some(net_prefix(&net)),
            local: Some(net_ip(net.addr())),
            link_index: index,
            link_name: link.to_owned(),
            family: number,
            scope,
            flags: FLAGS,
        };
        let yaml = vec![
            ("address", text(net.to_string())),
            ("local", text(net.addr().to_string())),
            ("linkIndex", raw(index)),
            ("linkName", text(link)),
            ("family", text(name)),
            ("scope", text(scope_name)),
            ("flags", text("permanent")),
            ("priority", raw(0)),
        ];
        item(format!("{link}/{net}"), &spec, yaml)
    };
    let mut found: Vec<Item> = ["127.0.0.1/8", "::1/128"]
        .iter()
        .filter_map(|net| Some(of(1, "lo", net.parse().ok()?)))
        .collect();
    let links = numbered(node);
    for (index, link) in &links {
        found.extend(
            link.addresses
                .iter()
                .map(|net| of(*index, &link.name, *net)),
        );
    }
    if let Some((index, link)) = links.first() {
        let held = node.held_addresses().into_iter();
        let nets = held.filter_map(|(address, prefix)| IpNet::new(address, prefix).ok());
        found.extend(nets.map(|net| of(*index, &link.name, net)));
    }
    found
}

/// The default route, where one is given, and the way to each link's own subnet.
pub(super) fn routes(node: &Node) -> Vec<Item> {
    /// The main table; a route to one receiver.
    const TABLE: i32 = 254;
    const UNICAST: i32 = 1;
    /// Who made it: the kernel itself, or Talos.
    const KERNEL: (i32, &str) = (2, "kernel");
    const STATIC: (i32, &str) = (4, "static");
    const METRIC: u32 = 1024;
    let of =
        |index: u32, link: &str, source: IpAddr, to: Option<IpNet>, gateway: Option<IpAddr>| {
            let (number, name) = family(source);
            let (protocol, maker) = if gateway.is_some() { STATIC } else { KERNEL };
            let priority = if gateway.is_some() { METRIC } else { 0 };
            let (scope, scope_name) = match gateway {
                Some(_) => (0, "global"),
                None => (253, "link"),
            };
            let shown = |address: Option<String>| address.unwrap_or_default();
            let (destination, via) = (
                shown(to.map(|n| n.to_string())),
                shown(gateway.map(|g| g.to_string())),
            );
            let own = gateway.is_none().then_some(source);
            let spec = RouteStatusSpec {
                family: number,
                destination: to.as_ref().map(net_prefix),
                source: own.map(net_ip),
                gateway: gateway.map(net_ip),
                out_link_index: index,
                out_link_name: link.to_owned(),
                table: TABLE,
                priority,
                scope,
                r#type: UNICAST,
                protocol,
            };
            let yaml = vec![
                ("family", text(name)),
                ("dst", text(destination.clone())),
                ("src", text(shown(own.map(|s| s.to_string())))),
                ("gateway", text(via.clone())),
                ("outLinkIndex", raw(index)),
                ("outLinkName", text(link)),
                ("table", text("main")),
                ("priority", raw(priority)),
                ("scope", text(scope_name)),
                ("type", text("unicast")),
                ("flags", text("")),
                ("protocol", text(maker)),
            ];
            let prefix = if number == 10 {
                format!("{link}/")
            } else {
                String::new()
            };
            item(
                format!("{prefix}{name}/{via}/{destination}/{priority}"),
                &spec,
                yaml,
            )
        };
    let given = node
        .hardware()
        .cloud_init
        .map(|c| c.ip_config)
        .unwrap_or_default();
    let mut found = Vec::new();
    for (position, (index, link)) in numbered(node).iter().enumerate() {
        let Some(first) = link.addresses.first() else {
            continue;
        };
        let gateway = given.get(&position).and_then(|ip| ip.gateway);
        if gateway.is_some() {
            found.push(of(*index, &link.name, first.addr(), None, gateway));
        }
        let own = link.addresses.iter();
        found.extend(own.map(|net| of(*index, &link.name, net.addr(), Some(net.trunc()), None)));
    }
    found
}

/// The name servers of the configuration, of the platform, or those that Talos has by default.
pub(super) fn resolvers(node: &Node) -> Vec<Item> {
    const DEFAULTS: [&str; 2] = ["1.1.1.1", "8.8.8.8"];
    let configured = node.config().map(|c| c.name_servers()).unwrap_or_default();
    let platform = node.hardware().cloud_init.map(|c| c.nameservers);
    let given = [configured, platform.unwrap_or_default()];
    let given = given.into_iter().find(|servers| !servers.is_empty());
    let servers = given.unwrap_or_else(|| DEFAULTS.map(str::to_owned).to_vec());
    let spec = ResolverStatusSpec {
        dns_servers: servers
            .iter()
            .filter_map(|s| Some(net_ip(s.parse().ok()?)))
            .collect(),
        search_domains: Vec::new(),
    };
    let none: [String; 0] = [];
    let yaml = vec![("dnsServers", list(servers)), ("searchDomains", list(none))];
    vec![item("resolvers", &spec, yaml)]
}

pub(super) fn time_servers(node: &Node) -> Vec<Item> {
    let servers = crate::api::time_servers(node.config().as_deref());
    let spec = TimeServerStatusSpec {
        ntp_servers: servers.clone(),
    };
    vec![item(
        "timeservers",
        &spec,
        vec![("timeServers", list(servers))],
    )]
}

pub(super) fn links(node: &Node) -> Vec<Item> {
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
            ("alias", text("")),
            ("type", text(if loopback { "loopback" } else { "ether" })),
            ("kind", text("")),
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
    let links = numbered(node);
    found.extend(
        links
            .iter()
            .map(|(index, link)| device(*index, &link.name, &link.mac)),
    );
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
