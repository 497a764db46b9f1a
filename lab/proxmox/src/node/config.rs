//! `/etc/pve/nodes/NAME/config`: a node's description, ACME domains, wake-on-LAN.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::Proxmox;
use crate::error::{Answer, ApiError};
use crate::routes::Call;
use crate::schema::property::Properties;
use crate::sections::{assert_digest, hex_digest, typed};
use crate::state::State;

const PATH: &str = "/nodes/{node}/config";

fn digest(config: &BTreeMap<String, String>) -> String {
    let lines: String = config
        .iter()
        .map(|(name, value)| format!("{name}: {value}\n"))
        .collect();
    hex_digest(&lines)
}

/// `GET /nodes/{node}/config`; with `property`, that one only.
pub(crate) fn read(px: &Proxmox, call: &Call) -> Answer {
    let state = px.state();
    let config = &state.host(call.node())?.config;
    let wanted = |name: &str| call.params.get("property").is_none_or(|one| one == name);
    let shown = config
        .iter()
        .filter(|(name, _)| wanted(name))
        .map(|(name, value)| {
            let spec = px.api.option("PUT", PATH, name);
            (name.clone(), typed(spec, std::slice::from_ref(value)))
        });
    let mut shown: Map<String, Value> = shown.collect();
    if !call.params.has("property") && !config.is_empty() {
        shown.insert("digest".into(), digest(config).into());
    }
    Ok(Value::Object(shown))
}

/// `PUT /nodes/{node}/config`
pub(crate) fn update(px: &Proxmox, call: &Call) -> Answer {
    let (params, mut state) = (&call.params, px.state());
    let config = &state.host(call.node())?.config;
    assert_digest(&digest(config), params)?;
    let mut changed = config.clone();
    for (name, value) in params
        .iter()
        .filter(|(name, _)| !matches!(*name, "node" | "digest" | "delete"))
    {
        // A description is a comment, of which each line is written.
        let value = match (name, value.is_empty()) {
            ("description", false) => value.lines().map(|line| format!("{line}\n")).collect(),
            _ => value.to_owned(),
        };
        changed.insert(name.to_owned(), value);
    }
    for name in params.list("delete") {
        changed.remove(&name);
    }
    changed.retain(|_, value| !value.is_empty());
    let domains = px.acme_domains(&state, &changed)?;
    drop(domains);
    state.host_mut(call.node())?.config = changed;
    Ok(Value::Null)
}

impl Proxmox {
    /// The domains of a node's certificate, each named once, by plugins that exist.
    pub(super) fn acme_domains(
        &self,
        state: &State,
        config: &BTreeMap<String, String>,
    ) -> Result<BTreeSet<String>, ApiError> {
        let mut domains = BTreeSet::new();
        let refused = |text: String| Err(ApiError::failure(text));
        for key in ["acme".to_owned()]
            .into_iter()
            .chain((0..=5).map(|n| format!("acmedomain{n}")))
        {
            let keys = self
                .api
                .option("PUT", PATH, &key)
                .and_then(|spec| spec.properties());
            let (Some(text), Some(keys)) = (config.get(&key), keys) else {
                continue;
            };
            let parsed = Properties::parse(keys, text).map_err(ApiError::failure)?;
            if let Some(plugin) = parsed
                .get("plugin")
                .filter(|plugin| *plugin != "standalone")
                && state.section("priv/acme/plugins.cfg", plugin).is_none()
            {
                let domain = parsed.get("domain").unwrap_or_default();
                return refused(format!(
                    "plugin '{plugin}' for domain '{domain}' not found!"
                ));
            }
            let named = parsed
                .get("domain")
                .or_else(|| parsed.get("domains"))
                .unwrap_or_default();
            for domain in named.split(';').filter(|domain| !domain.is_empty()) {
                if !domains.insert(domain.to_ascii_lowercase()) {
                    return refused(format!(
                        "duplicate domain '{domain}' in ACME config properties '{key}'"
                    ));
                }
            }
        }
        Ok(domains)
    }
}
