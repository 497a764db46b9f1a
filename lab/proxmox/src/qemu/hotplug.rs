//! Pending changes of a VM: what a running machine takes at once, what waits for the next start, and how either is carried out.

use std::collections::BTreeMap;

use crate::Proxmox;
use crate::guest::drive::{Drive, is_drive, is_unused};
use crate::guest::{Kind, config};
use crate::state::{State, Vm};

/// Options that a running machine does not notice.
const UNNOTICED: &[&str] = &[
    "cicustom",
    "cipassword",
    "citype",
    "ciupgrade",
    "ciuser",
    "cpulimit",
    "cpuunits",
    "description",
    "hookscript",
    "lock",
    "migrate_downtime",
    "migrate_speed",
    "name",
    "nameserver",
    "onboot",
    "protection",
    "searchdomain",
    "shares",
    "sshkeys",
    "startup",
    "tags",
    "vmstatestorage",
];

/// Options of a drive that QEMU can't change while it runs.
const FIXED: &[&str] = &[
    "aio", "cache", "discard", "iothread", "product", "queues", "ro", "ssd", "vendor",
];

/// Whether a device of this class may come and go while the machine runs.
fn feature(config: &BTreeMap<String, String>, class: &str) -> bool {
    match config.get("hotplug").map_or("1", String::as_str) {
        "0" => false,
        "1" => ["network", "disk", "usb"].contains(&class),
        classes => classes.split([',', ';']).any(|c| c.trim() == class),
    }
}

impl Proxmox {
    /// Whether a running VM takes a pending change now.
    fn takes_now(&self, vm: &Vm, key: &str) -> bool {
        let (old, new) = (
            vm.config.get(key),
            vm.pending.get(key).and_then(Option::as_ref),
        );
        let stem = crate::schema::numbered(key).map_or(key, |(stem, _)| stem);
        let has = |class| feature(&vm.config, class);
        match stem {
            _ if UNNOTICED.contains(&key) || is_unused(key) || stem == "ipconfig" => true,
            "hotplug" => ![old, new]
                .into_iter()
                .flatten()
                .any(|classes| classes.contains("cpu") || classes.contains("memory")),
            "tablet" | "usb" => has("usb"),
            "vcpus" => has("cpu"),
            "memory" => has("memory"),
            // The device itself can't come or go, only its target change.
            "balloon" => {
                let off = |value: Option<&String>| value.is_some_and(|v| v == "0");
                off(old) == off(new)
            }
            "net" => has("network") || self.only_moves_cable(vm, key),
            _ if is_drive(Kind::Qemu, key) => self.takes_drive(vm, key),
            _ => false,
        }
    }

    /// Bridge, VLAN, firewall, rate and link of a network card change behind it.
    fn only_moves_cable(&self, vm: &Vm, key: &str) -> bool {
        let parsed = |value: &String| self.properties(Kind::Qemu, key, value).ok();
        let old = vm.config.get(key).and_then(parsed);
        let new = vm.pending.get(key).and_then(|v| parsed(v.as_ref()?));
        match (old, new) {
            (Some(old), Some(new)) => ["model", "macaddr", "queues", "mtu"]
                .iter()
                .all(|name| old.get(name) == new.get(name)),
            _ => false,
        }
    }

    fn takes_drive(&self, vm: &Vm, key: &str) -> bool {
        let parsed = |value: &String| self.drive(Kind::Qemu, key, value).ok();
        let old = vm.config.get(key).and_then(parsed);
        let new = vm.pending.get(key).and_then(|v| parsed(v.as_ref()?));
        let pluggable = ["scsi", "virtio"].iter().any(|stem| key.starts_with(stem))
            && feature(&vm.config, "disk");
        match (old, new) {
            (Some(old), Some(new)) if old.is_cdrom() && new.is_cdrom() => true,
            (Some(old), Some(new)) if old.volid() == new.volid() => FIXED
                .iter()
                .all(|name| old.properties.get(name) == new.properties.get(name)),
            _ => pluggable,
        }
    }

    /// Carries out what is pending: all of it, or of a running VM what that takes now.
    pub(crate) fn commit_pending(&self, state: &mut State, vmid: u32) -> Result<(), String> {
        let Some(vm) = state.vms.get(&vmid) else {
            return Ok(());
        };
        let due: Vec<String> = vm
            .pending
            .keys()
            .filter(|key| vm.running.is_none() || self.takes_now(vm, key))
            .cloned()
            .collect();
        for key in due {
            self.commit(state, vmid, &key)?;
        }
        Ok(())
    }

    fn commit(&self, state: &mut State, vmid: u32, key: &str) -> Result<(), String> {
        let Some(vm) = state.vms.get_mut(&vmid) else {
            return Ok(());
        };
        let node = vm.node.clone();
        let Some(value) = vm.pending.remove(key) else {
            return Ok(());
        };
        let forced = vm.forced.remove(key);
        let drive = |value: &String| self.drive(Kind::Qemu, key, value).ok();
        let old = vm
            .config
            .get(key)
            .filter(|_| is_drive(Kind::Qemu, key))
            .and_then(drive);
        let new = value.as_ref().and_then(drive);
        match value {
            Some(value) => drop(vm.config.insert(key.to_owned(), value)),
            None => drop(vm.config.remove(key)),
        }
        // A volume that comes back into use is no longer unused.
        if let Some(volid) = new.as_ref().and_then(Drive::volid) {
            vm.config
                .retain(|key, value| !is_unused(key) || value != volid);
        }
        let kept = new.as_ref().and_then(Drive::volid);
        match old.as_ref().map(|old| (old, old.volid())) {
            Some((_, volid)) if volid == kept => Ok(()),
            Some((old, Some(volid))) if old.is_cloudinit() || forced => {
                self.free_disk(state, &node, vmid, volid);
                Ok(())
            }
            Some((old, Some(volid))) if !old.is_cdrom() => config::keep_unused(vm, volid),
            _ => Ok(()),
        }
    }

    /// Frees a volume of a VM; a guest that lived on it is forgotten.
    pub(crate) fn free_disk(&self, state: &mut State, node: &str, vmid: u32, volid: &str) {
        state.free(node, volid);
        let lived_there = state
            .vms
            .get_mut(&vmid)
            .is_some_and(|vm| vm.booted_from.take_if(|v| v == volid).is_some());
        if lived_there {
            self.forget_guest(&state.name, vmid);
        }
    }
}
