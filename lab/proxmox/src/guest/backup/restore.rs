//! Making a guest from a backup.

use super::archive::{Archive, Disk, open};
use crate::Proxmox;
use crate::error::{Answer, ApiError};
use crate::guest::create::{Made, Source, make};
use crate::guest::drive::Drive;
use crate::guest::{Kind, Px};
use crate::routes::Call;
use crate::state::State;
use crate::storage::{NewDisk, format_size};

/// The parameter that names the archive.
fn volid(call: &Call) -> &str {
    match call.kind() {
        Kind::Qemu => call.params.text("archive"),
        Kind::Lxc => call.params.text("ostemplate"),
    }
}

/// Whether an archive may be restored; before anything is done.
pub(crate) fn check(state: &State, call: &Call) -> Result<(), ApiError> {
    let volid = volid(call);
    if volid == "-" {
        return Err(ApiError::failure("pipe requires cli environment"));
    }
    if call.params.is_on("live-restore") {
        let text =
            "live-restore is only compatible with backup images from a Proxmox Backup Server";
        return Err(ApiError::parameter("live-restore", text));
    }
    state.may_use_volume(&call.caller, call.node(), volid, Some(call.vmid()))?;
    let (_, archive) = open(state, call.node(), volid)?;
    if archive.kind != call.kind() {
        return Err(ApiError::failure(format!(
            "ERROR: archive '{volid}' holds a {}",
            archive.kind.noun()
        )));
    }
    // A container that is privileged in its backup becomes so again.
    let privileged = archive.kind == Kind::Lxc
        && call.params.get("unprivileged").is_none_or(|v| v == "0")
        && archive.config.get("unprivileged").is_none_or(|v| v != "1");
    match privileged {
        true => state.need(&call.caller, "/", &["Sys.Modify"]),
        false => Ok(()),
    }
}

/// `POST qemu` with `archive`, `POST lxc` with `restore`.
pub(crate) async fn restore(px: &Px, call: Call) -> Answer {
    make(px, call, Source::Backup, configure).await
}

fn configure(px: &Px, state: &mut State, call: &Call, made: &mut Made) -> Result<(), ApiError> {
    let (node, vmid) = (call.node(), call.vmid());
    let archive = open(state, node, volid(call))?.1.clone();
    // The guest that is overwritten loses its volumes first, so that the new ones can have their names.
    px.free_volumes(state, vmid);
    if let Some(vm) = state.vms.get_mut(&vmid) {
        vm.config.retain(|key, _| key == "lock");
        vm.snapshots.clear();
    }
    made.config = archive.config.clone();
    made.template = made.config.remove("template").is_some();
    // What is given beside the archive comes in place of what it holds.
    let given: Vec<(String, String)> = match archive.kind {
        Kind::Qemu => crate::qemu::update::wanted(call)?.into_iter().collect(),
        Kind::Lxc => crate::lxc::create::wanted(call).into_iter().collect(),
    };
    let replaced = |key: &str| given.iter().any(|(name, _)| name == key);
    let drives: Vec<Drive> = px.drives(archive.kind, &archive.config).collect();
    for drive in drives {
        if replaced(&drive.key) {
            made.config.remove(&drive.key);
            continue;
        }
        if drive.volid().is_none() || (drive.is_cdrom() && !drive.is_cloudinit()) {
            continue;
        }
        px.restore_disk(state, call, &archive, drive, made)?;
    }
    if call.params.is_on("unique") {
        px.renew_identity(state, archive.kind, &mut made.config)?;
    } else if made.config.contains_key("vmgenid") {
        made.config.insert("vmgenid".into(), state.uuid());
    }
    let given = given.into_iter().collect();
    px.add_options(state, call, &given, made)?;
    if archive.kind == Kind::Lxc {
        fill_root(state, node, &archive, made);
    }
    Ok(())
}

/// A root volume that was given anew holds what the archive does, too.
fn fill_root(state: &mut State, node: &str, archive: &Archive, made: &Made) {
    let root = made.config.get("rootfs").and_then(|v| v.split(',').next());
    if let (Some(volid), Some(disk)) = (root, archive.disks.get("rootfs"))
        && let Some(volume) = state.volume_mut(node, volid)
    {
        volume.label.clone_from(&disk.label);
        volume.text.clone_from(&disk.text);
    }
}

impl Proxmox {
    /// Makes a disk of the archive anew. What the archive left out: a VM's is gone, a container's comes back empty.
    fn restore_disk(
        &self,
        state: &mut State,
        call: &Call,
        archive: &Archive,
        mut drive: Drive,
        made: &mut Made,
    ) -> Result<(), ApiError> {
        let (node, kind) = (call.node(), archive.kind);
        let held = archive.disks.get(&drive.key);
        if held.is_none() && kind == Kind::Qemu && !drive.is_cloudinit() {
            made.config.remove(&drive.key);
            return Ok(());
        }
        let size = held.map(|disk| disk.size).or_else(|| {
            drive
                .properties
                .get("size")
                .and_then(crate::storage::parse_size)
        });
        let own = drive.storage().unwrap_or_default().to_owned();
        let storage = match kind {
            Kind::Qemu => call.params.get("storage").unwrap_or(&own),
            Kind::Lxc => crate::lxc::create::default_storage(call),
        };
        let disk = NewDisk {
            kind,
            storage,
            vmid: call.vmid(),
            name: drive.is_cloudinit().then_some("cloudinit"),
            format: None,
            size: size.unwrap_or(4 << 20),
            label: held.and_then(|disk| disk.label.clone()),
            parent: None,
        };
        let new = state.allocate(node, &disk)?;
        made.volids.push(new.clone());
        if let (Some(Disk { text, .. }), Some(volume)) = (held, state.volume_mut(node, &new)) {
            volume.text.clone_from(text);
        }
        drive.set_volid(new);
        drive.properties.set("size", format_size(disk.size));
        let printed = self.print_drive(&drive);
        made.config.insert(drive.key, printed);
        Ok(())
    }
}
