//! `/etc/resolv.conf` and `/etc/hosts` of a node.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::{Value, json};

use crate::error::{Answer, ApiError};
use crate::routes::Call;
use crate::schema::format::matches;
use crate::sections::{assert_digest, hex_digest};
use crate::state::State;

/// `GET /nodes/{node}/dns`
pub(crate) fn dns(state: &State, call: &Call) -> Answer {
    Ok(json!(state.host(call.node())?.resolver))
}

/// `PUT /nodes/{node}/dns`: the whole of it; servers move up to the first free place.
pub(crate) fn set_dns(state: &mut State, call: &Call) -> Answer {
    let params = &call.params;
    let mut written = BTreeMap::new();
    if let Some(search) = params.get("search").filter(|text| !text.is_empty()) {
        written.insert("search".to_owned(), search.to_owned());
    }
    let given = ["dns1", "dns2", "dns3"]
        .into_iter()
        .filter_map(|name| params.get(name));
    let mut seen = BTreeSet::new();
    let servers = given.filter(|server| *server != "0.0.0.0" && seen.insert(*server));
    for (place, server) in (1..).zip(servers) {
        written.insert(format!("dns{place}"), server.to_owned());
    }
    state.host_mut(call.node())?.resolver = written;
    Ok(Value::Null)
}

/// `GET /nodes/{node}/hosts`
pub(crate) fn hosts(state: &State, call: &Call) -> Answer {
    let text = &state.host(call.node())?.hosts;
    Ok(json!({ "data": text, "digest": hex_digest(text) }))
}

/// `POST /nodes/{node}/hosts`
pub(crate) fn set_hosts(state: &mut State, call: &Call) -> Answer {
    let (params, host) = (&call.params, state.host_mut(call.node())?);
    assert_digest(&hex_digest(&host.hosts), params)?;
    let text = params.text("data");
    for line in text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let mut words = line.split_whitespace();
        let address = words.next().unwrap_or_default();
        if address.parse::<IpAddr>().is_err() {
            return Err(ApiError::parameter(
                "data",
                format!("Invalid IP '{address}'"),
            ));
        }
        if let Some(name) = words.find(|name| matches(r"[.\-a-zA-Z0-9]+", name) != Ok(true)) {
            return Err(ApiError::parameter(
                "data",
                format!("Invalid Hostname '{name}'"),
            ));
        }
    }
    text.clone_into(&mut host.hosts);
    Ok(Value::Null)
}
