//! The volumes that a guest's configuration names.

use super::drive;
use crate::Proxmox;
use crate::state::{State, Vm};

/// A volume that a guest's configuration names.
pub(crate) struct Named {
    pub(crate) key: String,
    pub(crate) volid: String,
    pub(crate) cdrom: bool,
    pub(crate) cloudinit: bool,
    pub(crate) unused: bool,
    /// Only a snapshot's section names it.
    pub(crate) snapshot: bool,
}

impl Proxmox {
    /// Every volume of a guest once, also those of snapshots alone and unused ones.
    pub(crate) fn volumes(&self, vm: &Vm) -> Vec<Named> {
        let mut found: Vec<Named> = Vec::new();
        let sections = std::iter::once((false, &vm.config))
            .chain(vm.snapshots.values().map(|section| (true, section)));
        for (snapshot, config) in sections {
            let drives = self.drives(vm.kind, config).filter_map(|drive| {
                Some(Named {
                    volid: drive.volid()?.to_owned(),
                    cdrom: drive.is_cdrom(),
                    cloudinit: drive.is_cloudinit(),
                    key: drive.key,
                    unused: false,
                    snapshot,
                })
            });
            let others = config
                .iter()
                .filter(|(key, _)| drive::is_unused(key) || *key == "vmstate");
            let others = others.map(|(key, volid)| Named {
                key: key.clone(),
                volid: volid.clone(),
                cdrom: false,
                cloudinit: false,
                unused: drive::is_unused(key),
                snapshot,
            });
            for named in drives.chain(others) {
                if !found.iter().any(|other| other.volid == named.volid) {
                    found.push(named);
                }
            }
        }
        found
    }

    /// Those that are its own.
    pub(crate) fn volids(&self, state: &State, vmid: u32, vm: &Vm) -> Vec<String> {
        let own = |volid: &String| {
            let volume = state.volume(&vm.node, volid);
            volume.is_some_and(|v| v.vmid == Some(vmid))
        };
        let all = self.volumes(vm).into_iter().map(|named| named.volid);
        all.filter(own).collect()
    }

    /// Frees a guest's own volumes.
    pub(crate) fn free_volumes(&self, state: &mut State, vmid: u32) {
        let Some(vm) = state.vms.get(&vmid) else {
            return;
        };
        let (node, volids) = (vm.node.clone(), self.volids(state, vmid, vm));
        for volid in volids {
            state.free(&node, &volid);
        }
    }
}
