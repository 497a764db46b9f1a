//! Cloud-init: the drive's content, made from the configuration.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};
use stead_lab_core::machine::{CloudInit, IpConfig};

use crate::Proxmox;
use crate::error::{Answer, ApiError};
use crate::guest::Kind;
use crate::http::percent_decoded;
use crate::routes::Call;
use crate::schema::format::cidr;
use crate::schema::property::plain;
use crate::state::{State, Vm};

const OPTIONS: &[&str] = &[
    "ciuser",
    "cipassword",
    "sshkeys",
    "nameserver",
    "searchdomain",
    "ciupgrade",
    "cicustom",
    "name",
];

/// What a guest reads from its cloud-init drive; `None` without such a drive.
pub(crate) fn of(px: &Proxmox, state: &State, vm: &Vm) -> Result<Option<CloudInit>, String> {
    if !px
        .drives(Kind::Qemu, &vm.config)
        .any(|drive| drive.is_cloudinit())
    {
        return Ok(None);
    }
    let mut ip_config = BTreeMap::new();
    for n in 0..32 {
        if let Some(value) = vm.config.get(&format!("ipconfig{n}")) {
            ip_config.insert(n, parse_ip(value));
        }
    }
    let nameservers = vm
        .config
        .get("nameserver")
        .map(|v| crate::schema::format::list(v).map(str::to_owned).collect());
    Ok(Some(CloudInit {
        ip_config,
        nameservers: nameservers.unwrap_or_default(),
        user_data: Some(user_data(state, vm)?),
        hostname: vm.config.get("name").cloned(),
    }))
}

/// IPv4 first; IPv6 when that is all there is.
fn parse_ip(value: &str) -> IpConfig {
    let field = |name: &str| plain(value, name);
    let (address, gateway) = match field("ip") {
        Some(ip) => (ip, field("gw")),
        None => (field("ip6").unwrap_or("dhcp"), field("gw6")),
    };
    IpConfig {
        address: cidr(address),
        gateway: gateway.and_then(|g| g.parse().ok()),
    }
}

/// The user's own file, or what PVE makes of the options.
fn user_data(state: &State, vm: &Vm) -> Result<String, String> {
    let custom = vm.config.get("cicustom").and_then(|v| plain(v, "user"));
    if let Some(volid) = custom {
        let volume = state
            .volume(&vm.node, volid)
            .ok_or_else(|| format!("volume '{volid}' does not exist"))?;
        return volume
            .text
            .clone()
            .ok_or_else(|| format!("volume '{volid}' is not a snippet"));
    }
    let mut text = String::from("#cloud-config\n");
    if let Some(name) = vm.config.get("name") {
        text += &format!("hostname: {name}\nmanage_etc_hosts: true\nfqdn: {name}\n");
    }
    if let Some(user) = vm.config.get("ciuser") {
        text += &format!("user: {user}\n");
    }
    if let Some(password) = vm.config.get("cipassword") {
        text += &format!("password: {password}\n");
    }
    if let Some(keys) = vm.config.get("sshkeys") {
        text += &authorized(&percent_decoded(keys));
    }
    text += "chpasswd:\n  expire: False\nusers:\n  - default\n";
    if vm.config.get("ciupgrade").is_none_or(|v| v == "1") {
        text += "package_upgrade: true\n";
    }
    Ok(text)
}

/// The SSH keys that may log in, one a line.
pub(crate) fn authorized(keys: &str) -> String {
    let keys = keys.lines().map(str::trim).filter(|key| !key.is_empty());
    let lines: String = keys.map(|key| format!("  - {key}\n")).collect();
    format!("ssh_authorized_keys:\n{lines}")
}

/// `GET …/cloudinit`: options, current and pending (the drive is always made anew at start, so nothing waits).
pub(crate) fn pending(state: &State, call: &Call) -> Answer {
    let vm = call.guest(state)?;
    let set = vm
        .config
        .iter()
        .filter(|(key, _)| OPTIONS.contains(&key.as_str()) || key.starts_with("ipconfig"));
    let rows = set.map(|(key, value)| {
        let shown = if key == "cipassword" {
            "**********"
        } else {
            value
        };
        json!({ "key": key, "value": shown })
    });
    Ok(rows.collect())
}

/// `PUT …/cloudinit`: makes the drive anew.
pub(crate) fn regenerate(state: &State, call: &Call) -> Answer {
    call.changeable(state)?;
    Ok(Value::Null)
}

/// `GET …/cloudinit/dump`
pub(crate) fn dump(px: &Proxmox, call: &Call) -> Answer {
    let state = px.state();
    let vm = call.guest(&state)?;
    let text = match call.params.text("type") {
        "user" => user_data(&state, vm)?,
        "network" => network(px, vm),
        "meta" => {
            let parts = [user_data(&state, vm)?, network(px, vm)].concat();
            let id: String = Sha1::digest(parts)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            format!("instance-id: {id}\n")
        }
        other => {
            return Err(ApiError::parameter(
                "type",
                format!("unknown type '{other}'"),
            ));
        }
    };
    Ok(Value::String(text))
}

/// The network configuration in the first version of cloud-init's format.
fn network(px: &Proxmox, vm: &Vm) -> String {
    let mut text = String::from("version: 1\nconfig:\n");
    for n in 0..32 {
        let (key, ip_key) = (format!("net{n}"), format!("ipconfig{n}"));
        let (Some(net), Some(ip)) = (vm.config.get(&key), vm.config.get(&ip_key)) else {
            continue;
        };
        let mac = px.properties(Kind::Qemu, &key, net).ok();
        let mac = mac.and_then(|net| net.get("macaddr").map(str::to_ascii_lowercase));
        let mac = mac.unwrap_or_default();
        text += &format!(
            "    - type: physical\n      name: eth{n}\n      mac_address: '{mac}'\n      subnets:\n"
        );
        for (family, gateway, number) in [("ip", "gw", 4), ("ip6", "gw6", 6)] {
            text += &subnet(ip, family, gateway, number);
        }
    }
    let list = |key: &str| {
        let items = vm.config.get(key).map(String::as_str).unwrap_or_default();
        let lines = crate::schema::format::list(items).map(|item| format!("      - '{item}'\n"));
        lines.collect::<String>()
    };
    let (servers, domains) = (list("nameserver"), list("searchdomain"));
    if !servers.is_empty() || !domains.is_empty() {
        text +=
            &format!("    - type: nameserver\n      address:\n{servers}      search:\n{domains}");
    }
    text
}

/// One family's address of a device; nothing when it has none.
fn subnet(value: &str, family: &str, gateway: &str, number: u8) -> String {
    let field = |name: &str| plain(value, name);
    match (field(family), number) {
        (None, _) => String::new(),
        (Some("dhcp"), _) => format!("      - type: dhcp{number}\n"),
        (Some("auto"), _) => "      - type: ipv6_slaac\n".to_owned(),
        (Some(address), _) => {
            let mut text = match (cidr(address), number) {
                (Some((ip, prefix)), 4) => format!(
                    "      - type: static\n        address: '{ip}'\n        netmask: '{}'\n",
                    netmask(prefix)
                ),
                _ => format!("      - type: static6\n        address: '{address}'\n"),
            };
            if let Some(gateway) = field(gateway) {
                text += &format!("        gateway: '{gateway}'\n");
            }
            text
        }
    }
}

fn netmask(prefix: u8) -> Ipv4Addr {
    let host = 32_u32.saturating_sub(u32::from(prefix));
    Ipv4Addr::from(u32::MAX.checked_shl(host).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_an_address_of_each_family() {
        assert_eq!(netmask(24), Ipv4Addr::new(255, 255, 255, 0));
        assert_eq!(netmask(0), Ipv4Addr::UNSPECIFIED);
        let text = subnet("ip=10.0.0.2/16,gw=10.0.0.1", "ip", "gw", 4);
        assert!(text.contains("netmask: '255.255.0.0'") && text.contains("gateway: '10.0.0.1'"));
        assert_eq!(subnet("ip=dhcp", "ip", "gw", 4), "      - type: dhcp4\n");
        assert_eq!(subnet("ip=dhcp", "ip6", "gw6", 6), "");
    }
}
