//! Cloud-init: the drive's content, made from the configuration.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stead_lab_core::machine::{CloudInit, IpConfig};

use crate::Proxmox;
use crate::error::{Answer, ApiError};
use crate::http::percent_decoded;
use crate::routes::Call;
use crate::schema::format::cidr;
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
    if !px.drives(&vm.config).any(|drive| drive.is_cloudinit()) {
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
    let field = |name: &str| {
        value
            .split(',')
            .find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
    };
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
    let custom = vm
        .config
        .get("cicustom")
        .and_then(|v| v.split(',').find_map(|part| part.strip_prefix("user=")));
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
        text += "ssh_authorized_keys:\n";
        for key in percent_decoded(keys)
            .lines()
            .filter(|line| !line.trim().is_empty())
        {
            text += &format!("  - {}\n", key.trim());
        }
    }
    text += "chpasswd:\n  expire: False\nusers:\n  - default\n";
    if vm.config.get("ciupgrade").is_none_or(|v| v == "1") {
        text += "package_upgrade: true\n";
    }
    Ok(text)
}

/// `GET …/cloudinit`: options, current and pending (the drive is always made anew at start, so nothing waits).
pub(crate) fn pending(state: &State, call: &Call) -> Answer {
    let vm = state
        .vm(call.node(), call.vmid())
        .map_err(ApiError::failure)?;
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
    super::config::changeable(state, call)?;
    Ok(Value::Null)
}

/// `GET …/cloudinit/dump`
pub(crate) fn dump(state: &State, call: &Call) -> Answer {
    let vm = state
        .vm(call.node(), call.vmid())
        .map_err(ApiError::failure)?;
    match call.params.text("type") {
        "user" => user_data(state, vm)
            .map(Value::String)
            .map_err(ApiError::failure),
        other => Err(ApiError::new(
            501,
            format!("dump of '{other}' not implemented"),
        )),
    }
}
