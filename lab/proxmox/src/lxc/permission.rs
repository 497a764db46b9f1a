//! The privileges that single options of a container's configuration need (notes of the vendor's access checks).

use std::collections::BTreeMap;

use crate::Proxmox;
use crate::error::ApiError;
use crate::guest::Kind;
use crate::guest::drive::{File, is_drive};
use crate::qemu::permission::Change;
use crate::state::State;

/// The container as it is; a new one has no configuration yet.
pub(crate) struct Current<'a> {
    pub(crate) config: Option<&'a BTreeMap<String, String>>,
    pub(crate) unprivileged: bool,
}

const CPU: &[&str] = &["cores", "cpulimit", "cpuunits"];
const MEMORY: &[&str] = &["memory", "swap"];
const NETWORK: &[&str] = &["hostname", "nameserver", "searchdomain"];

impl Proxmox {
    /// Whether an option may be set to a value (or removed: `None`).
    pub(crate) fn may_set_in_container(
        &self,
        state: &State,
        change: &Change<'_>,
        current: &Current<'_>,
        key: &str,
        value: Option<&str>,
    ) -> Result<(), ApiError> {
        if change.caller.is_root() {
            return Ok(());
        }
        let need = |privilege: &str| change.need(state, &[privilege]);
        let only_root = |what: &str| {
            Err(ApiError::permission(&format!(
                "{what} is only allowed for root@pam"
            )))
        };
        let stem = crate::schema::numbered(key).map_or(key, |(stem, _)| stem);
        match key {
            _ if CPU.contains(&key) => need("VM.Config.CPU"),
            _ if MEMORY.contains(&key) => need("VM.Config.Memory"),
            _ if NETWORK.contains(&key) => need("VM.Config.Network"),
            _ if is_drive(Kind::Lxc, key) => self.may_mount(state, change, key, value),
            _ if stem == "net" => {
                need("VM.Config.Network")?;
                let held = current.config.and_then(|c| c.get(key)).map(String::as_str);
                held.into_iter()
                    .chain(value)
                    .try_for_each(|net| state.may_use_net(change.caller, net))
            }
            _ if stem == "dev" => only_root("configuring device passthrough"),
            "features" => self.may_set_features(state, change, current, value),
            "hookscript" => only_root("changing the hookscript"),
            _ => need("VM.Config.Options"),
        }
    }

    fn may_mount(
        &self,
        state: &State,
        change: &Change<'_>,
        key: &str,
        value: Option<&str>,
    ) -> Result<(), ApiError> {
        change.need(state, &["VM.Config.Disk"])?;
        let Some(value) = value else { return Ok(()) };
        let mount = self.drive(Kind::Lxc, key, value)?;
        match mount.file(change.default_storage)? {
            File::New { storage, .. } => state.need_space(change.caller, storage),
            File::Path(path) => {
                let kind = if path.starts_with("/dev/") {
                    "device"
                } else {
                    "bind"
                };
                Err(ApiError::permission(&format!(
                    "mount point type {kind} is only allowed for root@pam"
                )))
            }
            File::Volume(volid) => {
                state.may_use_volume(change.caller, change.node, volid, Some(change.vmid))
            }
            File::Nothing | File::CloudInit { .. } => Ok(()),
        }
    }

    /// Nesting is a matter of the container, everything else one of the host.
    fn may_set_features(
        &self,
        state: &State,
        change: &Change<'_>,
        current: &Current<'_>,
        value: Option<&str>,
    ) -> Result<(), ApiError> {
        let only_root = |what: &str| {
            Err(ApiError::permission(&format!(
                "changing feature flags {what} is only allowed for root@pam"
            )))
        };
        if !current.unprivileged {
            return only_root("for privileged container");
        }
        let features = |value: Option<&str>| match value {
            Some(text) => self
                .properties(Kind::Lxc, "features", text)
                .map(|p| p.owned()),
            None => Ok(BTreeMap::new()),
        };
        let held = current.config.and_then(|c| c.get("features"));
        let (old, new) = (features(held.map(String::as_str))?, features(value)?);
        let changed: Vec<&String> = old
            .keys()
            .chain(new.keys())
            .filter(|name| old.get(*name) != new.get(*name))
            .collect();
        if changed.iter().any(|name| *name != "nesting") {
            return only_root("(except nesting)");
        }
        match changed.is_empty() {
            true => Ok(()),
            false => change.need(state, &["VM.Allocate"]),
        }
    }
}
