//! What a backup's archive holds: a guest's configuration and its disks.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stead_lab_core::machine::ImageLabel;

use crate::Proxmox;
use crate::error::{Answer, ApiError};
use crate::guest::Kind;
use crate::guest::drive::{Drive, is_unused};
use crate::routes::Call;
use crate::state::{State, Vm, Volume};

/// The content of an archive, in place of gigabytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Archive {
    pub(super) kind: Kind,
    pub(super) vmid: u32,
    pub(super) config: BTreeMap<String, String>,
    /// By drive.
    pub(super) disks: BTreeMap<String, Disk>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Disk {
    pub(super) size: u64,
    pub(super) label: Option<ImageLabel>,
    /// What a container's installation wrote into it.
    pub(super) text: Option<String>,
}

/// What an archive takes from a disk that holds an image, and from one that does not.
const SMALLEST: u64 = 1 << 20;

impl Archive {
    /// Of a guest as it is now.
    pub(super) fn new(px: &Proxmox, state: &State, vmid: u32, vm: &Vm) -> Archive {
        let disks = px.disks(vm.kind, &vm.config).filter(is_backed_up);
        let disks = disks.filter_map(|drive| {
            let volume = state.volume(&vm.node, drive.volid()?)?;
            let disk = Disk {
                size: volume.size,
                label: volume.label.clone(),
                text: volume.text.clone(),
            };
            Some((drive.key, disk))
        });
        let left_out = |key: &str| ["lock", "parent", "vmstate"].contains(&key) || is_unused(key);
        let config = vm.config.iter().filter(|(key, _)| !left_out(key));
        Archive {
            kind: vm.kind,
            vmid,
            config: config.map(|(k, v)| (k.clone(), v.clone())).collect(),
            disks: disks.collect(),
        }
    }

    /// How large its file is: what guests wrote, packed to about a third.
    pub(super) fn size(&self) -> u64 {
        let written = |disk: &Disk| match disk.label {
            Some(_) => disk.size.min(crate::storage::IMAGE_SIZE) / 3,
            None => 0,
        };
        self.disks.values().map(written).sum::<u64>() + SMALLEST
    }
}

/// A VM's disks are, unless told otherwise; of a container the root, and what asks for it.
fn is_backed_up(drive: &Drive) -> bool {
    let set = drive.properties.get("backup");
    match drive.kind {
        Kind::Qemu => set != Some("0") && !drive.is_cloudinit(),
        Kind::Lxc => drive.key == "rootfs" || set == Some("1"),
    }
}

/// The archive that a volume holds.
pub(super) fn open<'a>(
    state: &'a State,
    node: &str,
    volid: &str,
) -> Result<(&'a Volume, &'a Archive), String> {
    let volume = state
        .volume(node, volid)
        .ok_or_else(|| format!("volume '{volid}' does not exist"))?;
    match &volume.archive {
        Some(archive) => Ok((volume, archive)),
        None => Err(format!(
            "ERROR: couldn't determine archive info from '{volid}'"
        )),
    }
}

/// `GET /nodes/{node}/vzdump/extractconfig`
pub(super) fn extract(state: &State, call: &Call) -> Answer {
    let volid = call.params.text("volume");
    state.may_use_volume(&call.caller, call.node(), volid, None)?;
    let (_, archive) = open(state, call.node(), volid).map_err(ApiError::failure)?;
    let mut text = String::new();
    for (key, value) in &archive.config {
        match key.as_str() {
            // A description is written as comments in front.
            "description" => {
                let lines: String = value.lines().map(|line| format!("#{line}\n")).collect();
                text.insert_str(0, &lines);
            }
            "cipassword" => text += "cipassword: **********\n",
            _ => drop(writeln!(text, "{key}: {value}")),
        }
    }
    Ok(Value::String(text))
}
