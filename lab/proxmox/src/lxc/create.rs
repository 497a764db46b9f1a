//! Making a container from a template.

use std::collections::BTreeMap;

use super::ostype;
use super::permission::Current;
use crate::error::{Answer, ApiError};
use crate::guest::config::hashed_password;
use crate::guest::create::{Made, Source, make, may_make};
use crate::guest::drive::{File, is_drive, is_unused};
use crate::guest::{Kind, Px, backup};
use crate::qemu::cloudinit::authorized;
use crate::qemu::permission::Change;
use crate::routes::Call;
use crate::state::State;

/// The root volume's size when nothing is said, in GiB.
const DEFAULT_ROOT: u32 = 4;

/// `POST /nodes/{node}/lxc`
pub(crate) async fn create(px: &Px, call: Call) -> Answer {
    check(px, &px.state(), &call)?;
    if call.params.is_on("restore") {
        backup::check(&px.state(), &call)?;
        return backup::restore(px, call).await;
    }
    make(px, call, Source::Options, configure).await
}

pub(crate) fn default_storage(call: &Call) -> &str {
    call.params.get("storage").unwrap_or("local")
}

/// The options of a request; mount points that are but a number lie on the default storage.
pub(crate) fn wanted(call: &Call) -> BTreeMap<String, String> {
    let storage = default_storage(call);
    let options = call.options().filter(|(key, _)| !is_unused(key));
    options
        .map(|(key, value)| {
            let number = value.parse::<f64>().is_ok();
            let value = match is_drive(Kind::Lxc, key) && number {
                true => format!("{storage}:{value}"),
                false => value.to_owned(),
            };
            (key.to_owned(), value)
        })
        .collect()
}

/// New containers are unprivileged unless asked otherwise.
fn unprivileged(call: &Call) -> bool {
    call.params.get("unprivileged").is_none_or(|v| v == "1")
}

fn check(px: &Px, state: &State, call: &Call) -> Result<(), ApiError> {
    let (caller, params, node) = (&call.caller, &call.params, call.node());
    let restores = params.is_on("restore");
    if !restores && !unprivileged(call) {
        state.need(caller, "/", &["Sys.Modify"])?;
    }
    may_make(state, call)?;
    for line in params.text("ssh-public-keys").lines() {
        check_ssh_key(line)?;
    }
    let wanted = wanted(call);
    let change = Change {
        caller,
        node,
        vmid: call.vmid(),
        pool: params.get("pool"),
        default_storage: Some(default_storage(call)),
    };
    let current = Current {
        config: None,
        unprivileged: unprivileged(call),
    };
    for (key, value) in wanted.iter().filter(|(key, _)| *key != "unprivileged") {
        px.may_set_in_container(state, &change, &current, key, Some(value))?;
    }
    check_template(state, call, restores)?;
    if !wanted.contains_key("rootfs") {
        if wanted.keys().any(|key| is_drive(Kind::Lxc, key)) {
            return Err(ApiError::failure(
                "mount points configured, but 'rootfs' not set - aborting",
            ));
        }
        let storage = default_storage(call);
        if !state.storage(storage, node)?.takes("rootdir") {
            return Err(ApiError::parameter(
                "storage",
                Kind::Lxc.wrong_storage(storage),
            ));
        }
        state.need_space(caller, storage)?;
    }
    for (key, value) in wanted.iter().filter(|(key, _)| is_drive(Kind::Lxc, key)) {
        let mount = px.drive(Kind::Lxc, key, value)?;
        if matches!(mount.file(None)?, File::Path(_)) && !caller.is_root() {
            return Err(ApiError::failure(
                "Only root can pass arbitrary filesystem paths.",
            ));
        }
        px.check_drive(state, node, &mount, None)?;
    }
    Ok(())
}

fn check_template(state: &State, call: &Call, restores: bool) -> Result<(), ApiError> {
    let volid = call.params.text("ostemplate");
    if volid == "-" {
        return Err(ApiError::failure("pipe requires cli environment"));
    }
    let wanted = if restores { "backup" } else { "vztmpl" };
    if let Some(volume) = state.volume(call.node(), volid)
        && volume.content != wanted
    {
        return Err(ApiError::failure(format!(
            "unexpected content type '{}' of '{volid}' - needs to be '{wanted}'",
            volume.content
        )));
    }
    state.may_use_volume(&call.caller, call.node(), volid, Some(call.vmid()))
}

/// `ssh-ed25519 AAAA… comment`; empty lines and comments are none.
fn check_ssh_key(line: &str) -> Result<(), ApiError> {
    let line = line.trim();
    let kinds = ["ssh-", "ecdsa-", "sk-", "from=", "command="];
    let known = kinds.iter().any(|kind| line.starts_with(kind)) && line.contains(' ');
    match line.is_empty() || line.starts_with('#') || known {
        true => Ok(()),
        false => Err(ApiError::failure("SSH public key validation error")),
    }
}

fn configure(px: &Px, state: &mut State, call: &Call, made: &mut Made) -> Result<(), ApiError> {
    let (node, vmid) = (call.node(), call.vmid());
    let template = call.params.text("ostemplate");
    let archive = state
        .volume(node, template)
        .cloned()
        .ok_or_else(|| format!("volume '{template}' does not exist"))?;
    let mut wanted = wanted(call);
    wanted
        .entry("rootfs".into())
        .or_insert_with(|| format!("{}:{DEFAULT_ROOT}", default_storage(call)));
    wanted.remove("unprivileged");
    px.add_options(state, call, &wanted, made)?;
    let config = &mut made.config;
    if !config.contains_key("ostype") {
        let label = archive.label.as_ref().map(|label| label.os.as_str());
        config.insert("ostype".into(), ostype::detect(template, label)?.into());
    }
    if unprivileged(call) {
        config.insert("unprivileged".into(), "1".into());
    }
    for (key, value) in [
        ("arch", "amd64"),
        ("memory", "512"),
        ("swap", "512"),
        ("hostname", &format!("CT{vmid}")),
    ] {
        config.entry(key.into()).or_insert_with(|| value.into());
    }
    let root = config.get("rootfs").and_then(|v| v.split(',').next());
    let root = root.unwrap_or_default().to_owned();
    let first_boot = first_boot(state, call);
    if let Some(volume) = state.volume_mut(node, &root) {
        volume.label = archive.label;
        volume.text = Some(first_boot);
    }
    Ok(())
}

/// What the template's installation writes into the root volume: root's password (as a hash) and keys.
fn first_boot(state: &mut State, call: &Call) -> String {
    let mut text = String::from("#cloud-config\nuser: root\n");
    if let Some(password) = call.params.get("password") {
        text += &format!("password: {}\n", hashed_password(state, password));
    }
    let keys = call.params.text("ssh-public-keys");
    if !keys.trim().is_empty() {
        text += &authorized(keys);
    }
    text
}
