//! A VM's configuration: how values are normalised when written, and shown when read.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{check_lock, digest};
use crate::Proxmox;
use crate::error::{Answer, ApiError};
use crate::qemu::drive;
use crate::routes::Call;
use crate::schema::check::check_properties;
use crate::schema::spec::Kind;
use crate::state::{State, Vm};

/// What is shown in place of a password.
const HIDDEN: &str = "**********";

impl Proxmox {
    /// The value as the configuration file keeps it. Drives are normalised when their volumes are made.
    pub(crate) fn normalized(
        &self,
        state: &mut State,
        key: &str,
        value: &str,
    ) -> Result<String, ApiError> {
        let stem = crate::schema::numbered(key).map_or(key, |(stem, _)| stem);
        Ok(match (key, stem) {
            ("tags", _) => tags(value),
            ("description", _) if !value.is_empty() && !value.ends_with('\n') => {
                format!("{value}\n")
            }
            ("cipassword", _) => hashed_password(state, value),
            ("vmgenid", _) if value == "1" => state.uuid(),
            ("cpuunits", _) => value
                .parse::<u64>()
                .map_or(value.into(), |n| n.clamp(1, 10_000).to_string()),
            ("smbios1", _) => self.with(key, value, "uuid", |keys| keys.uuid(), state)?,
            (_, "net") => self.with(key, value, "macaddr", State::mac, state)?,
            _ => value.to_owned(),
        })
    }

    /// A property string with a key that PVE makes up when it is missing.
    fn with(
        &self,
        key: &str,
        value: &str,
        missing: &str,
        make: impl Fn(&mut State) -> String,
        state: &mut State,
    ) -> Result<String, ApiError> {
        let keys = self.config_option(key).and_then(|spec| spec.properties());
        let keys = keys.ok_or_else(|| ApiError::parameter(key, "unable to parse value"))?;
        let parsed = check_properties(keys, value);
        let mut parsed =
            parsed.map_err(|text| ApiError::parameter(key, format!("invalid format - {text}")))?;
        if parsed.get(missing).is_none() {
            parsed.set(missing, make(state));
        }
        Ok(parsed.print(keys))
    }

    /// A value as JSON: numbers and switches by their type, all else as text.
    fn shown(&self, key: &str, value: &str) -> Value {
        let kind = self.config_option(key).map_or(Kind::Text, |spec| spec.kind);
        match (key, kind) {
            ("cipassword", _) => HIDDEN.into(),
            (_, Kind::Integer | Kind::Boolean) => {
                value.parse::<i64>().map_or(value.into(), Value::from)
            }
            _ => value.into(),
        }
    }

    /// Every device of a boot order must be there.
    pub(crate) fn check_boot_order(
        &self,
        config: &BTreeMap<String, String>,
    ) -> Result<(), ApiError> {
        for device in boot_order(config) {
            let bootable = drive::is_drive(&device)
                || ["net", "usb", "hostpci"]
                    .iter()
                    .any(|stem| device.starts_with(stem));
            if !bootable || !config.contains_key(&device) {
                let text = format!("invalid bootorder: device '{device}' does not exist'");
                return Err(ApiError::parameter("boot", text));
            }
        }
        Ok(())
    }

    /// What boots when nobody says: the first disk, the first CD, the first network card.
    pub(crate) fn default_boot(&self, config: &BTreeMap<String, String>) -> Option<String> {
        let drives: Vec<drive::Drive> = self.drives(config).collect();
        let storage = |d: &&drive::Drive| d.key != "efidisk0" && d.key != "tpmstate0";
        let disk = drives
            .iter()
            .filter(storage)
            .find(|d| !d.is_cdrom() && !d.is_cloudinit())
            .map(|d| d.key.clone());
        let cd = drives
            .iter()
            .filter(storage)
            .find(|d| d.is_cdrom() && !d.is_cloudinit())
            .map(|d| d.key.clone());
        let net = (0..32)
            .map(|n| format!("net{n}"))
            .find(|key| config.contains_key(key));
        let devices: Vec<String> = disk.into_iter().chain(cd).chain(net).collect();
        (!devices.is_empty()).then(|| format!("order={}", devices.join(";")))
    }

    /// The drives of a configuration, in PVE's order.
    pub(crate) fn drives<'a>(
        &'a self,
        config: &'a BTreeMap<String, String>,
    ) -> impl Iterator<Item = drive::Drive> + 'a {
        drive::keys().filter_map(|key| self.drive(&key, config.get(&key)?).ok())
    }
}

/// The devices of `boot: order=…`.
pub(crate) fn boot_order(config: &BTreeMap<String, String>) -> Vec<String> {
    let order = config.get("boot").and_then(|boot| {
        boot.split(',')
            .find_map(|p| p.trim().strip_prefix("order="))
    });
    order
        .into_iter()
        .flat_map(|o| o.split(';'))
        .filter(|d| !d.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Lower case, each once, in order.
fn tags(value: &str) -> String {
    let tags: BTreeSet<String> = crate::schema::format::list(value)
        .map(str::to_ascii_lowercase)
        .collect();
    tags.into_iter().collect::<Vec<_>>().join(";")
}

/// Never kept in the clear; a hash that comes is kept.
fn hashed_password(state: &mut State, value: &str) -> String {
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
    let vm = state
        .vm(call.node(), call.vmid())
        .map_err(ApiError::failure)?;
    if let Some(snapshot) = call.params.get("snapshot") {
        return Err(ApiError::failure(format!(
            "snapshot '{snapshot}' does not exist"
        )));
    }
    let config = if call.params.is_on("current") {
        vm.config.clone()
    } else {
        vm.merged()
    };
    let mut shown: Map<String, Value> = config
        .iter()
        .map(|(k, v)| (k.clone(), px.shown(k, v)))
        .collect();
    shown.insert("digest".into(), digest(vm).into());
    Ok(Value::Object(shown))
}

/// `GET …/pending`
pub(crate) fn pending(px: &Proxmox, call: &Call) -> Answer {
    let state = px.state();
    let vm = state
        .vm(call.node(), call.vmid())
        .map_err(ApiError::failure)?;
    let keys: BTreeSet<&String> = vm.config.keys().chain(vm.pending.keys()).collect();
    let rows = keys.into_iter().map(|key| {
        let mut row = json!({ "key": key });
        if let Some(row) = row.as_object_mut() {
            if let Some(value) = vm.config.get(key) {
                row.insert("value".into(), px.shown(key, value));
            }
            match vm.pending.get(key) {
                Some(Some(value)) => drop(row.insert("pending".into(), px.shown(key, value))),
                Some(None) => drop(row.insert("delete".into(), 1.into())),
                None => {}
            }
        }
        row
    });
    let digest = json!({ "key": "digest", "value": digest(vm) });
    Ok(rows.chain([digest]).collect())
}

/// A VM that may be changed now.
pub(crate) fn changeable<'a>(state: &'a State, call: &Call) -> Result<&'a Vm, ApiError> {
    let vm = state
        .vm(call.node(), call.vmid())
        .map_err(ApiError::failure)?;
    super::check_digest(vm, call)?;
    check_lock(vm, call)?;
    Ok(vm)
}
