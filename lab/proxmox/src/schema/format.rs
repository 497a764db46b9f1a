//! Named formats of the contract (`pve-vmid`, `mac-addr`, …) and its patterns.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{LazyLock, Mutex, PoisonError};

use regex::Regex;

use crate::calendar::Event;

/// Whether a whole value matches a pattern; compiled patterns are kept.
pub(crate) fn matches(pattern: &str, value: &str) -> Result<bool, String> {
    static COMPILED: LazyLock<Mutex<HashMap<String, Regex>>> = LazyLock::new(Mutex::default);
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(regex) = compiled.get(pattern) {
        return Ok(regex.is_match(value));
    }
    let regex = Regex::new(&format!("^(?:{pattern})$")).map_err(|e| e.to_string())?;
    let matched = regex.is_match(value);
    compiled.insert(pattern.to_owned(), regex);
    Ok(matched)
}

/// The items of a list: separated by commas, semicolons, white space or NUL.
pub(crate) fn list(value: &str) -> impl Iterator<Item = &str> {
    value
        .split(|c: char| c == ',' || c == ';' || c == '\0' || c.is_whitespace())
        .filter(|item| !item.is_empty())
}

/// Checks a value of a named format. Formats that no simulated method reads are not looked into.
pub(crate) fn check(name: &str, value: &str) -> Result<(), String> {
    if let Some(item) = name.strip_suffix("-list") {
        return list(value).try_for_each(|v| check(item, v));
    }
    if let Some(base) = name.strip_suffix("-opt") {
        return if value.is_empty() {
            Ok(())
        } else {
            check(base, value)
        };
    }
    if let Some((pattern, complaint)) = by_pattern(name) {
        let ok = matches(pattern, value)?;
        return if ok {
            Ok(())
        } else {
            Err(format!("{}\n", complaint.replace("{}", value)))
        };
    }
    let (ok, complaint) = match name {
        "ip" => (
            value.parse::<IpAddr>().is_ok(),
            "value does not look like a valid IP address",
        ),
        "ipv4" => (
            value.parse::<Ipv4Addr>().is_ok(),
            "value does not look like a valid IPv4 address",
        ),
        "ipv6" => (
            value.parse::<Ipv6Addr>().is_ok(),
            "value does not look like a valid IPv6 address",
        ),
        "address" => (
            is_address(value),
            "value does not look like a valid IP address or DNS name",
        ),
        "CIDRv4" => (
            cidr(value).is_some_and(|(ip, _)| ip.is_ipv4()),
            "value does not look like a valid IPv4 network",
        ),
        "CIDRv6" => (
            cidr(value).is_some_and(|(ip, _)| ip.is_ipv6()),
            "value does not look like a valid IPv6 network",
        ),
        "CIDR" => (
            cidr(value).is_some(),
            "value does not look like a valid CIDR network",
        ),
        "IPorCIDR" => (
            value.parse::<IpAddr>().is_ok() || cidr(value).is_some(),
            "value does not look like a valid IP address or CIDR network",
        ),
        "pve-ipv4-config" => (
            value == "dhcp" || cidr(value).is_some_and(|(ip, _)| ip.is_ipv4()),
            "value does not look like a valid ipv4 network configuration",
        ),
        "pve-calendar-event" => {
            return Event::parse(value)
                .map(drop)
                .map_err(|text| format!("invalid calendar event '{value}' - {text}\n"));
        }
        "pve-ipv6-config" => (
            matches!(value, "dhcp" | "auto") || cidr(value).is_some_and(|(ip, _)| ip.is_ipv6()),
            "value does not look like a valid ipv6 network configuration",
        ),
        _ => return Ok(()),
    };
    if ok {
        Ok(())
    } else {
        Err(format!("{complaint}\n"))
    }
}

const DNS_LABELS: &str =
    "(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?\\.)*[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?";

/// Formats that a pattern decides, with PVE's complaint (`{}` is the value).
fn by_pattern(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "pve-vmid" => ("[1-9][0-9]{2,8}", "value does not look like a valid VM ID"),
        "pve-node" => (
            "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?",
            "value does not look like a valid node name",
        ),
        "pve-configid" => ("(?i:[a-z][a-z0-9_-]+)", "invalid configuration ID '{}'"),
        "pve-storage-id" => (
            "(?i:[a-z][a-z0-9._-]*[a-z0-9])",
            "storage ID '{}' contains illegal characters",
        ),
        "pve-storage-content" => (
            "images|rootdir|vztmpl|iso|backup|snippets|import|none",
            "invalid content type '{}'",
        ),
        "mac-addr" => (
            "(?i:[a-f0-9][02468ace](?::[a-f0-9]{2}){5})",
            "value does not look like a valid unicast MAC address",
        ),
        "mac-prefix" => (
            "(?i:[a-f0-9][02468ace](?::[a-f0-9]{2}){0,2}:?)",
            "value is not a valid unicast MAC address prefix",
        ),
        "dns-name" => (DNS_LABELS, "value does not look like a valid DNS name"),
        "pve-poolid" => (
            "[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+){0,2}",
            "value '{}' contains invalid characters",
        ),
        "pve-userid" => (
            r"[^\s:/]+@[A-Za-z][A-Za-z0-9._-]+",
            "value '{}' does not look like a valid user name",
        ),
        "pve-tokenid" => (
            r"[^\s:/]+@[A-Za-z][A-Za-z0-9._-]+![A-Za-z][A-Za-z0-9._-]+",
            "value '{}' does not look like a valid token ID",
        ),
        "pve-roleid" => (
            "[A-Za-z0-9._-]+",
            "role ID '{}' contains invalid characters",
        ),
        "pve-groupid" => (
            "[A-Za-z0-9._-]+",
            "group name '{}' contains invalid characters",
        ),
        "pve-realm" => (
            "[A-Za-z][A-Za-z0-9._-]+",
            "value does not look like a valid realm",
        ),
        "pve-replication-job-id" => (
            "[1-9][0-9]{2,8}-[0-9]{1,9}",
            "invalid replication job id '{}'",
        ),
        "pve-day-of-week" => ("mon|tue|wed|thu|fri|sat|sun", "invalid day '{}'"),
        "pve-ha-resource-id" => (
            r"[a-z]+:\S+",
            "value does not look like a valid ha resource id",
        ),
        "pve-ha-resource-or-vm-id" => (
            r"[a-z]+:\S+|[0-9]+",
            "value does not look like a valid ha resource id",
        ),
        "pve-ha-node" => (
            "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?::[0-9]+)?",
            "value does not look like a valid ha node",
        ),
        "pve-tag" => (r"(?i:[a-z0-9_][a-z0-9_.+-]*)", "invalid characters in tag"),
        "pve-volume-id" => (
            r"(?i:[a-z][a-z0-9_.-]*[a-z0-9]):.+",
            "unable to parse volume ID '{}'",
        ),
        "pve-volume-id-or-absolute-path" => (
            r"/.+|(?i:[a-z][a-z0-9_.-]*[a-z0-9]):.+",
            "unable to parse volume ID '{}'",
        ),
        "pve-volume-id-or-qm-path" => (
            r"none|cdrom|cloudinit|[0-9.]+|/.+|(?i:[a-z][a-z0-9_.-]*[a-z0-9]):.+",
            "unable to parse volume ID '{}'",
        ),
        "disk-size" => (
            r"\d+(?:\.\d+)?[KMGT]?",
            "value does not look like a valid disk size: {}",
        ),
        "urlencoded" => (r"[-%a-zA-Z0-9_.!~*'()]*", "invalid urlencoded string"),
        "pve-bridge-id" => (r"[-_.\w]+", "invalid bridge ID '{}'"),
        "pve-iface" => (
            r"(?i:[a-z][a-z0-9_]{1,20}(?:[:.]\d+)?)",
            "invalid network interface name '{}'",
        ),
        "pve-cpuset" => (r"\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*", "invalid cpuset '{}'"),
        "pve-hotplug-features" => (
            "[01]|(?:network|disk|cpu|memory|usb|cloudinit)(?:,(?:network|disk|cpu|memory|usb|cloudinit))*",
            "invalid hotplug features '{}'",
        ),
        "pve-qm-bootdisk" => (
            r"(?:ide|sata|scsi|virtio|efidisk|tpmstate)\d+",
            "invalid boot disk '{}'",
        ),
        "pve-priv" => (r"[A-Za-z]+\.[A-Za-z.]+", "invalid privilege '{}'"),
        "email" => (
            r"[\w+~-]+(?:\.[\w+~-]+)*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*",
            "value does not look like a valid email address",
        ),
        _ => return None,
    })
}

fn is_address(value: &str) -> bool {
    value.parse::<IpAddr>().is_ok() || matches(DNS_LABELS, value) == Ok(true)
}

/// An address with a prefix length that fits it.
pub(crate) fn cidr(value: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = value.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let length: u8 = length.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    (length <= most).then_some((address, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_take_and_refuse_as_published() {
        let good = [
            ("pve-vmid", "100"),
            ("mac-addr", "BC:24:11:00:00:01"),
            ("dns-name", "ctrl-00.home"),
            ("pve-node", "abel"),
            ("pve-ipv4-config", "dhcp"),
            ("pve-ipv4-config", "10.25.150.11/24"),
            ("pve-tag-list", "a;b,c"),
            ("pve-volume-id", "local:import/x.qcow2"),
            ("pve-volume-id-or-qm-path", "local-lvm:20"),
            ("email-opt", ""),
        ];
        for (name, value) in good {
            assert_eq!(check(name, value), Ok(()), "{name} {value}");
        }
        let bad = [
            ("pve-vmid", "99"),
            ("pve-vmid", "0100"),
            ("mac-addr", "BD:24:11:00:00:01"),
            ("dns-name", "under_score"),
            ("pve-node", "-x"),
            ("pve-ipv4-config", "10.25.150.11"),
            ("pve-ipv4-config", "10.25.150.11/33"),
            ("pve-tag-list", "a;-b"),
            ("pve-volume-id", "nocolon"),
            ("disk-size", "20X"),
            ("pve-storage-id", "9a"),
        ];
        for (name, value) in bad {
            assert!(check(name, value).is_err(), "{name} {value}");
        }
    }
}
