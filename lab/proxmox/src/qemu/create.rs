//! Making a VM.

use std::collections::BTreeMap;

use super::permission::Change;
use super::update;
use crate::Proxmox;
use crate::error::{Answer, ApiError};
use crate::guest::create::{Made, Source, make, may_make};
use crate::guest::{Px, backup, drive};
use crate::now;
use crate::release::Release;
use crate::routes::Call;
use crate::state::State;

/// `POST /nodes/{node}/qemu`: from options, or from a backup with others of its options.
pub(crate) async fn create(px: &Px, call: Call) -> Answer {
    check(px, &px.state(), &call)?;
    if call.params.has("archive") {
        backup::check(&px.state(), &call)?;
        return backup::restore(px, call).await;
    }
    make(px, call, Source::Options, configure).await
}

fn check(px: &Px, state: &State, call: &Call) -> Result<(), ApiError> {
    let (caller, params) = (&call.caller, &call.params);
    may_make(state, call)?;
    let wanted = update::wanted(call)?;
    if let Some(key) = wanted
        .keys()
        .find(|key| drive::is_unused(key) || *key == "lock" || *key == "parent")
    {
        return Err(ApiError::parameter(key, "cannot be set on a new VM"));
    }
    if let Some(storage) = params.get("import-working-storage") {
        let found = state.storage(storage, call.node())?;
        if !found.takes("images") || !found.has_path() {
            let text = format!(
                "import working storage '{storage}' does not support 'images' content type or is not file based"
            );
            return Err(ApiError::parameter("import-working-storage", text));
        }
    }
    let change = Change {
        caller,
        node: call.node(),
        vmid: call.vmid(),
        pool: params.get("pool"),
        default_storage: params.get("storage"),
    };
    for (key, value) in &wanted {
        px.may_set(state, &change, key, Some(value))?;
        px.check_option(state, call, key, value)?;
    }
    Ok(())
}

/// Makes the disks and the configuration.
fn configure(px: &Px, state: &mut State, call: &Call, made: &mut Made) -> Result<(), ApiError> {
    let wanted = update::wanted(call)?;
    px.add_options(state, call, &wanted, made)?;
    let config = &mut made.config;
    if !config.contains_key("smbios1") {
        let uuid = state.uuid();
        config.insert("smbios1".into(), format!("uuid={uuid}"));
    }
    if !config.contains_key("vmgenid") {
        let uuid = state.uuid();
        config.insert("vmgenid".into(), uuid);
    }
    config.insert(
        "meta".into(),
        format!("creation-qemu={},ctime={}", state.release().qemu, now()),
    );
    pin_machine(config, state.release());
    // Only a change of the order is checked against the devices.
    if !config.contains_key("boot")
        && let Some(order) = px.default_boot(config)
    {
        config.insert("boot".into(), order);
    }
    Ok(())
}

/// Windows is bound to the machine version on which it was installed.
fn pin_machine(config: &mut BTreeMap<String, String>, release: &Release) {
    if !config.get("ostype").is_some_and(|os| os.starts_with('w')) {
        return;
    }
    let pinned = match config.get("machine").map_or("pc", String::as_str) {
        "pc" => release.machine("pc-i440fx"),
        "q35" => release.machine("pc-q35"),
        _ => return,
    };
    config.insert("machine".into(), pinned);
}

impl Proxmox {
    /// Adds a request's options to a configuration that is being made: disks in PVE's order, then the rest.
    pub(crate) fn add_options(
        &self,
        state: &mut State,
        call: &Call,
        wanted: &BTreeMap<String, String>,
        made: &mut Made,
    ) -> Result<(), ApiError> {
        let (kind, node, vmid) = (call.kind(), call.node(), call.vmid());
        for key in drive::keys(kind) {
            let Some(value) = wanted.get(&key) else {
                continue;
            };
            let asked = self.drive(kind, &key, value)?;
            let (kept, volid) =
                self.realize(state, node, vmid, asked, call.params.get("storage"))?;
            made.volids.extend(volid);
            made.config.insert(key, self.print_drive(&kept));
        }
        for (key, value) in wanted.iter().filter(|(key, _)| !drive::is_drive(kind, key)) {
            let value = self.normalized(state, kind, key, value)?;
            made.config.insert(key.clone(), value);
        }
        Ok(())
    }
}
