//! A node's addresses: from its cloud-init drive, its configuration, or a deterministic lease.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use sha2::{Digest, Sha256};
use stead_lab_core::machine::{Hardware, Nic};

use crate::config::{Config, LinkAddresses};

/// One network device of a machine and what it is called.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) name: String,
    pub(crate) mac: String,
    pub(crate) addresses: Vec<IpNet>,
}

/// The subnet of leases; nothing else in a lab lives there.
const LEASES: (Ipv4Addr, u8) = (Ipv4Addr::new(10, 99, 0, 0), 16);

/// Every link with its addresses. `lease` tells the leased address of a device (by position).
pub(crate) fn links(
    hardware: &Hardware,
    config: Option<&Config>,
    mut lease: impl FnMut(usize) -> Option<IpAddr>,
) -> Vec<Link> {
    let network = config.map(Config::network).unwrap_or_default();
    let mut links = Vec::new();
    for (i, nic) in hardware.nics.iter().enumerate() {
        let settings: Vec<&LinkAddresses> = network
            .links
            .iter()
            .filter(|link| chooses(link, i, nic))
            .collect();
        let mut addresses: Vec<IpNet> = Vec::new();
        if !settings.iter().any(|s| s.ignore) {
            addresses.extend(settings.iter().flat_map(|s| s.addresses.iter().copied()));
            let dynamic = addresses.is_empty() || settings.iter().any(|s| s.dhcp);
            if dynamic {
                addresses.extend(platform_address(hardware, i).or_else(|| {
                    let address = lease(i)?;
                    IpNet::new(address, LEASES.1).ok()
                }));
            }
        }
        links.push(Link {
            name: format!("eth{i}"),
            mac: nic.mac.to_ascii_lowercase(),
            addresses,
        });
    }
    links
}

/// The static address that the cloud-init drive gives a device.
fn platform_address(hardware: &Hardware, position: usize) -> Option<IpNet> {
    let config = hardware.cloud_init.as_ref()?.ip_config.get(&position)?;
    let (address, prefix) = config.address?;
    IpNet::new(address, prefix).ok()
}

/// Whether a link's settings are for the device at this position. The kernel's name may be any of the usual ones.
fn chooses(link: &LinkAddresses, position: usize, nic: &Nic) -> bool {
    if let Some(pattern) = &link.hardware_address {
        return matches_pattern(&pattern.to_ascii_lowercase(), &nic.mac.to_ascii_lowercase());
    }
    let slot = position + 18;
    let plain_mac = nic.mac.replace(':', "").to_ascii_lowercase();
    let name = link.name.as_str();
    name == format!("eth{position}")
        || name == format!("ens{slot}")
        || name == format!("enp6s{slot}")
        || name == format!("enp0s{slot}")
        || name == format!("enx{plain_mac}")
}

/// `*` stands for any text.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The leased address of a hardware address, the first free one from where its hash points.
pub(crate) fn lease(mac: &str, taken: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let subnet = Ipv4Net::new(LEASES.0, LEASES.1).ok()?;
    let hash = Sha256::digest(mac.to_ascii_lowercase().as_bytes());
    let start = match hash.as_slice() {
        [a, b, ..] => u32::from(u16::from_be_bytes([*a, *b])),
        _ => 0,
    };
    let base = u32::from(subnet.network());
    let hosts = (0..0xffff_u32).map(|i| Ipv4Addr::from(base + ((start + i) & 0xffff)));
    hosts.map(IpAddr::V4).find(|a| {
        !matches!(a, IpAddr::V4(v4) if matches!(v4.octets(), [_, _, _, 0 | 255])) && !taken(*a)
    })
}

/// The address that the kubelet and etcd use: the first in the wanted subnets.
pub(crate) fn node_address(links: &[Link], subnets: &[String], vips: &[IpAddr]) -> Option<IpAddr> {
    let allowed: Vec<IpNet> = subnets.iter().filter_map(|s| s.parse().ok()).collect();
    let denied: Vec<IpNet> = subnets
        .iter()
        .filter_map(|s| s.strip_prefix('!')?.parse().ok())
        .collect();
    let all = links.iter().flat_map(|l| &l.addresses).map(IpNet::addr);
    all.filter(|a| !vips.contains(a)).find(|a| {
        (allowed.is_empty() || allowed.iter().any(|n| n.contains(a)))
            && !denied.iter().any(|n| n.contains(a))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        assert!(matches_pattern("*", "bc:24:11:00:00:01"));
        assert!(matches_pattern("bc:24:*", "bc:24:11:00:00:01"));
        assert!(matches_pattern("*:01", "bc:24:11:00:00:01"));
        assert!(!matches_pattern("bc:24:11:00:00:02", "bc:24:11:00:00:01"));
        assert!(!matches_pattern("00:*", "bc:24:11:00:00:01"));
    }

    #[test]
    fn leases_are_deterministic_and_distinct() {
        let first = lease("BC:24:11:00:00:01", |_| false).unwrap();
        assert_eq!(lease("bc:24:11:00:00:01", |_| false), Some(first));
        let second = lease("bc:24:11:00:00:01", |a| a == first).unwrap();
        assert_ne!(first, second);
    }
}
