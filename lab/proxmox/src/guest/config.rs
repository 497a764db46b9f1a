//! A guest's configuration: how values are normalised when written, and shown when read.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{Kind, digest};
use crate::Proxmox;
use crate::error::{Answer, ApiError};
use crate::guest::drive;
use crate::routes::Call;
use crate::schema::spec::Kind as Type;
use crate::state::{State, Vm};

/// What is shown in place of a password.
const HIDDEN: &str = "**********";

impl Proxmox {
    /// The value as the configuration file keeps it. Drives are normalised when their volumes are made.
    pub(crate) fn normalized(
        &self,
        state: &mut State,
        kind: Kind,
        key: &str,
        value: &str,
    ) -> Result<String, ApiError> {
        let stem = crate::schema::numbered(key).map_or(key, |(stem, _)| stem);
        Ok(match (key, stem) {
            ("tags", _) => tags(value),
            // Comments in front of the file: a VM's lose the white space at their end, a container's lines are all ended.
            ("description", _) if kind == Kind::Qemu => value.trim_end().to_owned(),
            ("description", _) => value.lines().map(|line| format!("{line}\n")).collect(),
            ("cipassword", _) => hashed_password(state, value),
            ("vmgenid", _) if value == "1" => state.uuid(),
            ("cpuunits", _) => value
                .parse::<u64>()
                .map_or(value.into(), |n| n.clamp(1, 10_000).to_string()),
            ("smbios1", _) => self.with(kind, key, value, "uuid", |keys| keys.uuid(), state)?,
            ("nameserver" | "searchdomain", _) if kind == Kind::Lxc => {
                let items: Vec<&str> = crate::schema::format::list(value).collect();
                items.join(" ")
            }
            (_, "net") => self.net(kind, key, value, state)?,
            _ => value.to_owned(),
        })
    }

    /// A network device, with a MAC address; a container's also with its type.
    fn net(
        &self,
        kind: Kind,
        key: &str,
        value: &str,
        state: &mut State,
    ) -> Result<String, ApiError> {
        let value = self.with(kind, key, value, kind.mac_key(), State::mac, state)?;
        let mut net = self.properties(kind, key, &value)?;
        // PVE keeps MAC addresses in upper case.
        if let Some(mac) = net.get(kind.mac_key()).map(str::to_ascii_uppercase) {
            net.set(kind.mac_key(), mac);
        }
        if kind == Kind::Lxc {
            net.set("type", "veth");
        }
        Ok(self.print(kind, key, &net))
    }

    /// A property string with a key that PVE makes up when it is missing.
    fn with(
        &self,
        kind: Kind,
        key: &str,
        value: &str,
        missing: &str,
        make: impl Fn(&mut State) -> String,
        state: &mut State,
    ) -> Result<String, ApiError> {
        let mut parsed = self.properties(kind, key, value)?;
        if parsed.get(missing).is_none() {
            parsed.set(missing, make(state));
        }
        Ok(self.print(kind, key, &parsed))
    }

    /// A value as JSON: numbers and switches by their type, all else as text.
    fn shown(&self, kind: Kind, key: &str, value: &str) -> Value {
        let type_ = self.option(kind, key).map_or(Type::Text, |spec| spec.kind);
        match (key, type_) {
            ("cipassword", _) => HIDDEN.into(),
            // Of snapshots; the contract has them nowhere else.
            ("snaptime", _) => value.parse::<i64>().map_or(value.into(), Value::from),
            (_, Type::Integer | Type::Boolean) => {
                value.parse::<i64>().map_or(value.into(), Value::from)
            }
            _ => value.into(),
        }
    }

    /// A section of a configuration file as JSON.
    pub(crate) fn section(
        &self,
        kind: Kind,
        config: &BTreeMap<String, String>,
    ) -> Map<String, Value> {
        config
            .iter()
            .map(|(k, v)| (k.clone(), self.shown(kind, k, v)))
            .collect()
    }
}

/// Lower case, each once, in order.
fn tags(value: &str) -> String {
    let tags: BTreeSet<String> = crate::schema::format::list(value)
        .map(str::to_ascii_lowercase)
        .collect();
    tags.into_iter().collect::<Vec<_>>().join(";")
}

/// Never kept in the clear; a hash that comes is kept.
pub(crate) fn hashed_password(state: &mut State, value: &str) -> String {
    if value.starts_with('$') {
        return value.to_owned();
    }
    let salt = STANDARD_NO_PAD.encode(state.bytes());
    let mut hasher = Sha256::new();
    hasher.update(&salt);
    hasher.update(value);
    format!("$5${salt}${}", STANDARD_NO_PAD.encode(hasher.finalize()))
}

/// `GET …/config`: with what is pending as if it were applied, unless `current` is asked for.
pub(crate) fn read(px: &Proxmox, call: &Call) -> Answer {
    let state = px.state();
    let vm = call.guest(&state)?;
    let config = match (call.params.get("snapshot"), call.params.is_on("current")) {
        (Some(_), true) => {
            let text = "cannot use 'snapshot' parameter with 'current'".to_owned();
            let both = ["snapshot", "current"].map(|name| (name.to_owned(), text.clone()));
            return Err(ApiError::parameters(both.into()));
        }
        (Some(name), false) => vm.snapshot(name).map_err(ApiError::failure)?.clone(),
        (None, true) => vm.config.clone(),
        (None, false) => vm.merged(),
    };
    let mut shown = px.section(vm.kind, &config);
    if !vm.raw.is_empty() {
        shown.insert("lxc".into(), json!(vm.raw));
    }
    shown.insert("digest".into(), digest(vm).into());
    Ok(Value::Object(shown))
}

/// `GET …/pending`
pub(crate) fn pending(px: &Proxmox, call: &Call) -> Answer {
    let state = px.state();
    let vm = call.guest(&state)?;
    let keys: BTreeSet<&String> = vm.config.keys().chain(vm.pending.keys()).collect();
    let rows = keys.into_iter().map(|key| {
        let mut row = Map::from_iter([("key".to_owned(), json!(key))]);
        if let Some(value) = vm.config.get(key) {
            row.insert("value".into(), px.shown(vm.kind, key, value));
        }
        match vm.pending.get(key) {
            Some(Some(value)) => drop(row.insert("pending".into(), px.shown(vm.kind, key, value))),
            Some(None) => drop(row.insert("delete".into(), 1.into())),
            None => {}
        }
        Value::Object(row)
    });
    let digest = json!({ "key": "digest", "value": digest(vm) });
    Ok(rows.chain([digest]).collect())
}

/// Keeps a volume that no drive uses any more as the next `unusedN`.
pub(crate) fn keep_unused(vm: &mut Vm, volid: &str) -> Result<(), String> {
    let held = vm.config.iter().filter(|(key, _)| drive::is_unused(key));
    if held.into_iter().any(|(_, value)| value == volid) {
        return Ok(());
    }
    let free = (0..256)
        .map(|n| format!("unused{n}"))
        .find(|key| !vm.config.contains_key(key));
    let key = free.ok_or("Too many unused volumes - please delete them first.")?;
    vm.config.insert(key, volid.to_owned());
    Ok(())
}
