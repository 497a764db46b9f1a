//! The cluster's options (datacenter.cfg), and what follows from them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::Proxmox;
use crate::access::Caller;
use crate::error::{Answer, ApiError};
use crate::routes::{Call, Routes};
use crate::schema::format;
use crate::schema::property::{Properties, plain};
use crate::schema::spec::{Kind, Spec};
use crate::state::State;

const PATH: &str = "/cluster/options";

/// The vendor's prefix, for who sets none.
const MAC_PREFIX: &str = "BC:24:11";

/// Options with structure that are shown as they are written.
const AS_WRITTEN: &[&str] = &["bwlimit", "location"];

pub(super) fn routes(at: &mut Routes<'_>) {
    at.get(PATH, read);
    at.put(PATH, update);
}

/// As the installer leaves them.
pub(crate) fn installed() -> BTreeMap<String, String> {
    BTreeMap::from([("keyboard".to_owned(), "en-us".to_owned())])
}

/// `GET /cluster/options`: all for auditors, what the user interface needs for others.
fn read(px: &Proxmox, call: &Call) -> Answer {
    let state = px.state();
    let mut row = Map::new();
    for (name, text) in &state.datacenter {
        row.insert(
            name.clone(),
            shown(px.api.option("PUT", PATH, name), name, text),
        );
    }
    let texts = [("mac_prefix", MAC_PREFIX), ("description", "")];
    for (name, text) in texts {
        row.entry(name).or_insert_with(|| text.into());
    }
    if !state.may(&call.caller, "/", "Sys.Audit") {
        row.retain(|name, _| ["console", "tag-style"].contains(&name.as_str()));
    }
    let tags = allowed_tags(&state, &call.caller);
    row.insert("allowed-tags".into(), json!(tags));
    Ok(Value::Object(row))
}

fn shown(spec: Option<&Spec>, name: &str, text: &str) -> Value {
    let list = |text: &str| text.split(';').map(Value::from).collect::<Value>();
    if name == "registered-tags" {
        return list(text);
    }
    let keys = spec
        .and_then(Spec::properties)
        .filter(|_| !AS_WRITTEN.contains(&name));
    if let Some(keys) = keys {
        let parsed = Properties::parse(keys, text).unwrap_or_default();
        let pairs = parsed.iter().map(|(key, value)| {
            let boolean = keys.get(key).is_some_and(|spec| spec.kind == Kind::Boolean);
            let value = match key {
                "user-allow-list" => list(value),
                _ if boolean => u8::from(value == "1").into(),
                _ => value.into(),
            };
            (key.to_owned(), value)
        });
        return Value::Object(pairs.collect());
    }
    match spec.map(|spec| spec.kind) {
        Some(Kind::Boolean) => u8::from(text == "1").into(),
        _ => text.into(),
    }
}

/// `PUT /cluster/options`
fn update(px: &Proxmox, call: &Call) -> Answer {
    let mut state = px.state();
    let mut options = state.datacenter.clone();
    for (name, text) in call.params.iter().filter(|(name, _)| *name != "delete") {
        options.insert(name.to_owned(), text.to_owned());
    }
    for name in call.params.list("delete") {
        options.remove(&name);
    }
    normalize(px, &mut options)?;
    state.datacenter = options;
    Ok(Value::Null)
}

/// What PVE changes as it writes the file.
fn normalize(px: &Proxmox, options: &mut BTreeMap<String, String>) -> Result<(), ApiError> {
    if let Some(unsafely) = options.remove("migration_unsecure")
        && !options.contains_key("migration")
    {
        let kind = if unsafely == "1" {
            "insecure"
        } else {
            "secure"
        };
        options.insert("migration".into(), kind.into());
    }
    if options.get("console").is_some_and(|c| c == "applet") {
        options.insert("console".into(), "html5".into());
    }
    if let Some(range) = options.get("next-id") {
        let (lower, upper) = bounds(range);
        if lower > upper {
            let text = format!("lower ({lower}) <= upper ({upper}) boundary rule broken");
            return Err(ApiError::failure(text));
        }
    }
    options.retain(|name, text| {
        let default = name == "mac_prefix" && text.eq_ignore_ascii_case(MAC_PREFIX);
        !text.is_empty() && !default
    });
    for (name, text) in options.iter_mut() {
        if let Some(keys) = px.api.option("PUT", PATH, name).and_then(Spec::properties) {
            let mut parsed = Properties::parse(keys, text).map_err(ApiError::failure)?;
            if let Some(tags) = parsed.get("user-allow-list") {
                let sorted = sorted(tags);
                parsed.set("user-allow-list", sorted);
            }
            *text = parsed.print(keys);
        }
        if name == "registered-tags" {
            *text = sorted(text);
        }
    }
    Ok(())
}

fn sorted(tags: &str) -> String {
    let mut tags: Vec<&str> = tags.split(';').collect();
    tags.sort_unstable();
    tags.join(";")
}

fn bounds(range: &str) -> (u32, u32) {
    let number = |key| plain(range, key).and_then(|text| text.parse().ok());
    (
        number("lower").unwrap_or(100),
        number("upper").unwrap_or(1_000_000),
    )
}

/// The tags that someone may set and see.
fn allowed_tags(state: &State, caller: &Caller) -> BTreeSet<String> {
    let privileged = state.may(caller, "/", "Sys.Modify");
    let option = |name: &str| state.datacenter.get(name).map(String::as_str);
    let access = option("user-tag-access").unwrap_or_default();
    let allow = plain(access, "user-allow").unwrap_or("free");
    let split = |text: &str| text.split(';').map(str::to_owned).collect::<Vec<_>>();
    let registered = option("registered-tags").map(split).unwrap_or_default();
    let mut tags = BTreeSet::new();
    if allow != "none" || privileged {
        tags.extend(
            plain(access, "user-allow-list")
                .map(split)
                .unwrap_or_default(),
        );
    }
    if matches!(allow, "free" | "existing") || privileged {
        let seen = state.vms.iter().filter(|(vmid, _)| {
            privileged || state.may(caller, &format!("/vms/{vmid}"), "VM.Audit")
        });
        let of_guests = seen.filter_map(|(_, vm)| vm.config.get("tags"));
        tags.extend(of_guests.flat_map(|text| format::list(text).map(str::to_owned)));
    }
    if privileged {
        tags.extend(registered);
    } else {
        tags.retain(|tag| !registered.contains(tag));
    }
    tags
}

impl State {
    /// The beginning of new MAC addresses.
    pub(crate) fn mac_prefix(&self) -> &str {
        let set = self.datacenter.get("mac_prefix");
        set.map_or(MAC_PREFIX, String::as_str)
    }

    /// From where to where free VM ids are looked for.
    pub(super) fn next_id_bounds(&self) -> (u32, u32) {
        let range = self.datacenter.get("next-id");
        bounds(range.map(String::as_str).unwrap_or_default())
    }
}
