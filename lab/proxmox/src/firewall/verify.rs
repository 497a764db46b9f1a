//! Whether a rule makes sense where it stands.

use std::net::IpAddr;

use super::names::{ICMP_TYPES, ICMP6_TYPES, PROTOCOLS, WITH_PORTS, find_macro, is_service};
use super::{Entry, Place};
use crate::error::ApiError;
use crate::schema::format::{check, cidr, matches};
use crate::state::State;

/// A parameter and what is wrong with it.
type Refusal = (&'static str, String);
type Verdict = Result<(), Refusal>;

/// Checks a rule; notes of which IP version it is.
pub(super) fn rule(state: &State, rule: &mut Entry, place: &Place) -> Result<(), ApiError> {
    verdict(state, rule, place).map_err(|(name, text)| ApiError::parameter(name, text))
}

fn refuse<T>(name: &'static str, text: impl Into<String>) -> Result<T, Refusal> {
    Err((name, text.into()))
}

fn verdict(state: &State, rule: &mut Entry, place: &Place) -> Verdict {
    kind(rule, place)?;
    interface(rule, place)?;
    if let Some(name) = rule.get("macro").cloned() {
        let Some((known, _)) = find_macro(&name) else {
            return refuse("macro", format!("unknown macro '{name}'"));
        };
        rule.insert("macro".into(), known.into());
    }
    let mut version = protocol(rule)?;
    ports(rule)?;
    for name in ["source", "dest"] {
        if let Some(text) = rule.get(name) {
            let found = addresses(state, place, text).map_err(|text| (name, text))?;
            version = match (version, found) {
                (Some(a), Some(b)) if a != b => {
                    return refuse(name, "detected mixed ipv4/ipv6 addresses in rule");
                }
                (known, new) => known.or(new),
            };
        }
    }
    rule.remove("ipversion");
    if let Some(version) = version {
        rule.insert("ipversion".into(), version.to_string());
    }
    expansion(rule, version)
}

fn kind(rule: &Entry, place: &Place) -> Verdict {
    let text = |name: &str| rule.get(name).map(String::as_str).unwrap_or_default();
    let (kind, action) = (text("type"), text("action"));
    for (name, value) in [("type", kind), ("action", action)] {
        if value.is_empty() {
            return refuse(name, "missing property");
        }
    }
    let kinds: &[&str] = match place {
        Place::Vm(_) | Place::Container(_) => &["in", "out", "group"],
        Place::Group(_) => &["in", "out", "forward"],
        Place::Cluster | Place::Node(_) => &["in", "out", "forward", "group"],
        Place::Vnet(_) => &["forward", "group"],
    };
    if !kinds.contains(&kind) {
        let environment = place.environment();
        return refuse(
            "type",
            format!("invalid rule type '{kind}' for rule_env '{environment}'"),
        );
    }
    match (kind, action) {
        ("group", name) if matches("[A-Za-z][A-Za-z0-9_-]+", name) == Ok(true) => Ok(()),
        ("group", _) => refuse("action", "invalid characters in security group name"),
        ("forward", "REJECT") => refuse("action", "cannot define REJECT rules on forward chain"),
        (_, "ACCEPT" | "DROP" | "REJECT") => Ok(()),
        (_, other) => refuse("action", format!("unknown action '{other}'")),
    }
}

fn interface(rule: &Entry, place: &Place) -> Verdict {
    let Some(name) = rule.get("iface") else {
        return Ok(());
    };
    match place {
        Place::Group(_) | Place::Vnet(_) => {
            refuse("type", "parameter -i not allowed for this rule type")
        }
        Place::Vm(_) | Place::Container(_) if matches("net[0-9]+", name) != Ok(true) => {
            refuse("iface", "value does not match the regex pattern 'net\\d+'")
        }
        _ => check("pve-iface", name).map_err(|text| ("iface", text.trim_end().to_owned())),
    }
}

/// Checks the protocol; some are of one IP version only.
fn protocol(rule: &Entry) -> Result<Option<u8>, Refusal> {
    let Some(name) = rule.get("proto").map(String::as_str) else {
        return Ok(None);
    };
    let numbered = name.parse::<u16>().is_ok_and(|number| number < 256);
    if !numbered && !PROTOCOLS.contains(&name) {
        return refuse("proto", format!("unknown protocol '{name}'"));
    }
    Ok(match name {
        "icmp" => Some(4),
        "icmpv6" | "ipv6-icmp" => Some(6),
        _ => None,
    })
}

fn ports(rule: &Entry) -> Verdict {
    let proto = rule.get("proto").map(String::as_str).unwrap_or_default();
    let icmp = matches!(proto, "icmp" | "icmpv6" | "ipv6-icmp");
    for (name, may_be_icmp) in [("dport", icmp), ("sport", false)] {
        let Some(text) = rule.get(name) else {
            continue;
        };
        port_list(text, may_be_icmp).map_err(|text| (name, text))?;
        if proto.is_empty() {
            return refuse(
                "proto",
                format!("missing property - '{name}' requires this property"),
            );
        }
        if !WITH_PORTS.contains(&proto) && !may_be_icmp {
            return refuse(name, format!("protocol '{proto}' does not support ports"));
        }
    }
    let Some(kind) = rule.get("icmp-type").map(String::as_str) else {
        return Ok(());
    };
    if !icmp {
        return refuse(
            "proto",
            "missing property - 'icmp-type' requires this property",
        );
    }
    if rule.contains_key("dport") {
        return refuse(
            "icmp-type",
            "'icmp-type' cannot be specified together with 'dport'",
        );
    }
    let known = if proto == "icmp" {
        ICMP_TYPES
    } else {
        ICMP6_TYPES
    };
    if known.contains(&kind) {
        Ok(())
    } else {
        refuse(
            "icmp-type",
            format!("invalid icmp-type '{kind}' for proto '{proto}'"),
        )
    }
}

fn port_list(text: &str, may_be_icmp: bool) -> Result<(), String> {
    let number = |text: &str| match text.parse::<u32>() {
        Ok(port) if port <= 65535 => Ok(port),
        _ => Err(format!("invalid port '{text}'")),
    };
    let (mut count, mut icmp) = (0, false);
    for item in text.split(',') {
        match item.split_once(':') {
            _ if item.is_empty() => return Err("extraneous commas in list".into()),
            Some((first, last)) => {
                count += 2;
                if number(first)? > number(last)? {
                    return Err(format!(
                        "backwards range '{first}:{last}' not allowed, did you mean '{last}:{first}'?"
                    ));
                }
            }
            None if item.bytes().all(|b| b.is_ascii_digit()) => {
                count += 1;
                number(item)?;
            }
            None if may_be_icmp && (ICMP_TYPES.contains(&item) || ICMP6_TYPES.contains(&item)) => {
                icmp = true;
            }
            None if is_service(item) => {}
            None => return Err(format!("invalid port '{item}'")),
        }
    }
    match (icmp && count > 0, count > 15) {
        (true, _) => Err("ICMP ports not allowed in port range".into()),
        (_, true) => Err("too many entries in port list (> 15 numbers)".into()),
        _ => Ok(()),
    }
}

/// Checks a source or destination: addresses, an alias, or `+` and the name of an IP set. Gives the IP version.
fn addresses(state: &State, place: &Place, text: &str) -> Result<Option<u8>, String> {
    let name = "[A-Za-z][A-Za-z0-9_-]+";
    if let Some(set) = text.strip_prefix('+') {
        let (scope, set) = split_scope(set);
        if matches(name, set) != Ok(true) {
            return Err(format!("invalid ipset name '{text}'"));
        }
        if state.has_set(place, scope, set) {
            return Ok(None);
        }
        return Err(format!("no such ipset '{set}'"));
    }
    let (scope, alias) = split_scope(text);
    if matches(name, alias) == Ok(true) {
        let found = state.firewall_alias(place, scope, alias);
        let found = found.ok_or_else(|| format!("no such alias '{text}'"))?;
        return Ok(found
            .get("ipversion")
            .and_then(|version| version.parse().ok()));
    }
    let (mut version, mut ranges, mut count) = (None, false, 0);
    for item in text.split(',') {
        count += 1;
        let (first, last) = item
            .split_once('-')
            .map_or((item, None), |(a, b)| (a, Some(b)));
        ranges |= last.is_some();
        let parsed = if item.is_empty() {
            return Err("extraneous commas in list".into());
        } else if last.is_none() && item.contains('/') {
            cidr(item).map(|(ip, _)| ip)
        } else {
            first.parse::<IpAddr>().ok()
        };
        let ip = parsed.filter(|_| last.is_none_or(|last| last.parse::<IpAddr>().is_ok()));
        let ip = ip.ok_or_else(|| format!("invalid IP address: {item}"))?;
        let own = if ip.is_ipv4() { 4 } else { 6 };
        if version.is_some_and(|known| known != own) {
            return Err(format!(
                "detected mixed ipv4/ipv6 addresses in address list '{text}'"
            ));
        }
        version = Some(own);
    }
    if ranges && count > 1 {
        return Err("you can't use a range in a list".into());
    }
    Ok(version)
}

/// `dc/name`, `guest/name`, `sdn/name` as scope and name.
pub(super) fn split_scope(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some((scope @ ("dc" | "guest" | "sdn"), name)) => (scope, name),
        _ => ("", text),
    }
}

/// What a macro sets cannot be set otherwise.
fn expansion(rule: &Entry, version: Option<u8>) -> Verdict {
    let Some((name, templates)) = rule.get("macro").and_then(|name| find_macro(name)) else {
        return Ok(());
    };
    // Over IPv6 a few of them stand for other rules.
    if version == Some(6) && matches!(name, "Ping" | "Trcrt") {
        return Ok(());
    }
    for template in templates.split("; ") {
        for (property, value) in ["proto", "dport", "sport"]
            .into_iter()
            .zip(template.split(' '))
        {
            if rule.get(property).is_some_and(|given| given != value) {
                return refuse(
                    property,
                    format!("parameter '{property}' already define in macro (value = '{value}')"),
                );
            }
        }
    }
    Ok(())
}
